//! Several beacon nodes: the first that is well is asked, the others if it fails.

use beacon_api::{ApiError, BeaconClient, Health};
use parking_lot::Mutex;
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
}

#[derive(Debug)]
struct Node {
    client: BeaconClient,
    health: Mutex<NodeHealth>,
}

/// The beacon nodes of a client, in order of preference.
#[derive(Debug)]
pub struct Nodes(Vec<Node>);

impl Nodes {
    /// Nodes in order of preference. Each counts as well until it is asked.
    pub fn new(clients: Vec<BeaconClient>) -> Self {
        Self(
            clients
                .into_iter()
                .map(|client| Node {
                    client,
                    health: Mutex::new(NodeHealth::Ready),
                })
                .collect(),
        )
    }

    /// Number of nodes by health: ready, behind, unreachable.
    pub fn count(&self) -> (usize, usize, usize) {
        let of = |wanted| self.0.iter().filter(|node| *node.health.lock() == wanted).count();
        (
            of(NodeHealth::Ready),
            of(NodeHealth::Behind),
            of(NodeHealth::Unreachable),
        )
    }

    /// Asks all nodes how they are, at the same time.
    pub async fn check_health(&self) {
        let checks = self.0.iter().map(|node| async move {
            let health = match node.client.with_timeout(HEALTH_TIMEOUT).health().await {
                Ok(Health::Ready) => NodeHealth::Ready,
                Ok(Health::Syncing | Health::Unavailable) => NodeHealth::Behind,
                Err(_) => NodeHealth::Unreachable,
            };
            node.note(health);
        });
        futures::future::join_all(checks).await;
    }

    /// All clients, the healthiest first, of equally healthy ones the preferred first.
    pub fn by_health(&self) -> Vec<BeaconClient> {
        let mut nodes: Vec<(NodeHealth, &Node)> = self.0.iter().map(|node| (*node.health.lock(), node)).collect();
        nodes.sort_by_key(|(health, _)| *health);
        nodes.into_iter().map(|(_, node)| node.client.clone()).collect()
    }

    /// Asks one node after the other until one answers. What a node refuses because of the question itself is not
    /// asked elsewhere.
    ///
    /// Errors with the last node's error; there is at least one node.
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
        let clients = self.by_health();
        let last = clients.len().saturating_sub(1);
        for (place, client) in clients.into_iter().enumerate() {
            match ask(client.clone()).await {
                Ok(answer) => return Ok((answer, client)),
                Err(error) => {
                    // Until it says again how it is, the others are asked first.
                    if matches!(
                        error,
                        ApiError::Unreachable { .. } | ApiError::TimedOut { .. } | ApiError::Transport { .. }
                    ) {
                        self.note_unreachable(&client.name());
                    }
                    if place == last || !error.is_of_the_node() {
                        return Err(error);
                    }
                    tracing::warn!(%error, "Beacon node failed, asking the next one");
                }
            }
        }
        Err(ApiError::Url {
            reason: "no beacon node is configured".to_owned(),
        })
    }

    fn note_unreachable(&self, name: &str) {
        for node in self.0.iter().filter(|node| node.client.name() == name) {
            node.note(NodeHealth::Unreachable);
        }
    }
}

impl Node {
    fn note(&self, health: NodeHealth) {
        let before = std::mem::replace(&mut *self.health.lock(), health);
        if before == health {
            return;
        }
        let node = self.client.name();
        match health {
            NodeHealth::Ready => tracing::info!(node, "Beacon node is ready"),
            NodeHealth::Behind => tracing::warn!(node, "Beacon node is not ready for duties"),
            NodeHealth::Unreachable => tracing::warn!(node, "Beacon node does not answer"),
        }
    }
}
