//! Many signatures at once, on all cores. They have nothing in common, so a batch saves time by cores alone.

use crate::parameters::Parameters;
use crate::{Message, PublicKey, Signature, ThresholdError, VerifyError};
use rayon::prelude::*;

/// A signature with all that it is verified against.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a, P> {
    /// Whose.
    pub public_key: &'a PublicKey<P>,
    /// By which leaf.
    pub leaf: u32,
    /// Over what.
    pub message: &'a Message,
    /// The signature.
    pub signature: &'a Signature<P>,
}

impl<P: Parameters> Signed<'_, P> {
    fn verify(&self) -> Result<(), VerifyError> {
        self.public_key.verify(self.leaf, self.message, self.signature)
    }
}

/// The verdict on each.
pub fn verify_each<P: Parameters>(signed: &[Signed<'_, P>]) -> Vec<Result<(), VerifyError>> {
    signed.par_iter().map(Signed::verify).collect()
}

/// Whether all are valid; if not, the first of those found that is not. The search ends there.
pub fn verify_batch<P: Parameters>(signed: &[Signed<'_, P>]) -> Result<(), (usize, VerifyError)> {
    signed
        .par_iter()
        .enumerate()
        .try_for_each(|(index, signed)| signed.verify().map_err(|error| (index, error)))
}

/// Counts the valid signatures of a key set over one message: which signers (ascending positions in `keys`), one
/// signature each. An invalid one is not counted; an error if fewer than `threshold` are left. Gives the signers
/// whose signatures are valid.
pub fn count_threshold<P: Parameters>(
    keys: &[PublicKey<P>],
    signers: &[usize],
    signatures: &[Signature<P>],
    leaf: u32,
    message: &Message,
    threshold: usize,
) -> Result<Vec<usize>, ThresholdError> {
    if signers.len() != signatures.len() {
        return Err(ThresholdError::Count {
            signers: signers.len(),
            signatures: signatures.len(),
        });
    }
    let unordered = signers.iter().zip(signers.iter().skip(1)).position(|(a, b)| a >= b);
    if let Some(position) = unordered {
        return Err(ThresholdError::Order {
            position: position.saturating_add(1),
        });
    }
    let signed = signers
        .iter()
        .zip(signatures)
        .map(|(signer, signature)| {
            let public_key = keys.get(*signer).ok_or(ThresholdError::Signer {
                signer: *signer,
                keys: keys.len(),
            })?;
            Ok(Signed {
                public_key,
                leaf,
                message,
                signature,
            })
        })
        .collect::<Result<Vec<_>, ThresholdError>>()?;
    let valid: Vec<usize> = verify_each(&signed)
        .into_iter()
        .zip(signers)
        .filter_map(|(verdict, signer)| verdict.is_ok().then_some(*signer))
        .collect();
    if valid.len() < threshold {
        return Err(ThresholdError::TooFew {
            valid: valid.len(),
            threshold,
        });
    }
    Ok(valid)
}
