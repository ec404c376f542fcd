//! Blocks: conditions 1 and 2 of EIP-3076.

use crate::database::BlockRequest;
use crate::error::{Accepted, Refusal};
use crate::keys;
use rusqlite::{OptionalExtension as _, Transaction, params};
use types::{Root, Slot};

/// Refuses a second block for a slot, and slots that are closed; records the rest.
pub(crate) fn check_and_insert(
    transaction: &Transaction<'_>,
    request: &BlockRequest,
) -> Result<Result<Accepted, Refusal>, rusqlite::Error> {
    let BlockRequest {
        pubkey,
        slot: requested_slot,
        signing_root,
    } = *request;
    let Ok(slot) = i64::try_from(requested_slot.as_u64()) else {
        return Ok(Err(Refusal::OutOfRange {
            pubkey,
            value: requested_slot.as_u64(),
        }));
    };
    let Some(key_id) = keys::id_of(transaction, &pubkey)? else {
        return Ok(Err(Refusal::UnregisteredKey(pubkey)));
    };

    let recorded = transaction
        .prepare_cached("SELECT signing_root FROM signed_blocks WHERE key_id = ?1 AND slot = ?2")?
        .query_row([key_id, slot], |row| row.get::<_, [u8; 32]>(0))
        .optional()?
        .map(Root::new);
    if let Some(recorded) = recorded {
        return Ok(if recorded == signing_root {
            Ok(Accepted::Again)
        } else {
            Err(Refusal::DoubleBlockProposal {
                pubkey,
                slot: requested_slot,
                recorded: Some(recorded),
                requested: signing_root,
            })
        });
    }

    // The EIP closes everything up to the oldest record; a bound takes the place of what was forgotten.
    let oldest: Option<i64> = transaction
        .prepare_cached("SELECT min(slot) FROM signed_blocks WHERE key_id = ?1")?
        .query_row([key_id], |row| row.get(0))?;
    let closed = keys::bounds(transaction, key_id)?.block_slot.max(oldest);
    if let Some(bound) = closed.filter(|bound| slot <= *bound) {
        return Ok(Err(Refusal::BlockBelowBound {
            pubkey,
            slot: requested_slot,
            bound: Slot::new(bound.unsigned_abs()),
        }));
    }

    transaction
        .prepare_cached("INSERT INTO signed_blocks (key_id, slot, signing_root) VALUES (?1, ?2, ?3)")?
        .execute(params![key_id, slot, signing_root.0])?;
    Ok(Ok(Accepted::New))
}

/// Forgets blocks before `slot`; returns the last slot that was forgotten.
pub(crate) fn forget_before(
    transaction: &Transaction<'_>,
    key_id: i64,
    slot: i64,
) -> Result<Option<i64>, rusqlite::Error> {
    let last: Option<i64> = transaction
        .prepare_cached("SELECT max(slot) FROM signed_blocks WHERE key_id = ?1 AND slot < ?2")?
        .query_row([key_id, slot], |row| row.get(0))?;
    transaction
        .prepare_cached("DELETE FROM signed_blocks WHERE key_id = ?1 AND slot < ?2")?
        .execute([key_id, slot])?;
    Ok(last)
}
