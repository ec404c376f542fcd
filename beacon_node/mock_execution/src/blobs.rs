//! Blobs: those that transactions of the next payloads carry, and those that wait in the pool.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy_rlp::Encodable as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// First byte of a blob transaction, and of a versioned hash (EIP-4844).
const BLOB_TRANSACTION: u8 = 3;
const VERSIONED_HASH_VERSION_KZG: u8 = 1;
/// Blobs in the pool.
const MAX_BLOBS: usize = 128;

/// A blob with what the Engine API says of it. Nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PooledBlob {
    /// Its 131,072 bytes.
    pub blob: Bytes,
    /// The commitment to it.
    pub commitment: FixedBytes<48>,
    /// The proof of each cell of the extended blob.
    pub cell_proofs: Vec<FixedBytes<48>>,
}

impl PooledBlob {
    fn versioned_hash(&self) -> B256 {
        let mut hash: [u8; 32] = Sha256::digest(self.commitment).into();
        hash[0] = VERSIONED_HASH_VERSION_KZG;
        B256::new(hash)
    }
}

/// The pool.
#[derive(Debug, Default)]
pub(crate) struct BlobPool(BTreeMap<B256, PooledBlob>);

impl BlobPool {
    pub(crate) fn add(&mut self, blobs: impl IntoIterator<Item = PooledBlob>) {
        for blob in blobs {
            if self.0.len() < MAX_BLOBS {
                self.0.insert(blob.versioned_hash(), blob);
            }
        }
    }

    /// Result of `engine_getBlobsV2`: all or nothing.
    pub(crate) fn get(&self, hashes: &[B256]) -> Value {
        let found = hashes.iter().map(|hash| self.0.get(hash)).collect::<Option<Vec<_>>>();
        found.map_or(Value::Null, |blobs| {
            blobs
                .iter()
                .map(|item| json!({ "blob": item.blob, "proofs": item.cell_proofs }))
                .collect()
        })
    }

    /// `blobsBundle` of a payload that names these blobs: with proofs of the cells, or as before Fulu with one of each
    /// blob, for which the first of its cells stands in.
    pub(crate) fn bundle(&self, hashes: &[B256], with_cell_proofs: bool) -> Value {
        let blobs: Vec<&PooledBlob> = hashes.iter().filter_map(|hash| self.0.get(hash)).collect();
        let proofs_per_blob = if with_cell_proofs { usize::MAX } else { 1 };
        json!({
            "commitments": blobs.iter().map(|item| item.commitment).collect::<Vec<_>>(),
            "proofs": blobs
                .iter()
                .flat_map(|item| item.cell_proofs.iter().take(proofs_per_blob))
                .collect::<Vec<_>>(),
            "blobs": blobs.iter().map(|item| &item.blob).collect::<Vec<_>>(),
        })
    }
}

/// A transaction that carries these blobs. Only its type and its versioned hashes are looked at by anyone here.
pub(crate) fn blob_transaction(blobs: &[PooledBlob]) -> Bytes {
    let zero = U256::ZERO;
    let mut fields = Vec::new();
    // Chain id, nonce, two fees, gas limit.
    for _ in 0..5 {
        zero.encode(&mut fields);
    }
    Address::ZERO.encode(&mut fields);
    // Value, data, access list, blob fee.
    zero.encode(&mut fields);
    Bytes::new().encode(&mut fields);
    Vec::<B256>::new().encode(&mut fields);
    zero.encode(&mut fields);
    blobs
        .iter()
        .map(PooledBlob::versioned_hash)
        .collect::<Vec<_>>()
        .encode(&mut fields);
    // The signature.
    for _ in 0..3 {
        zero.encode(&mut fields);
    }
    let header = alloy_rlp::Header {
        list: true,
        payload_length: fields.len(),
    };
    let mut transaction = vec![BLOB_TRANSACTION];
    header.encode(&mut transaction);
    transaction.extend(fields);
    transaction.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::blob_versioned_hashes;

    #[test]
    fn the_hashes_of_a_blob_transaction_are_found_again() {
        let blobs = [1, 2].map(|byte| PooledBlob {
            blob: Bytes::from(vec![byte; 4]),
            commitment: FixedBytes::repeat_byte(byte),
            cell_proofs: vec![FixedBytes::repeat_byte(byte); 128],
        });
        let hashes = blob_versioned_hashes(&[blob_transaction(&blobs)]).unwrap();
        assert_eq!(hashes, blobs.each_ref().map(PooledBlob::versioned_hash));
        let mut pool = BlobPool::default();
        pool.add(blobs);
        assert_eq!(pool.get(&hashes).as_array().unwrap().len(), 2);
        assert_eq!(pool.get(&[hashes[0], B256::ZERO]), Value::Null, "all or nothing");
        assert_eq!(pool.bundle(&hashes, true)["proofs"].as_array().unwrap().len(), 256);
        assert_eq!(pool.bundle(&hashes, false)["proofs"].as_array().unwrap().len(), 2);
    }
}
