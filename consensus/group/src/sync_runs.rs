//! Positions of a sync committee that belong together.

use types::{SignerIndex, ValidatorIndex};

/// Consecutive positions of one registry entry, drawn at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncRun {
    /// The registry entry.
    pub validator: ValidatorIndex,
    /// First position.
    pub start: usize,
    /// Positions: `n`, or less for the last run of a committee.
    pub len: usize,
    /// Whether the positions hold virtual keys.
    pub is_group: bool,
}

/// Splits a sync committee into runs. A group's run holds its keys 0, 1, 2, ... in order, so a new run starts with
/// each key 0; every position of a solo validator is a run of its own.
///
/// Spec: dvt/beacon-chain.md#get_sync_committee_runs
pub fn get_sync_committee_runs(indices: &[SignerIndex]) -> Vec<SyncRun> {
    let mut runs: Vec<SyncRun> = Vec::with_capacity(indices.len());
    for (position, signer) in indices.iter().enumerate() {
        let (validator, key) = signer.split();
        match (key, runs.last_mut()) {
            (Some(key), Some(run))
                if key != 0 && run.is_group && run.validator == validator && run.len == usize::from(key) =>
            {
                run.len = run.len.saturating_add(1);
            }
            _ => runs.push(SyncRun {
                validator,
                start: position,
                len: 1,
                is_group: key.is_some(),
            }),
        }
    }
    runs
}

/// Whether a run of `len` positions of a group of `keys` keys with `threshold` is paid when `signed` of them signed:
/// at least `ceil(m r / n)`. A solo validator's run has one position, one key and threshold one.
///
/// Spec: dvt/beacon-chain.md#process_sync_aggregate
pub fn is_sync_run_paid(signed: usize, len: usize, keys: u8, threshold: u8) -> bool {
    let needed = len
        .saturating_mul(usize::from(threshold))
        .div_ceil(usize::from(keys.max(1)));
    signed >= needed.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn virtual_indices(validator: u64, keys: impl IntoIterator<Item = u8>) -> Vec<SignerIndex> {
        let validator = ValidatorIndex::new(validator);
        keys.into_iter()
            .map(|key| SignerIndex::virtual_index(validator, key).unwrap())
            .collect()
    }

    #[test]
    fn a_group_drawn_twice_in_a_row_has_two_runs() {
        let mut indices = virtual_indices(3, 0..4);
        indices.extend(virtual_indices(3, 0..4));
        indices.push(SignerIndex::new(9));
        indices.push(SignerIndex::new(9));
        indices.extend(virtual_indices(5, 0..2));
        let lens: Vec<_> = get_sync_committee_runs(&indices)
            .iter()
            .map(|run| (run.validator.as_u64(), run.start, run.len))
            .collect();
        assert_eq!(lens, [(3, 0, 4), (3, 4, 4), (9, 8, 1), (9, 9, 1), (5, 10, 2)]);
    }

    #[test]
    fn a_run_needs_its_share_of_the_threshold() {
        assert_eq!(
            [is_sync_run_paid(4, 7, 7, 5), is_sync_run_paid(5, 7, 7, 5)],
            [false, true]
        );
        // The last run may be short: three positions of a 5-of-7 group need ceil(15 / 7) = 3.
        assert_eq!(
            [is_sync_run_paid(2, 3, 7, 5), is_sync_run_paid(3, 3, 7, 5)],
            [false, true]
        );
        assert_eq!(
            [is_sync_run_paid(0, 1, 1, 1), is_sync_run_paid(1, 1, 1, 1)],
            [false, true]
        );
    }
}
