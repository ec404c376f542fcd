//! Scenarios: what is broken when, and what has to hold all the same.

use crate::error::DevnetError;
use crate::events::{self, Event};
use crate::genesis::devnet_spec;
use crate::invariants::{Check, healthy};
use crate::layout::{Layout, NodeNumber, Start};
use crate::length::RunLength;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use types::{ChainSpec, Epoch, Minimal, Slot};

/// Largest scenario file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Its name.
    pub(crate) name: String,
    /// What it shows, for people.
    #[serde(default)]
    pub(crate) about: String,
    /// What the network starts as.
    #[serde(default)]
    pub(crate) start: Start,
    /// First epoch of `dvt`. 0 with groups at genesis.
    #[serde(default)]
    pub(crate) dvt_fork_epoch: u64,
    /// Values of the configuration that are not those of other devnets.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Value>,
    /// Blobs that each block carries, or as many as it can have if that is fewer.
    #[serde(default)]
    pub(crate) blobs: u64,
    /// Nodes that are told to keep all columns.
    #[serde(default)]
    pub(crate) supernodes: Vec<NodeNumber>,
    /// Epochs to run.
    pub(crate) epochs: Option<u64>,
    /// What happens, in any order.
    #[serde(default)]
    pub(crate) events: Vec<Event>,
    /// What has to hold.
    pub(crate) checks: Vec<Check>,
}

impl Default for Scenario {
    /// Nothing is broken.
    fn default() -> Self {
        Self {
            name: "healthy".to_owned(),
            about: String::new(),
            start: Start::Groups,
            dvt_fork_epoch: 0,
            config: BTreeMap::new(),
            blobs: 0,
            supernodes: Vec::new(),
            epochs: None,
            events: Vec::new(),
            checks: healthy(0),
        }
    }
}

impl Scenario {
    /// Reads a file. Whether it can be carried out depends on how long it runs.
    pub(crate) fn read(path: &Path) -> Result<Self, DevnetError> {
        let bytes = keystore::read_limited(path, MAX_BYTES)?;
        serde_yaml_ng::from_slice(&bytes).map_err(|error| DevnetError::Scenario {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Nothing is broken, and blocks have blobs.
    pub(crate) fn with_blobs(count: usize) -> Self {
        let mut scenario = Self {
            checks: healthy(count),
            ..Self::default()
        };
        scenario.checks.push(Check::BlobsPerBlock {
            count,
            percent: 95,
            // The first are handed over in slot 1.
            from_slot: 2,
        });
        scenario.checks.push(Check::Available {
            nodes: Vec::new(),
            from_slot: 0,
        });
        scenario
    }

    /// Whether it needs execution clients that execute transactions.
    pub(crate) fn needs_execution(&self) -> bool {
        self.keeps_books() || self.events.iter().any(|event| event.action.is_transaction())
    }

    /// Whether balances of both layers are looked at.
    pub(crate) fn keeps_books(&self) -> bool {
        self.checks.iter().any(Check::needs_books)
    }

    /// A configuration with the scenario's values in it.
    pub(crate) fn configured(&self, spec: &ChainSpec) -> Result<ChainSpec, String> {
        let mut lines: Vec<String> = spec.to_yaml().lines().map(str::to_owned).collect();
        for (key, value) in &self.config {
            let line = lines
                .iter_mut()
                .find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
                .ok_or_else(|| format!("config: there is no {key} in a configuration"))?;
            // JSON is YAML.
            *line = format!("{key}: {value}");
        }
        let yaml = lines.join("\n");
        ChainSpec::from_yaml(&yaml).map_err(|error| format!("config: {error}"))
    }

    /// Refuses what cannot happen or be seen in a run of some length, with what was expected.
    pub(crate) fn check(&self, length: RunLength) -> Result<(), String> {
        let layout = Layout::new(self.start);
        if self.start != Start::Fulu && self.dvt_fork_epoch != 0 {
            return Err(format!(
                "dvt_fork_epoch is {}, expected 0 with groups from the start; with start: fulu it can be any",
                self.dvt_fork_epoch
            ));
        }
        let any = devnet_spec(1, 3000, Epoch::new(self.dvt_fork_epoch), layout.validators.len() as u64);
        let spec = self.configured(&any)?;
        self.check_blobs(&spec, &layout, length)?;
        events::check(&self.events, &layout, self.dvt_fork_epoch, length)?;
        for check in &self.checks {
            can_be_seen(check, &layout, length).map_err(|reason| format!("check {}: {reason}", check.name()))?;
        }
        Ok(())
    }

    fn check_blobs(&self, spec: &ChainSpec, layout: &Layout, length: RunLength) -> Result<(), String> {
        events::check_named_once("supernodes", &self.supernodes, &mut BTreeSet::new(), layout)?;
        let most = most_blobs(spec, length);
        if self.blobs > most {
            return Err(format!(
                "blobs is {}, expected at most {most}, which a block of this chain can have",
                self.blobs
            ));
        }
        if self.blobs == 0 {
            let event = self.events.iter().find(|event| event.action.needs_blobs());
            let event = event.map(|event| format!("the event at slot {}", event.slot));
            let check = self.checks.iter().find(|check| check.needs_blobs());
            let check = check.map(|check| format!("check {}", check.name()));
            return match event.or(check) {
                Some(what) => Err(format!(
                    "{what} is about blobs, and blocks have none: expected blobs of at least 1"
                )),
                None => Ok(()),
            };
        }
        for check in &self.checks {
            self.can_be_seen_of_blobs(check)
                .map_err(|reason| format!("check {}: {reason}", check.name()))?;
        }
        match self.checks.iter().find(|check| check.needs_books()) {
            Some(check) => Err(format!(
                "check {} explains balances, and fees of blobs are not among what explains them: expected blobs of 0",
                check.name()
            )),
            None => Ok(()),
        }
    }

    /// Refuses what no run of the scenario can show.
    fn can_be_seen_of_blobs(&self, check: &Check) -> Result<(), String> {
        match check {
            Check::BlobsPerBlock { count, .. } if *count as u64 > self.blobs => Err(format!(
                "count is {count}, and blocks get {} blobs: expected no more",
                self.blobs
            )),
            Check::Recovered { node, .. } if !self.supernodes.contains(node) => Err(format!(
                "node {node} may keep fewer than half of all columns, of which none is recovered: expected one of supernodes"
            )),
            _ => Ok(()),
        }
    }
}

/// The most blobs that a block of the run can have.
fn most_blobs(spec: &ChainSpec, length: RunLength) -> u64 {
    let last = Slot::new(length.last_slot()).epoch::<Minimal>();
    let changes = spec.blob_schedule.iter().map(|entry| entry.epoch);
    std::iter::once(Epoch::new(0))
        .chain(changes.filter(|epoch| *epoch <= last))
        .map(|epoch| spec.get_blob_parameters(epoch).max_blobs_per_block)
        .max()
        .unwrap_or_default()
}

/// Refuses a check of what does not exist, or is not seen until the end, or holds whatever happens.
fn can_be_seen(check: &Check, layout: &Layout, length: RunLength) -> Result<(), String> {
    let is_known = |name: &str| {
        let is_newcomer = matches!(check, Check::Deposited { .. }) && layout.newcomer(name).is_some();
        is_newcomer || layout.named(name).is_some()
    };
    if let Some(name) = check.validators().into_iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = layout
            .validators
            .iter()
            .map(|validator| validator.name.as_str())
            .collect();
        return Err(format!(
            "there is no validator {name:?}, expected one of {}",
            known.join(", ")
        ));
    }
    if let Some(node) = check.nodes().iter().find(|node| !(1..=layout.nodes).contains(*node)) {
        return Err(format!("there is no node {node}, expected 1 to {}", layout.nodes));
    }
    if let Some((from, to)) = check.slots() {
        slots_are_seen(from, to, length)?;
    }
    match check {
        Check::BlobsPerBlock { percent, .. } if *percent > 100 => {
            Err(format!("percent is {percent}, expected at most 100"))
        }
        Check::SlotsFilled { percent } if *percent > 100 => Err(format!("percent is {percent}, expected at most 100")),
        Check::Counted { from, to, .. } => epochs_are_seen(*from, *to, length),
        Check::NotCounted { from, to, .. } | Check::LikeOffline { from, to, .. } => {
            epochs_are_seen(*from, Some(*to), length)
        }
        Check::TakesOver {
            threshold, size, by, ..
        } => {
            if !(1..=*size).contains(threshold) {
                return Err(format!(
                    "threshold is {threshold}, expected 1 to the size, which is {size}"
                ));
            }
            epochs_are_seen(*by, None, length)
        }
        Check::SeatVotesWith { by, .. } => epochs_are_seen(*by, None, length),
        _ => Ok(()),
    }
}

fn epochs_are_seen(from: u64, to: Option<u64>, length: RunLength) -> Result<(), String> {
    let last = to.unwrap_or(from);
    if from > last {
        return Err(format!("from epoch {from} to epoch {last} there is none"));
    }
    match length.last_full_epoch() {
        Some(full) if last <= full => Ok(()),
        Some(full) => Err(format!(
            "the votes of epoch {last} are not complete before the end of {length}; those of epoch {full} are"
        )),
        None => Err(format!(
            "the votes of no epoch are complete before the end of {length}; it takes at least 2 epochs"
        )),
    }
}

fn slots_are_seen(from: u64, to: Option<u64>, length: RunLength) -> Result<(), String> {
    let last = to.unwrap_or(from);
    if from > last {
        return Err(format!("from slot {from} to slot {last} there is none"));
    }
    if last > length.last_slot() {
        return Err(format!("slot {last} comes after the end of {length}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn checked(yaml: &str) -> Result<Scenario, String> {
        let scenario: Scenario = serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())?;
        scenario.check(RunLength::new(scenario.epochs)?)?;
        Ok(scenario)
    }

    #[test]
    fn all_scenarios_of_the_project_can_be_run() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let scenario = Scenario::read(&path).unwrap();
            assert_eq!(path.file_stem().unwrap().to_str(), Some(scenario.name.as_str()));
            assert!(scenario.epochs.is_some(), "{}: it ends", scenario.name);
            scenario.check(RunLength::new(scenario.epochs).unwrap()).unwrap();
            names.push(scenario.name);
        }
        names.sort();
        assert_eq!(
            names,
            [
                "blobs",
                "blobs-cut-off",
                "blobs-short",
                "blobs-withheld",
                "fulu-to-groups",
                "hash-based-keys",
                "hash-based-keys-killed",
                "hash-based-keys-stopped",
                "interop",
                "interop-short",
                "kill-in-the-middle",
                "seat-to-hash-based-key",
                "three-of-seven-stopped",
                "two-of-seven-stopped"
            ]
        );
    }

    #[test]
    fn a_devnet_without_a_scenario_needs_two_epochs() {
        let healthy = Scenario::default();
        for epochs in [None, Some(2)] {
            healthy.check(RunLength::new(epochs).unwrap()).unwrap();
        }
        let error = healthy.check(RunLength::new(Some(1)).unwrap()).unwrap_err();
        assert!(
            error.contains("check counted") && error.contains("takes at least 2 epochs"),
            "{error}"
        );
    }

    #[test]
    fn an_error_says_the_file_once_and_the_event() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.yaml");
        let error = Scenario::read(&path).unwrap_err().to_string();
        assert_eq!(error.matches("mine.yaml").count(), 1, "{error}");
        std::fs::write(
            &path,
            "name: x\nchecks: []\nevents:\n- {slot: 7, action: stop, nods: [1]}\n",
        )
        .unwrap();
        let error = Scenario::read(&path).unwrap_err().to_string();
        assert_eq!(error.matches("mine.yaml").count(), 1, "{error}");
        for part in ["events[0]", "`nods`", "line 4"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn blob_parameters_can_change_in_a_run() {
        let scenario = checked(
            "name: x\nepochs: 2\nblobs: 3\nchecks: []\nconfig:\n  BLOB_SCHEDULE:\n  \
             - {EPOCH: 0, MAX_BLOBS_PER_BLOCK: 2}\n  - {EPOCH: 1, MAX_BLOBS_PER_BLOCK: 3}\n",
        )
        .unwrap();
        let spec = scenario.configured(&devnet_spec(1, 3000, Epoch::new(0), 19)).unwrap();
        let most = [0, 1, 2].map(|epoch| spec.get_blob_parameters(Epoch::new(epoch)).max_blobs_per_block);
        assert_eq!(most, [2, 3, 3]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_was_expected() {
        for (yaml, expected) in [
            (
                "checks: []\nevents: [{slot: 1, action: stop, nodes: [10]}]",
                "expected 1 to 9",
            ),
            (
                "checks: []\nepochs: 3\nevents: [{slot: 26, action: heal}]",
                "3 epochs, which ends in slot 25",
            ),
            ("checks: []\nepochs: 0", "epochs is 0, expected 1 to"),
            ("checks: []\ndvt_fork_epoch: 2", "expected 0"),
            ("checks: []\nwhat: 1", "what"),
            (
                "checks: []\nconfig: {SHARD_COMITTEE_PERIOD: 0}",
                "config: there is no SHARD_COMITTEE_PERIOD",
            ),
            (
                "checks: []\nconfig: {SHARD_COMMITTEE_PERIOD: soon}",
                "config: SHARD_COMMITTEE_PERIOD",
            ),
            (
                "checks: []\nconfig: {BLOB_SCHEDULE: [{EPOCH: 1}]}",
                "expected a list of entries with EPOCH and MAX_BLOBS_PER_BLOCK",
            ),
            ("checks: []\nname: y", "duplicate field `name`"),
            ("checks: [{check: luck}]", "luck"),
            ("checks: [{check: one_chain, node: 1}]", "unknown field `node`"),
            (
                "checks: [{check: finality_lag, epochs: 3, from: 1}]",
                "unknown field `from`",
            ),
            (
                "checks: [{check: not_counted, validator: 9-of-9, from: 0, to: 1}]",
                "5-of-7",
            ),
            (
                "checks: [{check: not_counted, validator: 5-of-7, from: 3, to: 2}]",
                "check not_counted: from epoch 3 to epoch 2 there is none",
            ),
            (
                "epochs: 8\nchecks: [{check: counted, from: 2, to: 7}]",
                "check counted: the votes of epoch 7 are not complete before the end of a run of 8 epochs, which ends in slot 65; those of epoch 6",
            ),
            ("epochs: 8\nchecks: [{check: counted, from: 7}]", "those of epoch 6 are"),
            (
                "epochs: 8\nchecks: [{check: fallback, from_slot: 66}]",
                "slot 66 comes after the end",
            ),
            (
                "checks: [{check: proposals_made, validator: 5-of-7, from_slot: 9, to_slot: 8}]",
                "from slot 9 to slot 8 there is none",
            ),
            (
                "checks: [{check: in_sync, node: 10, from_slot: 1, within_slots: 8}]",
                "there is no node 10, expected 1 to 9",
            ),
            (
                "checks: [{check: in_sync, node: 1, from_slot: 1, within_slots: 18446744073709551615}]",
                "comes after the end of a run of at most",
            ),
            ("checks: [{check: slots_filled, percent: 101}]", "percent is 101"),
            (
                "blobs: 10\nchecks: []",
                "blobs is 10, expected at most 9, which a block of this chain can have",
            ),
            (
                "epochs: 2\nblobs: 11\nconfig: {BLOB_SCHEDULE: [{EPOCH: 1, MAX_BLOBS_PER_BLOCK: 10}]}\nchecks: []",
                "blobs is 11, expected at most 10",
            ),
            (
                "epochs: 2\nblobs: 3\nconfig: {BLOB_SCHEDULE: [{EPOCH: 0, MAX_BLOBS_PER_BLOCK: 2}, \
                 {EPOCH: 3, MAX_BLOBS_PER_BLOCK: 3}]}\nchecks: []",
                "blobs is 3, expected at most 2",
            ),
            (
                "supernodes: [0]\nchecks: []",
                "supernodes: there is no node 0, expected 1 to 9",
            ),
            (
                "checks: [{check: available}]",
                "check available is about blobs, and blocks have none",
            ),
            (
                "checks: []\nevents: [{slot: 3, action: block_columns, nodes: [1], columns: all}]",
                "the event at slot 3 is about blobs",
            ),
            (
                "blobs: 1\nchecks: [{check: balances_add_up}]",
                "check balances_add_up explains balances, and fees of blobs are not among",
            ),
            (
                "blobs: 1\nchecks: [{check: blobs_per_block, count: 2, percent: 50}]",
                "check blobs_per_block: count is 2, and blocks get 1 blobs",
            ),
            (
                "blobs: 1\nsupernodes: [5]\nchecks: [{check: recovered, node: 4, from_slot: 1, to_slot: 2}]",
                "check recovered: node 4 may keep fewer than half of all columns",
            ),
            (
                "blobs: 1\nsupernodes: [5, 5]\nchecks: []",
                "supernodes: node 5 is named twice",
            ),
            (
                "blobs: 1\nchecks: [{check: available, nodes: [10]}]",
                "check available: there is no node 10, expected 1 to 9",
            ),
            (
                "epochs: 2\nblobs: 1\nchecks: [{check: keeps_parent, node: 1, from_slot: 9, to_slot: 18}]",
                "check keeps_parent: slot 18 comes after the end",
            ),
            (
                "checks: [{check: takes_over, validator: 5-of-7, threshold: 8, size: 7, by: 1}]",
                "threshold is 8, expected 1 to the size, which is 7",
            ),
        ] {
            let error = checked(&format!("name: x\n{yaml}")).unwrap_err();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}
