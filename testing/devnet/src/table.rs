//! The live table; plain lines where the output is no terminal.

use crate::observe::Live;
use crate::record::{EpochRecord, GroupEpoch, Record, SlotRecord};
use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal as _, Write as _, stdout};
use types::constants::{BLS_SCHEME, SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};

/// Slots that the table shows at most, and at least, however low the terminal is.
const ROWS: usize = 12;
const MIN_ROWS: usize = 3;
/// Columns and lines if the terminal does not tell.
const DEFAULT_SIZE: Size = Size {
    columns: 100,
    lines: 40,
};
/// Columns for the seats of any group in a file or pipe.
const LARGEST_GROUP: usize = 16;
/// From so many columns on, the table has its long form. Its short one fits into 80; what is narrower cuts lines.
const LONG_FORM: usize = 110;

/// Of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    columns: usize,
    lines: usize,
}

impl Size {
    fn of_terminal() -> Self {
        let Ok(size) = tcgetwinsize(stdout()) else {
            return DEFAULT_SIZE;
        };
        let or = |number: u16, default| if number == 0 { default } else { usize::from(number) };
        Self {
            columns: or(size.ws_col, DEFAULT_SIZE.columns),
            lines: or(size.ws_row, DEFAULT_SIZE.lines),
        }
    }
}

/// Shows what happens.
pub(crate) struct Table {
    terminal: bool,
    /// Lines of the table that is on the screen.
    drawn: usize,
    /// Last slot and number of epochs that were printed.
    printed_slot: u64,
    has_header: bool,
    printed_epochs: usize,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            terminal: stdout().is_terminal(),
            drawn: 0,
            printed_slot: 0,
            has_header: false,
            printed_epochs: 0,
        }
    }

    /// Says something beside the table.
    pub(crate) fn say(&mut self, text: &str) {
        let mut out = stdout().lock();
        // A closed pipe is no reason to stop a network.
        let _ = writeln!(out, "{}{text}", self.erase());
        let _ = out.flush();
    }

    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        }
    }

    /// Shows the state of things.
    pub(crate) fn show(&mut self, record: &Record, live: &Live) {
        if self.terminal {
            self.draw(record, live);
        } else {
            self.print(record, live);
        }
    }

    fn draw(&mut self, record: &Record, live: &Live) {
        let size = Size::of_terminal();
        let lines = lines(record, live, size);
        let mut out = stdout().lock();
        let _ = write!(out, "{}", self.erase());
        for line in &lines {
            // A line that is broken by the terminal would not be erased.
            let short: String = line.chars().take(size.columns.saturating_sub(1)).collect();
            let _ = writeln!(out, "{short}");
        }
        let _ = out.flush();
        self.drawn = lines.len();
    }

    fn print(&mut self, record: &Record, live: &Live) {
        let mut out = stdout().lock();
        if !std::mem::replace(&mut self.has_header, true) {
            let _ = writeln!(out, "{}  justified  finalised", slot_header(name_width(record)));
        }
        // The newest block's event may be on its way: it is printed with the next slot.
        let complete = record.last_slot();
        for (slot, entry) in record.slots.range(self.printed_slot + 1..complete) {
            let line = slot_line(record, *slot, entry);
            let _ = writeln!(out, "{line}  {:>9}  {:>9}", live.justified, live.finalized);
            self.printed_slot = *slot;
        }
        for (epoch, entry) in record.epochs.iter().skip(self.printed_epochs) {
            for line in epoch_lines(record, *epoch, entry) {
                let _ = writeln!(out, "{line}");
            }
            self.printed_epochs += 1;
        }
        let _ = out.flush();
    }
}

/// The table of a terminal.
fn lines(record: &Record, live: &Live, size: Size) -> Vec<String> {
    let long = size.columns >= LONG_FORM;
    let mut groups = Vec::new();
    let epoch = record.epoch_of(record.last_slot());
    let seats = live
        .groups
        .values()
        .flat_map(|group| [group.previous.size, group.current.size]);
    let seats = usize::try_from(seats.max().unwrap_or(0)).unwrap_or(0);
    for (index, group) in &live.groups {
        groups.push(String::new());
        groups.push(balance_line(record, live, *index, &group.current));
        if epoch > 0 {
            groups.push(format!(
                "  epoch {:>3}  {}",
                epoch - 1,
                votes(&group.previous, seats, long)
            ));
        }
        groups.push(format!(
            "  epoch {epoch:>3}  {}  (so far)",
            votes(&group.current, seats, long)
        ));
    }
    let view = if long {
        format!("(as node {} sees it; Ctrl-C stops everything)", live.followed)
    } else {
        format!("seen by node {}", live.followed)
    };
    let mut lines = vec![
        String::new(),
        format!(
            "slot {}  epoch {epoch}  justified {}  finalised {}  nodes {}  {view}",
            record.last_slot(),
            live.justified,
            live.finalized,
            live.running,
        ),
        slot_header(name_width(record)),
    ];
    // What is above the upper edge of a terminal cannot be erased.
    let room = size.lines.saturating_sub(lines.len() + groups.len() + 1);
    let rows = room.clamp(MIN_ROWS, ROWS) as u64;
    let from = (record.last_slot() + 1).saturating_sub(rows);
    lines.extend(
        record
            .slots
            .range(from..)
            .map(|(slot, entry)| slot_line(record, *slot, entry)),
    );
    lines.extend(groups);
    lines
}

/// Columns for the name of any validator.
fn name_width(record: &Record) -> usize {
    let names = record.validators.iter().map(|validator| validator.name.chars().count());
    names.max().unwrap_or(0).max(10)
}

fn slot_header(name_width: usize) -> String {
    format!(
        "{:>5}  {:<name_width$}  {:<16}  {:<22}  {:<10}",
        "slot", "proposer", "signatures", "threshold", "block"
    )
}

fn slot_line(record: &Record, slot: u64, entry: &SlotRecord) -> String {
    let name_width = name_width(record);
    let Some(block) = &entry.block else {
        let due = entry
            .due
            .map_or_else(|| "not known".to_owned(), |index| record.name(index));
        return format!(
            "{slot:>5}  {due:<name_width$}  {:<16}  {:<22}  {:<10}",
            "", "", "(empty)"
        );
    };
    let (signatures, threshold) = match &block.assembly {
        _ if block.signers.is_empty() => ("solo".to_owned(), String::new()),
        None => (format!("{} keys", block.signers.len()), String::new()),
        Some(assembly) => {
            let first = assembly.seen.values().map(|times| times.threshold_ms).min();
            (
                format!(
                    "{}/{} (needs {})",
                    block.signers.len(),
                    assembly.size,
                    assembly.threshold
                ),
                match first {
                    Some(ms) => format!("rank {}, after {ms} ms", assembly.rank),
                    None => format!("rank {}", assembly.rank),
                },
            )
        }
    };
    let root: String = block.root.to_string().chars().take(10).collect();
    format!(
        "{slot:>5}  {:<name_width$}  {signatures:<16}  {threshold:<22}  {root:<10}",
        record.name(block.proposer)
    )
}

/// One mark for each seat: H source, target and head; T source and target; t target only, s source only; -
/// nothing.
fn marks(group: &GroupEpoch) -> String {
    let size = u8::try_from(group.size).unwrap_or(u8::MAX);
    (0..size)
        .map(|seat| {
            let has = |seats: &[u8]| seats.contains(&seat);
            match (has(&group.source), has(&group.target), has(&group.head)) {
                (true, true, true) => 'H',
                (true, true, false) => 'T',
                (true, false, _) => 's',
                (false, true, _) => 't',
                (false, false, _) => '-',
            }
        })
        .collect()
}

/// One letter for each seat's scheme, if there are others than BLS: b BLS, x XMSS.
fn schemes(group: &GroupEpoch) -> Option<String> {
    if group.schemes.iter().all(|scheme| *scheme == BLS_SCHEME) {
        return None;
    }
    let letter = |scheme: &u8| match *scheme {
        BLS_SCHEME => 'b',
        XMSS_SCHEME | SHORT_LIVED_XMSS_SCHEME => 'x',
        _ => '?',
    };
    Some(group.schemes.iter().map(letter).collect())
}

/// Who voted, and what of it counts. The marks have columns for so many seats.
fn votes(group: &GroupEpoch, seats: usize, long: bool) -> String {
    if group.size == 0 {
        return "solo".to_owned();
    }
    let word = |seats: &[u8]| if group.counts(seats) { "counted" } else { "no" };
    format!(
        "{}{:<seats$}  source {:<7}  target {:<7}  head {:<7}",
        if long { "seats " } else { "" },
        marks(group),
        word(&group.source),
        word(&group.target),
        word(&group.head)
    )
}

fn eth(gwei: u64) -> String {
    format!("{}.{:09} ETH", gwei / 1_000_000_000, gwei % 1_000_000_000)
}

fn balance_line(record: &Record, live: &Live, index: u64, group: &GroupEpoch) -> String {
    let balance = |index: u64| {
        live.balances
            .get(&index)
            .map_or_else(|| "balance not known yet".to_owned(), |gwei| eth(*gwei))
    };
    let mut line = format!("{}: {}", record.name(index), balance(index));
    if let Some(letters) = schemes(group) {
        line.push_str(&format!(", keys {letters}"));
    }
    if index == 0 {
        line.push_str(&format!(", its control: {}", balance(record.control)));
    }
    line
}

/// Votes as in a file or pipe, where lines are as long as they are.
fn votes_with_keys(group: &GroupEpoch) -> String {
    let votes = votes(group, LARGEST_GROUP, true);
    match schemes(group) {
        Some(letters) => format!("keys {letters}  {votes}"),
        None => votes,
    }
}

/// What an epoch that is over gave the groups.
fn epoch_lines(record: &Record, epoch: u64, entry: &EpochRecord) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, validator) in &entry.validators {
        let known = record.validators.iter().find(|known| known.index == *index);
        if !known.is_some_and(|known| known.group) {
            continue;
        }
        let group = entry.groups.get(index).cloned().unwrap_or_default();
        let mut line = format!(
            "epoch {epoch}  {:<8}  {}  rewards {}/{}/{} Gwei  {}",
            record.name(*index),
            votes_with_keys(&group),
            validator.source,
            validator.target,
            validator.head,
            eth(validator.balance)
        );
        if *index == 0
            && let Some(control) = entry.validators.get(&record.control)
        {
            line.push_str(&format!(
                "  control {}/{}/{} Gwei  {}",
                control.source,
                control.target,
                control.head,
                eth(control.balance)
            ));
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Layout, Start};
    use crate::observe::LiveGroup;
    use crate::record::{Assembly, BlockRecord, Times, ValidatorName};
    use std::collections::BTreeMap;
    use types::Root;

    #[test]
    fn a_seat_shows_what_of_its_vote_is_in_the_chain() {
        let group = GroupEpoch {
            threshold: 2,
            size: 4,
            activation_epoch: 0,
            schemes: vec![0, 0, 1, 2],
            source: vec![0, 1, 2],
            target: vec![0, 1],
            head: vec![0],
        };
        assert_eq!(marks(&group), "HTs-");
        for long in [true, false] {
            let text = votes(&group, 7, long);
            assert!(text.contains("HTs-     source counted"), "{text}");
            assert!(text.contains("target counted") && text.contains("head no"), "{text}");
        }
        let text = votes_with_keys(&group);
        assert!(text.contains("keys bbxx  seats HTs-"), "{text}");
    }

    #[test]
    fn a_group_block_shows_rank_signatures_and_time() {
        let record = Record {
            validators: vec![ValidatorName {
                index: 0,
                name: "5-of-7".to_owned(),
                group: true,
            }],
            ..Record::default()
        };
        let times = |threshold_ms| Times {
            proposal_ms: 10,
            threshold_ms,
        };
        let entry = SlotRecord {
            due: Some(0),
            block: Some(BlockRecord {
                root: Root::repeat_byte(0xab),
                proposer: 0,
                signers: vec![0, 1, 2, 3, 4, 5],
                assembly: Some(Assembly {
                    rank: 1,
                    threshold: 5,
                    size: 7,
                    seen: BTreeMap::from([(1, times(300)), (2, times(250))]),
                }),
            }),
        };
        let line = slot_line(&record, 9, &entry);
        for part in ["5-of-7", "6/7 (needs 5)", "rank 1, after 250 ms", "0xabababab"] {
            assert!(line.contains(part), "{line}");
        }
        let empty = slot_line(
            &record,
            9,
            &SlotRecord {
                due: Some(0),
                block: None,
            },
        );
        assert!(empty.contains("5-of-7") && empty.contains("(empty)"), "{empty}");
    }

    /// A devnet long after its start, with all of its groups.
    fn late(start: Start) -> (Record, Live) {
        let layout = Layout::new(start);
        let mut record = Record::new(&layout, 1_800_000_000, 3000, 8);
        let mut live = Live {
            followed: 9,
            justified: 1248,
            finalized: 1247,
            running: 9,
            ..Live::default()
        };
        for (index, planned) in layout.validators.iter().enumerate() {
            let size = layout.member_accounts(index).len() as u64;
            let index = index as u64;
            live.balances.insert(index, 2_048_000_000_000);
            let group = GroupEpoch {
                threshold: size,
                size,
                schemes: vec![0, 1, 1, 1, 1, 1, 1].into_iter().take(size as usize).collect(),
                source: (0..7).collect(),
                target: (0..7).collect(),
                head: (0..7).collect(),
                ..GroupEpoch::default()
            };
            if size > 0 {
                let both = LiveGroup {
                    previous: group.clone(),
                    current: group,
                };
                live.groups.insert(index, both);
            }
            let assembly = Assembly {
                rank: 2,
                threshold: 16,
                size: 16,
                seen: BTreeMap::from([(
                    1,
                    Times {
                        proposal_ms: 1,
                        threshold_ms: 12_345,
                    },
                )]),
            };
            let block = BlockRecord {
                root: Root::repeat_byte(0xab),
                proposer: index,
                signers: (0..16).collect(),
                assembly: Some(assembly),
            };
            let entry = SlotRecord {
                due: Some(index),
                block: (planned.name != "control").then_some(block),
            };
            record.slots.insert(10_000 - index, entry);
        }
        record.slots.insert(9_983, SlotRecord { due: None, block: None });
        (record, live)
    }

    #[test]
    fn from_80_columns_on_nothing_is_cut() {
        for start in [Start::Groups, Start::Schemes, Start::Fulu] {
            let (record, live) = late(start);
            for columns in 80..=140 {
                for line in lines(&record, &live, Size { columns, lines: 40 }) {
                    // The last column stays empty: some terminals begin a new line there.
                    assert!(line.chars().count() < columns, "{columns} columns: {line}");
                }
            }
        }
    }

    #[test]
    fn both_forms_say_the_same_of_slots_and_votes() {
        let (record, live) = late(Start::Schemes);
        let text = |columns| lines(&record, &live, Size { columns, lines: 50 }).join("\n");
        for text in [text(80), text(130)] {
            for part in [
                "slot 10000  epoch 1250  justified 1248  finalised 1247  nodes 9",
                "5-of-7-mixed: 2048.000000000 ETH, keys bxxxxxx",
                "HHHHHHH  source counted  target counted  head counted",
                "16/16 (needs 16)  rank 2, after 12345 ms  0xabababab",
                "its control: 2048.000000000 ETH",
                "node 9",
            ] {
                assert!(text.contains(part), "{part} is missing in\n{text}");
            }
        }
        assert!(text(130).contains("seats HHHHHHH") && !text(80).contains("seats HHHHHHH"));
    }

    #[test]
    fn the_table_is_not_higher_than_the_terminal() {
        for (start, lowest) in [(Start::Groups, 18), (Start::Schemes, 26), (Start::Fulu, 14)] {
            let (record, live) = late(start);
            for height in lowest..60 {
                let size = Size {
                    columns: 80,
                    lines: height,
                };
                let lines = lines(&record, &live, size);
                assert!(lines.len() < height, "{start:?}: {} lines in {height}", lines.len());
                assert!(lines.iter().filter(|line| line.contains("  0xabab")).count() <= ROWS);
            }
        }
    }

    #[test]
    fn balances_are_shown_to_the_gwei() {
        assert_eq!(eth(2_048_000_000_007), "2048.000000007 ETH");
    }
}
