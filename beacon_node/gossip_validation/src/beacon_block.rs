//! Topic `beacon_block`: complete blocks.
//!
//! Spec: dvt/p2p-interface.md#beacon_block

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict, metrics};
use runtime::Priority;
use state_transition::block::header::block_signature_set;
use state_transition::dvt::signers::{Quorum, SignersError};
use state_transition::helpers::accessors::get_beacon_proposer_index_at_slot;
use state_transition::helpers::misc::compute_timestamp_at_slot;
use std::sync::Arc;
use types::{BeaconBlockBodyRef, BeaconState, Preset, Root, SignedBeaconBlock, Slot, ValidatorIndex};

/// A block is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum BlockGossipError {
    /// Not later than what is final.
    #[error("block of slot {slot} is not later than the finalised slot {finalized}")]
    AlreadyFinalized {
        /// Slot of the block.
        slot: Slot,
        /// First slot of the finalised epoch.
        finalized: Slot,
    },
    /// Another block by the proposer was passed on.
    #[error("validator {proposer} has a complete block in slot {slot} already")]
    NotFirst {
        /// The proposer.
        proposer: ValidatorIndex,
        /// The slot.
        slot: Slot,
    },
    /// Imported before.
    #[error("block {0} is imported already")]
    AlreadyKnown(Root),
    /// Not later than its parent.
    #[error("block of slot {slot} is not later than its parent of slot {parent}")]
    NotLaterThanParent {
        /// Slot of the block.
        slot: Slot,
        /// Slot of its parent.
        parent: Slot,
    },
    /// Another proposer than the slot's.
    #[error("proposer is {found}, expected {expected}")]
    Proposer {
        /// The slot's proposer.
        expected: ValidatorIndex,
        /// The block's proposer.
        found: ValidatorIndex,
    },
    /// Signed by too few keys, or by keys that do not exist.
    #[error("signers: {0}")]
    Signers(SignersError),
    /// More blobs than the epoch allows.
    #[error("block has {found} blobs, at most {limit} are allowed")]
    TooManyBlobs {
        /// Blobs of the block.
        found: u64,
        /// Blobs that the epoch allows.
        limit: u64,
    },
    /// A payload of another time than the slot.
    #[error("payload is of time {found}, expected {expected}")]
    Timestamp {
        /// Unix seconds of the slot.
        expected: u64,
        /// Unix seconds of the payload.
        found: u64,
    },
    /// The branch of the block does not contain what is final.
    #[error("block does not descend from the finalised block {0}")]
    NotFinalizedDescendant(Root),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(BlockGossipError);

impl BlockGossipError {
    /// What to do with the block.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Signers(SignersError::State(_))
            | Self::AlreadyFinalized { .. }
            | Self::NotFirst { .. }
            | Self::AlreadyKnown(_) => Verdict::Ignore,
            Self::NotLaterThanParent { .. }
            | Self::Proposer { .. }
            | Self::Signers(_)
            | Self::TooManyBlobs { .. }
            | Self::Timestamp { .. }
            | Self::NotFinalizedDescendant(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A block whose proposer signed it, at threshold. It is to be executed without its proposer's signature being
/// verified again.
#[derive(Debug, Clone)]
pub struct VerifiedBlock<P: Preset> {
    /// The block.
    pub block: Arc<SignedBeaconBlock<P>>,
    /// Its root.
    pub root: Root,
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a complete block.
    pub async fn verify_block(
        self: &Arc<Self>,
        block: Arc<SignedBeaconBlock<P>>,
    ) -> Result<VerifiedBlock<P>, BlockGossipError> {
        let arrived_ms = self.chain.clock().now_ms();
        let start_ms = self.chain.clock().slot_start_ms(block.slot());
        let verified = self
            .on_worker("beacon_block", Priority::BlockImport, move |validator| {
                validator.verify_block_blocking(block)
            })
            .await?;
        metrics::observe_block_delay(arrived_ms.saturating_sub(start_ms));
        Ok(verified)
    }

    fn verify_block_blocking(&self, block: Arc<SignedBeaconBlock<P>>) -> Result<VerifiedBlock<P>, BlockGossipError> {
        let (slot, proposer) = (block.slot(), block.message().proposer_index());
        self.check_not_future(slot)?;
        let root = block.block_root();
        // A group's block that was put together here is known, but not seen on the topic: it is passed on once.
        if self.blocks.contains(slot, &proposer) {
            return Err(if self.chain.contains_block(&root) {
                BlockGossipError::AlreadyKnown(root)
            } else {
                BlockGossipError::NotFirst { proposer, slot }
            });
        }
        let state = self.check_block_but_signature(&block)?;
        let set =
            block_signature_set(&state, &block, Some(root), Quorum::Threshold).map_err(BlockGossipError::Signers)?;
        signature_scheme::verify(&set)?;
        if !self.blocks.insert(slot, proposer) {
            return Err(BlockGossipError::NotFirst { proposer, slot });
        }
        Ok(VerifiedBlock { block, root })
    }

    /// Whether a complete block of the proposer has passed in the slot.
    pub fn has_seen_block(&self, slot: Slot, proposer: ValidatorIndex) -> bool {
        self.blocks.contains(slot, &proposer)
    }

    /// All conditions on a block that do not depend on who signed it. Gives a state of its branch that knows its
    /// proposer.
    pub(crate) fn check_block_but_signature(
        &self,
        block: &SignedBeaconBlock<P>,
    ) -> Result<Arc<BeaconState<P>>, BlockGossipError> {
        let message = block.message();
        let (slot, parent_root) = (message.slot(), message.parent_root());
        self.check_fork(slot, block)?;
        let finalized = self.finalized_checkpoint();
        let finalized_slot = finalized.epoch.start_slot::<P>();
        if slot <= finalized_slot {
            return Err(BlockGossipError::AlreadyFinalized {
                slot,
                finalized: finalized_slot,
            });
        }
        let body = message.body();
        let limit = self
            .chain
            .spec()
            .get_blob_parameters(slot.epoch::<P>())
            .max_blobs_per_block;
        let found = body.blob_kzg_commitments().len() as u64;
        if found > limit {
            return Err(BlockGossipError::TooManyBlobs { found, limit });
        }
        let parent = self.parent_slot(parent_root)?;
        if slot <= parent {
            return Err(BlockGossipError::NotLaterThanParent { slot, parent });
        }
        if self.check_finalized_descendant(parent_root).is_err() {
            return Err(BlockGossipError::NotFinalizedDescendant(finalized.root));
        }
        let state = self.state_for_epoch(parent_root, slot.epoch::<P>())?;
        let expected = get_beacon_proposer_index_at_slot(&state, slot)?;
        if message.proposer_index() != expected {
            return Err(BlockGossipError::Proposer {
                expected,
                found: message.proposer_index(),
            });
        }
        let expected = compute_timestamp_at_slot(&state, slot, self.chain.spec())?;
        let found = match body {
            BeaconBlockBodyRef::Fulu(body) => body.execution_payload.timestamp,
            BeaconBlockBodyRef::Dvt(body) => body.execution_payload.timestamp,
        };
        if found != expected {
            return Err(BlockGossipError::Timestamp { expected, found });
        }
        Ok(state)
    }
}
