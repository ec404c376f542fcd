//! Devnets as a user starts them: what they show, and that nothing is left behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod blobs;
mod interop;
mod resume;
mod run;
