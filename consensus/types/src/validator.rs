//! The registry's entries, checkpoints, and small containers of the state.

use crate::constants::{COMPOUNDING_WITHDRAWAL_PREFIX, ETH1_ADDRESS_WITHDRAWAL_PREFIX};
use crate::{Epoch, ExecutionAddress, Gwei, Hash32, Preset, PublicKeyBytes, Root, Slot};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::FixedVector;
use tree_hash_derive::TreeHash;

/// Spec: phase0/beacon-chain.md#validator
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Validator {
    /// Registry key: the identity towards deposits and the execution layer; a solo validator signs with it.
    pub pubkey: PublicKeyBytes,
    /// Commitment to the owner of the stake.
    pub withdrawal_credentials: Hash32,
    /// Balance at stake, in Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub effective_balance: Gwei,
    /// Whether it was slashed.
    pub slashed: bool,
    /// When it became eligible for activation.
    pub activation_eligibility_epoch: Epoch,
    /// First active epoch.
    pub activation_epoch: Epoch,
    /// First epoch after its duties.
    pub exit_epoch: Epoch,
    /// When its stake can be withdrawn.
    pub withdrawable_epoch: Epoch,
}

impl Validator {
    /// First byte of the withdrawal credentials.
    #[inline]
    pub fn withdrawal_prefix(&self) -> u8 {
        let [prefix, ..] = self.withdrawal_credentials.0;
        prefix
    }

    /// Spec: electra/beacon-chain.md#has_compounding_withdrawal_credential
    #[inline]
    pub fn has_compounding_withdrawal_credential(&self) -> bool {
        self.withdrawal_prefix() == COMPOUNDING_WITHDRAWAL_PREFIX
    }

    /// Spec: electra/beacon-chain.md#has_execution_withdrawal_credential
    pub fn has_execution_withdrawal_credential(&self) -> bool {
        [ETH1_ADDRESS_WITHDRAWAL_PREFIX, COMPOUNDING_WITHDRAWAL_PREFIX].contains(&self.withdrawal_prefix())
    }

    /// The execution address in the last 20 bytes of the withdrawal credentials.
    pub fn withdrawal_address(&self) -> ExecutionAddress {
        ExecutionAddress::from_word(self.withdrawal_credentials)
    }

    /// Spec: phase0/beacon-chain.md#is_active_validator
    #[inline]
    pub fn is_active_at(&self, epoch: Epoch) -> bool {
        self.activation_epoch <= epoch && epoch < self.exit_epoch
    }
}

/// Spec: phase0/beacon-chain.md#checkpoint
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, TreeHash, Serialize, Deserialize,
)]
pub struct Checkpoint {
    /// Epoch.
    pub epoch: Epoch,
    /// Root of the latest block at or before the epoch's first slot.
    pub root: Root,
}

/// Spec: phase0/beacon-chain.md#eth1data
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Eth1Data {
    /// Root of the deposit tree.
    pub deposit_root: Root,
    /// Deposits in it.
    #[serde(with = "serde_utils::quoted_u64")]
    pub deposit_count: u64,
    /// Execution block.
    pub block_hash: Hash32,
}

/// Spec: phase0/validator.md#eth1block
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Eth1Block {
    /// Seconds since the Unix epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// Root of the deposit tree.
    pub deposit_root: Root,
    /// Deposits in it.
    #[serde(with = "serde_utils::quoted_u64")]
    pub deposit_count: u64,
}

/// Spec: phase0/beacon-chain.md#historicalbatch
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct HistoricalBatch<P: Preset> {
    /// Block roots of a period.
    pub block_roots: FixedVector<Root, P::SlotsPerHistoricalRoot>,
    /// State roots of a period.
    pub state_roots: FixedVector<Root, P::SlotsPerHistoricalRoot>,
}

/// Spec: capella/beacon-chain.md#historicalsummary
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct HistoricalSummary {
    /// Root of the block roots of a period.
    pub block_summary_root: Root,
    /// Root of the state roots of a period.
    pub state_summary_root: Root,
}

/// Spec: electra/beacon-chain.md#pendingdeposit
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PendingDeposit {
    /// Registry key.
    pub pubkey: PublicKeyBytes,
    /// Credentials, used if the key is new.
    pub withdrawal_credentials: Hash32,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// Over the deposit message, checked if the key is new.
    pub signature: crate::SignatureBytes,
    /// Slot of the request; genesis for deposits of the old mechanism.
    pub slot: Slot,
}

/// Spec: electra/beacon-chain.md#pendingpartialwithdrawal
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PendingPartialWithdrawal {
    /// Registry entry.
    pub validator_index: crate::ValidatorIndex,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// When it may be paid.
    pub withdrawable_epoch: Epoch,
}

/// Spec: electra/beacon-chain.md#pendingconsolidation
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct PendingConsolidation {
    /// Entry that ends.
    pub source_index: crate::ValidatorIndex,
    /// Entry that takes its balance.
    pub target_index: crate::ValidatorIndex,
}
