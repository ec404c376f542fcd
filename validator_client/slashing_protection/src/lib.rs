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
//! Keys are rows of `signing_keys` with a scheme number, and everything that a key signed refers to its row. A hash-based
//! key (XMSS) has one more record: a low-water mark, and above it which leaf signed what, or was opened. A request of
//! such a key takes its leaf in the same transaction as its vote or block, or not at all. [`SlashingDatabase::check_and_insert`]
//! is for keys of any scheme.
//!
//! In an interchange file such keys stand in a list of their own, `one_time_keys`, beside `data`: a reader of the EIP's
//! format ignores it, and no record is lost.

mod attestations;
mod blocks;
mod database;
mod error;
mod import_export;
mod interchange;
mod keys;
mod leaves;
mod request;
mod schema;

#[cfg(test)]
mod tests;

pub use database::{AttestationRequest, BlockRequest, DATABASE_FILE, SlashingDatabase};
pub use error::{Accepted, DatabaseError, InterchangeError, Refusal};
pub use import_export::Imported;
pub use interchange::{
    Interchange, InterchangeData, InterchangeMetadata, OneTimeKeyData, SignedAttestation, SignedBlock, UsedLeaf,
};
pub use request::{Registered, SigningRequest, Slashable};
