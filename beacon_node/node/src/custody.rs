//! More custody for more stake: a node with validators keeps more columns than one without.
//!
//! What clients say of their validators is compared with the finalised state in every slot. Custody only grows, for good:
//! it is on disk before the network is told of it. The columns of older blocks are fetched behind everything else; until they
//! are here the node says from which slot on it has all.
//!
//! Spec: fulu/validator.md#validator-custody

use beacon_chain::{BeaconChain, ChainError};
use intake::{Custody, Intake};
use network::NetworkHandle;
use router::RouterHandle;
use runtime::Priority;
use std::sync::Arc;
use storage::{ColumnsKept, CustodyStep, Storage, StorageError};
use types::{ChainSpec, Preset, Slot};

/// A head so many slots behind the clock is that of the chain.
const SYNCED_SLOTS: u64 = 2;

/// The steps of a node that is started with a number of groups, which becomes one itself if it is above all others: the node
/// never keeps fewer again.
///
/// Spec: fulu/validator.md#validator-custody
pub(crate) fn stored_steps<P: Preset>(
    storage: &Storage<P>,
    group_count: u64,
) -> Result<Vec<CustodyStep>, StorageError> {
    let steps = storage.custody_steps()?;
    if steps.last().is_some_and(|step| step.group_count >= group_count) {
        return Ok(steps);
    }
    let from = Slot::new(0);
    let steps = vec![CustodyStep { from, group_count }];
    storage.put_custody_steps(&steps)?;
    Ok(steps)
}

/// Notes of which blocks the columns are here, for a node that is started with a number of groups.
pub(crate) fn note_columns_kept<P: Preset>(chain: &BeaconChain<P>, group_count: u64) -> Result<(), ChainError> {
    let storage = chain.storage();
    let (oldest, _) = storage.oldest_block()?.unwrap_or_default();
    let first_missing = match storage.columns_kept()? {
        Some(kept) if kept.group_count >= group_count => kept.from,
        Some(kept) if !storage.has_data_columns()? => kept.from,
        // More groups than before.
        Some(_) => chain.head().slot().saturating_add(1u64),
        None if oldest == Slot::new(0) => oldest,
        // A checkpoint comes without the columns of its block.
        None => oldest.saturating_add(1u64),
    };
    storage.put_columns_kept(ColumnsKept {
        group_count,
        from: first_missing,
    })?;
    Ok(())
}

/// What a node knows when its custody is to grow.
#[derive(Debug, Clone, Copy)]
struct Situation {
    /// Now.
    slot: Slot,
    head_slot: Slot,
    /// Whether columns of any block are stored.
    has_columns: bool,
}

impl Situation {
    /// The first slot in which a new number of groups holds. Their columns are here from that on; those before are looked for.
    fn step<P: Preset>(self) -> Slot {
        let is_synced = self.head_slot.saturating_add(SYNCED_SLOTS) >= self.slot;
        if is_synced && !self.has_columns {
            // No block had blobs, as far as is known: nobody has to wait for the meshes of new subnets.
            return self.slot.saturating_add(1u64);
        }
        // A whole epoch, in which the meshes of the new subnets form.
        let epoch = self.slot.epoch::<P>().saturating_add(2u64);
        epoch.start_slot::<P>()
    }
}

/// Raises the custody of a node.
#[derive(Debug)]
pub(crate) struct CustodyTask<P: Preset> {
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) network: NetworkHandle,
    pub(crate) router: RouterHandle,
    pub(crate) group_count: u64,
}

impl<P: Preset> CustodyTask<P> {
    /// Looks in every slot.
    pub(crate) async fn run(mut self) {
        let clock = self.intake.chain().clock().clone();
        loop {
            let slot = clock.next_slot().await;
            if !self.intake.attached().is_anybody(slot.epoch::<P>()) {
                continue;
            }
            match self.requirement(slot).await {
                Ok(Some(group_count)) if group_count > self.group_count => self.raise(slot, group_count).await,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "Custody of attached validators is not known"),
            }
        }
    }

    async fn requirement(&self, slot: Slot) -> Result<Option<u64>, ChainError> {
        let intake = Arc::clone(&self.intake);
        let work = move || {
            let chain: &Arc<BeaconChain<P>> = intake.chain();
            let checkpoint = chain.head().finalized_checkpoint;
            let state = chain
                .checkpoint_state(checkpoint)?
                .ok_or(ChainError::MissingBlock(checkpoint.root))?;
            let epoch = slot.epoch::<P>();
            Ok(intake.attached().custody_requirement(&state, epoch, chain.spec()))
        };
        self.intake.chain().workers().run(Priority::Background, work).await?
    }

    async fn raise(&mut self, slot: Slot, group_count: u64) {
        let chain = self.intake.chain();
        let storage = chain.storage();
        let raised = storage.has_data_columns().and_then(|has_columns| {
            let situation = Situation {
                slot,
                head_slot: chain.head().slot(),
                has_columns,
            };
            let from = situation.step::<P>();
            let step = CustodyStep { from, group_count };
            // First what is true in any case.
            storage.put_columns_kept(ColumnsKept { group_count, from })?;
            let mut steps = storage.custody_steps()?;
            steps.push(step);
            storage.put_custody_steps(&steps)?;
            Ok(step)
        });
        let step = match raised {
            Ok(step) => step,
            Err(error) => {
                tracing::error!(%error, "Custody is not stored, and stays as it is");
                return;
            }
        };
        if !raise_custody(&self.intake, self.network.node_id(), step, chain.spec()) {
            return;
        }
        self.group_count = group_count;
        self.router.follow_custody().await;
        if self.network.set_custody_group_count(group_count).await.is_err() {
            tracing::debug!("Network has stopped");
        }
        tracing::info!(group_count, from = %step.from, "Custody grows with the stake of attached validators");
    }
}

/// Whether it could be done.
pub(crate) fn raise_custody<P: Preset>(
    intake: &Intake<P>,
    node_id: [u8; 32],
    step: CustodyStep,
    spec: &ChainSpec,
) -> bool {
    match Custody::of_node::<P>(node_id, step.group_count, spec) {
        Ok(custody) => {
            intake.raise_custody(step.from, custody);
            true
        }
        Err(error) => {
            tracing::error!(%error, group_count = step.group_count, "Custody cannot grow");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::Identity;
    use types::{Minimal, Root};

    fn storage() -> Storage<Minimal> {
        Storage::in_memory(Identity {
            genesis_validators_root: Root::ZERO,
            genesis_time: 1,
        })
        .unwrap()
    }

    fn at(slot: u64, head_slot: u64, has_columns: bool) -> Slot {
        let situation = Situation {
            slot: Slot::new(slot),
            head_slot: Slot::new(head_slot),
            has_columns,
        };
        situation.step::<Minimal>()
    }

    #[test]
    fn a_node_that_has_missed_columns_says_from_when_it_has_all() {
        // Before the first blob nothing is missing, unless the block of this very slot has some.
        assert_eq!(at(3, 2, false), Slot::new(4));
        // Blocks with blobs came before, or are still to be fetched.
        for step in [at(17, 16, true), at(17, 3, false), at(23, 3, true)] {
            assert_eq!(step, Slot::new(32));
        }
    }

    #[test]
    fn a_restart_keeps_the_highest_custody() {
        let storage = storage();
        let steps = [CustodyStep {
            from: Slot::new(4),
            group_count: 16,
        }];
        storage.put_custody_steps(&steps).unwrap();
        assert_eq!(stored_steps(&storage, 4).unwrap(), steps);
        // Once it was started as a supernode it stays one.
        let supernode = [CustodyStep {
            from: Slot::new(0),
            group_count: 128,
        }];
        for group_count in [128, 4] {
            assert_eq!(stored_steps(&storage, group_count).unwrap(), supernode);
            assert_eq!(storage.custody_steps().unwrap(), supernode);
        }
    }
}
