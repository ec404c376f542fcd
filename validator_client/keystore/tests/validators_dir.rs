//! Directories as Lighthouse lays them out.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

use keystore::{
    DEFINITIONS_FILE, Kdf, Keystore, LoadError, LockError, LockFile, Password, UnlockedKey, ValidatorsDir, account,
};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const SEED: &[u8] = &[7; 32];

fn open(root: &Path) -> ValidatorsDir {
    ValidatorsDir::open(&root.join("validators"), &root.join("secrets")).unwrap()
}

#[test]
fn keys_made_from_a_seed_are_unlocked_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(root.path());
    let made = account::add_keys_from_seed(&dir, SEED, 0..3, Kdf::insecure).unwrap();
    let again = account::add_keys_from_seed(&dir, SEED, 0..3, Kdf::insecure).unwrap();
    assert_eq!(made, again, "existing keys are left as they are");
    let definitions = dir.definitions().unwrap();
    assert_eq!(definitions.as_slice(), made);
    let keys: Vec<_> = dir.unlock_enabled(&definitions).map(Result::unwrap).collect();
    assert_eq!(keys.len(), 3);
    for (account, key) in keys.iter().enumerate() {
        let derived = account::derive_voting_key(SEED, account as u32)
            .unwrap()
            .public_key()
            .to_bytes();
        assert!(matches!(&key.key, UnlockedKey::Bls(secret_key) if secret_key.public_key().to_bytes() == derived));
        assert_eq!(key.definition.voting_public_key, derived.into());
    }
}

/// Whoever starts the client next may stand in another directory.
#[test]
fn definitions_have_absolute_paths_though_the_directories_are_given_by_relative_ones() {
    let here = tempfile::tempdir_in(".").unwrap();
    let root = Path::new(here.path().file_name().unwrap());
    let dir = open(root);
    account::add_keys_from_seed(&dir, SEED, 0..1, Kdf::insecure).unwrap();
    fs::remove_file(root.join("validators").join(DEFINITIONS_FILE)).unwrap();
    let mut definitions = dir.definitions().unwrap();
    dir.discover(&mut definitions).unwrap();
    let local = definitions.as_slice()[0].signing_definition.local().unwrap().clone();
    for path in [local.path, local.password_path.unwrap()] {
        assert!(path.is_absolute() && path.exists(), "{}", path.display());
    }
}

#[test]
fn keystores_of_the_directory_are_discovered_and_stay_discovered() {
    let root = tempfile::tempdir().unwrap();
    let validators = root.path().join("validators");
    let secrets = root.path().join("secrets");
    // As key generators leave them: no definitions, the password without a newline.
    fs::create_dir_all(&secrets).unwrap();
    for account in 0..2 {
        let key = account::derive_voting_key(SEED, account).unwrap();
        let name = key.public_key().to_bytes().to_string();
        let password = Password::new("secret");
        let keystore = Keystore::encrypt(&key, &password, Kdf::insecure(), "", None).unwrap();
        fs::create_dir_all(validators.join(&name)).unwrap();
        keystore
            .create_file(&validators.join(&name).join("voting-keystore.json"))
            .unwrap();
        fs::write(secrets.join(&name), ["secret", "secret\n"][account as usize]).unwrap();
    }
    fs::create_dir_all(validators.join("broken")).unwrap();
    fs::write(validators.join("broken/voting-keystore.json"), "{}").unwrap();

    let dir = open(root.path());
    let mut definitions = dir.definitions().unwrap();
    let discovered = dir.discover(&mut definitions).unwrap();
    assert_eq!(discovered.added.len(), 2);
    assert_eq!(discovered.problems.len(), 1);
    let problem = discovered.problems[0].to_string();
    assert!(problem.contains("broken") && problem.contains("`version`"), "{problem}");
    dir.save(&definitions).unwrap();
    assert!(validators.join(DEFINITIONS_FILE).exists());

    let mut definitions = dir.definitions().unwrap();
    assert!(dir.discover(&mut definitions).unwrap().added.is_empty());
    assert_eq!(dir.unlock_enabled(&definitions).filter(Result::is_ok).count(), 2);

    definitions.as_mut_slice()[0].enabled = false;
    assert_eq!(dir.unlock_enabled(&definitions).count(), 1);
}

#[test]
fn problems_with_one_key_name_it_and_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(root.path());
    let [definition] = account::add_keys_from_seed(&dir, SEED, 0..1, Kdf::insecure)
        .unwrap()
        .try_into()
        .unwrap();
    let pubkey = definition.voting_public_key;
    let secret = dir.password_path(pubkey);
    let failure = |definition: &keystore::ValidatorDefinition| dir.unlock(definition).err().unwrap();

    let password = fs::read(&secret).unwrap();
    fs::write(&secret, "another").unwrap();
    let error = failure(&definition);
    assert!(matches!(error, LoadError::Keystore { .. }), "{error}");
    assert!(error.to_string().contains("password does not open"), "{error}");

    fs::remove_file(&secret).unwrap();
    let text = failure(&definition).to_string();
    assert!(text.contains(secret.to_str().unwrap()), "{text}");

    let mut without = keystore::ValidatorDefinition::local_keystore(pubkey, dir.keystore_path(pubkey), None);
    let error = failure(&without);
    assert!(matches!(error, LoadError::NoPassword { .. }), "{error}");
    assert!(error.to_string().contains("voting_keystore_password_path"), "{error}");

    fs::write(&secret, &password).unwrap();
    dir.unlock(&without).unwrap();

    without.voting_public_key = account::derive_voting_key(SEED, 9)
        .unwrap()
        .public_key()
        .to_bytes()
        .into();
    let error = failure(&without);
    assert!(matches!(error, LoadError::OtherKey { .. }), "{error}");
}

#[test]
fn second_client_is_kept_out_of_the_directory() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(root.path());
    let error = ValidatorsDir::open(&root.path().join("validators"), &root.path().join("other")).unwrap_err();
    assert!(matches!(error, LockError::Held { .. }), "{error}");
    drop(dir);
    open(root.path());
}

const LOCK_VARIABLE: &str = "KEYSTORE_LOCK_TEST";

/// Runs in the child process only: holds a lock until it is killed.
#[test]
fn lock_child() {
    let Some(path) = std::env::var_os(LOCK_VARIABLE) else {
        return;
    };
    let _lock = LockFile::acquire(Path::new(&path)).unwrap();
    println!("locked");
    loop {
        std::thread::park();
    }
}

#[test]
fn lock_of_another_process_holds_until_kill_9_and_no_longer() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("lock");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock_child", "--nocapture", "--test-threads=1"])
        .env(LOCK_VARIABLE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next().expect("the child locks").unwrap().contains("locked") {}
    let error = LockFile::acquire(&path).unwrap_err().to_string();
    assert!(error.contains(&child.id().to_string()), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    LockFile::acquire(&path).unwrap();
}
