//! Committees of the previous, the current and the next epoch.

use super::registry::{clamp, is_active, registry_rows};
use crate::error::StateError;
use crate::helpers::accessors::{get_block_root_at_slot, get_current_epoch, get_seed};
use crate::helpers::misc::shuffle_list;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use types::caches::{Committees, CommitteesKey};
use types::constants::DOMAIN_BEACON_ATTESTER;
use types::{BeaconState, CommitteeIndex, Epoch, Preset, Root, SafeArith, Slot, ValidatorIndex};

/// One committee, a window into the shuffling of its epoch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BeaconCommittee {
    committees: Arc<Committees>,
    range: Range<usize>,
}

impl BeaconCommittee {
    pub(crate) fn new<P: Preset>(
        committees: Arc<Committees>,
        slot: Slot,
        index: CommitteeIndex,
    ) -> Result<Self, StateError> {
        let per_slot = committees.committees_per_slot;
        if index >= per_slot {
            return Err(StateError::UnknownCommittee {
                index,
                epoch: committees.epoch,
                count: per_slot,
            });
        }
        let count = per_slot.safe_mul(P::slots_per_epoch())?;
        let place = slot
            .as_u64()
            .safe_rem(P::slots_per_epoch())?
            .safe_mul(per_slot)?
            .safe_add(index)?;
        let len = committees.shuffled.len() as u64;
        let start = len.safe_mul(place)?.safe_div(count)?;
        let end = len.safe_mul(place.safe_add(1)?)?.safe_div(count)?;
        Ok(Self {
            committees,
            range: start as usize..end as usize,
        })
    }

    /// Registry indices of the members, in committee order.
    #[must_use]
    pub fn members(&self) -> &[u32] {
        self.committees.shuffled.get(self.range.clone()).unwrap_or_default()
    }

    /// The members, in committee order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ValidatorIndex> + DoubleEndedIterator + '_ {
        self.members()
            .iter()
            .map(|index| ValidatorIndex::new(u64::from(*index)))
    }

    /// Number of members: validators, not seats.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether the committee has no members, which happens with fewer validators than committees.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Number of seats: bits of an attestation by this committee alone.
    #[must_use]
    pub fn seat_count(&self) -> usize {
        match &self.committees.seat_ends {
            None => self.len(),
            Some(ends) => (self.end_of(ends, self.range.end)).saturating_sub(self.end_of(ends, self.range.start)),
        }
    }

    /// The seats of each member, as a range of the committee's bits, in committee order.
    pub fn seat_ranges(&self) -> impl Iterator<Item = (ValidatorIndex, Range<usize>)> + '_ {
        let ends = self.committees.seat_ends.as_deref();
        let first = ends.map_or(0, |ends| self.end_of(ends, self.range.start));
        self.iter()
            .zip(self.range.clone())
            .enumerate()
            .map(move |(position, (validator, place))| {
                let seats = match ends {
                    None => position..position.saturating_add(1),
                    Some(ends) => {
                        let start = self.end_of(ends, place).saturating_sub(first);
                        let end = self.end_of(ends, place.saturating_add(1)).saturating_sub(first);
                        start..end
                    }
                };
                (validator, seats)
            })
    }

    /// Where the seats of the first `places` validators of the shuffling end.
    fn end_of(&self, ends: &[u32], places: usize) -> usize {
        places
            .checked_sub(1)
            .and_then(|place| ends.get(place))
            .map_or(0, |end| *end as usize)
    }
}

/// What fixes the committees of `epoch`: the last block of the epoch before the previous one.
pub fn get_committees_key<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<CommitteesKey, StateError> {
    let current_epoch = get_current_epoch(state);
    let previous_epoch = current_epoch.saturating_sub(1u64);
    if epoch < previous_epoch || epoch > current_epoch.saturating_add(1u64) {
        return Err(StateError::EpochOutOfRange { epoch, current_epoch });
    }
    let decision_slot = epoch
        .saturating_sub(P::MIN_SEED_LOOKAHEAD)
        .start_slot::<P>()
        .saturating_sub(1u64);
    let decision_root = if decision_slot >= state.slot() {
        // Only a state of slot 0: its block is not among the block roots yet.
        Root::ZERO
    } else {
        get_block_root_at_slot(state, decision_slot)?
    };
    Ok(CommitteesKey { epoch, decision_root })
}

/// The committees of the previous, the current or the next epoch.
pub fn get_committees<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<Arc<Committees>, StateError> {
    let key = get_committees_key(state, epoch)?;
    state.caches().committees(key, || compute_committees(state, epoch))
}

pub(crate) fn active_validator_indices<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
) -> Result<Arc<[u32]>, StateError> {
    let key = get_committees_key(state, epoch).ok();
    if let Some(known) = key.and_then(|key| state.caches().known_committees(key)) {
        return Ok(Arc::clone(&known.active));
    }
    collect_active(state, epoch)
}

fn collect_active<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<Arc<[u32]>, StateError> {
    let len = state.validators().len();
    u32::try_from(len).map_err(|_| StateError::IndexTooLarge { index: len as u64 })?;
    let active_in = clamp(epoch);
    let chunks = registry_rows(state)?;
    let rows = chunks.iter().flat_map(|chunk| chunk.rows.iter());
    Ok((0u32..)
        .zip(rows)
        .filter(|(_, row)| is_active(row, active_in))
        .map(|(index, _)| index)
        .collect())
}

fn compute_committees<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<Committees, StateError> {
    let active = collect_active(state, epoch)?;
    let seed = get_seed(state, epoch, DOMAIN_BEACON_ATTESTER)?;
    let shuffled: Arc<[u32]> = shuffle_list::<P>(active.to_vec(), seed).into();
    let key_counts = key_counts(state, epoch);
    let seat_ends = seat_ends(&shuffled, &key_counts)?;
    let seats = seat_ends
        .as_ref()
        .map_or(active.len(), |ends| ends.last().map_or(0, |end| *end as usize));
    Ok(Committees {
        epoch,
        committees_per_slot: compute_committee_count::<P>(active.len() as u64, seats as u64),
        active,
        shuffled,
        seat_ends,
    })
}

/// Committees per slot for so many active validators with so many seats.
///
/// Seats set the number, so that a subnet's load does not depend on groups; the cap leaves no committee empty.
fn compute_committee_count<P: Preset>(active: u64, seats: u64) -> u64 {
    let per_slot = |count: u64| count.checked_div(P::slots_per_epoch()).unwrap_or_default();
    per_slot(seats)
        .checked_div(P::TARGET_COMMITTEE_SIZE)
        .unwrap_or_default()
        .min(per_slot(active))
        .clamp(1, P::MAX_COMMITTEES_PER_SLOT)
}

/// Number of keys of each validator that has more than one in `epoch`.
fn key_counts<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> HashMap<u32, u32> {
    let BeaconState::Dvt(state) = state else {
        return HashMap::new();
    };
    state
        .groups
        .iter()
        .filter_map(|group| {
            let key_set = group
                .key_sets
                .iter()
                .rev()
                .find(|key_set| key_set.activation_epoch <= epoch)?;
            let count = u32::try_from(key_set.keys.len()).ok().filter(|count| *count > 1)?;
            Some((u32::try_from(group.validator_index.as_u64()).ok()?, count))
        })
        .collect()
}

fn seat_ends(shuffled: &[u32], key_counts: &HashMap<u32, u32>) -> Result<Option<Arc<[u32]>>, StateError> {
    if key_counts.is_empty() {
        return Ok(None);
    }
    let mut end = 0u32;
    shuffled
        .iter()
        .map(|index| {
            end.safe_add_assign(key_counts.get(index).copied().unwrap_or(1))?;
            Ok(end)
        })
        .collect::<Result<Arc<[u32]>, StateError>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Mainnet;

    #[test]
    fn committee_count_of_solo_validators_is_that_of_fulu() {
        for (active, expected) in [
            (0, 1),
            (1, 1),
            (4095, 1),
            (8192, 2),
            (262_143, 63),
            (262_144, 64),
            (2_000_000, 64),
        ] {
            assert_eq!(
                compute_committee_count::<Mainnet>(active, active),
                expected,
                "{active} validators"
            );
        }
    }

    #[test]
    fn seats_make_committees_but_never_more_than_validators_of_a_slot() {
        assert_eq!(compute_committee_count::<Mainnet>(8192, 16_384), 4);
        assert_eq!(compute_committee_count::<Mainnet>(64, 16_384), 2);
        assert_eq!(compute_committee_count::<Mainnet>(31, 16_384), 1);
    }

    #[test]
    fn seats_of_a_group_lie_side_by_side() {
        let committees = Arc::new(Committees {
            epoch: Epoch::new(0),
            active: Arc::new([0, 1, 2, 3]),
            shuffled: Arc::new([2, 0, 3, 1]),
            seat_ends: seat_ends(&[2, 0, 3, 1], &HashMap::from([(0, 7), (1, 3)])).unwrap(),
            committees_per_slot: 1,
        });
        let committee = BeaconCommittee {
            committees,
            range: 1..4,
        };
        assert_eq!(committee.seat_count(), 11);
        let seats: Vec<_> = committee
            .seat_ranges()
            .map(|(index, seats)| (index.as_u64(), seats))
            .collect();
        assert_eq!(seats, [(0, 0..7), (3, 7..8), (1, 8..11)]);
    }
}
