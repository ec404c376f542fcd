//! Several services in one process on loopback, among each other and against peers without scruples.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod column_faults;
mod hostile;
mod loopback;
mod support;
