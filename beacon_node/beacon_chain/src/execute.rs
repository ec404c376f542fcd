//! Executing a block: state transition and the execution client's verdict. Changes nothing.

use crate::{BeaconChain, ChainError, ImportError};
use execution_layer::{NewPayloadRequest, PayloadStatus};
use fork_choice::{BlockSummary, ExecutionStatus};
use runtime::Priority;
use state_transition::block::{BlockSignatures, state_transition};
use state_transition::compute_unrealized_checkpoints;
use std::sync::Arc;
use types::{
    BeaconBlockBodyRef, BeaconState, ExecutionPayload, ExecutionRequests, Hash32, Preset, Root, SignedBeaconBlock,
};

/// A block that passed the state transition and that the execution client did not call invalid. Its proposer's
/// signature may still be incomplete.
#[derive(Debug, Clone)]
pub struct ExecutedBlock<P: Preset> {
    pub(crate) root: Root,
    pub(crate) block: Arc<SignedBeaconBlock<P>>,
    pub(crate) state: Arc<BeaconState<P>>,
    pub(crate) summary: BlockSummary,
    pub(crate) execution_status: ExecutionStatus,
}

impl<P: Preset> ExecutedBlock<P> {
    /// Root of the block.
    pub fn root(&self) -> Root {
        self.root
    }

    /// The block, with the signature that it was executed with.
    pub fn block(&self) -> &Arc<SignedBeaconBlock<P>> {
        &self.block
    }

    /// State after the block.
    pub fn state(&self) -> &Arc<BeaconState<P>> {
        &self.state
    }

    /// Whether the execution client verified the payload.
    pub fn execution_status(&self) -> ExecutionStatus {
        self.execution_status
    }
}

/// Payload and requests of a body of any fork.
pub(crate) fn payload_of<P: Preset>(body: BeaconBlockBodyRef<'_, P>) -> (&ExecutionPayload<P>, &ExecutionRequests<P>) {
    match body {
        BeaconBlockBodyRef::Fulu(body) => (&body.execution_payload, &body.execution_requests),
        BeaconBlockBodyRef::Dvt(body) => (&body.execution_payload, &body.execution_requests),
    }
}

impl<P: Preset> BeaconChain<P> {
    /// Executes a block on the state of its parent. State transition and execution client work at the same time.
    pub async fn execute(
        self: &Arc<Self>,
        block: Arc<SignedBeaconBlock<P>>,
        signatures: BlockSignatures,
        priority: Priority,
    ) -> Result<ExecutedBlock<P>, ImportError> {
        let root = block.block_root();
        {
            let mut fork_choice = self.fork_choice.write();
            let now = self.clock.now_ms().max(fork_choice.time_ms());
            fork_choice.on_tick::<P>(now, &self.spec)?;
            if fork_choice.contains(&root) {
                return Err(ImportError::AlreadyKnown(root));
            }
            fork_choice.validate_on_block::<P>(block.slot(), &block.parent_root(), &self.spec)?;
        }
        let transition = {
            let (chain, block) = (Arc::clone(self), Arc::clone(&block));
            self.workers.run(priority, move || chain.transition(&block, signatures))
        };
        let (transition, execution_status) = tokio::join!(transition, self.verify_payload(root, &block));
        // A block that is invalid by itself is reported so, whatever the execution client says.
        let (state, summary) = transition??;
        Ok(ExecutedBlock {
            root,
            block,
            state,
            summary,
            execution_status: execution_status?,
        })
    }

    fn transition(
        &self,
        block: &SignedBeaconBlock<P>,
        signatures: BlockSignatures,
    ) -> Result<(Arc<BeaconState<P>>, BlockSummary), ImportError> {
        let parent_root = block.parent_root();
        let parent_state = self
            .state_after_block(&parent_root)?
            .ok_or(ImportError::UnknownParent(parent_root))?;
        let mut state = BeaconState::clone(&parent_state);
        state_transition(&mut state, block, signatures, &self.spec)?;
        let unrealized = compute_unrealized_checkpoints(&state).map_err(ChainError::from)?;
        let message = block.message();
        let summary = BlockSummary::new(message.block_root(), message, &state, unrealized);
        Ok((Arc::new(state), summary))
    }

    /// Asks the execution client about a block's payload. A client that cannot answer leaves it unverified.
    pub(crate) async fn verify_payload(
        &self,
        root: Root,
        block: &SignedBeaconBlock<P>,
    ) -> Result<ExecutionStatus, ImportError> {
        let Some(execution_layer) = &self.execution_layer else {
            return Ok(ExecutionStatus::Optimistic);
        };
        let message = block.message();
        let body = message.body();
        let (payload, requests) = payload_of(body);
        let request = NewPayloadRequest::new(payload, body.blob_kzg_commitments(), message.parent_root(), requests);
        match execution_layer.notify_new_payload(&request).await {
            Ok(PayloadStatus::Valid) => Ok(ExecutionStatus::Valid),
            Ok(status) if status.is_invalid() => {
                if let PayloadStatus::Invalid {
                    latest_valid_hash: Some(hash),
                    ..
                } = &status
                {
                    self.condemn_ancestors(&message.parent_root(), *hash)?;
                }
                Err(ImportError::InvalidPayload {
                    root,
                    reason: status.to_string(),
                })
            }
            Ok(_) => Ok(ExecutionStatus::Optimistic),
            Err(error) => {
                tracing::debug!(%root, %error, "Execution client did not answer, payload stays unverified");
                Ok(ExecutionStatus::Optimistic)
            }
        }
    }

    /// The execution client calls a block invalid and names its latest valid ancestor: the blocks between them, which
    /// were imported unverified, are invalid, too; those that it has called valid stay so. A hash that no ancestor here has
    /// says nothing about them.
    ///
    /// Spec: sync/optimistic.md#how-to-apply-latestvalidhash-when-payload-status-is-invalid
    fn condemn_ancestors(&self, parent_root: &Root, latest_valid_hash: Hash32) -> Result<(), ImportError> {
        let mut fork_choice = self.fork_choice.write();
        let mut next = fork_choice.block(parent_root);
        while let Some(node) = next.filter(|node| node.execution_block_hash != latest_valid_hash) {
            next = fork_choice.block(&node.parent_root);
        }
        let Some(latest_valid) = next.map(|node| node.root).filter(|root| root != parent_root) else {
            return Ok(());
        };
        if fork_choice.is_optimistic(parent_root) != Some(true) {
            tracing::error!(
                %parent_root,
                %latest_valid,
                "Execution client calls blocks invalid that it has called valid before; they stay"
            );
            return Ok(());
        }
        tracing::error!(%parent_root, %latest_valid, "Execution client calls imported blocks invalid");
        Ok(fork_choice.on_invalid_execution_payload(parent_root, Some(latest_valid_hash))?)
    }
}
