//! Signatures by all or some keys of a registry entry.

use super::accessors::get_key_set;
use crate::error::StateError;
use crate::helpers::accessors::get_validator;
use signature_scheme::SignatureSet;
use types::{
    BeaconState, Epoch, Leaf, Preset, Root, SchemeProof, SchemeProofs, SignatureBytes, SignerKey, Signers,
    ValidatorIndex,
};

/// The signers of a message are not who must sign it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SignersError {
    /// A solo validator's message names virtual keys.
    #[error("validator {index} is solo in epoch {epoch}, but the message names {signers} signers")]
    SoloWithSigners {
        /// The registry entry.
        index: ValidatorIndex,
        /// Epoch of the message.
        epoch: Epoch,
        /// Set bits.
        signers: usize,
    },
    /// A bit beyond the keys of the key set.
    #[error("signer {key} of validator {index} does not exist: it has {keys} keys in epoch {epoch}")]
    UnknownKey {
        /// The registry entry.
        index: ValidatorIndex,
        /// Epoch of the message.
        epoch: Epoch,
        /// Place of the key.
        key: usize,
        /// Keys of the key set.
        keys: usize,
    },
    /// Too few keys signed.
    #[error("{signers} of {threshold} needed keys of validator {index} signed")]
    BelowThreshold {
        /// The registry entry.
        index: ValidatorIndex,
        /// How many signed.
        signers: usize,
        /// How many must.
        threshold: u8,
    },
    /// Not exactly one key signed what one key signs.
    #[error("{signers} keys of validator {index} signed, expected exactly 1")]
    NotSingle {
        /// The registry entry.
        index: ValidatorIndex,
        /// How many signed.
        signers: usize,
    },
    /// More proofs than a message can hold.
    #[error("message has {0} proofs, more than it can hold")]
    TooManyProofs(usize),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// How many of a group's keys must have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// The threshold: the message counts.
    Threshold,
    /// At least one: the message is a part, of one member or several.
    Member,
    /// Exactly one key of a group: a leader's proposal, or a member's signature of a block.
    ///
    /// Spec: dvt/p2p-interface.md#verify_single_signer
    Single,
}

/// The signature set of a message of registry entry `index`, by the keys that `signers` names (none for a solo
/// validator, whose registry key signs), checked against the key set of `epoch`.
///
/// Spec: dvt/beacon-chain.md#verify_signers
#[expect(
    clippy::too_many_arguments,
    reason = "these are the fields of four kinds of containers"
)]
pub fn signature_set<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    epoch: Epoch,
    signing_root: Root,
    leaf: Leaf,
    signers: &Signers,
    signature: SignatureBytes,
    proofs: &[SchemeProof],
    quorum: Quorum,
) -> Result<SignatureSet, SignersError> {
    let proofs = SchemeProofs::new(proofs.to_vec()).map_err(|_| SignersError::TooManyProofs(proofs.len()))?;
    let keys = get_signing_keys(state, index, epoch, signers, quorum)?;
    Ok(SignatureSet {
        signing_root,
        leaf,
        signers: keys,
        signature,
        proofs,
    })
}

/// The keys that `signers` names, in key order.
fn get_signing_keys<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    epoch: Epoch,
    signers: &Signers,
    quorum: Quorum,
) -> Result<Vec<SignerKey>, SignersError> {
    let count = signers.num_set_bits();
    if quorum == Quorum::Single && count != 1 {
        return Err(SignersError::NotSingle { index, signers: count });
    }
    let Some(key_set) = get_key_set(state, index, epoch)? else {
        if count > 0 {
            return Err(SignersError::SoloWithSigners {
                index,
                epoch,
                signers: count,
            });
        }
        return Ok(vec![SignerKey::from(get_validator(state, index)?.pubkey)]);
    };
    let keys = key_set.keys.len();
    let named: Vec<usize> = signers
        .iter()
        .enumerate()
        .filter(|(_, bit)| *bit)
        .map(|(key, _)| key)
        .collect();
    let threshold = match quorum {
        Quorum::Threshold => key_set.threshold,
        Quorum::Member | Quorum::Single => 1,
    };
    let signing = named
        .into_iter()
        .map(|key| {
            key_set
                .keys
                .get(key)
                .map(SignerKey::from)
                .ok_or(SignersError::UnknownKey {
                    index,
                    epoch,
                    key,
                    keys,
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if signing.len() < usize::from(threshold) {
        return Err(SignersError::BelowThreshold {
            index,
            signers: signing.len(),
            threshold,
        });
    }
    Ok(signing)
}
