//! Beacon blocks, their bodies, headers and signed forms.

use crate::fork_versioned::impl_fork_versioned;
use crate::{
    AttestationDvt, AttestationFulu, AttestationRef, AttesterSlashingDvt, AttesterSlashingFulu, AttesterSlashingRef,
    BlindedBeaconBlock, BlindedBeaconBlockBodyDvt, BlindedBeaconBlockBodyFulu, BlindedBeaconBlockDvt,
    BlindedBeaconBlockFulu, Deposit, Eth1Data, ExecutionPayload, ExecutionPayloadHeader, ExecutionRequests, ForkName,
    Hash32, KzgCommitment, Preset, ProposerSlashingDvt, ProposerSlashingFulu, ProposerSlashingRef, Root, SchemeProof,
    SchemeProofs, SignatureBytes, SignedBLSToExecutionChange, SignedKeySetChange, SignedVoluntaryExitDvt,
    SignedVoluntaryExitFulu, SignedVoluntaryExitRef, Signers, Slot, SyncAggregate, ValidatorIndex,
};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::VariableList;
use superstruct::superstruct;
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;
use typenum::{U1, U2};

/// The commitments of a block's blobs.
pub type KzgCommitments<P> = VariableList<KzgCommitment, <P as Preset>::MaxBlobCommitmentsPerBlock>;

/// Spec: phase0/beacon-chain.md#beaconblockheader
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BeaconBlockHeader {
    /// Slot.
    pub slot: Slot,
    /// Registry index of the proposer.
    pub proposer_index: ValidatorIndex,
    /// Root of the parent block.
    pub parent_root: Root,
    /// Root of the state after the block.
    pub state_root: Root,
    /// Root of the body.
    pub body_root: Root,
}

/// Spec: dvt/beacon-chain.md#signedbeaconblockheader
#[superstruct(
    variants(Fulu, Dvt),
    no_map_macros,
    variant_attributes(derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)),
    ref_attributes(derive(Debug, PartialEq))
)]
#[derive(Debug, Clone, PartialEq, Eq, Encode, TreeHash, Serialize)]
#[serde(untagged)]
#[ssz(enum_behaviour = "transparent")]
#[tree_hash(enum_behaviour = "transparent")]
pub struct SignedBeaconBlockHeader {
    /// The header.
    pub message: BeaconBlockHeader,
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
    SignedBeaconBlockHeader,
    SignedBeaconBlockHeaderFulu,
    SignedBeaconBlockHeaderDvt
);

/// Spec: dvt/beacon-chain.md#beaconblockbody
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
pub struct BeaconBlockBody<P: Preset> {
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
    /// Execution payload.
    pub execution_payload: ExecutionPayload<P>,
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
impl_fork_versioned!(BeaconBlockBody<P>, BeaconBlockBodyFulu, BeaconBlockBodyDvt);

/// Spec: phase0/beacon-chain.md#beaconblock
#[superstruct(
    variants(Fulu, Dvt),
    no_map_macros,
    variant_attributes(
        derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize),
        serde(bound = "P: Preset")
    ),
    ref_attributes(derive(Debug, PartialEq, TreeHash), tree_hash(enum_behaviour = "transparent"))
)]
#[derive(Debug, Clone, PartialEq, Eq, Encode, TreeHash, Serialize)]
#[serde(bound = "P: Preset", untagged)]
#[ssz(enum_behaviour = "transparent")]
#[tree_hash(enum_behaviour = "transparent")]
pub struct BeaconBlock<P: Preset> {
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
    pub body: BeaconBlockBodyFulu<P>,
    /// Body.
    #[superstruct(only(Dvt), partial_getter(rename = "body_dvt"))]
    pub body: BeaconBlockBodyDvt<P>,
}
impl_fork_versioned!(BeaconBlock<P>, BeaconBlockFulu, BeaconBlockDvt);

/// Spec: dvt/beacon-chain.md#signedbeaconblock
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
pub struct SignedBeaconBlock<P: Preset> {
    /// The block.
    #[superstruct(only(Fulu), partial_getter(rename = "message_fulu"))]
    pub message: BeaconBlockFulu<P>,
    /// The block.
    #[superstruct(only(Dvt), partial_getter(rename = "message_dvt"))]
    pub message: BeaconBlockDvt<P>,
    /// Aggregate of the BLS signatures.
    pub signature: SignatureBytes,
    /// Which keys signed.
    #[superstruct(only(Dvt), partial_getter(rename = "signers_dvt"))]
    pub signers: Signers,
    /// Signatures of the other schemes.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(SignedBeaconBlock<P>, SignedBeaconBlockFulu, SignedBeaconBlockDvt);

impl SignedBeaconBlockHeader {
    /// Which keys of a group signed; all zero before the dvt fork.
    pub fn signers(&self) -> Signers {
        self.to_ref().signers()
    }
    /// Signatures of schemes other than BLS; none before the dvt fork.
    pub fn proofs(&self) -> &[SchemeProof] {
        self.to_ref().proofs()
    }
}

impl<'a> SignedBeaconBlockHeaderRef<'a> {
    /// Which keys of a group signed; all zero before the dvt fork.
    pub fn signers(&self) -> Signers {
        match self {
            Self::Fulu(_) => Signers::default(),
            Self::Dvt(inner) => inner.signers.clone(),
        }
    }
    /// Signatures of schemes other than BLS; none before the dvt fork.
    pub fn proofs(&self) -> &'a [SchemeProof] {
        match self {
            Self::Fulu(_) => &[],
            Self::Dvt(inner) => &inner.proofs,
        }
    }
    /// The fork whose layout this value has.
    pub fn fork_name(&self) -> ForkName {
        match self {
            Self::Fulu(_) => ForkName::Fulu,
            Self::Dvt(_) => ForkName::Dvt,
        }
    }
}

impl<'a, P: Preset> BeaconBlockBodyRef<'a, P> {
    /// Proposer slashings, in order.
    pub fn proposer_slashings(&self) -> Box<dyn ExactSizeIterator<Item = ProposerSlashingRef<'a>> + 'a> {
        match *self {
            Self::Fulu(body) => Box::new(body.proposer_slashings.iter().map(ProposerSlashingRef::Fulu)),
            Self::Dvt(body) => Box::new(body.proposer_slashings.iter().map(ProposerSlashingRef::Dvt)),
        }
    }
    /// Attester slashings, in order.
    pub fn attester_slashings(&self) -> Box<dyn ExactSizeIterator<Item = AttesterSlashingRef<'a, P>> + 'a> {
        match *self {
            Self::Fulu(body) => Box::new(body.attester_slashings.iter().map(AttesterSlashingRef::Fulu)),
            Self::Dvt(body) => Box::new(body.attester_slashings.iter().map(AttesterSlashingRef::Dvt)),
        }
    }
    /// Attestations, in order.
    pub fn attestations(&self) -> Box<dyn ExactSizeIterator<Item = AttestationRef<'a, P>> + 'a> {
        match *self {
            Self::Fulu(body) => Box::new(body.attestations.iter().map(AttestationRef::Fulu)),
            Self::Dvt(body) => Box::new(body.attestations.iter().map(AttestationRef::Dvt)),
        }
    }
    /// Voluntary exits, in order.
    pub fn voluntary_exits(&self) -> Box<dyn ExactSizeIterator<Item = SignedVoluntaryExitRef<'a>> + 'a> {
        match *self {
            Self::Fulu(body) => Box::new(body.voluntary_exits.iter().map(SignedVoluntaryExitRef::Fulu)),
            Self::Dvt(body) => Box::new(body.voluntary_exits.iter().map(SignedVoluntaryExitRef::Dvt)),
        }
    }
    /// Key-set changes, in order; none before the dvt fork.
    pub fn key_set_changes(&self) -> &'a [SignedKeySetChange] {
        match *self {
            Self::Fulu(_) => &[],
            Self::Dvt(body) => &body.key_set_changes,
        }
    }
    /// RANDAO reveal by opening; none before the dvt fork.
    pub fn randao_proof(&self) -> &'a [SchemeProof] {
        match *self {
            Self::Fulu(_) => &[],
            Self::Dvt(body) => &body.randao_proof,
        }
    }
    /// Hash tree root of the body.
    pub fn body_root(&self) -> Root {
        match self {
            Self::Fulu(body) => body.tree_hash_root(),
            Self::Dvt(body) => body.tree_hash_root(),
        }
    }
}

impl<P: Preset> BeaconBlock<P> {
    /// The body.
    pub fn body(&self) -> BeaconBlockBodyRef<'_, P> {
        self.to_ref().body()
    }
    /// Hash tree root.
    pub fn block_root(&self) -> Root {
        self.tree_hash_root()
    }
    /// The block's header, with the body's root.
    pub fn block_header(&self) -> BeaconBlockHeader {
        self.to_ref().block_header()
    }
    /// The same block with the payload's header in place of the payload.
    pub fn to_blinded(&self) -> BlindedBeaconBlock<P> {
        self.to_ref().to_blinded()
    }
}

impl<'a, P: Preset> BeaconBlockRef<'a, P> {
    /// The body.
    pub fn body(&self) -> BeaconBlockBodyRef<'a, P> {
        match *self {
            Self::Fulu(inner) => BeaconBlockBodyRef::Fulu(&inner.body),
            Self::Dvt(inner) => BeaconBlockBodyRef::Dvt(&inner.body),
        }
    }
    /// The fork whose layout this value has.
    pub fn fork_name(&self) -> ForkName {
        match self {
            Self::Fulu(_) => ForkName::Fulu,
            Self::Dvt(_) => ForkName::Dvt,
        }
    }
    /// Hash tree root.
    pub fn block_root(&self) -> Root {
        self.tree_hash_root()
    }
    /// The block's header, with the body's root.
    pub fn block_header(&self) -> BeaconBlockHeader {
        BeaconBlockHeader {
            slot: self.slot(),
            proposer_index: self.proposer_index(),
            parent_root: self.parent_root(),
            state_root: self.state_root(),
            body_root: self.body().body_root(),
        }
    }
    /// An owned copy.
    pub fn cloned(&self) -> BeaconBlock<P> {
        match *self {
            Self::Fulu(inner) => BeaconBlock::Fulu(inner.clone()),
            Self::Dvt(inner) => BeaconBlock::Dvt(inner.clone()),
        }
    }
    /// The same block with the payload's header in place of the payload.
    pub fn to_blinded(&self) -> BlindedBeaconBlock<P> {
        match *self {
            Self::Fulu(block) => BlindedBeaconBlock::Fulu(BlindedBeaconBlockFulu {
                slot: block.slot,
                proposer_index: block.proposer_index,
                parent_root: block.parent_root,
                state_root: block.state_root,
                body: BlindedBeaconBlockBodyFulu {
                    randao_reveal: block.body.randao_reveal,
                    eth1_data: block.body.eth1_data.clone(),
                    graffiti: block.body.graffiti,
                    proposer_slashings: block.body.proposer_slashings.clone(),
                    attester_slashings: block.body.attester_slashings.clone(),
                    attestations: block.body.attestations.clone(),
                    deposits: block.body.deposits.clone(),
                    voluntary_exits: block.body.voluntary_exits.clone(),
                    sync_aggregate: block.body.sync_aggregate.clone(),
                    execution_payload_header: ExecutionPayloadHeader::from(&block.body.execution_payload),
                    bls_to_execution_changes: block.body.bls_to_execution_changes.clone(),
                    blob_kzg_commitments: block.body.blob_kzg_commitments.clone(),
                    execution_requests: block.body.execution_requests.clone(),
                },
            }),
            Self::Dvt(block) => BlindedBeaconBlock::Dvt(BlindedBeaconBlockDvt {
                slot: block.slot,
                proposer_index: block.proposer_index,
                parent_root: block.parent_root,
                state_root: block.state_root,
                body: BlindedBeaconBlockBodyDvt {
                    randao_reveal: block.body.randao_reveal,
                    eth1_data: block.body.eth1_data.clone(),
                    graffiti: block.body.graffiti,
                    proposer_slashings: block.body.proposer_slashings.clone(),
                    attester_slashings: block.body.attester_slashings.clone(),
                    attestations: block.body.attestations.clone(),
                    deposits: block.body.deposits.clone(),
                    voluntary_exits: block.body.voluntary_exits.clone(),
                    sync_aggregate: block.body.sync_aggregate.clone(),
                    execution_payload_header: ExecutionPayloadHeader::from(&block.body.execution_payload),
                    bls_to_execution_changes: block.body.bls_to_execution_changes.clone(),
                    blob_kzg_commitments: block.body.blob_kzg_commitments.clone(),
                    execution_requests: block.body.execution_requests.clone(),
                    key_set_changes: block.body.key_set_changes.clone(),
                    randao_proof: block.body.randao_proof.clone(),
                },
            }),
        }
    }
}

impl<P: Preset> SignedBeaconBlock<P> {
    /// Puts block, signature and signers together. A Fulu block has no place for `signers` and `proofs`: they are
    /// dropped there.
    pub fn from_parts(
        block: BeaconBlock<P>,
        signature: SignatureBytes,
        signers: Signers,
        proofs: SchemeProofs,
    ) -> Self {
        match block {
            BeaconBlock::Fulu(message) => Self::Fulu(SignedBeaconBlockFulu { message, signature }),
            BeaconBlock::Dvt(message) => Self::Dvt(SignedBeaconBlockDvt {
                message,
                signature,
                signers,
                proofs,
            }),
        }
    }
    /// The block.
    pub fn message(&self) -> BeaconBlockRef<'_, P> {
        match self {
            Self::Fulu(inner) => BeaconBlockRef::Fulu(&inner.message),
            Self::Dvt(inner) => BeaconBlockRef::Dvt(&inner.message),
        }
    }
    /// Slot of the block.
    pub fn slot(&self) -> Slot {
        self.message().slot()
    }
    /// Root of the parent block.
    pub fn parent_root(&self) -> Root {
        self.message().parent_root()
    }
    /// Hash tree root of the block without its signature.
    pub fn block_root(&self) -> Root {
        self.message().block_root()
    }
    /// Which keys of a group signed; all zero before the dvt fork.
    pub fn signers(&self) -> Signers {
        match self {
            Self::Fulu(_) => Signers::default(),
            Self::Dvt(inner) => inner.signers.clone(),
        }
    }
    /// Signatures of schemes other than BLS; none before the dvt fork.
    pub fn proofs(&self) -> &[SchemeProof] {
        match self {
            Self::Fulu(_) => &[],
            Self::Dvt(inner) => &inner.proofs,
        }
    }
    /// The signed header, with the body's root.
    ///
    /// Spec: dvt/validator.md#compute_signed_block_header
    pub fn signed_block_header(&self) -> SignedBeaconBlockHeader {
        let message = self.message().block_header();
        match self {
            Self::Fulu(inner) => SignedBeaconBlockHeader::Fulu(SignedBeaconBlockHeaderFulu {
                message,
                signature: inner.signature,
            }),
            Self::Dvt(inner) => SignedBeaconBlockHeader::Dvt(SignedBeaconBlockHeaderDvt {
                message,
                signature: inner.signature,
                signers: inner.signers.clone(),
                proofs: inner.proofs.clone(),
            }),
        }
    }
}
