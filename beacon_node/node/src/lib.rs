//! A beacon node: settings, wiring, start, shutdown.
//!
//! ```text
//! flags, testnet dir --> settings --> database --> chain (from disk, genesis or a checkpoint)
//!                                                   |
//!   network --> router --> intake, proposals -------+------- HTTP API, metrics
//!                                                   |
//!                                     slot tasks: head, payloads ahead, pruning, the log line, custody
//! ```

mod args;
mod chain;
mod chain_metrics;
mod checkpoint;
mod custody;
mod error;
mod metrics_server;
mod slot_tasks;
mod start;
mod testnet;

pub use args::BeaconNodeArgs;
pub use error::NodeError;
pub use start::{Common, run};
