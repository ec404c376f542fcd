//! What an aggregator signs.

use super::accessors::get_signer_key;
use crate::error::StateError;
use crate::helpers::accessors::get_domain;
use signature_scheme::SignatureSet;
use std::sync::Arc;
use types::constants::{DOMAIN_AGGREGATE_AND_PROOF, DOMAIN_SELECTION_PROOF};
use types::{
    AggregateAndProofRef, BeaconState, Epoch, Leaf, Preset, SchemeProofs, SignedAggregateAndProof, SignerIndex,
    SignerKey, compute_signing_root,
};

/// The aggregator's proof that it is selected; `key` is its key in the epoch of the aggregate.
///
/// Spec: dvt/validator.md#is_valid_selection_proof
pub fn selection_signature_set<P: Preset>(
    state: &BeaconState<P>,
    message: AggregateAndProofRef<'_, P>,
    key: SignerKey,
) -> SignatureSet {
    let slot = message.aggregate().data().slot;
    let domain = get_domain(state, DOMAIN_SELECTION_PROOF, Some(slot.epoch::<P>()));
    SignatureSet {
        signing_root: compute_signing_root(&slot, domain),
        leaf: Leaf::selection(slot.epoch::<P>()),
        signers: vec![key],
        signature: *message.selection_proof(),
        proofs: SchemeProofs::new(message.proofs().to_vec()).unwrap_or_default(),
    }
}

/// The aggregator's signature of the whole; `key` is its key in the epoch of the aggregate.
///
/// Spec: dvt/validator.md#is_valid_aggregator_signature
pub fn aggregate_and_proof_signature_set<P: Preset>(
    state: &BeaconState<P>,
    signed: &SignedAggregateAndProof<P>,
    key: SignerKey,
) -> SignatureSet {
    let epoch = signed.message().aggregate().data().slot.epoch::<P>();
    let domain = get_domain(state, DOMAIN_AGGREGATE_AND_PROOF, Some(epoch));
    let signing_root = match signed {
        SignedAggregateAndProof::Fulu(inner) => compute_signing_root(&inner.message, domain),
        SignedAggregateAndProof::Dvt(inner) => compute_signing_root(&inner.message, domain),
    };
    SignatureSet {
        signing_root,
        leaf: Leaf::aggregate(epoch),
        signers: vec![key],
        signature: *signed.signature(),
        proofs: SchemeProofs::new(signed.proofs().to_vec()).unwrap_or_default(),
    }
}

/// The signers in the seats of a committee, with the schemes of their keys.
pub fn committee_schemes<P: Preset>(
    state: &BeaconState<P>,
    seats: &[SignerIndex],
    epoch: Epoch,
) -> Result<Arc<[(SignerIndex, u8)]>, StateError> {
    seats
        .iter()
        .map(|signer| Ok((*signer, get_signer_key(state, *signer, epoch)?.scheme())))
        .collect()
}
