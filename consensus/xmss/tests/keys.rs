//! Keys from the outside: signing, opening, the sliding window, stored forms, batches.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use xmss::*;

const LAST_ELEMENT: u32 = 0x7f00_0000;

fn key(seed: u8, leaves: std::ops::Range<u64>) -> SecretKey<Insecure> {
    SecretKey::generate(&Seed::from_bytes(&[seed; 32]), leaves, &|_| ()).unwrap()
}

/// A key of two bottom trees, both prepared.
static KEY: LazyLock<SecretKey<Insecure>> = LazyLock::new(|| key(1, 0..32));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does(
        leaf in 0u32..32, message in any::<[u8; 32]>(), other in any::<[u8; 32]>(), other_leaf in 0u32..256,
    ) {
        let public_key = KEY.public_key();
        let signature = KEY.sign(leaf, &message).unwrap();
        prop_assert_eq!(&KEY.sign(leaf, &message).unwrap(), &signature);
        prop_assert_eq!(public_key.verify(leaf, &message, &signature), Ok(()));
        if other_leaf != leaf {
            prop_assert!(public_key.verify(other_leaf, &message, &signature).is_err());
        }
        if other != message {
            prop_assert!(public_key.verify(leaf, &other, &signature).is_err());
        }
        prop_assert!(key(2, 0..1).public_key().verify(leaf, &message, &signature).is_err());
    }

    #[test]
    fn each_changed_bit_is_noticed(leaf in 0u32..32, message in any::<[u8; 32]>(), bit in 0usize..424 * 8) {
        let mut bytes = KEY.sign(leaf, &message).unwrap().to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(signature) = Signature::<Insecure>::from_bytes(&bytes) {
            prop_assert_eq!(signature.to_bytes(), bytes);
            prop_assert!(KEY.public_key().verify(leaf, &message, &signature).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(signature) = Signature::<Insecure>::from_bytes(&bytes) {
            prop_assert_eq!(signature.to_bytes(), bytes.clone());
        }
        if let Ok(opening) = Opening::<Insecure>::from_bytes(&bytes) {
            prop_assert_eq!(opening.to_bytes(), bytes.clone());
        }
        let _ = PublicKey::<Insecure>::from_bytes(&bytes);
        let _ = SecretKey::<Insecure>::from_bytes(&bytes);
    }

    #[test]
    fn an_opening_is_of_one_leaf_and_one_value(leaf in 0u32..32, other in 0u32..256, bit in 0usize..288 * 8) {
        let opening = KEY.open(leaf).unwrap();
        prop_assert_eq!(KEY.public_key().verify_opening(leaf, &opening), Ok(()));
        if other != leaf {
            prop_assert_eq!(KEY.public_key().verify_opening(other, &opening), Err(VerifyError::Invalid));
        }
        let mut bytes = opening.to_bytes();
        prop_assert_eq!(Opening::<Insecure>::from_bytes(&bytes).unwrap(), opening);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = Opening::<Insecure>::from_bytes(&bytes) {
            prop_assert!(KEY.public_key().verify_opening(leaf, &changed).is_err());
        }
    }

    #[test]
    fn a_digest_is_unknown_until_its_leaf_is_opened(leaf in (0u32..16).prop_map(|pair| 2 * pair), seed in any::<u64>()) {
        // All leaves but the opened one and its sibling sign or are opened.
        let digest = KEY.open(leaf).unwrap().digest().to_bytes();
        let mut published = BTreeSet::new();
        for other in (0..32).filter(|other| other | 1 != leaf | 1) {
            let mut message = [0; 32];
            message[..8].copy_from_slice(&seed.to_le_bytes());
            let bytes = KEY.sign(other, &message).unwrap().to_bytes();
            published.extend(bytes[8..].chunks_exact(32).map(<[u8]>::to_vec));
            published.extend(KEY.open(other).unwrap().to_bytes().chunks_exact(32).map(<[u8]>::to_vec));
        }
        prop_assert!(published.contains(KEY.open(leaf ^ 2).unwrap().digest().to_bytes().as_slice()));
        prop_assert!(!published.contains(digest.as_slice()));
    }
}

#[test]
fn an_element_that_is_not_canonical_is_refused() {
    let bytes = KEY.sign(3, &[0; 32]).unwrap().to_bytes();
    for position in (0..bytes.len())
        .step_by(4)
        .filter(|position| ![0, 32, 36].contains(position))
    {
        for value in [LAST_ELEMENT + 1, u32::MAX] {
            let mut bytes = bytes.clone();
            bytes[position..position + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(
                Signature::<Insecure>::from_bytes(&bytes),
                Err(DecodeError::NotCanonical { value })
            );
        }
        let mut bytes = bytes.clone();
        bytes[position..position + 4].copy_from_slice(&LAST_ELEMENT.to_le_bytes());
        assert!(Signature::<Insecure>::from_bytes(&bytes).is_ok());
    }
    for position in [0, 32, 36] {
        let mut bytes = bytes.clone();
        bytes[position] ^= 4;
        let error = Signature::<Insecure>::from_bytes(&bytes).unwrap_err();
        assert!(matches!(error, DecodeError::Offset { position: at, .. } if at == position));
    }
    for length in [0, 423, 425] {
        let error = Signature::<Insecure>::from_bytes(&vec![0; length]).unwrap_err();
        assert_eq!(
            error,
            DecodeError::Length {
                expected: 424,
                found: length
            }
        );
    }
    assert!(PublicKey::<Insecure>::from_bytes(&[0xff; 52]).is_err());
    assert!(Opening::<Insecure>::from_bytes(&[0xff; 288]).is_err());
}

#[test]
fn a_key_is_its_seed_and_its_window() {
    assert_eq!(key(1, 0..32).public_key(), KEY.public_key());
    assert_eq!(key(1, 3..17).public_key(), KEY.public_key());
    assert_ne!(key(1, 0..33).public_key(), KEY.public_key());
    assert_ne!(key(2, 0..32).public_key(), KEY.public_key());
    assert_eq!(key(1, 3..17).active(), 0..32);
}

#[test]
fn a_window_has_to_be_within_the_lifetime() {
    for leaves in [0..0, 5..5, 0..257, 256..257, u64::MAX - 1..u64::MAX] {
        let error = SecretKey::<Insecure>::generate(&Seed::from_bytes(&[0; 32]), leaves.clone(), &|_| ()).unwrap_err();
        assert_eq!(
            error,
            KeyError::Window {
                leaves,
                log_lifetime: 8
            }
        );
    }
    let last = key(3, 255..256);
    assert_eq!(last.active(), 240..256);
    let signature = last.sign(255, &[9; 32]).unwrap();
    assert_eq!(last.public_key().verify(255, &[9; 32], &signature), Ok(()));
    assert_eq!(
        last.public_key().verify(256, &[9; 32], &signature),
        Err(VerifyError::Leaf {
            leaf: 256,
            log_lifetime: 8
        })
    );
    assert_eq!(
        last.sign(239, &[9; 32]),
        Err(SignError::NotActive {
            leaf: 239,
            active: 240..256
        })
    );
    assert_eq!(
        last.open(256),
        Err(SignError::NotActive {
            leaf: 256,
            active: 240..256
        })
    );
}

#[test]
fn the_window_slides_over_the_whole_key() {
    let mut sliding = key(4, 0..256);
    let public_key = sliding.public_key();
    assert_eq!(sliding.prepared(), 0..32);
    assert_eq!(
        sliding.sign(32, &[0; 32]),
        Err(SignError::NotPrepared {
            leaf: 32,
            prepared: 0..32
        })
    );
    for leaf in (0..256).step_by(5) {
        if let Some(task) = sliding.task_for(leaf).unwrap() {
            // In the background, while the key is in use.
            let next = std::thread::scope(|scope| {
                let work = scope.spawn(|| task.run(&|_| ()));
                sliding.open(u32::try_from(sliding.prepared().start).unwrap()).unwrap();
                work.join().unwrap()
            });
            sliding.install(next.unwrap()).unwrap();
        }
        assert!(sliding.prepared().end - sliding.prepared().start <= 32);
        let signature = sliding.sign(leaf, &[7; 32]).unwrap();
        assert_eq!(public_key.verify(leaf, &[7; 32], &signature), Ok(()));
        assert_eq!(public_key.verify_opening(leaf, &sliding.open(leaf).unwrap()), Ok(()));
    }
    assert!(sliding.next_task().is_none());
    assert_eq!(
        sliding.task_for(256).unwrap_err(),
        KeyError::NotActive {
            leaf: 256,
            active: 0..256
        }
    );
}

#[test]
fn a_tree_of_another_key_is_refused() {
    let mut one = key(5, 0..64);
    let tree = key(6, 0..64).next_task().unwrap().run(&|_| ()).unwrap();
    assert_eq!(one.install(tree), Err(KeyError::ForeignTree(2)));
    let tree = key(5, 0..128).task_for(100).unwrap().unwrap().run(&|_| ()).unwrap();
    assert_eq!(
        one.install(tree),
        Err(KeyError::ForeignTree(6)),
        "beyond the key's window"
    );
}

#[test]
fn progress_counts_every_leaf_once() {
    let last = AtomicU64::new(0);
    let calls = AtomicU64::new(0);
    SecretKey::<Insecure>::generate(&Seed::from_bytes(&[8; 32]), 16..80, &|progress| {
        assert_eq!(progress.total, 64);
        last.fetch_max(progress.done, Ordering::Relaxed);
        calls.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(last.into_inner(), 64);
    assert!(calls.into_inner() >= 4);
}

#[test]
fn a_stored_key_is_the_same_key() {
    let made = key(9, 20..90);
    let mut read = SecretKey::<Insecure>::from_bytes(&made.to_bytes()).unwrap();
    assert_eq!((read.public_key(), read.active()), (made.public_key(), made.active()));
    assert_eq!(read.prepared(), 0..0);
    let tree = read.task_for(20).unwrap().unwrap().run(&|_| ()).unwrap();
    let stored = tree.to_bytes();
    read.install(tree).unwrap();
    assert_eq!(read.sign(20, &[1; 32]), made.sign(20, &[1; 32]));

    let mut restored = SecretKey::<Insecure>::from_bytes(&made.to_bytes()).unwrap();
    restored.restore(20, &stored).unwrap();
    assert_eq!(restored.sign(31, &[1; 32]), made.sign(31, &[1; 32]));
    assert_eq!(restored.restore(32, &stored), Err(KeyError::ForeignTree(2)));
    let mut changed = stored.to_vec();
    changed[0] ^= 1;
    assert!(restored.restore(20, &changed).is_err());
    assert!(matches!(
        restored.restore(20, &changed[1..]),
        Err(KeyError::Decode(DecodeError::Length { .. }))
    ));

    let bytes = made.to_bytes();
    for length in [0, 55, 56, bytes.len() - 1] {
        assert!(
            SecretKey::<Insecure>::from_bytes(&bytes[..length]).is_err(),
            "{length} bytes"
        );
    }
    let mut beyond = bytes.to_vec();
    beyond[52..56].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        SecretKey::<Insecure>::from_bytes(&beyond),
        Err(KeyError::Window { .. })
    ));
    assert!(!format!("{made:?}").contains(&hex::encode(&bytes[..32])));
}

#[test]
fn a_threshold_counts_valid_signatures() {
    let members: Vec<_> = (0..4).map(|seed| key(20 + seed, 0..16)).collect();
    let keys: Vec<_> = members.iter().map(SecretKey::public_key).collect();
    let message = [5; 32];
    let mut signatures: Vec<_> = members.iter().map(|member| member.sign(2, &message).unwrap()).collect();
    let count = |signers: &[usize], signatures: &[Signature<Insecure>]| {
        count_threshold(&keys, signers, signatures, 2, &message, 3)
    };
    assert_eq!(count(&[0, 1, 2, 3], &signatures), Ok(vec![0, 1, 2, 3]));
    signatures[1] = members[1].sign(2, &[6; 32]).unwrap();
    assert_eq!(count(&[0, 1, 2, 3], &signatures), Ok(vec![0, 2, 3]));
    assert_eq!(
        count(&[0, 1, 2], &signatures[..3]),
        Err(ThresholdError::TooFew { valid: 2, threshold: 3 })
    );
    assert_eq!(
        count(&[0, 2, 2, 3], &signatures),
        Err(ThresholdError::Order { position: 2 })
    );
    assert_eq!(
        count(&[0, 1, 2, 4], &signatures),
        Err(ThresholdError::Signer { signer: 4, keys: 4 })
    );
    assert_eq!(
        count(&[0], &signatures),
        Err(ThresholdError::Count {
            signers: 1,
            signatures: 4
        })
    );

    let signed: Vec<_> = keys
        .iter()
        .zip(&signatures)
        .map(|(public_key, signature)| Signed {
            public_key,
            leaf: 2,
            message: &message,
            signature,
        })
        .collect();
    let verdicts: Vec<bool> = verify_each(&signed).iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [true, false, true, true]);
    assert_eq!(verify_batch(&signed).unwrap_err().0, 1);
    assert_eq!(verify_batch(&signed[2..]), Ok(()));
}

#[test]
fn a_key_of_the_devnet_signs() {
    let key = SecretKey::<Devnet>::generate(&Seed::from_bytes(&[30; 32]), 512..513, &|_| ()).unwrap();
    assert_eq!(key.active(), 512..1024);
    let signature = key.sign(600, &[1; 32]).unwrap();
    assert_eq!(signature.to_bytes().len(), Devnet::SIGNATURE_LEN);
    assert_eq!(key.public_key().verify(600, &[1; 32], &signature), Ok(()));
    assert!(key.public_key().verify(601, &[1; 32], &signature).is_err());
    assert_eq!(key.public_key().verify_opening(601, &key.open(601).unwrap()), Ok(()));
}
