//! Reading the API of a node: every family, through the client and by hand.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod accepted;
mod blobs;
mod blocks;
mod checkpoint;
mod contract;
mod described;
mod duties;
mod foreign;
mod handing_in;
mod limits;
mod node;
mod rewards;
mod states;
mod support;
mod validators;
