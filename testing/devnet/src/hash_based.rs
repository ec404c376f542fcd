//! Checks of groups with hash-based keys.

use crate::record::Record;
use types::constants::BLS_SCHEME;

/// Contradicting signatures are among the offences, with everybody else's.
pub(crate) fn one_message_per_leaf(record: &Record, validators: &[String], leaves: u64, finished: bool) -> Vec<String> {
    let mut reasons: Vec<String> = record.offences.iter().cloned().collect();
    if !finished {
        return reasons;
    }
    for name in validators {
        let mut groups = record.epochs.values().filter_map(|epoch| {
            let index = record.index_of(name)?;
            epoch.groups.get(&index)
        });
        let schemes = groups.next_back().map_or(&[][..], |group| group.schemes.as_slice());
        let hash_based = (0u64..).zip(schemes).filter(|(_, scheme)| **scheme != BLS_SCHEME);
        let keys: Vec<String> = hash_based.map(|(key, _)| format!("{name}.{key}")).collect();
        if keys.is_empty() {
            reasons.push(format!("{name} has no hash-based key: nothing was shown"));
        }
        for key in keys {
            let seen = record.leaves.get(&key).map_or(0, |count| count.leaves);
            if seen < leaves {
                reasons.push(format!(
                    "{seen} leaves of key {key} were seen, expected at least {leaves}"
                ));
            }
        }
    }
    reasons
}

/// The seat has a key of the scheme from some epoch on, and votes with it.
pub(crate) fn seat_votes_with(
    record: &Record,
    name: &str,
    (seat, scheme): (u8, u8),
    by: u64,
    finished: bool,
) -> Vec<String> {
    let index = record.index_of(name);
    let groups = record.epochs.iter();
    let with_scheme: Vec<_> = groups
        .filter_map(|(epoch, entry)| Some((*epoch, entry.groups.get(&index?)?)))
        .filter(|(_, group)| group.schemes.get(usize::from(seat)) == Some(&scheme))
        .collect();
    let mut reasons = Vec::new();
    match with_scheme.first() {
        None if finished => reasons.push(format!("seat {seat} of {name} never had a key of scheme {scheme}")),
        Some((first, _)) if *first > by => reasons.push(format!(
            "seat {seat} of {name} has a key of scheme {scheme} from epoch {first} on, expected by epoch {by}"
        )),
        _ => {}
    }
    for (epoch, group) in with_scheme {
        if !group.source.contains(&seat) || !group.target.contains(&seat) {
            reasons.push(format!(
                "seat {seat} of {name} did not vote in epoch {epoch}: source {:?}, target {:?}",
                group.source, group.target
            ));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EpochRecord, GroupEpoch, LeafCount, ValidatorName};

    /// Seat 1 is hash-based from epoch 2 on.
    fn record() -> Record {
        let mut record = Record {
            validators: vec![ValidatorName {
                index: 0,
                name: "group".to_owned(),
                group: true,
            }],
            ..Record::default()
        };
        for epoch in 0..4 {
            let group = GroupEpoch {
                threshold: 2,
                size: 2,
                schemes: vec![0, if epoch < 2 { 0 } else { 2 }],
                source: vec![0, 1],
                target: vec![0, 1],
                ..GroupEpoch::default()
            };
            let mut entry = EpochRecord::default();
            entry.groups.insert(0, group);
            record.epochs.insert(epoch, entry);
        }
        record
    }

    #[test]
    fn a_seat_that_comes_late_or_does_not_vote_is_noticed() {
        let mut record = record();
        let check = |record: &Record, by| seat_votes_with(record, "group", (1, 2), by, true).len();
        assert_eq!(check(&record, 2), 0);
        assert_eq!(check(&record, 1), 1);
        let group = |record: &mut Record, epoch| record.epochs.get_mut(&epoch).unwrap().groups.remove(&0).unwrap();
        let mut silent = group(&mut record, 3);
        silent.target = vec![0];
        record.epochs.get_mut(&3).unwrap().groups.insert(0, silent);
        assert_eq!(check(&record, 2), 1);
        assert_eq!(seat_votes_with(&record, "group", (0, 2), 2, true).len(), 1, "never");
        assert!(
            seat_votes_with(&record, "group", (0, 2), 2, false).is_empty(),
            "not yet"
        );
    }

    #[test]
    fn leaves_have_to_be_seen_and_to_have_signed_once() {
        let mut record = record();
        let names = ["group".to_owned()];
        let check = |record: &Record| one_message_per_leaf(record, &names, 3, true).len();
        assert_eq!(check(&record), 1, "none of key 1");
        let count = LeafCount {
            leaves: 3,
            signatures: 9,
        };
        record.leaves.insert("group.1".to_owned(), count);
        assert_eq!(check(&record), 0);
        record.offences.insert("leaf 1 has signed two messages".to_owned());
        assert_eq!(check(&record), 1);
        record.offences.clear();
        for entry in record.epochs.values_mut() {
            entry.groups.get_mut(&0).unwrap().schemes = vec![0, 0];
        }
        assert_eq!(check(&record), 1, "no hash-based key");
    }
}
