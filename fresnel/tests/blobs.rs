//! A short network whose blocks carry blobs, of which a node does not get half of the columns.

use std::path::Path;
use std::process::{Command, Stdio};

const FRESNEL: &str = env!("CARGO_BIN_EXE_fresnel");

#[test]
fn blobs_are_available_everywhere_and_columns_are_recovered() {
    let temporary = tempfile::tempdir().unwrap();
    let report = temporary.path().join("report.json");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/devnet/scenarios/blobs-short.yaml");
    let output = Command::new(FRESNEL)
        .args(["devnet", "--slot-ms=4000", "--genesis-delay=20", "--scenario"])
        .arg(scenario)
        .arg("--report")
        .arg(&report)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["summary"]["outcome"], "everything held");
    let blobs = report["record"]["blobs"]["of_blocks"].as_object().unwrap();
    assert!(blobs.values().filter(|blobs| **blobs == 3).count() >= 10, "{blobs:?}");
}
