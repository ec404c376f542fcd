//! Spec: dvt/beacon-chain.md#voluntary-exits

use crate::dvt::signers::{Quorum, SignersError, signature_set};
use crate::error::StateError;
use crate::helpers::accessors::{get_current_epoch, get_pending_balance_to_withdraw, get_validator};
use crate::helpers::mutators::initiate_validator_exit;
use crate::signatures::Verifier;
use signature_scheme::{SignatureError, SignatureSet};
use types::constants::{DOMAIN_VOLUNTARY_EXIT, FAR_FUTURE_EPOCH};
use types::{
    BeaconState, ChainSpec, Epoch, Gwei, Leaf, Preset, SignedVoluntaryExitRef, ValidatorIndex, compute_domain,
    compute_signing_root,
};

/// An exit is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VoluntaryExitError {
    /// Not active.
    #[error("validator {0} is not active")]
    NotActive(ValidatorIndex),
    /// On its way out already.
    #[error("validator {index} exits in epoch {exit_epoch} already")]
    AlreadyExiting {
        /// The validator.
        index: ValidatorIndex,
        /// Its exit epoch.
        exit_epoch: Epoch,
    },
    /// Too early for the exit's own epoch.
    #[error("exit is valid from epoch {exit}, now is epoch {current}")]
    TooEarly {
        /// Epoch of the exit.
        exit: Epoch,
        /// Epoch of the state.
        current: Epoch,
    },
    /// Not active for long enough.
    #[error("validator {index} may exit from epoch {earliest} on, now is epoch {current}")]
    TooYoung {
        /// The validator.
        index: ValidatorIndex,
        /// First epoch in which it may exit.
        earliest: Epoch,
        /// Epoch of the state.
        current: Epoch,
    },
    /// Partial withdrawals have to be paid first.
    #[error("validator {index} waits for partial withdrawals of {amount} Gwei")]
    PendingWithdrawals {
        /// The validator.
        index: ValidatorIndex,
        /// Gwei.
        amount: Gwei,
    },
    /// Not signed by those who must.
    #[error(transparent)]
    Signers(#[from] SignersError),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The signature that must hold for an exit: at threshold, or a member's alone.
pub fn check_voluntary_exit<P: Preset>(
    state: &BeaconState<P>,
    signed_voluntary_exit: SignedVoluntaryExitRef<'_>,
    quorum: Quorum,
    spec: &ChainSpec,
) -> Result<SignatureSet, VoluntaryExitError> {
    let voluntary_exit = *signed_voluntary_exit.message();
    let index = voluntary_exit.validator_index;
    let validator = get_validator(state, index)?;
    let current = get_current_epoch(state);
    if !validator.is_active_at(current) {
        return Err(VoluntaryExitError::NotActive(index));
    }
    if validator.exit_epoch != FAR_FUTURE_EPOCH {
        return Err(VoluntaryExitError::AlreadyExiting {
            index,
            exit_epoch: validator.exit_epoch,
        });
    }
    if current < voluntary_exit.epoch {
        return Err(VoluntaryExitError::TooEarly {
            exit: voluntary_exit.epoch,
            current,
        });
    }
    let earliest = validator.activation_epoch.saturating_add(spec.shard_committee_period);
    if current < earliest {
        return Err(VoluntaryExitError::TooYoung {
            index,
            earliest,
            current,
        });
    }
    let amount = get_pending_balance_to_withdraw(state, index)?;
    if amount > 0 {
        return Err(VoluntaryExitError::PendingWithdrawals { index, amount });
    }
    let domain = compute_domain(
        DOMAIN_VOLUNTARY_EXIT,
        spec.capella_fork_version,
        state.genesis_validators_root(),
    );
    // [Dvt] Checked against the key set in force now.
    Ok(signature_set(
        state,
        index,
        current,
        compute_signing_root(&voluntary_exit, domain),
        Leaf::operation(voluntary_exit.epoch),
        &signed_voluntary_exit.signers(),
        *signed_voluntary_exit.signature(),
        signed_voluntary_exit.proofs(),
        quorum,
    )?)
}

/// Spec: dvt/beacon-chain.md#process_voluntary_exit
pub fn process_voluntary_exit<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    signed_voluntary_exit: SignedVoluntaryExitRef<'_>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), VoluntaryExitError> {
    let set = check_voluntary_exit(state, signed_voluntary_exit, Quorum::Threshold, spec)?;
    verifier.push(set)?;
    Ok(apply_voluntary_exit(
        state,
        signed_voluntary_exit.message().validator_index,
        spec,
    )?)
}

/// Puts the validator of a checked exit into the exit queue.
pub fn apply_voluntary_exit<P: Preset>(
    state: &mut BeaconState<P>,
    index: ValidatorIndex,
    spec: &ChainSpec,
) -> Result<(), StateError> {
    initiate_validator_exit(state, index, spec)
}
