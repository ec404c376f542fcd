//! Which votes go into a block: those that pay its proposer most.

use crate::attestations::{AttestationPool, DataVotes};
use state_transition::StateError;
use state_transition::block::operations::attestation::{
    AttestationError, attestation_signature_set, check_attestation, get_attesting_indices,
};
use state_transition::dvt::accessors::{get_committee_seats, get_group, get_key_set};
use state_transition::dvt::aggregates::{SignedVotes, attestation, layout, union};
use state_transition::helpers::accessors::{
    get_attestation_participation_flag_indices, get_base_reward, get_current_epoch, get_previous_epoch,
};
use std::collections::{BTreeMap, BinaryHeap};
use types::constants::PARTICIPATION_FLAG_WEIGHTS;
use types::{
    Attestation, BeaconState, ChainSpec, CommitteeIndex, ForkName, ForkVersioned, GroupParticipation, Preset,
    SafeArith, SchemeProofs, ValidatorIndex,
};

/// Bytes of proofs that the votes of a block may have: a message holds 10 MiB, and the payload is in it as well.
///
/// Spec: dvt/validator.md#attestations
const MAX_PROOF_BYTES: usize = 4 << 20;

/// Votes of one registry entry: bit `k` for key `k` of a group, bit 0 for a solo validator.
#[derive(Debug, Clone, Copy)]
struct EntryVotes {
    index: ValidatorIndex,
    keys: u16,
}

/// An attestation that the state would accept.
struct Candidate<'a, P: Preset> {
    votes: &'a DataVotes,
    parts: Vec<(CommitteeIndex, usize, SignedVotes)>,
    /// With an empty signature.
    unsigned: Attestation<P>,
    entries: Vec<EntryVotes>,
    flag_indices: Vec<usize>,
    is_current_epoch: bool,
}

impl<'a, P: Preset> Candidate<'a, P> {
    fn proof_bytes(&self) -> usize {
        self.parts
            .iter()
            .map(|(_, _, part)| part.proof_bytes())
            .fold(0, usize::saturating_add)
    }

    /// With the votes of BLS keys alone, if there are any.
    fn without_proofs(&self, state: &BeaconState<P>) -> Option<Self> {
        let parts = self
            .parts
            .iter()
            .filter_map(|(index, seats, part)| Some((*index, *seats, part.retain(|_| false)?)))
            .collect();
        candidate(state, self.votes, parts).filter(|smaller| smaller.proof_bytes() == 0)
    }
}

/// The participation of an epoch, as it will be with what is chosen so far.
struct Participation {
    flags: Vec<u8>,
    groups: Vec<GroupParticipation>,
}

/// What is known of the chosen votes.
struct Cover<'a, P: Preset> {
    state: &'a BeaconState<P>,
    spec: &'a ChainSpec,
    current: Participation,
    previous: Participation,
}

impl<'a, P: Preset> Cover<'a, P> {
    fn new(state: &'a BeaconState<P>, spec: &'a ChainSpec) -> Self {
        let (current_groups, previous_groups) = match state {
            BeaconState::Fulu(_) => (Vec::new(), Vec::new()),
            BeaconState::Dvt(inner) => (
                inner.current_group_participation.iter().copied().collect(),
                inner.previous_group_participation.iter().copied().collect(),
            ),
        };
        Self {
            current: Participation {
                flags: state.current_epoch_participation().iter().copied().collect(),
                groups: current_groups,
            },
            previous: Participation {
                flags: state.previous_epoch_participation().iter().copied().collect(),
                groups: previous_groups,
            },
            state,
            spec,
        }
    }

    /// Numerator of what the candidate pays the proposer beside what is chosen. With `keep`, it is chosen.
    fn reward(&mut self, candidate: &Candidate<'_, P>, keep: bool) -> Result<u64, StateError> {
        let participation = if candidate.is_current_epoch {
            &mut self.current
        } else {
            &mut self.previous
        };
        let epoch = candidate.votes.data.target.epoch;
        let mut numerator = 0u64;
        for EntryVotes { index, keys } in &candidate.entries {
            let flags = participation.flags.get(index.as_usize()).copied().unwrap_or_default();
            let key_set = get_key_set(self.state, *index, epoch)?;
            let group = key_set.and_then(|key_set| {
                let (position, _) = get_group(self.state, *index)?;
                Some((position, key_set.threshold))
            });
            let mut words = group
                .and_then(|(position, _)| participation.groups.get(position).copied())
                .unwrap_or_default();
            let mut new_flags = flags;
            let mut base_reward = None;
            for flag_index in &candidate.flag_indices {
                let flag = 1u8.checked_shl(*flag_index as u32).unwrap_or_default();
                if new_flags & flag != 0 {
                    continue;
                }
                let base = match base_reward {
                    Some(base) => base,
                    None => *base_reward.insert(get_base_reward(self.state, *index, self.spec)?),
                };
                let weight = PARTICIPATION_FLAG_WEIGHTS.get(*flag_index).copied().unwrap_or_default();
                let reward = base.safe_mul(weight)?;
                let (share, is_reached) = match group {
                    None => (reward, true),
                    Some((_, threshold)) => {
                        let before = group::count_votes(words, *flag_index);
                        words = group::set_votes(words, *flag_index, *keys);
                        let after = group::count_votes(words, *flag_index);
                        let share = group::proposer_reward_share(reward, before, after, threshold)?;
                        (share, after >= threshold)
                    }
                };
                numerator.safe_add_assign(share)?;
                if is_reached {
                    new_flags |= flag;
                }
            }
            if keep {
                if let Some(entry) = participation.flags.get_mut(index.as_usize()) {
                    *entry = new_flags;
                }
                if let Some((position, _)) = group
                    && let Some(entry) = participation.groups.get_mut(position)
                {
                    *entry = words;
                }
            }
        }
        Ok(numerator)
    }
}

/// Parts of a committee whose voters are those that the state has in these seats: votes were checked on another
/// branch perhaps, where the seats belong to others.
fn matching_parts<P: Preset>(
    state: &BeaconState<P>,
    votes: &mut DataVotes,
) -> BTreeMap<CommitteeIndex, (usize, Vec<SignedVotes>)> {
    let slot = votes.data.slot;
    let mut layers = BTreeMap::new();
    for (index, committee) in &mut votes.committees {
        let Ok(seats) = get_committee_seats(state, slot, *index) else {
            continue;
        };
        if seats.len() != committee.seats {
            continue;
        }
        let parts: Vec<SignedVotes> = committee
            .layers()
            .unwrap_or_default()
            .into_iter()
            .filter(|part| part.votes.iter().all(|vote| seats.get(vote.seat) == Some(&vote.signer)))
            .collect();
        if !parts.is_empty() {
            layers.insert(*index, (seats.len(), parts));
        }
    }
    layers
}

fn candidate<'a, P: Preset>(
    state: &BeaconState<P>,
    votes: &'a DataVotes,
    parts: Vec<(CommitteeIndex, usize, SignedVotes)>,
) -> Option<Candidate<'a, P>> {
    let fork = ForkVersioned::fork_name(state);
    let has_proofs = parts.iter().any(|(_, _, part)| !part.proofs.is_empty());
    if fork == ForkName::Fulu && has_proofs {
        return None;
    }
    let (bits, committee_bits) = layout::<P>(&parts)?;
    let empty = SignedVotes {
        votes: Vec::new(),
        signature: bls::INFINITY_SIGNATURE,
        proofs: SchemeProofs::empty(),
    };
    let unsigned = attestation(&votes.data, fork, bits, committee_bits, empty);
    check_attestation(state, unsigned.to_ref()).ok()?;
    let inclusion_delay = state.slot().as_u64().checked_sub(votes.data.slot.as_u64())?;
    let flag_indices = get_attestation_participation_flag_indices(state, &votes.data, inclusion_delay).ok()??;
    let mut entries: Vec<EntryVotes> = Vec::new();
    for signer in get_attesting_indices(state, unsigned.to_ref()).ok()? {
        let (index, key) = signer.split();
        let bit = 1u16.checked_shl(u32::from(key.unwrap_or_default())).unwrap_or_default();
        // Virtual indices of a group stand side by side.
        match entries.last_mut().filter(|last| last.index == index) {
            Some(last) => last.keys |= bit,
            None => entries.push(EntryVotes { index, keys: bit }),
        }
    }
    Some(Candidate {
        is_current_epoch: votes.data.target.epoch == get_current_epoch(state),
        votes,
        parts,
        unsigned,
        entries,
        flag_indices,
    })
}

/// Votes for a block on `state`, which is of the block's slot: greedily by what they add to the proposer's reward.
/// All of them are valid in that order.
pub(crate) fn pack_attestations<P: Preset>(
    pool: &mut AttestationPool,
    state: &BeaconState<P>,
    spec: &ChainSpec,
) -> Result<Vec<Attestation<P>>, StateError> {
    let earliest = get_previous_epoch(state).start_slot::<P>();
    let mut layered = Vec::new();
    for (_, slot) in pool.slots.range_mut(earliest..state.slot()) {
        for votes in slot.values_mut() {
            let layers = matching_parts(state, votes);
            layered.push((&*votes, layers));
        }
    }
    let mut candidates = Vec::new();
    for (votes, layers) in layered {
        let depth = layers.values().map(|(_, parts)| parts.len()).max().unwrap_or_default();
        for layer in 0..depth {
            let parts = layers
                .iter()
                .filter_map(|(index, (seats, parts))| Some((*index, *seats, parts.get(layer)?.clone())))
                .collect();
            candidates.extend(candidate(state, votes, parts));
        }
    }
    choose(candidates, state, spec)
}

/// Rewards only shrink as more is chosen, so that a candidate which still has its old reward is the best. Of one whose
/// proofs find no room any more the votes that need them are left out, and what remains is offered again.
fn choose<P: Preset>(
    candidates: Vec<Candidate<'_, P>>,
    state: &BeaconState<P>,
    spec: &ChainSpec,
) -> Result<Vec<Attestation<P>>, StateError> {
    let mut cover = Cover::new(state, spec);
    let mut heap = BinaryHeap::with_capacity(candidates.len());
    for (place, candidate) in candidates.iter().enumerate() {
        heap.push((cover.reward(candidate, false)?, place));
    }
    let mut candidates = candidates;
    let mut chosen = Vec::new();
    let mut room = MAX_PROOF_BYTES;
    while let Some((reward, place)) = heap.pop() {
        if reward == 0 || chosen.len() as u64 >= P::MAX_ATTESTATIONS_ELECTRA {
            break;
        }
        let Some(candidate) = candidates.get(place) else { break };
        let now = cover.reward(candidate, false)?;
        if now < reward {
            heap.push((now, place));
            continue;
        }
        let bytes = candidate.proof_bytes();
        if bytes > room {
            if let Some(smaller) = candidate.without_proofs(state) {
                heap.push((cover.reward(&smaller, false)?, candidates.len()));
                candidates.push(smaller);
            }
            continue;
        }
        match sign(candidate, state) {
            Ok(attestation) => {
                cover.reward(candidate, true)?;
                chosen.push(attestation);
                room = room.saturating_sub(bytes);
            }
            Err(error) => tracing::warn!(
                slot = %candidate.votes.data.slot,
                %error,
                "Votes in the pool do not verify on this branch"
            ),
        }
    }
    Ok(chosen)
}

/// Adds the signatures up, and verifies them against the state that the block is for.
fn sign<P: Preset>(candidate: &Candidate<'_, P>, state: &BeaconState<P>) -> Result<Attestation<P>, AttestationError> {
    let sum = union(candidate.parts.iter().map(|(_, _, part)| part))?;
    let attestation = match candidate.unsigned.clone() {
        Attestation::Fulu(mut inner) => {
            inner.signature = sum.signature;
            Attestation::Fulu(inner)
        }
        Attestation::Dvt(mut inner) => {
            inner.signature = sum.signature;
            inner.proofs = sum.proofs;
            Attestation::Dvt(inner)
        }
    };
    let checked = check_attestation(state, attestation.to_ref())?;
    signature_scheme::verify(&attestation_signature_set(state, attestation.to_ref(), &checked)?)?;
    Ok(attestation)
}
