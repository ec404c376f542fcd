//! Counters of groups' blocks.

use beacon_api::GroupBlockEvent;
use prometheus::{Histogram, IntCounterVec, histogram_opts, opts, register_histogram, register_int_counter_vec};
use std::sync::LazyLock;

static BLOCKS: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    register_int_counter_vec!(
        opts!(
            "dvt_group_blocks_total",
            "Blocks of groups that reached their threshold here, by rank of the leader"
        ),
        &["rank"]
    )
    .ok()
});

static THRESHOLD_DELAY: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    register_histogram!(histogram_opts!(
        "dvt_group_block_threshold_delay_seconds",
        "From the start of the slot until a group's block has the signatures of its threshold here",
        vec![0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    ))
    .ok()
});

pub(crate) fn observe_completed(event: &GroupBlockEvent) {
    if let Some(blocks) = &*BLOCKS {
        blocks.with_label_values(&[event.rank.to_string()]).inc();
    }
    if let Some(delay) = &*THRESHOLD_DELAY {
        delay.observe(event.threshold_ms as f64 / 1000.0);
    }
}
