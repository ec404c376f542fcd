//! Where the chain begins: on disk, at genesis, or at a checkpoint of another node.

use crate::NodeError;
use crate::checkpoint::CheckpointSource;
use beacon_chain::{Anchor, BeaconChain, ChainConfig, ChainError};
use execution_layer::ExecutionLayer;
use runtime::{SlotClock, WorkerPool};
use std::path::Path;
use std::sync::Arc;
use storage::{Identity, Storage, StorageError};
use types::{BeaconState, ChainSpec, Preset};

/// What decides where the chain begins.
pub(crate) struct ChainSource<'a, P: Preset> {
    pub(crate) datadir: &'a Path,
    /// `genesis.ssz`, if there is one.
    pub(crate) genesis: Option<BeaconState<P>>,
    pub(crate) checkpoint: Option<CheckpointSource>,
    pub(crate) purge_db: bool,
}

/// Opens the database and starts the chain: from disk if something is there.
pub(crate) async fn start_chain<P: Preset>(
    source: ChainSource<'_, P>,
    spec: Arc<ChainSpec>,
    execution_layer: Option<Arc<ExecutionLayer>>,
    workers: WorkerPool,
) -> Result<Arc<BeaconChain<P>>, NodeError> {
    let identity = match (&source.genesis, &source.checkpoint) {
        (Some(state), _) => Identity::of(state),
        (None, Some(checkpoint)) => checkpoint.identity(&spec).await?,
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
    let datadir = source.datadir.to_owned();
    let storage = Storage::<P>::open(source.datadir, identity).map_err(|source| match source {
        source @ StorageError::Mismatch { .. } => NodeError::OtherDatabase { datadir, source },
        source => NodeError::Storage { datadir, source },
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
        let head_slot = chain.head().slot();
        if source.checkpoint.is_some() {
            tracing::info!("--checkpoint-sync-url is not used: there is a chain on disk (--purge-db would delete it)");
        }
        tracing::info!(%head_slot, "Chain resumed from disk");
        keep_genesis(&chain, source.genesis)?;
        return Ok(chain);
    }
    let (anchor, genesis) = match (&source.checkpoint, source.genesis) {
        (Some(checkpoint), genesis) => {
            let anchor = checkpoint.anchor(identity, &config.spec, &config.clock).await?;
            (anchor, genesis)
        }
        (None, Some(state)) => (genesis_anchor(state)?, None),
        (None, None) => {
            return Err(NodeError::Flag {
                flag: "testnet-dir",
                reason: "holds no genesis.ssz".into(),
            });
        }
    };
    tracing::info!(slot = %anchor.state.slot(), root = %anchor.block_root(), "Chain begins");
    let chain = BeaconChain::from_anchor(config, anchor)?;
    keep_genesis(&chain, genesis)?;
    Ok(chain)
}

fn genesis_anchor<P: Preset>(state: BeaconState<P>) -> Result<Anchor<P>, NodeError> {
    Anchor::genesis(state).map_err(|error| NodeError::file("genesis.ssz", format!("no genesis state: {error}")))
}

/// A chain that began with a checkpoint can still say what its genesis is.
fn keep_genesis<P: Preset>(chain: &BeaconChain<P>, genesis: Option<BeaconState<P>>) -> Result<(), NodeError> {
    if chain.genesis_root()?.is_some() {
        return Ok(());
    }
    if let Some(state) = genesis {
        let genesis = genesis_anchor(state)?;
        chain
            .storage()
            .put_genesis(genesis.block_root(), &genesis.block, &genesis.state)
            .map_err(ChainError::from)?;
    }
    Ok(())
}

fn purge(datadir: &Path) -> Result<(), NodeError> {
    let purged = storage::purge_database(datadir).map_err(|error| NodeError::Storage {
        datadir: datadir.to_owned(),
        source: error,
    })?;
    if purged {
        tracing::warn!(path = %storage::database_dir(datadir).display(), "Database deleted");
    }
    Ok(())
}
