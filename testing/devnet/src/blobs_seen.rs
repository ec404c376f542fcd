//! What is seen of blocks with blobs and of their columns, while the nodes run and at the end.

use crate::layout::NodeNumber;
use crate::record::Record;
use beacon_api::{ApiError, BeaconClient, BlockId};
use futures::future::join_all;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::{Minimal, Root};

/// Counter of blocks whose columns a node recovered.
const RECOVERIES: &str = "beacon_data_availability_reconstructions_total";
/// What a node says of a block that it cannot import.
const LACKING: &str = "Block is not imported: nobody has its columns";
/// Lines of a log that are kept.
const MAX_LINES: usize = 256;
/// Columns that a node keeps at least, whatever it says: it samples so many.
const SAMPLES: u64 = 8;

/// What was seen.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BlobsSeen {
    /// Blobs of each block that a node has told of, of the chain or not.
    pub(crate) of_blocks: BTreeMap<Root, usize>,
    /// How many columns nodes say that they keep, by the slot since which they say it.
    pub(crate) custody: BTreeMap<NodeNumber, BTreeMap<u64, u64>>,
    /// Blocks whose columns nodes have recovered, counted by the end of each slot.
    pub(crate) recoveries: BTreeMap<NodeNumber, BTreeMap<u64, u64>>,
    /// Heads of nodes near the end of each slot.
    pub(crate) at_head: BTreeMap<NodeNumber, BTreeMap<u64, HeadColumns>>,
    /// Columns of each block with blobs that running nodes have at the end. `None`: the node has no such block.
    pub(crate) columns: BTreeMap<NodeNumber, BTreeMap<Root, Option<usize>>>,
    /// Nodes that have imported a block that is not of the chain. Such blocks are forgotten with finality.
    pub(crate) imported_beside: BTreeMap<Root, BTreeSet<NodeNumber>>,
    /// What nodes have said of blocks that they could not import.
    pub(crate) lacking: BTreeMap<NodeNumber, Vec<String>>,
    /// Who has told of each block first.
    #[serde(skip)]
    pub(crate) told_by: BTreeMap<Root, NodeNumber>,
}

/// A head, and what the node has of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct HeadColumns {
    pub(crate) root: Root,
    pub(crate) slot: u64,
    pub(crate) columns: usize,
}

impl BlobsSeen {
    pub(crate) fn has_blobs(&self, root: &Root) -> bool {
        self.of_blocks.get(root).is_some_and(|blobs| *blobs > 0)
    }

    /// Columns that a node is to have of a block. What it says holds at once as long as no block had blobs, and from
    /// the second epoch after that in which it was said otherwise.
    pub(crate) fn needed(&self, record: &Record, node: NodeNumber, slot: u64) -> u64 {
        let first = record.slots.iter().find_map(|(slot, entry)| {
            let block = entry.block.as_ref()?;
            self.has_blobs(&block.root).then_some(*slot)
        });
        let holds = |said: u64| {
            let is_first = first.is_none_or(|first| said < first) && said < slot;
            is_first || record.epoch_of(said) + 2 <= record.epoch_of(slot)
        };
        let said = self.custody.get(&node).into_iter().flatten();
        let most = said.filter(|(said, _)| holds(**said)).map(|(_, count)| *count).max();
        most.unwrap_or(0).max(SAMPLES)
    }
}

/// Looks at nodes.
pub(crate) struct BlobObserver {
    apis: BTreeMap<NodeNumber, BeaconClient>,
    http: reqwest::Client,
    /// Nodes whose heads and recoveries are looked at, with where their metrics are.
    watched: BTreeMap<NodeNumber, String>,
    /// Logs of these.
    logs: BTreeMap<NodeNumber, PathBuf>,
}

impl BlobObserver {
    pub(crate) fn new(
        apis: BTreeMap<NodeNumber, BeaconClient>,
        watched: BTreeMap<NodeNumber, String>,
        logs: BTreeMap<NodeNumber, PathBuf>,
    ) -> Self {
        Self {
            apis,
            http: reqwest::Client::new(),
            watched,
            logs,
        }
    }

    /// Looks near the end of a slot.
    pub(crate) async fn look(&self, record: &Record, seen: &mut BlobsSeen, slot: u64, running: &[NodeNumber]) {
        let roots = record
            .slots
            .values()
            .filter_map(|entry| Some(entry.block.as_ref()?.root));
        let mut told = seen.told_by.clone();
        for root in roots {
            if let Some(node) = running.iter().max() {
                told.entry(root).or_insert(*node);
            }
        }
        told.retain(|root, _| !seen.of_blocks.contains_key(root));
        for (root, node) in &told {
            let Some(api) = self.apis.get(node) else { continue };
            match api.block::<Minimal>(BlockId::Root(*root)).await {
                Ok(Some(block)) => {
                    let blobs = block.data.message().body().blob_kzg_commitments().len();
                    seen.of_blocks.insert(*root, blobs);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%root, node, %error, "Could not read a block, trying again"),
            }
        }
        let asked = running.iter().filter_map(|node| {
            let api = self.apis.get(node)?.with_timeout(Duration::from_secs(2));
            Some(async move { (*node, api.identity().await) })
        });
        for (node, identity) in join_all(asked).await {
            let Some(count) = identity.ok().and_then(|identity| identity.metadata.custody_group_count) else {
                continue;
            };
            let said = seen.custody.entry(node).or_default();
            if said.last_key_value().is_none_or(|(_, last)| *last != count) {
                said.insert(slot, count);
            }
        }
        self.look_beside(record, seen, running).await;
        for (node, url) in self.watched.iter().filter(|(node, _)| running.contains(node)) {
            if let Some(count) = self.recoveries(url).await {
                seen.recoveries.entry(*node).or_default().insert(slot, count);
            }
            match self.head(*node).await {
                Ok(Some(head)) => {
                    seen.at_head.entry(*node).or_default().insert(slot, head);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(node, %error, "Could not read the columns of a head"),
            }
        }
    }

    /// Who has imported blocks that the chain has left out.
    async fn look_beside(&self, record: &Record, seen: &mut BlobsSeen, running: &[NodeNumber]) {
        let of_chain: BTreeSet<Root> = record
            .slots
            .values()
            .filter_map(|entry| Some(entry.block.as_ref()?.root))
            .collect();
        let beside: Vec<Root> = seen
            .of_blocks
            .keys()
            .copied()
            .filter(|root| seen.has_blobs(root) && !of_chain.contains(root))
            .collect();
        for root in beside {
            let known = seen.imported_beside.entry(root).or_default();
            let asked = running.iter().filter(|node| !known.contains(node)).filter_map(|node| {
                let api = self.apis.get(node)?.with_timeout(Duration::from_secs(2));
                Some(async move { (*node, api.header(BlockId::Root(root)).await) })
            });
            for (node, header) in join_all(asked).await {
                if matches!(header, Ok(Some(_))) {
                    known.insert(node);
                }
            }
        }
    }

    async fn head(&self, node: NodeNumber) -> Result<Option<HeadColumns>, ApiError> {
        let Some(api) = self.apis.get(&node) else {
            return Ok(None);
        };
        let Some(head) = api.header(BlockId::Head).await? else {
            return Ok(None);
        };
        let root = head.data.root;
        let columns = api.data_column_indices(BlockId::Root(root)).await?;
        Ok(Some(HeadColumns {
            root,
            slot: head.data.header.message().slot.as_u64(),
            columns: columns.map_or(0, |columns| columns.len()),
        }))
    }

    async fn recoveries(&self, url: &str) -> Option<u64> {
        let answer = async {
            let answer = self.http.get(url).timeout(Duration::from_secs(2)).send().await?;
            answer.error_for_status()?.text().await
        };
        match answer.await {
            // A counter that was never counted up is not there.
            Ok(text) => Some(counter(&text, RECOVERIES).unwrap_or(0)),
            Err(error) => {
                tracing::warn!(url, %error, "Could not read metrics");
                None
            }
        }
    }

    /// Looks once more, at the end: at all blocks with blobs and all nodes that run.
    pub(crate) async fn finish(&self, seen: &mut BlobsSeen, running: &[NodeNumber]) {
        let roots: Vec<Root> = seen
            .of_blocks
            .keys()
            .copied()
            .filter(|root| seen.has_blobs(root))
            .collect();
        for root in roots {
            let asked = running.iter().filter_map(|node| {
                let api = self.apis.get(node)?;
                Some(async move { (*node, api.data_column_indices(BlockId::Root(root)).await) })
            });
            for (node, columns) in join_all(asked).await {
                match columns {
                    Ok(columns) => {
                        let columns = columns.map(|columns| columns.len());
                        seen.columns.entry(node).or_default().insert(root, columns);
                    }
                    Err(error) => tracing::warn!(node, %root, %error, "Could not read the columns of a block"),
                }
            }
        }
        for (node, path) in &self.logs {
            match lines_with(path, LACKING) {
                Ok(lines) => {
                    seen.lacking.insert(*node, lines);
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "Could not read a log"),
            }
        }
    }
}

/// Value of a metric without labels, in the text form of Prometheus.
fn counter(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

fn lines_with(path: &Path, text: &str) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for line in BufReader::new(std::fs::File::open(path)?).lines() {
        let line = line?;
        if line.contains(text) && found.len() < MAX_LINES {
            found.push(line);
        }
    }
    Ok(found)
}

/// Nodes that have told of a block, of which only the first is kept.
pub(crate) fn note_told(seen: Option<&mut BlobsSeen>, root: Root, node: NodeNumber) {
    if let Some(seen) = seen {
        seen.told_by.entry(root).or_insert(node);
    }
}

/// Nodes that some checks look at in each slot.
pub(crate) fn watched(checks: &[crate::invariants::Check]) -> BTreeSet<NodeNumber> {
    let checks = checks.iter().filter(|check| check.watches_nodes());
    checks.flat_map(|check| check.nodes()).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_by_its_whole_name() {
        let text = "# TYPE a_total counter\na_total_more 7\na_total 5\n";
        assert_eq!(counter(text, "a_total"), Some(5));
        assert_eq!(counter(text, "b_total"), None);
    }
}
