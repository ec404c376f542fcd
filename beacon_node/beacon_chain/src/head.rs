//! Choosing the head, telling the execution client, and what follows from finality.

use crate::{BeaconChain, ChainError, ChainEvent, HeadSnapshot, metrics};
use execution_layer::{ForkchoiceState, PayloadStatus};
use fork_choice::{ExecutionStatus, ForkChoiceError, JustifiedState};
use runtime::Priority;
use state_transition::helpers::accessors::get_block_root_at_slot;
use std::sync::Arc;
use types::{BeaconState, Checkpoint, Epoch, Hash32, Preset, Root, Slot};

impl<P: Preset> BeaconChain<P> {
    /// Moves the fork choice's time on and chooses the head again. To be called at each slot's start, and when
    /// votes have come in.
    pub async fn recompute_head(self: &Arc<Self>) -> Result<(), ChainError> {
        let _permit = self.import_permit.lock().await;
        self.recompute_head_with_permit().await
    }

    pub(crate) async fn recompute_head_with_permit(self: &Arc<Self>) -> Result<(), ChainError> {
        // A head that the execution client calls invalid is replaced at once; each round loses a branch.
        loop {
            let chain = Arc::clone(self);
            let changed = self
                .workers
                .run(Priority::BlockImport, move || chain.choose_head())
                .await??;
            if !changed || self.notify_execution_layer().await? {
                return Ok(());
            }
        }
    }

    /// Chooses the head and publishes its snapshot. Gives whether the execution client has to be told.
    fn choose_head(&self) -> Result<bool, ChainError> {
        let timer = metrics::FORK_CHOICE.as_ref().map(|histogram| histogram.start_timer());
        let (head_root, justified_checkpoint, finalized_checkpoint) = loop {
            let wanted = {
                let mut fork_choice = self.fork_choice.write();
                let now = self.clock.now_ms().max(fork_choice.time_ms());
                fork_choice.on_tick::<P>(now, &self.spec)?;
                match fork_choice.get_head::<P>(&self.spec) {
                    Ok(root) => {
                        break (
                            root,
                            fork_choice.justified_checkpoint(),
                            fork_choice.finalized_checkpoint(),
                        );
                    }
                    Err(ForkChoiceError::JustifiedStateMissing(checkpoint)) => checkpoint,
                    Err(error) => return Err(error.into()),
                }
            };
            let state = self
                .checkpoint_state(wanted)?
                .ok_or(ChainError::MissingState(wanted.root))?;
            let justified = JustifiedState::new(wanted, &state)?;
            let mut fork_choice = self.fork_choice.write();
            if fork_choice.justified_checkpoint() == wanted {
                fork_choice.set_justified_state(justified)?;
            }
        };

        drop(timer);
        let old = self.head();
        let execution_optimistic = self
            .fork_choice
            .read()
            .block(&head_root)
            .is_none_or(|node| node.execution_status != ExecutionStatus::Valid);
        let is_same = old.root == head_root
            && old.execution_optimistic == execution_optimistic
            && old.justified_checkpoint == justified_checkpoint
            && old.finalized_checkpoint == finalized_checkpoint;
        if is_same {
            return Ok(false);
        }
        let (state, block) = if old.root == head_root {
            (Arc::clone(&old.state), old.block.clone())
        } else {
            let state = self
                .state_after_block(&head_root)?
                .ok_or(ChainError::MissingState(head_root))?;
            (state, self.storage.get_block(&head_root)?.map(Arc::new))
        };
        let state_root = self
            .fork_choice
            .read()
            .block(&head_root)
            .map(|node| node.state_root)
            .unwrap_or_default();
        let snapshot = Arc::new(HeadSnapshot {
            root: head_root,
            block,
            state,
            state_root,
            execution_optimistic,
            justified_checkpoint,
            finalized_checkpoint,
        });
        self.head.store(Arc::clone(&snapshot));
        self.announce(&old, &snapshot);
        if finalized_checkpoint.epoch > old.finalized_checkpoint.epoch {
            self.on_finalized(&snapshot, finalized_checkpoint)?;
        }
        Ok(true)
    }

    fn announce(&self, old: &HeadSnapshot<P>, new: &HeadSnapshot<P>) {
        metrics::set_head(
            new.slot().as_u64(),
            new.justified_checkpoint.epoch.as_u64(),
            new.finalized_checkpoint.epoch.as_u64(),
        );
        if old.root == new.root {
            return;
        }
        let (slot, epoch) = (new.slot(), new.slot().epoch::<P>());
        let parent_epoch = {
            let fork_choice = self.fork_choice.read();
            let parent = fork_choice
                .block(&new.root)
                .and_then(|node| fork_choice.block(&node.parent_root));
            parent.map(|node| node.slot.epoch::<P>())
        };
        let (ancestor_slot, is_reorg) = {
            let fork_choice = self.fork_choice.read();
            let mut ancestor = old.root;
            while !fork_choice.is_descendant(&ancestor, &new.root) {
                match fork_choice.block(&ancestor) {
                    Some(node) => ancestor = node.parent_root,
                    None => break,
                }
            }
            (fork_choice.block(&ancestor).map(|node| node.slot), ancestor != old.root)
        };
        if is_reorg {
            if let Some(counter) = &*metrics::REORGS {
                counter.inc();
            }
            let depth = old.slot().saturating_sub(ancestor_slot.unwrap_or_default()).as_u64();
            tracing::warn!(%slot, depth, old = %old.root, new = %new.root, "Head was re-organised");
            self.send(ChainEvent::Reorg {
                slot,
                depth,
                old_head: old.root,
                old_state: old.state_root,
                new_head: new.root,
                new_state: new.state_root,
                epoch,
            });
        }
        self.send(ChainEvent::Head {
            slot,
            root: new.root,
            state_root: new.state_root,
            epoch_transition: parent_epoch.is_none_or(|parent| parent < epoch),
            previous_duty_dependent_root: dependent_root(&new.state, new.root, epoch.saturating_sub(1u64)),
            current_duty_dependent_root: dependent_root(&new.state, new.root, epoch),
            execution_optimistic: new.execution_optimistic,
        });
    }

    /// Stores the anchor for the next start, and drops branches that cannot be the chain any more.
    fn on_finalized(&self, snapshot: &HeadSnapshot<P>, checkpoint: Checkpoint) -> Result<(), ChainError> {
        let finalized = self.fork_choice.read().block(&checkpoint.root).cloned();
        let Some(finalized) = finalized else { return Ok(()) };
        let state = self
            .state_after_block(&checkpoint.root)?
            .ok_or(ChainError::MissingState(checkpoint.root))?;

        // The canonical blocks since the anchor before, by slot, so that they can be found without fork choice.
        let (canonical, dropped) = {
            let fork_choice = self.fork_choice.read();
            let mut canonical = Vec::new();
            let mut root = checkpoint.root;
            while let Some(node) = fork_choice.block(&root) {
                canonical.push((node.slot, node.root));
                root = node.parent_root;
            }
            let dropped: Vec<Root> = fork_choice
                .blocks()
                .iter()
                .filter(|node| {
                    !fork_choice.is_descendant(&checkpoint.root, &node.root)
                        && !canonical.iter().any(|(_, root)| *root == node.root)
                })
                .map(|node| node.root)
                .collect();
            (canonical, dropped)
        };
        self.storage
            .finalize(&canonical, &dropped, (finalized.slot, checkpoint.root), &state)?;
        self.states.set_anchor(checkpoint.root, state);
        self.fork_choice.write().prune();
        tracing::info!(
            epoch = %checkpoint.epoch,
            root = %checkpoint.root,
            head = %snapshot.slot(),
            "Finalised"
        );
        self.send(ChainEvent::Finalized {
            checkpoint,
            state_root: finalized.state_root,
        });
        Ok(())
    }

    /// Hash of the payload of a checkpoint's block.
    fn payload_hash(&self, checkpoint: Checkpoint) -> Hash32 {
        self.fork_choice
            .read()
            .block(&checkpoint.root)
            .map(|node| node.execution_block_hash)
            .unwrap_or_default()
    }

    /// What the execution client is to be told of the head `root`.
    pub fn forkchoice_state(&self, root: &Root) -> ForkchoiceState {
        let head = self.head();
        let genesis = Epoch::new(0);
        let hash = |checkpoint: Checkpoint| {
            if checkpoint.epoch == genesis {
                Hash32::ZERO
            } else {
                self.payload_hash(checkpoint)
            }
        };
        let head_block_hash = self
            .fork_choice
            .read()
            .block(root)
            .map(|node| node.execution_block_hash)
            .unwrap_or_default();
        ForkchoiceState {
            head_block_hash,
            safe_block_hash: hash(head.justified_checkpoint),
            finalized_block_hash: hash(head.finalized_checkpoint),
        }
    }

    fn is_verified(&self, root: &Root) -> bool {
        let fork_choice = self.fork_choice.read();
        fork_choice
            .block(root)
            .is_some_and(|node| node.execution_status == ExecutionStatus::Valid)
    }

    /// Tells the execution client of the head. Gives `false` if it calls the head invalid: another has to be chosen.
    pub(crate) async fn notify_execution_layer(self: &Arc<Self>) -> Result<bool, ChainError> {
        let Some(execution_layer) = &self.execution_layer else {
            return Ok(true);
        };
        let head = self.head();
        let status = match execution_layer
            .notify_forkchoice_updated(self.forkchoice_state(&head.root))
            .await
        {
            Ok(status) => status,
            Err(error) => {
                tracing::debug!(%error, "Execution client was not told of the head");
                return Ok(true);
            }
        };
        match status {
            PayloadStatus::Valid => {
                if head.execution_optimistic {
                    self.fork_choice.write().on_valid_execution_payload(&head.root)?;
                    self.head.store(Arc::new(HeadSnapshot {
                        execution_optimistic: false,
                        ..HeadSnapshot::clone(&head)
                    }));
                }
                Ok(true)
            }
            // What it once called valid stays so: it contradicts itself, and the others are still there.
            PayloadStatus::Invalid { validation_error, .. } if self.is_verified(&head.root) => {
                tracing::error!(
                    root = %head.root,
                    reason = validation_error.unwrap_or_default(),
                    "Execution client calls the head invalid that it has called valid before; the head stays"
                );
                Ok(true)
            }
            PayloadStatus::Invalid {
                latest_valid_hash,
                validation_error,
            } => {
                tracing::error!(
                    root = %head.root,
                    reason = validation_error.unwrap_or_default(),
                    "Execution client calls the head invalid"
                );
                self.fork_choice
                    .write()
                    .on_invalid_execution_payload(&head.root, latest_valid_hash)?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }
}

/// The block before an epoch on a state's branch: what fixes duties.
fn dependent_root<P: Preset>(state: &BeaconState<P>, head_root: Root, epoch: Epoch) -> Root {
    let slot: Slot = epoch.start_slot::<P>().saturating_sub(1u64);
    get_block_root_at_slot(state, slot).unwrap_or(head_root)
}
