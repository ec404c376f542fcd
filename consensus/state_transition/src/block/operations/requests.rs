//! Requests of the execution layer. They name registry entries by registry key; one that makes no sense is ignored.
//!
//! Spec: electra/beacon-chain.md#execution-layer-withdrawal-requests and the sections after it

use crate::dvt::accessors::get_min_active_balance;
use crate::error::StateError;
use crate::helpers::accessors::{
    get_balance, get_consolidation_churn_limit, get_current_epoch, get_pending_balance_to_withdraw, get_validator,
    get_validator_index, get_validator_mut,
};
use crate::helpers::mutators::{
    compute_consolidation_epoch_and_update_churn, compute_exit_epoch_and_update_churn, initiate_validator_exit,
    switch_to_compounding_validator,
};
use types::constants::{
    ETH1_ADDRESS_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH, FULL_EXIT_REQUEST_AMOUNT, UNSET_DEPOSIT_REQUESTS_START_INDEX,
};
use types::{
    BeaconState, ChainSpec, ConsolidationRequest, DepositRequest, ExecutionAddress, PendingConsolidation,
    PendingDeposit, PendingPartialWithdrawal, Preset, SafeArith, Validator, ValidatorIndex, WithdrawalRequest,
};

/// Spec: electra/beacon-chain.md#new-process_deposit_request
pub fn process_deposit_request<P: Preset>(
    state: &mut BeaconState<P>,
    deposit_request: &DepositRequest,
) -> Result<(), StateError> {
    if state.deposit_requests_start_index() == UNSET_DEPOSIT_REQUESTS_START_INDEX {
        *state.deposit_requests_start_index_mut() = deposit_request.index;
    }
    let slot = state.slot();
    Ok(state.pending_deposits_mut().push(PendingDeposit {
        pubkey: deposit_request.pubkey,
        withdrawal_credentials: deposit_request.withdrawal_credentials,
        amount: deposit_request.amount,
        signature: deposit_request.signature,
        slot,
    })?)
}

/// Whether `source_address` may ask for things in the name of `validator`.
fn is_authorized(validator: &Validator, source_address: ExecutionAddress) -> bool {
    validator.has_execution_withdrawal_credential() && validator.withdrawal_address() == source_address
}

/// Spec: dvt/beacon-chain.md#process_withdrawal_request
pub fn process_withdrawal_request<P: Preset>(
    state: &mut BeaconState<P>,
    withdrawal_request: &WithdrawalRequest,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    let amount = withdrawal_request.amount;
    let is_full_exit_request = amount == FULL_EXIT_REQUEST_AMOUNT;
    let is_queue_full = state.pending_partial_withdrawals().len() as u64 == P::PENDING_PARTIAL_WITHDRAWALS_LIMIT;
    if is_queue_full && !is_full_exit_request {
        return Ok(());
    }
    let Some(index) = get_validator_index(state, &withdrawal_request.validator_pubkey) else {
        return Ok(());
    };
    let validator = get_validator(state, index)?;
    if !is_authorized(validator, withdrawal_request.source_address) {
        return Ok(());
    }
    let current_epoch = get_current_epoch(state);
    if !validator.is_active_at(current_epoch)
        || validator.exit_epoch != FAR_FUTURE_EPOCH
        || current_epoch < validator.activation_epoch.saturating_add(spec.shard_committee_period)
    {
        return Ok(());
    }

    let pending_balance_to_withdraw = get_pending_balance_to_withdraw(state, index)?;
    if is_full_exit_request {
        if pending_balance_to_withdraw == 0 {
            initiate_validator_exit(state, index, spec)?;
        }
        return Ok(());
    }

    // [Dvt] A group keeps 32 ETH for each of its keys.
    let min_active_balance = get_min_active_balance(state, index)?;
    let has_sufficient_effective_balance = validator.effective_balance >= min_active_balance;
    let kept = min_active_balance.safe_add(pending_balance_to_withdraw)?;
    let balance = get_balance(state, index)?;
    if validator.has_compounding_withdrawal_credential() && has_sufficient_effective_balance && balance > kept {
        let to_withdraw = balance.safe_sub(kept)?.min(amount);
        let exit_queue_epoch = compute_exit_epoch_and_update_churn(state, to_withdraw, spec)?;
        let withdrawable_epoch = exit_queue_epoch.safe_add(spec.min_validator_withdrawability_delay)?;
        state.pending_partial_withdrawals_mut().push(PendingPartialWithdrawal {
            validator_index: index,
            amount: to_withdraw,
            withdrawable_epoch,
        })?;
    }
    Ok(())
}

/// The validator that asks to be switched to compounding credentials, if the request is such a one and valid.
///
/// Spec: electra/beacon-chain.md#new-is_valid_switch_to_compounding_request
pub fn is_valid_switch_to_compounding_request<P: Preset>(
    state: &BeaconState<P>,
    consolidation_request: &ConsolidationRequest,
) -> Option<ValidatorIndex> {
    if consolidation_request.source_pubkey != consolidation_request.target_pubkey {
        return None;
    }
    let index = get_validator_index(state, &consolidation_request.source_pubkey)?;
    let validator = get_validator(state, index).ok()?;
    let is_valid = is_authorized(validator, consolidation_request.source_address)
        && validator.withdrawal_prefix() == ETH1_ADDRESS_WITHDRAWAL_PREFIX
        && validator.is_active_at(get_current_epoch(state))
        && validator.exit_epoch == FAR_FUTURE_EPOCH;
    is_valid.then_some(index)
}

/// Spec: electra/beacon-chain.md#new-process_consolidation_request
pub fn process_consolidation_request<P: Preset>(
    state: &mut BeaconState<P>,
    consolidation_request: &ConsolidationRequest,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    if let Some(index) = is_valid_switch_to_compounding_request(state, consolidation_request) {
        return switch_to_compounding_validator(state, index);
    }
    if consolidation_request.source_pubkey == consolidation_request.target_pubkey
        || state.pending_consolidations().len() as u64 == P::PENDING_CONSOLIDATIONS_LIMIT
        || get_consolidation_churn_limit(state, spec)? <= P::MIN_ACTIVATION_BALANCE
    {
        return Ok(());
    }
    let (Some(source_index), Some(target_index)) = (
        get_validator_index(state, &consolidation_request.source_pubkey),
        get_validator_index(state, &consolidation_request.target_pubkey),
    ) else {
        return Ok(());
    };
    let source_validator = get_validator(state, source_index)?;
    let target_validator = get_validator(state, target_index)?;
    let current_epoch = get_current_epoch(state);
    let is_valid = is_authorized(source_validator, consolidation_request.source_address)
        && target_validator.has_compounding_withdrawal_credential()
        && source_validator.is_active_at(current_epoch)
        && target_validator.is_active_at(current_epoch)
        && source_validator.exit_epoch == FAR_FUTURE_EPOCH
        && target_validator.exit_epoch == FAR_FUTURE_EPOCH
        && current_epoch
            >= source_validator
                .activation_epoch
                .saturating_add(spec.shard_committee_period);
    if !is_valid || get_pending_balance_to_withdraw(state, source_index)? > 0 {
        return Ok(());
    }
    let effective_balance = source_validator.effective_balance;
    let exit_epoch = compute_consolidation_epoch_and_update_churn(state, effective_balance, spec)?;
    let source_validator = get_validator_mut(state, source_index)?;
    source_validator.exit_epoch = exit_epoch;
    source_validator.withdrawable_epoch = exit_epoch.safe_add(spec.min_validator_withdrawability_delay)?;
    Ok(state.pending_consolidations_mut().push(PendingConsolidation {
        source_index,
        target_index,
    })?)
}
