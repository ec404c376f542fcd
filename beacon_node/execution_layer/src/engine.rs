//! The methods of the Engine API, one function each, and which of them the execution client has.

use crate::engine_types::{
    BlobAndProofs, BlockTag, ClientVersion, ExecutionBlock, ForkchoiceState, ForkchoiceUpdated, GetPayloadResponse,
    NewPayloadRequest, PayloadAttributes, PayloadId, PayloadStatus, VersionedHash,
};
use crate::error::{EngineError, METHOD_NOT_ENABLED, METHOD_NOT_FOUND, UNSUPPORTED_FORK, ValueError};
use crate::json::{
    JsonAttributes, JsonBlobAndProofs, JsonBlock, JsonClientVersion, JsonForkchoiceState, JsonForkchoiceUpdated,
    JsonGetPayload, JsonPayload, JsonPayloadStatus, JsonQuantity, JsonSyncing,
};
use crate::transport::{Method, Transport};
use alloy_primitives::B256;
use parking_lot::Mutex;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use types::Preset;

const MIB: usize = 1 << 20;

const fn method(name: &'static str, label: &'static str, seconds: u64, limit: usize) -> Method {
    Method {
        name,
        label,
        timeout: Duration::from_secs(seconds),
        limit,
    }
}

const EXCHANGE_CAPABILITIES: Method = method("engine_exchangeCapabilities", "exchange_capabilities", 1, MIB);
const NEW_PAYLOAD_V4: Method = method("engine_newPayloadV4", "new_payload", 8, MIB);
const FORKCHOICE_UPDATED_V3: Method = method("engine_forkchoiceUpdatedV3", "forkchoice_updated", 8, MIB);
// A payload has at most 10 MiB of transactions (EIP-7934), in hex the double; each blob brings 256 KiB of hex and
// 12 KiB of proofs. 64 MiB leave room for 160 blobs.
const GET_PAYLOAD_V4: Method = method("engine_getPayloadV4", "get_payload", 1, 64 * MIB);
const GET_PAYLOAD_V5: Method = method("engine_getPayloadV5", "get_payload", 1, 64 * MIB);
const GET_BLOBS_V2: Method = method("engine_getBlobsV2", "get_blobs", 1, 64 * MIB);
const GET_CLIENT_VERSION_V1: Method = method("engine_getClientVersionV1", "get_client_version", 1, MIB);
// The Engine API gives no timeouts for these.
const ETH_SYNCING: Method = method("eth_syncing", "syncing", 1, MIB);
const ETH_CHAIN_ID: Method = method("eth_chainId", "chain_id", 1, MIB);
// A block without full transactions: 66 characters for each of at most some ten thousand.
const ETH_GET_BLOCK_BY_HASH: Method = method("eth_getBlockByHash", "get_block_by_hash", 1, 16 * MIB);
const ETH_GET_BLOCK_BY_NUMBER: Method = method("eth_getBlockByNumber", "get_block_by_number", 1, 16 * MIB);

/// What this node can use, as `engine_exchangeCapabilities` tells the other side.
const CAPABILITIES: [&str; 6] = [
    NEW_PAYLOAD_V4.name,
    FORKCHOICE_UPDATED_V3.name,
    GET_PAYLOAD_V4.name,
    GET_PAYLOAD_V5.name,
    GET_BLOBS_V2.name,
    GET_CLIENT_VERSION_V1.name,
];

/// Names of methods that clients are asked for at most; a list beyond this is cut.
const MAX_CAPABILITIES: usize = 256;
/// How long an answer about capabilities is believed: an update of the execution client is noticed by then.
const CAPABILITIES_AGE: Duration = Duration::from_secs(300);

/// Which methods the execution client says it has.
#[derive(Debug, Clone)]
struct Capabilities {
    /// `None`: it did not say, so each method is tried.
    methods: Option<BTreeSet<String>>,
    asked: Instant,
}

impl Capabilities {
    fn may_have(&self, method: Method) -> bool {
        self.methods
            .as_ref()
            .is_none_or(|methods| methods.contains(method.name))
    }
}

/// Client of one execution client.
#[derive(Debug)]
pub(crate) struct Engine {
    transport: Transport,
    capabilities: Mutex<Option<Capabilities>>,
}

impl Engine {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            capabilities: Mutex::new(None),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.transport.endpoint()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> u64 {
        self.transport.connections()
    }

    /// Next time the execution client is asked again what it can do: it may be another one.
    pub(crate) fn forget_capabilities(&self) {
        *self.capabilities.lock() = None;
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        let known = self.capabilities.lock().clone();
        if let Some(known) = known.filter(|known| known.asked.elapsed() < CAPABILITIES_AGE) {
            return Ok(known);
        }
        let methods: Option<Vec<String>> = match self.transport.call(EXCHANGE_CAPABILITIES, &(CAPABILITIES,)).await {
            Ok(methods) => Some(methods),
            // An old client, or a proxy that lets only some methods through.
            Err(EngineError::Rpc { .. } | EngineError::Json { .. }) => None,
            Err(error) => return Err(error),
        };
        let methods: Option<BTreeSet<String>> =
            methods.map(|methods| methods.into_iter().take(MAX_CAPABILITIES).collect());
        if let Some(methods) = &methods {
            for needed in [NEW_PAYLOAD_V4, FORKCHOICE_UPDATED_V3] {
                if !methods.contains(needed.name) {
                    tracing::warn!(
                        method = needed.name,
                        "Execution client does not announce a method that this node needs; update it"
                    );
                }
            }
        }
        let capabilities = Capabilities {
            methods,
            asked: Instant::now(),
        };
        *self.capabilities.lock() = Some(capabilities.clone());
        Ok(capabilities)
    }

    /// Errors if the other side has no Engine API. It may lack the list of its methods and have them all the same, so
    /// one that it must have is called without parameters: which error that is tells.
    pub(crate) async fn check_engine_api(&self) -> Result<(), EngineError> {
        if self.capabilities().await?.methods.is_some() {
            return Ok(());
        }
        let method = FORKCHOICE_UPDATED_V3.impatient(true);
        match self.transport.call::<_, IgnoredAny>(method, &[(); 0]).await {
            Err(error) if matches!(error.code(), Some(METHOD_NOT_FOUND | METHOD_NOT_ENABLED)) => {
                Err(EngineError::NotEngineApi)
            }
            Err(error) if error.is_without_client() => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) async fn new_payload<P: Preset>(
        &self,
        request: &NewPayloadRequest<'_, P>,
        is_offline: bool,
    ) -> Result<PayloadStatus, EngineError> {
        let params = (
            JsonPayload::from(request.execution_payload),
            &request.versioned_hashes,
            request.parent_beacon_block_root,
            request.execution_requests_list(),
        );
        let method = NEW_PAYLOAD_V4.impatient(is_offline);
        let status: JsonPayloadStatus = self.transport.call(method, &params).await?;
        Ok(status.into())
    }

    pub(crate) async fn forkchoice_updated(
        &self,
        state: &ForkchoiceState,
        attributes: Option<&PayloadAttributes>,
        is_offline: bool,
    ) -> Result<ForkchoiceUpdated, EngineError> {
        let params = (JsonForkchoiceState::from(state), attributes.map(JsonAttributes::from));
        let method = FORKCHOICE_UPDATED_V3.impatient(is_offline);
        let updated: JsonForkchoiceUpdated = self.transport.call(method, &params).await?;
        Ok(ForkchoiceUpdated {
            payload_status: updated.payload_status.into(),
            payload_id: updated.payload_id,
        })
    }

    /// By version 5, which gives cell proofs; by version 4, which gives none, where that is missing or not yet for this
    /// fork.
    pub(crate) async fn get_payload<P: Preset>(&self, id: PayloadId) -> Result<GetPayloadResponse<P>, EngineError> {
        if self.capabilities().await?.may_have(GET_PAYLOAD_V5) {
            match self.transport.call::<_, JsonGetPayload>(GET_PAYLOAD_V5, &(id,)).await {
                Ok(json) => return valued(GET_PAYLOAD_V5, json.try_into()),
                Err(EngineError::Rpc {
                    code: METHOD_NOT_FOUND | UNSUPPORTED_FORK,
                    message,
                    ..
                }) => {
                    tracing::debug!(message, "Falling back to engine_getPayloadV4");
                }
                Err(error) => return Err(error),
            }
        }
        let mut json: JsonGetPayload = self.transport.call(GET_PAYLOAD_V4, &(id,)).await?;
        json.blobs_bundle.has_blob_proofs = true;
        valued(GET_PAYLOAD_V4, json.try_into())
    }

    /// `None` if the pool of the execution client lacks one of them.
    pub(crate) async fn get_blobs<P: Preset>(
        &self,
        hashes: &[VersionedHash],
    ) -> Result<Option<Vec<BlobAndProofs<P>>>, EngineError> {
        if !self.capabilities().await?.may_have(GET_BLOBS_V2) {
            return Ok(None);
        }
        let blobs: Option<Vec<JsonBlobAndProofs>> = match self.transport.call(GET_BLOBS_V2, &(hashes,)).await {
            Err(error) if error.code() == Some(METHOD_NOT_FOUND) => None,
            other => other?,
        };
        let Some(blobs) = blobs else { return Ok(None) };
        if blobs.len() != hashes.len() {
            let (expected, found) = (hashes.len(), blobs.len());
            return valued(
                GET_BLOBS_V2,
                Err(ValueError::WrongLength {
                    field: "blobs",
                    expected,
                    found,
                }),
            );
        }
        let blobs = blobs.into_iter().map(TryInto::try_into).collect::<Result<Vec<_>, _>>();
        valued(GET_BLOBS_V2, blobs).map(Some)
    }

    /// Empty if the execution client does not tell.
    pub(crate) async fn client_versions(&self, own: &ClientVersion) -> Result<Vec<ClientVersion>, EngineError> {
        if !self.capabilities().await?.may_have(GET_CLIENT_VERSION_V1) {
            return Ok(Vec::new());
        }
        let params = (JsonClientVersion::from(own),);
        let versions: Vec<JsonClientVersion> = match self.transport.call(GET_CLIENT_VERSION_V1, &params).await {
            Err(error) if error.code() == Some(METHOD_NOT_FOUND) => Vec::new(),
            other => other?,
        };
        Ok(versions.into_iter().map(ClientVersion::from).collect())
    }

    /// Whether the execution client says that it is catching up.
    pub(crate) async fn is_syncing(&self) -> Result<bool, EngineError> {
        let syncing: JsonSyncing = self.transport.call(ETH_SYNCING, &[(); 0]).await?;
        Ok(match syncing {
            JsonSyncing::Flag(flag) => flag,
            JsonSyncing::Progress {} => true,
        })
    }

    pub(crate) async fn chain_id(&self) -> Result<u64, EngineError> {
        let id: JsonQuantity = self.transport.call(ETH_CHAIN_ID, &[(); 0]).await?;
        Ok(id.0)
    }

    pub(crate) async fn block_by_hash(&self, hash: B256) -> Result<Option<ExecutionBlock>, EngineError> {
        let block: Option<JsonBlock> = self.transport.call(ETH_GET_BLOCK_BY_HASH, &(hash, false)).await?;
        Ok(block.map(ExecutionBlock::from))
    }

    pub(crate) async fn block_by_number(&self, tag: BlockTag) -> Result<Option<ExecutionBlock>, EngineError> {
        let params = (tag.to_string(), false);
        let block: Option<JsonBlock> = self.transport.call(ETH_GET_BLOCK_BY_NUMBER, &params).await?;
        Ok(block.map(ExecutionBlock::from))
    }
}

fn valued<T>(method: Method, value: Result<T, ValueError>) -> Result<T, EngineError> {
    value.map_err(|source| EngineError::Value {
        method: method.name,
        source,
    })
}
