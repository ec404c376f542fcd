//! The registry as flat rows.
//!
//! Walking a tree of a million validators costs several cache misses for each of them, and most of them have not changed
//! since the last epoch. So the rows are kept by subtrees of [`CHUNK`] validators; a subtree whose node is the very same as
//! last time needs no reading. Comparing nodes by address is exact: a node is never changed once it is in a tree, and
//! holding it keeps its address from being used again.

use crate::error::StateError;
use milhouse::level_iter::LevelNode;
use milhouse::{Arc as Node, List, Tree, UpdateMap, Value};
use rayon::prelude::*;
use std::sync::Arc;
use types::caches::{RegistryChunk, RegistryRow};
use types::constants::FAR_FUTURE_EPOCH;
use types::{BeaconState, Epoch, Preset, Validator};

/// Depth of the subtrees that are compared as a whole.
const CHUNK_DEPTH: usize = 9;
/// Validators in such a subtree.
pub(crate) const CHUNK: usize = 1 << CHUNK_DEPTH;
/// Fewer chunks than this are read by the calling thread.
const PARALLEL_CHUNKS: usize = 16;
/// Integers that are read level by level: their leaves fit the nearest cache.
const BLOCK_INTEGERS: usize = 1 << 12;
/// Fewer integers than this are read by the calling thread.
pub(super) const PARALLEL_INTEGERS: usize = 1 << 18;

/// All validators in order, a fixed number of them in each chunk but the last.
pub fn registry_rows<P: Preset>(state: &BeaconState<P>) -> Result<Arc<[RegistryChunk]>, StateError> {
    if state.validators().has_pending_updates() {
        let mut validators = state.validators().clone();
        validators.apply_updates()?;
        return rows_of(state, &validators);
    }
    rows_of(state, state.validators())
}

fn rows_of<P, N, U>(
    state: &BeaconState<P>,
    validators: &List<Validator, N, U>,
) -> Result<Arc<[RegistryChunk]>, StateError>
where
    P: Preset,
    N: typenum::Unsigned,
    U: UpdateMap<Validator>,
{
    let known = state.caches().registry();
    let mut nodes = Vec::with_capacity(known.len());
    if let Some(root) = root_node(validators)? {
        collect_subtrees(root, list_depth::<N>(), &mut nodes);
    }
    let is_known = |(place, node): (usize, &&Node<Tree<Validator>>)| {
        known.get(place).filter(|chunk| Node::ptr_eq(&chunk.node, node))
    };
    let unknown = nodes
        .iter()
        .enumerate()
        .filter(|entry| is_known(*entry).is_none())
        .count();
    if unknown == 0 && nodes.len() == known.len() {
        return Ok(known);
    }
    let chunk = |(place, node): (usize, &&Node<Tree<Validator>>)| match is_known((place, node)) {
        Some(chunk) => chunk.clone(),
        None => {
            let mut rows = Vec::with_capacity(CHUNK);
            read_rows(node, &mut rows);
            RegistryChunk {
                node: Node::clone(node),
                rows: rows.into(),
            }
        }
    };
    let chunks: Arc<[RegistryChunk]> = if unknown < PARALLEL_CHUNKS {
        nodes.iter().enumerate().map(chunk).collect()
    } else {
        nodes.par_iter().enumerate().map(chunk).collect::<Vec<_>>().into()
    };
    state.caches().remember_registry(Arc::clone(&chunks));
    Ok(chunks)
}

/// The root of a list's tree; `None` if the list is empty.
fn root_node<T, N, U>(list: &List<T, N, U>) -> Result<Option<&Node<Tree<T>>>, StateError>
where
    T: Value,
    N: typenum::Unsigned,
    U: UpdateMap<T>,
{
    // From index 0, milhouse iterates the level that has one node.
    Ok(match list.level_iter_from(0)?.next() {
        Some(LevelNode::Internal(root)) => Some(root),
        _ => None,
    })
}

fn list_depth<N: typenum::Unsigned>() -> usize {
    // The registry limit is a power of two, and validators are not packed.
    N::U64.trailing_zeros() as usize
}

fn collect_subtrees<'a>(node: &'a Node<Tree<Validator>>, depth: usize, found: &mut Vec<&'a Node<Tree<Validator>>>) {
    match &**node {
        Tree::Zero(_) => {}
        Tree::Node { left, right, .. } if depth > CHUNK_DEPTH => {
            let below = depth.saturating_sub(1);
            collect_subtrees(left, below, found);
            collect_subtrees(right, below, found);
        }
        _ => found.push(node),
    }
}

fn read_rows(node: &Tree<Validator>, rows: &mut Vec<RegistryRow>) {
    match node {
        Tree::Leaf(leaf) => rows.push(row(&leaf.value)),
        Tree::PackedLeaf(leaf) => rows.extend(leaf.values.iter().map(row)),
        Tree::Node { left, right, .. } => {
            read_rows(left, rows);
            read_rows(right, rows);
        }
        Tree::Zero(_) => {}
    }
}

fn row(validator: &Validator) -> RegistryRow {
    RegistryRow {
        effective_balance: validator.effective_balance,
        activation_epoch: clamp(validator.activation_epoch),
        exit_epoch: clamp(validator.exit_epoch),
        withdrawable_epoch: clamp(validator.withdrawable_epoch),
        slashed: validator.slashed,
        compounding: validator.has_compounding_withdrawal_credential(),
        eligible_for_activation: validator.activation_eligibility_epoch != FAR_FUTURE_EPOCH,
    }
}

/// An epoch in 32 bits. Compares with any epoch of a running chain as the full value does: those stay far below.
pub(crate) fn clamp(epoch: Epoch) -> u32 {
    u32::try_from(epoch.as_u64()).unwrap_or(u32::MAX)
}

/// Whether the validator is active in an epoch that went through [`clamp`].
#[inline]
pub(crate) const fn is_active(row: &RegistryRow, epoch: u32) -> bool {
    row.activation_epoch <= epoch && epoch < row.exit_epoch
}

/// All values of a list of integers, read leaf by leaf.
pub(crate) fn read_integers<T, N, U>(list: &List<T, N, U>) -> Result<Vec<T>, StateError>
where
    T: Value + Copy + Default + Send + Sync,
    N: typenum::Unsigned,
    U: UpdateMap<T>,
{
    if list.has_pending_updates() {
        return Ok(list.iter().copied().collect());
    }
    let mut values = vec![T::default(); list.len()];
    if let Some(root) = root_node(list)? {
        read_subtree(root, &mut values);
    }
    Ok(values)
}

/// Fills `values`, as many as there are below a node, from its leaves.
fn read_subtree<T: Value + Copy + Send + Sync>(node: &Tree<T>, values: &mut [T]) {
    match node {
        Tree::Node { left, right, .. } if matches!(**right, Tree::Zero(_)) => read_subtree(left, values),
        Tree::Node { left, right, .. } if values.len() > BLOCK_INTEGERS => {
            // The left half is full, as the right one is not empty.
            let full = values.len().next_power_of_two() >> 1;
            let is_large = values.len() > PARALLEL_INTEGERS;
            let (left_values, right_values) = values.split_at_mut(full);
            if is_large {
                rayon::join(|| read_subtree(left, left_values), || read_subtree(right, right_values));
            } else {
                read_subtree(left, left_values);
                read_subtree(right, right_values);
            }
        }
        _ => read_block(node, values),
    }
}

/// Level by level: the loads of a level do not wait for each other, where going down leaf by leaf would wait for memory
/// at every step.
fn read_block<T: Value + Copy>(node: &Tree<T>, values: &mut [T]) {
    let mut level = vec![node];
    let mut below = Vec::new();
    loop {
        for node in &level {
            if let Tree::Node { left, right, .. } = node {
                below.extend([&**left, &**right]);
            }
        }
        if below.is_empty() {
            break;
        }
        std::mem::swap(&mut level, &mut below);
        below.clear();
    }
    let mut rest = values;
    for node in level {
        let read: &[T] = match node {
            Tree::Leaf(leaf) => std::slice::from_ref(&*leaf.value),
            Tree::PackedLeaf(leaf) => &leaf.values,
            Tree::Node { .. } | Tree::Zero(_) => &[],
        };
        let (filled, after) = rest.split_at_mut(read.len().min(rest.len()));
        for (to, from) in filled.iter_mut().zip(read) {
            *to = *from;
        }
        rest = after;
    }
}
