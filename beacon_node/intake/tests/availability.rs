//! A block with a blob waits for the columns of this node's custody.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use beacon_chain::{Anchor, BeaconChain, ChainConfig, ImportError};
use chain_harness::{BlockPlan, Chain, Keys, solo};
use gossip_validation::GossipValidator;
use intake::{Custody, Intake, Outgoing};
use operation_pool::OperationPool;
use runtime::{Receiver, SlotClock, WorkerPool};
use state_transition::genesis::genesis_block;
use std::sync::Arc;
use std::time::Duration;
use storage::{Identity, Storage};
use types::*;

const VALIDATORS: u64 = 32;
/// Of 128 columns.
const CUSTODY: [ColumnIndex; 2] = [3, 127];

fn spec() -> ChainSpec {
    ChainSpec::fulu_genesis(PresetName::Minimal)
}

/// A chain of solo validators at its genesis, with its clock.
fn producer() -> (Chain<Minimal>, SlotClock) {
    let validators: Vec<_> = (0..VALIDATORS).map(|validator| solo(validator, 32)).collect();
    let producer = Chain::<Minimal>::new(&validators, Keys::new(VALIDATORS, &[], 0), spec());
    let clock = SlotClock::manual(producer.state.genesis_time(), &producer.spec);
    (producer, clock)
}

fn intake(producer: &Chain<Minimal>, clock: &SlotClock) -> Arc<Intake<Minimal>> {
    intake_of(producer, clock, CUSTODY).0
}

/// One that keeps some columns, with what it publishes.
fn intake_of(
    producer: &Chain<Minimal>,
    clock: &SlotClock,
    columns: impl IntoIterator<Item = ColumnIndex>,
) -> (Arc<Intake<Minimal>>, Receiver<Outgoing<Minimal>>) {
    let identity = Identity {
        genesis_time: producer.state.genesis_time(),
        genesis_validators_root: producer.state.genesis_validators_root(),
    };
    let config = ChainConfig {
        spec: Arc::new(producer.spec.clone()),
        clock: clock.clone(),
        storage: Arc::new(Storage::in_memory(identity).unwrap()),
        execution_layer: None,
        workers: WorkerPool::start(1).unwrap(),
    };
    let mut state = producer.state.clone();
    let block = genesis_block(&mut state).unwrap();
    let chain = BeaconChain::from_anchor(config, Anchor { state, block }).unwrap();
    let (sender, outgoing) = runtime::channel("outgoing", 256);
    let custody = Custody {
        columns: columns.into_iter().collect(),
    };
    let gossip = Arc::new(GossipValidator::new(chain));
    let intake = Intake::new(gossip, Arc::new(OperationPool::new()), sender, custody);
    (intake, outgoing)
}

/// The next block with one blob, of which all field elements are 1: the commitment to it is the generator of G1.
fn block_with_blob(producer: &Chain<Minimal>) -> (SignedBeaconBlock<Minimal>, Vec<DataColumnSidecar<Minimal>>) {
    const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
                             6c55e83ff97a1aeffb3af00adb22c6bb";
    let plan = BlockPlan {
        vote_slots: 0,
        blob_kzg_commitments: vec![GENERATOR.parse().unwrap()],
        ..BlockPlan::default()
    };
    let signed = producer.build(&|_, _| true, plan).unwrap();
    let sidecars = columns_of(&signed);
    (signed, sidecars)
}

fn columns_of(block: &SignedBeaconBlock<Minimal>) -> Vec<DataColumnSidecar<Minimal>> {
    let mut bytes = vec![0; 131_072];
    bytes.chunks_exact_mut(32).for_each(|element| element[31] = 1);
    let blobs = vec![Blob::<Minimal>::new(bytes).unwrap()];
    let matrix = data_columns::compute_matrix::<Minimal>(&blobs).unwrap();
    let proofs: Vec<KzgProof> = matrix.into_iter().map(|entry| entry.kzg_proof).collect();
    data_columns::get_data_column_sidecars_from_block(block, &blobs, &proofs).unwrap()
}

/// Time goes on while something is done.
async fn in_time<T>(clock: &SlotClock, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(Duration::from_millis(1)) => clock.set_ms(clock.now_ms() + 10),
        }
    }
}

fn stored(intake: &Intake<Minimal>, root: &Root) -> Vec<ColumnIndex> {
    intake.chain().storage().data_column_indices(root).unwrap()
}

/// The block under a signature that is not its proposer's. It has the same root.
fn forged(block: &SignedBeaconBlock<Minimal>) -> Arc<SignedBeaconBlock<Minimal>> {
    Arc::new(SignedBeaconBlock::from_parts(
        block.message().cloned(),
        *block.message().body().randao_reveal(),
        Signers::default(),
        SchemeProofs::default(),
    ))
}

#[tokio::test]
async fn a_block_with_a_blob_is_imported_when_the_last_column_of_the_custody_is_here() {
    let (producer, clock) = producer();
    let intake = intake(&producer, &clock);
    let (block, sidecars) = block_with_blob(&producer);
    let root = block.block_root();
    clock.set_slot(block.slot());

    let verified = intake.receive_block(Arc::new(block.clone())).await.unwrap();
    let error = intake.import(verified).await.unwrap_err();
    assert!(matches!(error, ImportError::DataUnavailable(_)), "{error}");
    assert!(!error.is_invalid_block(), "nobody is to blame");
    assert_eq!(intake.missing_columns(&block, &root).unwrap(), CUSTODY);
    assert!(intake.is_executed(&root), "only the columns are still needed");

    let column = |index: ColumnIndex| Arc::new(sidecars[index as usize].clone());
    // A column that is not kept here changes nothing.
    for index in [5, CUSTODY[0]] {
        let received = intake.receive_data_column(column(index), Some(index)).await.unwrap();
        assert_eq!(received.block_root, root);
        assert!(intake.complete(&root).await.is_none());
    }
    assert_eq!(intake.missing_columns(&block, &root).unwrap(), [CUSTODY[1]]);
    assert!(!intake.chain().contains_block(&root));
    intake
        .receive_data_column(column(CUSTODY[1]), Some(CUSTODY[1]))
        .await
        .unwrap();
    let complete = intake.complete(&root).await.unwrap();
    assert!(intake.complete(&root).await.is_none(), "one importer is enough");
    assert_eq!(intake.import(complete).await.unwrap(), root);
    assert_eq!(intake.chain().head().root, root);
    let kept = intake.chain().storage().data_column_indices(&root).unwrap();
    assert_eq!(kept, CUSTODY);
}

#[tokio::test]
async fn more_custody_is_kept_at_once_and_needed_from_its_slot_on() {
    const MORE: [ColumnIndex; 3] = [3, 5, 127];
    let (producer, clock) = producer();
    let (block, sidecars) = block_with_blob(&producer);
    let root = block.block_root();
    clock.set_slot(block.slot());
    let more = || Custody {
        columns: MORE.into_iter().collect(),
    };

    let later = intake(&producer, &clock);
    later.raise_custody(block.slot().saturating_add(1u64), more());
    assert_eq!(later.custody(), more());
    assert_eq!(later.missing_columns(&block, &root).unwrap(), CUSTODY);
    let column = Arc::new(sidecars[5].clone());
    let received = later.receive_data_column(column, Some(5)).await.unwrap();
    assert_eq!(received.block_root, root);
    assert!(later.complete(&root).await.is_none());
    assert_eq!(later.chain().storage().data_column_indices(&root).unwrap(), [5]);

    let now = intake(&producer, &clock);
    now.raise_custody(block.slot(), more());
    assert_eq!(now.missing_columns(&block, &root).unwrap(), MORE);
}

#[tokio::test]
async fn a_block_of_which_nothing_was_verified_does_not_wait_for_its_columns_as_a_verified_one() {
    let (producer, clock) = producer();
    let intake = intake(&producer, &clock);
    let (block, sidecars) = block_with_blob(&producer);
    clock.set_slot(block.slot());

    let unavailable = |error: ImportError| matches!(error, ImportError::DataUnavailable(_));
    let error = intake.import_unverified(Arc::new(block.clone())).await.unwrap_err();
    assert!(unavailable(error));
    for index in CUSTODY {
        let column = Arc::new(sidecars[index as usize].clone());
        let root = intake
            .receive_data_column(column, Some(index))
            .await
            .unwrap()
            .block_root;
        assert!(
            intake.complete(&root).await.is_none(),
            "nobody verified the block's signature as a condition of gossip"
        );
    }
    assert!(!intake.chain().contains_block(&block.block_root()));
    let imported = intake.import_unverified(Arc::new(block.clone())).await;
    assert_eq!(imported.unwrap(), block.block_root());
}

#[tokio::test]
async fn that_columns_are_missing_is_no_excuse_for_a_block_that_is_invalid() {
    let (producer, clock) = producer();
    let intake = intake(&producer, &clock);
    let (block, _) = block_with_blob(&producer);
    clock.set_slot(block.slot());
    let error = intake.import_unverified(forged(&block)).await.unwrap_err();
    assert!(error.is_invalid_block(), "{error}");
}

#[tokio::test]
async fn nothing_is_made_or_published_of_columns_of_a_block_that_its_proposer_did_not_sign() {
    let (producer, clock) = producer();
    let (intake, mut outgoing) = intake_of(&producer, &clock, 0..128);
    let (block, sidecars) = block_with_blob(&producer);
    let root = block.block_root();
    clock.set_slot(block.slot());
    // Half of them, as a peer serves them that made up the block.
    let half: Vec<ColumnIndex> = (0..64).collect();
    for column in &sidecars[..64] {
        intake.store_column(root, column);
    }
    let error = intake.import_unverified(forged(&block)).await.unwrap_err();
    assert!(error.is_invalid_block(), "{error}");
    assert_eq!(stored(&intake, &root), half);
    assert!(outgoing.try_recv().is_none());
    // The proposer's own columns are still new, and those that are missing are recovered under its signature.
    let column = Arc::new(sidecars[64].clone());
    assert!(intake.receive_data_column(column, Some(64)).await.is_ok());
    let imported = in_time(&clock, intake.import_unverified(Arc::new(block.clone()))).await;
    assert_eq!(imported.unwrap(), root);
    let mut published = Vec::new();
    while let Some(sent) = outgoing.try_recv() {
        let Outgoing::DataColumn(column) = sent else {
            panic!("only columns are recovered")
        };
        assert_eq!(*column, sidecars[column.index() as usize]);
        published.push(column.index());
    }
    // The first half did not come by gossip, so it may be new to others, too.
    let all_but_seen: Vec<ColumnIndex> = (0..128).filter(|index| *index != 64).collect();
    assert_eq!(published, all_but_seen);
}

#[tokio::test]
async fn columns_that_are_recovered_long_after_their_slot_are_kept_and_not_published() {
    let (producer, clock) = producer();
    let (intake, mut outgoing) = intake_of(&producer, &clock, 0..128);
    let (block, sidecars) = block_with_blob(&producer);
    let root = block.block_root();
    clock.set_slot(Epoch::new(2).start_slot::<Minimal>());
    for column in &sidecars[64..] {
        intake.store_column(root, column);
    }
    let imported = in_time(&clock, intake.import_unverified(Arc::new(block))).await;
    assert_eq!(imported.unwrap(), root);
    assert_eq!(stored(&intake, &root).len(), 128);
    assert!(outgoing.try_recv().is_none());
}

#[tokio::test]
async fn columns_that_came_by_gossip_stay_when_those_that_were_fetched_are_forgotten() {
    let (producer, clock) = producer();
    let intake = intake(&producer, &clock);
    let (block, sidecars) = block_with_blob(&producer);
    let root = block.block_root();
    clock.set_slot(block.slot());
    for index in CUSTODY {
        intake.store_column(root, &sidecars[index as usize]);
    }
    let [by_gossip, fetched] = CUSTODY;
    let column = Arc::new(sidecars[by_gossip as usize].clone());
    intake.receive_data_column(column, Some(by_gossip)).await.unwrap();
    intake.forget_columns(block.slot(), &root, &CUSTODY).unwrap();
    assert_eq!(stored(&intake, &root), [by_gossip]);
    intake.forget_columns(block.slot(), &root, &[fetched]).unwrap();
    assert_eq!(stored(&intake, &root), [by_gossip]);
    // Another block of the same slot and proposer has none that was seen.
    let other = Root::repeat_byte(1);
    intake.store_column(other, &sidecars[by_gossip as usize]);
    intake.forget_columns(block.slot(), &other, &CUSTODY).unwrap();
    assert!(stored(&intake, &other).is_empty());
}

#[tokio::test]
async fn no_column_is_kept_of_a_block_that_its_proposer_signed_though_it_is_invalid() {
    let (producer, clock) = producer();
    let intake = intake(&producer, &clock);
    let (right, _) = block_with_blob(&producer);
    clock.set_slot(right.slot());
    let BeaconBlock::Fulu(mut message) = right.message().cloned() else {
        panic!("a block of the first fork")
    };
    message.state_root = Root::repeat_byte(1);
    let block = producer.sign(&producer.state, BeaconBlock::Fulu(message), Signers::default());
    let root = block.block_root();
    let verified = intake.receive_block(Arc::new(block.clone())).await.unwrap();
    let sidecars = columns_of(&block);
    let [first, second] = CUSTODY;
    let column = |index: ColumnIndex| Arc::new(sidecars[index as usize].clone());
    intake.receive_data_column(column(first), Some(first)).await.unwrap();
    assert_eq!(stored(&intake, &root), [first]);
    let error = intake.import(verified).await.unwrap_err();
    assert!(error.is_invalid_block(), "{error}");
    assert!(stored(&intake, &root).is_empty());
    intake.receive_data_column(column(second), Some(second)).await.unwrap();
    assert!(stored(&intake, &root).is_empty());
}
