//! A scenario of a devnet, from its start to its report.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const FRESNEL: &str = env!("CARGO_BIN_EXE_fresnel");

/// Runs one of the project's scenarios with more arguments. Gives what it printed and its report. Panics if something did not
/// hold.
pub(crate) fn run(scenario: &str, arguments: &[&str]) -> (String, Value) {
    let temporary = tempfile::tempdir().unwrap();
    let report = temporary.path().join("report.json");
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/devnet/scenarios");
    let output = Command::new(FRESNEL)
        .arg("devnet")
        .args(arguments)
        .arg("--scenario")
        .arg(scenarios.join(scenario))
        .arg("--report")
        .arg(&report)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["summary"]["outcome"], "everything held");
    (text, report)
}
