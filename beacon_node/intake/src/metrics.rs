//! Counters of columns that are made here.

use prometheus::{IntCounter, opts, register_int_counter};
use std::sync::LazyLock;

static POOL_HITS: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    register_int_counter!(opts!(
        "beacon_blobs_from_el_hit_total",
        "Blocks whose blobs the execution client had all in its pool"
    ))
    .ok()
});

static POOL_MISSES: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    register_int_counter!(opts!(
        "beacon_blobs_from_el_miss_total",
        "Blocks of whose blobs the execution client lacked some"
    ))
    .ok()
});

static RECOVERIES: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    register_int_counter!(opts!(
        "beacon_data_availability_reconstructions_total",
        "Blocks whose columns were recovered from half of them"
    ))
    .ok()
});

pub(crate) fn note_blobs_from_pool(were_there: bool) {
    let counter = if were_there { &POOL_HITS } else { &POOL_MISSES };
    if let Some(counter) = &**counter {
        counter.inc();
    }
}

pub(crate) fn note_recovered() {
    if let Some(counter) = &*RECOVERIES {
        counter.inc();
    }
}
