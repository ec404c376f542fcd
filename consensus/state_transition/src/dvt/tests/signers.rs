//! Who must sign, and under which index.

use super::{GROUP, SHAPES, edit_key_sets};
use crate::block::operations::voluntary_exit::{VoluntaryExitError, process_voluntary_exit};
use crate::dvt::accessors::{get_signer_key, get_signers, is_solo_at};
use crate::dvt::signers::{Quorum, SignersError, signature_set};
use crate::error::StateError;
use crate::helpers::accessors::get_validator;
use crate::signatures::ImmediateVerifier;
use crate::testing::{group_genesis, group_key, minimal_spec, public_key, sign, signers};
use signature_scheme::verify;
use types::constants::{DOMAIN_VOLUNTARY_EXIT, FAR_FUTURE_EPOCH};
use types::{
    BeaconState, Epoch, ForkName, Leaf, Minimal, Root, SchemeProofs, SignatureBytes, SignedVoluntaryExit,
    SignedVoluntaryExitDvt, SignerIndex, SignerKey, Signers, ValidatorIndex, VoluntaryExit, compute_domain,
    compute_signing_root,
};

const ROOT: Root = Root::repeat_byte(7);
const EPOCH: Epoch = Epoch::new(0);

fn state(keys: usize, threshold: u8) -> BeaconState<Minimal> {
    group_genesis(&[(keys, threshold)], 8, &minimal_spec(ForkName::Dvt))
}

fn set(
    state: &BeaconState<Minimal>,
    named: Signers,
    signature: SignatureBytes,
    quorum: Quorum,
) -> Result<signature_scheme::SignatureSet, SignersError> {
    signature_set(state, GROUP, EPOCH, ROOT, Leaf::None, &named, signature, &[], quorum)
}

#[test]
fn a_message_counts_from_the_threshold_on() {
    for (keys, threshold) in SHAPES {
        let state = state(keys, threshold);
        for count in 0..=keys {
            // The last keys: the first ones could be right by accident.
            let chosen = || keys - count..keys;
            let signature = sign(chosen().map(|key| group_key(0, key)), ROOT);
            let result = set(&state, signers(chosen()), signature, Quorum::Threshold);
            if count < usize::from(threshold) {
                let expected = SignersError::BelowThreshold {
                    index: GROUP,
                    signers: count,
                    threshold,
                };
                assert_eq!(result, Err(expected), "{count} of {keys}");
            } else {
                assert_eq!(verify(&result.unwrap()), Ok(()), "{count} of {keys}");
            }
        }
    }
}

#[test]
fn naming_more_signers_than_have_signed_does_not_verify() {
    for (keys, threshold) in SHAPES {
        let state = state(keys, threshold);
        let threshold = usize::from(threshold);
        let signature = sign((1..threshold).map(|key| group_key(0, key)), ROOT);
        let named = set(&state, signers(0..threshold), signature, Quorum::Threshold).unwrap();
        assert!(verify(&named).is_err(), "{threshold} of {keys}");
    }
}

#[test]
fn a_bit_beyond_the_keys_is_invalid_even_beside_enough_others() {
    for (keys, threshold) in SHAPES.into_iter().filter(|(keys, _)| *keys < 16) {
        let state = state(keys, threshold);
        for beyond in [keys, 15] {
            let named = signers((0..keys).chain([beyond]));
            let expected = SignersError::UnknownKey {
                index: GROUP,
                epoch: EPOCH,
                key: beyond,
                keys,
            };
            let result = set(&state, named, bls::INFINITY_SIGNATURE, Quorum::Threshold);
            assert_eq!(result, Err(expected));
        }
    }
}

#[test]
fn a_members_part_needs_one_signer() {
    let state = state(7, 5);
    let none = set(&state, signers([]), bls::INFINITY_SIGNATURE, Quorum::Member);
    assert!(matches!(
        none,
        Err(SignersError::BelowThreshold {
            signers: 0,
            threshold: 1,
            ..
        })
    ));
    let one = set(&state, signers([6]), sign([group_key(0, 6)], ROOT), Quorum::Member);
    assert_eq!(verify(&one.unwrap()), Ok(()));
    let other = set(&state, signers([5]), sign([group_key(0, 6)], ROOT), Quorum::Member);
    assert!(verify(&other.unwrap()).is_err());
}

#[test]
fn what_one_key_signs_needs_exactly_one_signer_of_a_group() {
    let state = state(7, 5);
    for count in [0, 2, 5] {
        let result = set(&state, signers(0..count), bls::INFINITY_SIGNATURE, Quorum::Single);
        let expected = SignersError::NotSingle {
            index: GROUP,
            signers: count,
        };
        assert_eq!(result, Err(expected));
    }
    let one = set(&state, signers([6]), sign([group_key(0, 6)], ROOT), Quorum::Single);
    assert_eq!(verify(&one.unwrap()), Ok(()));
    let beyond = set(&state, signers([7]), bls::INFINITY_SIGNATURE, Quorum::Single);
    assert!(matches!(beyond, Err(SignersError::UnknownKey { key: 7, .. })));
    let solo = ValidatorIndex::new(3);
    for named in [signers([]), signers([0])] {
        let (leaf, signature) = (Leaf::None, sign([3], ROOT));
        let result = signature_set(&state, solo, EPOCH, ROOT, leaf, &named, signature, &[], Quorum::Single);
        assert!(result.is_err());
    }
}

#[test]
fn a_solo_validator_signs_with_its_registry_key_and_names_nobody() {
    let state = state(4, 3);
    let solo = ValidatorIndex::new(3);
    let set = |named: Signers| {
        signature_set(
            &state,
            solo,
            EPOCH,
            ROOT,
            Leaf::None,
            &named,
            sign([3], ROOT),
            &[],
            Quorum::Threshold,
        )
    };
    assert_eq!(verify(&set(Signers::default()).unwrap()), Ok(()));
    assert_eq!(
        set(signers([0])),
        Err(SignersError::SoloWithSigners {
            index: solo,
            epoch: EPOCH,
            signers: 1
        })
    );
}

#[test]
fn the_key_set_of_the_epoch_decides_which_index_is_valid() {
    let mut state = state(4, 3);
    // Solo, then the group from epoch 5 on, then solo again from epoch 9 on.
    edit_key_sets(&mut state, |key_sets| {
        let mut group = key_sets.remove(0);
        group.activation_epoch = Epoch::new(5);
        key_sets.push(Default::default());
        key_sets.push(group);
        key_sets.push(types::KeySet {
            activation_epoch: Epoch::new(9),
            ..Default::default()
        });
    });
    let plain = SignerIndex::from(GROUP);
    let virtual_index = |key| SignerIndex::virtual_index(GROUP, key).unwrap();
    for (epoch, is_solo) in [(0, true), (4, true), (5, false), (8, false), (9, true), (1000, true)] {
        let epoch = Epoch::new(epoch);
        assert_eq!(is_solo_at(&state, GROUP, epoch), Ok(is_solo));
        let (valid, invalid) = if is_solo {
            ((plain, public_key(0)), virtual_index(0))
        } else {
            ((virtual_index(3), public_key(group_key(0, 3))), plain)
        };
        assert_eq!(get_signer_key(&state, valid.0, epoch), Ok(SignerKey::from(valid.1)));
        assert_eq!(
            get_signer_key(&state, invalid, epoch),
            Err(StateError::WrongSignerForm {
                signer: invalid,
                index: GROUP,
                epoch
            })
        );
    }
    let epoch = Epoch::new(5);
    assert_eq!(
        get_signer_key(&state, virtual_index(4), epoch),
        Err(StateError::UnknownKey {
            index: GROUP,
            key: 4,
            epoch,
            keys: 4
        })
    );
    assert_eq!(
        get_signers(&state, GROUP, epoch),
        Ok((0..4).map(virtual_index).collect())
    );
}

#[test]
fn nothing_verifies_in_an_epoch_whose_key_set_is_gone() {
    let mut state = state(4, 3);
    edit_key_sets(&mut state, |key_sets| key_sets[0].activation_epoch = Epoch::new(5));
    let gone = StateError::NoKeySet {
        index: GROUP,
        epoch: Epoch::new(4),
    };
    for signer in [SignerIndex::from(GROUP), SignerIndex::virtual_index(GROUP, 0).unwrap()] {
        assert_eq!(get_signer_key(&state, signer, Epoch::new(4)), Err(gone.clone()));
    }
}

#[test]
fn an_exit_needs_the_threshold_of_the_key_set_in_force() {
    let mut spec = minimal_spec(ForkName::Dvt);
    spec.shard_committee_period = 0;
    for (keys, threshold) in SHAPES {
        let state = group_genesis(&[(keys, threshold)], 8, &spec);
        let message = VoluntaryExit {
            epoch: EPOCH,
            validator_index: GROUP,
        };
        let domain = compute_domain(
            DOMAIN_VOLUNTARY_EXIT,
            spec.capella_fork_version,
            state.genesis_validators_root(),
        );
        let root = compute_signing_root(&message, domain);
        let exit = |count: usize| {
            let exit = SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
                message,
                signature: sign((0..count).map(|key| group_key(0, key)), root),
                signers: signers(0..count),
                proofs: SchemeProofs::empty(),
            });
            let mut state = state.clone();
            let result = process_voluntary_exit(&mut state, exit.to_ref(), &mut ImmediateVerifier, &spec);
            (result, get_validator(&state, GROUP).unwrap().exit_epoch)
        };
        let (below, exit_epoch) = exit(usize::from(threshold) - 1);
        assert!(
            matches!(
                below,
                Err(VoluntaryExitError::Signers(SignersError::BelowThreshold { .. }))
            ),
            "{below:?}"
        );
        assert_eq!(exit_epoch, FAR_FUTURE_EPOCH);
        for count in [usize::from(threshold), keys] {
            let (reached, exit_epoch) = exit(count);
            assert_eq!(reached, Ok(()));
            assert_ne!(exit_epoch, FAR_FUTURE_EPOCH);
        }
    }
}
