//! Columns that did not come by gossip, from the peers that keep them.

use crate::catch_up::{by_fork, objects};
use crate::forks::DigestEpochs;
use beacon_chain::ImportError;
use data_columns::{
    compute_columns_for_custody_group, get_custody_groups, verify_data_column_sidecar,
    verify_data_column_sidecar_inclusion_proof, verify_data_column_sidecar_kzg_proofs,
};
use intake::Intake;
use network::{
    DataColumnsByRootIdentifier, DataColumnsByRootRequest, NetworkHandle, PeerId, PeerState, PeerSummary, Penalty,
    Request, node_id_of,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::{ChainSpec, ColumnIndex, DataColumnSidecar, ForkVersioned as _, Preset, Root, SignedBeaconBlock, Uint256};

/// Peers that are asked for the columns of a block, one after the other.
const MAX_COLUMN_PEERS: usize = 16;
/// How often in a slot blocks that wait for columns are looked at. A column has that part of a slot to come by gossip.
const LOOKS_PER_SLOT: u64 = 4;

/// Whom to ask for columns.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSource {
    network: NetworkHandle,
    schedule: Arc<Vec<DigestEpochs>>,
}

impl ColumnSource {
    pub(crate) fn new(network: NetworkHandle, schedule: Arc<Vec<DigestEpochs>>) -> Self {
        Self { network, schedule }
    }

    /// Fetches what is missing of a block, verifies and keeps it. A peer is asked for what it is to keep.
    pub(crate) async fn fetch<P: Preset>(&self, intake: &Intake<P>, block: &SignedBeaconBlock<P>, root: Root) {
        // The network has stopped.
        let Ok(peers) = self.network.peers().await else { return };
        let mut asked = 0usize;
        for peer in peers.iter().filter(|peer| peer.state == PeerState::Connected) {
            let missing = match intake.missing_columns(block, &root) {
                Ok(missing) if !missing.is_empty() => missing,
                _ => return,
            };
            let kept = custody_of::<P>(peer, intake.chain().spec());
            let wanted: Vec<ColumnIndex> = missing.into_iter().filter(|index| kept.contains(index)).collect();
            if wanted.is_empty() {
                continue;
            }
            self.ask(intake, peer.peer_id, root, wanted).await;
            asked = asked.saturating_add(1);
            if asked == MAX_COLUMN_PEERS {
                return;
            }
        }
    }

    async fn ask<P: Preset>(&self, intake: &Intake<P>, peer: PeerId, root: Root, wanted: Vec<ColumnIndex>) {
        let Ok(columns) = wanted.clone().try_into() else { return };
        let request = Request::DataColumnsByRoot(DataColumnsByRootRequest {
            identifiers: vec![DataColumnsByRootIdentifier {
                block_root: root,
                columns,
            }],
        });
        let Some(answer) = objects(&self.network, peer, request).await else {
            return;
        };
        for (fork, ssz) in by_fork(&self.schedule, answer) {
            let sidecar = fork
                .and_then(|fork| DataColumnSidecar::from_ssz_bytes_by_fork(&ssz, fork).ok())
                .filter(|sidecar| {
                    wanted.contains(&sidecar.index()) && is_column_of(sidecar, root, intake.chain().spec())
                });
            match sidecar {
                Some(sidecar) => intake.keep_column(root, &sidecar),
                None => {
                    tracing::info!(%peer, %root, "Peer sends something else than the column");
                    // The network stopping is no reason to complain.
                    let _ = self
                        .network
                        .report_peer(peer, Penalty::Severe, "wrong data column")
                        .await;
                    return;
                }
            }
        }
    }
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

fn is_column_of<P: Preset>(sidecar: &DataColumnSidecar<P>, root: Root, spec: &ChainSpec) -> bool {
    sidecar.block_header().tree_hash_root() == root
        && verify_data_column_sidecar(sidecar, spec).is_ok()
        && verify_data_column_sidecar_inclusion_proof(sidecar).is_ok()
        && verify_data_column_sidecar_kzg_proofs(sidecar).is_ok()
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
        for (root, block) in waiting {
            let looks = self.looks.entry(root).or_default();
            *looks = looks.saturating_add(1);
            if *looks >= 2 && looks.is_power_of_two() {
                self.fetch(root, &block).await;
            }
        }
    }

    async fn fetch(&self, root: Root, block: &SignedBeaconBlock<P>) {
        let slot = block.slot();
        self.source.fetch(&self.intake, block, root).await;
        if let Some(complete) = self.intake.complete(&root).await {
            match self.intake.import(complete).await {
                Ok(_) => tracing::info!(%slot, %root, "Block imported: its columns were fetched"),
                Err(ImportError::AlreadyKnown(_)) => {}
                Err(error) => tracing::warn!(%slot, %root, %error, "Block is not imported"),
            }
            return;
        }
        let missing = self.intake.missing_columns(block, &root).unwrap_or_default();
        if !missing.is_empty() && self.intake.is_waiting(&root) {
            tracing::warn!(%slot, %root, ?missing, "Block is not imported: nobody has its columns");
        }
    }
}
