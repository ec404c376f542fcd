//! Complete blocks.

use crate::{Accepted, Intake};
use beacon_chain::{ExecutedBlock, ImportError};
use gossip_validation::{BlockGossipError, VerifiedBlock};
use hashlink::LruCache;
use parking_lot::Mutex;
use runtime::Priority;
use state_transition::block::BlockSignatures;
use std::sync::Arc;
use types::{Preset, Root, SignedBeaconBlock};

/// Blocks executed ahead of their signature or their columns that are kept: a state each.
const MAX_EXECUTED_BLOCKS: usize = 6;
/// Blocks of which it is known that somebody executes them.
const MAX_TURNS: usize = 64;

/// Blocks that were executed before they could be imported: proposals to groups, and those that wait for columns.
#[derive(Debug)]
pub(crate) struct ExecutedBlocks<P: Preset> {
    kept: Mutex<LruCache<Root, ExecutedBlock<P>>>,
    /// Held by whoever executes the block, so that nobody does it twice.
    turns: Mutex<LruCache<Root, Arc<tokio::sync::Mutex<()>>>>,
}

impl<P: Preset> Default for ExecutedBlocks<P> {
    fn default() -> Self {
        Self {
            kept: Mutex::new(LruCache::new(MAX_EXECUTED_BLOCKS)),
            turns: Mutex::new(LruCache::new(MAX_TURNS)),
        }
    }
}

impl<P: Preset> ExecutedBlocks<P> {
    fn turn(&self, root: Root) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        Arc::clone(turns.entry(root).or_insert_with(Arc::default))
    }
}

impl<P: Preset> Intake<P> {
    /// Whether a block was accepted and is to be imported.
    pub fn is_being_imported(&self, root: &Root) -> bool {
        let is_held = |turn: &Arc<tokio::sync::Mutex<()>>| turn.try_lock().is_err();
        self.is_waiting(root) || self.is_executed(root) || self.executed.turns.lock().peek(root).is_some_and(is_held)
    }

    /// Keeps an executed proposal until its signature is complete.
    pub fn keep_executed(&self, executed: ExecutedBlock<P>) {
        self.executed.kept.lock().insert(executed.root(), executed);
    }

    /// Whether a block is executed and waits for what else it needs.
    pub fn is_executed(&self, root: &Root) -> bool {
        self.executed.kept.lock().peek(root).is_some()
    }

    /// Executes a block whose proposer's signature was verified, unless that is done.
    async fn execute(&self, block: &Arc<SignedBeaconBlock<P>>, root: Root) -> Result<(), ImportError> {
        let turn = self.executed.turn(root);
        let _turn = turn.lock().await;
        if self.is_executed(&root) {
            return Ok(());
        }
        let executed = self
            .chain()
            .execute(
                Arc::clone(block),
                BlockSignatures::AllButProposer,
                Priority::BlockImport,
            )
            .await?;
        self.keep_executed(executed);
        Ok(())
    }

    /// A complete block from the network: whether it meets the conditions of gossip. To be imported then.
    pub async fn receive_block(&self, block: Arc<SignedBeaconBlock<P>>) -> Result<VerifiedBlock<P>, BlockGossipError> {
        let verified = self.gossip.verify_block(block).await?;
        self.tell(|| Accepted::Block {
            slot: verified.block.slot(),
            root: verified.root,
        });
        Ok(verified)
    }

    /// Imports a block whose proposer's signature was verified. Gives its root. It is executed while its columns come.
    pub async fn import(&self, verified: VerifiedBlock<P>) -> Result<Root, ImportError> {
        let VerifiedBlock { block, root } = verified;
        let slot = block.slot();
        let imported = self.import_verified(block, root).await;
        match &imported {
            Err(error) if error.is_invalid_payload() => self.gossip.note_invalid_payload(root),
            Err(error) if error.is_invalid_block() => {
                self.gossip.note_invalid_block(root);
                self.drop_columns(slot, &root);
            }
            Ok(root) => self.gossip.note_imported_block(root),
            Err(_) => {}
        }
        imported
    }

    async fn import_verified(&self, block: Arc<SignedBeaconBlock<P>>, root: Root) -> Result<Root, ImportError> {
        let (executed, available) = tokio::join!(self.execute(&block, root), self.wait_until_available(&block, root));
        if let Err(error) = &executed
            && (error.is_invalid_block() || error.is_invalid_payload())
        {
            self.stop_waiting(&root);
        }
        executed?;
        available?;
        let kept = self.executed.kept.lock().remove(&root);
        match kept {
            Some(executed) => self.chain().import(executed, block).await,
            // Others came in between.
            None => self.chain().process_block(block, BlockSignatures::AllButProposer).await,
        }
    }

    /// Imports a block of which nothing was verified: out of sync, or on request. One whose data is not available is valid
    /// otherwise.
    ///
    /// The root of a block says nothing about its signature. So one that is refused here is not noted as invalid: the
    /// same block may come with a better signature, or with those of more members.
    pub async fn import_unverified(&self, block: Arc<SignedBeaconBlock<P>>) -> Result<Root, ImportError> {
        let root = block.block_root();
        // Columns that nobody has to have are not missing, nor is anything made of them for the network: anybody can name
        // commitments in a block that is none.
        let executed = self
            .chain()
            .execute(Arc::clone(&block), BlockSignatures::All, Priority::BlockImport)
            .await?;
        if self.check_available(&block, &root).is_err() {
            self.recover(&block, root).await;
        }
        self.check_available(&block, &root)?;
        let imported = self.chain().import(executed, block).await;
        if imported.is_ok() {
            self.gossip.note_imported_block(&root);
        }
        imported
    }
}
