//! Checks of proposals: whether they are made, and by which leader of a group.

use crate::record::{BlockRecord, Record};

fn group_blocks(record: &Record) -> impl Iterator<Item = (u64, &BlockRecord)> {
    record.slots.iter().filter_map(|(slot, entry)| {
        let block = entry.block.as_ref()?;
        (!block.signers.is_empty()).then_some((*slot, block))
    })
}

pub(crate) fn rank_zero(record: &Record) -> Vec<String> {
    // The newest block may be here before the event that says how it came to be.
    let complete = record.last_slot();
    group_blocks(record)
        .filter(|(slot, _)| *slot < complete)
        .filter_map(|(slot, block)| {
            let name = record.name(block.proposer);
            match &block.assembly {
                None => Some(format!(
                    "no node told how the block of {name} at slot {slot} came together"
                )),
                Some(assembly) if assembly.rank > 0 => Some(format!(
                    "the block of {name} at slot {slot} is of the leader of rank {}",
                    assembly.rank
                )),
                Some(_) => None,
            }
        })
        .collect()
}

pub(crate) fn fallback(record: &Record, from: u64, to: Option<u64>) -> Vec<String> {
    let found = group_blocks(record).any(|(slot, block)| {
        slot >= from
            && to.is_none_or(|to| slot <= to)
            && block.assembly.as_ref().is_some_and(|assembly| assembly.rank > 0)
    });
    if found {
        Vec::new()
    } else {
        vec![format!(
            "no group's block from slot {from} on is one of a fallback leader, with leaders down"
        )]
    }
}

pub(crate) fn proposals_made(record: &Record, name: &str, from: u64, to: Option<u64>) -> Vec<String> {
    let index = record.index_of(name);
    let mut proposals = 0;
    let mut reasons: Vec<String> = record
        .slots
        .range(from..=to.unwrap_or(u64::MAX).max(from))
        .filter(|(_, slot)| slot.due.is_some() && slot.due == index)
        .inspect(|_| proposals += 1)
        .filter(|(_, slot)| slot.block.is_none())
        .map(|(slot, _)| format!("{name} was to propose at slot {slot}, the slot is empty"))
        .collect();
    if proposals == 0 {
        reasons.push(format!(
            "{name} was never to propose from slot {from} on: nothing was shown"
        ));
    }
    reasons
}
