//! Votes of groups in fork choice: tests that read like a story, and a model.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use fork_choice::{BlockSummary, ExecutionStatus, JustifiedState, Store};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use types::*;

const ETH: u64 = 1_000_000_000;

/// A root that sorts as its number does. The zero root is kept free: it means "no block has the boost".
fn root(number: u64) -> Root {
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&(number + 1).to_be_bytes());
    Root::new(bytes)
}

fn spec() -> ChainSpec {
    let mut spec = ChainSpec::minimal();
    spec.fulu_fork_epoch = Epoch::new(0);
    spec.dvt_fork_epoch = Epoch::new(0);
    spec
}

fn signer(validator: u64, key: u8) -> SignerIndex {
    SignerIndex::virtual_index(ValidatorIndex::new(validator), key).unwrap()
}

struct Votes {
    store: Store,
    spec: ChainSpec,
    slots: HashMap<u64, u64>,
}

/// Validator 0 is the group, the others are solo.
impl Votes {
    fn new(keys: u64, threshold: u8, solo: u64) -> Self {
        let spec = spec();
        let mut validators = vec![chain_harness::group_of(0, threshold, keys, 2048)];
        validators.extend((1..=solo).map(|validator| chain_harness::solo(validator, 32)));
        let chain = chain_harness::Chain::<Minimal>::new(&validators, chain_harness::Keys::default(), spec.clone());
        let anchor = Self::summary(0, 0, 0);
        let mut store = Store::get_forkchoice_store(&chain.state, anchor, &spec).unwrap();
        let justified = JustifiedState::new(store.justified_checkpoint(), &chain.state).unwrap();
        store.set_justified_state(justified).unwrap();
        Self {
            store,
            spec,
            slots: HashMap::from([(0, 0)]),
        }
    }

    fn summary(number: u64, parent: u64, slot: u64) -> BlockSummary {
        let genesis = Checkpoint {
            epoch: Epoch::new(0),
            root: root(0),
        };
        BlockSummary {
            root: root(number),
            slot: Slot::new(slot),
            proposer_index: ValidatorIndex::new(1),
            parent_root: root(parent),
            state_root: Root::ZERO,
            execution_block_hash: root(number),
            justified_checkpoint: genesis,
            finalized_checkpoint: genesis,
            unrealized_justified_checkpoint: genesis,
            unrealized_finalized_checkpoint: genesis,
        }
    }

    /// Late in a slot, so that no block is boosted.
    fn tick(&mut self, slot: u64) {
        let ms =
            (self.store.genesis_time() * 1000) + slot * self.spec.slot_duration_ms + self.spec.slot_duration_ms / 2;
        if ms > self.store.time_ms() {
            self.store.on_tick::<Minimal>(ms, &self.spec).unwrap();
        }
    }

    fn block(&mut self, number: u64, parent: u64, slot: u64) {
        self.tick(slot);
        let summary = Self::summary(number, parent, slot);
        self.store
            .on_block::<Minimal>(summary, ExecutionStatus::Valid, &self.spec)
            .unwrap();
        self.slots.insert(number, slot);
    }

    fn vote(&mut self, signers: impl IntoIterator<Item = SignerIndex>, block: u64) {
        self.vote_in(signers, block, 0);
    }

    fn vote_in(&mut self, signers: impl IntoIterator<Item = SignerIndex>, block: u64, epoch: u64) {
        let slot = Slot::new(self.slots[&block].max(epoch * 8));
        self.tick(slot.as_u64() + 1);
        let target = self
            .store
            .get_checkpoint_block::<Minimal>(&root(block), Epoch::new(epoch))
            .unwrap();
        let data = AttestationData {
            slot,
            index: 0,
            beacon_block_root: root(block),
            source: Checkpoint::default(),
            target: Checkpoint {
                epoch: Epoch::new(epoch),
                root: target,
            },
        };
        let signers: Vec<SignerIndex> = signers.into_iter().collect();
        self.store
            .on_attestation::<Minimal>(&signers, &data, false, &self.spec)
            .unwrap();
    }

    fn weight(&self, block: u64) -> u64 {
        self.store.get_weight::<Minimal>(&root(block), &self.spec).unwrap() / ETH
    }

    fn head(&self) -> Root {
        self.store.get_head::<Minimal>(&self.spec).unwrap()
    }
}

#[test]
fn a_groups_weight_counts_from_the_threshold_on() {
    let mut votes = Votes::new(7, 5, 4);
    votes.block(1, 0, 1);
    votes.vote((0..4).map(|key| signer(0, key)), 1);
    assert_eq!(votes.weight(1), 0, "m - 1 members");
    votes.vote([signer(0, 4)], 1);
    assert_eq!(votes.weight(1), 2048, "m members");
    votes.vote([signer(0, 5), signer(0, 6)], 1);
    assert_eq!(votes.weight(1), 2048, "n members have no more weight than m");
}

#[test]
fn a_split_group_votes_for_the_parent_of_both() {
    let mut votes = Votes::new(7, 5, 4);
    votes.block(1, 0, 1);
    votes.block(2, 1, 2);
    votes.block(3, 1, 3);
    votes.vote((0..3).map(|key| signer(0, key)), 2);
    votes.vote((3..7).map(|key| signer(0, key)), 3);
    assert_eq!([votes.weight(1), votes.weight(2), votes.weight(3)], [2048, 0, 0]);
    // A single solo validator decides between the two.
    votes.vote([SignerIndex::new(1)], 2);
    assert_eq!(votes.head(), root(2));
}

#[test]
fn a_member_that_votes_twice_is_discounted_alone_until_a_later_epoch() {
    let mut votes = Votes::new(4, 3, 2);
    votes.block(1, 0, 1);
    votes.block(2, 0, 2);
    votes.vote((0..3).map(|key| signer(0, key)), 1);
    assert_eq!(votes.weight(1), 2048);
    votes.vote([signer(0, 0)], 2);
    assert!(!votes.store.is_equivocating(ValidatorIndex::new(0)));
    assert_eq!(votes.weight(1), 0, "two honest members are below the threshold");
    votes.vote([signer(0, 0)], 1);
    assert_eq!(votes.weight(1), 0, "a third vote of the epoch changes nothing");
    votes.vote([signer(0, 3)], 1);
    assert_eq!(votes.weight(1), 2048, "three honest members are enough");
    votes.vote_in([signer(0, 0), signer(0, 1), signer(0, 2)], 2, 1);
    assert_eq!(
        [votes.weight(1), votes.weight(2)],
        [0, 2048],
        "in the next epoch the member counts again"
    );
}

#[test]
fn a_slashed_group_is_discounted_whole() {
    let mut votes = Votes::new(4, 3, 2);
    votes.block(1, 0, 1);
    votes.vote((0..4).map(|key| signer(0, key)), 1);
    votes.store.on_attester_slashing([ValidatorIndex::new(0)]);
    assert_eq!(votes.weight(1), 0);
    votes.vote([SignerIndex::new(1)], 1);
    assert_eq!(votes.weight(1), 32);
    votes.store.on_attester_slashing([ValidatorIndex::new(1)]);
    assert_eq!(votes.weight(1), 0);
}

#[test]
fn the_registry_key_of_a_group_has_no_vote() {
    let mut votes = Votes::new(4, 3, 2);
    votes.block(1, 0, 1);
    votes.vote([SignerIndex::new(0)], 1);
    assert_eq!(votes.weight(1), 0);
}

#[test]
fn later_votes_replace_earlier_ones() {
    let mut votes = Votes::new(4, 3, 2);
    votes.block(1, 0, 1);
    votes.block(2, 0, 2);
    votes.vote((0..4).map(|key| signer(0, key)), 1);
    votes.vote_in((0..3).map(|key| signer(0, key)), 2, 1);
    assert_eq!([votes.weight(1), votes.weight(2)], [0, 2048]);
}

/// The definition, word by word: the greatest (slot, root) among blocks that at least `m` votes are for or descend from.
fn model(parents: &BTreeMap<u64, u64>, votes: &[u64], threshold: usize) -> Option<u64> {
    let line = |mut block: u64| {
        let mut line = vec![block];
        while block != 0 {
            block = parents[&block];
            line.push(block);
        }
        line
    };
    let mut support: BTreeMap<u64, usize> = BTreeMap::new();
    for vote in votes {
        for block in line(*vote) {
            *support.entry(block).or_default() += 1;
        }
    }
    // Blocks are numbered by slot, so the number is the order of (slot, root).
    support
        .into_iter()
        .filter(|(_, count)| *count >= threshold)
        .map(|(block, _)| block)
        .max()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_vote_of_a_group_is_that_of_the_definition(
        parent_choices in prop::collection::vec(any::<prop::sample::Index>(), 6),
        threshold in 1u8..=7,
        choices in prop::collection::vec(any::<prop::sample::Index>(), 7),
    ) {
        let mut votes = Votes::new(7, threshold, 1);
        let mut parents = BTreeMap::new();
        for (number, choice) in (1u64..).zip(&parent_choices) {
            let parent = choice.index(number as usize) as u64;
            parents.insert(number, parent);
            votes.block(number, parent, number);
        }
        let voted: Vec<u64> = choices.iter().map(|choice| choice.index(7) as u64).collect();
        for (key, block) in (0u8..).zip(&voted) {
            votes.vote([signer(0, key)], *block);
        }
        let expected = model(&parents, &voted, usize::from(threshold));
        for block in 0..7u64 {
            // A block has the weight if the group's vote is for it or descends from it.
            let on_line = expected.is_some_and(|vote| votes.store.is_descendant(&root(block), &root(vote)));
            prop_assert_eq!(votes.weight(block), if on_line { 2048 } else { 0 }, "block {}", block);
        }
    }
}
