//! What a message changes once its gossip conditions hold: chain, fork choice, pools. The network and the API come in
//! by the same door.
//!
//! ```text
//! network --receive_*--+--> gossip conditions --> fork choice, pool, chain
//! API ------submit_*---+                              |
//!    ^                                                +--> Outgoing (API only): to be published
//!    |                                                +--> Accepted: for whoever listens
//!    +--- the error says what was wrong
//! ```
//!
//! Blocks wait here for their data columns, and a block that was executed ahead of its signature is not executed again.

mod accepted;
mod attached;
mod availability;
mod blocks;
mod columns;
mod metrics;
mod operations;
mod outgoing;
mod votes;

pub use accepted::Accepted;
pub use attached::AttachedValidators;
pub use availability::Custody;
pub use columns::MakeColumnsError;
pub use outgoing::Outgoing;

use crate::availability::Availability;
use crate::blocks::ExecutedBlocks;
use beacon_chain::BeaconChain;
use gossip_validation::GossipValidator;
use operation_pool::OperationPool;
use runtime::Sender;
use std::sync::Arc;
use tokio::sync::broadcast;
use types::Preset;

/// The door. Shared as `Arc`.
#[derive(Debug)]
pub struct Intake<P: Preset> {
    gossip: Arc<GossipValidator<P>>,
    pool: Arc<OperationPool<P>>,
    outgoing: Sender<Outgoing<P>>,
    executed: ExecutedBlocks<P>,
    availability: Availability<P>,
    accepted: broadcast::Sender<Accepted<P>>,
    attached: AttachedValidators,
}

impl<P: Preset> Intake<P> {
    /// A door to a chain and a pool. What the API submits leaves through `outgoing`; `custody` are the columns without
    /// which a block with blobs is not imported, until they become more.
    pub fn new(
        gossip: Arc<GossipValidator<P>>,
        pool: Arc<OperationPool<P>>,
        outgoing: Sender<Outgoing<P>>,
        custody: Custody,
    ) -> Arc<Self> {
        Arc::new(Self {
            gossip,
            pool,
            outgoing,
            executed: ExecutedBlocks::default(),
            availability: Availability::new(custody),
            accepted: broadcast::channel(accepted::BACKLOG).0,
            attached: AttachedValidators::default(),
        })
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<BeaconChain<P>> {
        self.gossip.chain()
    }

    /// The pool.
    pub fn pool(&self) -> &Arc<OperationPool<P>> {
        &self.pool
    }

    /// Who is attached to this node.
    pub fn attached(&self) -> &AttachedValidators {
        &self.attached
    }

    /// The gossip conditions.
    pub fn gossip(&self) -> &Arc<GossipValidator<P>> {
        &self.gossip
    }

    /// Sends a message to whoever publishes. One that cannot be sent because the node stops is lost.
    pub async fn publish(&self, message: Outgoing<P>) {
        if let Err(error) = self.outgoing.send(message).await {
            tracing::debug!(%error, "Message is not published");
        }
    }
}
