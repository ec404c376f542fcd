//! Faults on purpose: what the network does between nodes, and what of a node is lost.

use super::{Processes, Role};
use crate::error::DevnetError;
use crate::events::Columns;
use crate::layout::NodeNumber;
use std::fs;

impl Processes {
    /// Breaks the connections between two sets of nodes.
    pub(crate) async fn cut(&mut self, one: &[NodeNumber], other: &[NodeNumber]) -> Result<(), DevnetError> {
        for (nodes, others) in [(one, other), (other, one)] {
            let peers: Vec<String> = others
                .iter()
                .filter_map(|other| self.identities.get(other))
                .map(|identity| identity.peer_id.clone())
                .collect();
            for node in nodes {
                let conditions = self.conditions.entry(*node).or_default();
                conditions.blocked_peers.extend(peers.iter().cloned());
                self.apply_conditions(*node).await?;
            }
        }
        Ok(())
    }

    /// Lets everybody talk to everybody again.
    pub(crate) async fn heal(&mut self) -> Result<(), DevnetError> {
        let nodes: Vec<NodeNumber> = self.conditions.keys().copied().collect();
        for node in nodes {
            self.conditions.entry(node).or_default().blocked_peers.clear();
            self.apply_conditions(node).await?;
        }
        Ok(())
    }

    /// Delays everything that leaves nodes.
    pub(crate) async fn delay(&mut self, nodes: &[NodeNumber], ms: u64) -> Result<(), DevnetError> {
        for node in nodes {
            self.conditions.entry(*node).or_default().outbound_delay_ms = ms;
            self.apply_conditions(*node).await?;
        }
        Ok(())
    }

    pub(super) async fn apply_conditions(&self, node: NodeNumber) -> Result<(), DevnetError> {
        let Some(conditions) = self.conditions.get(&node) else {
            return Ok(());
        };
        if !self.running.contains_key(&(node, Role::Beacon)) {
            return Ok(());
        }
        self.api(node)?
            .set_network_conditions(conditions)
            .await
            .map_err(DevnetError::api(format!("network conditions of node {node}")))
    }

    /// Keeps columns away from nodes, instead of those that were kept away before.
    pub(crate) async fn block_columns(&mut self, nodes: &[NodeNumber], columns: Columns) -> Result<(), DevnetError> {
        for node in nodes {
            self.conditions.entry(*node).or_default().blocked_columns = columns.indices();
            self.apply_conditions(*node).await?;
        }
        Ok(())
    }

    /// Has nodes keep columns to themselves, instead of those that they kept before.
    pub(crate) async fn withhold_columns(&mut self, nodes: &[NodeNumber], columns: Columns) -> Result<(), DevnetError> {
        for node in nodes {
            self.conditions.entry(*node).or_default().withheld_columns = columns.indices();
            self.apply_conditions(*node).await?;
        }
        Ok(())
    }

    /// Removes all that the beacon node of a stopped node has, its identity too. From now on it begins with what another
    /// one has finalised.
    pub(crate) fn lose_beacon_data(&mut self, node: NodeNumber, source: NodeNumber) -> Result<(), DevnetError> {
        let dir = self.dirs(node).beacon;
        fs::remove_dir_all(&dir).map_err(DevnetError::file("remove", &dir))?;
        self.checkpoints.insert(node, source);
        Ok(())
    }
}
