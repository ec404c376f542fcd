//! Nodes with real networks in one process.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod columns;
mod late_columns;
mod old_blocks;
mod peers;
mod serving;
mod topics;
mod waiting;
mod world;
