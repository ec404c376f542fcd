//! Spec: dvt/beacon-chain.md#randao

use crate::dvt::accessors::get_key_set;
use crate::dvt::leaders::{get_leader_key_index, get_randao_omission_fee};
use crate::error::StateError;
use crate::helpers::accessors::{
    get_beacon_proposer_index, get_current_epoch, get_domain, get_randao_mix, get_validator,
};
use crate::helpers::math::xor;
use crate::helpers::mutators::{G2_POINT_AT_INFINITY, decrease_balance};
use crate::signatures::Verifier;
use signature_scheme::{SignatureError, SignatureSet};
use types::constants::DOMAIN_RANDAO;
use types::{
    BeaconBlockBodyRef, BeaconState, ChainSpec, Leaf, Preset, SchemeProofs, SignerKey, Slot, ValidatorIndex,
    compute_signing_root,
};

/// A reveal is wrong or missing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RandaoError {
    /// A group left its leader's reveal out although it may not.
    #[error("the reveal is missing: a group of {keys} keys with threshold {threshold} may not leave it out")]
    OmissionNotAllowed {
        /// Keys of the group.
        keys: usize,
        /// Threshold of the group.
        threshold: u8,
    },
    /// A group has no leader in this slot.
    #[error("group {index} has no leader in slot {slot}")]
    NoLeader {
        /// The group.
        index: ValidatorIndex,
        /// The slot.
        slot: Slot,
    },
    /// The reveal does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<types::ArithError> for RandaoError {
    fn from(error: types::ArithError) -> Self {
        Self::State(error.into())
    }
}

/// The key whose reveal may enter the mix in `slot`: a solo validator's own, of a group that of the rank-0 leader,
/// whoever proposes.
///
/// Spec: dvt/beacon-chain.md#process_randao
pub fn get_randao_key<P: Preset>(
    state: &BeaconState<P>,
    proposer_index: ValidatorIndex,
    slot: Slot,
) -> Result<SignerKey, RandaoError> {
    let Some(key_set) = get_key_set(state, proposer_index, slot.epoch::<P>())? else {
        return Ok(SignerKey::from(get_validator(state, proposer_index)?.pubkey));
    };
    get_leader_key_index(state, proposer_index, slot, 0)?
        .and_then(|key| key_set.keys.get(usize::from(key)))
        .map(SignerKey::from)
        .ok_or(RandaoError::NoLeader {
            index: proposer_index,
            slot,
        })
}

/// Spec: dvt/beacon-chain.md#process_randao
pub fn process_randao<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    body: BeaconBlockBodyRef<'_, P>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), RandaoError> {
    let epoch = get_current_epoch(state);
    let proposer_index = get_beacon_proposer_index(state)?;

    // [Dvt] A group that can do without its leader can do without the leader's reveal, for a fee.
    let is_omitted = *body.randao_reveal() == G2_POINT_AT_INFINITY && body.randao_proof().is_empty();
    if is_omitted && let Some(key_set) = get_key_set(state, proposer_index, epoch)? {
        let (keys, threshold) = (key_set.keys.len(), key_set.threshold);
        let is_majority = usize::from(threshold).saturating_mul(2) > keys;
        if !is_majority || usize::from(threshold) >= keys {
            return Err(RandaoError::OmissionNotAllowed { keys, threshold });
        }
        let fee = get_randao_omission_fee(state, spec)?;
        decrease_balance(state, proposer_index, fee)?;
        return Ok(());
    }

    let set = SignatureSet {
        signing_root: compute_signing_root(&epoch, get_domain(state, DOMAIN_RANDAO, None)),
        leaf: Leaf::randao(epoch),
        signers: vec![get_randao_key(state, proposer_index, state.slot())?],
        signature: *body.randao_reveal(),
        proofs: SchemeProofs::new(body.randao_proof().to_vec()).map_err(StateError::from)?,
    };
    let mix = xor(get_randao_mix(state, epoch)?, set.randao_value()?);
    if !V::IS_NULL {
        verifier.push(set)?;
    }
    let index = epoch.safe_rem(P::EPOCHS_PER_HISTORICAL_VECTOR)?.as_usize();
    *state
        .randao_mixes_mut()
        .get_mut(index)
        .ok_or(StateError::MissingEntry {
            field: "randao_mixes",
            index,
        })? = mix;
    Ok(())
}
