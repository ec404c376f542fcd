//! The producer: what to build on, and with which payload.

use crate::ProductionError;
use beacon_chain::{BeaconChain, PayloadBegun};
use execution_layer::{ExecutionLayer, PayloadAttributes};
use operation_pool::OperationPool;
use runtime::Priority;
use state_transition::block::withdrawals::get_expected_withdrawals;
use state_transition::helpers::accessors::{get_beacon_proposer_index, get_current_epoch, get_randao_mix};
use state_transition::helpers::misc::compute_timestamp_at_slot;
use std::sync::Arc;
use types::{BeaconState, Preset, Root, Slot, ValidatorIndex};

/// Makes blocks and attestation data. Cheap to clone.
#[derive(Debug)]
pub struct BlockProducer<P: Preset> {
    pub(crate) chain: Arc<BeaconChain<P>>,
    pub(crate) pool: Arc<OperationPool<P>>,
}

impl<P: Preset> Clone for BlockProducer<P> {
    fn clone(&self) -> Self {
        Self {
            chain: Arc::clone(&self.chain),
            pool: Arc::clone(&self.pool),
        }
    }
}

/// What a block builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// The head; or its parent, if the head came so late and has so few votes that it is better left out.
    ProposerHead,
    /// The head, whatever its votes: what a fallback leader of a group builds on.
    Head,
    /// A certain block.
    Block(Root),
}

/// A payload that the execution client began to build ahead of the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedPayload {
    /// Slot of the block.
    pub proposal_slot: Slot,
    /// Who proposes.
    pub proposer_index: ValidatorIndex,
    /// What the block builds on.
    pub parent_root: Root,
    /// What the payload must have.
    pub attributes: PayloadAttributes,
}

impl<P: Preset> BlockProducer<P> {
    /// A producer for a chain with a pool.
    pub fn new(chain: Arc<BeaconChain<P>>, pool: Arc<OperationPool<P>>) -> Self {
        Self { chain, pool }
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<BeaconChain<P>> {
        &self.chain
    }

    /// The pool.
    pub fn pool(&self) -> &Arc<OperationPool<P>> {
        &self.pool
    }

    pub(crate) fn execution_layer(&self) -> Result<&Arc<ExecutionLayer>, ProductionError> {
        self.chain.execution_layer().ok_or(ProductionError::NoExecutionClient)
    }

    /// The block to build on in `slot`.
    pub fn parent_root(&self, slot: Slot, parent: Parent) -> Result<Root, ProductionError> {
        let head = self.chain.head();
        let root = match parent {
            Parent::Head => head.root,
            Parent::Block(root) => root,
            Parent::ProposerHead => {
                let fork_choice = self.chain.fork_choice();
                match fork_choice.get_proposer_head::<P>(head.root, slot, self.chain.spec()) {
                    Ok((root, refusal)) => {
                        if root != head.root {
                            tracing::info!(%slot, head = %head.root, parent = %root, "Late head is left out");
                        } else if let Some(refusal) = refusal {
                            tracing::trace!(%slot, ?refusal, "Building on the head");
                        }
                        root
                    }
                    // Nothing is known against the head.
                    Err(error) => {
                        tracing::debug!(%slot, %error, "Building on the head");
                        head.root
                    }
                }
            }
        };
        let fork_choice = self.chain.fork_choice();
        let node = fork_choice.block(&root).ok_or(ProductionError::UnknownParent(root))?;
        let current = self.chain.current_slot();
        if node.slot >= slot || slot > current.saturating_add(1u64) {
            return Err(ProductionError::Slot {
                slot,
                head: node.slot,
                current,
            });
        }
        Ok(root)
    }

    /// The state of the block's slot, on a worker.
    pub(crate) async fn state(&self, parent_root: Root, slot: Slot) -> Result<Arc<BeaconState<P>>, ProductionError> {
        let chain = Arc::clone(&self.chain);
        self.chain
            .workers()
            .run(Priority::ApiRequest, move || chain.state_at_slot(&parent_root, slot))
            .await??
            .ok_or(ProductionError::UnknownParent(parent_root))
    }

    /// What the payload of a block on `state` must have.
    ///
    /// Spec: bellatrix/validator.md#prepare_execution_payload
    pub(crate) fn payload_attributes(
        &self,
        state: &BeaconState<P>,
        parent_root: Root,
        proposer_index: ValidatorIndex,
    ) -> Result<PayloadAttributes, ProductionError> {
        let (withdrawals, _) = get_expected_withdrawals(state)?;
        Ok(PayloadAttributes {
            timestamp: compute_timestamp_at_slot(state, state.slot(), self.chain.spec())?,
            prev_randao: get_randao_mix(state, get_current_epoch(state))?,
            suggested_fee_recipient: self.execution_layer()?.fee_recipient(proposer_index)?,
            withdrawals,
            parent_beacon_block_root: parent_root,
        })
    }

    /// Has the execution client begin a payload for the slot after `current_slot`, if a validator that proposes then
    /// is attached to this node. To be called towards the end of each slot.
    pub async fn prepare_next_slot(&self, current_slot: Slot) -> Result<Option<PreparedPayload>, ProductionError> {
        let execution_layer = self.execution_layer()?;
        let slot = current_slot.saturating_add(1u64);
        let head = self.chain.head();
        let parent_root = {
            let fork_choice = self.chain.fork_choice();
            match fork_choice.should_override_forkchoice_update::<P>(&head.root, true, self.chain.spec()) {
                Ok(Ok(())) => fork_choice.block(&head.root).map_or(head.root, |node| node.parent_root),
                _ => head.root,
            }
        };
        if self.chain.fork_choice().is_optimistic(&parent_root) != Some(false) {
            return Ok(None);
        }
        // Also leaves the epoch's state in the cache, whoever proposes.
        let state = self.state(parent_root, slot).await?;
        let proposer_index = get_beacon_proposer_index(&state)?;
        if !execution_layer.fee_recipients().is_prepared(proposer_index) {
            return Ok(None);
        }
        let attributes = self.payload_attributes(&state, parent_root, proposer_index)?;
        execution_layer
            .prepare_payload(self.chain.forkchoice_state(&parent_root), &attributes)
            .await?;
        tracing::debug!(%slot, proposer = %proposer_index, parent = %parent_root, "Payload begun ahead of the slot");
        let parent = state.latest_execution_payload_header();
        self.chain.announce_payload(PayloadBegun {
            proposal_slot: slot,
            proposer_index,
            parent_block_number: parent.block_number,
            parent_block_hash: parent.block_hash,
            attributes: attributes.clone(),
        });
        Ok(Some(PreparedPayload {
            proposal_slot: slot,
            proposer_index,
            parent_root,
            attributes,
        }))
    }
}
