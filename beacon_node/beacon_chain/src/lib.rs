//! The chain: blocks in, a head out.
//!
//! A block passes through a chain of types, each of which can only be made from the one before:
//!
//! ```text
//! SignedBeaconBlock --execute--> ExecutedBlock --import--> fork choice, database, new head
//!                    state transition,            one writer at a time
//!                    engine's verdict
//! ```
//!
//! Executing is done by workers and by as many blocks at once as there are; it changes nothing. Importing is done by
//! one task at a time, which holds the import permit, writes the fork choice and the database, and publishes a new
//! [`HeadSnapshot`] by atomic swap. Readers take the snapshot and never wait for a writer. The lock around the fork
//! choice is held for a question or an update, never over an `.await`.
//!
//! What a group's leader proposes is executed without being imported; when the group's signatures are together, the
//! import is all that is left to do.
//!
//! Restart: the database holds the finalised block with its state (the anchor) and all blocks after it. They are
//! replayed into an empty fork choice, so nothing else has to survive a crash.

mod chain;
mod error;
mod events;
mod execute;
mod execution_client;
mod head;
mod import;
mod metrics;
mod restart;
mod retention;
mod snapshot;
mod states;
mod votes;

pub use chain::{BeaconChain, ChainConfig};
pub use error::{ChainError, ImportError};
pub use events::{ChainEvent, PayloadBegun};
pub use execute::ExecutedBlock;
pub use fork_choice::ExecutionStatus;
pub use restart::Anchor;
pub use snapshot::HeadSnapshot;
