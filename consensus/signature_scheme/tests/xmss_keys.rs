//! Hash-based keys beside BLS keys: leaves, openings, merging, and what is refused.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use bls::INFINITY_SIGNATURE;
use proptest::prelude::*;
use signature_scheme::*;
use std::sync::LazyLock;
use types::constants::{LEAVES_PER_EPOCH, RANDAO_LEAF_USE, SHORT_LIVED_XMSS_SCHEME};
use types::{Epoch, Leaf, Root, SchemeProof, SchemeProofs, SignatureBytes, SignerIndex, SignerKey, VirtualKey};
use xmss::{Devnet, Parameters, SecretKey, Seed};

const SCHEME: u8 = SHORT_LIVED_XMSS_SCHEME;

/// Three keys for the first eight epochs.
static KEYS: LazyLock<Vec<SecretKey<Devnet>>> = LazyLock::new(|| {
    (1..=3)
        .map(|seed| SecretKey::generate(&Seed::from_bytes(&[seed; 32]), 0..512, &|_| {}).unwrap())
        .collect()
});

fn signer_key(key: usize) -> SignerKey {
    SignerKey::from(&VirtualKey {
        scheme: SCHEME,
        pubkey: KEYS[key].public_key().to_bytes().to_vec().try_into().unwrap(),
    })
}

fn proofs(data: Vec<u8>) -> SchemeProofs {
    let data = data.try_into().unwrap();
    vec![SchemeProof { scheme: SCHEME, data }].try_into().unwrap()
}

fn index(leaf: Leaf) -> u32 {
    match leaf {
        Leaf::Signs(leaf) | Leaf::Opens(leaf) => leaf as u32,
        Leaf::None => panic!("no leaf"),
    }
}

fn signed_by(keys: &[usize], leaf: Leaf, root: Root) -> SignatureSet {
    let signatures = keys
        .iter()
        .flat_map(|key| KEYS[*key].sign(index(leaf), &root.0).unwrap().to_bytes());
    SignatureSet {
        signing_root: root,
        leaf,
        signers: keys.iter().map(|key| signer_key(*key)).collect(),
        signature: INFINITY_SIGNATURE,
        proofs: proofs(signatures.collect()),
    }
}

fn opened_by(key: usize, leaf: Leaf) -> SignatureSet {
    SignatureSet {
        signing_root: Root::ZERO,
        leaf,
        signers: vec![signer_key(key)],
        signature: INFINITY_SIGNATURE,
        proofs: proofs(KEYS[key].open(index(leaf)).unwrap().to_bytes()),
    }
}

fn refused(set: &SignatureSet) -> SchemeError {
    match verify(set) {
        Err(SignatureError::Scheme { scheme: SCHEME, source }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn hash_based_and_bls_keys_sign_together() {
    let (root, leaf) = (Root::repeat_byte(3), Leaf::attestation(Epoch::new(2)));
    let secret = bls::SecretKey::derive_master(&[5; 32]).unwrap();
    let mut set = signed_by(&[0, 2], leaf, root);
    set.signers.insert(1, SignerKey::from(secret.public_key().to_bytes()));
    set.signature = secret.sign(&root).to_bytes();
    assert_eq!(verify(&set), Ok(()));
    assert_eq!(verify_batch(&[set.clone(), set.clone()]), Ok(()));

    let without_bls = SignatureSet {
        signature: INFINITY_SIGNATURE,
        ..set.clone()
    };
    assert!(matches!(verify(&without_bls), Err(SignatureError::Bls(_))));
    let without_proof = SignatureSet {
        proofs: SchemeProofs::empty(),
        ..set
    };
    assert!(matches!(
        verify(&without_proof),
        Err(SignatureError::ProofSchemes { .. })
    ));
}

#[test]
fn another_leaf_message_key_or_order_is_refused() {
    let (root, leaf) = (Root::repeat_byte(3), Leaf::attestation(Epoch::new(2)));
    let set = signed_by(&[0, 1], leaf, root);
    assert_eq!(verify(&set), Ok(()));
    let with = |change: fn(&mut SignatureSet)| {
        let mut changed = set.clone();
        change(&mut changed);
        refused(&changed)
    };
    assert_eq!(
        with(|set| set.leaf = Leaf::attestation(Epoch::new(3))),
        SchemeError::Invalid
    );
    assert_eq!(
        with(|set| set.leaf = Leaf::aggregate(Epoch::new(2))),
        SchemeError::Invalid
    );
    assert_eq!(with(|set| set.signing_root = Root::ZERO), SchemeError::Invalid);
    assert_eq!(with(|set| set.signers[1] = signer_key(2)), SchemeError::Invalid);
    assert_eq!(with(|set| set.signers.reverse()), SchemeError::Invalid);
    assert_eq!(with(|set| set.leaf = Leaf::None), SchemeError::NoLeaf);
    assert_eq!(with(|set| set.leaf = Leaf::Signs(1 << 32)), SchemeError::Leaf(1 << 32));
    assert_eq!(with(|set| set.leaf = Leaf::Signs(1 << 18)), SchemeError::Invalid);
    let malformed = |change: fn(&mut SignatureSet)| assert!(matches!(with(change), SchemeError::Proof(_)));
    malformed(|set| set.signers.truncate(1));
    malformed(|set| set.signers.push(signer_key(2)));
    malformed(|set| set.proofs = proofs(vec![0; 2 * Devnet::SIGNATURE_LEN]));
    malformed(|set| set.proofs = proofs(vec![0xff; 2 * Devnet::SIGNATURE_LEN]));
    malformed(|set| set.leaf = Leaf::randao(Epoch::new(2)));
}

#[test]
fn a_signature_is_no_opening_and_an_opening_no_signature() {
    let epoch = Epoch::new(4);
    let mut opened = opened_by(0, Leaf::randao(epoch));
    assert_eq!(verify(&opened), Ok(()));
    opened.leaf = Leaf::Signs(index(opened.leaf).into());
    assert!(matches!(refused(&opened), SchemeError::Proof(_)));
    let mut signed = signed_by(&[0], Leaf::aggregate(epoch), Root::ZERO);
    signed.leaf = Leaf::Opens(index(signed.leaf).into());
    assert!(matches!(refused(&signed), SchemeError::Proof(_)));
    assert!(signed.randao_value().is_err());
}

#[test]
fn merged_proofs_stand_in_the_order_of_the_signers() {
    let (root, leaf) = (Root::repeat_byte(7), Leaf::attestation(Epoch::new(1)));
    let signer = |key: u64| (SignerIndex::new(10 + key), SCHEME);
    let parts = [signed_by(&[1], leaf, root), signed_by(&[0, 2], leaf, root)];
    let signers = [vec![signer(1)], vec![signer(0), signer(2)]];
    let part = |place: usize| SignedPart {
        signers: &signers[place],
        signature: &parts[place].signature,
        proofs: &parts[place].proofs,
    };
    let (signature, merged) = aggregate(&[part(0), part(1)]).unwrap();
    let all = signed_by(&[0, 1, 2], leaf, root);
    assert_eq!((signature, &merged), (INFINITY_SIGNATURE, &all.proofs));
    assert!(matches!(
        aggregate(&[part(0), part(0)]),
        Err(SignatureError::OverlappingSigners(_))
    ));
    let one_too_many = SignedPart {
        signers: &signers[1],
        ..part(0)
    };
    assert!(aggregate(&[one_too_many, part(0)]).is_err());
}

#[test]
fn a_key_that_is_not_canonical_is_no_key() {
    let key = |bytes: Vec<u8>| validate_key(&SignerKey::new(SCHEME, &bytes).unwrap());
    assert_eq!(validate_key(&signer_key(0)), Ok(()));
    assert!(matches!(key(vec![0xff; 52]), Err(SignatureError::Scheme { .. })));
    assert!(matches!(
        key(vec![0; 48]),
        Err(SignatureError::KeyLength { expected: 52, .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// One value for each key and epoch, whatever is shown; and no other leaf, path or key gives one.
    #[test]
    fn the_value_of_an_opening_is_unique(key in 0usize..3, epoch in 0u64..8, position in 0usize..32 * 19, bit in 0u8..8) {
        let leaf = Leaf::randao(Epoch::new(epoch));
        let set = opened_by(key, leaf);
        prop_assert_eq!(verify(&set), Ok(()));
        prop_assert_eq!(set.randao_value(), opened_by(key, leaf).randao_value());

        let mut data = set.proofs[0].data.to_vec();
        data[position] ^= 1 << bit;
        let forged = SignatureSet { proofs: proofs(data), ..set.clone() };
        prop_assert!(verify(&forged).is_err());
        let other_key = SignatureSet { signers: vec![signer_key((key + 1) % 3)], ..set.clone() };
        prop_assert!(verify(&other_key).is_err());
        let other_epoch = SignatureSet { leaf: Leaf::randao(Epoch::new((epoch + 1) % 8)), ..set.clone() };
        prop_assert!(verify(&other_epoch).is_err());
        prop_assert_ne!(
            opened_by(key, Leaf::randao(Epoch::new((epoch + 1) % 8))).randao_value(),
            set.randao_value()
        );
    }

    /// Whatever else a key shows in an epoch and those around it, its reveal's digest is not in it.
    #[test]
    fn nothing_published_before_shows_a_reveal(key in 0usize..3, epoch in 0u64..8) {
        let reveal = KEYS[key].open((epoch * LEAVES_PER_EPOCH + RANDAO_LEAF_USE) as u32).unwrap();
        let digest = reveal.digest().to_bytes();
        let shows = |bytes: &[u8]| bytes.windows(32).any(|window| window == digest);
        prop_assert!(shows(&reveal.to_bytes()));
        let root = Root::repeat_byte(epoch as u8);
        for epoch in (0..8).map(Epoch::new) {
            for leaf in [Leaf::attestation(epoch), Leaf::aggregate(epoch), Leaf::operation(epoch), Leaf::Signs(epoch.as_u64() * 64)] {
                prop_assert!(!shows(&KEYS[key].sign(index(leaf), &root.0).unwrap().to_bytes()));
            }
            prop_assert!(!shows(&KEYS[key].open(index(Leaf::selection(epoch))).unwrap().to_bytes()));
        }
    }

    /// Strangers' bytes are verified or refused.
    #[test]
    fn no_bytes_make_verification_panic(data in proptest::collection::vec(any::<u8>(), 0..3000), leaf: u64, kind in 0..3) {
        let leaf = [Leaf::Signs(leaf), Leaf::Opens(leaf), Leaf::None][kind as usize];
        let set = SignatureSet { leaf, signers: vec![signer_key(0)], proofs: proofs(data), signing_root: Root::ZERO, signature: SignatureBytes::ZERO };
        prop_assert!(verify(&set).is_err());
        let _ = (set.randao_value(), get_selection_hash(&set.signers[0], &set.signature, &set.proofs, Some(&Root::ZERO)));
    }
}
