//! Checks of votes: whether those of a validator count, and what the chain pays for them.

use crate::record::{EpochRecord, Record, ValidatorEpoch};
use crate::rewards::penalties;

/// Recorded epochs of a range. At the end, a range that was not reached is a violation too.
fn epochs_in(
    record: &Record,
    from: u64,
    to: Option<u64>,
    finished: bool,
) -> Result<Vec<(u64, &EpochRecord)>, Vec<String>> {
    let last = record.epochs.last_key_value().map(|(epoch, _)| *epoch);
    let end = to.or(last).unwrap_or(from);
    let range: Vec<_> = if from <= end {
        record
            .epochs
            .range(from..=end)
            .map(|(epoch, record)| (*epoch, record))
            .collect()
    } else {
        Vec::new()
    };
    if finished && last.is_none_or(|last| last < end || last < from) {
        return Err(vec![format!(
            "epochs {from} to {end} were to be looked at, the run ended before they were over"
        )]);
    }
    Ok(range)
}

fn of_validator<'a>(
    record: &Record,
    epochs: &[(u64, &'a EpochRecord)],
    name: &str,
) -> Result<Vec<(u64, &'a EpochRecord, &'a ValidatorEpoch)>, Vec<String>> {
    let index = record
        .index_of(name)
        .ok_or_else(|| vec![format!("there is no validator {name:?}")])?;
    epochs
        .iter()
        .map(|(epoch, record)| {
            let validator = record
                .validators
                .get(&index)
                .ok_or_else(|| vec![format!("no rewards of {name} in epoch {epoch}")])?;
            Ok((*epoch, *record, validator))
        })
        .collect()
}

fn describe(record: &Record, epoch: &EpochRecord, name: &str) -> String {
    let group = record.index_of(name).and_then(|index| epoch.groups.get(&index));
    match group {
        Some(group) if group.threshold > 0 => format!(
            "; {} of {} needed: seats with source {:?}, with target {:?}",
            group.threshold, group.size, group.source, group.target
        ),
        _ => String::new(),
    }
}

/// Whether no block was there to take the vote while its source still counted.
fn had_no_block_in_time(record: &Record, validator: &ValidatorEpoch) -> bool {
    let in_time = record.slots_per_epoch.isqrt();
    let is_empty = |slot| record.slots.get(&slot).is_some_and(|entry| entry.block.is_none());
    validator
        .duty_slot
        .is_some_and(|duty| (duty + 1..=duty + in_time).all(is_empty))
}

pub(crate) fn counted(
    record: &Record,
    name: Option<&str>,
    (from, to): (u64, Option<u64>),
    excuse_empty_slots: bool,
    finished: bool,
) -> Vec<String> {
    let groups = || {
        record
            .validators
            .iter()
            .filter(|validator| validator.group)
            .map(|validator| validator.name.as_str())
            .collect()
    };
    let names: Vec<&str> = name.map_or_else(groups, |name| vec![name]);
    let look = || -> Result<Vec<String>, Vec<String>> {
        let epochs = epochs_in(record, from, to, finished)?;
        let mut reasons = Vec::new();
        for name in names {
            for (epoch, whole, validator) in of_validator(record, &epochs, name)? {
                let excused = excuse_empty_slots && validator.target >= 0 && had_no_block_in_time(record, validator);
                if !validator.counted() && !excused {
                    reasons.push(format!(
                        "{name} was not counted in epoch {epoch}: {} Gwei for the source, {} for the target{}",
                        validator.source,
                        validator.target,
                        describe(record, whole, name)
                    ));
                }
            }
        }
        Ok(reasons)
    };
    look().unwrap_or_else(|reasons| reasons)
}

pub(crate) fn not_counted(record: &Record, name: &str, from: u64, to: u64, finished: bool) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let epochs = epochs_in(record, from, Some(to), finished)?;
        Ok(of_validator(record, &epochs, name)?
            .into_iter()
            .filter(|(_, _, validator)| validator.source >= 0 || validator.target >= 0)
            .map(|(epoch, whole, _)| {
                format!(
                    "{name} was counted in epoch {epoch}, with too few nodes running{}",
                    describe(record, whole, name)
                )
            })
            .collect())
    };
    look().unwrap_or_else(|reasons| reasons)
}

pub(crate) fn like_offline(record: &Record, name: &str, from: u64, to: u64, finished: bool) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let epochs = epochs_in(record, from, Some(to), finished)?;
        let validators = of_validator(record, &epochs, name)?;
        let mut reasons = Vec::new();
        for (epoch, whole, validator) in &validators {
            let expected = penalties(validator.effective_balance, whole.total_active_balance);
            if (validator.source, validator.target, validator.head) != (expected.0, expected.1, 0) {
                reasons.push(format!(
                    "in epoch {epoch} {name} got {} Gwei for the source, {} for the target, {} for the head; a validator that is away gets {}, {}, 0",
                    validator.source, validator.target, validator.head, expected.0, expected.1
                ));
            }
        }
        for pair in validators.windows(2) {
            if let [(_, _, before), (epoch, _, after)] = pair
                && after.balance >= before.balance
            {
                reasons.push(format!(
                    "the balance of {name} did not fall in epoch {epoch}: from {} to {} Gwei",
                    before.balance, after.balance
                ));
            }
        }
        Ok(reasons)
    };
    look().unwrap_or_else(|reasons| reasons)
}
