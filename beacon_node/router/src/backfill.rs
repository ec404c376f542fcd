//! Filling up what is not here: blocks from before the checkpoint that the chain began with, and columns of old blocks that
//! this node keeps since its custody has grown.
//!
//! From the oldest block downwards, an epoch at a time, behind everything else that a node does. Blocks are trusted for the
//! hashes that lead to them from the chain; their signatures are verified as far as their keys are known.
//!
//! Spec: dvt/p2p-interface.md#backfill

use crate::catch_up::{SyncStatus, blocks};
use crate::columns::{ColumnSource, RootedBlock, available_from};
use crate::forks::DigestEpochs;
use beacon_chain::{BeaconChain, ChainError};
use intake::Intake;
use network::{BlocksByRangeRequest, BlocksByRootRequest, NetworkHandle, PeerId, Penalty, Request};
use runtime::Priority;
use state_transition::block::header::backfilled_block_signature_set;
use std::ops::Range;
use std::sync::Arc;
use storage::ColumnsKept;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep};
use types::{BeaconState, Preset, Root, SignedBeaconBlock, Slot};

type Block<P> = Arc<SignedBeaconBlock<P>>;

/// Peers that are asked for an epoch of blocks before it is tried again later.
const MAX_PEERS: usize = 5;
/// Slots until it is tried again when nobody has what is missing; twice as many each time, up to the most.
const MAX_PAUSE_SLOTS: u64 = 32;
/// How often progress is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing is missing.
    Done,
    /// Something came.
    Progress,
    /// Nobody has what is missing.
    Stuck,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unlinked {
    #[error("blocks outside of the range or out of order")]
    Range,
    #[error("blocks that are not those of the chain")]
    Hashes,
}

/// The task.
pub(crate) struct Backfill<P: Preset> {
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) network: NetworkHandle,
    pub(crate) schedule: Arc<Vec<DigestEpochs>>,
    pub(crate) columns: ColumnSource,
    pub(crate) sync_status: watch::Receiver<SyncStatus>,
    /// Down to the genesis, beyond what every node keeps.
    pub(crate) to_genesis: bool,
    /// Columns that nobody has are left alone while blocks come.
    pub(crate) columns_rest_until: Instant,
}

impl<P: Preset> Backfill<P> {
    fn chain(&self) -> &Arc<BeaconChain<P>> {
        self.intake.chain()
    }

    /// Works until it is dropped. Blocks at the head come first.
    pub(crate) async fn run(mut self) {
        let mut keys: Option<Arc<BeaconState<P>>> = None;
        let mut logged = Instant::now();
        let mut pause = 1u64;
        let mut is_filling = false;
        loop {
            let is_syncing = self.sync_status.borrow().is_syncing;
            let step = match is_syncing {
                true => Ok(Step::Stuck),
                false => {
                    // The longer ago the state, the more keys of old blocks it has.
                    let state = keys.get_or_insert_with(|| Arc::clone(&self.chain().head().state));
                    self.step(&Arc::clone(state)).await
                }
            };
            let step = step.unwrap_or_else(|error| {
                tracing::error!(%error, "Old blocks are not fetched");
                Step::Stuck
            });
            match step {
                Step::Progress => {
                    pause = 1;
                    is_filling = true;
                    if logged.elapsed() >= LOG_INTERVAL {
                        logged = Instant::now();
                        self.log("Old blocks are fetched");
                    }
                    continue;
                }
                Step::Done => {
                    if std::mem::take(&mut is_filling) {
                        self.log("All old blocks are here");
                    }
                    keys = None;
                    pause = 1;
                }
                Step::Stuck => pause = pause.saturating_mul(2).min(MAX_PAUSE_SLOTS),
            }
            let pause = sleep(self.slots(pause));
            let before = *self.sync_status.borrow();
            // Another peer, or the head is reached. How far the head is away changes in every slot.
            let is_news =
                |status: &SyncStatus| status.peers > before.peers || (before.is_syncing && !status.is_syncing);
            tokio::select! {
                () = pause => {}
                news = self.sync_status.wait_for(is_news) => if news.is_err() { return },
            }
            self.columns_rest_until = Instant::now();
        }
    }

    fn log(&self, text: &str) {
        let blocks_from = self.chain().storage().oldest_block().ok().flatten();
        let blocks_from = blocks_from.map(|(slot, _)| slot).unwrap_or_default();
        let columns_from = self.chain().columns_available_from().unwrap_or_default();
        tracing::info!(%blocks_from, %columns_from, "{text}");
    }

    /// Columns first: others need them sooner than old blocks. What nobody has is not asked for with each step.
    async fn step(&mut self, keys: &Arc<BeaconState<P>>) -> Result<Step, ChainError> {
        let columns = if self.columns_rest_until > Instant::now() {
            Step::Stuck
        } else {
            self.fill_columns().await?
        };
        if columns == Step::Progress {
            return Ok(columns);
        }
        let blocks = self.fill_blocks(keys).await?;
        let is_first = self.columns_rest_until <= Instant::now();
        if (columns, blocks) == (Step::Stuck, Step::Progress) && is_first {
            self.columns_rest_until = Instant::now() + self.slots(MAX_PAUSE_SLOTS);
        }
        Ok(match blocks {
            Step::Done => columns,
            blocks => blocks,
        })
    }

    fn slots(&self, count: u64) -> Duration {
        let slot = Duration::from_millis(self.chain().spec().slot_duration_ms);
        slot.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The columns of an epoch of blocks that are here.
    async fn fill_columns(&self) -> Result<Step, ChainError> {
        let chain = self.chain();
        let (Some(kept), Some((oldest, _))) = (chain.storage().columns_kept()?, chain.storage().oldest_block()?) else {
            return Ok(Step::Done);
        };
        let target = chain.columns_served_from().max(oldest);
        // What holds from a slot in the future on is imported with all columns then.
        if kept.from <= target || kept.from > chain.head().slot().saturating_add(1u64) {
            return Ok(Step::Done);
        }
        let from = target.max(kept.from.saturating_sub(P::slots_per_epoch()));
        let mut blocks: Vec<RootedBlock<P>> = Vec::new();
        let mut slot = from;
        while slot < kept.from {
            if let Some(root) = chain.canonical_root_at(slot)?
                && let Some(block) = chain.get_block(&root)?
            {
                blocks.push((root, block));
            }
            slot = slot.saturating_add(1u64);
        }
        self.columns.fetch(&self.intake, &blocks, Priority::Background).await;
        for (root, block) in &blocks {
            self.intake.recover_old(block, *root).await;
            let is_complete = |missing: Vec<_>| missing.is_empty();
            if !self.intake.missing_custody(block, root).is_ok_and(is_complete) {
                tracing::debug!(slot = %block.slot(), %root, "Columns of an old block are not to be had");
                return Ok(Step::Stuck);
            }
        }
        // The custody may have grown meanwhile.
        if chain.storage().columns_kept()? == Some(kept) {
            chain.storage().put_columns_kept(ColumnsKept { from, ..kept })?;
        }
        Ok(Step::Progress)
    }

    /// An epoch of blocks, or at least one.
    async fn fill_blocks(&self, keys: &Arc<BeaconState<P>>) -> Result<Step, ChainError> {
        let chain = self.chain();
        let Some((oldest, oldest_root)) = chain.storage().oldest_block()? else {
            return Ok(Step::Done);
        };
        let target = if self.to_genesis {
            chain.spec().fulu_fork_epoch.start_slot::<P>()
        } else {
            chain.blocks_served_from()
        };
        if oldest <= target {
            return Ok(Step::Done);
        }
        let block = chain
            .get_block(&oldest_root)?
            .ok_or(ChainError::MissingBlock(oldest_root))?;
        let parent = block.parent_root();
        if chain.genesis_root()? == Some(parent)
            && let Some(genesis) = chain.get_block(&parent)?
        {
            chain.storage().put_backfilled(&[(parent, genesis)])?;
            return Ok(Step::Progress);
        }
        let range = target.max(oldest.saturating_sub(P::slots_per_epoch()))..oldest;
        self.fetch_blocks(keys, range, parent).await
    }

    /// Fetches the blocks of a range that lead to `parent`, the last of them.
    async fn fetch_blocks(
        &self,
        keys: &Arc<BeaconState<P>>,
        range: Range<Slot>,
        parent: Root,
    ) -> Result<Step, ChainError> {
        let mut peers = self.columns.peers_in_turn(MAX_PEERS).await;
        peers.retain(|peer| available_from(peer) <= range.start);
        peers.truncate(MAX_PEERS);
        let by_range = Request::BlocksByRange(BlocksByRangeRequest {
            start_slot: range.start,
            count: range.end.saturating_sub(range.start.as_u64()).as_u64(),
        });
        // Before a long row of empty slots, or with peers that answer in part, the hash leads on.
        let by_root = Request::BlocksByRoot(BlocksByRootRequest { roots: vec![parent] });
        let any = Slot::new(0)..range.end;
        for (request, slots, if_unlinked) in [(by_range, &range, Penalty::Mild), (by_root, &any, Penalty::Severe)] {
            for peer in &peers {
                let answer = blocks(&self.network, &self.schedule, peer.peer_id, request.clone()).await;
                match linked(answer.unwrap_or_default(), slots, parent) {
                    // All slots may be empty.
                    Ok(blocks) if blocks.is_empty() => {}
                    Ok(blocks) => {
                        if self.keep(keys, blocks, peer.peer_id).await? {
                            return Ok(Step::Progress);
                        }
                    }
                    // A peer may answer a range in part.
                    Err(fault @ Unlinked::Hashes) => self.report(peer.peer_id, if_unlinked, fault).await,
                    Err(fault @ Unlinked::Range) => self.report(peer.peer_id, Penalty::Severe, fault).await,
                }
            }
        }
        tracing::debug!(from = %range.start, root = %parent, "Nobody has the old block");
        Ok(Step::Stuck)
    }

    /// Verifies signatures and stores. Gives whether that could be done.
    async fn keep(
        &self,
        keys: &Arc<BeaconState<P>>,
        blocks: Vec<RootedBlock<P>>,
        peer: PeerId,
    ) -> Result<bool, ChainError> {
        let (chain, keys) = (Arc::clone(self.chain()), Arc::clone(keys));
        let work = move || {
            if !are_signed(&keys, &blocks) {
                return Ok(false);
            }
            chain.storage().put_backfilled(&blocks)?;
            Ok::<_, ChainError>(true)
        };
        let is_kept = self.chain().workers().run(Priority::Background, work).await??;
        if !is_kept {
            self.report(peer, Penalty::Severe, "old block with a wrong signature")
                .await;
        }
        Ok(is_kept)
    }

    async fn report(&self, peer: PeerId, penalty: Penalty, reason: impl std::fmt::Display) {
        tracing::info!(%peer, %reason, "Peer does not help with old blocks");
        // The network stopping is no reason to complain.
        let _ = self.network.report_peer(peer, penalty, "old blocks").await;
    }
}

/// Blocks that ascend within a range and lead to a root without a gap, with their roots.
fn linked<P: Preset>(
    blocks: Vec<Block<P>>,
    range: &Range<Slot>,
    last_root: Root,
) -> Result<Vec<RootedBlock<P>>, Unlinked> {
    let mut next_slot = range.start;
    for block in &blocks {
        if block.slot() < next_slot || block.slot() >= range.end {
            return Err(Unlinked::Range);
        }
        next_slot = block.slot().saturating_add(1u64);
    }
    let mut expected = last_root;
    let mut linked = Vec::with_capacity(blocks.len());
    for block in blocks.into_iter().rev() {
        if block.block_root() != expected {
            return Err(Unlinked::Hashes);
        }
        let parent = block.parent_root();
        linked.push((expected, block));
        expected = parent;
    }
    Ok(linked)
}

/// Whether all signatures are valid whose keys the state has.
fn are_signed<P: Preset>(keys: &BeaconState<P>, blocks: &[RootedBlock<P>]) -> bool {
    let mut sets = Vec::with_capacity(blocks.len());
    for (root, block) in blocks {
        // Nobody signs the genesis.
        if block.slot() == Slot::new(0) {
            continue;
        }
        match backfilled_block_signature_set(keys, block, *root) {
            Ok(set) => sets.extend(set),
            Err(error) => {
                tracing::debug!(slot = %block.slot(), %root, %error, "Old block is not signed by its proposer");
                return false;
            }
        }
    }
    signature_scheme::verify_batch(&sets).is_ok()
}
