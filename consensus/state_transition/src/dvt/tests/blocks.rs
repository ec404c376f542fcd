//! Blocks of groups: signers, the leader's reveal, and the verdict on forged ones.

use super::{GROUP, SHAPES};
use crate::block::header::{HeaderError, block_signing_root};
use crate::block::randao::{RandaoError, process_randao};
use crate::block::withdrawals::get_expected_withdrawals;
use crate::block::{BlockError, BlockSignatures, process_block, state_transition};
use crate::dvt::accessors::get_key_set;
use crate::dvt::leaders::{get_leader_key_index, get_randao_omission_fee};
use crate::dvt::signers::SignersError;
use crate::genesis::empty_body_dvt;
use crate::helpers::accessors::{
    get_balance, get_base_reward_per_increment, get_beacon_proposer_index, get_current_epoch, get_domain,
    get_randao_mix, get_total_active_balance,
};
use crate::helpers::math::xor;
use crate::helpers::misc::compute_timestamp_at_slot;
use crate::process_slots;
use crate::signatures::{ImmediateVerifier, NullVerifier};
use crate::testing::{group_genesis, group_key, minimal_spec, sign, signers};
use ethereum_hashing::hash_fixed;
use tree_hash::TreeHash as _;
use types::constants::DOMAIN_RANDAO;
use types::{
    BeaconBlockBodyDvt, BeaconBlockBodyRef, BeaconBlockDvt, BeaconState, ChainSpec, ForkName, Minimal, Root,
    SchemeProofs, SignatureBytes, SignedBeaconBlock, SignedBeaconBlockDvt, Slot, ValidatorIndex, compute_signing_root,
};

/// A state in which the only active registry entry, a group, proposes.
fn scene(keys: usize, threshold: u8) -> (BeaconState<Minimal>, ChainSpec) {
    let spec = minimal_spec(ForkName::Dvt);
    let mut state = group_genesis(&[(keys, threshold)], 0, &spec);
    process_slots(&mut state, Slot::new(1), &spec).unwrap();
    assert_eq!(get_beacon_proposer_index(&state), Ok(GROUP));
    (state, spec)
}

fn reveal(state: &BeaconState<Minimal>, key: usize) -> SignatureBytes {
    let domain = get_domain(state, DOMAIN_RANDAO, None);
    sign([key], compute_signing_root(&get_current_epoch(state), domain))
}

fn leader(state: &BeaconState<Minimal>, rank: u8) -> Option<usize> {
    get_leader_key_index(state, GROUP, state.slot(), rank)
        .unwrap()
        .map(usize::from)
}

fn body(randao_reveal: SignatureBytes) -> BeaconBlockBodyDvt<Minimal> {
    BeaconBlockBodyDvt {
        randao_reveal,
        ..empty_body_dvt()
    }
}

fn randao(
    state: &BeaconState<Minimal>,
    spec: &ChainSpec,
    reveal: SignatureBytes,
) -> (Result<(), RandaoError>, BeaconState<Minimal>) {
    let mut after = state.clone();
    let body = body(reveal);
    let result = process_randao(&mut after, BeaconBlockBodyRef::Dvt(&body), &mut ImmediateVerifier, spec);
    (result, after)
}

#[test]
fn only_the_first_leaders_reveal_enters_the_mix() {
    for (keys, threshold) in SHAPES {
        let (state, spec) = scene(keys, threshold);
        let first = leader(&state, 0).unwrap();
        for key in 0..keys {
            let reveal = reveal(&state, group_key(0, key));
            let (result, after) = randao(&state, &spec, reveal);
            let epoch = get_current_epoch(&state);
            let before = get_randao_mix(&state, epoch).unwrap();
            if key == first {
                assert_eq!(result, Ok(()));
                let mix = xor(before, Root::new(hash_fixed(reveal.as_slice())));
                assert_eq!(get_randao_mix(&after, epoch), Ok(mix));
                assert_eq!(after.balances(), state.balances());
            } else {
                assert!(matches!(result, Err(RandaoError::Signature(_))), "key {key} of {keys}");
            }
        }
        // Neither is the registry key's.
        assert!(matches!(
            randao(&state, &spec, reveal(&state, 0)).0,
            Err(RandaoError::Signature(_))
        ));
    }
}

#[test]
fn the_reveal_may_be_left_out_for_a_fee_by_groups_between_majority_and_all() {
    for keys in 1..=16 {
        for threshold in [1, keys / 2, keys / 2 + 1, keys - 1, keys] {
            if threshold == 0 {
                continue;
            }
            let (state, spec) = scene(keys, threshold as u8);
            let (result, after) = randao(&state, &spec, bls::INFINITY_SIGNATURE);
            let epoch = get_current_epoch(&state);
            if 2 * threshold > keys && threshold < keys {
                assert_eq!(result, Ok(()), "{threshold} of {keys}");
                assert_eq!(get_randao_mix(&after, epoch), get_randao_mix(&state, epoch));
                let fee = get_balance(&state, GROUP).unwrap() - get_balance(&after, GROUP).unwrap();
                // base_reward_per_increment * total_active_increments * 8 // 64 // 8 slots, twice
                let increments = get_total_active_balance(&state, &spec).unwrap() / 1_000_000_000;
                let expected = get_base_reward_per_increment(&state, &spec).unwrap() * increments * 8 / 64 / 8 * 2;
                assert_eq!(fee, expected);
                assert_eq!(get_randao_omission_fee(&state, &spec), Ok(fee));
                assert!(fee > 0);
            } else {
                let expected = RandaoError::OmissionNotAllowed {
                    keys,
                    threshold: threshold as u8,
                };
                assert_eq!(result, Err(expected));
                assert_eq!(after.balances(), state.balances());
            }
        }
    }
}

#[test]
fn a_solo_proposer_cannot_leave_its_reveal_out() {
    let spec = minimal_spec(ForkName::Dvt);
    let mut state = group_genesis(&[], 8, &spec);
    process_slots(&mut state, Slot::new(1), &spec).unwrap();
    let (result, _) = randao(&state, &spec, bls::INFINITY_SIGNATURE);
    assert!(matches!(result, Err(RandaoError::Signature(_))), "{result:?}");
    let proposer = get_beacon_proposer_index(&state).unwrap().as_usize();
    assert_eq!(randao(&state, &spec, reveal(&state, proposer)).0, Ok(()));
}

#[test]
fn minority_groups_have_one_leader_and_others_up_to_three() {
    for ((keys, threshold), ranks) in SHAPES.into_iter().zip([1, 1, 3, 3, 1, 3, 3]) {
        let (state, _) = scene(keys, threshold);
        let leaders: Vec<Option<usize>> = (0..4).map(|rank| leader(&state, rank)).collect();
        assert_eq!(leaders.iter().flatten().count(), ranks, "{threshold} of {keys}");
        assert!(leaders[..ranks].iter().all(Option::is_some));
        let mut distinct: Vec<_> = leaders.into_iter().flatten().collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ranks);
    }
}

/// A valid block of the group for the state's next slot, not signed yet.
fn block(state: &BeaconState<Minimal>, spec: &ChainSpec) -> BeaconBlockDvt<Minimal> {
    let mut state = state.clone();
    let slot = state.slot().saturating_add(1u64);
    process_slots(&mut state, slot, spec).unwrap();
    let first = leader(&state, 0).unwrap();
    let mut body = body(reveal(&state, group_key(0, first)));
    body.eth1_data = state.eth1_data().clone();
    body.sync_aggregate.sync_committee_signature = bls::INFINITY_SIGNATURE;
    body.execution_payload.parent_hash = state.latest_execution_payload_header().block_hash;
    body.execution_payload.prev_randao = get_randao_mix(&state, get_current_epoch(&state)).unwrap();
    body.execution_payload.timestamp = compute_timestamp_at_slot(&state, slot, spec).unwrap();
    body.execution_payload.withdrawals = get_expected_withdrawals(&state).unwrap().0.try_into().unwrap();
    let mut block = BeaconBlockDvt {
        slot,
        proposer_index: GROUP,
        parent_root: state.latest_block_header().tree_hash_root(),
        state_root: Root::ZERO,
        body,
    };
    process_block(&mut state, types::BeaconBlockRef::Dvt(&block), &mut NullVerifier, spec).unwrap();
    block.state_root = state.canonical_root().unwrap();
    block
}

fn signed(
    state: &BeaconState<Minimal>,
    message: BeaconBlockDvt<Minimal>,
    by: impl Iterator<Item = usize> + Clone,
) -> SignedBeaconBlock<Minimal> {
    let root = block_signing_root(state, message.slot, message.tree_hash_root());
    SignedBeaconBlock::Dvt(SignedBeaconBlockDvt {
        signature: sign(by.clone().map(|key| group_key(0, key)), root),
        signers: signers(by),
        proofs: SchemeProofs::empty(),
        message,
    })
}

fn transition(
    state: &BeaconState<Minimal>,
    spec: &ChainSpec,
    block: &SignedBeaconBlock<Minimal>,
    signatures: BlockSignatures,
) -> Result<(), BlockError> {
    state_transition(&mut state.clone(), block, signatures, spec)
}

#[test]
fn a_block_is_imported_from_the_threshold_on_and_checked_by_members_from_one_on() {
    for (keys, threshold) in SHAPES {
        let (state, spec) = scene(keys, threshold);
        let message = block(&state, &spec);
        let limit = usize::from(threshold);
        for count in [0, 1, limit - 1, limit, keys] {
            let signed = signed(&state, message.clone(), keys - count..keys);
            let expected = |needed: u8| {
                if count >= usize::from(needed) {
                    Ok(())
                } else {
                    Err(BlockError::Signers(SignersError::BelowThreshold {
                        index: GROUP,
                        signers: count,
                        threshold: needed,
                    }))
                }
            };
            assert_eq!(
                transition(&state, &spec, &signed, BlockSignatures::All),
                expected(threshold)
            );
            assert_eq!(
                transition(&state, &spec, &signed, BlockSignatures::Proposal),
                expected(1)
            );
        }
    }
}

#[test]
fn a_forged_block_is_reported_as_forged_whatever_else_is_wrong() {
    let (state, spec) = scene(7, 5);
    let good = block(&state, &spec);
    let wrong_parent = |block: &mut BeaconBlockDvt<Minimal>| block.parent_root = Root::repeat_byte(1);
    let wrong_root = |block: &mut BeaconBlockDvt<Minimal>| block.state_root = Root::repeat_byte(1);
    let edits: [fn(&mut BeaconBlockDvt<Minimal>); 3] = [|_| (), wrong_parent, wrong_root];
    for edit in edits {
        let mut message = good.clone();
        edit(&mut message);
        let honest = signed(&state, message.clone(), 0..5);
        let SignedBeaconBlock::Dvt(mut forged) = honest.clone() else {
            unreachable!()
        };
        forged.signature = sign((0..4).map(|key| group_key(0, key)), Root::ZERO);
        let found = transition(&state, &spec, &SignedBeaconBlock::Dvt(forged), BlockSignatures::All);
        assert!(matches!(found, Err(BlockError::Signature(_))), "{found:?}");
        let found = transition(&state, &spec, &honest, BlockSignatures::All);
        if message == good {
            assert_eq!(found, Ok(()));
        } else if message.state_root != good.state_root {
            assert!(matches!(found, Err(BlockError::StateRoot { .. })), "{found:?}");
        } else {
            assert!(
                matches!(found, Err(BlockError::Header(HeaderError::Parent { .. }))),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_reveal_by_another_key_makes_the_block_invalid() {
    let (state, spec) = scene(7, 5);
    let mut message = block(&state, &spec);
    let mut at_slot = state.clone();
    process_slots(&mut at_slot, message.slot, &spec).unwrap();
    let second = leader(&at_slot, 1).unwrap();
    message.body.randao_reveal = reveal(&at_slot, group_key(0, second));
    let found = transition(&state, &spec, &signed(&state, message, 0..5), BlockSignatures::All);
    assert!(matches!(found, Err(BlockError::Signature(_))), "{found:?}");
}

#[test]
fn a_block_of_the_other_fork_is_refused() {
    let (mut state, spec) = scene(4, 3);
    let fulu = types::BeaconBlockFulu::<Minimal> {
        slot: state.slot(),
        proposer_index: ValidatorIndex::new(0),
        parent_root: Root::ZERO,
        state_root: Root::ZERO,
        body: crate::genesis::empty_body_fulu(),
    };
    let found = process_block(&mut state, types::BeaconBlockRef::Fulu(&fulu), &mut NullVerifier, &spec);
    assert_eq!(
        found,
        Err(BlockError::WrongFork {
            expected: ForkName::Dvt,
            found: ForkName::Fulu
        })
    );
    assert!(get_key_set(&state, GROUP, get_current_epoch(&state)).unwrap().is_some());
}
