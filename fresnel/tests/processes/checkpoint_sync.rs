//! A fresh node begins with the finalised state of a running network with groups.

use crate::ONE_AT_A_TIME;
use crate::network::{Beacon, BeaconFlags, FRESNEL, Network, Plan, SECRET, now_ms};
use beacon_api::{BeaconClient, ClientConfig, StateId};
use mock_execution::{Block, Header, MockConfig, MockExecution};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use types::{BeaconState, ForkName, ForkVersioned as _, Minimal};

/// The bar.
const MAX_TIME: Duration = Duration::from_secs(30);
const MAX_MEGABYTES: u64 = 400;
const SLOT_MS: u64 = 2_000;
/// `CHECKPOINT_SYNC_EPOCHS` says otherwise: how many the network has behind it.
const EPOCHS: u64 = 4;

/// A devnet that is stopped with its test.
struct Devnet(Child);

impl Drop for Devnet {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        // It ends its own processes when asked to.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
        let _ = self.0.wait();
    }
}

/// Value of a flag of the first line of a file that has it.
fn flag(text: &str, flag: &str) -> Option<String> {
    let rest = text.split(&format!("{flag}=")).nth(1)?;
    Some(rest.split_whitespace().next()?.to_owned())
}

/// The devnet's first node, by the command line that is printed.
async fn first_node(output: &Path) -> BeaconClient {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let text = fs::read_to_string(output).unwrap();
        if let Some(port) = flag(&text, "--http-port") {
            let config = ClientConfig::default();
            return BeaconClient::new(&format!("http://127.0.0.1:{port}"), config).unwrap();
        }
        assert!(Instant::now() < deadline, "{text}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// What a sync has cost.
struct Synced {
    took: Duration,
    peak_kb: u64,
}

impl Synced {
    fn check(&self, epoch: u64) {
        let megabytes = self.peak_kb / 1024;
        println!(
            "checkpoint of epoch {epoch}: the head after {:.1} s, at most {megabytes} MB resident",
            self.took.as_secs_f64()
        );
        assert!(self.took < MAX_TIME, "{:?}", self.took);
        assert!(megabytes <= MAX_MEGABYTES, "{megabytes} MB");
    }
}

/// Has a fresh node of a network begin with what another one has finalised.
pub(crate) async fn join(network: &Network, source: &Beacon) {
    let execution = network.execution_client(|config| config).await;
    let (epoch, _) = source.finalized().await;
    assert!(epoch > 0);
    let flags = BeaconFlags::new(network, "fresh")
        .execution(network, execution.address())
        .with(format!("--boot-nodes={}", source.enr().await))
        .with(format!("--checkpoint-sync-url={}", source.api.name()));
    let synced = sync(network.dir.path(), flags.arguments, flags.http, &source.api).await;
    synced.check(epoch);
}

/// Starts a node with the flags and waits until it has the head of `source`.
async fn sync(dir: &Path, arguments: Vec<String>, http: u16, source: &BeaconClient) -> Synced {
    let log = dir.join("fresh.log");
    let started = Instant::now();
    let process = crate::network::Process::start(Path::new(FRESNEL), &arguments, log);
    let mut node = Beacon {
        process,
        api: crate::network::api(http),
        http,
    };
    node.answering().await;
    node.wait_until("the head of the network", MAX_TIME * 2, async |node| {
        let head = async |client: &BeaconClient| client.header(beacon_api::BlockId::Head).await.unwrap().unwrap().data;
        head(&node.api).await.root == head(source).await.root
    })
    .await;
    let took = started.elapsed();
    // It is a node like the others: it follows, and finalises what they finalise.
    let (epoch, _) = node.finalized().await;
    node.wait_until(
        "finality beyond the checkpoint",
        Duration::from_millis(SLOT_MS * 40),
        async |node| node.finalized().await.0 > epoch,
    )
    .await;
    let (epoch, root) = node.finalized().await;
    let theirs = source.finality_checkpoints(StateId::Head).await.unwrap().data.finalized;
    assert!(
        theirs.epoch.as_u64() != epoch || theirs.root == root,
        "{theirs:?} {epoch} {root}"
    );
    Synced {
        took,
        peak_kb: node.process.peak_kb(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: make checkpoint-sync"]
async fn a_fresh_node_has_the_head_of_a_network_with_groups_soon() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let epochs: u64 = std::env::var("CHECKPOINT_SYNC_EPOCHS").map_or(EPOCHS, |text| text.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let (dir, output) = (temporary.path().join("devnet"), temporary.path().join("output"));
    let child = Command::new(FRESNEL)
        .args(["devnet", "--slot-ms", &SLOT_MS.to_string(), "--dir"])
        .arg(&dir)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _devnet = Devnet(child);
    let source = first_node(&output).await;
    let deadline = Instant::now() + Duration::from_millis(SLOT_MS * 8 * (epochs + 8)) + Duration::from_secs(60);
    let finalized = loop {
        let checkpoints = source.finality_checkpoints(StateId::Head).await;
        let epoch = checkpoints.map_or(0, |answer| answer.data.finalized.epoch.as_u64());
        if epoch > 0 && epoch + 2 >= epochs {
            break epoch;
        }
        assert!(Instant::now() < deadline, "{}", fs::read_to_string(&output).unwrap());
        sleep(Duration::from_millis(500)).await;
    };
    let identity = source.identity().await.unwrap();
    let (port, quic, http) = (
        crate::network::free_port(),
        crate::network::free_port(),
        crate::network::free_port(),
    );
    let execution = new_execution_client(&dir.join("testnet")).await;
    let jwt = temporary.path().join("jwtsecret");
    fs::write(&jwt, "42".repeat(32)).unwrap();
    let arguments = vec![
        "bn".to_owned(),
        format!("--datadir={}", temporary.path().join("fresh").display()),
        format!("--testnet-dir={}", dir.join("testnet").display()),
        "--listen-address=127.0.0.1".to_owned(),
        format!("--port={port}"),
        format!("--quic-port={quic}"),
        "--enr-address=127.0.0.1".to_owned(),
        format!("--enr-tcp-port={port}"),
        format!("--enr-udp-port={port}"),
        format!("--enr-quic-port={quic}"),
        "--enable-private-discovery".to_owned(),
        "--disable-packet-filter".to_owned(),
        "--http".to_owned(),
        format!("--http-port={http}"),
        format!("--boot-nodes={}", identity.enr),
        format!("--checkpoint-sync-url={}", source.name()),
        format!("--execution-endpoint={}", execution.url()),
        format!("--execution-jwt={}", jwt.display()),
    ];
    let synced = sync(temporary.path(), arguments, http, &source).await;
    let log = fs::read_to_string(temporary.path().join("fresh.log")).unwrap();
    assert!(log.contains("The checkpoint is trusted"), "{log}");
    synced.check(finalized);
}

/// An execution client of the devnet's chain that has nothing but the genesis.
async fn new_execution_client(testnet: &Path) -> MockExecution {
    let bytes = fs::read(testnet.join("genesis.ssz")).unwrap();
    let state = BeaconState::<Minimal>::from_ssz_bytes_by_fork(&bytes, ForkName::Dvt).unwrap();
    let first = state.latest_execution_payload_header();
    let genesis = Block::first(Header {
        state_root: first.state_root,
        gas_limit: first.gas_limit,
        timestamp: first.timestamp,
        extra_data: first.extra_data.to_vec().into(),
        base_fee_per_gas: first.base_fee_per_gas,
        ..Header::default()
    });
    assert_eq!(genesis.hash, first.block_hash);
    MockExecution::start(MockConfig::new(SECRET, genesis)).await.unwrap()
}

/// What another network's node offers is refused, and why is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_another_network_is_refused_with_both_values() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let plan = |solo: u32| Plan {
        genesis_ms: now_ms() + 3_600_000,
        slot_ms: SLOT_MS,
        solo: vec![solo],
        with_group: false,
    };
    let (network, other) = (Network::new(&plan(16)), Network::new(&plan(17)));
    let mut source = BeaconFlags::new(&other, "source").start(&other);
    source.answering().await;
    let fails = |network: &Network, name: &str, more: &[&str]| {
        let output = Command::new(FRESNEL)
            .args(&BeaconFlags::new(network, name).arguments)
            .args(more)
            .env("HOME", network.path("home"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let url = format!("--checkpoint-sync-url=http://127.0.0.1:{}", source.http);
    let error = fails(&network, "fresh", &[&url]);
    for root in [network.genesis_validators_root, other.genesis_validators_root] {
        assert!(error.contains(&root.to_string()), "{error}");
    }
    // The right genesis, but not the same rules.
    let config = other.testnet.join("config.yaml");
    let changed: String = fs::read_to_string(&config)
        .unwrap()
        .lines()
        .map(|line| match line.strip_prefix("DEPOSIT_CHAIN_ID: ") {
            Some(_) => "DEPOSIT_CHAIN_ID: 7\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    fs::write(&config, changed).unwrap();
    let error = fails(&other, "fresh", &[&url]);
    for part in ["DEPOSIT_CHAIN_ID", "is 3151908", "expected 7"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // Nobody there.
    let unused = format!("--checkpoint-sync-url=http://127.0.0.1:{}", crate::network::free_port());
    let error = fails(&network, "fresh", &[&unused, "--checkpoint-sync-url-timeout=1"]);
    assert!(
        error.contains("cannot connect") && error.contains("--checkpoint-sync-url-timeout"),
        "{error}"
    );
    source.process.stop();
}
