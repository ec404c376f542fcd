//! Spec: phase0/beacon-chain.md#beacon-state-accessors, with the changes up to Fulu.
//!
//! What groups change (who signs, with which keys, with how many seats) stands in `dvt/accessors.rs`.

use super::math::integer_squareroot;
use super::misc::compute_proposer_indices;
use crate::caches;
use crate::error::StateError;
use ethereum_hashing::hash_fixed;
use std::sync::Arc;
use types::constants::{
    DOMAIN_BEACON_PROPOSER, GENESIS_EPOCH, TIMELY_HEAD_FLAG_INDEX, TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX,
};
use types::{
    AttestationData, BeaconState, ChainSpec, CommitteeIndex, Domain, DomainType, Epoch, Gwei, Preset, Root, SafeArith,
    Slot, Validator, ValidatorIndex, compute_domain,
};

pub use crate::caches::committees::BeaconCommittee;

/// The registry entry of that index.
pub fn get_validator<P: Preset>(state: &BeaconState<P>, index: ValidatorIndex) -> Result<&Validator, StateError> {
    state
        .validators()
        .get(index.as_usize())
        .ok_or(StateError::UnknownValidator {
            index,
            len: state.validators().len(),
        })
}

/// The registry entry of that index, to be changed.
pub fn get_validator_mut<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
) -> Result<&mut Validator, StateError> {
    let len = state.validators().len();
    state
        .validators_mut()
        .get_mut(index.as_usize())
        .ok_or(StateError::UnknownValidator { index, len })
}

/// The balance of a validator, in Gwei.
pub fn get_balance<P: Preset>(state: &BeaconState<P>, index: ValidatorIndex) -> Result<Gwei, StateError> {
    state
        .balances()
        .get(index.as_usize())
        .copied()
        .ok_or(StateError::UnknownValidator {
            index,
            len: state.balances().len(),
        })
}

/// The registry index of a public key.
pub fn get_validator_index<P: Preset>(
    state: &BeaconState<P>,
    pubkey: &types::PublicKeyBytes,
) -> Option<ValidatorIndex> {
    caches::pubkeys::get_validator_index(state, pubkey)
}

/// Spec: phase0/beacon-chain.md#get_current_epoch
#[must_use]
pub fn get_current_epoch<P: Preset>(state: &BeaconState<P>) -> Epoch {
    state.slot().epoch::<P>()
}

/// The epoch before the current one, or the genesis epoch.
///
/// Spec: phase0/beacon-chain.md#get_previous_epoch
#[must_use]
pub fn get_previous_epoch<P: Preset>(state: &BeaconState<P>) -> Epoch {
    get_current_epoch(state).saturating_sub(1u64)
}

/// Spec: phase0/beacon-chain.md#get_block_root
pub fn get_block_root<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<Root, StateError> {
    get_block_root_at_slot(state, epoch.start_slot::<P>())
}

/// Spec: phase0/beacon-chain.md#get_block_root_at_slot
pub fn get_block_root_at_slot<P: Preset>(state: &BeaconState<P>, slot: Slot) -> Result<Root, StateError> {
    let out_of_bounds = StateError::SlotOutOfBounds {
        slot,
        state_slot: state.slot(),
    };
    if slot >= state.slot() || state.slot() > slot.saturating_add(P::SLOTS_PER_HISTORICAL_ROOT) {
        return Err(out_of_bounds);
    }
    let place = slot.safe_rem(P::SLOTS_PER_HISTORICAL_ROOT)?.as_usize();
    state.block_roots().get(place).copied().ok_or(out_of_bounds)
}

/// Spec: phase0/beacon-chain.md#get_randao_mix
pub fn get_randao_mix<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<Root, StateError> {
    let index = epoch.safe_rem(P::EPOCHS_PER_HISTORICAL_VECTOR)?.as_usize();
    state
        .randao_mixes()
        .get(index)
        .copied()
        .ok_or(StateError::MissingEntry {
            field: "randao_mixes",
            index,
        })
}

/// Registry indices of the validators active in `epoch`, ascending.
///
/// Free for the previous, the current and the next epoch if committees of that epoch were asked for before.
///
/// Spec: phase0/beacon-chain.md#get_active_validator_indices
pub fn get_active_validator_indices<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<Arc<[u32]>, StateError> {
    caches::committees::active_validator_indices(state, epoch)
}

/// Spec: phase0/beacon-chain.md#get_seed
pub fn get_seed<P: Preset>(state: &BeaconState<P>, epoch: Epoch, domain_type: DomainType) -> Result<Root, StateError> {
    let mix_epoch = epoch
        .safe_add(P::EPOCHS_PER_HISTORICAL_VECTOR)?
        .safe_sub(P::MIN_SEED_LOOKAHEAD)?
        .safe_sub(1u64)?;
    let mix = get_randao_mix(state, mix_epoch)?;
    let preimage = [domain_type.as_slice(), &epoch.as_u64().to_le_bytes(), mix.as_slice()].concat();
    Ok(Root::from(hash_fixed(&preimage)))
}

/// Committees in each slot of `epoch`. With groups, seats count instead of validators.
///
/// Spec: dvt/beacon-chain.md#modified-get_committee_count_per_slot
pub fn get_committee_count_per_slot<P: Preset>(state: &BeaconState<P>, epoch: Epoch) -> Result<u64, StateError> {
    Ok(caches::committees::get_committees(state, epoch)?.committees_per_slot)
}

/// The validators of a committee, in committee order.
///
/// Spec: phase0/beacon-chain.md#get_beacon_committee
pub fn get_beacon_committee<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
    index: CommitteeIndex,
) -> Result<BeaconCommittee, StateError> {
    let committees = caches::committees::get_committees(state, slot.epoch::<P>())?;
    BeaconCommittee::new::<P>(committees, slot, index)
}

/// The proposer of the state's slot.
///
/// Spec: fulu/beacon-chain.md#modified-get_beacon_proposer_index
pub fn get_beacon_proposer_index<P: Preset>(state: &BeaconState<P>) -> Result<ValidatorIndex, StateError> {
    get_beacon_proposer_index_at_slot(state, state.slot())
}

/// The proposer of a slot of the current or the next epoch.
pub fn get_beacon_proposer_index_at_slot<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
) -> Result<ValidatorIndex, StateError> {
    let current_epoch = get_current_epoch(state);
    let start = current_epoch.start_slot::<P>();
    let out_of_range = StateError::EpochOutOfRange {
        epoch: slot.epoch::<P>(),
        current_epoch,
    };
    let place = slot.safe_sub(start).map_err(|_| out_of_range.clone())?.as_usize();
    state.proposer_lookahead().get(place).copied().ok_or(out_of_range)
}

/// The proposers of all slots of `epoch`, computed from the seed.
///
/// Spec: fulu/beacon-chain.md#new-get_beacon_proposer_indices
pub fn get_beacon_proposer_indices<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
) -> Result<Vec<ValidatorIndex>, StateError> {
    let indices = get_active_validator_indices(state, epoch)?;
    let seed = get_seed(state, epoch, DOMAIN_BEACON_PROPOSER)?;
    compute_proposer_indices(state, epoch, seed, &indices)
}

/// Sum of the effective balances of `indices`, at least one increment, in Gwei.
///
/// Spec: phase0/beacon-chain.md#get_total_balance
pub fn get_total_balance<P: Preset>(
    state: &BeaconState<P>,
    indices: impl IntoIterator<Item = ValidatorIndex>,
) -> Result<Gwei, StateError> {
    let mut total: Gwei = 0;
    for index in indices {
        total.safe_add_assign(get_validator(state, index)?.effective_balance)?;
    }
    Ok(total.max(P::EFFECTIVE_BALANCE_INCREMENT))
}

/// Sum of the effective balances of all active validators, at least one increment, in Gwei.
///
/// Spec: phase0/beacon-chain.md#get_total_active_balance
pub fn get_total_active_balance<P: Preset>(state: &BeaconState<P>, _spec: &ChainSpec) -> Result<Gwei, StateError> {
    caches::totals::total_active_balance(state)
}

/// The signature domain for `domain_type` in `epoch`, or in the current epoch.
///
/// Spec: phase0/beacon-chain.md#get_domain
#[must_use]
pub fn get_domain<P: Preset>(state: &BeaconState<P>, domain_type: DomainType, epoch: Option<Epoch>) -> Domain {
    let epoch = epoch.unwrap_or_else(|| get_current_epoch(state));
    let fork = state.fork();
    let fork_version = if epoch < fork.epoch {
        fork.previous_version
    } else {
        fork.current_version
    };
    compute_domain(domain_type, fork_version, state.genesis_validators_root())
}

/// Spec: altair/beacon-chain.md#get_base_reward_per_increment
pub fn get_base_reward_per_increment<P: Preset>(state: &BeaconState<P>, spec: &ChainSpec) -> Result<Gwei, StateError> {
    base_reward_per_increment::<P>(get_total_active_balance(state, spec)?)
}

/// The base reward per increment of a chain with that total active balance.
pub(crate) fn base_reward_per_increment<P: Preset>(total_active_balance: Gwei) -> Result<Gwei, StateError> {
    Ok(P::EFFECTIVE_BALANCE_INCREMENT
        .safe_mul(P::BASE_REWARD_FACTOR)?
        .safe_div(integer_squareroot(total_active_balance))?)
}

/// Spec: altair/beacon-chain.md#get_base_reward
pub fn get_base_reward<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    spec: &ChainSpec,
) -> Result<Gwei, StateError> {
    let increments = get_validator(state, index)?
        .effective_balance
        .safe_div(P::EFFECTIVE_BALANCE_INCREMENT)?;
    Ok(increments.safe_mul(get_base_reward_per_increment(state, spec)?)?)
}

/// Which flags a vote earns that is included `inclusion_delay` slots after its slot.
///
/// `Ok(None)`: the vote's source is not the justified checkpoint, the attestation is invalid.
///
/// Spec: deneb/beacon-chain.md#modified-get_attestation_participation_flag_indices
pub fn get_attestation_participation_flag_indices<P: Preset>(
    state: &BeaconState<P>,
    data: &AttestationData,
    inclusion_delay: u64,
) -> Result<Option<Vec<usize>>, StateError> {
    let justified_checkpoint = if data.target.epoch == get_current_epoch(state) {
        state.current_justified_checkpoint()
    } else {
        state.previous_justified_checkpoint()
    };

    let is_matching_source = data.source == justified_checkpoint;
    if !is_matching_source {
        return Ok(None);
    }
    let is_matching_target = data.target.root == get_block_root(state, data.target.epoch)?;
    let is_matching_head = is_matching_target && data.beacon_block_root == get_block_root_at_slot(state, data.slot)?;

    let mut participation_flag_indices = Vec::with_capacity(3);
    if inclusion_delay <= integer_squareroot(P::slots_per_epoch()) {
        participation_flag_indices.push(TIMELY_SOURCE_FLAG_INDEX);
    }
    if is_matching_target {
        participation_flag_indices.push(TIMELY_TARGET_FLAG_INDEX);
    }
    if is_matching_head && inclusion_delay == P::MIN_ATTESTATION_INCLUSION_DELAY {
        participation_flag_indices.push(TIMELY_HEAD_FLAG_INDEX);
    }
    Ok(Some(participation_flag_indices))
}

/// Spec: phase0/beacon-chain.md#get_finality_delay
pub fn get_finality_delay<P: Preset>(state: &BeaconState<P>) -> Result<u64, StateError> {
    Ok(get_previous_epoch(state)
        .safe_sub(state.finalized_checkpoint().epoch)?
        .as_u64())
}

/// Spec: phase0/beacon-chain.md#is_in_inactivity_leak
pub fn is_in_inactivity_leak<P: Preset>(state: &BeaconState<P>) -> Result<bool, StateError> {
    Ok(get_finality_delay(state)? > P::MIN_EPOCHS_TO_INACTIVITY_PENALTY)
}

/// Whether rewards and penalties apply to a validator in the epoch before the current one.
///
/// Spec: phase0/beacon-chain.md#get_eligible_validator_indices
#[must_use]
pub fn is_eligible_validator(validator: &Validator, previous_epoch: Epoch) -> bool {
    validator.is_active_at(previous_epoch)
        || (validator.slashed && previous_epoch.saturating_add(1u64) < validator.withdrawable_epoch)
}

/// Whether this is the genesis epoch, in which nothing is justified, rewarded or penalised.
pub(crate) fn is_genesis_epoch(epoch: Epoch) -> bool {
    epoch == GENESIS_EPOCH
}

/// Spec: electra/beacon-chain.md#new-get_balance_churn_limit
pub fn get_balance_churn_limit<P: Preset>(state: &BeaconState<P>, spec: &ChainSpec) -> Result<Gwei, StateError> {
    let churn = spec
        .min_per_epoch_churn_limit_electra
        .max(get_total_active_balance(state, spec)?.safe_div(spec.churn_limit_quotient)?);
    Ok(churn.safe_sub(churn.safe_rem(P::EFFECTIVE_BALANCE_INCREMENT)?)?)
}

/// Spec: electra/beacon-chain.md#new-get_activation_exit_churn_limit
pub fn get_activation_exit_churn_limit<P: Preset>(
    state: &BeaconState<P>,
    spec: &ChainSpec,
) -> Result<Gwei, StateError> {
    Ok(spec
        .max_per_epoch_activation_exit_churn_limit
        .min(get_balance_churn_limit(state, spec)?))
}

/// Spec: electra/beacon-chain.md#new-get_consolidation_churn_limit
pub fn get_consolidation_churn_limit<P: Preset>(state: &BeaconState<P>, spec: &ChainSpec) -> Result<Gwei, StateError> {
    Ok(get_balance_churn_limit(state, spec)?.safe_sub(get_activation_exit_churn_limit(state, spec)?)?)
}

/// Sum of the partial withdrawals of a validator that are not paid yet, in Gwei.
///
/// Spec: electra/beacon-chain.md#new-get_pending_balance_to_withdraw
pub fn get_pending_balance_to_withdraw<P: Preset>(
    state: &BeaconState<P>,
    validator_index: ValidatorIndex,
) -> Result<Gwei, StateError> {
    let mut total: Gwei = 0;
    for withdrawal in state.pending_partial_withdrawals() {
        if withdrawal.validator_index == validator_index {
            total.safe_add_assign(withdrawal.amount)?;
        }
    }
    Ok(total)
}
