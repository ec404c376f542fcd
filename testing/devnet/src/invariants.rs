//! What has to hold, as pure functions over what was seen.

use crate::availability as blobs;
use crate::books;
use crate::counting::{counted, like_offline, not_counted};
use crate::hash_based::{one_message_per_leaf, seat_votes_with};
use crate::layout::NodeNumber;
use crate::proposing::{fallback, proposals_made, rank_zero};
use crate::record::{Record, registry_index};
use crate::rewards::rewards_like_control;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What has to hold. Scenarios name these in their `checks`. Those without a value have braces: unknown fields of a
/// variant without are not refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "check", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Check {
    /// No two nodes finalise different blocks.
    OneChain {},
    /// No node's finalised epoch lags more behind that of its head.
    FinalityLag { epochs: u64 },
    /// At least so many percent of slots have a block.
    SlotsFilled { percent: u64 },
    /// Source and target of a validator count in each epoch of a range. All groups, if none is named.
    Counted {
        validator: Option<String>,
        #[serde(default)]
        from: u64,
        to: Option<u64>,
        /// Whether the source may be missing where all slots are empty in which the vote would have been in time.
        #[serde(default)]
        excuse_empty_slots: bool,
    },
    /// They count in none.
    NotCounted { validator: String, from: u64, to: u64 },
    /// The chain pays and fines a validator like one that is away.
    LikeOffline { validator: String, from: u64, to: u64 },
    /// Each group's block is one of the rank-0 leader.
    RankZero {},
    /// Some group's block is one of a fallback leader, in a slot of a range.
    Fallback { from_slot: u64, to_slot: Option<u64> },
    /// A validator misses no proposal in a range of slots.
    ProposalsMade {
        validator: String,
        from_slot: u64,
        to_slot: Option<u64>,
    },
    /// Rewards of the first group's votes are its control's, but for slots in which one of the two saw another head.
    RewardsLikeControl {},
    /// No signer contradicts itself, nobody is slashed; the votes of these nodes' keys are among those looked at.
    NoDoubleSignature {
        #[serde(default)]
        voters: Vec<String>,
    },
    /// Of all that nodes accepted, no leaf has signed two messages; of each hash-based key of these validators at least
    /// so many leaves were seen.
    OneMessagePerLeaf { validators: Vec<String>, leaves: u64 },
    /// From some epoch up to `by` on, a seat's key is of this scheme; it votes in each epoch from then on.
    SeatVotesWith {
        validator: String,
        seat: u8,
        scheme: u8,
        by: u64,
    },
    /// A node that was started at a slot follows the chain so many slots later, to the end: its head is not before the latest
    /// block but those of the last two slots.
    InSync {
        node: usize,
        from_slot: u64,
        within_slots: u64,
    },
    /// A validator is a group of this shape from some epoch up to `by` on, all seats vote from that epoch on, and
    /// its blocks have enough signers.
    TakesOver {
        validator: String,
        threshold: u64,
        size: u64,
        by: u64,
    },
    /// No process takes more memory, in megabytes (of 1024 * 1024 bytes).
    Memory {
        beacon_node_mb: u64,
        validator_client_mb: u64,
        /// Of those that are processes.
        execution_client_mb: Option<u64>,
    },
    /// Each balance at the end, on both layers, is what genesis, deposits, rewards, withdrawals and transactions make of
    /// it, and both layers tell of the same withdrawals.
    BalancesAddUp {},
    /// All transactions that the scenario sent are in blocks, and did what they should; at least so many.
    TransactionsSucceed { at_least: usize },
    /// Deposits have brought a validator's balance so many ETH.
    Deposited { validator: String, eth: u64 },
    /// A withdrawal of exactly so many ETH was paid.
    Withdrawn { validator: String, eth: u64 },
    /// A validator has exited, and its stake was paid.
    Left { validator: String },
    /// A validator's stake is now another's.
    Merged { validator: String, into: String },
    /// So many percent of the chain's blocks from a slot on have at least so many blobs.
    BlobsPerBlock {
        count: usize,
        percent: u64,
        #[serde(default)]
        from_slot: u64,
    },
    /// A group and a solo validator, one at least of each, have proposed a block with blobs that is in the chain.
    BlobsOfGroupsAndSolo {},
    /// At the end, nodes have all columns that they are to keep of the chain's blocks from a slot on, but for the last two
    /// slots. All nodes that run, if none is named.
    Available {
        #[serde(default)]
        nodes: Vec<NodeNumber>,
        #[serde(default)]
        from_slot: u64,
    },
    /// A node that is cut off from half of the columns follows the chain all the same: it recovers those of each block
    /// that is not its own.
    Recovered {
        node: NodeNumber,
        from_slot: u64,
        to_slot: u64,
    },
    /// The head of a node never is a block whose columns it lacks; it stays behind, and says which columns nobody has.
    KeepsParent {
        node: NodeNumber,
        from_slot: u64,
        to_slot: u64,
    },
    /// Blocks of solo validators of nodes that withhold their columns have no votes from other nodes until the columns are
    /// released.
    WithheldNotAttested {
        nodes: Vec<NodeNumber>,
        from_slot: u64,
        to_slot: u64,
    },
    /// All nodes that run at the end have imported these blocks: they know them, or did before others were final.
    ImportedLate {
        nodes: Vec<NodeNumber>,
        from_slot: u64,
        to_slot: u64,
    },
}

/// Megabytes that a validator client takes at most, and beside that for each blob of a block that it proposes.
const VALIDATOR_CLIENT_MB: u64 = 60;
const VALIDATOR_CLIENT_MB_PER_BLOB: u64 = 12;

/// What holds for a devnet in which nothing is broken on purpose, and blocks have so many blobs.
pub(crate) fn healthy(blobs: usize) -> Vec<Check> {
    vec![
        Check::OneChain {},
        Check::FinalityLag { epochs: 3 },
        Check::SlotsFilled { percent: 95 },
        Check::Counted {
            validator: None,
            from: 0,
            to: None,
            excuse_empty_slots: false,
        },
        Check::RankZero {},
        Check::RewardsLikeControl {},
        Check::NoDoubleSignature { voters: Vec::new() },
        Check::Memory {
            beacon_node_mb: 250,
            validator_client_mb: VALIDATOR_CLIENT_MB + VALIDATOR_CLIENT_MB_PER_BLOB * blobs as u64,
            execution_client_mb: None,
        },
    ]
}

/// Something that should have held and did not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// Which check.
    pub check: String,
    /// What was found.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.reason)
    }
}

impl Check {
    /// As in scenarios.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::OneChain {} => "one_chain",
            Self::FinalityLag { .. } => "finality_lag",
            Self::SlotsFilled { .. } => "slots_filled",
            Self::Counted { .. } => "counted",
            Self::NotCounted { .. } => "not_counted",
            Self::LikeOffline { .. } => "like_offline",
            Self::RankZero {} => "rank_zero",
            Self::Fallback { .. } => "fallback",
            Self::ProposalsMade { .. } => "proposals_made",
            Self::RewardsLikeControl {} => "rewards_like_control",
            Self::NoDoubleSignature { .. } => "no_double_signature",
            Self::InSync { .. } => "in_sync",
            Self::OneMessagePerLeaf { .. } => "one_message_per_leaf",
            Self::SeatVotesWith { .. } => "seat_votes_with",
            Self::TakesOver { .. } => "takes_over",
            Self::Memory { .. } => "memory",
            Self::BalancesAddUp {} => "balances_add_up",
            Self::TransactionsSucceed { .. } => "transactions_succeed",
            Self::Deposited { .. } => "deposited",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Left { .. } => "left",
            Self::Merged { .. } => "merged",
            Self::BlobsPerBlock { .. } => "blobs_per_block",
            Self::BlobsOfGroupsAndSolo {} => "blobs_of_groups_and_solo",
            Self::Available { .. } => "available",
            Self::Recovered { .. } => "recovered",
            Self::KeepsParent { .. } => "keeps_parent",
            Self::WithheldNotAttested { .. } => "withheld_not_attested",
            Self::ImportedLate { .. } => "imported_late",
        }
    }

    /// Whether it looks at the balances of both layers at the end.
    pub(crate) fn needs_books(&self) -> bool {
        matches!(
            self,
            Self::BalancesAddUp {}
                | Self::TransactionsSucceed { .. }
                | Self::Deposited { .. }
                | Self::Withdrawn { .. }
                | Self::Left { .. }
                | Self::Merged { .. }
        )
    }

    /// Whether it is about blocks with blobs.
    pub(crate) fn needs_blobs(&self) -> bool {
        matches!(
            self,
            Self::BlobsPerBlock { .. }
                | Self::BlobsOfGroupsAndSolo {}
                | Self::Available { .. }
                | Self::Recovered { .. }
                | Self::KeepsParent { .. }
                | Self::WithheldNotAttested { .. }
                | Self::ImportedLate { .. }
        )
    }

    /// Whether it needs the heads and recoveries of its nodes in each slot.
    pub(crate) fn watches_nodes(&self) -> bool {
        matches!(self, Self::Recovered { .. } | Self::KeepsParent { .. })
    }

    /// Numbers of nodes that the check speaks of.
    pub(crate) fn nodes(&self) -> &[NodeNumber] {
        match self {
            Self::InSync { node, .. } | Self::Recovered { node, .. } | Self::KeepsParent { node, .. } => {
                std::slice::from_ref(node)
            }
            Self::Available { nodes, .. }
            | Self::WithheldNotAttested { nodes, .. }
            | Self::ImportedLate { nodes, .. } => nodes,
            _ => &[],
        }
    }

    /// Slots that the check speaks of.
    pub(crate) fn slots(&self) -> Option<(u64, Option<u64>)> {
        match self {
            Self::Fallback { from_slot, to_slot } | Self::ProposalsMade { from_slot, to_slot, .. } => {
                Some((*from_slot, *to_slot))
            }
            Self::InSync {
                from_slot,
                within_slots,
                ..
            } => Some((*from_slot, Some(from_slot.saturating_add(*within_slots)))),
            Self::BlobsPerBlock { from_slot, .. } | Self::Available { from_slot, .. } => Some((*from_slot, None)),
            Self::Recovered { from_slot, to_slot, .. }
            | Self::KeepsParent { from_slot, to_slot, .. }
            | Self::WithheldNotAttested { from_slot, to_slot, .. }
            | Self::ImportedLate { from_slot, to_slot, .. } => Some((*from_slot, Some(*to_slot))),
            _ => None,
        }
    }

    /// Names of validators that the check speaks of.
    pub(crate) fn validators(&self) -> Vec<&str> {
        match self {
            Self::Counted {
                validator: Some(name), ..
            }
            | Self::NotCounted { validator: name, .. }
            | Self::LikeOffline { validator: name, .. }
            | Self::ProposalsMade { validator: name, .. }
            | Self::SeatVotesWith { validator: name, .. }
            | Self::Deposited { validator: name, .. }
            | Self::Withdrawn { validator: name, .. }
            | Self::Left { validator: name }
            | Self::TakesOver { validator: name, .. } => vec![name],
            Self::Merged { validator, into } => vec![validator, into],
            Self::OneMessagePerLeaf { validators, .. } => validators.iter().map(String::as_str).collect(),
            Self::NoDoubleSignature { voters } => voters.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// What does not hold. Before the end, only what cannot become right any more.
    pub(crate) fn violations(&self, record: &Record, finished: bool) -> Vec<Violation> {
        let reasons = match self {
            Self::OneChain {} => one_chain(record),
            Self::FinalityLag { epochs } => finality_lag(record, *epochs),
            Self::SlotsFilled { percent } if finished => slots_filled(record, *percent),
            Self::Counted {
                validator,
                from,
                to,
                excuse_empty_slots,
            } => counted(
                record,
                validator.as_deref(),
                (*from, *to),
                *excuse_empty_slots,
                finished,
            ),
            Self::NotCounted { validator, from, to } => not_counted(record, validator, *from, *to, finished),
            Self::LikeOffline { validator, from, to } => like_offline(record, validator, *from, *to, finished),
            Self::RankZero {} => rank_zero(record),
            Self::Fallback { from_slot, to_slot } if finished => fallback(record, *from_slot, *to_slot),
            Self::ProposalsMade {
                validator,
                from_slot,
                to_slot,
            } if finished => proposals_made(record, validator, *from_slot, *to_slot),
            Self::RewardsLikeControl {} => rewards_like_control(record).1,
            Self::NoDoubleSignature { voters } => no_double_signature(record, voters, finished),
            Self::InSync {
                node,
                from_slot,
                within_slots,
            } => in_sync(record, *node, (from_slot + within_slots, u64::MAX), finished),
            Self::OneMessagePerLeaf { validators, leaves } => {
                one_message_per_leaf(record, validators, *leaves, finished)
            }
            Self::SeatVotesWith {
                validator,
                seat,
                scheme,
                by,
            } => seat_votes_with(record, validator, (*seat, *scheme), *by, finished),
            Self::TakesOver {
                validator,
                threshold,
                size,
                by,
            } => takes_over(record, validator, *threshold, *size, *by, finished),
            Self::Memory {
                beacon_node_mb,
                validator_client_mb,
                execution_client_mb,
            } => memory(record, *beacon_node_mb, *validator_client_mb, *execution_client_mb),
            Self::BalancesAddUp {} if finished => books::balances_add_up(record),
            Self::TransactionsSucceed { at_least } if finished => books::transactions_succeed(record, *at_least),
            Self::Deposited { validator, eth } if finished => books::deposited(record, validator, *eth),
            Self::Withdrawn { validator, eth } if finished => books::withdrawn(record, validator, *eth),
            Self::Left { validator } if finished => books::left(record, validator),
            Self::Merged { validator, into } if finished => books::merged(record, validator, into),
            Self::BlobsPerBlock {
                count,
                percent,
                from_slot,
            } if finished => blobs::blobs_per_block(record, *count, *percent, *from_slot),
            Self::BlobsOfGroupsAndSolo {} if finished => blobs::blobs_of_groups_and_solo(record),
            Self::Available { nodes, from_slot } if finished => blobs::available(record, nodes, *from_slot),
            Self::Recovered {
                node,
                from_slot,
                to_slot,
            } if finished => {
                let mut reasons = in_sync(record, *node, (*from_slot, *to_slot), finished);
                reasons.extend(blobs::recovered(record, *node, (*from_slot, *to_slot)));
                reasons
            }
            Self::KeepsParent {
                node,
                from_slot,
                to_slot,
            } if finished => blobs::keeps_parent(record, *node, (*from_slot, *to_slot)),
            Self::WithheldNotAttested {
                nodes,
                from_slot,
                to_slot,
            } if finished => blobs::withheld_not_attested(record, nodes, (*from_slot, *to_slot)),
            Self::ImportedLate {
                nodes,
                from_slot,
                to_slot,
            } if finished => blobs::imported_late(record, nodes, (*from_slot, *to_slot)),
            // Those that are looked at in the end only.
            _ => Vec::new(),
        };
        let check = self.name();
        reasons
            .into_iter()
            .map(|reason| Violation {
                check: check.to_owned(),
                reason,
            })
            .collect()
    }
}

fn one_chain(record: &Record) -> Vec<String> {
    let mut reasons = record.forks.clone();
    for (position, sample) in record.finality.iter().enumerate() {
        let other = record
            .finality
            .iter()
            .take(position)
            .find(|other| other.finalized == sample.finalized && other.finalized_root != sample.finalized_root);
        if let Some(other) = other {
            reasons.push(format!(
                "in epoch {} node {} finalised {} and node {} {}",
                sample.finalized, other.node, other.finalized_root, sample.node, sample.finalized_root
            ));
        }
    }
    reasons
}

fn finality_lag(record: &Record, limit: u64) -> Vec<String> {
    // One reason for each epoch, not one for each sample.
    let mut behind: BTreeMap<(u64, u64), BTreeSet<usize>> = BTreeMap::new();
    for sample in record.finality.iter().filter(|sample| sample.settled) {
        let epoch = record.epoch_of(sample.head_slot);
        if epoch.saturating_sub(sample.finalized) > limit {
            behind.entry((epoch, sample.finalized)).or_default().insert(sample.node);
        }
    }
    behind
        .into_iter()
        .map(|((epoch, finalized), nodes)| {
            format!(
                "with their head in epoch {epoch} nodes {nodes:?} have finalised epoch {finalized} only: {} epochs behind, at most {limit} allowed",
                epoch.saturating_sub(finalized)
            )
        })
        .collect()
}

fn slots_filled(record: &Record, percent: u64) -> Vec<String> {
    let slots = record.slots.len() as u64;
    let empty: Vec<u64> = record
        .slots
        .iter()
        .filter(|(_, slot)| slot.block.is_none())
        .map(|(slot, _)| *slot)
        .collect();
    let filled = slots - empty.len() as u64;
    if slots > 0 && filled * 100 >= slots * percent {
        return Vec::new();
    }
    vec![format!(
        "{filled} of {slots} slots have a block, at least {percent} % expected; empty: {empty:?}"
    )]
}

fn no_double_signature(record: &Record, voters: &[String], finished: bool) -> Vec<String> {
    let mut reasons: Vec<String> = record.offences.iter().cloned().collect();
    for (epoch, entry) in &record.epochs {
        for (index, validator) in &entry.validators {
            if validator.slashed {
                reasons.push(format!("{} is slashed as of epoch {epoch}", record.name(*index)));
            }
        }
    }
    if finished {
        for name in voters {
            let seen = record
                .votes_seen
                .keys()
                .any(|signer| record.name(registry_index(*signer)) == *name);
            if !seen {
                reasons.push(format!("no vote of {name} was seen on the network: nothing was shown"));
            }
        }
    }
    reasons
}

fn in_sync(record: &Record, node: usize, (from, to): (u64, u64), finished: bool) -> Vec<String> {
    let samples: Vec<_> = record
        .heads
        .iter()
        .filter(|sample| sample.node == node && (from..=to).contains(&sample.slot))
        .collect();
    let mut reasons: Vec<String> = samples
        .iter()
        // A block may be late.
        .map(|sample| (sample, latest_block(record, sample.slot.saturating_sub(2))))
        .filter(|(sample, latest)| sample.is_syncing || sample.head_slot < *latest)
        .map(|(sample, latest)| {
            format!(
                "at slot {} the head of node {node} is at slot {}, though there is a block in slot {latest}{}",
                sample.slot,
                sample.head_slot,
                if sample.is_syncing { ", and it is syncing" } else { "" }
            )
        })
        .collect();
    if finished && samples.is_empty() {
        reasons.push(format!("node {node} did not answer after slot {from}"));
    }
    reasons
}

/// The last slot up to `slot` with a block of the chain; 0 for the genesis.
fn latest_block(record: &Record, slot: u64) -> u64 {
    let blocks = record.slots.range(..=slot).filter(|(_, slot)| slot.block.is_some());
    blocks.map(|(slot, _)| *slot).next_back().unwrap_or(0)
}

fn takes_over(record: &Record, name: &str, threshold: u64, size: u64, by: u64, finished: bool) -> Vec<String> {
    let Some(index) = record.index_of(name) else {
        return vec![format!("there is no validator {name:?}")];
    };
    let group = record
        .epochs
        .iter()
        .filter_map(|(epoch, entry)| Some((*epoch, entry.groups.get(&index)?)))
        .find(|(epoch, group)| group.size > 0 && group.activation_epoch <= *epoch);
    let Some((first, group)) = group else {
        return if finished {
            vec![format!("{name} has not become a group")]
        } else {
            Vec::new()
        };
    };
    let mut reasons = Vec::new();
    if (group.threshold, group.size) != (threshold, size) || first > by {
        reasons.push(format!(
            "{name} is {}-of-{} from epoch {first} on, expected {threshold}-of-{size} by epoch {by}",
            group.threshold, group.size
        ));
    }
    let all: Vec<u8> = (0..).take(usize::try_from(size).unwrap_or(0)).collect();
    for (epoch, entry) in record.epochs.range(first..) {
        let Some(group) = entry.groups.get(&index) else {
            continue;
        };
        if group.source != all || group.target != all {
            reasons.push(format!(
                "in epoch {epoch} not all seats of {name} voted: source {:?}, target {:?}",
                group.source, group.target
            ));
        }
    }
    for (slot, entry) in record.slots.range(first.saturating_mul(record.slots_per_epoch)..) {
        if let Some(block) = &entry.block
            && block.proposer == index
            && (block.signers.len() as u64) < threshold
        {
            reasons.push(format!(
                "the block of {name} at slot {slot} has {} signers, expected at least {threshold}",
                block.signers.len()
            ));
        }
    }
    reasons
}

fn memory(
    record: &Record,
    beacon_node_mb: u64,
    validator_client_mb: u64,
    execution_client_mb: Option<u64>,
) -> Vec<String> {
    record
        .processes
        .iter()
        .filter_map(|(name, process)| {
            let limit = match name.split_once('-') {
                Some(("bn", _)) => beacon_node_mb,
                Some(("el", _)) => execution_client_mb?,
                _ => validator_client_mb,
            };
            (process.peak_resident_kb > limit.saturating_mul(1024)).then(|| {
                format!(
                    "{name} took {} MB, at most {limit} MB allowed",
                    process.peak_resident_kb.div_ceil(1024)
                )
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
