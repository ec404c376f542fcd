//! Arithmetic of distributed validators: which key set is in force, who leads, when a threshold is reached, who is
//! paid. Plain values in, plain values out; this crate never sees a state.
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

mod key_sets;
mod leaders;
mod participation;
mod safety;
pub mod shuffling;
mod sync_runs;

pub use key_sets::get_key_set;
pub use leaders::{get_leader_key_index, leader_rank_count};
pub use participation::{count_votes, get_votes, proposer_reward_share, set_votes};
pub use safety::{Safety, default_threshold};
pub use sync_runs::{SyncRun, get_sync_committee_runs, is_sync_run_paid};
