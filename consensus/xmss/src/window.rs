//! Bottom trees: the part of a key that is in memory.

use crate::KeyError;
use crate::field::{Digest, LANES, Parameter};
use crate::hash::packed_leaves;
use crate::parameters::{Parameters, check};
use crate::prf::PrfKey;
use crate::tree::SubTree;
use rayon::prelude::*;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// The tree over `P::TREE_LEAVES` leaves. Its leaves are secret until they are opened, so it is wiped when dropped.
pub struct BottomTree<P: Parameters> {
    pub(crate) index: u32,
    pub(crate) tree: SubTree,
    parameters: PhantomData<P>,
}

impl<P: Parameters> BottomTree<P> {
    pub(crate) fn from_leaves(parameter: &Parameter, index: u32, leaves: Vec<Digest>) -> Option<Self> {
        let start = leaves_of::<P>(index).start;
        let is_full = leaves.len() as u64 == P::TREE_LEAVES;
        let tree = SubTree::build(parameter, 0, P::HALF_DEPTH, start, leaves).filter(|_| is_full)?;
        Some(Self {
            index,
            tree,
            parameters: PhantomData,
        })
    }

    /// Leaves that the tree is for.
    pub fn leaves(&self) -> Range<u64> {
        leaves_of::<P>(self.index)
    }

    /// Digests of all leaves, for a file that spares computing them again. They are secret: encrypt them.
    pub fn to_bytes(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.tree.lowest().len().saturating_mul(Digest::LEN));
        for digest in self.tree.lowest() {
            bytes.extend_from_slice(&digest.to_bytes());
        }
        bytes.into()
    }
}

impl<P: Parameters> Drop for BottomTree<P> {
    fn drop(&mut self) {
        self.tree.wipe();
    }
}

impl<P: Parameters> fmt::Debug for BottomTree<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BottomTree")
            .field("leaves", &self.leaves())
            .finish_non_exhaustive()
    }
}

/// Leaves of a bottom tree.
#[allow(clippy::arithmetic_side_effects, reason = "u32 * 2^16 in u64")]
pub(crate) fn leaves_of<P: Parameters>(index: u32) -> Range<u64> {
    let start = u64::from(index) * P::TREE_LEAVES;
    start..start + P::TREE_LEAVES
}

/// The work that makes a bottom tree, apart from the key: for a thread in the background, while the key signs.
pub struct TreeTask<P: Parameters> {
    pub(crate) key: PrfKey,
    pub(crate) parameter: Parameter,
    pub(crate) index: u32,
    pub(crate) parameters: PhantomData<P>,
}

impl<P: Parameters> TreeTask<P> {
    /// Leaves that the tree will be for.
    pub fn leaves(&self) -> Range<u64> {
        leaves_of::<P>(self.index)
    }

    /// Computes the tree, on all cores of the rayon pool that this is called in. `progress` is told of leaves as they
    /// are done, from any thread.
    pub fn run(&self, progress: &(dyn Fn(u64) + Sync)) -> Result<BottomTree<P>, KeyError> {
        const { check::<P>() };
        let first = leaves_of::<P>(self.index).start;
        #[allow(
            clippy::arithmetic_side_effects,
            reason = "leaves of the key, below 2^32; the number of lanes is a constant"
        )]
        let leaves: Vec<Digest> = (0..P::TREE_LEAVES.div_ceil(LANES as u64))
            .into_par_iter()
            .flat_map_iter(|group| {
                let offset = group * LANES as u64;
                let leaves = packed_leaves::<P>(&self.parameter, (first + offset) as u32, |leaf, chain| {
                    self.key.chain_start(leaf, chain)
                });
                let count = (P::TREE_LEAVES - offset).min(LANES as u64);
                progress(count);
                leaves.into_iter().take(count as usize)
            })
            .collect();
        BottomTree::from_leaves(&self.parameter, self.index, leaves).ok_or(KeyError::ForeignTree(self.index))
    }
}

impl<P: Parameters> fmt::Debug for TreeTask<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeTask")
            .field("leaves", &self.leaves())
            .finish_non_exhaustive()
    }
}
