//! Aggregation of signatures by disjoint signers.

use crate::{SignatureError, scheme};
use bls::{INFINITY_SIGNATURE, Signature};
use std::collections::{BTreeMap, BTreeSet};
use types::{SchemeProof, SchemeProofs, SignatureBytes, SignerIndex};

/// Signatures over one signing root by some signers.
#[derive(Debug, Clone, Copy)]
pub struct SignedPart<'a> {
    /// Who signed, ascending, with the number of the scheme of each.
    pub signers: &'a [(SignerIndex, u8)],
    /// Aggregate of the BLS signatures.
    pub signature: &'a SignatureBytes,
    /// Proofs of the other schemes.
    pub proofs: &'a [SchemeProof],
}

/// Signers of one scheme with their proof.
type SchemePart<'a> = (Vec<SignerIndex>, &'a [u8]);

/// Aggregates verified signatures over one signing root. Parts must not share signers: a signature that stands twice
/// in a sum verifies for nobody.
pub fn aggregate(parts: &[SignedPart<'_>]) -> Result<(SignatureBytes, SchemeProofs), SignatureError> {
    let mut seen = BTreeSet::new();
    for (signer, _) in parts.iter().flat_map(|part| part.signers) {
        if !seen.insert(*signer) {
            return Err(SignatureError::OverlappingSigners(*signer));
        }
    }
    let signatures = parts
        .iter()
        .filter(|part| *part.signature != INFINITY_SIGNATURE)
        .map(|part| Signature::from_bytes(part.signature))
        .collect::<Result<Vec<_>, _>>()?;
    let signature = match signatures.as_slice() {
        [] => INFINITY_SIGNATURE,
        signatures => bls::aggregate_signatures(signatures)?.to_bytes(),
    };

    let mut by_scheme: BTreeMap<u8, Vec<SchemePart<'_>>> = BTreeMap::new();
    for part in parts {
        for proof in part.proofs {
            let signers = part
                .signers
                .iter()
                .filter(|(_, number)| *number == proof.scheme)
                .map(|(signer, _)| *signer)
                .collect();
            by_scheme.entry(proof.scheme).or_default().push((signers, &proof.data));
        }
    }
    let mut merged = Vec::with_capacity(by_scheme.len());
    for (number, parts) in by_scheme {
        let data = match parts.as_slice() {
            [(_, data)] => data.to_vec(),
            parts => {
                let parts: Vec<(&[SignerIndex], &[u8])> = parts
                    .iter()
                    .map(|(signers, data)| (signers.as_slice(), *data))
                    .collect();
                scheme::find(number)?
                    .merge(&parts)
                    .map_err(|source| SignatureError::Scheme { scheme: number, source })?
            }
        };
        merged.push((number, data));
    }
    Ok((signature, to_proofs(merged)?))
}

/// The proofs of a part without the signatures of those signers that `keep` refuses. Signatures of BLS keys are one sum
/// and stay, whatever it says.
pub fn retain(part: &SignedPart<'_>, keep: impl Fn(SignerIndex) -> bool) -> Result<SchemeProofs, SignatureError> {
    let mut kept = Vec::with_capacity(part.proofs.len());
    for proof in part.proofs {
        let of_scheme = part.signers.iter().filter(|(_, number)| *number == proof.scheme);
        let keep: Vec<bool> = of_scheme.map(|(signer, _)| keep(*signer)).collect();
        if keep.contains(&false) {
            let data = scheme::find(proof.scheme)?
                .retain(&keep, &proof.data)
                .map_err(|source| SignatureError::Scheme {
                    scheme: proof.scheme,
                    source,
                })?;
            if keep.contains(&true) {
                kept.push((proof.scheme, data));
            }
        } else {
            kept.push((proof.scheme, proof.data.to_vec()));
        }
    }
    to_proofs(kept)
}

fn to_proofs(proofs: Vec<(u8, Vec<u8>)>) -> Result<SchemeProofs, SignatureError> {
    let mut list = SchemeProofs::empty();
    for (scheme, data) in proofs {
        let too_long = SignatureError::ProofTooLong {
            scheme,
            bytes: data.len(),
        };
        let data = data.try_into().map_err(|_| too_long.clone())?;
        list.push(SchemeProof { scheme, data }).map_err(|_| too_long)?;
    }
    Ok(list)
}
