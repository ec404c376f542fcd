//! Blocks that were asked for, of which nothing is verified yet: they are imported in a row, with their columns.

use crate::columns::{ColumnSource, RootedBlock};
use beacon_chain::{ChainEvent, ImportError};
use intake::Intake;
use network::PeerId;
use parking_lot::Mutex;
use runtime::Priority;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use types::{ColumnIndex, Preset, Root, SignedBeaconBlock};

/// How often a branch is tried of which something is missing.
const BRANCH_ATTEMPTS: u32 = 6;
/// Branches that wait to be tried again.
const MAX_RETRIES: usize = 16;
/// Of these, such as lack something of the same block: anybody can name it as a parent.
const MAX_RETRIES_PER_BLOCK: usize = 4;

/// Why not all blocks of a row were imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// A parent is not known.
    Unlinked,
    /// A block is invalid, or not the child of the one before it.
    Faulty,
    /// Something is missing through nobody's fault.
    Later,
}

/// Places for branches that wait, by the block that something is missing of. Whoever has waited longest for a block tries
/// again; the others wait until it is imported.
#[derive(Debug, Default)]
pub(crate) struct Retries(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// Numbers of places, ascending.
    of_block: HashMap<Root, Vec<u64>>,
    next: u64,
}

/// A place, until it is dropped.
#[must_use]
struct Place<'a> {
    retries: &'a Retries,
    root: Root,
    number: u64,
}

impl Retries {
    fn take(&self, root: Root) -> Option<Place<'_>> {
        let mut places = self.0.lock();
        let all: usize = places.of_block.values().map(Vec::len).sum();
        let of_block = places.of_block.get(&root).map_or(0, Vec::len);
        if all >= MAX_RETRIES || of_block >= MAX_RETRIES_PER_BLOCK {
            return None;
        }
        let number = places.next;
        places.next = number.wrapping_add(1);
        places.of_block.entry(root).or_default().push(number);
        Some(Place {
            retries: self,
            root,
            number,
        })
    }

    fn is_waited_for(&self, root: &Root) -> bool {
        self.0.lock().of_block.contains_key(root)
    }
}

impl Place<'_> {
    fn is_first(&self) -> bool {
        let places = self.retries.0.lock();
        let of_block = places.of_block.get(&self.root);
        of_block.and_then(|numbers| numbers.first()) == Some(&self.number)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.retries.0.lock();
        if let Some(numbers) = places.of_block.get_mut(&self.root) {
            numbers.retain(|number| *number != self.number);
        }
        places.of_block.retain(|_, numbers| !numbers.is_empty());
    }
}

/// A branch that was looked up: blocks, parents first, with who sent them. The last one came by gossip; it is none if it is a
/// proposal, whose signature is not complete.
pub(crate) struct Branch<P: Preset> {
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) columns: ColumnSource,
    pub(crate) blocks: Vec<(PeerId, Option<Arc<SignedBeaconBlock<P>>>)>,
}

impl<P: Preset> Branch<P> {
    /// Imports it. What is missing may come late: as long as there is a place, it is tried again when the block that lacks
    /// something is imported, and after 1, 2, 4 slots and so on. Gives whose fault it is, if it is anybody's.
    pub(crate) async fn import(self, retries: &Retries) -> Option<PeerId> {
        let chain = self.intake.chain();
        let (senders, blocks): (Vec<_>, Vec<_>) = self.blocks.into_iter().unzip();
        let blocks = with_roots(blocks.into_iter().flatten());
        let slot = Duration::from_millis(chain.spec().slot_duration_ms);
        let unknown = blocks.iter().find(|(root, _)| !chain.contains_block(root));
        let mut place = match unknown {
            Some((root, _)) if retries.is_waited_for(root) => Some(retries.take(*root)?),
            _ => None,
        };
        for attempt in 1..=BRANCH_ATTEMPTS {
            let events = chain.subscribe();
            let is_turn = |place: &Place<'_>| place.is_first() || chain.contains_block(&place.root);
            if place.as_ref().is_none_or(is_turn) {
                match import_batch(&self.intake, &self.columns, &blocks).await {
                    Ok(()) | Err((_, Setback::Unlinked)) => return None,
                    Err((failed, Setback::Faulty)) => {
                        // By gossip, blocks are passed on before they are executed.
                        let is_ancestor = failed.saturating_add(1) < senders.len();
                        return senders.get(failed).copied().filter(|_| is_ancestor);
                    }
                    Err((failed, Setback::Later)) => {
                        let (root, _) = blocks.get(failed)?;
                        if place.as_ref().is_none_or(|place| place.root != *root) {
                            place = Some(retries.take(*root)?);
                        }
                    }
                }
            }
            let root = place.as_ref()?.root;
            if attempt < BRANCH_ATTEMPTS {
                let pause = slot.saturating_mul(1 << (attempt - 1));
                tokio::select! { () = tokio::time::sleep(pause) => {}, () = until_imported(events, root) => {} }
            }
        }
        None
    }
}

/// Ends with the import of a block, or when nobody can tell of it any more.
async fn until_imported(mut events: broadcast::Receiver<ChainEvent>, block: Root) {
    loop {
        match events.recv().await {
            Ok(ChainEvent::Block { root, .. }) if root == block => return,
            Ok(_) => {}
            // Its event may be among those that were missed.
            Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return,
        }
    }
}

pub(crate) fn with_roots<P: Preset>(
    blocks: impl IntoIterator<Item = Arc<SignedBeaconBlock<P>>>,
) -> Vec<RootedBlock<P>> {
    blocks.into_iter().map(|block| (block.block_root(), block)).collect()
}

/// Imports a row of blocks, of which nothing is verified yet. An error names the place of the block that it comes from.
pub(crate) async fn import_batch<P: Preset>(
    intake: &Arc<Intake<P>>,
    columns: &ColumnSource,
    blocks: &[RootedBlock<P>],
) -> Result<(), (usize, Setback)> {
    let (linked, end) = linked(intake, blocks);
    let mut fetched = columns.fetch(intake, linked, Priority::BlockImport).await;
    for (place, rooted) in linked.iter().enumerate() {
        if let Err(setback) = import_fetched(intake, columns, rooted, &mut fetched).await {
            // Nobody has looked at whether those behind a block that is not imported are signed.
            let of_no_use = place.saturating_add(usize::from(setback == Setback::Later));
            forget_columns(intake, linked.get(of_no_use..).unwrap_or_default(), &fetched);
            return Err((place, setback));
        }
    }
    end.map_or(Ok(()), |setback| Err((linked.len(), setback)))
}

/// The blocks whose columns are worth asking for: a row that begins at a block that is known, after what is final, does not
/// reach beyond the clock, and has no more blobs than a block may have. And what is wrong with the next one.
fn linked<'a, P: Preset>(intake: &Intake<P>, blocks: &'a [RootedBlock<P>]) -> (&'a [RootedBlock<P>], Option<Setback>) {
    let chain = intake.chain();
    let Some((_, first)) = blocks.first() else {
        return (blocks, None);
    };
    if !chain.contains_block(&first.parent_root()) {
        return (&[], Some(Setback::Unlinked));
    }
    let mut after = chain.head().finalized_checkpoint.epoch.start_slot::<P>();
    let mut parent = first.parent_root();
    for (place, (root, block)) in blocks.iter().enumerate() {
        let before = blocks.get(..place).unwrap_or_default();
        // What is known may be as old as it likes.
        let is_in_order = block.slot() > after || chain.contains_block(root);
        let blobs = block.message().body().blob_kzg_commitments().len() as u64;
        let limit = chain.spec().get_blob_parameters(block.slot().epoch::<P>());
        if block.parent_root() != parent || !is_in_order || blobs > limit.max_blobs_per_block {
            return (before, Some(Setback::Faulty));
        }
        if intake.gossip().check_not_future(block.slot()).is_err() {
            return (before, Some(Setback::Later));
        }
        (after, parent) = (block.slot(), *root);
    }
    (blocks, None)
}

/// With the columns of the block that were fetched for it.
async fn import_fetched<P: Preset>(
    intake: &Arc<Intake<P>>,
    columns: &ColumnSource,
    rooted: &RootedBlock<P>,
    fetched: &mut Vec<(Root, ColumnIndex)>,
) -> Result<(), Setback> {
    let slot = rooted.1.slot();
    let mut imported = intake.import_unverified(Arc::clone(&rooted.1)).await;
    if matches!(imported, Err(ImportError::DataUnavailable(_))) {
        let late = columns.fetch(intake, std::slice::from_ref(rooted), Priority::BlockImport);
        fetched.extend(late.await);
        imported = intake.import_unverified(Arc::clone(&rooted.1)).await;
    }
    match imported {
        Ok(_) | Err(ImportError::AlreadyKnown(_)) => Ok(()),
        // Known when it was asked for: what is final has moved.
        Err(ImportError::UnknownParent(_)) => Err(Setback::Unlinked),
        Err(error) if error.is_invalid_block() && !error.is_invalid_payload() => {
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
fn forget_columns<P: Preset>(intake: &Intake<P>, blocks: &[RootedBlock<P>], fetched: &[(Root, ColumnIndex)]) {
    let is_of_use = |root: &Root| intake.chain().contains_block(root) || intake.is_being_imported(root);
    for (root, block) in blocks.iter().filter(|(root, _)| !is_of_use(root)) {
        let of_block = fetched.iter().filter(|(of, _)| of == root);
        let indices: Vec<ColumnIndex> = of_block.map(|(_, index)| *index).collect();
        if let Err(error) = intake.forget_columns(block.slot(), root, &indices) {
            tracing::error!(%root, %error, "Columns of an invalid block are not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_that_lack_the_same_block_leave_places_for_others() {
        let retries = Retries::default();
        let root = Root::repeat_byte;
        let of_one: Vec<_> = std::iter::repeat_with(|| retries.take(root(1)))
            .take(2 * MAX_RETRIES)
            .flatten()
            .collect();
        assert_eq!(of_one.len(), MAX_RETRIES_PER_BLOCK);
        let others: Vec<_> = (2..=u8::MAX).filter_map(|number| retries.take(root(number))).collect();
        assert_eq!(others.len(), MAX_RETRIES - MAX_RETRIES_PER_BLOCK);
        drop(of_one);
        assert!(!retries.is_waited_for(&root(1)));
        assert!(retries.take(root(1)).is_some());
        drop(others);
        assert!(retries.0.lock().of_block.is_empty());
    }

    #[test]
    fn who_has_waited_longest_for_a_block_tries_again() {
        let retries = Retries::default();
        let take = |number| retries.take(Root::repeat_byte(number)).unwrap();
        let (first, second, third, other) = (take(1), take(1), take(1), take(2));
        let turns = |places: &[&Place<'_>]| places.iter().map(|place| place.is_first()).collect::<Vec<_>>();
        assert_eq!(turns(&[&first, &second, &third, &other]), [true, false, false, true]);
        drop(second);
        assert_eq!(turns(&[&first, &third]), [true, false]);
        drop(first);
        assert_eq!(turns(&[&third]), [true]);
    }
}
