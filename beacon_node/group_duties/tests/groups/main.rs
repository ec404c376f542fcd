//! Blocks of groups, on seven nodes.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod blobs;
mod leader_promotion;
mod world;
