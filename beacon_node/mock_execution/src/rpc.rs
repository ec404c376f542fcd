//! JSON-RPC over HTTP: authentication, dispatch, faults.

use crate::auth::Authenticator;
use crate::blobs::BlobPool;
use crate::build::Build;
use crate::chain::{Block, Chain, RpcError};
use crate::faults::Faults;
use crate::header::blob_versioned_hashes;
use crate::wire::{Attributes, Forkchoice, Payload, Status, quantity};
use alloy_primitives::{B256, Bytes, FixedBytes};
use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// Largest request body. A payload may have 10 MiB of transactions (EIP-7934), twice that in hex.
const MAX_BODY: usize = 32 << 20;
/// Versioned hashes that one `engine_getBlobsV2` may name.
const MAX_BLOB_REQUEST: usize = 128;

/// All methods of the `engine` namespace but `engine_exchangeCapabilities`.
const CAPABILITIES: [&str; 6] = [
    "engine_newPayloadV4",
    "engine_forkchoiceUpdatedV3",
    "engine_getPayloadV4",
    "engine_getPayloadV5",
    "engine_getBlobsV2",
    "engine_getClientVersionV1",
];

pub(crate) struct Shared {
    pub(crate) chain: Mutex<Chain>,
    pub(crate) blobs: Mutex<BlobPool>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) authenticator: Authenticator,
    pub(crate) chain_id: u64,
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", post(handle))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

#[derive(Deserialize)]
struct Request {
    jsonrpc: String,
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Vec<Value>,
}

async fn handle(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Err(why) = shared.authenticator.check(authorization) {
        return (StatusCode::UNAUTHORIZED, why).into_response();
    }
    let faults = shared.faults.lock().clone();
    if !faults.delay.is_zero() {
        tokio::time::sleep(faults.delay).await;
    }
    let (id, result) = match serde_json::from_slice::<Request>(&body) {
        Ok(request) if request.jsonrpc == "2.0" => {
            let result = shared.call(&request.method, &request.params, &faults);
            tracing::trace!(method = request.method, ok = result.is_ok(), "Mock execution call");
            (request.id, result)
        }
        Ok(request) => {
            let error = RpcError {
                code: -32600,
                message: "jsonrpc is not 2.0".into(),
            };
            (request.id, Err(error))
        }
        Err(error) => (
            Value::Null,
            Err(RpcError {
                code: -32700,
                message: format!("Parse error: {error}"),
            }),
        ),
    };
    let answer = match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(RpcError { code, message }) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
    };
    let mut text = answer.to_string();
    text.push_str(&" ".repeat(faults.padding));
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn param<T: DeserializeOwned>(params: &[Value], at: usize) -> Result<T, RpcError> {
    let value = params
        .get(at)
        .filter(|value| !value.is_null())
        .ok_or_else(|| RpcError::invalid_params(format!("parameter {at} is missing")))?;
    T::deserialize(value).map_err(|error| RpcError::invalid_params(format!("parameter {at}: {error}")))
}

fn exactly(params: &[Value], count: usize) -> Result<(), RpcError> {
    if params.len() == count {
        Ok(())
    } else {
        let found = params.len();
        Err(RpcError::invalid_params(format!(
            "expected {count} parameters, found {found}"
        )))
    }
}

fn encode(value: impl serde::Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(value).map_err(RpcError::internal)
}

impl Shared {
    fn call(&self, method: &str, params: &[Value], faults: &Faults) -> Result<Value, RpcError> {
        if faults.missing_methods.contains(method) {
            return Err(method_not_found(method));
        }
        match method {
            "engine_exchangeCapabilities" => {
                let _theirs: Vec<String> = param(params, 0)?;
                encode(
                    CAPABILITIES
                        .into_iter()
                        .filter(|method| !faults.missing_methods.contains(*method))
                        .collect::<Vec<_>>(),
                )
            }
            "engine_newPayloadV4" => self.new_payload(params, faults),
            "engine_forkchoiceUpdatedV3" => self.forkchoice_updated(params, faults),
            "engine_getPayloadV4" | "engine_getPayloadV5" => {
                let id: FixedBytes<8> = param(params, 0)?;
                let chain = self.chain.lock();
                let Build { payload, requests } = chain.builder.build_result(id)?;
                let hashes = blob_versioned_hashes(&payload.transactions).unwrap_or_default();
                let bundle = self.blobs.lock().bundle(&hashes, method == "engine_getPayloadV5");
                Ok(json!({
                    "executionPayload": payload,
                    "blockValue": "0x0",
                    "blobsBundle": bundle,
                    "shouldOverrideBuilder": false,
                    "executionRequests": requests,
                }))
            }
            "engine_getBlobsV2" => {
                let hashes: Vec<B256> = param(params, 0)?;
                if hashes.len() > MAX_BLOB_REQUEST {
                    return Err(RpcError {
                        code: -38004,
                        message: "Too large request".into(),
                    });
                }
                Ok(self.blobs.lock().get(&hashes))
            }
            "engine_getClientVersionV1" => Ok(json!([{
                "code": "FM",
                "name": "fresnel-mock-execution",
                "version": env!("CARGO_PKG_VERSION"),
                "commit": "0x00000000",
            }])),
            "web3_clientVersion" => Ok(json!(concat!("fresnel-mock-execution/", env!("CARGO_PKG_VERSION")))),
            "eth_chainId" => Ok(json!(format!("0x{:x}", self.chain_id))),
            "net_version" => Ok(json!(self.chain_id.to_string())),
            "eth_blockNumber" => {
                let chain = self.chain.lock();
                let head = chain.block(chain.forkchoice().head_block_hash);
                Ok(json!(format!("0x{:x}", head.map_or(0, |block| block.header.number))))
            }
            "eth_syncing" => Ok(if faults.syncing {
                json!({ "startingBlock": "0x0", "currentBlock": "0x0", "highestBlock": "0x1" })
            } else {
                json!(false)
            }),
            "eth_getBlockByNumber" => {
                let which: String = param(params, 0)?;
                let chain = self.chain.lock();
                let forkchoice = chain.forkchoice();
                let block = match which.as_str() {
                    "latest" | "pending" => chain.block(forkchoice.head_block_hash),
                    "safe" => chain.block(forkchoice.safe_block_hash),
                    "finalized" => chain.block(forkchoice.finalized_block_hash),
                    "earliest" => chain.block(chain.genesis()),
                    number => chain.canonical(quantity::parse(number).map_err(RpcError::invalid_params)?),
                };
                Ok(block.map_or(Value::Null, block_json))
            }
            "eth_getBlockByHash" => {
                let hash: B256 = param(params, 0)?;
                Ok(self.chain.lock().block(hash).map_or(Value::Null, block_json))
            }
            // Ours: lets a devnet in other processes make requests of the execution layer.
            "mock_queueRequests" => {
                let requests: Vec<Bytes> = param(params, 0)?;
                let mut chain = self.chain.lock();
                for request in requests {
                    chain.builder.queue_request(request).map_err(RpcError::invalid_params)?;
                }
                Ok(json!(chain.builder.queued_requests()))
            }
            _ => Err(method_not_found(method)),
        }
    }

    fn new_payload(&self, params: &[Value], faults: &Faults) -> Result<Value, RpcError> {
        exactly(params, 4)?;
        let payload: Payload = param(params, 0)?;
        let versioned_hashes: Vec<B256> = param(params, 1)?;
        let parent_beacon_block_root: B256 = param(params, 2)?;
        let requests: Vec<Bytes> = param(params, 3)?;
        let status = self.chain.lock().new_payload(
            &payload,
            &versioned_hashes,
            parent_beacon_block_root,
            &requests,
            &faults.invalid,
        )?;
        encode(mask(status, faults))
    }

    fn forkchoice_updated(&self, params: &[Value], faults: &Faults) -> Result<Value, RpcError> {
        if params.len() != 1 {
            exactly(params, 2)?;
        }
        let forkchoice: Forkchoice = param(params, 0)?;
        // Judged only after the forkchoice was applied, as the specification orders.
        let attributes = params
            .get(1)
            .filter(|value| !value.is_null())
            .map(|value| Attributes::deserialize(value).map_err(RpcError::invalid_attributes));
        let mut updated = self
            .chain
            .lock()
            .forkchoice_updated(forkchoice, attributes, &faults.invalid)?;
        if faults.syncing {
            updated.payload_id = None;
        }
        updated.payload_status = mask(updated.payload_status, faults);
        encode(updated)
    }
}

fn mask(status: Status, faults: &Faults) -> Status {
    if faults.syncing { Status::syncing() } else { status }
}

fn method_not_found(method: &str) -> RpcError {
    RpcError {
        code: -32601,
        message: format!("the method {method} does not exist/is not available"),
    }
}

/// A block as `eth_getBlockBy…` gives it without full transactions.
fn block_json(block: &Block) -> Value {
    let mut json = serde_json::to_value(&block.header).unwrap_or_default();
    if let Value::Object(fields) = &mut json {
        for (name, value) in [
            ("hash", json!(block.hash)),
            ("transactions", json!(block.transactions)),
            ("withdrawals", json!(block.withdrawals)),
            ("uncles", json!([])),
            ("sha3Uncles", json!(crate::header::EMPTY_OMMERS)),
            ("size", json!("0x0")),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    json
}
