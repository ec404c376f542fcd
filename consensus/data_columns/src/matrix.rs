//! The extended matrix of blobs.

use crate::DataColumnError;
use crate::kzg::context;
use rust_eth_kzg::{Cell, CellRef, KZGProof};
use ssz_types::FixedVector;
use types::{Blob, KzgProof as KzgProofBytes, MatrixEntry, Preset};

fn row<P: Preset>(row_index: u64, cells: &[Cell], proofs: &[KZGProof]) -> Result<Vec<MatrixEntry<P>>, DataColumnError> {
    (0u64..)
        .zip(cells.iter().zip(proofs))
        .map(|(column_index, (cell, proof))| {
            let cell =
                FixedVector::new(cell.to_vec()).map_err(|error| DataColumnError::Container(format!("{error:?}")))?;
            Ok(MatrixEntry {
                cell,
                kzg_proof: KzgProofBytes::new(*proof),
                column_index,
                row_index,
            })
        })
        .collect()
}

/// All cells and proofs of some blobs, row by row.
///
/// Spec: fulu/das-core.md#compute_matrix
pub fn compute_matrix<P: Preset>(blobs: &[Blob<P>]) -> Result<Vec<MatrixEntry<P>>, DataColumnError> {
    let mut matrix = Vec::new();
    for (row_index, blob) in (0u64..).zip(blobs) {
        let blob = blob
            .as_ref()
            .try_into()
            .map_err(|_| DataColumnError::Kzg(format!("blob has {} bytes", blob.len())))?;
        let (cells, proofs) = context()
            .compute_cells_and_kzg_proofs(blob)
            .map_err(|error| DataColumnError::Kzg(format!("{error:?}")))?;
        matrix.extend(row(row_index, &cells, &proofs)?);
    }
    Ok(matrix)
}

/// The whole matrix from at least half of the cells of each row.
///
/// Spec: fulu/das-core.md#recover_matrix
pub fn recover_matrix<P: Preset>(
    partial_matrix: &[MatrixEntry<P>],
    blob_count: u64,
) -> Result<Vec<MatrixEntry<P>>, DataColumnError> {
    let mut matrix = Vec::new();
    for row_index in 0..blob_count {
        let mut entries: Vec<&MatrixEntry<P>> = partial_matrix
            .iter()
            .filter(|entry| entry.row_index == row_index)
            .collect();
        entries.sort_by_key(|entry| entry.column_index);
        let cell_indices = entries.iter().map(|entry| entry.column_index).collect();
        let cells = entries
            .iter()
            .map(|entry| CellRef::try_from(entry.cell.as_ref()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| DataColumnError::Kzg(error.to_string()))?;
        let (cells, proofs) = context()
            .recover_cells_and_kzg_proofs(cell_indices, cells)
            .map_err(|error| DataColumnError::Kzg(format!("{error:?}")))?;
        matrix.extend(row(row_index, &cells, &proofs)?);
    }
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Minimal;

    #[test]
    fn half_of_the_columns_give_back_the_whole_matrix() {
        let mut blob = Blob::<Minimal>::default();
        for (place, byte) in blob.iter_mut().enumerate() {
            // The first byte of each field element stays zero, so that the element is canonical.
            *byte = if place % 32 == 0 { 0 } else { (place % 251) as u8 };
        }
        let matrix = compute_matrix::<Minimal>(&[blob]).unwrap();
        assert_eq!(matrix.len(), 128);
        let odd: Vec<_> = matrix
            .iter()
            .filter(|entry| entry.column_index % 2 == 1)
            .cloned()
            .collect();
        assert_eq!(recover_matrix(&odd, 1).unwrap(), matrix);
        assert!(
            recover_matrix(&odd[1..], 1).is_err(),
            "one column less than half is not enough"
        );
    }
}
