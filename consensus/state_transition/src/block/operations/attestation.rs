//! Spec: dvt/beacon-chain.md#attestations

use crate::dvt::accessors::{get_key_set, get_signer_key, virtual_indices};
use crate::dvt::attestation::{GroupVotes, count_group_votes};
use crate::error::StateError;
use crate::helpers::accessors::{
    get_attestation_participation_flag_indices, get_base_reward_per_increment, get_beacon_committee,
    get_beacon_proposer_index, get_committee_count_per_slot, get_current_epoch, get_domain, get_previous_epoch,
    get_validator,
};
use crate::helpers::mutators::increase_balance;
use crate::signatures::Verifier;
use signature_scheme::{SignatureError, SignatureSet};
use ssz_types::VariableList;
use types::constants::{DOMAIN_BEACON_ATTESTER, PARTICIPATION_FLAG_WEIGHTS, PROPOSER_WEIGHT, WEIGHT_DENOMINATOR};
use types::{
    ArithError, AttestationRef, BeaconState, ChainSpec, Checkpoint, CommitteeIndex, Epoch, IndexedAttestation,
    IndexedAttestationDvt, IndexedAttestationFulu, IndexedAttestationRef, Leaf, Preset, SafeArith, SchemeProofs,
    SignerIndex, SignerKey, Slot, ValidatorIndex, compute_signing_root,
};

/// An attestation is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AttestationError {
    /// A target that is neither of the current nor of the previous epoch.
    #[error("target epoch {target} is neither the current epoch {current} nor the one before")]
    TargetEpoch {
        /// Epoch of the target.
        target: Epoch,
        /// Epoch of the state.
        current: Epoch,
    },
    /// A slot outside the target epoch.
    #[error("slot {slot} is not in the target epoch {target}")]
    SlotOutsideTarget {
        /// Slot of the vote.
        slot: Slot,
        /// Epoch of the target.
        target: Epoch,
    },
    /// Included too early.
    #[error("vote of slot {vote} cannot be included in slot {state}")]
    TooEarly {
        /// Slot of the vote.
        vote: Slot,
        /// Slot of the state.
        state: Slot,
    },
    /// A committee index in the data.
    #[error("data.index is {0}, expected 0: committees are named by committee_bits")]
    CommitteeIndexInData(CommitteeIndex),
    /// A committee that the slot does not have.
    #[error("committee {index} does not exist: slot has {count} committees")]
    UnknownCommittee {
        /// The committee.
        index: CommitteeIndex,
        /// Committees of the slot.
        count: u64,
    },
    /// A committee of which nobody voted.
    #[error("no bit of committee {0} is set")]
    NobodyOfCommittee(CommitteeIndex),
    /// Another number of bits than the committees have seats.
    #[error("{found} aggregation bits, the committees have {expected} seats")]
    BitCount {
        /// Seats of all named committees.
        expected: usize,
        /// Bits of the attestation.
        found: usize,
    },
    /// Another source than the justified checkpoint.
    #[error("source {found:?} is not the justified checkpoint {expected:?}")]
    Source {
        /// The justified checkpoint for the target epoch.
        expected: Checkpoint,
        /// Source of the vote.
        found: Checkpoint,
    },
    /// The signers are wrong.
    #[error(transparent)]
    Indexed(#[from] IndexedAttestationError),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ArithError> for AttestationError {
    fn from(error: ArithError) -> Self {
        Self::State(error.into())
    }
}

/// An indexed attestation is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IndexedAttestationError {
    /// Nobody signed.
    #[error("no attesting indices")]
    Empty,
    /// Indices are not strictly ascending.
    #[error("attesting index {second} stands after {first}, expected ascending order without duplicates")]
    NotAscending {
        /// An index.
        first: SignerIndex,
        /// The index after it.
        second: SignerIndex,
    },
    /// The keys are said to be older than the chain.
    #[error("keys of {age} epochs before the target epoch {target}: there was no such epoch")]
    KeySetAge {
        /// Epochs before the target epoch.
        age: u64,
        /// The target epoch.
        target: Epoch,
    },
    /// An index that is not one of that epoch, or the state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Votes in an attestation of one registry entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vote {
    Solo(ValidatorIndex),
    Group(GroupVotes),
}

/// Who voted, in seat order, after the checks of bits against committees.
///
/// Spec: dvt/beacon-chain.md#get_attesting_indices
fn get_votes<P: Preset>(
    state: &BeaconState<P>,
    attestation: AttestationRef<'_, P>,
) -> Result<Vec<Vote>, AttestationError> {
    let data = attestation.data();
    let bits = attestation.aggregation_bits();
    let epoch = data.slot.epoch::<P>();
    let count = get_committee_count_per_slot(state, epoch)?;
    let has_groups = state.groups().is_some_and(|groups| !groups.is_empty());
    let mut votes = Vec::with_capacity(bits.num_set_bits());
    let mut committee_offset = 0usize;
    for index in attestation.committee_indices() {
        if index >= count {
            return Err(AttestationError::UnknownCommittee { index, count });
        }
        let committee = get_beacon_committee(state, data.slot, index)?;
        let votes_before = votes.len();
        let bit = |seat: usize| bits.get(committee_offset.saturating_add(seat)).unwrap_or(false);
        for (validator, seats) in committee.seat_ranges() {
            let is_group = has_groups && get_key_set(state, validator, epoch)?.is_some();
            if !is_group {
                if bit(seats.start) {
                    votes.push(Vote::Solo(validator));
                }
                continue;
            }
            let mut keys = 0u16;
            for (key, seat) in seats.enumerate() {
                if bit(seat) {
                    keys |= 1u16.checked_shl(key as u32).unwrap_or_default();
                }
            }
            if keys != 0 {
                votes.push(Vote::Group(GroupVotes {
                    index: validator,
                    votes: keys,
                }));
            }
        }
        if votes.len() == votes_before {
            return Err(AttestationError::NobodyOfCommittee(index));
        }
        committee_offset.safe_add_assign(committee.seat_count())?;
    }
    if bits.len() != committee_offset {
        return Err(AttestationError::BitCount {
            expected: committee_offset,
            found: bits.len(),
        });
    }
    Ok(votes)
}

/// The signer indices whose bits are set, ascending.
///
/// Spec: dvt/beacon-chain.md#get_attesting_indices
pub fn get_attesting_indices<P: Preset>(
    state: &BeaconState<P>,
    attestation: AttestationRef<'_, P>,
) -> Result<Vec<SignerIndex>, AttestationError> {
    attesting_indices(state, &get_votes(state, attestation)?, attestation.data().target.epoch)
}

fn attesting_indices<P: Preset>(
    state: &BeaconState<P>,
    votes: &[Vote],
    epoch: Epoch,
) -> Result<Vec<SignerIndex>, AttestationError> {
    let mut indices = Vec::with_capacity(votes.len());
    for vote in votes {
        match vote {
            Vote::Solo(index) => indices.push(SignerIndex::from(*index)),
            Vote::Group(GroupVotes { index, votes }) => {
                let no_key_set = StateError::NoKeySet { index: *index, epoch };
                let key_set = get_key_set(state, *index, epoch)?.ok_or(no_key_set)?;
                for (key, signer) in (0u32..).zip(virtual_indices(*index, key_set)?) {
                    if votes.checked_shr(key).unwrap_or_default() & 1 == 1 {
                        indices.push(signer);
                    }
                }
            }
        }
    }
    indices.sort_unstable();
    Ok(indices)
}

/// Spec: dvt/beacon-chain.md#get_indexed_attestation
pub fn get_indexed_attestation<P: Preset>(
    state: &BeaconState<P>,
    attestation: AttestationRef<'_, P>,
) -> Result<IndexedAttestation<P>, AttestationError> {
    let indices = get_attesting_indices(state, attestation)?;
    let attesting_indices = VariableList::new(indices).map_err(StateError::from)?;
    Ok(match attestation {
        AttestationRef::Fulu(inner) => IndexedAttestation::Fulu(IndexedAttestationFulu {
            attesting_indices,
            data: inner.data,
            signature: inner.signature,
        }),
        AttestationRef::Dvt(inner) => IndexedAttestation::Dvt(IndexedAttestationDvt {
            attesting_indices,
            data: inner.data,
            signature: inner.signature,
            proofs: inner.proofs.clone(),
        }),
    })
}

/// The epoch whose keys verify a vote: `key_set_age` epochs before its target epoch.
pub(super) fn key_epoch<P: Preset>(
    vote: IndexedAttestationRef<'_, P>,
    key_set_age: u64,
) -> Result<Epoch, IndexedAttestationError> {
    let target = vote.data().target.epoch;
    let epoch = target.as_u64().checked_sub(key_set_age);
    epoch.map(Epoch::new).ok_or(IndexedAttestationError::KeySetAge {
        age: key_set_age,
        target,
    })
}

/// The signature that must hold for an indexed attestation, with the keys that were in force `key_set_age` epochs before
/// its target epoch: 0 but in evidence.
///
/// Spec: dvt/beacon-chain.md#is_valid_indexed_attestation
pub fn check_indexed_attestation<P: Preset>(
    state: &BeaconState<P>,
    indexed_attestation: IndexedAttestationRef<'_, P>,
    key_set_age: u64,
) -> Result<SignatureSet, IndexedAttestationError> {
    let indices = indexed_attestation.attesting_indices();
    if indices.is_empty() {
        return Err(IndexedAttestationError::Empty);
    }
    if let Some((first, second)) = indices
        .iter()
        .zip(indices.iter().skip(1))
        .find(|(first, second)| first >= second)
    {
        return Err(IndexedAttestationError::NotAscending {
            first: *first,
            second: *second,
        });
    }
    let data = indexed_attestation.data();
    let proofs = SchemeProofs::new(indexed_attestation.proofs().to_vec()).map_err(StateError::from)?;
    let key_epoch = key_epoch(indexed_attestation, key_set_age)?;
    let signers = indices
        .iter()
        .map(|signer| get_signer_key(state, *signer, key_epoch))
        .collect::<Result<Vec<SignerKey>, _>>()?;
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, Some(data.target.epoch));
    Ok(SignatureSet {
        signing_root: compute_signing_root(data, domain),
        leaf: Leaf::attestation(data.target.epoch),
        signers,
        signature: *indexed_attestation.signature(),
        proofs,
    })
}

/// What an attestation that passed all checks but its signature will do to the state that it was checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedAttestation {
    votes: Vec<Vote>,
    participation_flag_indices: Vec<usize>,
    target_epoch: Epoch,
    is_current_epoch: bool,
}

/// All checks of an attestation but its signature, which [`attestation_signature_set`] gives: verified before or after.
///
/// Spec: dvt/beacon-chain.md#process_attestation
pub fn check_attestation<P: Preset>(
    state: &BeaconState<P>,
    attestation: AttestationRef<'_, P>,
) -> Result<CheckedAttestation, AttestationError> {
    let data = attestation.data();
    let current = get_current_epoch(state);
    let target = data.target.epoch;
    if target != current && target != get_previous_epoch(state) {
        return Err(AttestationError::TargetEpoch { target, current });
    }
    if target != data.slot.epoch::<P>() {
        return Err(AttestationError::SlotOutsideTarget {
            slot: data.slot,
            target,
        });
    }
    if data.slot.safe_add(P::MIN_ATTESTATION_INCLUSION_DELAY)? > state.slot() {
        return Err(AttestationError::TooEarly {
            vote: data.slot,
            state: state.slot(),
        });
    }
    if data.index != 0 {
        return Err(AttestationError::CommitteeIndexInData(data.index));
    }
    let votes = get_votes(state, attestation)?;
    let inclusion_delay = state.slot().safe_sub(data.slot)?.as_u64();
    let participation_flag_indices = get_attestation_participation_flag_indices(state, data, inclusion_delay)?
        .ok_or_else(|| AttestationError::Source {
            expected: if target == current {
                state.current_justified_checkpoint()
            } else {
                state.previous_justified_checkpoint()
            },
            found: data.source,
        })?;
    Ok(CheckedAttestation {
        votes,
        participation_flag_indices,
        target_epoch: target,
        is_current_epoch: target == current,
    })
}

/// The signature that must hold for a checked attestation: by the keys of all set seats.
pub fn attestation_signature_set<P: Preset>(
    state: &BeaconState<P>,
    attestation: AttestationRef<'_, P>,
    checked: &CheckedAttestation,
) -> Result<SignatureSet, AttestationError> {
    let data = attestation.data();
    let epoch = checked.target_epoch;
    let signers = attesting_indices(state, &checked.votes, epoch)?
        .into_iter()
        .map(|signer| get_signer_key(state, signer, epoch))
        .collect::<Result<Vec<SignerKey>, _>>()?;
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, Some(epoch));
    Ok(SignatureSet {
        signing_root: compute_signing_root(data, domain),
        leaf: Leaf::attestation(epoch),
        signers,
        signature: *attestation.signature(),
        proofs: SchemeProofs::new(attestation.proofs().to_vec()).map_err(StateError::from)?,
    })
}

/// Spec: dvt/beacon-chain.md#process_attestation
pub fn process_attestation<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    attestation: AttestationRef<'_, P>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), AttestationError> {
    let checked = check_attestation(state, attestation)?;
    if !V::IS_NULL {
        verifier.push(attestation_signature_set(state, attestation, &checked)?)?;
    }
    Ok(apply_attestation(state, checked, spec)?)
}

/// Counts the votes of an attestation and pays the proposer.
///
/// Spec: dvt/beacon-chain.md#process_attestation
pub fn apply_attestation<P: Preset>(
    state: &mut BeaconState<P>,
    checked: CheckedAttestation,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    let CheckedAttestation {
        votes,
        participation_flag_indices,
        target_epoch,
        is_current_epoch,
    } = checked;
    let base_reward_per_increment = get_base_reward_per_increment(state, spec)?;
    let mut proposer_reward_numerator = 0u64;
    for vote in votes {
        let numerator = match vote {
            Vote::Solo(index) => count_solo_vote(
                state,
                index,
                is_current_epoch,
                &participation_flag_indices,
                base_reward_per_increment,
            )?,
            // [Dvt]
            Vote::Group(group_votes) => count_group_votes(
                state,
                group_votes,
                target_epoch,
                is_current_epoch,
                &participation_flag_indices,
                spec,
            )?,
        };
        proposer_reward_numerator.safe_add_assign(numerator)?;
    }
    let proposer_reward_denominator = WEIGHT_DENOMINATOR
        .safe_sub(PROPOSER_WEIGHT)?
        .safe_mul(WEIGHT_DENOMINATOR)?
        .safe_div(PROPOSER_WEIGHT)?;
    let proposer_reward = proposer_reward_numerator.safe_div(proposer_reward_denominator)?;
    let proposer_index = get_beacon_proposer_index(state)?;
    increase_balance(state, proposer_index, proposer_reward)
}

/// Sets the flags that a solo validator earns and does not have yet; gives the numerator of the proposer's reward.
fn count_solo_vote<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
    is_current_epoch: bool,
    participation_flag_indices: &[usize],
    base_reward_per_increment: u64,
) -> Result<u64, StateError> {
    let effective_balance = get_validator(state, index)?.effective_balance;
    let participation = if is_current_epoch {
        state.current_epoch_participation_mut()
    } else {
        state.previous_epoch_participation_mut()
    };
    let missing = StateError::MissingEntry {
        field: "epoch_participation",
        index: index.as_usize(),
    };
    let flags = *participation.get(index.as_usize()).ok_or(missing.clone())?;
    let mut new_flags = flags;
    let mut weights = 0u64;
    for flag_index in participation_flag_indices {
        let flag = 1u8.checked_shl(*flag_index as u32).unwrap_or_default();
        if new_flags & flag == 0 {
            new_flags |= flag;
            weights.safe_add_assign(PARTICIPATION_FLAG_WEIGHTS.get(*flag_index).copied().unwrap_or_default())?;
        }
    }
    if new_flags == flags {
        return Ok(0);
    }
    *participation.get_mut(index.as_usize()).ok_or(missing)? = new_flags;
    let base_reward = effective_balance
        .safe_div(P::EFFECTIVE_BALANCE_INCREMENT)?
        .safe_mul(base_reward_per_increment)?;
    Ok(base_reward.safe_mul(weights)?)
}
