//! Columns that did not come by gossip, from the peers that keep them.

use crate::forks::{DigestEpochs, fork_of_digest};
use beacon_chain::ImportError;
use data_columns::{
    verify_data_column_sidecar, verify_data_column_sidecar_inclusion_proof, verify_data_column_sidecars_kzg_proofs,
    with_block_header,
};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use intake::Intake;
use network::{
    DataColumnsByRootIdentifier, DataColumnsByRootRequest, NetworkHandle, PeerId, PeerState, PeerSummary, Penalty,
    Request, ResponseChunk,
};
use parking_lot::Mutex;
use runtime::Priority;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{Duration, Instant};
use tree_hash::TreeHash as _;
use types::{
    ChainSpec, ColumnIndex, DataColumnSidecar, ForkName, ForkVersioned as _, Preset, Root, SignedBeaconBlock, Slot,
};

/// Peers that are asked for the columns of some blocks, one after the other.
const MAX_COLUMN_PEERS: usize = 16;
/// Columns that are asked for at once, and their bytes: a whole answer is held until it is verified.
const MAX_COLUMNS_PER_REQUEST: usize = 512;
const MAX_BYTES_PER_REQUEST: usize = 16 << 20;
/// What a column has for each blob: a cell, its proof and a commitment.
const BYTES_PER_BLOB: usize = 2048 + 48 + 48;
/// What a peer may take until the next column comes, and beyond that for an answer, for each column of it.
const NEXT_COLUMN_TIME: Duration = Duration::from_secs(5);
const ANSWER_TIME_PER_COLUMN: Duration = Duration::from_millis(100);
/// Blocks that wait whose columns are fetched at once.
const MAX_FETCHED_AT_ONCE: usize = 4;
/// How often in a slot blocks that wait for columns are looked at. A column has that part of a slot to come by gossip.
const LOOKS_PER_SLOT: u64 = 4;
/// After so many more looks at the latest, columns are asked for once more: four slots.
const MAX_LOOKS_BETWEEN: u32 = 16;

/// A block with its root.
pub(crate) type RootedBlock<P> = (Root, Arc<SignedBeaconBlock<P>>);

/// Whom to ask for columns.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSource {
    network: NetworkHandle,
    schedule: Arc<Vec<DigestEpochs>>,
    /// Peers that were first, so that others are the next time.
    turn: Arc<AtomicUsize>,
    slow: Arc<SlowPeers>,
}

/// Peers that did not answer in time when they were asked last. They are asked last.
#[derive(Debug, Default)]
struct SlowPeers(Mutex<HashSet<PeerId>>);

impl SlowPeers {
    fn note(&self, peer: PeerId, is_slow: bool) {
        let mut slow = self.0.lock();
        if is_slow {
            slow.insert(peer);
        } else {
            slow.remove(&peer);
        }
    }

    /// Orders peers, and forgets those that are not among them.
    fn put_last(&self, peers: &mut [PeerSummary]) {
        let mut slow = self.0.lock();
        slow.retain(|id| peers.iter().any(|peer| peer.peer_id == *id));
        peers.sort_by_key(|peer| slow.contains(&peer.peer_id));
    }
}

/// What is missing of a block.
struct Wanted<P: Preset> {
    block: Arc<SignedBeaconBlock<P>>,
    columns: BTreeSet<ColumnIndex>,
}

impl<P: Preset> Wanted<P> {
    fn blobs(&self) -> usize {
        self.block.message().body().blob_kzg_commitments().len()
    }
}

/// What came of an answer.
struct Answer {
    received: Vec<(Root, ColumnIndex)>,
    /// Whether the peer may be asked for more.
    is_whole: bool,
}

impl ColumnSource {
    pub(crate) fn new(network: NetworkHandle, schedule: Arc<Vec<DigestEpochs>>) -> Self {
        Self {
            network,
            schedule,
            turn: Arc::default(),
            slow: Arc::default(),
        }
    }

    /// Connected peers; none if the network has stopped. The first `count` are others in every turn, and with fewer peers
    /// the first one is another.
    pub(crate) async fn peers_in_turn(&self, count: usize) -> Vec<PeerSummary> {
        let mut peers = self.network.peers().await.unwrap_or_default();
        peers.retain(|peer| peer.state == PeerState::Connected);
        let step = if peers.len() > count { count } else { 1 };
        let turn = self.turn.fetch_add(step, Ordering::Relaxed);
        let first = turn.checked_rem(peers.len()).unwrap_or_default();
        peers.rotate_left(first);
        peers
    }

    /// Fetches what is missing of blocks, verifies and stores it. A peer is asked for what it is to keep. Gives what has
    /// come.
    pub(crate) async fn fetch<P: Preset>(
        &self,
        intake: &Arc<Intake<P>>,
        blocks: &[RootedBlock<P>],
        priority: Priority,
    ) -> Vec<(Root, ColumnIndex)> {
        let mut fetched = Vec::new();
        let mut wanted = BTreeMap::new();
        for (root, block) in blocks {
            let missing = intake.missing_custody(block, root).unwrap_or_default();
            if !missing.is_empty() {
                let block = Arc::clone(block);
                let columns = missing.into_iter().collect();
                wanted.insert(*root, Wanted { block, columns });
            }
        }
        let Some(oldest) = wanted.values().map(|wanted| wanted.block.slot()).min() else {
            return fetched;
        };
        let mut peers = self.peers_in_turn(MAX_COLUMN_PEERS).await;
        // Who has not got all columns that it names may still have some.
        peers.sort_by_key(|peer| available_from(peer) > oldest);
        self.slow.put_last(&mut peers);
        let mut asked = 0usize;
        for peer in &peers {
            let mut share = share_of(&wanted, &peer.custody);
            if share.is_empty() {
                continue;
            }
            while !share.is_empty() {
                let part = first_part(&mut share, &wanted);
                let answer = self.ask(intake, peer.peer_id, &part, &wanted, priority).await;
                for (root, index) in &answer.received {
                    if let Some(wanted) = wanted.get_mut(root) {
                        wanted.columns.remove(index);
                    }
                }
                fetched.extend(answer.received);
                if !answer.is_whole {
                    break;
                }
            }
            wanted.retain(|_, wanted| !wanted.columns.is_empty());
            asked = asked.saturating_add(1);
            if wanted.is_empty() || asked == MAX_COLUMN_PEERS {
                break;
            }
        }
        fetched
    }

    /// Asks a peer for columns of blocks. What comes before an error counts.
    async fn ask<P: Preset>(
        &self,
        intake: &Arc<Intake<P>>,
        peer: PeerId,
        part: &[(Root, Vec<ColumnIndex>)],
        wanted: &BTreeMap<Root, Wanted<P>>,
        priority: Priority,
    ) -> Answer {
        let (sidecars, end) = self.read(peer, part, wanted, intake.chain().spec()).await;
        let work = {
            let intake = Arc::clone(intake);
            move || store_verified(&intake, sidecars)
        };
        let stored = intake.chain().workers().run(priority, work).await;
        // A node that stops stores nothing.
        let stored = stored.unwrap_or_else(|_| Some(Vec::new()));
        let is_faulty = stored.is_none() || matches!(end, End::Wrong);
        let is_slow = matches!(end, End::Slow);
        self.slow.note(peer, is_slow);
        // The network stopping is no reason to complain.
        if is_faulty {
            tracing::info!(%peer, "Peer sends something else than the columns that it was asked for");
            let _ = self
                .network
                .report_peer(peer, Penalty::Severe, "wrong data column")
                .await;
        } else if is_slow {
            tracing::info!(%peer, "Peer is too slow with its columns");
            let _ = self.network.report_peer(peer, Penalty::Mild, "slow data columns").await;
        }
        Answer {
            received: stored.unwrap_or_default(),
            is_whole: matches!(end, End::Whole) && !is_faulty,
        }
    }

    /// Reads an answer column by column, and no further than the first that was not asked for.
    async fn read<P: Preset>(
        &self,
        peer: PeerId,
        part: &[(Root, Vec<ColumnIndex>)],
        wanted: &BTreeMap<Root, Wanted<P>>,
        spec: &ChainSpec,
    ) -> (Vec<(Root, DataColumnSidecar<P>)>, End) {
        let mut sidecars = Vec::new();
        let mut identifiers = Vec::new();
        let mut expected = BTreeSet::new();
        for (block_root, columns) in part {
            let Ok(list) = columns.clone().try_into() else {
                return (sidecars, End::Broken);
            };
            identifiers.push(DataColumnsByRootIdentifier {
                block_root: *block_root,
                columns: list,
            });
            expected.extend(columns.iter().map(|column| (*block_root, *column)));
        }
        let message = Request::DataColumnsByRoot(DataColumnsByRootRequest { identifiers });
        let Ok(mut stream) = self.network.request(peer, message).await else {
            return (sidecars, End::Broken);
        };
        let columns = u32::try_from(expected.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + NEXT_COLUMN_TIME + ANSWER_TIME_PER_COLUMN.saturating_mul(columns);
        loop {
            let next_due = deadline.min(Instant::now() + NEXT_COLUMN_TIME);
            let Ok(chunk) = tokio::time::timeout_at(next_due, stream.next()).await else {
                return (sidecars, End::Slow);
            };
            let Some(chunk) = chunk else {
                return (sidecars, End::Whole);
            };
            let (fork_digest, ssz) = match chunk {
                Ok(ResponseChunk::Object { fork_digest, ssz }) => (fork_digest, ssz),
                Ok(_) => continue,
                Err(error) => {
                    tracing::debug!(%peer, %error, "Peer does not send all columns");
                    return (sidecars, End::Broken);
                }
            };
            let fork = fork_of_digest(&self.schedule, fork_digest);
            match fork.and_then(|fork| read_column(&ssz, fork, &mut expected, wanted, spec)) {
                Some(sidecar) => sidecars.push(sidecar),
                None => return (sidecars, End::Wrong),
            }
        }
    }
}

/// How an answer ended.
enum End {
    Whole,
    /// The peer said that it cannot, or is gone.
    Broken,
    /// The peer said nothing for too long.
    Slow,
    /// With something that was not asked for.
    Wrong,
}

/// A column that is expected and has not come yet, with its block. All but its proofs is verified. It gets the header of its
/// block: others may have any signature.
fn read_column<P: Preset>(
    ssz: &[u8],
    fork: ForkName,
    expected: &mut BTreeSet<(Root, ColumnIndex)>,
    wanted: &BTreeMap<Root, Wanted<P>>,
    spec: &ChainSpec,
) -> Option<(Root, DataColumnSidecar<P>)> {
    let sidecar = DataColumnSidecar::<P>::from_ssz_bytes_by_fork(ssz, fork).ok()?;
    let root = sidecar.block_header().tree_hash_root();
    let header = wanted.get(&root)?.block.signed_block_header();
    if !expected.remove(&(root, sidecar.index())) {
        return None;
    }
    // The commitments are those of the block, so there are as many cells as it has blobs.
    verify_data_column_sidecar(&sidecar, spec).ok()?;
    verify_data_column_sidecar_inclusion_proof(&sidecar).ok()?;
    Some((root, with_block_header(sidecar, header)))
}

/// Stores columns whose proofs hold. `None` if one of them is wrong.
fn store_verified<P: Preset>(
    intake: &Intake<P>,
    columns: Vec<(Root, DataColumnSidecar<P>)>,
) -> Option<Vec<(Root, ColumnIndex)>> {
    let (roots, sidecars): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    if !sidecars.is_empty() {
        verify_data_column_sidecars_kzg_proofs(&sidecars).ok()?;
    }
    let mut stored = Vec::new();
    for (root, sidecar) in roots.into_iter().zip(&sidecars) {
        intake.store_column(root, sidecar);
        stored.push((root, sidecar.index()));
    }
    Some(stored)
}

/// The first slot that a peer says it has everything of.
pub(crate) fn available_from(peer: &PeerSummary) -> Slot {
    let status = peer.status.as_ref();
    status
        .and_then(|status| status.earliest_available_slot)
        .unwrap_or_default()
}

/// What of the missing columns is in a peer's custody.
fn share_of<P: Preset>(
    wanted: &BTreeMap<Root, Wanted<P>>,
    custody: &BTreeSet<ColumnIndex>,
) -> Vec<(Root, Vec<ColumnIndex>)> {
    let mut share = Vec::new();
    for (root, wanted) in wanted {
        let columns: Vec<_> = wanted.columns.intersection(custody).copied().collect();
        if !columns.is_empty() {
            share.push((*root, columns));
        }
    }
    share
}

/// Takes as much as may be asked for at once.
fn first_part<P: Preset>(
    share: &mut Vec<(Root, Vec<ColumnIndex>)>,
    wanted: &BTreeMap<Root, Wanted<P>>,
) -> Vec<(Root, Vec<ColumnIndex>)> {
    let (mut count, mut bytes) = (0usize, 0usize);
    let fits = share.iter().take_while(|(root, columns)| {
        let blobs = wanted.get(root).map_or(0, Wanted::blobs);
        let of_column = blobs.saturating_mul(BYTES_PER_BLOB);
        count = count.saturating_add(columns.len());
        bytes = bytes.saturating_add(of_column.saturating_mul(columns.len()));
        count <= MAX_COLUMNS_PER_REQUEST && bytes <= MAX_BYTES_PER_REQUEST
    });
    let fits = fits.count().max(1);
    share.drain(..fits.min(share.len())).collect()
}

/// At ever longer intervals, but not so long that a block becomes too old to be imported.
fn is_look_due(looks: u32) -> bool {
    looks >= 2 && (looks.is_power_of_two() || looks.is_multiple_of(MAX_LOOKS_BETWEEN))
}

/// How often each block that waits was looked at.
#[derive(Debug, Default)]
struct Looks(BTreeMap<Root, u32>);

impl Looks {
    /// Looks at all that wait. Gives those to fetch for now, beside those that are being fetched for. One that just came is
    /// left alone; of the others those that were looked at least often come first: young ones, of which votes are due. What
    /// has no place is due again at the next look.
    fn look(&mut self, mut waiting: Vec<Root>, fetched: &BTreeSet<Root>) -> Vec<Root> {
        self.0.retain(|root, _| waiting.contains(root));
        waiting.sort_by_key(|root| self.0.get(root).copied().unwrap_or_default());
        let places = MAX_FETCHED_AT_ONCE.saturating_sub(fetched.len());
        let mut due = Vec::new();
        for root in waiting {
            let looks = self.0.entry(root).or_default();
            let next = looks.saturating_add(1);
            if !is_look_due(next) {
                *looks = next;
            } else if due.len() < places && !fetched.contains(&root) {
                *looks = next;
                due.push(root);
            }
        }
        due
    }
}

/// Fetches columns of blocks that came without: from gossip, or put together here.
pub(crate) struct LateColumns<P: Preset> {
    intake: Arc<Intake<P>>,
    source: ColumnSource,
    looks: Looks,
}

impl<P: Preset> LateColumns<P> {
    pub(crate) fn new(intake: Arc<Intake<P>>, source: ColumnSource) -> Self {
        Self {
            intake,
            source,
            looks: Looks::default(),
        }
    }

    /// Works until it is dropped.
    pub(crate) async fn run(mut self) {
        let clock = self.intake.chain().clock().clone();
        let pause = (self.intake.chain().spec().slot_duration_ms / LOOKS_PER_SLOT).max(1);
        let next_look = || {
            let clock = clock.clone();
            async move { clock.sleep_until_ms(clock.now_ms().saturating_add(pause)).await }
        };
        let mut look = std::pin::pin!(next_look());
        let mut running = FuturesUnordered::new();
        let mut fetched = BTreeSet::new();
        loop {
            tokio::select! {
                () = &mut look => {
                    for block in self.due(&fetched) {
                        fetched.insert(block.0);
                        running.push(fetch_and_import(Arc::clone(&self.intake), self.source.clone(), block));
                    }
                    look.set(next_look());
                }
                Some(root) = running.next() => {
                    fetched.remove(&root);
                }
            }
        }
    }

    fn due(&mut self, fetched: &BTreeSet<Root>) -> Vec<RootedBlock<P>> {
        let mut waiting: BTreeMap<Root, _> = self.intake.waiting_blocks().into_iter().collect();
        let due = self.looks.look(waiting.keys().copied().collect(), fetched);
        due.into_iter().filter_map(|root| waiting.remove_entry(&root)).collect()
    }
}

/// Gives the root of the block.
async fn fetch_and_import<P: Preset>(intake: Arc<Intake<P>>, source: ColumnSource, waiting: RootedBlock<P>) -> Root {
    let blocks = [waiting];
    source.fetch(&intake, &blocks, Priority::BlockImport).await;
    let [(root, block)] = blocks;
    let slot = block.slot();
    if let Some(complete) = intake.complete(&root).await {
        match intake.import(complete).await {
            Ok(_) => tracing::info!(%slot, %root, "Block imported: its columns were fetched"),
            Err(ImportError::AlreadyKnown(_)) => {}
            Err(error) => tracing::warn!(%slot, %root, %error, "Block is not imported"),
        }
        return root;
    }
    let missing = intake.missing_columns(&block, &root).unwrap_or_default();
    if !missing.is_empty() && intake.is_waiting(&root) && !intake.is_recovering(&root) {
        tracing::warn!(%slot, %root, ?missing, "Block is not imported: nobody has its columns");
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_waits_is_looked_at_seldom_but_never_forgotten() {
        let due: Vec<u32> = (0..70).filter(|looks| is_look_due(*looks)).collect();
        assert_eq!(due, [2, 4, 8, 16, 32, 48, 64]);
    }
    #[test]
    fn blocks_that_were_seldom_looked_at_come_first_and_the_others_when_there_is_a_place() {
        let four_of = |byte: u8| -> Vec<Root> { (byte..byte + 4).map(Root::repeat_byte).collect() };
        let (old, young) = (four_of(1), four_of(101));
        let none = BTreeSet::new();
        let mut looks = Looks::default();
        let look_at_old: Vec<_> = (0..2).map(|_| looks.look(old.clone(), &none)).collect();
        assert_eq!(look_at_old, [Vec::new(), old.clone()]);
        // Now all are due at the same look, for which four have a place.
        let all = [old.clone(), young.clone()].concat();
        assert!(looks.look(all.clone(), &none).is_empty());
        assert_eq!(looks.look(all.clone(), &none), young);
        // What is fetched for takes its place from others, which lose nothing.
        let fetched: BTreeSet<_> = young.iter().copied().collect();
        assert!(looks.look(all.clone(), &fetched).is_empty());
        assert_eq!(looks.look(all.clone(), &none), old);
        // A block that waited before is new when it comes again.
        looks.look(young.clone(), &none);
        assert!(looks.look(all, &none).is_empty());
    }
}
