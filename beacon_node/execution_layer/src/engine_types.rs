//! What the Engine API talks about, in types.

use crate::requests::get_execution_requests_list;
use crate::versioned_hashes::kzg_commitment_to_versioned_hash;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use std::fmt;
use types::{
    Blob, ExecutionPayload, ExecutionRequests, KzgCommitment, KzgCommitments, KzgProof, Preset, Root, Withdrawal,
};

/// Names a build of the execution client.
pub type PayloadId = FixedBytes<8>;
/// Names a blob on the execution layer.
pub type VersionedHash = B256;

/// All that the execution client needs to judge a payload.
///
/// Spec: electra/beacon-chain.md#newpayloadrequest
#[derive(Debug, Clone)]
pub struct NewPayloadRequest<'a, P: Preset> {
    /// The payload of the block.
    pub execution_payload: &'a ExecutionPayload<P>,
    /// One hash per commitment of the block.
    pub versioned_hashes: Vec<VersionedHash>,
    /// `block.parent_root`.
    pub parent_beacon_block_root: Root,
    /// The execution requests of the block.
    pub execution_requests: &'a ExecutionRequests<P>,
}

impl<'a, P: Preset> NewPayloadRequest<'a, P> {
    /// From the parts of a beacon block.
    pub fn new(
        execution_payload: &'a ExecutionPayload<P>,
        blob_kzg_commitments: &[KzgCommitment],
        parent_root: Root,
        execution_requests: &'a ExecutionRequests<P>,
    ) -> Self {
        Self {
            execution_payload,
            versioned_hashes: blob_kzg_commitments
                .iter()
                .map(kzg_commitment_to_versioned_hash)
                .collect(),
            parent_beacon_block_root: parent_root,
            execution_requests,
        }
    }

    pub(crate) fn execution_requests_list(&self) -> Vec<Bytes> {
        get_execution_requests_list(self.execution_requests)
    }
}

/// What the execution client thinks of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadStatus {
    /// Executed and right.
    Valid,
    /// Wrong, or built on something that is.
    Invalid {
        /// Latest ancestor that is valid, if the client knows it; zero hash: none after the merge.
        latest_valid_hash: Option<B256>,
        /// Why, for people.
        validation_error: Option<String>,
    },
    /// The hash is not the hash of the contents.
    InvalidBlockHash {
        /// Why, for people.
        validation_error: Option<String>,
    },
    /// Ancestors are missing: import optimistically.
    Syncing,
    /// Well-formed, on a side branch, not executed: import optimistically.
    Accepted,
}

impl PayloadStatus {
    /// Short form for metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid { .. } => "invalid",
            Self::InvalidBlockHash { .. } => "invalid_block_hash",
            Self::Syncing => "syncing",
            Self::Accepted => "accepted",
        }
    }

    /// Whether the payload may be imported only optimistically.
    pub const fn is_optimistic(&self) -> bool {
        matches!(self, Self::Syncing | Self::Accepted)
    }

    /// Whether the payload must not be imported.
    pub const fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid { .. } | Self::InvalidBlockHash { .. })
    }
}

impl fmt::Display for PayloadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Invalid {
                validation_error: Some(why),
                ..
            }
            | Self::InvalidBlockHash {
                validation_error: Some(why),
            } => write!(f, " ({why})"),
            _ => Ok(()),
        }
    }
}

/// Head, safe and finalized block of the execution layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ForkchoiceState {
    /// Payload hash of the head.
    pub head_block_hash: B256,
    /// Payload hash of the justified block; zero before the first.
    pub safe_block_hash: B256,
    /// Payload hash of the finalized block; zero before the first.
    pub finalized_block_hash: B256,
}

/// What a payload to be built must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadAttributes {
    /// Unix seconds of the slot.
    pub timestamp: u64,
    /// RANDAO mix of the slot.
    pub prev_randao: B256,
    /// Who gets the fees.
    pub suggested_fee_recipient: Address,
    /// The withdrawals that the state expects.
    pub withdrawals: Vec<Withdrawal>,
    /// Root of the beacon block to build on.
    pub parent_beacon_block_root: Root,
}

/// Answer to a forkchoice update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkchoiceUpdated {
    /// Status of the head.
    pub payload_status: PayloadStatus,
    /// The build that was begun.
    pub payload_id: Option<PayloadId>,
}

/// A built payload with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetPayloadResponse<P: Preset> {
    /// The payload.
    pub execution_payload: ExecutionPayload<P>,
    /// Wei for the fee recipient.
    pub block_value: U256,
    /// Its blobs.
    pub blobs_bundle: BlobsBundle<P>,
    /// The execution client advises against the payload of an external builder.
    pub should_override_builder: bool,
    /// Requests that its transactions make.
    pub execution_requests: ExecutionRequests<P>,
}

/// Blobs of a built payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlobsBundle<P: Preset> {
    /// One per blob.
    pub commitments: KzgCommitments<P>,
    /// `CELLS_PER_EXT_BLOB` per blob, blob after blob; none if the execution client gives proofs of whole blobs only
    /// (`engine_getPayloadV4`), which no column has.
    pub cell_proofs: Vec<KzgProof>,
    /// The blobs.
    pub blobs: Vec<Blob<P>>,
}

/// A blob from the pool of the execution client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobAndProofs<P: Preset> {
    /// The blob.
    pub blob: Blob<P>,
    /// One proof per cell.
    pub proofs: Vec<KzgProof>,
}

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientVersion {
    /// Two letters.
    pub code: String,
    /// Name for people.
    pub name: String,
    /// Version.
    pub version: String,
    /// First four bytes of the commit, in hex.
    pub commit: String,
}

impl fmt::Display for ClientVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// A block of the execution layer, as far as this node looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionBlock {
    /// Its hash.
    pub hash: B256,
    /// Hash of its parent.
    pub parent_hash: B256,
    /// Height.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Which block to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockTag {
    /// The head.
    Latest,
    /// The safe block.
    Safe,
    /// The finalized block.
    Finalized,
    /// A height of the canonical chain.
    Number(u64),
}

impl fmt::Display for BlockTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Safe => f.write_str("safe"),
            Self::Finalized => f.write_str("finalized"),
            Self::Number(number) => write!(f, "0x{number:x}"),
        }
    }
}
