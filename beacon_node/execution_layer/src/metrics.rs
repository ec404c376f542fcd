//! Metrics of this crate, with Lighthouse's names where the meaning is the same.

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts};
use std::sync::LazyLock;

/// Seconds; the timeouts of the Engine API are 1 s and 8 s.
const SECONDS: [f64; 11] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 4.0, 10.0];

/// Registers in the default registry. A metric that cannot be registered (its name is taken) counts
/// unseen: that must not stop a node.
fn registered<C: Collector + Clone + 'static>(metric: Result<C, prometheus::Error>) -> Option<C> {
    let metric = metric.ok()?;
    if let Err(error) = prometheus::default_registry().register(Box::new(metric.clone())) {
        tracing::debug!(%error, "Metric is not registered");
    }
    Some(metric)
}

macro_rules! metric {
    ($(#[$doc:meta])* $name:ident: $type:ty = $make:expr) => {
        $(#[$doc])*
        pub(crate) static $name: LazyLock<Option<$type>> = LazyLock::new(|| registered($make));
    };
}

metric!(
    REQUEST_TIMES: HistogramVec = HistogramVec::new(
        HistogramOpts::new("execution_layer_request_times", "Seconds until the execution client has answered, by method").buckets(SECONDS.to_vec()),
        &["method"],
    )
);
metric!(
    REQUEST_ERRORS: IntCounterVec = IntCounterVec::new(
        Opts::new("execution_layer_request_errors_total", "Calls to the execution client without a usable answer"),
        &["method"],
    )
);
metric!(
    PAYLOAD_STATUS: IntCounterVec = IntCounterVec::new(
        Opts::new(
            "execution_layer_payload_status",
            "What the execution client said of payloads",
        ),
        &["method", "status"],
    )
);
metric!(
    GET_PAYLOAD_OUTCOME: IntCounterVec = IntCounterVec::new(
        Opts::new(
            "execution_layer_get_payload_outcome",
            "Payloads asked for, by whether they came",
        ),
        &["outcome"],
    )
);
metric!(
    GET_PAYLOAD_SOURCE: IntCounterVec = IntCounterVec::new(
        Opts::new("execution_layer_get_payload_source", "Payloads of blocks, by where they are from"),
        &["source"],
    )
);
metric!(
    PRE_PREPARED_PAYLOAD_ID: IntCounterVec = IntCounterVec::new(
        Opts::new(
            "execution_layer_pre_prepared_payload_id",
            "Payloads asked for, by whether they had been begun ahead",
        ),
        &["event"],
    )
);
metric!(
    PAYLOAD_ATTRIBUTES_LOOKAHEAD: Histogram = Histogram::with_opts(
        HistogramOpts::new(
            "execution_layer_payload_attributes_lookahead",
            "Seconds from the beginning of a payload to its slot",
        )
        .buckets(vec![0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0]),
    )
);
metric!(
    PROPOSER_INSERTED: IntCounter =
        IntCounter::new("execution_layer_proposer_inserted", "Proposers whose fee recipient was named the first time")
);
metric!(
    PROPOSER_DATA_UPDATED: IntCounter = IntCounter::new(
        "execution_layer_proposer_data_updated",
        "Fee recipients that clients named",
    )
);
metric!(
    ENGINE_STATE: IntGauge = IntGauge::new(
        "execution_layer_engine_state",
        "State of the execution client: 0 unknown, 1 online, 2 syncing, 3 offline, 4 authentication failed, 5 of another chain",
    )
);

/// Counts a status under its method.
pub(crate) fn count_status(method: &'static str, status: &'static str) {
    if let Some(metric) = &*PAYLOAD_STATUS {
        metric.with_label_values(&[method, status]).inc();
    }
}

/// Counts an event of a labelled counter.
pub(crate) fn count(metric: &LazyLock<Option<IntCounterVec>>, label: &'static str) {
    if let Some(metric) = &**metric {
        metric.with_label_values(&[label]).inc();
    }
}
