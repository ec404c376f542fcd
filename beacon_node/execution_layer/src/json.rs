//! JSON of the Engine API, and how it maps to the containers of the beacon chain.
//!
//! Numbers are `QUANTITY` here and quoted decimals in the Beacon API: that is why the containers' own
//! serialisation is of no use. Fields that this node does not know are ignored, missing ones are errors.

use crate::engine_types::{
    BlobAndProofs, BlobsBundle, ClientVersion, ExecutionBlock, ForkchoiceState, GetPayloadResponse, PayloadAttributes,
    PayloadId, PayloadStatus,
};
use crate::error::ValueError;
use crate::requests::get_execution_requests;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use serde_utils::{u64_hex_be, u256_hex_be};
use ssz_types::typenum::Unsigned;
use ssz_types::{FixedVector, VariableList};
use types::{ExecutionPayload, KzgCommitment, KzgProof, Preset, Withdrawal};

/// `WithdrawalV1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonWithdrawal {
    #[serde(with = "u64_hex_be")]
    index: u64,
    #[serde(with = "u64_hex_be")]
    validator_index: u64,
    address: Address,
    #[serde(with = "u64_hex_be")]
    amount: u64,
}

impl From<&Withdrawal> for JsonWithdrawal {
    fn from(withdrawal: &Withdrawal) -> Self {
        Self {
            index: withdrawal.index,
            validator_index: withdrawal.validator_index.as_u64(),
            address: withdrawal.address,
            amount: withdrawal.amount,
        }
    }
}

impl From<JsonWithdrawal> for Withdrawal {
    fn from(json: JsonWithdrawal) -> Self {
        Self {
            index: json.index,
            validator_index: json.validator_index.into(),
            address: json.address,
            amount: json.amount,
        }
    }
}

/// `ExecutionPayloadV3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonPayload {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bytes,
    prev_randao: B256,
    #[serde(with = "u64_hex_be")]
    block_number: u64,
    #[serde(with = "u64_hex_be")]
    gas_limit: u64,
    #[serde(with = "u64_hex_be")]
    gas_used: u64,
    #[serde(with = "u64_hex_be")]
    timestamp: u64,
    extra_data: Bytes,
    #[serde(with = "u256_hex_be")]
    base_fee_per_gas: U256,
    block_hash: B256,
    transactions: Vec<Bytes>,
    withdrawals: Vec<JsonWithdrawal>,
    #[serde(with = "u64_hex_be")]
    blob_gas_used: u64,
    #[serde(with = "u64_hex_be")]
    excess_blob_gas: u64,
}

impl<P: Preset> From<&ExecutionPayload<P>> for JsonPayload {
    fn from(payload: &ExecutionPayload<P>) -> Self {
        Self {
            parent_hash: payload.parent_hash,
            fee_recipient: payload.fee_recipient,
            state_root: payload.state_root,
            receipts_root: payload.receipts_root,
            logs_bloom: Bytes::copy_from_slice(&payload.logs_bloom),
            prev_randao: payload.prev_randao,
            block_number: payload.block_number,
            gas_limit: payload.gas_limit,
            gas_used: payload.gas_used,
            timestamp: payload.timestamp,
            extra_data: Bytes::copy_from_slice(&payload.extra_data),
            base_fee_per_gas: payload.base_fee_per_gas,
            block_hash: payload.block_hash,
            transactions: payload
                .transactions
                .iter()
                .map(|bytes| Bytes::copy_from_slice(bytes))
                .collect(),
            withdrawals: payload.withdrawals.iter().map(JsonWithdrawal::from).collect(),
            blob_gas_used: payload.blob_gas_used,
            excess_blob_gas: payload.excess_blob_gas,
        }
    }
}

impl<P: Preset> TryFrom<JsonPayload> for ExecutionPayload<P> {
    type Error = ValueError;

    fn try_from(json: JsonPayload) -> Result<Self, ValueError> {
        Ok(Self {
            parent_hash: json.parent_hash,
            fee_recipient: json.fee_recipient,
            state_root: json.state_root,
            receipts_root: json.receipts_root,
            logs_bloom: fixed("logsBloom", json.logs_bloom.into())?,
            prev_randao: json.prev_randao,
            block_number: json.block_number,
            gas_limit: json.gas_limit,
            gas_used: json.gas_used,
            timestamp: json.timestamp,
            extra_data: list("extraData", json.extra_data.into())?,
            base_fee_per_gas: json.base_fee_per_gas,
            block_hash: json.block_hash,
            transactions: list(
                "transactions",
                json.transactions
                    .into_iter()
                    .map(|bytes| list("transaction", bytes.into()))
                    .collect::<Result<Vec<_>, _>>()?,
            )?,
            withdrawals: list(
                "withdrawals",
                json.withdrawals.into_iter().map(Withdrawal::from).collect(),
            )?,
            blob_gas_used: json.blob_gas_used,
            excess_blob_gas: json.excess_blob_gas,
        })
    }
}

fn list<T, N: Unsigned>(field: &'static str, items: Vec<T>) -> Result<VariableList<T, N>, ValueError> {
    let found = items.len();
    VariableList::new(items).map_err(|_| ValueError::TooLong {
        field,
        limit: N::to_usize(),
        found,
    })
}

fn fixed<N: Unsigned>(field: &'static str, bytes: Vec<u8>) -> Result<FixedVector<u8, N>, ValueError> {
    let found = bytes.len();
    FixedVector::new(bytes).map_err(|_| ValueError::WrongLength {
        field,
        expected: N::to_usize(),
        found,
    })
}

/// `ForkchoiceStateV1`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonForkchoiceState {
    head_block_hash: B256,
    safe_block_hash: B256,
    finalized_block_hash: B256,
}

impl From<&ForkchoiceState> for JsonForkchoiceState {
    fn from(state: &ForkchoiceState) -> Self {
        Self {
            head_block_hash: state.head_block_hash,
            safe_block_hash: state.safe_block_hash,
            finalized_block_hash: state.finalized_block_hash,
        }
    }
}

/// `PayloadAttributesV3`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonAttributes {
    #[serde(with = "u64_hex_be")]
    timestamp: u64,
    prev_randao: B256,
    suggested_fee_recipient: Address,
    withdrawals: Vec<JsonWithdrawal>,
    parent_beacon_block_root: B256,
}

impl From<&PayloadAttributes> for JsonAttributes {
    fn from(attributes: &PayloadAttributes) -> Self {
        Self {
            timestamp: attributes.timestamp,
            prev_randao: attributes.prev_randao,
            suggested_fee_recipient: attributes.suggested_fee_recipient,
            withdrawals: attributes.withdrawals.iter().map(JsonWithdrawal::from).collect(),
            parent_beacon_block_root: attributes.parent_beacon_block_root,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum JsonStatus {
    Valid,
    Invalid,
    Syncing,
    Accepted,
    InvalidBlockHash,
}

/// `PayloadStatusV1`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonPayloadStatus {
    status: JsonStatus,
    #[serde(default)]
    latest_valid_hash: Option<B256>,
    #[serde(default)]
    validation_error: Option<String>,
}

impl From<JsonPayloadStatus> for PayloadStatus {
    fn from(json: JsonPayloadStatus) -> Self {
        match json.status {
            JsonStatus::Valid => Self::Valid,
            JsonStatus::Syncing => Self::Syncing,
            JsonStatus::Accepted => Self::Accepted,
            JsonStatus::Invalid => Self::Invalid {
                latest_valid_hash: json.latest_valid_hash,
                validation_error: json.validation_error,
            },
            JsonStatus::InvalidBlockHash => Self::InvalidBlockHash {
                validation_error: json.validation_error,
            },
        }
    }
}

/// Result of `engine_forkchoiceUpdatedV3`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonForkchoiceUpdated {
    pub(crate) payload_status: JsonPayloadStatus,
    #[serde(default)]
    pub(crate) payload_id: Option<PayloadId>,
}

/// `BlobsBundleV1` and `V2`: the same fields, but the proofs are of blobs in the one, of cells in the other.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct JsonBlobsBundle {
    commitments: Vec<KzgCommitment>,
    proofs: Vec<KzgProof>,
    blobs: Vec<Bytes>,
    /// Whether it is of version 1.
    #[serde(skip)]
    pub(crate) has_blob_proofs: bool,
}

/// Result of `engine_getPayloadV4` and `V5`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonGetPayload {
    execution_payload: JsonPayload,
    #[serde(with = "u256_hex_be")]
    block_value: U256,
    pub(crate) blobs_bundle: JsonBlobsBundle,
    #[serde(default)]
    should_override_builder: bool,
    execution_requests: Vec<Bytes>,
}

impl<P: Preset> TryFrom<JsonGetPayload> for GetPayloadResponse<P> {
    type Error = ValueError;

    fn try_from(json: JsonGetPayload) -> Result<Self, ValueError> {
        Ok(Self {
            execution_payload: json.execution_payload.try_into()?,
            block_value: json.block_value,
            blobs_bundle: json.blobs_bundle.try_into()?,
            should_override_builder: json.should_override_builder,
            execution_requests: get_execution_requests(&json.execution_requests)?,
        })
    }
}

impl<P: Preset> TryFrom<JsonBlobsBundle> for BlobsBundle<P> {
    type Error = ValueError;

    fn try_from(json: JsonBlobsBundle) -> Result<Self, ValueError> {
        let blobs = json.blobs.len();
        if json.commitments.len() != blobs {
            return Err(ValueError::WrongLength {
                field: "blobsBundle.commitments",
                expected: blobs,
                found: json.commitments.len(),
            });
        }
        let proofs_per_blob = if json.has_blob_proofs {
            1
        } else {
            cells_per_ext_blob::<P>()
        };
        let expected = blobs.saturating_mul(proofs_per_blob);
        if json.proofs.len() != expected {
            return Err(ValueError::WrongLength {
                field: "blobsBundle.proofs",
                expected,
                found: json.proofs.len(),
            });
        }
        Ok(Self {
            commitments: list("blobsBundle.commitments", json.commitments)?,
            cell_proofs: if json.has_blob_proofs { Vec::new() } else { json.proofs },
            blobs: json
                .blobs
                .into_iter()
                .map(|bytes| fixed("blobsBundle.blobs", bytes.into()))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn cells_per_ext_blob<P: Preset>() -> usize {
    usize::try_from(P::CELLS_PER_EXT_BLOB).unwrap_or(usize::MAX)
}

/// `BlobAndProofV2`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct JsonBlobAndProofs {
    blob: Bytes,
    proofs: Vec<KzgProof>,
}

impl<P: Preset> TryFrom<JsonBlobAndProofs> for BlobAndProofs<P> {
    type Error = ValueError;

    fn try_from(json: JsonBlobAndProofs) -> Result<Self, ValueError> {
        let expected = cells_per_ext_blob::<P>();
        if json.proofs.len() != expected {
            return Err(ValueError::WrongLength {
                field: "proofs",
                expected,
                found: json.proofs.len(),
            });
        }
        Ok(Self {
            blob: fixed("blob", json.blob.into())?,
            proofs: json.proofs,
        })
    }
}

/// `ClientVersionV1`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JsonClientVersion {
    code: String,
    name: String,
    version: String,
    commit: String,
}

impl From<JsonClientVersion> for ClientVersion {
    fn from(json: JsonClientVersion) -> Self {
        Self {
            code: json.code,
            name: json.name,
            version: json.version,
            commit: json.commit,
        }
    }
}

impl From<&ClientVersion> for JsonClientVersion {
    fn from(version: &ClientVersion) -> Self {
        let ClientVersion {
            code,
            name,
            version,
            commit,
        } = version.clone();
        Self {
            code,
            name,
            version,
            commit,
        }
    }
}

/// What of an `eth_getBlockBy…` answer is used here.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonBlock {
    hash: B256,
    parent_hash: B256,
    #[serde(with = "u64_hex_be")]
    number: u64,
    #[serde(with = "u64_hex_be")]
    timestamp: u64,
}

impl From<JsonBlock> for ExecutionBlock {
    fn from(json: JsonBlock) -> Self {
        Self {
            hash: json.hash,
            parent_hash: json.parent_hash,
            number: json.number,
            timestamp: json.timestamp,
        }
    }
}

/// A bare `QUANTITY`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct JsonQuantity(#[serde(with = "u64_hex_be")] pub(crate) u64);

/// `eth_syncing`: `false`, or an object whose fields differ between clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum JsonSyncing {
    Flag(bool),
    Progress {},
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
