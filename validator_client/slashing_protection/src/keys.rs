//! Keys and the bounds below which nothing is on record.

use rusqlite::{OptionalExtension as _, Transaction, params};
use types::SignerKey;

/// What a key may sign: everything beyond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Last closed slot.
    pub(crate) block_slot: Option<i64>,
    /// First open source epoch.
    pub(crate) source_epoch: Option<i64>,
    /// Last closed target epoch.
    pub(crate) target_epoch: Option<i64>,
}

pub(crate) fn id_of(transaction: &Transaction<'_>, pubkey: &SignerKey) -> Result<Option<i64>, rusqlite::Error> {
    transaction
        .prepare_cached("SELECT id FROM signing_keys WHERE scheme = ?1 AND public_key = ?2")?
        .query_row(params![pubkey.scheme(), pubkey.as_bytes()], |row| row.get(0))
        .optional()
}

pub(crate) fn register(transaction: &Transaction<'_>, pubkey: &SignerKey) -> Result<i64, rusqlite::Error> {
    if let Some(id) = id_of(transaction, pubkey)? {
        return Ok(id);
    }
    transaction
        .prepare_cached("INSERT INTO signing_keys (scheme, public_key) VALUES (?1, ?2)")?
        .insert(params![pubkey.scheme(), pubkey.as_bytes()])
}

/// All keys in the order of their registration.
pub(crate) fn all(transaction: &Transaction<'_>) -> Result<Vec<(i64, SignerKey)>, rusqlite::Error> {
    transaction
        .prepare_cached("SELECT id, scheme, public_key FROM signing_keys ORDER BY id")?
        .query_map([], |row| {
            let bytes: Vec<u8> = row.get(2)?;
            let key = SignerKey::new(row.get(1)?, &bytes)
                .ok_or(rusqlite::Error::IntegralValueOutOfRange(2, bytes.len() as i64))?;
            Ok((row.get(0)?, key))
        })?
        .collect()
}

pub(crate) fn bounds(transaction: &Transaction<'_>, key_id: i64) -> Result<Bounds, rusqlite::Error> {
    transaction
        .prepare_cached("SELECT block_slot, source_epoch, target_epoch FROM bounds WHERE key_id = ?1")?
        .query_row([key_id], |row| {
            Ok(Bounds {
                block_slot: row.get(0)?,
                source_epoch: row.get(1)?,
                target_epoch: row.get(2)?,
            })
        })
        .optional()
        .map(Option::unwrap_or_default)
}

/// Raises bounds; `None` and lower values change nothing.
pub(crate) fn raise_bounds(
    transaction: &Transaction<'_>,
    key_id: i64,
    block_slot: Option<i64>,
    source_epoch: Option<i64>,
    target_epoch: Option<i64>,
) -> Result<(), rusqlite::Error> {
    let old = bounds(transaction, key_id)?;
    // `None` is less than any value.
    let new = Bounds {
        block_slot: old.block_slot.max(block_slot),
        source_epoch: old.source_epoch.max(source_epoch),
        target_epoch: old.target_epoch.max(target_epoch),
    };
    if new == old {
        return Ok(());
    }
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO bounds (key_id, block_slot, source_epoch, target_epoch) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![key_id, new.block_slot, new.source_epoch, new.target_epoch])
        .map(|_| ())
}
