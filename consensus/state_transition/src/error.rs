//! Errors of the helper functions, of slots and epochs, and of genesis.
//!
//! Errors of blocks stand next to the block functions. All of these mean that a state is not what
//! its slot says it is, or that a caller asked for something that the state cannot know; none of
//! them is the fault of a peer until a block function says so.

use crate::dvt::key_set_change::KeySetChangeError;
use types::{ArithError, Epoch, PublicKeyBytes, SignerIndex, Slot, ValidatorIndex};

/// A question to a state that it cannot answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StateError {
    /// The registry has no such entry.
    #[error("validator {index} is unknown: the registry has {len} entries")]
    UnknownValidator {
        /// The index asked for.
        index: ValidatorIndex,
        /// Number of registry entries.
        len: usize,
    },
    /// One of the lists that run parallel to the registry is shorter or longer than it.
    #[error("list `{list}` has {found} entries, expected {expected}, one per validator")]
    RegistryLengthMismatch {
        /// Field name in the state.
        list: &'static str,
        /// Number of registry entries.
        expected: usize,
        /// Number of entries found.
        found: usize,
    },
    /// A block or state root outside of the window that a state keeps.
    #[error("root of slot {slot} is not held by the state of slot {state_slot}")]
    SlotOutOfBounds {
        /// The slot asked for.
        slot: Slot,
        /// The slot of the state.
        state_slot: Slot,
    },
    /// Committees are known for the previous, the current and the next epoch only.
    #[error("committees of epoch {epoch} are not known to a state of epoch {current_epoch}")]
    EpochOutOfRange {
        /// The epoch asked for.
        epoch: Epoch,
        /// The epoch of the state.
        current_epoch: Epoch,
    },
    /// A state knows the sync committees of its own period and of the next one.
    #[error("the sync committee of epoch {epoch} is not known to a state of epoch {current_epoch}")]
    SyncCommitteeUnknown {
        /// The epoch asked for.
        epoch: Epoch,
        /// The epoch of the state.
        current_epoch: Epoch,
    },
    /// A committee index beyond the number of committees of a slot.
    #[error("committee {index} does not exist: epoch {epoch} has {count} committees per slot")]
    UnknownCommittee {
        /// The index asked for.
        index: u64,
        /// The epoch of the committee.
        epoch: Epoch,
        /// Committees per slot in that epoch.
        count: u64,
    },
    /// Sampling needs at least one candidate.
    #[error("no validator is active in epoch {epoch}")]
    NoActiveValidators {
        /// The epoch of the sampling.
        epoch: Epoch,
    },
    /// A fixed-size field has fewer entries than the preset says.
    #[error("field `{field}` has no entry {index}")]
    MissingEntry {
        /// Field name in the state.
        field: &'static str,
        /// The index asked for.
        index: usize,
    },
    /// A registry of more than 2^32 entries cannot be shuffled by this client.
    #[error("validator index {index} does not fit the 32 bits that committee caches use")]
    IndexTooLarge {
        /// The index.
        index: u64,
    },
    /// The key set of a group at an epoch was pruned or never existed, so nothing verifies.
    #[error("no key set of validator {index} is stored for epoch {epoch}")]
    NoKeySet {
        /// The group.
        index: ValidatorIndex,
        /// The epoch of the message.
        epoch: Epoch,
    },
    /// A plain index of a group, or a virtual index of a solo validator.
    #[error("signer index {signer} does not have the form that validator {index} has in epoch {epoch}")]
    WrongSignerForm {
        /// The signer index.
        signer: SignerIndex,
        /// The registry entry that it names.
        index: ValidatorIndex,
        /// The epoch of the message.
        epoch: Epoch,
    },
    /// A virtual index beyond the keys of the key set.
    #[error("key {key} of validator {index} does not exist: its key set of epoch {epoch} has {keys} keys")]
    UnknownKey {
        /// The registry entry.
        index: ValidatorIndex,
        /// Place of the key.
        key: u8,
        /// The epoch of the message.
        epoch: Epoch,
        /// Keys of the key set.
        keys: usize,
    },
    /// An overflow or a division by zero.
    #[error("arithmetic failed: {0:?}")]
    Arithmetic(ArithError),
    /// A persistent list refused an operation.
    #[error("state list: {0:?}")]
    List(milhouse::Error),
    /// A list of a container is full or of the wrong length.
    #[error("container list: {0:?}")]
    SszList(ssz_types::Error),
    /// A public key of the registry is not a curve point.
    #[error("public key of validator {index} cannot be decompressed")]
    InvalidPublicKey {
        /// The validator.
        index: ValidatorIndex,
    },
    /// A public key that a state names belongs to none of its validators.
    #[error("no validator has the public key {pubkey}")]
    UnknownPublicKey {
        /// The key.
        pubkey: PublicKeyBytes,
    },
    /// The sum of the public keys of a sync committee could not be formed.
    #[error("the public keys of a sync committee cannot be added up")]
    AggregatePublicKey,
}

impl From<ArithError> for StateError {
    fn from(error: ArithError) -> Self {
        Self::Arithmetic(error)
    }
}

impl From<milhouse::Error> for StateError {
    fn from(error: milhouse::Error) -> Self {
        Self::List(error)
    }
}

impl From<ssz_types::Error> for StateError {
    fn from(error: ssz_types::Error) -> Self {
        Self::SszList(error)
    }
}

/// An epoch transition that could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EpochError {
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
    /// More stake voted for a target than is active.
    #[error("target votes of epoch {epoch} add up to {target} Gwei, only {active} Gwei are active")]
    TargetExceedsActive {
        /// The epoch of the votes.
        epoch: Epoch,
        /// Stake that voted for the target, in Gwei.
        target: u64,
        /// Active stake, in Gwei.
        active: u64,
    },
}

impl From<ArithError> for EpochError {
    fn from(error: ArithError) -> Self {
        Self::State(error.into())
    }
}

impl From<milhouse::Error> for EpochError {
    fn from(error: milhouse::Error) -> Self {
        Self::State(error.into())
    }
}

impl From<ssz_types::Error> for EpochError {
    fn from(error: ssz_types::Error) -> Self {
        Self::State(error.into())
    }
}

/// A state that could not be advanced to a slot.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SlotError {
    /// States only move forward.
    #[error("cannot advance a state of slot {state_slot} to slot {slot}: it is not later")]
    NotLater {
        /// The slot of the state.
        state_slot: Slot,
        /// The slot asked for.
        slot: Slot,
    },
    /// The state could not answer.
    #[error("slot {slot}: {error}")]
    State {
        /// The slot that was being processed.
        slot: Slot,
        /// The reason.
        error: StateError,
    },
    /// The epoch transition failed.
    #[error("epoch transition after slot {slot}: {error}")]
    Epoch {
        /// The last slot of the epoch.
        slot: Slot,
        /// The reason.
        error: EpochError,
    },
}

/// A genesis state that cannot be built from what was given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GenesisError {
    /// The state could not be filled.
    #[error(transparent)]
    State(#[from] StateError),
    /// Neither of this client's forks is active at epoch 0.
    #[error("genesis needs `FULU_FORK_EPOCH` or `DVT_FORK_EPOCH` to be 0")]
    UnsupportedFork,
    /// A chain needs at least one active validator to propose.
    #[error("genesis needs at least one active validator")]
    NoValidators,
    /// Groups need the feature fork.
    #[error("group given for validator {index}, but `DVT_FORK_EPOCH` is not 0")]
    GroupsBeforeDvt {
        /// The validator of the group.
        index: ValidatorIndex,
    },
    /// Two validators with one key.
    #[error("validators {first} and {second} have the same public key")]
    DuplicateKey {
        /// The earlier one.
        first: ValidatorIndex,
        /// The later one.
        second: ValidatorIndex,
    },
    /// A key set that is not in force from the first epoch on.
    #[error("group of validator {index}: its key set comes into force in epoch {activation}, expected 0")]
    NotInForce {
        /// The validator of the group.
        index: ValidatorIndex,
        /// What the key set says.
        activation: Epoch,
    },
    /// Groups are not in the order of their validators, or one is there twice.
    #[error("group of validator {index} stands behind that of another one with the same or a greater index")]
    GroupsNotAscending {
        /// The validator of the group.
        index: ValidatorIndex,
    },
    /// A key set that no change would be allowed to bring.
    #[error("group of validator {index}: {reason}")]
    Group {
        /// The validator of the group.
        index: ValidatorIndex,
        /// What is wrong with it.
        reason: Box<KeySetChangeError>,
    },
}

impl From<ArithError> for GenesisError {
    fn from(error: ArithError) -> Self {
        Self::State(error.into())
    }
}

impl From<milhouse::Error> for GenesisError {
    fn from(error: milhouse::Error) -> Self {
        Self::State(error.into())
    }
}

impl From<ssz_types::Error> for GenesisError {
    fn from(error: ssz_types::Error) -> Self {
        Self::State(error.into())
    }
}
