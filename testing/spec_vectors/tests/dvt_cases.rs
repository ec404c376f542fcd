//! Cases of the fork `dvt` run, and fail when they should: made from a chain with a group, in the official layout.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use chain_harness::{BlockPlan, Chain, Keys, group_of, solo};
use serde::Serialize;
use spec_vectors::{Report, run};
use ssz::Encode;
use state_transition::process_slots;
use state_transition::upgrade::upgrade_to_dvt;
use std::path::PathBuf;
use tempfile::TempDir;
use tree_hash::TreeHash;
use types::*;

const GROUP: u64 = 0;
const VALIDATORS: u64 = 16;

fn everybody(_: SignerIndex, _: Slot) -> bool {
    true
}

/// A group and solo validators; a chain from Fulu on has no groups yet.
fn chain(dvt_fork_epoch: u64) -> Chain<Minimal> {
    let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
    spec.dvt_fork_epoch = Epoch::new(dvt_fork_epoch);
    let first = if dvt_fork_epoch == 0 {
        group_of(GROUP, 3, 4, 128)
    } else {
        solo(GROUP, 128)
    };
    let mut validators = vec![first];
    validators.extend((1..VALIDATORS).map(|validator| solo(validator, 128)));
    Chain::new(&validators, Keys::new(VALIDATORS, &[GROUP], 4), spec)
}

struct Vectors(TempDir);

impl Vectors {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self, kind: &str, name: &str) -> PathBuf {
        let directory = self.0.path().join("tests/minimal/dvt").join(kind).join("suite/case");
        std::fs::create_dir_all(&directory).unwrap();
        directory.join(name)
    }

    fn ssz(&self, kind: &str, name: &str, value: &impl Encode) {
        let bytes = snap::raw::Encoder::new().compress_vec(&value.as_ssz_bytes()).unwrap();
        std::fs::write(self.file(kind, &format!("{name}.ssz_snappy")), bytes).unwrap();
    }

    /// JSON is YAML.
    fn yaml(&self, kind: &str, name: &str, value: &impl Serialize) {
        std::fs::write(self.file(kind, name), serde_json::to_string(value).unwrap()).unwrap();
    }

    fn ssz_static(&self, type_name: &str, value: &(impl Encode + TreeHash + Serialize)) {
        let kind = format!("ssz_static/{type_name}");
        self.ssz(&kind, "serialized", value);
        self.yaml(&kind, "value.yaml", value);
        self.yaml(
            &kind,
            "roots.yaml",
            &serde_json::json!({ "root": value.tree_hash_root() }),
        );
    }

    fn run(&self) -> Report {
        run(self.0.path(), None).unwrap()
    }
}

/// Runs the cases, which must pass, and again with another `post`, with which they must not.
fn check(vectors: &Vectors, kind: &str, other_post: &BeaconState<Minimal>) {
    let report = vectors.run();
    assert!(report.is_success(), "{report}");
    assert_eq!(report.passed(), 1);
    vectors.ssz(kind, "post", other_post);
    let report = vectors.run();
    assert_eq!(report.failures().len(), 1);
    assert!(report.failures()[0].1.contains("post-state is"), "{report}");
}

#[test]
fn blocks_of_groups_and_solo_validators() {
    let mut chain = chain(0);
    chain.run_to(Slot::new(3), &everybody);
    let vectors = Vectors::new();
    let pre = chain.state.clone();
    vectors.ssz("sanity/blocks", "pre", &pre);
    for index in 0..8 {
        let block = chain.step(&everybody, BlockPlan::default()).unwrap();
        vectors.ssz("sanity/blocks", &format!("blocks_{index}"), &block);
    }
    vectors.yaml(
        "sanity/blocks",
        "meta.yaml",
        &serde_json::json!({"blocks_count": 8, "bls_setting": 1}),
    );
    vectors.ssz("sanity/blocks", "post", &chain.state);
    check(&vectors, "sanity/blocks", &pre);
}

#[test]
fn slots() {
    let chain = chain(0);
    let vectors = Vectors::new();
    vectors.ssz("sanity/slots", "pre", &chain.state);
    vectors.yaml("sanity/slots", "slots.yaml", &17);
    let mut post = chain.state.clone();
    process_slots(&mut post, Slot::new(17), &chain.spec).unwrap();
    vectors.ssz("sanity/slots", "post", &post);
    check(&vectors, "sanity/slots", &chain.state);
}

#[test]
fn upgrade() {
    let mut chain = chain(1);
    chain.run_to(Slot::new(7), &everybody);
    // The state of the upgrade's slot, before the upgrade.
    let mut pre = chain.state.clone();
    let mut before = chain.spec.clone();
    before.dvt_fork_epoch = Epoch::new(2);
    process_slots(&mut pre, Slot::new(8), &before).unwrap();
    let mut post = pre.clone();
    let mut genesis = chain.spec;
    genesis.dvt_fork_epoch = Epoch::new(0);
    upgrade_to_dvt(&mut post, &genesis).unwrap();
    let vectors = Vectors::new();
    vectors.ssz("fork/fork", "pre", &pre);
    vectors.ssz("fork/fork", "post", &post);
    vectors.yaml("fork/fork", "meta.yaml", &serde_json::json!({"fork": "dvt"}));
    let mut other = post;
    process_slots(&mut other, Slot::new(9), &genesis).unwrap();
    check(&vectors, "fork/fork", &other);
}

#[test]
fn blocks_across_the_upgrade() {
    let mut chain = chain(1);
    let vectors = Vectors::new();
    vectors.ssz("transition/core", "pre", &chain.state);
    let mut last_fulu_block = 0;
    for index in 0..12 {
        let block = chain.step(&everybody, BlockPlan::default()).unwrap();
        if block.fork_name() == ForkName::Fulu {
            last_fulu_block = index;
        }
        vectors.ssz("transition/core", &format!("blocks_{index}"), &block);
    }
    assert_eq!(last_fulu_block, 6, "slots 1 to 7");
    vectors.yaml(
        "transition/core",
        "meta.yaml",
        &serde_json::json!({"post_fork": "dvt", "fork_epoch": 1, "fork_block": last_fulu_block, "blocks_count": 12}),
    );
    vectors.ssz("transition/core", "post", &chain.state);
    let mut other = chain.state.clone();
    process_slots(&mut other, Slot::new(13), &chain.spec).unwrap();
    check(&vectors, "transition/core", &other);
}

#[test]
fn containers() {
    let mut chain = chain(0);
    chain.run_to(Slot::new(2), &everybody);
    let block = chain.step(&everybody, BlockPlan::default()).unwrap();
    let vectors = Vectors::new();
    vectors.ssz_static("BeaconState", &chain.state);
    vectors.ssz_static("SignedBeaconBlock", &block);
    vectors.ssz_static("Group", chain.state.as_dvt().unwrap().groups.get(0).unwrap());
    let report = vectors.run();
    assert!(report.is_success(), "{report}");
    assert_eq!(report.passed(), 3);
    vectors.yaml(
        "ssz_static/Group",
        "roots.yaml",
        &serde_json::json!({ "root": Root::ZERO }),
    );
    let report = vectors.run();
    assert_eq!(report.failures().len(), 1);
    assert!(report.failures()[0].1.contains("root is"), "{report}");
}
