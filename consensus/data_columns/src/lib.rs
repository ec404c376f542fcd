//! Data columns: who keeps which, and whether they are what the block committed to.
//!
//! Spec: fulu/das-core.md, fulu/p2p-interface.md#helpers
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod custody;
mod error;
mod kzg;
mod matrix;
mod production;
mod sidecar;

pub use custody::{compute_columns_for_custody_group, compute_subnet_for_data_column_sidecar, get_custody_groups};
pub use error::DataColumnError;
pub use kzg::{
    CellsAndProofs, blob_to_kzg_commitment, compute_blob_kzg_proof, compute_cells, compute_cells_and_kzg_proofs,
    load_trusted_setup, recover_cells_and_kzg_proofs, verify_cell_kzg_proof_batch,
};
pub use matrix::{compute_matrix, recover_matrix};
pub use production::{
    get_data_column_sidecars, get_data_column_sidecars_from_block, get_data_column_sidecars_from_column_sidecar,
    recover_data_column_sidecars, with_block_header, with_cells,
};
pub use sidecar::{
    verify_data_column_sidecar, verify_data_column_sidecar_inclusion_proof, verify_data_column_sidecar_kzg_proofs,
    verify_data_column_sidecars_kzg_proofs,
};
