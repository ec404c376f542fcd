//! Tests.

mod cases;
mod crash;
mod files;
mod interchange;
mod leaves;
mod model;

use crate::{Accepted, AttestationRequest, BlockRequest, Refusal, SlashingDatabase};
use tempfile::TempDir;
use types::{Epoch, PublicKeyBytes, Root, Slot};

/// A test's key, by number.
fn key(number: u8) -> PublicKeyBytes {
    PublicKeyBytes::repeat_byte(number)
}

/// A test's signing root, by number.
fn root(number: u8) -> Root {
    Root::repeat_byte(number)
}

fn block(number: u8, slot: u64, signing_root: u8) -> BlockRequest {
    BlockRequest {
        pubkey: key(number).into(),
        slot: Slot::new(slot),
        signing_root: root(signing_root),
    }
}

fn vote(number: u8, source: u64, target: u64, signing_root: u8) -> AttestationRequest {
    AttestationRequest {
        pubkey: key(number).into(),
        source_epoch: Epoch::new(source),
        target_epoch: Epoch::new(target),
        signing_root: root(signing_root),
    }
}

/// A fresh database that knows the keys, and the directory it lives in.
fn database(keys: &[u8]) -> (TempDir, SlashingDatabase) {
    database_in(tempfile::tempdir().unwrap(), keys)
}

/// As [`database`], in memory where the system has a directory for that: for tests with thousands of commits.
fn fast_database(keys: &[u8]) -> (TempDir, SlashingDatabase) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    database_in(dir.unwrap(), keys)
}

fn database_in(dir: TempDir, keys: &[u8]) -> (TempDir, SlashingDatabase) {
    let database = SlashingDatabase::open_or_create(&dir.path().join(crate::DATABASE_FILE)).unwrap();
    let keys: Vec<_> = keys.iter().map(|number| key(*number)).collect();
    database.register_keys(&keys).unwrap();
    (dir, database)
}

/// The verdict's name as the cases write it.
fn verdict(result: &Result<Accepted, Refusal>) -> String {
    match result {
        Ok(accepted) => format!("{accepted:?}"),
        Err(refusal) => format!("{refusal:?}")
            .split([' ', '(', '{'])
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}
