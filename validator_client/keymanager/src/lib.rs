//! The keymanager API of a validator client: keys and their settings, while it runs.
//!
//! ```text
//! request --token--> server --> Keymanager --> files (keystore, definitions)
//!                                          --> signer, with its slashing protection
//!                                          --> duties: looked up anew
//! ```
//!
//! Spec: ethereum/keymanager-APIs. It knows BLS keys only, and so does this: keys of one-time leaves are neither
//! listed nor touched. One change happens at a time, and goes on to its end even if the caller hangs up. A key that was
//! removed signs nothing more before its record is handed out.

mod keymanager;
mod local;
mod remote;
mod server;
mod token;
mod wire;

pub use keymanager::{Failure, Keymanager};
pub use server::{Server, serve};
pub use token::{ApiToken, TOKEN_FILE, TokenError};
