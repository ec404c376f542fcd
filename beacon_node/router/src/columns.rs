//! Columns that did not come by gossip, from the peers that keep them.

use crate::catch_up::{by_fork, objects};
use crate::forks::DigestEpochs;
use beacon_chain::ImportError;
use data_columns::{
    compute_columns_for_custody_group, get_custody_groups, verify_data_column_sidecar,
    verify_data_column_sidecar_inclusion_proof, verify_data_column_sidecars_kzg_proofs,
};
use intake::Intake;
use network::{
    DataColumnsByRootIdentifier, DataColumnsByRootRequest, NetworkHandle, PeerId, PeerState, PeerSummary, Penalty,
    Request, node_id_of,
};
use runtime::Priority;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::{
    ChainSpec, ColumnIndex, DataColumnSidecar, ForkVersioned as _, Preset, Root, SignedBeaconBlock, Slot, Uint256,
};

/// Peers that are asked for the columns of some blocks, one after the other.
const MAX_COLUMN_PEERS: usize = 16;
/// Columns that are asked for at once. Of blocks with nine blobs they are some ten megabytes.
const MAX_COLUMNS_PER_REQUEST: usize = 512;
/// How often in a slot blocks that wait for columns are looked at. A column has that part of a slot to come by gossip.
const LOOKS_PER_SLOT: u64 = 4;

/// A block with its root.
pub(crate) type RootedBlock<P> = (Root, Arc<SignedBeaconBlock<P>>);

/// Whom to ask for columns.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSource {
    network: NetworkHandle,
    schedule: Arc<Vec<DigestEpochs>>,
}

/// What is missing of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    slot: Slot,
    columns: BTreeSet<ColumnIndex>,
}

impl ColumnSource {
    pub(crate) fn new(network: NetworkHandle, schedule: Arc<Vec<DigestEpochs>>) -> Self {
        Self { network, schedule }
    }

    /// Fetches what is missing of blocks, verifies and stores it. A peer is asked for what it is to keep.
    pub(crate) async fn fetch<P: Preset>(
        &self,
        intake: &Arc<Intake<P>>,
        blocks: &[RootedBlock<P>],
        priority: Priority,
    ) {
        // The network has stopped.
        let Ok(mut peers) = self.network.peers().await else {
            return;
        };
        peers.retain(|peer| peer.state == PeerState::Connected);
        let mut wanted = BTreeMap::new();
        for (root, block) in blocks {
            let columns: BTreeSet<_> = intake
                .missing_custody(block, root)
                .unwrap_or_default()
                .into_iter()
                .collect();
            if !columns.is_empty() {
                let slot = block.slot();
                wanted.insert(*root, Wanted { slot, columns });
            }
        }
        // Not the same peers first for every block.
        let first = wanted
            .values()
            .map(|wanted| wanted.slot.as_u64())
            .next()
            .unwrap_or_default();
        if let Some(turns) = first.checked_rem(peers.len() as u64) {
            peers.rotate_left(usize::try_from(turns).unwrap_or_default());
        }
        let mut asked = 0usize;
        for peer in &peers {
            let mut share = share_of(&wanted, peer, &custody_of::<P>(peer, intake.chain().spec()));
            if share.is_empty() {
                continue;
            }
            while !share.is_empty() {
                let request = first_part(&mut share);
                let Some(received) = self.ask(intake, peer.peer_id, &request, priority).await else {
                    break;
                };
                for (root, index) in received {
                    if let Some(wanted) = wanted.get_mut(&root) {
                        wanted.columns.remove(&index);
                    }
                }
            }
            wanted.retain(|_, wanted| !wanted.columns.is_empty());
            asked = asked.saturating_add(1);
            if wanted.is_empty() || asked == MAX_COLUMN_PEERS {
                return;
            }
        }
    }

    /// `None` if the peer is of no use.
    async fn ask<P: Preset>(
        &self,
        intake: &Arc<Intake<P>>,
        peer: PeerId,
        request: &[(Root, Vec<ColumnIndex>)],
        priority: Priority,
    ) -> Option<Vec<(Root, ColumnIndex)>> {
        let mut identifiers = Vec::new();
        for (block_root, columns) in request {
            identifiers.push(DataColumnsByRootIdentifier {
                block_root: *block_root,
                columns: columns.clone().try_into().ok()?,
            });
        }
        let request: BTreeSet<(Root, ColumnIndex)> = request
            .iter()
            .flat_map(|(root, columns)| columns.iter().map(|column| (*root, *column)))
            .collect();
        let message = Request::DataColumnsByRoot(DataColumnsByRootRequest { identifiers });
        let answer = objects(&self.network, peer, message).await?;
        let answer: Vec<_> = by_fork(&self.schedule, answer).collect();
        let work = {
            let intake = Arc::clone(intake);
            move || {
                let mut sidecars = Vec::new();
                for (fork, ssz) in answer {
                    let sidecar = DataColumnSidecar::<P>::from_ssz_bytes_by_fork(&ssz, fork?).ok()?;
                    let id = (sidecar.block_header().tree_hash_root(), sidecar.index());
                    if !request.contains(&id) || !has_valid_form(&sidecar, intake.chain().spec()) {
                        return None;
                    }
                    sidecars.push(sidecar);
                }
                if !sidecars.is_empty() {
                    verify_data_column_sidecars_kzg_proofs(&sidecars).ok()?;
                }
                let mut received = Vec::new();
                for sidecar in &sidecars {
                    let root = sidecar.block_header().tree_hash_root();
                    intake.store_column(root, sidecar);
                    received.push((root, sidecar.index()));
                }
                Some(received)
            }
        };
        let received = intake.chain().workers().run(priority, work).await.ok()?;
        if received.is_none() {
            tracing::info!(%peer, "Peer sends something else than the columns that it was asked for");
            // The network stopping is no reason to complain.
            let _ = self
                .network
                .report_peer(peer, Penalty::Severe, "wrong data column")
                .await;
        }
        received
    }
}

/// What of the missing columns a peer is to have.
fn share_of(
    wanted: &BTreeMap<Root, Wanted>,
    peer: &PeerSummary,
    custody: &BTreeSet<ColumnIndex>,
) -> Vec<(Root, Vec<ColumnIndex>)> {
    let status = peer.status.as_ref();
    let from = status
        .and_then(|status| status.earliest_available_slot)
        .unwrap_or_default();
    let mut share = Vec::new();
    for (root, wanted) in wanted {
        let columns: Vec<_> = wanted.columns.intersection(custody).copied().collect();
        if !columns.is_empty() && wanted.slot >= from {
            share.push((*root, columns));
        }
    }
    share
}

/// Takes as much as may be asked for at once.
fn first_part(share: &mut Vec<(Root, Vec<ColumnIndex>)>) -> Vec<(Root, Vec<ColumnIndex>)> {
    let mut count = 0usize;
    let fits = share.iter().take_while(|(_, columns)| {
        count = count.saturating_add(columns.len());
        count <= MAX_COLUMNS_PER_REQUEST
    });
    let fits = fits.count().max(1);
    share.drain(..fits.min(share.len())).collect()
}

/// The columns that a peer is to keep, by what it says of itself; the least that any node keeps if it says nothing.
fn custody_of<P: Preset>(peer: &PeerSummary, spec: &ChainSpec) -> BTreeSet<ColumnIndex> {
    let told = peer.metadata.as_ref().and_then(|metadata| metadata.custody_group_count);
    let group_count = told
        .unwrap_or(spec.custody_requirement)
        .min(spec.number_of_custody_groups);
    let Some(node_id) = node_id_of(&peer.peer_id) else {
        return BTreeSet::new();
    };
    let groups = get_custody_groups(Uint256::from_be_bytes(node_id), group_count, spec).unwrap_or_default();
    groups
        .into_iter()
        .filter_map(|group| compute_columns_for_custody_group::<P>(group, spec).ok())
        .flatten()
        .collect()
}

/// All but its proofs.
fn has_valid_form<P: Preset>(sidecar: &DataColumnSidecar<P>, spec: &ChainSpec) -> bool {
    verify_data_column_sidecar(sidecar, spec).is_ok() && verify_data_column_sidecar_inclusion_proof(sidecar).is_ok()
}

/// Fetches columns of blocks that came without: from gossip, or put together here.
pub(crate) struct LateColumns<P: Preset> {
    intake: Arc<Intake<P>>,
    source: ColumnSource,
    /// How often each block that waits was looked at.
    looks: BTreeMap<Root, u32>,
}

impl<P: Preset> LateColumns<P> {
    pub(crate) fn new(intake: Arc<Intake<P>>, source: ColumnSource) -> Self {
        Self {
            intake,
            source,
            looks: BTreeMap::new(),
        }
    }

    /// Works until it is dropped.
    pub(crate) async fn run(mut self) {
        let clock = self.intake.chain().clock().clone();
        let pause = (self.intake.chain().spec().slot_duration_ms / LOOKS_PER_SLOT).max(1);
        loop {
            clock.sleep_until_ms(clock.now_ms().saturating_add(pause)).await;
            self.look().await;
        }
    }

    /// A block that just came is left alone; one that waits for long is tried at ever longer intervals.
    async fn look(&mut self) {
        let waiting = self.intake.waiting_blocks();
        self.looks
            .retain(|root, _| waiting.iter().any(|(waits, _)| waits == root));
        for block in waiting {
            let looks = self.looks.entry(block.0).or_default();
            *looks = looks.saturating_add(1);
            if *looks >= 2 && looks.is_power_of_two() {
                self.fetch(block).await;
            }
        }
    }

    async fn fetch(&self, waiting: RootedBlock<P>) {
        let blocks = [waiting];
        self.source.fetch(&self.intake, &blocks, Priority::BlockImport).await;
        let [(root, block)] = blocks;
        let slot = block.slot();
        if let Some(complete) = self.intake.complete(&root).await {
            match self.intake.import(complete).await {
                Ok(_) => tracing::info!(%slot, %root, "Block imported: its columns were fetched"),
                Err(ImportError::AlreadyKnown(_)) => {}
                Err(error) => tracing::warn!(%slot, %root, %error, "Block is not imported"),
            }
            return;
        }
        let missing = self.intake.missing_columns(&block, &root).unwrap_or_default();
        if !missing.is_empty() && self.intake.is_waiting(&root) && !self.intake.is_recovering(&root) {
            tracing::warn!(%slot, %root, ?missing, "Block is not imported: nobody has its columns");
        }
    }
}
