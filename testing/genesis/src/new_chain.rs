//! A genesis file for the execution clients of a new chain: contracts of the protocol, deposit contract, funded accounts.

use crate::blob_schedule::BlobSchedule;
use crate::error::GenesisError;
use crate::execution::ExecutionGenesis;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// Where each contract of the protocol is, by the EIPs, and its code.
mod contracts {
    use alloy_primitives::{Address, address, hex};

    /// EIP-4788: roots of beacon blocks.
    pub(super) const BEACON_ROOTS: (Address, &[u8]) = (
        address!("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02"),
        &hex!(
            "3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414603c"
            "575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"
        ),
    );
    /// EIP-2935: hashes of former blocks.
    pub(super) const BLOCK_HASHES: (Address, &[u8]) = (
        address!("0x0000F90827F1C53a10cb7A02335B175320002935"),
        &hex!(
            "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff"
            "9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
        ),
    );
    /// EIP-7002: requests for withdrawals and exits.
    pub(super) const WITHDRAWAL_REQUESTS: (Address, &[u8]) = (
        address!("0x00000961Ef480Eb55e80D19ad83579A64c007002"),
        &hex!(
            "3373fffffffffffffffffffffffffffffffffffffffe1460cb5760115f54807fffffffffffffffffffffffffffffffffffffffffffffffff"
            "ffffffffffffffff146101f457600182026001905f5b5f82111560685781019083028483029004916001019190604d565b90939004925050"
            "5036603814608857366101f457346101f4575f5260205ff35b34106101f457600154600101600155600354806003026004013381556001015f"
            "35815560010160203590553360601b5f5260385f601437604c5fa0600101600355005b6003546002548082038060101160df575060105b5f5b"
            "8181146101835782810160030260040181604c02815460601b8152601401816001015481526020019060020154807fffffffffffffffffffff"
            "ffffffffffff00000000000000000000000000000000168252906010019060401c908160381c81600701538160301c81600601538160281c81"
            "600501538160201c81600401538160181c81600301538160101c81600201538160081c81600101535360010160e1565b910180921461019557"
            "906002556101a0565b90505f6002555f6003555b5f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff14"
            "156101cd57505f5b6001546002828201116101e25750505f6101e8565b01600290035b5f555f600155604c025ff35b5f5ffd"
        ),
    );
    /// EIP-7251: requests for consolidations.
    pub(super) const CONSOLIDATION_REQUESTS: (Address, &[u8]) = (
        address!("0x0000BBdDc7CE488642fb579F8B00f3a590007251"),
        &hex!(
            "3373fffffffffffffffffffffffffffffffffffffffe1460d35760115f54807fffffffffffffffffffffffffffffffffffffffffffffffff"
            "ffffffffffffffff1461019a57600182026001905f5b5f82111560685781019083028483029004916001019190604d565b90939004925050"
            "50366060146088573661019a573461019a575f5260205ff35b341061019a57600154600101600155600354806004026004013381556001015f"
            "358155600101602035815560010160403590553360601b5f5260605f60143760745fa0600101600355005b6003546002548082038060021160"
            "e7575060025b5f5b8181146101295782810160040260040181607402815460601b815260140181600101548152602001816002015481526020"
            "019060030154905260010160e9565b910180921461013b5790600255610146565b90505f6002555f6003555b5f54807fffffffffffffffffff"
            "ffffffffffffffffffffffffffffffffffffffffffffff141561017357505f5b6001546001828201116101885750505f61018e565b016001"
            "90035b5f555f6001556074025ff35b5f5ffd"
        ),
    );
}

/// Contract of EIP-7002: takes requests for withdrawals and exits.
pub const WITHDRAWAL_REQUESTS: Address = contracts::WITHDRAWAL_REQUESTS.0;
/// Contract of EIP-7251: takes requests for consolidations.
pub const CONSOLIDATION_REQUESTS: Address = contracts::CONSOLIDATION_REQUESTS.0;

/// Code of the deposit contract, as on the main network.
const DEPOSIT_CONTRACT_CODE: &str = include_str!("deposit_contract.hex");
/// First slot of the deposit contract's storage with a root of an empty subtree that is not zero.
const FIRST_EMPTY_ROOT_SLOT: u64 = 0x22;
/// Depth of the deposit contract's tree.
const DEPOSIT_TREE_DEPTH: u64 = 32;

/// What can be chosen about a new execution chain, which begins with Prague.
#[derive(Debug, Clone)]
pub struct NewExecutionChain {
    /// Chain id.
    pub chain_id: u64,
    /// Unix seconds of the first block: not later than the genesis of the consensus chain.
    pub timestamp: u64,
    /// At most 32 bytes. Keeps two networks with the same timestamp apart.
    pub extra_data: Bytes,
    /// Where deposits go.
    pub deposit_contract: Address,
    /// Balances in Wei.
    pub balances: BTreeMap<Address, U256>,
    /// Whether the chain begins with Osaka.
    pub osaka: bool,
    /// How many blobs blocks can have.
    pub blobs: BlobSchedule,
}

impl NewExecutionChain {
    /// The file, in go-ethereum's form.
    pub fn to_json(&self) -> Result<Value, GenesisError> {
        let mut alloc = serde_json::Map::new();
        for (address, balance) in &self.balances {
            alloc.insert(address.to_string(), json!({ "balance": balance }));
        }
        // Requests are taken from the second block on: the first one's end sets the excess, which says so until then.
        let inhibited = json!({ B256::ZERO.to_string(): B256::repeat_byte(0xff) });
        let none = json!({});
        for ((address, code), storage) in [
            (contracts::BEACON_ROOTS, &none),
            (contracts::BLOCK_HASHES, &none),
            (contracts::WITHDRAWAL_REQUESTS, &inhibited),
            (contracts::CONSOLIDATION_REQUESTS, &inhibited),
        ] {
            alloc.insert(
                address.to_string(),
                json!({ "balance": "0x0", "nonce": "0x1", "code": hex::encode_prefixed(code), "storage": storage }),
            );
        }
        let code = hex::decode(DEPOSIT_CONTRACT_CODE.split_whitespace().collect::<String>())
            .map_err(|error| GenesisError::State(format!("code of the deposit contract: {error}")))?;
        alloc.insert(
            self.deposit_contract.to_string(),
            json!({ "balance": "0x0", "code": Bytes::from(code), "storage": empty_subtrees() }),
        );
        let mut file = json!({
            "config": {
                "chainId": self.chain_id,
                "homesteadBlock": 0,
                "eip150Block": 0,
                "eip155Block": 0,
                "eip158Block": 0,
                "byzantiumBlock": 0,
                "constantinopleBlock": 0,
                "petersburgBlock": 0,
                "istanbulBlock": 0,
                "berlinBlock": 0,
                "londonBlock": 0,
                "mergeNetsplitBlock": 0,
                "terminalTotalDifficulty": 0,
                "terminalTotalDifficultyPassed": true,
                "shanghaiTime": 0,
                "cancunTime": 0,
                "pragueTime": 0,
                "depositContractAddress": self.deposit_contract.to_string(),
                "blobSchedule": self.blobs.to_json(self.osaka)?
            },
            "nonce": "0x0",
            "timestamp": format!("{:#x}", self.timestamp),
            "extraData": self.extra_data,
            "gasLimit": "0x3938700",
            "difficulty": "0x0",
            "mixHash": B256::ZERO,
            "coinbase": Address::ZERO,
            "number": "0x0",
            "gasUsed": "0x0",
            "parentHash": B256::ZERO,
            "baseFeePerGas": "0x3b9aca00",
            "excessBlobGas": "0x0",
            "blobGasUsed": "0x0",
            "alloc": alloc
        });
        if let Some(config) = file.get_mut("config").and_then(Value::as_object_mut) {
            if self.osaka {
                config.insert("osakaTime".to_owned(), json!(0));
            }
            config.extend(self.blobs.times().map(|(name, time)| (name, json!(time))));
        }
        Ok(file)
    }

    /// Writes the file, whole or not at all. Gives the first block.
    pub fn write(&self, path: &Path) -> Result<ExecutionGenesis, GenesisError> {
        let json =
            serde_json::to_vec_pretty(&self.to_json()?).map_err(|error| GenesisError::State(error.to_string()))?;
        crate::write(path, &json)?;
        ExecutionGenesis::from_file(path)
    }

    /// The first block that the file stands for.
    pub fn first_block(&self) -> Result<ExecutionGenesis, GenesisError> {
        let file = serde_json::to_vec(&self.to_json()?).map_err(|error| GenesisError::State(error.to_string()))?;
        ExecutionGenesis::from_json(&file).map_err(GenesisError::State)
    }
}

/// Storage of a deposit contract without deposits: roots of empty subtrees, which its constructor writes.
fn empty_subtrees() -> BTreeMap<B256, B256> {
    let mut root = B256::ZERO;
    let mut storage = BTreeMap::new();
    for height in 1..DEPOSIT_TREE_DEPTH {
        root = B256::from_slice(&Sha256::digest([root.0, root.0].concat()));
        let slot = U256::from(FIRST_EMPTY_ROOT_SLOT.saturating_add(height).saturating_sub(1));
        storage.insert(slot.into(), root);
    }
    storage
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256, keccak256};
    use types::{BlobParameters, ChainSpec, Epoch, PresetName};

    fn chain() -> NewExecutionChain {
        NewExecutionChain {
            chain_id: 1337,
            timestamp: 1_800_000_000,
            extra_data: Bytes::from_static(b"new"),
            deposit_contract: address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"),
            balances: BTreeMap::from([(Address::repeat_byte(0x11), U256::from(5))]),
            osaka: false,
            blobs: BlobSchedule::default(),
        }
    }

    #[test]
    fn the_file_is_one_that_is_read_back() {
        let first = chain().first_block().unwrap();
        assert_eq!(first.chain_id, 1337);
        assert_eq!(first.deposit_contract, Some(chain().deposit_contract));
        assert_eq!(first.block.header.timestamp, 1_800_000_000);
        // A fork without new fields of the first block does not change it.
        let osaka = NewExecutionChain { osaka: true, ..chain() };
        assert_eq!(osaka.first_block().unwrap(), first);
        let other = NewExecutionChain {
            balances: BTreeMap::new(),
            ..chain()
        };
        assert_ne!(other.first_block().unwrap().block.hash, first.block.hash);
        let extra_data = Bytes::from_static(b"other");
        let other = NewExecutionChain { extra_data, ..chain() };
        assert_ne!(other.first_block().unwrap().block.hash, first.block.hash);
    }

    #[test]
    fn blob_parameters_are_in_the_form_of_execution_clients() {
        let prague = json!({
            "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 },
            "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
        });
        let file = chain().to_json().unwrap();
        assert_eq!(file["config"]["blobSchedule"], prague);
        assert_eq!(file["config"].get("osakaTime"), None);
        assert_eq!(file["config"].get("bpo1Time"), None);

        let mut spec = ChainSpec {
            min_genesis_time: 1_800_000_000,
            slot_duration_ms: 12_000,
            ..ChainSpec::fulu_genesis(PresetName::Mainnet)
        };
        spec.blob_schedule = [(2, 15), (4, 21)]
            .map(|(epoch, max_blobs_per_block)| BlobParameters {
                epoch: Epoch::new(epoch),
                max_blobs_per_block,
            })
            .to_vec();
        spec.genesis_delay = 0;
        let chain = NewExecutionChain {
            osaka: true,
            blobs: BlobSchedule::of(&spec, 1_800_000_000).unwrap(),
            ..chain()
        };
        let config = &chain.to_json().unwrap()["config"];
        assert_eq!(
            config["blobSchedule"],
            json!({
                "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 },
                "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "osaka": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "bpo1": { "target": 10, "max": 15, "baseFeeUpdateFraction": 8_346_193 },
                "bpo2": { "target": 14, "max": 21, "baseFeeUpdateFraction": 11_684_671 },
            })
        );
        assert_eq!(
            (&config["osakaTime"], &config["bpo1Time"], &config["bpo2Time"]),
            (&json!(0), &json!(1_800_000_768), &json!(1_800_001_536))
        );
        assert_eq!(config.get("bpo3Time"), None);
    }

    /// Hashes of the codes on the main network.
    #[test]
    fn the_contracts_are_those_of_public_networks() {
        let file = chain().to_json().unwrap();
        for (address, hash) in CODE_HASHES {
            let code: Bytes = file["alloc"][address.to_string()]["code"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(keccak256(&code), hash, "{address}");
        }
        let storage = &file["alloc"][chain().deposit_contract.to_string()]["storage"];
        assert_eq!(storage.as_object().unwrap().len(), 31);
        let slot = |slot: u64| {
            storage[B256::from(U256::from(slot)).to_string()]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert!(slot(0x22).starts_with("0xf5a5fd42d16a20302798ef6ed309979b"));
        assert!(slot(0x40).starts_with("0x985e929f70af28d0bdd1a90a808f977f"));
    }

    const CODE_HASHES: [(Address, B256); 5] = [
        (
            address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"),
            b256!("0x6c029a231254fadb724d63be769f75eedd66362df034a3e663252b49d062a666"),
        ),
        (
            contracts::BEACON_ROOTS.0,
            b256!("0xf57acd40259872606d76197ef052f3d35588dadf919ee1f0e3cb9b62d3f4b02c"),
        ),
        (
            contracts::BLOCK_HASHES.0,
            b256!("0x6e49e66782037c0555897870e29fa5e552daf4719552131a0abce779daec0a5d"),
        ),
        (
            WITHDRAWAL_REQUESTS,
            b256!("0x0345a365d2f4c5975b9f1599abe0a2ee76b7a3a731bc68781bd04c84e4858f50"),
        ),
        (
            CONSOLIDATION_REQUESTS,
            b256!("0x78c6cb5202685228bbcbfb992b1c4e116c7ec5ef11e25b8e92716cfc628ddd60"),
        ),
    ];
}
