//! One slot of one group.

use std::collections::BTreeMap;
use types::constants::MAX_LEADER_RANKS;
use types::{Root, SchemeProofs, SignatureBytes};

/// A member's signature over a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// BLS signature; the point at infinity if the key is of another scheme.
    pub signature: SignatureBytes,
    /// Signature of another scheme.
    pub proofs: SchemeProofs,
}

/// What this node found about a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Being looked at.
    Pending,
    /// Fit to be signed: state transition, execution client, fee recipient and parent are right.
    Valid,
    /// Not to be signed.
    Invalid,
    /// Not to be signed here, because this node could not find out: the leader is not to blame.
    Unverified,
}

/// One slot in which a group proposes.
#[derive(Debug, Clone)]
pub struct GroupSlot {
    threshold: usize,
    /// Key of each rank, as far as there are ranks.
    leaders: Vec<u8>,
    /// Place of each key in the order in which members publish: leaders first, then the others.
    publication_order: Vec<u8>,
    /// The proposal of each rank that was seen first, with its judgement.
    proposals: BTreeMap<u8, (Root, Judgement)>,
    /// First header of each key.
    headers: BTreeMap<u8, (Root, Part)>,
    /// What this node's members sign in this slot; never changes once it is set.
    signed: Option<Root>,
}

impl GroupSlot {
    /// A slot of a group whose keys lead in the order `leader_order` (all keys, rank 0 first). With a threshold of at
    /// most half of the keys only rank 0 leads: two blocks could both reach the threshold.
    ///
    /// `None` unless there are between 1 and 16 keys and the threshold is between 1 and their number.
    pub fn new(leader_order: Vec<u8>, threshold: u8) -> Option<Self> {
        let keys = leader_order.len();
        let threshold = usize::from(threshold);
        if !(1..=16).contains(&keys) || !(1..=keys).contains(&threshold) {
            return None;
        }
        let ranks = if threshold * 2 <= keys {
            1
        } else {
            MAX_LEADER_RANKS as usize
        };
        Some(Self {
            threshold,
            leaders: leader_order.iter().copied().take(ranks).collect(),
            publication_order: leader_order,
            proposals: BTreeMap::new(),
            headers: BTreeMap::new(),
            signed: None,
        })
    }

    /// The rank of a key, if it leads.
    pub fn rank_of(&self, key: u8) -> Option<u8> {
        (0u8..)
            .zip(&self.leaders)
            .find(|(_, leader)| **leader == key)
            .map(|(rank, _)| rank)
    }

    /// A proposal of a leader, which passed the gossip conditions. Gives whether it has to be judged: only the first
    /// of each rank is.
    pub fn on_proposal(&mut self, rank: u8, root: Root) -> bool {
        if usize::from(rank) >= self.leaders.len() || self.proposals.contains_key(&rank) {
            return false;
        }
        self.proposals.insert(rank, (root, Judgement::Pending));
        true
    }

    /// What this node found about a proposal.
    pub fn on_judged(&mut self, root: &Root, judgement: Judgement) {
        for (proposed, judged) in self.proposals.values_mut() {
            if proposed == root {
                *judged = judgement;
            }
        }
    }

    /// What this node found about a proposal; `None` for a block that is none.
    pub fn judgement(&self, root: &Root) -> Option<Judgement> {
        self.proposals
            .values()
            .find(|(proposed, _)| proposed == root)
            .map(|(_, judgement)| *judgement)
    }

    /// A member's signature, verified. Gives whether it is new: the first of each key counts.
    pub fn on_header(&mut self, key: u8, root: Root, part: Part) -> bool {
        if self.headers.contains_key(&key) || !self.publication_order.contains(&key) {
            return false;
        }
        self.headers.insert(key, (root, part));
        true
    }

    /// Whether a leader of a rank has shown itself: by a proposal that was not found invalid, or by a header of its
    /// own block. A leader that signs another leader's block has not proposed.
    fn has_shown_itself(&self, rank: u8) -> bool {
        if let Some((_, judgement)) = self.proposals.get(&rank) {
            return *judgement != Judgement::Invalid;
        }
        let Some((root, _)) = self
            .leaders
            .get(usize::from(rank))
            .and_then(|key| self.headers.get(key))
        else {
            return false;
        };
        !self.proposals.values().any(|(proposed, _)| proposed == root)
    }

    /// Whether a leader of this node should propose now: its time, `due_ms` into the slot, has come and no better rank
    /// has shown itself.
    pub fn should_propose(&self, rank: u8, ms_into_slot: u64, due_ms: u64) -> bool {
        usize::from(rank) < self.leaders.len()
            && ms_into_slot >= due_ms
            && !(0..=rank).any(|better| self.has_shown_itself(better))
    }

    /// The block that this node's members sign, if there is one by now: the first proposal that was found valid, but
    /// none of a rank behind one that has shown itself. Once given it is the answer for the rest of the slot, so that
    /// a member never signs two blocks.
    pub fn block_to_sign(&mut self) -> Option<Root> {
        if self.signed.is_none() {
            self.signed = self
                .proposals
                .iter()
                .find(|(rank, (_, judgement))| {
                    *judgement == Judgement::Valid && !(0..**rank).any(|better| self.has_shown_itself(better))
                })
                .map(|(_, (root, _))| *root);
        }
        self.signed
    }

    /// The block that reached the threshold, with its signatures in key order.
    pub fn complete(&self) -> Option<(Root, Vec<(u8, &Part)>)> {
        let mut by_root: BTreeMap<Root, Vec<(u8, &Part)>> = BTreeMap::new();
        for (key, (root, part)) in &self.headers {
            by_root.entry(*root).or_default().push((*key, part));
        }
        by_root.into_iter().find(|(_, parts)| parts.len() >= self.threshold)
    }

    /// How many signatures the block with the most has, and how many it needs.
    pub fn progress(&self) -> (usize, usize) {
        let mut counts: BTreeMap<Root, usize> = BTreeMap::new();
        for (root, _) in self.headers.values() {
            *counts.entry(*root).or_default() += 1;
        }
        (counts.into_values().max().unwrap_or_default(), self.threshold)
    }

    /// How long a member waits after completion before it publishes the block, unless it has seen it published: in
    /// milliseconds, with `stagger_ms` between two members. `None` for a key that is no member.
    pub fn publication_delay_ms(&self, key: u8, stagger_ms: u64) -> Option<u64> {
        let place = self.publication_order.iter().position(|member| *member == key)?;
        Some(stagger_ms.saturating_mul(place as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SLOT_MS: u64 = 12_000;

    fn due_ms(rank: u8) -> u64 {
        u64::from(rank) * 1000
    }

    fn part() -> Part {
        Part {
            signature: SignatureBytes::ZERO,
            proofs: SchemeProofs::default(),
        }
    }

    fn block(number: u8) -> Root {
        Root::repeat_byte(number)
    }

    /// 5-of-7 whose key k leads rank k.
    fn slot() -> GroupSlot {
        GroupSlot::new((0..7).collect(), 5).unwrap()
    }

    #[test]
    fn the_first_leader_proposes_at_once_and_others_only_if_nobody_better_shows_up() {
        let mut slot = slot();
        assert!(slot.should_propose(0, 0, due_ms(0)));
        assert!(!slot.should_propose(1, 999, due_ms(1)), "before its time");
        assert!(slot.should_propose(1, 1000, due_ms(1)));
        slot.on_header(0, block(1), part());
        assert!(
            !slot.should_propose(1, 1000, due_ms(1)),
            "the header of the first leader says that it is there"
        );
        assert!(!slot.should_propose(3, 11_999, due_ms(3)), "there are three ranks");
    }

    #[test]
    fn an_invalid_proposal_does_not_hold_the_next_leader_back() {
        let mut slot = slot();
        assert!(slot.on_proposal(0, block(1)));
        slot.on_header(0, block(1), part());
        assert!(!slot.should_propose(1, 1000, due_ms(1)));
        slot.on_judged(&block(1), Judgement::Invalid);
        assert!(slot.should_propose(1, 1000, due_ms(1)));
        assert!(slot.on_proposal(1, block(2)));
        slot.on_judged(&block(2), Judgement::Valid);
        assert_eq!(slot.block_to_sign(), Some(block(2)));
    }

    #[test]
    fn a_member_waits_for_a_leader_that_has_announced_itself() {
        let mut slot = slot();
        slot.on_header(0, block(1), part());
        slot.on_proposal(1, block(2));
        slot.on_judged(&block(2), Judgement::Valid);
        assert_eq!(slot.block_to_sign(), None, "the first leader's block is on its way");
        slot.on_proposal(0, block(1));
        slot.on_judged(&block(1), Judgement::Valid);
        assert_eq!(slot.block_to_sign(), Some(block(1)));
    }

    #[test]
    fn a_first_leader_that_comes_late_and_signs_the_fallbacks_block_does_not_block_it() {
        let mut slot = slot();
        slot.on_proposal(1, block(2));
        slot.on_header(0, block(2), part());
        slot.on_judged(&block(2), Judgement::Valid);
        assert_eq!(slot.block_to_sign(), Some(block(2)));
    }

    #[test]
    fn a_second_proposal_of_a_leader_is_not_looked_at() {
        let mut slot = slot();
        assert!(slot.on_proposal(0, block(1)));
        assert!(!slot.on_proposal(0, block(2)));
        assert!(!slot.on_proposal(3, block(3)), "no such rank");
    }

    #[test]
    fn the_block_is_complete_at_the_threshold_and_not_before() {
        let mut slot = slot();
        for key in 0..4 {
            assert!(slot.on_header(key, block(1), part()));
        }
        slot.on_header(4, block(2), part());
        assert!(
            !slot.on_header(4, block(1), part()),
            "the first signature of a key counts"
        );
        assert!(!slot.on_header(7, block(1), part()), "no such key");
        assert_eq!((slot.complete(), slot.progress()), (None, (4, 5)));
        slot.on_header(5, block(1), part());
        let (root, parts) = slot.complete().unwrap();
        let keys: Vec<u8> = parts.iter().map(|(key, _)| *key).collect();
        assert_eq!((root, keys), (block(1), vec![0, 1, 2, 3, 5]));
    }

    #[test]
    fn small_thresholds_have_one_leader() {
        let slot = GroupSlot::new((0..4).collect(), 2).unwrap();
        assert!(slot.should_propose(0, 0, due_ms(0)));
        assert!(!slot.should_propose(1, SLOT_MS, due_ms(1)));
        assert!(GroupSlot::new((0..4).collect(), 0).is_none());
        assert!(GroupSlot::new((0..4).collect(), 5).is_none());
        assert!(GroupSlot::new(Vec::new(), 0).is_none());
    }

    #[test]
    fn members_publish_one_after_the_other() {
        let slot = GroupSlot::new(vec![3, 0, 2, 1], 3).unwrap();
        assert_eq!(
            [3, 0, 2, 1].map(|key| slot.publication_delay_ms(key, 50)),
            [Some(0), Some(50), Some(100), Some(150)]
        );
        assert_eq!(slot.publication_delay_ms(9, 50), None);
        assert_eq!([slot.rank_of(3), slot.rank_of(1)], [Some(0), None]);
    }

    #[derive(Debug, Clone)]
    enum Event {
        Proposal(u8, u8),
        Judged(u8, bool),
        Header(u8, u8),
        Ask,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0u8..3, 1u8..5).prop_map(|(rank, number)| Event::Proposal(rank, number)),
            (1u8..5, any::<bool>()).prop_map(|(number, valid)| Event::Judged(number, valid)),
            (0u8..7, 1u8..5).prop_map(|(key, number)| Event::Header(key, number)),
            Just(Event::Ask),
        ]
    }

    proptest! {
        /// Whatever arrives in whatever order, a node's members are given one block, and it was found valid.
        #[test]
        fn a_member_never_signs_two_blocks_nor_one_that_is_not_valid(events in prop::collection::vec(event(), 0..60)) {
            let mut slot = slot();
            let mut valid = std::collections::BTreeSet::new();
            let mut given: Option<Root> = None;
            for event in events {
                match event {
                    Event::Proposal(rank, number) => {
                        slot.on_proposal(rank, block(number));
                    }
                    Event::Judged(number, is_valid) => {
                        let is_proposed = slot.proposals.values().any(|(root, _)| *root == block(number));
                        if is_proposed && is_valid {
                            valid.insert(block(number));
                        }
                        slot.on_judged(&block(number), if is_valid { Judgement::Valid } else { Judgement::Invalid });
                    }
                    Event::Header(key, number) => {
                        slot.on_header(key, block(number), part());
                    }
                    Event::Ask => {
                        let answer = slot.block_to_sign();
                        if let Some(before) = given {
                            prop_assert_eq!(answer, Some(before));
                        }
                        if let Some(root) = answer {
                            prop_assert!(valid.contains(&root));
                        }
                        given = answer;
                    }
                }
            }
        }

        /// Seven honest nodes, some of them down: as many as may be missing never stop the block, because a fallback
        /// leader takes over. Messages arrive at once.
        #[test]
        fn a_group_completes_a_block_with_any_two_members_down(down in prop::collection::btree_set(0u8..7, 0..=2)) {
            let mut nodes: Vec<GroupSlot> = (0..7).map(|_| slot()).collect();
            let is_up = |key: u8| !down.contains(&key);
            for rank in 0u8..3 {
                let now = due_ms(rank);
                if is_up(rank) && nodes[usize::from(rank)].should_propose(rank, now, due_ms(rank)) {
                    for node in &mut nodes {
                        node.on_proposal(rank, block(rank + 1));
                        node.on_header(rank, block(rank + 1), part());
                        node.on_judged(&block(rank + 1), Judgement::Valid);
                    }
                }
                let choices: Vec<Option<Root>> = nodes.iter_mut().map(GroupSlot::block_to_sign).collect();
                for (key, choice) in (0u8..).zip(choices) {
                    if let Some(root) = choice.filter(|_| is_up(key)) {
                        nodes.iter_mut().for_each(|node| {
                            node.on_header(key, root, part());
                        });
                    }
                }
            }
            let first_up = (0u8..3).find(|rank| is_up(*rank)).unwrap();
            for node in &nodes {
                prop_assert_eq!(node.complete().map(|(root, _)| root), Some(block(first_up + 1)));
            }
        }
    }
}
