//! The handle that the rest of the node holds.

use crate::states::StateCache;
use crate::{ChainError, ChainEvent, HeadSnapshot, PayloadBegun};
use arc_swap::ArcSwap;
use execution_layer::ExecutionLayer;
use fork_choice::Store;
use parking_lot::{RwLock, RwLockReadGuard};
use runtime::{SlotClock, WorkerPool};
use std::sync::Arc;
use storage::Storage;
use tokio::sync::broadcast;
use types::{ChainSpec, Epoch, ForkDigest, ForkName, Preset, Root, SignedBeaconBlock, Slot};

/// Events that a slow listener may be behind.
const EVENT_BACKLOG: usize = 512;

/// What a chain needs of its surroundings.
#[derive(Debug, Clone)]
pub struct ChainConfig<P: Preset> {
    /// The network's configuration.
    pub spec: Arc<ChainSpec>,
    /// The clock.
    pub clock: SlotClock,
    /// The database.
    pub storage: Arc<Storage<P>>,
    /// The execution client; without one, every payload stays unverified.
    pub execution_layer: Option<Arc<ExecutionLayer>>,
    /// Threads for heavy work.
    pub workers: WorkerPool,
}

/// The chain. Shared as `Arc`.
#[derive(Debug)]
pub struct BeaconChain<P: Preset> {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) clock: SlotClock,
    pub(crate) storage: Arc<Storage<P>>,
    pub(crate) execution_layer: Option<Arc<ExecutionLayer>>,
    pub(crate) workers: WorkerPool,
    pub(crate) genesis_time: u64,
    pub(crate) genesis_validators_root: Root,
    pub(crate) fork_choice: RwLock<Store>,
    pub(crate) head: ArcSwap<HeadSnapshot<P>>,
    pub(crate) states: StateCache<P>,
    /// Held by whoever writes fork choice and database.
    pub(crate) import_permit: tokio::sync::Mutex<()>,
    pub(crate) events: broadcast::Sender<ChainEvent>,
}

impl<P: Preset> BeaconChain<P> {
    pub(crate) fn new(
        config: ChainConfig<P>,
        fork_choice: Store,
        head: HeadSnapshot<P>,
        states: StateCache<P>,
    ) -> Self {
        Self {
            spec: config.spec,
            clock: config.clock,
            storage: config.storage,
            execution_layer: config.execution_layer,
            workers: config.workers,
            genesis_time: head.state.genesis_time(),
            genesis_validators_root: head.state.genesis_validators_root(),
            fork_choice: RwLock::new(fork_choice),
            head: ArcSwap::from_pointee(head),
            states,
            import_permit: tokio::sync::Mutex::new(()),
            events: broadcast::channel(EVENT_BACKLOG).0,
        }
    }

    /// The network's configuration.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The clock.
    pub fn clock(&self) -> &SlotClock {
        &self.clock
    }

    /// The execution client.
    pub fn execution_layer(&self) -> Option<&Arc<ExecutionLayer>> {
        self.execution_layer.as_ref()
    }

    /// Threads for heavy work.
    pub fn workers(&self) -> &WorkerPool {
        &self.workers
    }

    /// The database.
    pub fn storage(&self) -> &Arc<Storage<P>> {
        &self.storage
    }

    /// Seconds since the Unix epoch.
    pub fn genesis_time(&self) -> u64 {
        self.genesis_time
    }

    /// Root of the genesis validators.
    pub fn genesis_validators_root(&self) -> Root {
        self.genesis_validators_root
    }

    /// The current slot; slot 0 before genesis.
    pub fn current_slot(&self) -> Slot {
        self.clock.now_slot().unwrap_or_default()
    }

    /// The current epoch; epoch 0 before genesis.
    pub fn current_epoch(&self) -> Epoch {
        self.current_slot().epoch::<P>()
    }

    /// The fork of a slot.
    pub fn fork_name_at_slot(&self, slot: Slot) -> ForkName {
        self.spec.fork_name_at_epoch(slot.epoch::<P>())
    }

    /// The fork digest of an epoch.
    pub fn fork_digest(&self, epoch: Epoch) -> ForkDigest {
        self.spec.compute_fork_digest(self.genesis_validators_root, epoch)
    }

    /// The head.
    pub fn head(&self) -> Arc<HeadSnapshot<P>> {
        self.head.load_full()
    }

    /// The fork choice, for questions. Not to be held over an `.await`.
    pub fn fork_choice(&self) -> RwLockReadGuard<'_, Store> {
        self.fork_choice.read()
    }

    /// Whether a block is imported and not finalised away.
    pub fn contains_block(&self, root: &Root) -> bool {
        self.fork_choice.read().contains(root)
    }

    /// A block, from the head or the database.
    pub fn get_block(&self, root: &Root) -> Result<Option<Arc<SignedBeaconBlock<P>>>, ChainError> {
        let head = self.head.load();
        if head.root == *root
            && let Some(block) = &head.block
        {
            return Ok(Some(Arc::clone(block)));
        }
        Ok(self.storage.get_block(root)?.map(Arc::new))
    }

    /// Root of the genesis block, where it is at hand: a chain that begins with a checkpoint needs it for nothing itself.
    pub fn genesis_root(&self) -> Result<Option<Root>, ChainError> {
        Ok(self.storage.genesis_root()?)
    }

    /// Root of the canonical block at `slot`, or of the latest one before it.
    pub fn canonical_root_at_or_before(&self, slot: Slot) -> Result<Option<Root>, ChainError> {
        let head = self.head();
        if slot >= head.slot() {
            return Ok(Some(head.root));
        }
        {
            let fork_choice = self.fork_choice.read();
            let anchor_slot = fork_choice.blocks().first().map(|node| node.slot).unwrap_or_default();
            if slot >= anchor_slot {
                return Ok(fork_choice.get_ancestor(&head.root, slot).ok());
            }
        }
        Ok(self.storage.canonical_at_or_before(slot)?.map(|(_, root)| root))
    }

    /// Root of the canonical block of exactly `slot`; none if the slot is empty.
    pub fn canonical_root_at(&self, slot: Slot) -> Result<Option<Root>, ChainError> {
        let Some(root) = self.canonical_root_at_or_before(slot)? else {
            return Ok(None);
        };
        let known_slot = self.fork_choice.read().block(&root).map(|node| node.slot);
        let block_slot = match known_slot {
            Some(block_slot) => block_slot,
            None => match self.storage.get_block(&root)? {
                Some(block) => block.slot(),
                None => return Ok(None),
            },
        };
        Ok((block_slot == slot).then_some(root))
    }

    /// News of the chain.
    pub fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.events.subscribe()
    }

    /// Tells that the execution client has been told to begin a payload.
    pub fn announce_payload(&self, begun: PayloadBegun) {
        self.send(ChainEvent::PayloadBegun(Box::new(begun)));
    }

    pub(crate) fn send(&self, event: ChainEvent) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }
}
