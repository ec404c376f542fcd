//! Domains and signing roots.

use crate::{Domain, DomainType, ForkDigest, Root, Version};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use tree_hash::TreeHash as _;
use tree_hash_derive::TreeHash;

/// Spec: phase0/beacon-chain.md#fork
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Fork {
    /// Version before `epoch`.
    pub previous_version: Version,
    /// Version from `epoch` on.
    pub current_version: Version,
    /// Epoch of the latest fork.
    pub epoch: crate::Epoch,
}

/// Spec: phase0/beacon-chain.md#forkdata
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct ForkData {
    /// Fork version.
    pub current_version: Version,
    /// Root of the genesis validators.
    pub genesis_validators_root: Root,
}

/// Spec: phase0/beacon-chain.md#signingdata
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SigningData {
    /// Root of the object.
    pub object_root: Root,
    /// Domain.
    pub domain: Domain,
}

/// Spec: phase0/beacon-chain.md#compute_fork_data_root
pub fn compute_fork_data_root(current_version: Version, genesis_validators_root: Root) -> Root {
    ForkData {
        current_version,
        genesis_validators_root,
    }
    .tree_hash_root()
}

/// First four bytes of the fork data root, before blob parameters are mixed in.
pub fn compute_base_fork_digest(current_version: Version, genesis_validators_root: Root) -> ForkDigest {
    let [a, b, c, d, ..] = compute_fork_data_root(current_version, genesis_validators_root).0;
    ForkDigest::new([a, b, c, d])
}

/// Spec: phase0/beacon-chain.md#compute_domain
pub fn compute_domain(domain_type: DomainType, fork_version: Version, genesis_validators_root: Root) -> Domain {
    let fork_data_root = compute_fork_data_root(fork_version, genesis_validators_root);
    let mut domain = Domain::ZERO;
    for (byte, source) in domain.iter_mut().zip(domain_type.iter().chain(fork_data_root.iter())) {
        *byte = *source;
    }
    domain
}

/// Spec: phase0/beacon-chain.md#compute_signing_root
pub fn compute_signing_root<T: tree_hash::TreeHash>(object: &T, domain: Domain) -> Root {
    SigningData {
        object_root: object.tree_hash_root(),
        domain,
    }
    .tree_hash_root()
}
