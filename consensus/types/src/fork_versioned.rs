//! Decoding of containers whose layout depends on the fork.

use crate::ForkName;
use serde::de::Error as _;
use ssz::DecodeError;

/// A container with one layout per fork. Bytes and JSON do not say which fork they are of: the caller does.
pub trait ForkVersioned: Sized {
    /// Decodes SSZ bytes in the layout of `fork`.
    fn from_ssz_bytes_by_fork(bytes: &[u8], fork: ForkName) -> Result<Self, DecodeError>;

    /// Reads JSON in the layout of `fork`. It is read as text, so that what is no part of the layout takes no memory.
    fn from_json_by_fork(json: &str, fork: ForkName) -> Result<Self, serde_json::Error>;

    /// The fork whose layout this value has.
    fn fork_name(&self) -> ForkName;
}

/// A layout was expected to be of one fork and is of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("container has the layout of the fork {found}, expected {expected}")]
pub struct WrongFork {
    /// The fork that the caller needs.
    pub expected: ForkName,
    /// The fork of the value.
    pub found: ForkName,
}

impl WrongFork {
    pub(crate) fn json(expected: ForkName, error: serde_json::Error) -> serde_json::Error {
        serde_json::Error::custom(format!("in the layout of {expected}: {error}"))
    }
}

/// Implements [`ForkVersioned`] for a superstruct enum, and an inherent `fork_name`.
macro_rules! impl_fork_versioned {
    ($name:ident $(<$p:ident>)?, $fulu:ident, $dvt:ident) => {
        impl $(<$p: crate::Preset>)? crate::ForkVersioned for $name $(<$p>)? {
            fn from_ssz_bytes_by_fork(bytes: &[u8], fork: crate::ForkName) -> Result<Self, ssz::DecodeError> {
                match fork {
                    crate::ForkName::Fulu => <$fulu $(<$p>)? as ssz::Decode>::from_ssz_bytes(bytes).map(Self::Fulu),
                    crate::ForkName::Dvt => <$dvt $(<$p>)? as ssz::Decode>::from_ssz_bytes(bytes).map(Self::Dvt),
                }
            }

            fn from_json_by_fork(json: &str, fork: crate::ForkName) -> Result<Self, serde_json::Error> {
                match fork {
                    crate::ForkName::Fulu => serde_json::from_str(json).map(Self::Fulu),
                    crate::ForkName::Dvt => serde_json::from_str(json).map(Self::Dvt),
                }
                .map_err(|error| crate::fork_versioned::WrongFork::json(fork, error))
            }

            fn fork_name(&self) -> crate::ForkName {
                match self {
                    Self::Fulu(_) => crate::ForkName::Fulu,
                    Self::Dvt(_) => crate::ForkName::Dvt,
                }
            }
        }
    };
}
pub(crate) use impl_fork_versioned;
