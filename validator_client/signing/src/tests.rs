//! Tests.

mod web3signer;
mod xmss;

use crate::{SignableMessage, Signer, SigningError, SigningMethod};
use bls::SecretKey;
use runtime::SlotClock;
use slashing_protection::{DATABASE_FILE, Refusal, SlashingDatabase};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use types::{
    AttestationData, BeaconBlockHeader, ChainSpec, Checkpoint, Epoch, Minimal, PublicKeyBytes, Root, SignatureBytes,
    SignerKey, Slot, SyncAggregatorSelectionData, ValidatorIndex, VoluntaryExit, compute_domain, compute_signing_root,
};

type Message<'a> = SignableMessage<'a, Minimal>;

const CHAIN: Root = Root::repeat_byte(0xcc);

fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

fn spec() -> ChainSpec {
    let mut spec = ChainSpec::minimal();
    spec.fulu_fork_epoch = Epoch::new(0);
    spec.dvt_fork_epoch = Epoch::new(10);
    spec
}

/// It stands at genesis.
fn clock() -> SlotClock {
    SlotClock::manual(0, &spec())
}

fn open(dir: &Path, keys: &[u8]) -> Signer {
    let database = SlashingDatabase::open_or_create(&dir.join(DATABASE_FILE)).unwrap();
    let keys = keys
        .iter()
        .map(|number| SigningMethod::local(secret(*number)))
        .collect();
    Signer::start(database, keys, CHAIN, Arc::new(spec()), clock()).unwrap()
}

fn signer(keys: &[u8]) -> (TempDir, Signer) {
    let dir = tempfile::tempdir().unwrap();
    let signer = open(dir.path(), keys);
    (dir, signer)
}

fn pubkey(number: u8) -> PublicKeyBytes {
    secret(number).public_key().to_bytes()
}

fn header(slot: u64, body: u8) -> BeaconBlockHeader {
    BeaconBlockHeader {
        slot: Slot::new(slot),
        proposer_index: ValidatorIndex::new(3),
        parent_root: Root::repeat_byte(1),
        state_root: Root::repeat_byte(2),
        body_root: Root::repeat_byte(body),
    }
}

fn data(source: u64, target: u64, head: u8) -> AttestationData {
    AttestationData {
        slot: Slot::new(target * 8),
        index: 0,
        beacon_block_root: Root::repeat_byte(head),
        source: Checkpoint {
            epoch: Epoch::new(source),
            root: Root::ZERO,
        },
        target: Checkpoint {
            epoch: Epoch::new(target),
            root: Root::ZERO,
        },
    }
}

/// The signature that the key must give over a root: BLS signatures are unique.
fn expected(number: u8, signing_root: Root) -> SignatureBytes {
    secret(number).sign(&signing_root).to_bytes()
}

#[tokio::test]
async fn signature_is_the_keys_over_the_messages_root_in_the_domain_of_its_fork() {
    let (_dir, signer) = signer(&[1]);
    let spec = spec();
    for (slot, version) in [(79, spec.fulu_fork_version), (80, spec.dvt_fork_version)] {
        let header = header(slot, 1);
        let domain = compute_domain([0, 0, 0, 0], version, CHAIN);
        let root = compute_signing_root(&header, domain);
        let signed = signer.sign(&pubkey(1), Message::Block(&header)).await.unwrap();
        assert_eq!(signed.signature, expected(1, root));
        assert!(signed.proofs.is_empty());
    }
}

#[test]
fn every_message_has_its_own_domain_and_the_fork_agnostic_ones_keep_it() {
    let spec = spec();
    let exit = VoluntaryExit {
        epoch: Epoch::new(20),
        validator_index: ValidatorIndex::new(1),
    };
    let selection = |slot: u64| SyncAggregatorSelectionData {
        slot: Slot::new(slot),
        subcommittee_index: 1,
    };
    let head = Root::repeat_byte(9);
    let (late_header, late_data, late_selection) = (header(80, 1), data(9, 10, 1), selection(80));
    let late = [
        (Message::Block(&late_header), [0u8, 0, 0, 0]),
        (Message::Attestation(&late_data), [1, 0, 0, 0]),
        (Message::RandaoReveal(Epoch::new(10)), [2, 0, 0, 0]),
        (Message::SelectionProof(Slot::new(80)), [5, 0, 0, 0]),
        (
            Message::SyncCommitteeMessage {
                slot: Slot::new(80),
                beacon_block_root: head,
            },
            [7, 0, 0, 0],
        ),
        (Message::SyncSelectionProof(&late_selection), [8, 0, 0, 0]),
    ];
    for (message, domain_type) in late {
        let expected = compute_domain(domain_type, spec.dvt_fork_version, CHAIN);
        assert_eq!(message.domain(CHAIN, &spec), expected, "{}", message.kind());
    }
    assert_eq!(
        Message::VoluntaryExit(&exit).domain(CHAIN, &spec),
        compute_domain([4, 0, 0, 0], spec.capella_fork_version, CHAIN)
    );
    let change = types::KeySetChange {
        validator_index: ValidatorIndex::new(1),
        sequence: 0,
        slot: Slot::new(80),
        threshold: 0,
        keys: Default::default(),
    };
    assert_eq!(
        Message::KeySetChange(&change).domain(CHAIN, &spec),
        compute_domain([0x11, 0, 0, 0], spec.genesis_fork_version, CHAIN)
    );
    let possession = types::KeyPossession {
        validator_index: ValidatorIndex::new(1),
        key: types::VirtualKey::bls(PublicKeyBytes::ZERO),
        slot: Slot::new(80),
    };
    assert_eq!(
        Message::KeyPossession(&possession).domain(CHAIN, &spec),
        compute_domain([0x12, 0, 0, 0], spec.genesis_fork_version, CHAIN)
    );
    // A vote belongs to the fork of its target, whatever its slot says.
    let mut early = data(8, 9, 1);
    early.slot = Slot::new(80);
    assert_eq!(
        Message::Attestation(&early).domain(CHAIN, &spec),
        compute_domain([1, 0, 0, 0], spec.fulu_fork_version, CHAIN)
    );
}

#[tokio::test]
async fn slashable_messages_are_refused_and_same_ones_signed_again() {
    let (dir, signer) = signer(&[1]);
    let first = signer.sign(&pubkey(1), Message::Block(&header(5, 1))).await.unwrap();
    let again = signer.sign(&pubkey(1), Message::Block(&header(5, 1))).await.unwrap();
    assert_eq!(first, again);
    let refused = signer
        .sign(&pubkey(1), Message::Block(&header(5, 2)))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, SigningError::Refused(refusal) if matches!(**refusal, Refusal::DoubleBlockProposal { .. })),
        "{refused}"
    );
    signer
        .sign(&pubkey(1), Message::Attestation(&data(2, 3, 1)))
        .await
        .unwrap();
    let refused = signer
        .sign(&pubkey(1), Message::Attestation(&data(1, 4, 1)))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, SigningError::Refused(refusal) if matches!(**refusal, Refusal::Surrounding { .. })),
        "{refused}"
    );

    // Also after a restart.
    drop(signer);
    let signer = open(dir.path(), &[1]);
    assert!(signer.sign(&pubkey(1), Message::Block(&header(5, 2))).await.is_err());
    assert!(
        signer
            .sign(&pubkey(1), Message::Attestation(&data(2, 3, 2)))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn of_many_conflicting_requests_at_once_exactly_one_is_signed() {
    let (_dir, signer) = signer(&[1, 2]);
    let signer = Arc::new(signer);
    let tasks: Vec<_> = (0..40u8)
        .map(|number| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move {
                let key = pubkey(1 + number % 2);
                signer
                    .sign(&key, Message::Attestation(&data(1, 2, number / 2)))
                    .await
                    .is_ok()
            })
        })
        .collect();
    let mut signed = 0;
    for task in tasks {
        signed += u8::from(task.await.unwrap());
    }
    assert_eq!(signed, 2, "one for each key");
}

#[tokio::test]
async fn record_is_there_before_the_signature() {
    let (_dir, signer) = signer(&[1]);
    for slot in 1..20 {
        signer.sign(&pubkey(1), Message::Block(&header(slot, 1))).await.unwrap();
        let exported = signer
            .with_database(|database| database.export(None).unwrap())
            .await
            .unwrap();
        assert_eq!(exported.data[0].signed_blocks.last().unwrap().slot, Slot::new(slot));
    }
}

#[tokio::test]
async fn keys_come_and_go_and_keep_their_record() {
    let (_dir, signer) = signer(&[]);
    let unknown = signer
        .sign(&pubkey(1), Message::RandaoReveal(Epoch::new(1)))
        .await
        .unwrap_err();
    assert!(matches!(unknown, SigningError::UnknownKey(_)), "{unknown}");
    signer.add_key(SigningMethod::local(secret(1))).await.unwrap();
    assert_eq!(signer.keys(), [SignerKey::from(pubkey(1))]);
    signer.sign(&pubkey(1), Message::Block(&header(5, 1))).await.unwrap();
    assert!(signer.remove_key(pubkey(1)));
    assert!(!signer.has_key(pubkey(1)));
    signer.add_key(SigningMethod::local(secret(1))).await.unwrap();
    assert!(signer.sign(&pubkey(1), Message::Block(&header(5, 2))).await.is_err());
}

/// Else a request that overtakes the removal would be signed after the key's record was handed out.
#[tokio::test]
async fn a_request_that_waits_while_its_key_is_removed_is_refused() {
    let (_dir, signer) = signer(&[1, 2]);
    let signer = Arc::new(signer);
    let (busy, is_busy) = std::sync::mpsc::channel::<()>();
    let holding = Arc::clone(&signer);
    let held = tokio::spawn(async move { holding.with_database(move |_| is_busy.recv().ok()).await });
    let waiting: Vec<_> = [1, 2]
        .into_iter()
        .map(|key| {
            let signer = Arc::clone(&signer);
            tokio::spawn(async move { signer.sign(&pubkey(key), Message::Block(&header(5, 1))).await })
        })
        .collect();
    // One thread: all three are in the queue after this.
    tokio::task::yield_now().await;
    assert!(signer.remove_key(pubkey(1)));
    busy.send(()).unwrap();
    held.await.unwrap().unwrap();
    let mut answers = Vec::new();
    for task in waiting {
        answers.push(task.await.unwrap().is_ok());
    }
    assert_eq!(answers, [false, true]);
    let record = signer
        .with_database(|database| database.export(None).unwrap())
        .await
        .unwrap();
    let of_removed = record.data.iter().find(|entry| entry.pubkey == pubkey(1)).unwrap();
    assert!(of_removed.signed_blocks.is_empty());
}

#[test]
fn database_of_another_chain_is_refused_at_start() {
    let (dir, signer) = signer(&[1]);
    drop(signer);
    let database = SlashingDatabase::open(&dir.path().join(DATABASE_FILE)).unwrap();
    let error = Signer::start(database, Vec::new(), Root::ZERO, Arc::new(spec()), clock()).unwrap_err();
    assert!(matches!(error, SigningError::Database(_)), "{error}");
}

#[test]
fn secret_keys_do_not_appear_in_debug_output() {
    let text = format!("{:?}", SigningMethod::local(secret(1)));
    assert!(!text.contains(&"01".repeat(16)) && !text.contains("1, 1, 1"), "{text}");
}

#[tokio::test]
async fn answers_are_counted_under_lighthouses_names() {
    let (_dir, signer) = signer(&[7]);
    let count = |status: &str| {
        prometheus::default_registry()
            .gather()
            .iter()
            .filter(|family| family.name() == "vc_signed_beacon_blocks_total")
            .flat_map(|family| family.get_metric().to_vec())
            .filter(|metric| metric.get_label().iter().any(|label| label.value() == status))
            .map(|metric| metric.get_counter().get_value())
            .sum::<f64>()
    };
    let before = (count("success"), count("same_data"), count("slashable"));
    for (body, signed) in [(1, true), (1, true), (2, false)] {
        let result = signer.sign(&pubkey(7), Message::Block(&header(5, body))).await;
        assert_eq!(result.is_ok(), signed);
    }
    // Other tests count too: at least one more each.
    assert!(count("success") >= before.0 + 1.0);
    assert!(count("same_data") >= before.1 + 1.0);
    assert!(count("slashable") >= before.2 + 1.0);
}
