//! No leaf of an XMSS key signs two messages, and the same request gives the same bytes, wherever in a signature the
//! process is killed.
//!
//! A child process signs with a key of a validators directory and dies by SIGKILL at a chosen step, or whenever its
//! parent kills it. The next child asks for the same again, and for something else at the same leaf, in either order.
//! The parent keeps every signature that ever left a child. `XMSS_CRASHES` is the number of crashes.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails its test")]

use keystore::{Kdf, Password, UnlockedKey, ValidatorsDir, XmssKey, XmssKeystore, XmssSeed, account};
use runtime::SlotClock;
use rustix::process::{Signal, getpid, kill_process};
use signing::{Answer, ClearedMessage, SignableMessage, Signer, SigningKey, SigningMethod};
use slashing_protection::{DATABASE_FILE, SlashingDatabase};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use types::{
    AttestationData, BeaconBlockHeader, ChainSpec, Checkpoint, Epoch, KeySetChange, Leaf, Minimal, Root, SignerKey,
    Slot, ValidatorIndex, VoluntaryExit,
};
use xmss::{Devnet, Opening, PublicKey, Signature};

const DIR: &str = "XMSS_CRASH_DIR";
const POINT: &str = "XMSS_CRASH_POINT";
const SCRIPT: &str = "XMSS_CRASH_SCRIPT";
const CRASHES: &str = "XMSS_CRASHES";
const SCHEME: u8 = 2;
const CHAIN: Root = Root::repeat_byte(0xcc);

/// Where a child dies in its last request; `Anywhere` is up to the parent's clock.
const POINTS: [&str; 6] = ["asked", "recorded", "signed", "answered", "left", "anywhere"];

/// What is asked for: kind, epoch, and which of two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Request {
    kind: u64,
    epoch: u64,
    message: u8,
}

const KINDS: u64 = 5;

impl Request {
    fn to_text(self) -> String {
        format!("{}:{}:{}", self.kind, self.epoch, self.message)
    }

    fn from_text(text: &str) -> Self {
        let mut numbers = text.split(':').map(|number| number.parse::<u64>().unwrap());
        Self {
            kind: numbers.next().unwrap(),
            epoch: numbers.next().unwrap(),
            message: numbers.next().unwrap() as u8,
        }
    }

    /// Runs `work` with the message.
    async fn with<T>(self, work: impl AsyncFnOnce(SignableMessage<'_, Minimal>) -> T) -> T {
        let epoch = Epoch::new(self.epoch);
        let validator_index = ValidatorIndex::new(u64::from(self.message));
        match self.kind {
            // Two kinds of operation share a leaf.
            0 if self.message == 1 => {
                work(SignableMessage::VoluntaryExit(&VoluntaryExit {
                    epoch,
                    validator_index,
                }))
                .await
            }
            0 => {
                let change = KeySetChange {
                    validator_index,
                    sequence: 0,
                    slot: epoch.start_slot::<Minimal>(),
                    threshold: 0,
                    keys: Default::default(),
                };
                work(SignableMessage::KeySetChange(&change)).await
            }
            1 => {
                let checkpoint = |epoch| Checkpoint {
                    epoch,
                    root: Root::ZERO,
                };
                let data = AttestationData {
                    slot: epoch.start_slot::<Minimal>(),
                    index: 0,
                    beacon_block_root: Root::repeat_byte(self.message),
                    source: checkpoint(epoch.saturating_sub(1u64)),
                    target: checkpoint(epoch),
                };
                work(SignableMessage::Attestation(&data)).await
            }
            2 => {
                let header = BeaconBlockHeader {
                    slot: Slot::new(self.epoch * 8 + 3),
                    proposer_index: ValidatorIndex::new(1),
                    parent_root: Root::ZERO,
                    state_root: Root::ZERO,
                    body_root: Root::repeat_byte(self.message),
                };
                work(SignableMessage::Block(&header)).await
            }
            3 => work(SignableMessage::RandaoReveal(epoch)).await,
            _ => {
                work(SignableMessage::SelectionProof(Slot::new(
                    self.epoch * 8 + u64::from(self.message),
                )))
                .await
            }
        }
    }
}

fn die() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    loop {
        std::thread::park();
    }
}

/// A key that dies while it signs, once it is armed.
#[derive(Debug)]
struct DyingKey {
    inner: Arc<dyn SigningKey>,
    /// For the step between signature and answer.
    twin: XmssKey,
    point: String,
    is_armed: AtomicBool,
}

impl SigningKey for DyingKey {
    fn public_key(&self) -> SignerKey {
        self.inner.public_key()
    }

    fn one_time_leaves(&self) -> Option<Range<u64>> {
        self.inner.one_time_leaves()
    }

    fn get_ready(self: Arc<Self>, leaf: u64) {
        Arc::clone(&self.inner).get_ready(leaf);
    }

    fn sign(self: Arc<Self>, message: ClearedMessage, answer: Answer) {
        if self.is_armed.load(Ordering::SeqCst) {
            match self.point.as_str() {
                "recorded" => die(),
                "signed" => {
                    match message.leaf() {
                        Leaf::Signs(leaf) => {
                            self.twin.prepare(leaf, &|_| {}).unwrap();
                            self.twin.sign(leaf, &message.signing_root().0).unwrap();
                        }
                        Leaf::Opens(_) | Leaf::None => {}
                    }
                    die()
                }
                _ => {}
            }
        }
        Arc::clone(&self.inner).sign(message, answer);
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

/// Runs in the child process only.
#[test]
fn crash_child() {
    let Some(root) = std::env::var_os(DIR) else {
        return;
    };
    let root = Path::new(&root);
    let point = std::env::var(POINT).unwrap();
    let script: Vec<Request> = std::env::var(SCRIPT)
        .unwrap()
        .split(' ')
        .map(Request::from_text)
        .collect();

    let dir = ValidatorsDir::open(&root.join("validators"), &root.join("secrets")).unwrap();
    let definitions = dir.definitions().unwrap();
    let [definition] = definitions.as_slice() else {
        panic!("one key")
    };
    let unlocked = dir.unlock(definition).map_err(|error| error.to_string()).unwrap();
    assert!(matches!(unlocked.key, UnlockedKey::Xmss(_)));
    let method = SigningMethod::of(unlocked.key).unwrap();
    let path = dir.keystore_path(method.pubkey());
    let password = Password::from_file(&dir.password_path(method.pubkey())).unwrap();
    let twin = XmssKeystore::from_file(&path)
        .unwrap()
        .open(&password, &XmssKeystore::tree_file(&path), &|_| {})
        .unwrap();
    let key = Arc::new(DyingKey {
        inner: Arc::clone(method.key()),
        twin: twin.key,
        point: point.clone(),
        is_armed: AtomicBool::new(false),
    });

    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    threads.block_on(async {
        let database = SlashingDatabase::open(&root.join(DATABASE_FILE)).unwrap();
        let methods = vec![SigningMethod::new(Arc::clone(&key) as Arc<dyn SigningKey>)];
        // A chain that is old: all leaves are of the past.
        let spec = Arc::new(ChainSpec::minimal());
        let clock = SlotClock::system(0, &spec);
        let signer = Signer::start(database, methods, CHAIN, spec, clock).unwrap();
        for (number, request) in script.iter().enumerate() {
            let is_last = number + 1 == script.len();
            if is_last {
                key.is_armed.store(true, Ordering::SeqCst);
                say("asking");
            }
            if is_last && point == "asked" {
                die();
            }
            let answer = request
                .with(async |message| signer.sign(key.public_key(), message).await)
                .await;
            if is_last && point == "answered" {
                die();
            }
            match answer {
                Ok(signed) => say(&format!(
                    "signature {} {}",
                    request.to_text(),
                    hex(&signed.proofs[0].data)
                )),
                Err(error) => say(&format!("refused {} {error}", request.to_text())),
            }
        }
    });
    // At "left"; the parent that kills anywhere was slower.
    die();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    digits
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Everything that ever left a child.
struct Checker {
    pubkey: PublicKey<Devnet>,
    /// What each leaf signed (nothing for an opening), and its bytes.
    left: HashMap<u64, (Option<Root>, Vec<u8>)>,
    repeated: usize,
}

impl Checker {
    fn new(pubkey: SignerKey) -> Self {
        Self {
            pubkey: PublicKey::from_bytes(pubkey.as_bytes()).unwrap(),
            left: HashMap::new(),
            repeated: 0,
        }
    }

    /// Takes a signature: it must verify, and be the only one of its leaf.
    fn take(&mut self, leaf: Leaf, signing_root: Root, data: Vec<u8>) -> Result<(), String> {
        let (index, message) = match leaf {
            Leaf::Signs(leaf) => {
                let signature = Signature::from_bytes(&data).map_err(|error| error.to_string())?;
                self.pubkey
                    .verify(leaf as u32, &signing_root.0, &signature)
                    .map_err(|error| error.to_string())?;
                (leaf, Some(signing_root))
            }
            Leaf::Opens(leaf) => {
                let opening = Opening::from_bytes(&data).map_err(|error| error.to_string())?;
                self.pubkey
                    .verify_opening(leaf as u32, &opening)
                    .map_err(|error| error.to_string())?;
                if self.left.contains_key(&(leaf ^ 1)) {
                    return Err(format!("sibling of the opened leaf {leaf} is used"));
                }
                (leaf, None)
            }
            Leaf::None => return Err("no leaf".to_owned()),
        };
        match self.left.get(&index) {
            None => {
                self.left.insert(index, (message, data));
                Ok(())
            }
            Some((known, _)) if *known != message => Err(format!("leaf {index} has signed {known:?} and {message:?}")),
            Some((_, known)) if *known != data => Err(format!("leaf {index}: the same request gave other bytes")),
            Some(_) => {
                self.repeated += 1;
                Ok(())
            }
        }
    }
}

#[tokio::test]
async fn killed_at_any_step_no_leaf_signs_twice_and_the_same_request_gives_the_same_bytes() {
    let crashes: u64 = std::env::var(CRASHES).map_or(20, |text| text.parse().unwrap());
    let root = tempfile::tempdir().unwrap();
    let dir = ValidatorsDir::open(&root.path().join("validators"), &root.path().join("secrets")).unwrap();
    let leaves = 0..(crashes + 2) * 64;
    let start = std::time::Instant::now();
    let definition = account::add_xmss_key(
        &dir,
        SCHEME,
        &XmssSeed::new(rand::random()),
        leaves.clone(),
        Kdf::insecure(),
    )
    .unwrap();
    println!("key with leaves {leaves:?}: {:.1} s", start.elapsed().as_secs_f64());
    drop(dir);
    let pubkey = definition.voting_public_key;
    let path = root.path().join(DATABASE_FILE);
    let database = SlashingDatabase::open_or_create(&path).unwrap();
    database.register_one_time_key(&pubkey, 0).unwrap();
    drop(database);

    let mut checker = Checker::new(pubkey);
    let (mut refused, mut by_point) = (0, HashMap::<&str, u64>::new());
    let mut before: Option<Request> = None;
    for round in 0..crashes {
        let request = Request {
            kind: rand::random_range(0..KINDS),
            epoch: round + 1,
            message: 1,
        };
        let mut script: Vec<Request> = before
            .into_iter()
            .flat_map(|same| [same, Request { message: 2, ..same }])
            .collect();
        if rand::random() {
            script.reverse();
        }
        script.push(request);
        before = Some(request);
        let point = POINTS[round as usize % POINTS.len()];
        *by_point.entry(point).or_default() += 1;

        let script: Vec<String> = script.into_iter().map(Request::to_text).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash_child", "--nocapture", "--test-threads=1"])
            .env(DIR, root.path())
            .env(POINT, point)
            .env(SCRIPT, script.join(" "))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut is_asked = false;
        for line in BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
        {
            if line.contains("asking") {
                is_asked = true;
                if point == "anywhere" {
                    // Record and signature take some milliseconds.
                    std::thread::sleep(std::time::Duration::from_micros(rand::random_range(0..12_000)));
                    child.kill().unwrap();
                }
            }
            refused += u64::from(line.contains("refused "));
            let Some((_, rest)) = line.split_once("signature ") else {
                continue;
            };
            let (request, data) = rest.split_once(' ').unwrap();
            let taken = Request::from_text(request)
                .with(async |message| {
                    let signing_root = message.signing_root(CHAIN, &ChainSpec::minimal());
                    checker.take(message.leaf(), signing_root, unhex(data))
                })
                .await;
            taken.unwrap_or_else(|error| panic!("round {round}, killed at {point:?}: {request}: {error}"));
        }
        let status = child.wait().unwrap();
        assert!(
            is_asked,
            "round {round}: the child did not come to its request: {status}"
        );
        assert!(!status.success(), "round {round}: the child was not killed");
    }

    // All that left is on record, as what it is.
    let database = SlashingDatabase::open(&path).unwrap();
    let exported = database.export(None).unwrap();
    let [key] = &exported.one_time_keys[..] else {
        panic!("one key")
    };
    let recorded: HashMap<u64, Option<Root>> = key
        .used_leaves
        .iter()
        .map(|used| (used.leaf, used.signing_root))
        .collect();
    for (leaf, (message, _)) in &checker.left {
        assert_eq!(recorded.get(leaf), Some(message), "leaf {leaf}");
    }
    println!(
        "{crashes} crashes {by_point:?}: {} leaves left a signature, {} requests were repeated, {refused} refused",
        checker.left.len(),
        checker.repeated
    );
    assert!(
        checker.left.len() as u64 >= crashes * 3 / 4,
        "the children signed nothing"
    );
    assert!(checker.repeated > 0 && refused > 0);
}

#[test]
fn checker_notices_two_messages_other_bytes_and_a_wrong_signature() {
    let key = |leaves| XmssKey::generate(SCHEME, &keystore::Seed::from_bytes(&[7; 32]), leaves, &|_| {}).unwrap();
    let key = key(0..1);
    let mut checker = Checker::new(key.pubkey());
    let (first, second) = (Root::repeat_byte(1), Root::repeat_byte(2));
    let sign = |leaf, root: Root| key.sign(leaf, &root.0).unwrap();
    checker.take(Leaf::Signs(32), first, sign(32, first)).unwrap();
    checker.take(Leaf::Signs(32), first, sign(32, first)).unwrap();
    let twice = checker.take(Leaf::Signs(32), second, sign(32, second));
    assert!(twice.unwrap_err().contains("leaf 32 has signed"));
    let wrong = checker.take(Leaf::Signs(33), second, sign(32, second));
    let error = wrong.unwrap_err();
    assert!(
        error.contains("does not verify") || error.contains("no codeword"),
        "{error}"
    );
    checker.take(Leaf::Signs(35), first, sign(35, first)).unwrap();
    let opened = checker.take(Leaf::Opens(34), first, key.open(34).unwrap());
    assert!(opened.unwrap_err().contains("sibling"));
}
