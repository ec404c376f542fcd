use super::*;
use proptest::prelude::*;
use types::Minimal;

type Sync = RangeSync<Minimal, u32, u64>;
type Action = RangeAction<u32, u64>;

fn chain(head_slot: u64) -> PeerChain {
    PeerChain {
        head_slot: Slot::new(head_slot),
        earliest_available_slot: Slot::new(0),
    }
}

/// Plays a network whose chain has a block in every slot but multiples of five, until nothing is left to do.
/// `answer` says how a peer answers.
fn play(sync: &mut Sync, start: Vec<Action>, answer: impl Fn(u32, BatchId) -> Answer) -> (Vec<u64>, Vec<Action>) {
    let mut imported = Vec::new();
    let mut reports = Vec::new();
    let mut actions: std::collections::VecDeque<Action> = start.into();
    let mut steps = 0;
    while let Some(action) = actions.pop_front() {
        steps += 1;
        assert!(steps < 10_000, "the sync does not end");
        match action {
            RangeAction::Request {
                batch,
                peer,
                start_slot,
                count,
            } => {
                let slots: Vec<Slot> = (start_slot.as_u64()..start_slot.as_u64() + count)
                    .filter(|slot| slot % 5 != 0)
                    .map(Slot::new)
                    .collect();
                let blocks = slots.iter().map(|slot| slot.as_u64()).collect();
                actions.extend(match answer(peer, batch) {
                    Answer::Blocks | Answer::Invalid => sync.on_blocks(batch, &slots, blocks),
                    Answer::Nothing => sync.on_request_failed(batch),
                    Answer::Outside => sync.on_blocks(batch, &[Slot::new(1_000_000)], vec![1_000_000]),
                });
                if matches!(answer(peer, batch), Answer::Invalid) {
                    imported.push(u64::MAX);
                }
            }
            RangeAction::Import { batch, blocks } => {
                if imported.last() == Some(&u64::MAX) {
                    imported.pop();
                    actions.extend(sync.on_imported(batch, BatchOutcome::Faulty));
                    continue;
                }
                let head = blocks.last().copied();
                imported.extend(blocks);
                actions.extend(sync.on_imported(batch, BatchOutcome::Imported));
                if let Some(head) = head {
                    actions.extend(sync.on_head(Slot::new(head)));
                }
            }
            report @ RangeAction::Report { .. } => reports.push(report),
        }
    }
    (imported, reports)
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Blocks,
    Nothing,
    Outside,
    Invalid,
}

fn all_blocks(to: u64) -> Vec<u64> {
    (1..=to).filter(|slot| slot % 5 != 0).collect()
}

#[test]
fn everything_up_to_the_best_peer_is_imported_in_order() {
    let mut sync = Sync::new(Slot::new(0));
    let mut actions = sync.on_peer_status(1, chain(50));
    actions.extend(sync.on_peer_status(2, chain(100)));
    assert!(sync.is_syncing());
    let (imported, reports) = play(&mut sync, actions, |_, _| Answer::Blocks);
    assert_eq!(imported[..all_blocks(100).len()], all_blocks(100));
    assert!(!sync.is_syncing());
    assert_eq!((sync.distance(), reports.is_empty()), (0, true));
}

#[test]
fn a_node_that_is_two_slots_behind_is_in_sync() {
    let mut sync = Sync::new(Slot::new(98));
    assert_eq!(sync.on_peer_status(1, chain(100)), []);
    assert!(!sync.is_syncing());
    assert!(!sync.on_peer_status(1, chain(101)).is_empty());
}

#[test]
fn a_batch_that_one_peer_fails_comes_from_another() {
    for bad in [Answer::Nothing, Answer::Outside, Answer::Invalid] {
        let mut sync = Sync::new(Slot::new(0));
        let mut actions = sync.on_peer_status(1, chain(60));
        actions.extend(sync.on_peer_status(2, chain(60)));
        let (imported, reports) = play(&mut sync, actions, |peer, batch| {
            if peer == 1 && batch == 0 { bad } else { Answer::Blocks }
        });
        assert!(!sync.is_syncing(), "{bad:?}");
        assert_eq!(imported[..all_blocks(60).len()], all_blocks(60), "{bad:?}");
        assert_eq!(reports.len(), 1, "{bad:?}");
    }
}

/// Answers each request with one block, the number of the peer, in the first slot of its batch, until nothing is left to
/// do. `import` says what comes of it, and where the head is then. Gives who was asked from which slot on, and whose fault
/// it was.
fn serve(
    sync: &mut Sync,
    start: Vec<Action>,
    mut import: impl FnMut(u64, u64) -> (BatchOutcome, u64),
) -> (Vec<(u32, u64)>, Vec<u32>) {
    let (mut asked, mut at_fault) = (Vec::new(), Vec::new());
    let mut starts = BTreeMap::new();
    let mut actions: std::collections::VecDeque<Action> = start.into();
    while let Some(action) = actions.pop_front() {
        assert!(asked.len() < 1000, "the sync does not end");
        match action {
            RangeAction::Request {
                batch,
                peer,
                start_slot,
                ..
            } => {
                asked.push((peer, start_slot.as_u64()));
                starts.insert(batch, start_slot.as_u64());
                actions.extend(sync.on_blocks(batch, &[start_slot], vec![u64::from(peer)]));
            }
            RangeAction::Import { batch, blocks } => {
                let (outcome, head) = import(blocks[0], starts[&batch]);
                actions.extend(sync.on_imported(batch, outcome));
                if Slot::new(head) > sync.head_slot {
                    actions.extend(sync.on_head(Slot::new(head)));
                }
            }
            RangeAction::Report { peer, .. } => at_fault.push(peer),
        }
    }
    (asked, at_fault)
}

/// The head when a batch is there as a whole.
fn end_of(start: u64) -> u64 {
    start + Minimal::slots_per_epoch() - 1
}

#[test]
fn peers_whose_blocks_do_not_become_available_do_not_keep_others_from_being_asked() {
    let mut sync = Sync::new(Slot::new(0));
    let honest = MAX_ATTEMPTS as u32 + 1;
    let mut start = Vec::new();
    for peer in 1..=honest {
        start.extend(sync.on_peer_status(peer, chain(8)));
    }
    let import = |peer, start| match peer == u64::from(honest) {
        true => (BatchOutcome::Imported, end_of(start)),
        false => (BatchOutcome::Retry, 0),
    };
    let (asked, at_fault) = serve(&mut sync, start, import);
    assert_eq!(asked.last(), Some(&(honest, 1)));
    assert_eq!(asked.len(), MAX_ATTEMPTS + 1);
    assert_eq!(at_fault, [0; 0]);
}

#[test]
fn a_chain_that_parted_from_ours_is_fetched_from_before_that() {
    let mut sync = Sync::new(Slot::new(100));
    let start = sync.on_peer_status(1, chain(105));
    let finalized_slot = Slot::new(60);
    let mut starts = Vec::new();
    let import = |_, start| {
        starts.push(start);
        match starts.iter().any(|start| *start <= 80) {
            true => (BatchOutcome::Imported, end_of(start)),
            false => (BatchOutcome::Unlinked { finalized_slot }, 0),
        }
    };
    let (_, at_fault) = serve(&mut sync, start, import);
    assert_eq!(starts, [101, 93, 77, 85, 93, 101]);
    assert_eq!(at_fault, [0; 0], "both are right, each by its own chain");
    assert!(!sync.is_syncing());
}

#[test]
fn a_chain_without_what_is_final_here_is_its_peers_fault() {
    let mut sync = Sync::new(Slot::new(100));
    let start = sync.on_peer_status(1, chain(110));
    let finalized_slot = Slot::new(80);
    let mut starts = Vec::new();
    let import = |_, start| {
        starts.push(start);
        (BatchOutcome::Unlinked { finalized_slot }, 0)
    };
    let (_, at_fault) = serve(&mut sync, start, import);
    assert_eq!(starts, [101, 93, 81]);
    assert_eq!(at_fault, [1]);
}

/// What a peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Honest,
    /// Blocks of no chain.
    Junk,
    /// Nothing, though there is something.
    Truncating,
    /// Blocks whose columns nobody has.
    Withholding,
}

proptest! {
    #[test]
    fn one_honest_peer_is_enough_whatever_the_others_send(
        kinds in prop::collection::vec(
            prop::sample::select(vec![Kind::Junk, Kind::Truncating, Kind::Withholding]), 0..8),
        honest in 0usize..9,
        head in 3u64..60,
    ) {
        let mut kinds = kinds;
        kinds.insert(honest.min(kinds.len()), Kind::Honest);
        let mut sync = Sync::new(Slot::new(0));
        // The chain is here up to this slot.
        let mut reached = 0;
        // Peers tell where they are now and then.
        for _ in 0..40 {
            let mut start = Vec::new();
            for peer in 0..kinds.len() as u32 {
                start.extend(sync.on_peer_status(peer, chain(head)));
            }
            serve(&mut sync, start, |peer, start| {
                let unlinked = BatchOutcome::Unlinked { finalized_slot: Slot::new(0) };
                match kinds[peer as usize] {
                    Kind::Junk => (unlinked, 0),
                    Kind::Truncating => (BatchOutcome::Imported, 0),
                    Kind::Withholding => (BatchOutcome::Retry, 0),
                    Kind::Honest if start <= reached + 1 => {
                        reached = reached.max(end_of(start).min(head));
                        (BatchOutcome::Imported, reached)
                    }
                    Kind::Honest => (unlinked, 0),
                }
            });
            if !sync.is_syncing() {
                break;
            }
        }
        prop_assert!(!sync.is_syncing(), "{reached} of {head}");
    }
}

#[test]
fn a_peer_that_has_not_got_the_slots_is_not_asked_for_them() {
    let mut sync = Sync::new(Slot::new(0));
    let late = PeerChain {
        head_slot: Slot::new(100),
        earliest_available_slot: Slot::new(50),
    };
    assert_eq!(sync.on_peer_status(1, late), []);
    let actions = sync.on_peer_status(2, chain(100));
    assert!(
        actions
            .iter()
            .all(|action| matches!(action, RangeAction::Request { peer: 2, .. }))
    );
}

#[test]
fn a_batch_of_a_peer_that_left_is_asked_again() {
    let mut sync = Sync::new(Slot::new(0));
    let actions = sync.on_peer_status(1, chain(30));
    assert_eq!(actions.len(), 1, "one batch for each peer at a time");
    assert_eq!(sync.on_peer_disconnected(&1), []);
    let actions = sync.on_peer_status(2, chain(30));
    assert!(matches!(actions[..], [RangeAction::Request { batch: 0, peer: 2, .. }]));
    assert_eq!(sync.on_blocks(7, &[], vec![]), [], "an answer that nobody asked for");
}

proptest! {
    /// Whatever peers do, blocks are imported in order and without gaps, and one honest peer is enough.
    #[test]
    fn one_honest_peer_is_enough(kinds in prop::collection::vec(0u8..3, 0..6), head in 3u64..200) {
        let mut sync = Sync::new(Slot::new(0));
        let mut actions = Vec::new();
        for (peer, _) in (1u32..).zip(&kinds) {
            actions.extend(sync.on_peer_status(peer, chain(head)));
        }
        actions.extend(sync.on_peer_status(0, chain(head)));
        let (imported, _) = play(&mut sync, actions, |peer, _| {
            match peer.checked_sub(1).and_then(|place| kinds.get(place as usize)) {
                Some(0) => Answer::Nothing,
                Some(1) => Answer::Outside,
                _ => Answer::Blocks,
            }
        });
        let mut unique = imported.clone();
        unique.sort_unstable();
        unique.dedup();
        let expected = all_blocks(*unique.last().unwrap_or(&0));
        prop_assert_eq!(unique, expected);
        prop_assert!(!sync.is_syncing());
    }
}
