//! The sidecars of a block that was made here.

use crate::DataColumnError;
use crate::kzg::context;
use crate::sidecar::COMMITMENTS_FIELD_INDEX;
use ethereum_hashing::hash32_concat;
use ssz_types::{FixedVector, VariableList};
use tree_hash::TreeHash as _;
use types::{
    BeaconBlockBodyRef, Blob, Cell, DataColumnSidecar, DataColumnSidecarDvt, DataColumnSidecarFulu, KzgCommitments,
    KzgProof, Preset, Root, SignedBeaconBlock, SignedBeaconBlockHeader,
};

fn container(error: impl std::fmt::Debug) -> DataColumnError {
    DataColumnError::Container(format!("{error:?}"))
}

/// All columns of a signed block, from its blobs and their cell proofs, blob after blob. Without blobs there are none.
///
/// Spec: fulu/validator.md#get_data_column_sidecars_from_block
pub fn get_data_column_sidecars_from_block<P: Preset>(
    signed_block: &SignedBeaconBlock<P>,
    blobs: &[Blob<P>],
    cell_proofs: &[KzgProof],
) -> Result<Vec<DataColumnSidecar<P>>, DataColumnError> {
    let message = signed_block.message();
    let body = message.body();
    let kzg_commitments: &KzgCommitments<P> = body.blob_kzg_commitments();
    let columns = P::NUMBER_OF_COLUMNS as usize;
    let expected_proofs = blobs.len().saturating_mul(columns);
    if kzg_commitments.len() != blobs.len() || cell_proofs.len() != expected_proofs {
        return Err(DataColumnError::LengthMismatch {
            cells: blobs.len().saturating_mul(columns),
            commitments: kzg_commitments.len(),
            proofs: cell_proofs.len(),
        });
    }
    if blobs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = blobs.iter().map(compute_cells::<P>).collect::<Result<Vec<_>, _>>()?;
    let header = signed_block.signed_block_header();
    let branch = compute_commitments_inclusion_proof(body);
    let inclusion_proof = FixedVector::new(branch).map_err(container)?;
    (0..columns)
        .map(|index| {
            let column: Vec<Cell<P>> = rows.iter().filter_map(|row| row.get(index).cloned()).collect();
            let proofs: Vec<KzgProof> = cell_proofs.iter().skip(index).step_by(columns).copied().collect();
            let column = VariableList::new(column).map_err(container)?;
            let kzg_proofs = VariableList::new(proofs).map_err(container)?;
            let (index, kzg_commitments) = (index as u64, kzg_commitments.clone());
            let kzg_commitments_inclusion_proof = inclusion_proof.clone();
            Ok(match header.clone() {
                SignedBeaconBlockHeader::Fulu(signed_block_header) => DataColumnSidecar::Fulu(DataColumnSidecarFulu {
                    index,
                    column,
                    kzg_commitments,
                    kzg_proofs,
                    signed_block_header,
                    kzg_commitments_inclusion_proof,
                }),
                SignedBeaconBlockHeader::Dvt(signed_block_header) => DataColumnSidecar::Dvt(DataColumnSidecarDvt {
                    index,
                    column,
                    kzg_commitments,
                    kzg_proofs,
                    signed_block_header,
                    kzg_commitments_inclusion_proof,
                }),
            })
        })
        .collect()
}

/// The cells of a blob without their proofs, which is much cheaper than with them.
fn compute_cells<P: Preset>(blob: &Blob<P>) -> Result<Vec<Cell<P>>, DataColumnError> {
    let bytes = blob
        .as_ref()
        .try_into()
        .map_err(|_| DataColumnError::Kzg(format!("blob has {} bytes", blob.len())))?;
    context()
        .compute_cells(bytes)
        .map_err(|error| DataColumnError::Kzg(format!("{error:?}")))?
        .iter()
        .map(|cell| FixedVector::new(cell.to_vec()).map_err(container))
        .collect()
}

/// Roots of the fields of a body.
macro_rules! field_roots {
    ($body:expr, $($field:ident),*) => {
        vec![$($body.$field.tree_hash_root()),*]
    };
}

/// Merkle branch from `blob_kzg_commitments` to the body's root.
fn compute_commitments_inclusion_proof<P: Preset>(body: BeaconBlockBodyRef<'_, P>) -> Vec<Root> {
    let mut nodes = match body {
        BeaconBlockBodyRef::Fulu(body) => field_roots!(
            body,
            randao_reveal,
            eth1_data,
            graffiti,
            proposer_slashings,
            attester_slashings,
            attestations,
            deposits,
            voluntary_exits,
            sync_aggregate,
            execution_payload,
            bls_to_execution_changes,
            blob_kzg_commitments,
            execution_requests
        ),
        BeaconBlockBodyRef::Dvt(body) => field_roots!(
            body,
            randao_reveal,
            eth1_data,
            graffiti,
            proposer_slashings,
            attester_slashings,
            attestations,
            deposits,
            voluntary_exits,
            sync_aggregate,
            execution_payload,
            bls_to_execution_changes,
            blob_kzg_commitments,
            execution_requests,
            key_set_changes,
            randao_proof
        ),
    };
    nodes.resize(nodes.len().next_power_of_two(), Root::ZERO);
    let mut place = COMMITMENTS_FIELD_INDEX;
    let mut branch = Vec::new();
    while nodes.len() > 1 {
        branch.extend(nodes.get(place ^ 1).copied());
        nodes = nodes
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(Root::new(hash32_concat(left.as_slice(), right.as_slice()))),
                _ => None,
            })
            .collect();
        place >>= 1;
    }
    branch
}
