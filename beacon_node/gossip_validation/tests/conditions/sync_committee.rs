//! Messages and contributions of sync committees: positions belong to public keys.

use crate::world::*;
use chain_harness::{key_set_change, virtual_key};
use gossip_validation::*;
use types::constants::*;
use types::*;

/// Index and key of each position when the committee was drawn.
fn members(state: &BeaconState<Minimal>) -> Vec<(SignerIndex, PublicKeyBytes)> {
    let BeaconState::Dvt(inner) = state else { unreachable!() };
    let pubkeys = state.current_sync_committee().pubkeys.iter().copied();
    inner
        .current_sync_committee_indices
        .iter()
        .copied()
        .zip(pubkeys)
        .collect()
}

#[tokio::test]
async fn sync_message_counts_at_every_position_of_its_signer() {
    let mut world = World::new();
    world.step().await;
    let head = world.chain.head();
    let members = members(&head.state);
    let (signer, key) = members[0];
    let message = world.sync_message(signer, &key);
    let verified = world.gossip.verify_sync_message(message.clone(), None).await.unwrap();
    let expected = members.iter().filter(|(member, _)| *member == signer).count();
    assert_eq!(verified.positions.len(), expected);
    assert_eq!(
        verified.positions[0],
        SyncPosition {
            subcommittee_index: 0,
            position: 0
        }
    );
    let error = world
        .gossip
        .verify_sync_message(message.clone(), Some(0))
        .await
        .unwrap_err();
    assert!(matches!(error, SyncGossipError::NotFirst { .. }), "{error}");
    world.clock.set_slot(head.slot().saturating_add(2u64));
    let error = world.gossip.verify_sync_message(message, None).await.unwrap_err();
    assert!(
        matches!(error, SyncGossipError::Shared(SharedError::PastSlot { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn contribution_holds_with_its_three_signatures() {
    let mut world = World::new();
    world.step().await;
    let head = world.chain.head();
    let signer = members(&head.state)[1].0;
    let root = compute_signing_root(&head.root, world.domain(DOMAIN_SYNC_COMMITTEE));
    let mut contribution = SyncCommitteeContribution::<Minimal> {
        slot: head.slot(),
        beacon_block_root: head.root,
        subcommittee_index: 0,
        aggregation_bits: Default::default(),
        signature: world.sign(signer, root),
    };
    contribution.aggregation_bits.set(1, true).unwrap();
    let selection = SyncAggregatorSelectionData {
        slot: head.slot(),
        subcommittee_index: 0,
    };
    let selection_root = compute_signing_root(&selection, world.domain(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF));
    let message = ContributionAndProof {
        aggregator_index: signer,
        contribution,
        selection_proof: world.sign(signer, selection_root),
    };
    let root = compute_signing_root(&message, world.domain(DOMAIN_CONTRIBUTION_AND_PROOF));
    let mut signed = SignedContributionAndProof {
        signature: world.sign(signer, root),
        message,
    };
    let mut unknown = signed.clone();
    for index in [SignerIndex::new(99), member(7)] {
        unknown.message.aggregator_index = index;
        let error = world.gossip.verify_contribution(unknown.clone()).await.unwrap_err();
        assert!(matches!(error, SyncGossipError::UnknownSigner(_)), "{error}");
        assert_eq!(error.verdict(), Verdict::Ignore);
    }
    assert!(world.gossip.verify_contribution(signed.clone()).await.is_ok());
    signed.message.contribution.aggregation_bits.set(2, true).unwrap();
    let error = world.gossip.verify_contribution(signed).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "the aggregator was heard: {error}");
}

#[tokio::test]
async fn positions_go_with_the_key_whatever_its_index() {
    let mut world = World::new();
    world.step().await;
    let members = members(&world.chain.head().state);
    let positions_of = |key: &PublicKeyBytes| members.iter().filter(|(_, pubkey)| pubkey == key).count();
    let (moving, moving_key) = *members.iter().find(|(signer, _)| signer.is_virtual()).unwrap();
    let (alone, registry_key) = *members.iter().find(|(signer, _)| !signer.is_virtual()).unwrap();
    // A key of the group takes the place of the one after it, and a new key its own. A solo validator becomes a group.
    let old_place = moving.split().1.unwrap();
    let new_place = (old_place + 1) % 7;
    let mut keys = world.keys();
    let gone = keys[usize::from(new_place)].as_bls().unwrap();
    keys[usize::from(new_place)] = keys[usize::from(old_place)].clone();
    keys[usize::from(old_place)] = virtual_key(GROUP, 7);
    let validator = alone.validator();
    let pair: Vec<VirtualKey> = (0..2).map(|key| virtual_key(validator.as_u64(), key)).collect();
    let changes = vec![
        key_set_change(&world.producer, GROUP, 5, &keys, &[0, 1, 2, 3, 4]),
        key_set_change(&world.producer, validator.as_u64(), 2, &pair, &[]),
    ];
    world.change_keys(changes).await;
    let state = &world.chain.head().state;
    assert_eq!(
        state.current_sync_committee().pubkeys[..],
        members.iter().map(|(_, key)| *key).collect::<Vec<_>>()
    );

    for (signer, key) in [(member(new_place), moving_key), (alone, registry_key)] {
        let verified = world
            .gossip
            .verify_sync_message(world.sync_message(signer, &key), None)
            .await
            .unwrap();
        assert_eq!(verified.positions.len(), positions_of(&key));
    }
    let first = SignerIndex::virtual_index(validator, 0).unwrap();
    for (signer, key) in [(member(old_place), virtual_key(GROUP, 7)), (first, pair[0].clone())] {
        let key = key.as_bls().unwrap();
        let error = world
            .gossip
            .verify_sync_message(world.sync_message(signer, &key), None)
            .await
            .unwrap_err();
        assert!(matches!(error, SyncGossipError::NotInCommittee { .. }), "{error}");
        assert_eq!(error.verdict(), Verdict::Reject);
    }
    // The old key has no index any more that would name it.
    for signer in [member(7), SignerIndex::new(99)] {
        let error = world
            .gossip
            .verify_sync_message(world.sync_message(signer, &gone), None)
            .await
            .unwrap_err();
        assert!(matches!(error, SyncGossipError::UnknownSigner(_)), "{error}");
        assert_eq!(error.verdict(), Verdict::Ignore);
    }
}
