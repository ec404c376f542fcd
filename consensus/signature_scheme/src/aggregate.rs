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
    let mut proofs = SchemeProofs::empty();
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
        let bytes = data.len();
        let too_long = SignatureError::ProofTooLong { scheme: number, bytes };
        let data = data.try_into().map_err(|_| too_long.clone())?;
        proofs
            .push(SchemeProof { scheme: number, data })
            .map_err(|_| too_long)?;
    }
    Ok((signature, proofs))
}
