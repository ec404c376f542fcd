//! Opening the database, and the two questions it answers.

use crate::error::{Accepted, DatabaseError, Refusal};
use crate::schema::{APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION};
use crate::{attestations, blocks, keys, leaves};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use types::constants::LEAVES_PER_EPOCH;
use types::{Epoch, PublicKeyBytes, Root, SignerKey, Slot};

/// Name of the file in a validators directory.
pub const DATABASE_FILE: &str = "slashing_protection.sqlite";
/// How long another process may take to let go of the file, for one that is just ending.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// A block that somebody wants to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRequest {
    /// Key.
    pub pubkey: SignerKey,
    /// Slot of the block.
    pub slot: Slot,
    /// What would be signed.
    pub signing_root: Root,
}

/// An attestation that somebody wants to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestationRequest {
    /// Key.
    pub pubkey: SignerKey,
    /// Source epoch of the vote.
    pub source_epoch: Epoch,
    /// Target epoch of the vote.
    pub target_epoch: Epoch,
    /// What would be signed.
    pub signing_root: Root,
}

/// The record of what the keys of this client signed. One process at a time; threads share it by reference and take
/// turns. Every call may wait for the disk: not for an async thread.
#[derive(Debug)]
pub struct SlashingDatabase {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl SlashingDatabase {
    /// Opens an existing database. A missing one is an error: keys without their record are not safe to use.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        if !exists(path)? {
            let journal = journal_of(path);
            return Err(if exists(&journal)? {
                DatabaseError::JournalWithoutDatabase {
                    path: path.to_path_buf(),
                    journal,
                }
            } else {
                DatabaseError::Missing {
                    path: path.to_path_buf(),
                }
            });
        }
        Self::connect(path)
    }

    /// Opens the database, or creates it if there is none (`--init-slashing-protection`). A file that exists is never
    /// replaced, whatever is in it.
    pub fn open_or_create(path: &Path) -> Result<Self, DatabaseError> {
        match Self::open(path) {
            Err(DatabaseError::Missing { .. }) => {
                create(path)?;
                Self::open(path)
            }
            other => other,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes BLS keys known. Keys that are known already keep their record.
    pub fn register_keys(&self, pubkeys: &[PublicKeyBytes]) -> Result<(), DatabaseError> {
        self.transaction(|transaction| {
            for pubkey in pubkeys {
                keys::register(transaction, &pubkey.into())?;
            }
            Ok(())
        })
    }

    /// All known BLS keys.
    pub fn registered_keys(&self) -> Result<Vec<PublicKeyBytes>, DatabaseError> {
        self.transaction(|transaction| {
            let keys = keys::all(transaction)?;
            Ok(keys.into_iter().filter_map(|(_, key)| key.as_bls()).collect())
        })
    }

    /// Binds the database to a chain: the first call records it, later ones compare. Signing roots and slots of one
    /// chain say nothing about another.
    pub fn bind_to_chain(&self, genesis_validators_root: Root) -> Result<(), DatabaseError> {
        let recorded = self.transaction(|transaction| {
            let recorded = chain(transaction)?;
            if recorded.is_none() {
                set_chain(transaction, genesis_validators_root)?;
            }
            Ok(recorded.unwrap_or(genesis_validators_root))
        })?;
        if recorded == genesis_validators_root {
            Ok(())
        } else {
            Err(DatabaseError::OtherChain {
                path: self.path.clone(),
                recorded,
                requested: genesis_validators_root,
            })
        }
    }

    /// The chain that the database belongs to, if it knows.
    pub fn genesis_validators_root(&self) -> Result<Option<Root>, DatabaseError> {
        self.transaction(chain)
    }

    /// Checks a block and records it, durably, before this returns `Ok(Ok(_))`. The outer error means that the database
    /// failed: nothing may be signed.
    pub fn check_and_insert_block(&self, request: &BlockRequest) -> Result<Result<Accepted, Refusal>, DatabaseError> {
        self.transaction(|transaction| blocks::check_and_insert(transaction, request))
    }

    /// Checks attestations in order and records those that are safe, in one transaction: one wait for the disk however
    /// many keys attest in a slot. The answers stand in the order of the requests; a refused one does not touch the others.
    pub fn check_and_insert_attestations(
        &self,
        requests: &[AttestationRequest],
    ) -> Result<Vec<Result<Accepted, Refusal>>, DatabaseError> {
        self.transaction(|transaction| {
            requests
                .iter()
                .map(|request| attestations::check_and_insert(transaction, request))
                .collect()
        })
    }

    /// As [`Self::check_and_insert_attestations`], for one.
    pub fn check_and_insert_attestation(
        &self,
        request: &AttestationRequest,
    ) -> Result<Result<Accepted, Refusal>, DatabaseError> {
        self.transaction(|transaction| attestations::check_and_insert(transaction, request))
    }

    /// Raises what a key may sign, never lowers it: for a key that joins with an unknown past. Blocks must come after
    /// `block_slot`, votes have a source of at least `source_epoch` and a target after `target_epoch`.
    pub fn raise_bounds(
        &self,
        pubkey: impl Into<SignerKey>,
        block_slot: Option<Slot>,
        source_epoch: Option<Epoch>,
        target_epoch: Option<Epoch>,
    ) -> Result<Result<(), Refusal>, DatabaseError> {
        let pubkey = pubkey.into();
        self.transaction(|transaction| {
            let Some(key_id) = keys::id_of(transaction, &pubkey)? else {
                return Ok(Err(Refusal::UnregisteredKey(pubkey)));
            };
            let mut values = [None; 3];
            let given = [
                block_slot.map(Slot::as_u64),
                source_epoch.map(Epoch::as_u64),
                target_epoch.map(Epoch::as_u64),
            ];
            for (to, value) in values.iter_mut().zip(given) {
                *to = match value.map(|value| (value, i64::try_from(value))) {
                    None => None,
                    Some((_, Ok(value))) => Some(value),
                    Some((value, Err(_))) => {
                        return Ok(Err(Refusal::OutOfRange { pubkey, value }));
                    }
                };
            }
            let [block_slot, source_epoch, target_epoch] = values;
            keys::raise_bounds(transaction, key_id, block_slot, source_epoch, target_epoch)?;
            Ok(Ok(()))
        })
    }

    /// Forgets blocks before `slot`, votes with a target before `epoch` and leaves of earlier epochs, and closes what
    /// they stood for, so that protection does not get weaker.
    pub fn prune(&self, slot: Slot, epoch: Epoch) -> Result<(), DatabaseError> {
        let slot = i64::try_from(slot.as_u64()).unwrap_or(i64::MAX);
        let leaf = i64::try_from(epoch.as_u64().saturating_mul(LEAVES_PER_EPOCH)).unwrap_or(i64::MAX);
        let epoch = i64::try_from(epoch.as_u64()).unwrap_or(i64::MAX);
        self.transaction(|transaction| {
            for (key_id, _) in keys::all(transaction)? {
                let block_slot = blocks::forget_before(transaction, key_id, slot)?;
                let (source, target) = attestations::forget_before(transaction, key_id, epoch)?;
                keys::raise_bounds(transaction, key_id, block_slot, source, target)?;
                leaves::forget_before(transaction, key_id, leaf)?;
            }
            Ok(())
        })
    }

    /// Runs `work` in one exclusive transaction and commits it. The commit returns after the disk has it.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, DatabaseError> {
        // A panic in another thread left at most an open transaction, which was rolled back when it was dropped.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection
            .transaction_with_behavior(TransactionBehavior::Exclusive)
            .and_then(|transaction| {
                let result = work(&transaction)?;
                transaction.commit()?;
                Ok(result)
            })
            .map_err(|source| classify(&self.path, source))
    }

    fn connect(path: &Path) -> Result<Self, DatabaseError> {
        check_header(path)?;
        let sqlite = |source| classify(path, source);
        let connection = open_connection(path).map_err(sqlite)?;
        // Takes the lock, and keeps it until the process ends.
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT;").map_err(sqlite)?;

        let version: i32 = pragma(&connection, "user_version").map_err(sqlite)?;
        if !(1..=SCHEMA_VERSION).contains(&version) {
            return Err(DatabaseError::Version {
                path: path.to_path_buf(),
                supported: SCHEMA_VERSION,
                found: version,
            });
        }
        let verdict: String = pragma(&connection, "quick_check(1)").map_err(sqlite)?;
        if verdict != "ok" {
            return Err(DatabaseError::Corrupt {
                path: path.to_path_buf(),
                reason: verdict,
            });
        }
        let database = Self {
            connection: Mutex::new(connection),
            path: path.to_path_buf(),
        };
        database.transaction(|transaction| migrate(transaction, version))?;
        Ok(database)
    }
}

/// Recognises files that are not ours by their first bytes, before SQLite can touch them: it would take an empty file
/// for a new database, and change the journal mode of another program's.
fn check_header(path: &Path) -> Result<(), DatabaseError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    const APPLICATION_ID_OFFSET: usize = 68;
    let corrupt = |reason: &str| DatabaseError::Corrupt {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    };
    let mut header = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|source| io_error(path, "read the file", source))?;
    if header.is_empty() {
        return Err(corrupt("the file is empty"));
    }
    let id = header
        .get(APPLICATION_ID_OFFSET..)
        .and_then(|rest| rest.first_chunk::<4>());
    match id {
        Some(_) if !header.starts_with(MAGIC) => Err(corrupt("expected a SQLite database, found another file")),
        None => Err(corrupt("the file is shorter than the header of a database")),
        Some(id) => {
            let found = i32::from_be_bytes(*id);
            if found == APPLICATION_ID {
                Ok(())
            } else {
                Err(DatabaseError::Foreign {
                    path: path.to_path_buf(),
                    expected: APPLICATION_ID,
                    found,
                })
            }
        }
    }
}

fn open_connection(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_PATIENCE)?;
    // Why these: see the top of the crate. 256 KiB of page cache are plenty.
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = TRUNCATE;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -256;",
    )?;
    Ok(connection)
}

/// Makes an empty database under another name and gives it its name only when it is complete, and only if that name
/// is still free.
fn create(path: &Path) -> Result<(), DatabaseError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let _ = fs::remove_file(&temporary);
    let made = create_at(&temporary).and_then(|()| {
        fs::hard_link(&temporary, path).map_err(|source| io_error(path, "create the file", source))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| io_error(parent, "sync the directory", source))
    });
    let _ = fs::remove_file(journal_of(&temporary));
    let _ = fs::remove_file(&temporary);
    made
}

fn create_at(path: &Path) -> Result<(), DatabaseError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .map_err(|source| io_error(path, "create the file", source))?;
    let sqlite = |source| classify(path, source);
    let mut connection = open_connection(path).map_err(sqlite)?;
    connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .and_then(|transaction| {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            migrate(&transaction, 0)?;
            transaction.commit()
        })
        .map_err(sqlite)?;
    connection.close().map_err(|(_, source)| classify(path, source))
}

fn migrate(transaction: &Transaction<'_>, from: i32) -> Result<(), rusqlite::Error> {
    let done = usize::try_from(from).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if from == SCHEMA_VERSION {
        return Ok(());
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> Result<T, rusqlite::Error> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

pub(crate) fn chain(transaction: &Transaction<'_>) -> Result<Option<Root>, rusqlite::Error> {
    transaction
        .query_row("SELECT genesis_validators_root FROM chain", [], |row| {
            row.get::<_, [u8; 32]>(0)
        })
        .optional()
        .map(|root| root.map(Root::new))
}

pub(crate) fn set_chain(transaction: &Transaction<'_>, genesis_validators_root: Root) -> Result<(), rusqlite::Error> {
    transaction
        .execute(
            "INSERT INTO chain (id, genesis_validators_root) VALUES (0, ?1)",
            [genesis_validators_root.0],
        )
        .map(|_| ())
}

fn classify(path: &Path, source: rusqlite::Error) -> DatabaseError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseError::Locked {
            path: path.to_path_buf(),
        },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => DatabaseError::Corrupt {
            path: path.to_path_buf(),
            reason: source.to_string(),
        },
        _ => DatabaseError::Sqlite {
            path: path.to_path_buf(),
            source,
        },
    }
}

fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    PathBuf::from(name)
}

fn exists(path: &Path) -> Result<bool, DatabaseError> {
    path.try_exists()
        .map_err(|source| io_error(path, "look for the file", source))
}

fn io_error(path: &Path, action: &'static str, source: io::Error) -> DatabaseError {
    DatabaseError::Io {
        path: path.to_path_buf(),
        action,
        source,
    }
}
