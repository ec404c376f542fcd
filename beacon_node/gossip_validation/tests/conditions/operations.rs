//! What waits for a block, and what stands in its way until then.

use crate::world::*;
use chain_harness::{BlockPlan, key_set_change, virtual_key};
use gossip_validation::*;
use ssz_types::VariableList;
use state_transition::dvt::signers::Quorum;
use types::constants::*;
use types::*;

#[tokio::test]
async fn a_change_that_no_block_includes_stands_in_the_way_until_its_window_is_over() {
    let mut world = World::new();
    world.step().await;
    let head = world.chain.head().slot();
    let next = head.saturating_add(1u64);
    let mut keys = world.keys();
    keys.reverse();
    // Signed for the slot of the clock, which has no block.
    let change = |world: &World, keys: &[VirtualKey], slot: Slot| {
        let mut producer = world.producer.clone();
        if let BeaconState::Dvt(state) = &mut producer.state {
            state.slot = slot;
        }
        key_set_change(&producer, GROUP, 5, keys, &[0, 1, 2, 3, 4])
    };
    let first = change(&world, &keys, next);
    let verify = async |change: &SignedKeySetChange| {
        let verified = world
            .gossip
            .verify_key_set_change(change.clone(), Quorum::Threshold)
            .await;
        verified.map(|verified| verified.slot)
    };
    let error = verify(&first).await.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "{error}");
    world.clock.set_slot(next);
    assert_eq!(verify(&first).await.unwrap(), next);

    keys[0] = virtual_key(GROUP, 7);
    let end = next.saturating_add(KEY_SET_CHANGE_WINDOW);
    let second = change(&world, &keys, end);
    world.clock.set_slot(end);
    let error = verify(&second).await.unwrap_err();
    assert!(matches!(error, KeySetChangeGossipError::NotFirst { .. }), "{error}");
    world.clock.set_slot(end.saturating_add(1u64));
    assert_eq!(verify(&second).await.unwrap(), end.saturating_add(1u64));
    for change in [&second, &first] {
        let error = verify(change).await.unwrap_err();
        assert!(matches!(error, KeySetChangeGossipError::NotFirst { .. }), "{error}");
        assert_eq!(error.verdict(), Verdict::Ignore);
    }
    world.gossip.prune();
    assert!(matches!(
        verify(&second).await,
        Err(KeySetChangeGossipError::NotFirst { .. })
    ));
}

/// An exit by keys of the group as they are now.
fn exit_by(world: &World, keys: std::ops::Range<u8>) -> SignedVoluntaryExit {
    let message = VoluntaryExit {
        epoch: Epoch::new(0),
        validator_index: ValidatorIndex::new(GROUP),
    };
    let version = world.producer.spec.capella_fork_version;
    let domain = compute_domain(DOMAIN_VOLUNTARY_EXIT, version, world.chain.genesis_validators_root());
    let root = compute_signing_root(&message, domain);
    let mut signers = Signers::default();
    keys.clone()
        .for_each(|key| signers.set(usize::from(key), true).unwrap());
    let parts: Vec<_> = keys
        .map(|key| (world.sign(member(key), root), [(member(key), BLS_SCHEME)]))
        .collect();
    let parts: Vec<_> = parts
        .iter()
        .map(|(signature, signers)| signature_scheme::SignedPart {
            signers,
            signature,
            proofs: &[],
        })
        .collect();
    let (signature, proofs) = signature_scheme::aggregate(&parts).unwrap();
    SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
        message,
        signature,
        signers,
        proofs,
    })
}

#[tokio::test]
async fn exit_of_a_group_is_complete_at_its_threshold() {
    let mut world = World::new();
    world.step().await;
    let verify = async |keys, quorum| world.gossip.verify_voluntary_exit(exit_by(&world, keys), quorum).await;
    let error = verify(0..4, Quorum::Threshold).await.unwrap_err();
    assert!(matches!(error, ExitGossipError::KeysJustChanged { .. }), "{error}");
    assert!(!verify(0..4, Quorum::Member).await.unwrap().is_complete);
    assert!(verify(0..5, Quorum::Member).await.unwrap().is_complete);
    let error = verify(1..6, Quorum::Threshold).await.unwrap_err();
    assert!(matches!(error, ExitGossipError::NotFirst(_)), "{error}");
}

#[tokio::test]
async fn an_exit_is_void_once_other_keys_are_in_force_and_those_may_sign_another() {
    let mut world = World::new();
    world.step().await;
    let unknown = |index| {
        SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
            message: VoluntaryExit {
                epoch: Epoch::new(0),
                validator_index: ValidatorIndex::new(index),
            },
            signature: SignatureBytes::ZERO,
            signers: Signers::default(),
            proofs: SchemeProofs::empty(),
        })
    };
    let error = world
        .gossip
        .verify_voluntary_exit(unknown(99), Quorum::Threshold)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "{error}");

    let old = exit_by(&world, 0..5);
    assert!(
        world
            .gossip
            .verify_voluntary_exit(old.clone(), Quorum::Threshold)
            .await
            .is_ok()
    );
    let mut keys = world.keys();
    keys[0] = virtual_key(GROUP, 7);
    let change = key_set_change(&world.producer, GROUP, 5, &keys, &[0, 1, 2, 3, 4]);
    world.change_keys(vec![change]).await;
    let since = world.producer.state.current_epoch();
    for offset in 0..3u64 {
        world.run_to_epoch(since.saturating_add(offset)).await;
        // Signed by a key that has gone, and by too few.
        for exit in [old.clone(), exit_by(&world, 1..5)] {
            let error = world
                .gossip
                .verify_voluntary_exit(exit, Quorum::Threshold)
                .await
                .unwrap_err();
            let expected = if offset < 2 { Verdict::Ignore } else { Verdict::Reject };
            assert_eq!(error.verdict(), expected, "{offset}: {error}");
        }
    }
    let new = exit_by(&world, 0..5);
    assert!(
        world
            .gossip
            .verify_voluntary_exit(new.clone(), Quorum::Threshold)
            .await
            .is_ok()
    );
    let error = world
        .gossip
        .verify_voluntary_exit(new, Quorum::Threshold)
        .await
        .unwrap_err();
    assert!(matches!(error, ExitGossipError::NotFirst(_)), "{error}");
}

#[tokio::test]
async fn evidence_counts_in_the_fork_choice_as_far_as_the_justified_state_knows_the_keys() {
    let mut world = World::new();
    world.step().await;
    // A solo validator hands over to a virtual key, and nothing is justified until that is in force.
    let without_votes = || BlockPlan {
        vote_slots: 0,
        ..BlockPlan::default()
    };
    let plan = BlockPlan {
        key_set_changes: vec![key_set_change(&world.producer, 1, 1, &[virtual_key(1, 0)], &[])],
        ..without_votes()
    };
    world.step_with(plan).await;
    let in_force = Epoch::new(1 + Minimal::MAX_SEED_LOOKAHEAD);
    while world.producer.state.current_epoch() < in_force {
        world.step_with(without_votes()).await;
    }
    assert_eq!(
        world.chain.head().state.current_justified_checkpoint().epoch,
        Epoch::new(0)
    );
    let evidence = |signer: SignerIndex| {
        let vote = |head: u8| {
            let data = AttestationData {
                beacon_block_root: Root::repeat_byte(head),
                ..world.data()
            };
            let root = compute_signing_root(&data, world.domain(DOMAIN_BEACON_ATTESTER));
            IndexedAttestationDvt::<Minimal> {
                attesting_indices: VariableList::new(vec![signer]).unwrap(),
                data,
                signature: world.sign(signer, root),
                proofs: SchemeProofs::empty(),
            }
        };
        AttesterSlashing::Dvt(AttesterSlashingDvt {
            attestation_1: vote(1),
            attestation_2: vote(2),
            more_1: VariableList::empty(),
            more_2: VariableList::empty(),
            key_set_age_1: 0,
            key_set_age_2: 0,
        })
    };
    let solo = ValidatorIndex::new(2);
    let handed_over = SignerIndex::virtual_index(ValidatorIndex::new(1), 0).unwrap();
    for (signer, expected) in [(SignerIndex::from(solo), vec![solo]), (handed_over, vec![])] {
        let verified = world.gossip.verify_attester_slashing(evidence(signer)).await.unwrap();
        assert_eq!(verified.equivocating, expected);
    }
}

/// What another head may know is no fault of whoever passes it on; what no head can know is.
#[tokio::test]
async fn evidence_about_signers_of_another_head_is_ignored_and_impossible_evidence_is_rejected() {
    let mut world = World::new();
    world.step().await;
    let header = |body: u8| BeaconBlockHeader {
        slot: Slot::new(1),
        proposer_index: ValidatorIndex::new(GROUP),
        parent_root: Root::ZERO,
        state_root: Root::ZERO,
        body_root: Root::repeat_byte(body),
    };
    for (bits, expected) in [(0, Verdict::Ignore), (1, Verdict::Reject), (8, Verdict::Ignore)] {
        let signed = |body: u8| {
            let mut signers = Signers::default();
            for bit in 0..bits {
                signers.set(bit, true).unwrap();
            }
            SignedBeaconBlockHeaderDvt {
                message: header(body),
                signature: SignatureBytes::ZERO,
                signers,
                proofs: SchemeProofs::empty(),
            }
        };
        let slashing = ProposerSlashing::Dvt(ProposerSlashingDvt {
            signed_header_1: signed(1),
            signed_header_2: signed(2),
        });
        let error = world.gossip.verify_proposer_slashing(slashing).await.unwrap_err();
        assert_eq!(error.verdict(), expected, "{bits}: {error}");
    }

    let unknown = SignerIndex::virtual_index(ValidatorIndex::new(GROUP), 15).unwrap();
    let vote = |head: u8, target_epoch: u64| IndexedAttestationDvt::<Minimal> {
        attesting_indices: VariableList::new(vec![unknown]).unwrap(),
        data: AttestationData {
            beacon_block_root: Root::repeat_byte(head),
            target: Checkpoint {
                epoch: Epoch::new(target_epoch),
                root: Root::repeat_byte(head),
            },
            ..world.data()
        },
        signature: SignatureBytes::ZERO,
        proofs: SchemeProofs::empty(),
    };
    for (second, more, key_set_age, expected) in [
        (vote(2, 0), vec![], 0, Verdict::Ignore),
        (vote(2, 0), vec![], 1, Verdict::Reject),
        (vote(1, 0), vec![], 0, Verdict::Reject),
        (vote(2, 0), vec![vote(3, 1)], 0, Verdict::Reject),
    ] {
        let slashing = AttesterSlashing::Dvt(AttesterSlashingDvt {
            attestation_1: vote(1, 0),
            attestation_2: second,
            more_1: VariableList::empty(),
            more_2: VariableList::new(more).unwrap(),
            key_set_age_1: 0,
            key_set_age_2: key_set_age,
        });
        let error = world.gossip.verify_attester_slashing(slashing).await.unwrap_err();
        assert_eq!(error.verdict(), expected, "{error}");
    }

    let of_fulu = SignedVoluntaryExit::Fulu(SignedVoluntaryExitFulu {
        message: *exit_by(&world, 0..5).message(),
        signature: SignatureBytes::ZERO,
    });
    let error = world
        .gossip
        .verify_voluntary_exit(of_fulu, Quorum::Threshold)
        .await
        .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "{error}");
}
