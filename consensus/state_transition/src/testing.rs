//! States for the tests of this crate.

use crate::genesis::{GenesisGroup, GenesisValidator, genesis_state};
use bls::SecretKey;
use std::sync::{Mutex, OnceLock};
use types::constants::{FAR_FUTURE_EPOCH, GENESIS_EPOCH};
use types::{BeaconState, ChainSpec, Epoch, ForkName, Hash32, Minimal, PublicKeyBytes, VirtualKey};

/// 32 ETH in Gwei.
pub(crate) const FULL_BALANCE: u64 = 32_000_000_000;

/// A minimal chain that begins with `fork`.
pub(crate) fn minimal_spec(fork: ForkName) -> ChainSpec {
    let mut spec = ChainSpec::minimal();
    spec.fulu_fork_epoch = GENESIS_EPOCH;
    spec.dvt_fork_epoch = match fork {
        ForkName::Fulu => FAR_FUTURE_EPOCH,
        ForkName::Dvt => GENESIS_EPOCH,
    };
    spec
}

/// A minimal chain that goes from Fulu to `dvt` at `epoch`.
pub(crate) fn minimal_spec_with_upgrade(epoch: u64) -> ChainSpec {
    let mut spec = minimal_spec(ForkName::Fulu);
    spec.dvt_fork_epoch = Epoch::new(epoch);
    spec
}

/// The public key of a fixed secret key. Deriving keys is slow, so they are made once for all tests.
pub(crate) fn public_key(index: usize) -> PublicKeyBytes {
    static KEYS: OnceLock<Mutex<Vec<PublicKeyBytes>>> = OnceLock::new();
    let mut keys = KEYS.get_or_init(Mutex::default).lock().unwrap();
    while keys.len() <= index {
        let seed = (keys.len() as u64).to_le_bytes().repeat(4);
        keys.push(SecretKey::derive_master(&seed).unwrap().public_key().to_bytes());
    }
    keys[index]
}

/// A solo validator with a full balance.
pub(crate) fn solo(index: usize) -> GenesisValidator {
    GenesisValidator {
        pubkey: public_key(index),
        withdrawal_credentials: Hash32::with_last_byte(index as u8) | Hash32::right_padding_from(&[1]),
        balance: FULL_BALANCE,
        group: None,
    }
}

/// A group with 32 ETH for each of its keys, which no other validator has.
pub(crate) fn group(index: usize, keys: usize, threshold: u8) -> GenesisValidator {
    GenesisValidator {
        withdrawal_credentials: Hash32::right_padding_from(&[2]),
        balance: FULL_BALANCE * keys as u64,
        group: Some(GenesisGroup {
            threshold,
            keys: (0..keys)
                .map(|key| VirtualKey::bls(public_key(1000 + 16 * index + key)))
                .collect(),
        }),
        ..solo(index)
    }
}

/// The genesis state of those validators.
pub(crate) fn genesis(validators: &[GenesisValidator], spec: &ChainSpec) -> BeaconState<Minimal> {
    genesis_state(1_700_000_000, validators, Default::default(), spec).unwrap()
}

/// The genesis state of so many solo validators.
pub(crate) fn solo_genesis(count: usize, spec: &ChainSpec) -> BeaconState<Minimal> {
    genesis(&(0..count).map(solo).collect::<Vec<_>>(), spec)
}
