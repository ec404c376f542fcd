//! Scenarios: what is broken when, and what has to hold all the same.

use crate::error::DevnetError;
use crate::invariants::{Check, healthy};
use crate::layout::{Layout, NodeNumber, Start};
use serde::Deserialize;
use std::path::Path;

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
    /// Epochs to run.
    pub(crate) epochs: Option<u64>,
    /// What happens, in any order.
    #[serde(default)]
    pub(crate) events: Vec<Event>,
    /// What has to hold.
    pub(crate) checks: Vec<Check>,
}

/// Something that the scenario does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Event {
    /// When: slot.
    pub(crate) slot: u64,
    /// When in the slot, in hundredths of it.
    #[serde(default)]
    pub(crate) percent: u64,
    #[serde(flatten)]
    pub(crate) action: Action,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Action {
    /// Beacon nodes and clients are asked to end.
    Stop { nodes: Vec<NodeNumber> },
    /// They are killed (SIGKILL).
    Kill { nodes: Vec<NodeNumber> },
    /// They are started again.
    Start { nodes: Vec<NodeNumber> },
    /// Two sets of nodes cannot reach each other.
    Cut {
        between: Vec<NodeNumber>,
        and: Vec<NodeNumber>,
    },
    /// Everybody can reach everybody again.
    Heal,
    /// What leaves nodes is late.
    Delay { nodes: Vec<NodeNumber>, ms: u64 },
    /// The node that runs a solo validator hands it to the nodes that hold keys for it, by a key-set change sent to a
    /// node's Beacon API.
    ChangeKeySet {
        validator: String,
        threshold: u8,
        node: NodeNumber,
    },
}

impl Action {
    fn nodes(&self) -> Vec<NodeNumber> {
        match self {
            Self::Stop { nodes } | Self::Kill { nodes } | Self::Start { nodes } | Self::Delay { nodes, .. } => {
                nodes.clone()
            }
            Self::Cut { between, and } => between.iter().chain(and).copied().collect(),
            Self::Heal => Vec::new(),
            Self::ChangeKeySet { node, .. } => vec![*node],
        }
    }

    fn needs_faults(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Heal | Self::Delay { .. })
    }
}

impl Default for Scenario {
    /// Nothing is broken.
    fn default() -> Self {
        Self {
            name: "healthy".to_owned(),
            about: String::new(),
            start: Start::Groups,
            dvt_fork_epoch: 0,
            epochs: None,
            events: Vec::new(),
            checks: healthy(),
        }
    }
}

impl Scenario {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, DevnetError> {
        let invalid = |reason: String| DevnetError::Scenario {
            path: path.to_owned(),
            reason,
        };
        let bytes = keystore::read_limited(path, MAX_BYTES).map_err(|error| invalid(error.to_string()))?;
        let scenario: Self = serde_yaml_ng::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        scenario.validate().map_err(invalid)?;
        Ok(scenario)
    }

    /// Whether nodes have to take orders to break their connections.
    pub(crate) fn needs_faults(&self) -> bool {
        self.events.iter().any(|event| event.action.needs_faults())
    }

    fn validate(&self) -> Result<(), String> {
        let layout = Layout::new(self.start);
        if self.start != Start::Fulu && self.dvt_fork_epoch != 0 {
            return Err(format!(
                "dvt_fork_epoch is {}, expected 0 with groups from the start; with start: fulu it can be any",
                self.dvt_fork_epoch
            ));
        }
        for event in &self.events {
            if let Some(node) = event
                .action
                .nodes()
                .iter()
                .find(|node| **node == 0 || **node > layout.nodes)
            {
                return Err(format!(
                    "event at slot {}: there is no node {node}, expected 1 to {}",
                    event.slot, layout.nodes
                ));
            }
            if event.percent >= 100 {
                return Err(format!(
                    "event at slot {}: percent is {}, expected less than 100",
                    event.slot, event.percent
                ));
            }
            if let Action::ChangeKeySet {
                validator, threshold, ..
            } = &event.action
            {
                let members = layout
                    .named(validator)
                    .and_then(|index| layout.validators.get(index))
                    .map_or(0, |planned| planned.future_members.len());
                if members == 0 || usize::from(*threshold) > members || *threshold == 0 {
                    return Err(format!(
                        "event at slot {}: {members} nodes hold a key for {validator:?}; expected a validator with such nodes and a threshold from 1 to their number",
                        event.slot
                    ));
                }
            }
        }
        for check in &self.checks {
            if let Some(name) = check.validators().into_iter().find(|name| layout.named(name).is_none()) {
                let known: Vec<&str> = layout
                    .validators
                    .iter()
                    .map(|validator| validator.name.as_str())
                    .collect();
                return Err(format!(
                    "check {}: there is no validator {name:?}, expected one of {}",
                    check.name(),
                    known.join(", ")
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn parse(yaml: &str) -> Result<Scenario, String> {
        let scenario: Scenario = serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())?;
        scenario.validate()?;
        Ok(scenario)
    }

    #[test]
    fn all_scenarios_of_the_project_can_be_read() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let scenario = Scenario::read(&path).unwrap();
            assert_eq!(path.file_stem().unwrap().to_str(), Some(scenario.name.as_str()));
            assert!(scenario.epochs.is_some(), "{}: it ends", scenario.name);
            names.push(scenario.name);
        }
        names.sort();
        assert_eq!(
            names,
            [
                "fulu-to-groups",
                "hash-based-keys",
                "hash-based-keys-stopped",
                "kill-in-the-middle",
                "three-of-seven-stopped",
                "two-of-seven-stopped"
            ]
        );
    }

    #[test]
    fn events_are_read_with_their_time() {
        let scenario = parse(
            "name: x\nchecks: []\nevents:\n\
             - {slot: 3, percent: 40, action: kill, nodes: [2]}\n\
             - {slot: 9, action: heal}\n\
             - {slot: 4, action: cut, between: [1, 2], and: [3]}\n",
        )
        .unwrap();
        assert_eq!(
            scenario.events[0],
            Event {
                slot: 3,
                percent: 40,
                action: Action::Kill { nodes: vec![2] }
            }
        );
        assert!(scenario.needs_faults());
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_was_expected() {
        for (yaml, expected) in [
            (
                "name: x\nchecks: []\nevents: [{slot: 1, action: stop, nodes: [10]}]",
                "expected 1 to 9",
            ),
            (
                "name: x\nchecks: []\nevents: [{slot: 1, percent: 100, action: heal}]",
                "less than 100",
            ),
            (
                "name: x\nchecks: [{check: not_counted, validator: 9-of-9, from: 0, to: 1}]",
                "5-of-7",
            ),
            ("name: x\nchecks: []\ndvt_fork_epoch: 2", "expected 0"),
            ("name: x\nchecks: [{check: luck}]", "luck"),
            ("name: x\nchecks: []\nwhat: 1", "what"),
            (
                "name: x\nchecks: []\nevents: [{slot: 1, action: change_key_set, validator: control, threshold: 1, node: 1}]",
                "0 nodes hold a key",
            ),
        ] {
            let error = parse(yaml).unwrap_err();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}
