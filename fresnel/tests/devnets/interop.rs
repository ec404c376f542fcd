//! A short network on a real execution client, EthereumJS: transactions and a deposit, and what becomes of all balances.
//! Left out, which it says, where Node.js or the client is missing: `make test` installs the client if Node.js is there.

use crate::run::{run, scenario};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two thirds of the default.
const SLOT_MS: u64 = 2000;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Why the network cannot be started here.
fn what_is_missing(client: &Path) -> Option<String> {
    let version = Command::new("node").arg("--version").stderr(Stdio::null()).output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Some("there is no Node.js".to_owned());
    }
    (!client.join("installed").exists()).then(|| format!("{} is not installed", client.display()))
}

#[test]
fn a_deposit_and_transfers_go_through_a_real_execution_client() {
    let client = repository().join("target/ethereumjs");
    if let Some(reason) = what_is_missing(&client) {
        eprintln!("LEFT OUT: {reason}; `make ethereumjs` installs what is needed");
        return;
    }
    let dir = client.display().to_string();
    let scenario = scenario("interop-short.yaml");
    let arguments = [
        "--scenario",
        &scenario,
        "--el=ethereumjs",
        "--genesis-delay=30",
        "--ethereumjs-dir",
        &dir,
    ];
    let held = run(SLOT_MS, &arguments);
    let (text, report) = (&held.text, &held.report);
    let sent = report["record"]["closing"]["sent"].as_array().unwrap();
    assert!(sent.iter().all(|sent| sent["outcome"]["succeeded"] == true), "{sent:?}");
    // One deposit of 32 ETH, which waits for finality.
    let waiting = report["record"]["closing"]["waiting"].as_array().unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0][1], 32_000_000_000u64);
    assert!(text.contains("el-2: node "), "each node has a process: {text}");
}
