//! Registry index by public key.

use crate::error::StateError;
use types::caches::PubkeyIndex;
use types::{BeaconState, Preset, PublicKeyBytes, ValidatorIndex};

/// The index of the registry entry with that key.
///
/// The index proposes, the registry decides: a candidate counts only if the registry entry has the key, and entries that
/// the index does not cover are searched one by one (there are none unless somebody edits the registry directly).
pub(crate) fn get_validator_index<P: Preset>(
    state: &BeaconState<P>,
    pubkey: &PublicKeyBytes,
) -> Option<ValidatorIndex> {
    let validators = state.validators();
    let has_key = |index: u32| {
        validators
            .get(index as usize)
            .is_some_and(|validator| validator.pubkey == *pubkey)
    };
    let index = state.caches().pubkeys(|| build(state));
    let belongs = index.len == 0
        || index
            .len
            .checked_sub(1)
            .and_then(|last| validators.get(last))
            .is_some_and(|validator| validator.pubkey == index.last);
    let covered = if belongs {
        let prefix = prefix(pubkey);
        let start = index.sorted.partition_point(|(other, _)| *other < prefix);
        let found = index
            .sorted
            .iter()
            .skip(start)
            .take_while(|(other, _)| *other == prefix)
            .map(|(_, candidate)| *candidate)
            .find(|candidate| has_key(*candidate))
            .or_else(|| {
                state
                    .caches()
                    .added_pubkey(pubkey)
                    .filter(|candidate| has_key(*candidate))
            });
        if let Some(found) = found {
            return Some(ValidatorIndex::new(u64::from(found)));
        }
        index.len.saturating_add(state.caches().added_pubkeys_len())
    } else {
        0
    };
    validators
        .iter_from(covered)
        .ok()?
        .position(|validator| validator.pubkey == *pubkey)
        .and_then(|position| position.checked_add(covered))
        .map(|position| ValidatorIndex::new(position as u64))
}

/// Notes the key of the entry that the caller is about to append.
pub(crate) fn note_added<P: Preset>(state: &mut BeaconState<P>, pubkey: PublicKeyBytes) -> Result<(), StateError> {
    let index = state.validators().len();
    state.caches().pubkeys(|| build(state));
    let index = u32::try_from(index).map_err(|_| StateError::IndexTooLarge { index: index as u64 })?;
    state.caches_mut().add_pubkey(pubkey, index);
    Ok(())
}

fn build<P: Preset>(state: &BeaconState<P>) -> PubkeyIndex {
    let validators = state.validators();
    // The shuffling refuses registries beyond 2^32 entries long before this truncates.
    let mut sorted: Vec<(u64, u32)> = validators
        .iter()
        .enumerate()
        .map(|(index, validator)| (prefix(&validator.pubkey), index as u32))
        .collect();
    sorted.sort_unstable();
    PubkeyIndex {
        len: validators.len(),
        last: validators
            .len()
            .checked_sub(1)
            .and_then(|last| validators.get(last))
            .map(|validator| validator.pubkey)
            .unwrap_or_default(),
        sorted: sorted.into_boxed_slice(),
    }
}

fn prefix(pubkey: &PublicKeyBytes) -> u64 {
    pubkey.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
