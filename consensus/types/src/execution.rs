//! Execution payloads and requests.

use crate::{
    ExecutionAddress, Gwei, Hash32, Preset, PublicKeyBytes, Root, SignatureBytes, Uint256, ValidatorIndex,
    WithdrawalIndex,
};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{FixedVector, VariableList};
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;

/// One transaction as opaque bytes.
pub type Transaction<P> = VariableList<u8, <P as Preset>::MaxBytesPerTransaction>;
/// The transactions of a payload.
pub type Transactions<P> = VariableList<Transaction<P>, <P as Preset>::MaxTransactionsPerPayload>;
/// The withdrawals of a payload.
pub type Withdrawals<P> = VariableList<Withdrawal, <P as Preset>::MaxWithdrawalsPerPayload>;

/// Spec: capella/beacon-chain.md#withdrawal
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Running number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: WithdrawalIndex,
    /// Registry entry.
    pub validator_index: ValidatorIndex,
    /// Receiver.
    #[serde(with = "serde_utils::address_hex")]
    pub address: ExecutionAddress,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
}

/// Spec: deneb/beacon-chain.md#executionpayload
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct ExecutionPayload<P: Preset> {
    /// Parent block hash.
    pub parent_hash: Hash32,
    /// Receiver of the fees.
    #[serde(with = "serde_utils::address_hex")]
    pub fee_recipient: ExecutionAddress,
    /// Root of the execution state.
    pub state_root: Root,
    /// Root of the receipts.
    pub receipts_root: Root,
    /// Bloom filter of the logs.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub logs_bloom: FixedVector<u8, P::BytesPerLogsBloom>,
    /// RANDAO mix of the slot.
    pub prev_randao: Hash32,
    /// Block number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub block_number: u64,
    /// Gas limit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_limit: u64,
    /// Gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_used: u64,
    /// Seconds since the Unix epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Free bytes of the builder.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub extra_data: VariableList<u8, P::MaxExtraDataBytes>,
    /// Wei per gas.
    #[serde(with = "serde_utils::quoted_u256")]
    pub base_fee_per_gas: Uint256,
    /// Block hash.
    pub block_hash: Hash32,
    /// Transactions.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_var_list")]
    pub transactions: Transactions<P>,
    /// Withdrawals.
    pub withdrawals: Withdrawals<P>,
    /// Blob gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub blob_gas_used: u64,
    /// Excess blob gas.
    #[serde(with = "serde_utils::quoted_u64")]
    pub excess_blob_gas: u64,
}

/// Spec: deneb/beacon-chain.md#executionpayloadheader
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct ExecutionPayloadHeader<P: Preset> {
    /// Parent block hash.
    pub parent_hash: Hash32,
    /// Receiver of the fees.
    #[serde(with = "serde_utils::address_hex")]
    pub fee_recipient: ExecutionAddress,
    /// Root of the execution state.
    pub state_root: Root,
    /// Root of the receipts.
    pub receipts_root: Root,
    /// Bloom filter of the logs.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub logs_bloom: FixedVector<u8, P::BytesPerLogsBloom>,
    /// RANDAO mix of the slot.
    pub prev_randao: Hash32,
    /// Block number.
    #[serde(with = "serde_utils::quoted_u64")]
    pub block_number: u64,
    /// Gas limit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_limit: u64,
    /// Gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub gas_used: u64,
    /// Seconds since the Unix epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Free bytes of the builder.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub extra_data: VariableList<u8, P::MaxExtraDataBytes>,
    /// Wei per gas.
    #[serde(with = "serde_utils::quoted_u256")]
    pub base_fee_per_gas: Uint256,
    /// Block hash.
    pub block_hash: Hash32,
    /// Root of the transactions.
    pub transactions_root: Root,
    /// Root of the withdrawals.
    pub withdrawals_root: Root,
    /// Blob gas used.
    #[serde(with = "serde_utils::quoted_u64")]
    pub blob_gas_used: u64,
    /// Excess blob gas.
    #[serde(with = "serde_utils::quoted_u64")]
    pub excess_blob_gas: u64,
}

impl<P: Preset> From<&ExecutionPayload<P>> for ExecutionPayloadHeader<P> {
    fn from(payload: &ExecutionPayload<P>) -> Self {
        Self {
            parent_hash: payload.parent_hash,
            fee_recipient: payload.fee_recipient,
            state_root: payload.state_root,
            receipts_root: payload.receipts_root,
            logs_bloom: payload.logs_bloom.clone(),
            prev_randao: payload.prev_randao,
            block_number: payload.block_number,
            gas_limit: payload.gas_limit,
            gas_used: payload.gas_used,
            timestamp: payload.timestamp,
            extra_data: payload.extra_data.clone(),
            base_fee_per_gas: payload.base_fee_per_gas,
            block_hash: payload.block_hash,
            transactions_root: payload.transactions.tree_hash_root(),
            withdrawals_root: payload.withdrawals.tree_hash_root(),
            blob_gas_used: payload.blob_gas_used,
            excess_blob_gas: payload.excess_blob_gas,
        }
    }
}

/// Spec: electra/beacon-chain.md#depositrequest
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DepositRequest {
    /// Registry key.
    pub pubkey: PublicKeyBytes,
    /// Credentials.
    pub withdrawal_credentials: Hash32,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// Over the deposit message.
    pub signature: SignatureBytes,
    /// Running number in the deposit contract.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: u64,
}

/// Spec: electra/beacon-chain.md#withdrawalrequest
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct WithdrawalRequest {
    /// Who asks.
    #[serde(with = "serde_utils::address_hex")]
    pub source_address: ExecutionAddress,
    /// Registry key of the validator.
    pub validator_pubkey: PublicKeyBytes,
    /// Gwei; 0 asks for an exit.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
}

/// Spec: electra/beacon-chain.md#consolidationrequest
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ConsolidationRequest {
    /// Who asks.
    #[serde(with = "serde_utils::address_hex")]
    pub source_address: ExecutionAddress,
    /// Registry key of the entry that ends.
    pub source_pubkey: PublicKeyBytes,
    /// Registry key of the entry that takes its balance.
    pub target_pubkey: PublicKeyBytes,
}

/// Spec: electra/beacon-chain.md#executionrequests
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct ExecutionRequests<P: Preset> {
    /// Deposits.
    pub deposits: VariableList<DepositRequest, P::MaxDepositRequestsPerPayload>,
    /// Withdrawals and exits.
    pub withdrawals: VariableList<WithdrawalRequest, P::MaxWithdrawalRequestsPerPayload>,
    /// Consolidations.
    pub consolidations: VariableList<ConsolidationRequest, P::MaxConsolidationRequestsPerPayload>,
}

/// Spec: bellatrix/fork-choice.md#powblock
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PowBlock {
    /// Block hash.
    pub block_hash: Hash32,
    /// Parent block hash.
    pub parent_hash: Hash32,
    /// Total difficulty.
    #[serde(with = "serde_utils::quoted_u256")]
    pub total_difficulty: Uint256,
}
