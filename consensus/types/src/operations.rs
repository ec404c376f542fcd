//! Block operations other than attestations.

use crate::fork_versioned::impl_fork_versioned;
use crate::{
    Epoch, ExecutionAddress, ForkName, Gwei, Hash32, PublicKeyBytes, Root, SchemeProof, SchemeProofs, SignatureBytes,
    SignedBeaconBlockHeaderDvt, SignedBeaconBlockHeaderFulu, SignedBeaconBlockHeaderRef, Signers, ValidatorIndex,
};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::FixedVector;
use superstruct::superstruct;
use tree_hash_derive::TreeHash;

/// Spec: phase0/beacon-chain.md#depositmessage
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DepositMessage {
    /// Registry key.
    pub pubkey: PublicKeyBytes,
    /// Credentials.
    pub withdrawal_credentials: Hash32,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
}

/// Spec: phase0/beacon-chain.md#depositdata
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct DepositData {
    /// Registry key.
    pub pubkey: PublicKeyBytes,
    /// Credentials.
    pub withdrawal_credentials: Hash32,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub amount: Gwei,
    /// Over the deposit message.
    pub signature: SignatureBytes,
}

/// Spec: phase0/beacon-chain.md#deposit
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Deposit {
    /// Merkle path to the deposit root: the contract's tree and the length.
    pub proof: FixedVector<Root, typenum::U33>,
    /// The deposit.
    pub data: DepositData,
}

/// Evidence against a proposer that signed two headers for one slot.
///
/// Spec: dvt/beacon-chain.md#proposerslashing
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
pub struct ProposerSlashing {
    /// One header.
    #[superstruct(only(Fulu), partial_getter(rename = "signed_header_1_fulu"))]
    pub signed_header_1: SignedBeaconBlockHeaderFulu,
    /// The other header.
    #[superstruct(only(Fulu), partial_getter(rename = "signed_header_2_fulu"))]
    pub signed_header_2: SignedBeaconBlockHeaderFulu,
    /// One header.
    #[superstruct(only(Dvt), partial_getter(rename = "signed_header_1_dvt"))]
    pub signed_header_1: SignedBeaconBlockHeaderDvt,
    /// The other header.
    #[superstruct(only(Dvt), partial_getter(rename = "signed_header_2_dvt"))]
    pub signed_header_2: SignedBeaconBlockHeaderDvt,
}
impl_fork_versioned!(ProposerSlashing, ProposerSlashingFulu, ProposerSlashingDvt);

impl ProposerSlashing {
    /// One header.
    pub fn signed_header_1(&self) -> SignedBeaconBlockHeaderRef<'_> {
        self.to_ref().signed_header_1()
    }
    /// The other header.
    pub fn signed_header_2(&self) -> SignedBeaconBlockHeaderRef<'_> {
        self.to_ref().signed_header_2()
    }
}

impl<'a> ProposerSlashingRef<'a> {
    /// One header.
    pub fn signed_header_1(&self) -> SignedBeaconBlockHeaderRef<'a> {
        match *self {
            Self::Fulu(inner) => SignedBeaconBlockHeaderRef::Fulu(&inner.signed_header_1),
            Self::Dvt(inner) => SignedBeaconBlockHeaderRef::Dvt(&inner.signed_header_1),
        }
    }
    /// The other header.
    pub fn signed_header_2(&self) -> SignedBeaconBlockHeaderRef<'a> {
        match *self {
            Self::Fulu(inner) => SignedBeaconBlockHeaderRef::Fulu(&inner.signed_header_2),
            Self::Dvt(inner) => SignedBeaconBlockHeaderRef::Dvt(&inner.signed_header_2),
        }
    }
}

/// Spec: phase0/beacon-chain.md#voluntaryexit
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct VoluntaryExit {
    /// Earliest epoch in which the exit may be included.
    pub epoch: Epoch,
    /// Registry entry.
    pub validator_index: ValidatorIndex,
}

/// Spec: dvt/beacon-chain.md#signedvoluntaryexit
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
pub struct SignedVoluntaryExit {
    /// The exit.
    pub message: VoluntaryExit,
    /// Aggregate of the BLS signatures.
    pub signature: SignatureBytes,
    /// Which keys signed.
    #[superstruct(only(Dvt), partial_getter(rename = "signers_dvt"))]
    pub signers: Signers,
    /// Signatures of the other schemes.
    #[superstruct(only(Dvt), partial_getter(rename = "proofs_dvt"))]
    pub proofs: SchemeProofs,
}
impl_fork_versioned!(SignedVoluntaryExit, SignedVoluntaryExitFulu, SignedVoluntaryExitDvt);

impl SignedVoluntaryExitRef<'_> {
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
    /// The fork whose layout this value has.
    pub fn fork_name(&self) -> ForkName {
        match self {
            Self::Fulu(_) => ForkName::Fulu,
            Self::Dvt(_) => ForkName::Dvt,
        }
    }
}

/// Spec: capella/beacon-chain.md#blstoexecutionchange
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct BLSToExecutionChange {
    /// Registry entry.
    pub validator_index: ValidatorIndex,
    /// Key whose hash stands in the old credentials.
    pub from_bls_pubkey: PublicKeyBytes,
    /// New receiver.
    #[serde(with = "serde_utils::address_hex")]
    pub to_execution_address: ExecutionAddress,
}

/// Spec: capella/beacon-chain.md#signedblstoexecutionchange
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedBLSToExecutionChange {
    /// The change.
    pub message: BLSToExecutionChange,
    /// By the withdrawal key.
    pub signature: SignatureBytes,
}
