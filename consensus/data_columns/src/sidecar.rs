//! Checks of one sidecar that need no state.

use crate::DataColumnError;
use crate::kzg::verify_cell_kzg_proof_batch;
use ethereum_hashing::hash32_concat;
use tree_hash::TreeHash as _;
use types::{ChainSpec, DataColumnSidecar, Preset, Root};

/// Place of `blob_kzg_commitments` among the fields of a block body; the same on both forks.
pub(crate) const COMMITMENTS_FIELD_INDEX: usize = 11;

/// Spec: fulu/p2p-interface.md#verify_data_column_sidecar
pub fn verify_data_column_sidecar<P: Preset>(
    sidecar: &DataColumnSidecar<P>,
    spec: &ChainSpec,
) -> Result<(), DataColumnError> {
    if sidecar.index() >= P::NUMBER_OF_COLUMNS {
        return Err(DataColumnError::ColumnIndex {
            limit: P::NUMBER_OF_COLUMNS,
            found: sidecar.index(),
        });
    }
    let commitments = sidecar.kzg_commitments().len();
    if commitments == 0 {
        return Err(DataColumnError::NoCommitments);
    }
    let epoch = sidecar.block_header().slot.epoch::<P>();
    let limit = spec.get_blob_parameters(epoch).max_blobs_per_block;
    if commitments as u64 > limit {
        return Err(DataColumnError::TooManyCommitments {
            limit,
            found: commitments as u64,
        });
    }
    let (cells, proofs) = (sidecar.column().len(), sidecar.kzg_proofs().len());
    if cells != commitments || cells != proofs {
        return Err(DataColumnError::LengthMismatch {
            cells,
            commitments,
            proofs,
        });
    }
    Ok(())
}

/// Spec: fulu/p2p-interface.md#verify_data_column_sidecar_kzg_proofs
pub fn verify_data_column_sidecar_kzg_proofs<P: Preset>(sidecar: &DataColumnSidecar<P>) -> Result<(), DataColumnError> {
    verify_cell_kzg_proof_batch::<P>(
        sidecar.kzg_commitments(),
        &vec![sidecar.index(); sidecar.column().len()],
        sidecar.column(),
        sidecar.kzg_proofs(),
    )
}

/// As [`verify_data_column_sidecar_kzg_proofs`] of each of some columns, in one batch: of all columns of a block that
/// costs a small part of what they cost one by one. One wrong cell is enough for [`DataColumnError::InvalidProof`].
pub fn verify_data_column_sidecars_kzg_proofs<'a, P: Preset>(
    sidecars: impl IntoIterator<Item = &'a DataColumnSidecar<P>>,
) -> Result<(), DataColumnError> {
    let (mut commitments, mut indices, mut cells, mut proofs) = (vec![], vec![], vec![], vec![]);
    for sidecar in sidecars {
        commitments.extend_from_slice(sidecar.kzg_commitments());
        indices.extend(vec![sidecar.index(); sidecar.column().len()]);
        cells.extend_from_slice(sidecar.column());
        proofs.extend_from_slice(sidecar.kzg_proofs());
    }
    verify_cell_kzg_proof_batch::<P>(&commitments, &indices, &cells, &proofs)
}

/// Spec: fulu/p2p-interface.md#verify_data_column_sidecar_inclusion_proof
pub fn verify_data_column_sidecar_inclusion_proof<P: Preset>(
    sidecar: &DataColumnSidecar<P>,
) -> Result<(), DataColumnError> {
    let mut node: Root = sidecar.kzg_commitments().tree_hash_root();
    for (depth, sibling) in sidecar.kzg_commitments_inclusion_proof().iter().enumerate() {
        let is_right = (COMMITMENTS_FIELD_INDEX >> depth) & 1 == 1;
        node = Root::new(if is_right {
            hash32_concat(sibling.as_slice(), node.as_slice())
        } else {
            hash32_concat(node.as_slice(), sibling.as_slice())
        });
    }
    if node == sidecar.block_header().body_root {
        Ok(())
    } else {
        Err(DataColumnError::InclusionProof)
    }
}
