//! The rules of the house that a machine can check.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

type Edges = BTreeMap<String, BTreeSet<String>>;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Which crate of the workspace uses which, tests apart.
fn actual_edges() -> Edges {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let uses = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"].is_null() && !dependency["path"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), uses)
        })
        .collect()
}

/// The table of `docs/architecture.md`: rows "| `folder/crate` | one line | `a`, `b` |".
fn documented_edges() -> Edges {
    let text = std::fs::read_to_string(workspace().join("docs/architecture.md")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [path, _, uses] = cells.as_slice() else {
                panic!("row of the table with three cells: {line}")
            };
            let name = path.trim_matches('`').rsplit('/').next().unwrap().to_owned();
            let uses = uses.split(',').map(|name| name.trim().trim_matches('`').to_owned());
            (name, uses.filter(|name| !name.is_empty()).collect())
        })
        .collect()
}

#[test]
fn crates_use_exactly_what_the_table_says() {
    let (actual, documented) = (actual_edges(), documented_edges());
    for (name, uses) in &actual {
        let documented = documented
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in docs/architecture.md"));
        assert_eq!(
            uses, documented,
            "{name}: left the manifest, right docs/architecture.md"
        );
    }
    let gone: Vec<_> = documented.keys().filter(|name| !actual.contains_key(*name)).collect();
    assert!(
        gone.is_empty(),
        "in docs/architecture.md, but not in the workspace: {gone:?}"
    );
}

#[test]
fn the_rules_of_the_chain_touch_nothing_outside() {
    for entry in std::fs::read_dir(workspace().join("consensus")).unwrap() {
        let manifest = std::fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        for forbidden in ["tokio", "tracing", "prometheus", "reqwest", "axum"] {
            let line = format!("\n{forbidden}.workspace");
            assert!(
                !dependencies.contains(&line),
                "consensus crate uses {forbidden}:\n{manifest}"
            );
        }
    }
}

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn a_file_holds_one_idea() {
    let mut files = Vec::new();
    for area in ["consensus", "platform", "beacon_node", "validator_client", "testing"] {
        rust_files(&workspace().join(area), &mut files);
    }
    assert!(files.len() > 100, "the sources were found");
    let too_long: Vec<String> = files
        .iter()
        .map(|file| (file, std::fs::read_to_string(file).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(too_long.is_empty(), "longer than {MAX_LINES} lines: {too_long:#?}");
}

/// Past this, a file is probably two.
const MAX_LINES: usize = 700;

#[test]
fn every_metric_is_described_and_nothing_else() {
    /// Of our own metrics, as far as they are in literals.
    const FAMILIES: [&str; 15] = [
        "beacon_",
        "channel_",
        "discovery_",
        "dvt_",
        "execution_layer_",
        "gossipsub_",
        "http_api_",
        "lighthouse_",
        "sync_slots_",
        "libp2p_",
        "network_",
        "process_",
        "slotclock_",
        "store_",
        "vc_",
    ];
    let is_name = |text: &&str| {
        FAMILIES.iter().any(|family| text.starts_with(family))
            && text
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    let mut files = Vec::new();
    let may_have_metrics = |path: &&PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with("metrics.rs") || ["workers.rs", "channels.rs", "start.rs"].contains(&name)
    };
    for area in ["beacon_node", "validator_client", "platform"] {
        rust_files(&workspace().join(area), &mut files);
    }
    let sources: Vec<String> = files
        .iter()
        .filter(may_have_metrics)
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let in_sources: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.split('"').skip(1).step_by(2))
        .filter(is_name)
        .collect();
    let text = std::fs::read_to_string(workspace().join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let described: BTreeSet<&str> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(is_name)
        .collect();
    assert_eq!(in_sources, described, "left the sources, right docs/metrics.md");
}
