//! Fetching by root: the unknown ancestors of a block.
//!
//! Each lookup is a chain of blocks from the one that arrived back to the first that we know. It is asked block by
//! block, because only a block names its parent. Nothing of a block can be checked before its ancestors are here: so the
//! lookups of each peer and of all, and the blocks and bytes of each, are limited.

use std::collections::BTreeMap;
use types::Root;

/// Lookups at once.
const MAX_LOOKUPS: usize = 16;
/// Lookups that one peer has begun. With more, its own oldest is given up: who has what it tells of answers soon.
const MAX_LOOKUPS_PER_PEER: usize = 4;
/// Blocks of one lookup; longer gaps are for range sync.
pub const MAX_LOOKUP_BLOCKS: usize = 32;
/// Their bytes: 32 blocks of a megabyte, which few have. Range sync does not keep as many.
const MAX_LOOKUP_BYTES: usize = 32 << 20;
/// Bytes of all lookups.
const MAX_BYTES: usize = 128 << 20;
/// Peers that are asked for one block.
const MAX_ATTEMPTS: usize = 4;

/// Why a lookup ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFailure {
    /// The gap is longer than a lookup, in blocks or bytes: range sync has to close it.
    TooDeep,
    /// No peer has the block.
    NotFound,
    /// The peer has begun too many lookups at once.
    TooMany,
    /// Others needed the room.
    Displaced,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupAction<Peer, Block> {
    /// Ask a peer for a block.
    Request {
        /// Whom.
        peer: Peer,
        /// Which block.
        root: Root,
    },
    /// Import blocks, parents first.
    Import {
        /// Blocks, parents first, with who sent them; the last is the one that started the lookup.
        blocks: Vec<(Peer, Block)>,
    },
    /// Give up.
    GiveUp {
        /// The block that was looked for last.
        root: Root,
        /// Why.
        reason: LookupFailure,
        /// Who sent blocks of a chain that leads nowhere.
        peers: Vec<Peer>,
    },
}

/// One lookup.
#[derive(Debug)]
pub struct Lookup<Peer, Block> {
    /// Ascending in the order in which lookups began.
    number: u64,
    /// Who began it: the blocks that it leads to follow from the one that came from there.
    owner: Peer,
    /// Parents last, with who sent them.
    blocks: Vec<(Peer, Block)>,
    bytes: usize,
    wanted: Root,
    /// Who was asked for the wanted block.
    tried: Vec<Peer>,
}

impl<Peer: PartialEq, Block> Lookup<Peer, Block> {
    fn give_up(self, root: Root, reason: LookupFailure) -> LookupAction<Peer, Block> {
        // Each peer once.
        let mut peers = Vec::new();
        for (peer, _) in self.blocks {
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        LookupAction::GiveUp { root, reason, peers }
    }
}

/// All lookups of a node.
#[derive(Debug)]
pub struct ParentLookup<Peer, Block> {
    /// By wanted root.
    lookups: BTreeMap<Root, Lookup<Peer, Block>>,
    next_number: u64,
}

impl<Peer, Block> Default for ParentLookup<Peer, Block> {
    fn default() -> Self {
        Self {
            lookups: BTreeMap::new(),
            next_number: 0,
        }
    }
}

impl<Peer: Clone + PartialEq, Block> ParentLookup<Peer, Block> {
    /// How many lookups there are.
    pub fn len(&self) -> usize {
        self.lookups.len()
    }

    /// Whether there are no lookups.
    pub fn is_empty(&self) -> bool {
        self.lookups.is_empty()
    }

    /// A block of so many bytes arrived from `peer` whose parent is unknown.
    pub fn on_unknown_parent(
        &mut self,
        peer: Peer,
        (block, bytes): (Block, usize),
        parent_root: Root,
    ) -> Vec<LookupAction<Peer, Block>> {
        if self.lookups.contains_key(&parent_root) {
            // Its parent is on the way; the block comes again when that is here.
            return Vec::new();
        }
        let mut actions = Vec::new();
        if self.of(&peer).count() >= MAX_LOOKUPS_PER_PEER {
            let displaced = self.oldest_of(&peer).and_then(|root| self.lookups.remove(&root));
            let what = displaced.map(|lookup| LookupAction::GiveUp {
                root: lookup.wanted,
                reason: LookupFailure::TooMany,
                peers: vec![lookup.owner],
            });
            actions.extend(what);
        } else if self.lookups.len() >= MAX_LOOKUPS {
            let crowding = self.most(|lookups, owner| lookups.of(owner).count());
            actions.extend(crowding.and_then(|owner| self.displace_oldest_of(&owner)));
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let lookup = Lookup {
            number,
            owner: peer.clone(),
            blocks: vec![(peer.clone(), block)],
            bytes,
            wanted: parent_root,
            tried: vec![peer.clone()],
        };
        actions.extend(self.go_on(lookup, peer));
        actions
    }

    fn of<'a>(&'a self, owner: &'a Peer) -> impl Iterator<Item = &'a Lookup<Peer, Block>> {
        self.lookups.values().filter(move |lookup| lookup.owner == *owner)
    }

    fn bytes_of(&self, owner: &Peer) -> usize {
        self.of(owner).map(|lookup| lookup.bytes).sum()
    }

    fn bytes(&self) -> usize {
        self.lookups.values().map(|lookup| lookup.bytes).sum()
    }

    /// The peer that has most of something; of several the one whose lookup is the oldest.
    fn most(&self, what: impl Fn(&Self, &Peer) -> usize) -> Option<Peer> {
        let of_lookup = |lookup: &&Lookup<Peer, Block>| (what(self, &lookup.owner), std::cmp::Reverse(lookup.number));
        let lookup = self.lookups.values().max_by_key(of_lookup)?;
        Some(lookup.owner.clone())
    }

    fn oldest_of(&self, owner: &Peer) -> Option<Root> {
        let oldest = self.of(owner).min_by_key(|lookup| lookup.number)?;
        Some(oldest.wanted)
    }

    fn displace_oldest_of(&mut self, owner: &Peer) -> Option<LookupAction<Peer, Block>> {
        let root = self.oldest_of(owner)?;
        let lookup = self.lookups.remove(&root)?;
        Some(lookup.give_up(root, LookupFailure::Displaced))
    }

    /// Asks `peer` for the wanted block of a lookup. If there is no room, whoever has most bytes gives lookups up.
    fn go_on(&mut self, lookup: Lookup<Peer, Block>, peer: Peer) -> Vec<LookupAction<Peer, Block>> {
        let root = lookup.wanted;
        if lookup.bytes > MAX_LOOKUP_BYTES {
            return vec![lookup.give_up(root, LookupFailure::TooDeep)];
        }
        self.lookups.insert(root, lookup);
        let mut actions = Vec::new();
        while self.bytes() > MAX_BYTES
            && let Some(heavy) = self.most(Self::bytes_of)
            && let Some(action) = self.displace_oldest_of(&heavy)
        {
            actions.push(action);
        }
        // It may be that one itself.
        if self.lookups.contains_key(&root) {
            actions.push(LookupAction::Request { peer, root });
        }
        actions
    }

    /// A wanted block of so many bytes is here. `is_parent_known` says whether its own parent is.
    pub fn on_block(
        &mut self,
        peer: Peer,
        root: &Root,
        (block, bytes): (Block, usize),
        parent_root: Root,
        is_parent_known: bool,
    ) -> Vec<LookupAction<Peer, Block>> {
        let Some(mut lookup) = self.lookups.remove(root) else {
            return Vec::new();
        };
        lookup.blocks.push((peer.clone(), block));
        lookup.bytes = lookup.bytes.saturating_add(bytes);
        if is_parent_known {
            lookup.blocks.reverse();
            return vec![LookupAction::Import { blocks: lookup.blocks }];
        }
        if lookup.blocks.len() >= MAX_LOOKUP_BLOCKS {
            return vec![lookup.give_up(parent_root, LookupFailure::TooDeep)];
        }
        if self.lookups.contains_key(&parent_root) {
            // Two blocks of one unknown branch: the other lookup goes on, this block comes again with its branch.
            return Vec::new();
        }
        lookup.wanted = parent_root;
        lookup.tried = vec![peer.clone()];
        self.go_on(lookup, peer)
    }

    /// A peer did not have a wanted block. `others` are peers that may be asked instead.
    pub fn on_not_found(
        &mut self,
        root: &Root,
        others: impl IntoIterator<Item = Peer>,
    ) -> Option<LookupAction<Peer, Block>> {
        let lookup = self.lookups.get_mut(root)?;
        let next = others.into_iter().find(|peer| !lookup.tried.contains(peer));
        if let Some(peer) = next.filter(|_| lookup.tried.len() < MAX_ATTEMPTS) {
            lookup.tried.push(peer.clone());
            return Some(LookupAction::Request { peer, root: *root });
        }
        let lookup = self.lookups.remove(root)?;
        Some(lookup.give_up(*root, LookupFailure::NotFound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lookups = ParentLookup<u32, u64>;
    type Action = LookupAction<u32, u64>;

    /// Bytes of a block.
    const SMALL: usize = 1000;

    fn root(number: u64) -> Root {
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Root::new(bytes)
    }

    fn request(peer: u32, number: u64) -> Action {
        LookupAction::Request {
            peer,
            root: root(number),
        }
    }

    /// A block with this number is the child of the one with the number before it.
    fn begin(lookups: &mut Lookups, peer: u32, number: u64, bytes: usize) -> Vec<Action> {
        lookups.on_unknown_parent(peer, (number, bytes), root(number - 1))
    }

    fn find(lookups: &mut Lookups, peer: u32, number: u64, bytes: usize) -> Vec<Action> {
        lookups.on_block(peer, &root(number), (number, bytes), root(number - 1), false)
    }

    fn gives_up(number: u64, reason: LookupFailure, peers: &[u32]) -> Action {
        LookupAction::GiveUp {
            root: root(number),
            reason,
            peers: peers.to_vec(),
        }
    }

    #[test]
    fn ancestors_are_fetched_back_to_a_known_one_and_imported_parents_first() {
        let mut lookups = Lookups::default();
        assert_eq!(begin(&mut lookups, 1, 10, SMALL), [request(1, 9)]);
        assert_eq!(find(&mut lookups, 1, 9, SMALL), [request(1, 8)]);
        assert_eq!(
            lookups.on_block(1, &root(8), (8, SMALL), root(7), true),
            [LookupAction::Import {
                blocks: vec![(1, 8), (1, 9), (1, 10)]
            }]
        );
        assert!(lookups.is_empty());
    }

    #[test]
    fn a_gap_that_is_too_long_is_left_to_range_sync() {
        let mut lookups = Lookups::default();
        begin(&mut lookups, 1, 1000, SMALL);
        let mut number = 999;
        let end = loop {
            match &find(&mut lookups, 1, number, SMALL)[..] {
                [LookupAction::Request { .. }] => number -= 1,
                other => break other.to_vec(),
            }
        };
        assert_eq!(end, [gives_up(number - 1, LookupFailure::TooDeep, &[1])]);
        assert_eq!((1000 - number + 1) as usize, MAX_LOOKUP_BLOCKS);
        assert!(lookups.is_empty());
    }

    #[test]
    fn a_gap_of_too_many_bytes_is_left_to_range_sync() {
        let mut lookups = Lookups::default();
        let third = MAX_LOOKUP_BYTES / 3 + 1;
        assert_eq!(begin(&mut lookups, 1, 100, third), [request(1, 99)]);
        assert_eq!(find(&mut lookups, 2, 99, third), [request(2, 98)]);
        let end = find(&mut lookups, 1, 98, third);
        assert_eq!(end, [gives_up(97, LookupFailure::TooDeep, &[1, 2])]);
        assert!(lookups.is_empty());
        // The last one that is missing is imported with the others, however large it is.
        begin(&mut lookups, 1, 100, third);
        find(&mut lookups, 1, 99, third);
        let end = lookups.on_block(1, &root(98), (98, third), root(97), true);
        assert!(matches!(end[..], [LookupAction::Import { .. }]));
    }

    #[test]
    fn a_block_that_nobody_has_is_given_up_after_some_peers() {
        let mut lookups = Lookups::default();
        begin(&mut lookups, 1, 10, SMALL);
        let mut asked = vec![1];
        let end = loop {
            match lookups.on_not_found(&root(9), 1..=9).unwrap() {
                LookupAction::Request { peer, .. } => asked.push(peer),
                other => break other,
            }
        };
        assert_eq!(asked, [1, 2, 3, 4]);
        assert_eq!(end, gives_up(9, LookupFailure::NotFound, &[1]));
        assert_eq!(lookups.on_not_found(&root(9), 1..=9), None);
    }

    #[test]
    fn a_peer_that_begins_many_lookups_loses_its_own_and_pays_for_it() {
        let mut lookups = Lookups::default();
        assert_eq!(begin(&mut lookups, 1, 10, SMALL), [request(1, 9)]);
        for number in 0..100u64 {
            let block = 1000 + 10 * number;
            let mut expected = vec![request(2, block - 1)];
            if number >= MAX_LOOKUPS_PER_PEER as u64 {
                let oldest = block - 10 * MAX_LOOKUPS_PER_PEER as u64 - 1;
                expected.insert(0, gives_up(oldest, LookupFailure::TooMany, &[2]));
            }
            assert_eq!(begin(&mut lookups, 2, block, SMALL), expected);
        }
        assert_eq!(lookups.len(), MAX_LOOKUPS_PER_PEER + 1);
        assert_eq!(
            find(&mut lookups, 1, 9, SMALL),
            [request(1, 8)],
            "the other one goes on"
        );
        assert_eq!(
            begin(&mut lookups, 3, 1990, SMALL),
            [],
            "one lookup for each wanted block"
        );
    }

    #[test]
    fn when_there_are_too_many_lookups_who_has_most_gives_up_its_oldest() {
        let mut lookups = Lookups::default();
        for number in 1..=MAX_LOOKUPS as u64 {
            // Peer 9 has three of them, the others fewer.
            let peer = match number {
                4 | 7 | 11 => 9,
                _ => number as u32 % 8,
            };
            assert_eq!(begin(&mut lookups, peer, 10 * number, SMALL).len(), 1);
        }
        let displaced = |number, peer| gives_up(number, LookupFailure::Displaced, &[peer]);
        assert_eq!(begin(&mut lookups, 8, 1000, SMALL), [displaced(39, 9), request(8, 999)]);
        // Now several have as many: the oldest lookup of them all makes room.
        assert_eq!(begin(&mut lookups, 8, 2000, SMALL), [displaced(9, 1), request(8, 1999)]);
        assert_eq!(lookups.len(), MAX_LOOKUPS);
    }

    #[test]
    fn when_lookups_have_too_many_bytes_who_has_most_of_them_makes_room() {
        let mut lookups = Lookups::default();
        let large = MAX_LOOKUP_BYTES / 2;
        assert_eq!(begin(&mut lookups, 1, 100, SMALL), [request(1, 99)]);
        let full = MAX_BYTES / MAX_LOOKUP_BYTES;
        for number in 0..full as u64 {
            // Four of one peer.
            let block = 1000 * (number + 1);
            assert_eq!(begin(&mut lookups, 2, block, large), [request(2, block - 1)]);
            let actions = find(&mut lookups, 2, block - 1, large);
            let mut expected = vec![request(2, block - 2)];
            if number as usize == full - 1 {
                expected.insert(0, gives_up(998, LookupFailure::Displaced, &[2]));
            }
            assert_eq!(actions, expected);
            assert!(lookups.bytes() <= MAX_BYTES);
        }
        assert_eq!(
            find(&mut lookups, 1, 99, large),
            [request(1, 98)],
            "the other one goes on"
        );
        assert_eq!(lookups.len(), full);
    }
}
