//! Driving range sync and parent lookups: requests, imports, and what peers say of themselves.

use crate::columns::ColumnSource;
use crate::fetched::{Branch, Retries, Setback, import_batch, with_roots};
use crate::forks::{DigestEpochs, fork_of_digest, status_message};
use beacon_chain::{BeaconChain, ChainEvent};
use intake::Intake;
use network::{
    BlocksByRangeRequest, BlocksByRootRequest, GoodbyeReason, NetworkHandle, PeerId, Penalty, Request, ResponseChunk,
    StatusMessage,
};
use runtime::{Receiver, Sender};
use ssz::Encode as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use sync::{
    BatchId, BatchOutcome, LookupAction, LookupFailure, MAX_LOOKUP_BLOCKS, ParentLookup, PeerChain, RangeAction,
    RangeFault, RangeSync,
};
use tokio::sync::{broadcast, watch};
use types::{ForkVersioned as _, Preset, Root, SignedBeaconBlock, Slot};

type Block<P> = Arc<SignedBeaconBlock<P>>;

/// What happens to the sync.
#[derive(Debug)]
pub(crate) enum CatchUp<P: Preset> {
    /// A peer said where it is.
    PeerStatus(PeerId, StatusMessage),
    /// A peer is gone.
    PeerGone(PeerId),
    /// A block came whose parent is unknown; `None` if it is a proposal, which is imported when it is complete.
    UnknownParent {
        peer: PeerId,
        slot: Slot,
        parent: Root,
        block: Option<Block<P>>,
    },
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
    pub(crate) lookups: ParentLookup<PeerId, Option<Block<P>>>,
    pub(crate) peers: BTreeMap<PeerId, StatusMessage>,
    /// Places for branches that are tried again.
    pub(crate) retries: Arc<Retries>,
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
            CatchUp::UnknownParent {
                peer,
                slot,
                parent,
                block,
            } => {
                // Range sync brings what is far ahead. It may be kept busy by a chain whose columns nobody has.
                let reach = self.chain().head().slot().saturating_add(MAX_LOOKUP_BLOCKS as u64);
                if slot > reach {
                    return;
                }
                let bytes = block.as_ref().map_or(0, |block| block.ssz_bytes_len());
                let actions = self.lookups.on_unknown_parent(peer, (block, bytes), parent);
                self.perform_lookups(actions).await;
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
                let bytes = block.ssz_bytes_len();
                let block = (Some(block), bytes);
                let actions = self.lookups.on_block(peer, &root, block, parent, is_parent_known);
                self.perform_lookups(actions).await;
            }
            CatchUp::Found { root, block: None, .. } => {
                let action = self.lookups.on_not_found(&root, self.peers.keys().copied());
                self.perform_lookups(action).await;
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
                    let (intake, columns, sender) =
                        (Arc::clone(&self.intake), self.columns.clone(), self.sender.clone());
                    tokio::spawn(async move {
                        let chain = intake.chain();
                        let outcome = match import_batch(&intake, &columns, &with_roots(blocks)).await {
                            Ok(()) => BatchOutcome::Imported,
                            Err((_, Setback::Faulty)) => BatchOutcome::Faulty,
                            Err((_, Setback::Unlinked)) => BatchOutcome::Unlinked {
                                finalized_slot: chain.head().finalized_checkpoint.epoch.start_slot::<P>(),
                            },
                            Err((_, Setback::Later)) => {
                                // An execution client has to have time to come back, columns to come.
                                tokio::time::sleep(Duration::from_millis(chain.spec().slot_duration_ms)).await;
                                BatchOutcome::Retry
                            }
                        };
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

    async fn perform_lookups(&mut self, actions: impl IntoIterator<Item = LookupAction<PeerId, Option<Block<P>>>>) {
        for action in actions {
            self.perform_lookup(action).await;
        }
    }

    async fn perform_lookup(&mut self, action: LookupAction<PeerId, Option<Block<P>>>) {
        match action {
            LookupAction::Request { peer, root } => {
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
            LookupAction::Import { blocks } => {
                let branch = Branch {
                    intake: Arc::clone(&self.intake),
                    columns: self.columns.clone(),
                    blocks,
                };
                let (network, retries) = (self.network.clone(), Arc::clone(&self.retries));
                tokio::spawn(async move {
                    if let Some(peer) = branch.import(&retries).await {
                        let _ = network.report_peer(peer, Penalty::Severe, "invalid block").await;
                    }
                });
            }
            LookupAction::GiveUp { root, reason, peers } => {
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
                        LookupFailure::TooMany => {
                            self.network
                                .report_peer(peer, Penalty::Mild, "too many blocks with unknown parents at once")
                                .await
                        }
                        // That there was no room is not the peer's fault.
                        LookupFailure::Displaced => Ok(()),
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
    let mut stream = network.request(peer, request).await.ok()?;
    let mut blocks = Vec::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(ResponseChunk::Object { fork_digest, ssz }) => {
                let fork = fork_of_digest(schedule, fork_digest)?;
                blocks.push(Arc::new(SignedBeaconBlock::from_ssz_bytes_by_fork(&ssz, fork).ok()?));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "Peer does not answer");
                return None;
            }
        }
    }
    Some(blocks)
}
