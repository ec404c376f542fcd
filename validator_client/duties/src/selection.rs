//! Who aggregates.

use beacon_api::AttesterDuty;
use ethereum_hashing::hash;
use signature_scheme::selection_value;
use signing::MessageSignature;
use types::constants::{
    SYNC_COMMITTEE_SUBNET_COUNT, TARGET_AGGREGATORS_PER_COMMITTEE, TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
};
use types::{Preset, SignatureBytes};

fn is_selected(value: &[u8], modulo: u64) -> bool {
    let bytes = value.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(bytes).is_multiple_of(modulo.max(1))
}

/// Spec: dvt/validator.md#is_aggregator
pub(crate) fn is_aggregator(duty: &AttesterDuty, proof: &MessageSignature) -> bool {
    let modulo = duty.committee_length / TARGET_AGGREGATORS_PER_COMMITTEE;
    match selection_value(
        &duty.pubkey,
        &proof.signature,
        &proof.proofs,
        duty.selection_seed.as_ref(),
    ) {
        Ok(value) => is_selected(value.as_slice(), modulo),
        Err(error) => {
            tracing::error!(key = %duty.pubkey, %error, "Whether the key aggregates is not known: it does not");
            false
        }
    }
}

/// Spec: altair/validator.md#is_sync_committee_aggregator
pub(crate) fn is_sync_committee_aggregator<P: Preset>(selection_proof: &SignatureBytes) -> bool {
    let modulo = P::SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT / TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE;
    is_selected(&hash(selection_proof.as_slice()), modulo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Minimal, PublicKeyBytes, SignerIndex, Slot};

    #[test]
    fn in_small_committees_everybody_aggregates_and_in_large_ones_a_few() {
        let proofs: Vec<SignatureBytes> = (0..=255u8).map(SignatureBytes::repeat_byte).collect();
        let duty = |committee_length| AttesterDuty {
            pubkey: PublicKeyBytes::ZERO.into(),
            validator_index: SignerIndex::new(0),
            committee_index: 0,
            committee_length,
            committees_at_slot: 1,
            validator_committee_index: 0,
            slot: Slot::new(0),
            selection_seed: None,
        };
        let count = |length| {
            let signatures = proofs.iter().map(|proof| MessageSignature::bls(*proof));
            signatures.filter(|proof| is_aggregator(&duty(length), proof)).count()
        };
        assert_eq!((count(1), count(31)), (256, 256));
        assert!((1..64).contains(&count(16 * 16)), "{}", count(16 * 16));
        assert!(proofs.iter().all(is_sync_committee_aggregator::<Minimal>));
    }
}
