//! One signing root, its signers and their signatures.

use crate::{SignatureError, scheme, schemes_of};
use bls::{INFINITY_SIGNATURE, SignedMessage};
use ethereum_hashing::hash;
use parking_lot::Mutex;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use types::constants::BLS_SCHEME;
use types::{Leaf, Root, SchemeProof, SchemeProofs, SignatureBytes, SignerKey};

/// What was signed, by whom, and the signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureSet {
    /// What was signed.
    pub signing_root: Root,
    /// What the signers that have leaves did with which of them.
    pub leaf: Leaf,
    /// All signers' keys, in ascending order of their signer indices.
    pub signers: Vec<SignerKey>,
    /// Aggregate of the BLS signatures; the point at infinity if no signer has a BLS key.
    pub signature: SignatureBytes,
    /// One proof for each other scheme, ascending.
    pub proofs: SchemeProofs,
}

impl SignatureSet {
    /// One BLS key, one signature, of a message that only BLS keys sign.
    pub fn bls(signing_root: Root, pubkey: types::PublicKeyBytes, signature: SignatureBytes) -> Self {
        Self {
            signing_root,
            leaf: Leaf::None,
            signers: vec![SignerKey::from(pubkey)],
            signature,
            proofs: SchemeProofs::empty(),
        }
    }

    /// The BLS part, with decompressed keys; `None` if nobody has a BLS key.
    fn bls_part(&self) -> Result<Option<SignedMessage>, SignatureError> {
        let mut public_keys = Vec::with_capacity(self.signers.len());
        for signer in self.signers.iter().filter(|signer| signer.scheme() == BLS_SCHEME) {
            let bytes = signer.as_bls().ok_or(SignatureError::KeyLength {
                scheme: BLS_SCHEME,
                found: signer.as_bytes().len(),
                expected: 48,
            })?;
            public_keys.push(bls::cached_public_key(&bytes)?);
        }
        if public_keys.is_empty() {
            return if self.signature == INFINITY_SIGNATURE {
                Ok(None)
            } else {
                Err(SignatureError::SignatureWithoutSigner)
            };
        }
        Ok(Some(SignedMessage {
            message: self.signing_root,
            public_keys,
            signature: self.signature,
        }))
    }

    /// Verifies the parts of all schemes other than BLS.
    fn verify_proofs(&self) -> Result<(), SignatureError> {
        let mut keys: BTreeMap<u8, Vec<&[u8]>> = BTreeMap::new();
        for signer in self.signers.iter().filter(|signer| signer.scheme() != BLS_SCHEME) {
            keys.entry(signer.scheme()).or_default().push(signer.as_bytes());
        }
        if keys.is_empty() && self.proofs.is_empty() {
            return Ok(());
        }
        let found = schemes_of(&self.proofs);
        if !found.iter().eq(keys.keys()) {
            return Err(SignatureError::ProofSchemes {
                found,
                expected: keys.into_keys().collect(),
            });
        }
        for (proof, keys) in self.proofs.iter().zip(keys.values()) {
            let scheme = scheme::find(proof.scheme)?;
            if let Some(key) = keys.iter().find(|key| key.len() != scheme.key_len()) {
                return Err(SignatureError::KeyLength {
                    scheme: proof.scheme,
                    found: key.len(),
                    expected: scheme.key_len(),
                });
            }
            scheme
                .verify(self.leaf, &self.signing_root, keys, &proof.data)
                .map_err(|source| SignatureError::Scheme {
                    scheme: proof.scheme,
                    source,
                })?;
        }
        Ok(())
    }

    /// What a single signer adds to the RANDAO mix; only that of a verified set means something.
    ///
    /// Spec: dvt/beacon-chain.md#process_randao
    pub fn randao_value(&self) -> Result<Root, SignatureError> {
        let value = match self.signers.as_slice() {
            [signer] => opened_digest(signer, &self.proofs)?,
            _ => None,
        };
        let value = match value {
            Some(digest) => hash(digest.as_slice()),
            None => hash(self.signature.as_slice()),
        };
        Ok(Root::from_slice(&value))
    }
}

/// The digest that a key shows in place of a unique signature; `None` for a BLS key, whose signature is unique.
pub(crate) fn opened_digest(signer: &SignerKey, proofs: &[SchemeProof]) -> Result<Option<Root>, SignatureError> {
    let number = signer.scheme();
    if number == BLS_SCHEME {
        return Ok(None);
    }
    match proofs {
        [proof] if proof.scheme == number => scheme::find(number)?
            .unique_value(signer.as_bytes(), &proof.data)
            .map(Some)
            .map_err(|source| SignatureError::Scheme { scheme: number, source }),
        _ => Err(SignatureError::ProofSchemes {
            found: schemes_of(proofs),
            expected: vec![number],
        }),
    }
}

/// Verifies one set. A set without signers is valid if its signature is the point at infinity: how many signers are
/// enough is the caller's question.
pub fn verify(set: &SignatureSet) -> Result<(), SignatureError> {
    set.verify_proofs()?;
    if let Some(signed) = set.bls_part()? {
        bls::verify_batch(&[signed])?;
    }
    Ok(())
}

/// Verification of many sets that begins while more of them are still being found.
#[derive(Debug, Default)]
pub struct Batch {
    bls: bls::Batch,
    failure: Mutex<Option<SignatureError>>,
    is_settled: AtomicBool,
}

impl Batch {
    /// Does the work of one set on the caller's thread; any number of threads may call.
    pub fn add(&self, set: &SignatureSet) {
        if self.is_settled.load(Ordering::Relaxed) {
            return;
        }
        if let Err(failure) = self.try_add(set) {
            self.failure.lock().get_or_insert(failure);
            self.abandon();
        }
    }

    fn try_add(&self, set: &SignatureSet) -> Result<(), SignatureError> {
        set.verify_proofs()?;
        if let Some(signed) = set.bls_part()? {
            self.bls.add(&signed)?;
        }
        Ok(())
    }

    /// Nobody will ask for the verdict: what is added from now on costs nothing.
    pub fn abandon(&self) {
        self.is_settled.store(true, Ordering::Relaxed);
    }

    /// The verdict of verifying each set alone. Which set fails is not said; see [`find_invalid`].
    pub fn finish(self) -> Result<(), SignatureError> {
        match self.failure.into_inner() {
            Some(failure) => Err(failure),
            None => Ok(self.bls.finish()?),
        }
    }
}

/// Verifies many sets at once, on all cores: the verdict of verifying each alone. Which set fails is not said; see
/// [`find_invalid`].
pub fn verify_batch(sets: &[SignatureSet]) -> Result<(), SignatureError> {
    if let [set] = sets {
        return verify(set);
    }
    let batch = Batch::default();
    sets.par_iter().for_each(|set| batch.add(set));
    batch.finish()
}

/// Verifies many sets that come from different senders: the verdict of each. One batch if all are valid; otherwise
/// each is verified alone, so that only the guilty one is blamed.
pub fn find_invalid(sets: &[SignatureSet]) -> Vec<Result<(), SignatureError>> {
    if verify_batch(sets).is_ok() {
        return vec![Ok(()); sets.len()];
    }
    sets.par_iter().map(verify).collect()
}
