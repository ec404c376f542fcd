//! The order of the registry, and the file that says which key is which validator.

use crate::groups::Groups;
use crate::keys::{GenesisKey, Origin};
use sha2::{Digest as _, Sha256};
use state_transition::genesis::GenesisValidator;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use types::{Gwei, PublicKeyBytes, SignerKey, VirtualKey};

/// Balance of a validator for which none is given.
const DEFAULT_BALANCE: Gwei = 32_000_000_000;
/// Neighbours that stay together when the registry is shuffled.
const SHUFFLED_BLOCK: usize = 16;

/// The validators of a genesis in their order: solo validators, then groups.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Entries.
    pub(crate) validators: Vec<GenesisValidator>,
    /// Where each entry's key comes from: name of the source and index in it.
    sources: Vec<(String, u64)>,
    origins: Vec<Origin>,
    files: Files,
}

/// Names of the files that entries come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    pub(crate) mnemonics: Option<PathBuf>,
    pub(crate) list: Option<PathBuf>,
    pub(crate) groups: Option<PathBuf>,
}

impl Files {
    fn place(&self, origin: Origin) -> String {
        let (file, place) = match origin {
            Origin::Mnemonic { entry, index } => (&self.mnemonics, format!("entry {entry}, key {index}")),
            Origin::Line(line) => (&self.list, format!("line {line}")),
            Origin::Group(number) => (&self.groups, format!("group {number}")),
        };
        let file = file
            .as_ref()
            .map_or_else(String::new, |path| format!("{}: ", path.display()));
        format!("{file}{place}")
    }
}

impl Registry {
    /// Puts validators and groups together. Members are no validators of their own.
    pub(crate) fn new(
        keys: Vec<GenesisKey>,
        groups: Groups,
        shuffle_seed: Option<u64>,
        files: Files,
    ) -> Result<Self, String> {
        let mut solo: Vec<GenesisKey> = keys
            .into_iter()
            .enumerate()
            .filter(|(number, _)| !groups.members.contains(number))
            .map(|(_, key)| key)
            .collect();
        if let Some(seed) = shuffle_seed {
            shuffle(&mut solo, seed);
        }
        let mut registry = Self {
            validators: Vec::with_capacity(solo.len().saturating_add(groups.validators.len())),
            sources: Vec::new(),
            origins: Vec::new(),
            files,
        };
        for key in solo {
            registry.origins.push(key.origin);
            registry.sources.push((key.source, key.source_index));
            registry.validators.push(GenesisValidator {
                pubkey: key.pubkey,
                withdrawal_credentials: key.withdrawal_credentials,
                balance: key.balance.unwrap_or(DEFAULT_BALANCE),
                group: None,
            });
        }
        for (number, group) in (0u64..).zip(groups.validators) {
            registry.sources.push(("groups".to_owned(), number));
            registry.origins.push(Origin::Group(number));
            registry.validators.push(group);
        }
        registry.check_keys()?;
        Ok(registry)
    }

    /// File and place that an entry comes from.
    pub(crate) fn place(&self, index: usize) -> String {
        self.origins
            .get(index)
            .map_or_else(String::new, |origin| self.files.place(*origin))
    }

    /// No key is there twice, and none is both a validator's and a member's.
    fn check_keys(&self) -> Result<(), String> {
        let mut registered: HashMap<PublicKeyBytes, usize> = HashMap::new();
        for (index, validator) in self.validators.iter().enumerate() {
            if let Some(other) = registered.insert(validator.pubkey, index) {
                return Err(format!(
                    "validators {other} ({}) and {index} ({}) have the same key {}",
                    self.place(other),
                    self.place(index),
                    validator.pubkey
                ));
            }
        }
        let mut members: HashMap<&VirtualKey, usize> = HashMap::new();
        for (index, validator) in self.validators.iter().enumerate() {
            for key in validator.group.iter().flat_map(|group| &group.keys) {
                let name = SignerKey::new(key.scheme, &key.pubkey).map_or_else(String::new, |key| key.to_string());
                if let Some(other) = members.insert(key, index) {
                    return Err(format!(
                        "{} has a member's key that {} has already: {name}",
                        self.place(index),
                        self.place(other)
                    ));
                }
                let of_validator = SignerKey::new(key.scheme, &key.pubkey)
                    .and_then(|key| key.as_bls())
                    .and_then(|key| registered.get(&key))
                    // A validator's own key may be a member's.
                    .filter(|owner| **owner != index);
                if let Some(other) = of_validator {
                    return Err(format!(
                        "{} has a member whose key is that of validator {other} ({}): {name}",
                        self.place(index),
                        self.place(*other)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Ranges of validators with the ranges of keys that they come from, as YAML.
    pub(crate) fn mapping(&self) -> String {
        let mut text = String::new();
        let mut start = 0;
        for (end, next) in self.sources.iter().skip(1).map(Some).chain([None]).enumerate() {
            let (Some(first), Some(last)) = (self.sources.get(start), self.sources.get(end)) else {
                break;
            };
            let continues = next.is_some_and(|next| next.0 == last.0 && Some(next.1) == last.1.checked_add(1));
            if !continues {
                // Writing to a string does not fail.
                let _ = writeln!(
                    text,
                    "- {start}-{end}: {{ src: {:?}, from: {}, to: {} }}",
                    first.0, first.1, last.1
                );
                start = end.saturating_add(1);
            }
        }
        text
    }
}

/// Shuffles blocks of neighbours. The same seed gives the same order.
fn shuffle(keys: &mut Vec<GenesisKey>, seed: u64) {
    let mut blocks: Vec<Vec<GenesisKey>> = keys.chunks(SHUFFLED_BLOCK).map(<[_]>::to_vec).collect();
    for last in (1..blocks.len()).rev() {
        let hash = Sha256::digest([seed.to_le_bytes(), (last as u64).to_le_bytes()].concat());
        let number = hash
            .iter()
            .take(8)
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        // As good as uniform: there are far fewer blocks than numbers.
        let place = number % (last as u64).saturating_add(1);
        blocks.swap(last, usize::try_from(place).unwrap_or(0));
    }
    *keys = blocks.concat();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use types::Hash32;

    fn key(source: &str, index: u64) -> GenesisKey {
        let mut pubkey = [0; 48];
        pubkey[0] = source.len() as u8;
        pubkey[1..9].copy_from_slice(&index.to_le_bytes());
        GenesisKey {
            pubkey: PublicKeyBytes::new(pubkey),
            withdrawal_credentials: Hash32::ZERO,
            balance: None,
            source: source.to_owned(),
            source_index: index,
            origin: Origin::Mnemonic {
                entry: source.len(),
                index,
            },
        }
    }

    fn keys() -> Vec<GenesisKey> {
        (5..105)
            .map(|index| key("a", index))
            .chain((0..3).map(|index| key("bb", index)))
            .collect()
    }

    fn groups(members: &[usize]) -> Groups {
        Groups {
            members: members.iter().copied().collect(),
            ..Groups::default()
        }
    }

    #[test]
    fn the_mapping_has_a_line_for_each_run_of_neighbours() {
        let registry = Registry::new(keys(), groups(&[2, 3]), None, Files::default()).unwrap();
        assert_eq!(
            registry.mapping(),
            "- 0-1: { src: \"a\", from: 5, to: 6 }\n- 2-97: { src: \"a\", from: 9, to: 104 }\n\
             - 98-100: { src: \"bb\", from: 0, to: 2 }\n"
        );
        assert_eq!(
            Registry::new(vec![], groups(&[]), None, Files::default())
                .unwrap()
                .mapping(),
            ""
        );
    }

    #[test]
    fn shuffling_keeps_all_keys_and_depends_on_the_seed_alone() {
        let order = |seed| -> Vec<PublicKeyBytes> {
            let registry = Registry::new(keys(), groups(&[]), seed, Files::default()).unwrap();
            registry.validators.iter().map(|validator| validator.pubkey).collect()
        };
        assert_eq!(order(Some(1)), order(Some(1)));
        assert_ne!(order(Some(1)), order(Some(2)));
        assert_ne!(order(Some(1)), order(None));
        let all: HashSet<PublicKeyBytes> = order(None).into_iter().collect();
        assert_eq!(order(Some(1)).into_iter().collect::<HashSet<_>>(), all);
    }

    #[test]
    fn a_key_is_nobodys_twice() {
        let files = Files {
            mnemonics: Some("m.yaml".into()),
            ..Files::default()
        };
        let keys = vec![key("a", 1), key("a", 2), key("a", 1)];
        let error = Registry::new(keys, groups(&[]), None, files).unwrap_err();
        let expected = "validators 0 (m.yaml: entry 1, key 1) and 2 (m.yaml: entry 1, key 1) have the same key";
        assert!(error.starts_with(expected), "{error}");
    }
}
