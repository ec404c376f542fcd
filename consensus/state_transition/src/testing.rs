//! States for the tests of this crate.

use crate::genesis::{GenesisGroup, GenesisValidator, genesis_state};
use bls::SecretKey;
use std::sync::{Mutex, OnceLock};
use types::constants::{FAR_FUTURE_EPOCH, GENESIS_EPOCH};
use types::{
    BeaconState, ChainSpec, Epoch, ForkName, Hash32, Minimal, PublicKeyBytes, Root, SignatureBytes, Signers, VirtualKey,
};

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
                .map(|key| VirtualKey::bls(public_key(group_key(index, key))))
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

/// The secret key behind [`public_key`].
pub(crate) fn secret_key(index: usize) -> SecretKey {
    SecretKey::derive_master(&(index as u64).to_le_bytes().repeat(4)).unwrap()
}

/// Number of key `key` of the group made by [`group`] with `index`.
pub(crate) fn group_key(index: usize, key: usize) -> usize {
    1000 + 16 * index + key
}

/// The aggregate of the signatures of those keys; of nobody the point at infinity.
pub(crate) fn sign(keys: impl IntoIterator<Item = usize>, signing_root: Root) -> SignatureBytes {
    let signatures: Vec<_> = keys
        .into_iter()
        .map(|key| secret_key(key).sign(&signing_root))
        .collect();
    if signatures.is_empty() {
        return bls::INFINITY_SIGNATURE;
    }
    bls::aggregate_signatures(&signatures).unwrap().to_bytes()
}

/// The bits of those keys.
pub(crate) fn signers(keys: impl IntoIterator<Item = usize>) -> Signers {
    let mut signers = Signers::default();
    for key in keys {
        signers.set(key, true).unwrap();
    }
    signers
}

/// A genesis state whose registry entries 0, 1, ... are groups of those sizes and thresholds, before `solos` solo
/// validators. The keys of entry `i` are `group_key(i, ..)`; the solo validator `i` has key `i`.
pub(crate) fn group_genesis(groups: &[(usize, u8)], solos: usize, spec: &ChainSpec) -> BeaconState<Minimal> {
    let groups_first = groups
        .iter()
        .enumerate()
        .map(|(index, (keys, threshold))| group(index, *keys, *threshold));
    let solos = (groups.len()..groups.len() + solos).map(solo);
    genesis(&groups_first.chain(solos).collect::<Vec<_>>(), spec)
}
