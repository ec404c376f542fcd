//! Spec: phase0/beacon-chain.md#block-header

use crate::dvt::signers::{Quorum, SignersError, signature_set};
use crate::error::StateError;
use crate::helpers::accessors::{get_beacon_proposer_index, get_domain, get_validator};
use signature_scheme::SignatureSet;
use tree_hash::TreeHash as _;
use types::constants::DOMAIN_BEACON_PROPOSER;
use types::{
    BeaconBlockHeader, BeaconBlockRef, BeaconState, Leaf, Preset, Root, SignedBeaconBlock, SignedBeaconBlockHeaderRef,
    Slot, ValidatorIndex, compute_signing_root,
};

/// A block does not fit the state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// Another slot than the state's.
    #[error("block is of slot {block}, state of slot {state}")]
    Slot {
        /// Slot of the block.
        block: Slot,
        /// Slot of the state.
        state: Slot,
    },
    /// Not later than the block before.
    #[error("block of slot {block} is not later than its parent of slot {parent}")]
    NotLater {
        /// Slot of the block.
        block: Slot,
        /// Slot of the latest block.
        parent: Slot,
    },
    /// Another proposer than the slot's.
    #[error("proposer is {found}, expected {expected}")]
    Proposer {
        /// The slot's proposer.
        expected: ValidatorIndex,
        /// The block's proposer.
        found: ValidatorIndex,
    },
    /// Another parent than the latest block.
    #[error("parent root is {found}, expected {expected}")]
    Parent {
        /// Root of the latest block.
        expected: Root,
        /// The block's parent root.
        found: Root,
    },
    /// The proposer is slashed.
    #[error("proposer {0} is slashed")]
    ProposerSlashed(ValidatorIndex),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Spec: phase0/beacon-chain.md#process_block_header
pub fn process_block_header<P: Preset>(
    state: &mut BeaconState<P>,
    block: BeaconBlockRef<'_, P>,
) -> Result<(), HeaderError> {
    if block.slot() != state.slot() {
        return Err(HeaderError::Slot {
            block: block.slot(),
            state: state.slot(),
        });
    }
    let latest = state.latest_block_header();
    if block.slot() <= latest.slot {
        return Err(HeaderError::NotLater {
            block: block.slot(),
            parent: latest.slot,
        });
    }
    let expected = get_beacon_proposer_index(state)?;
    if block.proposer_index() != expected {
        return Err(HeaderError::Proposer {
            expected,
            found: block.proposer_index(),
        });
    }
    let expected = latest.tree_hash_root();
    if block.parent_root() != expected {
        return Err(HeaderError::Parent {
            expected,
            found: block.parent_root(),
        });
    }
    *state.latest_block_header_mut() = BeaconBlockHeader {
        slot: block.slot(),
        proposer_index: block.proposer_index(),
        parent_root: block.parent_root(),
        state_root: Root::ZERO,
        body_root: block.body().body_root(),
    };
    if get_validator(state, block.proposer_index())?.slashed {
        return Err(HeaderError::ProposerSlashed(block.proposer_index()));
    }
    Ok(())
}

/// The signing root of a block or header of `slot` with hash tree root `block_root`.
pub fn block_signing_root<P: Preset>(state: &BeaconState<P>, slot: Slot, block_root: Root) -> Root {
    let domain = get_domain(state, DOMAIN_BEACON_PROPOSER, Some(slot.epoch::<P>()));
    compute_signing_root(&block_root, domain)
}

/// The proposer's signature of a block: at threshold, or a member's alone. `block_root` saves hashing the block.
///
/// Spec: dvt/beacon-chain.md#verify_block_signature
pub fn block_signature_set<P: Preset>(
    state: &BeaconState<P>,
    signed_block: &SignedBeaconBlock<P>,
    block_root: Option<Root>,
    quorum: Quorum,
) -> Result<SignatureSet, SignersError> {
    let message = signed_block.message();
    let block_root = block_root.unwrap_or_else(|| message.block_root());
    let signature = match signed_block {
        SignedBeaconBlock::Fulu(inner) => inner.signature,
        SignedBeaconBlock::Dvt(inner) => inner.signature,
    };
    signature_set(
        state,
        message.proposer_index(),
        message.slot().epoch::<P>(),
        block_signing_root(state, message.slot(), block_root),
        Leaf::block::<P>(message.slot()),
        &signed_block.signers(),
        signature,
        signed_block.proofs(),
        quorum,
    )
}

/// The proposer's signature of a block from long before `state`; `Ok(None)` if the key set that it was signed with is no
/// more in the state, so that the hashes that lead to the block are all there is to rely on.
///
/// Spec: dvt/p2p-interface.md#backfill
pub fn backfilled_block_signature_set<P: Preset>(
    state: &BeaconState<P>,
    signed_block: &SignedBeaconBlock<P>,
    block_root: Root,
) -> Result<Option<SignatureSet>, SignersError> {
    match block_signature_set(state, signed_block, Some(block_root), Quorum::Threshold) {
        Err(SignersError::State(StateError::NoKeySet { .. })) => Ok(None),
        result => result.map(Some),
    }
}

/// The proposer's signature of a header: at threshold, or a member's alone.
pub fn block_header_signature_set<P: Preset>(
    state: &BeaconState<P>,
    signed_header: SignedBeaconBlockHeaderRef<'_>,
    quorum: Quorum,
) -> Result<SignatureSet, SignersError> {
    let header = *signed_header.message();
    signature_set(
        state,
        header.proposer_index,
        header.slot.epoch::<P>(),
        block_signing_root(state, header.slot, header.tree_hash_root()),
        Leaf::block::<P>(header.slot),
        &signed_header.signers(),
        *signed_header.signature(),
        signed_header.proofs(),
        quorum,
    )
}
