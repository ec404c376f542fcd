//! Blocks: from a state at the block's slot to the state after it.

pub mod error;
pub mod eth1_data;
pub mod execution_payload;
pub mod header;
pub mod operations;
pub mod randao;
pub mod sync_aggregate;
pub mod transition;
pub mod withdrawals;

pub use error::{BlockError, OperationError, OperationKind};
pub use transition::{BlockSignatures, process_block, state_transition};
