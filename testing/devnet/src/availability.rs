//! Checks of blocks with blobs: whether the columns are where they should be, and what nodes do without them.

use crate::blobs_seen::BlobsSeen;
use crate::layout::NodeNumber;
use crate::record::{BlockRecord, Record};
use std::collections::{BTreeMap, BTreeSet};
use types::Root;

/// Slots before the end whose columns may be on their way.
const ON_THEIR_WAY: u64 = 2;

fn seen(record: &Record) -> Result<&BlobsSeen, Vec<String>> {
    let nothing = || vec!["nothing was seen of blobs".to_owned()];
    record.blobs.as_ref().ok_or_else(nothing)
}

/// Blocks of the chain from a slot to another.
fn blocks(record: &Record, from: u64, to: u64) -> impl Iterator<Item = (u64, &BlockRecord)> {
    record
        .slots
        .iter()
        .filter(move |(slot, _)| (from..=to).contains(*slot))
        .filter_map(|(slot, entry)| Some((*slot, entry.block.as_ref()?)))
}

/// Those with blobs.
fn with_blobs<'a>(
    record: &'a Record,
    seen: &'a BlobsSeen,
    from: u64,
    to: u64,
) -> impl Iterator<Item = (u64, &'a BlockRecord)> {
    blocks(record, from, to).filter(|(_, block)| seen.has_blobs(&block.root))
}

pub(crate) fn blobs_per_block(record: &Record, count: usize, percent: u64, from: u64) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let seen = seen(record)?;
        let last = record.last_slot().saturating_sub(1);
        let all: Vec<(u64, usize)> = blocks(record, from.max(1), last)
            .map(|(slot, block)| (slot, seen.of_blocks.get(&block.root).copied().unwrap_or(0)))
            .collect();
        let fewer: Vec<(u64, usize)> = all.iter().filter(|(_, blobs)| *blobs < count).copied().collect();
        let enough = (all.len() - fewer.len()) as u64;
        if !all.is_empty() && enough * 100 >= all.len() as u64 * percent {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "{enough} of {} blocks have {count} blobs, at least {percent} % expected; slots and blobs of the others: {fewer:?}",
            all.len()
        )])
    };
    look().unwrap_or_else(|reasons| reasons)
}

pub(crate) fn blobs_of_groups_and_solo(record: &Record) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let seen = seen(record)?;
        let of = |group: bool| {
            with_blobs(record, seen, 1, record.last_slot())
                .filter(|(_, block)| block.signers.is_empty() != group)
                .count()
        };
        let (groups, solo) = (of(true), of(false));
        if groups > 0 && solo > 0 {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "{groups} blocks of groups and {solo} of solo validators have blobs, expected some of each"
        )])
    };
    look().unwrap_or_else(|reasons| reasons)
}

pub(crate) fn available(record: &Record, nodes: &[NodeNumber], from: u64) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let seen = seen(record)?;
        let last = record.last_slot().saturating_sub(ON_THEIR_WAY);
        let nodes: Vec<NodeNumber> = match nodes {
            [] => seen.columns.keys().copied().collect(),
            nodes => nodes.to_vec(),
        };
        let blocks: Vec<(u64, &BlockRecord)> = with_blobs(record, seen, from, last).collect();
        if blocks.is_empty() || nodes.is_empty() {
            return Err(vec![format!(
                "{} blocks with blobs and {} nodes were looked at: nothing was shown",
                blocks.len(),
                nodes.len()
            )]);
        }
        let mut reasons = Vec::new();
        for node in nodes {
            let mut lacking = Vec::new();
            for (slot, block) in &blocks {
                let needed = seen.needed(record, node, *slot);
                let found = seen.columns.get(&node).and_then(|columns| columns.get(&block.root));
                match found {
                    Some(Some(columns)) if *columns as u64 >= needed => {}
                    Some(Some(columns)) => lacking.push(format!("slot {slot}: {columns} of {needed}")),
                    Some(None) => lacking.push(format!("slot {slot}: not even the block")),
                    None => lacking.push(format!("slot {slot}: it did not answer")),
                }
            }
            if !lacking.is_empty() {
                reasons.push(format!(
                    "node {node} lacks columns of {} of {} blocks: {}",
                    lacking.len(),
                    blocks.len(),
                    lacking.join(", ")
                ));
            }
        }
        Ok(reasons)
    };
    look().unwrap_or_else(|reasons| reasons)
}

pub(crate) fn recovered(record: &Record, node: NodeNumber, (from, to): (u64, u64)) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let seen = seen(record)?;
        let is_own = |block: &BlockRecord| {
            let place = usize::try_from(block.proposer).unwrap_or(usize::MAX);
            record.holders.get(place).is_some_and(|holders| holders.contains(&node))
        };
        let expected = with_blobs(record, seen, from, to)
            .filter(|(_, block)| !is_own(block))
            .count() as u64;
        let counts = seen.recoveries.get(&node).into_iter().flatten();
        let before = counts.clone().take_while(|(slot, _)| **slot < from).last();
        // The last of them may take longer than its slot.
        let after = counts.take_while(|(slot, _)| **slot <= to + 1).last();
        let count = |sample: Option<(&u64, &u64)>| sample.map_or(0, |(_, count)| *count);
        let found = count(after).saturating_sub(count(before));
        if expected > 0 && found >= expected {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "node {node} recovered columns of {found} blocks from slot {from} to {to}, in which others proposed {expected} with blobs"
        )])
    };
    look().unwrap_or_else(|reasons| reasons)
}

pub(crate) fn keeps_parent(record: &Record, node: NodeNumber, (from, to): (u64, u64)) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let seen = seen(record)?;
        let heads = seen
            .at_head
            .get(&node)
            .into_iter()
            .flat_map(|heads| heads.range(from..=to));
        let mut reasons = Vec::new();
        let mut is_behind = false;
        for (slot, head) in heads {
            let needed = seen.needed(record, node, head.slot);
            if seen.has_blobs(&head.root) && (head.columns as u64) < needed {
                reasons.push(format!(
                    "in slot {slot} the head of node {node} is that of slot {}, of which it has {} of {needed} columns",
                    head.slot, head.columns
                ));
            }
            is_behind |= head.slot + 2 < *slot;
        }
        if !is_behind {
            reasons.push(format!(
                "the head of node {node} was never behind from slot {from} to {to}: nothing was shown"
            ));
        }
        let lines = seen.lacking.get(&node).map_or(&[][..], Vec::as_slice);
        if !lines
            .iter()
            .any(|line| slot_of(line).is_some_and(|slot| (from..=to).contains(&slot)))
        {
            reasons.push(format!(
                "node {node} does not say which columns of blocks from slot {from} to {to} nobody has"
            ));
        }
        Ok(reasons)
    };
    look().unwrap_or_else(|reasons| reasons)
}

/// The slot of a line of a log that names it and the columns that are missing.
fn slot_of(line: &str) -> Option<u64> {
    if !line.contains("missing=[") {
        return None;
    }
    let (_, rest) = line.split_once("slot=")?;
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Blocks with blobs of solo validators that run on these nodes, with their slots.
fn withheld(record: &Record, seen: &BlobsSeen, nodes: &[NodeNumber], (from, to): (u64, u64)) -> Vec<(u64, Root)> {
    record
        .headers
        .range((from, 0)..=(to, u64::MAX))
        .filter(|((_, proposer), root)| {
            let holders = usize::try_from(*proposer)
                .ok()
                .and_then(|place| record.holders.get(place));
            let is_theirs = holders.is_some_and(|holders| matches!(holders.as_slice(), [node] if nodes.contains(node)));
            is_theirs && seen.has_blobs(root)
        })
        .map(|((slot, _), root)| (*slot, *root))
        .collect()
}

fn nothing_withheld(nodes: &[NodeNumber], (from, to): (u64, u64)) -> Vec<String> {
    vec![format!(
        "no solo validator of nodes {nodes:?} proposed a block with blobs from slot {from} to {to}: nothing was shown"
    )]
}

pub(crate) fn withheld_not_attested(record: &Record, nodes: &[NodeNumber], slots: (u64, u64)) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let blocks = withheld(record, seen(record)?, nodes, slots);
        if blocks.is_empty() {
            return Err(nothing_withheld(nodes, slots));
        }
        let mut reasons = Vec::new();
        for (slot, root) in blocks {
            let voters: BTreeSet<String> = record
                .votes
                .iter()
                .filter(|(_, vote)| vote.head == root && vote.slot <= slots.1)
                .filter(|((signer, _), _)| record.holder(*signer).is_none_or(|holder| !nodes.contains(&holder)))
                .map(|((signer, _), _)| record.name_of_signer(*signer))
                .collect();
            if !voters.is_empty() {
                reasons.push(format!(
                    "the block of slot {slot} had its columns withheld, and votes of {voters:?} by slot {}",
                    slots.1
                ));
            }
        }
        Ok(reasons)
    };
    look().unwrap_or_else(|reasons| reasons)
}

pub(crate) fn imported_late(record: &Record, nodes: &[NodeNumber], slots: (u64, u64)) -> Vec<String> {
    let look = || -> Result<Vec<String>, Vec<String>> {
        let seen = seen(record)?;
        let blocks = withheld(record, seen, nodes, slots);
        if blocks.is_empty() {
            return Err(nothing_withheld(nodes, slots));
        }
        let mut reasons = Vec::new();
        for (slot, root) in blocks {
            let knew = seen.imported_beside.get(&root);
            let knows = |node: &NodeNumber, columns: &BTreeMap<Root, Option<usize>>| {
                knew.is_some_and(|knew| knew.contains(node)) || columns.get(&root).is_some_and(Option::is_some)
            };
            let without: Vec<NodeNumber> = seen
                .columns
                .iter()
                .filter(|(node, columns)| !knows(node, columns))
                .map(|(node, _)| *node)
                .collect();
            if !without.is_empty() || seen.columns.is_empty() {
                reasons.push(format!(
                    "nodes {without:?} have not imported the block of slot {slot}, whose columns came late"
                ));
            }
        }
        Ok(reasons)
    };
    look().unwrap_or_else(|reasons| reasons)
}

#[cfg(test)]
#[path = "availability_tests.rs"]
mod tests;
