//! An XMSS key's life as its owner sees it: the command that makes it, the signer that uses it, the window that moves
//! while it signs, a restart with what is on disk.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use keystore::{Password, ValidatorsDir, XmssKeystore};
use runtime::SlotClock;
use signing::{MessageSignature, SignableMessage, Signer, SigningError, SigningMethod, UnknownPast};
use slashing_protection::{DATABASE_FILE, SlashingDatabase};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use types::constants::{ATTESTATION_LEAF_USE, LEAVES_PER_EPOCH, SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};
use types::{AttestationData, ChainSpec, Checkpoint, Epoch, Minimal, Root, SignerKey};
use xmss::{Devnet, Parameters, Production, PublicKey, Signature};

const CHAIN: Root = Root::repeat_byte(0xcc);
/// One more than a client keeps in memory.
const TREES: u64 = 3;
const MOST_PATIENCE: Duration = Duration::from_secs(600);

fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn own_memory(field: &str) -> u64 {
    kilobytes(&std::fs::read_to_string("/proc/self/status").unwrap(), field).unwrap()
}

/// Makes a key with the command. Gives its name.
fn make(scheme: u8, epochs: u64, dir: &Path) -> String {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fresnel"))
        .args(["make-xmss-key", "--first-epoch", "0", "--init-slashing-protection"])
        .args(["--insecure-kdf", "--scheme", &scheme.to_string()])
        .args(["--epochs", &epochs.to_string()])
        .arg("--validators-dir")
        .arg(dir.join("validators"))
        .arg("--secrets-dir")
        .arg(dir.join("secrets"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        // The process may end between the two.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        most = most.max(kilobytes(&status, "VmHWM:").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    println!(
        "scheme {scheme}, {} leaves: made in {:.1} s, at most {} MB resident",
        epochs * LEAVES_PER_EPOCH,
        start.elapsed().as_secs_f64(),
        most.div_ceil(1024)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The signer of a client that starts in an epoch with the key of a directory, which is on record.
fn start(dir: &Path, now: u64) -> (ValidatorsDir, Signer, SignerKey) {
    let validators = ValidatorsDir::open(&dir.join("validators"), &dir.join("secrets")).unwrap();
    let definitions = validators.definitions().unwrap();
    let [definition] = definitions.as_slice() else {
        panic!("one key")
    };
    let unlocked = validators
        .unlock(definition)
        .map_err(|error| error.to_string())
        .unwrap();
    let method = SigningMethod::of(unlocked.key).unwrap();
    let pubkey = method.pubkey();
    let database = SlashingDatabase::open(&validators.path().join(DATABASE_FILE)).unwrap();
    let past = UnknownPast::UntilNow(Epoch::new(now));
    let spec = Arc::new(ChainSpec::minimal());
    // Later than all that is signed: no leaf of an epoch to come is used.
    let clock = SlotClock::manual(0, &spec);
    clock.set_slot(Epoch::new(1 << 20).start_slot::<Minimal>());
    let signer = Signer::start_with(database, vec![method], CHAIN, spec, clock, past).unwrap();
    (validators, signer, pubkey)
}

fn vote(epoch: u64, head: u8) -> AttestationData {
    let checkpoint = |epoch| Checkpoint {
        epoch: Epoch::new(epoch),
        root: Root::ZERO,
    };
    AttestationData {
        slot: Epoch::new(epoch).start_slot::<Minimal>(),
        index: 0,
        beacon_block_root: Root::repeat_byte(head),
        source: checkpoint(epoch - 1),
        target: checkpoint(epoch),
    }
}

async fn sign(signer: &Signer, key: SignerKey, vote: &AttestationData) -> Result<MessageSignature, SigningError> {
    signer.sign(key, SignableMessage::<Minimal>::Attestation(vote)).await
}

fn verify<P: Parameters>(key: SignerKey, vote: &AttestationData, signed: &MessageSignature) {
    let leaf = vote.target.epoch.as_u64() * LEAVES_PER_EPOCH + ATTESTATION_LEAF_USE;
    let root = SignableMessage::<Minimal>::Attestation(vote).signing_root(CHAIN, &ChainSpec::minimal());
    let signature = Signature::<P>::from_bytes(&signed.proofs.first().unwrap().data).unwrap();
    let public = PublicKey::from_bytes(key.as_bytes()).unwrap();
    public.verify(leaf as u32, &root.0, &signature).unwrap();
}

async fn lives<P: Parameters>(scheme: u8) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    let of_a_tree = P::TREE_LEAVES / LEAVES_PER_EPOCH;
    let name = make(scheme, TREES * of_a_tree, dir);

    let before = own_memory("VmRSS:");
    let (validators, signer, key) = start(dir, 0);
    assert_eq!(key.to_string(), name);
    println!(
        "scheme {scheme}: a client with it takes {} MB more",
        own_memory("VmRSS:").saturating_sub(before).div_ceil(1024)
    );
    let keystore_path = validators.keystore_path(key);
    let trees = XmssKeystore::tree_file(&keystore_path);
    // The file is replaced, never changed.
    let file = || std::fs::metadata(&trees).unwrap().ino();
    let made = file();
    for epoch in [1, of_a_tree - 1, of_a_tree] {
        let signed = sign(&signer, key, &vote(epoch, 1)).await.unwrap();
        verify::<P>(key, &vote(epoch, 1), &signed);
    }
    assert_eq!(file(), made, "nothing has moved in the first half of the second tree");

    // From the middle of the second tree on, a thread makes the third; the key goes on signing.
    let sliding = Instant::now();
    let last = 2 * of_a_tree - 1;
    let (mut meanwhile, mut slowest) = (0, Duration::ZERO);
    let mut epoch = of_a_tree * 3 / 2;
    while file() == made {
        let asked = Instant::now();
        let signed = sign(&signer, key, &vote(epoch, 1)).await.unwrap();
        slowest = slowest.max(asked.elapsed());
        verify::<P>(key, &vote(epoch, 1), &signed);
        meanwhile += 1;
        epoch = (epoch + 1).min(last);
        assert!(sliding.elapsed() < MOST_PATIENCE, "the window does not move");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "scheme {scheme}: next tree after {:.1} s on one core, {meanwhile} signatures meanwhile, the slowest {:.0} ms; \
         at most {} MB resident",
        sliding.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1000.0,
        own_memory("VmHWM:").div_ceil(1024)
    );
    assert!(meanwhile > 1, "the key did not sign while the tree was made");
    let next = vote(last + 1, 1);
    let first_of_third = sign(&signer, key, &next).await.unwrap();
    verify::<P>(key, &next, &first_of_third);
    drop((signer, validators));

    // A restart computes nothing, not even for the tree that came last, and knows what was signed.
    let moved = file();
    let computed = AtomicU64::new(0);
    let opened = XmssKeystore::from_file(&keystore_path)
        .unwrap()
        .open(
            &Password::from_file(&dir.join("secrets").join(&name)).unwrap(),
            &trees,
            &|progress| computed.store(progress.done, Ordering::Relaxed),
        )
        .unwrap();
    assert_eq!(computed.load(Ordering::Relaxed), 0);
    assert!(opened.key.is_prepared((last + 1) * LEAVES_PER_EPOCH) && !opened.key.is_prepared(LEAVES_PER_EPOCH));
    drop(opened);
    let restarted = Instant::now();
    let (_validators, signer, again) = start(dir, last + 1);
    assert_eq!(again, key);
    assert_eq!(sign(&signer, key, &next).await.unwrap(), first_of_third);
    println!(
        "scheme {scheme}: the first signature {:.2} s after a restart",
        restarted.elapsed().as_secs_f64()
    );
    let error = sign(&signer, key, &vote(last + 1, 2)).await.unwrap_err();
    assert!(matches!(error, SigningError::Refused(_)), "{error}");
    let latest = vote(TREES * of_a_tree - 1, 1);
    verify::<P>(key, &latest, &sign(&signer, key, &latest).await.unwrap());
    assert_eq!(file(), moved, "there is no fourth tree");
    let error = sign(&signer, key, &vote(TREES * of_a_tree, 1)).await.unwrap_err();
    assert!(matches!(error, SigningError::Exhausted { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_of_lifetime_2_18_lives_as_its_owner_expects() {
    lives::<Devnet>(SHORT_LIVED_XMSS_SCHEME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes three minutes: make xmss-lifetime-test"]
async fn key_of_lifetime_2_32_lives_as_its_owner_expects() {
    lives::<Production>(XMSS_SCHEME).await;
}
