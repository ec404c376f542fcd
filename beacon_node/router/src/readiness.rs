//! Whether a node is fit for duties.

use crate::catch_up::SyncStatus;
use types::Slot;

/// When a node whose head is behind the clock is fit for duties all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncPolicy {
    /// A head that is at most so many slots behind the clock is recent enough.
    pub tolerance_slots: u64,
    /// Whether the node's own head counts when no peer has told where it is: true for a network of one node.
    pub may_be_alone: bool,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self {
            tolerance_slots: 8,
            may_be_alone: false,
        }
    }
}

impl SyncPolicy {
    /// Whether duties must wait. A chain that stands still is not a reason to wait, for duties are what moves it; but
    /// only peers can tell such a chain from one that goes on elsewhere.
    pub(crate) fn must_wait(&self, behind_clock: Slot, status: SyncStatus) -> bool {
        let is_alone = status.peers == 0 && !self.may_be_alone;
        behind_clock > Slot::new(self.tolerance_slots) && (status.is_syncing || is_alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_is_old_needs_a_peer_that_has_no_better_one() {
        let may_be_alone = SyncPolicy {
            may_be_alone: true,
            ..SyncPolicy::default()
        };
        let patient = SyncPolicy {
            tolerance_slots: 64,
            ..SyncPolicy::default()
        };
        let default = SyncPolicy::default();
        for (policy, behind, peers, is_syncing, expected) in [
            (default, 8, 0, false, false),
            (default, 8, 3, true, false),
            (default, 9, 0, false, true),
            (default, 5693, 0, false, true),
            // Everybody was stopped, or nobody proposes: the chain must be able to go on.
            (default, 5693, 1, false, false),
            (default, 9, 1, true, true),
            (may_be_alone, 5693, 0, false, false),
            (may_be_alone, 9, 1, true, true),
            (patient, 64, 0, false, false),
            (patient, 65, 0, false, true),
        ] {
            let status = SyncStatus {
                is_syncing,
                distance: 0,
                peers,
            };
            let found = policy.must_wait(Slot::new(behind), status);
            assert_eq!(found, expected, "{policy:?}, {behind} slots, {status:?}");
        }
    }
}
