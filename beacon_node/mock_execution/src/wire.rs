//! JSON shapes of the Engine API, written against its specification and on purpose not shared with
//! the client: a field that both sides got wrong in one place would go unnoticed.

use crate::header::Header;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use serde::{Deserialize, Serialize};

/// `QUANTITY`: `0x`, no leading zeros.
pub(crate) mod quantity {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{value:x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }

    pub(crate) fn parse(text: &str) -> Result<u64, String> {
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| format!("quantity {text:?} does not start with 0x"))?;
        if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
            return Err(format!("quantity {text:?} is empty or has a leading zero"));
        }
        if digits.starts_with('+') {
            return Err(format!("quantity {text:?} is not hexadecimal"));
        }
        u64::from_str_radix(digits, 16).map_err(|e| format!("quantity {text:?}: {e}"))
    }
}

/// `WithdrawalV1`; the amount is in Gwei.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Withdrawal {
    /// Running number of the withdrawal.
    #[serde(with = "quantity")]
    pub index: u64,
    /// Registry index.
    #[serde(with = "quantity")]
    pub validator_index: u64,
    /// Who receives.
    pub address: Address,
    /// Gwei.
    #[serde(with = "quantity")]
    pub amount: u64,
}

/// `ExecutionPayloadV3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Payload {
    pub(crate) parent_hash: B256,
    pub(crate) fee_recipient: Address,
    pub(crate) state_root: B256,
    pub(crate) receipts_root: B256,
    pub(crate) logs_bloom: Bloom,
    pub(crate) prev_randao: B256,
    #[serde(with = "quantity")]
    pub(crate) block_number: u64,
    #[serde(with = "quantity")]
    pub(crate) gas_limit: u64,
    #[serde(with = "quantity")]
    pub(crate) gas_used: u64,
    #[serde(with = "quantity")]
    pub(crate) timestamp: u64,
    pub(crate) extra_data: Bytes,
    pub(crate) base_fee_per_gas: U256,
    pub(crate) block_hash: B256,
    pub(crate) transactions: Vec<Bytes>,
    pub(crate) withdrawals: Vec<Withdrawal>,
    #[serde(with = "quantity")]
    pub(crate) blob_gas_used: u64,
    #[serde(with = "quantity")]
    pub(crate) excess_blob_gas: u64,
}

impl Payload {
    pub(crate) fn from_header(
        header: &Header,
        block_hash: B256,
        transactions: Vec<Bytes>,
        withdrawals: Vec<Withdrawal>,
    ) -> Self {
        Self {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.prev_randao,
            block_number: header.number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data.clone(),
            base_fee_per_gas: header.base_fee_per_gas,
            block_hash,
            transactions,
            withdrawals,
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
        }
    }
}

/// `ForkchoiceStateV1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forkchoice {
    /// Head of the canonical chain.
    pub head_block_hash: B256,
    /// Head, or an ancestor of it; zero while unknown.
    pub safe_block_hash: B256,
    /// Most recent finalized block; zero before the first.
    pub finalized_block_hash: B256,
}

/// `PayloadAttributesV3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Attributes {
    #[serde(with = "quantity")]
    pub(crate) timestamp: u64,
    pub(crate) prev_randao: B256,
    pub(crate) suggested_fee_recipient: Address,
    pub(crate) withdrawals: Vec<Withdrawal>,
    pub(crate) parent_beacon_block_root: B256,
}

/// The states of `PayloadStatusV1` that `engine_newPayloadV4` and `engine_forkchoiceUpdatedV3` give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    Valid,
    Invalid,
    Syncing,
}

/// `PayloadStatusV1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) status: Verdict,
    pub(crate) latest_valid_hash: Option<B256>,
    pub(crate) validation_error: Option<String>,
}

impl Status {
    pub(crate) fn valid(hash: B256) -> Self {
        Self {
            status: Verdict::Valid,
            latest_valid_hash: Some(hash),
            validation_error: None,
        }
    }

    pub(crate) fn syncing() -> Self {
        Self {
            status: Verdict::Syncing,
            latest_valid_hash: None,
            validation_error: None,
        }
    }

    pub(crate) fn invalid(latest_valid_hash: Option<B256>, why: impl ToString) -> Self {
        Self {
            status: Verdict::Invalid,
            latest_valid_hash,
            validation_error: Some(why.to_string()),
        }
    }
}

/// Result of `engine_forkchoiceUpdatedV3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ForkchoiceUpdated {
    pub(crate) payload_status: Status,
    pub(crate) payload_id: Option<alloy_primitives::FixedBytes<8>>,
}

#[cfg(test)]
mod tests {
    use super::quantity::parse;

    #[test]
    fn quantities_follow_the_encoding_rules() {
        assert_eq!(parse("0x0"), Ok(0));
        assert_eq!(parse("0x1c9c380"), Ok(30_000_000));
        for wrong in ["", "0x", "0x01", "12", "0xg", "0x+1", "0x10000000000000000"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
