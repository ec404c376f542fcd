//! What a validator signs.

use tree_hash::TreeHash as _;
use types::constants::{
    DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_BEACON_ATTESTER, DOMAIN_BEACON_PROPOSER, DOMAIN_CONTRIBUTION_AND_PROOF,
    DOMAIN_KEY_POSSESSION, DOMAIN_KEY_SET_CHANGE, DOMAIN_RANDAO, DOMAIN_SELECTION_PROOF, DOMAIN_SYNC_COMMITTEE,
    DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, DOMAIN_VOLUNTARY_EXIT,
};
use types::{
    AggregateAndProof, AttestationData, BeaconBlockHeader, ChainSpec, ContributionAndProof, Domain, DomainType, Epoch,
    KeyPossession, KeySetChange, Preset, Root, SigningData, Slot, SyncAggregatorSelectionData, Version, VoluntaryExit,
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

/// Which fork version a domain takes.
enum DomainVersion {
    /// That of the fork at an epoch.
    AtEpoch(Epoch),
    /// The same in all forks.
    Fixed(Version),
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

    /// Spec: phase0/validator.md#signature and its sections for each message; dvt/validator.md
    pub fn domain(&self, genesis_validators_root: Root, spec: &ChainSpec) -> Domain {
        let (domain_type, version) = self.domain_parts(spec);
        let version = match version {
            DomainVersion::AtEpoch(epoch) => spec.compute_fork_version(epoch),
            DomainVersion::Fixed(version) => version,
        };
        compute_domain(domain_type, version, genesis_validators_root)
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

    fn domain_parts(&self, spec: &ChainSpec) -> (DomainType, DomainVersion) {
        let at = |slot: Slot| DomainVersion::AtEpoch(slot.epoch::<P>());
        match self {
            Self::Block(header) => (DOMAIN_BEACON_PROPOSER, at(header.slot)),
            Self::Attestation(data) => (DOMAIN_BEACON_ATTESTER, DomainVersion::AtEpoch(data.target.epoch)),
            Self::AggregateAndProof(message) => (DOMAIN_AGGREGATE_AND_PROOF, at(message.aggregate().data().slot)),
            Self::RandaoReveal(epoch) => (DOMAIN_RANDAO, DomainVersion::AtEpoch(*epoch)),
            Self::SelectionProof(slot) => (DOMAIN_SELECTION_PROOF, at(*slot)),
            Self::SyncCommitteeMessage { slot, .. } => (DOMAIN_SYNC_COMMITTEE, at(*slot)),
            Self::SyncSelectionProof(data) => (DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF, at(data.slot)),
            Self::ContributionAndProof(message) => (DOMAIN_CONTRIBUTION_AND_PROOF, at(message.contribution.slot)),
            // An exit signed once stays valid (EIP-7044).
            Self::VoluntaryExit(_) => (DOMAIN_VOLUNTARY_EXIT, DomainVersion::Fixed(spec.capella_fork_version)),
            Self::KeySetChange(_) => (DOMAIN_KEY_SET_CHANGE, DomainVersion::Fixed(spec.genesis_fork_version)),
            Self::KeyPossession(_) => (DOMAIN_KEY_POSSESSION, DomainVersion::Fixed(spec.genesis_fork_version)),
        }
    }
}
