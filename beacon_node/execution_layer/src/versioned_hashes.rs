//! Versioned hashes of blobs: from commitments, and as the transactions of a payload name them.

use alloy_primitives::B256;
use sha2::{Digest, Sha256};
use types::KzgCommitment;

/// `keccak` and `sha256` hashes are told apart by the first byte (EIP-4844).
const VERSIONED_HASH_VERSION_KZG: u8 = 1;
/// First byte of a blob transaction (EIP-4844).
const BLOB_TRANSACTION_TYPE: u8 = 3;
/// Fields of a blob transaction before `blob_versioned_hashes`: chain id, nonce, two fees, gas limit,
/// to, value, data, access list, blob fee.
const FIELDS_BEFORE_HASHES: usize = 10;

/// A transaction of the payload, or its list of hashes, is not what the beacon block says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionedHashError {
    /// A blob transaction whose RLP cannot be followed up to its hashes.
    #[error("blob transaction {transaction} does not decode: {why}")]
    Rlp {
        /// Place in the payload.
        transaction: usize,
        /// What the decoder said.
        why: String,
    },
    /// Another number of blobs.
    #[error("the block commits to {expected} blobs, its payload's transactions name {found}")]
    Count {
        /// Commitments of the block.
        expected: usize,
        /// Blobs of the transactions.
        found: usize,
    },
    /// Another blob.
    #[error("blob {index}: commitment gives {expected}, transaction names {found}")]
    Mismatch {
        /// Place among the blobs of the block.
        index: usize,
        /// From the commitment.
        expected: B256,
        /// In the transaction.
        found: B256,
    },
}

/// Spec: deneb/beacon-chain.md#kzg_commitment_to_versioned_hash
pub fn kzg_commitment_to_versioned_hash(kzg_commitment: &KzgCommitment) -> B256 {
    let mut hash: [u8; 32] = Sha256::digest(kzg_commitment.as_slice()).into();
    if let Some(first) = hash.first_mut() {
        *first = VERSIONED_HASH_VERSION_KZG;
    }
    B256::from(hash)
}

/// Checks that the blob transactions name exactly these hashes, in this order.
///
/// Spec: deneb/beacon-chain.md#is_valid_versioned_hashes
pub fn is_valid_versioned_hashes<T: AsRef<[u8]>>(
    transactions: impl IntoIterator<Item = T>,
    versioned_hashes: &[B256],
) -> Result<(), VersionedHashError> {
    let mut named = Vec::new();
    for (index, transaction) in transactions.into_iter().enumerate() {
        append_hashes(transaction.as_ref(), &mut named).map_err(|error| VersionedHashError::Rlp {
            transaction: index,
            why: error.to_string(),
        })?;
    }
    if named.len() != versioned_hashes.len() {
        return Err(VersionedHashError::Count {
            expected: versioned_hashes.len(),
            found: named.len(),
        });
    }
    for (index, (expected, found)) in versioned_hashes.iter().zip(&named).enumerate() {
        if expected != found {
            return Err(VersionedHashError::Mismatch {
                index,
                expected: *expected,
                found: *found,
            });
        }
    }
    Ok(())
}

fn append_hashes(transaction: &[u8], hashes: &mut Vec<B256>) -> Result<(), alloy_rlp::Error> {
    let Some((&BLOB_TRANSACTION_TYPE, mut body)) = transaction.split_first() else {
        return Ok(());
    };
    let mut fields = alloy_rlp::Header::decode_bytes(&mut body, true)?;
    for _ in 0..FIELDS_BEFORE_HASHES {
        let length = alloy_rlp::Header::decode(&mut fields)?.payload_length;
        fields = fields.get(length..).ok_or(alloy_rlp::Error::InputTooShort)?;
    }
    let mut list = alloy_rlp::Header::decode_bytes(&mut fields, true)?;
    while !list.is_empty() {
        let hash = alloy_rlp::Header::decode_bytes(&mut list, false)?;
        hashes.push(B256::try_from(hash).map_err(|_| alloy_rlp::Error::UnexpectedLength)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rlp::Encodable;

    /// A blob transaction with an access list entry and these hashes; signature fields follow.
    fn blob_transaction(hashes: &[B256]) -> Vec<u8> {
        let mut fields = Vec::new();
        for number in [1u64, 0, 2, 300, 21_000] {
            number.encode(&mut fields);
        }
        alloy_primitives::Address::repeat_byte(7).encode(&mut fields);
        0u64.encode(&mut fields);
        [0xffu8; 100].as_slice().encode(&mut fields);
        // One access list entry: an address and no keys.
        let mut entry = Vec::new();
        alloy_primitives::Address::repeat_byte(8).encode(&mut entry);
        entry.push(0xc0);
        let mut entries = Vec::new();
        alloy_rlp::Header {
            list: true,
            payload_length: entry.len(),
        }
        .encode(&mut entries);
        entries.extend(entry);
        alloy_rlp::Header {
            list: true,
            payload_length: entries.len(),
        }
        .encode(&mut fields);
        fields.extend(entries);
        1u64.encode(&mut fields);
        alloy_rlp::encode_list::<_, B256>(hashes, &mut fields);
        for number in [1u64, 2, 3] {
            number.encode(&mut fields);
        }
        let mut transaction = vec![BLOB_TRANSACTION_TYPE];
        alloy_rlp::Header {
            list: true,
            payload_length: fields.len(),
        }
        .encode(&mut transaction);
        transaction.extend(fields);
        transaction
    }

    #[test]
    fn hashes_of_all_blob_transactions_are_compared_in_order() {
        let [a, b, c] = [1, 2, 3].map(B256::repeat_byte);
        let transactions = [
            vec![2, 0xc0],
            blob_transaction(&[a, b]),
            vec![0xc0],
            blob_transaction(&[c]),
        ];
        assert_eq!(is_valid_versioned_hashes(&transactions, &[a, b, c]), Ok(()));
        assert_eq!(
            is_valid_versioned_hashes(&transactions, &[a, b]),
            Err(VersionedHashError::Count { expected: 2, found: 3 })
        );
        assert_eq!(
            is_valid_versioned_hashes(&transactions, &[a, c, b]),
            Err(VersionedHashError::Mismatch {
                index: 1,
                expected: c,
                found: b
            })
        );
    }

    #[test]
    fn a_torn_blob_transaction_is_an_error_at_each_length() {
        let transaction = blob_transaction(&[B256::repeat_byte(1)]);
        for length in 1..transaction.len() {
            let torn = is_valid_versioned_hashes([&transaction[..length]], &[B256::repeat_byte(1)]);
            assert!(
                matches!(torn, Err(VersionedHashError::Rlp { transaction: 0, .. })),
                "{length}"
            );
        }
    }

    #[test]
    fn version_byte_replaces_the_first_byte_of_the_hash() {
        // sha256 of 48 zero bytes starts with 17b0761f.
        let hash = kzg_commitment_to_versioned_hash(&KzgCommitment::ZERO);
        assert_eq!(hex::encode(&hash[..4]), "01b0761f");
    }
}
