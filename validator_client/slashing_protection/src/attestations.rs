//! Attestations: conditions 3 to 5 of EIP-3076.

use crate::database::AttestationRequest;
use crate::error::{Accepted, Refusal};
use crate::keys;
use rusqlite::{OptionalExtension as _, Transaction, params};
use types::{Epoch, Root};

/// Refuses double and surround votes, and closed epochs; records the rest.
pub(crate) fn check_and_insert(
    transaction: &Transaction<'_>,
    request: &AttestationRequest,
) -> Result<Result<Accepted, Refusal>, rusqlite::Error> {
    let AttestationRequest {
        pubkey,
        source_epoch,
        target_epoch,
        signing_root,
    } = *request;
    if source_epoch > target_epoch {
        return Ok(Err(Refusal::SourceAfterTarget {
            pubkey,
            source_epoch,
            target_epoch,
        }));
    }
    let (Ok(source), Ok(target)) = (
        i64::try_from(source_epoch.as_u64()),
        i64::try_from(target_epoch.as_u64()),
    ) else {
        return Ok(Err(Refusal::OutOfRange {
            pubkey,
            value: target_epoch.as_u64(),
        }));
    };
    let Some(key_id) = keys::id_of(transaction, &pubkey)? else {
        return Ok(Err(Refusal::UnregisteredKey(pubkey)));
    };

    let recorded = transaction
        .prepare_cached(
            "SELECT source_epoch, signing_root FROM signed_attestations WHERE key_id = ?1 AND target_epoch = ?2",
        )?
        .query_row([key_id, target], |row| {
            Ok((row.get::<_, i64>(0)?, Root::new(row.get(1)?)))
        })
        .optional()?;
    if let Some((recorded_source, recorded)) = recorded {
        return Ok(if recorded == signing_root && recorded_source == source {
            Ok(Accepted::Again)
        } else {
            Err(Refusal::DoubleVote {
                pubkey,
                target_epoch,
                recorded: Some(recorded),
                requested: signing_root,
            })
        });
    }

    // A vote inside ours ends after our source, because its own source does: a short range of the primary key.
    let inside = transaction
        .prepare_cached(
            "SELECT source_epoch, target_epoch FROM signed_attestations
             WHERE key_id = ?1 AND target_epoch > ?2 AND target_epoch < ?3 AND source_epoch > ?2 LIMIT 1",
        )?
        .query_row([key_id, source, target], as_epochs)
        .optional()?;
    if let Some((recorded_source, recorded_target)) = inside {
        return Ok(Err(Refusal::Surrounding {
            pubkey,
            source_epoch,
            target_epoch,
            recorded_source,
            recorded_target,
        }));
    }
    let around = transaction
        .prepare_cached(
            "SELECT source_epoch, target_epoch FROM signed_attestations
             WHERE key_id = ?1 AND target_epoch > ?3 AND source_epoch < ?2 LIMIT 1",
        )?
        .query_row([key_id, source, target], as_epochs)
        .optional()?;
    if let Some((recorded_source, recorded_target)) = around {
        return Ok(Err(Refusal::Surrounded {
            pubkey,
            source_epoch,
            target_epoch,
            recorded_source,
            recorded_target,
        }));
    }

    // The EIP closes sources before the smallest on record and targets up to the smallest; bounds take the place of
    // what was forgotten.
    let (oldest_source, oldest_target) = transaction
        .prepare_cached("SELECT min(source_epoch), min(target_epoch) FROM signed_attestations WHERE key_id = ?1")?
        .query_row([key_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let bounds = keys::bounds(transaction, key_id)?;
    if let Some(bound) = bounds.source_epoch.max(oldest_source).filter(|bound| source < *bound) {
        return Ok(Err(Refusal::SourceBelowBound {
            pubkey,
            source_epoch,
            bound: epoch(bound),
        }));
    }
    if let Some(bound) = bounds.target_epoch.max(oldest_target).filter(|bound| target <= *bound) {
        return Ok(Err(Refusal::TargetBelowBound {
            pubkey,
            target_epoch,
            bound: epoch(bound),
        }));
    }

    transaction
        .prepare_cached(
            "INSERT INTO signed_attestations (key_id, target_epoch, source_epoch, signing_root)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![key_id, target, source, signing_root.0])?;
    Ok(Ok(Accepted::New))
}

/// Forgets votes with a target before `target_epoch`; returns their largest source and target. With these as bounds no
/// later vote can surround a forgotten one, nor be surrounded by it, nor double it.
pub(crate) fn forget_before(
    transaction: &Transaction<'_>,
    key_id: i64,
    target_epoch: i64,
) -> Result<(Option<i64>, Option<i64>), rusqlite::Error> {
    let largest = transaction
        .prepare_cached(
            "SELECT max(source_epoch), max(target_epoch) FROM signed_attestations
             WHERE key_id = ?1 AND target_epoch < ?2",
        )?
        .query_row([key_id, target_epoch], |row| Ok((row.get(0)?, row.get(1)?)))?;
    transaction
        .prepare_cached("DELETE FROM signed_attestations WHERE key_id = ?1 AND target_epoch < ?2")?
        .execute([key_id, target_epoch])?;
    Ok(largest)
}

fn as_epochs(row: &rusqlite::Row<'_>) -> Result<(Epoch, Epoch), rusqlite::Error> {
    Ok((epoch(row.get(0)?), epoch(row.get(1)?)))
}

/// Epochs on record are not negative.
fn epoch(value: i64) -> Epoch {
    Epoch::new(value.unsigned_abs())
}
