//! `fresnel devnet`: a network of real processes on this machine, in which groups of nodes act as validators.
//!
//! ```text
//! layout --> genesis (files) --> processes (one beacon node, one client, one execution client per node)
//!                                    ^                     |
//! scenario (what breaks when) -------+                     v Beacon API
//!                                 table, report <-- observe --> record --> invariants
//! ```
//!
//! Nodes share nothing but the network. What has to hold is checked while they run, on what they say through their
//! Beacon API; the first thing that does not hold ends the devnet with an error.

mod accounts;
mod availability;
mod blobs;
mod blobs_seen;
mod bookkeeping;
mod books;
mod calls;
mod counting;
mod error;
mod events;
mod execution;
mod genesis;
mod guard;
mod hash_based;
mod invariants;
mod key_change;
mod keys;
mod layout;
mod leaves;
mod length;
mod machine;
mod observe;
mod ports;
mod processes;
mod proposing;
mod record;
mod report;
mod rewards;
mod rpc;
mod run;
mod scenario;
mod supply;
mod table;
mod votes;

pub use crate::genesis::{CHAIN_ID, DEPOSIT_CONTRACT};
pub use accounts::funded_accounts;
pub use error::DevnetError;
pub use execution::ExecutionArgs;
pub use invariants::Violation;
pub use rpc::RpcError;
pub use run::{DevnetArgs, run};
