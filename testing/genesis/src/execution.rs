//! The first block of an execution chain, from the genesis file that go-ethereum and others read.

use crate::error::{GenesisError, read};
use alloy_primitives::{Address, B64, B256, Bytes, U256, keccak256};
use alloy_trie::{KECCAK_EMPTY, TrieAccount, root};
use mock_execution::{Block, Header};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest file that is read: those of public networks have some hundred kilobytes.
const MAX_FILE_BYTES: u64 = 1 << 28;
/// Base fee of the first block with one (EIP-1559), in Wei.
const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// A genesis file of an execution chain. Fields that do not change the block are not read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenesisFile {
    config: ChainConfig,
    #[serde(default)]
    nonce: Quantity,
    #[serde(default)]
    timestamp: Quantity,
    #[serde(default)]
    extra_data: Bytes,
    gas_limit: Quantity,
    difficulty: Quantity,
    #[serde(default, alias = "mixhash")]
    mix_hash: B256,
    #[serde(default)]
    coinbase: Address,
    #[serde(default)]
    alloc: BTreeMap<HexAddress, Account>,
    #[serde(default)]
    number: Quantity,
    #[serde(default)]
    gas_used: Quantity,
    #[serde(default)]
    parent_hash: B256,
    base_fee_per_gas: Option<Quantity>,
    excess_blob_gas: Option<Quantity>,
    blob_gas_used: Option<Quantity>,
}

/// When the forks of the chain are that give a block more fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChainConfig {
    chain_id: u64,
    deposit_contract_address: Option<Address>,
    london_block: Option<u64>,
    shanghai_time: Option<u64>,
    cancun_time: Option<u64>,
    prague_time: Option<u64>,
    amsterdam_time: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Account {
    #[serde(default)]
    balance: Quantity,
    #[serde(default)]
    nonce: Quantity,
    #[serde(default)]
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<Word, Word>,
}

/// A number as go-ethereum reads it: hexadecimal with `0x`, decimal, or a bare JSON number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Quantity(U256);

impl Quantity {
    fn parse(text: &str) -> Result<Self, String> {
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some("") => Ok(U256::ZERO),
            Some(digits) => U256::from_str_radix(digits, 16),
            None => U256::from_str_radix(text, 10),
        };
        number
            .map(Self)
            .map_err(|_| format!("{text:?} is not a number of 256 bits, hexadecimal with 0x or decimal"))
    }

    fn as_u64(self, what: &str) -> Result<u64, String> {
        u64::try_from(self.0).map_err(|_| format!("{what} is {}, expected at most 64 bits", self.0))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(u64),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Self::parse(&text).map_err(D::Error::custom),
            Form::Number(number) => Ok(Self(U256::from(number))),
        }
    }
}

/// 20 bytes in hexadecimal, with or without `0x`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HexAddress(Address);

impl<'de> Deserialize<'de> for HexAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| D::Error::custom(format!("{text:?} is not an address: expected 40 hexadecimal digits")))
    }
}

/// At most 32 bytes in hexadecimal, with or without `0x`, padded on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Word(B256);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let number = if digits.is_empty() {
            Ok(U256::ZERO)
        } else {
            U256::from_str_radix(digits, 16)
        };
        number
            .map(|number| Self(B256::from(number)))
            .map_err(|_| D::Error::custom(format!("{text:?} is not a word of storage: expected at most 32 bytes")))
    }
}

/// The first block of an execution chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionGenesis {
    /// Chain id of the file.
    pub chain_id: u64,
    /// Deposit contract that the execution chain watches.
    pub deposit_contract: Option<Address>,
    /// The block.
    pub block: Block,
}

impl ExecutionGenesis {
    /// Reads a genesis file. The chain has to begin with Prague or later, as Fulu asks.
    pub fn from_file(path: &Path) -> Result<Self, GenesisError> {
        Self::from_json(&read(path, MAX_FILE_BYTES)?).map_err(|reason| GenesisError::content(path, reason))
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        let file: GenesisFile = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let number = file.number.as_u64("number")?;
        let timestamp = file.timestamp.as_u64("timestamp")?;
        let is_at = |time: Option<u64>| time.is_some_and(|time| time <= timestamp);
        for (name, is_there) in [
            (
                "londonBlock",
                file.config.london_block.is_some_and(|block| block <= number),
            ),
            ("shanghaiTime", is_at(file.config.shanghai_time)),
            ("cancunTime", is_at(file.config.cancun_time)),
            ("pragueTime", is_at(file.config.prague_time)),
        ] {
            if !is_there {
                return Err(format!(
                    "config: {name} is later than the first block, expected 0: a chain of Fulu needs it"
                ));
            }
        }
        if is_at(file.config.amsterdam_time) {
            return Err("config: amsterdamTime is not later than the first block, which is not supported".to_owned());
        }
        let or_zero = |quantity: Option<Quantity>, what| quantity.unwrap_or_default().as_u64(what);
        let base_fee = file.base_fee_per_gas.map_or(U256::from(INITIAL_BASE_FEE), |fee| fee.0);
        let header = Header {
            parent_hash: file.parent_hash,
            fee_recipient: file.coinbase,
            state_root: state_root(&file.alloc)?,
            difficulty: file.difficulty.0,
            number,
            gas_limit: file.gas_limit.as_u64("gasLimit")?,
            gas_used: file.gas_used.as_u64("gasUsed")?,
            timestamp,
            extra_data: file.extra_data,
            prev_randao: file.mix_hash,
            nonce: B64::from(file.nonce.as_u64("nonce")?),
            base_fee_per_gas: base_fee,
            blob_gas_used: or_zero(file.blob_gas_used, "blobGasUsed")?,
            excess_blob_gas: or_zero(file.excess_blob_gas, "excessBlobGas")?,
            ..Header::default()
        };
        Ok(Self {
            chain_id: file.config.chain_id,
            deposit_contract: file.config.deposit_contract_address,
            block: Block::first(header),
        })
    }
}

fn state_root(alloc: &BTreeMap<HexAddress, Account>) -> Result<B256, String> {
    let mut accounts = Vec::with_capacity(alloc.len());
    for (HexAddress(address), account) in alloc {
        let storage = account.storage.iter().filter(|(_, Word(value))| !value.is_zero());
        let storage_root =
            root::storage_root_unhashed(storage.map(|(Word(slot), Word(value))| (*slot, U256::from_be_bytes(value.0))));
        let entry = TrieAccount {
            nonce: account
                .nonce
                .as_u64("nonce")
                .map_err(|reason| format!("alloc: {address}: {reason}"))?,
            balance: account.balance.0,
            storage_root,
            code_hash: if account.code.is_empty() {
                KECCAK_EMPTY
            } else {
                keccak256(&account.code)
            },
        };
        accounts.push((*address, entry));
    }
    Ok(root::state_root_unhashed(accounts))
}
