//! Which chain the nodes follow.

use crate::ClientError;
use beacon_api::{BeaconClient, Genesis};
use std::path::Path;
use std::time::Duration;
use types::ChainSpec;

/// How often nodes are asked while none answers.
const RETRY: Duration = Duration::from_secs(1);
/// How many silent rounds until the operator is told again.
const ROUNDS_PER_WARNING: u64 = 10;
/// Largest `config.yaml` that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// `config.yaml` of a testnet directory.
pub(crate) fn spec_of_dir(dir: &Path) -> Result<ChainSpec, ClientError> {
    let path = dir.join("config.yaml");
    let wrong = |reason: String| ClientError::File {
        path: path.clone(),
        reason,
    };
    let bytes = keystore::read_limited(&path, MAX_CONFIG_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8".to_owned()))?;
    let spec = ChainSpec::from_yaml(&text).map_err(|error| wrong(error.to_string()))?;
    spec.validate().map_err(|error| wrong(error.to_string()))?;
    Ok(spec)
}

/// Waits until one of the nodes knows genesis.
pub(crate) async fn wait_for_genesis(nodes: &[BeaconClient]) -> Genesis {
    let mut round = 0u64;
    loop {
        for node in nodes {
            match node.genesis().await {
                Ok(genesis) => return genesis,
                Err(error) if round.is_multiple_of(ROUNDS_PER_WARNING) => {
                    tracing::warn!(%error, "Waiting for a beacon node");
                }
                Err(_) => {}
            }
        }
        round = round.saturating_add(1);
        tokio::time::sleep(RETRY).await;
    }
}

/// The configuration of the first node that answers.
pub(crate) async fn spec_of_nodes(nodes: &[BeaconClient]) -> Result<ChainSpec, ClientError> {
    loop {
        for node in nodes {
            match node.config_spec().await {
                Ok(values) => {
                    let wrong = |reason: String| {
                        ClientError::Configuration(format!("configuration of {}: {reason}", node.name()))
                    };
                    let yaml = serde_yaml_ng::to_string(&values).map_err(|error| wrong(error.to_string()))?;
                    let spec = ChainSpec::from_yaml(&yaml).map_err(|error| wrong(error.to_string()))?;
                    spec.validate().map_err(|error| wrong(error.to_string()))?;
                    return Ok(spec);
                }
                Err(error) => tracing::warn!(%error, "Configuration is not known"),
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
