use super::*;
use crate::record::{EpochRecord, ValidatorEpoch, ValidatorName};
use types::ExecutionAddress;

const ETH: Gwei = 1_000_000_000;
const WEI: i128 = 1_000_000_000_000_000_000;

fn key(number: u8) -> PublicKeyBytes {
    PublicKeyBytes::repeat_byte(number)
}

fn address(number: u8) -> ExecutionAddress {
    ExecutionAddress::repeat_byte(number)
}

/// A chain of 17 slots of epochs of eight: validator 0 is paid for a vote, validator 1 proposes and gets a withdrawal,
/// validator 2 comes by a deposit, and account 1 sends an ETH to account 2.
fn record() -> Record {
    let names = ["one", "two", "new"];
    let mut record = Record {
        slots_per_epoch: 8,
        validators: (0..)
            .zip(names)
            .map(|(index, name)| ValidatorName {
                index,
                name: name.to_owned(),
                group: false,
            })
            .collect(),
        ..Record::default()
    };
    let paid = Paid {
        index: 0,
        validator: 1,
        address: address(2),
        amount: 3 * ETH,
    };
    for slot in 1..=17 {
        record.books.insert(
            slot,
            BlockBook {
                root: Root::repeat_byte(slot as u8),
                proposer: 1,
                proposal: 10,
                sync_committee: BTreeMap::from([(0, 2), (1, -1)]),
                execution_number: slot,
                execution_hash: Hash32::repeat_byte(slot as u8),
                ..BlockBook::default()
            },
        );
    }
    if let Some(book) = record.books.get_mut(&3) {
        book.deposits = vec![(key(2), 32 * ETH), (key(0), ETH)];
        book.withdrawals = vec![paid.clone()];
    }
    let vote = ValidatorEpoch {
        source: 5,
        target: 7,
        head: -2,
        effective_balance: 32 * ETH,
        ..ValidatorEpoch::default()
    };
    record.epochs.insert(
        0,
        EpochRecord {
            validators: BTreeMap::from([(0, vote)]),
            ..EpochRecord::default()
        },
    );
    let entry = |number, balance| Entry {
        pubkey: key(number),
        balance,
        exit_epoch: None,
        withdrawable_epoch: None,
    };
    let account = |number: u8, at_genesis, balance| AccountBook {
        name: number.to_string(),
        address: address(number),
        at_genesis,
        balance,
    };
    record.closing = Some(Closing {
        slot: 17,
        root: Root::repeat_byte(17),
        at_genesis: vec![32 * ETH, 64 * ETH],
        registry: vec![
            entry(0, 32 * ETH + 10 + 17 * 2),
            entry(1, 61 * ETH + 17 * 9),
            entry(2, 32 * ETH),
        ],
        // The top-up of validator 0 is not applied yet.
        waiting: vec![(key(0), ETH)],
        execution_heads: BTreeMap::from([(1, Some(Hash32::repeat_byte(17)))]),
        paid: (1..=17)
            .map(|number| (number, if number == 3 { vec![paid.clone()] } else { Vec::new() }))
            .collect(),
        included: BTreeSet::from([Hash32::repeat_byte(0xaa)]),
        fee_recipient: address(3),
        accounts: vec![
            account(1, 5 * WEI, 4 * WEI - 100),
            account(2, 0, 4 * WEI),
            account(3, 0, 60),
        ],
        sent: vec![SentTransaction {
            what: "transfer".to_owned(),
            hash: Hash32::repeat_byte(0xaa),
            from: address(1),
            to: address(2),
            value: WEI,
            outcome: Some(Outcome {
                block: 4,
                succeeded: true,
                fee: 100,
                burned: 40,
            }),
        }],
    });
    record
}

fn with(change: impl FnOnce(&mut Record, &mut Closing)) -> Vec<String> {
    let mut record = record();
    let mut closing = record.closing.take().unwrap();
    change(&mut record, &mut closing);
    record.closing = Some(closing);
    balances_add_up(&record)
}

#[test]
fn books_that_are_right_add_up() {
    let none: Vec<String> = Vec::new();
    assert_eq!(with(|_, _| {}), none);
    assert_eq!(transactions_succeed(&record(), 1), none);
    assert_eq!(deposited(&record(), "new", 32), none);
    assert_eq!(withdrawn(&record(), "two", 3), none);
    let text = text(&record()).unwrap();
    for part in [
        "one            32000000000 + 0 + 10 + 0 + 34 + 0 - 0 = 32000000044",
        "all: 5000000000000000000 + 3000000000000000000 withdrawn - 40 burned = 7999999999999999960",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn each_number_that_is_wrong_is_found() {
    type Change = fn(&mut Record, &mut Closing);
    let changes: [(&str, Change); 10] = [
        ("one has", |_, closing| closing.registry[0].balance += 1),
        ("two has", |record, _| record.books.get_mut(&5).unwrap().proposal += 1),
        ("one has", |record, _| {
            record.books.get_mut(&5).unwrap().sync_committee.clear();
        }),
        ("one has", |record, _| record.epochs.clear()),
        ("new has", |_, closing| closing.waiting.push((key(2), 1))),
        ("the beacon chain pays", |_, closing| closing.paid.clear()),
        ("which nobody here has sent", |_, closing| {
            closing.included.insert(Hash32::ZERO);
        }),
        ("has 4999", |_, closing| closing.accounts[0].balance += WEI - 1),
        ("3 (0x", |_, closing| {
            closing.sent[0].outcome.as_mut().unwrap().burned += 1
        }),
        ("the execution client of node 1 has", |_, closing| {
            closing.execution_heads.insert(1, None);
        }),
    ];
    for (expected, change) in changes {
        let reasons = with(change);
        assert!(
            reasons.iter().any(|reason| reason.contains(expected)),
            "{expected}: {reasons:?}"
        );
    }
    assert_eq!(balances_add_up(&Record::default()).len(), 1, "nothing was read");
}

#[test]
fn a_transaction_that_is_missing_or_failed_is_told() {
    let outcomes = [
        (None, "is in no block"),
        (
            Some(Outcome {
                block: 4,
                succeeded: false,
                fee: 1,
                burned: 1,
            }),
            "failed in block 4",
        ),
    ];
    for (outcome, expected) in outcomes {
        let mut record = record();
        record.closing.as_mut().unwrap().sent[0].outcome = outcome;
        let reasons = transactions_succeed(&record, 1);
        assert!(reasons[0].contains(expected), "{reasons:?}");
    }
    assert_eq!(transactions_succeed(&record(), 2).len(), 1);
}

#[test]
fn a_consolidation_moves_what_counts_of_the_balance() {
    let mut record = record();
    if let Some(book) = record.books.get_mut(&3) {
        book.consolidation_requests = vec![(key(0), key(1))];
    }
    let moved_to_two = i128::from(32 * ETH);
    let closing = record.closing.as_mut().unwrap();
    closing.registry[0].withdrawable_epoch = Some(2);
    closing.registry[0].balance -= 32 * ETH;
    closing.registry[1].balance += 32 * ETH;
    assert_eq!(balances_add_up(&record), Vec::<String>::new());
    assert_eq!(merged(&record, "one", "two"), Vec::<String>::new());
    assert_eq!(merged(&record, "two", "one").len(), 1);
    let stakes = stakes(&record, record.closing.as_ref().unwrap());
    assert_eq!(stakes[1].consolidations, moved_to_two);
}

#[test]
fn who_has_left_has_nothing_more_to_get() {
    let mut record = record();
    let reasons = left(&record, "two");
    assert!(reasons[0].contains("has not exited"), "{reasons:?}");
    record.closing.as_mut().unwrap().registry[1].exit_epoch = Some(1);
    let reasons = left(&record, "two");
    assert!(reasons[0].contains("was paid 3000000000 Gwei"), "{reasons:?}");
    if let Some(book) = record.books.get_mut(&3) {
        book.withdrawals[0].amount = 64 * ETH;
    }
    assert!(left(&record, "two").is_empty());
    // Nobody gets a validator that is not there.
    assert_eq!(left(&record, "three").len(), 1);
}

#[test]
fn balances_do_not_fall_below_zero() {
    let stake = Stake {
        at_genesis: 5,
        ..Stake::default()
    };
    assert_eq!((stake.change(-3), stake.change(-8), stake.change(8)), (-3, -5, 8));
}
