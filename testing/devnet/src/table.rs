//! The live table; plain lines where the output is no terminal.

use crate::observe::Live;
use crate::record::{EpochRecord, GroupEpoch, Record, SlotRecord};
use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal as _, Write as _, stdout};
use types::constants::{BLS_SCHEME, SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};

/// Slots that the table shows.
const ROWS: u64 = 12;
/// Width if the terminal does not tell.
const DEFAULT_WIDTH: usize = 100;

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
        let width = tcgetwinsize(stdout()).map_or(DEFAULT_WIDTH, |size| usize::from(size.ws_col).max(40));
        let mut lines = vec![
            String::new(),
            format!(
                "slot {}  epoch {}  justified {}  finalised {}  nodes {}  (as node {} sees it; Ctrl-C stops everything)",
                record.last_slot(),
                record.epoch_of(record.last_slot()),
                live.justified,
                live.finalized,
                live.running,
                live.followed
            ),
            slot_header(),
        ];
        let from = (record.last_slot() + 1).saturating_sub(ROWS);
        lines.extend(
            record
                .slots
                .range(from..)
                .map(|(slot, entry)| slot_line(record, *slot, entry)),
        );
        let epoch = record.epoch_of(record.last_slot());
        for (index, group) in &live.groups {
            lines.push(String::new());
            lines.push(balance_line(record, live, *index));
            if epoch > 0 {
                lines.push(format!("  epoch {:>3}  {}", epoch - 1, votes(&group.previous)));
            }
            lines.push(format!("  epoch {epoch:>3}  {}  (so far)", votes(&group.current)));
        }
        let mut out = stdout().lock();
        let _ = write!(out, "{}", self.erase());
        for line in &lines {
            let short: String = line.chars().take(width.saturating_sub(1)).collect();
            let _ = writeln!(out, "{short}");
        }
        let _ = out.flush();
        self.drawn = lines.len();
    }

    fn print(&mut self, record: &Record, live: &Live) {
        let mut out = stdout().lock();
        if !std::mem::replace(&mut self.has_header, true) {
            let _ = writeln!(out, "{}  justified  finalised", slot_header());
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

fn slot_header() -> String {
    format!(
        "{:>5}  {:<10}  {:<16}  {:<22}  {:<10}",
        "slot", "proposer", "signatures", "threshold", "block"
    )
}

fn slot_line(record: &Record, slot: u64, entry: &SlotRecord) -> String {
    let Some(block) = &entry.block else {
        let due = entry.due.map_or_else(|| "?".to_owned(), |index| record.name(index));
        return format!("{slot:>5}  {due:<10}  {:<16}  {:<22}  {:<10}", "", "", "(empty)");
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
                format!(
                    "rank {}, after {} ms",
                    assembly.rank,
                    first.map_or_else(|| "?".to_owned(), |ms| ms.to_string())
                ),
            )
        }
    };
    let root: String = block.root.to_string().chars().take(10).collect();
    format!(
        "{slot:>5}  {:<10}  {signatures:<16}  {threshold:<22}  {root:<10}",
        record.name(block.proposer)
    )
}

/// One mark for each seat: H source, target and head; T source and target; s source only; - nothing.
fn marks(group: &GroupEpoch) -> String {
    let size = u8::try_from(group.size).unwrap_or(u8::MAX);
    (0..size)
        .map(|seat| {
            let has = |seats: &[u8]| seats.contains(&seat);
            match (has(&group.source), has(&group.target), has(&group.head)) {
                (true, true, true) => 'H',
                (true, true, false) => 'T',
                (true, false, _) => 's',
                _ => '-',
            }
        })
        .collect()
}

/// One letter for each seat's scheme, if there are others than BLS: b BLS, x XMSS.
fn schemes(group: &GroupEpoch) -> String {
    if group.schemes.iter().all(|scheme| *scheme == BLS_SCHEME) {
        return String::new();
    }
    let letter = |scheme: &u8| match *scheme {
        BLS_SCHEME => 'b',
        XMSS_SCHEME | SHORT_LIVED_XMSS_SCHEME => 'x',
        _ => '?',
    };
    format!("  keys {}", group.schemes.iter().map(letter).collect::<String>())
}

fn votes(group: &GroupEpoch) -> String {
    if group.size == 0 {
        return "solo".to_owned();
    }
    let word = |seats: &[u8]| if group.counts(seats) { "counted" } else { "no" };
    format!(
        "seats {:<16}{}  source {:<7}  target {:<7}  head {:<7}",
        marks(group),
        schemes(group),
        word(&group.source),
        word(&group.target),
        word(&group.head)
    )
}

fn eth(gwei: u64) -> String {
    format!("{}.{:09} ETH", gwei / 1_000_000_000, gwei % 1_000_000_000)
}

fn balance_line(record: &Record, live: &Live, index: u64) -> String {
    let balance = |index: u64| {
        live.balances
            .get(&index)
            .map_or_else(|| "?".to_owned(), |gwei| eth(*gwei))
    };
    let mut line = format!("{}: {}", record.name(index), balance(index));
    if index == 0 {
        line.push_str(&format!(", its control: {}", balance(record.control)));
    }
    line
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
            votes(&group),
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
        let text = votes(&group);
        assert!(text.contains("target counted") && text.contains("head no"), "{text}");
        assert!(text.contains("keys bbxx"), "{text}");
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

    #[test]
    fn balances_are_shown_to_the_gwei() {
        assert_eq!(eth(2_048_000_000_007), "2048.000000007 ETH");
    }
}
