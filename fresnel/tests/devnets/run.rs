//! A devnet, from its start to its report.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

pub(crate) const FRESNEL: &str = env!("CARGO_BIN_EXE_fresnel");
/// Percent of the processors' time in a slot: a run in which others had so much of it shows nothing if it fails.
const DISTURBED_PERCENT: u64 = 20;
/// How much longer slots are when it is tried again.
const MORE_TIME: u64 = 3;

/// A devnet in which everything held.
pub(crate) struct Held {
    /// What it printed.
    pub(crate) text: String,
    pub(crate) report: Value,
    dir: TempDir,
}

impl Held {
    /// Where its nodes have their files.
    pub(crate) fn network(&self) -> PathBuf {
        self.dir.path().join("network")
    }
}

/// The path of one of the project's scenarios.
pub(crate) fn scenario(name: &str) -> String {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/devnet/scenarios");
    scenarios.join(name).display().to_string()
}

/// A devnet needs the whole machine.
static MACHINE: Mutex<()> = Mutex::new(());

/// Runs a devnet with more arguments, when no other does. Panics if something did not hold: at the first time, or, if the
/// machine's host gave its time to others, at the second, with longer slots.
pub(crate) fn run(slot_ms: u64, arguments: &[&str]) -> Held {
    // One that has failed leaves the machine to the next.
    let _machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let first = attempt(slot_ms, arguments);
    let held = first.or_else(|failed| match failed.stolen_percent {
        Some(percent) if percent >= DISTURBED_PERCENT => {
            eprintln!("{}\nOthers had {percent} % of the machine: once more", failed.text);
            attempt(slot_ms * MORE_TIME, arguments)
        }
        _ => Err(failed),
    });
    held.unwrap_or_else(|failed| panic!("{}", failed.text))
}

struct Failed {
    text: String,
    /// At worst, if it came to a report.
    stolen_percent: Option<u64>,
}

fn attempt(slot_ms: u64, arguments: &[&str]) -> Result<Held, Failed> {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let output = Command::new(FRESNEL)
        .args(["devnet", "--slot-ms", &slot_ms.to_string()])
        .args(arguments)
        .arg("--dir")
        .arg(dir.path().join("network"))
        .arg("--report")
        .arg(&report)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Option<Value> = std::fs::read(&report)
        .ok()
        .map(|json| serde_json::from_slice(&json).unwrap());
    match report {
        Some(report) if output.status.success() => {
            assert_eq!(report["summary"]["outcome"], "everything held");
            Ok(Held { text, report, dir })
        }
        report => Err(Failed {
            text: format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)),
            stolen_percent: report.and_then(|report| report["summary"]["most_stolen"][1].as_u64()),
        }),
    }
}
