//! Asking an execution client.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{method} at {url}: {reason}")]
pub struct RpcError {
    url: String,
    method: String,
    reason: String,
}

/// A client of the JSON-RPC of an execution client.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    url: String,
    http: reqwest::Client,
}

/// A block, without its transactions' contents.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcBlock {
    pub(crate) hash: B256,
    pub(crate) base_fee_per_gas: U256,
    pub(crate) transactions: Vec<B256>,
    #[serde(default)]
    pub(crate) withdrawals: Vec<RpcWithdrawal>,
}

/// A withdrawal in a block.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcWithdrawal {
    pub(crate) index: U64,
    pub(crate) validator_index: U64,
    pub(crate) address: Address,
    /// Gwei.
    pub(crate) amount: U64,
}

/// What came of a transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) block_number: U64,
    pub(crate) gas_used: U64,
    pub(crate) status: U64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    error: Option<Value>,
}

impl Rpc {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: reqwest::Client::new(),
        }
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        let failed = |reason: String| RpcError {
            url: self.url.clone(),
            method: method.to_owned(),
            reason,
        };
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Answer = async {
            let sent = self.http.post(&self.url).timeout(TIMEOUT).json(&request).send().await?;
            sent.error_for_status()?.json().await
        }
        .await
        .map_err(|error: reqwest::Error| failed(error.to_string()))?;
        if let Some(error) = answer.error {
            return Err(failed(error.to_string()));
        }
        serde_json::from_value(answer.result).map_err(|error| failed(error.to_string()))
    }

    pub(crate) async fn block(&self, number: u64) -> Result<Option<RpcBlock>, RpcError> {
        self.call("eth_getBlockByNumber", json!([U64::from(number), false]))
            .await
    }

    /// Wei of an account after a block.
    pub(crate) async fn balance(&self, address: Address, number: u64) -> Result<U256, RpcError> {
        self.call("eth_getBalance", json!([address, U64::from(number)])).await
    }

    /// Transactions that an account has sent up to the head.
    pub(crate) async fn nonce(&self, address: Address) -> Result<u64, RpcError> {
        let nonce: U64 = self.call("eth_getTransactionCount", json!([address, "latest"])).await?;
        Ok(nonce.to())
    }

    pub(crate) async fn send(&self, raw: &Bytes) -> Result<B256, RpcError> {
        self.call("eth_sendRawTransaction", json!([raw])).await
    }

    pub(crate) async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, RpcError> {
        self.call("eth_getTransactionReceipt", json!([transaction])).await
    }
}
