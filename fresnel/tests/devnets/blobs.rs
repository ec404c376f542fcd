//! A short network whose blocks carry blobs, of which a node does not get half of the columns.

use crate::run::{run, scenario};

/// A third more than the default: nodes recover columns on the cores of one machine.
const SLOT_MS: u64 = 4000;

#[test]
fn blobs_are_available_everywhere_and_columns_are_recovered() {
    let scenario = scenario("blobs-short.yaml");
    let held = run(SLOT_MS, &["--scenario", &scenario, "--genesis-delay=20"]);
    let blobs = held.report["record"]["blobs"]["of_blocks"].as_object().unwrap();
    assert!(blobs.values().filter(|blobs| **blobs == 3).count() >= 10, "{blobs:?}");
}
