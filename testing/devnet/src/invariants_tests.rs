use super::*;
use crate::record::{
    Assembly, BlockRecord, EpochRecord, FinalitySample, GroupEpoch, HeadSample, ProcessRecord, SlotRecord,
    ValidatorEpoch, ValidatorName,
};
use crate::rewards::penalties;
use std::collections::BTreeMap;
use types::Root;

const GROUP_BALANCE: u64 = 2_048_000_000_000;
const TOTAL: u64 = 9_728_000_000_000;

fn seats(count: u8) -> Vec<u8> {
    (0..count).collect()
}

fn group(votes: u8) -> GroupEpoch {
    GroupEpoch {
        threshold: 5,
        size: 7,
        activation_epoch: 0,
        schemes: vec![0; 7],
        source: seats(votes),
        target: seats(votes),
        head: seats(votes),
    }
}

fn paid(epoch: u64) -> ValidatorEpoch {
    ValidatorEpoch {
        balance: GROUP_BALANCE + epoch,
        effective_balance: GROUP_BALANCE,
        source: 100,
        target: 200,
        head: 100,
        duty_slot: Some(epoch * 8 + 3),
        head_root: Some(root(epoch * 8 + 3)),
        ..ValidatorEpoch::default()
    }
}

fn root(slot: u64) -> Root {
    Root::from(types::Uint256::from(slot + 1))
}

/// Four epochs of a healthy devnet: a group (0), its control (1).
fn healthy_record() -> Record {
    let mut record = Record {
        slots_per_epoch: 8,
        control: 1,
        validators: [("5-of-7", true), ("control", false)]
            .into_iter()
            .enumerate()
            .map(|(index, (name, group))| ValidatorName {
                index: index as u64,
                name: name.to_owned(),
                group,
            })
            .collect(),
        ..Record::default()
    };
    for slot in 1..=48 {
        let is_group = slot % 5 == 0;
        let assembly = is_group.then(|| Assembly {
            rank: 0,
            threshold: 5,
            size: 7,
            seen: BTreeMap::new(),
        });
        let block = BlockRecord {
            root: root(slot),
            proposer: u64::from(!is_group),
            signers: if is_group { seats(6) } else { Vec::new() },
            assembly,
        };
        let due = Some(block.proposer);
        record.slots.insert(
            slot,
            SlotRecord {
                due,
                block: Some(block),
            },
        );
    }
    for epoch in 0..4 {
        let entry = EpochRecord {
            total_active_balance: TOTAL,
            validators: BTreeMap::from([(0, paid(epoch)), (1, paid(epoch))]),
            groups: BTreeMap::from([(0, group(7))]),
        };
        record.epochs.insert(epoch, entry);
    }
    for node in 1..=2 {
        record.finality.push(FinalitySample {
            slot: 48,
            head_slot: 48,
            node,
            justified: 5,
            finalized: 4,
            finalized_root: root(32),
            settled: true,
        });
        record.heads.push(HeadSample {
            slot: 48,
            node,
            head_slot: 48,
            is_syncing: false,
        });
    }
    record.votes_seen.insert((1 << 48) + 3, 1);
    record
}

fn reasons(check: &Check, record: &Record) -> Vec<String> {
    let violations = check.violations(record, true);
    violations.into_iter().map(|violation| violation.reason).collect()
}

fn counted_always() -> Check {
    Check::Counted {
        validator: None,
        from: 0,
        to: None,
        excuse_empty_slots: false,
    }
}

fn in_epoch(record: &mut Record, epoch: u64, validator: u64) -> &mut ValidatorEpoch {
    let entry = record.epochs.get_mut(&epoch).unwrap();
    entry.validators.get_mut(&validator).unwrap()
}

#[test]
fn nothing_is_broken_in_a_healthy_devnet() {
    let record = healthy_record();
    for check in healthy(0) {
        assert_eq!(reasons(&check, &record), Vec::<String>::new(), "{}", check.name());
    }
}

#[test]
fn two_finalised_blocks_in_one_epoch_are_two_chains() {
    let mut record = healthy_record();
    record.finality[1].finalized_root = root(31);
    assert_eq!(reasons(&Check::OneChain {}, &record).len(), 1);
}

#[test]
fn finality_may_lag_three_epochs_and_no_more() {
    let mut record = healthy_record();
    record.finality[0].finalized = 3;
    assert!(reasons(&Check::FinalityLag { epochs: 3 }, &record).is_empty());
    record.finality[0].finalized = 2;
    assert_eq!(reasons(&Check::FinalityLag { epochs: 3 }, &record).len(), 1);
    assert!(reasons(&Check::FinalityLag { epochs: 3 }, &record)[0].contains("nodes {1}"));
    // An epoch without a block does not finalise anything.
    record.finality[0].head_slot = 47;
    assert!(reasons(&Check::FinalityLag { epochs: 3 }, &record).is_empty());
    record.finality[0].head_slot = 48;
    // A node that has just been started may be behind.
    record.finality[0].settled = false;
    assert!(reasons(&Check::FinalityLag { epochs: 3 }, &record).is_empty());
}

#[test]
fn three_empty_slots_of_48_are_too_many() {
    let mut record = healthy_record();
    let check = Check::SlotsFilled { percent: 95 };
    for (slot, broken) in [(7, false), (8, false), (9, true)] {
        record.slots.get_mut(&slot).unwrap().block = None;
        assert_eq!(!reasons(&check, &record).is_empty(), broken);
    }
    // While it runs, the rest may still make up for it.
    assert!(check.violations(&record, false).is_empty());
}

#[test]
fn an_epoch_in_which_a_group_pays_is_one_in_which_it_was_not_counted() {
    let mut record = healthy_record();
    in_epoch(&mut record, 2, 0).target = -1;
    let found = reasons(&counted_always(), &record);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("epoch 2") && found[0].contains("5 of 7"), "{found:?}");
    let other = Check::Counted {
        validator: Some("control".to_owned()),
        from: 0,
        to: None,
        excuse_empty_slots: false,
    };
    assert!(reasons(&other, &record).is_empty());
}

#[test]
fn a_source_that_no_block_could_take_in_time_is_excused_if_the_scenario_says_so() {
    let mut record = healthy_record();
    in_epoch(&mut record, 2, 0).source = -1;
    let check = |excuse_empty_slots| Check::Counted {
        validator: None,
        from: 0,
        to: None,
        excuse_empty_slots,
    };
    assert_eq!(reasons(&check(true), &record).len(), 1);
    // The duty is at slot 19, and eight slots make an epoch: two blocks would have been in time.
    for slot in 20..=21 {
        record.slots.get_mut(&slot).unwrap().block = None;
    }
    assert!(reasons(&check(true), &record).is_empty());
    assert_eq!(reasons(&check(false), &record).len(), 1);
    in_epoch(&mut record, 2, 0).target = -1;
    assert_eq!(reasons(&check(true), &record).len(), 1, "targets have more time");
}

#[test]
fn a_range_of_epochs_that_was_not_reached_shows_nothing() {
    let record = healthy_record();
    let check = Check::Counted {
        validator: None,
        from: 9,
        to: None,
        excuse_empty_slots: false,
    };
    assert_eq!(reasons(&check, &record).len(), 1);
    assert!(check.violations(&record, false).is_empty());
    let empty = Record {
        epochs: BTreeMap::new(),
        ..record
    };
    assert_eq!(reasons(&counted_always(), &empty).len(), 1);
}

#[test]
fn away_means_fined_in_full_with_a_falling_balance() {
    let mut record = healthy_record();
    let (source, target) = penalties(GROUP_BALANCE, TOTAL);
    for epoch in 1..=2 {
        let validator = in_epoch(&mut record, epoch, 0);
        (validator.source, validator.target, validator.head) = (source, target, 0);
        validator.balance = GROUP_BALANCE - epoch;
    }
    let (from, to) = (1, 2);
    let validator = "5-of-7".to_owned();
    let offline = Check::LikeOffline {
        validator: validator.clone(),
        from,
        to,
    };
    let not_counted = Check::NotCounted { validator, from, to };
    assert!(reasons(&offline, &record).is_empty());
    assert!(reasons(&not_counted, &record).is_empty());
    in_epoch(&mut record, 2, 0).source += 1;
    assert_eq!(reasons(&offline, &record).len(), 1);
    in_epoch(&mut record, 2, 0).source = 0;
    assert_eq!(reasons(&not_counted, &record).len(), 1);
}

#[test]
fn penalties_are_those_of_the_specification() {
    // sqrt(9_728_000_000_000) = 3_118_974; 64e9 / 3_118_974 = 20_519 per increment; 2048 increments.
    assert_eq!(penalties(GROUP_BALANCE, TOTAL), (-9_192_512, -17_071_808));
}

#[test]
fn a_block_of_a_fallback_leader_is_seen() {
    let mut record = healthy_record();
    let check = Check::Fallback {
        from_slot: 1,
        to_slot: None,
    };
    assert_eq!(reasons(&check, &record).len(), 1);
    let block = record.slots.get_mut(&10).unwrap().block.as_mut().unwrap();
    block.assembly.as_mut().unwrap().rank = 1;
    assert_eq!(reasons(&Check::RankZero {}, &record).len(), 1);
    assert!(reasons(&check, &record).is_empty());
    record.slots.get_mut(&15).unwrap().block.as_mut().unwrap().assembly = None;
    assert_eq!(
        reasons(&Check::RankZero {}, &record).len(),
        2,
        "one that nobody told of is not taken for good"
    );
}

#[test]
fn a_proposal_is_missed_when_the_slot_is_empty() {
    let mut record = healthy_record();
    let check = Check::ProposalsMade {
        validator: "5-of-7".to_owned(),
        from_slot: 10,
        to_slot: None,
    };
    assert!(reasons(&check, &record).is_empty());
    record.slots.get_mut(&11).unwrap().block = None;
    assert!(reasons(&check, &record).is_empty(), "somebody else's");
    record.slots.get_mut(&15).unwrap().block = None;
    assert_eq!(reasons(&check, &record).len(), 1);
}

#[test]
fn another_head_is_listed_and_an_unexplained_difference_is_a_violation() {
    let mut record = healthy_record();
    in_epoch(&mut record, 2, 0).head = 0;
    assert_eq!(reasons(&Check::RewardsLikeControl {}, &record).len(), 1);
    let validator = in_epoch(&mut record, 2, 0);
    let other = Root::repeat_byte(9);
    validator.head_votes = BTreeMap::from([(root(19), vec![0, 1, 2, 3]), (other, vec![4, 5, 6])]);
    let (differences, violations) = rewards_like_control(&record);
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(differences[0].epoch, 2);
    assert!(
        differences[0].reason.contains("slot 19 (3 of 7 votes)"),
        "{differences:?}"
    );
    // Enough votes for the head: then the loss needs another reason.
    in_epoch(&mut record, 2, 0).head_votes = BTreeMap::from([
        (root(19), seats(5).into_iter().map(u64::from).collect()),
        (other, vec![5]),
    ]);
    assert_eq!(reasons(&Check::RewardsLikeControl {}, &record).len(), 1);
}

#[test]
fn a_vote_for_the_genesis_cannot_be_in_time_if_the_first_slot_is_empty() {
    let mut record = healthy_record();
    record.slots.get_mut(&1).unwrap().block = None;
    let validator = in_epoch(&mut record, 0, 0);
    (validator.head, validator.duty_slot, validator.head_root) = (0, Some(0), None);
    let (differences, violations) = rewards_like_control(&record);
    assert!(violations.is_empty(), "{violations:?}");
    assert!(differences[0].reason.contains("slot 1 is empty"), "{differences:?}");
}

#[test]
fn source_and_target_have_no_excuse() {
    let mut record = healthy_record();
    in_epoch(&mut record, 1, 0).target -= 1;
    assert_eq!(reasons(&Check::RewardsLikeControl {}, &record).len(), 1);
}

#[test]
fn offences_slashings_and_unseen_voters_are_found() {
    let mut record = healthy_record();
    let voters = |name: &str| Check::NoDoubleSignature {
        voters: vec![name.to_owned()],
    };
    assert!(reasons(&voters("5-of-7"), &record).is_empty());
    assert_eq!(reasons(&voters("control"), &record).len(), 1);
    in_epoch(&mut record, 3, 1).slashed = true;
    record
        .offences
        .insert("signer 5 voted twice for target epoch 1".to_owned());
    assert_eq!(reasons(&voters("5-of-7"), &record).len(), 2);
}

#[test]
fn a_node_is_in_sync_from_a_slot_on_or_not() {
    let mut record = healthy_record();
    let check = |node| Check::InSync {
        node,
        from_slot: 40,
        within_slots: 8,
    };
    assert!(reasons(&check(1), &record).is_empty());
    assert_eq!(reasons(&check(7), &record).len(), 1, "it was never heard of");
    record.heads[0].head_slot = 40;
    assert_eq!(reasons(&check(1), &record).len(), 1);
    // Nobody is ahead of it.
    for slot in 41..=46 {
        record.slots.get_mut(&slot).unwrap().block = None;
    }
    assert!(reasons(&check(1), &record).is_empty());
    record.heads[0].is_syncing = true;
    assert_eq!(reasons(&check(1), &record).len(), 1);
}

#[test]
fn a_take_over_has_all_seats_from_the_first_epoch_on() {
    let mut record = healthy_record();
    let check = |by| Check::TakesOver {
        validator: "5-of-7".to_owned(),
        threshold: 5,
        size: 7,
        by,
    };
    for epoch in 0..2 {
        record.epochs.get_mut(&epoch).unwrap().groups.clear();
    }
    for epoch in 2..4 {
        let entry = record.epochs.get_mut(&epoch).unwrap();
        entry.groups.get_mut(&0).unwrap().activation_epoch = 2;
    }
    assert!(reasons(&check(2), &record).is_empty());
    assert_eq!(reasons(&check(1), &record).len(), 1, "too late");
    record.epochs.get_mut(&2).unwrap().groups.get_mut(&0).unwrap().target = seats(6);
    assert_eq!(reasons(&check(2), &record).len(), 1);
    record.epochs.clear();
    assert_eq!(reasons(&check(2), &record).len(), 1);
}

#[test]
fn memory_has_a_limit_for_each_kind_of_process() {
    let mut record = healthy_record();
    let check = Check::Memory {
        beacon_node_mb: 250,
        validator_client_mb: 60,
        execution_client_mb: Some(300),
    };
    let process = |mb: u64| ProcessRecord {
        peak_resident_kb: mb * 1024,
        ..ProcessRecord::default()
    };
    record.processes.insert("bn-1".to_owned(), process(250));
    record.processes.insert("vc-1".to_owned(), process(60));
    record.processes.insert("el-1".to_owned(), process(300));
    assert!(reasons(&check, &record).is_empty());
    record.processes.insert("el-1".to_owned(), process(301));
    assert_eq!(reasons(&check, &record).len(), 1);
    record.processes.remove("el-1");
    record.processes.insert("vc-2".to_owned(), process(61));
    assert_eq!(reasons(&check, &record).len(), 1);
}
