//! Finding the state or the block that a path names.

use crate::bodies::Bodies;
use crate::indices::SignerTable;
use crate::{ApiContext, ApiFailure, metrics};
use beacon_api::{BlockId, StateId};
use beacon_chain::BeaconChain;
use parking_lot::Mutex;
use runtime::{Priority, Shutdown};
use std::fmt::Display;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use types::{BeaconState, Epoch, Preset, Root, SignedBeaconBlock, Slot};

/// Long jobs at once: each takes a worker, and memory. One worker is left to others.
const MAX_LONG_JOBS: usize = 2;
/// Epochs after the head up to which a state is computed for whoever asks: each costs the end of an epoch.
const MAX_EPOCHS_AFTER_HEAD: u64 = 4;

/// What reading handlers work with.
#[derive(Debug)]
pub(crate) struct Reader<P: Preset> {
    context: Arc<ApiContext<P>>,
    long_jobs: Arc<Semaphore>,
    /// Bodies of requests.
    pub(crate) bodies: Bodies,
    /// Public keys of the states asked about last.
    pub(crate) tables: Mutex<Vec<Arc<SignerTable>>>,
    /// The end, for answers without one.
    pub(crate) shutdown: Shutdown,
}

impl<P: Preset> Deref for Reader<P> {
    type Target = ApiContext<P>;

    fn deref(&self) -> &ApiContext<P> {
        &self.context
    }
}

/// A state with where it was read from.
#[derive(Debug, Clone)]
pub(crate) struct FoundState<P: Preset> {
    /// The state.
    pub(crate) state: Arc<BeaconState<P>>,
    /// Whose key sets say which virtual keys there are: the state's epoch; for the head, the clock's, because a key
    /// that comes into force does not wait for a block.
    pub(crate) key_epoch: Epoch,
    /// Whether the execution client has still to verify it.
    pub(crate) execution_optimistic: bool,
    /// Whether it is finalised.
    pub(crate) finalized: bool,
}

/// A block with where it was read from.
#[derive(Debug, Clone)]
pub(crate) struct FoundBlock<P: Preset> {
    /// The block.
    pub(crate) block: Arc<SignedBeaconBlock<P>>,
    /// Its root.
    pub(crate) root: Root,
    /// Whether it is in the chain of the head.
    pub(crate) canonical: bool,
    /// Whether the execution client has still to verify it.
    pub(crate) execution_optimistic: bool,
    /// Whether it is finalised.
    pub(crate) finalized: bool,
}

/// A state before it is loaded: a branch and a slot on it.
#[derive(Debug, Clone, Copy)]
struct Place {
    block_root: Root,
    slot: Slot,
    canonical: bool,
    /// The root that was asked for.
    state_root: Option<Root>,
}

impl<P: Preset> Reader<P> {
    pub(crate) fn new(context: Arc<ApiContext<P>>, shutdown: Shutdown) -> Self {
        let at_once = context.chain.workers().threads().saturating_sub(1).max(1);
        Self {
            long_jobs: Arc::new(Semaphore::new(at_once.min(MAX_LONG_JOBS))),
            bodies: Bodies::new(&context.settings.body_limits, at_once),
            context,
            tables: Mutex::default(),
            shutdown,
        }
    }

    /// Runs work on the chain's workers.
    pub(crate) async fn on_worker<T, F>(&self, work: F) -> Result<T, ApiFailure>
    where
        T: Send + 'static,
        F: FnOnce(&BeaconChain<P>) -> Result<T, ApiFailure> + Send + 'static,
    {
        let chain = Arc::clone(&self.chain);
        self.chain
            .workers()
            .run(Priority::ApiRequest, move || work(&chain))
            .await?
    }

    /// The same for work that takes long: few at a time. What has begun keeps its turn if the caller hangs up.
    pub(crate) async fn in_turn<T, F>(&self, work: F) -> Result<T, ApiFailure>
    where
        T: Send + 'static,
        F: FnOnce(&BeaconChain<P>) -> Result<T, ApiFailure> + Send + 'static,
    {
        let turn = Arc::clone(&self.long_jobs).acquire_owned().await;
        let turn = turn.map_err(ApiFailure::unavailable)?;
        self.on_worker(move |chain| {
            let result = work(chain);
            drop(turn);
            result
        })
        .await
    }

    /// The same for work that replays states.
    pub(crate) async fn replaying<T, F>(&self, work: F) -> Result<T, ApiFailure>
    where
        T: Send + 'static,
        F: FnOnce(&BeaconChain<P>) -> Result<T, ApiFailure> + Send + 'static,
    {
        self.in_turn(|chain| {
            let started = Instant::now();
            let result = work(chain);
            metrics::note_state(started.elapsed().as_secs_f64());
            result
        })
        .await
    }

    fn first_finalized_slot(&self) -> Slot {
        self.chain.head().finalized_checkpoint.epoch.start_slot::<P>()
    }

    fn is_optimistic(&self, root: &Root) -> bool {
        // A block that is not in the fork choice any more is finalised.
        self.chain.fork_choice().is_optimistic(root).unwrap_or(false)
    }

    /// The head's state.
    pub(crate) fn head_state(&self) -> FoundState<P> {
        let head = self.chain.head();
        FoundState {
            state: Arc::clone(&head.state),
            key_epoch: head.state.current_epoch().max(self.chain.current_epoch()),
            execution_optimistic: head.execution_optimistic,
            finalized: head.state.slot() <= head.finalized_checkpoint.epoch.start_slot::<P>(),
        }
    }

    /// The state that a path names.
    pub(crate) async fn state(&self, id: &str) -> Result<FoundState<P>, ApiFailure> {
        let id: StateId = id.parse()?;
        let head = self.chain.head();
        if id == StateId::Head
            || id == StateId::Root(head.state_root)
            || (id == StateId::Slot(head.slot()) && head.state.slot() == head.slot())
        {
            return Ok(self.head_state());
        }
        let not_found = move || unknown("state", id, id == StateId::Genesis);
        let current_slot = self.chain.current_slot();
        let (place, state) = self
            .replaying(move |chain| {
                let place = place_of_state(chain, id, current_slot)?.ok_or_else(not_found)?;
                let state = chain
                    .state_at_slot(&place.block_root, place.slot)?
                    .ok_or_else(not_found)?;
                if let Some(root) = place.state_root
                    && BeaconState::clone(&state)
                        .canonical_root()
                        .map_err(|error| ApiFailure::internal(format!("{error:?}")))?
                        != root
                {
                    return Err(not_found());
                }
                Ok((place, state))
            })
            .await?;
        Ok(FoundState {
            execution_optimistic: self.is_optimistic(&place.block_root),
            finalized: place.canonical && state.slot() <= self.first_finalized_slot(),
            key_epoch: state.current_epoch(),
            state,
        })
    }

    /// The block that a path names.
    pub(crate) async fn block(&self, id: &str) -> Result<FoundBlock<P>, ApiFailure> {
        let id: BlockId = id.parse()?;
        let not_found = move || unknown("block", id, id == BlockId::Genesis);
        let (root, block, canonical) = self
            .on_worker(move |chain| {
                let root = root_of_block(chain, id)?.ok_or_else(not_found)?;
                let block = chain.get_block(&root)?.ok_or_else(not_found)?;
                let canonical = match id {
                    BlockId::Root(_) => is_canonical(chain, &root, block.slot())?,
                    _ => true,
                };
                Ok((root, block, canonical))
            })
            .await?;
        Ok(self.found_block(root, block, canonical))
    }

    /// A block with its place.
    pub(crate) fn found_block(&self, root: Root, block: Arc<SignedBeaconBlock<P>>, canonical: bool) -> FoundBlock<P> {
        FoundBlock {
            execution_optimistic: self.is_optimistic(&root),
            finalized: canonical && block.slot() <= self.first_finalized_slot(),
            canonical,
            block,
            root,
        }
    }
}

fn unknown(what: &str, id: impl Display, is_genesis: bool) -> ApiFailure {
    let why = if is_genesis {
        ": this node began with a checkpoint, and its --testnet-dir has no genesis.ssz"
    } else {
        ""
    };
    ApiFailure::not_found(format!("{what} {id} is not known{why}"))
}

/// A slot is too far after the head.
#[derive(Debug, thiserror::Error)]
#[error(
    "slot {slot} is too far after the head's slot {head}: states are computed up to {MAX_EPOCHS_AFTER_HEAD} epochs after \
     it, that is slot {latest}"
)]
pub(crate) struct TooFar {
    slot: Slot,
    head: Slot,
    latest: Slot,
}

/// Whether the state of a slot is computed for whoever asks.
pub(crate) fn check_distance<P: Preset>(head: Slot, slot: Slot) -> Result<(), TooFar> {
    let latest = head.saturating_add(MAX_EPOCHS_AFTER_HEAD.saturating_mul(P::slots_per_epoch()));
    if slot > latest {
        return Err(TooFar { slot, head, latest });
    }
    Ok(())
}

/// Whether a block is in the chain of the head.
pub(crate) fn is_canonical<P: Preset>(chain: &BeaconChain<P>, root: &Root, slot: Slot) -> Result<bool, ApiFailure> {
    Ok(canonical_root_at_or_before(chain, slot)? == Some(*root))
}

/// The genesis may be known though the chain here begins later.
fn canonical_root_at_or_before<P: Preset>(chain: &BeaconChain<P>, slot: Slot) -> Result<Option<Root>, ApiFailure> {
    Ok(if slot == Slot::new(0) {
        chain.genesis_root()?
    } else {
        chain.canonical_root_at_or_before(slot)?
    })
}

/// Root of the canonical block of exactly `slot`.
pub(crate) fn canonical_root_at<P: Preset>(chain: &BeaconChain<P>, slot: Slot) -> Result<Option<Root>, ApiFailure> {
    Ok(if slot == Slot::new(0) {
        chain.genesis_root()?
    } else {
        chain.canonical_root_at(slot)?
    })
}

fn root_of_block<P: Preset>(chain: &BeaconChain<P>, id: BlockId) -> Result<Option<Root>, ApiFailure> {
    let head = chain.head();
    Ok(match id {
        BlockId::Head => Some(head.root),
        BlockId::Genesis => chain.genesis_root()?,
        BlockId::Finalized => Some(head.finalized_checkpoint.root),
        BlockId::Slot(slot) if slot > head.slot() => None,
        BlockId::Slot(slot) => canonical_root_at(chain, slot)?,
        BlockId::Root(root) => Some(root),
    })
}

fn place_of_state<P: Preset>(
    chain: &BeaconChain<P>,
    id: StateId,
    current_slot: Slot,
) -> Result<Option<Place>, ApiFailure> {
    let head = chain.head();
    let at_slot = |slot: Slot, state_root| -> Result<Option<Place>, ApiFailure> {
        Ok(canonical_root_at_or_before(chain, slot)?.map(|block_root| Place {
            block_root,
            slot,
            canonical: true,
            state_root,
        }))
    };
    let at_checkpoint = |checkpoint: types::Checkpoint| Place {
        block_root: checkpoint.root,
        slot: checkpoint.epoch.start_slot::<P>(),
        canonical: true,
        state_root: None,
    };
    match id {
        StateId::Head => at_slot(head.slot(), None),
        StateId::Genesis => at_slot(Slot::new(0), None),
        StateId::Finalized => Ok(Some(at_checkpoint(head.finalized_checkpoint))),
        StateId::Justified => Ok(Some(at_checkpoint(head.justified_checkpoint))),
        StateId::Slot(slot) if slot > current_slot => Ok(None),
        StateId::Slot(slot) => {
            check_distance::<P>(head.slot(), slot).map_err(ApiFailure::not_found)?;
            at_slot(slot, None)
        }
        StateId::Root(root) => {
            let node = chain
                .fork_choice()
                .blocks()
                .iter()
                .find(|node| node.state_root == root)
                .map(|node| (node.root, node.slot));
            if let Some((block_root, slot)) = node {
                return Ok(Some(Place {
                    block_root,
                    slot,
                    canonical: is_canonical(chain, &block_root, slot)?,
                    state_root: Some(root),
                }));
            }
            // The head's state knows the roots of the states before it.
            match slot_of_state_root(&head.state, root) {
                Some(slot) => at_slot(slot, Some(root)),
                None => Ok(None),
            }
        }
    }
}

fn slot_of_state_root<P: Preset>(state: &BeaconState<P>, root: Root) -> Option<Slot> {
    let length = u64::try_from(state.state_roots().len()).ok()?;
    let position = u64::try_from(state.state_roots().iter().position(|other| *other == root)?).ok()?;
    // The latest slot before the state's own whose remainder is the position.
    let last = state.slot().as_u64().checked_sub(1)?;
    let back = (last + length - position) % length;
    last.checked_sub(back).map(Slot::new)
}
