//! Execution block headers: RLP, commitments and hashes are the real ones; only the contents of the
//! state are a toy.

use crate::wire::{Payload, Withdrawal, quantity};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, b256, keccak256};
use alloy_rlp::{BufMut, Encodable};
use alloy_trie::root::ordered_trie_root_encoded;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Keccak of the RLP of an empty list: a block after the merge has no ommers.
pub(crate) const EMPTY_OMMERS: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");
/// Gas of a blob (EIP-4844).
pub(crate) const GAS_PER_BLOB: u64 = 131_072;
/// Blob gas that a block of the toy chain aims for. All mocks of a network share it.
const TARGET_BLOB_GAS: u64 = 6 * GAS_PER_BLOB;
/// What the toy chain takes for each transaction.
const GAS_PER_TRANSACTION: u64 = 21_000;
/// Smallest gas limit that a block may have.
const MIN_GAS_LIMIT: u64 = 5_000;

/// A header of Prague or later (Osaka adds no field).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Hash of the parent.
    pub parent_hash: B256,
    /// Who receives the fees.
    #[serde(rename = "miner")]
    pub fee_recipient: Address,
    /// Root of the state. On the toy chain it is a hash chain over the blocks.
    pub state_root: B256,
    /// Root of the transaction trie.
    pub transactions_root: B256,
    /// Root of the receipt trie.
    pub receipts_root: B256,
    /// Always zero: toy transactions leave no logs.
    pub logs_bloom: Bloom,
    /// Zero but in first blocks, whose genesis file may say anything.
    #[serde(default)]
    pub difficulty: U256,
    /// Height.
    #[serde(with = "quantity")]
    pub number: u64,
    /// Gas that fits in.
    #[serde(with = "quantity")]
    pub gas_limit: u64,
    /// Gas that was used.
    #[serde(with = "quantity")]
    pub gas_used: u64,
    /// Unix seconds.
    #[serde(with = "quantity")]
    pub timestamp: u64,
    /// At most 32 bytes.
    pub extra_data: Bytes,
    /// Randomness of the beacon chain.
    #[serde(rename = "mixHash")]
    pub prev_randao: B256,
    /// Zero but in first blocks, as the difficulty.
    #[serde(default)]
    pub nonce: B64,
    /// Wei per gas.
    pub base_fee_per_gas: U256,
    /// Root of the withdrawal trie.
    pub withdrawals_root: B256,
    /// Blob gas that was used.
    #[serde(with = "quantity")]
    pub blob_gas_used: u64,
    /// Running excess of blob gas.
    #[serde(with = "quantity")]
    pub excess_blob_gas: u64,
    /// Root of the beacon block before this block's.
    pub parent_beacon_block_root: B256,
    /// EIP-7685 commitment to the execution requests.
    pub requests_hash: B256,
}

impl Header {
    /// Keccak of the RLP of the header.
    pub fn hash(&self) -> B256 {
        let mut list = Vec::with_capacity(700);
        self.parent_hash.encode(&mut list);
        EMPTY_OMMERS.encode(&mut list);
        self.fee_recipient.encode(&mut list);
        self.state_root.encode(&mut list);
        self.transactions_root.encode(&mut list);
        self.receipts_root.encode(&mut list);
        self.logs_bloom.0.encode(&mut list);
        self.difficulty.encode(&mut list);
        self.number.encode(&mut list);
        self.gas_limit.encode(&mut list);
        self.gas_used.encode(&mut list);
        self.timestamp.encode(&mut list);
        self.extra_data.encode(&mut list);
        self.prev_randao.encode(&mut list);
        self.nonce.encode(&mut list);
        self.base_fee_per_gas.encode(&mut list);
        self.withdrawals_root.encode(&mut list);
        self.blob_gas_used.encode(&mut list);
        self.excess_blob_gas.encode(&mut list);
        self.parent_beacon_block_root.encode(&mut list);
        self.requests_hash.encode(&mut list);

        let mut rlp = Vec::with_capacity(list.len() + 4);
        alloy_rlp::Header {
            list: true,
            payload_length: list.len(),
        }
        .encode(&mut rlp);
        rlp.put_slice(&list);
        keccak256(&rlp)
    }

    /// The header that a payload, with what the beacon chain adds, stands for.
    pub(crate) fn from_payload(payload: &Payload, parent_beacon_block_root: B256, requests: &[Bytes]) -> Self {
        Self {
            parent_hash: payload.parent_hash,
            fee_recipient: payload.fee_recipient,
            state_root: payload.state_root,
            transactions_root: ordered_trie_root_encoded(&payload.transactions),
            receipts_root: payload.receipts_root,
            logs_bloom: payload.logs_bloom,
            difficulty: U256::ZERO,
            nonce: B64::ZERO,
            number: payload.block_number,
            gas_limit: payload.gas_limit,
            gas_used: payload.gas_used,
            timestamp: payload.timestamp,
            extra_data: payload.extra_data.clone(),
            prev_randao: payload.prev_randao,
            base_fee_per_gas: payload.base_fee_per_gas,
            withdrawals_root: withdrawals_root(&payload.withdrawals),
            blob_gas_used: payload.blob_gas_used,
            excess_blob_gas: payload.excess_blob_gas,
            parent_beacon_block_root,
            requests_hash: requests_hash(requests),
        }
    }

    /// The toy execution: all that the parent and the contents determine.
    pub(crate) fn child(&self, parent_hash: B256, contents: &Contents) -> Self {
        let transactions_root = ordered_trie_root_encoded(&contents.transactions);
        let withdrawals_root = withdrawals_root(&contents.withdrawals);
        let blobs = blob_versioned_hashes(&contents.transactions).map_or(0, |hashes| hashes.len());
        Self {
            parent_hash,
            fee_recipient: contents.fee_recipient,
            state_root: toy_state_root(
                self.state_root,
                transactions_root,
                withdrawals_root,
                contents.parent_beacon_block_root,
            ),
            transactions_root,
            receipts_root: toy_receipts_root(transactions_root),
            logs_bloom: Bloom::ZERO,
            difficulty: U256::ZERO,
            nonce: B64::ZERO,
            number: self.number.saturating_add(1),
            gas_limit: self.gas_limit,
            gas_used: toy_gas_used(contents.transactions.len()),
            timestamp: contents.timestamp,
            extra_data: contents.extra_data.clone(),
            prev_randao: contents.prev_randao,
            base_fee_per_gas: self.next_base_fee(),
            withdrawals_root,
            blob_gas_used: GAS_PER_BLOB.saturating_mul(blobs as u64),
            excess_blob_gas: self.next_excess_blob_gas(),
            parent_beacon_block_root: contents.parent_beacon_block_root,
            requests_hash: requests_hash(&contents.requests),
        }
    }

    /// Base fee of the next block (EIP-1559).
    fn next_base_fee(&self) -> U256 {
        let target = U256::from((self.gas_limit / 2).max(1));
        let used = U256::from(self.gas_used);
        let fee = self.base_fee_per_gas;
        let change =
            |distance: U256| fee.saturating_mul(distance).checked_div(target).unwrap_or_default() / U256::from(8);
        if used > target {
            fee.saturating_add(change(used.saturating_sub(target)).max(U256::from(1)))
        } else {
            fee.saturating_sub(change(target.saturating_sub(used)))
        }
    }

    fn next_excess_blob_gas(&self) -> u64 {
        self.excess_blob_gas
            .saturating_add(self.blob_gas_used)
            .saturating_sub(TARGET_BLOB_GAS)
    }

    /// Checks `self` as a child of `parent`. `transactions` and `blobs` are counts.
    pub(crate) fn check_child_of(&self, parent: &Self, transactions: usize, blobs: usize) -> Result<(), InvalidBlock> {
        let expect = |what, expected: u64, found: u64| {
            if expected == found {
                Ok(())
            } else {
                Err(InvalidBlock::Number { what, expected, found })
            }
        };
        let expect_hash = |what, expected: B256, found: B256| {
            if expected == found {
                Ok(())
            } else {
                Err(InvalidBlock::Hash { what, expected, found })
            }
        };
        expect("block number", parent.number.saturating_add(1), self.number)?;
        if self.timestamp <= parent.timestamp {
            return Err(InvalidBlock::Timestamp {
                parent: parent.timestamp,
                found: self.timestamp,
            });
        }
        let largest_step = (parent.gas_limit / 1024).max(1);
        if self.gas_limit < MIN_GAS_LIMIT || parent.gas_limit.abs_diff(self.gas_limit) >= largest_step {
            return Err(InvalidBlock::GasLimit {
                parent: parent.gas_limit,
                found: self.gas_limit,
            });
        }
        expect("gas used", toy_gas_used(transactions), self.gas_used)?;
        if self.gas_used > self.gas_limit {
            return Err(InvalidBlock::GasUsed {
                limit: self.gas_limit,
                found: self.gas_used,
            });
        }
        if self.extra_data.len() > 32 {
            return Err(InvalidBlock::ExtraData {
                found: self.extra_data.len(),
            });
        }
        if self.base_fee_per_gas != parent.next_base_fee() {
            return Err(InvalidBlock::BaseFee {
                expected: parent.next_base_fee(),
                found: self.base_fee_per_gas,
            });
        }
        expect(
            "blob gas used",
            GAS_PER_BLOB.saturating_mul(blobs as u64),
            self.blob_gas_used,
        )?;
        expect("excess blob gas", parent.next_excess_blob_gas(), self.excess_blob_gas)?;
        expect_hash(
            "receipts root",
            toy_receipts_root(self.transactions_root),
            self.receipts_root,
        )?;
        let state_root = toy_state_root(
            parent.state_root,
            self.transactions_root,
            self.withdrawals_root,
            self.parent_beacon_block_root,
        );
        expect_hash("state root", state_root, self.state_root)
    }
}

/// What a builder decides; the rest of a header follows from its parent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) fee_recipient: Address,
    pub(crate) timestamp: u64,
    pub(crate) extra_data: Bytes,
    pub(crate) prev_randao: B256,
    pub(crate) parent_beacon_block_root: B256,
    pub(crate) transactions: Vec<Bytes>,
    pub(crate) withdrawals: Vec<Withdrawal>,
    pub(crate) requests: Vec<Bytes>,
}

/// Why the toy chain refuses a block on a known parent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidBlock {
    #[error("{what}: expected {expected}, found {found}")]
    Number {
        what: &'static str,
        expected: u64,
        found: u64,
    },
    #[error("{what}: expected {expected}, found {found}")]
    Hash {
        what: &'static str,
        expected: B256,
        found: B256,
    },
    #[error("timestamp {found} is not later than the parent's {parent}")]
    Timestamp { parent: u64, found: u64 },
    #[error("gas limit {found} is too far from the parent's {parent}, or below {MIN_GAS_LIMIT}")]
    GasLimit { parent: u64, found: u64 },
    #[error("gas used {found} is above the limit {limit}")]
    GasUsed { limit: u64, found: u64 },
    #[error("extra data has {found} bytes, at most 32 are allowed")]
    ExtraData { found: usize },
    #[error("base fee: expected {expected}, found {found}")]
    BaseFee { expected: U256, found: U256 },
}

fn toy_state_root(parent: B256, transactions: B256, withdrawals: B256, beacon_root: B256) -> B256 {
    keccak256([parent.0, transactions.0, withdrawals.0, beacon_root.0].concat())
}

/// One made-up receipt that names the transactions, or no receipt.
fn toy_receipts_root(transactions_root: B256) -> B256 {
    if transactions_root == alloy_trie::EMPTY_ROOT_HASH {
        transactions_root
    } else {
        ordered_trie_root_encoded(&[transactions_root])
    }
}

fn toy_gas_used(transactions: usize) -> u64 {
    GAS_PER_TRANSACTION.saturating_mul(transactions as u64)
}

pub(crate) fn withdrawals_root(withdrawals: &[Withdrawal]) -> B256 {
    let encoded: Vec<Vec<u8>> = withdrawals
        .iter()
        .map(|withdrawal| {
            let mut list = Vec::with_capacity(48);
            withdrawal.index.encode(&mut list);
            withdrawal.validator_index.encode(&mut list);
            withdrawal.address.encode(&mut list);
            withdrawal.amount.encode(&mut list);
            let mut rlp = Vec::with_capacity(list.len() + 1);
            alloy_rlp::Header {
                list: true,
                payload_length: list.len(),
            }
            .encode(&mut rlp);
            rlp.extend_from_slice(&list);
            rlp
        })
        .collect();
    ordered_trie_root_encoded(&encoded)
}

/// EIP-7685: sha256 over the sha256 of each request list that is not empty.
pub(crate) fn requests_hash(requests: &[Bytes]) -> B256 {
    let mut outer = Sha256::new();
    for request in requests.iter().filter(|request| request.len() > 1) {
        outer.update(Sha256::digest(request));
    }
    B256::from_slice(&outer.finalize())
}

/// Versioned hashes of the blobs of all blob transactions, in order; `None` if one cannot be read.
pub(crate) fn blob_versioned_hashes(transactions: &[Bytes]) -> Option<Vec<B256>> {
    const BLOB_TRANSACTION: u8 = 3;
    /// Place of `blob_versioned_hashes` among the fields of a blob transaction (EIP-4844).
    const FIELD: usize = 10;
    let mut hashes = Vec::new();
    for transaction in transactions {
        let Some((&BLOB_TRANSACTION, mut body)) = transaction.split_first() else {
            continue;
        };
        let mut fields = alloy_rlp::Header::decode_bytes(&mut body, true).ok()?;
        for _ in 0..FIELD {
            let field = alloy_rlp::Header::decode(&mut fields).ok()?;
            fields = fields.get(field.payload_length..)?;
        }
        let mut list = alloy_rlp::Header::decode_bytes(&mut fields, true).ok()?;
        while !list.is_empty() {
            let hash = alloy_rlp::Header::decode_bytes(&mut list, false).ok()?;
            hashes.push(B256::try_from(hash).ok()?);
        }
    }
    Some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, hex};

    /// Headers of the test chain that comes with the execution APIs, with their hashes.
    #[test]
    fn hashes_of_real_prague_headers_are_computed() {
        let blocks: Vec<serde_json::Value> = serde_json::from_str(include_str!("../tests/data/headers.json")).unwrap();
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            let header = Header::deserialize(&block).unwrap();
            assert_eq!(header.hash(), B256::deserialize(&block["hash"]).unwrap());
        }
    }

    /// From the Shanghai block of the same chain.
    #[test]
    fn withdrawals_root_of_a_real_block_is_computed() {
        let withdrawal = Withdrawal {
            index: 0,
            validator_index: 5,
            address: address!("3ae75c08b4c907eb63a8960c45b86e1e9ab6123c"),
            amount: 100,
        };
        let expected = b256!("0cbd4206b2131f21f541589e2bb2ad8cfceb1875f04acde910ea91933245f92b");
        assert_eq!(withdrawals_root(&[withdrawal]), expected);
    }

    #[test]
    fn no_requests_commit_to_the_hash_of_nothing() {
        let nothing = b256!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(requests_hash(&[]), nothing);
        assert_eq!(requests_hash(&[Bytes::from_static(&[1])]), nothing);
        assert_ne!(requests_hash(&[Bytes::from_static(&[1, 2])]), nothing);
    }

    /// A transaction from the examples of the Engine API.
    #[test]
    fn versioned_hashes_of_a_blob_transaction_are_found() {
        let blob = Bytes::from(hex!(
            "03f88f0780843b9aca008506fc23ac00830186a09400000000000000000000000000000000000001008080c001e1a0010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c44401401a0840650aa8f74d2b07f40067dc33b715078d73422f01da17abdbd11e02bbdfda9a04b2260f6022bf53eadb337b3e59514936f7317d872defb891a708ee279bdca90"
        ));
        let expected = b256!("010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014");
        let legacy = Bytes::from_static(&[0xc0]);
        assert_eq!(blob_versioned_hashes(&[legacy, blob.clone()]), Some(vec![expected]));
        assert_eq!(blob_versioned_hashes(&[blob.slice(..60)]), None);
    }

    #[test]
    fn base_fee_falls_with_empty_blocks_and_rises_with_full_ones() {
        let fee = |gas_used, base_fee: u64| {
            let header = Header {
                gas_limit: 1_000,
                gas_used,
                base_fee_per_gas: U256::from(base_fee),
                ..Header::default()
            };
            u64::try_from(header.next_base_fee()).unwrap()
        };
        assert_eq!(fee(0, 800), 700);
        assert_eq!(fee(500, 800), 800);
        assert_eq!(fee(1_000, 800), 900);
        assert_eq!(fee(501, 1), 2, "it rises at least by one");
        assert_eq!(fee(0, 7), 7);
    }
}
