//! Containers, presets and configuration of the beacon chain: Fulu, and the fork `dvt` that makes distributed
//! validators part of the protocol.
//!
//! Containers that both forks share are plain structs. Those that differ are enums with a variant for each fork; all
//! fields that a Fulu container has stand first in its Dvt form, with the same type and meaning, and new fields are
//! appended. Keys and signatures are bytes here: nothing in this crate knows a curve.
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

pub mod caches;
pub mod constants;
pub mod preset;

mod arith;
#[expect(missing_docs, reason = "superstruct does not document what it generates")]
mod attestation;
#[expect(missing_docs, reason = "superstruct does not document what it generates")]
mod blinded_block;
#[expect(missing_docs, reason = "superstruct does not document what it generates")]
mod block;
mod chain_spec;
mod config_limits;
mod config_yaml;
#[expect(missing_docs, reason = "superstruct does not document what it generates")]
mod data_column;
mod execution;
mod fork_versioned;
mod group;
mod leaf;
mod light_client;
#[expect(missing_docs, reason = "superstruct does not document what it generates")]
mod operations;
mod primitives;
mod quoted_int_list;
mod signer_key;
mod signing;
mod spec_values;
#[expect(missing_docs, reason = "superstruct does not document what it generates")]
mod state;
mod sync_committee;
mod validator;

pub use arith::{ArithError, SafeArith};
pub use attestation::*;
pub use blinded_block::*;
pub use block::*;
pub use chain_spec::*;
pub use config_yaml::ConfigError;
pub use data_column::*;
pub use execution::*;
pub use fork_versioned::{ForkVersioned, WrongFork};
pub use group::*;
pub use leaf::{Leaf, get_leaf_index};
pub use light_client::*;
pub use operations::*;
pub use preset::{Limit, Mainnet, Minimal, Preset, PresetName};
pub use primitives::*;
pub use signer_key::{SignerKey, SignerKeyError};
pub use signing::*;
pub use state::*;
pub use sync_committee::*;
pub use validator::*;
