//! Spec: phase0/beacon-chain.md#beacon-state-mutators, with the changes up to Fulu.

use super::accessors::{
    get_activation_exit_churn_limit, get_beacon_proposer_index, get_consolidation_churn_limit, get_current_epoch,
    get_validator, get_validator_mut,
};
use super::misc::{compute_activation_exit_epoch, get_max_effective_balance};
use crate::caches;
use crate::error::StateError;
use types::constants::{
    COMPOUNDING_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH, GENESIS_SLOT, PROPOSER_WEIGHT, WEIGHT_DENOMINATOR,
};
use types::{
    BeaconState, ChainSpec, Epoch, Gwei, Hash32, PendingDeposit, Preset, PublicKeyBytes, SafeArith, SignatureBytes,
    Validator, ValidatorIndex,
};

/// The point at infinity of G2, compressed: stands where a field wants a signature and there is none.
pub const G2_POINT_AT_INFINITY: SignatureBytes = {
    let mut bytes = [0u8; 96];
    let [first, ..] = &mut bytes;
    *first = 0xc0;
    SignatureBytes::new(bytes)
};

fn get_balance_mut<P: Preset>(state: &mut BeaconState<P>, index: ValidatorIndex) -> Result<&mut Gwei, StateError> {
    let len = state.balances().len();
    state
        .balances_mut()
        .get_mut(index.as_usize())
        .ok_or(StateError::UnknownValidator { index, len })
}

/// Spec: phase0/beacon-chain.md#increase_balance
pub fn increase_balance<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
    delta: Gwei,
) -> Result<(), StateError> {
    if delta == 0 {
        return Ok(());
    }
    Ok(get_balance_mut(state, index)?.safe_add_assign(delta)?)
}

/// Takes `delta` from a balance, or all of it.
///
/// Spec: phase0/beacon-chain.md#decrease_balance
pub fn decrease_balance<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
    delta: Gwei,
) -> Result<(), StateError> {
    if delta == 0 {
        return Ok(());
    }
    let balance = get_balance_mut(state, index)?;
    *balance = balance.saturating_sub(delta);
    Ok(())
}

/// Puts a validator into the exit queue, unless it is there.
///
/// Spec: electra/beacon-chain.md#modified-initiate_validator_exit
pub fn initiate_validator_exit<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    let validator = get_validator(state, index)?;
    if validator.exit_epoch != FAR_FUTURE_EPOCH {
        return Ok(());
    }
    let effective_balance = validator.effective_balance;
    let exit_queue_epoch = compute_exit_epoch_and_update_churn(state, effective_balance, spec)?;

    let validator = get_validator_mut(state, index)?;
    validator.exit_epoch = exit_queue_epoch;
    validator.withdrawable_epoch = exit_queue_epoch.safe_add(spec.min_validator_withdrawability_delay)?;
    Ok(())
}

/// Spec: electra/beacon-chain.md#new-switch_to_compounding_validator
pub fn switch_to_compounding_validator<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
) -> Result<(), StateError> {
    let validator = get_validator_mut(state, index)?;
    if let Some(prefix) = validator.withdrawal_credentials.first_mut() {
        *prefix = COMPOUNDING_WITHDRAWAL_PREFIX;
    }
    queue_excess_active_balance::<P>(state, index)
}

/// Spec: electra/beacon-chain.md#new-queue_excess_active_balance
pub fn queue_excess_active_balance<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
) -> Result<(), StateError> {
    let balance = get_balance_mut(state, index)?;
    let Some(excess_balance) = balance
        .checked_sub(P::MIN_ACTIVATION_BALANCE)
        .filter(|excess| *excess > 0)
    else {
        return Ok(());
    };
    *balance = P::MIN_ACTIVATION_BALANCE;
    let validator = get_validator(state, index)?;
    let deposit = PendingDeposit {
        pubkey: validator.pubkey,
        withdrawal_credentials: validator.withdrawal_credentials,
        amount: excess_balance,
        // Stands for "nothing to verify"; the slot tells it from a deposit request.
        signature: G2_POINT_AT_INFINITY,
        slot: GENESIS_SLOT,
    };
    Ok(state.pending_deposits_mut().push(deposit)?)
}

/// What is left of an epoch's churn after `balance` has passed through, and the epoch in which it has.
fn consume_churn(
    balance: Gwei,
    mut epoch: Epoch,
    mut balance_to_consume: Gwei,
    per_epoch_churn: Gwei,
) -> Result<(Epoch, Gwei), StateError> {
    if let Some(balance_to_process) = balance.checked_sub(balance_to_consume).filter(|excess| *excess > 0) {
        let additional_epochs = balance_to_process.safe_sub(1)?.safe_div(per_epoch_churn)?.safe_add(1)?;
        epoch = epoch.safe_add(additional_epochs)?;
        balance_to_consume.safe_add_assign(additional_epochs.safe_mul(per_epoch_churn)?)?;
    }
    Ok((epoch, balance_to_consume.safe_sub(balance)?))
}

/// Spec: electra/beacon-chain.md#new-compute_exit_epoch_and_update_churn
pub fn compute_exit_epoch_and_update_churn<P: Preset>(
    state: &mut BeaconState<P>,
    exit_balance: Gwei,
    spec: &ChainSpec,
) -> Result<Epoch, StateError> {
    let earliest = compute_activation_exit_epoch::<P>(get_current_epoch(state))?;
    let per_epoch_churn = get_activation_exit_churn_limit(state, spec)?;
    let (epoch, balance_to_consume) = if state.earliest_exit_epoch() < earliest {
        (earliest, per_epoch_churn)
    } else {
        (state.earliest_exit_epoch(), state.exit_balance_to_consume())
    };
    let (epoch, left) = consume_churn(exit_balance, epoch, balance_to_consume, per_epoch_churn)?;
    *state.exit_balance_to_consume_mut() = left;
    *state.earliest_exit_epoch_mut() = epoch;
    Ok(epoch)
}

/// Spec: electra/beacon-chain.md#new-compute_consolidation_epoch_and_update_churn
pub fn compute_consolidation_epoch_and_update_churn<P: Preset>(
    state: &mut BeaconState<P>,
    consolidation_balance: Gwei,
    spec: &ChainSpec,
) -> Result<Epoch, StateError> {
    let earliest = compute_activation_exit_epoch::<P>(get_current_epoch(state))?;
    let per_epoch_churn = get_consolidation_churn_limit(state, spec)?;
    let (epoch, balance_to_consume) = if state.earliest_consolidation_epoch() < earliest {
        (earliest, per_epoch_churn)
    } else {
        (
            state.earliest_consolidation_epoch(),
            state.consolidation_balance_to_consume(),
        )
    };
    let (epoch, left) = consume_churn(consolidation_balance, epoch, balance_to_consume, per_epoch_churn)?;
    *state.consolidation_balance_to_consume_mut() = left;
    *state.earliest_consolidation_epoch_mut() = epoch;
    Ok(epoch)
}

/// Slashes a validator. Without a whistleblower the proposer gets the whole reward.
///
/// Spec: electra/beacon-chain.md#modified-slash_validator
pub fn slash_validator<P: Preset>(
    state: &mut BeaconState<P>,
    slashed_index: ValidatorIndex,
    whistleblower_index: Option<ValidatorIndex>,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    let epoch = get_current_epoch(state);
    initiate_validator_exit(state, slashed_index, spec)?;

    let validator = get_validator_mut(state, slashed_index)?;
    validator.slashed = true;
    validator.withdrawable_epoch = validator
        .withdrawable_epoch
        .max(epoch.safe_add(P::EPOCHS_PER_SLASHINGS_VECTOR)?);
    let effective_balance = validator.effective_balance;

    let place = epoch.safe_rem(P::EPOCHS_PER_SLASHINGS_VECTOR)?.as_usize();
    state
        .slashings_mut()
        .get_mut(place)
        .ok_or(StateError::MissingEntry {
            field: "slashings",
            index: place,
        })?
        .safe_add_assign(effective_balance)?;
    let slashing_penalty = effective_balance.safe_div(P::MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA)?;
    decrease_balance(state, slashed_index, slashing_penalty)?;

    let proposer_index = get_beacon_proposer_index(state)?;
    let whistleblower_index = whistleblower_index.unwrap_or(proposer_index);
    let whistleblower_reward = effective_balance.safe_div(P::WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA)?;
    let proposer_reward = whistleblower_reward
        .safe_mul(PROPOSER_WEIGHT)?
        .safe_div(WEIGHT_DENOMINATOR)?;
    increase_balance(state, proposer_index, proposer_reward)?;
    increase_balance(
        state,
        whistleblower_index,
        whistleblower_reward.safe_sub(proposer_reward)?,
    )
}

/// Appends a validator to the registry and to the lists that run parallel to it.
///
/// Spec: altair/beacon-chain.md#modified-add_validator_to_registry
pub fn add_validator_to_registry<P: Preset>(
    state: &mut BeaconState<P>,
    pubkey: PublicKeyBytes,
    withdrawal_credentials: Hash32,
    amount: Gwei,
) -> Result<(), StateError> {
    let validator = get_validator_from_deposit::<P>(pubkey, withdrawal_credentials, amount)?;
    // Before the push: clones share the index, so it may only cover what they have in common.
    caches::pubkeys::note_added(state, pubkey)?;
    state.validators_mut().push(validator)?;
    state.balances_mut().push(amount)?;
    state.previous_epoch_participation_mut().push(0)?;
    state.current_epoch_participation_mut().push(0)?;
    Ok(state.inactivity_scores_mut().push(0)?)
}

/// Spec: electra/beacon-chain.md#modified-get_validator_from_deposit
pub fn get_validator_from_deposit<P: Preset>(
    pubkey: PublicKeyBytes,
    withdrawal_credentials: Hash32,
    amount: Gwei,
) -> Result<Validator, StateError> {
    let mut validator = Validator {
        pubkey,
        withdrawal_credentials,
        effective_balance: 0,
        slashed: false,
        activation_eligibility_epoch: FAR_FUTURE_EPOCH,
        activation_epoch: FAR_FUTURE_EPOCH,
        exit_epoch: FAR_FUTURE_EPOCH,
        withdrawable_epoch: FAR_FUTURE_EPOCH,
    };
    validator.effective_balance = amount
        .safe_sub(amount.safe_rem(P::EFFECTIVE_BALANCE_INCREMENT)?)?
        .min(get_max_effective_balance::<P>(&validator));
    Ok(validator)
}
