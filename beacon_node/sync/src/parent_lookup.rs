//! Fetching by root: the unknown ancestors of a block.
//!
//! Each lookup is a chain of blocks from the one that arrived back to the first that we know. It is asked block by
//! block, because only a block names its parent. Lookups, and the blocks of each, are limited.

use std::collections::{BTreeMap, VecDeque};
use types::Root;

/// Lookups at once. A new one pushes the oldest out.
const MAX_LOOKUPS: usize = 16;
/// Blocks of one lookup; longer gaps are for range sync.
pub const MAX_LOOKUP_BLOCKS: usize = 32;
/// Peers that are asked for one block.
const MAX_ATTEMPTS: usize = 4;

/// Why a lookup ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFailure {
    /// The gap is longer than a lookup: range sync has to close it.
    TooDeep,
    /// No peer has the block.
    NotFound,
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
    /// Parents last, with who sent them.
    blocks: Vec<(Peer, Block)>,
    wanted: Root,
    /// Who was asked for the wanted block.
    tried: Vec<Peer>,
}

impl<Peer, Block> Lookup<Peer, Block> {
    /// Each peer once.
    fn into_sources(self) -> Vec<Peer>
    where
        Peer: PartialEq,
    {
        let mut sources = Vec::new();
        for (peer, _) in self.blocks {
            if !sources.contains(&peer) {
                sources.push(peer);
            }
        }
        sources
    }
}

/// All lookups of a node.
#[derive(Debug)]
pub struct ParentLookup<Peer, Block> {
    /// By wanted root.
    lookups: BTreeMap<Root, Lookup<Peer, Block>>,
    /// Wanted roots, oldest first.
    order: VecDeque<Root>,
}

impl<Peer, Block> Default for ParentLookup<Peer, Block> {
    fn default() -> Self {
        Self {
            lookups: BTreeMap::new(),
            order: VecDeque::new(),
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

    /// A block arrived from `peer` whose parent is unknown.
    pub fn on_unknown_parent(
        &mut self,
        peer: Peer,
        block: Block,
        parent_root: Root,
    ) -> Option<LookupAction<Peer, Block>> {
        if self.lookups.contains_key(&parent_root) {
            // Its parent is on the way; the block comes again when that is here.
            return None;
        }
        if self.lookups.len() >= MAX_LOOKUPS
            && let Some(oldest) = self.order.pop_front()
        {
            self.lookups.remove(&oldest);
        }
        let lookup = Lookup {
            blocks: vec![(peer.clone(), block)],
            wanted: parent_root,
            tried: vec![peer.clone()],
        };
        self.insert(lookup);
        Some(LookupAction::Request {
            peer,
            root: parent_root,
        })
    }

    fn insert(&mut self, lookup: Lookup<Peer, Block>) {
        self.order.push_back(lookup.wanted);
        self.lookups.insert(lookup.wanted, lookup);
    }

    fn remove(&mut self, root: &Root) -> Option<Lookup<Peer, Block>> {
        self.order.retain(|wanted| wanted != root);
        self.lookups.remove(root)
    }

    /// A wanted block is here. `is_parent_known` says whether its own parent is.
    pub fn on_block(
        &mut self,
        peer: Peer,
        root: &Root,
        block: Block,
        parent_root: Root,
        is_parent_known: bool,
    ) -> Option<LookupAction<Peer, Block>> {
        let mut lookup = self.remove(root)?;
        lookup.blocks.push((peer.clone(), block));
        if is_parent_known {
            lookup.blocks.reverse();
            return Some(LookupAction::Import { blocks: lookup.blocks });
        }
        if lookup.blocks.len() >= MAX_LOOKUP_BLOCKS {
            return Some(LookupAction::GiveUp {
                root: parent_root,
                reason: LookupFailure::TooDeep,
                peers: lookup.into_sources(),
            });
        }
        if self.lookups.contains_key(&parent_root) {
            // Two blocks of one unknown branch: the other lookup goes on, this block comes again with its branch.
            return None;
        }
        lookup.wanted = parent_root;
        lookup.tried = vec![peer.clone()];
        self.insert(lookup);
        Some(LookupAction::Request {
            peer,
            root: parent_root,
        })
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
        let lookup = self.remove(root)?;
        Some(LookupAction::GiveUp {
            root: *root,
            reason: LookupFailure::NotFound,
            peers: lookup.into_sources(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lookups = ParentLookup<u32, u64>;

    fn root(number: u64) -> Root {
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Root::new(bytes)
    }

    #[test]
    fn ancestors_are_fetched_back_to_a_known_one_and_imported_parents_first() {
        let mut lookups = Lookups::default();
        let request = |number| {
            Some(LookupAction::Request {
                peer: 1,
                root: root(number),
            })
        };
        assert_eq!(lookups.on_unknown_parent(1, 10, root(9)), request(9));
        assert_eq!(lookups.on_block(1, &root(9), 9, root(8), false), request(8));
        assert_eq!(
            lookups.on_block(1, &root(8), 8, root(7), true),
            Some(LookupAction::Import {
                blocks: vec![(1, 8), (1, 9), (1, 10)]
            })
        );
        assert!(lookups.is_empty());
    }

    #[test]
    fn a_gap_that_is_too_long_is_left_to_range_sync() {
        let mut lookups = Lookups::default();
        lookups.on_unknown_parent(1, 1000, root(999));
        let mut number = 999;
        let end = loop {
            match lookups
                .on_block(1, &root(number), number, root(number - 1), false)
                .unwrap()
            {
                LookupAction::Request { .. } => number -= 1,
                other => break other,
            }
        };
        assert!(matches!(
            end,
            LookupAction::GiveUp {
                reason: LookupFailure::TooDeep,
                ..
            }
        ));
        assert_eq!((1000 - number + 1) as usize, MAX_LOOKUP_BLOCKS);
        assert!(lookups.is_empty());
    }

    #[test]
    fn a_block_that_nobody_has_is_given_up_after_some_peers() {
        let mut lookups = Lookups::default();
        lookups.on_unknown_parent(1, 10, root(9));
        let mut asked = vec![1];
        let end = loop {
            match lookups.on_not_found(&root(9), 1..=9).unwrap() {
                LookupAction::Request { peer, .. } => asked.push(peer),
                other => break other,
            }
        };
        assert_eq!(asked, [1, 2, 3, 4]);
        let failure = LookupAction::GiveUp {
            root: root(9),
            reason: LookupFailure::NotFound,
            peers: vec![1],
        };
        assert_eq!(end, failure);
        assert_eq!(lookups.on_not_found(&root(9), 1..=9), None);
    }

    #[test]
    fn lookups_are_limited_and_the_oldest_makes_room() {
        let mut lookups = Lookups::default();
        for number in 0..100 {
            lookups.on_unknown_parent(1, number, root(1000 + number));
        }
        assert_eq!(lookups.len(), MAX_LOOKUPS);
        assert_eq!(lookups.on_block(1, &root(1000), 5, root(4), true), None, "pushed out");
        assert!(lookups.on_block(1, &root(1099), 5, root(4), true).is_some());
        assert_eq!(
            lookups.on_unknown_parent(2, 7, root(1098)),
            None,
            "one lookup for each wanted block"
        );
    }
}
