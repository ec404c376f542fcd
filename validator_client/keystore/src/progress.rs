//! Long work says how far it is.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use types::SignerKey;
use xmss::Progress;

const INTERVAL: Duration = Duration::from_secs(5);

/// Logs progress every few seconds: nothing of work that is done sooner.
pub struct ProgressLog {
    pubkey: Option<SignerKey>,
    what: &'static str,
    start: Instant,
    last: Mutex<Instant>,
}

impl ProgressLog {
    /// For a key.
    pub fn new(pubkey: impl Into<Option<SignerKey>>, what: &'static str) -> Self {
        let start = Instant::now();
        Self {
            pubkey: pubkey.into(),
            what,
            start,
            last: Mutex::new(start),
        }
    }

    /// Tells how far the work is; from any thread.
    pub fn tell(&self, progress: Progress) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < INTERVAL {
            return;
        }
        *last = Instant::now();
        let key = self.pubkey.map(|pubkey| pubkey.to_string()).unwrap_or_default();
        let elapsed = self.start.elapsed();
        let left = u32::try_from(progress.total.saturating_sub(progress.done)).unwrap_or(u32::MAX);
        let done = u32::try_from(progress.done).unwrap_or(u32::MAX).max(1);
        let seconds_left = elapsed.as_secs_f64() * f64::from(left) / f64::from(done);
        tracing::info!(
            key,
            leaves = progress.done,
            of = progress.total,
            seconds_left = seconds_left as u64,
            "{}",
            self.what
        );
    }
}
