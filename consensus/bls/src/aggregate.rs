//! Aggregation, and verification of aggregates over one message.

use crate::{BlsError, DST, INFINITY_SIGNATURE, PublicKey, Signature};
use blst::{BLST_ERROR, MultiPoint, blst_p1, blst_p1_affine, min_pk};
use types::{PublicKeyBytes, Root, SignatureBytes};

/// Keys that blst adds at once, with one inversion for all of them. From 384 on it would start threads of its own.
const KEYS_PER_SUM: usize = 256;

/// Sum of public keys.
pub(crate) fn aggregate_public_keys(public_keys: &[PublicKey]) -> Result<PublicKey, BlsError> {
    match public_keys {
        [] => return Err(BlsError::Empty),
        [public_key] => return Ok(*public_key),
        _ => {}
    }
    let mut sum: Option<min_pk::AggregatePublicKey> = None;
    for keys in public_keys.chunks(KEYS_PER_SUM) {
        let points: Vec<blst_p1_affine> = keys.iter().map(|key| key.0.into()).collect();
        let part: blst_p1 = points.as_slice().add();
        let part = min_pk::AggregatePublicKey::from(part);
        match &mut sum {
            Some(sum) => sum.add_aggregate(&part),
            None => sum = Some(part),
        }
    }
    sum.map(|sum| PublicKey(sum.to_public_key())).ok_or(BlsError::Empty)
}

/// Sum of signatures.
///
/// Spec: phase0/beacon-chain.md#bls-signatures, `bls.Aggregate`
pub fn aggregate_signatures(signatures: &[Signature]) -> Result<Signature, BlsError> {
    let points: Vec<&min_pk::Signature> = signatures.iter().map(|signature| &signature.0).collect();
    min_pk::AggregateSignature::aggregate(&points, false)
        .map(|sum| Signature(sum.to_signature()))
        .map_err(|_| BlsError::Empty)
}

/// Verifies an aggregate of signatures over one message. No keys: invalid.
///
/// Spec: phase0/beacon-chain.md#bls-signatures, `bls.FastAggregateVerify`
pub fn fast_aggregate_verify(public_keys: &[PublicKey], message: &Root, signature: &Signature) -> Result<(), BlsError> {
    let public_key = aggregate_public_keys(public_keys)?;
    match signature
        .0
        .fast_aggregate_verify_pre_aggregated(false, message.as_slice(), DST, &public_key.0)
    {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        _ => Err(BlsError::Invalid),
    }
}

/// Like [`fast_aggregate_verify`], but nobody's signature is the point at infinity.
///
/// Spec: altair/bls.md#eth_fast_aggregate_verify
pub fn eth_fast_aggregate_verify(
    public_keys: &[PublicKey],
    message: &Root,
    signature: &SignatureBytes,
) -> Result<(), BlsError> {
    if public_keys.is_empty() && *signature == INFINITY_SIGNATURE {
        return Ok(());
    }
    fast_aggregate_verify(public_keys, message, &Signature::from_bytes(signature)?)
}

/// Spec: altair/bls.md#eth_aggregate_pubkeys
pub fn eth_aggregate_pubkeys(public_keys: &[PublicKey]) -> Result<PublicKeyBytes, BlsError> {
    aggregate_public_keys(public_keys).map(|key| key.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    fn key(index: u8) -> SecretKey {
        SecretKey::derive_master(&[index; 32]).unwrap()
    }

    #[test]
    fn an_aggregate_verifies_for_exactly_its_signers() {
        let message = Root::repeat_byte(7);
        let keys: Vec<SecretKey> = (0..4).map(key).collect();
        let public_keys: Vec<PublicKey> = keys.iter().map(SecretKey::public_key).collect();
        let signatures: Vec<Signature> = keys.iter().map(|key| key.sign(&message)).collect();
        let aggregate = aggregate_signatures(&signatures).unwrap();
        assert_eq!(fast_aggregate_verify(&public_keys, &message, &aggregate), Ok(()));
        assert_eq!(
            fast_aggregate_verify(&public_keys[1..], &message, &aggregate),
            Err(BlsError::Invalid)
        );
        assert_eq!(
            fast_aggregate_verify(&public_keys, &Root::ZERO, &aggregate),
            Err(BlsError::Invalid)
        );
        assert_eq!(fast_aggregate_verify(&[], &message, &aggregate), Err(BlsError::Empty));
    }

    #[test]
    fn sums_of_many_keys_are_those_of_one_by_one_addition() {
        let keys: Vec<PublicKey> = (0..40).map(|index| key(index).public_key()).collect();
        // Repetitions, and more keys than are added at once.
        for count in [2, 3, 40, 255, 256, 257, 513, 700] {
            let keys: Vec<PublicKey> = keys.iter().cycle().take(count).copied().collect();
            let mut expected = min_pk::AggregatePublicKey::from_public_key(&keys[0].0);
            for key in &keys[1..] {
                expected.add_public_key(&key.0, false).unwrap();
            }
            assert_eq!(
                aggregate_public_keys(&keys),
                Ok(PublicKey(expected.to_public_key())),
                "{count} keys"
            );
        }
        assert_eq!(aggregate_public_keys(&[]), Err(BlsError::Empty));
    }

    #[test]
    fn only_nobodys_signature_is_infinity() {
        assert_eq!(eth_fast_aggregate_verify(&[], &Root::ZERO, &INFINITY_SIGNATURE), Ok(()));
        let public_key = key(1).public_key();
        assert_eq!(
            eth_fast_aggregate_verify(&[public_key], &Root::ZERO, &INFINITY_SIGNATURE),
            Err(BlsError::Invalid)
        );
    }
}
