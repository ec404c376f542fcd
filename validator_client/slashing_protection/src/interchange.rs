//! The interchange format of EIP-3076, version 5.

use crate::error::InterchangeError;
use serde::{Deserialize, Serialize};
use types::{Epoch, PublicKeyBytes, Root, SignerKey, Slot};

/// The version of the format.
pub(crate) const FORMAT_VERSION: u64 = 5;
/// A year of votes of a thousand keys has about this size; other clients' files are far smaller.
const MAX_INTERCHANGE_BYTES: usize = 1 << 29;

/// An interchange file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interchange {
    /// Version and chain.
    pub metadata: InterchangeMetadata,
    /// One entry per BLS key; a key may have several.
    pub data: Vec<InterchangeData>,
    /// Keys with one-time leaves. Not a part of the EIP: other clients, which cannot use such keys, ignore it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_time_keys: Vec<OneTimeKeyData>,
}

/// What a key with one-time leaves signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeKeyData {
    /// The key.
    pub pubkey: SignerKey,
    /// The low-water mark: no leaf before it is ever used again.
    #[serde(with = "quoted")]
    pub first_open_leaf: u64,
    /// Leaves after the mark that are used.
    pub used_leaves: Vec<UsedLeaf>,
    /// Its blocks.
    pub signed_blocks: Vec<SignedBlock>,
    /// Its votes.
    pub signed_attestations: Vec<SignedAttestation>,
}

/// A leaf that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedLeaf {
    /// The leaf.
    #[serde(with = "quoted")]
    pub leaf: u64,
    /// What it signed; nothing if it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_root: Option<Root>,
}

/// Version and chain of an interchange file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterchangeMetadata {
    /// 5.
    #[serde(with = "quoted")]
    pub interchange_format_version: u64,
    /// Chain of the records.
    pub genesis_validators_root: Root,
}

/// What one key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterchangeData {
    /// The key.
    pub pubkey: PublicKeyBytes,
    /// Its blocks.
    pub signed_blocks: Vec<SignedBlock>,
    /// Its votes.
    pub signed_attestations: Vec<SignedAttestation>,
}

/// A signed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBlock {
    /// Slot.
    pub slot: Slot,
    /// What was signed, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_root: Option<Root>,
}

/// A signed vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedAttestation {
    /// Source.
    pub source_epoch: Epoch,
    /// Target.
    pub target_epoch: Epoch,
    /// What was signed, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_root: Option<Root>,
}

impl Interchange {
    /// Parses a file and checks its version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, InterchangeError> {
        if bytes.len() > MAX_INTERCHANGE_BYTES {
            return Err(InterchangeError::TooLarge {
                limit: MAX_INTERCHANGE_BYTES,
                found: bytes.len(),
            });
        }
        let interchange: Self = serde_json::from_slice(bytes)?;
        let found = interchange.metadata.interchange_format_version;
        if found != FORMAT_VERSION {
            return Err(InterchangeError::Version {
                expected: FORMAT_VERSION,
                found,
            });
        }
        Ok(interchange)
    }

    /// The file's text.
    pub fn to_json(&self) -> Result<Vec<u8>, InterchangeError> {
        Ok(serde_json::to_vec_pretty(self)?)
    }
}

/// Integers as decimal strings.
mod quoted {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::custom(format!("expected an integer as a decimal string, found {text:?}")))
    }
}
