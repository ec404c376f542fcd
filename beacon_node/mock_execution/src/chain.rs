//! The toy chain: a tree of headers with real hashes, a forkchoice, and payload builds.
//!
//! In come payloads, forkchoice updates and build requests, out go the answers of the Engine API. Each
//! block here was checked against its parent, but for the genesis and *anchors*. Blocks
//! whose parent is missing wait in `pending`.
//!
//! **Recovery rule.** A real execution client that gets a head it cannot connect fetches what is
//! missing from its peers. The toy has no peers, so: a head whose ancestors are missing is answered
//! with SYNCING, and when the beacon node has asked `sync_after` times for such heads in a row, the
//! oldest ancestor that waits is taken as an *anchor*, as if the sync had ended, and
//! its descendants are checked upwards from there. With a journal (see `journal.rs`) this is
//! needed only where the journal was lost.

use crate::build::Builder;
use crate::header::{Header, blob_versioned_hashes};
use crate::journal::{Journal, JournalError};
use crate::wire::{Attributes, Forkchoice, ForkchoiceUpdated, Payload, Status, Withdrawal};
use alloy_primitives::{B256, Bytes, FixedBytes, keccak256};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;

/// Blocks without a parent that are kept.
const MAX_PENDING: usize = 1024;
/// Blocks remembered as invalid.
const MAX_INVALID: usize = 1024;
/// Blocks kept at most, if nothing finalizes.
const MAX_BLOCKS: usize = 32_768;
/// Journal lines above the live ones before the file is rewritten.
const JOURNAL_SLACK: usize = 8_192;

/// A block of the toy chain: its header and what an explorer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Keccak of the RLP header.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Hashes of the transactions.
    pub transactions: Vec<B256>,
    /// The withdrawals.
    pub withdrawals: Vec<Withdrawal>,
    /// Execution requests, each `request_type ++ ssz`.
    pub requests: Vec<Bytes>,
    /// How many blobs the transactions carry.
    pub blobs: usize,
    /// Taken without a check against its parent.
    #[serde(default)]
    pub anchor: bool,
}

/// A JSON-RPC error of the Engine API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl RpcError {
    pub(crate) fn invalid_params(why: impl ToString) -> Self {
        Self {
            code: -32602,
            message: format!("Invalid params: {}", why.to_string()),
        }
    }
    pub(crate) fn internal(why: impl ToString) -> Self {
        Self {
            code: -32603,
            message: format!("Internal error: {}", why.to_string()),
        }
    }
    pub(crate) fn unknown_payload(id: FixedBytes<8>) -> Self {
        Self {
            code: -38001,
            message: format!("Unknown payload: {id}"),
        }
    }
    fn invalid_forkchoice(why: impl ToString) -> Self {
        Self {
            code: -38002,
            message: format!("Invalid forkchoice state: {}", why.to_string()),
        }
    }
    pub(crate) fn invalid_attributes(why: impl ToString) -> Self {
        Self {
            code: -38003,
            message: format!("Invalid payload attributes: {}", why.to_string()),
        }
    }
}

/// How much the chain keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) retain: u64,
    pub(crate) sync_after: Option<u32>,
}

pub(crate) struct Chain {
    genesis: B256,
    blocks: HashMap<B256, Block>,
    by_number: BTreeMap<u64, Vec<B256>>,
    pending: HashMap<B256, Block>,
    pending_order: VecDeque<B256>,
    /// Invalid block -> latest valid ancestor, if known.
    invalid: HashMap<B256, Option<B256>>,
    invalid_order: VecDeque<B256>,
    forkchoice: Forkchoice,
    unresolved_heads: u32,
    pub(crate) builder: Builder,
    journal: Option<Journal>,
    limits: Limits,
}

impl Chain {
    pub(crate) fn open(genesis: Block, data_dir: Option<&Path>, limits: Limits) -> Result<Self, JournalError> {
        let hash = genesis.hash;
        let mut chain = Self {
            genesis: hash,
            blocks: HashMap::new(),
            by_number: BTreeMap::new(),
            pending: HashMap::new(),
            pending_order: VecDeque::new(),
            invalid: HashMap::new(),
            invalid_order: VecDeque::new(),
            forkchoice: Forkchoice {
                head_block_hash: hash,
                ..Forkchoice::default()
            },
            unresolved_heads: 0,
            builder: Builder::default(),
            journal: None,
            limits,
        };
        chain.insert(genesis);
        if let Some(folder) = data_dir {
            let (journal, recovered) = Journal::open(folder, hash)?;
            for block in recovered.blocks {
                chain.insert(block);
            }
            if let Some(forkchoice) = recovered.forkchoice
                && chain.blocks.contains_key(&forkchoice.head_block_hash)
            {
                chain.forkchoice = forkchoice;
            }
            chain.journal = Some(journal);
        }
        Ok(chain)
    }

    pub(crate) fn forkchoice(&self) -> Forkchoice {
        self.forkchoice
    }

    /// Nothing is written from now on.
    pub(crate) fn close_journal(&mut self) {
        self.journal = None;
    }

    pub(crate) fn genesis(&self) -> B256 {
        self.genesis
    }

    pub(crate) fn block(&self, hash: B256) -> Option<&Block> {
        self.blocks.get(&hash)
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// The block of the canonical chain at this height.
    pub(crate) fn canonical(&self, number: u64) -> Option<&Block> {
        if number == 0 {
            return self.blocks.get(&self.genesis);
        }
        let mut block = self.blocks.get(&self.forkchoice.head_block_hash)?;
        while block.header.number > number {
            block = self.blocks.get(&block.header.parent_hash)?;
        }
        (block.header.number == number).then_some(block)
    }

    /// `engine_newPayloadV4`. `condemned` are blocks that a test has declared invalid.
    pub(crate) fn new_payload(
        &mut self,
        payload: &Payload,
        versioned_hashes: &[B256],
        parent_beacon_block_root: B256,
        requests: &[Bytes],
        condemned: &HashSet<B256>,
    ) -> Result<Status, RpcError> {
        let mut last_type = None;
        for request in requests {
            let kind = request.first().copied();
            if request.len() < 2 || kind <= last_type {
                return Err(RpcError::invalid_params(
                    "execution requests must be longer than a byte and ascend by type",
                ));
            }
            last_type = kind;
        }
        if let Some(at) = payload.transactions.iter().position(|bytes| bytes.is_empty()) {
            return Ok(Status::invalid(None, format!("transaction {at} is empty")));
        }
        let header = Header::from_payload(payload, parent_beacon_block_root, requests);
        let hash = header.hash();
        if hash != payload.block_hash {
            return Ok(Status::invalid(
                None,
                format!("block hash: computed {hash}, payload says {}", payload.block_hash),
            ));
        }
        let actual = blob_versioned_hashes(&payload.transactions);
        let Some(actual) = actual.filter(|actual| actual == versioned_hashes) else {
            return Ok(Status::invalid(None, "blob versioned hashes do not match"));
        };
        let block = Block {
            hash,
            header,
            transactions: payload.transactions.iter().map(keccak256).collect(),
            withdrawals: payload.withdrawals.clone(),
            requests: requests.to_vec(),
            blobs: actual.len(),
            anchor: false,
        };
        self.accept(block, condemned)
    }

    fn accept(&mut self, block: Block, condemned: &HashSet<B256>) -> Result<Status, RpcError> {
        let hash = block.hash;
        if let Some(status) = self.condemned(hash, block.header.parent_hash, condemned) {
            return Ok(status);
        }
        if let Some(latest_valid) = self.invalid.get(&hash) {
            return Ok(Status::invalid(*latest_valid, "known to be invalid"));
        }
        if self.blocks.contains_key(&hash) {
            return Ok(Status::valid(hash));
        }
        if let Some(&latest_valid) = self.invalid.get(&block.header.parent_hash) {
            self.mark_invalid(hash, latest_valid);
            return Ok(Status::invalid(latest_valid, "the parent is invalid"));
        }
        let Some(parent) = self.blocks.get(&block.header.parent_hash) else {
            self.wait(block);
            return Ok(Status::syncing());
        };
        if let Err(why) = block
            .header
            .check_child_of(&parent.header, block.transactions.len(), block.blobs)
        {
            let latest_valid = Some(parent.hash);
            self.mark_invalid(hash, latest_valid);
            return Ok(Status::invalid(latest_valid, why));
        }
        self.import(block)?;
        Ok(Status::valid(hash))
    }

    /// Whether the block or an ancestor is declared invalid, with the latest ancestor that is not.
    fn condemned(&self, hash: B256, parent: B256, condemned: &HashSet<B256>) -> Option<Status> {
        if condemned.is_empty() {
            return None;
        }
        let mut latest_valid = condemned.contains(&hash).then_some(parent);
        let mut ancestor = parent;
        while let Some(block) = self.blocks.get(&ancestor).or_else(|| self.pending.get(&ancestor)) {
            if condemned.contains(&ancestor) {
                latest_valid = Some(block.header.parent_hash);
            }
            ancestor = block.header.parent_hash;
        }
        let latest_valid = latest_valid?;
        let known = self.blocks.contains_key(&latest_valid).then_some(latest_valid);
        Some(Status::invalid(known, "declared invalid by the test"))
    }

    /// Takes a checked block, then all that waited for it.
    fn import(&mut self, block: Block) -> Result<(), RpcError> {
        let mut ready = vec![block];
        while let Some(block) = ready.pop() {
            if let Some(journal) = &mut self.journal {
                journal.append_block(&block).map_err(RpcError::internal)?;
            }
            self.builder.remove_from_queue(&block.requests);
            let parent = block.hash;
            self.insert(block);
            let children: Vec<B256> = self
                .pending
                .values()
                .filter(|child| child.header.parent_hash == parent)
                .map(|child| child.hash)
                .collect();
            for hash in children {
                let (Some(child), Some(parent)) = (self.pending.remove(&hash), self.blocks.get(&parent)) else {
                    continue;
                };
                let transactions = child.transactions.len();
                match child.header.check_child_of(&parent.header, transactions, child.blobs) {
                    Ok(()) => ready.push(child),
                    Err(_) => {
                        let latest_valid = Some(parent.hash);
                        self.mark_invalid(hash, latest_valid);
                    }
                }
            }
        }
        self.prune()
    }

    fn insert(&mut self, block: Block) {
        let (hash, number) = (block.hash, block.header.number);
        if self.blocks.insert(hash, block).is_none() {
            self.by_number.entry(number).or_default().push(hash);
        }
    }

    fn wait(&mut self, block: Block) {
        let hash = block.hash;
        if self.pending.insert(hash, block).is_none() {
            self.pending_order.push_back(hash);
        }
        while self.pending_order.len() > MAX_PENDING {
            if let Some(oldest) = self.pending_order.pop_front() {
                self.pending.remove(&oldest);
            }
        }
    }

    fn mark_invalid(&mut self, hash: B256, latest_valid: Option<B256>) {
        if self.invalid.insert(hash, latest_valid).is_none() {
            self.invalid_order.push_back(hash);
        }
        while self.invalid_order.len() > MAX_INVALID {
            if let Some(oldest) = self.invalid_order.pop_front() {
                self.invalid.remove(&oldest);
            }
        }
    }

    /// Drops what lies `retain` blocks below the finalized one, and the lowest blocks when there are
    /// too many. The genesis stays: the beacon node may name it at any time.
    fn prune(&mut self) -> Result<(), RpcError> {
        let finalized = self.forkchoice.finalized_block_hash;
        let floor = self
            .blocks
            .get(&finalized)
            .map_or(0, |block| block.header.number.saturating_sub(self.limits.retain));
        while let Some(mut lowest) = self.by_number.first_entry() {
            let too_many = self.blocks.len() > MAX_BLOCKS;
            if *lowest.key() >= floor && !too_many {
                break;
            }
            let hashes = std::mem::take(lowest.get_mut());
            lowest.remove();
            for hash in hashes.into_iter().filter(|hash| *hash != self.genesis) {
                self.blocks.remove(&hash);
            }
        }
        if self
            .journal
            .as_ref()
            .is_some_and(|journal| journal.lines() > self.blocks.len().saturating_add(JOURNAL_SLACK))
        {
            let live = self
                .by_number
                .values()
                .flatten()
                .filter_map(|hash| self.blocks.get(hash));
            if let Some(journal) = &mut self.journal {
                journal.rewrite(live, self.forkchoice).map_err(RpcError::internal)?;
            }
        }
        Ok(())
    }

    /// `engine_forkchoiceUpdatedV3`.
    pub(crate) fn forkchoice_updated(
        &mut self,
        forkchoice: Forkchoice,
        attributes: Option<Result<Attributes, RpcError>>,
        condemned: &HashSet<B256>,
    ) -> Result<ForkchoiceUpdated, RpcError> {
        let answer = |payload_status, payload_id| {
            Ok(ForkchoiceUpdated {
                payload_status,
                payload_id,
            })
        };
        let head = forkchoice.head_block_hash;
        if head.is_zero() {
            return Err(RpcError::invalid_forkchoice("the head is zero"));
        }
        if let Some(latest_valid) = self.invalid.get(&head) {
            return answer(Status::invalid(*latest_valid, "known to be invalid"), None);
        }
        if let Some(block) = self.blocks.get(&head).or_else(|| self.pending.get(&head))
            && let Some(status) = self.condemned(head, block.header.parent_hash, condemned)
        {
            return answer(status, None);
        }
        if !self.blocks.contains_key(&head) {
            self.unresolved_heads = self.unresolved_heads.saturating_add(1);
            self.finish_sync(head)?;
        }
        let Some(head_block) = self.blocks.get(&head) else {
            return match self.invalid.get(&head) {
                Some(latest_valid) => answer(Status::invalid(*latest_valid, "invalid"), None),
                None => answer(Status::syncing(), None),
            };
        };
        self.unresolved_heads = 0;
        let (head_number, head_timestamp) = (head_block.header.number, head_block.header.timestamp);
        for (name, hash) in [
            ("safe", forkchoice.safe_block_hash),
            ("finalized", forkchoice.finalized_block_hash),
        ] {
            if !hash.is_zero() && !self.is_ancestor(hash, head) {
                return Err(RpcError::invalid_forkchoice(format!(
                    "the {name} block {hash} is not in the chain of the head {head}"
                )));
            }
        }
        let known_finalized = self.forkchoice.finalized_block_hash;
        if known_finalized != head
            && let Some(finalized) = self.blocks.get(&known_finalized)
            && head_number < finalized.header.number
            && self.is_ancestor(head, known_finalized)
        {
            return answer(Status::valid(head), None);
        }
        if self.forkchoice != forkchoice {
            if let Some(journal) = &mut self.journal {
                journal.append_forkchoice(forkchoice).map_err(RpcError::internal)?;
            }
            self.forkchoice = forkchoice;
            self.prune()?;
        }
        let Some(attributes) = attributes else {
            return answer(Status::valid(head), None);
        };
        let attributes = attributes?;
        if attributes.timestamp <= head_timestamp {
            return Err(RpcError::invalid_attributes(format!(
                "timestamp {} is not later than the head's {head_timestamp}",
                attributes.timestamp
            )));
        }
        let head_block = self
            .blocks
            .get(&head)
            .ok_or_else(|| RpcError::internal("the head was pruned"))?;
        let id = self.builder.build(head_block, &attributes)?;
        answer(Status::valid(head), Some(id))
    }

    /// Whether `ancestor` is `descendant` or lies below it. A chain that ends at an anchor or where it
    /// was pruned is given the benefit of the doubt: what was below is not known any more.
    fn is_ancestor(&self, ancestor: B256, descendant: B256) -> bool {
        let lowest = self.blocks.get(&ancestor).map(|block| block.header.number);
        let mut hash = descendant;
        loop {
            if hash == ancestor {
                return true;
            }
            let Some(block) = self.blocks.get(&hash) else {
                return lowest.is_none();
            };
            if hash == self.genesis || lowest.is_some_and(|lowest| block.header.number <= lowest) {
                return false;
            }
            hash = block.header.parent_hash;
        }
    }

    /// The recovery rule of this module's head.
    fn finish_sync(&mut self, head: B256) -> Result<(), RpcError> {
        if self.limits.sync_after.is_none_or(|limit| self.unresolved_heads < limit) {
            return Ok(());
        }
        let mut oldest = None;
        let mut hash = head;
        while let Some(block) = self.pending.get(&hash) {
            oldest = Some(hash);
            hash = block.header.parent_hash;
        }
        let Some(mut anchor) = oldest.and_then(|hash| self.pending.remove(&hash)) else {
            return Ok(());
        };
        tracing::info!(
            number = anchor.header.number,
            hash = %anchor.hash,
            "Mock execution node takes a block whose ancestors are missing as synced"
        );
        anchor.anchor = true;
        self.import(anchor)
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
