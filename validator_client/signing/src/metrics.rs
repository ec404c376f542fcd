//! Metrics of the signer path, with Lighthouse's names.

use crate::signer::SigningError;
use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};
use slashing_protection::Refusal;
use std::sync::LazyLock;

/// Seconds: a signature takes half a millisecond, a sync of the disk some more.
const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0];

/// Kind of message, name and help of its counter.
const COUNTERS: [(&str, &str, &str); 10] = [
    (
        "block",
        "vc_signed_beacon_blocks_total",
        "Blocks that were to be signed",
    ),
    (
        "attestation",
        "vc_signed_attestations_total",
        "Votes that were to be signed",
    ),
    (
        "aggregate_and_proof",
        "vc_signed_aggregates_total",
        "Aggregates that were to be signed",
    ),
    (
        "randao_reveal",
        "vc_signed_randao_reveals_total",
        "RANDAO reveals that were to be signed",
    ),
    (
        "selection_proof",
        "vc_signed_selection_proofs_total",
        "Selection proofs that were to be signed",
    ),
    (
        "sync_committee_message",
        "vc_signed_sync_committee_messages_total",
        "Sync committee messages that were to be signed",
    ),
    (
        "contribution_and_proof",
        "vc_signed_sync_committee_contributions_total",
        "Contributions that were to be signed",
    ),
    (
        "sync_selection_proof",
        "vc_signed_sync_selection_proofs_total",
        "Selection proofs of sync committees that were to be signed",
    ),
    (
        "voluntary_exit",
        "vc_signed_voluntary_exits_total",
        "Voluntary exits that were to be signed",
    ),
    (
        "key_set_change",
        "vc_signed_key_set_changes_total",
        "Changes of key sets that were to be signed",
    ),
];

static SIGNED: LazyLock<Vec<(&str, IntCounterVec)>> = LazyLock::new(|| {
    COUNTERS
        .iter()
        .filter_map(|(kind, name, help)| {
            registered(IntCounterVec::new(Opts::new(*name, *help), &["status"])).map(|counter| (*kind, counter))
        })
        .collect()
});

static SIGNING_TIMES: LazyLock<Option<HistogramVec>> = LazyLock::new(|| {
    registered(HistogramVec::new(
        HistogramOpts::new(
            "vc_signing_times_seconds",
            "Seconds until a signature is there, by what is signed",
        )
        .buckets(SECONDS.to_vec()),
        &["type"],
    ))
});

/// A metric that cannot be registered counts unseen: that must not stop a client.
fn registered<C: Collector + Clone + 'static>(metric: Result<C, prometheus::Error>) -> Option<C> {
    let metric = metric.ok()?;
    if let Err(error) = prometheus::default_registry().register(Box::new(metric.clone())) {
        tracing::debug!(%error, "metric is not registered");
    }
    Some(metric)
}

/// Counts an answer; `again` if the same was signed before.
pub(crate) fn count(kind: &str, result: Result<(), &SigningError>, again: bool) {
    let status = match result {
        Ok(()) if again => "same_data",
        Ok(()) => "success",
        Err(SigningError::Refused(refusal)) => match **refusal {
            Refusal::UnregisteredKey(_) => "unregistered",
            _ => "slashable",
        },
        Err(_) => "error",
    };
    if let Some((_, counter)) = SIGNED.iter().find(|(name, _)| *name == kind) {
        counter.with_label_values(&[status]).inc();
    }
}

/// Records how long a caller waited for a signature.
pub(crate) fn observe_time(kind: &str, seconds: f64) {
    if let Some(times) = &*SIGNING_TIMES {
        times.with_label_values(&[kind]).observe(seconds);
    }
}
