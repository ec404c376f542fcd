//! Making the sidecars of a block.

use crate::DataColumnError;
use crate::kzg::{CellsAndProofs, compute_cells, recover_cells_and_kzg_proofs};
use crate::sidecar::COMMITMENTS_FIELD_INDEX;
use ethereum_hashing::hash32_concat;
use rayon::prelude::*;
use ssz_types::{FixedVector, VariableList};
use tree_hash::TreeHash as _;
use types::{
    BeaconBlockBodyRef, Blob, Cell, DataColumnSidecar, DataColumnSidecarDvt, DataColumnSidecarFulu, KzgCommitments,
    KzgProof, Preset, Root, SignedBeaconBlock, SignedBeaconBlockHeader,
};

/// Merkle path from the commitments to the body's root.
type InclusionProof<P> = FixedVector<Root, <P as Preset>::KzgCommitmentsInclusionProofDepth>;

fn container(error: impl std::fmt::Debug) -> DataColumnError {
    DataColumnError::Container(format!("{error:?}"))
}

/// All columns of a block, from the cells and proofs of each blob. Without blobs there are none.
///
/// Spec: fulu/validator.md#get_data_column_sidecars
pub fn get_data_column_sidecars<P: Preset>(
    signed_block_header: &SignedBeaconBlockHeader,
    kzg_commitments: &KzgCommitments<P>,
    kzg_commitments_inclusion_proof: &InclusionProof<P>,
    cells_and_kzg_proofs: &[CellsAndProofs<P>],
) -> Result<Vec<DataColumnSidecar<P>>, DataColumnError> {
    let columns = P::NUMBER_OF_COLUMNS as usize;
    let (mut cells, mut proofs) = (0usize, 0usize);
    for (row, row_proofs) in cells_and_kzg_proofs {
        cells = cells.saturating_add(row.len());
        proofs = proofs.saturating_add(row_proofs.len());
    }
    let is_whole = |(row, row_proofs): &CellsAndProofs<P>| row.len() == columns && row_proofs.len() == columns;
    if kzg_commitments.len() != cells_and_kzg_proofs.len() || !cells_and_kzg_proofs.iter().all(is_whole) {
        return Err(DataColumnError::LengthMismatch {
            cells,
            commitments: kzg_commitments.len(),
            proofs,
        });
    }
    if cells_and_kzg_proofs.is_empty() {
        return Ok(Vec::new());
    }
    (0..columns)
        .map(|place| {
            let column: Vec<Cell<P>> = cells_and_kzg_proofs
                .iter()
                .filter_map(|(row, _)| row.get(place).cloned())
                .collect();
            let proofs: Vec<KzgProof> = cells_and_kzg_proofs
                .iter()
                .filter_map(|(_, row_proofs)| row_proofs.get(place).copied())
                .collect();
            let (column, kzg_proofs) = (
                VariableList::new(column).map_err(container)?,
                VariableList::new(proofs).map_err(container)?,
            );
            let (index, kzg_commitments) = (place as u64, kzg_commitments.clone());
            let kzg_commitments_inclusion_proof = kzg_commitments_inclusion_proof.clone();
            Ok(match signed_block_header.clone() {
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

/// All columns of a signed block, from its blobs and their cell proofs, blob after blob, as the execution client gives
/// them. Without blobs there are none.
///
/// Spec: fulu/validator.md#get_data_column_sidecars_from_block
pub fn get_data_column_sidecars_from_block<P: Preset>(
    signed_block: &SignedBeaconBlock<P>,
    blobs: &[Blob<P>],
    cell_proofs: &[KzgProof],
) -> Result<Vec<DataColumnSidecar<P>>, DataColumnError> {
    let message = signed_block.message();
    let body = message.body();
    let columns = P::NUMBER_OF_COLUMNS as usize;
    let cells = blobs.len().saturating_mul(columns);
    if body.blob_kzg_commitments().len() != blobs.len() || cell_proofs.len() != cells {
        return Err(DataColumnError::LengthMismatch {
            cells,
            commitments: body.blob_kzg_commitments().len(),
            proofs: cell_proofs.len(),
        });
    }
    get_data_column_sidecars::<P>(
        &signed_block.signed_block_header(),
        body.blob_kzg_commitments(),
        &FixedVector::new(compute_commitments_inclusion_proof(body)).map_err(container)?,
        &with_cells::<P>(blobs, cell_proofs)?,
    )
}

/// The cells of blobs beside their proofs, which come blob after blob as the execution client gives them.
pub fn with_cells<P: Preset>(
    blobs: &[Blob<P>],
    cell_proofs: &[KzgProof],
) -> Result<Vec<CellsAndProofs<P>>, DataColumnError> {
    blobs
        .par_iter()
        .zip(cell_proofs.par_chunks(P::NUMBER_OF_COLUMNS as usize))
        .map(|(blob, proofs)| Ok((compute_cells::<P>(blob)?, proofs.to_vec())))
        .collect()
}

/// All columns of a block from one of them and the cells and proofs of each blob, recovered or from the execution
/// client.
///
/// Spec: fulu/validator.md#get_data_column_sidecars_from_column_sidecar
pub fn get_data_column_sidecars_from_column_sidecar<P: Preset>(
    sidecar: &DataColumnSidecar<P>,
    cells_and_kzg_proofs: &[CellsAndProofs<P>],
) -> Result<Vec<DataColumnSidecar<P>>, DataColumnError> {
    let signed_block_header = match sidecar {
        DataColumnSidecar::Fulu(sidecar) => SignedBeaconBlockHeader::Fulu(sidecar.signed_block_header.clone()),
        DataColumnSidecar::Dvt(sidecar) => SignedBeaconBlockHeader::Dvt(sidecar.signed_block_header.clone()),
    };
    get_data_column_sidecars::<P>(
        &signed_block_header,
        sidecar.kzg_commitments(),
        sidecar.kzg_commitments_inclusion_proof(),
        cells_and_kzg_proofs,
    )
}

/// All columns of a signed block from at least half of them.
///
/// The columns given are verified ones of this block. They get the block's header: one that a leader alone signed passes
/// on gossip in its slot only.
///
/// Spec: fulu/das-core.md#reconstruction-and-cross-seeding
pub fn recover_data_column_sidecars<P: Preset>(
    signed_block_header: &SignedBeaconBlockHeader,
    sidecars: &[DataColumnSidecar<P>],
) -> Result<Vec<DataColumnSidecar<P>>, DataColumnError> {
    let mut sidecars: Vec<&DataColumnSidecar<P>> = sidecars.iter().collect();
    sidecars.sort_by_key(|sidecar| sidecar.index());
    let Some(first) = sidecars.first().copied() else {
        return Err(DataColumnError::Kzg("no columns to recover from".to_owned()));
    };
    let indices: Vec<_> = sidecars.iter().map(|sidecar| sidecar.index()).collect();
    // A blob takes a good part of a second.
    let rows = (0..first.kzg_commitments().len())
        .into_par_iter()
        .map(|row| {
            let cells: Vec<Cell<P>> = sidecars
                .iter()
                .filter_map(|sidecar| sidecar.column().get(row).cloned())
                .collect();
            recover_cells_and_kzg_proofs::<P>(&indices, &cells)
        })
        .collect::<Result<Vec<_>, DataColumnError>>()?;
    get_data_column_sidecars::<P>(
        signed_block_header,
        first.kzg_commitments(),
        first.kzg_commitments_inclusion_proof(),
        &rows,
    )
}

/// A column with the header of its complete block, whoever had signed the header that it came with.
///
/// Spec: dvt/p2p-interface.md#modified-data_column_sidecar_subnet_id
pub fn with_block_header<P: Preset>(
    sidecar: DataColumnSidecar<P>,
    signed_block_header: SignedBeaconBlockHeader,
) -> DataColumnSidecar<P> {
    match (sidecar, signed_block_header) {
        (DataColumnSidecar::Fulu(sidecar), SignedBeaconBlockHeader::Fulu(signed_block_header)) => {
            DataColumnSidecar::Fulu(DataColumnSidecarFulu {
                signed_block_header,
                ..sidecar
            })
        }
        (DataColumnSidecar::Dvt(sidecar), SignedBeaconBlockHeader::Dvt(signed_block_header)) => {
            DataColumnSidecar::Dvt(DataColumnSidecarDvt {
                signed_block_header,
                ..sidecar
            })
        }
        // Of another fork than its block: no column of it.
        (sidecar, _) => sidecar,
    }
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
