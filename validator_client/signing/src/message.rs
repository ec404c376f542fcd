//! What a validator signs.

use tree_hash::TreeHash as _;
use types::constants::{
    DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_CONTRIBUTION_AND_PROOF,
    DOMAIN_KEY_POSSESSION, DOMAIN_KEY_SET_CHANGE, DOMAIN_RANDAO, DOMAIN_SELECTION_PROOF, DOMAIN_SYNC_COMMITTEE,
    DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, DOMAIN_VOLUNTARY_EXIT,
};
use types::{
    AggregateAndProof, AttestationData, BeaconBlockHeader, ChainSpec, ContributionAndProof, Domain, DomainType, Epoch,
    KeyPossession, KeySetChange, Leaf, Preset, Root, SigningData, Slot, SyncAggregatorSelectionData, VoluntaryExit,
    compute_domain,
};

/// A message that a validator's key signs.
#[derive(Debug, Clone, Copy)]
pub enum SignableMessage<'a, P: Preset> {
    /// A block, full or blinded: both have the root of this header.
    Block(&'a BeaconBlockHeader),
    /// A vote.
    Attestation(&'a AttestationData),
    /// An aggregate with its aggregator.
    AggregateAndProof(&'a AggregateAndProof<P>),
    /// The RANDAO reveal of an epoch.
    RandaoReveal(Epoch),
    /// Selection of an aggregator in a slot.
    SelectionProof(Slot),
    /// A head, by a member of the sync committee.
    SyncCommitteeMessage {
        /// Slot of the message.
        slot: Slot,
        /// The head.
        beacon_block_root: Root,
    },
    /// Selection of a sync committee aggregator.
    SyncSelectionProof(&'a SyncAggregatorSelectionData),
    /// A sync committee contribution with its aggregator.
    ContributionAndProof(&'a ContributionAndProof<P>),
    /// An exit.
    VoluntaryExit(&'a VoluntaryExit),
    /// A new key set for a validator, by a key in force.
    KeySetChange(&'a KeySetChange),
    /// By a new key, for a key set to come.
    KeyPossession(&'a KeyPossession),
}

impl<P: Preset> SignableMessage<'_, P> {
    /// Name for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Attestation(_) => "attestation",
            Self::AggregateAndProof(_) => "aggregate_and_proof",
            Self::RandaoReveal(_) => "randao_reveal",
            Self::SelectionProof(_) => "selection_proof",
            Self::SyncCommitteeMessage { .. } => "sync_committee_message",
            Self::SyncSelectionProof(_) => "sync_selection_proof",
            Self::ContributionAndProof(_) => "contribution_and_proof",
            Self::VoluntaryExit(_) => "voluntary_exit",
            Self::KeySetChange(_) => "key_set_change",
            Self::KeyPossession(_) => "key_possession",
        }
    }

    /// Whose fork and leaves it takes. A vote belongs to its target, whatever its slot says.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Block(header) => header.slot.epoch::<P>(),
            Self::Attestation(data) => data.target.epoch,
            Self::AggregateAndProof(message) => message.aggregate().data().slot.epoch::<P>(),
            Self::RandaoReveal(epoch) => *epoch,
            Self::SelectionProof(slot) | Self::SyncCommitteeMessage { slot, .. } => slot.epoch::<P>(),
            Self::SyncSelectionProof(data) => data.slot.epoch::<P>(),
            Self::ContributionAndProof(message) => message.contribution.slot.epoch::<P>(),
            Self::VoluntaryExit(exit) => exit.epoch,
            Self::KeySetChange(change) => change.slot.epoch::<P>(),
            Self::KeyPossession(possession) => possession.slot.epoch::<P>(),
        }
    }

    /// Which leaf a hash-based key uses for it, and how.
    ///
    /// Spec: dvt/signatures.md#leaf-schedule
    pub fn leaf(&self) -> Leaf {
        let epoch = self.epoch();
        match self {
            Self::Block(header) => Leaf::block::<P>(header.slot),
            Self::Attestation(_) => Leaf::attestation(epoch),
            Self::AggregateAndProof(_) => Leaf::aggregate(epoch),
            Self::RandaoReveal(_) => Leaf::randao(epoch),
            Self::SelectionProof(_) => Leaf::selection(epoch),
            Self::VoluntaryExit(_) | Self::KeySetChange(_) | Self::KeyPossession(_) => Leaf::operation(epoch),
            // Validators with a key of such a scheme are not drawn into sync committees.
            Self::SyncCommitteeMessage { .. } | Self::SyncSelectionProof(_) | Self::ContributionAndProof(_) => {
                Leaf::None
            }
        }
    }

    /// Spec: phase0/validator.md#signature and its sections for each message; dvt/validator.md
    pub fn domain(&self, genesis_validators_root: Root, spec: &ChainSpec) -> Domain {
        let version = match self {
            // An exit signed once stays valid (EIP-7044).
            Self::VoluntaryExit(_) => spec.capella_fork_version,
            Self::KeySetChange(_) | Self::KeyPossession(_) => spec.genesis_fork_version,
            _ => spec.compute_fork_version(self.epoch()),
        };
        compute_domain(self.domain_type(), version, genesis_validators_root)
    }

    /// What is signed: the message's root with its domain.
    pub fn signing_root(&self, genesis_validators_root: Root, spec: &ChainSpec) -> Root {
        SigningData {
            object_root: self.object_root(),
            domain: self.domain(genesis_validators_root, spec),
        }
        .tree_hash_root()
    }

    fn object_root(&self) -> Root {
        match self {
            Self::Block(header) => header.tree_hash_root(),
            Self::Attestation(data) => data.tree_hash_root(),
            Self::AggregateAndProof(message) => message.tree_hash_root(),
            Self::RandaoReveal(epoch) => epoch.tree_hash_root(),
            Self::SelectionProof(slot) => slot.tree_hash_root(),
            Self::SyncCommitteeMessage { beacon_block_root, .. } => *beacon_block_root,
            Self::SyncSelectionProof(data) => data.tree_hash_root(),
            Self::ContributionAndProof(message) => message.tree_hash_root(),
            Self::VoluntaryExit(exit) => exit.tree_hash_root(),
            Self::KeySetChange(change) => change.tree_hash_root(),
            Self::KeyPossession(possession) => possession.tree_hash_root(),
        }
    }

    fn domain_type(&self) -> DomainType {
        match self {
            Self::Block(_) => DOMAIN_BEACON_PROPOSER,
            Self::Attestation(_) => DOMAIN_BEACON_ATTESTER,
            Self::AggregateAndProof(_) => DOMAIN_AGGREGATE_AND_PROOF,
            Self::RandaoReveal(_) => DOMAIN_RANDAO,
            Self::SelectionProof(_) => DOMAIN_SELECTION_PROOF,
            Self::SyncCommitteeMessage { .. } => DOMAIN_SYNC_COMMITTEE,
            Self::SyncSelectionProof(_) => DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
            Self::ContributionAndProof(_) => DOMAIN_CONTRIBUTION_AND_PROOF,
            Self::VoluntaryExit(_) => DOMAIN_VOLUNTARY_EXIT,
            Self::KeySetChange(_) => DOMAIN_KEY_SET_CHANGE,
            Self::KeyPossession(_) => DOMAIN_KEY_POSSESSION,
        }
    }
}
