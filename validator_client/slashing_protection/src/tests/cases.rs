//! The cases of `cases.json`: sequences of requests with the verdict that each must get.

use super::{block, database, key, root, verdict, vote};
use crate::{Interchange, InterchangeData, InterchangeMetadata, SignedAttestation, SignedBlock, SlashingDatabase};
use serde::Deserialize;
use types::{Epoch, Slot};

/// Key, slots of its blocks, sources and targets of its votes.
type Entry = (u8, Vec<u64>, Vec<(u64, u64)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    keys: Vec<u8>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    /// key, slot, signing root, verdict
    Block(u8, u64, u8, String),
    /// key, source, target, signing root, verdict
    Vote(u8, u64, u64, u8, String),
    /// the same, several in one transaction
    Votes(Vec<(u8, u64, u64, u8, String)>),
    /// slot, epoch
    Prune(u64, u64),
    /// chain, then (key, slots, votes)
    Import(u8, Vec<Entry>, bool),
    /// export, and import into a new database
    Move,
}

#[test]
fn every_case_gets_the_verdicts_that_it_states() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases.json")).unwrap();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    for case in cases {
        let (mut _dir, mut current) = database(&case.keys);
        current.bind_to_chain(root(1)).unwrap();
        for (number, step) in case.steps.into_iter().enumerate() {
            let at = format!("case {:?}, step {number}", case.name);
            match step {
                Step::Block(number, slot, signing_root, expected) => {
                    let request = block(number, slot, signing_root);
                    let found = current.check_and_insert_block(&request).unwrap();
                    assert_eq!(verdict(&found), expected, "{at}: {found:?}");
                }
                Step::Vote(number, source, target, signing_root, expected) => {
                    let request = vote(number, source, target, signing_root);
                    let found = current.check_and_insert_attestation(&request).unwrap();
                    assert_eq!(verdict(&found), expected, "{at}: {found:?}");
                }
                Step::Votes(votes) => {
                    let requests: Vec<_> = votes
                        .iter()
                        .map(|(key, source, target, root, _)| vote(*key, *source, *target, *root))
                        .collect();
                    let found = current.check_and_insert_attestations(&requests).unwrap();
                    let expected: Vec<_> = votes.into_iter().map(|vote| vote.4).collect();
                    let found: Vec<_> = found.iter().map(verdict).collect();
                    assert_eq!(found, expected, "{at}");
                }
                Step::Prune(slot, epoch) => {
                    current.prune(Slot::new(slot), Epoch::new(epoch)).unwrap();
                }
                Step::Import(chain, entries, succeeds) => {
                    let result = current.import(&file(chain, entries), root(1));
                    assert_eq!(result.is_ok(), succeeds, "{at}: {result:?}");
                }
                Step::Move => {
                    let text = current.export(None).unwrap().to_json().unwrap();
                    let exported = Interchange::from_json(&text).unwrap();
                    let (new_dir, new) = database(&[]);
                    new.import(&exported, root(1)).unwrap();
                    (_dir, current) = (new_dir, new);
                }
            }
        }
    }
}

fn file(chain: u8, entries: Vec<Entry>) -> Interchange {
    Interchange {
        metadata: InterchangeMetadata {
            interchange_format_version: 5,
            genesis_validators_root: root(chain),
        },
        data: entries
            .into_iter()
            .map(|(number, slots, votes)| InterchangeData {
                pubkey: key(number),
                signed_blocks: slots
                    .into_iter()
                    .map(|slot| SignedBlock {
                        slot: Slot::new(slot),
                        signing_root: None,
                    })
                    .collect(),
                signed_attestations: votes
                    .into_iter()
                    .map(|(source, target)| SignedAttestation {
                        source_epoch: Epoch::new(source),
                        target_epoch: Epoch::new(target),
                        signing_root: None,
                    })
                    .collect(),
            })
            .collect(),
        one_time_keys: Vec::new(),
    }
}

#[test]
fn several_threads_never_both_get_a_slot() {
    let (_dir, database) = database(&[1]);
    let database: &SlashingDatabase = &database;
    for slot in 1..20 {
        let accepted = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=4)
                .map(|signing_root| {
                    scope.spawn(move || {
                        database
                            .check_and_insert_block(&block(1, slot, signing_root))
                            .unwrap()
                            .is_ok()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .filter(|accepted| *accepted)
                .count()
        });
        assert_eq!(accepted, 1, "slot {slot}");
    }
}
