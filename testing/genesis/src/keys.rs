//! Validators of a genesis, from mnemonics and from lists.

use crate::error::{GenesisError, read};
use bls::{PublicKey, SecretKey};
use keystore::account::ValidatorKeys;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use types::{Gwei, Hash32, PublicKeyBytes};

/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 28;
/// Most keys of a genesis: far more than a state of a test network holds.
const MAX_KEYS: u64 = 1 << 22;
/// Where something stands in the files of a genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An entry of the mnemonics, and the key's index below it.
    Mnemonic {
        /// Counted from 0.
        entry: usize,
        /// In the path of EIP-2334.
        index: u64,
    },
    /// A line of the list of validators.
    Line(u64),
    /// A group, counted from 0.
    Group(u64),
}

/// A key that may become a validator, or a member of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GenesisKey {
    /// Public key.
    pub(crate) pubkey: PublicKeyBytes,
    /// Withdrawal credentials of its validator.
    pub(crate) withdrawal_credentials: Hash32,
    /// Balance of its validator in Gwei.
    pub(crate) balance: Option<Gwei>,
    /// Where the key comes from: the name in the mapping of validators.
    pub(crate) source: String,
    /// Index of the key in its source.
    pub(crate) source_index: u64,
    /// Where it stands.
    pub(crate) origin: Origin,
}

/// An entry of `mnemonics.yaml`, as the ecosystem's generators read it. Keys that are not known are ignored, as there.
#[derive(Debug, Deserialize)]
struct MnemonicEntry {
    mnemonic: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    start: u64,
    count: u64,
    #[serde(default)]
    balance: u64,
    #[serde(default)]
    wd_address: String,
    #[serde(default)]
    wd_prefix: String,
    #[serde(default)]
    wd_key_path: String,
    /// 0: active; 1: slashed; 2: exited.
    #[serde(default)]
    status: u64,
}

/// `mnemonics.yaml`: its entries with their seeds.
struct MnemonicsFile(Vec<(MnemonicEntry, Vec<u8>)>);

impl MnemonicsFile {
    fn read(path: &Path) -> Result<Self, GenesisError> {
        let wrong = |reason: String| GenesisError::content(path, reason);
        let entries: Vec<MnemonicEntry> =
            serde_yaml_ng::from_slice(&read(path, MAX_FILE_BYTES)?).map_err(|error| wrong(error.to_string()))?;
        let count = entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.count));
        if count > MAX_KEYS {
            return Err(wrong(format!(
                "the entries have {count} keys, expected at most {MAX_KEYS}"
            )));
        }
        let with_seed = |(place, entry): (usize, MnemonicEntry)| {
            let seed = seed_of(&entry.mnemonic).map_err(|reason| wrong(format!("entry {place}: {reason}")))?;
            Ok((entry, seed))
        };
        let entries = entries.into_iter().enumerate().map(with_seed);
        Ok(Self(entries.collect::<Result<_, GenesisError>>()?))
    }

    /// Entry and index of the key with a number: keys are counted over all entries.
    fn locate(&self, number: u64) -> Option<(&[u8], u64)> {
        let mut left = number;
        for (entry, seed) in &self.0 {
            match left.checked_sub(entry.count) {
                None => return Some((seed, entry.start.checked_add(left)?)),
                Some(less) => left = less,
            }
        }
        None
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|(entry, _)| entry.count).sum()
    }
}

/// The signing keys with these numbers, and their indices in the paths of EIP-2334. Keys are counted as in `groups.yaml`:
/// over all entries of the mnemonics, from 0.
pub(crate) fn signing_keys(path: &Path, numbers: &[u64]) -> Result<Vec<(u32, SecretKey)>, GenesisError> {
    let wrong = |reason: String| GenesisError::content(path, reason);
    let file = MnemonicsFile::read(path)?;
    let key = |number: &u64| {
        let (seed, index) = file.locate(*number).ok_or_else(|| no_key(*number, file.count()))?;
        let index = index_of(index)?;
        Ok((index, account(seed)?.signing(index)))
    };
    numbers.iter().map(|number| key(number).map_err(wrong)).collect()
}

/// There is no key with a number.
pub(crate) fn no_key(number: u64, count: u64) -> String {
    format!("key {number} does not exist: the mnemonics have {count} keys")
}

/// The keys of `mnemonics.yaml`.
#[derive(Debug, Default)]
pub(crate) struct Mnemonics {
    /// All keys, entry by entry.
    pub(crate) keys: Vec<GenesisKey>,
    first_seed: Option<Vec<u8>>,
}

impl Mnemonics {
    /// Reads the file and derives all keys, on all cores.
    pub(crate) fn from_file(path: &Path) -> Result<Self, GenesisError> {
        let mut keys = Vec::new();
        let mut first_seed = None;
        for (place, (entry, seed)) in MnemonicsFile::read(path)?.0.into_iter().enumerate() {
            let wrong_entry = |reason: String| GenesisError::content(path, format!("entry {place}: {reason}"));
            keys.extend(entry.keys(place, &seed).map_err(wrong_entry)?);
            first_seed.get_or_insert(seed);
        }
        Ok(Self { keys, first_seed })
    }

    /// A key of the first mnemonic, by its index; `None` if the file has no entry.
    pub(crate) fn key_at(&self, index: u32) -> Option<Result<PublicKeyBytes, String>> {
        self.first_seed
            .as_ref()
            .map(|seed| Ok(account(seed)?.signing(index).public_key().to_bytes()))
    }
}

impl MnemonicEntry {
    fn keys(&self, place: usize, seed: &[u8]) -> Result<Vec<GenesisKey>, String> {
        if self.status != 0 {
            return Err(format!("status {} is not supported, expected 0 (active)", self.status));
        }
        let end = self.start.saturating_add(self.count);
        let (start, end) = (index_of(self.start)?, index_of(end)?);
        let source = if self.name.is_empty() {
            format!("mnemonic-{place}")
        } else {
            self.name.clone()
        };
        let prefix = hex_bytes("wd_prefix", &self.wd_prefix)?;
        let address = self.withdrawal_address()?;
        let keys = account(seed)?;
        (start..end)
            .into_par_iter()
            .map(|index| {
                let mut credentials = match address {
                    Some(address) => of_address(0x01, address),
                    None => {
                        let key = match self.wd_key_path.as_str() {
                            "" => keys.withdrawal(index),
                            path => secret_at(seed, path)?,
                        };
                        let mut hash: [u8; 32] = Sha256::digest(key.public_key().to_bytes().as_slice()).into();
                        hash[0] = 0;
                        hash
                    }
                };
                if let Some(first) = credentials.get_mut(..prefix.len()) {
                    first.copy_from_slice(&prefix);
                } else {
                    return Err(format!("wd_prefix has {} bytes, expected at most 32", prefix.len()));
                }
                Ok(GenesisKey {
                    pubkey: keys.signing(index).public_key().to_bytes(),
                    withdrawal_credentials: Hash32::new(credentials),
                    balance: (self.balance > 0).then_some(self.balance),
                    source: source.clone(),
                    source_index: u64::from(index),
                    origin: Origin::Mnemonic {
                        entry: place,
                        index: u64::from(index),
                    },
                })
            })
            .collect()
    }

    /// The address that withdrawals go to, unless they go to a BLS key.
    fn withdrawal_address(&self) -> Result<Option<[u8; 20]>, String> {
        if self.wd_address.is_empty() || matches!(self.wd_prefix.as_str(), "" | "0x00") {
            return Ok(None);
        }
        parse_address("wd_address", &self.wd_address).map(Some)
    }
}

/// Withdrawal credentials with an address.
pub(crate) fn of_address(prefix: u8, address: [u8; 20]) -> [u8; 32] {
    let mut credentials = [0; 32];
    credentials[0] = prefix;
    credentials[12..].copy_from_slice(&address);
    credentials
}

pub(crate) fn parse_address(what: &str, text: &str) -> Result<[u8; 20], String> {
    let bytes = hex_bytes(what, text)?;
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| format!("{what} has {length} bytes, expected 20"))
}

fn hex_bytes(what: &str, text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text.trim_start_matches("0x"))
        .map_err(|error| format!("{what} is {text:?}, expected hexadecimal: {error}"))
}

fn index_of(number: u64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("key {number} does not exist, expected an index below 2^32"))
}

fn seed_of(mnemonic: &str) -> Result<Vec<u8>, String> {
    let words = mnemonic.split_whitespace().collect::<Vec<_>>().join(" ");
    // The words are a secret, of test networks though: an error does not repeat them.
    let mnemonic =
        bip39::Mnemonic::parse_normalized(&words).map_err(|error| format!("the mnemonic is wrong: {error}"))?;
    Ok(mnemonic.to_seed_normalized("").to_vec())
}

fn account(seed: &[u8]) -> Result<ValidatorKeys, String> {
    ValidatorKeys::of_seed(seed).map_err(|error| error.to_string())
}

fn secret_at(seed: &[u8], path: &str) -> Result<SecretKey, String> {
    let path = path.parse().map_err(|error| format!("wd_key_path {path:?}: {error}"))?;
    SecretKey::derive_path(seed, &path).map_err(|error| error.to_string())
}

/// Reads a list of validators: lines of `pubkey:withdrawal credentials[:balance in Gwei]`, `#` begins a comment line.
pub(crate) fn validators_from_list(path: &Path) -> Result<Vec<GenesisKey>, GenesisError> {
    let bytes = read(path, MAX_FILE_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|error| GenesisError::content(path, error.to_string()))?;
    let mut keys = Vec::new();
    for (number, line) in (1u64..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = listed(line, keys.len() as u64, number)
            .map_err(|reason| GenesisError::content(path, format!("line {number}: {reason}")))?;
        keys.push(key);
    }
    Ok(keys)
}

fn listed(line: &str, source_index: u64, number: u64) -> Result<GenesisKey, String> {
    let mut parts = line.split(':');
    let mut next = |what: &str| {
        let text = parts
            .next()
            .ok_or_else(|| format!("no {what}, expected pubkey:withdrawal credentials[:balance]"))?;
        Ok::<&str, String>(text.trim())
    };
    let pubkey = hex_bytes("the public key", next("public key")?)?;
    let pubkey: [u8; 48] = pubkey
        .try_into()
        .map_err(|bytes: Vec<u8>| format!("the public key has {} bytes, expected 48", bytes.len()))?;
    let pubkey = PublicKeyBytes::new(pubkey);
    PublicKey::from_bytes(&pubkey).map_err(|error| format!("the public key is none: {error}"))?;
    let credentials = hex_bytes("the withdrawal credentials", next("withdrawal credentials")?)?;
    let credentials: [u8; 32] = credentials
        .try_into()
        .map_err(|bytes: Vec<u8>| format!("the withdrawal credentials have {} bytes, expected 32", bytes.len()))?;
    match credentials[0] {
        0x00 => {}
        0x01 | 0x02 if credentials[1..12] == [0; 11] => {}
        0x01 | 0x02 => {
            return Err("the withdrawal credentials have no eleven zero bytes before the address".to_owned());
        }
        prefix => {
            return Err(format!(
                "the withdrawal credentials begin with 0x{prefix:02x}, expected 0x00, 0x01 or 0x02"
            ));
        }
    }
    let balance = match parts.next() {
        None => None,
        Some(text) => {
            let text = text.trim();
            Some(
                text.parse()
                    .map_err(|_| format!("the balance is {text:?}, expected Gwei"))?,
            )
        }
    };
    Ok(GenesisKey {
        pubkey,
        withdrawal_credentials: Hash32::new(credentials),
        balance,
        source: "additional-validators".to_owned(),
        source_index,
        origin: Origin::Line(number),
    })
}
