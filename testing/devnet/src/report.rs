//! The report: everything that was seen, and what follows from it.

use crate::error::DevnetError;
use crate::invariants::{Check, Violation};
use crate::record::{Record, percentile};
use crate::rewards::{Difference, rewards_like_control};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) summary: Summary,
    pub(crate) checks: &'a [Check],
    pub(crate) violations: &'a [Violation],
    /// By process.
    pub(crate) command_lines: &'a BTreeMap<String, String>,
    pub(crate) record: &'a Record,
}

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
    /// Epochs in which the first group and its control were paid differently because one saw another head.
    pub(crate) reward_differences: Vec<Difference>,
    pub(crate) largest_beacon_node_mb: u64,
    pub(crate) largest_validator_client_mb: u64,
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
            reward_differences: rewards_like_control(record).0,
            largest_beacon_node_mb: largest("bn"),
            largest_validator_client_mb: largest("vc"),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let ms = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        let ranks: Vec<String> = self
            .group_blocks_by_rank
            .iter()
            .map(|(rank, blocks)| format!("{blocks} of rank {rank}"))
            .collect();
        let mut lines = vec![
            format!("outcome: {}", self.outcome),
            format!(
                "slots with a block: {} of {}; full epochs: {}; finalised epoch: {}",
                self.slots_with_block, self.slots, self.full_epochs, self.finalized_epoch
            ),
            format!(
                "group blocks: {}; threshold reached after {} ms at best, {} median, {} for 95 %, {} at worst ({} samples)",
                if ranks.is_empty() {
                    "none".to_owned()
                } else {
                    ranks.join(", ")
                },
                ms(self.threshold_ms.min),
                ms(self.threshold_ms.median),
                ms(self.threshold_ms.p95),
                ms(self.threshold_ms.max),
                self.threshold_ms.samples
            ),
            format!(
                "largest resident memory: beacon node {} MB, validator client {} MB",
                self.largest_beacon_node_mb, self.largest_validator_client_mb
            ),
        ];
        for difference in &self.reward_differences {
            lines.push(format!(
                "epoch {}: head reward of the group {} Gwei, of its control {}: {}",
                difference.epoch, difference.group_head, difference.control_head, difference.reason
            ));
        }
        lines.join("\n")
    }
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
