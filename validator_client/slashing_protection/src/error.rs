//! Verdicts and errors.

use std::path::PathBuf;
use types::{Epoch, Root, SignerKey, Slot};

/// A request that may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Recorded now.
    New,
    /// Exactly this was recorded before: signing it again cannot be slashed.
    Again,
}

/// A request that must not be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Unknown key: nothing is known about what it signed.
    #[error("{0} is not registered with the slashing protection database")]
    UnregisteredKey(SignerKey),
    /// A second block for a slot.
    #[error("{pubkey} already signed another block for slot {slot} (recorded {}, requested {requested})", describe(.recorded))]
    DoubleBlockProposal {
        /// Key.
        pubkey: SignerKey,
        /// Slot of both.
        slot: Slot,
        /// Signing root on record, if known.
        recorded: Option<Root>,
        /// Signing root of the request.
        requested: Root,
    },
    /// Not after everything that was forgotten.
    #[error(
        "{pubkey} may only sign blocks after slot {bound}, not for slot {slot}: older ones are no longer (or were never) on record"
    )]
    BlockBelowBound {
        /// Key.
        pubkey: SignerKey,
        /// Requested slot.
        slot: Slot,
        /// Last slot that is closed.
        bound: Slot,
    },
    /// Source after target: no valid attestation.
    #[error("attestation of {pubkey} with source epoch {source_epoch} after its target epoch {target_epoch}")]
    SourceAfterTarget {
        /// Key.
        pubkey: SignerKey,
        /// Requested source.
        source_epoch: Epoch,
        /// Requested target.
        target_epoch: Epoch,
    },
    /// A second vote for a target epoch.
    #[error("{pubkey} already signed another attestation for target epoch {target_epoch} (recorded {}, requested {requested})", describe(.recorded))]
    DoubleVote {
        /// Key.
        pubkey: SignerKey,
        /// Target of both.
        target_epoch: Epoch,
        /// Signing root on record, if known.
        recorded: Option<Root>,
        /// Signing root of the request.
        requested: Root,
    },
    /// The request surrounds a recorded vote.
    #[error(
        "attestation {source_epoch}->{target_epoch} of {pubkey} surrounds its recorded {recorded_source}->{recorded_target}"
    )]
    Surrounding {
        /// Key.
        pubkey: SignerKey,
        /// Requested source.
        source_epoch: Epoch,
        /// Requested target.
        target_epoch: Epoch,
        /// Source on record.
        recorded_source: Epoch,
        /// Target on record.
        recorded_target: Epoch,
    },
    /// A recorded vote surrounds the request.
    #[error(
        "attestation {source_epoch}->{target_epoch} of {pubkey} is surrounded by its recorded {recorded_source}->{recorded_target}"
    )]
    Surrounded {
        /// Key.
        pubkey: SignerKey,
        /// Requested source.
        source_epoch: Epoch,
        /// Requested target.
        target_epoch: Epoch,
        /// Source on record.
        recorded_source: Epoch,
        /// Target on record.
        recorded_target: Epoch,
    },
    /// Source before those that were forgotten.
    #[error(
        "{pubkey} may only attest with a source epoch of at least {bound}, not {source_epoch}: older votes are no longer (or were never) on record"
    )]
    SourceBelowBound {
        /// Key.
        pubkey: SignerKey,
        /// Requested source.
        source_epoch: Epoch,
        /// First open source.
        bound: Epoch,
    },
    /// Target not after those that were forgotten.
    #[error(
        "{pubkey} may only attest to target epochs after {bound}, not {target_epoch}: older votes are no longer (or were never) on record"
    )]
    TargetBelowBound {
        /// Key.
        pubkey: SignerKey,
        /// Requested target.
        target_epoch: Epoch,
        /// Last closed target.
        bound: Epoch,
    },
    /// Beyond what the database can store, and far beyond any real chain.
    #[error("slot or epoch {value} of {pubkey} is out of range: expected less than 2^63")]
    OutOfRange {
        /// Key.
        pubkey: SignerKey,
        /// Slot or epoch.
        value: u64,
    },
    /// A key of one-time leaves, and a message that names none.
    #[error("{0} signs with one-time leaves only, and this message has none")]
    LeafMissing(SignerKey),
    /// The leaf is one that is opened, or the sibling of one.
    #[error("leaf {leaf} of {pubkey} never signs: it or its sibling is for openings")]
    LeafNeverSigns {
        /// Key.
        pubkey: SignerKey,
        /// Requested leaf.
        leaf: u64,
    },
    /// The leaf is one that signs.
    #[error("leaf {leaf} of {pubkey} is never opened: it is for signatures, or has no use")]
    LeafNeverOpens {
        /// Key.
        pubkey: SignerKey,
        /// Requested leaf.
        leaf: u64,
    },
    /// Not known whether the leaf was used.
    #[error(
        "{pubkey} may only use leaves from {first_open} on, not {leaf}: the record of older ones is gone, or never was here"
    )]
    LeafBelowMark {
        /// Key.
        pubkey: SignerKey,
        /// Requested leaf.
        leaf: u64,
        /// First leaf that is open.
        first_open: u64,
    },
    /// A leaf that signed another message, after which a second one would let anybody sign.
    #[error("leaf {leaf} of {pubkey} is used for another message (recorded {}, requested {requested})", recorded.map_or_else(|| "an opening".to_owned(), |root| root.to_string()))]
    LeafUsed {
        /// Key.
        pubkey: SignerKey,
        /// Requested leaf.
        leaf: u64,
        /// What it signed; `None` if it was opened.
        recorded: Option<Root>,
        /// Signing root of the request.
        requested: Root,
    },
}

fn describe(root: &Option<Root>) -> String {
    root.map_or_else(|| "with unknown root".to_owned(), |root| root.to_string())
}

/// The database cannot be used. Nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// There is none.
    #[error(
        "{path}: no slashing protection database. If these keys never signed anywhere, create one with \
         --init-slashing-protection; otherwise restore the file or import the old client's interchange file. \
         Signing without it can get the keys slashed"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A journal without its database.
    #[error(
        "{path}: the database is missing but its journal {journal} exists: the database was moved or deleted; restore it beside its journal"
    )]
    JournalWithoutDatabase {
        /// Where the database should be.
        path: PathBuf,
        /// The journal.
        journal: PathBuf,
    },
    /// Another process has it.
    #[error(
        "{path}: locked by another process; two clients must never sign with the same keys, stop the other one first"
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// Damaged.
    #[error(
        "{path}: corrupt: {reason}. It was not changed; restore it from a backup, or move it away and import an interchange file"
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A SQLite file of some other program, such as another client's.
    #[error(
        "{path}: not a slashing protection database of this client: expected application id {expected:#x}, found \
         {found:#x}. It was not changed; export an interchange file with the client that made it, and import that"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Ours.
        expected: i32,
        /// Its.
        found: i32,
    },
    /// Of another version of this client.
    #[error(
        "{path}: schema version {found}, expected 1 to {supported}; it was written by a newer version of this client"
    )]
    Version {
        /// The database.
        path: PathBuf,
        /// Newest version that this client knows.
        supported: i32,
        /// Its version.
        found: i32,
    },
    /// Of another chain.
    #[error(
        "{path}: belongs to the chain with genesis validators root {recorded}, not to {requested}; use another data directory"
    )]
    OtherChain {
        /// The database.
        path: PathBuf,
        /// Chain of the database.
        recorded: Root,
        /// Chain of the client.
        requested: Root,
    },
    /// The operating system refused.
    #[error("{path}: could not {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Any other error of SQLite, such as a full disk.
    #[error("{path}: {source}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// The error.
        source: rusqlite::Error,
    },
}

/// An interchange file cannot be imported or exported. An import is whole or not at all.
#[derive(Debug, thiserror::Error)]
pub enum InterchangeError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Not in the format.
    #[error("interchange file: {0}")]
    Format(#[from] serde_json::Error),
    /// Too large to be one.
    #[error("interchange file: expected at most {limit} bytes, found {found}")]
    TooLarge {
        /// Limit.
        limit: usize,
        /// Size.
        found: usize,
    },
    /// Another version of the format.
    #[error("interchange file: field `metadata.interchange_format_version`: expected {expected}, found {found}")]
    Version {
        /// Ours.
        expected: u64,
        /// Its.
        found: u64,
    },
    /// Of another chain.
    #[error(
        "interchange file: field `metadata.genesis_validators_root`: expected {expected}, found {found}: it is of another chain"
    )]
    OtherChain {
        /// Chain of the client.
        expected: Root,
        /// Chain of the file.
        found: Root,
    },
    /// A slot or epoch that no chain reaches.
    #[error("interchange file: {pubkey}: slot or epoch {value}: expected less than 2^63")]
    OutOfRange {
        /// Key.
        pubkey: SignerKey,
        /// Slot or epoch.
        value: u64,
    },
    /// Nothing is known about which chain the records are of.
    #[error("the database does not know its chain yet: start the client once, or import a file, before an export")]
    UnknownChain,
}
