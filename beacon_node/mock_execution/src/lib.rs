//! A mock execution node: the real Engine API over HTTP with JWT, on a toy chain.
//!
//! Headers, hashes, tries and the EIP-7685 commitment are the real ones, so that a
//! beacon node cannot tell the difference until it looks into the state, which is a hash chain.
//! Each beacon node of a devnet runs its own: the chains agree because the beacon nodes hand each
//! payload to all of them, and because the execution rules of the toy are deterministic.
//!
//! ```text
//! beacon node --HTTP, JWT--> rpc (authentication, dispatch, faults) --> chain (tree, forkchoice, builds) --> journal
//! ```
//!
//! Memory is bounded: what lies `retain_blocks` below the finalized block is dropped, and there are
//! limits on waiting blocks, builds and remembered invalid hashes. With a data folder the node finds its chain
//! again after a kill (`journal.rs`); without, or if the folder was lost, it recovers as `chain.rs` says:
//! SYNCING at first, then the oldest block that the beacon node has shown it is taken as synced.

mod auth;
mod blobs;
mod build;
mod chain;
mod faults;
mod genesis;
mod header;
mod journal;
mod rpc;
mod wire;

pub use blobs::PooledBlob;
pub use build::InvalidRequest;
pub use chain::Block;
pub use faults::Faults;
pub use genesis::{ExtraDataTooLong, GenesisParameters, genesis_block};
pub use header::Header;
pub use journal::JournalError;
pub use wire::{Forkchoice, Withdrawal};

use alloy_primitives::{B256, Bytes};
use auth::Authenticator;
use chain::{Chain, Limits};
use faults::FaultyListener;
use parking_lot::Mutex;
use rpc::Shared;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How to start.
#[derive(Clone)]
pub struct MockConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The secret that is shared with the beacon node.
    pub jwt_secret: [u8; 32],
    /// First block of the chain.
    pub genesis: Block,
    /// Answer of `eth_chainId`.
    pub chain_id: u64,
    /// Where the chain is kept; `None` keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// Blocks kept below the finalized one.
    pub retain_blocks: u64,
    /// After how many forkchoice updates in a row to a head without its ancestors the oldest known ancestor is
    /// taken as synced. `None`: never.
    pub sync_after: Option<u32>,
}

impl MockConfig {
    /// A free port on loopback, all in memory.
    pub fn new(jwt_secret: [u8; 32], genesis: Block) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            jwt_secret,
            genesis,
            chain_id: 1337,
            data_dir: None,
            retain_blocks: 128,
            sync_after: Some(2),
        }
    }
}

/// The mock node did not start.
#[derive(Debug, thiserror::Error)]
pub enum MockError {
    /// The address cannot be listened on.
    #[error("mock execution node cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder cannot be used.
    #[error("mock execution node: {0}")]
    Journal(#[from] JournalError),
}

/// A running mock node. It stops when this is dropped.
pub struct MockExecution {
    address: SocketAddr,
    shared: Arc<Shared>,
    offline: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

impl MockExecution {
    /// Opens the chain, binds the address and serves in the background of the current runtime.
    pub async fn start(config: MockConfig) -> Result<Self, MockError> {
        let limits = Limits {
            retain: config.retain_blocks,
            sync_after: config.sync_after,
        };
        let chain = Chain::open(config.genesis, config.data_dir.as_deref(), limits)?;
        let at = |source| MockError::Listen {
            address: config.listen,
            source,
        };
        let inner = TcpListener::bind(config.listen).await.map_err(at)?;
        let address = inner.local_addr().map_err(at)?;
        let offline = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            chain: Mutex::new(chain),
            blobs: Mutex::default(),
            faults: Mutex::new(Faults::default()),
            authenticator: Authenticator::new(&config.jwt_secret),
            chain_id: config.chain_id,
        });
        let router = rpc::router(shared.clone());
        let listener = FaultyListener {
            inner,
            offline: offline.clone(),
        };
        let server = tokio::spawn(async move {
            // axum's accept loop retries by itself and does not end.
            let _ = axum::serve(listener, router).await;
        });
        tracing::info!(%address, head = %shared.chain.lock().forkchoice().head_block_hash, "Mock execution node started");
        Ok(Self {
            address,
            shared,
            offline,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a beacon node takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What goes wrong at the moment.
    pub fn faults(&self) -> Faults {
        self.shared.faults.lock().clone()
    }

    /// Changes what goes wrong, from the next request on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.shared.faults.lock();
        change(&mut faults);
        self.offline.store(faults.offline, Ordering::Relaxed);
    }

    /// Head, safe and finalized block.
    pub fn forkchoice(&self) -> Forkchoice {
        self.shared.chain.lock().forkchoice()
    }

    /// A valid block that is still kept.
    pub fn block(&self, hash: B256) -> Option<Block> {
        self.shared.chain.lock().block(hash).cloned()
    }

    /// How many valid blocks are kept.
    pub fn block_count(&self) -> usize {
        self.shared.chain.lock().len()
    }

    /// Each payload built from now on carries these transactions.
    pub fn set_transactions(&self, transactions: Vec<Bytes>) {
        self.shared.chain.lock().builder.set_transactions(transactions);
    }

    /// Each payload built from now on carries one transaction, with these blobs.
    pub fn set_blobs(&self, blobs: Vec<PooledBlob>) {
        self.set_transactions(vec![blobs::blob_transaction(&blobs)]);
        self.pool_blobs(blobs);
    }

    /// Puts blobs into the pool, as if their transactions had come from the network. They stay there.
    pub fn pool_blobs(&self, blobs: Vec<PooledBlob>) {
        self.shared.blobs.lock().add(blobs);
    }

    /// Puts one execution request (`request_type ++ ssz` of one item) into the payloads built from now
    /// on, until a block with it is imported. Over HTTP: `mock_queueRequests`, with an array of them.
    pub fn queue_request(&self, request: Bytes) -> Result<(), InvalidRequest> {
        self.shared.chain.lock().builder.queue_request(request)
    }

    /// Waits for the server to end, which it does only by [`Self::stop`] or a panic.
    pub async fn run(mut self) {
        let _ = (&mut self.server).await;
    }

    /// Stops serving, breaks open connections and gives the data folder free.
    pub fn stop(self) {}
}

impl Drop for MockExecution {
    fn drop(&mut self) {
        self.offline.store(true, Ordering::Relaxed);
        self.server.abort();
        // A connection that is still open must not keep the folder locked.
        self.shared.chain.lock().close_journal();
    }
}
