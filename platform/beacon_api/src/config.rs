//! Genesis and configuration.

use serde::{Deserialize, Serialize};
use types::{ExecutionAddress, Root, Version};

/// `/eth/v1/beacon/genesis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// Seconds since the Unix epoch.
    #[serde(with = "serde_utils::quoted_u64")]
    pub genesis_time: u64,
    /// Root of the registry at genesis.
    pub genesis_validators_root: Root,
    /// Version that domains which no fork changes are computed with.
    pub genesis_fork_version: Version,
}

/// `/eth/v1/config/deposit_contract`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositContract {
    /// Id of the execution chain.
    #[serde(with = "serde_utils::quoted_u64")]
    pub chain_id: u64,
    /// Where the contract is.
    #[serde(with = "serde_utils::address_hex")]
    pub address: ExecutionAddress,
}
