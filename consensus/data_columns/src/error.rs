//! What can be wrong with data columns.

use types::{ArithError, ColumnIndex, CustodyIndex};

/// Something is wrong with data columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataColumnError {
    /// More custody groups than there are.
    #[error("{found} custody groups, there are only {limit}")]
    CustodyGroupCount {
        /// Groups that there are.
        limit: u64,
        /// Groups asked for.
        found: u64,
    },
    /// A custody group that does not exist.
    #[error("custody group {found} does not exist, there are {limit}")]
    CustodyGroup {
        /// Groups that there are.
        limit: u64,
        /// The group.
        found: CustodyIndex,
    },
    /// A column that does not exist.
    #[error("column {found} does not exist, there are {limit}")]
    ColumnIndex {
        /// Columns that there are.
        limit: u64,
        /// The column.
        found: ColumnIndex,
    },
    /// A sidecar of a block without blobs.
    #[error("sidecar has no commitments")]
    NoCommitments,
    /// More blobs than the epoch allows.
    #[error("sidecar has {found} commitments, at most {limit} are allowed")]
    TooManyCommitments {
        /// Blobs that the epoch allows.
        limit: u64,
        /// Commitments.
        found: u64,
    },
    /// Cells, commitments and proofs of different numbers.
    #[error(
        "sidecar has {cells} cells, {commitments} commitments and {proofs} proofs, expected the same number of each"
    )]
    LengthMismatch {
        /// Cells.
        cells: usize,
        /// Commitments.
        commitments: usize,
        /// Proofs.
        proofs: usize,
    },
    /// The commitments are not those of the block.
    #[error("commitments are not in the block body")]
    InclusionProof,
    /// A cell is not what the block committed to.
    #[error("a cell is not what the commitment and the proof say")]
    InvalidProof,
    /// Bytes that are no point or field element, a cell that does not exist, or too few cells.
    #[error("cells and proofs: {0}")]
    Kzg(String),
    /// A value does not fit its container.
    #[error("container: {0}")]
    Container(String),
    /// Arithmetic left its range.
    #[error(transparent)]
    Arith(#[from] ArithError),
}
