//! The head as readers see it.

use std::sync::Arc;
use types::{BeaconState, Checkpoint, Preset, Root, SignedBeaconBlock, Slot};

/// The head with its state. Never changes; a new head is a new snapshot.
#[derive(Debug, Clone)]
pub struct HeadSnapshot<P: Preset> {
    /// Root of the head block.
    pub root: Root,
    /// The head block; none where the chain starts from a state alone and nothing was built on it yet.
    pub block: Option<Arc<SignedBeaconBlock<P>>>,
    /// State after the head block.
    pub state: Arc<BeaconState<P>>,
    /// Root of that state.
    pub state_root: Root,
    /// Whether the head's payload is not verified.
    pub execution_optimistic: bool,
    /// Justified checkpoint of the fork choice.
    pub justified_checkpoint: Checkpoint,
    /// Finalised checkpoint of the fork choice.
    pub finalized_checkpoint: Checkpoint,
}

impl<P: Preset> HeadSnapshot<P> {
    /// Slot of the head block.
    pub fn slot(&self) -> Slot {
        self.block
            .as_ref()
            .map_or(self.state.latest_block_header().slot, |block| block.slot())
    }
}
