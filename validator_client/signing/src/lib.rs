//! The signer path: from a duty's message to its signature.
//!
//! ```text
//! duty -> SignableMessage -> Signer::sign
//!              |  domain and signing root, by the fork of the message's epoch
//!              v
//!       queue of the one signer thread
//!              |  slashing protection: all waiting votes in one transaction, on disk before anything is signed
//!              v
//!       SigningMethod (local BLS key; a remote signer and XMSS keys are further variants)
//!              v
//!       MessageSignature: BLS signature, proofs of other schemes
//! ```
//!
//! There is no other way to a key: [`SigningMethod`] signs only for a clearance, which only the protection step
//! makes. A key is found by its public key; the key of a group's member is handled exactly like a solo validator's.

mod message;
mod method;
mod metrics;
mod protection;
mod signer;

#[cfg(test)]
mod tests;

pub use message::SignableMessage;
pub use method::{LocalBlsKey, MessageSignature, SigningMethod};
pub use signer::{Signer, SigningError};
