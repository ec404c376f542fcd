//! Keystores of the keys that a genesis is made of.

use crate::error::GenesisError;
use crate::keys::signing_keys;
use keystore::account::put_keystore;
use keystore::{Kdf, ValidatorsDir};
use std::path::PathBuf;
use types::PublicKeyBytes;

/// Most keystores of one call. A client with more would be far beyond what is tried on test networks.
const MAX_KEYSTORES: usize = 1 << 16;

/// Keys of `mnemonics.yaml` that one participant is to have, and where.
#[derive(Debug, Clone)]
pub struct Keystores {
    /// `mnemonics.yaml`.
    pub mnemonics: PathBuf,
    /// Numbers of keys, counted over all entries of the mnemonics as in `groups.yaml`.
    pub keys: Vec<u64>,
    /// Where keystores go, one directory each.
    pub validators_dir: PathBuf,
    /// Where passwords go.
    pub secrets_dir: PathBuf,
    /// Encrypt in no time and with no strength.
    pub is_insecure: bool,
}

impl Keystores {
    /// Writes those that are not there, with random passwords, and gives the public keys of all.
    pub fn write(&self) -> Result<Vec<PublicKeyBytes>, GenesisError> {
        let keys = signing_keys(&self.mnemonics, &self.keys)?;
        let dir = ValidatorsDir::open(&self.validators_dir, &self.secrets_dir)
            .map_err(|error| GenesisError::content(&self.validators_dir, error.to_string()))?;
        let kdf = || match self.is_insecure {
            true => Kdf::insecure(),
            false => Kdf::strong(),
        };
        keys.iter()
            .map(|(index, key)| {
                put_keystore(&dir, key, kdf, *index)
                    .map_err(|error| GenesisError::content(&self.validators_dir, error.to_string()))?;
                Ok(key.public_key().to_bytes())
            })
            .collect()
    }
}

/// Numbers and ranges of them with both ends, separated by commas: `0-15,32`.
pub fn parse_key_numbers(text: &str) -> Result<Vec<u64>, String> {
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            text.trim()
                .parse::<u64>()
                .map_err(|_| format!("{text:?} is not a number; expected for example 0-15,32"))
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("{part} ends before it begins"));
        }
        if last.saturating_sub(first) >= MAX_KEYSTORES as u64 || numbers.len() >= MAX_KEYSTORES {
            return Err(format!("{text} has too many keys, expected at most {MAX_KEYSTORES}"));
        }
        numbers.extend(first..=last);
    }
    Ok(numbers)
}
