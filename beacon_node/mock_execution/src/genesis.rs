//! The first block of the toy chain, in the shapes of both layers.

use crate::chain::Block;
use crate::header::{Header, requests_hash, withdrawals_root};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use types::{ExecutionPayload, ExecutionPayloadHeader, Preset};

/// What can be chosen about the genesis block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisParameters {
    /// Unix seconds; not later than the genesis time of the beacon chain.
    pub timestamp: u64,
    /// Gas limit, which the toy chain keeps.
    pub gas_limit: u64,
    /// Wei per gas.
    pub base_fee_per_gas: u64,
    /// At most 32 bytes. Keeps two networks with the same timestamp apart.
    pub extra_data: Bytes,
}

impl GenesisParameters {
    /// A gas limit of 60 million, a base fee of one gwei.
    pub fn at(timestamp: u64) -> Self {
        Self {
            timestamp,
            gas_limit: 60_000_000,
            base_fee_per_gas: 1_000_000_000,
            extra_data: Bytes::new(),
        }
    }
}

/// The genesis block: the same for the same parameters, everywhere.
pub fn genesis_block(parameters: &GenesisParameters) -> Block {
    Block::first(Header {
        state_root: keccak256(b"toy state at genesis"),
        gas_limit: parameters.gas_limit,
        timestamp: parameters.timestamp,
        extra_data: parameters.extra_data.clone(),
        base_fee_per_gas: U256::from(parameters.base_fee_per_gas),
        ..Header::default()
    })
}

/// A block does not fit the limits of the beacon chain's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the extra data of the block has {found} bytes, the preset allows {limit}")]
pub struct ExtraDataTooLong {
    /// Bytes in the block.
    pub found: usize,
    /// Limit of the preset.
    pub limit: usize,
}

impl Block {
    /// A first block, whose commitments are those to nothing, whatever the header says of them.
    pub fn first(header: Header) -> Self {
        let empty = alloy_trie::EMPTY_ROOT_HASH;
        Self::from_header(Header {
            transactions_root: empty,
            receipts_root: empty,
            withdrawals_root: withdrawals_root(&[]),
            requests_hash: requests_hash(&[]),
            ..header
        })
    }

    pub(crate) fn from_header(header: Header) -> Self {
        Self {
            hash: header.hash(),
            header,
            transactions: Vec::new(),
            withdrawals: Vec::new(),
            requests: Vec::new(),
            blobs: 0,
            anchor: true,
        }
    }

    /// The payload header that a beacon state holds for this block, which must have neither
    /// transactions nor withdrawals: the header commits to those by other roots than the block.
    pub fn to_payload_header<P: Preset>(&self) -> Result<ExecutionPayloadHeader<P>, ExtraDataTooLong> {
        let header = &self.header;
        let empty = ExecutionPayload::<P>::default();
        Ok(ExecutionPayloadHeader {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            prev_randao: header.prev_randao,
            block_number: header.number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: header.extra_data.to_vec().try_into().map_err(|_| ExtraDataTooLong {
                found: header.extra_data.len(),
                limit: 32,
            })?,
            base_fee_per_gas: header.base_fee_per_gas,
            block_hash: self.hash,
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
            ..ExecutionPayloadHeader::from(&empty)
        })
    }

    /// The block to start a toy chain from, given the payload header of a genesis state. For a block
    /// of [`genesis_block`] this gives that block back; of any other it knows as much
    /// as is needed to build on it.
    pub fn from_payload_header<P: Preset>(header: &ExecutionPayloadHeader<P>) -> Self {
        let empty = alloy_trie::EMPTY_ROOT_HASH;
        let mut block = Self::from_header(Header {
            parent_hash: header.parent_hash,
            fee_recipient: header.fee_recipient,
            state_root: header.state_root,
            transactions_root: empty,
            receipts_root: header.receipts_root,
            number: header.block_number,
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            extra_data: Bytes::copy_from_slice(&header.extra_data),
            prev_randao: header.prev_randao,
            base_fee_per_gas: header.base_fee_per_gas,
            withdrawals_root: withdrawals_root(&[]),
            blob_gas_used: header.blob_gas_used,
            excess_blob_gas: header.excess_blob_gas,
            parent_beacon_block_root: B256::ZERO,
            requests_hash: requests_hash(&[]),
            ..Header::default()
        });
        block.hash = header.block_hash;
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Minimal;

    #[test]
    fn a_beacon_state_embeds_the_genesis_and_gives_it_back() {
        let parameters = GenesisParameters {
            extra_data: Bytes::from_static(b"devnet 7"),
            ..GenesisParameters::at(1_700_000_000)
        };
        let block = genesis_block(&parameters);
        let header = block.to_payload_header::<Minimal>().unwrap();
        assert_eq!(header.block_hash, block.hash);
        assert_eq!(Block::from_payload_header(&header), block);
        assert_ne!(genesis_block(&GenesisParameters::at(1_700_000_000)).hash, block.hash);
    }

    #[test]
    fn extra_data_of_more_than_32_bytes_does_not_fit() {
        let parameters = GenesisParameters {
            extra_data: vec![0; 33].into(),
            ..GenesisParameters::at(1)
        };
        let error = genesis_block(&parameters).to_payload_header::<Minimal>().unwrap_err();
        assert_eq!(error, ExtraDataTooLong { found: 33, limit: 32 });
    }
}
