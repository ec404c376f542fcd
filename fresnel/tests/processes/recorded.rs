//! Every command line that ethereum-package gives to `lighthouse` starts a process that works.

use crate::ONE_AT_A_TIME;
use crate::network::{BeaconFlags, FRESNEL, Network, Plan, Process, api, free_port, now_ms, values};
use beacon_api::{ApiError, BeaconClient, Health};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Recorded from the package itself: see `kurtosis/tests/record.py`.
const RECORDED: &str = include_str!("../../../kurtosis/tests/command_lines.txt");
/// Processes at once.
const BATCH: usize = 6;
/// Kurtosis gives two minutes.
const PORTS_OPEN_WITHIN: Duration = Duration::from_secs(30);
/// The container's address in the record.
const CONTAINER: &str = "192.0.2.1";

/// Lines of a command, each once, but those of public networks, of which none is built in.
fn lines(command: &str) -> Vec<Vec<String>> {
    RECORDED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("--network="))
        .map(|line| line.split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| {
            words
                .iter()
                .find(|word| *word != "lighthouse")
                .is_some_and(|word| word == command)
        })
        .collect()
}

/// What the paths and addresses of containers are here.
struct Mapping<'a> {
    network: &'a Network,
    /// A place for what belongs to this process alone.
    name: String,
    execution: SocketAddr,
    /// Of a beacon node that runs.
    beacon: String,
}

impl Mapping<'_> {
    /// The line as it is started.
    fn map(&self, line: &[String]) -> Vec<String> {
        let keys = self.network.path(&format!("{}-keys", self.name));
        let own = [
            ("datadir", self.network.path(&self.name).display().to_string()),
            ("testnet-dir", self.network.testnet.display().to_string()),
            ("jwt-secrets", self.network.jwt.display().to_string()),
            ("validators-dir", keys.join("keys").display().to_string()),
            ("secrets-dir", keys.join("secrets").display().to_string()),
            ("execution-endpoints", format!("http://{}", self.execution)),
            ("checkpoint-sync-url", self.beacon.clone()),
            ("beacon-nodes", self.beacon.clone()),
        ];
        let own: BTreeMap<&str, String> = own.into_iter().collect();
        // The same port is the same port here.
        let mut ports: BTreeMap<String, u16> = BTreeMap::new();
        let mut mapped = Vec::new();
        for word in line {
            let Some((flag, value)) = word.split_once('=').filter(|(flag, _)| flag.starts_with("--")) else {
                mapped.push(word.clone());
                continue;
            };
            let name = flag.trim_start_matches("--");
            let value = match own.get(name) {
                Some(own) => own.clone(),
                None if name.ends_with("port") => ports.entry(value.to_owned()).or_insert_with(free_port).to_string(),
                // Everybody's ports would be open to the world.
                None => value.replace("0.0.0.0", "127.0.0.1"),
            };
            mapped.push(format!("{flag}={value}"));
        }
        mapped
    }
}

/// This binary under the name by which the lines call it.
fn lighthouse(network: &Network) -> PathBuf {
    let link = network.path("lighthouse");
    if !link.exists() {
        std::os::unix::fs::symlink(FRESNEL, &link).unwrap();
    }
    link
}

fn port(flags: &BTreeMap<&str, &str>, flag: &str) -> Option<u16> {
    flags.get(flag).map(|value| value.parse().unwrap())
}

async fn opens(process: &mut Process, port: u16, deadline: Instant) {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        process.assert_running();
        assert!(Instant::now() < deadline, "port {port} stays closed\n{}", process.log());
        sleep(Duration::from_millis(50)).await;
    }
}

async fn metrics(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// What Kurtosis and ethereum-package ask of a beacon node before they go on.
async fn check_beacon(process: &mut Process, arguments: &[String], deadline: Instant) -> BeaconClient {
    let flags = values(arguments);
    for flag in ["--port", "--http-port", "--metrics-port"] {
        opens(process, port(&flags, flag).unwrap(), deadline).await;
    }
    let client = api(port(&flags, "--http-port").unwrap());
    loop {
        match client.health().await {
            Ok(Health::Ready | Health::Syncing) => break,
            other => {
                process.assert_running();
                assert!(Instant::now() < deadline, "health: {other:?}\n{}", process.log());
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let identity = client.identity().await.unwrap();
    let record: ::network::Enr = identity.enr.parse().unwrap();
    assert_eq!(record.ip4().unwrap().to_string(), CONTAINER);
    let own = |flag| port(&flags, flag);
    assert_eq!(
        (record.tcp4(), record.udp4()),
        (own("--enr-tcp-port"), own("--enr-udp-port"))
    );
    assert!(!identity.p2p_addresses[0].is_empty() && !identity.peer_id.is_empty());
    let text = metrics(own("--metrics-port").unwrap()).await;
    for name in [
        "beacon_head_state_slot",
        "libp2p_peers",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_beacon_node_starts_one_before_genesis() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&Plan {
        genesis_ms: now_ms() + 3_600_000,
        slot_ms: 3_000,
        solo: vec![16],
        with_group: false,
    });
    let execution = network.execution_client(|config| config).await;
    let mut first = BeaconFlags::new(&network, "first")
        .execution(&network, execution.address())
        .start(&network);
    first.answering().await;
    // With an execution client that answers, it has all that it needs.
    first
        .wait_until("readiness", Duration::from_secs(20), async |node| {
            matches!(node.api.health().await, Ok(Health::Ready))
        })
        .await;
    let lines = lines("beacon_node");
    assert!(lines.len() >= 20, "{}", lines.len());
    assert!(
        lines
            .iter()
            .any(|line| line.iter().any(|word| word.starts_with("--checkpoint-sync-url")))
    );
    assert!(
        lines
            .iter()
            .any(|line| !line.iter().any(|word| word.starts_with("--execution-endpoints")))
    );
    let started = Instant::now();
    for (number, batch) in lines.chunks(BATCH).enumerate() {
        let mut processes = Vec::new();
        for (place, line) in batch.iter().enumerate() {
            let name = format!("bn-{number}-{place}");
            let mapping = Mapping {
                network: &network,
                execution: execution.address(),
                beacon: format!("http://127.0.0.1:{}", first.http),
                name: name.clone(),
            };
            let words = mapping.map(line);
            // Every other line in the other form.
            let given = if place % 2 == 1 { split(&words) } else { words.clone() };
            let log = network.path(&format!("{name}.log"));
            processes.push((Process::start(&lighthouse(&network), &given, log), words));
        }
        let deadline = Instant::now() + PORTS_OPEN_WITHIN;
        for (process, arguments) in &mut processes {
            let client = check_beacon(process, arguments, deadline).await;
            let without = !arguments.iter().any(|word| word.starts_with("--execution-endpoints"));
            let syncing = client.syncing().await.unwrap();
            assert!(!syncing.is_syncing);
            if without {
                assert!(syncing.el_offline && process.log().contains("No --execution-endpoint"));
            }
        }
        for (process, _) in processes {
            process.stop();
        }
    }
    println!(
        "{} lines of beacon nodes in {:.1} s",
        lines.len(),
        started.elapsed().as_secs_f64()
    );
}

/// Values as words of their own.
fn split(words: &[String]) -> Vec<String> {
    words
        .iter()
        .flat_map(|word| match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => vec![flag.to_owned(), value.to_owned()],
            _ => vec![word.clone()],
        })
        .collect()
}

/// No beacon node answers, and yet all ports have to open.
#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_validator_client_starts_one_without_a_beacon_node() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&Plan {
        genesis_ms: now_ms() + 3_600_000,
        slot_ms: 3_000,
        solo: vec![4],
        with_group: false,
    });
    let keys = network.write_keys(0);
    let lines = lines("vc");
    assert!(lines.len() >= 15, "{}", lines.len());
    let started = Instant::now();
    for (number, batch) in lines.chunks(BATCH).enumerate() {
        let mut processes = Vec::new();
        for (place, line) in batch.iter().enumerate() {
            let name = format!("vc-{number}-{place}");
            copy(&keys, &network.path(&format!("{name}-keys")));
            let mapping = Mapping {
                network: &network,
                execution: SocketAddr::from(([127, 0, 0, 1], 9)),
                beacon: format!("http://127.0.0.1:{}", free_port()),
                name: name.clone(),
            };
            let words = mapping.map(line);
            let given = if place % 2 == 1 { split(&words) } else { words.clone() };
            let log = network.path(&format!("{name}.log"));
            processes.push((Process::start(&lighthouse(&network), &given, log), words));
        }
        let deadline = Instant::now() + PORTS_OPEN_WITHIN;
        for (process, words) in &mut processes {
            let flags = values(words);
            for flag in ["--metrics-port", "--http-port"] {
                if let Some(port) = port(&flags, flag) {
                    opens(process, port, deadline).await;
                }
            }
            let metrics_port = port(&flags, "--metrics-port").unwrap();
            while !metrics(metrics_port).await.contains("vc_validators_enabled_count 4") {
                process.assert_running();
                assert!(Instant::now() < deadline, "{}", process.log());
                sleep(Duration::from_millis(100)).await;
            }
        }
        for (process, _) in processes {
            process.stop();
        }
    }
    println!(
        "{} lines of validator clients in {:.1} s",
        lines.len(),
        started.elapsed().as_secs_f64()
    );
}

/// With modes and all.
fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
}

/// Past genesis: the package's own lines for node and client are a network, with a node that has no execution client.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_lines_are_a_network_that_goes_on() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&Plan {
        genesis_ms: now_ms() + 6_000,
        slot_ms: 2_000,
        solo: vec![16],
        with_group: false,
    });
    let execution = network.execution_client(|config| config).await;
    let mapping = |name: &str, beacon: String| Mapping {
        network: &network,
        execution: execution.address(),
        beacon,
        name: name.to_owned(),
    };
    let words = mapping("bn", String::new()).map(&lines("beacon_node")[0]);
    let log = network.path("bn.log");
    let mut beacon = Process::start(&lighthouse(&network), &words, log);
    let client = check_beacon(&mut beacon, &words, Instant::now() + PORTS_OPEN_WITHIN).await;
    let url = format!("http://127.0.0.1:{}", values(&words)["--http-port"]);
    copy(&network.write_keys(0), &network.path("vc-keys"));
    let words = split(&mapping("vc", url).map(&lines("vc")[0]));
    let mut validator = Process::start(&lighthouse(&network), &words, network.path("vc.log"));

    // It follows without verifying: it has the head, and says what it is.
    let mut follower = BeaconFlags::new(&network, "follower")
        .with(format!("--boot-nodes={}", client.identity().await.unwrap().enr))
        .with(format!("--libp2p-addresses={}", loopback_address(&client).await))
        .start(&network);
    follower.answering().await;
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let syncing = client.syncing().await.unwrap();
        let following = follower.api.syncing().await.unwrap();
        if syncing.head_slot.as_u64() >= 4 && following.head_slot.as_u64() >= 4 {
            assert!(!syncing.is_optimistic && !syncing.el_offline);
            assert!(following.is_optimistic && following.el_offline);
            assert_eq!(client.health().await.unwrap(), Health::Ready);
            assert_eq!(follower.api.health().await.unwrap(), Health::Syncing);
            break;
        }
        for process in [&mut beacon, &mut validator, &mut follower.process] {
            process.assert_running();
        }
        assert!(
            Instant::now() < deadline,
            "{syncing:?} {following:?}\n{}\n{}\n{}",
            beacon.log(),
            validator.log(),
            follower.process.log()
        );
        sleep(Duration::from_millis(250)).await;
    }
    // What it has not verified nobody is to sign.
    let slot = types::Slot::new(network.slot_now());
    let error = follower.api.attestation_data(slot, 0).await.unwrap_err();
    assert!(matches!(error, ApiError::Status { status: 503, .. }), "{error}");
    for process in [validator, beacon, follower.process] {
        process.stop();
    }
}

/// The node's address as others on this machine reach it: its record has the container's.
async fn loopback_address(client: &BeaconClient) -> String {
    let identity = client.identity().await.unwrap();
    let address = identity
        .p2p_addresses
        .iter()
        .find(|address| address.contains("/tcp/"))
        .unwrap();
    let rest = address.split("/tcp/").nth(1).unwrap();
    format!("/ip4/127.0.0.1/tcp/{rest}")
}
