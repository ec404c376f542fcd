//! Verification of many signatures at once, on all cores.
//!
//! A random linear combination of all equations is checked with one final exponentiation. Decompression, subgroup
//! checks and sums of keys are as expensive as the pairings together, so they run in parallel too.

use crate::aggregate::aggregate_public_keys;
use crate::{BlsError, DST, PublicKey, Signature};
use blst::{BLST_ERROR, blst_scalar, min_pk};
use rayon::prelude::*;
use types::{Root, SignatureBytes};

/// Bits of the random coefficients: a forged batch passes with probability 2^-64.
const RANDOM_BITS: usize = 64;

/// An aggregate signature over one message.
#[derive(Debug, Clone)]
pub struct SignedMessage {
    /// Signing root.
    pub message: Root,
    /// All signers' keys, at least one.
    pub public_keys: Vec<PublicKey>,
    /// Their aggregate signature.
    pub signature: SignatureBytes,
}

/// Verifies all of `signed`. The verdict is that of verifying each alone (but for a chance of 2^-64); which one
/// fails is not said. Nothing to verify: `Ok`.
pub fn verify_batch(signed: &[SignedMessage]) -> Result<(), BlsError> {
    match signed {
        [] => return Ok(()),
        [one] => {
            let signature = Signature::from_bytes(&one.signature)?;
            return crate::fast_aggregate_verify(&one.public_keys, &one.message, &signature);
        }
        _ => {}
    }
    let prepared: Vec<(min_pk::PublicKey, min_pk::Signature)> = signed
        .par_iter()
        .map(|one| {
            let signature = Signature::from_bytes_unchecked(&one.signature)?;
            Ok((aggregate_public_keys(&one.public_keys)?.0, signature.0))
        })
        .collect::<Result<_, BlsError>>()?;
    let messages: Vec<&[u8]> = signed.iter().map(|one| one.message.as_slice()).collect();
    let public_keys: Vec<&min_pk::PublicKey> = prepared.iter().map(|(key, _)| key).collect();
    let signatures: Vec<&min_pk::Signature> = prepared.iter().map(|(_, signature)| signature).collect();
    let coefficients: Vec<blst_scalar> = signed.iter().map(|_| random_coefficient()).collect();
    // Signatures are checked to be in the subgroup in there, on blst's own threads.
    match min_pk::Signature::verify_multiple_aggregate_signatures(
        &messages,
        DST,
        &public_keys,
        false,
        &signatures,
        true,
        &coefficients,
        RANDOM_BITS,
    ) {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Err(BlsError::SignatureSubgroup),
        _ => Err(BlsError::Invalid),
    }
}

/// An odd, hence nonzero, number of [`RANDOM_BITS`] bits.
fn random_coefficient() -> blst_scalar {
    let mut scalar = blst_scalar::default();
    let random: u64 = rand::random::<u64>() | 1;
    for (to, from) in scalar.b.iter_mut().zip(random.to_le_bytes()) {
        *to = from;
    }
    scalar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, aggregate_signatures};
    use proptest::prelude::*;

    fn signed(seed: u8, signers: u8) -> SignedMessage {
        let message = Root::repeat_byte(seed);
        let keys: Vec<SecretKey> = (0..signers)
            .map(|signer| SecretKey::derive_master(&[seed.wrapping_add(signer); 32]).unwrap())
            .collect();
        let signatures: Vec<Signature> = keys.iter().map(|key| key.sign(&message)).collect();
        SignedMessage {
            message,
            public_keys: keys.iter().map(SecretKey::public_key).collect(),
            signature: aggregate_signatures(&signatures).unwrap().to_bytes(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_batch_verifies_if_each_member_does(count in 1usize..6, forged in prop::option::of(0usize..6)) {
            let mut batch: Vec<SignedMessage> = (0..count).map(|index| signed(index as u8 * 16, 3)).collect();
            let forged = forged.filter(|index| *index < count);
            if let Some(index) = forged {
                batch[index].message = Root::repeat_byte(0xee);
            }
            prop_assert_eq!(verify_batch(&batch).is_ok(), forged.is_none());
        }
    }

    #[test]
    fn two_wrong_signatures_do_not_cancel_out() {
        let mut batch = vec![signed(1, 1), signed(2, 1)];
        let (a, b) = (batch[0].signature, batch[1].signature);
        (batch[0].signature, batch[1].signature) = (b, a);
        assert_eq!(verify_batch(&batch), Err(BlsError::Invalid));
    }

    #[test]
    fn nothing_to_verify_is_fine_but_nobody_signing_is_not() {
        assert_eq!(verify_batch(&[]), Ok(()));
        let nobody = SignedMessage {
            public_keys: Vec::new(),
            ..signed(1, 1)
        };
        assert_eq!(verify_batch(&[signed(2, 1), nobody]), Err(BlsError::Empty));
    }
}
