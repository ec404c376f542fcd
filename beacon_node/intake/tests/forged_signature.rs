//! A block's root says nothing about its signature: a copy under a wrong one does no harm to the block.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use chain_harness::{BlockPlan, Chain, Keys, solo};
use gossip_validation::GossipValidator;
use intake::{Custody, Intake};
use operation_pool::OperationPool;
use runtime::{SlotClock, WorkerPool};
use state_transition::genesis::genesis_block;
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{Identity, Storage};
use types::*;

const VALIDATORS: u64 = 32;

fn intake(producer: &Chain<Minimal>, clock: &SlotClock) -> Arc<Intake<Minimal>> {
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
    let (sender, _outgoing) = runtime::channel("outgoing", 8);
    let custody = Custody {
        columns: BTreeSet::new(),
    };
    let gossip = Arc::new(GossipValidator::new(chain));
    Intake::new(gossip, Arc::new(OperationPool::new()), sender, custody)
}

#[tokio::test]
async fn a_block_refused_for_its_signature_is_taken_under_the_right_one_and_so_is_its_child() {
    let validators: Vec<_> = (0..VALIDATORS).map(|validator| solo(validator, 32)).collect();
    let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
    let mut producer = Chain::<Minimal>::new(&validators, Keys::new(VALIDATORS, &[], 0), spec);
    let clock = SlotClock::manual(producer.state.genesis_time(), &producer.spec);
    let intake = intake(&producer, &clock);
    let block = producer.step(&|_, _| true, BlockPlan::default()).unwrap();
    let child = producer.step(&|_, _| true, BlockPlan::default()).unwrap();
    clock.set_slot(child.slot());

    let forged = SignedBeaconBlock::from_parts(
        block.message().cloned(),
        *child.signature(),
        Signers::default(),
        SchemeProofs::default(),
    );
    assert_eq!(forged.block_root(), block.block_root());
    let error = intake.import_unverified(Arc::new(forged)).await.unwrap_err();
    assert!(error.is_invalid_block(), "{error}");

    for block in [block, child] {
        let root = block.block_root();
        let verified = intake.receive_block(Arc::new(block)).await.unwrap();
        assert_eq!(intake.import(verified).await.unwrap(), root);
    }
}
