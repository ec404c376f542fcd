//! Spec: electra/beacon-chain.md#new-process_pending_deposits

use crate::error::{EpochError, StateError};
use crate::helpers::accessors::{
    get_activation_exit_churn_limit, get_current_epoch, get_validator, get_validator_index,
};
use crate::helpers::mutators::{add_validator_to_registry, increase_balance};
use signature_scheme::SignatureSet;
use types::constants::{DOMAIN_DEPOSIT, FAR_FUTURE_EPOCH, GENESIS_SLOT};
use types::{
    BeaconState, ChainSpec, DepositMessage, Gwei, Hash32, PendingDeposit, Preset, PublicKeyBytes, Root, SafeArith,
    SignatureBytes, ValidatorIndex, compute_domain, compute_signing_root,
};

/// Whether the depositor holds the secret key of `pubkey`. Valid across forks, and before genesis.
///
/// Spec: electra/beacon-chain.md#new-is_valid_deposit_signature
#[must_use]
pub fn is_valid_deposit_signature(
    pubkey: PublicKeyBytes,
    withdrawal_credentials: Hash32,
    amount: Gwei,
    signature: SignatureBytes,
    spec: &ChainSpec,
) -> bool {
    let deposit_message = DepositMessage {
        pubkey,
        withdrawal_credentials,
        amount,
    };
    let domain = compute_domain(DOMAIN_DEPOSIT, spec.genesis_fork_version, Root::ZERO);
    let set = SignatureSet::bls(compute_signing_root(&deposit_message, domain), pubkey, signature);
    signature_scheme::verify(&set).is_ok()
}

/// Spec: electra/beacon-chain.md#new-apply_pending_deposit
pub fn apply_pending_deposit<P: Preset>(
    state: &mut BeaconState<P>,
    deposit: &PendingDeposit,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    let index = get_validator_index(state, &deposit.pubkey);
    apply_to(state, index, deposit, spec)
}

fn apply_to<P: Preset>(
    state: &mut BeaconState<P>,
    index: Option<ValidatorIndex>,
    deposit: &PendingDeposit,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    if let Some(index) = index {
        return increase_balance(state, index, deposit.amount);
    }
    // The deposit contract does not check the signature; a wrong one makes no validator.
    if is_valid_deposit_signature(
        deposit.pubkey,
        deposit.withdrawal_credentials,
        deposit.amount,
        deposit.signature,
        spec,
    ) {
        add_validator_to_registry(state, deposit.pubkey, deposit.withdrawal_credentials, deposit.amount)?;
    }
    Ok(())
}

/// Spec: electra/beacon-chain.md#new-process_pending_deposits
pub fn process_pending_deposits<P: Preset>(state: &mut BeaconState<P>, spec: &ChainSpec) -> Result<(), EpochError> {
    process_with(state, &mut Vec::new(), spec)
}

/// Notes in `touched` whose balances it changes.
pub(super) fn process_with<P: Preset>(
    state: &mut BeaconState<P>,
    touched: &mut Vec<ValidatorIndex>,
    spec: &ChainSpec,
) -> Result<(), EpochError> {
    let next_epoch = get_current_epoch(state).safe_add(1u64)?;
    let available_for_processing = state
        .deposit_balance_to_consume()
        .safe_add(get_activation_exit_churn_limit(state, spec)?)?;
    let mut processed_amount: Gwei = 0;
    let mut next_deposit_index = 0usize;
    let mut deposits_to_postpone = Vec::new();
    let mut is_churn_limit_reached = false;
    let finalized_slot = state.finalized_checkpoint().epoch.start_slot::<P>();

    // A few of many: the rest of the queue is not read.
    let limit = P::MAX_PENDING_DEPOSITS_PER_EPOCH as usize;
    let head_of_queue: Vec<PendingDeposit> = state.pending_deposits().iter().take(limit).cloned().collect();
    for deposit in head_of_queue {
        // Deposit requests wait until all deposits of the old mechanism are in.
        if deposit.slot > GENESIS_SLOT && state.eth1_deposit_index() < state.deposit_requests_start_index() {
            break;
        }
        if deposit.slot > finalized_slot {
            break;
        }

        let index = get_validator_index(state, &deposit.pubkey);
        let (is_validator_exited, is_validator_withdrawn) = match index {
            None => (false, false),
            Some(index) => {
                let validator = get_validator(state, index)?;
                (
                    validator.exit_epoch < FAR_FUTURE_EPOCH,
                    validator.withdrawable_epoch < next_epoch,
                )
            }
        };

        if is_validator_withdrawn {
            // This balance will never become active: no churn.
            apply_to(state, index, &deposit, spec)?;
            touched.extend(index);
        } else if is_validator_exited {
            deposits_to_postpone.push(deposit);
        } else {
            is_churn_limit_reached = processed_amount.safe_add(deposit.amount)? > available_for_processing;
            if is_churn_limit_reached {
                break;
            }
            processed_amount.safe_add_assign(deposit.amount)?;
            apply_to(state, index, &deposit, spec)?;
            touched.extend(index);
        }
        next_deposit_index.safe_add_assign(1)?;
    }

    if next_deposit_index > 0 {
        state.pending_deposits_mut().pop_front(next_deposit_index)?;
    }
    for deposit in deposits_to_postpone {
        state.pending_deposits_mut().push(deposit)?;
    }
    *state.deposit_balance_to_consume_mut() = if is_churn_limit_reached {
        available_for_processing.safe_sub(processed_amount)?
    } else {
        0
    };
    Ok(())
}
