//! Spec: capella/beacon-chain.md#withdrawals, with the changes of Electra.

use crate::dvt::accessors::get_min_active_balance;
use crate::error::StateError;
use crate::helpers::accessors::{get_balance, get_current_epoch, get_validator};
use crate::helpers::misc::get_max_effective_balance;
use crate::helpers::mutators::decrease_balance;
use crate::helpers::predicates::{is_fully_withdrawable_validator, is_partially_withdrawable_validator};
use types::constants::FAR_FUTURE_EPOCH;
use types::{ArithError, BeaconState, Gwei, Preset, SafeArith, ValidatorIndex, Withdrawal};

/// The withdrawals of a payload are not the expected ones.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WithdrawalsError {
    /// Another number of withdrawals.
    #[error("payload has {found} withdrawals, expected {expected}")]
    Count {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Another withdrawal.
    #[error("withdrawal {place} is {found:?}, expected {expected:?}")]
    Withdrawal {
        /// Place in the payload.
        place: usize,
        /// What it must be.
        expected: Box<Withdrawal>,
        /// What it is.
        found: Box<Withdrawal>,
    },
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ArithError> for WithdrawalsError {
    fn from(error: ArithError) -> Self {
        Self::State(error.into())
    }
}

impl From<milhouse::Error> for WithdrawalsError {
    fn from(error: milhouse::Error) -> Self {
        Self::State(error.into())
    }
}

/// The withdrawals that the next payload must have, and how many pending partial withdrawals they use up.
///
/// Spec: dvt/beacon-chain.md#get_expected_withdrawals
pub fn get_expected_withdrawals<P: Preset>(state: &BeaconState<P>) -> Result<(Vec<Withdrawal>, usize), StateError> {
    let epoch = get_current_epoch(state);
    let mut withdrawal_index = state.next_withdrawal_index();
    let mut withdrawals: Vec<Withdrawal> = Vec::new();
    let mut processed_partial_withdrawals_count = 0usize;

    // A payload has at most a handful of withdrawals: adding them up is cheap.
    let balance_left = |withdrawals: &[Withdrawal], index: ValidatorIndex, balance: Gwei| -> Result<Gwei, StateError> {
        withdrawals
            .iter()
            .filter(|withdrawal| withdrawal.validator_index == index)
            .try_fold(balance, |balance, withdrawal| Ok(balance.safe_sub(withdrawal.amount)?))
    };

    for withdrawal in state.pending_partial_withdrawals() {
        if withdrawal.withdrawable_epoch > epoch
            || withdrawals.len() as u64 == P::MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP
        {
            break;
        }
        let validator = get_validator(state, withdrawal.validator_index)?;
        // [Dvt] A group keeps 32 ETH for each of its keys.
        let min_active_balance = get_min_active_balance(state, withdrawal.validator_index)?;
        let has_sufficient_effective_balance = validator.effective_balance >= min_active_balance;
        let index = withdrawal.validator_index;
        let balance = balance_left(&withdrawals, index, get_balance(state, index)?)?;
        let has_excess_balance = balance > min_active_balance;
        if validator.exit_epoch == FAR_FUTURE_EPOCH && has_sufficient_effective_balance && has_excess_balance {
            withdrawals.push(Withdrawal {
                index: withdrawal_index,
                validator_index: withdrawal.validator_index,
                address: validator.withdrawal_address(),
                amount: balance.safe_sub(min_active_balance)?.min(withdrawal.amount),
            });
            withdrawal_index.safe_add_assign(1)?;
        }
        processed_partial_withdrawals_count.safe_add_assign(1)?;
    }

    // Thousands of entries in a row, around the end of the registry: walking the trees is far cheaper than looking up.
    let start = state.next_withdrawal_validator_index();
    let (validators, balances) = (state.validators(), state.balances());
    let bound = (validators.len() as u64).min(P::MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP);
    let indices = (start.as_u64()..validators.len() as u64).chain(0..start.as_u64());
    let registry = validators.iter_from(start.as_usize())?.chain(validators.iter());
    let held = balances.iter_from(start.as_usize())?.chain(balances.iter());
    for ((index, validator), balance) in indices.zip(registry).zip(held).take(bound as usize) {
        let validator_index = ValidatorIndex::new(index);
        let balance = balance_left(&withdrawals, validator_index, *balance)?;
        let amount = if is_fully_withdrawable_validator(validator, balance, epoch) {
            Some(balance)
        } else if is_partially_withdrawable_validator::<P>(validator, balance) {
            Some(balance.safe_sub(get_max_effective_balance::<P>(validator))?)
        } else {
            None
        };
        if let Some(amount) = amount {
            withdrawals.push(Withdrawal {
                index: withdrawal_index,
                validator_index,
                address: validator.withdrawal_address(),
                amount,
            });
            withdrawal_index.safe_add_assign(1)?;
        }
        if withdrawals.len() as u64 == P::MAX_WITHDRAWALS_PER_PAYLOAD {
            break;
        }
    }
    Ok((withdrawals, processed_partial_withdrawals_count))
}

/// Spec: electra/beacon-chain.md#modified-process_withdrawals
pub fn process_withdrawals<P: Preset>(
    state: &mut BeaconState<P>,
    withdrawals: &[Withdrawal],
) -> Result<(), WithdrawalsError> {
    let (expected_withdrawals, processed_partial_withdrawals_count) = get_expected_withdrawals(state)?;
    if withdrawals.len() != expected_withdrawals.len() {
        return Err(WithdrawalsError::Count {
            expected: expected_withdrawals.len(),
            found: withdrawals.len(),
        });
    }
    for (place, (expected, found)) in expected_withdrawals.iter().zip(withdrawals).enumerate() {
        if expected != found {
            return Err(WithdrawalsError::Withdrawal {
                place,
                expected: Box::new(expected.clone()),
                found: Box::new(found.clone()),
            });
        }
    }
    for withdrawal in &expected_withdrawals {
        decrease_balance(state, withdrawal.validator_index, withdrawal.amount)?;
    }
    if processed_partial_withdrawals_count > 0 {
        state
            .pending_partial_withdrawals_mut()
            .pop_front(processed_partial_withdrawals_count)?;
    }
    let validators_len = state.validators().len() as u64;
    if let Some(latest) = expected_withdrawals.last() {
        *state.next_withdrawal_index_mut() = latest.index.safe_add(1)?;
    }
    let next = match expected_withdrawals.last() {
        Some(latest) if expected_withdrawals.len() as u64 == P::MAX_WITHDRAWALS_PER_PAYLOAD => {
            latest.validator_index.safe_add(1u64)?
        }
        _ => state
            .next_withdrawal_validator_index()
            .safe_add(P::MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP)?,
    };
    *state.next_withdrawal_validator_index_mut() = next.safe_rem(validators_len)?;
    Ok(())
}
