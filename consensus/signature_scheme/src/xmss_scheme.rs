//! Schemes 1 and 2: XMSS keys. A proof is the signatures by all the keys, one after the other, or one key's opening.
//!
//! Spec: dvt/signatures.md

use crate::{Scheme, SchemeError};
use std::marker::PhantomData;
use types::constants::{SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};
use types::{Leaf, Root, SignerIndex};
use xmss::{
    DecodeError, Devnet, Opening, PUBLIC_KEY_LEN, Parameters, Production, PublicKey, Signature, Signed, verify_batch,
};

/// XMSS with one set of parameters.
pub(crate) struct Xmss<P> {
    number: u8,
    parameters: PhantomData<P>,
}

impl Xmss<Production> {
    pub(crate) const SCHEME: Self = Self {
        number: XMSS_SCHEME,
        parameters: PhantomData,
    };
}

impl Xmss<Devnet> {
    pub(crate) const SCHEME: Self = Self {
        number: SHORT_LIVED_XMSS_SCHEME,
        parameters: PhantomData,
    };
}

fn bad_key(error: DecodeError) -> SchemeError {
    SchemeError::Key(error.to_string())
}

fn bad_proof(error: DecodeError) -> SchemeError {
    SchemeError::Proof(error.to_string())
}

fn bad_length(found: usize, expected: usize) -> SchemeError {
    SchemeError::Proof(format!("{found} bytes, expected {expected}"))
}

/// The leaf as the scheme counts them.
fn index(leaf: u64) -> Result<u32, SchemeError> {
    u32::try_from(leaf).map_err(|_| SchemeError::Leaf(leaf))
}

impl<P: Parameters> Xmss<P> {
    fn verify_signatures(
        leaf: u64,
        signing_root: &Root,
        keys: &[PublicKey<P>],
        proof: &[u8],
    ) -> Result<(), SchemeError> {
        let leaf = index(leaf)?;
        // Before anything is allocated: the keys are those of the state, the bytes a stranger's.
        let expected = keys.len().saturating_mul(P::SIGNATURE_LEN);
        if proof.len() != expected {
            return Err(bad_length(proof.len(), expected));
        }
        let signatures = proof
            .chunks_exact(P::SIGNATURE_LEN)
            .map(Signature::from_bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(bad_proof)?;
        let signed: Vec<Signed<'_, P>> = keys
            .iter()
            .zip(&signatures)
            .map(|(public_key, signature)| Signed {
                public_key,
                leaf,
                message: &signing_root.0,
                signature,
            })
            .collect();
        verify_batch(&signed).map_err(|_| SchemeError::Invalid)
    }

    fn verify_opening(leaf: u64, keys: &[PublicKey<P>], proof: &[u8]) -> Result<(), SchemeError> {
        let [key] = keys else {
            return Err(SchemeError::Proof(format!("an opening by {} keys", keys.len())));
        };
        let opening = Opening::from_bytes(proof).map_err(bad_proof)?;
        key.verify_opening(index(leaf)?, &opening)
            .map_err(|_| SchemeError::Invalid)
    }
}

impl<P: Parameters> Scheme for Xmss<P> {
    fn number(&self) -> u8 {
        self.number
    }

    fn key_len(&self) -> usize {
        PUBLIC_KEY_LEN
    }

    fn validate_key(&self, key: &[u8]) -> Result<(), SchemeError> {
        PublicKey::<P>::from_bytes(key).map(|_| ()).map_err(bad_key)
    }

    /// Spec: dvt/signatures.md#verify_xmss_proof
    fn verify(&self, leaf: Leaf, signing_root: &Root, keys: &[&[u8]], proof: &[u8]) -> Result<(), SchemeError> {
        let keys = keys
            .iter()
            .map(|key| PublicKey::from_bytes(key))
            .collect::<Result<Vec<PublicKey<P>>, _>>()
            .map_err(bad_key)?;
        match leaf {
            Leaf::Signs(leaf) => Self::verify_signatures(leaf, signing_root, &keys, proof),
            Leaf::Opens(leaf) => Self::verify_opening(leaf, &keys, proof),
            Leaf::None => Err(SchemeError::NoLeaf),
        }
    }

    /// Spec: dvt/signatures.md#merge_xmss_proofs
    fn merge(&self, parts: &[(&[SignerIndex], &[u8])]) -> Result<Vec<u8>, SchemeError> {
        let mut signatures = Vec::new();
        for (signers, data) in parts {
            let expected = signers.len().saturating_mul(P::SIGNATURE_LEN);
            if data.len() != expected {
                return Err(bad_length(data.len(), expected));
            }
            signatures.extend(signers.iter().zip(data.chunks_exact(P::SIGNATURE_LEN)));
        }
        signatures.sort_unstable_by_key(|(signer, _)| **signer);
        Ok(signatures.into_iter().flat_map(|(_, bytes)| bytes).copied().collect())
    }

    fn retain(&self, keep: &[bool], proof: &[u8]) -> Result<Vec<u8>, SchemeError> {
        let expected = keep.len().saturating_mul(P::SIGNATURE_LEN);
        if proof.len() != expected {
            return Err(bad_length(proof.len(), expected));
        }
        let signatures = proof.chunks_exact(P::SIGNATURE_LEN).zip(keep);
        let kept = signatures.filter(|(_, keep)| **keep).flat_map(|(bytes, _)| bytes);
        Ok(kept.copied().collect())
    }

    /// Spec: dvt/signatures.md#get_xmss_unique_value
    fn unique_value(&self, _: &[u8], proof: &[u8]) -> Result<Root, SchemeError> {
        let opening = Opening::<P>::from_bytes(proof).map_err(bad_proof)?;
        Ok(Root::from(opening.digest().to_bytes()))
    }
}
