//! Changes of key sets.
//!
//! Spec: dvt/beacon-chain.md#key-set-changes

use super::accessors::{get_group, get_key_set};
use super::signers::{Quorum, SignersError, signature_set};
use crate::error::StateError;
use crate::helpers::accessors::{get_current_epoch, get_validator, get_validator_index};
use crate::helpers::misc::compute_activation_exit_epoch;
use crate::signatures::Verifier;
use signature_scheme::{SignatureError, SignatureSet};
use ssz_types::VariableList;
use std::collections::HashMap;
use types::constants::{
    BLS_SCHEME, DOMAIN_KEY_POSSESSION, DOMAIN_KEY_SET_CHANGE, FAR_FUTURE_EPOCH, KEY_SET_CHANGE_WINDOW,
    MAX_KEY_SETS_PER_GROUP, MIN_BALANCE_PER_VIRTUAL_KEY,
};
use types::{
    BeaconState, ChainSpec, Domain, DomainType, Epoch, Group, Gwei, KeyPossession, KeyProof, KeySet, KeySetChange,
    Leaf, Preset, SafeArith, SchemeProofs, SignatureBytes, SignedKeySetChange, SignerKey, Slot, ValidatorIndex,
    VirtualKey, compute_domain, compute_signing_root,
};

/// A key-set change is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeySetChangeError {
    /// Not the next change.
    #[error("sequence is {found}, expected {expected}")]
    Sequence {
        /// Changes accepted so far.
        expected: u64,
        /// Sequence of the change.
        found: u64,
    },
    /// Too early or too late for the change's slot.
    #[error(
        "change of slot {change} cannot be included in slot {state}: only within {KEY_SET_CHANGE_WINDOW} slots after"
    )]
    Window {
        /// Slot of the change.
        change: Slot,
        /// Slot of the state.
        state: Slot,
    },
    /// Not active.
    #[error("validator {0} is not active")]
    NotActive(ValidatorIndex),
    /// On its way out.
    #[error("validator {0} is exiting")]
    Exiting(ValidatorIndex),
    /// Slashed.
    #[error("validator {0} is slashed")]
    Slashed(ValidatorIndex),
    /// A threshold that the keys cannot reach, or none.
    #[error("threshold is {threshold}, expected between 1 and the number of keys, {keys}")]
    Threshold {
        /// Threshold of the change.
        threshold: u8,
        /// Keys of the change.
        keys: usize,
    },
    /// A threshold without keys.
    #[error("threshold is {0} without keys, expected 0")]
    ThresholdWithoutKeys(u8),
    /// No keys for a validator that is solo.
    #[error("validator {0} is solo: there is no group to dissolve")]
    NothingToDissolve(ValidatorIndex),
    /// Several keys need compounding credentials.
    #[error("validator {0} needs compounding withdrawal credentials for more than one key")]
    NotCompounding(ValidatorIndex),
    /// Too little stake for more keys.
    #[error("effective balance is {found} Gwei, {keys} keys need {expected} Gwei")]
    Balance {
        /// Keys of the change.
        keys: usize,
        /// Gwei that they need.
        expected: Gwei,
        /// Effective balance in Gwei.
        found: Gwei,
    },
    /// A key that is no key of its scheme.
    #[error("key {place} is malformed: {reason}")]
    Key {
        /// Place of the key.
        place: usize,
        /// What is wrong.
        reason: SignatureError,
    },
    /// The same key twice.
    #[error("keys {first} and {second} are the same")]
    DuplicateKey {
        /// Place of the first.
        first: usize,
        /// Place of the second.
        second: usize,
    },
    /// A key that belongs to another registry entry.
    #[error("key {place} belongs to validator {owner}")]
    KeyTaken {
        /// Place of the key.
        place: usize,
        /// Whose it is.
        owner: ValidatorIndex,
    },
    /// Not one proof of possession for each new key.
    #[error("change has {found} proofs of possession, expected {expected}, one for each new key")]
    ProofCount {
        /// New keys.
        expected: usize,
        /// Proofs.
        found: usize,
    },
    /// A proof of possession of another scheme than its key's, or one that does not verify.
    #[error("proof of possession of key {place}: {reason}")]
    Possession {
        /// Place of the key.
        place: usize,
        /// What is wrong.
        reason: SignatureError,
    },
    /// Another change waits for its epoch.
    #[error("a change that holds from epoch {0} on is pending")]
    Pending(Epoch),
    /// No room for one more key set.
    #[error("{MAX_KEY_SETS_PER_GROUP} key sets are stored and none is old enough to be dropped")]
    NoRoom,
    /// Not signed by those who must.
    #[error(transparent)]
    Signers(#[from] SignersError),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<types::ArithError> for KeySetChangeError {
    fn from(error: types::ArithError) -> Self {
        Self::State(error.into())
    }
}

/// Domain that is the same on all forks.
fn fork_agnostic_domain<P: Preset>(state: &BeaconState<P>, domain_type: DomainType, spec: &ChainSpec) -> Domain {
    compute_domain(domain_type, spec.genesis_fork_version, state.genesis_validators_root())
}

/// The signature set of a proof of possession. For BLS the proof is the signature itself.
fn key_possession_signature_set<P: Preset>(
    state: &BeaconState<P>,
    validator_index: ValidatorIndex,
    key: &VirtualKey,
    key_proof: &KeyProof,
    spec: &ChainSpec,
) -> Result<SignatureSet, SignatureError> {
    let message = KeyPossession {
        validator_index,
        key: key.clone(),
        slot: key_proof.slot,
    };
    let signing_root = compute_signing_root(&message, fork_agnostic_domain(state, DOMAIN_KEY_POSSESSION, spec));
    let proof = &key_proof.proof;
    if proof.scheme != key.scheme {
        return Err(SignatureError::ProofSchemes {
            found: vec![proof.scheme],
            expected: vec![key.scheme],
        });
    }
    let (signature, proofs) = if proof.scheme == BLS_SCHEME {
        let signature = SignatureBytes::try_from(proof.data.as_ref()).map_err(|_| bls::BlsError::SignatureEncoding)?;
        (signature, SchemeProofs::empty())
    } else {
        let mut proofs = SchemeProofs::empty();
        // One proof fits the list's limit of four.
        let _ = proofs.push(proof.clone());
        (bls::INFINITY_SIGNATURE, proofs)
    };
    Ok(SignatureSet {
        signing_root,
        leaf: Leaf::operation(key_proof.slot.epoch::<P>()),
        signers: vec![SignerKey::from(key)],
        signature,
        proofs,
    })
}

/// Whether a proof of possession by a new key of `validator_index` verifies.
///
/// Spec: dvt/beacon-chain.md#is_valid_key_possession
pub fn check_key_possession<P: Preset>(
    state: &BeaconState<P>,
    validator_index: ValidatorIndex,
    key: &VirtualKey,
    key_proof: &KeyProof,
    spec: &ChainSpec,
) -> Result<(), SignatureError> {
    signature_scheme::verify(&key_possession_signature_set(
        state,
        validator_index,
        key,
        key_proof,
        spec,
    )?)
}

/// Refuses keys that belong to another registry entry than `index`: as its registry key, or in a stored key set. All
/// stored keys are read once, however many keys are asked for.
fn check_owners<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    keys: &[VirtualKey],
) -> Result<(), KeySetChangeError> {
    let mut places = HashMap::with_capacity(keys.len());
    for (place, key) in keys.iter().enumerate() {
        let registered = key.as_bls().and_then(|pubkey| get_validator_index(state, &pubkey));
        if let Some(owner) = registered.filter(|owner| *owner != index) {
            return Err(KeySetChangeError::KeyTaken { place, owner });
        }
        places.insert(key, place);
    }
    let others = state.groups().into_iter().flatten();
    for group in others.filter(|group| group.validator_index != index) {
        let stored = group.key_sets.iter().flat_map(|key_set| key_set.keys.iter());
        if let Some(place) = stored.into_iter().find_map(|key| places.get(key)) {
            return Err(KeySetChangeError::KeyTaken {
                place: *place,
                owner: group.validator_index,
            });
        }
    }
    Ok(())
}

/// Key sets of a group without those whose successor has been in force for long enough.
fn prune_key_sets<P: Preset>(key_sets: &[KeySet], current_epoch: Epoch) -> Vec<KeySet> {
    let successors = key_sets.iter().skip(1).map(Some).chain([None]);
    key_sets
        .iter()
        .zip(successors)
        .filter(|(_, successor)| {
            successor.is_none_or(|successor| {
                successor.activation_epoch.saturating_add(P::KEY_SET_RETENTION_EPOCHS) > current_epoch
            })
        })
        .map(|(key_set, _)| key_set.clone())
        .collect()
}

/// The signatures that must hold for a change: proofs of possession of the new keys, and the authorisation by the
/// keys in force, at their threshold (or, as a member's part, by at least one).
pub fn check_key_set_change<P: Preset>(
    state: &BeaconState<P>,
    signed_key_set_change: &SignedKeySetChange,
    quorum: Quorum,
    spec: &ChainSpec,
) -> Result<Vec<SignatureSet>, KeySetChangeError> {
    check_key_set_change_at(state, state.slot(), signed_key_set_change, quorum, spec)
}

/// As [`check_key_set_change`], in a later slot of the state's epoch. Only the window of the change depends on the slot,
/// so that the state need not be advanced to it.
pub fn check_key_set_change_at<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
    signed_key_set_change: &SignedKeySetChange,
    quorum: Quorum,
    spec: &ChainSpec,
) -> Result<Vec<SignatureSet>, KeySetChangeError> {
    let change = &signed_key_set_change.message;
    let index = change.validator_index;
    let current_epoch = get_current_epoch(state);
    let validator = get_validator(state, index)?;
    let group = get_group(state, index).map(|(_, group)| group);

    let expected = group.map_or(0, |group| group.sequence);
    if change.sequence != expected {
        return Err(KeySetChangeError::Sequence {
            expected,
            found: change.sequence,
        });
    }
    if change.slot > slot || slot > change.slot.saturating_add(KEY_SET_CHANGE_WINDOW) {
        return Err(KeySetChangeError::Window {
            change: change.slot,
            state: slot,
        });
    }
    if !validator.is_active_at(current_epoch) {
        return Err(KeySetChangeError::NotActive(index));
    }
    if validator.exit_epoch != FAR_FUTURE_EPOCH {
        return Err(KeySetChangeError::Exiting(index));
    }
    if validator.slashed {
        return Err(KeySetChangeError::Slashed(index));
    }
    if let Some(pending) = group.and_then(|group| group.key_sets.last())
        && pending.activation_epoch > current_epoch
    {
        return Err(KeySetChangeError::Pending(pending.activation_epoch));
    }

    let key_set = get_key_set(state, index, current_epoch)?;
    let old_keys: &[VirtualKey] = key_set.map_or(&[], |key_set| &key_set.keys);
    check_keys(state, change, validator, old_keys)?;

    let mut sets = Vec::new();
    let new_keys: Vec<(usize, &VirtualKey)> = change
        .keys
        .iter()
        .enumerate()
        .filter(|(_, key)| !old_keys.contains(key))
        .collect();
    let key_proofs = &signed_key_set_change.key_proofs;
    if key_proofs.len() != new_keys.len() {
        return Err(KeySetChangeError::ProofCount {
            expected: new_keys.len(),
            found: key_proofs.len(),
        });
    }
    for ((place, key), key_proof) in new_keys.into_iter().zip(key_proofs) {
        let set = key_possession_signature_set(state, index, key, key_proof, spec)
            .map_err(|reason| KeySetChangeError::Possession { place, reason })?;
        sets.push(set);
    }

    let kept = group.map_or(1, |group| prune_key_sets::<P>(&group.key_sets, current_epoch).len());
    if kept as u64 >= MAX_KEY_SETS_PER_GROUP {
        return Err(KeySetChangeError::NoRoom);
    }

    let domain = fork_agnostic_domain(state, DOMAIN_KEY_SET_CHANGE, spec);
    sets.push(signature_set(
        state,
        index,
        current_epoch,
        compute_signing_root(change, domain),
        Leaf::operation(change.slot.epoch::<P>()),
        &signed_key_set_change.signers,
        signed_key_set_change.signature,
        &signed_key_set_change.proofs,
        quorum,
    )?);
    Ok(sets)
}

/// Threshold, number and distinctness of the keys of a change.
fn check_keys<P: Preset>(
    state: &BeaconState<P>,
    change: &KeySetChange,
    validator: &types::Validator,
    old_keys: &[VirtualKey],
) -> Result<(), KeySetChangeError> {
    let index = change.validator_index;
    let keys = change.keys.len();
    if keys == 0 {
        if change.threshold != 0 {
            return Err(KeySetChangeError::ThresholdWithoutKeys(change.threshold));
        }
        if old_keys.is_empty() {
            return Err(KeySetChangeError::NothingToDissolve(index));
        }
        return Ok(());
    }
    if change.threshold == 0 || usize::from(change.threshold) > keys {
        return Err(KeySetChangeError::Threshold {
            threshold: change.threshold,
            keys,
        });
    }
    if keys >= 2 && !validator.has_compounding_withdrawal_credential() {
        return Err(KeySetChangeError::NotCompounding(index));
    }
    // An emergency rotation must not fail because a penalty took the last Gwei of headroom.
    let grows = keys > old_keys.len().max(1);
    let expected = MIN_BALANCE_PER_VIRTUAL_KEY.safe_mul(keys as u64)?;
    if grows && validator.effective_balance < expected {
        return Err(KeySetChangeError::Balance {
            keys,
            expected,
            found: validator.effective_balance,
        });
    }
    check_form::<P>(&change.keys)?;
    check_owners(state, index, &change.keys)
}

/// Refuses keys that are not well-formed or there twice.
///
/// Spec: dvt/beacon-chain.md#is_valid_virtual_key
pub(crate) fn check_form<P: Preset>(keys: &[VirtualKey]) -> Result<(), KeySetChangeError> {
    for (second, key) in keys.iter().enumerate() {
        if u64::from(key.scheme) > P::HIGHEST_SCHEME {
            let reason = SignatureError::UnknownScheme(key.scheme);
            return Err(KeySetChangeError::Key { place: second, reason });
        }
        signature_scheme::validate_key(&SignerKey::from(key))
            .map_err(|reason| KeySetChangeError::Key { place: second, reason })?;
        if let Some(first) = keys.iter().take(second).position(|other| other == key) {
            return Err(KeySetChangeError::DuplicateKey { first, second });
        }
    }
    Ok(())
}

/// Spec: dvt/beacon-chain.md#process_key_set_change
pub fn process_key_set_change<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    signed_key_set_change: &SignedKeySetChange,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), KeySetChangeError> {
    for set in check_key_set_change(state, signed_key_set_change, Quorum::Threshold, spec)? {
        verifier.push(set)?;
    }
    apply_key_set_change(state, &signed_key_set_change.message)
}

/// Stores the key set of a checked change.
///
/// Spec: dvt/beacon-chain.md#process_key_set_change
pub fn apply_key_set_change<P: Preset>(
    state: &mut BeaconState<P>,
    change: &KeySetChange,
) -> Result<(), KeySetChangeError> {
    let index = change.validator_index;
    let current_epoch = get_current_epoch(state);
    let new_key_set = KeySet {
        activation_epoch: compute_activation_exit_epoch::<P>(current_epoch)?,
        threshold: change.threshold,
        keys: change.keys.clone(),
    };
    let group = get_group(state, index).map(|(position, group)| (position, group.clone()));
    let BeaconState::Dvt(state) = state else { return Ok(()) };
    match group {
        Some((position, mut group)) => {
            let mut key_sets = prune_key_sets::<P>(&group.key_sets, current_epoch);
            key_sets.push(new_key_set);
            group.key_sets = VariableList::new(key_sets).map_err(StateError::from)?;
            group.sequence = group.sequence.safe_add(1)?;
            *state.groups.get_mut(position).ok_or(StateError::MissingEntry {
                field: "groups",
                index: position,
            })? = group;
        }
        None => {
            let key_sets = VariableList::new(vec![KeySet::default(), new_key_set]).map_err(StateError::from)?;
            state
                .groups
                .push(Group {
                    validator_index: index,
                    sequence: 1,
                    key_sets,
                })
                .map_err(StateError::from)?;
            state.previous_group_participation.push(0).map_err(StateError::from)?;
            state.current_group_participation.push(0).map_err(StateError::from)?;
            state.caches.forget_group_positions();
        }
    }
    Ok(())
}
