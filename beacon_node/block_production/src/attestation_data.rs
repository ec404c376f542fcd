//! What to vote for.

use crate::{BlockProducer, ProductionError};
use state_transition::helpers::accessors::get_committee_count_per_slot;
use types::{AttestationData, Checkpoint, CommitteeIndex, Epoch, Preset, Slot};

impl<P: Preset> BlockProducer<P> {
    /// The vote of a slot by this node's view. The committee only has to exist: data does not name it.
    ///
    /// Spec: electra/validator.md#construct-attestation
    pub async fn attestation_data(
        &self,
        slot: Slot,
        committee_index: CommitteeIndex,
    ) -> Result<AttestationData, ProductionError> {
        let head = self.chain.head();
        let current = self.chain.current_slot();
        let epoch = slot.epoch::<P>();
        let is_over = epoch.saturating_add(1u64) < current.epoch::<P>();
        if slot > current.saturating_add(1u64) || is_over {
            return Err(ProductionError::Slot {
                slot,
                head: head.slot(),
                current,
            });
        }
        if head.execution_optimistic {
            return Err(ProductionError::Optimistic(head.root));
        }
        let beacon_block_root = self.canonical_root(slot)?;
        let target_root = self.canonical_root(epoch.start_slot::<P>())?;
        // The head's state knows what is justified, unless its epoch is over.
        let state = if head.state.current_epoch() < epoch {
            self.state(head.root, epoch.start_slot::<P>()).await?
        } else {
            std::sync::Arc::clone(&head.state)
        };
        let count = get_committee_count_per_slot(&state, epoch)?;
        if committee_index >= count {
            return Err(ProductionError::UnknownCommittee {
                index: committee_index,
                slot,
                count,
            });
        }
        let state_epoch: Epoch = state.current_epoch();
        let source = if epoch == state_epoch {
            state.current_justified_checkpoint()
        } else {
            state.previous_justified_checkpoint()
        };
        Ok(AttestationData {
            slot,
            index: 0,
            beacon_block_root,
            source,
            target: Checkpoint {
                epoch,
                root: target_root,
            },
        })
    }

    fn canonical_root(&self, slot: Slot) -> Result<types::Root, ProductionError> {
        let head = self.chain.head();
        self.chain
            .canonical_root_at_or_before(slot)?
            .ok_or(ProductionError::UnknownParent(head.root))
    }
}
