//! The execution client, as the beacon node sees it: an Engine API client for the forks from Fulu on.
//!
//! ```text
//! chain, block production --> layer (order, remembered builds, state) --> engine (methods, fallbacks)
//!                               --> identity (of this network?)             --> transport (JWT, JSON-RPC, limits)
//! ```
//!
//! A payload that the execution client finds invalid is a [`PayloadStatus`]; an [`EngineError`] means that there
//! is no verdict. The chain then follows optimistically, and signs nothing on top.

mod engine;
mod engine_types;
mod error;
mod identity;
mod json;
mod jwt;
mod layer;
mod metrics;
mod proposers;
mod requests;
mod state;
mod transport;
mod versioned_hashes;

pub use engine_types::{
    BlobAndProofs, BlobsBundle, BlockTag, ClientVersion, ExecutionBlock, ForkchoiceState, ForkchoiceUpdated,
    GetPayloadResponse, NewPayloadRequest, PayloadAttributes, PayloadId, PayloadStatus, VersionedHash,
};
pub use error::{
    EngineError, INVALID_FORKCHOICE_STATE, INVALID_PAYLOAD_ATTRIBUTES, METHOD_NOT_FOUND, UNKNOWN_PAYLOAD,
    UNSUPPORTED_FORK, ValueError,
};
pub use identity::ExpectedChain;
pub use jwt::JwtSecret;
pub use layer::{ExecutionConfig, ExecutionLayer};
pub use proposers::FeeRecipients;
pub use requests::{get_execution_requests, get_execution_requests_list};
pub use state::EngineState;
pub use versioned_hashes::{VersionedHashError, is_valid_versioned_hashes, kzg_commitment_to_versioned_hash};
