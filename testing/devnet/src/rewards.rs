//! What votes pay: the first group beside its control, and what being away costs.

use crate::record::{Record, ValidatorEpoch};
use serde::Serialize;

/// An epoch in which group and control were paid differently for a reason that is nobody's fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) epoch: u64,
    pub(crate) group_head: i64,
    pub(crate) control_head: i64,
    pub(crate) reason: String,
}

/// Epochs that differ for a good reason, and violations.
pub(crate) fn rewards_like_control(record: &Record) -> (Vec<Difference>, Vec<String>) {
    let (mut differences, mut violations) = (Vec::new(), Vec::new());
    for (epoch, entry) in &record.epochs {
        let (Some(group), Some(control)) = (entry.validators.get(&0), entry.validators.get(&record.control)) else {
            continue;
        };
        let Some(seats) = entry.groups.get(&0) else {
            continue;
        };
        let (name, control_name) = (record.name(0), record.name(record.control));
        if (group.source, group.target, group.inactivity) != (control.source, control.target, control.inactivity) {
            violations.push(format!(
                "in epoch {epoch} {name} got {} and {} Gwei for source and target, {control_name} {} and {}",
                group.source, group.target, control.source, control.target
            ));
        }
        if group.head == control.head {
            continue;
        }
        let (loser, loser_name, threshold) = if group.head < control.head {
            (group, &name, seats.threshold)
        } else {
            (control, &control_name, 1)
        };
        match why_no_head(record, loser, threshold) {
            Some(reason) => differences.push(Difference {
                epoch: *epoch,
                group_head: group.head,
                control_head: control.head,
                reason: format!("{loser_name}: {reason}"),
            }),
            None => violations.push(format!(
                "in epoch {epoch} {name} got {} Gwei for the head and {control_name} {}, and nothing seen explains it (duty of {loser_name} at slot {:?}, heads voted for {:?})",
                group.head, control.head, loser.duty_slot, loser.head_votes
            )),
        }
    }
    (differences, violations)
}

/// Why a validator without fault is not paid for the head.
fn why_no_head(record: &Record, validator: &ValidatorEpoch, threshold: u64) -> Option<String> {
    let slot = validator.duty_slot?;
    let next = record.slots.get(&(slot + 1))?;
    if next.block.is_none() {
        return Some(format!(
            "voted at slot {slot}, and slot {} is empty: no vote of it could be in time",
            slot + 1
        ));
    }
    let head = validator.head_root?;
    let for_head = validator.head_votes.get(&head).map_or(0, Vec::len) as u64;
    let others: u64 = validator
        .head_votes
        .iter()
        .filter(|(root, _)| **root != head)
        .map(|(_, signers)| signers.len() as u64)
        .sum();
    let saw_another = others > 0 && for_head < threshold;
    saw_another.then(|| {
        format!(
            "saw another head at slot {slot} ({others} of {} votes)",
            for_head + others
        )
    })
}

/// What a validator loses for the source and the target of an epoch.
pub(crate) fn penalties(effective_balance: u64, total_active_balance: u64) -> (i64, i64) {
    const INCREMENT: u64 = 1_000_000_000;
    const BASE_REWARD_FACTOR: u64 = 64;
    const SOURCE: u64 = 14;
    const TARGET: u64 = 26;
    let per_increment = INCREMENT * BASE_REWARD_FACTOR / total_active_balance.isqrt().max(1);
    let base = effective_balance / INCREMENT * per_increment;
    let of = |weight: u64| -i64::try_from(base * weight / 64).unwrap_or(i64::MAX);
    (of(SOURCE), of(TARGET))
}
