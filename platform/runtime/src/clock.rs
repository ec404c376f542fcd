//! Slots from time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use types::constants::BASIS_POINTS;
use types::{ChainSpec, Slot};

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Milliseconds since the Unix epoch, set by a test.
    Manual(Arc<AtomicU64>),
}

/// The clock of a chain. Cheap to clone; clones of a manual clock move together.
#[derive(Debug, Clone)]
pub struct SlotClock {
    source: Source,
    genesis_ms: u64,
    slot_duration_ms: u64,
}

impl SlotClock {
    /// A clock that reads the system's time. `genesis_time` is in seconds since the Unix epoch.
    pub fn system(genesis_time: u64, spec: &ChainSpec) -> Self {
        Self {
            source: Source::System,
            genesis_ms: genesis_time.saturating_mul(1000),
            slot_duration_ms: spec.slot_duration_ms.max(1),
        }
    }

    /// A clock that stands still until it is [`SlotClock::set_ms`]. It starts at genesis.
    pub fn manual(genesis_time: u64, spec: &ChainSpec) -> Self {
        let genesis_ms = genesis_time.saturating_mul(1000);
        Self {
            source: Source::Manual(Arc::new(AtomicU64::new(genesis_ms))),
            genesis_ms,
            slot_duration_ms: spec.slot_duration_ms.max(1),
        }
    }

    /// Sets a manual clock, in milliseconds since the Unix epoch. A system clock stays as it is.
    pub fn set_ms(&self, now_ms: u64) {
        if let Source::Manual(time) = &self.source {
            time.store(now_ms, Ordering::SeqCst);
        }
    }

    /// Sets a manual clock to the start of a slot.
    pub fn set_slot(&self, slot: Slot) {
        self.set_ms(self.slot_start_ms(slot));
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        match &self.source {
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            Source::Manual(time) => time.load(Ordering::SeqCst),
        }
    }

    /// The current slot; none before genesis.
    pub fn now_slot(&self) -> Option<Slot> {
        self.slot_at_ms(self.now_ms())
    }

    /// The slot at a time in milliseconds since the Unix epoch; none before genesis.
    pub fn slot_at_ms(&self, ms: u64) -> Option<Slot> {
        ms.checked_sub(self.genesis_ms)
            .map(|since| Slot::new(since / self.slot_duration_ms))
    }

    /// Start of a slot in milliseconds since the Unix epoch.
    pub fn slot_start_ms(&self, slot: Slot) -> u64 {
        slot.as_u64()
            .saturating_mul(self.slot_duration_ms)
            .saturating_add(self.genesis_ms)
    }

    /// When a part of a slot is due, in milliseconds since the Unix epoch. `basis_points` of the slot have passed then:
    /// `spec.attestation_due_bps` and the like.
    pub fn due_ms(&self, slot: Slot, basis_points: u64) -> u64 {
        let into_slot = basis_points.saturating_mul(self.slot_duration_ms) / BASIS_POINTS;
        self.slot_start_ms(slot).saturating_add(into_slot)
    }

    /// Milliseconds since the current slot's start; 0 before genesis.
    pub fn ms_into_slot(&self) -> u64 {
        self.now_ms()
            .checked_sub(self.genesis_ms)
            .map_or(0, |since| since % self.slot_duration_ms)
    }

    /// Length of a slot.
    pub fn slot_duration(&self) -> Duration {
        Duration::from_millis(self.slot_duration_ms)
    }

    /// Genesis in milliseconds since the Unix epoch.
    pub fn genesis_ms(&self) -> u64 {
        self.genesis_ms
    }

    /// Time until a slot starts; zero if it has.
    pub fn duration_until_slot(&self, slot: Slot) -> Duration {
        self.duration_until_ms(self.slot_start_ms(slot))
    }

    /// Time until a moment in milliseconds since the Unix epoch; zero if it has passed.
    pub fn duration_until_ms(&self, ms: u64) -> Duration {
        Duration::from_millis(ms.saturating_sub(self.now_ms()))
    }

    /// Sleeps until a moment in milliseconds since the Unix epoch.
    pub async fn sleep_until_ms(&self, ms: u64) {
        // The system's time may be set back meanwhile: look again.
        while self.now_ms() < ms {
            match &self.source {
                Source::System => tokio::time::sleep(self.duration_until_ms(ms)).await,
                Source::Manual(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Sleeps until the next slot starts (slot 0 if genesis is still to come), and gives that slot.
    pub async fn next_slot(&self) -> Slot {
        let next = self.now_slot().map_or(Slot::new(0), |slot| slot.saturating_add(1u64));
        self.sleep_until_ms(self.slot_start_ms(next)).await;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_slot_before_genesis() {
        let clock = SlotClock::manual(1000, &ChainSpec::minimal());
        clock.set_ms(999_999);
        assert_eq!(clock.now_slot(), None);
        assert_eq!(clock.ms_into_slot(), 0);
        assert_eq!(clock.duration_until_slot(Slot::new(0)), Duration::from_millis(1));
        clock.set_ms(1_000_000);
        assert_eq!(clock.now_slot(), Some(Slot::new(0)));
    }

    #[test]
    fn a_slot_lasts_until_the_next_starts() {
        let clock = SlotClock::manual(1000, &ChainSpec::minimal());
        clock.set_slot(Slot::new(3));
        assert_eq!((clock.now_slot(), clock.ms_into_slot()), (Some(Slot::new(3)), 0));
        clock.set_ms(clock.slot_start_ms(Slot::new(4)) - 1);
        assert_eq!((clock.now_slot(), clock.ms_into_slot()), (Some(Slot::new(3)), 5999));
    }

    #[test]
    fn parts_of_a_slot_are_due_after_their_share_of_it() {
        let spec = ChainSpec::minimal();
        let clock = SlotClock::manual(1000, &spec);
        assert_eq!(clock.due_ms(Slot::new(2), 0), clock.slot_start_ms(Slot::new(2)));
        assert_eq!(clock.due_ms(Slot::new(2), spec.attestation_due_bps), 1_012_000 + 1_999);
        assert_eq!(clock.due_ms(Slot::new(2), 10_000), clock.slot_start_ms(Slot::new(3)));
    }

    #[tokio::test]
    async fn the_first_slot_is_waited_for_before_genesis() {
        let clock = SlotClock::manual(1000, &ChainSpec::minimal());
        clock.set_ms(990_000);
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.next_slot().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.set_slot(Slot::new(0));
        assert_eq!(waiting.await.unwrap(), Slot::new(0));
    }
}
