//! The score of a peer: what the application saw of it, and what gossipsub thinks of it. Time is an argument.

use crate::gossip::GRAYLIST_THRESHOLD;
use std::time::{Duration, Instant};

/// Below: disconnected.
pub(crate) const DISCONNECT_BELOW: f64 = -20.0;
/// Below: disconnected and refused for `BAN_TIME`.
pub(crate) const BAN_BELOW: f64 = -50.0;
const MIN_SCORE: f64 = -100.0;
const HALF_LIFE: Duration = Duration::from_secs(600);
const BAN_TIME: Duration = Duration::from_secs(30 * 60);
/// A graylisted peer has just this: gossip alone disconnects, but never bans.
const GOSSIP_AT_GRAYLIST: f64 = DISCONNECT_BELOW - 1.0;

/// How bad an offence is, by the number of them that ban a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Penalty {
    /// One: a proof that the peer is broken or hostile.
    Fatal,
    /// About five: cannot happen by accident, but by a bug.
    Severe,
    /// About ten: happens to honest peers now and then.
    Moderate,
    /// About fifty: happens to honest peers under load.
    Mild,
}

impl Penalty {
    /// Points.
    pub fn points(self) -> f64 {
        match self {
            Self::Fatal => MIN_SCORE,
            Self::Severe => -10.0,
            Self::Moderate => -5.0,
            Self::Mild => -1.0,
        }
    }

    /// Label for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Severe => "severe",
            Self::Moderate => "moderate",
            Self::Mild => "mild",
        }
    }
}

/// What follows from a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Healthy,
    Disconnect,
    Banned,
}

/// Application and gossip part.
#[derive(Clone, Debug)]
pub(crate) struct Score {
    application: f64,
    gossip: f64,
    updated: Instant,
    banned_until: Option<Instant>,
}

impl Score {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            application: 0.0,
            gossip: 0.0,
            updated: now,
            banned_until: None,
        }
    }

    /// Lets time pass: points halve every ten minutes. A ban freezes them until it ends.
    pub(crate) fn decay(&mut self, now: Instant) {
        if let Some(until) = self.banned_until {
            if now < until {
                self.updated = now;
                return;
            }
            self.banned_until = None;
            // Back on probation: the next severe offence bans again.
            self.application = self.application.max(BAN_BELOW + 5.0);
            self.updated = until;
        }
        let passed = now.saturating_duration_since(self.updated);
        self.application *= 0.5f64.powf(passed.as_secs_f64() / HALF_LIFE.as_secs_f64());
        if self.application.abs() < 0.01 {
            self.application = 0.0;
        }
        self.updated = now;
    }

    pub(crate) fn penalise(&mut self, penalty: Penalty, now: Instant) -> Standing {
        self.decay(now);
        self.application = (self.application + penalty.points()).max(MIN_SCORE);
        if self.application < BAN_BELOW && self.banned_until.is_none() {
            self.banned_until = Some(now + BAN_TIME);
        }
        self.standing()
    }

    pub(crate) fn set_gossip(&mut self, gossip: f64) {
        self.gossip = if gossip.is_finite() { gossip } else { 0.0 };
    }

    /// Points from -100: application, plus the negative part of gossip scaled to its threshold.
    pub(crate) fn value(&self) -> f64 {
        let gossip = self.gossip.min(0.0) * GOSSIP_AT_GRAYLIST / GRAYLIST_THRESHOLD;
        (self.application + gossip.max(GOSSIP_AT_GRAYLIST)).max(MIN_SCORE)
    }

    /// The part that gossipsub is told (its P5), scaled so that a disconnect here is a graylisting there.
    pub(crate) fn for_gossip(&self) -> f64 {
        self.application * GRAYLIST_THRESHOLD / DISCONNECT_BELOW
    }

    pub(crate) fn gossip(&self) -> f64 {
        self.gossip
    }

    pub(crate) fn standing(&self) -> Standing {
        if self.banned_until.is_some() {
            Standing::Banned
        } else if self.value() < DISCONNECT_BELOW {
            Standing::Disconnect
        } else {
            Standing::Healthy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_offences_to_a_ban_is_as_documented() {
        for (penalty, expected) in [
            (Penalty::Fatal, 1),
            (Penalty::Severe, 6),
            (Penalty::Moderate, 11),
            (Penalty::Mild, 51),
        ] {
            let now = Instant::now();
            let mut score = Score::new(now);
            let mut count = 1;
            while score.penalise(penalty, now) != Standing::Banned {
                count += 1;
            }
            assert_eq!(count, expected, "{}", penalty.name());
        }
    }

    #[test]
    fn points_halve_every_ten_minutes() {
        let now = Instant::now();
        let mut score = Score::new(now);
        score.penalise(Penalty::Severe, now);
        score.decay(now + HALF_LIFE);
        assert!((score.value() + 5.0).abs() < 1e-6);
        score.decay(now + HALF_LIFE * 20);
        assert_eq!(score.value(), 0.0);
    }

    #[test]
    fn a_ban_ends_but_leaves_probation() {
        let now = Instant::now();
        let mut score = Score::new(now);
        score.penalise(Penalty::Fatal, now);
        score.decay(now + BAN_TIME / 2);
        assert_eq!(score.standing(), Standing::Banned);
        score.decay(now + BAN_TIME);
        assert!(score.standing() != Standing::Banned && score.value() < DISCONNECT_BELOW);
        assert_eq!(score.penalise(Penalty::Severe, now + BAN_TIME), Standing::Banned);
    }

    #[test]
    fn gossip_alone_disconnects_but_does_not_ban() {
        let mut score = Score::new(Instant::now());
        score.set_gossip(GRAYLIST_THRESHOLD / 2.0);
        assert_eq!(score.standing(), Standing::Healthy);
        assert!(score.value() < 0.0);
        score.set_gossip(GRAYLIST_THRESHOLD * 50.0);
        assert_eq!(score.standing(), Standing::Disconnect);
        score.set_gossip(1000.0);
        assert_eq!(score.value(), 0.0);
    }
}
