//! Accounts of the execution chain: all from one seed, and of no value. Their transactions.

use crate::error::DevnetError;
use crate::layout::{Layout, Start};
use alloy_consensus::{BlobTransactionSidecar, SignableTransaction, TxEip1559, TxEip4844, TxEip4844WithSidecar};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, Signature, TxKind, U256, keccak256};
use ethereum_hashing::hash_fixed;
use k256::ecdsa::SigningKey;
use std::collections::BTreeMap;
use types::ExecutionAddress;

/// Of a blob.
const BYTES_PER_BLOB: usize = 131_072;
/// Nothing is of value here.
const SEED: &[u8] = b"fresnel devnet: accounts of no value";
/// Wei of an ETH.
pub(crate) const WEI_PER_ETH: u128 = 1_000_000_000_000_000_000;
/// Wei of a Gwei.
pub(crate) const WEI_PER_GWEI: u128 = 1_000_000_000;
/// ETH that the account has which pays deposits and transfers.
const FUNDS_OF_PAYER: u128 = 1_000_000;
/// ETH that the owner of a validator has: requests have a price.
const FUNDS_OF_OWNER: u128 = 10;
/// Wei per gas for the proposer.
const PRIORITY_FEE: u128 = 2 * WEI_PER_GWEI;
/// Wei per gas at most: blocks are nearly empty, so that the base fee only falls from one Gwei. Of blobs, too: with no more
/// than two thirds of those that a block can have, theirs stays at one Wei.
const MAX_FEE: u128 = 100 * WEI_PER_GWEI;
/// Gas of a transaction that does nothing.
const PLAIN_GAS: u64 = 21_000;

/// Wei per gas that a transaction costs in a block with a base fee. Receipts say it, too, but not those of every client
/// are right.
pub(crate) fn price(base_fee: U256) -> U256 {
    base_fee
        .saturating_add(U256::from(PRIORITY_FEE))
        .min(U256::from(MAX_FEE))
}

/// Whose account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// Pays deposits and transfers.
    Payer,
    /// Owner of the stake of the validator with this number in the layout.
    Owner(usize),
    /// Gets transfers.
    Receiver,
}

impl Holder {
    fn key(self) -> Result<SigningKey, DevnetError> {
        let number = match self {
            Self::Payer => 0,
            Self::Receiver => 1,
            Self::Owner(validator) => validator.saturating_add(2) as u64,
        };
        let mut input = SEED.to_vec();
        input.extend_from_slice(&number.to_le_bytes());
        // One hash in 2^128 is none.
        SigningKey::from_slice(&hash_fixed(&input)).map_err(|error| DevnetError::Genesis {
            reason: format!("account {number}: {error}"),
        })
    }

    /// Its address.
    pub(crate) fn address(self) -> Result<ExecutionAddress, DevnetError> {
        let key = self.key()?;
        let point = key.verifying_key().to_encoded_point(false);
        let (_, coordinates) = point.as_bytes().split_at(1);
        Ok(Address::from_slice(keccak256(coordinates).split_at(12).1))
    }
}

/// Balances in Wei at genesis, for the owners of so many validators.
pub(crate) fn funds(validators: usize) -> Result<BTreeMap<Address, U256>, DevnetError> {
    let mut funds = BTreeMap::new();
    let payer = (Holder::Payer, FUNDS_OF_PAYER);
    let owners = (0..validators).map(|validator| (Holder::Owner(validator), FUNDS_OF_OWNER));
    for (holder, eth) in std::iter::once(payer).chain(owners) {
        funds.insert(holder.address()?, U256::from(eth.saturating_mul(WEI_PER_ETH)));
    }
    Ok(funds)
}

/// Balances in Wei that scenarios need, whatever network they start.
pub fn funded_accounts() -> Result<BTreeMap<Address, U256>, DevnetError> {
    let starts = [
        Start::Groups,
        Start::Schemes,
        Start::Fulu,
        Start::Interop,
        Start::InteropPair,
    ];
    let most = starts
        .map(|start| Layout::new(start).validators.len())
        .into_iter()
        .max();
    funds(most.unwrap_or_default())
}

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) from: Holder,
    pub(crate) to: Address,
    /// Wei.
    pub(crate) value: u128,
    pub(crate) input: Bytes,
    pub(crate) gas_limit: u64,
}

/// A signed transaction: what nodes take, and its hash.
pub(crate) struct SignedCall {
    pub(crate) raw: Bytes,
    pub(crate) hash: B256,
}

impl Call {
    /// Signs it as one of type 2.
    pub(crate) fn sign(&self, chain_id: u64, nonce: u64) -> Result<SignedCall, DevnetError> {
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: PRIORITY_FEE,
            to: TxKind::Call(self.to),
            value: U256::from(self.value),
            input: self.input.clone(),
            ..TxEip1559::default()
        };
        let signature = signature(self.from, &transaction)?;
        let signed = transaction.into_signed(signature);
        let mut raw = Vec::new();
        signed.eip2718_encode(&mut raw);
        Ok(SignedCall {
            hash: *signed.hash(),
            raw: raw.into(),
        })
    }
}

fn signature(from: Holder, transaction: &impl SignableTransaction<Signature>) -> Result<Signature, DevnetError> {
    let signature = from
        .key()?
        .sign_prehash_recoverable(transaction.signature_hash().as_slice())
        .map_err(|error| DevnetError::Genesis {
            reason: format!("a transaction could not be signed: {error}"),
        })?;
    Ok(signature.into())
}

/// Blobs of a transaction that does nothing else, with a commitment and a proof of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlobCall {
    pub(crate) blobs: Vec<FixedBytes<BYTES_PER_BLOB>>,
    pub(crate) commitments: Vec<FixedBytes<48>>,
    pub(crate) proofs: Vec<FixedBytes<48>>,
}

impl BlobCall {
    /// Signs it as one of type 3, in the form in which clients take it: with its blobs.
    pub(crate) fn sign(self, from: Holder, chain_id: u64, nonce: u64) -> Result<SignedCall, DevnetError> {
        let sidecar = BlobTransactionSidecar::new(self.blobs, self.commitments, self.proofs);
        let transaction = TxEip4844 {
            chain_id,
            nonce,
            gas_limit: PLAIN_GAS,
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: PRIORITY_FEE,
            to: Holder::Receiver.address()?,
            max_fee_per_blob_gas: MAX_FEE,
            blob_versioned_hashes: sidecar.versioned_hashes().collect(),
            ..TxEip4844::default()
        };
        let signature = signature(from, &transaction)?;
        let signed = TxEip4844WithSidecar::from_tx_and_sidecar(transaction, sidecar).into_signed(signature);
        let mut raw = Vec::new();
        signed.eip2718_encode(&mut raw);
        Ok(SignedCall {
            hash: *signed.hash(),
            raw: raw.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Signed, Transaction as _};

    #[test]
    fn everybody_has_an_account_of_their_own() {
        let funds = funds(20).unwrap();
        assert_eq!(funds.len(), 21);
        assert!(!funds.contains_key(&Holder::Receiver.address().unwrap()));
    }

    #[test]
    fn a_transaction_is_signed_by_its_sender() {
        let call = Call {
            from: Holder::Owner(3),
            to: Address::repeat_byte(7),
            value: WEI_PER_ETH,
            input: Bytes::from_static(&[1, 2]),
            gas_limit: 21_000,
        };
        let signed = call.sign(1337, 5).unwrap();
        assert_eq!(keccak256(&signed.raw), signed.hash);
        let mut raw = signed.raw.as_ref();
        let read = Signed::<TxEip1559>::eip2718_decode(&mut raw).unwrap();
        assert_eq!((read.tx().nonce, read.tx().chain_id), (5, 1337));
        assert_eq!(read.tx().value(), U256::from(WEI_PER_ETH));
        assert_eq!(read.recover_signer().unwrap(), Holder::Owner(3).address().unwrap());
    }

    #[test]
    fn a_transaction_with_blobs_carries_them_and_names_them() {
        let call = BlobCall {
            blobs: vec![FixedBytes::repeat_byte(1); 2],
            commitments: vec![FixedBytes::repeat_byte(2), FixedBytes::repeat_byte(3)],
            proofs: vec![FixedBytes::repeat_byte(4); 2],
        };
        let signed = call.sign(Holder::Payer, 1337, 5).unwrap();
        assert!(signed.raw.len() > 2 * BYTES_PER_BLOB);
        let mut raw = signed.raw.as_ref();
        let read = Signed::<TxEip4844WithSidecar<BlobTransactionSidecar>>::eip2718_decode(&mut raw).unwrap();
        let without_blobs = read.tx().tx.clone().into_signed(*read.signature());
        assert_eq!(*without_blobs.hash(), signed.hash, "blocks have it without its blobs");
        assert_eq!(read.recover_signer().unwrap(), Holder::Payer.address().unwrap());
        assert_eq!((read.tx().tx.nonce, read.tx().tx.blob_versioned_hashes.len()), (5, 2));
        assert_eq!(read.tx().sidecar.commitments[1], FixedBytes::repeat_byte(3));
    }
}
