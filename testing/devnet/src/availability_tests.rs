use super::*;
use crate::blobs_seen::HeadColumns;
use crate::layout::{Layout, Start};
use crate::record::{SlotRecord, Vote};

fn root(slot: u64) -> Root {
    Root::from(types::Uint256::from(slot + 1))
}

/// Four epochs on nine nodes: from slot 2 on blocks have three blobs, every fifth is the large group's, and the others are
/// of the control, which node 9 has. Node 5 says from the first slot on that it keeps 128 columns.
fn healthy() -> Record {
    let layout = Layout::new(Start::Groups);
    let mut record = Record::new(&layout, 0, 3000, 8);
    let mut seen = BlobsSeen::default();
    seen.custody.entry(5).or_default().insert(1, 128);
    for slot in 1..=32 {
        let is_group = slot % 5 == 0;
        let proposer = if is_group { 0 } else { layout.control as u64 };
        let block = BlockRecord {
            root: root(slot),
            proposer,
            signers: if is_group { vec![0, 1, 2, 3, 4] } else { Vec::new() },
            assembly: None,
        };
        let entry = SlotRecord {
            due: Some(proposer),
            block: Some(block),
        };
        record.slots.insert(slot, entry);
        record.headers.insert((slot, proposer), root(slot));
        seen.of_blocks.insert(root(slot), if slot < 2 { 0 } else { 3 });
        for node in 1..=9 {
            let columns = if node == 5 { 128 } else { 8 };
            seen.columns.entry(node).or_default().insert(root(slot), Some(columns));
        }
        let head = HeadColumns {
            root: root(slot),
            slot,
            columns: 128,
        };
        seen.at_head.entry(5).or_default().insert(slot, head);
        seen.recoveries.entry(5).or_default().insert(slot, 0);
    }
    record.blobs = Some(seen);
    record
}

fn seen_of(record: &mut Record) -> &mut BlobsSeen {
    record.blobs.as_mut().unwrap()
}

fn vote(slot: u64, head: Root) -> Vote {
    Vote {
        slot,
        source: 0,
        source_root: Root::ZERO,
        target: slot / 8,
        target_root: Root::ZERO,
        head,
    }
}

#[test]
fn blobs_are_counted_in_percent_of_the_blocks() {
    let mut record = healthy();
    assert_eq!(blobs_per_block(&record, 3, 100, 2), [""; 0]);
    assert_eq!(blobs_per_block(&record, 3, 95, 0), [""; 0], "30 of 31 have them");
    let reasons = blobs_per_block(&record, 3, 100, 0);
    assert!(
        reasons[0].contains("30 of 31 blocks have 3 blobs") && reasons[0].contains("[(1, 0)]"),
        "{reasons:?}"
    );
    assert_eq!(blobs_per_block(&record, 4, 1, 2).len(), 1);
    record.blobs = None;
    assert_eq!(blobs_per_block(&record, 3, 0, 0), ["nothing was seen of blobs"]);
}

#[test]
fn blobs_of_groups_alone_do_not_show_those_of_others() {
    let mut record = healthy();
    assert_eq!(blobs_of_groups_and_solo(&record), [""; 0]);
    for slot in 1..=32 {
        let block = record.slots.get_mut(&slot).unwrap().block.as_mut().unwrap();
        block.signers = vec![0];
    }
    assert_eq!(blobs_of_groups_and_solo(&record).len(), 1);
}

#[test]
fn a_node_has_to_have_what_it_says_that_it_keeps() {
    let mut record = healthy();
    assert_eq!(available(&record, &[], 0), [""; 0]);
    // The last two slots do not count.
    seen_of(&mut record)
        .columns
        .get_mut(&5)
        .unwrap()
        .insert(root(31), Some(0));
    assert_eq!(available(&record, &[], 0), [""; 0]);
    seen_of(&mut record)
        .columns
        .get_mut(&5)
        .unwrap()
        .insert(root(30), Some(127));
    assert_eq!(
        available(&record, &[], 0),
        ["node 5 lacks columns of 1 of 29 blocks: slot 30: 127 of 128"]
    );
    assert_eq!(available(&record, &[4], 0), [""; 0]);
    seen_of(&mut record).columns.get_mut(&4).unwrap().insert(root(3), None);
    let reasons = available(&record, &[4], 0);
    assert!(reasons[0].contains("slot 3: not even the block"), "{reasons:?}");
    assert_eq!(available(&record, &[4], 4), [""; 0]);
    // A node that has never been seen, and no blocks.
    seen_of(&mut record).columns.remove(&3);
    assert!(available(&record, &[3], 0)[0].contains("it did not answer"));
    assert!(available(&record, &[], 31)[0].contains("nothing was shown"));
}

#[test]
fn more_custody_holds_from_the_second_epoch_after_it_was_said() {
    let mut record = healthy();
    let needed = |record: &Record, slot| record.blobs.as_ref().unwrap().needed(record, 5, slot);
    assert_eq!(needed(&record, 2), 128, "said before the first blob");
    seen_of(&mut record).custody = BTreeMap::from([(5, BTreeMap::from([(1, 10), (9, 128)]))]);
    assert_eq!([23, 24].map(|slot| needed(&record, slot)), [10, 128]);
    seen_of(&mut record).custody.clear();
    assert_eq!(needed(&record, 24), 8, "what any node samples");
}

#[test]
fn each_block_of_others_is_recovered() {
    let mut record = healthy();
    assert!(recovered(&record, 5, (9, 16))[0].contains("recovered columns of 0 blocks"));
    // Slots 10 and 15 are the group's, in which node 5 has a key.
    for slot in 9..=32 {
        let count = 7 + (slot - 8).min(6);
        seen_of(&mut record).recoveries.get_mut(&5).unwrap().insert(slot, count);
    }
    seen_of(&mut record).recoveries.get_mut(&5).unwrap().insert(8, 7);
    assert_eq!(recovered(&record, 5, (9, 16)), [""; 0]);
    assert!(recovered(&record, 5, (9, 17))[0].contains("6 blocks from slot 9 to 17, in which others proposed 7"));
    assert_eq!(recovered(&record, 5, (40, 41)).len(), 1, "nothing was shown");
}

#[test]
fn a_node_without_columns_stays_behind_and_says_why() {
    let mut record = healthy();
    let line = "WARN Block is not imported: nobody has its columns slot=9 root=0x01 missing=[1, 2]";
    let stay = |record: &mut Record| {
        let seen = seen_of(record);
        seen.lacking.insert(5, vec![line.to_owned()]);
        for slot in 9..=16 {
            let head = HeadColumns {
                root: root(8),
                slot: 8,
                columns: 128,
            };
            seen.at_head.get_mut(&5).unwrap().insert(slot, head);
        }
    };
    assert_eq!(
        keeps_parent(&record, 5, (9, 16)).len(),
        2,
        "it follows, and says nothing"
    );
    stay(&mut record);
    assert_eq!(keeps_parent(&record, 5, (9, 16)), [""; 0]);
    let imported = HeadColumns {
        root: root(10),
        slot: 10,
        columns: 3,
    };
    seen_of(&mut record).at_head.get_mut(&5).unwrap().insert(11, imported);
    let reasons = keeps_parent(&record, 5, (9, 16));
    assert!(
        reasons[0].contains("that of slot 10, of which it has 3 of 128 columns"),
        "{reasons:?}"
    );
    stay(&mut record);
    for other in [line.replace("slot=9", "slot=90"), line.replace("missing", "found")] {
        seen_of(&mut record).lacking.insert(5, vec![other]);
        assert_eq!(keeps_parent(&record, 5, (9, 16)).len(), 1);
    }
}

#[test]
fn withheld_blocks_have_votes_of_their_own_node_only() {
    let mut record = healthy();
    let control = record.control;
    assert_eq!(withheld_not_attested(&record, &[9], (9, 16)), [""; 0]);
    record.votes.insert((control, 1), vote(9, root(9)));
    assert_eq!(withheld_not_attested(&record, &[9], (9, 16)), [""; 0]);
    // After the release, and for a group's block.
    record.votes.insert((3, 2), vote(17, root(9)));
    record.votes.insert((5, 1), vote(10, root(10)));
    assert_eq!(withheld_not_attested(&record, &[9], (9, 16)), [""; 0]);
    record.votes.insert((3, 1), vote(9, root(9)));
    let reasons = withheld_not_attested(&record, &[9], (9, 16));
    assert!(
        reasons[0].contains("the block of slot 9") && reasons[0].contains("solo-1"),
        "{reasons:?}"
    );
    assert!(withheld_not_attested(&record, &[1], (9, 16))[0].contains("nothing was shown"));
}

#[test]
fn released_blocks_are_known_to_all() {
    let mut record = healthy();
    assert_eq!(imported_late(&record, &[9], (9, 16)), [""; 0]);
    seen_of(&mut record).columns.get_mut(&2).unwrap().insert(root(11), None);
    let reasons = imported_late(&record, &[9], (9, 16));
    assert!(
        reasons[0].contains("nodes [2] have not imported the block of slot 11"),
        "{reasons:?}"
    );
    // It knew the block, until another one was final.
    seen_of(&mut record).imported_beside.insert(root(11), [2].into());
    assert_eq!(imported_late(&record, &[9], (9, 16)), [""; 0]);
}
