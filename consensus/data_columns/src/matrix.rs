//! The extended matrix of blobs.

use crate::DataColumnError;
use crate::kzg::{CellsAndProofs, compute_cells_and_kzg_proofs, recover_cells_and_kzg_proofs};
use types::{Blob, MatrixEntry, Preset};

fn row<P: Preset>(row_index: u64, (cells, proofs): CellsAndProofs<P>) -> impl Iterator<Item = MatrixEntry<P>> {
    (0u64..)
        .zip(cells.into_iter().zip(proofs))
        .map(move |(column_index, (cell, kzg_proof))| MatrixEntry {
            cell,
            kzg_proof,
            column_index,
            row_index,
        })
}

/// All cells and proofs of some blobs, row by row.
///
/// Spec: fulu/das-core.md#compute_matrix
pub fn compute_matrix<P: Preset>(blobs: &[Blob<P>]) -> Result<Vec<MatrixEntry<P>>, DataColumnError> {
    let mut matrix = Vec::new();
    for (row_index, blob) in (0u64..).zip(blobs) {
        matrix.extend(row(row_index, compute_cells_and_kzg_proofs::<P>(blob)?));
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
        let cell_indices: Vec<u64> = entries.iter().map(|entry| entry.column_index).collect();
        let cells: Vec<_> = entries.iter().map(|entry| entry.cell.clone()).collect();
        matrix.extend(row(
            row_index,
            recover_cells_and_kzg_proofs::<P>(&cell_indices, &cells)?,
        ));
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
