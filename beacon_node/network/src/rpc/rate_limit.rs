//! What one peer may ask for: a token bucket per peer and protocol, kept as the time at which it is full again.

use super::protocol::{ProtocolKind, Quota};
use libp2p::PeerId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A request that would have to wait longer is refused.
const MAX_WAIT: Duration = Duration::from_secs(5);
const PRUNE_ABOVE: usize = 1024;

/// The verdict on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// At once.
    Allowed,
    /// After this time: the spec asks to withhold an answer rather than to refuse it.
    Wait(Duration),
    /// Never, or not soon.
    Refused,
}

/// Buckets of all peers. Time is an argument.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    full_again: HashMap<(PeerId, ProtocolKind), Instant>,
}

impl RateLimiter {
    /// Takes `cost` units for `peer`.
    pub(crate) fn take(&mut self, peer: PeerId, kind: ProtocolKind, cost: u64, now: Instant) -> Verdict {
        let Quota { burst, per } = kind.inbound_quota();
        let cost = cost.max(1);
        if cost > burst {
            return Verdict::Refused;
        }
        let price = Duration::from_secs_f64(per.as_secs_f64() * cost as f64 / burst as f64);
        let earlier = self.full_again.get(&(peer, kind)).copied().unwrap_or(now).max(now);
        let full_again = earlier + price;
        let wait = full_again.saturating_duration_since(now).saturating_sub(per);
        if wait > MAX_WAIT {
            return Verdict::Refused;
        }
        if self.full_again.len() > PRUNE_ABOVE {
            self.full_again.retain(|_, time| *time > now);
        }
        self.full_again.insert((peer, kind), full_again);
        if wait.is_zero() {
            Verdict::Allowed
        } else {
            Verdict::Wait(wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_then_requests_wait_then_they_are_refused() {
        let mut limiter = RateLimiter::default();
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut take = |now| limiter.take(peer, ProtocolKind::BlocksByRange, 128, now);
        for _ in 0..4 {
            assert_eq!(take(now), Verdict::Allowed);
        }
        assert_eq!(take(now), Verdict::Wait(Duration::from_millis(2500)));
        assert_eq!(take(now), Verdict::Wait(Duration::from_millis(5000)));
        assert_eq!(take(now), Verdict::Refused);
        assert_eq!(take(now + Duration::from_secs(15)), Verdict::Allowed);
    }

    #[test]
    fn peers_and_protocols_do_not_share_a_bucket() {
        let mut limiter = RateLimiter::default();
        let now = Instant::now();
        let peer = PeerId::random();
        while limiter.take(peer, ProtocolKind::Ping, 1, now) != Verdict::Refused {}
        assert_eq!(
            limiter.take(PeerId::random(), ProtocolKind::Ping, 1, now),
            Verdict::Allowed
        );
        assert_eq!(limiter.take(peer, ProtocolKind::Status, 1, now), Verdict::Allowed);
    }

    #[test]
    fn a_request_above_the_burst_never_passes() {
        let verdict = RateLimiter::default().take(PeerId::random(), ProtocolKind::BlocksByRoot, 513, Instant::now());
        assert_eq!(verdict, Verdict::Refused);
    }

    proptest! {
        /// Whatever the pattern, within any time the granted units stay below burst + rate * time (+ the waiting ones).
        #[test]
        fn the_rate_is_kept(steps in proptest::collection::vec((0u64..2000, 1u64..200), 1..80)) {
            let mut limiter = RateLimiter::default();
            let (peer, start) = (PeerId::random(), Instant::now());
            let Quota { burst, per } = ProtocolKind::BlocksByRange.inbound_quota();
            let (mut now, mut granted) = (start, 0u64);
            for (pause, cost) in steps {
                now += Duration::from_millis(pause);
                if limiter.take(peer, ProtocolKind::BlocksByRange, cost, now) != Verdict::Refused {
                    granted += cost;
                }
            }
            let time = now.duration_since(start) + MAX_WAIT;
            let allowed = burst as f64 * (1.0 + time.as_secs_f64() / per.as_secs_f64());
            prop_assert!(granted as f64 <= allowed + 1.0);
        }
    }
}
