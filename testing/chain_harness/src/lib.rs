//! A chain with real signatures and nothing else: no network, no clock, no execution client. Tests say who is there,
//! the harness makes what the nodes of that chain would make, slot by slot, and runs it through the state transition
//! with all checks.
//!
//! Everything is deterministic. The harness panics where something is wrong, as a test would.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is test code: a failure here fails the test"
)]

mod build;
mod key_set_change;
mod keys;
mod messages;

pub use build::{BlockPlan, Chain};
pub use key_set_change::key_set_change;
pub use keys::{Keys, group_of, solo, virtual_key};
pub use messages::Attendance;
