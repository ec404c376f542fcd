//! Merkle trees over a run of nodes.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "levels are at most 32 and indices at most 2^32, in u64"
)]

use crate::field::Packed;
use crate::field::{Digest, LANES, Parameter, pack, unpack, write_elements};
use crate::hash::{parent, tree_tweak};
use crate::prf::padding;
use rayon::prelude::*;

/// Nodes of one level that stand side by side.
#[derive(Clone)]
struct Layer {
    start: u64,
    nodes: Vec<Digest>,
}

/// A part of a key's tree: the nodes above a run of nodes of one level, up to one root. Where a node has no sibling in
/// the run, a filler takes its place.
#[derive(Clone)]
pub(crate) struct SubTree {
    /// From the lowest level up, without the root.
    layers: Vec<Layer>,
    root: Digest,
}

impl SubTree {
    /// Builds `height` levels above `nodes`, the first of which is number `start` of its level. `None` if there are
    /// none, or if they are not all below one root.
    pub(crate) fn build(
        parameter: &Parameter,
        level: usize,
        height: usize,
        start: u64,
        nodes: Vec<Digest>,
    ) -> Option<Self> {
        let last = (start + nodes.len() as u64).checked_sub(1)?;
        if nodes.is_empty() || start >> height != last >> height {
            return None;
        }
        let mut parameter_bytes = Vec::new();
        write_elements(parameter, &mut parameter_bytes);
        let mut layers = Vec::with_capacity(height);
        let mut layer = Layer { start, nodes };
        for below in level..level + height {
            let filler = |index| Digest(padding(&parameter_bytes, below, index));
            if layer.start & 1 == 1 {
                layer.start -= 1;
                layer.nodes.insert(0, filler(layer.start));
            }
            if layer.nodes.len() & 1 == 1 {
                layer.nodes.push(filler(layer.start + layer.nodes.len() as u64));
            }
            let next = Layer {
                start: layer.start >> 1,
                nodes: parents(parameter, below + 1, layer.start >> 1, &layer.nodes),
            };
            layers.push(std::mem::replace(&mut layer, next));
        }
        let root = *layer.nodes.first()?;
        Some(Self { layers, root })
    }

    pub(crate) fn root(&self) -> &Digest {
        &self.root
    }

    /// A node of the lowest level.
    pub(crate) fn node(&self, index: u64) -> Option<&Digest> {
        self.layers.first()?.get(index)
    }

    /// Appends the siblings on the way from a node of the lowest level to the root.
    pub(crate) fn write_path(&self, index: u64, path: &mut Vec<Digest>) -> Option<()> {
        for (height, layer) in self.layers.iter().enumerate() {
            path.push(*layer.get((index >> height) ^ 1)?);
        }
        Some(())
    }

    /// All nodes of the lowest level, fillers included.
    pub(crate) fn lowest(&self) -> &[Digest] {
        self.layers.first().map_or(&[], |layer| &layer.nodes)
    }

    /// Overwrites all nodes: those of a bottom tree are secret until they are opened.
    pub(crate) fn wipe(&mut self) {
        for layer in &mut self.layers {
            layer.nodes.fill(Digest::ZERO);
            // Keeps the compiler from leaving out writes that nobody reads.
            std::hint::black_box(&layer.nodes);
        }
    }
}

impl Layer {
    fn get(&self, index: u64) -> Option<&Digest> {
        self.nodes.get(usize::try_from(index.checked_sub(self.start)?).ok()?)
    }
}

/// Parents of pairs of nodes, from number `start` of their level on.
fn parents(parameter: &Parameter, level: usize, start: u64, nodes: &[Digest]) -> Vec<Digest> {
    let packed = parameter.map(Packed::from);
    let pairs = nodes.as_chunks::<2>().0;
    let mut parents = vec![Digest::ZERO; pairs.len()];
    parents
        .par_chunks_mut(LANES)
        .zip(pairs.par_chunks(LANES))
        .enumerate()
        .with_min_len(64 / LANES)
        .for_each(|(chunk, (parents, pairs))| {
            // Lanes beyond the last pair repeat it.
            let last = pairs.len() - 1;
            let child = |lane: usize, side: usize| {
                let pair = pairs.get(lane.min(last)).copied().unwrap_or([Digest::ZERO; 2]);
                if side == 0 { pair[0].0 } else { pair[1].0 }
            };
            let first = start + (chunk * LANES) as u64;
            let tweak = pack(|lane| tree_tweak(level, (first + lane.min(last) as u64) as u32));
            let nodes = parent(
                &packed,
                &tweak,
                &pack(|lane| child(lane, 0)),
                &pack(|lane| child(lane, 1)),
            );
            for (lane, parent) in parents.iter_mut().enumerate() {
                *parent = unpack(&nodes, lane);
            }
        });
    parents
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Element;
    use crate::hash::root_of_path;
    use proptest::prelude::*;

    fn nodes(count: u64) -> Vec<Digest> {
        (0..count)
            .map(|index| Digest([Element::new(index as u32 + 1); 8]))
            .collect()
    }

    proptest! {
        #[test]
        fn each_node_has_a_path_to_the_root(start in 0u64..60, count in 1u64..40) {
            let parameter = [Element::new(9); 5];
            let count = count.min(64 - start);
            let tree = SubTree::build(&parameter, 0, 6, start, nodes(count)).unwrap();
            for (offset, node) in nodes(count).iter().enumerate() {
                let index = start + offset as u64;
                prop_assert_eq!(tree.node(index), Some(node));
                let mut path = Vec::new();
                tree.write_path(index, &mut path).unwrap();
                prop_assert_eq!(path.len(), 6);
                prop_assert_eq!(&root_of_path(&parameter, index as u32, *node, &path), tree.root());
            }
        }
    }

    #[test]
    fn nodes_without_a_common_root_are_no_tree() {
        let parameter = [Element::new(9); 5];
        assert!(SubTree::build(&parameter, 0, 3, 6, nodes(3)).is_none());
        assert!(SubTree::build(&parameter, 0, 3, 6, Vec::new()).is_none());
        assert!(SubTree::build(&parameter, 0, 3, 8, nodes(8)).is_some());
    }
}
