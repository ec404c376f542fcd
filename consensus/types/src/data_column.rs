//! Blobs and data columns.

use crate::fork_versioned::impl_fork_versioned;
use crate::{
    BeaconBlockHeader, BlobIndex, ColumnIndex, KzgCommitment, KzgCommitments, KzgProof, Preset, Root,
    SignedBeaconBlockHeaderDvt, SignedBeaconBlockHeaderFulu, SignedBeaconBlockHeaderRef,
};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{FixedVector, VariableList};
use superstruct::superstruct;
use tree_hash_derive::TreeHash;

/// One cell of the extended blob matrix.
pub type Cell<P> = FixedVector<u8, <P as Preset>::BytesPerCell>;
/// One blob.
pub type Blob<P> = FixedVector<u8, <P as Preset>::BytesPerBlob>;

/// Spec: fulu/das-core.md#datacolumnsidecar
#[superstruct(
    variants(Fulu, Dvt),
    no_map_macros,
    variant_attributes(
        derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize),
        serde(bound = "P: Preset")
    ),
    ref_attributes(derive(Debug, PartialEq))
)]
#[derive(Debug, Clone, PartialEq, Eq, Encode, TreeHash, Serialize)]
#[serde(bound = "P: Preset", untagged)]
#[ssz(enum_behaviour = "transparent")]
#[tree_hash(enum_behaviour = "transparent")]
pub struct DataColumnSidecar<P: Preset> {
    /// Column.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: ColumnIndex,
    /// One cell for each blob.
    #[serde(with = "ssz_types::serde_utils::list_of_hex_fixed_vec")]
    pub column: VariableList<Cell<P>, P::MaxBlobCommitmentsPerBlock>,
    /// Commitments of the block.
    pub kzg_commitments: KzgCommitments<P>,
    /// One proof for each cell.
    pub kzg_proofs: VariableList<KzgProof, P::MaxBlobCommitmentsPerBlock>,
    /// Header of the block.
    #[superstruct(only(Fulu), partial_getter(rename = "signed_block_header_fulu"))]
    pub signed_block_header: SignedBeaconBlockHeaderFulu,
    /// Header of the block.
    #[superstruct(only(Dvt), partial_getter(rename = "signed_block_header_dvt"))]
    pub signed_block_header: SignedBeaconBlockHeaderDvt,
    /// Merkle path from the commitments to the body's root.
    pub kzg_commitments_inclusion_proof: FixedVector<Root, P::KzgCommitmentsInclusionProofDepth>,
}
impl_fork_versioned!(DataColumnSidecar<P>, DataColumnSidecarFulu, DataColumnSidecarDvt);

impl<P: Preset> DataColumnSidecar<P> {
    /// Header of the block, with its signature.
    pub fn signed_block_header(&self) -> SignedBeaconBlockHeaderRef<'_> {
        match self {
            Self::Fulu(inner) => SignedBeaconBlockHeaderRef::Fulu(&inner.signed_block_header),
            Self::Dvt(inner) => SignedBeaconBlockHeaderRef::Dvt(&inner.signed_block_header),
        }
    }

    /// Header of the block.
    pub fn block_header(&self) -> &BeaconBlockHeader {
        match self {
            Self::Fulu(inner) => &inner.signed_block_header.message,
            Self::Dvt(inner) => &inner.signed_block_header.message,
        }
    }
}

/// Spec: fulu/p2p-interface.md#datacolumnsbyrootidentifier
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct DataColumnsByRootIdentifier<P: Preset> {
    /// Block.
    pub block_root: Root,
    /// Columns of it.
    #[serde(with = "ssz_types::serde_utils::quoted_u64_var_list")]
    pub columns: VariableList<ColumnIndex, P::NumberOfColumns>,
}

/// Spec: fulu/das-core.md#matrixentry
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct MatrixEntry<P: Preset> {
    /// Cell.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub cell: Cell<P>,
    /// Proof of the cell.
    pub kzg_proof: KzgProof,
    /// Column.
    #[serde(with = "serde_utils::quoted_u64")]
    pub column_index: ColumnIndex,
    /// Row.
    #[serde(with = "serde_utils::quoted_u64")]
    pub row_index: u64,
}

/// Spec: deneb/p2p-interface.md#blobidentifier
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BlobIdentifier {
    /// Block.
    pub block_root: Root,
    /// Blob of it.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: BlobIndex,
}

/// Spec: deneb/p2p-interface.md#blobsidecar
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct BlobSidecar<P: Preset> {
    /// Blob within the block.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: BlobIndex,
    /// The blob.
    #[serde(with = "ssz_types::serde_utils::hex_fixed_vec")]
    pub blob: Blob<P>,
    /// Its commitment.
    pub kzg_commitment: KzgCommitment,
    /// Its proof.
    pub kzg_proof: KzgProof,
    /// Header of the block. Blob sidecars end with Electra: the layout never changes.
    pub signed_block_header: SignedBeaconBlockHeaderFulu,
    /// Merkle path from the commitment to the body's root.
    pub kzg_commitment_inclusion_proof: FixedVector<Root, P::KzgCommitmentInclusionProofDepth>,
}
