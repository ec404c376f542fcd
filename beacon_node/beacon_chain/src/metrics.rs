//! Metrics of the chain, with Lighthouse's names.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};
use std::sync::LazyLock;

fn gauge(name: &str, help: &str) -> Option<IntGauge> {
    let metric = IntGauge::new(name, help).ok()?;
    register(Box::new(metric.clone()));
    Some(metric)
}

fn counter(name: &str, help: &str) -> Option<IntCounter> {
    let metric = IntCounter::new(name, help).ok()?;
    register(Box::new(metric.clone()));
    Some(metric)
}

fn histogram(name: &str, help: &str) -> Option<Histogram> {
    let metric = Histogram::with_opts(HistogramOpts::new(name, help)).ok()?;
    register(Box::new(metric.clone()));
    Some(metric)
}

fn register(collector: Box<dyn prometheus::core::Collector>) {
    let registry: &Registry = prometheus::default_registry();
    if let Err(error) = registry.register(collector) {
        tracing::warn!(%error, "Metric not registered");
    }
}

static HEAD_SLOT: LazyLock<Option<IntGauge>> = LazyLock::new(|| gauge("beacon_head_state_slot", "Slot of the head"));
static FINALIZED_EPOCH: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| gauge("beacon_head_state_finalized_epoch", "Finalised epoch"));
static JUSTIFIED_EPOCH: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| gauge("beacon_head_state_current_justified_epoch", "Justified epoch"));
/// As other clients call it: ethereum/beacon-metrics.
static HEAD_SLOT_INTEROP: LazyLock<Option<IntGauge>> = LazyLock::new(|| gauge("beacon_head_slot", "Slot of the head"));
/// As other clients call it: ethereum/beacon-metrics.
static FINALIZED_EPOCH_INTEROP: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| gauge("beacon_finalized_epoch", "Finalised epoch"));
/// As other clients call it: ethereum/beacon-metrics.
static JUSTIFIED_EPOCH_INTEROP: LazyLock<Option<IntGauge>> =
    LazyLock::new(|| gauge("beacon_current_justified_epoch", "Justified epoch"));
pub(crate) static FORK_CHOICE: LazyLock<Option<Histogram>> =
    LazyLock::new(|| histogram("beacon_fork_choice_seconds", "Choosing the head"));
pub(crate) static REORGS: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    counter(
        "beacon_fork_choice_reorg_total",
        "Heads that do not descend from the one before",
    )
});
pub(crate) static BLOCK_PROCESSING: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    histogram(
        "beacon_block_processing_seconds",
        "From a block's arrival to its import",
    )
});

fn set(metric: &LazyLock<Option<IntGauge>>, value: u64) {
    if let Some(metric) = &**metric {
        metric.set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

/// Under both names.
pub(crate) fn set_head(slot: u64, justified_epoch: u64, finalized_epoch: u64) {
    for metric in [&HEAD_SLOT, &HEAD_SLOT_INTEROP] {
        set(metric, slot);
    }
    for metric in [&JUSTIFIED_EPOCH, &JUSTIFIED_EPOCH_INTEROP] {
        set(metric, justified_epoch);
    }
    for metric in [&FINALIZED_EPOCH, &FINALIZED_EPOCH_INTEROP] {
        set(metric, finalized_epoch);
    }
}
