//! Fork choice as a value: LMD-GHOST with proposer boost, votes of groups, unrealised justification, equivocations
//! and optimistic blocks.
//!
//! Inputs are the spec's handlers ([`Store::on_tick`], [`Store::on_block`], [`Store::on_attestation`],
//! [`Store::on_attester_slashing`]) and the verdicts of the execution engine; the question is [`Store::get_head`].
//! There is no I/O and no clock here. States stay outside: a block comes with what the store needs of its post-state
//! ([`BlockSummary`]), and when the justified checkpoint moves, the owner hands in what the store needs of that
//! checkpoint's state ([`JustifiedState`]); until then [`Store::get_head`] answers with
//! [`ForkChoiceError::JustifiedStateMissing`].
//!
//! Weights are computed from all votes whenever they are asked for, in one sweep over votes and blocks. Nothing is
//! kept up to date by deltas, so nothing can drift.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod block_tree;
mod error;
mod execution;
mod justified;
mod proposer_reorg;
mod store;
mod votes;

pub use block_tree::{BlockNode, ExecutionStatus};
pub use error::ForkChoiceError;
pub use justified::JustifiedState;
pub use proposer_reorg::ReorgRefusal;
pub use store::{BlockSummary, Store};
pub use votes::LatestMessage;
