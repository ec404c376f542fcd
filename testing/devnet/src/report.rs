//! The report: everything that was seen, and what follows from it.

use crate::books;
use crate::error::DevnetError;
use crate::invariants::{Check, Violation};
use crate::record::{Record, percentile};
use crate::rewards::{Difference, rewards_like_control};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) summary: Summary,
    pub(crate) checks: &'a [Check],
    pub(crate) violations: &'a [Violation],
    /// By process.
    pub(crate) command_lines: &'a BTreeMap<String, String>,
    pub(crate) record: &'a Record,
}

/// Part of the processors' time from which on it is said that others had it.
const NOTABLE_PERCENT: u64 = 10;

/// The figures that one looks for first.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) outcome: String,
    pub(crate) slots: usize,
    pub(crate) slots_with_block: usize,
    pub(crate) full_epochs: usize,
    pub(crate) finalized_epoch: u64,
    /// Of group blocks, by leader rank.
    pub(crate) group_blocks_by_rank: BTreeMap<u64, usize>,
    pub(crate) threshold_ms: Distribution,
    /// If blocks have any.
    pub(crate) blobs: Option<BlobCount>,
    /// Epochs in which the first group and its control were paid differently because one saw another head.
    pub(crate) reward_differences: Vec<Difference>,
    pub(crate) largest_beacon_node_mb: u64,
    pub(crate) largest_validator_client_mb: u64,
    /// 0 if none is a process.
    pub(crate) largest_execution_client_mb: u64,
    /// Part of the processors' time that the machine's host gave to others. `None` where the kernel does not tell.
    pub(crate) stolen_percent: Option<u64>,
    /// The slot in which that was most, and how much.
    pub(crate) most_stolen: Option<(u64, u64)>,
    /// Numbers of both layers, for people.
    #[serde(skip)]
    pub(crate) books: Option<String>,
}

/// From the start of the slot to the threshold of a group's block, over all such blocks and all nodes.
#[derive(Debug, Serialize)]
pub(crate) struct Distribution {
    pub(crate) samples: usize,
    pub(crate) min: Option<u64>,
    pub(crate) median: Option<u64>,
    pub(crate) p95: Option<u64>,
    pub(crate) max: Option<u64>,
}

/// Blobs of the chain.
#[derive(Debug, Serialize)]
pub(crate) struct BlobCount {
    pub(crate) blobs: usize,
    pub(crate) blocks: usize,
    /// Blocks whose columns nodes have recovered, each counted at each node.
    pub(crate) recovered: u64,
}

impl BlobCount {
    fn of(record: &Record) -> Option<Self> {
        let seen = record.blobs.as_ref()?;
        let blocks = record.slots.values().filter_map(|slot| slot.block.as_ref());
        let of_blocks: Vec<usize> = blocks
            .filter_map(|block| seen.of_blocks.get(&block.root).copied())
            .filter(|blobs| *blobs > 0)
            .collect();
        let counted = seen.recoveries.values().filter_map(|counts| counts.values().max());
        Some(Self {
            blobs: of_blocks.iter().sum(),
            blocks: of_blocks.len(),
            recovered: counted.sum(),
        })
    }

    fn text(&self) -> String {
        let recovered = match self.recovered {
            0 => String::new(),
            count => format!("; columns recovered from half of them: of {count} blocks"),
        };
        format!("blobs: {} in {} blocks{recovered}", self.blobs, self.blocks)
    }
}

impl Summary {
    pub(crate) fn new(record: &Record, outcome: String) -> Self {
        let times = record.times_to_threshold();
        let mut group_blocks_by_rank = BTreeMap::new();
        for block in record.slots.values().filter_map(|slot| slot.block.as_ref()) {
            if let Some(assembly) = &block.assembly {
                *group_blocks_by_rank.entry(assembly.rank).or_default() += 1;
            }
        }
        let largest = |role: &str| {
            let peaks = record.processes.iter().filter(|(name, _)| name.starts_with(role));
            let largest = peaks.map(|(_, process)| process.peak_resident_kb).max();
            largest.unwrap_or(0).div_ceil(1024)
        };
        let stolen = &record.stolen_percent;
        Self {
            outcome,
            slots: record.slots.len(),
            slots_with_block: record.slots.values().filter(|slot| slot.block.is_some()).count(),
            full_epochs: record.epochs.len(),
            finalized_epoch: record.finality.iter().map(|sample| sample.finalized).max().unwrap_or(0),
            group_blocks_by_rank,
            threshold_ms: Distribution {
                samples: times.len(),
                min: percentile(&times, 0),
                median: percentile(&times, 50),
                p95: percentile(&times, 95),
                max: percentile(&times, 100),
            },
            blobs: BlobCount::of(record),
            reward_differences: rewards_like_control(record).0,
            largest_beacon_node_mb: largest("bn"),
            largest_validator_client_mb: largest("vc"),
            largest_execution_client_mb: largest("el"),
            stolen_percent: stolen.values().sum::<u64>().checked_div(stolen.len() as u64),
            most_stolen: stolen
                .iter()
                .map(|(slot, percent)| (*slot, *percent))
                .max_by_key(|(_, percent)| *percent),
            books: books::text(record),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut lines: Vec<String> = self.books.iter().cloned().collect();
        lines.extend([format!("outcome: {}", self.outcome), self.chain(), self.group_blocks()]);
        lines.extend(self.blobs.as_ref().map(BlobCount::text));
        lines.push(self.memory());
        lines.extend(self.machine());
        for difference in &self.reward_differences {
            lines.push(format!(
                "epoch {}: head reward of the group {} Gwei, of its control {}: {}",
                difference.epoch, difference.group_head, difference.control_head, difference.reason
            ));
        }
        lines.join("\n")
    }

    fn chain(&self) -> String {
        if self.slots == 0 {
            return "no slot was looked at: nothing is known of the chain".to_owned();
        }
        let epochs = match self.full_epochs {
            0 => "no epoch was over long enough to know all its votes".to_owned(),
            count => format!("full epochs: {count}"),
        };
        let finality = match self.finalized_epoch {
            0 => "nothing finalised but the genesis".to_owned(),
            epoch => format!("finalised epoch: {epoch}"),
        };
        format!(
            "slots with a block: {} of {}; {epochs}; {finality}",
            self.slots_with_block, self.slots
        )
    }

    fn group_blocks(&self) -> String {
        let ranks: Vec<String> = self
            .group_blocks_by_rank
            .iter()
            .map(|(rank, blocks)| format!("{blocks} of rank {rank}"))
            .collect();
        let times = &self.threshold_ms;
        let (Some(min), Some(median), Some(p95), Some(max)) = (times.min, times.median, times.p95, times.max) else {
            return "group blocks: none was seen, so it is not known how long the threshold takes".to_owned();
        };
        format!(
            "group blocks: {}; threshold reached after {min} ms at best, {median} median, {p95} for 95 %, {max} at worst ({} samples)",
            ranks.join(", "),
            times.samples
        )
    }

    /// Only if it may have had to do with what was seen.
    fn machine(&self) -> Option<String> {
        let (percent, (slot, most)) = (self.stolen_percent?, self.most_stolen?);
        (most >= NOTABLE_PERCENT).then(|| {
            format!(
                "the host of this machine gave {percent} % of the processors' time to others, {most} % at worst, around slot \
                 {slot}: what came late may have been late for that; a longer --slot-ms gives more room"
            )
        })
    }

    fn memory(&self) -> String {
        let mb = |role: &str, largest: u64| match largest {
            0 => format!("{role} not known"),
            mb => format!("{role} {mb} MB"),
        };
        let mut text = format!(
            "largest resident memory: {}, {}",
            mb("beacon node", self.largest_beacon_node_mb),
            mb("validator client", self.largest_validator_client_mb)
        );
        if self.largest_execution_client_mb > 0 {
            text.push_str(&format!(", execution client {} MB", self.largest_execution_client_mb));
        }
        text
    }
}

/// The absolute path of a report that can be written as far as one can know before a run.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf, DevnetError> {
    let refused = |reason: String| DevnetError::Report {
        path: path.to_owned(),
        reason,
    };
    // A run may replace the directory that relative paths begin at: it is an empty one that --dir names.
    let absolute = std::path::absolute(path).map_err(|error| refused(error.to_string()))?;
    if absolute.is_dir() {
        return Err(refused("is a directory: name a file in it".to_owned()));
    }
    let (Some(parent), Some(_)) = (absolute.parent(), absolute.file_name()) else {
        return Err(refused("expected the path of a file".to_owned()));
    };
    let shown = parent.display();
    if !parent.is_dir() {
        return Err(refused(format!(
            "there is no directory {shown}: create it first, or name a file in another"
        )));
    }
    // Rights alone do not say it: the file system may be read-only.
    tempfile::tempfile_in(parent).map_err(|error| {
        refused(format!(
            "{shown} cannot be written to ({error}): name a file in another directory"
        ))
    })?;
    Ok(absolute)
}

/// Writes a report, complete or not at all.
pub(crate) fn write(path: &Path, report: &Report<'_>) -> Result<(), DevnetError> {
    let failed = |source| DevnetError::File {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let json = serde_json::to_vec_pretty(report).map_err(|error| failed(error.into()))?;
    keystore::write_atomically(path, &json).map_err(|error| failed(std::io::Error::other(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs_seen::BlobsSeen;
    use crate::record::{Assembly, BlockRecord, SlotRecord, Times};
    use types::Root;

    #[test]
    fn a_run_stopped_at_once_says_what_is_not_known() {
        let text = Summary::new(&Record::default(), "stopped by Ctrl-C".to_owned()).text();
        for part in [
            "outcome: stopped by Ctrl-C",
            "nothing is known of the chain",
            "group blocks: none was seen, so it is not known",
            "beacon node not known, validator client not known",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('?'), "{text}");
    }

    #[test]
    fn a_group_block_gives_ranks_and_times() {
        let assembly = Assembly {
            rank: 1,
            threshold: 5,
            size: 7,
            seen: BTreeMap::from([(
                1,
                Times {
                    proposal_ms: 10,
                    threshold_ms: 90,
                },
            )]),
        };
        let block = BlockRecord {
            root: Root::ZERO,
            proposer: 0,
            signers: vec![0, 1, 2, 3, 4],
            assembly: Some(assembly),
        };
        let mut record = Record::default();
        let entry = SlotRecord {
            due: Some(0),
            block: Some(block),
        };
        record.slots.insert(1, entry);
        let text = Summary::new(&record, String::new()).text();
        assert!(
            text.contains("slots with a block: 1 of 1; no epoch was over long enough to know all its votes; nothing"),
            "{text}"
        );
        assert!(
            text.contains("group blocks: 1 of rank 1; threshold reached after 90 ms at best, 90 median"),
            "{text}"
        );
    }

    #[test]
    fn blobs_of_the_chain_are_counted_and_those_of_other_blocks_are_not() {
        let root = Root::repeat_byte;
        let block = |byte| BlockRecord {
            root: root(byte),
            proposer: 0,
            signers: Vec::new(),
            assembly: None,
        };
        let mut record = Record::default();
        for byte in 1..=3u8 {
            let due = None;
            let block = Some(block(byte));
            record.slots.insert(u64::from(byte), SlotRecord { due, block });
        }
        let said = |record: &Record| Summary::new(record, String::new()).text();
        assert!(!said(&record).contains("blobs"));
        let mut seen = BlobsSeen {
            of_blocks: BTreeMap::from([(root(1), 0), (root(2), 3), (root(3), 2), (root(4), 3)]),
            ..BlobsSeen::default()
        };
        record.blobs = Some(seen.clone());
        assert!(said(&record).contains("\nblobs: 5 in 2 blocks\n"), "{}", said(&record));
        seen.recoveries = BTreeMap::from([(4, BTreeMap::from([(5, 1), (6, 2)])), (5, BTreeMap::from([(6, 1)]))]);
        record.blobs = Some(seen);
        assert!(
            said(&record).contains("recovered from half of them: of 3 blocks"),
            "{}",
            said(&record)
        );
    }

    #[test]
    fn that_the_machine_was_used_by_others_is_said() {
        let mut record = Record {
            stolen_percent: BTreeMap::from([(1, 0), (2, 9)]),
            ..Record::default()
        };
        let summary = Summary::new(&record, String::new());
        assert_eq!((summary.stolen_percent, summary.most_stolen), (Some(4), Some((2, 9))));
        assert!(!summary.text().contains("host"), "{}", summary.text());
        record.stolen_percent.insert(3, 51);
        let text = Summary::new(&record, String::new()).text();
        let said = "gave 20 % of the processors' time to others, 51 % at worst, around slot 3";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn a_report_that_could_not_be_written_is_refused_before_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| prepare(path).unwrap_err().to_string();
        let missing = dir.path().join("no/where/r.json");
        let error = refused(&missing);
        assert!(
            error.contains("--report") && error.contains("create it first"),
            "{error}"
        );
        assert_eq!(error.matches("r.json").count(), 1, "{error}");
        assert!(refused(dir.path()).contains("name a file in it"));
        assert!(refused(Path::new("/proc/r.json")).contains("cannot be written to"));
        assert!(refused(Path::new("/")).contains("--report /: is a directory"));

        let path = dir.path().join("r.json");
        assert_eq!(prepare(&path).unwrap(), path);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left of the attempt"
        );
        assert!(prepare(Path::new("r.json")).unwrap().is_absolute());
    }
}
