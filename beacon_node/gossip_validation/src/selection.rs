//! Who aggregates.

use ethereum_hashing::hash;
use signature_scheme::{SignatureError, SignatureSet, selection_value};
use state_transition::StateError;
use state_transition::helpers::accessors::get_seed;
use types::constants::{
    DOMAIN_SELECTION_PROOF, SYNC_COMMITTEE_SUBNET_COUNT, TARGET_AGGREGATORS_PER_COMMITTEE,
    TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
};
use types::{BeaconState, Epoch, Preset, SignatureBytes};

fn is_selected(value: &[u8], modulo: u64) -> bool {
    let bytes = value.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(bytes).checked_rem(modulo.max(1)) == Some(0)
}

/// Whether a committee member aggregates: the more seats, the fewer of them do. The set is that of the selection
/// proof.
///
/// Spec: dvt/validator.md#is_aggregator
pub fn is_aggregator<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
    seats: usize,
    selection: &SignatureSet,
) -> Result<bool, SelectionError> {
    let modulo = (seats as u64)
        .checked_div(TARGET_AGGREGATORS_PER_COMMITTEE)
        .unwrap_or(1)
        .max(1);
    let seed = get_seed(state, epoch, DOMAIN_SELECTION_PROOF)?;
    let [signer] = selection.signers.as_slice() else {
        return Ok(false);
    };
    let value = selection_value(signer, &selection.signature, &selection.proofs, Some(&seed))?;
    Ok(is_selected(value.as_slice(), modulo))
}

/// Spec: altair/validator.md#is_sync_committee_aggregator
pub fn is_sync_committee_aggregator<P: Preset>(signature: &SignatureBytes) -> bool {
    let modulo = P::SYNC_COMMITTEE_SIZE
        .checked_div(SYNC_COMMITTEE_SUBNET_COUNT)
        .and_then(|size| size.checked_div(TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE))
        .unwrap_or(1)
        .max(1);
    is_selected(&hash(signature.as_slice()), modulo)
}

/// Whether somebody aggregates could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// The selection proof is malformed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state has no seed for the epoch.
    #[error(transparent)]
    State(#[from] StateError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Mainnet, Minimal};

    #[test]
    fn small_subcommittees_all_aggregate() {
        // 32 positions, 4 subnets, 16 aggregators wanted: everybody.
        for byte in 0..32 {
            assert!(is_sync_committee_aggregator::<Minimal>(&SignatureBytes::repeat_byte(
                byte
            )));
        }
    }

    #[test]
    fn one_in_eight_of_a_large_subcommittee_aggregates() {
        let selected = (0..=255u8)
            .filter(|byte| is_sync_committee_aggregator::<Mainnet>(&SignatureBytes::repeat_byte(*byte)))
            .count();
        assert!((15..=50).contains(&selected), "{selected} of 256");
    }
}
