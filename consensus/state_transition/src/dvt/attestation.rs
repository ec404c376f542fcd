//! Counting the votes of a group.

use super::accessors::{get_group, get_key_set};
use crate::error::StateError;
use crate::helpers::accessors::get_base_reward;
use types::constants::PARTICIPATION_FLAG_WEIGHTS;
use types::{BeaconState, ChainSpec, Epoch, Preset, SafeArith, ValidatorIndex};

/// Votes of one group in an attestation: bit `k` for its key `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupVotes {
    /// The group.
    pub index: ValidatorIndex,
    /// Which keys voted.
    pub votes: u16,
}

/// Adds a group's votes flag by flag, sets the ordinary flag when its threshold is reached, and gives the numerator
/// of the proposer's reward.
///
/// Spec: dvt/beacon-chain.md#process_attestation, the part for groups
pub(crate) fn count_group_votes<P: Preset>(
    state: &mut BeaconState<P>,
    group_votes: GroupVotes,
    target_epoch: Epoch,
    is_current_epoch: bool,
    participation_flag_indices: &[usize],
    spec: &ChainSpec,
) -> Result<u64, StateError> {
    let GroupVotes { index, votes } = group_votes;
    let no_key_set = StateError::NoKeySet {
        index,
        epoch: target_epoch,
    };
    let threshold = get_key_set(state, index, target_epoch)?
        .ok_or(no_key_set.clone())?
        .threshold;
    let position = get_group(state, index)
        .map(|(position, _)| position)
        .ok_or(no_key_set)?;
    let base_reward = get_base_reward(state, index, spec)?;
    let BeaconState::Dvt(state) = state else { return Ok(0) };
    let (participation, group_participation) = if is_current_epoch {
        (
            &mut state.current_epoch_participation,
            &mut state.current_group_participation,
        )
    } else {
        (
            &mut state.previous_epoch_participation,
            &mut state.previous_group_participation,
        )
    };
    let missing = |field, index| StateError::MissingEntry { field, index };
    let flags = *participation
        .get(index.as_usize())
        .ok_or(missing("epoch_participation", index.as_usize()))?;
    let words = *group_participation
        .get(position)
        .ok_or(missing("group_participation", position))?;

    let (mut new_flags, mut new_words) = (flags, words);
    let mut proposer_reward_numerator = 0u64;
    for flag_index in participation_flag_indices {
        let flag = 1u8.checked_shl(*flag_index as u32).unwrap_or_default();
        if new_flags & flag != 0 {
            continue;
        }
        let weight = PARTICIPATION_FLAG_WEIGHTS.get(*flag_index).copied().unwrap_or_default();
        let before = group::count_votes(new_words, *flag_index);
        new_words = group::set_votes(new_words, *flag_index, votes);
        let after = group::count_votes(new_words, *flag_index);
        proposer_reward_numerator.safe_add_assign(group::proposer_reward_share(
            base_reward.safe_mul(weight)?,
            before,
            after,
            threshold,
        )?)?;
        if after >= threshold {
            new_flags |= flag;
        }
    }
    if new_flags != flags
        && let Some(entry) = participation.get_mut(index.as_usize())
    {
        *entry = new_flags;
    }
    if new_words != words
        && let Some(entry) = group_participation.get_mut(position)
    {
        *entry = new_words;
    }
    Ok(proposer_reward_numerator)
}
