//! The same behaviour on disk and in memory, and what a crash leaves behind.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use state_transition::genesis::{GenesisValidator, genesis_block, genesis_state};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use storage::*;
use tempfile::TempDir;
use types::*;

fn stores() -> (TempDir, Vec<Box<dyn KeyValueStore>>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = LevelDbStore::open(&directory.path().join("db")).unwrap();
    (directory, vec![Box::new(disk), Box::<MemoryStore>::default()])
}

#[test]
fn a_column_is_read_in_the_order_of_its_keys_and_without_its_neighbours() {
    let (_directory, stores) = stores();
    for store in stores {
        let mut batch = Batch::default();
        for key in [3u8, 1, 2] {
            batch.put(Column::Block, &[key], vec![key]);
        }
        batch.put(Column::Canonical, &[9], vec![9]);
        batch.put(Column::HotBlock, &[0], vec![0]);
        store.write(batch, true).unwrap();
        let keys = |from: &[u8], limit| -> Vec<u8> {
            store
                .range(Column::Block, from, limit)
                .unwrap()
                .into_iter()
                .map(|(key, _)| key[0])
                .collect()
        };
        assert_eq!(keys(&[], 10), [1, 2, 3], "{store:?}");
        assert_eq!(keys(&[2], 10), [2, 3], "{store:?}");
        assert_eq!(keys(&[], 2), [1, 2], "{store:?}");
        let last = |at: u8| {
            store
                .last_at_or_before(Column::Block, &[at])
                .unwrap()
                .map(|(key, _)| key[0])
        };
        assert_eq!([last(0), last(2), last(200)], [None, Some(2), Some(3)], "{store:?}");
    }
}

#[test]
fn a_deleted_entry_is_gone() {
    let (_directory, stores) = stores();
    for store in stores {
        let mut batch = Batch::default();
        batch.put(Column::Block, b"a", b"1".to_vec());
        batch.put(Column::Block, b"b", b"2".to_vec());
        batch.delete(Column::Block, b"a");
        store.write(batch, false).unwrap();
        assert_eq!(store.get(Column::Block, b"a").unwrap(), None);
        assert_eq!(store.get(Column::Block, b"b").unwrap(), Some(b"2".to_vec()));
        store.compact().unwrap();
        assert_eq!(store.get(Column::Block, b"b").unwrap(), Some(b"2".to_vec()));
        store.delete(Column::Block, b"b", false).unwrap();
        assert!(!store.exists(Column::Block, b"b").unwrap());
    }
}

#[test]
fn keys_with_a_prefix_end_where_it_ends() {
    let (_directory, stores) = stores();
    for store in stores {
        let mut batch = Batch::default();
        for key in [[1u8, 9], [2, 0], [2, 0xff], [3, 0]] {
            batch.put(Column::DataColumn, &key, vec![0; 10]);
        }
        batch.put(Column::HotState, &[2, 1], Vec::new());
        store.write(batch, false).unwrap();
        let keys = |prefix: &[u8]| store.keys_with_prefix(Column::DataColumn, prefix).unwrap();
        assert_eq!(keys(&[2]), [[2, 0], [2, 0xff]], "{store:?}");
        assert_eq!(keys(&[]).len(), 4, "{store:?}");
        assert!(keys(&[4]).is_empty(), "{store:?}");
    }
}

#[test]
fn a_database_that_is_open_cannot_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let _open = LevelDbStore::open(directory.path()).unwrap();
    let error = LevelDbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StorageError::Locked { .. }), "{error}");
    let expected = format!("another node is running with {}", directory.path().display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

/// The lock of a database is its process's: this one plays the node in a process of its own.
#[test]
fn the_database_of_a_running_node_is_not_purged() {
    const DATADIR: &str = "FRESNEL_TEST_NODE_DATADIR";
    let (state, block) = genesis();
    let root = block.block_root();
    let open = |datadir: &std::path::Path| Storage::<Minimal>::open(datadir, Identity::of(&state));
    if let Some(datadir) = std::env::var_os(DATADIR) {
        let storage = open(datadir.as_ref()).unwrap();
        storage.put_block(root, &block).unwrap();
        println!("node is running");
        // It ends with its parent.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let datadir = directory.path();
    assert!(!purge_database(datadir).unwrap(), "there is none");
    let mut node = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_database_of_a_running_node_is_not_purged", "--nocapture"])
        .env(DATADIR, datadir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("node is running")));
    for error in [purge_database(datadir).unwrap_err(), open(datadir).unwrap_err()] {
        assert!(matches!(error, StorageError::Locked { .. }), "{error}");
    }
    drop(node.stdin.take());
    assert!(node.wait().unwrap().success());
    assert!(open(datadir).unwrap().block_exists(&root).unwrap());
    assert!(purge_database(datadir).unwrap());
    assert!(!open(datadir).unwrap().block_exists(&root).unwrap());
}

/// It is deleted under another name, so that what is left of it is not taken for a database.
#[test]
fn what_a_purge_left_that_was_stopped_half_way_is_deleted_later() {
    let directory = tempfile::tempdir().unwrap();
    let datadir = directory.path();
    let left = database_dir(datadir).with_extension("purged");
    let leave = || {
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("000005.ldb"), "half").unwrap();
    };
    leave();
    drop(Storage::<Minimal>::open(datadir, identity()).unwrap());
    assert!(!left.exists());
    leave();
    assert!(purge_database(datadir).unwrap());
    assert!(!left.exists() && !database_dir(datadir).exists());
}

#[test]
fn a_damaged_database_is_not_called_locked_for_the_name_of_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clock");
    drop(LevelDbStore::open(&path).unwrap());
    std::fs::write(path.join("CURRENT"), "MANIFEST-000099\n").unwrap();
    let error = LevelDbStore::open(&path).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
}

#[test]
fn a_creation_that_was_killed_half_way_is_finished_and_lost_tables_are_not_taken_for_one() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["LOCK", "LOG", "MANIFEST-000001", "000001.dbtmp"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    drop(LevelDbStore::open(directory.path()).unwrap());
    assert!(directory.path().join("CURRENT").exists());
    std::fs::remove_file(directory.path().join("CURRENT")).unwrap();
    let error = LevelDbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    drop(LevelDbStore::open(directory.path()).unwrap());
    std::fs::write(directory.path().join("CURRENT"), "nonsense").unwrap();
    let error = LevelDbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    assert_eq!(
        std::fs::read_to_string(directory.path().join("CURRENT")).unwrap(),
        "nonsense"
    );

    std::fs::remove_file(directory.path().join("CURRENT")).unwrap();
    let error = LevelDbStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
}

fn identity() -> Identity {
    Identity {
        genesis_validators_root: Root::repeat_byte(1),
        genesis_time: 1000,
    }
}

fn genesis() -> (BeaconState<Minimal>, SignedBeaconBlock<Minimal>) {
    let mut spec = ChainSpec::minimal();
    spec.fulu_fork_epoch = Epoch::new(0);
    let validators: Vec<GenesisValidator> = (0..8u8)
        .map(|index| GenesisValidator {
            pubkey:
                "0xa491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a"
                    .parse::<PublicKeyBytes>()
                    .map(|key| if index == 0 { key } else { public_key(index) })
                    .unwrap(),
            withdrawal_credentials: Hash32::repeat_byte(1),
            balance: 32_000_000_000,
            group: None,
        })
        .collect();
    let mut state = genesis_state(1000, &validators, ExecutionPayloadHeader::default(), &spec).unwrap();
    let block = genesis_block(&mut state).unwrap();
    (state, block)
}

fn public_key(index: u8) -> PublicKeyBytes {
    bls::SecretKey::derive_master(&[index; 32])
        .unwrap()
        .public_key()
        .to_bytes()
}

#[test]
fn a_database_of_another_network_is_refused_with_both_values() {
    let directory = tempfile::tempdir().unwrap();
    drop(Storage::<Minimal>::open(directory.path(), identity()).unwrap());
    let other = Identity {
        genesis_validators_root: Root::repeat_byte(2),
        ..identity()
    };
    let error = Storage::<Minimal>::open(directory.path(), other)
        .unwrap_err()
        .to_string();
    assert!(error.contains(&Root::repeat_byte(1).to_string()) && error.contains(&Root::repeat_byte(2).to_string()));
    let error = Storage::<Mainnet>::open(directory.path(), identity())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "database has preset minimal, expected mainnet");
    let later = Identity {
        genesis_time: 2000,
        ..identity()
    };
    let error = Storage::<Minimal>::open(directory.path(), later)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "database has genesis time 1000, expected 2000");
}

#[test]
fn a_database_of_another_schema_is_refused_before_anything_else_of_it_is_read() {
    let store = MemoryStore::default();
    store
        .put(
            Column::Metadata,
            b"identity",
            [1u64.to_le_bytes().as_slice(), &[7; 36]].concat(),
            false,
        )
        .unwrap();
    let error = Storage::<Minimal>::with_store(Box::new(store), identity())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "database has schema version 1, expected 3");
}

#[test]
fn blocks_and_states_come_back_as_they_were_stored() {
    let directory = tempfile::tempdir().unwrap();
    let (state, block) = genesis();
    let root = block.block_root();
    {
        let storage = Storage::<Minimal>::open(directory.path(), identity()).unwrap();
        storage.put_block(root, &block).unwrap();
        assert_eq!(storage.anchor().unwrap(), None);
        storage
            .finalize(&[(Slot::new(0), root)], &[], (Slot::new(0), root), &state)
            .unwrap();
    }
    let storage = Storage::<Minimal>::open(directory.path(), identity()).unwrap();
    assert_eq!(storage.get_block(&root).unwrap(), Some(block));
    assert_eq!(storage.get_state(&root).unwrap(), Some(state));
    assert_eq!(storage.anchor().unwrap(), Some((Slot::new(0), root)));
    assert_eq!(storage.canonical_root(Slot::new(0)).unwrap(), Some(root));
    assert_eq!(
        storage.latest_state_at_or_before(Slot::new(7)).unwrap(),
        Some((Slot::new(0), root))
    );
    assert_eq!(storage.get_block(&Root::ZERO).unwrap(), None);
}

#[test]
fn finality_drops_other_branches_and_keeps_what_comes_after() {
    let storage = Storage::<Minimal>::in_memory(identity()).unwrap();
    let (state, genesis_block) = genesis();
    let block = |slot: u64, mark: u8| {
        let SignedBeaconBlock::Fulu(mut block) = genesis_block.clone() else {
            panic!("genesis is Fulu")
        };
        block.message.slot = Slot::new(slot);
        block.message.body.graffiti = Hash32::repeat_byte(mark);
        SignedBeaconBlock::<Minimal>::Fulu(block)
    };
    let blocks = [block(1, 1), block(1, 2), block(2, 1)];
    let roots: Vec<Root> = blocks.iter().map(SignedBeaconBlock::block_root).collect();
    for (root, block) in roots.iter().zip(&blocks) {
        storage.put_block(*root, block).unwrap();
    }
    assert_eq!(storage.blocks_after(Slot::new(0)).unwrap().len(), 3);
    storage
        .finalize(
            &[(Slot::new(1), roots[0])],
            &[roots[1]],
            (Slot::new(1), roots[0]),
            &state,
        )
        .unwrap();
    assert_eq!(storage.blocks_after(Slot::new(0)).unwrap(), [(Slot::new(2), roots[2])]);
    assert!(storage.block_exists(&roots[0]).unwrap());
    assert!(!storage.block_exists(&roots[1]).unwrap());
}

fn sidecar(slot: u64, index: u64) -> DataColumnSidecar<Minimal> {
    let (_, block) = genesis();
    let SignedBeaconBlockHeader::Fulu(mut signed_block_header) = block.signed_block_header() else {
        panic!("genesis is Fulu")
    };
    signed_block_header.message.slot = Slot::new(slot);
    DataColumnSidecar::Fulu(DataColumnSidecarFulu {
        index,
        column: Default::default(),
        kzg_commitments: Default::default(),
        kzg_proofs: Default::default(),
        signed_block_header,
        kzg_commitments_inclusion_proof: Default::default(),
    })
}

#[test]
fn steps_of_custody_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Storage::<Minimal>::open(dir.path(), identity()).unwrap();
    let step = |from, group_count| CustodyStep {
        from: Slot::new(from),
        group_count,
    };
    let kept = ColumnsKept {
        group_count: 20,
        from: Slot::new(8),
    };
    let storage = open();
    assert_eq!(storage.custody_steps().unwrap(), []);
    storage.put_custody_steps(&[step(4, 16), step(80, 20)]).unwrap();
    assert!(!storage.has_data_columns().unwrap());
    storage.put_data_column(&Root::ZERO, &sidecar(0, 7)).unwrap();
    assert_eq!(storage.columns_kept().unwrap(), None);
    storage.put_columns_kept(kept).unwrap();
    drop(storage);
    let storage = open();
    assert_eq!(storage.custody_steps().unwrap(), [step(4, 16), step(80, 20)]);
    assert!(storage.has_data_columns().unwrap());
    assert_eq!(storage.columns_kept().unwrap(), Some(kept));
    storage.put_custody_steps(&[]).unwrap();
    assert_eq!(storage.custody_steps().unwrap(), []);
}

#[test]
fn columns_go_with_what_is_not_canonical_and_when_they_are_old() {
    let storage = Storage::<Minimal>::in_memory(identity()).unwrap();
    let (state, _) = genesis();
    let root = |mark: u8| Root::repeat_byte(mark);
    // The block of slot 3 is on another branch; that of slot 9 is not final yet.
    for (mark, slot) in [(1, 1), (2, 2), (3, 3), (4, 4), (9, 9)] {
        for index in [0, 5, 300] {
            storage.put_data_column(&root(mark), &sidecar(slot, index)).unwrap();
        }
    }
    let canonical = [
        (Slot::new(1), root(1)),
        (Slot::new(2), root(2)),
        (Slot::new(4), root(4)),
    ];
    let columns = |mark| storage.data_column_indices(&root(mark)).unwrap();
    storage
        .finalize(&canonical, &[], (Slot::new(4), root(4)), &state)
        .unwrap();
    assert_eq!([columns(1), columns(3)], [vec![0, 5, 300], vec![]]);
    assert_eq!(storage.get_data_column(&root(1), 5).unwrap(), Some(sidecar(1, 5)));
    assert_eq!(columns(9).len(), 3);
    storage.remove_data_columns(Slot::new(9), &root(9), &[5]).unwrap();
    assert_eq!(columns(9), [0, 300]);
    storage.remove_data_columns(Slot::new(9), &root(9), &[0, 300]).unwrap();
    assert_eq!(columns(9).len(), 0);

    assert_eq!(storage.prune_data_columns_before(Slot::new(2)).unwrap(), 1);
    assert_eq!([columns(1).len(), columns(2).len(), columns(4).len()], [0, 3, 3]);
    assert_eq!(storage.prune_data_columns_before(Slot::new(4)).unwrap(), 1);
    assert_eq!([columns(2).len(), columns(4).len()], [0, 3]);
    // What was fetched for old blocks meanwhile goes the next time.
    storage.put_data_column(&root(1), &sidecar(1, 0)).unwrap();
    assert_eq!(storage.prune_data_columns_before(Slot::new(4)).unwrap(), 1);
    assert_eq!(columns(1).len(), 0);
    // Nothing is left of what was removed before, not even that it was here.
    assert_eq!(storage.prune_data_columns_before(Slot::new(10)).unwrap(), 1);
}

#[test]
fn blocks_from_before_the_checkpoint_extend_the_chain_downwards() {
    let storage = Storage::<Minimal>::in_memory(identity()).unwrap();
    assert_eq!(storage.oldest_block().unwrap(), None);
    let (state, genesis_block) = genesis();
    let at = |slot: u64| {
        let SignedBeaconBlock::Fulu(mut block) = genesis_block.clone() else {
            panic!("genesis is Fulu")
        };
        block.message.slot = Slot::new(slot);
        let block = SignedBeaconBlock::<Minimal>::Fulu(block);
        (block.block_root(), Arc::new(block))
    };
    let [six, seven, nine] = [6, 7, 9].map(at);
    storage.put_block(nine.0, &nine.1).unwrap();
    let anchor = (Slot::new(9), nine.0);
    storage.finalize(&[anchor], &[], anchor, &state).unwrap();
    assert_eq!(storage.oldest_block().unwrap(), Some(anchor));
    storage.put_backfilled(&[seven.clone(), six.clone()]).unwrap();
    assert_eq!(storage.oldest_block().unwrap(), Some((Slot::new(6), six.0)));
    assert_eq!(storage.get_block(&seven.0).unwrap().as_ref(), Some(seven.1.as_ref()));
    assert_eq!(
        storage.anchor().unwrap(),
        Some(anchor),
        "a restart goes on where it was"
    );
    assert_eq!(storage.blocks_after(Slot::new(0)).unwrap(), []);
    let at_or_before = |slot| storage.canonical_at_or_before(Slot::new(slot)).unwrap();
    assert_eq!(
        [5, 8, 100].map(at_or_before),
        [None, Some((Slot::new(7), seven.0)), Some(anchor)]
    );
}

#[test]
fn snapshots_live_until_finality_has_passed_them() {
    let storage = Storage::<Minimal>::in_memory(identity())
        .unwrap()
        .with_epochs_per_restore_point(2);
    let (state, _) = genesis();
    let root = |mark: u8| Root::repeat_byte(mark);
    let slots = [8u64, 16, 24, 32].map(Slot::new);
    for (mark, slot) in (1u8..).zip(slots) {
        storage.put_state(slot, &root(mark), &state).unwrap();
    }
    storage.put_state(slots[3], &root(5), &state).unwrap();
    let kept = || (1..=5).map(|mark| storage.get_state(&root(mark)).unwrap().is_some());
    storage.finalize(&[], &[], (slots[1], root(2)), &state).unwrap();
    assert_eq!(kept().collect::<Vec<_>>(), [false, true, true, true, true]);
    storage.finalize(&[], &[root(5)], (slots[2], root(3)), &state).unwrap();
    assert_eq!(
        kept().collect::<Vec<_>>(),
        [false, false, true, true, false],
        "epoch 2 is no restore point, its period goes on"
    );
    storage.finalize(&[], &[], (slots[3], root(4)), &state).unwrap();
    assert_eq!(kept().collect::<Vec<_>>(), [false, false, true, true, false]);
}

const CHILD_DIRECTORY: &str = "STORAGE_TEST_CHILD_DIRECTORY";

/// Not a test of its own: the process that the next test kills.
#[test]
fn child_writes_batches_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else {
        return;
    };
    let store = LevelDbStore::open(std::path::Path::new(&directory)).unwrap();
    let first = store.range(Column::Block, &[], usize::MAX).unwrap().len() as u64 / 2;
    for number in first.. {
        let mut batch = Batch::default();
        batch.put(
            Column::Block,
            &[number.to_be_bytes().as_slice(), b"a"].concat(),
            vec![7; 2000],
        );
        batch.put(
            Column::Block,
            &[number.to_be_bytes().as_slice(), b"b"].concat(),
            vec![8; 2000],
        );
        store.write(batch, false).unwrap();
        println!("{number}");
    }
}

#[test]
fn after_kill_9_every_batch_is_whole_or_absent() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..5usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_writes_batches_until_it_is_killed", "--exact", "--nocapture"])
            .env(CHILD_DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged: Vec<u64> = lines
            .filter_map(|line| line.unwrap().parse().ok())
            .take(50 + 37 * round)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();

        let store = LevelDbStore::open(directory.path()).unwrap();
        let entries = store.range(Column::Block, &[], usize::MAX).unwrap();
        assert_eq!(entries.len() % 2, 0, "half a batch was left");
        assert!(
            entries.len() as u64 / 2 > *acknowledged.last().unwrap(),
            "an acknowledged batch was lost"
        );
    }
}
