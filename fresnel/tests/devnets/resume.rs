//! The binary as a user starts it: a short devnet, and afterwards one of its nodes alone on what is on disk.

use crate::run::{FRESNEL, run};
use beacon_api::{BeaconClient, BlockId, ClientConfig, Health};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const EPOCHS: u64 = 2;
const SLOTS_PER_EPOCH: u64 = 8;
/// Twice the default: other tests may use the machine, too.
const SLOT_MS: u64 = 6000;

/// Processes that have the directory on their command line.
fn processes_of(dir: &Path) -> usize {
    let dir = dir.to_string_lossy();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(&*dir))
        .count()
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is no error.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn answering(client: &BeaconClient) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while client.health().await.is_err() {
        assert!(Instant::now() < deadline, "the node does not answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_devnet_runs_ends_and_leaves_nodes_that_resume_from_disk() {
    let held = run(SLOT_MS, &["--epochs", &EPOCHS.to_string()]);
    let dir = held.network();
    assert_eq!(processes_of(&dir), 0, "the devnet leaves no process behind");
    let summary = &held.report["summary"];
    assert!(
        summary["slots_with_block"].as_u64().unwrap() >= EPOCHS * SLOTS_PER_EPOCH * 95 / 100,
        "{summary}"
    );

    let port = free_port();
    let node = Command::new(FRESNEL)
        .args([
            "bn",
            "--disable-discovery",
            "--listen-address=127.0.0.1",
            "--port=0",
            "--quic-port=0",
            "--http",
        ])
        .arg(format!("--http-port={port}"))
        .arg(format!("--datadir={}", dir.join("node-9/beacon").display()))
        .arg(format!("--testnet-dir={}", dir.join("testnet").display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut node = Running(node);
    let client = BeaconClient::new(&format!("http://127.0.0.1:{port}"), ClientConfig::default()).unwrap();
    answering(&client).await;
    let head = client.header(BlockId::Head).await.unwrap().unwrap().data;
    let last = EPOCHS * SLOTS_PER_EPOCH - 2;
    assert!(
        head.header.message().slot.as_u64() >= last,
        "resumed at {}",
        head.header.message().slot
    );
    // Without an execution client nothing is verified, and a client must know.
    assert_ne!(client.health().await.unwrap(), Health::Ready);
    kill_process(Pid::from_raw(i32::try_from(node.0.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    assert!(node.0.wait().unwrap().success(), "Ctrl-C is a clean end");
}

#[test]
fn mistakes_on_the_command_line_say_what_to_do() {
    let error = |arguments: &[&str]| {
        let output = Command::new(FRESNEL).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(error(&["bn"]).contains("--testnet-dir"));
    assert!(error(&["bn", "--testnet-dir", "/nowhere"]).contains("/nowhere/config.yaml: no such file"));
    assert!(error(&["bn", "--htp"]).contains("--http"));
    assert!(error(&["vc", "--network=mainnet"]).contains("--testnet-dir"));
}
