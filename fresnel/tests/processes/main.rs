//! The binary as real processes: command lines that start, an execution client that breaks, a checkpoint to begin with.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod checkpoint_sync;
mod engine_faults;
mod execution_client;
mod network;
mod proxy;
mod recorded;

use std::sync::LazyLock;

/// Processes of one test at a time: they share the machine's time with what they measure.
static ONE_AT_A_TIME: LazyLock<tokio::sync::Mutex<()>> = LazyLock::new(tokio::sync::Mutex::default);
