//! Blocks that were asked for, of which nothing is verified yet: they are imported in a row, with their columns.

use crate::columns::{ColumnSource, RootedBlock};
use beacon_chain::{BeaconChain, ImportError};
use intake::Intake;
use network::PeerId;
use runtime::Priority;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use types::{Preset, Root, SignedBeaconBlock};

/// How often a branch is tried of which something is missing.
const BRANCH_ATTEMPTS: u32 = 6;

/// Why not all blocks of a row were imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The parent of the first is not known.
    Unlinked,
    /// A block is invalid, or not the child of the one before it.
    Faulty,
    /// Something is missing through nobody's fault.
    Later,
}

/// A branch that was looked up: blocks, parents first, with who sent them.
pub(crate) struct Branch<P: Preset> {
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) columns: ColumnSource,
    pub(crate) blocks: Vec<(PeerId, Arc<SignedBeaconBlock<P>>)>,
}

impl<P: Preset> Branch<P> {
    /// Imports it. What is missing may come late: as long as there is a place, it is tried again after 1, 2, 4 slots and so
    /// on. Gives whose fault it is, if it is anybody's.
    pub(crate) async fn import(self, retries: &Semaphore) -> Option<PeerId> {
        let (senders, blocks): (Vec<_>, Vec<_>) = self.blocks.into_iter().unzip();
        let slot = Duration::from_millis(self.intake.chain().spec().slot_duration_ms);
        let mut place_to_wait = None;
        for attempt in 0..BRANCH_ATTEMPTS {
            match import_batch(Arc::clone(&self.intake), self.columns.clone(), blocks.clone()).await {
                Ok(()) | Err((_, Setback::Unlinked)) => return None,
                Err((place, Setback::Faulty)) => {
                    // The last one came by gossip, where blocks are passed on before they are executed.
                    let is_ancestor = place.saturating_add(1) < senders.len();
                    return senders.get(place).copied().filter(|_| is_ancestor);
                }
                Err((_, Setback::Later)) => {
                    if place_to_wait.is_none() {
                        place_to_wait = Some(retries.try_acquire().ok()?);
                    }
                    tokio::time::sleep(slot.saturating_mul(1 << attempt)).await;
                }
            }
        }
        None
    }
}

/// Imports a row of blocks, of which nothing is verified yet. An error names the place of the block that it comes from.
pub(crate) async fn import_batch<P: Preset>(
    intake: Arc<Intake<P>>,
    columns: ColumnSource,
    blocks: Vec<Arc<SignedBeaconBlock<P>>>,
) -> Result<(), (usize, Setback)> {
    let blocks: Vec<RootedBlock<P>> = blocks.into_iter().map(|block| (block.block_root(), block)).collect();
    check_links(intake.chain(), &blocks)?;
    columns.fetch(&intake, &blocks, Priority::BlockImport).await;
    for (place, rooted) in blocks.iter().enumerate() {
        if let Err(setback) = import_fetched(&intake, &columns, rooted).await {
            // Nobody has looked at whether those behind a block that is not imported are signed.
            let of_no_use = place.saturating_add(usize::from(setback == Setback::Later));
            forget_columns(&intake, blocks.get(of_no_use..).unwrap_or_default());
            return Err((place, setback));
        }
    }
    Ok(())
}

/// Whether the columns of blocks are worth asking for: a row that begins at a block that is known, after what is final,
/// and does not reach beyond the clock.
fn check_links<P: Preset>(chain: &BeaconChain<P>, blocks: &[RootedBlock<P>]) -> Result<(), (usize, Setback)> {
    let Some((_, first)) = blocks.first() else {
        return Ok(());
    };
    if !chain.contains_block(&first.parent_root()) {
        return Err((0, Setback::Unlinked));
    }
    let mut after = chain.head().finalized_checkpoint.epoch.start_slot::<P>();
    let mut parent = first.parent_root();
    for (place, (root, block)) in blocks.iter().enumerate() {
        let is_in_order = block.slot() > after && block.slot() <= chain.current_slot();
        // What is known may be as old as it likes.
        if block.parent_root() != parent || !(is_in_order || chain.contains_block(root)) {
            return Err((place, Setback::Faulty));
        }
        (after, parent) = (block.slot(), *root);
    }
    Ok(())
}

async fn import_fetched<P: Preset>(
    intake: &Arc<Intake<P>>,
    columns: &ColumnSource,
    rooted: &RootedBlock<P>,
) -> Result<(), Setback> {
    let slot = rooted.1.slot();
    let mut imported = intake.import_unverified(Arc::clone(&rooted.1)).await;
    if matches!(imported, Err(ImportError::DataUnavailable(_))) {
        columns
            .fetch(intake, std::slice::from_ref(rooted), Priority::BlockImport)
            .await;
        imported = intake.import_unverified(Arc::clone(&rooted.1)).await;
    }
    match imported {
        Ok(_) | Err(ImportError::AlreadyKnown(_)) => Ok(()),
        Err(error)
            if !error.is_invalid_payload()
                && (error.is_invalid_block() || matches!(error, ImportError::UnknownParent(_))) =>
        {
            tracing::warn!(%slot, %error, "Fetched block is not imported");
            Err(Setback::Faulty)
        }
        // What the execution client says is not the peer's fault.
        Err(error) => {
            tracing::warn!(%slot, %error, "Fetched block is not imported for now");
            Err(Setback::Later)
        }
    }
}

/// Anybody can make columns for blocks that nobody signed: they are not to fill the disk.
fn forget_columns<P: Preset>(intake: &Intake<P>, blocks: &[RootedBlock<P>]) {
    let is_of_use = |root: &Root| intake.chain().contains_block(root) || intake.is_waiting(root);
    for (root, block) in blocks.iter().filter(|(root, _)| !is_of_use(root)) {
        if let Err(error) = intake.chain().storage().remove_data_columns(block.slot(), root) {
            tracing::error!(%root, %error, "Columns of an invalid block are not removed");
        }
    }
}
