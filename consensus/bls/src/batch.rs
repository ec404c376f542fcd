//! Verification of many signatures at once, on all cores.
//!
//! A random linear combination of all equations is checked with one final exponentiation. Decompression, subgroup
//! checks and sums of keys are as expensive as the pairings together, so they run in parallel too.

use crate::aggregate::aggregate_public_keys;
use crate::{BlsError, DST, PublicKey, Signature};
use blst::{BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine};
use parking_lot::Mutex;
use rayon::prelude::*;
use std::fmt;
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

/// A batch that grows while it is being verified: [`Batch::add`] does the work of one signature on the caller's
/// thread, from as many threads as there are, and [`Batch::finish`] what can only be done for all.
#[derive(Default)]
pub struct Batch {
    /// Accumulators at rest. A thread takes one and gives it back, so there are as many as threads ever met here.
    idle: Mutex<Vec<Pairing<'static>>>,
}

impl Batch {
    /// Adds a signature. An error says that the batch is invalid; the batch is of no use then.
    pub fn add(&self, signed: &SignedMessage) -> Result<(), BlsError> {
        let signature = Signature::from_bytes_unchecked(&signed.signature)?;
        let public_key: blst_p1_affine = aggregate_public_keys(&signed.public_keys)?.0.into();
        if public_key == blst_p1_affine::default() {
            // Keys that cancel out: nobody's signature would verify.
            return Err(BlsError::Invalid);
        }
        let signature: blst_p2_affine = signature.0.into();
        let idle = self.idle.lock().pop();
        let mut pairing = idle.unwrap_or_else(|| Pairing::new(true, DST));
        let verdict = pairing.mul_n_aggregate(
            &public_key,
            false,
            &signature,
            true,
            &random_coefficient(),
            RANDOM_BITS,
            signed.message.as_slice(),
            &[],
        );
        match verdict {
            BLST_ERROR::BLST_SUCCESS => {
                self.idle.lock().push(pairing);
                Ok(())
            }
            BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Err(BlsError::SignatureSubgroup),
            _ => Err(BlsError::Invalid),
        }
    }

    /// The verdict on all that was added: that of verifying each alone (but for a chance of 2^-64). Nothing was
    /// added: `Ok`.
    pub fn finish(self) -> Result<(), BlsError> {
        let mut parts = self.idle.into_inner();
        parts.par_iter_mut().for_each(Pairing::commit);
        let mut parts = parts.into_iter();
        let Some(mut sum) = parts.next() else {
            return Ok(());
        };
        for part in parts {
            if sum.merge(&part) != BLST_ERROR::BLST_SUCCESS {
                return Err(BlsError::Invalid);
            }
        }
        if sum.finalverify(None) {
            Ok(())
        } else {
            Err(BlsError::Invalid)
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

/// Verifies all of `signed`. The verdict is that of verifying each alone (but for a chance of 2^-64); which one
/// fails is not said. Nothing to verify: `Ok`.
pub fn verify_batch(signed: &[SignedMessage]) -> Result<(), BlsError> {
    if let [one] = signed {
        let signature = Signature::from_bytes(&one.signature)?;
        return crate::fast_aggregate_verify(&one.public_keys, &one.message, &signature);
    }
    let batch = Batch::default();
    signed.par_iter().try_for_each(|one| batch.add(one))?;
    batch.finish()
}

/// An odd, hence nonzero, number of [`RANDOM_BITS`] bits, little-endian.
fn random_coefficient() -> [u8; RANDOM_BITS / 8] {
    (rand::random::<u64>() | 1).to_le_bytes()
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
    fn keys_that_cancel_out_sign_nothing() {
        let key = SecretKey::derive_master(&[1; 32]).unwrap().public_key();
        let mut opposite = key.to_bytes();
        opposite[0] ^= 0x20;
        let opposite = PublicKey::from_bytes(&opposite).unwrap();
        let nobody = SignedMessage {
            message: Root::ZERO,
            public_keys: vec![key, opposite],
            signature: crate::INFINITY_SIGNATURE,
        };
        assert_eq!(verify_batch(std::slice::from_ref(&nobody)), Err(BlsError::Invalid));
        assert_eq!(verify_batch(&[signed(2, 1), nobody]), Err(BlsError::Invalid));
    }

    #[test]
    fn a_batch_grows_from_several_threads() {
        for forged in [false, true] {
            let batch = Batch::default();
            std::thread::scope(|scope| {
                for thread in 0u8..4 {
                    let batch = &batch;
                    scope.spawn(move || {
                        for number in 0u8..5 {
                            let mut one = signed(thread * 16 + number, 1 + number);
                            if forged && (thread, number) == (2, 3) {
                                one.message = Root::ZERO;
                            }
                            batch.add(&one).unwrap();
                        }
                    });
                }
            });
            assert_eq!(batch.finish().is_err(), forged);
        }
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
