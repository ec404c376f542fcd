//! Why a block is invalid.

use super::execution_payload::PayloadError;
use super::header::HeaderError;
use super::operations::OperationInvalid;
use super::randao::RandaoError;
use super::sync_aggregate::SyncAggregateError;
use super::withdrawals::WithdrawalsError;
use crate::dvt::signers::SignersError;
use crate::error::{SlotError, StateError};
use signature_scheme::SignatureError;
use std::fmt;
use types::{ArithError, ForkName, Root};

/// Why a block is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BlockError {
    /// The state could not be advanced to the block's slot.
    #[error("state does not reach the block's slot: {0}")]
    Slot(#[from] SlotError),
    /// The block has the layout of the other fork.
    #[error("block has the layout of {found}, its slot is in {expected}")]
    WrongFork {
        /// Fork of the block's slot.
        expected: ForkName,
        /// Fork of the block's layout.
        found: ForkName,
    },
    /// Header.
    #[error("header: {0}")]
    Header(#[from] HeaderError),
    /// Withdrawals.
    #[error("withdrawals: {0}")]
    Withdrawals(#[from] WithdrawalsError),
    /// Execution payload.
    #[error("execution payload: {0}")]
    Payload(#[from] PayloadError),
    /// RANDAO.
    #[error("randao: {0}")]
    Randao(#[from] RandaoError),
    /// An operation.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The number of deposits.
    #[error("block has {found} deposits, expected {expected}")]
    DepositCount {
        /// How many it must have.
        expected: u64,
        /// How many it has.
        found: u64,
    },
    /// Sync aggregate.
    #[error("sync aggregate: {0}")]
    SyncAggregate(#[from] SyncAggregateError),
    /// The proposer's signers.
    #[error("proposer signature: {0}")]
    Signers(#[from] SignersError),
    /// A signature of the block does not verify.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
    /// The post-state is not the one that the block names.
    #[error("state root is {found}, block says {expected}")]
    StateRoot {
        /// The block's state root.
        expected: Root,
        /// Root of the post-state.
        found: Root,
    },
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ArithError> for BlockError {
    fn from(error: ArithError) -> Self {
        Self::State(error.into())
    }
}

impl From<milhouse::Error> for BlockError {
    fn from(error: milhouse::Error) -> Self {
        Self::State(error.into())
    }
}

/// The lists of operations of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// `proposer_slashings`
    ProposerSlashing,
    /// `attester_slashings`
    AttesterSlashing,
    /// `attestations`
    Attestation,
    /// `deposits`
    Deposit,
    /// `voluntary_exits`
    VoluntaryExit,
    /// `bls_to_execution_changes`
    BlsToExecutionChange,
    /// `execution_requests.deposits`
    DepositRequest,
    /// `execution_requests.withdrawals`
    WithdrawalRequest,
    /// `execution_requests.consolidations`
    ConsolidationRequest,
    /// `key_set_changes`
    KeySetChange,
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProposerSlashing => "proposer slashing",
            Self::AttesterSlashing => "attester slashing",
            Self::Attestation => "attestation",
            Self::Deposit => "deposit",
            Self::VoluntaryExit => "voluntary exit",
            Self::BlsToExecutionChange => "BLS to execution change",
            Self::DepositRequest => "deposit request",
            Self::WithdrawalRequest => "withdrawal request",
            Self::ConsolidationRequest => "consolidation request",
            Self::KeySetChange => "key-set change",
        })
    }
}

/// An invalid operation and its place in the block.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind} {index}: {reason}")]
pub struct OperationError {
    /// Which list.
    pub kind: OperationKind,
    /// Which entry of it.
    pub index: usize,
    /// What is wrong.
    pub reason: OperationInvalid,
}
