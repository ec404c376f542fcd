//! Duties of solo validators and of single keys of a group, and votes that are handed in.

use crate::support::{GROUP, KEPT_KEY, KEYS, Node, VALIDATORS, everybody, key_of_group};
use beacon_api::{ApiError, AttesterDuty};
use beacon_chain::BeaconChain;
use chain_harness::{BlockPlan, key_set_change, virtual_key};
use state_transition::dvt::accessors::{get_committee_seats, get_key_set, get_signer_key, get_signers};
use state_transition::helpers::accessors::{get_beacon_proposer_index_at_slot, get_block_root, get_domain};
use std::collections::BTreeSet;
use types::constants::DOMAIN_BEACON_ATTESTER;
use types::*;

fn everyone() -> Vec<SignerIndex> {
    let solo = (1..VALIDATORS).map(|index| SignerIndex::from(ValidatorIndex::new(index)));
    solo.chain((0..KEYS as u8).map(key_of_group)).collect()
}

fn slots(epoch: Epoch) -> impl Iterator<Item = Slot> {
    let first = epoch.start_slot::<Minimal>();
    (0..Minimal::slots_per_epoch()).map(move |offset| first.saturating_add(offset))
}

fn pubkey(chain: &BeaconChain<Minimal>, signer: SignerIndex, epoch: Epoch) -> SignerKey {
    get_signer_key(&chain.head().state, signer, epoch).unwrap()
}

#[tokio::test]
async fn every_index_has_one_seat_per_epoch_and_is_told_which() {
    let mut node = Node::with_group().await;
    node.run_to(11).await;
    let state = node.chain.head().state.clone();
    for epoch in [Epoch::new(1), Epoch::new(2)] {
        let answer = node.client.attester_duties(epoch, &everyone()).await.unwrap();
        let indices: BTreeSet<SignerIndex> = answer.data.iter().map(|duty| duty.validator_index).collect();
        assert_eq!(
            (answer.data.len(), indices),
            (everyone().len(), everyone().into_iter().collect())
        );
        for duty in &answer.data {
            let seats = get_committee_seats(&state, duty.slot, duty.committee_index).unwrap();
            assert_eq!(duty.committee_length, seats.len() as u64);
            assert_eq!(seats[duty.validator_committee_index as usize], duty.validator_index);
            assert_eq!(duty.pubkey, pubkey(&node.chain, duty.validator_index, epoch));
            assert_eq!(duty.slot.epoch::<Minimal>(), epoch);
        }
    }
    // The group itself does not vote: its keys do.
    let itself = [SignerIndex::from(ValidatorIndex::new(GROUP))];
    assert!(
        node.client
            .attester_duties(Epoch::new(1), &itself)
            .await
            .unwrap()
            .data
            .is_empty()
    );
    let nobody = [SignerIndex::new(1_000), key_of_group(KEYS as u8)];
    assert!(
        node.client
            .attester_duties(Epoch::new(1), &nobody)
            .await
            .unwrap()
            .data
            .is_empty()
    );
}

fn group_keys(node: &Node) -> Vec<VirtualKey> {
    let state = &node.producer.state;
    let key_set = get_key_set(state, ValidatorIndex::new(GROUP), state.current_epoch()).unwrap();
    key_set.unwrap().keys.to_vec()
}

/// Index and key of each position when the committee was drawn.
fn sync_members(state: &BeaconState<Minimal>) -> Vec<(SignerIndex, PublicKeyBytes)> {
    let BeaconState::Dvt(inner) = state else { unreachable!() };
    let pubkeys = state.current_sync_committee().pubkeys.iter().copied();
    inner
        .current_sync_committee_indices
        .iter()
        .copied()
        .zip(pubkeys)
        .collect()
}

fn without_votes() -> BlockPlan {
    BlockPlan {
        vote_slots: 0,
        ..BlockPlan::default()
    }
}

/// Puts changes into the next block, and runs to the epoch in which they come into force, without votes.
async fn change_keys(node: &mut Node, key_set_changes: Vec<SignedKeySetChange>) -> Epoch {
    let in_force = node
        .producer
        .state
        .current_epoch()
        .saturating_add(1 + Minimal::MAX_SEED_LOOKAHEAD);
    let plan = BlockPlan {
        key_set_changes,
        ..without_votes()
    };
    node.step_with(&everybody, plan).await.unwrap();
    while node.chain.head().slot() < in_force.start_slot::<Minimal>() {
        node.step_with(&everybody, without_votes()).await;
    }
    in_force
}

/// Those of `asked` that may vote in an epoch.
async fn voters(node: &Node, epoch: Epoch, asked: &[SignerIndex]) -> Vec<SignerIndex> {
    let duties = node.client.attester_duties(epoch, asked).await.unwrap().data;
    let found: BTreeSet<SignerIndex> = duties.into_iter().map(|duty| duty.validator_index).collect();
    found.into_iter().collect()
}

#[tokio::test]
async fn a_registry_key_waits_if_it_comes_back_and_not_if_it_becomes_virtual() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    // The group's registry key goes, and that of a solo validator becomes a virtual key.
    let other = ValidatorIndex::new(1);
    let own = VirtualKey::bls(node.producer.state.validators().get(1).unwrap().pubkey);
    let mut keys = group_keys(&node);
    keys[usize::from(KEPT_KEY)] = virtual_key(GROUP, KEYS);
    let changes = vec![
        key_set_change(&node.producer, GROUP, 5, &keys, &[0, 1, 2, 3, 4]),
        key_set_change(&node.producer, 1, 1, &[own], &[]),
    ];
    let epoch = change_keys(&mut node, changes).await;
    assert_eq!(node.chain.head().finalized_checkpoint.epoch, Epoch::new(0));
    let virtual_of_other = SignerIndex::virtual_index(other, 0).unwrap();
    let asked = [key_of_group(KEPT_KEY), virtual_of_other];
    assert_eq!(voters(&node, epoch, &asked).await, [virtual_of_other]);

    while node.chain.head().finalized_checkpoint.epoch == Epoch::new(0) {
        node.step(&everybody).await;
    }
    // Both groups are dissolved. The key that was virtual until then stays.
    let changes = vec![
        key_set_change(&node.producer, GROUP, 0, &[], &[0, 1, 2, 3, 4]),
        key_set_change(&node.producer, 1, 0, &[], &[0]),
    ];
    let epoch = change_keys(&mut node, changes).await;
    let asked = [SignerIndex::new(GROUP), SignerIndex::from(other)];
    assert_eq!(voters(&node, epoch, &asked).await, [SignerIndex::from(other)]);
    let finalized = node.chain.head().finalized_checkpoint.epoch;
    while node.chain.head().finalized_checkpoint.epoch == finalized {
        node.step(&everybody).await;
    }
    assert_eq!(voters(&node, node.chain.current_epoch(), &asked).await, asked);
}

#[tokio::test]
async fn a_key_that_was_out_before_anything_is_final_does_not_wait() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let before = group_keys(&node);
    let mut keys = before.clone();
    keys[2] = virtual_key(GROUP, KEYS);
    let out = key_set_change(&node.producer, GROUP, 5, &keys, &[0, 1, 2, 3, 4]);
    let epoch = change_keys(&mut node, vec![out]).await;
    assert!(voters(&node, epoch, &[key_of_group(2)]).await.is_empty());
    let back = key_set_change(&node.producer, GROUP, 5, &before, &[0, 1, 2, 3, 4]);
    let epoch = change_keys(&mut node, vec![back]).await;
    assert_eq!(node.chain.head().finalized_checkpoint.epoch, Epoch::new(0));
    assert_eq!(voters(&node, epoch, &[key_of_group(2)]).await, [key_of_group(2)]);
}

#[tokio::test]
async fn a_key_that_joined_a_group_votes_once_its_change_is_final() {
    const JOINED: u8 = 3;
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let mut keys = group_keys(&node);
    keys[usize::from(JOINED)] = virtual_key(GROUP, KEYS);
    let change = key_set_change(&node.producer, GROUP, 5, &keys, &[0, 1, 2, 3, 4]);
    let in_force = change_keys(&mut node, vec![change]).await;
    assert_eq!(node.chain.head().finalized_checkpoint.epoch, Epoch::new(0));
    let found = |duties: Vec<AttesterDuty>| -> BTreeSet<SignerIndex> {
        duties.into_iter().map(|duty| duty.validator_index).collect()
    };
    let all: BTreeSet<SignerIndex> = everyone().into_iter().collect();
    let mut others = all.clone();
    others.remove(&key_of_group(JOINED));
    // Before the change the place is that of the key that goes.
    let before = node.client.attester_duties(Epoch::new(4), &everyone()).await.unwrap();
    assert_eq!(found(before.data), all);
    for epoch in [in_force, in_force.saturating_add(1u64)] {
        let duties = node.client.attester_duties(epoch, &everyone()).await.unwrap();
        assert_eq!(found(duties.data), others, "epoch {epoch}");
    }
    // It proposes like the other keys: blocks finalise nothing.
    let proposals = async |epoch| node.client.proposer_duties(epoch).await.unwrap().data;
    let mut of_group = proposals(in_force).await;
    of_group.extend(proposals(in_force.saturating_add(1u64)).await);
    of_group.retain(|duty| duty.validator_index.validator() == ValidatorIndex::new(GROUP));
    let joined = of_group
        .iter()
        .filter(|duty| duty.validator_index == key_of_group(JOINED));
    assert_eq!(joined.count() * keys.len(), of_group.len());
    assert!(!of_group.is_empty());

    // Without this key the chain finalises the change.
    while node.chain.head().finalized_checkpoint.epoch == Epoch::new(0) {
        node.step(&|signer, _| signer != key_of_group(JOINED)).await;
    }
    let epoch = node.chain.current_epoch();
    let duties = node.client.attester_duties(epoch, &everyone()).await.unwrap();
    let joined = duties
        .data
        .iter()
        .find(|duty| duty.validator_index == key_of_group(JOINED));
    assert_eq!(joined.unwrap().pubkey, SignerKey::from(&virtual_key(GROUP, KEYS)));
    assert_eq!(found(duties.data), all);
}

#[tokio::test]
async fn every_key_of_a_group_is_told_that_its_group_proposes() {
    let mut node = Node::with_group().await;
    node.run_to(11).await;
    let state = node.chain.head().state.clone();
    for epoch in [Epoch::new(1), Epoch::new(2)] {
        let duties = node.client.proposer_duties(epoch).await.unwrap().data;
        for slot in slots(epoch) {
            let proposer = get_beacon_proposer_index_at_slot(&state, slot).unwrap();
            let expected: Vec<(SignerIndex, SignerKey)> = get_signers(&state, proposer, epoch)
                .unwrap()
                .into_iter()
                .map(|signer| (signer, pubkey(&node.chain, signer, epoch)))
                .collect();
            let found: Vec<(SignerIndex, SignerKey)> = duties
                .iter()
                .filter(|duty| duty.slot == slot)
                .map(|duty| (duty.validator_index, duty.pubkey))
                .collect();
            assert_eq!(found, expected, "slot {slot}");
        }
    }
}

#[tokio::test]
async fn proposers_of_epochs_that_are_over_are_those_of_its_blocks() {
    let mut node = Node::with_group().await;
    node.run_to(19).await;
    for epoch in [Epoch::new(0), Epoch::new(1), Epoch::new(2)] {
        let duties = node.client.proposer_duties(epoch).await.unwrap().data;
        for slot in slots(epoch).filter(|slot| *slot > Slot::new(0) && *slot <= node.chain.head().slot()) {
            let root = node.chain.canonical_root_at(slot).unwrap().unwrap();
            let block = node.chain.get_block(&root).unwrap().unwrap();
            let mut of_slot = duties.iter().filter(|duty| duty.slot == slot).peekable();
            assert!(of_slot.peek().is_some(), "slot {slot}");
            assert!(of_slot.all(|duty| duty.validator_index.validator() == block.message().proposer_index()));
        }
    }
}

#[tokio::test]
async fn sync_duties_name_all_positions() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let epoch = Epoch::new(0);
    let members = sync_members(&node.chain.head().state);
    let duties = node.client.sync_duties(epoch, &everyone()).await.unwrap().data;
    let positions: usize = duties
        .iter()
        .map(|duty| duty.validator_sync_committee_indices.len())
        .sum();
    assert_eq!(positions, members.len());
    for duty in duties {
        for position in duty.validator_sync_committee_indices {
            let (signer, key) = members[position as usize];
            assert_eq!((signer, SignerKey::from(key)), (duty.validator_index, duty.pubkey));
        }
    }
}

#[tokio::test]
async fn sync_duties_go_with_the_key_whatever_its_index() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let members = sync_members(&node.chain.head().state);
    let (moving, moving_key) = *members.iter().find(|(signer, _)| signer.is_virtual()).unwrap();
    let (alone, registry_key) = *members.iter().find(|(signer, _)| !signer.is_virtual()).unwrap();
    // Two keys of the group change places, and a solo validator becomes a group of its own key.
    let mut keys = group_keys(&node);
    let old_place = moving.split().1.unwrap();
    let new_place = (old_place + 1) % KEYS as u8;
    keys.swap(old_place.into(), new_place.into());
    let validator = alone.validator();
    let own = [VirtualKey::bls(registry_key)];
    let plan = BlockPlan {
        key_set_changes: vec![
            key_set_change(&node.producer, GROUP, 5, &keys, &[0, 1, 2, 3, 4]),
            key_set_change(&node.producer, validator.as_u64(), 1, &own, &[]),
        ],
        ..BlockPlan::default()
    };
    node.step_with(&everybody, plan).await.unwrap();
    let in_force = Epoch::new(1 + Minimal::MAX_SEED_LOOKAHEAD);
    node.run_to(in_force.start_slot::<Minimal>().as_u64()).await;

    let places = |key: &PublicKeyBytes| -> Vec<u64> {
        let places = (0u64..).zip(&members).filter(|(_, (_, pubkey))| pubkey == key);
        places.map(|(place, _)| place).collect()
    };
    let first = SignerIndex::virtual_index(validator, 0).unwrap();
    for (signer, key) in [
        (key_of_group(new_place), moving_key),
        (alone, registry_key),
        (first, registry_key),
        (key_of_group(old_place), keys[usize::from(old_place)].as_bls().unwrap()),
    ] {
        let duties = node.client.sync_duties(in_force, &[signer, signer]).await.unwrap().data;
        let found: Vec<_> = duties
            .into_iter()
            .map(|duty| (duty.validator_index, duty.pubkey, duty.validator_sync_committee_indices))
            .collect();
        let expected = (signer, SignerKey::from(key), places(&key));
        assert_eq!(found, if expected.2.is_empty() { vec![] } else { vec![expected] });
    }
    let nobody = [SignerIndex::new(1_000), key_of_group(KEYS as u8)];
    assert!(
        node.client
            .sync_duties(in_force, &nobody)
            .await
            .unwrap()
            .data
            .is_empty()
    );
}

#[tokio::test]
async fn duties_that_nobody_can_know_yet_are_refused() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let far = Epoch::new(2);
    let status = |error: ApiError| error.status();
    assert_eq!(
        node.client
            .attester_duties(far, &everyone())
            .await
            .map_err(status)
            .unwrap_err(),
        Some(400)
    );
    assert_eq!(
        node.client.proposer_duties(far).await.map_err(status).unwrap_err(),
        Some(400)
    );
    let period_after_next = Epoch::new(2 * Minimal::EPOCHS_PER_SYNC_COMMITTEE_PERIOD);
    let sync = node.client.sync_duties(period_after_next, &everyone()).await;
    assert_eq!(sync.map_err(status).unwrap_err(), Some(400));
    assert_eq!(node.get("/eth/v1/validator/duties/proposer/soon").await.0, 400);
}

#[tokio::test]
async fn what_is_signed_is_not_asked_of_a_node_that_has_verified_nothing() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    // This node has no execution client.
    let error = node.client.attestation_data(Slot::new(3), 0).await.unwrap_err();
    assert_eq!(error.status(), Some(503), "{error}");
}

/// The vote of a duty in the head's slot.
pub(crate) fn vote(node: &Node, signer: SignerIndex, committee_index: u64, key: SignerKey) -> SingleAttestation {
    let head = node.chain.head();
    let state = &head.state;
    let epoch = state.current_epoch();
    let data = AttestationData {
        slot: head.slot(),
        index: 0,
        beacon_block_root: head.root,
        source: state.current_justified_checkpoint(),
        target: Checkpoint {
            epoch,
            root: get_block_root(state, epoch).unwrap(),
        },
    };
    let root = compute_signing_root(&data, get_domain(state, DOMAIN_BEACON_ATTESTER, Some(epoch)));
    SingleAttestation::Dvt(SingleAttestationDvt {
        committee_index,
        attester_index: signer,
        data,
        signature: node.producer.keys.get(&key.as_bls().unwrap()).sign(&root).to_bytes(),
        proofs: SchemeProofs::default(),
    })
}

#[tokio::test]
async fn votes_that_are_handed_in_reach_the_pool_and_a_wrong_one_is_named() {
    let mut node = Node::with_group().await;
    node.run_to(11).await;
    let slot = node.chain.head().slot();
    let duties = node
        .client
        .attester_duties(Epoch::new(1), &everyone())
        .await
        .unwrap()
        .data;
    let now: Vec<_> = duties.into_iter().filter(|duty| duty.slot == slot).collect();
    assert!(now.len() >= 2, "somebody votes in this slot");
    let mut votes: Vec<SingleAttestation> = now
        .iter()
        .map(|duty| vote(&node, duty.validator_index, duty.committee_index, duty.pubkey))
        .collect();
    // The second vote is signed by the first one's key.
    votes[1] = vote(&node, now[1].validator_index, now[1].committee_index, now[0].pubkey);
    let error = node.client.submit_attestations(&votes).await.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(error.to_string().contains('1'), "{error}");
    let (status, answer) = node
        .post("/eth/v2/beacon/pool/attestations", serde_json::to_vec(&votes).unwrap())
        .await;
    assert_eq!((status, &answer["code"]), (400, &serde_json::json!(400)));
    assert!(answer["message"].is_string());
    let failures = answer["failures"].as_array().unwrap();
    assert_eq!(
        (failures.len(), &failures[0]["index"]),
        (1, &serde_json::json!(1)),
        "{answer}"
    );
    assert!(failures[0]["message"].is_string());
    let pooled = node
        .client
        .pool_attestations::<Minimal>(Some(slot), None)
        .await
        .unwrap()
        .data;
    let seats: usize = pooled.iter().map(|vote| vote.aggregation_bits().num_set_bits()).sum();
    assert_eq!(seats, votes.len() - 1, "the others were taken");
    // Handed in again, by another client of the same key: nothing is wrong with that.
    votes.remove(1);
    node.client.submit_attestations(&votes).await.unwrap();
}
