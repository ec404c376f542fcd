//! Leaves of hash-based keys: each signs one message or is opened once, ever.
//!
//! Spec: dvt/signatures.md#the-signers-record

use crate::error::Refusal;
use crate::keys;
use crate::request::LeafUse;
use rusqlite::{OptionalExtension as _, Transaction, params};
use types::{Root, SignerKey};

/// Leaves of an epoch. Spec: dvt/beacon-chain.md#get_leaf_index
pub(crate) const USES_PER_EPOCH: u64 = 64;
/// Even leaves that are opened, by their place in an epoch: RANDAO reveals and selections. Their right siblings have no
/// use at all, because the path of a sibling's signature would show the digest before its time.
const OPENED_USES: [u64; 2] = [34, 36];

/// A key's state before a request.
pub(crate) enum Checked {
    /// A key that may sign any number of messages; nothing to record.
    ManyTimes,
    /// Not used yet; to be recorded.
    New,
    /// The same is on record.
    Again,
}

/// Whether a request may use its leaf. Records nothing.
pub(crate) fn check(
    transaction: &Transaction<'_>,
    pubkey: SignerKey,
    requested: Option<LeafUse>,
    signing_root: Root,
) -> Result<Result<Checked, Refusal>, rusqlite::Error> {
    let Some(key_id) = keys::id_of(transaction, &pubkey)? else {
        return Ok(Err(Refusal::UnregisteredKey(pubkey)));
    };
    let (requested, first_open) = match (requested, first_open_leaf(transaction, key_id)?) {
        (None, None) => return Ok(Ok(Checked::ManyTimes)),
        (None, Some(_)) => return Ok(Err(Refusal::LeafMissing(pubkey))),
        (Some(_), None) => return Ok(Err(Refusal::UnregisteredKey(pubkey))),
        (Some(requested), Some(first_open)) => (requested, first_open),
    };
    let leaf = requested.leaf();
    let pair = leaf.checked_rem(USES_PER_EPOCH).unwrap_or_default();
    let is_opened = OPENED_USES.contains(&pair);
    let is_beside = OPENED_USES.contains(&(pair & !1));
    match requested {
        LeafUse::Signs(_) if is_beside => return Ok(Err(Refusal::LeafNeverSigns { pubkey, leaf })),
        LeafUse::Opens(_) if !is_opened => return Ok(Err(Refusal::LeafNeverOpens { pubkey, leaf })),
        LeafUse::Signs(_) | LeafUse::Opens(_) => {}
    }
    let Ok(stored) = i64::try_from(leaf) else {
        return Ok(Err(Refusal::OutOfRange { pubkey, value: leaf }));
    };
    if stored < first_open {
        return Ok(Err(Refusal::LeafBelowMark {
            pubkey,
            leaf,
            first_open: first_open.unsigned_abs(),
        }));
    }
    let recorded = transaction
        .prepare_cached("SELECT signing_root FROM used_leaves WHERE key_id = ?1 AND leaf = ?2")?
        .query_row([key_id, stored], |row| row.get::<_, Option<[u8; 32]>>(0))
        .optional()?
        .map(|root| root.map(Root::new));
    Ok(match recorded {
        None => Ok(Checked::New),
        Some(recorded) if recorded == root_of(requested, signing_root) => Ok(Checked::Again),
        Some(recorded) => Err(Refusal::LeafUsed {
            pubkey,
            leaf,
            recorded,
            requested: signing_root,
        }),
    })
}

/// Records what [`check`] found to be new.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    pubkey: &SignerKey,
    requested: LeafUse,
    signing_root: Root,
) -> Result<(), rusqlite::Error> {
    let root = root_of(requested, signing_root).map(|root| root.0);
    let leaf = i64::try_from(requested.leaf()).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "INSERT INTO used_leaves (key_id, leaf, signing_root)
             SELECT id, ?3, ?4 FROM signing_keys WHERE scheme = ?1 AND public_key = ?2",
        )?
        .execute(params![pubkey.scheme(), pubkey.as_bytes(), leaf, root])
        .map(|_| ())
}

/// What stands in the record: an opening has no message.
fn root_of(requested: LeafUse, signing_root: Root) -> Option<Root> {
    match requested {
        LeafUse::Signs(_) => Some(signing_root),
        LeafUse::Opens(_) => None,
    }
}

/// Makes a one-time key known, or raises its mark.
pub(crate) fn register(
    transaction: &Transaction<'_>,
    pubkey: &SignerKey,
    first_open: i64,
) -> Result<i64, rusqlite::Error> {
    let key_id = keys::register(transaction, pubkey)?;
    raise_mark(transaction, key_id, first_open)?;
    Ok(key_id)
}

/// The low-water mark of a one-time key; `None` for keys that sign any number of messages.
pub(crate) fn first_open_leaf(transaction: &Transaction<'_>, key_id: i64) -> Result<Option<i64>, rusqlite::Error> {
    transaction
        .prepare_cached("SELECT first_open_leaf FROM one_time_keys WHERE key_id = ?1")?
        .query_row([key_id], |row| row.get(0))
        .optional()
}

/// Forgets leaves before `leaf` and closes what they stood for: everything up to the last of them.
pub(crate) fn forget_before(transaction: &Transaction<'_>, key_id: i64, leaf: i64) -> Result<(), rusqlite::Error> {
    let last: Option<i64> = transaction
        .prepare_cached("SELECT max(leaf) FROM used_leaves WHERE key_id = ?1 AND leaf < ?2")?
        .query_row([key_id, leaf], |row| row.get(0))?;
    let Some(last) = last else {
        return Ok(());
    };
    raise_mark(transaction, key_id, last.saturating_add(1))?;
    transaction
        .prepare_cached("DELETE FROM used_leaves WHERE key_id = ?1 AND leaf < ?2")?
        .execute([key_id, leaf])
        .map(|_| ())
}

fn raise_mark(transaction: &Transaction<'_>, key_id: i64, first_open: i64) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO one_time_keys (key_id, first_open_leaf) VALUES (?1, ?2)
             ON CONFLICT (key_id) DO UPDATE SET first_open_leaf = max(first_open_leaf, excluded.first_open_leaf)",
        )?
        .execute([key_id, first_open])
        .map(|_| ())
}
