//! What goes over the wire.

use serde::{Deserialize, Deserializer, Serialize};
use types::{ExecutionAddress, PublicKeyBytes, SchemeProofs, SignatureBytes, Signers, VoluntaryExit};
use zeroize::Zeroizing;

/// `{"data": ...}`.
#[derive(Debug, Serialize)]
pub(crate) struct Data<T> {
    pub(crate) data: T,
}

/// A key in a keystore of this machine.
#[derive(Debug, Serialize)]
pub(crate) struct ListedKeystore {
    pub(crate) validating_pubkey: PublicKeyBytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) derivation_path: Option<String>,
    pub(crate) readonly: bool,
}

/// A key in a remote signer.
#[derive(Debug, Serialize)]
pub(crate) struct ListedRemoteKey {
    pub(crate) pubkey: PublicKeyBytes,
    pub(crate) url: String,
    pub(crate) readonly: bool,
}

/// Text that is zeroed when dropped.
pub(crate) struct Secret(pub(crate) Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Keystores and what opens them, in the same order.
#[derive(Deserialize)]
pub(crate) struct ImportKeystores {
    pub(crate) keystores: Vec<String>,
    pub(crate) passwords: Vec<Secret>,
    #[serde(default)]
    pub(crate) slashing_protection: Option<String>,
}

/// Keys to be removed.
#[derive(Debug, Deserialize)]
pub(crate) struct DeleteKeys {
    pub(crate) pubkeys: Vec<PublicKeyBytes>,
}

/// Keys in remote signers.
#[derive(Debug, Deserialize)]
pub(crate) struct ImportRemoteKeys {
    pub(crate) remote_keys: Vec<RemoteKeyEntry>,
}

/// Where a key is.
#[derive(Debug, Deserialize)]
pub(crate) struct RemoteKeyEntry {
    pub(crate) pubkey: PublicKeyBytes,
    #[serde(default)]
    pub(crate) url: Option<String>,
}

/// What became of one key of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// The words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Imported,
    Duplicate,
    Deleted,
    NotActive,
    NotFound,
    Error,
}

impl From<Status> for Outcome {
    fn from(status: Status) -> Self {
        Self { status, message: None }
    }
}

impl Outcome {
    pub(crate) fn error(reason: impl std::fmt::Display) -> Self {
        Self {
            status: Status::Error,
            message: Some(reason.to_string()),
        }
    }
}

/// What became of keys that were to be removed, and what they have signed: a document of EIP-3076 as text.
#[derive(Debug, Serialize)]
pub(crate) struct DeletedKeystores {
    pub(crate) data: Vec<Outcome>,
    pub(crate) slashing_protection: String,
}

/// Who gets the fees of a key's blocks.
#[derive(Debug, Serialize)]
pub(crate) struct ListedFeeRecipient {
    pub(crate) pubkey: PublicKeyBytes,
    pub(crate) ethaddress: ExecutionAddress,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SetFeeRecipient {
    pub(crate) ethaddress: ExecutionAddress,
}

/// What a key writes into its blocks.
#[derive(Debug, Serialize)]
pub(crate) struct ListedGraffiti {
    pub(crate) pubkey: PublicKeyBytes,
    pub(crate) graffiti: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SetGraffiti {
    pub(crate) graffiti: String,
}

/// An exit with one key's signature. That of a group's member has its place in `signers`, and is a part: a beacon node adds parts up.
#[derive(Debug, Serialize)]
pub(crate) struct SignedExit {
    pub(crate) message: VoluntaryExit,
    pub(crate) signature: SignatureBytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signers: Option<Signers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proofs: Option<SchemeProofs>,
}
