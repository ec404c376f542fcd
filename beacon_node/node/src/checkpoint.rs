//! Beginning with the finalised state of another node.

use crate::NodeError;
use beacon_api::{ApiError, BeaconClient, BlockId, ClientConfig, StateId};
use beacon_chain::Anchor;
use runtime::SlotClock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;
use storage::Identity;
use tokio::time::{Instant, sleep};
use types::{BeaconState, ChainSpec, Preset, SignedBeaconBlock};

/// How long until a node is asked again that has not answered, or has finalised nothing yet.
const RETRY: Duration = Duration::from_secs(3);
/// Values of the configuration by which networks differ, beside those of each fork.
const NETWORK_KEYS: [&str; 4] = [
    "PRESET_BASE",
    "SLOT_DURATION_MS",
    "DEPOSIT_CHAIN_ID",
    "DEPOSIT_CONTRACT_ADDRESS",
];

/// The node of `--checkpoint-sync-url`.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointSource {
    client: BeaconClient,
    /// How long it is asked again.
    patience: Duration,
}

/// Block and state after it, as they were downloaded.
struct Downloaded<P: Preset> {
    block: SignedBeaconBlock<P>,
    state: BeaconState<P>,
}

/// Whether an attempt may be repeated.
enum Attempt {
    Again(String),
    Final(String),
}

impl From<ApiError> for Attempt {
    fn from(error: ApiError) -> Self {
        let text = error.to_string();
        match error {
            ApiError::Unreachable { .. } | ApiError::TimedOut { .. } | ApiError::Transport { .. } => Self::Again(text),
            // It has just started, is syncing, or a proxy before it waits for it.
            ApiError::Status { status, .. } if status >= 500 => Self::Again(text),
            _ => Self::Final(text),
        }
    }
}

impl CheckpointSource {
    pub(crate) fn new(url: &str, patience: Duration) -> Result<Self, NodeError> {
        let config = ClientConfig {
            download_timeout: patience.max(Duration::from_secs(1)),
            ..ClientConfig::default()
        };
        let client = BeaconClient::new(url, config).map_err(|error| NodeError::Flag {
            flag: "checkpoint-sync-url",
            reason: error.to_string(),
        })?;
        Ok(Self { client, patience })
    }

    fn error(&self, reason: impl Display) -> NodeError {
        NodeError::Checkpoint {
            url: self.client.name(),
            reason: reason.to_string(),
        }
    }

    /// Repeats what fails for want of an answer.
    async fn patiently<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, Attempt>) -> Result<T, NodeError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(Attempt::Final(reason)) => return Err(self.error(reason)),
                Err(Attempt::Again(reason)) if Instant::now() + RETRY >= deadline => {
                    let seconds = self.patience.as_secs();
                    return Err(self.error(format!(
                        "{reason} (asked for {seconds} s: --checkpoint-sync-url-timeout)"
                    )));
                }
                Err(Attempt::Again(reason)) => {
                    tracing::warn!(reason, "Checkpoint cannot be had yet, trying again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// The network of the other node, where there is no genesis state to tell.
    pub(crate) async fn identity(&self, spec: &ChainSpec) -> Result<Identity, NodeError> {
        let genesis = self.patiently(async || Ok(self.client.genesis().await?)).await?;
        same(
            "genesis fork version",
            genesis.genesis_fork_version,
            spec.genesis_fork_version,
        )
        .map_err(|reason| self.error(reason))?;
        Ok(Identity {
            genesis_validators_root: genesis.genesis_validators_root,
            genesis_time: genesis.genesis_time,
        })
    }

    /// The finalised block of the other node with the state after it, of this network.
    pub(crate) async fn anchor<P: Preset>(
        &self,
        identity: Identity,
        spec: &ChainSpec,
        clock: &SlotClock,
    ) -> Result<Anchor<P>, NodeError> {
        tracing::info!(url = self.client.name(), "Checkpoint is downloaded");
        let downloaded = self
            .patiently(async || self.download::<P>(identity, spec).await)
            .await?;
        let anchor = verified(downloaded, identity, spec).map_err(|reason| self.error(reason))?;
        let period = anchor.weak_subjectivity_period(spec)?;
        let epoch = anchor.state.current_epoch();
        let now = clock.now_slot().unwrap_or_default().epoch::<P>();
        let age = now.saturating_sub(epoch.as_u64()).as_u64();
        // The one thing that this node cannot find out by itself.
        tracing::info!(
            url = self.client.name(),
            %epoch,
            slot = %anchor.state.slot(),
            block_root = %anchor.block_root(),
            state_root = %anchor.block.message().state_root(),
            "The checkpoint is trusted: compare its block root with another source"
        );
        if age > period {
            tracing::warn!(
                age,
                period,
                "The checkpoint is older than the weak subjectivity period, in epochs: validators that have left since \
                 could have made another chain from it"
            );
        }
        Ok(anchor)
    }

    async fn download<P: Preset>(&self, identity: Identity, spec: &ChainSpec) -> Result<Downloaded<P>, Attempt> {
        let genesis = self.client.genesis().await?;
        let same_network = same(
            "genesis validators root",
            genesis.genesis_validators_root,
            identity.genesis_validators_root,
        )
        .and(same("genesis time", genesis.genesis_time, identity.genesis_time));
        same_network.map_err(Attempt::Final)?;
        let theirs = self.client.config_spec().await?;
        same_configuration(&theirs, &spec.config_and_preset::<P>()).map_err(Attempt::Final)?;
        let block = self.client.block::<P>(BlockId::Finalized).await?;
        let block = block
            .ok_or_else(|| Attempt::Again("it has no finalised block".to_owned()))?
            .data;
        let state_root = block.message().state_root();
        let state = self.client.state::<P>(StateId::Root(state_root)).await?;
        let state = state
            .ok_or_else(|| Attempt::Again(format!("it has no state {state_root}")))?
            .data;
        Ok(Downloaded { block, state })
    }
}

/// What both nodes know of their network has to be the same. What one of them does not know is no contradiction.
fn same_configuration(theirs: &BTreeMap<String, Value>, ours: &BTreeMap<String, Value>) -> Result<(), String> {
    for (key, own) in ours {
        let is_compared =
            NETWORK_KEYS.contains(&key.as_str()) || key.ends_with("_FORK_EPOCH") || key.ends_with("_FORK_VERSION");
        if let Some(their) = theirs.get(key).filter(|_| is_compared) {
            same(&format!("{key} of its configuration"), text(their), text(own))?;
        }
    }
    Ok(())
}

/// A value as text: some nodes give numbers, and addresses have capitals or not.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    }
}

fn same<T: PartialEq + Display>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("another network: {what} is {found}, expected {expected}"))
    }
}

/// Whether block and state belong together and to this network.
fn verified<P: Preset>(downloaded: Downloaded<P>, identity: Identity, spec: &ChainSpec) -> Result<Anchor<P>, String> {
    let Downloaded { block, mut state } = downloaded;
    let fork = spec.fork_name_at_epoch(state.current_epoch());
    same(
        "genesis validators root of its state",
        state.genesis_validators_root(),
        identity.genesis_validators_root,
    )?;
    same("genesis time of its state", state.genesis_time(), identity.genesis_time)?;
    same(
        "fork version of its state",
        state.fork().current_version,
        spec.fork_version(fork),
    )?;
    let expected = block.message().state_root();
    let found = state.canonical_root().map_err(|error| format!("{error:?}"))?;
    if found != expected {
        return Err(format!(
            "the state's root is {found}, expected {expected} of the finalised block"
        ));
    }
    if state.slot() != block.slot() {
        return Err(format!(
            "the state is of slot {}, expected {} of the finalised block",
            state.slot(),
            block.slot()
        ));
    }
    Ok(Anchor { state, block })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::{Minimal, PresetName};

    fn values(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect()
    }

    #[test]
    fn a_configuration_of_another_network_is_refused_with_both_values() {
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let ours = spec.config_and_preset::<Minimal>();
        same_configuration(&ours, &ours).unwrap();
        same_configuration(&BTreeMap::new(), &ours).unwrap();
        // Numbers instead of texts, other capitals, and what is of no account here.
        let slot_ms = spec.slot_duration_ms;
        let theirs = values(&[
            ("SLOT_DURATION_MS", json!(slot_ms)),
            (
                "DEPOSIT_CONTRACT_ADDRESS",
                json!(
                    spec.deposit_contract_address
                        .to_string()
                        .to_uppercase()
                        .replace("0X", "0x")
                ),
            ),
            ("TARGET_AGGREGATORS_PER_COMMITTEE", json!("99")),
            ("GLOAS_FORK_EPOCH", json!("3")),
        ]);
        same_configuration(&theirs, &ours).unwrap();
        for (key, their) in [
            ("SLOT_DURATION_MS", "1234"),
            ("DVT_FORK_EPOCH", "77"),
            ("GENESIS_FORK_VERSION", "0x99999999"),
            ("PRESET_BASE", "mainnet"),
        ] {
            let error = same_configuration(&values(&[(key, json!(their))]), &ours).unwrap_err();
            for part in ["another network", key, their, &text(&ours[key])] {
                assert!(error.contains(part), "{error}: {part}");
            }
        }
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_is_asked_again_for_a_while() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", unused.local_addr().unwrap());
        drop(unused);
        let source = CheckpointSource::new(&url, RETRY + Duration::from_millis(500)).unwrap();
        let started = Instant::now();
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let error = source.identity(&spec).await.map(|_| ()).unwrap_err().to_string();
        assert!(started.elapsed() >= RETRY, "{error}");
        for part in [url.as_str(), "cannot connect", "--checkpoint-sync-url-timeout"] {
            assert!(error.contains(part), "{error}: {part}");
        }
        let error = CheckpointSource::new("checkpointz:5555", RETRY)
            .unwrap_err()
            .to_string();
        assert!(error.contains("--checkpoint-sync-url"), "{error}");
    }
}
