//! A short network whose blocks carry blobs, first two and then three, of which a node does not get half of the columns.

use crate::run::{run, scenario};

/// A third more than the default: nodes recover columns on the cores of one machine.
const SLOT_MS: u64 = 4000;

#[test]
fn blobs_are_available_everywhere_and_columns_are_recovered() {
    let scenario = scenario("blobs-short.yaml");
    let held = run(SLOT_MS, &["--scenario", &scenario, "--genesis-delay=20"]);
    let blobs = held.report["record"]["blobs"]["of_blocks"].as_object().unwrap();
    let blocks_with = |count: u64| blobs.values().filter(|blobs| **blobs == count).count();
    // Slots 2 to 7, and 8 to 17, of which the last may not have been looked at. A quarter of all slots may be empty.
    assert!(blocks_with(2) >= 2, "{blobs:?}");
    assert!(blocks_with(3) >= 5, "{blobs:?}");
    // CUSTODY_REQUIREMENT is 4. A validator attached makes it VALIDATOR_CUSTODY_REQUIREMENT, and node 4 is told to keep all.
    let kept = held.report["record"]["blobs"]["custody"].as_object().unwrap();
    let most_kept = |node: &str| {
        kept[node]
            .as_object()
            .unwrap()
            .values()
            .filter_map(serde_json::Value::as_u64)
            .max()
    };
    assert_eq!(
        ["1", "2", "3", "4"].map(most_kept),
        [8, 8, 8, 128].map(Some),
        "{kept:?}"
    );
}
