//! Cells, proofs and the library behind them.
//!
//! Spec: fulu/polynomial-commitments-sampling.md

use crate::DataColumnError;
use rust_eth_kzg::{Cell as RawCell, CellRef, DASContext, Error, KZGProof as RawProof, TrustedSetup, UsePrecomp};
use ssz_types::FixedVector;
use std::sync::LazyLock;
use types::{Blob, Cell, ColumnIndex, KzgCommitment, KzgProof, Preset};

/// The cells of one extended blob and their proofs, by column.
pub type CellsAndProofs<P> = (Vec<Cell<P>>, Vec<KzgProof>);

/// Made when first needed. Without tables for proving: they would take more memory than the rest of a node, and only
/// proposers of blobs whose execution client gives no cell proofs would gain.
static CONTEXT: LazyLock<DASContext> = LazyLock::new(|| DASContext::new(&TrustedSetup::default(), UsePrecomp::No));

/// Reads the trusted setup, which takes about a second, so that the first column does not wait for it.
pub fn load_trusted_setup() {
    LazyLock::force(&CONTEXT);
}

/// What the library says; only of well-formed input can a proof be wrong.
fn refused(error: Error) -> DataColumnError {
    if error.is_proof_invalid() {
        DataColumnError::InvalidProof
    } else {
        DataColumnError::Kzg(format!("{error:?}"))
    }
}

fn blob_bytes<P: Preset, const N: usize>(blob: &Blob<P>) -> Result<&[u8; N], DataColumnError> {
    blob.as_ref()
        .try_into()
        .map_err(|_| DataColumnError::Kzg(format!("blob has {} bytes, expected {N}", blob.len())))
}

fn cell_bytes<P: Preset>(cells: &[Cell<P>]) -> Result<Vec<CellRef<'_>>, DataColumnError> {
    cells
        .iter()
        .map(|cell| {
            CellRef::try_from(cell.as_ref()).map_err(|_| DataColumnError::Kzg(format!("cell has {} bytes", cell.len())))
        })
        .collect()
}

fn to_cells<P: Preset>(cells: &[RawCell]) -> Result<Vec<Cell<P>>, DataColumnError> {
    cells
        .iter()
        .map(|cell| FixedVector::new(cell.to_vec()).map_err(|error| DataColumnError::Container(format!("{error:?}"))))
        .collect()
}

fn to_proofs(proofs: &[RawProof]) -> Vec<KzgProof> {
    proofs.iter().copied().map(KzgProof::new).collect()
}

/// Spec: deneb/polynomial-commitments.md#blob_to_kzg_commitment
pub fn blob_to_kzg_commitment<P: Preset>(blob: &Blob<P>) -> Result<KzgCommitment, DataColumnError> {
    let commitment = CONTEXT
        .blob_to_kzg_commitment(blob_bytes::<P, _>(blob)?)
        .map_err(refused)?;
    Ok(KzgCommitment::new(commitment))
}

/// The proof of a whole blob, as transactions had it before Fulu.
///
/// Spec: deneb/polynomial-commitments.md#compute_blob_kzg_proof
pub fn compute_blob_kzg_proof<P: Preset>(
    blob: &Blob<P>,
    commitment: &KzgCommitment,
) -> Result<KzgProof, DataColumnError> {
    let proof = CONTEXT
        .compute_blob_kzg_proof(blob_bytes::<P, _>(blob)?, &commitment.0)
        .map_err(refused)?;
    Ok(KzgProof::new(proof))
}

/// The cells of a blob without their proofs, which is much cheaper than with them.
///
/// Spec: fulu/polynomial-commitments-sampling.md#compute_cells
pub fn compute_cells<P: Preset>(blob: &Blob<P>) -> Result<Vec<Cell<P>>, DataColumnError> {
    let cells = CONTEXT.compute_cells(blob_bytes::<P, _>(blob)?).map_err(refused)?;
    to_cells::<P>(&cells)
}

/// Spec: fulu/polynomial-commitments-sampling.md#compute_cells_and_kzg_proofs
pub fn compute_cells_and_kzg_proofs<P: Preset>(blob: &Blob<P>) -> Result<CellsAndProofs<P>, DataColumnError> {
    let (cells, proofs) = CONTEXT
        .compute_cells_and_kzg_proofs(blob_bytes::<P, _>(blob)?)
        .map_err(refused)?;
    Ok((to_cells::<P>(&cells)?, to_proofs(&proofs)))
}

/// Cells and what belongs to each of them, in the same order. [`DataColumnError::InvalidProof`] says that the input was
/// well-formed.
///
/// Spec: fulu/polynomial-commitments-sampling.md#verify_cell_kzg_proof_batch
pub fn verify_cell_kzg_proof_batch<P: Preset>(
    commitments: &[KzgCommitment],
    cell_indices: &[ColumnIndex],
    cells: &[Cell<P>],
    proofs: &[KzgProof],
) -> Result<(), DataColumnError> {
    CONTEXT
        .verify_cell_kzg_proof_batch(
            commitments.iter().map(|commitment| &commitment.0).collect(),
            cell_indices,
            cell_bytes::<P>(cells)?,
            proofs.iter().map(|proof| &proof.0).collect(),
        )
        .map_err(refused)
}

/// All cells and proofs of a blob from at least half of its cells, which must come in the order of their indices.
///
/// Spec: fulu/polynomial-commitments-sampling.md#recover_cells_and_kzg_proofs
pub fn recover_cells_and_kzg_proofs<P: Preset>(
    cell_indices: &[ColumnIndex],
    cells: &[Cell<P>],
) -> Result<CellsAndProofs<P>, DataColumnError> {
    let (cells, proofs) = CONTEXT
        .recover_cells_and_kzg_proofs(cell_indices.to_vec(), cell_bytes::<P>(cells)?)
        .map_err(refused)?;
    Ok((to_cells::<P>(&cells)?, to_proofs(&proofs)))
}
