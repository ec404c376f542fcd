//! What a scenario does to the network, and when.

use crate::layout::{Layout, NodeNumber};
use crate::length::RunLength;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_yaml_ng::{Mapping, Value};
use std::collections::BTreeSet;
use types::{ColumnIndex, Minimal, Preset as _};

/// Longest delay that nodes take an order for, in milliseconds.
const MAX_DELAY_MS: u64 = 60_000;

/// Something that the scenario does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Event {
    /// When: slot.
    pub(crate) slot: u64,
    /// When in the slot, in hundredths of it.
    #[serde(default)]
    pub(crate) percent: u64,
    #[serde(flatten, deserialize_with = "action")]
    pub(crate) action: Action,
}

/// Reads the fields that are left as those of an action alone: unknown ones would be ignored otherwise.
fn action<'de, D: Deserializer<'de>>(fields: D) -> Result<Action, D::Error> {
    let fields = Mapping::deserialize(fields)?;
    serde_yaml_ng::from_value(Value::Mapping(fields)).map_err(D::Error::custom)
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
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
    /// Everybody can reach everybody again. (Unknown fields of a variant without braces are not refused.)
    Heal {},
    /// What leaves nodes is late.
    Delay { nodes: Vec<NodeNumber>, ms: u64 },
    /// From now on these columns, and no others, do not reach nodes from outside.
    BlockColumns { nodes: Vec<NodeNumber>, columns: Columns },
    /// From now on nodes let nobody have these columns, and no others.
    WithholdColumns { nodes: Vec<NodeNumber>, columns: Columns },
    /// Beacon nodes that were stopped have lost all their data, and begin with what another one has finalised.
    StartAfresh { nodes: Vec<NodeNumber>, from: NodeNumber },
    /// The node that runs a solo validator hands it to the nodes that hold keys for it, by a key-set change sent to a
    /// node's Beacon API.
    ChangeKeySet {
        validator: String,
        threshold: u8,
        node: NodeNumber,
    },
    /// A seat of a group of BLS keys gets a new hash-based key, by the commands that an operator uses. The seat's client
    /// stops meanwhile; the others run.
    ReplaceKey { validator: String, seat: u8 },
    /// So many transfers on the execution chain, of so many ETH each.
    Transfer {
        eth: u64,
        #[serde(default = "one")]
        count: u8,
    },
    /// A deposit through the deposit contract, for a validator of the chain or a new one.
    Deposit { validator: String, eth: u64 },
    /// The owner of a validator's stake asks for a part of it by the contract of EIP-7002.
    RequestWithdrawal { validator: String, eth: u64 },
    /// The owner of a validator's stake asks for its exit by the contract of EIP-7002.
    RequestExit { validator: String },
    /// The owner of a validator's stake asks by the contract of EIP-7251 that another gets it.
    RequestConsolidation { validator: String, into: String },
}

/// Which columns a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Columns {
    All,
    /// The lower half of the indices.
    Half,
    None,
}

impl Columns {
    pub(crate) fn indices(self) -> Vec<ColumnIndex> {
        let count = match self {
            Self::All => Minimal::NUMBER_OF_COLUMNS,
            Self::Half => Minimal::NUMBER_OF_COLUMNS / 2,
            Self::None => 0,
        };
        (0..count).collect()
    }
}

fn one() -> u8 {
    1
}

impl Action {
    /// As in scenarios.
    fn name(&self) -> &'static str {
        match self {
            Self::Stop { .. } => "stop",
            Self::Kill { .. } => "kill",
            Self::Start { .. } => "start",
            Self::Cut { .. } => "cut",
            Self::Heal {} => "heal",
            Self::Delay { .. } => "delay",
            Self::BlockColumns { .. } => "block_columns",
            Self::WithholdColumns { .. } => "withhold_columns",
            Self::StartAfresh { .. } => "start_afresh",
            Self::ChangeKeySet { .. } => "change_key_set",
            Self::ReplaceKey { .. } => "replace_key",
            Self::Transfer { .. } => "transfer",
            Self::Deposit { .. } => "deposit",
            Self::RequestWithdrawal { .. } => "request_withdrawal",
            Self::RequestExit { .. } => "request_exit",
            Self::RequestConsolidation { .. } => "request_consolidation",
        }
    }

    /// Its lists of nodes.
    fn node_lists(&self) -> Vec<(&'static str, &[NodeNumber])> {
        match self {
            Self::Stop { nodes }
            | Self::Kill { nodes }
            | Self::Start { nodes }
            | Self::StartAfresh { nodes, .. }
            | Self::Delay { nodes, .. }
            | Self::BlockColumns { nodes, .. }
            | Self::WithholdColumns { nodes, .. } => vec![("nodes", nodes)],
            Self::Cut { between, and } => vec![("between", between), ("and", and)],
            Self::Heal {}
            | Self::ReplaceKey { .. }
            | Self::Transfer { .. }
            | Self::Deposit { .. }
            | Self::RequestWithdrawal { .. }
            | Self::RequestExit { .. }
            | Self::RequestConsolidation { .. } => Vec::new(),
            Self::ChangeKeySet { node, .. } => vec![("node", std::slice::from_ref(node))],
        }
    }

    /// Whether hash-based keys come that were not there at genesis.
    pub(crate) fn makes_hash_based_keys(&self) -> bool {
        matches!(self, Self::ReplaceKey { .. })
    }

    /// Whether it is a transaction on the execution chain.
    pub(crate) fn is_transaction(&self) -> bool {
        matches!(
            self,
            Self::Transfer { .. }
                | Self::Deposit { .. }
                | Self::RequestWithdrawal { .. }
                | Self::RequestExit { .. }
                | Self::RequestConsolidation { .. }
        )
    }

    fn needs_faults(&self) -> bool {
        matches!(
            self,
            Self::Cut { .. }
                | Self::Heal {}
                | Self::Delay { .. }
                | Self::BlockColumns { .. }
                | Self::WithholdColumns { .. }
        )
    }

    /// Whether it is about columns, which only blocks with blobs have.
    pub(crate) fn needs_blobs(&self) -> bool {
        matches!(self, Self::BlockColumns { .. } | Self::WithholdColumns { .. })
    }
}

/// Whether nodes have to take orders to break their connections.
pub(crate) fn need_faults(events: &[Event]) -> bool {
    events.iter().any(|event| event.action.needs_faults())
}

/// Events in the order of their times; those of the same time stay as they are.
pub(crate) fn in_order(events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    events.sort_by_key(|event| (event.slot, event.percent));
    events
}

/// Refuses events that cannot happen, with what was expected.
pub(crate) fn check(events: &[Event], layout: &Layout, dvt_fork_epoch: u64, length: RunLength) -> Result<(), String> {
    let mut running: BTreeSet<NodeNumber> = (1..=layout.nodes).collect();
    let mut changed = BTreeSet::new();
    for event in in_order(events) {
        let check = || {
            check_time(&event, length)?;
            check_nodes(&event.action, layout)?;
            check_running(&event.action, &running)?;
            check_action(&event, layout, dvt_fork_epoch)
        };
        let invalid = |reason| {
            let (time, action) = (time(event.slot, event.percent), event.action.name());
            format!("event at {time} ({action}): {reason}")
        };
        check().map_err(invalid)?;
        match &event.action {
            Action::Stop { nodes } | Action::Kill { nodes } => running.retain(|node| !nodes.contains(node)),
            Action::Start { nodes } | Action::StartAfresh { nodes, .. } => running.extend(nodes),
            Action::ChangeKeySet { validator, .. } | Action::ReplaceKey { validator, .. }
                if !changed.insert(validator.clone()) =>
            {
                return Err(invalid(format!(
                    "{validator} has a change before, expected one at most"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn time(slot: u64, percent: u64) -> String {
    match percent {
        0 => format!("slot {slot}"),
        _ => format!("slot {slot} +{percent} %"),
    }
}

fn check_time(event: &Event, length: RunLength) -> Result<(), String> {
    if event.percent >= 100 {
        return Err(format!("percent is {}, expected less than 100", event.percent));
    }
    if !length.has(event.slot, event.percent) {
        return Err(format!("it would come after the end of {length}"));
    }
    Ok(())
}

fn check_nodes(action: &Action, layout: &Layout) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (field, nodes) in action.node_lists() {
        if nodes.is_empty() {
            return Err(format!("{field} is empty, expected at least one node"));
        }
        check_named_once(field, nodes, &mut seen, layout)?;
    }
    Ok(())
}

/// Nodes that are there, and that are not among those that were seen before.
pub(crate) fn check_named_once(
    field: &str,
    nodes: &[NodeNumber],
    seen: &mut BTreeSet<NodeNumber>,
    layout: &Layout,
) -> Result<(), String> {
    for node in nodes {
        if *node == 0 || *node > layout.nodes {
            return Err(format!(
                "{field}: there is no node {node}, expected 1 to {}",
                layout.nodes
            ));
        }
        if !seen.insert(*node) {
            return Err(format!("{field}: node {node} is named twice, expected once"));
        }
    }
    Ok(())
}

fn check_running(action: &Action, running: &BTreeSet<NodeNumber>) -> Result<(), String> {
    let wants_running = match action {
        Action::Stop { .. } | Action::Kill { .. } | Action::ChangeKeySet { .. } => true,
        Action::StartAfresh { from, .. } if !running.contains(from) => {
            return Err(format!("from: node {from} does not run then"));
        }
        Action::Start { .. } | Action::StartAfresh { .. } => false,
        // Those of a stopped node are in force when it comes back.
        Action::Cut { .. }
        | Action::Heal {}
        | Action::Delay { .. }
        | Action::BlockColumns { .. }
        | Action::WithholdColumns { .. } => return Ok(()),
        // Its member is known by the seat.
        Action::ReplaceKey { .. } => return Ok(()),
        Action::Transfer { .. }
        | Action::Deposit { .. }
        | Action::RequestWithdrawal { .. }
        | Action::RequestExit { .. }
        | Action::RequestConsolidation { .. } => return Ok(()),
    };
    let mut nodes = action.node_lists().into_iter().flat_map(|(_, nodes)| nodes);
    match nodes.find(|node| running.contains(node) != wants_running) {
        Some(node) if wants_running => Err(format!("node {node} does not run then: it was stopped before")),
        Some(node) => Err(format!("node {node} runs then: it was not stopped before")),
        None => Ok(()),
    }
}

fn check_action(event: &Event, layout: &Layout, dvt_fork_epoch: u64) -> Result<(), String> {
    match &event.action {
        Action::Delay { ms, .. } if *ms > MAX_DELAY_MS => Err(format!("ms is {ms}, expected at most {MAX_DELAY_MS}")),
        Action::ChangeKeySet {
            validator, threshold, ..
        } => {
            let members = layout
                .named(validator)
                .and_then(|index| layout.validators.get(index))
                .map_or(0, |planned| planned.future_members.len());
            if members == 0 {
                let changing: Vec<&str> = layout
                    .validators
                    .iter()
                    .filter(|planned| !planned.future_members.is_empty())
                    .map(|planned| planned.name.as_str())
                    .collect();
                return Err(match changing.as_slice() {
                    [] => format!("no node holds a key for {validator:?} to come; start: fulu has such a validator"),
                    names => format!(
                        "no node holds a key for {validator:?} to come, expected {}",
                        names.join(" or ")
                    ),
                });
            }
            if *threshold == 0 || usize::from(*threshold) > members {
                return Err(format!(
                    "threshold is {threshold}, expected 1 to {members}, the number of keys for {validator}"
                ));
            }
            if event.slot / Minimal::slots_per_epoch() < dvt_fork_epoch {
                return Err(format!(
                    "there are no groups before dvt_fork_epoch {dvt_fork_epoch}, expected slot {} or later",
                    dvt_fork_epoch.saturating_mul(Minimal::slots_per_epoch())
                ));
            }
            Ok(())
        }
        Action::Transfer { count: 0, .. } => Err("count is 0, expected at least 1".to_owned()),
        Action::Deposit { eth: 0, .. } => Err("eth is 0, expected at least 1".to_owned()),
        Action::RequestWithdrawal { eth: 0, .. } => {
            Err("eth is 0, expected at least 1: request_exit asks for all".to_owned())
        }
        Action::Deposit { validator, .. } if layout.newcomer(validator).is_some() => Ok(()),
        Action::Deposit { validator, .. }
        | Action::RequestWithdrawal { validator, .. }
        | Action::RequestExit { validator } => is_known(layout, validator),
        Action::RequestConsolidation { validator, into } => {
            is_known(layout, validator)?;
            is_known(layout, into)
        }
        Action::ReplaceKey { validator, seat } if layout.bls_seat(validator, *seat).is_none() => Err(format!(
            "{validator:?} has no BLS key in seat {seat}, expected a group and a seat that has one"
        )),
        _ => Ok(()),
    }
}

fn is_known(layout: &Layout, name: &str) -> Result<(), String> {
    if layout.named(name).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = layout
        .validators
        .iter()
        .map(|validator| validator.name.as_str())
        .collect();
    Err(format!(
        "there is no validator {name:?}, expected one of {}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Start;

    fn read(yaml: &str) -> Result<Vec<Event>, String> {
        serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())
    }

    fn checked(start: Start, yaml: &str) -> Result<(), String> {
        let length = RunLength::new(Some(8)).unwrap();
        check(&read(yaml)?, &Layout::new(start), 2, length)
    }

    #[test]
    fn events_are_read_with_their_time() {
        let events = read(
            "- {slot: 3, percent: 40, action: kill, nodes: [2]}\n\
             - {slot: 9, action: heal}\n\
             - {slot: 4, action: cut, between: [1, 2], and: [3]}\n",
        )
        .unwrap();
        let killed = Event {
            slot: 3,
            percent: 40,
            action: Action::Kill { nodes: vec![2] },
        };
        assert_eq!(events[0], killed);
        assert!(need_faults(&events) && !need_faults(&events[..1]));
        let slots: Vec<u64> = in_order(&events).iter().map(|event| event.slot).collect();
        assert_eq!(slots, [3, 4, 9]);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_event_and_its_name() {
        for (event, expected) in [
            (
                "{slot: 18, percent: 50, action: stop, nodes: [4], node: 4}",
                "unknown field `node`, expected `nodes`",
            ),
            ("{slot: 1, action: heal, nodes: [1]}", "unknown field `nodes`"),
            (
                "{slot: 1, action: cut, between: [1], and: [2], percnt: 3}",
                "unknown field `percnt`",
            ),
            ("{slot: 1, action: stop}", "missing field `nodes`"),
            ("{slot: 1, nodes: [1]}", "missing field `action`"),
            (
                "{slot: 1, action: explode}",
                "unknown variant `explode`, expected one of `stop`",
            ),
            (
                "{slot: 1, action: block_columns, nodes: [1], columns: some}",
                "unknown variant `some`, expected one of `all`, `half`, `none`",
            ),
            ("{action: heal}", "missing field `slot`"),
            ("{slot: -1, action: heal}", "-1"),
            ("{slot: 1, slot: 2, action: heal}", "duplicate field `slot`"),
            ("{slot: 1, action: stop, nodes: [1], nodes: [2]}", "duplicate"),
        ] {
            let error = read(&format!("- {{slot: 1, action: heal}}\n- {event}\n")).unwrap_err();
            for expected in [expected, "[1]", "line 2"] {
                assert!(error.contains(expected), "{event}: {expected}: {error}");
            }
        }
    }

    #[test]
    fn what_cannot_happen_is_refused_with_what_was_expected() {
        for (yaml, expected) in [
            (
                "- {slot: 1, action: stop, nodes: [10]}",
                "event at slot 1 (stop): nodes: there is no node 10, expected 1 to 9",
            ),
            (
                "- {slot: 1, action: cut, between: [1], and: [0]}",
                "and: there is no node 0",
            ),
            ("- {slot: 1, action: stop, nodes: []}", "nodes is empty"),
            ("- {slot: 1, action: stop, nodes: [3, 3]}", "node 3 is named twice"),
            (
                "- {slot: 1, action: cut, between: [1, 2], and: [2]}",
                "and: node 2 is named twice",
            ),
            (
                "- {slot: 1, percent: 100, action: heal}",
                "percent is 100, expected less than 100",
            ),
            (
                "- {slot: 66, action: heal}",
                "event at slot 66 (heal): it would come after the end of a run of 8 epochs, which ends in slot 65",
            ),
            ("- {slot: 18446744073709551615, action: heal}", "ends in slot 65"),
            ("- {slot: 1, action: start, nodes: [1]}", "node 1 runs then"),
            (
                "- {slot: 9, action: kill, nodes: [1]}\n- {slot: 3, action: stop, nodes: [1, 2]}",
                "event at slot 9 (kill): node 1 does not run then",
            ),
            (
                "- {slot: 1, action: stop, nodes: [1, 2]}\n- {slot: 9, action: start_afresh, nodes: [1], from: 2}",
                "event at slot 9 (start_afresh): from: node 2 does not run then",
            ),
            (
                "- {slot: 9, action: start_afresh, nodes: [1], from: 2}",
                "node 1 runs then",
            ),
            (
                "- {slot: 1, action: delay, nodes: [1], ms: 60001}",
                "ms is 60001, expected at most 60000",
            ),
            (
                "- {slot: 16, action: change_key_set, validator: control, threshold: 1, node: 1}",
                "\"control\" to come, expected changing",
            ),
            (
                "- {slot: 16, action: change_key_set, validator: changing, threshold: 8, node: 1}",
                "threshold is 8, expected 1 to 7",
            ),
            (
                "- {slot: 15, action: change_key_set, validator: changing, threshold: 5, node: 1}",
                "expected slot 16 or later",
            ),
            (
                "- {slot: 16, action: change_key_set, validator: changing, threshold: 5, node: 1}\n\
                 - {slot: 20, action: change_key_set, validator: changing, threshold: 4, node: 1}",
                "event at slot 20 (change_key_set): changing has a change before",
            ),
            (
                "- {slot: 1, action: stop, nodes: [1]}\n\
                 - {slot: 16, action: change_key_set, validator: changing, threshold: 5, node: 1}",
                "node 1 does not run then",
            ),
        ] {
            let error = checked(Start::Fulu, yaml).unwrap_err();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
        for (start, validator, seat) in [
            (Start::Groups, "3-of-4", 4),
            (Start::Groups, "control", 0),
            (Start::Schemes, "5-of-7-mixed", 3),
        ] {
            let replace = format!("- {{slot: 1, action: replace_key, validator: {validator}, seat: {seat}}}");
            let error = checked(start, &replace).unwrap_err();
            assert!(error.contains("has no BLS key"), "{error}");
        }
        let twice = "- {slot: 1, action: replace_key, validator: 5-of-7, seat: 1}\n\
             - {slot: 9, action: replace_key, validator: 5-of-7, seat: 2}";
        let error = checked(Start::Groups, twice).unwrap_err();
        assert!(error.contains("5-of-7 has a change before"), "{error}");
        let change = "- {slot: 16, action: change_key_set, validator: control, threshold: 1, node: 1}";
        assert!(checked(Start::Groups, change).unwrap_err().contains("start: fulu"));
    }

    #[test]
    fn what_can_happen_is_not_refused() {
        checked(
            Start::Fulu,
            "- {slot: 0, action: stop, nodes: [1, 2]}\n\
             - {slot: 2, action: start, nodes: [1]}\n\
             - {slot: 2, percent: 1, action: kill, nodes: [1]}\n\
             - {slot: 3, action: delay, nodes: [1], ms: 60000}\n\
             - {slot: 3, action: block_columns, nodes: [1, 3], columns: half}\n\
             - {slot: 4, action: start_afresh, nodes: [2], from: 3}\n\
             - {slot: 5, action: withhold_columns, nodes: [3], columns: none}\n\
             - {slot: 16, action: change_key_set, validator: changing, threshold: 7, node: 9}\n\
             - {slot: 65, percent: 88, action: heal}\n",
        )
        .unwrap();
    }
}
