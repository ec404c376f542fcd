//! Several beacon nodes: the first that is well is asked, the others if it fails. One of another network is never asked.

use beacon_api::{ApiError, BeaconClient, Health, Network};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a node may take to say how it is.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How a node is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeHealth {
    /// Synced.
    Ready,
    /// Answers, but is syncing or not yet fit for duties.
    Behind,
    /// Does not answer.
    Unreachable,
    /// Is of another network.
    Foreign,
}

#[derive(Debug)]
struct Node {
    client: BeaconClient,
    health: Mutex<NodeHealth>,
    /// Whether it has been found to be of the network since it was last away.
    is_identified: AtomicBool,
}

/// The beacon nodes of a client, in order of preference.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
    network: Option<Network>,
}

impl Nodes {
    /// Nodes in order of preference, of any network. Each counts as well until it is asked.
    pub fn new(clients: Vec<BeaconClient>) -> Self {
        Self {
            nodes: clients
                .into_iter()
                .map(|client| Node {
                    client,
                    health: Mutex::new(NodeHealth::Ready),
                    is_identified: AtomicBool::new(true),
                })
                .collect(),
            network: None,
        }
    }

    /// The same for nodes that have to be of a network: each is asked which one it follows before it is asked anything
    /// else, again when it was away, and each time that it is asked how it is.
    pub fn of_network(clients: Vec<BeaconClient>, network: Network) -> Self {
        let nodes = Self {
            network: Some(network),
            ..Self::new(clients)
        };
        nodes.nodes.iter().for_each(|node| nodes.forget(node));
        nodes
    }

    fn forget(&self, node: &Node) {
        node.is_identified.store(self.network.is_none(), Ordering::Relaxed);
    }

    /// Number of nodes by health: ready, behind, of no use.
    pub fn count(&self) -> (usize, usize, usize) {
        let of = |wanted| self.nodes.iter().filter(|node| *node.health.lock() == wanted).count();
        (
            of(NodeHealth::Ready),
            of(NodeHealth::Behind),
            of(NodeHealth::Unreachable).saturating_add(of(NodeHealth::Foreign)),
        )
    }

    /// Asks all nodes how they are and which network they follow, at the same time.
    pub async fn check_health(&self) {
        let checks = self.nodes.iter().map(|node| async move {
            let health = match node.client.with_timeout(HEALTH_TIMEOUT).health().await {
                Ok(Health::Ready) => NodeHealth::Ready,
                Ok(Health::Syncing | Health::Unavailable) => NodeHealth::Behind,
                Err(_) => return self.note_unreachable(node),
            };
            match self.identify(node).await {
                Ok(()) => node.note(health),
                // It was noted where it was met.
                Err(ApiError::Answer { .. }) => {}
                Err(_) => self.note_unreachable(node),
            }
        });
        futures::future::join_all(checks).await;
    }

    /// Errors with [`ApiError::Answer`] if a node is of another network.
    async fn identify(&self, node: &Node) -> Result<(), ApiError> {
        let Some(expected) = &self.network else {
            return Ok(());
        };
        let found = Network::of_node(&node.client.with_timeout(HEALTH_TIMEOUT)).await?;
        match found.same_as(expected) {
            Ok(()) => {
                node.is_identified.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(other) => {
                self.forget(node);
                let name = node.client.name();
                if node.set(NodeHealth::Foreign) {
                    tracing::error!(node = name, reason = %other, "Beacon node is refused");
                }
                Err(ApiError::Answer {
                    endpoint: name,
                    reason: other.to_string(),
                })
            }
        }
    }

    /// All nodes that may be of the network, the healthiest first, of equally healthy ones the preferred first.
    fn candidates(&self) -> Vec<&Node> {
        let mut nodes: Vec<(NodeHealth, &Node)> = self.nodes.iter().map(|node| (*node.health.lock(), node)).collect();
        nodes.retain(|(health, _)| *health != NodeHealth::Foreign);
        nodes.sort_by_key(|(health, _)| *health);
        nodes.into_iter().map(|(_, node)| node).collect()
    }

    /// All clients of nodes of the network, the healthiest first, of equally healthy ones the preferred first.
    pub fn by_health(&self) -> Vec<BeaconClient> {
        let known = |node: &&Node| node.is_identified.load(Ordering::Relaxed);
        let nodes = self.candidates().into_iter().filter(known);
        nodes.map(|node| node.client.clone()).collect()
    }

    /// Asks one node after the other until one answers. What a node refuses because of the question itself is not
    /// asked elsewhere.
    ///
    /// Errors with the last node's error.
    pub async fn first<T, F>(&self, ask: impl Fn(BeaconClient) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        self.first_with_node(ask).await.map(|(answer, _)| answer)
    }

    /// [`Self::first`], with the node that answered.
    pub async fn first_with_node<T, F>(&self, ask: impl Fn(BeaconClient) -> F) -> Result<(T, BeaconClient), ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let candidates = self.candidates();
        let last = candidates.len().saturating_sub(1);
        for (place, node) in candidates.into_iter().enumerate() {
            let identified = if node.is_identified.load(Ordering::Relaxed) {
                Ok(())
            } else {
                self.identify(node).await
            };
            let answer = match identified {
                Ok(()) => ask(node.client.clone()).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => return Ok((answer, node.client.clone())),
                Err(error) => {
                    // Until it says again how it is, the others are asked first.
                    if matches!(
                        error,
                        ApiError::Unreachable { .. } | ApiError::TimedOut { .. } | ApiError::Transport { .. }
                    ) {
                        self.note_unreachable(node);
                    }
                    if place == last || !error.is_of_the_node() {
                        return Err(error);
                    }
                    tracing::warn!(%error, "Beacon node failed, asking the next one");
                }
            }
        }
        Err(ApiError::Answer {
            endpoint: "--beacon-nodes".to_owned(),
            reason: "all are of another network".to_owned(),
        })
    }

    fn note_unreachable(&self, node: &Node) {
        self.forget(node);
        node.note(NodeHealth::Unreachable);
    }
}

impl Node {
    /// Gives whether it is news.
    fn set(&self, health: NodeHealth) -> bool {
        std::mem::replace(&mut *self.health.lock(), health) != health
    }

    fn note(&self, health: NodeHealth) {
        if !self.set(health) {
            return;
        }
        let node = self.client.name();
        match health {
            NodeHealth::Ready => tracing::info!(node, "Beacon node is ready"),
            NodeHealth::Behind => tracing::warn!(node, "Beacon node is not ready for duties"),
            NodeHealth::Unreachable => tracing::warn!(node, "Beacon node does not answer"),
            // Told with what is wrong, where it is met.
            NodeHealth::Foreign => {}
        }
    }
}
