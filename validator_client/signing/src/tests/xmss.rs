//! XMSS keys behind the signer.

use super::{CHAIN, Message, clock, data, header, spec};
use crate::{MessageSignature, Signer, SigningError, SigningMethod, UnknownPast};
use bls::INFINITY_SIGNATURE;
use keystore::{Seed, XmssKey};
use runtime::SlotClock;
use slashing_protection::{DATABASE_FILE, Refusal, SlashingDatabase};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use types::{
    AggregateAndProof, AggregateAndProofFulu, AttestationFulu, Epoch, KeyPossession, KeySetChange, Leaf, Minimal, Root,
    SignatureBytes, SignerIndex, SignerKey, Slot, SyncAggregatorSelectionData, ValidatorIndex, VoluntaryExit,
};
use xmss::{Devnet, Opening, PublicKey, Signature};

const SCHEME: u8 = 2;
/// Leaves of a bottom tree: eight epochs.
const TREE: u64 = 512;

fn key(leaves: Range<u64>) -> XmssKey {
    XmssKey::generate(SCHEME, &Seed::from_bytes(&[7; 32]), leaves, &|_| {}).unwrap()
}

fn clock_at(epoch: u64) -> SlotClock {
    let clock = clock();
    clock.set_slot(Epoch::new(epoch).start_slot::<Minimal>());
    clock
}

/// On a chain on which all leaves of the keys here are of the past.
fn try_start(dir: &Path, leaves: Range<u64>, past: UnknownPast) -> Result<(Signer, SignerKey), SigningError> {
    try_start_with(dir, leaves, clock_at(1000), past)
}

fn try_start_with(
    dir: &Path,
    leaves: Range<u64>,
    clock: SlotClock,
    past: UnknownPast,
) -> Result<(Signer, SignerKey), SigningError> {
    let database = SlashingDatabase::open_or_create(&dir.join(DATABASE_FILE)).unwrap();
    let method = SigningMethod::local_xmss(key(leaves));
    let pubkey = method.pubkey();
    let signer = Signer::start_with(database, vec![method], CHAIN, Arc::new(spec()), clock, past)?;
    Ok((signer, pubkey))
}

fn start(leaves: Range<u64>) -> (TempDir, Signer, SignerKey) {
    let dir = tempfile::tempdir().unwrap();
    let (signer, pubkey) = try_start(dir.path(), leaves, UnknownPast::NeverUsed).unwrap();
    (dir, signer, pubkey)
}

/// Panics unless it is one of the key at the leaf.
fn verify(pubkey: SignerKey, leaf: Leaf, signing_root: Root, signed: &MessageSignature) {
    let public = PublicKey::<Devnet>::from_bytes(pubkey.as_bytes()).unwrap();
    assert_eq!(signed.signature, INFINITY_SIGNATURE);
    let [proof] = &signed.proofs[..] else {
        panic!("one proof")
    };
    assert_eq!(proof.scheme, SCHEME);
    match leaf {
        Leaf::Signs(leaf) => {
            let signature = Signature::from_bytes(&proof.data).unwrap();
            public.verify(leaf as u32, &signing_root.0, &signature).unwrap();
        }
        Leaf::Opens(leaf) => {
            let opening = Opening::from_bytes(&proof.data).unwrap();
            public.verify_opening(leaf as u32, &opening).unwrap();
        }
        Leaf::None => panic!("no leaf"),
    }
}

fn refusal(error: SigningError) -> Refusal {
    match error {
        SigningError::Refused(refusal) => *refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn each_message_is_signed_with_the_leaf_of_its_kind_and_epoch() {
    let (_dir, signer, pubkey) = start(0..2 * TREE);
    // Epoch 5 of eight slots: the third slot.
    let (header, mut vote) = (header(42, 1), data(4, 5, 1));
    // A vote belongs to its target.
    vote.slot = Slot::new(50);
    let aggregate = AggregateAndProof::Fulu(AggregateAndProofFulu {
        aggregator_index: SignerIndex::new(1),
        aggregate: AttestationFulu {
            aggregation_bits: ssz_types::BitList::with_capacity(4).unwrap(),
            data: data(4, 5, 1),
            signature: SignatureBytes::ZERO,
            committee_bits: ssz_types::BitVector::new(),
        },
        selection_proof: SignatureBytes::ZERO,
    });
    let exit = VoluntaryExit {
        epoch: Epoch::new(6),
        validator_index: ValidatorIndex::new(1),
    };
    let change = KeySetChange {
        validator_index: ValidatorIndex::new(1),
        sequence: 0,
        slot: Slot::new(56),
        threshold: 0,
        keys: Default::default(),
    };
    let possession = KeyPossession {
        validator_index: ValidatorIndex::new(1),
        key: pubkey.to_virtual_key(),
        slot: Slot::new(64),
    };
    for (message, leaf) in [
        (Message::Block(&header), Leaf::Signs(5 * 64 + 2)),
        (Message::Attestation(&vote), Leaf::Signs(5 * 64 + 32)),
        (Message::RandaoReveal(Epoch::new(5)), Leaf::Opens(5 * 64 + 34)),
        (Message::SelectionProof(Slot::new(47)), Leaf::Opens(5 * 64 + 36)),
        (Message::AggregateAndProof(&aggregate), Leaf::Signs(5 * 64 + 38)),
        (Message::VoluntaryExit(&exit), Leaf::Signs(6 * 64 + 39)),
        (Message::KeySetChange(&change), Leaf::Signs(7 * 64 + 39)),
        (Message::KeyPossession(&possession), Leaf::Signs(8 * 64 + 39)),
    ] {
        assert_eq!(message.leaf(), leaf, "{}", message.kind());
        let signed = signer.sign(pubkey, message).await.unwrap();
        verify(pubkey, leaf, message.signing_root(CHAIN, &spec()), &signed);
        assert_eq!(
            signer.sign(pubkey, message).await.unwrap(),
            signed,
            "{}",
            message.kind()
        );
    }
    assert_eq!(signer.keys(), [pubkey]);
}

#[tokio::test]
async fn used_leaf_signs_no_other_message_not_even_one_that_could_not_be_slashed() {
    let (dir, signer, pubkey) = start(0..TREE);
    let exit = |validator| VoluntaryExit {
        epoch: Epoch::new(2),
        validator_index: ValidatorIndex::new(validator),
    };
    let (first, second) = (exit(1), exit(2));
    let signed = signer.sign(pubkey, Message::VoluntaryExit(&first)).await.unwrap();
    // Also after a restart, without a word on what it may have signed: it is on record.
    drop(signer);
    let (signer, _) = try_start(dir.path(), 0..TREE, UnknownPast::Refuse).unwrap();
    let error = signer.sign(pubkey, Message::VoluntaryExit(&second)).await.unwrap_err();
    assert!(matches!(refusal(error), Refusal::LeafUsed { leaf: 167, .. }));
    assert_eq!(
        signer.sign(pubkey, Message::VoluntaryExit(&first)).await.unwrap(),
        signed
    );
    // Rules for votes hold as for any key.
    signer.sign(pubkey, Message::Attestation(&data(2, 3, 1))).await.unwrap();
    let surrounding = signer.sign(pubkey, Message::Attestation(&data(1, 4, 1))).await;
    assert!(matches!(refusal(surrounding.unwrap_err()), Refusal::Surrounding { .. }));
}

#[tokio::test]
async fn of_many_conflicting_requests_for_a_leaf_exactly_one_is_signed() {
    let (_dir, signer, pubkey) = start(0..TREE);
    let signer = Arc::new(signer);
    let tasks: Vec<_> = (0..20u8)
        .map(|number| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signer.sign(pubkey, Message::Block(&header(9, number))).await.is_ok() })
        })
        .collect();
    let mut signed = 0;
    for task in tasks {
        signed += u8::from(task.await.unwrap());
    }
    assert_eq!(signed, 1);
}

#[tokio::test]
async fn messages_of_sync_committees_have_no_leaf() {
    let (_dir, signer, pubkey) = start(0..TREE);
    let selection = SyncAggregatorSelectionData {
        slot: Slot::new(1),
        subcommittee_index: 0,
    };
    let head = Message::SyncCommitteeMessage {
        slot: Slot::new(1),
        beacon_block_root: Root::ZERO,
    };
    for message in [head, Message::SyncSelectionProof(&selection)] {
        let error = signer.sign(pubkey, message).await.unwrap_err();
        assert!(matches!(error, SigningError::NoLeaf { .. }), "{error}");
        assert!(error.to_string().contains(message.kind()), "{error}");
    }
}

#[tokio::test]
async fn key_without_its_record_is_refused_or_begins_after_a_margin() {
    let dir = tempfile::tempdir().unwrap();
    let error = try_start(dir.path(), 0..2 * TREE, UnknownPast::Refuse).unwrap_err();
    assert!(matches!(error, SigningError::NoRecord(_)), "{error}");

    let (signer, pubkey) = try_start(dir.path(), 0..2 * TREE, UnknownPast::UntilNow(Epoch::new(5))).unwrap();
    for epoch in 0..8 {
        let error = signer
            .sign(pubkey, Message::RandaoReveal(Epoch::new(epoch)))
            .await
            .unwrap_err();
        assert!(
            matches!(refusal(error), Refusal::LeafBelowMark { first_open: 512, .. }),
            "{epoch}"
        );
    }
    signer.sign(pubkey, Message::RandaoReveal(Epoch::new(8))).await.unwrap();
    drop(signer);
    // With its record it goes on where it was, however much time has passed.
    let (signer, _) = try_start(dir.path(), 0..2 * TREE, UnknownPast::UntilNow(Epoch::new(12))).unwrap();
    signer.sign(pubkey, Message::RandaoReveal(Epoch::new(9))).await.unwrap();
}

#[tokio::test]
async fn leaves_outside_of_the_window_have_their_own_errors_and_leave_no_record() {
    let (_dir, signer, pubkey) = start(TREE..2 * TREE);
    let sign = |epoch| signer.sign(pubkey, Message::RandaoReveal(Epoch::new(epoch)));
    assert!(matches!(
        sign(7).await.unwrap_err(),
        SigningError::LeafNotYet { leaf: 482, .. }
    ));
    sign(8).await.unwrap();
    sign(15).await.unwrap();
    for epoch in [16, u64::MAX] {
        let error = sign(epoch).await.unwrap_err();
        assert!(matches!(error, SigningError::Exhausted { .. }), "{error}");
        assert!(error.to_string().contains("needs a new key"), "{error}");
    }
    let exported = signer.with_database(|database| {
        database.bind_to_chain(CHAIN).unwrap();
        database.export(None).unwrap()
    });
    assert_eq!(exported.await.unwrap().one_time_keys[0].used_leaves.len(), 2);
}

#[tokio::test]
async fn no_leaf_after_the_next_epoch_is_used_whatever_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_at(4);
    // The last moment of the epoch.
    clock.set_ms(clock.slot_start_ms(Slot::new(40)) - 1);
    let (signer, pubkey) = try_start_with(dir.path(), 0..TREE, clock.clone(), UnknownPast::NeverUsed).unwrap();
    signer
        .sign(pubkey, Message::SelectionProof(Slot::new(47)))
        .await
        .unwrap();
    let (block, vote) = (header(48, 1), data(5, 6, 1));
    let exit = VoluntaryExit {
        epoch: Epoch::new(6),
        validator_index: ValidatorIndex::new(1),
    };
    let change = KeySetChange {
        validator_index: ValidatorIndex::new(1),
        sequence: 0,
        slot: Slot::new(48),
        threshold: 0,
        keys: Default::default(),
    };
    let possession = KeyPossession {
        validator_index: ValidatorIndex::new(1),
        key: pubkey.to_virtual_key(),
        slot: Slot::new(48),
    };
    let too_early = [
        Message::Block(&block),
        Message::Attestation(&vote),
        Message::RandaoReveal(Epoch::new(6)),
        Message::SelectionProof(Slot::new(48)),
        Message::VoluntaryExit(&exit),
        Message::KeySetChange(&change),
        Message::KeyPossession(&possession),
    ];
    for message in too_early {
        let error = signer.sign(pubkey, message).await.unwrap_err();
        assert!(
            matches!(error, SigningError::LeafTooEarly { epoch, present, .. }
                if (epoch, present) == (Epoch::new(6), Epoch::new(4))),
            "{error}"
        );
    }
    let exported = signer.with_database(|database| database.export(None).unwrap());
    assert_eq!(exported.await.unwrap().one_time_keys[0].used_leaves.len(), 1);
    // A moment later it is the epoch before.
    clock.set_slot(Slot::new(40));
    signer.sign(pubkey, Message::RandaoReveal(Epoch::new(6))).await.unwrap();
}

#[tokio::test]
async fn before_genesis_the_leaves_of_the_first_two_epochs_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SlotClock::manual(1000, &spec());
    clock.set_ms(0);
    let (signer, pubkey) = try_start_with(dir.path(), 0..TREE, clock, UnknownPast::NeverUsed).unwrap();
    signer.sign(pubkey, Message::RandaoReveal(Epoch::new(1))).await.unwrap();
    let error = signer
        .sign(pubkey, Message::RandaoReveal(Epoch::new(2)))
        .await
        .unwrap_err();
    assert!(matches!(error, SigningError::LeafTooEarly { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn window_slides_while_the_key_signs() {
    let (_dir, signer, pubkey) = start(0..4 * TREE);
    // The tree of the last epochs is far from those that are there at first.
    for epoch in (1..32).chain([31]) {
        let vote = data(epoch - 1, epoch, 1);
        let message = Message::Attestation(&vote);
        let signed = signer.sign(pubkey, message).await.unwrap();
        verify(
            pubkey,
            Leaf::Signs(epoch * 64 + 32),
            message.signing_root(CHAIN, &spec()),
            &signed,
        );
    }
}
