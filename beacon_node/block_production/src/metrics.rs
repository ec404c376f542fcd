//! Metrics of block production, with Lighthouse's names.

use prometheus::{Histogram, HistogramOpts};
use std::sync::LazyLock;
use std::time::Duration;

static PRODUCTION: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    let opts = HistogramOpts::new("beacon_block_production_seconds", "Making a block, with its payload");
    let metric = Histogram::with_opts(opts).ok()?;
    if let Err(error) = prometheus::register(Box::new(metric.clone())) {
        tracing::warn!(%error, "Metric not registered");
    }
    Some(metric)
});

pub(crate) fn observe(duration: Duration) {
    if let Some(metric) = &*PRODUCTION {
        metric.observe(duration.as_secs_f64());
    }
}
