use super::*;
use crate::build::{Build, InvalidRequest};
use crate::genesis::{GenesisParameters, genesis_block};
use crate::wire::Verdict;
use alloy_primitives::{Address, U256};
use std::fs::OpenOptions;
use std::io::Write as _;

const LIMITS: Limits = Limits {
    retain: 4,
    sync_after: Some(2),
};

fn genesis() -> Block {
    genesis_block(&GenesisParameters::at(1_000))
}

fn chain(data_dir: Option<&Path>, limits: Limits) -> Chain {
    Chain::open(genesis(), data_dir, limits).unwrap()
}

fn attributes(timestamp: u64) -> Attributes {
    Attributes {
        timestamp,
        prev_randao: B256::repeat_byte(1),
        suggested_fee_recipient: Address::repeat_byte(2),
        withdrawals: vec![Withdrawal {
            index: timestamp,
            validator_index: 7,
            address: Address::repeat_byte(3),
            amount: 9,
        }],
        parent_beacon_block_root: B256::repeat_byte(4),
    }
}

fn head(hash: B256) -> Forkchoice {
    Forkchoice {
        head_block_hash: hash,
        ..Forkchoice::default()
    }
}

impl Chain {
    fn update(&mut self, forkchoice: Forkchoice) -> Result<Status, RpcError> {
        Ok(self
            .forkchoice_updated(forkchoice, None, &HashSet::new())?
            .payload_status)
    }

    fn build_on(&mut self, parent: B256, timestamp: u64) -> Build {
        let attributes = Some(Ok(attributes(timestamp)));
        let updated = self
            .forkchoice_updated(head(parent), attributes, &HashSet::new())
            .unwrap();
        self.builder.build_result(updated.payload_id.unwrap()).unwrap().clone()
    }

    fn give(&mut self, build: &Build) -> Status {
        let beacon_root = attributes(0).parent_beacon_block_root;
        self.new_payload(&build.payload, &[], beacon_root, &build.requests, &HashSet::new())
            .unwrap()
    }
}

/// `count` payloads, each on the one before, and the chain that has them.
fn blocks(count: u64) -> (Chain, Vec<Build>) {
    let mut chain = chain(
        None,
        Limits {
            retain: 1_000,
            sync_after: None,
        },
    );
    let mut parent = chain.genesis();
    let mut builds = Vec::new();
    for number in 1..=count {
        let build = chain.build_on(parent, 1_000 + number);
        parent = build.payload.block_hash;
        assert_eq!(chain.give(&build), Status::valid(parent));
        builds.push(build);
    }
    assert_eq!(chain.update(head(parent)), Ok(Status::valid(parent)));
    (chain, builds)
}

#[test]
fn what_one_chain_builds_another_finds_valid() {
    let (_, builds) = blocks(3);
    let mut other = chain(None, LIMITS);
    for build in &builds {
        assert_eq!(other.give(build).status, Verdict::Valid);
    }
    let last = builds[2].payload.block_hash;
    assert_eq!(other.update(head(last)), Ok(Status::valid(last)));
    assert_eq!(other.canonical(2).unwrap().hash, builds[1].payload.block_hash);
    assert_eq!(other.canonical(0).unwrap().hash, other.genesis());
    assert_eq!(other.canonical(4), None);
}

#[test]
fn each_change_to_a_payload_is_noticed() {
    let (_, builds) = blocks(1);
    type Change = fn(&mut Payload);
    let changes: [(&str, Change); 8] = [
        ("timestamp", |p| p.timestamp = 1_000),
        ("gas limit", |p| p.gas_limit *= 2),
        ("gas used", |p| p.gas_used = 1),
        ("block number", |p| p.block_number = 2),
        ("base fee", |p| p.base_fee_per_gas += U256::from(1)),
        ("state root", |p| p.state_root = B256::ZERO),
        ("receipts root", |p| p.receipts_root = B256::ZERO),
        ("excess blob gas", |p| p.excess_blob_gas = 1),
    ];
    for (name, change) in changes {
        let mut build = builds[0].clone();
        change(&mut build.payload);
        let mut chain = chain(None, LIMITS);
        let status = chain.give(&build);
        assert_eq!(
            (status.status, status.latest_valid_hash),
            (Verdict::Invalid, None),
            "{name}"
        );
        assert!(status.validation_error.unwrap().contains("block hash"), "{name}");

        let beacon_root = attributes(0).parent_beacon_block_root;
        build.payload.block_hash = Header::from_payload(&build.payload, beacon_root, &[]).hash();
        let status = chain.give(&build);
        assert_eq!(status.status, Verdict::Invalid, "{name}");
        assert_eq!(status.latest_valid_hash, Some(chain.genesis()), "{name}");
        assert!(status.validation_error.unwrap().contains(name), "{name}");
        let hash = build.payload.block_hash;
        assert_eq!(chain.update(head(hash)).unwrap().status, Verdict::Invalid, "{name}");
    }
}

#[test]
fn blocks_wait_for_their_parent() {
    let (_, builds) = blocks(3);
    let mut chain = chain(
        None,
        Limits {
            retain: 4,
            sync_after: None,
        },
    );
    assert_eq!(chain.give(&builds[2]), Status::syncing());
    assert_eq!(chain.give(&builds[1]), Status::syncing());
    let last = builds[2].payload.block_hash;
    for _ in 0..5 {
        assert_eq!(chain.update(head(last)), Ok(Status::syncing()));
    }
    assert_eq!(chain.give(&builds[0]).status, Verdict::Valid);
    assert_eq!(chain.update(head(last)), Ok(Status::valid(last)));
}

#[test]
fn a_head_without_its_ancestors_counts_as_synced_when_asked_for_again() {
    let (_, builds) = blocks(4);
    let mut chain = chain(None, LIMITS);
    for build in &builds[2..] {
        assert_eq!(chain.give(build), Status::syncing());
    }
    let finalized = builds[0].payload.block_hash;
    let last = builds[3].payload.block_hash;
    let forkchoice = Forkchoice {
        finalized_block_hash: finalized,
        ..head(last)
    };
    assert_eq!(chain.update(forkchoice), Ok(Status::syncing()));
    assert_eq!(chain.update(forkchoice), Ok(Status::valid(last)));
    assert!(chain.block(builds[2].payload.block_hash).unwrap().anchor);
    assert!(!chain.block(last).unwrap().anchor);
    assert_eq!(chain.build_on(last, 2_000).payload.block_number, 5);
}

#[test]
fn a_head_that_was_never_shown_stays_syncing() {
    let mut chain = chain(None, LIMITS);
    for _ in 0..5 {
        assert_eq!(chain.update(head(B256::repeat_byte(9))), Ok(Status::syncing()));
    }
}

#[test]
fn safe_and_finalized_must_lie_below_the_head() {
    let (mut chain, builds) = blocks(2);
    let [first, second] = [0, 1].map(|at: usize| builds[at].payload.block_hash);
    for wrong in [
        Forkchoice {
            safe_block_hash: second,
            ..head(first)
        },
        Forkchoice {
            finalized_block_hash: second,
            ..head(first)
        },
        Forkchoice {
            finalized_block_hash: B256::repeat_byte(9),
            ..head(second)
        },
        head(B256::ZERO),
    ] {
        assert_eq!(chain.update(wrong).unwrap_err().code, -38002, "{wrong:?}");
    }
    let right = Forkchoice {
        head_block_hash: second,
        safe_block_hash: first,
        finalized_block_hash: first,
    };
    assert_eq!(chain.update(right), Ok(Status::valid(second)));
    // Back behind the finalized block: valid, but nothing moves.
    assert_eq!(chain.update(head(chain.genesis())), Ok(Status::valid(chain.genesis())));
    assert_eq!(chain.forkchoice(), right);
}

#[test]
fn attributes_are_judged_after_the_forkchoice_is_applied() {
    let (mut chain, builds) = blocks(1);
    let genesis = chain.genesis();
    let error = chain
        .forkchoice_updated(head(genesis), Some(Ok(attributes(1_000))), &HashSet::new())
        .unwrap_err();
    assert_eq!(error.code, -38003);
    assert_eq!(chain.forkchoice(), head(genesis));
    let first = builds[0].payload.block_hash;
    let again = chain.build_on(genesis, 1_001);
    assert_eq!(again.payload.block_hash, first, "same attributes, same build");
    assert_eq!(chain.builder.build_result(FixedBytes::ZERO).unwrap_err().code, -38001);
}

#[test]
fn a_chain_is_found_again_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (_, builds) = blocks(3);
    let hashes: Vec<B256> = builds.iter().map(|build| build.payload.block_hash).collect();
    let forkchoice = Forkchoice {
        finalized_block_hash: hashes[0],
        ..head(hashes[1])
    };
    let mut first = chain(Some(folder.path()), LIMITS);
    for build in &builds {
        first.give(build);
    }
    first.update(forkchoice).unwrap();
    let locked = Chain::open(genesis(), Some(folder.path()), LIMITS);
    assert!(matches!(locked, Err(JournalError::Locked { .. })));
    drop(first);

    // A kill in the middle of a line.
    let path = folder.path().join("mock_execution.jsonl");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"{"block":{"hash":"0x12"#).unwrap();
    drop(file);

    for _ in 0..2 {
        let mut again = chain(Some(folder.path()), LIMITS);
        assert_eq!(again.forkchoice(), forkchoice);
        assert_eq!(again.len(), 4);
        assert_eq!(again.build_on(hashes[2], 2_000).payload.block_number, 4);
        again.update(forkchoice).unwrap();
    }
    let other = genesis_block(&GenesisParameters::at(1_001));
    let error = Chain::open(other, Some(folder.path()), LIMITS).err().unwrap();
    assert!(matches!(error, JournalError::OtherChain { .. }), "{error}");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}nonsense\n")).unwrap();
    let error = Chain::open(genesis(), Some(folder.path()), LIMITS).err().unwrap();
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
}

#[test]
fn blocks_below_the_finalized_one_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = chain(Some(folder.path()), LIMITS);
    let mut hashes = vec![chain.genesis()];
    for number in 1..=20 {
        let build = chain.build_on(hashes[number - 1], 1_000 + number as u64);
        assert_eq!(chain.give(&build).status, Verdict::Valid);
        hashes.push(build.payload.block_hash);
    }
    assert_eq!(chain.len(), 21);
    let forkchoice = Forkchoice {
        finalized_block_hash: hashes[15],
        ..head(hashes[20])
    };
    chain.update(forkchoice).unwrap();
    // The genesis, and 11 to 20.
    assert_eq!(chain.len(), 11);
    assert!(chain.block(hashes[10]).is_none() && chain.block(hashes[11]).is_some());
    let older = Forkchoice {
        safe_block_hash: hashes[3],
        ..forkchoice
    };
    assert_eq!(
        chain.update(older).unwrap().status,
        Verdict::Valid,
        "a pruned ancestor is believed"
    );

    let live: Vec<Block> = chain
        .by_number
        .values()
        .flatten()
        .map(|hash| chain.blocks[hash].clone())
        .collect();
    chain
        .journal
        .as_mut()
        .unwrap()
        .rewrite(live.iter(), forkchoice)
        .unwrap();
    let build = chain.build_on(hashes[20], 3_000);
    chain.give(&build);
    drop(chain);
    let again = super::tests::chain(Some(folder.path()), LIMITS);
    assert_eq!(again.len(), 12);
    assert_eq!(again.block(build.payload.block_hash).unwrap().header.number, 21);
}

#[test]
fn queued_requests_are_built_in_until_a_block_has_them() {
    let mut chain = chain(None, LIMITS);
    let request = |kind: u8, fill: u8| {
        let length = if kind == 0 { 192 } else { 76 };
        Bytes::from([vec![kind], vec![fill; length]].concat())
    };
    for request in [request(1, 5), request(0, 6), request(1, 7)] {
        chain.builder.queue_request(request).unwrap();
    }
    let build = chain.build_on(chain.genesis(), 1_001);
    let lists: Vec<(u8, usize)> = build.requests.iter().map(|list| (list[0], list.len())).collect();
    assert_eq!(lists, [(0, 193), (1, 153)]);
    assert_eq!(chain.builder.queued_requests(), 3);
    assert_eq!(chain.give(&build).status, Verdict::Valid);
    assert_eq!(chain.builder.queued_requests(), 0);
    let mut tampered = build.clone();
    tampered.requests.reverse();
    let error = chain
        .new_payload(&tampered.payload, &[], B256::ZERO, &tampered.requests, &HashSet::new())
        .unwrap_err();
    assert_eq!(error.code, -32602);
}

#[test]
fn requests_that_no_block_could_carry_are_not_queued() {
    let mut builder = Builder::default();
    let mut queue = |bytes: &[u8]| builder.queue_request(Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(queue(&[]), InvalidRequest::UnknownType(None));
    assert_eq!(queue(&[3, 1]), InvalidRequest::UnknownType(Some(3)));
    assert_eq!(
        queue(&[2; 116]),
        InvalidRequest::WrongLength {
            kind: 2,
            expected: 116,
            found: 115
        }
    );
}

#[test]
fn more_requests_than_fit_wait_for_the_next_block() {
    let mut chain = chain(None, LIMITS);
    for fill in 0..3 {
        chain
            .builder
            .queue_request(Bytes::from([vec![2], vec![fill; 116]].concat()))
            .unwrap();
    }
    let build = chain.build_on(chain.genesis(), 1_001);
    assert_eq!(build.requests[0].len(), 1 + 2 * 116);
    assert_eq!(chain.give(&build).status, Verdict::Valid);
    let next = chain.build_on(build.payload.block_hash, 1_002);
    assert_eq!(next.requests, [Bytes::from([vec![2], vec![2; 116]].concat())]);
}

#[test]
fn transactions_are_executed_by_the_toy_rules() {
    let mut chain = chain(None, LIMITS);
    chain
        .builder
        .set_transactions(vec![Bytes::from_static(&[2, 0xc0]), Bytes::from_static(&[0xc0])]);
    let build = chain.build_on(chain.genesis(), 1_001);
    assert_eq!(build.payload.gas_used, 42_000);
    assert_eq!(chain.give(&build).status, Verdict::Valid);
    let mut empty = build.clone();
    empty.payload.transactions.push(Bytes::new());
    let status = chain.give(&empty);
    assert_eq!((status.status, status.latest_valid_hash), (Verdict::Invalid, None));
}

#[test]
fn a_block_declared_invalid_takes_its_descendants_with_it() {
    let (mut chain, builds) = blocks(3);
    let [first, second, third] = [0, 1, 2].map(|at: usize| builds[at].payload.block_hash);
    let condemned = HashSet::from([second]);
    let updated = chain.forkchoice_updated(head(third), None, &condemned).unwrap();
    let status = updated.payload_status;
    assert_eq!(
        (status.status, status.latest_valid_hash),
        (Verdict::Invalid, Some(first))
    );
    let updated = chain.forkchoice_updated(head(first), None, &condemned).unwrap();
    assert_eq!(updated.payload_status, Status::valid(first));
}
