//! Where the chain begins: on disk, at genesis, or at a checkpoint of another node.

use crate::NodeError;
use crate::testnet::TestnetDir;
use beacon_api::{BeaconClient, BlockId, ClientConfig, StateId};
use beacon_chain::{Anchor, BeaconChain, ChainConfig};
use execution_layer::ExecutionLayer;
use runtime::{SlotClock, WorkerPool};
use std::path::Path;
use std::sync::Arc;
use storage::{Identity, Storage};
use types::{BeaconState, ChainSpec, Preset};

/// What decides where the chain begins.
pub(crate) struct ChainSource<'a> {
    pub(crate) datadir: &'a Path,
    pub(crate) testnet: &'a TestnetDir,
    pub(crate) checkpoint_sync_url: Option<&'a str>,
    pub(crate) purge_db: bool,
}

/// Opens the database and starts the chain: from disk if something is there.
pub(crate) async fn start_chain<P: Preset>(
    source: ChainSource<'_>,
    spec: Arc<ChainSpec>,
    execution_layer: Option<Arc<ExecutionLayer>>,
    workers: WorkerPool,
) -> Result<Arc<BeaconChain<P>>, NodeError> {
    let genesis = source.testnet.genesis::<P>(&spec)?;
    let identity = match (&genesis, source.checkpoint_sync_url) {
        (Some(state), _) => Identity::of(state),
        (None, Some(url)) => {
            let genesis = client(url)?.genesis().await.map_err(|error| checkpoint(url, error))?;
            Identity {
                genesis_validators_root: genesis.genesis_validators_root,
                genesis_time: genesis.genesis_time,
            }
        }
        (None, None) => {
            return Err(NodeError::Flag {
                flag: "testnet-dir",
                reason: "holds no genesis.ssz, and without --checkpoint-sync-url there is nothing to begin with".into(),
            });
        }
    };
    if source.purge_db {
        purge(source.datadir)?;
    }
    let storage = Storage::<P>::open(source.datadir, identity).map_err(|error| NodeError::Storage {
        datadir: source.datadir.to_owned(),
        source: error,
    })?;
    let config = ChainConfig {
        clock: SlotClock::system(identity.genesis_time, &spec),
        spec,
        storage: Arc::new(storage),
        execution_layer,
        workers,
    };
    let from_disk = {
        let config = config.clone();
        // Replay takes long and blocks.
        tokio::task::spawn_blocking(move || BeaconChain::from_storage(config))
            .await
            .map_err(|error| NodeError::Threads(std::io::Error::other(error)))??
    };
    if let Some(chain) = from_disk {
        // Replay fills the fork choice; whoever asks first must not be told the anchor.
        chain.recompute_head().await?;
        tracing::info!(head_slot = %chain.head().slot(), "Chain resumed from disk");
        return Ok(chain);
    }
    let anchor = match (source.checkpoint_sync_url, genesis) {
        (None, Some(state)) => Anchor::genesis(state)
            .map_err(|error| NodeError::file("genesis.ssz", format!("no genesis state: {error}")))?,
        (url, _) => checkpoint_anchor(url.unwrap_or_default()).await?,
    };
    tracing::info!(slot = %anchor.state.slot(), root = %anchor.block_root(), "Chain begins");
    Ok(BeaconChain::from_anchor(config, anchor)?)
}

fn purge(datadir: &Path) -> Result<(), NodeError> {
    let path = datadir.join("beacon").join("chain_db");
    match std::fs::remove_dir_all(&path) {
        Ok(()) => {
            tracing::warn!(path = %path.display(), "Database deleted");
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(NodeError::file(path, error)),
    }
}

fn checkpoint(url: &str, reason: impl std::fmt::Display) -> NodeError {
    NodeError::Checkpoint {
        url: url.to_owned(),
        reason: reason.to_string(),
    }
}

fn client(url: &str) -> Result<BeaconClient, NodeError> {
    BeaconClient::new(url, ClientConfig::default()).map_err(|error| checkpoint(url, error))
}

/// The finalised block of another node with the state after it.
async fn checkpoint_anchor<P: Preset>(url: &str) -> Result<Anchor<P>, NodeError> {
    tracing::info!(url, "Checkpoint is downloaded");
    let client = client(url)?;
    let block = client
        .block::<P>(BlockId::Finalized)
        .await
        .map_err(|error| checkpoint(url, error))?
        .ok_or_else(|| checkpoint(url, "it has no finalised block"))?
        .data;
    let state_root = block.message().state_root();
    let mut state: BeaconState<P> = client
        .state::<P>(StateId::Root(state_root))
        .await
        .map_err(|error| checkpoint(url, error))?
        .ok_or_else(|| checkpoint(url, format!("it has no state {state_root}")))?
        .data;
    let found = state
        .canonical_root()
        .map_err(|error| checkpoint(url, format!("{error:?}")))?;
    if found != state_root {
        return Err(checkpoint(
            url,
            format!("the state's root is {found}, expected {state_root} of the finalised block"),
        ));
    }
    Ok(Anchor { state, block })
}
