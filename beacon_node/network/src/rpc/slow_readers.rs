//! Peers that do not read what they asked for. It happens to honest ones, whose links fail; whoever does it again pays
//! more each time.

use libp2p::PeerId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What is cut off so soon after the first is one offence: a link fails for all answers at once. Less than an answer
/// takes that is not read.
const ONE_OFFENCE: Duration = Duration::from_secs(5);
/// Without another offence for so long, all are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);
const PRUNE_ABOVE: usize = 1024;

#[derive(Debug)]
struct Offences {
    count: u32,
    /// When the last one began.
    last: Instant,
}

/// Offences of all peers, connected or not. Time is an argument.
#[derive(Debug, Default)]
pub(crate) struct SlowReaders(HashMap<PeerId, Offences>);

impl SlowReaders {
    /// An answer to `peer` was cut off. Gives how many times that has happened.
    pub(crate) fn note(&mut self, peer: PeerId, now: Instant) -> u32 {
        let age = |offences: &Offences| now.saturating_duration_since(offences.last);
        if self.0.len() > PRUNE_ABOVE {
            self.0.retain(|_, offences| age(offences) < FORGOTTEN_AFTER);
        }
        let offences = self.0.entry(peer).or_insert(Offences { count: 0, last: now });
        let age = age(offences);
        if age >= FORGOTTEN_AFTER {
            offences.count = 0;
        }
        if offences.count == 0 || age >= ONE_OFFENCE {
            offences.count = offences.count.saturating_add(1);
            offences.last = now;
        }
        offences.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_cut_off_together_count_once_and_later_ones_add_up_until_they_are_forgotten() {
        let mut readers = SlowReaders::default();
        let (peer, other, start) = (PeerId::random(), PeerId::random(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for (ms, times) in [(0, 1), (900, 1), (4000, 1), (10_000, 2), (10_001, 2), (21_000, 3)] {
            assert_eq!(readers.note(peer, at(ms)), times, "after {ms} ms");
        }
        assert_eq!(readers.note(other, at(21_000)), 1);
        assert_eq!(readers.note(peer, at(21_000) + FORGOTTEN_AFTER), 1);
    }

    #[test]
    fn peers_that_come_and_go_are_not_remembered_for_ever() {
        let mut readers = SlowReaders::default();
        let start = Instant::now();
        for _ in 0..=PRUNE_ABOVE {
            readers.note(PeerId::random(), start);
        }
        readers.note(PeerId::random(), start + FORGOTTEN_AFTER);
        assert_eq!(readers.0.len(), 1);
    }
}
