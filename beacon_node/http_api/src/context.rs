//! What handlers work with.

use beacon_chain::BeaconChain;
use block_production::BlockProducer;
use group_duties::Proposals;
use intake::Intake;
use network::NetworkHandle;
use router::RouterHandle;
use std::str::FromStr;
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
        }
    }
}

/// Web pages that may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowOrigin {
    /// All: `*`.
    Any,
    /// Those of these origins.
    List(Vec<String>),
}

/// A text names no origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("origin {0:?}, expected * or a list such as http://localhost:3000,https://example.org")]
pub struct AllowOriginError(String);

impl FromStr for AllowOrigin {
    type Err = AllowOriginError;

    fn from_str(text: &str) -> Result<Self, AllowOriginError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',')
            .map(|origin| {
                let origin = origin.trim();
                let rest = origin
                    .strip_prefix("http://")
                    .or_else(|| origin.strip_prefix("https://"))
                    .unwrap_or_default();
                let is_origin = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
                is_origin
                    .then(|| origin.to_owned())
                    .ok_or_else(|| AllowOriginError(origin.chars().take(128).collect()))
            })
            .collect::<Result<_, _>>()
            .map(Self::List)
    }
}

impl AllowOrigin {
    /// What `Access-Control-Allow-Origin` says to a page of an origin; none if it may not read.
    pub(crate) fn answer<'a>(&self, origin: &'a str) -> Option<&'a str> {
        match self {
            Self::Any => Some("*"),
            Self::List(origins) => origins.iter().any(|allowed| allowed == origin).then_some(origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_listed_or_all() {
        let any: AllowOrigin = "*".parse().unwrap();
        assert_eq!(any.answer("http://a"), Some("*"));
        let list: AllowOrigin = "http://localhost:3000, https://example.org".parse().unwrap();
        assert_eq!(list.answer("https://example.org"), Some("https://example.org"));
        assert_eq!(list.answer("https://example.com"), None);
        for wrong in ["", "example.org", "http://", "http://a/path", "http://a,"] {
            assert!(wrong.parse::<AllowOrigin>().is_err(), "{wrong}");
        }
    }
}
