//! How far back a node keeps blocks and data columns for others.

use crate::{BeaconChain, ChainError};
use types::{Epoch, Preset, Slot};

impl<P: Preset> BeaconChain<P> {
    /// The first slot of whose blocks every node keeps the columns of its custody. Nobody needs older ones to import a block.
    ///
    /// Spec: fulu/p2p-interface.md#datacolumnsidecarsbyrange-v1, `data_column_serve_range`
    pub fn columns_served_from(&self) -> Slot {
        self.served_from(self.spec.min_epochs_for_data_column_sidecars_requests)
    }

    /// The first slot whose blocks every node keeps. Blocks of forks before Fulu are not known here.
    ///
    /// Spec: phase0/p2p-interface.md#beaconblocksbyrange-v1
    pub fn blocks_served_from(&self) -> Slot {
        self.served_from(self.spec.min_epochs_for_block_requests)
    }

    fn served_from(&self, epochs: u64) -> Slot {
        let first: Epoch = self.current_epoch().saturating_sub(epochs);
        first.max(self.spec.fulu_fork_epoch).start_slot::<P>()
    }

    /// The first slot of whose blocks this node has everything that others may ask for: the block, and the columns of all
    /// custody groups that it names.
    ///
    /// Spec: fulu/p2p-interface.md#status-v2, `earliest_available_slot`
    pub fn earliest_available_slot(&self) -> Result<Slot, ChainError> {
        let blocks_from = self.storage.oldest_block()?.map(|(slot, _)| slot).unwrap_or_default();
        let columns_from = self.columns_available_from()?;
        if columns_from <= self.columns_served_from() {
            return Ok(blocks_from);
        }
        Ok(blocks_from.max(columns_from))
    }

    /// The first slot of whose blocks the columns of this node's custody are here, as far as they are not pruned.
    pub fn columns_available_from(&self) -> Result<Slot, ChainError> {
        Ok(self.storage.columns_kept()?.map(|kept| kept.from).unwrap_or_default())
    }
}
