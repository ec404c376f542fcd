//! Operations survive a restart; votes and sync signatures are too short-lived.
//!
//! A version byte, then one record per operation: kind, fork, length (four bytes, little-endian), SSZ bytes.

use crate::operations::OperationSet;
use ssz::{Decode, Encode};
use types::{
    AttesterSlashing, ForkName, ForkVersioned, Preset, ProposerSlashing, SignedBLSToExecutionChange,
    SignedKeySetChange, SignedVoluntaryExit,
};

const VERSION: u8 = 1;
const PROPOSER_SLASHING: u8 = 1;
const ATTESTER_SLASHING: u8 = 2;
const EXIT: u8 = 3;
const ADDRESS_CHANGE: u8 = 4;
const KEY_SET_CHANGE: u8 = 5;

/// Stored operations cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RestoreError {
    /// Written by another version.
    #[error("stored operations have version {found:?}, expected {VERSION}")]
    Version {
        /// The version, if there is any byte.
        found: Option<u8>,
    },
    /// The bytes end within a record.
    #[error("stored operations end within a record, at byte {0}")]
    Truncated(usize),
    /// No such kind or fork.
    #[error("stored operation of kind {kind} and fork {fork} is unknown")]
    UnknownKind {
        /// The kind.
        kind: u8,
        /// The fork.
        fork: u8,
    },
    /// A record is not what its kind says.
    #[error("stored operation of kind {kind}: {reason:?}")]
    Decode {
        /// The kind.
        kind: u8,
        /// What is wrong.
        reason: ssz::DecodeError,
    },
}

fn fork_byte(fork: ForkName) -> u8 {
    match fork {
        ForkName::Fulu => 0,
        ForkName::Dvt => 1,
    }
}

fn write(bytes: &mut Vec<u8>, kind: u8, fork: ForkName, operation: &impl Encode) {
    let ssz = operation.as_ssz_bytes();
    // An operation is far below 4 GiB.
    let Ok(length) = u32::try_from(ssz.len()) else { return };
    bytes.extend([kind, fork_byte(fork)]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(ssz);
}

pub(crate) fn to_bytes<P: Preset>(set: &OperationSet<P>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for slashing in set.proposer_slashings.values() {
        write(
            &mut bytes,
            PROPOSER_SLASHING,
            ForkVersioned::fork_name(slashing),
            slashing,
        );
    }
    for slashing in set.attester_slashings.values() {
        write(
            &mut bytes,
            ATTESTER_SLASHING,
            ForkVersioned::fork_name(slashing),
            slashing,
        );
    }
    for exit in set.exits.values() {
        write(&mut bytes, EXIT, ForkVersioned::fork_name(exit), exit);
    }
    for change in set.address_changes.values() {
        write(&mut bytes, ADDRESS_CHANGE, ForkName::Fulu, change);
    }
    for change in set.key_set_changes.values() {
        write(&mut bytes, KEY_SET_CHANGE, ForkName::Dvt, change);
    }
    bytes
}

pub(crate) fn from_bytes<P: Preset>(bytes: &[u8]) -> Result<OperationSet<P>, RestoreError> {
    let mut set = OperationSet::default();
    let Some((&VERSION, mut rest)) = bytes.split_first() else {
        return Err(RestoreError::Version {
            found: bytes.first().copied(),
        });
    };
    while !rest.is_empty() {
        let truncated = || RestoreError::Truncated(bytes.len().saturating_sub(rest.len()));
        let (&[kind, fork, a, b, c, d], body) = rest.split_first_chunk::<6>().ok_or_else(truncated)?;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let (ssz, after) = body.split_at_checked(length).ok_or_else(truncated)?;
        let fork_name = match fork {
            0 => ForkName::Fulu,
            1 => ForkName::Dvt,
            _ => return Err(RestoreError::UnknownKind { kind, fork }),
        };
        read(&mut set, kind, fork_name, ssz)?;
        rest = after;
    }
    Ok(set)
}

fn read<P: Preset>(set: &mut OperationSet<P>, kind: u8, fork: ForkName, ssz: &[u8]) -> Result<(), RestoreError> {
    let invalid = |reason| RestoreError::Decode { kind, reason };
    match kind {
        PROPOSER_SLASHING => {
            set.insert_proposer_slashing(ProposerSlashing::from_ssz_bytes_by_fork(ssz, fork).map_err(invalid)?);
        }
        ATTESTER_SLASHING => {
            set.insert_attester_slashing(AttesterSlashing::from_ssz_bytes_by_fork(ssz, fork).map_err(invalid)?);
        }
        EXIT => set.insert_exit(SignedVoluntaryExit::from_ssz_bytes_by_fork(ssz, fork).map_err(invalid)?),
        ADDRESS_CHANGE => {
            set.insert_address_change(SignedBLSToExecutionChange::from_ssz_bytes(ssz).map_err(invalid)?);
        }
        KEY_SET_CHANGE => {
            let change = SignedKeySetChange::from_ssz_bytes(ssz).map_err(invalid)?;
            let slot = change.message.slot;
            set.insert_key_set_change(change, slot);
        }
        _ => {
            return Err(RestoreError::UnknownKind {
                kind,
                fork: fork_byte(fork),
            });
        }
    }
    Ok(())
}
