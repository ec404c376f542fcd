//! Driving range sync and parent lookups: requests, imports, and what peers say of themselves.

use crate::columns::{ColumnSource, RootedBlock};
use crate::forks::{DigestEpochs, status_message};
use beacon_chain::{BeaconChain, ChainEvent, ImportError};
use intake::Intake;
use network::{
    BlocksByRangeRequest, BlocksByRootRequest, GoodbyeReason, NetworkHandle, PeerId, Penalty, Request, RequestError,
    ResponseChunk, StatusMessage,
};
use runtime::{Priority, Receiver, Sender};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use sync::{
    BatchId, BatchOutcome, LookupAction, LookupFailure, ParentLookup, PeerChain, RangeAction, RangeFault, RangeSync,
};
use tokio::sync::{broadcast, watch};
use types::{ForkName, ForkVersioned as _, Preset, Root, SignedBeaconBlock, Slot};

type Block<P> = Arc<SignedBeaconBlock<P>>;

/// What happens to the sync.
#[derive(Debug)]
pub(crate) enum CatchUp<P: Preset> {
    /// A peer said where it is.
    PeerStatus(PeerId, StatusMessage),
    /// A peer is gone.
    PeerGone(PeerId),
    /// A block came whose parent is unknown.
    UnknownParent { peer: PeerId, block: Block<P> },
    /// An answer by range; `None` if there was none.
    Batch(BatchId, Option<Vec<Block<P>>>),
    /// A batch was imported, or not.
    BatchImported(BatchId, BatchOutcome),
    /// An answer by root.
    Found {
        peer: PeerId,
        root: Root,
        block: Option<Block<P>>,
    },
}

/// Until a batch that could not be imported, through nobody's fault, is asked for again: an execution client has to have time
/// to change its mind, columns to come.
const PAUSE_BEFORE_RETRY: Duration = Duration::from_secs(2);

/// How far behind this node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// Whether blocks are being fetched.
    pub is_syncing: bool,
    /// Slots to the head of the best peer.
    pub distance: u64,
    /// Peers that have told where they are.
    pub peers: usize,
}

pub(crate) struct CatchUpTask<P: Preset> {
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) network: NetworkHandle,
    pub(crate) schedule: Arc<Vec<DigestEpochs>>,
    pub(crate) columns: ColumnSource,
    pub(crate) sender: Sender<CatchUp<P>>,
    pub(crate) status: watch::Sender<SyncStatus>,
    pub(crate) range: RangeSync<P, PeerId, Block<P>>,
    pub(crate) lookups: ParentLookup<PeerId, Block<P>>,
    pub(crate) peers: BTreeMap<PeerId, StatusMessage>,
}

impl<P: Preset> CatchUpTask<P> {
    fn chain(&self) -> &Arc<BeaconChain<P>> {
        self.intake.chain()
    }

    /// Works until nobody sends any more.
    pub(crate) async fn run(
        mut self,
        mut messages: Receiver<CatchUp<P>>,
        mut chain_events: broadcast::Receiver<ChainEvent>,
    ) {
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.on_message(message).await,
                    None => return,
                },
                event = chain_events.recv() => match event {
                    Ok(ChainEvent::Head { slot, .. }) => self.on_head(slot).await,
                    Ok(_) => {}
                    // Some heads were missed: the next one counts.
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        let slot = self.chain().head().slot();
                        self.on_head(slot).await;
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
            let status = SyncStatus {
                is_syncing: self.range.is_syncing(),
                distance: self.range.distance(),
                peers: self.range.peer_count(),
            };
            self.status.send_if_modified(|current| {
                let was = *current;
                *current = status;
                if was.is_syncing != status.is_syncing {
                    tracing::info!(syncing = status.is_syncing, distance = status.distance, "Sync");
                }
                was != status
            });
        }
    }

    async fn on_head(&mut self, slot: Slot) {
        let actions = self.range.on_head(slot);
        self.perform(actions).await;
        let status = status_message(self.chain());
        if self.network.set_status(status).await.is_err() {
            tracing::trace!("Network has stopped");
        }
    }

    async fn on_message(&mut self, message: CatchUp<P>) {
        match message {
            CatchUp::PeerStatus(peer, status) => {
                // Nobody can have blocks of the future.
                let head_slot = status.head_slot.min(self.chain().current_slot());
                self.peers.insert(peer, status);
                let chain = PeerChain {
                    head_slot,
                    earliest_available_slot: status.earliest_available_slot.unwrap_or_default(),
                };
                let actions = self.range.on_peer_status(peer, chain);
                self.perform(actions).await;
            }
            CatchUp::PeerGone(peer) => {
                self.peers.remove(&peer);
                let actions = self.range.on_peer_disconnected(&peer);
                self.perform(actions).await;
            }
            CatchUp::UnknownParent { peer, block } => {
                // Range sync brings what is far ahead.
                if self.range.is_syncing() {
                    return;
                }
                let parent = block.parent_root();
                let action = self.lookups.on_unknown_parent(peer, block, parent);
                self.perform_lookup(action).await;
            }
            CatchUp::Batch(batch, Some(blocks)) => {
                let slots: Vec<Slot> = blocks.iter().map(|block| block.slot()).collect();
                let actions = self.range.on_blocks(batch, &slots, blocks);
                self.perform(actions).await;
            }
            CatchUp::Batch(batch, None) => {
                let actions = self.range.on_request_failed(batch);
                self.perform(actions).await;
            }
            CatchUp::BatchImported(batch, outcome) => {
                let actions = self.range.on_imported(batch, outcome);
                self.perform(actions).await;
            }
            CatchUp::Found {
                peer,
                root,
                block: Some(block),
            } => {
                let parent = block.parent_root();
                let is_parent_known = self.chain().contains_block(&parent);
                let action = self.lookups.on_block(peer, &root, block, parent, is_parent_known);
                self.perform_lookup(action).await;
            }
            CatchUp::Found { root, block: None, .. } => {
                let action = self.lookups.on_not_found(&root, self.peers.keys().copied());
                self.perform_lookup(action).await;
            }
        }
    }

    async fn perform(&mut self, actions: Vec<RangeAction<PeerId, Block<P>>>) {
        for action in actions {
            match action {
                RangeAction::Request {
                    batch,
                    peer,
                    start_slot,
                    count,
                } => {
                    tracing::debug!(%peer, %start_slot, count, "Blocks requested");
                    let request = Request::BlocksByRange(BlocksByRangeRequest { start_slot, count });
                    let (fetch, sender) = (self.fetch(peer, request), self.sender.clone());
                    tokio::spawn(async move {
                        let blocks = fetch.await;
                        // A sync that has stopped needs no answer.
                        let _ = sender.send(CatchUp::Batch(batch, blocks)).await;
                    });
                }
                RangeAction::Import { batch, blocks } => {
                    let import = import_batch(Arc::clone(&self.intake), self.columns.clone(), blocks);
                    let sender = self.sender.clone();
                    tokio::spawn(async move {
                        let outcome = import.await;
                        let _ = sender.send(CatchUp::BatchImported(batch, outcome)).await;
                    });
                }
                RangeAction::Report { peer, fault } => {
                    let (penalty, reason) = match fault {
                        RangeFault::NoAnswer => (Penalty::Moderate, "no answer to a range of blocks"),
                        RangeFault::WrongBlocks => (Penalty::Severe, "wrong range of blocks"),
                        RangeFault::InvalidBlocks => (Penalty::Severe, "invalid blocks"),
                    };
                    tracing::info!(%peer, reason, "Peer does not help to catch up");
                    let _ = self.network.report_peer(peer, penalty, reason).await;
                    if fault == RangeFault::InvalidBlocks {
                        let _ = self.network.disconnect(peer, GoodbyeReason::IrrelevantNetwork).await;
                    }
                }
            }
        }
    }

    async fn perform_lookup(&mut self, action: Option<LookupAction<PeerId, Block<P>>>) {
        match action {
            None => {}
            Some(LookupAction::Request { peer, root }) => {
                tracing::debug!(%peer, %root, "Block requested");
                let request = Request::BlocksByRoot(BlocksByRootRequest { roots: vec![root] });
                let (fetch, sender) = (self.fetch(peer, request), self.sender.clone());
                tokio::spawn(async move {
                    let block = fetch
                        .await
                        .and_then(|mut blocks| blocks.pop())
                        .filter(|block| block.block_root() == root);
                    let _ = sender.send(CatchUp::Found { peer, root, block }).await;
                });
            }
            Some(LookupAction::Import { blocks }) => {
                let import = import_batch(Arc::clone(&self.intake), self.columns.clone(), blocks);
                tokio::spawn(import);
            }
            Some(LookupAction::GiveUp { root, reason, peers }) => {
                tracing::debug!(%root, ?reason, "Block is not looked up any more");
                for peer in peers {
                    let _ = match reason {
                        // The peer's new status starts range sync.
                        LookupFailure::TooDeep => self.network.send_status(peer).await,
                        LookupFailure::NotFound => {
                            self.network
                                .report_peer(peer, Penalty::Mild, "block with an unknown parent that nobody has")
                                .await
                        }
                    };
                }
            }
        }
    }

    fn fetch(&self, peer: PeerId, request: Request) -> impl Future<Output = Option<Vec<Block<P>>>> + Send + use<P> {
        let (network, schedule) = (self.network.clone(), Arc::clone(&self.schedule));
        async move { blocks(&network, &schedule, peer, request).await }
    }
}

/// Asks for blocks. `None` if the peer does not answer as it should.
pub(crate) async fn blocks<P: Preset>(
    network: &NetworkHandle,
    schedule: &[DigestEpochs],
    peer: PeerId,
    request: Request,
) -> Option<Vec<Block<P>>> {
    let objects = objects(network, peer, request).await?;
    let mut blocks = Vec::with_capacity(objects.len());
    for (fork, ssz) in by_fork(schedule, objects) {
        blocks.push(Arc::new(SignedBeaconBlock::from_ssz_bytes_by_fork(&ssz, fork?).ok()?));
    }
    Some(blocks)
}

pub(crate) async fn objects(
    network: &NetworkHandle,
    peer: PeerId,
    request: Request,
) -> Option<Vec<(types::ForkDigest, Vec<u8>)>> {
    let answer = async {
        let stream = network
            .request(peer, request)
            .await
            .map_err(|_| RequestError::ConnectionClosed)?;
        stream.collect().await
    };
    match answer.await {
        Ok(chunks) => Some(
            chunks
                .into_iter()
                .filter_map(|chunk| match chunk {
                    ResponseChunk::Object { fork_digest, ssz } => Some((fork_digest, ssz)),
                    _ => None,
                })
                .collect(),
        ),
        Err(error) => {
            tracing::debug!(%peer, %error, "Peer does not answer");
            None
        }
    }
}

pub(crate) fn by_fork(
    schedule: &[DigestEpochs],
    objects: Vec<(types::ForkDigest, Vec<u8>)>,
) -> impl Iterator<Item = (Option<ForkName>, Vec<u8>)> {
    objects.into_iter().map(|(digest, ssz)| {
        let fork = schedule
            .iter()
            .find(|entry| entry.digest == digest)
            .map(|entry| entry.fork);
        (fork, ssz)
    })
}

/// Imports blocks in order, of which nothing is verified yet.
async fn import_batch<P: Preset>(intake: Arc<Intake<P>>, columns: ColumnSource, blocks: Vec<Block<P>>) -> BatchOutcome {
    let blocks: Vec<RootedBlock<P>> = blocks.into_iter().map(|block| (block.block_root(), block)).collect();
    columns.fetch(&intake, &blocks, Priority::BlockImport).await;
    for (place, rooted) in blocks.iter().enumerate() {
        let slot = rooted.1.slot();
        let mut imported = intake.import_unverified(Arc::clone(&rooted.1)).await;
        if matches!(imported, Err(ImportError::DataUnavailable(_))) {
            columns
                .fetch(&intake, std::slice::from_ref(rooted), Priority::BlockImport)
                .await;
            imported = intake.import_unverified(Arc::clone(&rooted.1)).await;
        }
        match imported {
            Ok(_) | Err(ImportError::AlreadyKnown(_)) => {}
            Err(error)
                if !error.is_invalid_payload()
                    && (error.is_invalid_block() || matches!(error, ImportError::UnknownParent(_))) =>
            {
                tracing::warn!(%slot, %error, "Fetched block is not imported");
                forget_columns(&intake, blocks.get(place..).unwrap_or_default());
                return BatchOutcome::Faulty;
            }
            // What the execution client says is not the peer's fault.
            Err(error) => {
                tracing::warn!(%slot, %error, "Fetched block is not imported for now");
                tokio::time::sleep(PAUSE_BEFORE_RETRY).await;
                return BatchOutcome::Retry;
            }
        }
    }
    BatchOutcome::Imported
}

/// Anybody can make columns for an invalid block: they are not to fill the disk.
fn forget_columns<P: Preset>(intake: &Intake<P>, blocks: &[RootedBlock<P>]) {
    for (root, _) in blocks.iter().filter(|(root, _)| !intake.chain().contains_block(root)) {
        if let Err(error) = intake.chain().storage().remove_data_columns(root) {
            tracing::error!(%root, %error, "Columns of an invalid block are not removed");
        }
    }
}
