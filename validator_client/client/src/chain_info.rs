//! Which chain the nodes follow, and whether it is this client's.

use crate::ClientError;
use beacon_api::{BeaconClient, Genesis, Network};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::Duration;
use types::{ChainSpec, Root};

/// How often nodes are asked while none answers.
const RETRY: Duration = Duration::from_secs(1);
/// How many silent rounds until the operator is told again.
const ROUNDS_PER_WARNING: u64 = 10;
/// Largest `config.yaml` that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// What a client knows of its network by itself: the files of `--testnet-dir`.
#[derive(Debug)]
pub(crate) struct Own {
    spec: ChainSpec,
    /// Genesis time and genesis validators root, if there is a `genesis.ssz`.
    genesis: Option<(u64, Root)>,
}

/// The chain that duties are done for.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) spec: ChainSpec,
    /// What all nodes are held against.
    pub(crate) network: Network,
}

impl Own {
    pub(crate) fn of_dir(dir: &Path) -> Result<Self, ClientError> {
        Ok(Self {
            spec: spec_of_dir(dir)?,
            genesis: genesis_of_dir(dir)?,
        })
    }
}

fn spec_of_dir(dir: &Path) -> Result<ChainSpec, ClientError> {
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

/// The first two fields of a state, which are the same in all forks; the rest is of no use here.
fn genesis_of_dir(dir: &Path) -> Result<Option<(u64, Root)>, ClientError> {
    let path = dir.join("genesis.ssz");
    let (mut time, mut root) = ([0; 8], [0; 32]);
    let read = File::open(&path).and_then(|mut file| {
        file.read_exact(&mut time)?;
        file.read_exact(&mut root)
    });
    match read {
        Ok(()) => Ok(Some((u64::from_le_bytes(time), Root::new(root)))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ClientError::File {
            path,
            reason: error.to_string(),
        }),
    }
}

/// The chain of a node, if it is of the client's network. A client that knows nothing by itself takes what it is told.
pub(crate) fn of_node(found: &Network, own: Option<&Own>) -> Result<Chain, String> {
    let spec = match own {
        Some(own) => own.spec.clone(),
        None => {
            let yaml = serde_yaml_ng::to_string(&found.configuration).map_err(|error| error.to_string())?;
            let spec = ChainSpec::from_yaml(&yaml).map_err(|error| error.to_string())?;
            spec.validate().map_err(|error| error.to_string())?;
            spec
        }
    };
    let told = (found.genesis.genesis_time, found.genesis.genesis_validators_root);
    let (genesis_time, genesis_validators_root) = own.and_then(|own| own.genesis).unwrap_or(told);
    let network = Network {
        genesis: Genesis {
            genesis_time,
            genesis_validators_root,
            genesis_fork_version: spec.genesis_fork_version,
        },
        configuration: spec.to_json(),
    };
    found.same_as(&network).map_err(|other| other.to_string())?;
    Ok(Chain { spec, network })
}

/// Waits until a node of the client's network answers. If all nodes answer and none is of it, that is an error.
pub(crate) async fn of_nodes(nodes: &[BeaconClient], own: Option<&Own>) -> Result<Chain, ClientError> {
    let mut round = 0u64;
    loop {
        let mut refused = Vec::new();
        for node in nodes {
            match Network::of_node(node).await {
                Ok(found) => match of_node(&found, own) {
                    Ok(chain) => return Ok(chain),
                    Err(reason) => refused.push(format!("beacon node {}: {reason}", node.name())),
                },
                Err(error) if round.is_multiple_of(ROUNDS_PER_WARNING) => {
                    tracing::warn!(%error, "Waiting for a beacon node");
                }
                Err(_) => {}
            }
        }
        if refused.len() == nodes.len() {
            return Err(ClientError::Configuration(refused.join("; ")));
        }
        if round.is_multiple_of(ROUNDS_PER_WARNING) {
            for reason in refused {
                tracing::error!(reason, "Beacon node is refused");
            }
        }
        round = round.saturating_add(1);
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use axum::{Json, Router};
    use beacon_api::ClientConfig;
    use serde_json::{Value, json};
    use types::PresetName;

    const GENESIS_TIME: u64 = 1_700_000_000;

    /// A beacon node of a network.
    async fn node(spec: &ChainSpec, root: Root) -> BeaconClient {
        let genesis = Genesis {
            genesis_time: GENESIS_TIME,
            genesis_validators_root: root,
            genesis_fork_version: spec.genesis_fork_version,
        };
        let answer = |data: Value| get(move || async move { Json(json!({ "data": data })) });
        let routes = Router::new()
            .route("/eth/v1/beacon/genesis", answer(json!(genesis)))
            .route("/eth/v1/config/spec", answer(json!(spec.to_json())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        BeaconClient::new(&url, ClientConfig::default()).unwrap()
    }

    /// A `--testnet-dir`, with the beginning of a genesis state.
    fn own(spec: &ChainSpec, root: Root) -> Own {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.yaml"), spec.to_yaml()).unwrap();
        assert_eq!(Own::of_dir(dir.path()).unwrap().genesis, None);
        let state = [GENESIS_TIME.to_le_bytes().as_slice(), root.as_slice(), &[7; 100]].concat();
        std::fs::write(dir.path().join("genesis.ssz"), state).unwrap();
        Own::of_dir(dir.path()).unwrap()
    }

    #[tokio::test]
    async fn a_node_of_another_network_is_refused_with_both_values() {
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let (ours, others) = (Root::repeat_byte(1), Root::repeat_byte(2));
        let own = own(&spec, ours);
        let mut other_contract = spec.clone();
        other_contract.deposit_contract_address = types::ExecutionAddress::repeat_byte(9);
        let mut other_slots = spec.clone();
        other_slots.slot_duration_ms = 77_000;
        let mut other_version = spec.clone();
        other_version.genesis_fork_version = types::Version::repeat_byte(9);
        let right = node(&spec, ours).await;
        for (wrong, values) in [
            (node(&spec, others).await, [ours.to_string(), others.to_string()]),
            (
                node(&other_contract, ours).await,
                ["0x0909".to_owned(), "DEPOSIT_CONTRACT_ADDRESS".to_owned()],
            ),
            (
                node(&other_slots, ours).await,
                ["77".to_owned(), "expected 6".to_owned()],
            ),
            (
                node(&other_version, ours).await,
                ["0x09090909".to_owned(), spec.genesis_fork_version.to_string()],
            ),
        ] {
            let error = of_nodes(std::slice::from_ref(&wrong), Some(&own)).await.unwrap_err();
            let error = error.to_string();
            assert!(error.contains(&wrong.name()), "{error}");
            for value in values {
                assert!(error.contains(&value), "{error}: {value}");
            }
            let chain = of_nodes(&[wrong, right.clone()], Some(&own)).await.unwrap();
            assert_eq!(chain.network.genesis.genesis_validators_root, ours);
        }
    }

    #[tokio::test]
    async fn without_files_of_its_own_a_client_takes_the_network_of_the_first_node() {
        let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        spec.slot_duration_ms = 2_000;
        let node = node(&spec, Root::repeat_byte(1)).await;
        let chain = of_nodes(&[node], None).await.unwrap();
        assert_eq!(chain.spec.slot_duration_ms, 2_000);
        assert_eq!(chain.network.genesis.genesis_validators_root, Root::repeat_byte(1));
    }
}
