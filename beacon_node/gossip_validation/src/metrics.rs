//! How messages were judged.

use crate::Verdict;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts};
use std::sync::LazyLock;

static VERDICTS: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let opts = Opts::new("beacon_gossip_verdicts_total", "Messages judged, by topic and verdict");
    let metric = IntCounterVec::new(opts, &["topic", "verdict"]).ok()?;
    if let Err(error) = prometheus::register(Box::new(metric.clone())) {
        tracing::warn!(%error, "Metric not registered");
    }
    Some(metric)
});

static BLOCK_DELAY: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    let opts = HistogramOpts::new(
        "beacon_block_gossip_slot_start_delay_time",
        "From a slot's start to the arrival of its block, in seconds",
    );
    let buckets = (1..=24).map(|half| f64::from(half) * 0.5).collect();
    let metric = Histogram::with_opts(opts.buckets(buckets)).ok()?;
    if let Err(error) = prometheus::register(Box::new(metric.clone())) {
        tracing::warn!(%error, "Metric not registered");
    }
    Some(metric)
});

/// A block that is accepted arrived so many milliseconds after its slot's start.
pub(crate) fn observe_block_delay(milliseconds: u64) {
    if let Some(metric) = &*BLOCK_DELAY {
        metric.observe(milliseconds as f64 / 1000.0);
    }
}

pub(crate) fn count(topic: &str, verdict: Verdict) {
    if let Some(metric) = &*VERDICTS {
        metric.with_label_values(&[topic, &verdict.to_string()]).inc();
    }
}
