//! What can go wrong between this node and its execution client.

use alloy_primitives::B256;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// JSON-RPC: the method does not exist.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// As clients answer that have the method, but not on this port.
pub(crate) const METHOD_NOT_ENABLED: i64 = -32604;
/// Engine API: the build is not known (any more).
pub const UNKNOWN_PAYLOAD: i64 = -38001;
/// Engine API: the forkchoice contradicts itself.
pub const INVALID_FORKCHOICE_STATE: i64 = -38002;
/// Engine API: the attributes cannot be built with.
pub const INVALID_PAYLOAD_ATTRIBUTES: i64 = -38003;
/// Engine API: the method is not for the fork of the payload.
pub const UNSUPPORTED_FORK: i64 = -38005;

/// A call did not give a usable answer. A payload that is *invalid* is not an error: see
/// [`crate::PayloadStatus`].
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file with the shared secret cannot be read.
    #[error("cannot read the JWT secret {path}: {source}")]
    JwtFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The shared secret is not 32 bytes in hex.
    #[error("the JWT secret{} must be 64 hex digits, with or without 0x: {why}", in_file(path))]
    JwtSecret {
        /// The file, if it came from one.
        path: Option<PathBuf>,
        /// What is wrong with it; never the secret.
        why: String,
    },
    /// A token could not be made.
    #[error("cannot sign a JWT: {0}")]
    JwtSign(String),
    /// The address of the execution client is not one.
    #[error("execution endpoint {endpoint:?}: {why}; expected for example http://127.0.0.1:8551")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection, or it broke.
    #[error("{method}: execution client is not reachable: {why}")]
    Unreachable {
        /// Method that was called.
        method: &'static str,
        /// The chain of causes.
        why: String,
    },
    /// No answer in time.
    #[error("{method}: no answer from the execution client within {after:?}")]
    Timeout {
        /// Method that was called.
        method: &'static str,
        /// How long this node waited.
        after: Duration,
    },
    /// The execution client refused the token.
    #[error(
        "{method}: execution client refused the JWT (HTTP {status}: {message}); both sides need the same \
         secret and clocks less than a minute apart"
    )]
    Unauthorized {
        /// Method that was called.
        method: &'static str,
        /// 401 or 403.
        status: u16,
        /// Start of the answer.
        message: String,
    },
    /// Another HTTP status than 200, without a JSON-RPC answer.
    #[error("{method}: execution client answered with HTTP {status}: {message}")]
    HttpStatus {
        /// Method that was called.
        method: &'static str,
        /// The status.
        status: u16,
        /// Start of the answer.
        message: String,
    },
    /// The answer is longer than any honest one.
    #[error("{method}: answer has more than {limit} bytes")]
    ResponseTooLarge {
        /// Method that was called.
        method: &'static str,
        /// Bytes that are read at most.
        limit: usize,
    },
    /// The answer is not what the method gives.
    #[error("{method}: answer does not parse: {source}")]
    Json {
        /// Method that was called.
        method: &'static str,
        /// Where it stopped.
        source: serde_json::Error,
    },
    /// The answer is to another question.
    #[error("{method}: answer has id {found}, expected {expected}")]
    WrongId {
        /// Method that was called.
        method: &'static str,
        /// Id of the request.
        expected: u64,
        /// Id in the answer.
        found: String,
    },
    /// The execution client reported an error.
    #[error("{method}: execution client reports error {code}: {message}")]
    Rpc {
        /// Method that was called.
        method: &'static str,
        /// JSON-RPC or Engine API code.
        code: i64,
        /// Its text.
        message: String,
    },
    /// A value in an answer breaks a limit or rule.
    #[error("{method}: {source}")]
    Value {
        /// Method that was called.
        method: &'static str,
        /// Which.
        source: ValueError,
    },
    /// The execution client did not start to build.
    #[error("execution client did not start to build on {head}: status {status}")]
    NotBuilding {
        /// Head to build on.
        head: B256,
        /// Status of the forkchoice update.
        status: String,
    },
    /// The payload is not the one that was asked for.
    #[error("built payload has {field} {found}, expected {expected}")]
    WrongPayload {
        /// Which field.
        field: &'static str,
        /// As asked.
        expected: String,
        /// As built.
        found: String,
    },
    /// The execution client is of another network.
    #[error("execution client is on chain {found}, this network's is {expected}")]
    WrongChain {
        /// Chain id of the configuration.
        expected: u64,
        /// Chain id of the client.
        found: u64,
    },
    /// The execution client has the right chain id, and another first block.
    #[error("execution client's chain begins with block {found}, this network's with {expected}")]
    WrongGenesis {
        /// Hash that the genesis state names.
        expected: B256,
        /// Hash of the client's block 0.
        found: B256,
    },
    /// The port is that of the calls of wallets.
    #[error(
        "it answers eth_ calls and has no engine_ methods: this is not the Engine API. Give --execution-endpoint the port \
         of the Engine API; geth's is --authrpc.port 8551, while --http.port 8545 is for wallets"
    )]
    NotEngineApi,
    /// Nobody said who gets the fees.
    #[error(
        "no fee recipient is known for validator {0}: start the node with --suggested-fee-recipient, or give the \
         validator client one"
    )]
    NoFeeRecipient(types::ValidatorIndex),
}

fn in_file(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |path| format!(" in {}", path.display()))
}

impl EngineError {
    /// Code of a JSON-RPC error, if it is one.
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Rpc { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the execution client is of another network.
    pub fn is_other_chain(&self) -> bool {
        matches!(self, Self::WrongChain { .. } | Self::WrongGenesis { .. })
    }

    /// Whether nobody answered who can be taken for an execution client: it was away, or a proxy answers for it.
    pub(crate) fn is_without_client(&self) -> bool {
        self.is_offline() || matches!(self, Self::HttpStatus { .. } | Self::Unauthorized { .. })
    }

    /// Whether the execution client did not answer at all.
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. })
    }
}

/// A value from the execution client does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Too many bytes or items.
    #[error("{field} has {found} items, at most {limit} are allowed")]
    TooLong {
        /// Name in the Engine API.
        field: &'static str,
        /// Limit of the preset.
        limit: usize,
        /// What came.
        found: usize,
    },
    /// Not the one length that is possible.
    #[error("{field} has {found} items, expected {expected}")]
    WrongLength {
        /// Name in the Engine API.
        field: &'static str,
        /// What the rules say.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// An empty request list, which must be left out.
    #[error("execution request list {index} has no data")]
    EmptyRequests {
        /// Place in the list.
        index: usize,
    },
    /// Request types must ascend.
    #[error("execution request type {found} does not come after {previous}")]
    RequestOrder {
        /// Type before.
        previous: u8,
        /// Type here.
        found: u8,
    },
    /// A type of request that this fork does not have.
    #[error("unknown execution request type {0}")]
    UnknownRequestType(u8),
    /// A request list is not SSZ of its type.
    #[error("execution requests of type {kind} do not decode: {why}")]
    RequestSsz {
        /// Type byte.
        kind: u8,
        /// Reason of the decoder.
        why: String,
    },
}
