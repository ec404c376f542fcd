//! Counts of requests.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts};
use std::sync::LazyLock;

fn counter(name: &str, help: &str, labels: &[&str]) -> Option<IntCounterVec> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels).ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
}

static REQUESTS: LazyLock<Option<IntCounterVec>> =
    LazyLock::new(|| counter("http_api_paths_total", "Requests, by path", &["path"]));

static STATUSES: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    counter(
        "http_api_response_status_total",
        "Answers, by path and HTTP status",
        &["path", "status"],
    )
});

static TIMES: LazyLock<Option<HistogramVec>> = LazyLock::new(|| {
    let options = HistogramOpts::new("http_api_paths_times", "Seconds until the answer, by path");
    let metric = HistogramVec::new(options, &["path"]).ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
});

static SSE_READERS: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    let metric = IntGauge::new("http_api_event_readers", "Readers of the event stream").ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
});

static STATE_TIMES: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    let options = HistogramOpts::new(
        "http_api_state_root_times",
        "Seconds until a state that is not the head's is at hand",
    );
    let metric = Histogram::with_opts(options).ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
});

/// Notes an answer.
pub(crate) fn note_answer(path: &str, status: u16, seconds: f64) {
    if let Some(metric) = &*REQUESTS {
        metric.with_label_values(&[path]).inc();
    }
    if let Some(metric) = &*STATUSES {
        metric.with_label_values(&[path, &status.to_string()]).inc();
    }
    if let Some(metric) = &*TIMES {
        metric.with_label_values(&[path]).observe(seconds);
    }
}

/// Notes how long a state took.
pub(crate) fn note_state(seconds: f64) {
    if let Some(metric) = &*STATE_TIMES {
        metric.observe(seconds);
    }
}

/// Counted as a reader of events while it exists.
#[derive(Debug)]
pub(crate) struct SseReader;

impl SseReader {
    pub(crate) fn new() -> Self {
        if let Some(metric) = &*SSE_READERS {
            metric.inc();
        }
        Self
    }
}

impl Drop for SseReader {
    fn drop(&mut self) {
        if let Some(metric) = &*SSE_READERS {
            metric.dec();
        }
    }
}
