//! Leaves of hash-based keys.

use super::{database, database_in, key, root, verdict};
use crate::{
    Accepted, DATABASE_FILE, DatabaseError, Interchange, Refusal, Registered, SigningRequest, Slashable,
    SlashingDatabase,
};
use proptest::prelude::*;
use std::collections::HashMap;
use tempfile::TempDir;
use types::{Epoch, Leaf, SignerKey, Slot};

fn xmss_key(number: u8) -> SignerKey {
    SignerKey::new(1, &[number; 52]).unwrap()
}

fn request(leaf: Leaf, message: u8) -> SigningRequest {
    SigningRequest {
        pubkey: xmss_key(1),
        signing_root: root(message),
        slashable: Slashable::Nothing,
        leaf,
    }
}

#[expect(clippy::result_large_err, reason = "a test's verdict is not passed far")]
fn ask(database: &SlashingDatabase, request: SigningRequest) -> Result<Accepted, Refusal> {
    database.check_and_insert(&[request]).unwrap().remove(0)
}

fn with_key(first_leaf: u64) -> (TempDir, SlashingDatabase) {
    let (dir, database) = database(&[]);
    let registered = database.register_one_time_key(&xmss_key(1), first_leaf).unwrap();
    assert_eq!(registered, Registered::New);
    (dir, database)
}

#[test]
fn a_leaf_signs_one_message_as_often_as_it_is_asked_for_and_no_other() {
    let (_dir, database) = with_key(0);
    let path = database.path().to_path_buf();
    assert_eq!(ask(&database, request(Leaf::Signs(32), 1)), Ok(Accepted::New));
    assert_eq!(ask(&database, request(Leaf::Signs(32), 1)), Ok(Accepted::Again));
    drop(database);
    let database = SlashingDatabase::open(&path).unwrap();
    assert_eq!(ask(&database, request(Leaf::Signs(32), 1)), Ok(Accepted::Again));
    assert_eq!(
        ask(&database, request(Leaf::Signs(32), 2)),
        Err(Refusal::LeafUsed {
            pubkey: xmss_key(1),
            leaf: 32,
            recorded: Some(root(1)),
            requested: root(2),
        })
    );
}

#[test]
fn openings_and_signatures_never_share_a_leaf_or_siblings() {
    let (_dir, database) = with_key(0);
    for epoch in [0, 64, 6400] {
        for leaf in [34, 36] {
            assert_eq!(ask(&database, request(Leaf::Opens(epoch + leaf), 1)), Ok(Accepted::New));
            // An opening has no message: the same whatever it is for.
            assert_eq!(
                ask(&database, request(Leaf::Opens(epoch + leaf), 2)),
                Ok(Accepted::Again)
            );
        }
        for leaf in [34, 35, 36, 37] {
            let refused = ask(&database, request(Leaf::Signs(epoch + leaf), 1));
            assert_eq!(verdict(&refused), "LeafNeverSigns", "{leaf}");
        }
        for leaf in [0, 31, 32, 33, 35, 37, 38, 39, 63] {
            let refused = ask(&database, request(Leaf::Opens(epoch + leaf), 1));
            assert_eq!(verdict(&refused), "LeafNeverOpens", "{leaf}");
        }
    }
}

#[test]
fn unknown_keys_and_messages_without_a_leaf_are_refused() {
    let (_dir, database) = with_key(0);
    database.register_keys(&[key(3)]).unwrap();
    let unknown = SigningRequest {
        pubkey: xmss_key(2),
        ..request(Leaf::Signs(1), 1)
    };
    assert_eq!(verdict(&ask(&database, unknown)), "UnregisteredKey");
    let without = SigningRequest {
        leaf: Leaf::None,
        ..request(Leaf::Signs(1), 1)
    };
    assert_eq!(verdict(&ask(&database, without)), "LeafMissing");
    let bls = SigningRequest {
        pubkey: key(3).into(),
        ..request(Leaf::Signs(1), 1)
    };
    assert_eq!(ask(&database, bls), Ok(Accepted::New));
    let another = SigningRequest {
        signing_root: root(2),
        ..bls
    };
    assert_eq!(ask(&database, another), Ok(Accepted::New), "a BLS key has no leaves");
    let far = request(Leaf::Signs(u64::MAX), 1);
    assert_eq!(verdict(&ask(&database, far)), "OutOfRange");
}

#[test]
fn vote_and_leaf_are_recorded_both_or_not_at_all() {
    let (_dir, database) = with_key(0);
    let vote = |source, target, leaf, message| SigningRequest {
        slashable: Slashable::Attestation {
            source_epoch: Epoch::new(source),
            target_epoch: Epoch::new(target),
        },
        ..request(Leaf::Signs(leaf), message)
    };
    assert_eq!(ask(&database, vote(2, 3, 3 * 64 + 32, 1)), Ok(Accepted::New));
    // Refused for its vote: its leaf stays free.
    assert_eq!(verdict(&ask(&database, vote(1, 4, 4 * 64 + 32, 2))), "Surrounding");
    assert_eq!(ask(&database, request(Leaf::Signs(4 * 64 + 32), 3)), Ok(Accepted::New));
    // Refused for its leaf: its target stays free.
    assert_eq!(verdict(&ask(&database, vote(2, 4, 4 * 64 + 32, 4))), "LeafUsed");
    assert_eq!(ask(&database, vote(2, 4, 4 * 64 + 38, 4)), Ok(Accepted::New));
    assert_eq!(ask(&database, vote(2, 4, 4 * 64 + 38, 4)), Ok(Accepted::Again));
}

#[test]
fn a_key_that_is_registered_again_keeps_its_record_and_its_mark() {
    let (_dir, database) = with_key(640);
    assert_eq!(verdict(&ask(&database, request(Leaf::Signs(639), 1))), "LeafBelowMark");
    assert!(ask(&database, request(Leaf::Signs(640), 1)).is_ok());
    for first_leaf in [0, 640, 6400] {
        let registered = database.register_one_time_key(&xmss_key(1), first_leaf).unwrap();
        assert_eq!(registered, Registered::Known(640));
    }
    assert_eq!(database.first_open_leaf(&xmss_key(1)).unwrap(), Some(640));
    assert_eq!(database.first_open_leaf(&xmss_key(2)).unwrap(), None);
    assert_eq!(verdict(&ask(&database, request(Leaf::Signs(640), 2))), "LeafUsed");
    assert!(database.registered_keys().unwrap().is_empty(), "no BLS key");
}

#[test]
fn pruning_raises_the_mark_beyond_what_it_forgets_and_no_further() {
    let (_dir, database) = with_key(0);
    for leaf in [5, 64 + 32, 2 * 64 + 32] {
        assert!(ask(&database, request(Leaf::Signs(leaf), 1)).is_ok());
    }
    database.prune(Slot::new(0), Epoch::new(2)).unwrap();
    assert_eq!(database.first_open_leaf(&xmss_key(1)).unwrap(), Some(64 + 33));
    assert_eq!(
        verdict(&ask(&database, request(Leaf::Signs(64 + 32), 1))),
        "LeafBelowMark"
    );
    assert!(ask(&database, request(Leaf::Signs(64 + 38), 1)).is_ok());
    assert_eq!(
        ask(&database, request(Leaf::Signs(2 * 64 + 32), 1)),
        Ok(Accepted::Again)
    );
    database.prune(Slot::new(u64::MAX), Epoch::new(u64::MAX)).unwrap();
    assert_eq!(database.first_open_leaf(&xmss_key(1)).unwrap(), Some(2 * 64 + 33));
}

#[test]
fn records_move_with_the_interchange_file_and_stay_out_of_the_eips_part() {
    let (_dir, source) = with_key(7);
    source.bind_to_chain(root(1)).unwrap();
    source.register_keys(&[key(3)]).unwrap();
    let block = SigningRequest {
        slashable: Slashable::Block { slot: Slot::new(11) },
        ..request(Leaf::Signs(64 + 3), 9)
    };
    assert!(ask(&source, block).is_ok());
    assert!(ask(&source, request(Leaf::Opens(64 + 34), 1)).is_ok());
    let file = source.export(None).unwrap().to_json().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(document["data"].as_array().unwrap().len(), 1);
    assert_eq!(document["one_time_keys"][0]["used_leaves"][0]["leaf"], "67");
    assert_eq!(document["one_time_keys"][0]["used_leaves"][1].get("signing_root"), None);

    let (_dir, target) = database(&[]);
    let imported = target.import(&Interchange::from_json(&file).unwrap(), root(1)).unwrap();
    assert_eq!((imported.keys, imported.blocks), (2, 1));
    assert_eq!(target.first_open_leaf(&xmss_key(1)).unwrap(), Some(64 + 35));
    assert_eq!(target.registered_keys().unwrap(), [key(3)]);
    let another = SigningRequest {
        leaf: Leaf::Signs(10 * 64),
        ..block
    };
    assert_eq!(verdict(&ask(&target, another)), "BlockBelowBound");
    assert!(ask(&target, request(Leaf::Signs(64 + 38), 1)).is_ok());
    // Without such keys the file is the EIP's and nothing else.
    let file = source.export(Some(&[key(3).into()])).unwrap().to_json().unwrap();
    assert!(!String::from_utf8(file).unwrap().contains("one_time_keys"));
}

#[test]
fn database_of_the_version_before_gets_the_new_tables_and_keeps_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    let old = rusqlite::Connection::open(&path).unwrap();
    old.pragma_update(None, "application_id", crate::schema::APPLICATION_ID)
        .unwrap();
    old.execute_batch(crate::schema::MIGRATIONS[0]).unwrap();
    old.execute_batch("INSERT INTO signing_keys (scheme, public_key) VALUES (0, zeroblob(48));")
        .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let (_dir, database) = database_in(dir, &[]);
    assert_eq!(database.registered_keys().unwrap(), [key(0)]);
    assert_eq!(
        database.register_one_time_key(&xmss_key(1), 0).unwrap(),
        Registered::New
    );
    drop(database);
    assert!(!matches!(
        SlashingDatabase::open(&path),
        Err(DatabaseError::Version { .. })
    ));
}

#[derive(Debug, Clone)]
enum Action {
    Use(Vec<(Leaf, u8)>),
    Prune(u64),
    Restart,
    Move,
    Register(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let one = (0u64..256, any::<bool>(), 1u8..4).prop_map(|(leaf, opens, message)| {
        let leaf = if opens {
            Leaf::Opens(leaf & !1)
        } else {
            Leaf::Signs(leaf)
        };
        (leaf, message)
    });
    let near = (32u64..40, any::<bool>(), 1u8..4).prop_map(|(leaf, opens, message)| {
        let leaf = if opens { Leaf::Opens(leaf) } else { Leaf::Signs(leaf) };
        (leaf, message)
    });
    prop_oneof![
        12 => prop::collection::vec(prop_oneof![one, near], 1..6).prop_map(Action::Use),
        1 => (0u64..5).prop_map(Action::Prune),
        1 => Just(Action::Restart),
        1 => Just(Action::Move),
        1 => (0u64..256).prop_map(Action::Register),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn no_leaf_is_ever_used_twice(actions in prop::collection::vec(action(), 1..60)) {
        let (mut _dir, mut current) = super::fast_database(&[]);
        current.bind_to_chain(root(1)).unwrap();
        current.register_one_time_key(&xmss_key(1), 0).unwrap();
        // What left: of a leaf, the message that it signed, or nothing for an opening.
        let mut used: HashMap<u64, Option<u8>> = HashMap::new();
        for action in actions {
            match action {
                Action::Use(uses) => {
                    let requests: Vec<_> = uses.iter().map(|(leaf, message)| request(*leaf, *message)).collect();
                    for ((leaf, message), answer) in uses.into_iter().zip(current.check_and_insert(&requests).unwrap()) {
                        if answer.is_err() {
                            continue;
                        }
                        let what = matches!(leaf, Leaf::Signs(_)).then_some(message);
                        let (Leaf::Signs(index) | Leaf::Opens(index)) = leaf else {
                            unreachable!("not asked for")
                        };
                        let before = used.insert(index, what);
                        prop_assert!(before.is_none_or(|before| before == what), "{leaf:?}: {before:?} and {what:?}");
                        prop_assert_eq!(answer == Ok(Accepted::Again), before.is_some());
                        let beside = used.get(&(index ^ 1));
                        prop_assert!(beside.is_none() || (beside != Some(&None) && what.is_some()), "{leaf:?}");
                    }
                }
                Action::Prune(epoch) => current.prune(Slot::new(0), Epoch::new(epoch)).unwrap(),
                Action::Restart => {
                    let path = current.path().to_path_buf();
                    drop(current);
                    current = SlashingDatabase::open(&path).unwrap();
                }
                Action::Move => {
                    let exported = current.export(None).unwrap();
                    (_dir, current) = super::fast_database(&[]);
                    current.import(&exported, root(1)).unwrap();
                }
                Action::Register(first) => {
                    current.register_one_time_key(&xmss_key(1), first).unwrap();
                }
            }
        }
    }
}
