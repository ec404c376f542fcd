//! How messages were judged.

use crate::Verdict;
use prometheus::{IntCounterVec, Opts};
use std::sync::LazyLock;

static VERDICTS: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let opts = Opts::new("beacon_gossip_verdicts_total", "Messages judged, by topic and verdict");
    let metric = IntCounterVec::new(opts, &["topic", "verdict"]).ok()?;
    if let Err(error) = prometheus::register(Box::new(metric.clone())) {
        tracing::warn!(%error, "Metric not registered");
    }
    Some(metric)
});

pub(crate) fn count(topic: &str, verdict: Verdict) {
    if let Some(metric) = &*VERDICTS {
        metric.with_label_values(&[topic, &verdict.to_string()]).inc();
    }
}
