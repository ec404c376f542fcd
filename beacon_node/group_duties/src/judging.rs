//! Whether a member may sign a leader's proposal.

use crate::Proposals;
use beacon_chain::{ExecutionStatus, ImportError};
use runtime::Priority;
use state_transition::block::BlockSignatures;
use std::sync::Arc;
use types::{BeaconBlockBodyRef, ExecutionAddress, Preset, Root, SignedBeaconBlock, Slot, ValidatorIndex};

/// A proposal is not signed here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Built on a block that this node would not build on.
    #[error("it builds on {parent}, while the head is {head} of slot {head_slot}")]
    Parent { parent: Root, head: Root, head_slot: Slot },
    /// The fees go elsewhere.
    #[error("its fees go to {found}, configured is {expected}")]
    FeeRecipient {
        expected: ExecutionAddress,
        found: ExecutionAddress,
    },
    /// The block is not valid, or could not be executed.
    #[error(transparent)]
    Execution(#[from] ImportError),
    /// The execution client has not said VALID.
    #[error("the execution client has not verified its payload")]
    Optimistic,
}

impl Refusal {
    /// Whether the proposal is at fault: then a leader of a higher rank may replace it. What this node could not find
    /// out does not count against the leader.
    pub(crate) fn is_invalid(&self) -> bool {
        match self {
            Self::Parent { .. } | Self::FeeRecipient { .. } => true,
            Self::Execution(error) => error.is_invalid_block(),
            Self::Optimistic => false,
        }
    }
}

impl<P: Preset> Proposals<P> {
    /// Spec: dvt/validator.md#checking-a-proposal
    pub(crate) async fn judgement(
        &self,
        proposer: ValidatorIndex,
        block: &Arc<SignedBeaconBlock<P>>,
    ) -> Result<(), Refusal> {
        self.check_parent(block.parent_root(), block.slot())?;
        self.check_fee_recipient(proposer, block)?;
        let chain = self.chain();
        let executed = match chain
            .execute(Arc::clone(block), BlockSignatures::Proposal, Priority::GroupProposal)
            .await
        {
            Ok(executed) => executed,
            // Others were faster: it is complete.
            Err(ImportError::AlreadyKnown(root)) if chain.fork_choice().is_optimistic(&root) == Some(false) => {
                return Ok(());
            }
            Err(ImportError::AlreadyKnown(_)) => return Err(Refusal::Optimistic),
            Err(error) => return Err(error.into()),
        };
        let status = executed.execution_status();
        self.intake.keep_executed(executed);
        if status != ExecutionStatus::Valid {
            return Err(Refusal::Optimistic);
        }
        Ok(())
    }

    /// A proposal builds on the head; or on the head's parent, if the head is one slot old; or on a viable descendant
    /// of the head.
    fn check_parent(&self, parent: Root, slot: Slot) -> Result<(), Refusal> {
        let head = self.chain().head();
        if parent == head.root {
            return Ok(());
        }
        let refusal = Refusal::Parent {
            parent,
            head: head.root,
            head_slot: head.slot(),
        };
        let fork_choice = self.chain().fork_choice();
        let is_of_previous_slot = head.slot().saturating_add(1u64) == slot;
        let head_parent = fork_choice.block(&head.root).map(|node| node.parent_root);
        if is_of_previous_slot && head_parent == Some(parent) {
            return Ok(());
        }
        if fork_choice.is_descendant(&head.root, &parent) && fork_choice.is_viable::<P>(&parent, self.chain().spec()) {
            return Ok(());
        }
        Err(refusal)
    }

    fn check_fee_recipient(&self, proposer: ValidatorIndex, block: &SignedBeaconBlock<P>) -> Result<(), Refusal> {
        // Without a configured recipient there is nothing to compare with.
        let Some(Ok(expected)) = self
            .chain()
            .execution_layer()
            .map(|layer| layer.fee_recipient(proposer))
        else {
            return Ok(());
        };
        let message = block.message();
        let found = match message.body() {
            BeaconBlockBodyRef::Fulu(body) => body.execution_payload.fee_recipient,
            BeaconBlockBodyRef::Dvt(body) => body.execution_payload.fee_recipient,
        };
        if found != expected {
            return Err(Refusal::FeeRecipient { expected, found });
        }
        Ok(())
    }
}
