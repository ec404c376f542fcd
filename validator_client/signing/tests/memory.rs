//! Memory of a busy signer; alone in its process, because it measures the process.
#![cfg(target_os = "linux")]

use bls::{KeyPath, SecretKey};
use runtime::SlotClock;
use signing::{SignableMessage, Signer, SigningMethod};
use slashing_protection::SlashingDatabase;
use std::sync::Arc;
use types::{AttestationData, ChainSpec, Checkpoint, Epoch, Minimal, Root, Slot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_keys_that_attest_for_fifty_epochs_fit_into_half_of_a_clients_memory() {
    const HALF_OF_60_MB_IN_KIB: u64 = 30_000;
    let dir = tempfile::tempdir().unwrap();
    let database = SlashingDatabase::open_or_create(&dir.path().join("slashing_protection.sqlite")).unwrap();
    let keys: Vec<_> = (0..100)
        .map(|index| SecretKey::derive_path(&[7; 32], &KeyPath::signing_key(index)).unwrap())
        .map(SigningMethod::local)
        .collect();
    let spec = Arc::new(ChainSpec::minimal());
    let clock = SlotClock::manual(0, &spec);
    let signer = Arc::new(Signer::start(database, keys, Root::ZERO, spec, clock).unwrap());
    for epoch in 1..=50 {
        let tasks: Vec<_> = signer
            .keys()
            .into_iter()
            .map(|pubkey| {
                let signer = Arc::clone(&signer);
                tokio::spawn(async move {
                    let data = AttestationData {
                        slot: Slot::new(epoch * 8),
                        index: 0,
                        beacon_block_root: Root::repeat_byte(1),
                        source: Checkpoint {
                            epoch: Epoch::new(epoch - 1),
                            root: Root::ZERO,
                        },
                        target: Checkpoint {
                            epoch: Epoch::new(epoch),
                            root: Root::ZERO,
                        },
                    };
                    signer
                        .sign(&pubkey, SignableMessage::<Minimal>::Attestation(&data))
                        .await
                        .map(|_| ())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let resident: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("resident: {resident} KiB");
    assert!(resident < HALF_OF_60_MB_IN_KIB, "{resident} KiB");
}
