//! What handlers work with.

use crate::BodyLimits;
use beacon_chain::BeaconChain;
use block_production::BlockProducer;
use group_duties::Proposals;
use intake::Intake;
use network::NetworkHandle;
use router::RouterHandle;
use runtime::AllowOrigin;
use std::sync::Arc;
use types::{Preset, Slot};

/// The parts of the node that the API reads and writes.
#[derive(Debug)]
pub struct ApiContext<P: Preset> {
    /// The chain.
    pub chain: Arc<BeaconChain<P>>,
    /// Where messages of clients go.
    pub intake: Arc<Intake<P>>,
    /// Maker of attestation data.
    pub producer: Arc<BlockProducer<P>>,
    /// Maker of blocks, and where signed blocks go.
    pub proposals: Arc<Proposals<P>>,
    /// The network.
    pub network: NetworkHandle,
    /// What the node follows and fetches.
    pub router: RouterHandle,
    /// Options.
    pub settings: ApiSettings,
}

impl<P: Preset> ApiContext<P> {
    /// Slots from the head to the clock.
    pub(crate) fn sync_distance(&self) -> Slot {
        self.chain
            .current_slot()
            .saturating_sub(self.chain.head().slot().as_u64())
    }

    /// Whether duties cannot be served, because the head is old and may not be the network's.
    pub(crate) fn is_syncing(&self) -> bool {
        self.router.must_wait(self.sync_distance())
    }
}

/// Options of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// Answer of `/eth/v1/node/version`.
    pub version: String,
    /// Which web pages may read answers (`--http-allow-origin`).
    pub allow_origin: Option<AllowOrigin>,
    /// Whether the endpoint that disturbs the node's connections on purpose is served.
    pub enable_fault_injection: bool,
    /// What bodies of requests may take.
    pub body_limits: BodyLimits,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            version: format!(
                "Fresnel/{}/{}-{}",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::ARCH,
                std::env::consts::OS
            ),
            allow_origin: None,
            enable_fault_injection: false,
            body_limits: BodyLimits::default(),
        }
    }
}
