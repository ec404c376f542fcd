//! Deterministic keys, and registry entries made from them.

use bls::SecretKey;
use state_transition::genesis::{GenesisGroup, GenesisValidator};
use std::collections::HashMap;
use types::{Gwei, Hash32, PublicKeyBytes, VirtualKey};

const ETH: Gwei = 1_000_000_000;

/// The secret key with a number. Registry keys have small numbers, virtual keys large ones.
fn secret_key(number: u64) -> SecretKey {
    let mut seed = [7u8; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    SecretKey::derive_master(&seed).unwrap()
}

fn virtual_key_number(validator: u64, key: u64) -> u64 {
    1_000_000 + validator * 100 + key
}

/// A virtual key of a registry entry. Numbers beyond 15 are keys that join later.
pub fn virtual_key(validator: u64, key: u64) -> VirtualKey {
    VirtualKey::bls(secret_key(virtual_key_number(validator, key)).public_key().to_bytes())
}

/// A solo validator with a balance in ETH and compounding credentials.
pub fn solo(validator: u64, balance_eth: u64) -> GenesisValidator {
    let mut withdrawal_credentials = Hash32::repeat_byte(0x11);
    withdrawal_credentials[0] = 0x02;
    GenesisValidator {
        pubkey: secret_key(validator).public_key().to_bytes(),
        withdrawal_credentials,
        balance: balance_eth * ETH,
        group: None,
    }
}

/// A group of `keys` keys with a threshold and a balance in ETH.
pub fn group_of(validator: u64, threshold: u8, keys: u64, balance_eth: u64) -> GenesisValidator {
    let keys = (0..keys).map(|key| virtual_key(validator, key)).collect();
    GenesisValidator {
        group: Some(GenesisGroup { threshold, keys }),
        ..solo(validator, balance_eth)
    }
}

/// All secret keys of a chain, by public key.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    by_public_key: HashMap<PublicKeyBytes, SecretKey>,
}

impl Keys {
    /// The registry keys of so many entries, and so many virtual keys of each that is in `groups`.
    pub fn new(validators: u64, groups: &[u64], keys_per_group: u64) -> Self {
        let registry = 0..validators;
        let members = groups
            .iter()
            .flat_map(|group| (0..keys_per_group).map(|key| virtual_key_number(*group, key)));
        let by_public_key = registry
            .chain(members)
            .map(secret_key)
            .map(|secret| (secret.public_key().to_bytes(), secret))
            .collect();
        Self { by_public_key }
    }

    /// The secret key of a public key.
    pub fn get(&self, public_key: &PublicKeyBytes) -> &SecretKey {
        self.by_public_key
            .get(public_key)
            .expect("the chain's keys are all here")
    }
}
