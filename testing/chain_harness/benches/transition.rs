//! Ratios of the state transition, each measured in one run:
//!
//! * a full block with all signatures against raw blst on the same signatures,
//! * an epoch under `dvt` without groups against Fulu's on the same registry,
//! * an epoch of 2^20 against one of 2^17 validators.
//!
//! `make bench`. Absolute times mean little on a shared machine; the ratios are printed at the end.

use blst::min_pk::{AggregatePublicKey, PublicKey, Signature};
use blst::{BLST_ERROR, blst_scalar};
use chain_harness::{BlockPlan, Chain, Keys, solo};
use criterion::{BatchSize, Criterion};
use signature_scheme::{SignatureError, SignatureSet};
use state_transition::Verifier;
use state_transition::block::header::block_signature_set;
use state_transition::block::{BlockSignatures, process_block, state_transition};
use state_transition::dvt::signers::Quorum;
use state_transition::genesis::{GenesisValidator, genesis_state};
use state_transition::{process_epoch, process_slots};
use std::path::Path;
use types::constants::FAR_FUTURE_EPOCH;
use types::*;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Validators of the chain whose block is measured: 512 votes in a slot.
const VALIDATORS: u64 = 1 << 14;

fn spec(dvt_fork_epoch: Epoch) -> ChainSpec {
    let mut spec = ChainSpec::mainnet();
    spec.electra_fork_epoch = Epoch::new(0);
    spec.fulu_fork_epoch = Epoch::new(0);
    spec.dvt_fork_epoch = dvt_fork_epoch;
    spec
}

/// A chain of mainnet's size per slot, with a block that holds as many votes as fit, those of eight
/// slots, and the sync committee's.
fn full_block() -> (BeaconState<Mainnet>, SignedBeaconBlock<Mainnet>, ChainSpec) {
    let validators: Vec<GenesisValidator> = (0..VALIDATORS).map(|validator| solo(validator, 32)).collect();
    let spec = spec(FAR_FUTURE_EPOCH);
    let mut chain = Chain::<Mainnet>::new(&validators, Keys::new(VALIDATORS, &[], 0), spec.clone());
    let everybody = |_: SignerIndex, _: Slot| true;
    // The votes of eight slots wait for one block.
    let without_votes = || BlockPlan {
        vote_slots: 0,
        ..BlockPlan::default()
    };
    for _ in 0..9 {
        chain.step(&everybody, without_votes()).expect("everybody is there");
    }
    let plan = BlockPlan {
        vote_slots: Mainnet::MAX_ATTESTATIONS_ELECTRA,
        ..BlockPlan::default()
    };
    let block = chain.build(&everybody, plan).expect("everybody is there");
    (chain.state, block, spec)
}

/// Keeps all signature sets.
#[derive(Default)]
struct Collector(Vec<SignatureSet>);

impl Verifier for Collector {
    const IS_NULL: bool = false;

    fn push(&mut self, set: SignatureSet) -> Result<(), SignatureError> {
        self.0.push(set);
        Ok(())
    }
}

/// All signatures of a block.
fn signature_sets(
    state: &BeaconState<Mainnet>,
    block: &SignedBeaconBlock<Mainnet>,
    spec: &ChainSpec,
) -> Vec<SignatureSet> {
    let mut state = state.clone();
    process_slots(&mut state, block.slot(), spec).expect("the state reaches the slot");
    let mut verifier = Collector::default();
    let proposer = block_signature_set(&state, block, None, Quorum::Threshold).expect("the proposer signed");
    verifier.push(proposer).expect("sets are only collected");
    process_block(&mut state, block.message(), &mut verifier, spec).expect("the block is valid");
    verifier.0
}

/// What raw blst needs: keys are decompressed before, as a node has them.
struct Raw {
    message: [u8; 32],
    keys: Vec<PublicKey>,
    signature: [u8; 96],
}

fn raw_sets(sets: &[SignatureSet]) -> Vec<Raw> {
    sets.iter()
        .map(|set| Raw {
            message: set.signing_root.0,
            keys: set
                .signers
                .iter()
                .map(|signer| PublicKey::uncompress(signer.as_bytes()).expect("keys are valid"))
                .collect(),
            signature: set.signature.0,
        })
        .collect()
}

/// Decompression, sums of keys and one multi-pairing, with nothing around it.
fn verify_raw(sets: &[Raw]) {
    let signatures: Vec<Signature> = sets
        .iter()
        .map(|set| Signature::uncompress(&set.signature).expect("signatures are valid"))
        .collect();
    let keys: Vec<PublicKey> = sets
        .iter()
        .map(|set| {
            let keys: Vec<&PublicKey> = set.keys.iter().collect();
            AggregatePublicKey::aggregate(&keys, false)
                .expect("there are keys")
                .to_public_key()
        })
        .collect();
    let messages: Vec<&[u8]> = sets.iter().map(|set| set.message.as_slice()).collect();
    let coefficients: Vec<blst_scalar> = (1u8..)
        .zip(sets)
        .map(|(number, _)| {
            let mut scalar = blst_scalar::default();
            scalar.b[..8].copy_from_slice(&[number; 8]);
            scalar
        })
        .collect();
    let result = Signature::verify_multiple_aggregate_signatures(
        &messages,
        bls::DST,
        &keys.iter().collect::<Vec<_>>(),
        false,
        &signatures.iter().collect::<Vec<_>>(),
        true,
        &coefficients,
        64,
    );
    assert_eq!(result, BLST_ERROR::BLST_SUCCESS);
}

/// A state of so many validators at the end of epoch 9, of whom one in a hundred did not vote.
fn large_state(validators: u64, dvt_fork_epoch: Epoch) -> (BeaconState<Mainnet>, ChainSpec) {
    let spec = spec(dvt_fork_epoch);
    let first = solo(0, 32);
    let mut state = genesis_state::<Mainnet>(0, std::slice::from_ref(&first), Default::default(), &spec)
        .expect("one validator is a chain");
    let model = state.validators().get(0).expect("there is one").clone();
    let made: Vec<Validator> = (0..validators)
        .map(|index| {
            let mut pubkey = model.pubkey;
            if index > 0 {
                // No key of the curve: an epoch does not look at it.
                pubkey[..32].copy_from_slice(&ethereum_hashing::hash(&index.to_le_bytes()));
            }
            Validator {
                pubkey,
                ..model.clone()
            }
        })
        .collect();
    let flags = || (0..validators).map(|index| if index % 100 == 0 { 0u8 } else { 7 });
    let fits = "the list has room";
    *state.validators_mut() = milhouse::List::try_from_iter(made).expect(fits);
    let balances = (0..validators).map(|index| 32_000_000_000 + index % 1_000_000);
    *state.balances_mut() = milhouse::List::try_from_iter(balances).expect(fits);
    *state.inactivity_scores_mut() = milhouse::List::try_from_iter((0..validators).map(|_| 0)).expect(fits);
    *state.previous_epoch_participation_mut() = milhouse::List::try_from_iter(flags()).expect(fits);
    *state.current_epoch_participation_mut() = milhouse::List::try_from_iter(flags()).expect(fits);
    state.caches_mut().clear();
    *state.slot_mut() = Slot::new(32 * 10 - 1);
    *state.finalized_checkpoint_mut() = Checkpoint {
        epoch: Epoch::new(7),
        root: Root::ZERO,
    };
    state.canonical_root().expect("the state hashes");
    (state, spec)
}

fn bench_blocks(criterion: &mut Criterion) {
    let (state, block, spec) = full_block();
    let sets = signature_sets(&state, &block, &spec);
    let raw = raw_sets(&sets);
    let keys: usize = raw.iter().map(|set| set.keys.len()).sum();
    println!("full block: {} signature sets of {keys} keys", raw.len());
    // The state at the block's slot: advancing through the slot is no part of the block.
    let mut at_slot = state;
    process_slots(&mut at_slot, block.slot(), &spec).expect("the state reaches the slot");
    let mut group = criterion.benchmark_group("block");
    group.sample_size(30);
    group.bench_function("full_block", |bencher| {
        bencher.iter_batched(
            || at_slot.clone(),
            |mut state| {
                state_transition(&mut state, &block, BlockSignatures::All, &spec).expect("the block is valid");
                state
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("raw_blst", |bencher| bencher.iter(|| verify_raw(&raw)));
    group.finish();
}

fn bench_epochs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("epoch");
    group.sample_size(20);
    for (name, exponent, dvt_fork_epoch) in [
        ("fulu_2_17", 17, FAR_FUTURE_EPOCH),
        ("dvt_2_17", 17, Epoch::new(0)),
        ("fulu_2_20", 20, FAR_FUTURE_EPOCH),
    ] {
        let (state, spec) = large_state(1 << exponent, dvt_fork_epoch);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || state.clone(),
                |mut state| {
                    process_epoch(&mut state, &spec).expect("the epoch ends");
                    state
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// Median of a benchmark of this run, in nanoseconds.
fn median(directory: &Path, group: &str, name: &str) -> Option<f64> {
    let file = directory.join(group).join(name).join("new").join("estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn print_ratios() {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../target")
            .to_string_lossy()
            .into_owned()
    });
    let directory = Path::new(&target).join("criterion");
    let ratio = |group: &str, a: &str, b: &str| Some(median(&directory, group, a)? / median(&directory, group, b)?);
    println!();
    for (what, ratio, bar) in [
        ("full block / raw blst", ratio("block", "full_block", "raw_blst"), 1.5),
        (
            "epoch under dvt / under Fulu, 2^17",
            ratio("epoch", "dvt_2_17", "fulu_2_17"),
            1.05,
        ),
        ("epoch of 2^20 / of 2^17", ratio("epoch", "fulu_2_20", "fulu_2_17"), 8.5),
    ] {
        match ratio {
            Some(ratio) => println!("{what}: {ratio:.3} (bar {bar})"),
            None => println!("{what}: not measured"),
        }
    }
}

fn main() {
    // `cargo test --benches` only asks whether this builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    bench_blocks(&mut criterion);
    bench_epochs(&mut criterion);
    print_ratios();
}
