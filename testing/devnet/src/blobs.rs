//! Blobs for each slot.
//!
//! One blob is made with all its proofs, which takes a good part of a second. The others are that blob with a number added
//! to each field element: the commitment moves by as many generators, and no cell needs another proof, because adding a
//! constant to a polynomial leaves its quotients as they are. So each blob of a run has content and a commitment of its own.

use crate::accounts::BlobCall;
use crate::error::DevnetError;
use crate::layout::NodeNumber;
use alloy_primitives::{Bytes, FixedBytes, keccak256};
use bls::{PublicKey, SecretKey, eth_aggregate_pubkeys};
use data_columns::{blob_to_kzg_commitment, compute_blob_kzg_proof, compute_cells_and_kzg_proofs};
use mock_execution::PooledBlob;
use types::{Blob, KzgCommitment, Minimal, PublicKeyBytes};

/// Field elements of a blob.
const ELEMENTS: usize = 4096;
/// Bytes of a field element.
const ELEMENT: usize = 32;
/// Slots after which a mock execution client has the same blobs again: its pool holds but so many.
const ROTATION: u64 = 8;

/// Makes blobs.
pub(crate) struct BlobMaker {
    /// Most blobs of a block.
    most: u64,
    blob: Vec<u8>,
    /// Of that blob.
    commitment: PublicKey,
    cell_proofs: Vec<FixedBytes<48>>,
}

fn failed(error: impl std::fmt::Display) -> DevnetError {
    DevnetError::Blobs {
        reason: error.to_string(),
    }
}

fn as_blob(bytes: Vec<u8>) -> Result<Blob<Minimal>, DevnetError> {
    Blob::<Minimal>::new(bytes).map_err(|error| failed(format!("{error:?}")))
}

impl BlobMaker {
    /// For so many blobs in each block at most.
    pub(crate) fn new(most: u64) -> Result<Self, DevnetError> {
        let mut blob = Vec::with_capacity(ELEMENTS * ELEMENT);
        for place in 0..ELEMENTS {
            let mut element = keccak256(place.to_be_bytes()).0;
            // Far below the modulus, whatever is added.
            element[0] = 0;
            blob.extend_from_slice(&element);
        }
        let content = as_blob(blob.clone())?;
        let commitment = blob_to_kzg_commitment::<Minimal>(&content).map_err(failed)?;
        let (_, proofs) = compute_cells_and_kzg_proofs::<Minimal>(&content).map_err(failed)?;
        Ok(Self {
            most,
            blob,
            commitment: PublicKey::from_bytes(&PublicKeyBytes::new(commitment.0)).map_err(failed)?,
            cell_proofs: proofs.into_iter().map(|proof| proof.0.into()).collect(),
        })
    }

    /// The blob with this number, from 1, and its commitment: that of the first plus `number` times the generator, like the
    /// public key of the sum of two secret keys.
    fn blob(&self, number: u64) -> Result<(Vec<u8>, KzgCommitment), DevnetError> {
        let mut blob = self.blob.clone();
        for element in blob.chunks_exact_mut(ELEMENT) {
            add(element, number);
        }
        let mut scalar = [0; ELEMENT];
        add(&mut scalar, number);
        let moved = SecretKey::from_bytes(&scalar).map_err(failed)?.public_key();
        let commitment = eth_aggregate_pubkeys(&[self.commitment, moved]).map_err(failed)?;
        Ok((blob, KzgCommitment::new(commitment.0)))
    }

    fn numbers(&self, set: u64, count: u64) -> impl Iterator<Item = u64> + use<> {
        let first = set.saturating_mul(self.most).saturating_add(1);
        first..first.saturating_add(count.min(self.most))
    }

    /// What the execution client of a node has in its pool for its blocks of a slot, and no other client has: so many, if
    /// that is not too many.
    pub(crate) fn pooled(&self, node: NodeNumber, slot: u64, count: u64) -> Result<Vec<PooledBlob>, DevnetError> {
        let set = (node as u64).saturating_mul(ROTATION).saturating_add(slot % ROTATION);
        self.numbers(set, count)
            .map(|number| {
                let (blob, commitment) = self.blob(number)?;
                Ok(PooledBlob {
                    blob: Bytes::from(blob),
                    commitment: commitment.0.into(),
                    cell_proofs: self.cell_proofs.clone(),
                })
            })
            .collect()
    }

    /// A transaction that carries the blobs of a slot: so many, if that is not too many. Their proofs take some time.
    pub(crate) fn call(&self, slot: u64, count: u64) -> Result<BlobCall, DevnetError> {
        let mut call = BlobCall::default();
        for number in self.numbers(slot, count) {
            let (blob, commitment) = self.blob(number)?;
            let content = as_blob(blob)?;
            let proof = compute_blob_kzg_proof::<Minimal>(&content, &commitment).map_err(failed)?;
            call.blobs.push(FixedBytes::from_slice(&content));
            call.commitments.push(commitment.0.into());
            call.proofs.push(proof.0.into());
        }
        Ok(call)
    }
}

/// Adds to a big-endian number that is far from its end.
fn add(bytes: &mut [u8], number: u64) {
    let mut carry = u128::from(number);
    for byte in bytes.iter_mut().rev() {
        carry += u128::from(*byte);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use types::{Cell, ColumnIndex, KzgProof};

    #[test]
    fn blobs_differ_and_their_commitments_and_proofs_are_right() {
        let maker = BlobMaker::new(3).unwrap();
        let pooled = maker.pooled(9, 13, 3).unwrap();
        assert_eq!(pooled.len(), 3);
        let mut commitments = HashSet::new();
        for item in pooled.iter().chain(&maker.pooled(8, 13, 3).unwrap()) {
            assert!(commitments.insert(item.commitment));
            let content = as_blob(item.blob.to_vec()).unwrap();
            let commitment = blob_to_kzg_commitment::<Minimal>(&content).unwrap();
            assert_eq!(commitment.0, item.commitment.0);
        }
        let content = as_blob(pooled[2].blob.to_vec()).unwrap();
        let cells: Vec<Cell<Minimal>> = data_columns::compute_cells::<Minimal>(&content).unwrap();
        let indices: Vec<ColumnIndex> = (0..cells.len() as u64).collect();
        let commitment = KzgCommitment::new(pooled[2].commitment.0);
        let proofs: Vec<KzgProof> = pooled[2]
            .cell_proofs
            .iter()
            .map(|proof| KzgProof::new(proof.0))
            .collect();
        data_columns::verify_cell_kzg_proof_batch::<Minimal>(&vec![commitment; 128], &indices, &cells, &proofs)
            .unwrap();
        // Fewer are asked for where a block can have fewer only, and never more are given than a block is to have.
        assert_eq!(maker.pooled(9, 13, 2).unwrap(), pooled[..2]);
        assert_eq!(maker.pooled(9, 13, 9).unwrap(), pooled);
        // Another slot has others; a slot of the next round has the same.
        assert_ne!(maker.pooled(9, 14, 3).unwrap()[0], pooled[0]);
        assert_eq!(maker.pooled(9, 13 + ROTATION, 3).unwrap(), pooled);
    }

    #[test]
    fn numbers_are_added_with_their_carry() {
        let mut bytes = [0, 1, 0xff, 0xff];
        add(&mut bytes, 0x0102);
        assert_eq!(bytes, [0, 2, 1, 1]);
    }
}
