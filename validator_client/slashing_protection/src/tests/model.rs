//! No sequence of requests gets a slashable pair accepted, whatever is pruned, moved or restarted in between.

use super::{block, fast_database, root, vote};
use crate::{AttestationRequest, BlockRequest, SlashingDatabase};
use proptest::prelude::*;
use types::{Epoch, Slot};

#[derive(Debug, Clone)]
enum Action {
    Block(BlockRequest),
    Votes(Vec<AttestationRequest>),
    Prune(u64, u64),
    Restart,
    Move,
}

fn action() -> impl Strategy<Value = Action> {
    let one_vote = (1u8..3, 0u64..12, 0u64..5, 1u8..3)
        .prop_map(|(key, source, length, root)| vote(key, source, source + length, root));
    prop_oneof![
        6 => (1u8..3, 0u64..12, 1u8..3).prop_map(|(key, slot, root)| Action::Block(block(key, slot, root))),
        12 => prop::collection::vec(one_vote, 1..4).prop_map(Action::Votes),
        1 => (0u64..12, 0u64..12).prop_map(|(slot, epoch)| Action::Prune(slot, epoch)),
        1 => Just(Action::Restart),
        1 => Just(Action::Move),
    ]
}

/// Spec: phase0/beacon-chain.md#is_slashable_attestation_data
fn slashable(first: &AttestationRequest, second: &AttestationRequest) -> bool {
    let surrounds = |a: &AttestationRequest, b: &AttestationRequest| {
        a.source_epoch < b.source_epoch && b.target_epoch < a.target_epoch
    };
    let double = first.target_epoch == second.target_epoch
        && (first.signing_root, first.source_epoch) != (second.signing_root, second.source_epoch);
    first.pubkey == second.pubkey && (double || surrounds(first, second) || surrounds(second, first))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn no_slashable_pair_is_ever_accepted(actions in prop::collection::vec(action(), 1..60)) {
        let (mut _dir, mut current) = fast_database(&[1, 2]);
        current.bind_to_chain(root(1)).unwrap();
        let mut blocks: Vec<BlockRequest> = Vec::new();
        let mut votes: Vec<AttestationRequest> = Vec::new();
        for action in actions {
            match action {
                Action::Block(request) => {
                    if current.check_and_insert_block(&request).unwrap().is_ok() {
                        for other in &blocks {
                            prop_assert!(
                                (other.pubkey, other.slot) != (request.pubkey, request.slot)
                                    || other.signing_root == request.signing_root,
                                "{other:?} and {request:?}"
                            );
                        }
                        blocks.push(request);
                    }
                }
                Action::Votes(requests) => {
                    let answers = current.check_and_insert_attestations(&requests).unwrap();
                    prop_assert_eq!(answers.len(), requests.len());
                    for (request, answer) in requests.into_iter().zip(answers) {
                        if answer.is_ok() {
                            for other in &votes {
                                prop_assert!(!slashable(other, &request), "{other:?} and {request:?}");
                            }
                            votes.push(request);
                        }
                    }
                }
                Action::Prune(slot, epoch) => {
                    current.prune(Slot::new(slot), Epoch::new(epoch)).unwrap();
                }
                Action::Restart => {
                    let path = current.path().to_path_buf();
                    drop(current);
                    current = SlashingDatabase::open(&path).unwrap();
                }
                Action::Move => {
                    let exported = current.export(None).unwrap();
                    (_dir, current) = fast_database(&[]);
                    current.import(&exported, root(1)).unwrap();
                }
            }
        }
    }

    #[test]
    fn honest_duties_are_never_refused(start in 0u64..1000, justified_lag in prop::collection::vec(0u64..3, 20)) {
        let (_dir, database) = fast_database(&[1]);
        let mut source = start;
        for (number, lag) in justified_lag.into_iter().enumerate() {
            let epoch = start + number as u64;
            source = source.max(epoch.saturating_sub(1 + lag));
            let source = source.min(epoch);
            prop_assert!(database.check_and_insert_attestation(&vote(1, source, epoch, 1)).unwrap().is_ok());
            prop_assert!(database.check_and_insert_block(&block(1, epoch * 8 + 3, 1)).unwrap().is_ok());
            if number % 5 == 4 {
                database.prune(Slot::new((epoch - 2) * 8), Epoch::new(epoch - 2)).unwrap();
            }
        }
    }
}
