//! Groups of a genesis: `groups.yaml`.

use crate::error::{GenesisError, read};
use crate::keys::{GenesisKey, Mnemonics, no_key, of_address, parse_address};
use serde::Deserialize;
use state_transition::genesis::{GenesisGroup, GenesisValidator};
use std::collections::BTreeSet;
use std::path::Path;
use types::constants::MAX_GROUP_SIZE;
use types::{Gwei, Hash32, SignerKey};

/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 24;
/// The least balance for each key, in Gwei.
const BALANCE_FOR_EACH_KEY: Gwei = 32_000_000_000;
/// Registry keys of groups that name none are counted down from here: nobody signs with them.
const LAST_KEY_INDEX: u32 = (1 << 31) - 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsFile {
    groups: Vec<GroupEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    /// How many keys must sign.
    threshold: u8,
    /// Members in order: a number counts the keys of the mnemonics; a text is a public key, `1-0x...` of a hash-based one.
    keys: Vec<Member>,
    /// Gwei; 32 ETH for each key if nothing is said.
    balance: Option<Gwei>,
    /// Index of the registry key below the first mnemonic.
    registry_key: Option<u32>,
    /// Where withdrawals go; else where those of the first member's key would.
    withdrawal_address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Member {
    Number(usize),
    Key(String),
}

/// Groups, and the keys that are members and not validators of their own.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Registry entries, in the file's order.
    pub(crate) validators: Vec<GenesisValidator>,
    /// Numbers of keys that are members.
    pub(crate) members: BTreeSet<usize>,
}

impl Groups {
    /// Reads the file.
    pub(crate) fn from_file(path: &Path, mnemonics: &Mnemonics) -> Result<Self, GenesisError> {
        let wrong = |reason: String| GenesisError::content(path, reason);
        let file: GroupsFile =
            serde_yaml_ng::from_slice(&read(path, MAX_FILE_BYTES)?).map_err(|error| wrong(error.to_string()))?;
        let mut groups = Self::default();
        for (number, entry) in (0u32..).zip(&file.groups) {
            groups
                .add(number, entry, mnemonics)
                .map_err(|reason| wrong(format!("group {number}: {reason}")))?;
        }
        Ok(groups)
    }

    fn add(&mut self, number: u32, entry: &GroupEntry, mnemonics: &Mnemonics) -> Result<(), String> {
        let size = entry.keys.len() as u64;
        if size == 0 || size > MAX_GROUP_SIZE {
            return Err(format!("it has {size} keys, expected 1 to {MAX_GROUP_SIZE}"));
        }
        if entry.threshold == 0 || u64::from(entry.threshold) > size {
            return Err(format!(
                "its threshold is {}, expected 1 to {size}, the number of its keys",
                entry.threshold
            ));
        }
        let mut address = match &entry.withdrawal_address {
            Some(text) => Some(parse_address("withdrawal_address", text)?),
            None => None,
        };
        let mut keys = Vec::with_capacity(entry.keys.len());
        for (place, member) in entry.keys.iter().enumerate() {
            let key = match member {
                Member::Key(text) => text
                    .parse()
                    .map_err(|error: types::SignerKeyError| format!("place {place}: {text:?}: {error}"))?,
                Member::Number(number) => {
                    let key = mnemonics
                        .keys
                        .get(*number)
                        .ok_or_else(|| no_key(*number as u64, mnemonics.keys.len() as u64))?;
                    if !self.members.insert(*number) {
                        return Err(format!("key {number} is a member already"));
                    }
                    address = address.or_else(|| address_of(key));
                    SignerKey::from(key.pubkey)
                }
            };
            keys.push(key.to_virtual_key());
        }
        let address = address.ok_or(
            "there is no address for its withdrawals: give it a withdrawal_address, or the mnemonic a wd_address and the \
             wd_prefix 0x01 or 0x02",
        )?;
        let least = BALANCE_FOR_EACH_KEY.saturating_mul(size);
        let balance = entry.balance.unwrap_or(least);
        if balance < least {
            return Err(format!(
                "its balance is {balance} Gwei, expected {least} at least, 32 ETH for each key"
            ));
        }
        let index = entry.registry_key.unwrap_or(LAST_KEY_INDEX.saturating_sub(number));
        let pubkey = mnemonics
            .key_at(index)
            .ok_or("there is no mnemonic to derive its registry key from")??;
        self.validators.push(GenesisValidator {
            pubkey,
            withdrawal_credentials: Hash32::new(of_address(0x02, address)),
            balance,
            group: Some(GenesisGroup {
                threshold: entry.threshold,
                keys,
            }),
        });
        Ok(())
    }
}

fn address_of(key: &GenesisKey) -> Option<[u8; 20]> {
    let credentials = key.withdrawal_credentials;
    match credentials.first() {
        Some(0x01 | 0x02) => credentials.as_slice().get(12..)?.try_into().ok(),
        _ => None,
    }
}
