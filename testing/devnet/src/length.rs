//! How long a devnet runs, and what can be seen until its end.

use std::fmt;
use types::{Minimal, Preset as _};

/// Largest number of epochs: a month of slots of three seconds.
pub(crate) const MAX_EPOCHS: u64 = 100_000;
/// When in a slot the nodes are looked at, in basis points: votes and aggregates are out by then.
pub(crate) const OBSERVE_BPS: u64 = 8_800;

/// Epochs until the end. Without an end, nothing is planned for later than the largest number of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunLength(Option<u64>);

impl RunLength {
    /// Of so many epochs, or without an end.
    pub(crate) fn new(epochs: Option<u64>) -> Result<Self, String> {
        match epochs {
            Some(epochs) if !(1..=MAX_EPOCHS).contains(&epochs) => {
                Err(format!("epochs is {epochs}, expected 1 to {MAX_EPOCHS}"))
            }
            _ => Ok(Self(epochs)),
        }
    }

    /// Epochs, if there is an end.
    pub(crate) fn epochs(self) -> Option<u64> {
        self.0
    }

    /// Whether the slot is the one that the run ends in, or a later one.
    pub(crate) fn is_reached(self, slot: u64) -> bool {
        self.0.is_some() && slot >= self.last_slot()
    }

    /// The last slot that is looked at: the first of the epoch after the last completes the votes of the last but one,
    /// and they are read in the slot after.
    pub(crate) fn last_slot(self) -> u64 {
        self.0.unwrap_or(MAX_EPOCHS) * Minimal::slots_per_epoch() + 1
    }

    /// Whether a time, in percent of a slot, comes before the end.
    pub(crate) fn has(self, slot: u64, percent: u64) -> bool {
        (slot, percent.saturating_mul(100)) <= (self.last_slot(), OBSERVE_BPS)
    }

    /// The last epoch whose votes are all seen: they may be included until the end of the next.
    pub(crate) fn last_full_epoch(self) -> Option<u64> {
        self.0.unwrap_or(MAX_EPOCHS).checked_sub(2)
    }
}

impl fmt::Display for RunLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.last_slot();
        match self.0 {
            Some(1) => write!(f, "a run of 1 epoch, which ends in slot {last}"),
            Some(epochs) => write!(f, "a run of {epochs} epochs, which ends in slot {last}"),
            None => write!(f, "a run of at most {MAX_EPOCHS} epochs, which ends in slot {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_in_the_second_slot_after_its_epochs() {
        let length = RunLength::new(Some(8)).unwrap();
        assert!(!length.is_reached(64) && length.is_reached(65) && length.is_reached(70));
        assert_eq!(length.last_full_epoch(), Some(6));
        assert!(length.has(65, 88) && !length.has(65, 89) && !length.has(66, 0));
        assert_eq!(length.to_string(), "a run of 8 epochs, which ends in slot 65");
    }

    #[test]
    fn without_an_end_no_slot_is_the_last() {
        let length = RunLength::new(None).unwrap();
        assert!(!length.is_reached(u64::MAX) && !length.has(u64::MAX, 0));
    }

    #[test]
    fn one_epoch_is_too_short_to_see_its_votes() {
        assert_eq!(RunLength::new(Some(1)).unwrap().last_full_epoch(), None);
        for epochs in [0, MAX_EPOCHS + 1] {
            assert!(RunLength::new(Some(epochs)).unwrap_err().contains("expected 1 to"));
        }
    }
}
