//! Complete blocks.

use crate::{Accepted, Intake};
use beacon_chain::{ExecutedBlock, ImportError};
use gossip_validation::{BlockGossipError, VerifiedBlock};
use hashlink::LruCache;
use parking_lot::Mutex;
use state_transition::block::BlockSignatures;
use std::sync::Arc;
use types::{Preset, Root, SignedBeaconBlock};

/// Blocks executed ahead of their signature that are kept: a state each.
const MAX_EXECUTED_BLOCKS: usize = 6;

/// Blocks that were executed before their signature was complete: proposals to groups.
#[derive(Debug)]
pub(crate) struct ExecutedBlocks<P: Preset>(Mutex<LruCache<Root, ExecutedBlock<P>>>);

impl<P: Preset> Default for ExecutedBlocks<P> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_EXECUTED_BLOCKS)))
    }
}

impl<P: Preset> Intake<P> {
    /// Keeps an executed proposal until its signature is complete.
    pub fn keep_executed(&self, executed: ExecutedBlock<P>) {
        self.executed.0.lock().insert(executed.root(), executed);
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

    /// Imports a block whose proposer's signature was verified. Gives its root.
    pub async fn import(&self, verified: VerifiedBlock<P>) -> Result<Root, ImportError> {
        let VerifiedBlock { block, root } = verified;
        self.wait_until_available(&block, root).await?;
        let kept = self.executed.0.lock().remove(&root);
        let imported = match kept {
            Some(executed) => self.chain().import(executed, block).await,
            None => self.chain().process_block(block, BlockSignatures::AllButProposer).await,
        };
        match &imported {
            Err(error) if error.is_invalid_payload() => self.gossip.note_invalid_payload(root),
            Err(error) if error.is_invalid_block() => self.gossip.note_invalid_block(root),
            Ok(root) => self.gossip.note_imported_block(root),
            Err(_) => {}
        }
        imported
    }

    /// Imports a block of which nothing was verified: out of sync, or on request.
    ///
    /// The root of a block says nothing about its signature. So one that is refused here is not noted as invalid: the
    /// same block may come with a better signature, or with those of more members.
    pub async fn import_unverified(&self, block: Arc<SignedBeaconBlock<P>>) -> Result<Root, ImportError> {
        let root = block.block_root();
        if self.check_available(&block, &root).is_err() {
            self.recover(&block, root).await;
            self.check_available(&block, &root)?;
        }
        let imported = self.chain().process_block(block, BlockSignatures::All).await;
        if imported.is_ok() {
            self.gossip.note_imported_block(&root);
        }
        imported
    }
}
