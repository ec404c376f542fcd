//! Key files of XMSS keys, and their trees.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

use keystore::{
    DEFINITIONS_FILE, Kdf, KeystoreError, LoadError, Password, Seed, SigningDefinition, TreeFileError, UnlockedKey,
    ValidatorDefinition, ValidatorsDir, XmssKey, XmssKeyError, XmssKeystore, XmssSeed, account,
};
use serde_json::{Value, json};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;
use xmss::{Devnet, PublicKey, Signature};

const SCHEME: u8 = 2;
const TREE: u64 = 512;
const PASSWORD: &str = "secret";

fn seed(number: u8) -> XmssSeed {
    XmssSeed::new([number; 32])
}

fn key(number: u8, leaves: Range<u64>) -> XmssKey {
    XmssKey::generate(SCHEME, &Seed::from_bytes(&seed(number)), leaves, &|_| {}).unwrap()
}

/// A key of one bottom tree as a document.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let password = Password::new(PASSWORD);
    XmssKeystore::encrypt(&seed(7), &key(7, 0..TREE), &password, Kdf::insecure(), Some("seat 3"))
        .unwrap()
        .to_json()
});

fn parse(document: &Value) -> Result<XmssKeystore, KeystoreError> {
    XmssKeystore::from_json(document.to_string().as_bytes())
}

fn open_dir(root: &Path) -> ValidatorsDir {
    ValidatorsDir::open(&root.join("validators"), &root.join("secrets")).unwrap()
}

fn unlock(dir: &ValidatorsDir, definition: &ValidatorDefinition) -> XmssKey {
    match dir.unlock(definition).map_err(|error| error.to_string()).unwrap().key {
        UnlockedKey::Xmss(key) => key,
        UnlockedKey::Bls(_) | UnlockedKey::Remote(_) => panic!("an XMSS key"),
    }
}

#[test]
fn public_part_is_read_without_a_password_and_survives_a_rewrite() {
    let keystore = parse(&DOCUMENT).unwrap();
    assert_eq!(keystore.pubkey(), key(7, 0..TREE).pubkey());
    assert_eq!(keystore.pubkey().scheme(), SCHEME);
    assert_eq!(keystore.leaves(), 0..TREE);
    assert_eq!(keystore.description(), Some("seat 3"));
    assert_eq!(keystore.to_json(), *DOCUMENT);
    assert_eq!(DOCUMENT["log_lifetime"], 18);
    let text = DOCUMENT.to_string();
    assert!(!text.contains(&"07".repeat(32)), "the seed is in the open");
    assert_eq!(keystore.decrypt(&Password::new(PASSWORD)).unwrap().as_slice(), [7; 32]);
}

#[test]
fn each_fault_of_a_file_has_its_own_error() {
    let wrong = parse(&DOCUMENT).unwrap().decrypt(&Password::new("guess")).unwrap_err();
    assert!(matches!(wrong, KeystoreError::WrongPassword), "{wrong}");

    let text = DOCUMENT.to_string();
    for length in [0, 1, text.len() / 2, text.len() - 1] {
        let error = XmssKeystore::from_json(&text.as_bytes()[..length]).unwrap_err();
        assert!(
            matches!(error, KeystoreError::Truncated { found, .. } if found == length),
            "{error}"
        );
    }
    for (field, value, needles) in [
        ("version", json!(2), ["`version`", "expected 1", "found 2"]),
        ("version", json!(4), ["`version`", "expected 1", "found 4"]),
        ("scheme", json!(0), ["`scheme`", "1 or 2", "found 0"]),
        ("scheme", json!(257), ["`scheme`", "1 or 2", "found 257"]),
        ("scheme", json!(1), ["`log_lifetime`", "32", "found 18"]),
        ("log_lifetime", json!(8), ["`log_lifetime`", "18", "found 8"]),
        ("pubkey", json!("00".repeat(51)), ["`pubkey`", "52 bytes", "51 bytes"]),
        (
            "pubkey",
            json!("ff".repeat(52)),
            ["`pubkey`", "not canonical", "104 characters"],
        ),
        ("leaf_count", json!(0), ["`leaf_count`", "1 to 262144", "found 0"]),
        ("leaf_count", json!(262145), ["`leaf_count`", "2^18", "found 262145"]),
        ("first_leaf", json!(u64::MAX), ["`leaf_count`", "2^18", "found 512"]),
        ("first_leaf", json!("0"), ["`first_leaf`", "integer", "0"]),
        ("uuid", json!("x"), ["`uuid`", "UUID", "x"]),
    ] {
        let mut document = DOCUMENT.clone();
        document[field] = value;
        let error = parse(&document).unwrap_err().to_string();
        for needle in needles {
            assert!(error.contains(needle), "{field}: {needle} is missing in: {error}");
        }
    }
}

#[test]
fn public_key_that_is_not_the_seeds_is_refused_before_and_after_the_trees() {
    let dir = tempfile::tempdir().unwrap();
    let trees = dir.path().join("trees");
    let password = Password::new(PASSWORD);
    let mut of_another_seed = DOCUMENT.clone();
    of_another_seed["pubkey"] = json!(hex::encode(key(8, 0..TREE).pubkey().as_bytes()));
    let error = parse(&of_another_seed)
        .unwrap()
        .open(&password, &trees, &|_| {})
        .unwrap_err();
    assert!(matches!(error, KeystoreError::WrongSeed { .. }), "{error}");

    // The same parameter, another root: the key of another window.
    let mut of_another_window = DOCUMENT.clone();
    of_another_window["first_leaf"] = json!(TREE);
    let error = parse(&of_another_window)
        .unwrap()
        .open(&password, &trees, &|_| {})
        .unwrap_err();
    assert!(matches!(error, KeystoreError::WrongPublicKey { .. }), "{error}");
    assert!(!trees.exists(), "trees of a wrong key were written");
}

#[test]
fn trees_come_from_the_file_and_a_bad_file_costs_only_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trees");
    let password = Password::new(PASSWORD);
    let keystore = parse(&DOCUMENT).unwrap();
    let computed = std::sync::atomic::AtomicU64::new(0);
    let open = |keystore: &XmssKeystore| {
        computed.store(0, std::sync::atomic::Ordering::Relaxed);
        let opened = keystore.open(&password, &path, &|progress| {
            computed.store(progress.total, std::sync::atomic::Ordering::Relaxed);
        });
        (opened.unwrap(), computed.load(std::sync::atomic::Ordering::Relaxed))
    };
    let expected = key(7, 0..TREE).sign(32, &[1; 32]).unwrap();

    let (first, leaves) = open(&keystore);
    assert_eq!(leaves, TREE, "no file: computed");
    assert!(first.unusable_tree_file.is_none());
    let (second, leaves) = open(&keystore);
    assert_eq!(leaves, 0, "from the file");
    assert_eq!(second.key.sign(32, &[1; 32]).unwrap(), expected);

    let good = fs::read(&path).unwrap();
    assert!(!good.windows(32).any(|window| window == [7; 32]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("short", good[..20].to_vec()),
        ("iv", flipped(13)),
        ("key", flipped(40)),
        ("leaf", flipped(good.len() - 100)),
        ("code", flipped(good.len() - 1)),
        ("magic", flipped(0)),
        ("version", flipped(8)),
    ] {
        fs::write(&path, bytes).unwrap();
        let (opened, leaves) = open(&keystore);
        assert_eq!(leaves, TREE, "{what}");
        let error = opened.unusable_tree_file.expect(what);
        match what {
            "empty" | "magic" => assert!(matches!(error, TreeFileError::Magic { .. }), "{what}: {error}"),
            "version" => assert!(matches!(error, TreeFileError::Version { .. }), "{what}: {error}"),
            _ => assert!(matches!(error, TreeFileError::Damaged { .. }), "{what}: {error}"),
        }
        assert_eq!(opened.key.sign(32, &[1; 32]).unwrap(), expected, "{what}");
        assert_eq!(open(&keystore).1, 0, "{what}: the file was written anew");
    }
    // The file of the same seed with another window is authentic, and still not this key's.
    let other = XmssKeystore::encrypt(&seed(7), &key(7, TREE..2 * TREE), &password, Kdf::insecure(), None).unwrap();
    let (opened, leaves) = open(&other);
    assert_eq!(leaves, TREE);
    assert!(matches!(opened.unusable_tree_file, Some(TreeFileError::OtherKey)));
}

#[test]
fn keys_are_made_found_and_unlocked_beside_bls_keys() {
    let root = tempfile::tempdir().unwrap();
    let dir = open_dir(root.path());
    let [bls] = account::add_keys_from_seed(&dir, &[7; 32], 0..1, Kdf::insecure)
        .unwrap()
        .try_into()
        .unwrap();
    let made = account::add_xmss_key(&dir, SCHEME, &seed(7), 0..TREE, Kdf::insecure()).unwrap();
    let again = account::add_xmss_key(&dir, SCHEME, &seed(7), 0..TREE, Kdf::insecure()).unwrap();
    assert_eq!(made, again, "an existing key is left as it is");
    assert!(matches!(
        made.signing_definition,
        SigningDefinition::LocalXmssKeystore(_)
    ));
    let text = fs::read_to_string(dir.path().join(DEFINITIONS_FILE)).unwrap();
    assert!(
        text.contains("type: local_xmss_keystore") && text.contains("type: local_keystore"),
        "{text}"
    );

    let definitions = dir.definitions().unwrap();
    assert_eq!(definitions.as_slice(), [bls, made.clone()]);
    assert_eq!(dir.unlock_enabled(&definitions).filter(Result::is_ok).count(), 2);
    assert_eq!(unlock(&dir, &made).pubkey(), made.voting_public_key);

    fs::remove_file(dir.path().join(DEFINITIONS_FILE)).unwrap();
    let mut found = dir.definitions().unwrap();
    let discovered = dir.discover(&mut found).unwrap();
    assert!(discovered.problems.is_empty(), "{:?}", discovered.problems);
    assert_eq!(discovered.added.len(), 2);
    assert_eq!(found.get(made.voting_public_key), Some(&made));
}

#[test]
fn kind_of_a_definition_and_scheme_of_its_key_have_to_fit() {
    let root = tempfile::tempdir().unwrap();
    let dir = open_dir(root.path());
    account::add_xmss_key(&dir, SCHEME, &seed(7), 0..TREE, Kdf::insecure()).unwrap();
    let path = dir.path().join(DEFINITIONS_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("local_xmss_keystore", "local_keystore")).unwrap();
    let error = dir.definitions().unwrap_err().to_string();
    assert!(
        error.contains("`type`") && error.contains("local_xmss_keystore for a key"),
        "{error}"
    );
}

#[test]
fn window_slides_and_leaves_outside_of_it_have_their_own_errors() {
    let root = tempfile::tempdir().unwrap();
    let dir = open_dir(root.path());
    let definition = account::add_xmss_key(&dir, SCHEME, &seed(9), TREE..5 * TREE, Kdf::insecure()).unwrap();
    let key = unlock(&dir, &definition);
    let public = PublicKey::<Devnet>::from_bytes(key.pubkey().as_bytes()).unwrap();
    let verifies = |key: &XmssKey, leaf: u64| {
        let signature = Signature::from_bytes(&key.sign(leaf, &[3; 32]).unwrap()).unwrap();
        public.verify(leaf as u32, &[3; 32], &signature).unwrap();
    };
    for leaf in [TREE, 2 * TREE] {
        assert!(key.is_prepared(leaf));
        verifies(&key, leaf);
    }
    assert!(matches!(key.sign(TREE - 1, &[3; 32]), Err(XmssKeyError::NotYet { .. })));
    assert!(matches!(
        key.sign(5 * TREE, &[3; 32]),
        Err(XmssKeyError::Exhausted { .. })
    ));
    assert!(matches!(key.open(u64::MAX), Err(XmssKeyError::Exhausted { .. })));

    // Leaves of the first tree are still asked for when the first ones of the second are.
    let middle = 2 * TREE + TREE / 2;
    assert!(!key.wants_next(middle - 1) && key.wants_next(middle));
    assert!(!key.prepare_next(middle - 1, &|_| {}).unwrap());
    assert!(key.prepare_next(middle, &|_| {}).unwrap());
    assert!(!key.is_prepared(TREE) && key.is_prepared(3 * TREE));
    verifies(&key, 3 * TREE);
    key.save().unwrap();
    let restarted = unlock(&dir, &definition);
    assert!(!restarted.is_prepared(TREE) && restarted.is_prepared(3 * TREE));

    // A leaf far away, after a long pause; and the end, where nothing is left to prepare.
    assert!(restarted.prepare(4 * TREE, &|_| {}).unwrap());
    assert!(!restarted.prepare(4 * TREE, &|_| {}).unwrap());
    verifies(&restarted, 4 * TREE);
    assert!(!restarted.wants_next(5 * TREE - 1));
    assert_eq!(restarted.sign(3 * TREE, &[3; 32]), key.sign(3 * TREE, &[3; 32]));
}

#[test]
fn directory_that_was_moved_or_copied_says_so() {
    let root = tempfile::tempdir().unwrap();
    let (old, new) = (root.path().join("old"), root.path().join("new"));
    let dir = open_dir(&old);
    account::add_keys_from_seed(&dir, &[7; 32], 0..1, Kdf::insecure).unwrap();
    account::add_xmss_key(&dir, SCHEME, &seed(7), 0..TREE, Kdf::insecure()).unwrap();
    drop(dir);

    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(&old)
        .arg(&new)
        .status()
        .unwrap();
    assert!(copied.success());
    let problems = |root: &Path| {
        let dir = open_dir(root);
        let definitions = dir.definitions().unwrap();
        let problems: Vec<LoadError> = dir.unlock_enabled(&definitions).filter_map(Result::err).collect();
        assert_eq!(problems.len(), 2);
        problems
    };
    for problem in problems(&new) {
        assert!(matches!(problem, LoadError::Copied { .. }), "{problem}");
        assert!(problem.to_string().contains("two clients must never sign"), "{problem}");
    }
    fs::remove_dir_all(&old).unwrap();
    for problem in problems(&new) {
        let text = problem.to_string();
        assert!(matches!(problem, LoadError::NoFile { here: Some(_), .. }), "{text}");
        for needle in ["/old/", "/new/", "moved or copied", DEFINITIONS_FILE] {
            assert!(text.contains(needle), "{needle} is missing in: {text}");
        }
    }
    // Keystores that have their right paths, secrets that have not.
    let dir = open_dir(&new);
    let path = dir.path().join(DEFINITIONS_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("/old/validators", "/new/validators")).unwrap();
    drop(dir);
    for problem in problems(&new) {
        let text = problem.to_string();
        assert!(
            text.contains("`voting_keystore_password_path`") && text.contains("/new/secrets"),
            "{text}"
        );
    }
    // As the message says: without its entries the directory is found again.
    fs::remove_file(&path).unwrap();
    let dir = open_dir(&new);
    let mut definitions = dir.definitions().unwrap();
    dir.discover(&mut definitions).unwrap();
    assert_eq!(dir.unlock_enabled(&definitions).filter(Result::is_ok).count(), 2);
}
