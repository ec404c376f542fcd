//! A short network whose blocks carry blobs, of which a node does not get half of the columns.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod scenario_run;

/// A third more than the default: nodes recover columns on the cores of one machine.
const SLOT_MS: &str = "4000";

#[test]
fn blobs_are_available_everywhere_and_columns_are_recovered() {
    let arguments = ["--slot-ms", SLOT_MS, "--genesis-delay=20"];
    let (_, report) = scenario_run::run("blobs-short.yaml", &arguments);
    let blobs = report["record"]["blobs"]["of_blocks"].as_object().unwrap();
    assert!(blobs.values().filter(|blobs| **blobs == 3).count() >= 10, "{blobs:?}");
}
