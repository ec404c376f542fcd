//! Ratios of data columns, each measured in one run:
//!
//! * verifying all columns of a block with six blobs against the library alone on the same cells,
//! * importing a block with six blobs, from the arrival of its last column, against importing one without, from its arrival.
//!
//! `make bench`. What is compared takes turns, so that a busy machine slows down both.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed measurement")]

use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use chain_harness::{BlockPlan, Chain, Keys, solo};
use data_columns::{
    blob_to_kzg_commitment, compute_cells_and_kzg_proofs, get_data_column_sidecars_from_block,
    verify_data_column_sidecars_kzg_proofs,
};
use gossip_validation::GossipValidator;
use intake::{Custody, Intake};
use operation_pool::OperationPool;
use runtime::{SlotClock, WorkerPool};
use rust_eth_kzg::{DASContext, TrustedSetup, UsePrecomp};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::{Identity, Storage};
use types::*;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BLOBS: u64 = 6;
/// 128 votes in a slot.
const VALIDATORS: u64 = 1 << 12;
/// Columns that a node without validators keeps.
const SAMPLED: [ColumnIndex; 8] = [1, 17, 33, 49, 65, 81, 97, 113];
const RUNS: usize = 25;

type Column = DataColumnSidecar<Mainnet>;

fn blob(number: u64) -> Blob<Mainnet> {
    let mut blob = Blob::<Mainnet>::default();
    for (place, element) in (0u64..).zip(blob.chunks_exact_mut(32)) {
        let value = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
        element[24..].copy_from_slice(&value.to_be_bytes());
    }
    blob
}

/// The second block of a chain, with the votes of all, and with or without blobs.
struct Blocks {
    anchor: BeaconState<Mainnet>,
    first: SignedBeaconBlock<Mainnet>,
    plain: SignedBeaconBlock<Mainnet>,
    with_blobs: SignedBeaconBlock<Mainnet>,
    columns: Vec<Column>,
    spec: Arc<ChainSpec>,
}

impl Blocks {
    fn new() -> Self {
        let validators: Vec<_> = (0..VALIDATORS).map(|validator| solo(validator, 32)).collect();
        let mut spec = ChainSpec::mainnet();
        spec.electra_fork_epoch = Epoch::new(0);
        spec.fulu_fork_epoch = Epoch::new(0);
        let mut chain = Chain::<Mainnet>::new(&validators, Keys::new(VALIDATORS, &[], 0), spec);
        let anchor = chain.state.clone();
        let everybody = |_: SignerIndex, _: Slot| true;
        let first = chain.step(&everybody, BlockPlan::default()).unwrap();
        let plain = chain.build(&everybody, BlockPlan::default()).unwrap();
        let blobs: Vec<_> = (0..BLOBS).map(blob).collect();
        let plan = BlockPlan {
            blob_kzg_commitments: blobs
                .iter()
                .map(|blob| blob_to_kzg_commitment::<Mainnet>(blob).unwrap())
                .collect(),
            ..BlockPlan::default()
        };
        let with_blobs = chain.build(&everybody, plan).unwrap();
        let proofs: Vec<_> = blobs
            .iter()
            .flat_map(|blob| compute_cells_and_kzg_proofs::<Mainnet>(blob).unwrap().1)
            .collect();
        let columns = get_data_column_sidecars_from_block(&with_blobs, &blobs, &proofs).unwrap();
        Self {
            anchor,
            first,
            plain,
            with_blobs,
            columns,
            spec: Arc::new(chain.spec),
        }
    }

    /// A node that has the first block, in the slot of the second.
    async fn node(&self, workers: &WorkerPool) -> Arc<Intake<Mainnet>> {
        let clock = SlotClock::manual(self.anchor.genesis_time(), &self.spec);
        let config = ChainConfig {
            spec: Arc::clone(&self.spec),
            clock: clock.clone(),
            storage: Arc::new(Storage::in_memory(Identity::of(&self.anchor)).unwrap()),
            execution_layer: None,
            workers: workers.clone(),
        };
        let chain = BeaconChain::from_anchor(config, Anchor::genesis(self.anchor.clone()).unwrap()).unwrap();
        let (sender, _) = runtime::channel("outgoing", 8);
        let custody = Custody {
            columns: SAMPLED.into_iter().collect(),
        };
        let gossip = Arc::new(GossipValidator::new(chain));
        let intake = Intake::new(gossip, Arc::new(OperationPool::new()), sender, custody);
        clock.set_slot(self.first.slot());
        let first = intake.receive_block(Arc::new(self.first.clone())).await.unwrap();
        intake.import(first).await.unwrap();
        clock.set_slot(self.plain.slot());
        intake
    }

    async fn import_plain(&self, workers: &WorkerPool) -> Duration {
        let intake = self.node(workers).await;
        let block = Arc::new(self.plain.clone());
        let start = Instant::now();
        let verified = intake.receive_block(block).await.unwrap();
        intake.import(verified).await.unwrap();
        start.elapsed()
    }

    async fn import_with_blobs(&self, workers: &WorkerPool) -> Duration {
        let intake = self.node(workers).await;
        let verified = intake.receive_block(Arc::new(self.with_blobs.clone())).await.unwrap();
        intake.import(verified).await.unwrap_err();
        let mut columns = SAMPLED
            .map(|index| Arc::new(self.columns[index as usize].clone()))
            .into_iter();
        let last = columns.next_back().unwrap();
        for column in columns {
            let root = intake.receive_data_column(column, None).await.unwrap().block_root;
            assert!(intake.complete(&root).await.is_none());
        }
        let start = Instant::now();
        let root = intake.receive_data_column(last, None).await.unwrap().block_root;
        let complete = intake.complete(&root).await.unwrap();
        intake.import(complete).await.unwrap();
        start.elapsed()
    }

    /// As a node does it, and the library alone.
    fn verify(&self, library: &DASContext) -> (Duration, Duration) {
        let (mut commitments, mut indices, mut cells, mut proofs) = (vec![], vec![], vec![], vec![]);
        for column in &self.columns {
            for (cell, proof) in column.column().iter().zip(column.kzg_proofs()) {
                cells.push(cell.as_ref().try_into().unwrap());
                proofs.push(&proof.0);
                indices.push(column.index());
            }
            commitments.extend(column.kzg_commitments().iter().map(|commitment| &commitment.0));
        }
        let start = Instant::now();
        library
            .verify_cell_kzg_proof_batch(black_box(commitments), &indices, cells, proofs)
            .unwrap();
        let raw = start.elapsed();
        let start = Instant::now();
        verify_data_column_sidecars_kzg_proofs(black_box(&self.columns)).unwrap();
        (start.elapsed(), raw)
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn print_ratio(what: &str, (ours, other): (Vec<Duration>, Vec<Duration>), bar: f64) {
    let (ours, other) = (median(ours), median(other));
    let ratio = ours.as_secs_f64() / other.as_secs_f64();
    println!("{what}: {ratio:.3} (bar {bar}); {ours:?} to {other:?}, medians of {RUNS}");
}

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let blocks = Blocks::new();
    let library = DASContext::new(&TrustedSetup::default(), UsePrecomp::No);
    blocks.verify(&library);
    let verified = (0..RUNS).map(|_| blocks.verify(&library)).unzip();
    print_ratio(
        "verification of 128 columns of 6 blobs / the library alone",
        verified,
        1.1,
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let workers = WorkerPool::start(2).unwrap();
    let imported = runtime.block_on(async {
        let (mut with_blobs, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            with_blobs.push(blocks.import_with_blobs(&workers).await);
            plain.push(blocks.import_plain(&workers).await);
        }
        (with_blobs, plain)
    });
    print_ratio(
        "import with 6 blobs, from the last column / import without",
        imported,
        1.5,
    );
}
