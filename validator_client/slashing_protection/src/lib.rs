//! Slashing protection (EIP-3076) in a SQLite file.
//!
//! One rule: what was signed is on disk before the signature leaves. [`SlashingDatabase`] has one function for blocks
//! and one for attestations; both check and record in one exclusive transaction, and a caller may only sign once they
//! returned.
//!
//! ```text
//!              request (key, slot or epochs, signing root)
//!                      |
//!             refused  v   safe: same data as before -> may be signed again, nothing is written
//!  Refusal <------ [ check ]
//!                      | safe: new
//!                      v
//!                  [ insert ] -> commit, fsync -> Accepted -> signature
//! ```
//!
//! Journal: a rollback journal (`TRUNCATE`) with `synchronous=FULL`, in exclusive locking mode. Both a rollback journal
//! and a write-ahead log survive `kill -9` and, with `FULL`, a power cut. The rollback journal is chosen because between
//! two transactions the one file holds everything: an operator who moves only `slashing_protection.sqlite` to another
//! machine loses nothing, while with a write-ahead log he would lose the latest votes, those that matter. `TRUNCATE`,
//! unlike `DELETE`, syncs the end of a transaction without a sync of the directory. Exclusive locking keeps a second
//! process out for the whole run; the operating system releases it however the process dies.
//!
//! Keys are rows of `signing_keys` with a scheme number, and everything that a key signed refers to its row. The record
//! of used leaves of one-time keys (XMSS) is one more table of that kind, added by a migration: see `schema.rs`.

mod attestations;
mod blocks;
mod database;
mod error;
mod import_export;
mod interchange;
mod keys;
mod schema;

#[cfg(test)]
mod tests;

pub use database::{AttestationRequest, BlockRequest, DATABASE_FILE, SlashingDatabase};
pub use error::{Accepted, DatabaseError, InterchangeError, Refusal};
pub use import_export::Imported;
pub use interchange::{Interchange, InterchangeData, InterchangeMetadata, SignedAttestation, SignedBlock};
