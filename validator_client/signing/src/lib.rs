//! The signer path: from a duty's message to its signature.
//!
//! ```text
//! duty -> SignableMessage -> Signer::sign
//!              |  domain and signing root, by the fork of the message's epoch
//!              v
//!       queue of the one signer thread
//!              |  slashing protection: all waiting votes in one transaction, on disk before anything is signed
//!              v
//!       SigningKey: local BLS | local XMSS | remote signer (BLS)
//!              v
//!       MessageSignature: BLS signature, proofs of other schemes
//! ```
//!
//! There is no other way to a key: a [`SigningKey`] signs only a [`ClearedMessage`], which only the protection step
//! makes. A key is found by its public key; the key of a group's member is handled exactly like a solo validator's, and
//! no duty asks for its scheme: which leaf of a hash-based key a message takes follows from the message.

mod bls_key;
mod exhaustion;
mod message;
mod method;
mod metrics;
mod protection;
mod signer;
mod web3signer;
mod xmss_key;

#[cfg(test)]
mod tests;

pub use message::SignableMessage;
pub use method::{Answer, ClearedMessage, MessageSignature, SigningKey, SigningMethod};
pub use signer::{Signer, SigningError, UnknownPast};
pub use web3signer::RemoteError;
