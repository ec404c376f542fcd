//! What opening a file does, and what it never does.

use super::{block, database, key, root};
use crate::{DATABASE_FILE, DatabaseError, SlashingDatabase};
use std::fs;
use types::{Epoch, Slot};

#[test]
fn missing_database_is_an_error_without_the_flag_and_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    let error = SlashingDatabase::open(&path).unwrap_err();
    assert!(matches!(error, DatabaseError::Missing { .. }));
    assert!(error.to_string().contains("--init-slashing-protection"));
    assert!(!path.exists());
}

#[test]
fn flag_creates_a_private_file_once_and_opens_it_later() {
    let (dir, database) = database(&[1]);
    let path = database.path().to_path_buf();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    database.check_and_insert_block(&block(1, 10, 1)).unwrap().unwrap();
    drop(database);
    let database = SlashingDatabase::open_or_create(&path).unwrap();
    assert_eq!(database.registered_keys().unwrap(), [key(1)]);
    assert!(database.check_and_insert_block(&block(1, 10, 2)).unwrap().is_err());
    for entry in fs::read_dir(dir.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            [DATABASE_FILE.to_owned(), format!("{DATABASE_FILE}-journal")].contains(&name),
            "{name} was left behind"
        );
    }
}

#[test]
fn files_that_are_no_database_are_refused_and_stay_as_they_are() {
    let (dir, database) = database(&[1]);
    for slot in 1..400 {
        database.check_and_insert_block(&block(1, slot, 1)).unwrap().unwrap();
    }
    drop(database);
    let good = fs::read(dir.path().join(DATABASE_FILE)).unwrap();
    let mut damaged = good.clone();
    let half = damaged.len() / 2;
    damaged[half..].fill(0x5a);
    let truncated = good[..half].to_vec();
    for (name, content) in [
        ("empty", Vec::new()),
        ("text", b"not a database".repeat(20)),
        ("short", b"SQLite format 3\0".to_vec()),
        ("damaged", damaged),
        ("truncated", truncated),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, &content).unwrap();
        for result in [SlashingDatabase::open(&path), SlashingDatabase::open_or_create(&path)] {
            let error = result.expect_err(name);
            assert!(matches!(error, DatabaseError::Corrupt { .. }), "{name}: {error}");
            assert!(error.to_string().contains(name), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), content, "{name} was changed");
    }
}

#[test]
fn database_of_another_program_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE validators (id INTEGER); INSERT INTO validators VALUES (1);",
        )
        .unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = SlashingDatabase::open_or_create(&path).unwrap_err();
    assert!(matches!(error, DatabaseError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("interchange"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn database_of_a_newer_version_is_refused() {
    let (_dir, database) = database(&[1]);
    let path = database.path().to_path_buf();
    drop(database);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SlashingDatabase::open(&path).unwrap_err();
    assert!(matches!(error, DatabaseError::Version { found: 99, .. }), "{error}");
}

#[test]
fn second_client_cannot_open_the_database_until_the_first_is_gone() {
    let (_dir, database) = database(&[1]);
    let path = database.path().to_path_buf();
    let error = SlashingDatabase::open(&path).unwrap_err();
    assert!(matches!(error, DatabaseError::Locked { .. }), "{error}");
    // The first one is not disturbed.
    database.check_and_insert_block(&block(1, 10, 1)).unwrap().unwrap();
    drop(database);
    SlashingDatabase::open(&path).unwrap();
}

#[test]
fn journal_without_its_database_is_not_taken_for_a_fresh_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    fs::write(dir.path().join(format!("{DATABASE_FILE}-journal")), [1]).unwrap();
    let error = SlashingDatabase::open_or_create(&path).unwrap_err();
    assert!(matches!(error, DatabaseError::JournalWithoutDatabase { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn database_serves_one_chain_only() {
    let (_dir, database) = database(&[1]);
    assert_eq!(database.genesis_validators_root().unwrap(), None);
    database.bind_to_chain(root(1)).unwrap();
    database.bind_to_chain(root(1)).unwrap();
    let error = database.bind_to_chain(root(2)).unwrap_err();
    assert!(matches!(error, DatabaseError::OtherChain { .. }), "{error}");
    assert_eq!(database.genesis_validators_root().unwrap(), Some(root(1)));
}

#[test]
fn bounds_of_a_joining_key_only_rise() {
    let (_dir, database) = database(&[1]);
    let raise = |source, target| {
        database
            .raise_bounds(key(1), None, Some(Epoch::new(source)), Some(Epoch::new(target)))
            .unwrap()
            .unwrap();
    };
    raise(5, 9);
    raise(3, 4);
    let ask = |source, target| {
        let request = super::vote(1, source, target, 1);
        super::verdict(&database.check_and_insert_attestation(&request).unwrap())
    };
    assert_eq!(ask(4, 10), "SourceBelowBound");
    assert_eq!(ask(5, 9), "TargetBelowBound");
    assert_eq!(ask(5, 10), "New");
    // Blocks were not closed.
    assert!(database.check_and_insert_block(&block(1, 1, 1)).unwrap().is_ok());
    let unknown = database.raise_bounds(key(9), Some(Slot::new(1)), None, None).unwrap();
    assert!(unknown.is_err());
}

#[test]
fn every_commit_is_synced_and_the_lock_is_kept() {
    let (_dir, database) = database(&[1]);
    for (pragma, expected) in [
        ("journal_mode", "truncate"),
        ("locking_mode", "exclusive"),
        ("synchronous", "2"),
    ] {
        let found = database
            .transaction(|transaction| {
                transaction.query_row(&format!("PRAGMA {pragma}"), [], |row| {
                    row.get::<_, rusqlite::types::Value>(0)
                })
            })
            .unwrap();
        let found = match found {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{pragma}");
    }
}
