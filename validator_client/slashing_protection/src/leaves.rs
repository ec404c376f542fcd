//! Leaves of hash-based keys: each signs one message or is opened once, ever.
//!
//! Spec: dvt/signatures.md#the-signers-record

use crate::error::Refusal;
use crate::keys;
use rusqlite::{OptionalExtension as _, Transaction, params};
use types::constants::{LEAVES_PER_EPOCH, RANDAO_LEAF_USE, SELECTION_LEAF_USE};
use types::{Leaf, Root, SignerKey};

/// Even leaves that are opened, by their place in an epoch: RANDAO reveals and selections. Their right siblings have no
/// use at all, because the path of a sibling's signature would show the digest before its time.
const OPENED_USES: [u64; 2] = [RANDAO_LEAF_USE, SELECTION_LEAF_USE];

/// A leaf that is to be used, as it is recorded.
pub(crate) struct Used {
    key_id: i64,
    leaf: i64,
    /// `None` for an opening: it has no message.
    signing_root: Option<Root>,
}

/// What the record says about a request.
pub(crate) enum Checked {
    /// The key may sign any number of messages; nothing to record.
    ManyTimes,
    /// Not used yet; to be recorded.
    New(Used),
    /// The same is on record.
    Again,
}

/// Whether a request may use its leaf. Records nothing.
pub(crate) fn check(
    transaction: &Transaction<'_>,
    pubkey: SignerKey,
    requested: Leaf,
    signing_root: Root,
) -> Result<Result<Checked, Refusal>, rusqlite::Error> {
    let Some(key_id) = keys::id_of(transaction, &pubkey)? else {
        return Ok(Err(Refusal::UnregisteredKey(pubkey)));
    };
    let Some(first_open) = first_open_leaf(transaction, key_id)? else {
        return Ok(Ok(Checked::ManyTimes));
    };
    let position = |leaf: u64| leaf.checked_rem(LEAVES_PER_EPOCH).unwrap_or_default();
    let (index, root) = match requested {
        Leaf::None => return Ok(Err(Refusal::LeafMissing(pubkey))),
        Leaf::Signs(leaf) if OPENED_USES.contains(&(position(leaf) & !1)) => {
            return Ok(Err(Refusal::LeafNeverSigns { pubkey, leaf }));
        }
        Leaf::Opens(leaf) if !OPENED_USES.contains(&position(leaf)) => {
            return Ok(Err(Refusal::LeafNeverOpens { pubkey, leaf }));
        }
        Leaf::Signs(leaf) => (leaf, Some(signing_root)),
        Leaf::Opens(leaf) => (leaf, None),
    };
    let Ok(leaf) = i64::try_from(index) else {
        return Ok(Err(Refusal::OutOfRange { pubkey, value: index }));
    };
    if leaf < first_open {
        return Ok(Err(Refusal::LeafBelowMark {
            pubkey,
            leaf: index,
            first_open: first_open.unsigned_abs(),
        }));
    }
    let recorded = transaction
        .prepare_cached("SELECT signing_root FROM used_leaves WHERE key_id = ?1 AND leaf = ?2")?
        .query_row([key_id, leaf], |row| row.get::<_, Option<[u8; 32]>>(0))
        .optional()?
        .map(|root| root.map(Root::new));
    Ok(match recorded {
        None => Ok(Checked::New(Used {
            key_id,
            leaf,
            signing_root: root,
        })),
        Some(recorded) if recorded == root => Ok(Checked::Again),
        Some(recorded) => Err(Refusal::LeafUsed {
            pubkey,
            leaf: index,
            recorded,
            requested: signing_root,
        }),
    })
}

/// Records what [`check`] found to be new.
pub(crate) fn insert(transaction: &Transaction<'_>, used: &Used) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("INSERT INTO used_leaves (key_id, leaf, signing_root) VALUES (?1, ?2, ?3)")?
        .execute(params![used.key_id, used.leaf, used.signing_root.map(|root| root.0)])
        .map(|_| ())
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
