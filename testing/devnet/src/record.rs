//! What was seen, as plain values: the report, and what invariants are checked on.

use crate::blobs_seen::BlobsSeen;
use crate::books::{BlockBook, Closing};
use crate::layout::{Duty, Layout, NodeNumber};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use types::{Epoch, Root, SignerIndex, SignerKey, Slot};

/// Everything that was seen.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Record {
    pub(crate) scenario: Option<String>,
    pub(crate) genesis_time: u64,
    pub(crate) slot_ms: u64,
    pub(crate) slots_per_epoch: u64,
    /// Names, by registry index.
    pub(crate) validators: Vec<ValidatorName>,
    /// Registry index of the solo validator that the first group is compared with.
    pub(crate) control: u64,
    /// Slots of the chain that the followed node sees, empty ones too.
    pub(crate) slots: BTreeMap<u64, SlotRecord>,
    /// Epochs whose votes can no longer be included.
    pub(crate) epochs: BTreeMap<u64, EpochRecord>,
    /// Finalised and justified epochs of nodes.
    pub(crate) finality: Vec<FinalitySample>,
    /// Heads of nodes.
    pub(crate) heads: Vec<HeadSample>,
    /// Finalised slots in which nodes have different blocks.
    pub(crate) forks: Vec<String>,
    /// Messages of one signer that contradict each other, and slashings.
    pub(crate) offences: BTreeSet<String>,
    /// Votes that were looked at for contradictions, by signer.
    pub(crate) votes_seen: BTreeMap<u64, u64>,
    /// Resident memory.
    pub(crate) processes: BTreeMap<String, ProcessRecord>,
    /// Part of the processors' time that the machine's host gave to others, by slot: since the slot before was looked at.
    pub(crate) stolen_percent: BTreeMap<u64, u64>,
    /// What the scenario did.
    pub(crate) events: Vec<String>,
    /// What each block of the chain does to balances, by slot.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) books: BTreeMap<u64, BlockBook>,
    /// Why execution clients refused transactions.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) refused: BTreeSet<String>,
    /// Balances of both layers at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) closing: Option<Closing>,
    /// What was seen of blocks with blobs, if blocks have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blobs: Option<BlobsSeen>,
    /// Nodes that hold the keys of each validator: one, or those of a group in the order of its keys.
    #[serde(skip)]
    pub(crate) holders: Vec<Vec<NodeNumber>>,
    /// What was read of hash-based keys, by validator and place of the key.
    pub(crate) leaves: BTreeMap<String, LeafCount>,
    /// Messages with such signatures that were not read, because nobody could say whose they are.
    pub(crate) messages_unread: u64,
    #[serde(skip)]
    pub(crate) leaf_uses: BTreeMap<(SignerKey, u64), LeafUse>,
    #[serde(skip)]
    pub(crate) votes: BTreeMap<(u64, u64), Vote>,
    #[serde(skip)]
    pub(crate) headers: BTreeMap<(u64, u64), Root>,
}

/// What was read of a hash-based key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct LeafCount {
    /// Leaves that have signed.
    pub(crate) leaves: u64,
    /// Signatures that were read: the same one at each node, alone and in aggregates and blocks.
    pub(crate) signatures: u64,
}

/// What a leaf has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeafUse {
    pub(crate) kind: &'static str,
    /// Of the message.
    pub(crate) root: Root,
    /// Hash of the signature's bytes.
    pub(crate) signature: [u8; 32],
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ValidatorName {
    pub(crate) index: u64,
    pub(crate) name: String,
    pub(crate) group: bool,
}

/// A slot.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct SlotRecord {
    /// Who was to propose.
    pub(crate) due: Option<u64>,
    pub(crate) block: Option<BlockRecord>,
}

/// A block of the chain.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BlockRecord {
    pub(crate) root: Root,
    pub(crate) proposer: u64,
    /// Keys of a group that signed.
    pub(crate) signers: Vec<u8>,
    /// How it came together, if it is a group's and a node has told.
    pub(crate) assembly: Option<Assembly>,
}

/// How a group's block came together.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Assembly {
    pub(crate) rank: u64,
    pub(crate) threshold: u64,
    pub(crate) size: u64,
    /// By node: when the proposal and when the threshold was seen, in milliseconds into the slot.
    pub(crate) seen: BTreeMap<usize, Times>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Times {
    pub(crate) proposal_ms: u64,
    pub(crate) threshold_ms: u64,
}

/// An epoch after its last chance: nothing of it changes any more.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct EpochRecord {
    /// Sum of effective balances of active validators, in Gwei.
    pub(crate) total_active_balance: u64,
    /// By registry index.
    pub(crate) validators: BTreeMap<u64, ValidatorEpoch>,
    /// By registry index.
    pub(crate) groups: BTreeMap<u64, GroupEpoch>,
}

/// What an epoch gave a validator.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ValidatorEpoch {
    /// Gwei at the end of the next epoch.
    pub(crate) balance: u64,
    pub(crate) effective_balance: u64,
    pub(crate) slashed: bool,
    /// Gwei for the votes.
    pub(crate) source: i64,
    pub(crate) target: i64,
    pub(crate) head: i64,
    pub(crate) inactivity: i64,
    /// Slot of the committee.
    pub(crate) duty_slot: Option<u64>,
    /// Which block the chain has at that slot.
    pub(crate) head_root: Option<Root>,
    /// Which block the votes that were seen on the network are for: signers by head.
    pub(crate) head_votes: BTreeMap<Root, Vec<u64>>,
}

impl ValidatorEpoch {
    /// Whether source and target counted: those who miss them pay.
    pub(crate) fn counted(&self) -> bool {
        self.source >= 0 && self.target >= 0
    }
}

/// Seats of a group whose votes are in the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct GroupEpoch {
    pub(crate) threshold: u64,
    pub(crate) size: u64,
    pub(crate) activation_epoch: u64,
    /// Number of each key's scheme.
    pub(crate) schemes: Vec<u8>,
    pub(crate) source: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) head: Vec<u8>,
}

impl GroupEpoch {
    pub(crate) fn counts(&self, seats: &[u8]) -> bool {
        self.threshold > 0 && seats.len() as u64 >= self.threshold
    }
}

/// What a node says about finality.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct FinalitySample {
    pub(crate) slot: u64,
    /// Slot of the node's head.
    pub(crate) head_slot: u64,
    pub(crate) node: usize,
    pub(crate) justified: u64,
    pub(crate) finalized: u64,
    pub(crate) finalized_root: Root,
    /// Whether the node has been up for an epoch.
    pub(crate) settled: bool,
}

/// What a node says about its head.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct HeadSample {
    pub(crate) slot: u64,
    pub(crate) node: usize,
    pub(crate) head_slot: u64,
    pub(crate) is_syncing: bool,
}

/// A process in the course of the run.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ProcessRecord {
    /// Largest resident memory, as the kernel counts it, in kilobytes.
    pub(crate) peak_resident_kb: u64,
    /// Resident memory when last seen, in kilobytes.
    pub(crate) resident_kb: u64,
    pub(crate) starts: u64,
}

/// What an attestation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) slot: u64,
    pub(crate) source: u64,
    pub(crate) source_root: Root,
    pub(crate) target: u64,
    pub(crate) target_root: Root,
    pub(crate) head: Root,
}

impl Vote {
    fn surrounds(&self, other: &Self) -> bool {
        self.source < other.source && other.target < self.target
    }
}

impl Record {
    /// Of a network in which nothing was seen yet.
    pub(crate) fn new(layout: &Layout, genesis_time: u64, slot_ms: u64, slots_per_epoch: u64) -> Self {
        let names = layout.validators.iter().map(|planned| &planned.name);
        let validators = names
            .chain(&layout.newcomers)
            .enumerate()
            .map(|(index, name)| ValidatorName {
                index: index as u64,
                name: name.clone(),
                group: layout.is_or_becomes_group(index),
            });
        let holders = layout.validators.iter().map(|planned| match &planned.duty {
            Duty::Solo { node } => vec![*node],
            Duty::Group { members, .. } => members.clone(),
        });
        Self {
            genesis_time,
            slot_ms,
            slots_per_epoch,
            validators: validators.collect(),
            control: layout.control as u64,
            holders: holders.collect(),
            ..Self::default()
        }
    }

    /// The node that holds a signer's key.
    pub(crate) fn holder(&self, signer: u64) -> Option<NodeNumber> {
        let (validator, key) = SignerIndex::new(signer).split();
        let holders = self.holders.get(usize::try_from(validator.as_u64()).ok()?)?;
        holders.get(key.map_or(0, usize::from)).copied()
    }

    /// Name of a validator, or its index.
    pub(crate) fn name(&self, index: u64) -> String {
        self.validators
            .iter()
            .find(|validator| validator.index == index)
            .map_or_else(|| index.to_string(), |validator| validator.name.clone())
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u64> {
        self.validators
            .iter()
            .find(|validator| validator.name == name)
            .map(|validator| validator.index)
    }

    /// Latest slot that was observed.
    pub(crate) fn last_slot(&self) -> u64 {
        self.slots.last_key_value().map_or(0, |(slot, _)| *slot)
    }

    pub(crate) fn epoch_of(&self, slot: u64) -> u64 {
        slot.checked_div(self.slots_per_epoch).unwrap_or(0)
    }

    /// The block that the chain has at a slot: the latest one up to it.
    pub(crate) fn block_at(&self, slot: u64) -> Option<Root> {
        self.slots
            .range(..=slot)
            .rev()
            .find_map(|(_, record)| record.block.as_ref().map(|block| block.root))
    }

    /// Takes a vote; contradictions with earlier ones become offences.
    pub(crate) fn add_vote(&mut self, signer: u64, vote: Vote) {
        if let Some(earlier) = self.votes.get(&(signer, vote.target)) {
            if *earlier != vote {
                self.offences
                    .insert(format!("signer {signer} voted twice for target epoch {}", vote.target));
            }
            return;
        }
        let surround = self
            .votes
            .range((signer, 0)..=(signer, u64::MAX))
            .find(|(_, earlier)| earlier.surrounds(&vote) || vote.surrounds(earlier));
        if let Some(((_, target), _)) = surround {
            self.offences.insert(format!(
                "votes of signer {signer} for target epochs {target} and {} surround each other",
                vote.target
            ));
        }
        self.votes.insert((signer, vote.target), vote);
        *self.votes_seen.entry(signer).or_default() += 1;
    }

    /// Takes a signature by a leaf. One over another message, or with other bytes, is an offence.
    pub(crate) fn add_leaf(&mut self, key: SignerKey, name: &str, leaf: u64, found: LeafUse) {
        let count = self.leaves.entry(name.to_owned()).or_default();
        count.signatures += 1;
        let first = *self.leaf_uses.entry((key, leaf)).or_insert_with(|| {
            count.leaves += 1;
            found
        });
        if first != found {
            self.offences.insert(format!(
                "leaf {leaf} of key {name} has signed a {} {:?} and a {} {:?}",
                first.kind, first.root, found.kind, found.root
            ));
        }
    }

    /// Name of a validator with the place of a key.
    pub(crate) fn name_of_signer(&self, signer: u64) -> String {
        let (validator, key) = SignerIndex::new(signer).split();
        let name = self.name(validator.as_u64());
        key.map_or_else(|| name.clone(), |key| format!("{name}.{key}"))
    }

    /// Takes a block's header; a second one of the same proposer is an offence.
    pub(crate) fn add_header(&mut self, slot: u64, proposer: u64, root: Root) {
        let first = *self.headers.entry((slot, proposer)).or_insert(root);
        if first != root {
            self.offences
                .insert(format!("{} signed two blocks for slot {slot}", self.name(proposer)));
        }
    }

    /// Times from the start of the slot to the threshold of all group blocks in the chain, as all nodes saw them,
    /// ascending.
    pub(crate) fn times_to_threshold(&self) -> Vec<u64> {
        let mut times: Vec<u64> = self
            .slots
            .values()
            .filter_map(|slot| slot.block.as_ref()?.assembly.as_ref())
            .flat_map(|assembly| assembly.seen.values().map(|times| times.threshold_ms))
            .collect();
        times.sort_unstable();
        times
    }
}

/// The value below which lie so many percent of ascending values.
pub(crate) fn percentile(ascending: &[u64], percent: usize) -> Option<u64> {
    let last = ascending.len().checked_sub(1)?;
    ascending.get((last * percent).div_ceil(100).min(last)).copied()
}

/// Registry and key index of a signer.
pub(crate) fn registry_index(signer: u64) -> u64 {
    let (validator, _) = SignerIndex::new(signer).split();
    validator.as_u64()
}

/// Slots of an epoch.
pub(crate) fn first_slot(epoch: u64, slots_per_epoch: u64) -> u64 {
    epoch.saturating_mul(slots_per_epoch)
}

pub(crate) fn as_slot(slot: u64) -> Slot {
    Slot::new(slot)
}

pub(crate) fn as_epoch(epoch: u64) -> Epoch {
    Epoch::new(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(source: u64, target: u64, head: u8) -> Vote {
        Vote {
            slot: target * 8,
            source,
            source_root: Root::ZERO,
            target,
            target_root: Root::ZERO,
            head: Root::repeat_byte(head),
        }
    }

    #[test]
    fn a_vote_seen_twice_is_no_offence_and_another_one_is() {
        let mut record = Record::default();
        let signer = 5;
        record.add_vote(signer, vote(1, 2, 1));
        record.add_vote(signer, vote(1, 2, 1));
        record.add_vote(signer, vote(2, 3, 1));
        record.add_vote(6, vote(1, 2, 2));
        assert!(record.offences.is_empty());
        assert_eq!(record.votes_seen.get(&5), Some(&2));
        record.add_vote(signer, vote(1, 2, 2));
        assert_eq!(record.offences.len(), 1);
    }

    #[test]
    fn surrounding_votes_are_an_offence_in_both_orders() {
        for order in [[(1, 6), (2, 5)], [(2, 5), (1, 6)]] {
            let mut record = Record::default();
            for (source, target) in order {
                record.add_vote(5, vote(source, target, 1));
            }
            assert_eq!(record.offences.len(), 1, "{order:?}");
        }
    }

    #[test]
    fn two_blocks_of_one_proposer_for_a_slot_are_an_offence() {
        let mut record = Record::default();
        record.add_header(7, 1, Root::repeat_byte(1));
        record.add_header(7, 1, Root::repeat_byte(1));
        record.add_header(7, 2, Root::repeat_byte(2));
        record.add_header(8, 1, Root::repeat_byte(3));
        assert!(record.offences.is_empty());
        record.add_header(7, 1, Root::repeat_byte(2));
        assert_eq!(record.offences.len(), 1);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = [10, 20, 30, 40];
        assert_eq!(percentile(&values, 0), Some(10));
        assert_eq!(percentile(&values, 50), Some(30));
        assert_eq!(percentile(&values, 100), Some(40));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn an_empty_slot_has_the_block_before_it() {
        let mut record = Record::default();
        record.slots.insert(
            1,
            SlotRecord {
                due: None,
                block: Some(BlockRecord {
                    root: Root::repeat_byte(1),
                    proposer: 0,
                    signers: Vec::new(),
                    assembly: None,
                }),
            },
        );
        record.slots.insert(2, SlotRecord::default());
        assert_eq!(record.block_at(2), Some(Root::repeat_byte(1)));
        assert_eq!(record.block_at(0), None);
    }
}
