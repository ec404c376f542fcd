//! Counters of what was published; what was signed is counted by the signer.

use prometheus::{IntCounterVec, IntGauge, opts, register_int_counter_vec, register_int_gauge};
use std::sync::LazyLock;

macro_rules! counter {
    ($static:ident, $name:literal, $help:literal) => {
        static $static: LazyLock<Option<IntCounterVec>> =
            LazyLock::new(|| register_int_counter_vec!(opts!($name, $help), &["status"]).ok());
    };
}

counter!(ATTESTATIONS, "vc_published_attestations_total", "Votes by outcome");
counter!(BLOCKS, "vc_published_beacon_blocks_total", "Blocks by outcome");
counter!(AGGREGATES, "vc_published_aggregates_total", "Aggregates by outcome");
counter!(
    SYNC_MESSAGES,
    "vc_published_sync_committee_messages_total",
    "Sync committee messages by outcome"
);
counter!(
    CONTRIBUTIONS,
    "vc_published_sync_committee_contributions_total",
    "Contributions by outcome"
);

static ATTESTER_COUNT: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| register_int_gauge!("vc_beacon_attester_count", "Attester duties of the current epoch").ok());
static PROPOSER_COUNT: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| register_int_gauge!("vc_beacon_block_proposer_count", "Proposals of the current epoch").ok());

static ENABLED_COUNT: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| register_int_gauge!("vc_validators_enabled_count", "Keys that sign").ok());
static TOTAL_COUNT: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| register_int_gauge!("vc_validators_total_count", "Keys that are defined").ok());

/// A kind of message that is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Duty {
    Attestation,
    Block,
    Aggregate,
    SyncMessage,
    Contribution,
}

/// Counts messages that were published, or not.
pub(crate) fn count(duty: Duty, is_published: bool, messages: usize) {
    let counter = match duty {
        Duty::Attestation => &ATTESTATIONS,
        Duty::Block => &BLOCKS,
        Duty::Aggregate => &AGGREGATES,
        Duty::SyncMessage => &SYNC_MESSAGES,
        Duty::Contribution => &CONTRIBUTIONS,
    };
    if let Some(counter) = &**counter {
        let status = if is_published { "success" } else { "failure" };
        counter.with_label_values(&[status]).inc_by(messages as u64);
    }
}

fn set(gauge: &Option<IntGauge>, count: usize) {
    if let Some(gauge) = gauge {
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

pub(crate) fn set_attesters(count: usize) {
    set(&ATTESTER_COUNT, count);
}

pub(crate) fn set_proposers(count: usize) {
    set(&PROPOSER_COUNT, count);
}

/// Keys that sign, and keys that are defined.
pub fn set_key_counts(enabled: usize, total: usize) {
    set(&ENABLED_COUNT, enabled);
    set(&TOTAL_COUNT, total);
}
