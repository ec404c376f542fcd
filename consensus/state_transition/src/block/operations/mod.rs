//! Spec: dvt/beacon-chain.md#operations
//!
//! An operation is a `check_x`, which reads the state and gives what the operation will do and the signatures that
//! must hold, and an `apply_x`; `process_x` is both. Gossip and the operation pool use the checks alone. Deposits and
//! requests of the execution layer have no checks of their own: nobody but the block brings them.

pub mod address_change;
pub mod attestation;
pub mod attester_slashing;
pub mod deposit;
pub mod proposer_slashing;
pub mod requests;
pub mod voluntary_exit;

use super::error::{BlockError, OperationError, OperationKind};
use crate::dvt::key_set_change::{KeySetChangeError, process_key_set_change};
use crate::error::StateError;
use crate::signatures::Verifier;
use address_change::{AddressChangeError, process_bls_to_execution_change};
use attestation::{AttestationError, process_attestation};
use attester_slashing::{AttesterSlashingError, process_attester_slashing};
use deposit::{DepositError, process_deposit};
use proposer_slashing::{ProposerSlashingError, process_proposer_slashing};
use requests::{process_consolidation_request, process_deposit_request, process_withdrawal_request};
use types::{BeaconBlockBodyRef, BeaconState, ChainSpec, ExecutionRequests, Preset};
use voluntary_exit::{VoluntaryExitError, process_voluntary_exit};

/// What is wrong with an operation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OperationInvalid {
    /// Proposer slashing.
    #[error(transparent)]
    ProposerSlashing(#[from] ProposerSlashingError),
    /// Attester slashing.
    #[error(transparent)]
    AttesterSlashing(#[from] AttesterSlashingError),
    /// Attestation.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// Deposit.
    #[error(transparent)]
    Deposit(#[from] DepositError),
    /// Voluntary exit.
    #[error(transparent)]
    VoluntaryExit(#[from] VoluntaryExitError),
    /// Change of withdrawal credentials.
    #[error(transparent)]
    AddressChange(#[from] AddressChangeError),
    /// Key-set change.
    #[error(transparent)]
    KeySetChange(#[from] KeySetChangeError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The execution requests of a body of any fork.
fn execution_requests<'a, P: Preset>(body: BeaconBlockBodyRef<'a, P>) -> &'a ExecutionRequests<P> {
    match body {
        BeaconBlockBodyRef::Fulu(body) => &body.execution_requests,
        BeaconBlockBodyRef::Dvt(body) => &body.execution_requests,
    }
}

/// Runs `process` on each operation and says which one failed.
fn for_ops<T, E: Into<OperationInvalid>>(
    kind: OperationKind,
    operations: impl IntoIterator<Item = T>,
    mut process: impl FnMut(T) -> Result<(), E>,
) -> Result<(), OperationError> {
    operations.into_iter().enumerate().try_for_each(|(index, operation)| {
        process(operation).map_err(|reason| OperationError {
            kind,
            index,
            reason: reason.into(),
        })
    })
}

/// Spec: dvt/beacon-chain.md#process_operations
pub fn process_operations<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    body: BeaconBlockBodyRef<'_, P>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), BlockError> {
    // Deposits of the old mechanism end where those by request begin.
    let eth1_deposit_index_limit = state
        .eth1_data()
        .deposit_count
        .min(state.deposit_requests_start_index());
    let expected = eth1_deposit_index_limit
        .saturating_sub(state.eth1_deposit_index())
        .min(P::MAX_DEPOSITS);
    let found = body.deposits().len() as u64;
    if found != expected {
        return Err(BlockError::DepositCount { expected, found });
    }

    use OperationKind as Kind;
    for_ops(Kind::ProposerSlashing, body.proposer_slashings(), |operation| {
        process_proposer_slashing(state, operation, verifier, spec)
    })?;
    for_ops(Kind::AttesterSlashing, body.attester_slashings(), |operation| {
        process_attester_slashing(state, operation, verifier, spec)
    })?;
    for_ops(Kind::Attestation, body.attestations(), |operation| {
        process_attestation(state, operation, verifier, spec)
    })?;
    for_ops(Kind::Deposit, body.deposits(), |operation| {
        process_deposit(state, operation, spec)
    })?;
    for_ops(Kind::VoluntaryExit, body.voluntary_exits(), |operation| {
        process_voluntary_exit(state, operation, verifier, spec)
    })?;
    for_ops(
        Kind::BlsToExecutionChange,
        body.bls_to_execution_changes(),
        |operation| process_bls_to_execution_change(state, operation, verifier, spec),
    )?;
    let requests = execution_requests(body);
    for_ops(Kind::DepositRequest, &requests.deposits, |request| {
        process_deposit_request(state, request)
    })?;
    for_ops(Kind::WithdrawalRequest, &requests.withdrawals, |request| {
        process_withdrawal_request(state, request, spec)
    })?;
    for_ops(Kind::ConsolidationRequest, &requests.consolidations, |request| {
        process_consolidation_request(state, request, spec)
    })?;
    // [Dvt]
    for_ops(Kind::KeySetChange, body.key_set_changes(), |operation| {
        process_key_set_change(state, operation, verifier, spec)
    })?;
    Ok(())
}
