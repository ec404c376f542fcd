//! Tables and their versions.
//!
//! A later version is one more entry in [`MIGRATIONS`]; each runs in one transaction with its version number.

/// "Frsl": tells this database from other programs' SQLite files.
pub(crate) const APPLICATION_ID: i32 = 0x4672_736c;

/// `MIGRATIONS[i]` leads from version `i` to `i + 1`. Version 0 is an empty file.
pub(crate) const MIGRATIONS: [&str; 2] = [VERSION_1, VERSION_2];

/// Newest version.
pub(crate) const SCHEMA_VERSION: i32 = 2;

/// `bounds` closes what is not on record: blocks at or before `block_slot`, attestations with a source before
/// `source_epoch` or a target at or before `target_epoch`.
const VERSION_1: &str = "
CREATE TABLE chain (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    genesis_validators_root BLOB NOT NULL CHECK (length(genesis_validators_root) = 32)
) STRICT;
CREATE TABLE signing_keys (
    id INTEGER PRIMARY KEY,
    scheme INTEGER NOT NULL,
    public_key BLOB NOT NULL,
    UNIQUE (scheme, public_key)
) STRICT;
CREATE TABLE bounds (
    key_id INTEGER PRIMARY KEY REFERENCES signing_keys (id),
    block_slot INTEGER,
    source_epoch INTEGER,
    target_epoch INTEGER
) STRICT;
CREATE TABLE signed_blocks (
    key_id INTEGER NOT NULL REFERENCES signing_keys (id),
    slot INTEGER NOT NULL CHECK (slot >= 0),
    signing_root BLOB NOT NULL CHECK (length(signing_root) = 32),
    PRIMARY KEY (key_id, slot)
) WITHOUT ROWID, STRICT;
CREATE TABLE signed_attestations (
    key_id INTEGER NOT NULL REFERENCES signing_keys (id),
    target_epoch INTEGER NOT NULL,
    source_epoch INTEGER NOT NULL CHECK (source_epoch >= 0 AND source_epoch <= target_epoch),
    signing_root BLOB NOT NULL CHECK (length(signing_root) = 32),
    PRIMARY KEY (key_id, target_epoch)
) WITHOUT ROWID, STRICT;
";

/// A key with one-time leaves is one with a row in `one_time_keys`: no leaf before `first_open_leaf` is ever used again.
/// A used leaf without a signing root was opened.
const VERSION_2: &str = "
CREATE TABLE one_time_keys (
    key_id INTEGER PRIMARY KEY REFERENCES signing_keys (id),
    first_open_leaf INTEGER NOT NULL CHECK (first_open_leaf >= 0)
) STRICT;
CREATE TABLE used_leaves (
    key_id INTEGER NOT NULL REFERENCES signing_keys (id),
    leaf INTEGER NOT NULL CHECK (leaf >= 0),
    signing_root BLOB CHECK (length(signing_root) = 32),
    PRIMARY KEY (key_id, leaf)
) WITHOUT ROWID, STRICT;
";
