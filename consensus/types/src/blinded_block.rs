//! Blinded blocks: a validator client signs them without seeing the payload.

use crate::fork_versioned::impl_fork_versioned;
use crate::{
    AttestationDvt, AttestationFulu, AttesterSlashingDvt, AttesterSlashingFulu, BeaconBlockHeader, Deposit, Eth1Data,
    ExecutionPayloadHeader, ExecutionRequests, Hash32, KzgCommitments, Preset, ProposerSlashingDvt,
    ProposerSlashingFulu, Root, SchemeProof, SchemeProofs, SignatureBytes, SignedBLSToExecutionChange,
    SignedBeaconBlockHeader, SignedBeaconBlockHeaderDvt, SignedBeaconBlockHeaderFulu, SignedKeySetChange,
    SignedVoluntaryExitDvt, SignedVoluntaryExitFulu, Signers, Slot, SyncAggregate, ValidatorIndex,
};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use superstruct::superstruct;
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;
use typenum::{U1, U2};

/// Spec: bellatrix/builder.md#blindedbeaconblockbody
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
pub struct BlindedBeaconBlockBody<P: Preset> {
    /// Signature over the epoch: the proposer's contribution to the randomness.
    pub randao_reveal: SignatureBytes,
    /// Vote for the old deposit mechanism.
    pub eth1_data: Eth1Data,
    /// Free bytes.
    pub graffiti: Hash32,
    /// Proposer slashings.
    #[superstruct(only(Fulu), partial_getter(rename = "proposer_slashings_fulu"))]
    pub proposer_slashings: VariableList<ProposerSlashingFulu, P::MaxProposerSlashings>,
    /// Proposer slashings.
    #[superstruct(only(Dvt), partial_getter(rename = "proposer_slashings_dvt"))]
    pub proposer_slashings: VariableList<ProposerSlashingDvt, P::MaxProposerSlashings>,
    /// Attester slashings.
    #[superstruct(only(Fulu), partial_getter(rename = "attester_slashings_fulu"))]
    pub attester_slashings: VariableList<AttesterSlashingFulu<P>, P::MaxAttesterSlashingsElectra>,
    /// Attester slashings.
    #[superstruct(only(Dvt), partial_getter(rename = "attester_slashings_dvt"))]
    pub attester_slashings: VariableList<AttesterSlashingDvt<P>, P::MaxAttesterSlashingsElectra>,
    /// Attestations.
    #[superstruct(only(Fulu), partial_getter(rename = "attestations_fulu"))]
    pub attestations: VariableList<AttestationFulu<P>, P::MaxAttestationsElectra>,
    /// Attestations.
    #[superstruct(only(Dvt), partial_getter(rename = "attestations_dvt"))]
    pub attestations: VariableList<AttestationDvt<P>, P::MaxAttestationsElectra>,
    /// Deposits of the old mechanism.
    pub deposits: VariableList<Deposit, P::MaxDeposits>,
    /// Voluntary exits.
    #[superstruct(only(Fulu), partial_getter(rename = "voluntary_exits_fulu"))]
    pub voluntary_exits: VariableList<SignedVoluntaryExitFulu, P::MaxVoluntaryExits>,
    /// Voluntary exits.
    #[superstruct(only(Dvt), partial_getter(rename = "voluntary_exits_dvt"))]
    pub voluntary_exits: VariableList<SignedVoluntaryExitDvt, P::MaxVoluntaryExits>,
    /// Sync committee signatures for the parent.
    pub sync_aggregate: SyncAggregate<P>,
    /// Header of the execution payload, which has the payload's root.
    pub execution_payload_header: ExecutionPayloadHeader<P>,
    /// Changes of withdrawal credentials.
    pub bls_to_execution_changes: VariableList<SignedBLSToExecutionChange, P::MaxBlsToExecutionChanges>,
    /// Commitments of the blobs.
    pub blob_kzg_commitments: KzgCommitments<P>,
    /// Requests of the execution layer.
    pub execution_requests: ExecutionRequests<P>,
    /// Key-set changes.
    #[superstruct(only(Dvt), partial_getter(rename = "key_set_changes_dvt"))]
    pub key_set_changes: VariableList<SignedKeySetChange, U2>,
    /// RANDAO reveal by opening, of a leader whose key is not a BLS key.
    #[superstruct(only(Dvt), partial_getter(rename = "randao_proof_dvt"))]
    pub randao_proof: VariableList<SchemeProof, U1>,
}
impl_fork_versioned!(
    BlindedBeaconBlockBody<P>,
    BlindedBeaconBlockBodyFulu,
    BlindedBeaconBlockBodyDvt
);

/// A block with the payload's header in place of the payload. Same root.
///
/// Spec: bellatrix/builder.md#blindedbeaconblock
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
pub struct BlindedBeaconBlock<P: Preset> {
    /// Slot.
    #[superstruct(getter(copy))]
    pub slot: Slot,
    /// Registry index of the proposer.
    #[superstruct(getter(copy))]
    pub proposer_index: ValidatorIndex,
    /// Root of the parent block.
    #[superstruct(getter(copy))]
    pub parent_root: Root,
    /// Root of the state after the block.
    #[superstruct(getter(copy))]
    pub state_root: Root,
    /// Body.
    #[superstruct(only(Fulu), partial_getter(rename = "body_fulu"))]
    pub body: BlindedBeaconBlockBodyFulu<P>,
    /// Body.
    #[superstruct(only(Dvt), partial_getter(rename = "body_dvt"))]
    pub body: BlindedBeaconBlockBodyDvt<P>,
}
impl_fork_versioned!(BlindedBeaconBlock<P>, BlindedBeaconBlockFulu, BlindedBeaconBlockDvt);

/// Spec: bellatrix/builder.md#signedblindedbeaconblock
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
pub struct SignedBlindedBeaconBlock<P: Preset> {
    /// The block.
    #[superstruct(only(Fulu), partial_getter(rename = "message_fulu"))]
    pub message: BlindedBeaconBlockFulu<P>,
    /// The block.
    #[superstruct(only(Dvt), partial_getter(rename = "message_dvt"))]
    pub message: BlindedBeaconBlockDvt<P>,
    /// Aggregate of the BLS signatures.
    pub signature: SignatureBytes,
    /// Which keys signed.
    #[superstruct(only(Dvt), partial_getter(rename = "signers_dvt"))]
    pub signers: Signers,
    /// Signatures of the other schemes.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(
    SignedBlindedBeaconBlock<P>,
    SignedBlindedBeaconBlockFulu,
    SignedBlindedBeaconBlockDvt
);

impl<P: Preset> BlindedBeaconBlock<P> {
    /// Hash tree root: that of the full block.
    pub fn block_root(&self) -> Root {
        self.tree_hash_root()
    }

    /// The block's header, with the body's root.
    pub fn block_header(&self) -> BeaconBlockHeader {
        self.to_ref().block_header()
    }
}

impl<P: Preset> SignedBlindedBeaconBlock<P> {
    /// Puts block, signature and signers together. A Fulu block has no place for `signers` and `proofs`: they are
    /// dropped there.
    pub fn from_parts(
        block: BlindedBeaconBlock<P>,
        signature: SignatureBytes,
        signers: Signers,
        proofs: SchemeProofs,
    ) -> Self {
        match block {
            BlindedBeaconBlock::Fulu(message) => Self::Fulu(SignedBlindedBeaconBlockFulu { message, signature }),
            BlindedBeaconBlock::Dvt(message) => Self::Dvt(SignedBlindedBeaconBlockDvt {
                message,
                signature,
                signers,
                proofs,
            }),
        }
    }

    /// The signed header, with the body's root.
    pub fn signed_block_header(&self) -> SignedBeaconBlockHeader {
        match self {
            Self::Fulu(inner) => SignedBeaconBlockHeader::Fulu(SignedBeaconBlockHeaderFulu {
                message: BlindedBeaconBlockRef::Fulu(&inner.message).block_header(),
                signature: inner.signature,
            }),
            Self::Dvt(inner) => SignedBeaconBlockHeader::Dvt(SignedBeaconBlockHeaderDvt {
                message: BlindedBeaconBlockRef::Dvt(&inner.message).block_header(),
                signature: inner.signature,
                signers: inner.signers.clone(),
                proofs: inner.proofs.clone(),
            }),
        }
    }
}

impl<P: Preset> BlindedBeaconBlockRef<'_, P> {
    /// The block's header, with the body's root.
    pub fn block_header(&self) -> BeaconBlockHeader {
        BeaconBlockHeader {
            slot: self.slot(),
            proposer_index: self.proposer_index(),
            parent_root: self.parent_root(),
            state_root: self.state_root(),
            body_root: match self {
                Self::Fulu(inner) => inner.body.tree_hash_root(),
                Self::Dvt(inner) => inner.body.tree_hash_root(),
            },
        }
    }
}
