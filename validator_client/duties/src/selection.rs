//! Who aggregates.

use ethereum_hashing::hash;
use types::constants::{
    SYNC_COMMITTEE_SUBNET_COUNT, TARGET_AGGREGATORS_PER_COMMITTEE, TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
};
use types::{Preset, SignatureBytes};

fn is_selected(signature: &SignatureBytes, modulo: u64) -> bool {
    let digest = hash(signature.as_slice());
    let mut bytes = [0u8; 8];
    for (to, from) in bytes.iter_mut().zip(&digest) {
        *to = *from;
    }
    u64::from_le_bytes(bytes).is_multiple_of(modulo.max(1))
}

/// Spec: dvt/validator.md#is_aggregator
pub(crate) fn is_aggregator(committee_length: u64, selection_proof: &SignatureBytes) -> bool {
    is_selected(selection_proof, committee_length / TARGET_AGGREGATORS_PER_COMMITTEE)
}

/// Spec: altair/validator.md#is_sync_committee_aggregator
pub(crate) fn is_sync_committee_aggregator<P: Preset>(selection_proof: &SignatureBytes) -> bool {
    let modulo = P::SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT / TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE;
    is_selected(selection_proof, modulo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Minimal;

    #[test]
    fn in_small_committees_everybody_aggregates_and_in_large_ones_a_few() {
        let proofs: Vec<SignatureBytes> = (0..=255u8).map(SignatureBytes::repeat_byte).collect();
        let count = |length| proofs.iter().filter(|proof| is_aggregator(length, proof)).count();
        assert_eq!((count(1), count(31)), (256, 256));
        assert!((1..64).contains(&count(16 * 16)), "{}", count(16 * 16));
        assert!(proofs.iter().all(is_sync_committee_aggregator::<Minimal>));
    }
}
