//! Secret keys: making, keeping and using them.

use crate::encoding::search;
use crate::field::{Digest, Parameter, Reader, write_elements};
use crate::hash::walk_chains;
use crate::parameters::{MAX_CHAINS, Parameters, check};
use crate::prf::{PrfKey, Seed};
use crate::tree::SubTree;
use crate::window::{BottomTree, TreeTask, leaves_of};
use crate::{KeyError, Message, Opening, PublicKey, SignError, Signature};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Bottom trees in memory: the one in use and the next.
const WINDOW: usize = 2;
/// Bytes of a stored key before the roots: PRF key, parameter, first bottom tree.
const STORED_HEADER_LEN: usize = 32 + 20 + 4;

/// How far the making of a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Leaves that are done.
    pub done: u64,
    /// Leaves of the key.
    pub total: u64,
}

/// A key for a window of leaves: its top tree whole, and at most two bottom trees.
///
/// Using it never changes it; that a leaf signs once is for the caller to see to. [`SecretKey::next_task`] gives the
/// work that the key will need, to be run on any thread, and [`SecretKey::install`] takes what came out.
pub struct SecretKey<P: Parameters> {
    key: PrfKey,
    parameter: Parameter,
    first_tree: u32,
    /// One past the last bottom tree.
    end_tree: u32,
    top: SubTree,
    /// Ascending.
    window: Vec<BottomTree<P>>,
}

impl<P: Parameters> SecretKey<P> {
    /// Makes the key of a seed for `leaves`, widened to whole bottom trees of `P::TREE_LEAVES` leaves, on all cores.
    /// The window is a part of the key: the same seed with another window is another key. The first two bottom trees
    /// are kept.
    pub fn generate(seed: &Seed, leaves: Range<u64>, progress: &(dyn Fn(Progress) + Sync)) -> Result<Self, KeyError> {
        const { check::<P>() };
        let (first_tree, end_tree) = trees_of::<P>(&leaves)?;
        let (key, parameter) = (seed.prf_key(), seed.parameter());
        let total = u64::from(end_tree.saturating_sub(first_tree)).saturating_mul(P::TREE_LEAVES);
        let done = AtomicU64::new(0);
        let advance = |count| {
            let done = done.fetch_add(count, Ordering::Relaxed).saturating_add(count);
            progress(Progress { done, total });
        };
        let mut window = Vec::with_capacity(WINDOW);
        let mut roots = Vec::new();
        for index in first_tree..end_tree {
            let task = TreeTask {
                key: key.clone(),
                parameter,
                index,
                parameters: PhantomData,
            };
            let tree: BottomTree<P> = task.run(&advance)?;
            roots.push(*tree.tree.root());
            if window.len() < WINDOW {
                window.push(tree);
            }
        }
        let top = top_tree::<P>(&parameter, first_tree, roots).ok_or(window_error::<P>(leaves))?;
        Ok(Self {
            key,
            parameter,
            first_tree,
            end_tree,
            top,
            window,
        })
    }

    /// The public part.
    pub fn public_key(&self) -> PublicKey<P> {
        PublicKey::new(*self.top.root(), self.parameter)
    }

    /// Leaves that the key was made for.
    pub fn active(&self) -> Range<u64> {
        leaves_of::<P>(self.first_tree).start..leaves_of::<P>(self.end_tree).start
    }

    /// From the first to the last leaf of the bottom trees in memory; empty if there are none.
    pub fn prepared(&self) -> Range<u64> {
        match (self.window.first(), self.window.last()) {
            (Some(first), Some(last)) => first.leaves().start..last.leaves().end,
            _ => 0..0,
        }
    }

    /// The bottom trees in memory, ascending: what a file has to hold beside [`SecretKey::to_bytes`].
    pub fn bottom_trees(&self) -> &[BottomTree<P>] {
        &self.window
    }

    /// Signs. The same leaf and message always give the same bytes.
    pub fn sign(&self, leaf: u32, message: &Message) -> Result<Signature<P>, SignError> {
        let tree = self.tree_of(leaf)?;
        let (randomness, codeword) = search::<P>(&self.key, &self.parameter, leaf, message)?;
        let mut chains: Vec<Digest> = (0..P::CHAINS)
            .map(|chain| Digest(self.key.chain_start(leaf, chain)))
            .collect();
        walk_chains(&self.parameter, leaf, &mut chains, &[0; MAX_CHAINS], &codeword);
        Ok(Signature {
            path: self.path(tree, leaf)?,
            randomness,
            chains,
            parameters: PhantomData,
        })
    }

    /// Opens a leaf.
    pub fn open(&self, leaf: u32) -> Result<Opening<P>, SignError> {
        let tree = self.tree_of(leaf)?;
        let digest = tree.tree.node(u64::from(leaf)).ok_or_else(|| self.not_prepared(leaf))?;
        Ok(Opening {
            digest: *digest,
            path: self.path(tree, leaf)?,
            parameters: PhantomData,
        })
    }

    /// The work that makes the key ready for a leaf; `None` if it is.
    pub fn task_for(&self, leaf: u32) -> Result<Option<TreeTask<P>>, KeyError> {
        if !self.active().contains(&u64::from(leaf)) {
            return Err(KeyError::NotActive {
                leaf,
                active: self.active(),
            });
        }
        let index = tree_index::<P>(leaf);
        let is_ready = self.window.iter().any(|tree| tree.index == index);
        Ok((!is_ready).then(|| self.task(index)))
    }

    /// The work that makes the key ready for the leaves after those that it is ready for; `None` if there are none.
    pub fn next_task(&self) -> Option<TreeTask<P>> {
        let next = self
            .window
            .last()
            .map_or(self.first_tree, |last| last.index.saturating_add(1));
        (next < self.end_tree).then(|| self.task(next))
    }

    /// Takes a bottom tree. If there are two already, the one farther from it is dropped.
    pub fn install(&mut self, tree: BottomTree<P>) -> Result<(), KeyError> {
        if self.top.node(u64::from(tree.index)) != Some(tree.tree.root())
            || !(self.first_tree..self.end_tree).contains(&tree.index)
        {
            return Err(KeyError::ForeignTree(tree.index));
        }
        let index = tree.index;
        self.window.retain(|known| known.index != index);
        self.window.push(tree);
        self.window.sort_by_key(|known| known.index.abs_diff(index));
        self.window.truncate(WINDOW);
        self.window.sort_by_key(|known| known.index);
        Ok(())
    }

    /// Reads what [`BottomTree::to_bytes`] gave for the tree with `leaf`, and installs it. A tree that is not this
    /// key's is refused.
    pub fn restore(&mut self, leaf: u32, bytes: &[u8]) -> Result<(), KeyError> {
        let index = tree_index::<P>(leaf);
        let count = usize::try_from(P::TREE_LEAVES).unwrap_or(usize::MAX);
        crate::field::check_len(bytes, count.saturating_mul(Digest::LEN))?;
        let leaves = Reader(bytes).digests(count)?;
        let tree = BottomTree::from_leaves(&self.parameter, index, leaves).ok_or(KeyError::ForeignTree(index))?;
        self.install(tree)
    }

    /// The key without its bottom trees: PRF key, parameter, number of the first bottom tree, roots of all bottom
    /// trees. Secret: encrypt it.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let roots = (self.first_tree..self.end_tree).filter_map(|index| self.top.node(u64::from(index)));
        let count = self.end_tree.saturating_sub(self.first_tree) as usize;
        let capacity = STORED_HEADER_LEN.saturating_add(count.saturating_mul(Digest::LEN));
        // As large as it will be: a buffer that grows leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        bytes.extend_from_slice(&self.key.0);
        write_elements(&self.parameter, &mut bytes);
        bytes.extend_from_slice(&self.first_tree.to_le_bytes());
        for root in roots {
            bytes.extend_from_slice(&root.to_bytes());
        }
        bytes
    }

    /// Reads what [`SecretKey::to_bytes`] gave. No leaf is prepared; see [`SecretKey::task_for`] and
    /// [`SecretKey::restore`]. Only the public key shows whether the roots are right: compare it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        const { check::<P>() };
        let roots_len = bytes.len().saturating_sub(STORED_HEADER_LEN);
        let count = roots_len / Digest::LEN;
        let expected = STORED_HEADER_LEN.saturating_add(count.max(1).saturating_mul(Digest::LEN));
        crate::field::check_len(bytes, expected)?;
        let mut reader = Reader(bytes);
        let key = PrfKey(reader.array()?);
        let parameter = reader.elements()?;
        let first_tree = reader.u32()?;
        let leaves = leaves_of::<P>(first_tree).start
            ..leaves_of::<P>(first_tree)
                .start
                .saturating_add((count as u64).saturating_mul(P::TREE_LEAVES));
        let (first_tree, end_tree) = trees_of::<P>(&leaves)?;
        let roots = reader.digests(count)?;
        let top = top_tree::<P>(&parameter, first_tree, roots).ok_or(window_error::<P>(leaves))?;
        Ok(Self {
            key,
            parameter,
            first_tree,
            end_tree,
            top,
            window: Vec::new(),
        })
    }

    fn task(&self, index: u32) -> TreeTask<P> {
        TreeTask {
            key: self.key.clone(),
            parameter: self.parameter,
            index,
            parameters: PhantomData,
        }
    }

    fn tree_of(&self, leaf: u32) -> Result<&BottomTree<P>, SignError> {
        if !self.active().contains(&u64::from(leaf)) {
            return Err(SignError::NotActive {
                leaf,
                active: self.active(),
            });
        }
        let index = tree_index::<P>(leaf);
        self.window
            .iter()
            .find(|tree| tree.index == index)
            .ok_or_else(|| self.not_prepared(leaf))
    }

    fn path(&self, tree: &BottomTree<P>, leaf: u32) -> Result<Vec<Digest>, SignError> {
        let mut path = Vec::with_capacity(P::LOG_LIFETIME);
        tree.tree
            .write_path(u64::from(leaf), &mut path)
            .and_then(|()| self.top.write_path(u64::from(tree.index), &mut path))
            .ok_or_else(|| self.not_prepared(leaf))?;
        Ok(path)
    }

    fn not_prepared(&self, leaf: u32) -> SignError {
        SignError::NotPrepared {
            leaf,
            prepared: self.prepared(),
        }
    }
}

impl<P: Parameters> fmt::Debug for SecretKey<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public_key", &self.public_key())
            .field("active", &self.active())
            .field("prepared", &self.prepared())
            .finish_non_exhaustive()
    }
}

#[allow(
    clippy::arithmetic_side_effects,
    reason = "the number of leaves of a tree is a constant above 0"
)]
fn tree_index<P: Parameters>(leaf: u32) -> u32 {
    (u64::from(leaf) / P::TREE_LEAVES) as u32
}

/// Bottom trees that cover some leaves.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the number of leaves of a tree is a constant above 0"
)]
fn trees_of<P: Parameters>(leaves: &Range<u64>) -> Result<(u32, u32), KeyError> {
    if leaves.is_empty() || leaves.end > P::LIFETIME {
        return Err(window_error::<P>(leaves.clone()));
    }
    let first = leaves.start / P::TREE_LEAVES;
    let end = leaves.end.div_ceil(P::TREE_LEAVES);
    Ok((first as u32, end as u32))
}

fn top_tree<P: Parameters>(parameter: &Parameter, first: u32, roots: Vec<Digest>) -> Option<SubTree> {
    SubTree::build(parameter, P::HALF_DEPTH, P::HALF_DEPTH, u64::from(first), roots)
}

fn window_error<P: Parameters>(leaves: Range<u64>) -> KeyError {
    KeyError::Window {
        leaves,
        log_lifetime: P::LOG_LIFETIME,
    }
}
