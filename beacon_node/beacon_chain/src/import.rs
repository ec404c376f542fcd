//! Importing executed blocks: the one writer.

use crate::{BeaconChain, ChainError, ChainEvent, ExecutedBlock, ImportError, metrics};
use fork_choice::ExecutionStatus;
use runtime::Priority;
use state_transition::block::BlockSignatures;
use state_transition::block::operations::attestation::get_attesting_indices;
use state_transition::block::operations::attester_slashing::get_slashable_indices;
use std::sync::Arc;
use std::time::Instant;
use types::{BeaconState, Preset, Root, SignedBeaconBlock};

impl<P: Preset> BeaconChain<P> {
    /// Executes and imports a block.
    pub async fn process_block(
        self: &Arc<Self>,
        block: Arc<SignedBeaconBlock<P>>,
        signatures: BlockSignatures,
    ) -> Result<Root, ImportError> {
        let executed = self
            .execute(Arc::clone(&block), signatures, Priority::BlockImport)
            .await?;
        self.import(executed, block).await
    }

    /// Imports an executed block under `signed`, the same block with the proposer's complete signature, which the
    /// caller has verified. Gives the block's root.
    pub async fn import(
        self: &Arc<Self>,
        executed: ExecutedBlock<P>,
        signed: Arc<SignedBeaconBlock<P>>,
    ) -> Result<Root, ImportError> {
        let started = Instant::now();
        let permit = self.import_permit.lock().await;
        let chain = Arc::clone(self);
        let root = executed.root;
        let execution_optimistic = executed.execution_status != ExecutionStatus::Valid;
        let slot = signed.slot();
        self.workers
            .run(Priority::BlockImport, move || chain.import_blocking(&executed, &signed))
            .await??;
        self.send(ChainEvent::Block {
            slot,
            root,
            execution_optimistic,
        });
        self.recompute_head_with_permit().await?;
        drop(permit);
        if let Some(histogram) = &*metrics::BLOCK_PROCESSING {
            histogram.observe(started.elapsed().as_secs_f64());
        }
        tracing::debug!(%slot, %root, execution_optimistic, "Block imported");
        Ok(root)
    }

    fn import_blocking(&self, executed: &ExecutedBlock<P>, signed: &SignedBeaconBlock<P>) -> Result<(), ImportError> {
        if self.contains_block(&executed.root) {
            return Err(ImportError::AlreadyKnown(executed.root));
        }
        // On disk before anybody can build on it: a restart must find all ancestors of what is in use.
        self.storage.put_block(executed.root, signed)?;
        self.states.insert(executed.root, Arc::clone(&executed.state));
        let mut fork_choice = self.fork_choice.write();
        let now = self.clock.now_ms().max(fork_choice.time_ms());
        fork_choice.on_tick::<P>(now, &self.spec)?;
        fork_choice.on_block::<P>(executed.summary.clone(), executed.execution_status, &self.spec)?;
        drop(fork_choice);
        self.apply_operations(signed, &executed.state)?;
        Ok(())
    }

    /// Hands a block's votes and slashings to the fork choice.
    pub(crate) fn apply_operations(
        &self,
        signed: &SignedBeaconBlock<P>,
        state: &BeaconState<P>,
    ) -> Result<(), ChainError> {
        let message = signed.message();
        let body = message.body();
        let mut votes = Vec::new();
        for attestation in body.attestations() {
            // The transition has accepted the attestation, so the state knows its committees.
            if let Ok(indices) = get_attesting_indices(state, attestation) {
                votes.push((indices, *attestation.data()));
            }
        }
        let mut slashable = Vec::new();
        for slashing in body.attester_slashings() {
            // The transition has accepted the evidence, but a change in the same block may have dropped the key set of
            // somebody who is in it.
            slashable.extend(get_slashable_indices(state, slashing).unwrap_or_default());
        }
        let mut fork_choice = self.fork_choice.write();
        for (indices, data) in votes {
            // Votes for blocks that this node does not know any more have no weight.
            let _ = fork_choice.on_attestation::<P>(&indices, &data, true, &self.spec);
        }
        fork_choice.on_attester_slashing(slashable);
        Ok(())
    }
}
