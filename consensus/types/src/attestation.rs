//! Attestations and what is built from them.

use crate::fork_versioned::impl_fork_versioned;
use crate::{
    Checkpoint, CommitteeIndex, ForkName, Preset, Root, SchemeProof, SchemeProofs, SignatureBytes, SignerIndex, Slot,
    ValidatorIndex,
};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitList, BitVector, VariableList};
use superstruct::superstruct;
use tree_hash_derive::TreeHash;

/// Spec: phase0/beacon-chain.md#attestationdata
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct AttestationData {
    /// Slot of the vote.
    pub slot: Slot,
    /// Always 0 since Electra.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: CommitteeIndex,
    /// Vote for the head.
    pub beacon_block_root: Root,
    /// Justified checkpoint that the vote starts from.
    pub source: Checkpoint,
    /// Checkpoint that the vote is for.
    pub target: Checkpoint,
}

/// Votes of one or more committees of a slot; one bit for each seat.
///
/// Spec: dvt/beacon-chain.md#attestation
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
pub struct Attestation<P: Preset> {
    /// One bit for each seat of the committees in `committee_bits`, in committee order.
    pub aggregation_bits: BitList<P::MaxValidatorsPerSlot>,
    /// The vote.
    pub data: AttestationData,
    /// Aggregate of the BLS signatures.
    pub signature: SignatureBytes,
    /// Which committees.
    pub committee_bits: BitVector<P::MaxCommitteesPerSlot>,
    /// Signatures of the other schemes.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(Attestation<P>, AttestationFulu, AttestationDvt);

/// Spec: dvt/beacon-chain.md#indexedattestation
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
pub struct IndexedAttestation<P: Preset> {
    /// Signer indices, ascending.
    pub attesting_indices: VariableList<SignerIndex, P::MaxValidatorsPerSlot>,
    /// The vote.
    pub data: AttestationData,
    /// Aggregate of the BLS signatures.
    pub signature: SignatureBytes,
    /// Signatures of the other schemes.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(IndexedAttestation<P>, IndexedAttestationFulu, IndexedAttestationDvt);

/// The vote of one signer, as it travels on an attestation subnet.
///
/// Spec: dvt/beacon-chain.md#singleattestation
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
pub struct SingleAttestation {
    /// Committee of the signer.
    #[superstruct(getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub committee_index: CommitteeIndex,
    /// The signer.
    #[superstruct(getter(copy))]
    pub attester_index: SignerIndex,
    /// The vote.
    pub data: AttestationData,
    /// BLS signature; the point at infinity if the key is of another scheme.
    pub signature: SignatureBytes,
    /// Signature of another scheme.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(SingleAttestation, SingleAttestationFulu, SingleAttestationDvt);

/// Evidence against validators that voted twice.
///
/// Spec: dvt/beacon-chain.md#attesterslashing
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
pub struct AttesterSlashing<P: Preset> {
    /// One side.
    #[superstruct(only(Fulu), partial_getter(rename = "attestation_1_fulu"))]
    pub attestation_1: IndexedAttestationFulu<P>,
    /// The other side.
    #[superstruct(only(Fulu), partial_getter(rename = "attestation_2_fulu"))]
    pub attestation_2: IndexedAttestationFulu<P>,
    /// One side.
    #[superstruct(only(Dvt), partial_getter(rename = "attestation_1_dvt"))]
    pub attestation_1: IndexedAttestationDvt<P>,
    /// The other side.
    #[superstruct(only(Dvt), partial_getter(rename = "attestation_2_dvt"))]
    pub attestation_2: IndexedAttestationDvt<P>,
    /// More votes of one side: a group's signers add up over them.
    #[superstruct(only(Dvt), partial_getter(rename = "more_1_dvt"))]
    pub more_1: VariableList<IndexedAttestationDvt<P>, typenum::U15>,
    /// More votes of the other side.
    #[superstruct(only(Dvt), partial_getter(rename = "more_2_dvt"))]
    pub more_2: VariableList<IndexedAttestationDvt<P>, typenum::U15>,
    /// How many epochs before its target epoch the keys of one side were in force.
    #[superstruct(only(Dvt), partial_getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub key_set_age_1: u64,
    /// The same of the other side.
    #[superstruct(only(Dvt), partial_getter(copy))]
    #[serde(with = "serde_utils::quoted_u64")]
    pub key_set_age_2: u64,
}
impl_fork_versioned!(AttesterSlashing<P>, AttesterSlashingFulu, AttesterSlashingDvt);

/// Spec: dvt/validator.md#aggregateandproof
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
pub struct AggregateAndProof<P: Preset> {
    /// The aggregator.
    #[superstruct(getter(copy))]
    pub aggregator_index: SignerIndex,
    /// The aggregate.
    #[superstruct(only(Fulu), partial_getter(rename = "aggregate_fulu"))]
    pub aggregate: AttestationFulu<P>,
    /// The aggregate.
    #[superstruct(only(Dvt), partial_getter(rename = "aggregate_dvt"))]
    pub aggregate: AttestationDvt<P>,
    /// Shows that the aggregator was selected.
    pub selection_proof: SignatureBytes,
    /// Selection opening of another scheme.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(AggregateAndProof<P>, AggregateAndProofFulu, AggregateAndProofDvt);

/// Spec: dvt/validator.md#signedaggregateandproof
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
pub struct SignedAggregateAndProof<P: Preset> {
    /// The aggregate with its aggregator.
    #[superstruct(only(Fulu), partial_getter(rename = "message_fulu"))]
    pub message: AggregateAndProofFulu<P>,
    /// The aggregate with its aggregator.
    #[superstruct(only(Dvt), partial_getter(rename = "message_dvt"))]
    pub message: AggregateAndProofDvt<P>,
    /// By the aggregator's BLS key.
    pub signature: SignatureBytes,
    /// By the aggregator's key of another scheme.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(
    SignedAggregateAndProof<P>,
    SignedAggregateAndProofFulu,
    SignedAggregateAndProofDvt
);

/// A vote with its delay; phase 0 only, kept because vectors know it.
///
/// Spec: phase0/beacon-chain.md#pendingattestation
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
#[serde(bound = "P: Preset")]
pub struct PendingAttestation<P: Preset> {
    /// Votes by committee position.
    pub aggregation_bits: BitList<P::MaxValidatorsPerCommittee>,
    /// The vote.
    pub data: AttestationData,
    /// Slots between vote and inclusion.
    #[serde(with = "serde_utils::quoted_u64")]
    pub inclusion_delay: u64,
    /// Who included it.
    pub proposer_index: ValidatorIndex,
}

/// Implements `proofs()`: the signatures of other schemes, none before the dvt fork.
macro_rules! impl_proofs {
    ($($name:ident, $reference:ident $(, $p:ident)?;)*) => {$(
        impl $(<$p: Preset>)? $name $(<$p>)? {
            /// Signatures of schemes other than BLS; none before the dvt fork.
            pub fn proofs(&self) -> &[SchemeProof] {
                match self {
                    Self::Fulu(_) => &[],
                    Self::Dvt(inner) => &inner.proofs,
                }
            }
        }
        impl<'a $(, $p: Preset)?> $reference<'a $(, $p)?> {
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
    )*};
}
impl_proofs!(
    Attestation, AttestationRef, P;
    IndexedAttestation, IndexedAttestationRef, P;
    SingleAttestation, SingleAttestationRef;
    AggregateAndProof, AggregateAndProofRef, P;
    SignedAggregateAndProof, SignedAggregateAndProofRef, P;
);

impl<P: Preset> Attestation<P> {
    /// Indices of the committees whose bit is set.
    pub fn committee_indices(&self) -> Vec<CommitteeIndex> {
        self.to_ref().committee_indices()
    }
}

impl<P: Preset> AttestationRef<'_, P> {
    /// Indices of the committees whose bit is set.
    ///
    /// Spec: electra/beacon-chain.md#get_committee_indices
    pub fn committee_indices(&self) -> Vec<CommitteeIndex> {
        let bits = self.committee_bits();
        (0..bits.len())
            .filter(|i| bits.get(*i).unwrap_or(false))
            .map(|i| i as CommitteeIndex)
            .collect()
    }

    /// An owned copy.
    pub fn cloned(&self) -> Attestation<P> {
        match *self {
            Self::Fulu(inner) => Attestation::Fulu(inner.clone()),
            Self::Dvt(inner) => Attestation::Dvt(inner.clone()),
        }
    }
}

impl<P: Preset> AggregateAndProof<P> {
    /// The aggregate.
    pub fn aggregate(&self) -> AttestationRef<'_, P> {
        self.to_ref().aggregate()
    }
}

impl<'a, P: Preset> AggregateAndProofRef<'a, P> {
    /// The aggregate.
    pub fn aggregate(&self) -> AttestationRef<'a, P> {
        match *self {
            Self::Fulu(inner) => AttestationRef::Fulu(&inner.aggregate),
            Self::Dvt(inner) => AttestationRef::Dvt(&inner.aggregate),
        }
    }
}

impl<P: Preset> SignedAggregateAndProof<P> {
    /// The aggregate with its aggregator.
    pub fn message(&self) -> AggregateAndProofRef<'_, P> {
        match self {
            Self::Fulu(inner) => AggregateAndProofRef::Fulu(&inner.message),
            Self::Dvt(inner) => AggregateAndProofRef::Dvt(&inner.message),
        }
    }
}

/// One side of the evidence against attesters.
#[derive(Debug, Clone, PartialEq)]
pub struct SlashingSide<'a, P: Preset> {
    /// Its votes, first vote first; at least one.
    pub votes: Vec<IndexedAttestationRef<'a, P>>,
    /// How many epochs before the target epoch the keys that verify them were in force.
    pub key_set_age: u64,
}

impl<'a, P: Preset> AttesterSlashingRef<'a, P> {
    /// Both sides of the evidence.
    ///
    /// Spec: dvt/beacon-chain.md#get_slashing_sides
    pub fn sides(&self) -> [SlashingSide<'a, P>; 2] {
        match *self {
            Self::Fulu(inner) => [&inner.attestation_1, &inner.attestation_2].map(|vote| SlashingSide {
                votes: vec![IndexedAttestationRef::Fulu(vote)],
                key_set_age: 0,
            }),
            Self::Dvt(inner) => [
                (&inner.attestation_1, &inner.more_1, inner.key_set_age_1),
                (&inner.attestation_2, &inner.more_2, inner.key_set_age_2),
            ]
            .map(|(first, more, key_set_age)| SlashingSide {
                votes: std::iter::once(first)
                    .chain(more.iter())
                    .map(IndexedAttestationRef::Dvt)
                    .collect(),
                key_set_age,
            }),
        }
    }
}
