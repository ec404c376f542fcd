//! `validator_definitions.yml`, the list of validators of a client, in Lighthouse's format.
//!
//! Fields that this client does not know are kept and written back.

use crate::definition_yaml::{Entry, describe};
use crate::file::{FileError, read_limited, write_atomically};
use serde_yaml_ng::{Mapping, Value};
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use types::{ExecutionAddress, PublicKeyBytes, SignerKey};
use zeroize::Zeroizing;

/// Name of the file in a validators directory.
pub const DEFINITIONS_FILE: &str = "validator_definitions.yml";
const MAX_DEFINITIONS_BYTES: u64 = 1 << 26;

/// The definitions cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not YAML, or not a list.
    #[error("{path}: expected a YAML list of validators: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// One field of one entry.
    #[error("{path}: entry {entry}{}: field `{field}`: expected {expected}, found {found}",
        .pubkey.as_ref().map(|key| format!(" ({key})")).unwrap_or_default())]
    Field {
        /// The file.
        path: PathBuf,
        /// Position in the list, from 1.
        entry: usize,
        /// The entry's key, if readable.
        pubkey: Option<String>,
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The same key twice: both would sign.
    #[error("{path}: entry {entry}: {pubkey} is listed twice; remove one of the entries")]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// Position of the second entry, from 1.
        entry: usize,
        /// The key.
        pubkey: SignerKey,
    },
}

/// A key file of this machine, and what opens it.
#[derive(Clone, PartialEq)]
pub struct LocalKeystore {
    /// The key file.
    pub path: PathBuf,
    /// A file with its password.
    pub password_path: Option<PathBuf>,
    /// Its password, in plain text in the definitions.
    pub password: Option<Zeroizing<String>>,
}

impl fmt::Debug for LocalKeystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKeystore")
            .field("path", &self.path)
            .field("password_path", &self.password_path)
            .finish_non_exhaustive()
    }
}

/// Where the secret key of a validator is.
#[derive(Clone, PartialEq)]
pub enum SigningDefinition {
    /// In a keystore, for a BLS key.
    LocalKeystore(LocalKeystore),
    /// In a key file for a key of one-time leaves.
    LocalXmssKeystore(LocalKeystore),
    /// In a remote signer. Its other fields stay in [`ValidatorDefinition::other`].
    Web3Signer {
        /// Base URL.
        url: String,
    },
}

impl fmt::Debug for SigningDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local() {
            Some(local) => f.debug_tuple(self.kind()).field(local).finish(),
            // A URL may hold credentials.
            None => f.debug_struct(self.kind()).finish_non_exhaustive(),
        }
    }
}

impl SigningDefinition {
    /// A key file of the kind that its key's scheme has.
    pub(crate) fn of_key(pubkey: &SignerKey, local: LocalKeystore) -> Self {
        match pubkey.as_bls() {
            Some(_) => Self::LocalKeystore(local),
            None => Self::LocalXmssKeystore(local),
        }
    }

    /// The key file, if the key is in one.
    pub fn local(&self) -> Option<&LocalKeystore> {
        match self {
            Self::LocalKeystore(local) | Self::LocalXmssKeystore(local) => Some(local),
            Self::Web3Signer { .. } => None,
        }
    }
}

/// One validator. The key of a group's member looks exactly the same as a solo validator's.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidatorDefinition {
    /// Whether the client runs it.
    pub enabled: bool,
    /// The key that signs.
    pub voting_public_key: SignerKey,
    /// At most 32 bytes.
    pub graffiti: Option<String>,
    /// Fee recipient; the client's default if absent.
    pub suggested_fee_recipient: Option<ExecutionAddress>,
    /// Gas limit to register with builders.
    pub gas_limit: Option<u64>,
    /// Whether builders may build its blocks.
    pub builder_proposals: Option<bool>,
    /// Percentage by which a builder's bid is weighted.
    pub builder_boost_factor: Option<u64>,
    /// Whether a builder's block is always taken.
    pub prefer_builder_proposals: Option<bool>,
    /// Free text.
    pub description: String,
    /// Where the secret key is.
    pub signing_definition: SigningDefinition,
    /// Fields that this client does not use, kept as they are.
    pub other: Mapping,
}

impl ValidatorDefinition {
    /// An enabled validator with a keystore of the kind that its key's scheme has.
    pub fn local_keystore(
        voting_public_key: impl Into<SignerKey>,
        voting_keystore_path: PathBuf,
        voting_keystore_password_path: Option<PathBuf>,
    ) -> Self {
        let voting_public_key = voting_public_key.into();
        let local = LocalKeystore {
            path: voting_keystore_path,
            password_path: voting_keystore_password_path,
            password: None,
        };
        Self::enabled(voting_public_key, SigningDefinition::of_key(&voting_public_key, local))
    }

    /// An enabled validator whose key is in a remote signer.
    pub fn web3signer(voting_public_key: PublicKeyBytes, url: String) -> Self {
        Self::enabled(voting_public_key.into(), SigningDefinition::Web3Signer { url })
    }

    fn enabled(voting_public_key: SignerKey, signing_definition: SigningDefinition) -> Self {
        Self {
            enabled: true,
            voting_public_key,
            graffiti: None,
            suggested_fee_recipient: None,
            gas_limit: None,
            builder_proposals: None,
            builder_boost_factor: None,
            prefer_builder_proposals: None,
            description: String::new(),
            signing_definition,
            other: Mapping::new(),
        }
    }
}

/// The validators of a client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ValidatorDefinitions(Vec<ValidatorDefinition>);

impl ValidatorDefinitions {
    /// Reads the file of a validators directory; a missing file is an empty list.
    pub fn open(validators_dir: &Path) -> Result<Self, DefinitionsError> {
        let path = validators_dir.join(DEFINITIONS_FILE);
        match read_limited(&path, MAX_DEFINITIONS_BYTES) {
            Ok(bytes) => Self::from_yaml(&path, &bytes),
            Err(error) if error.is_not_found() => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the file of a validators directory.
    pub fn save(&self, validators_dir: &Path) -> Result<(), DefinitionsError> {
        let path = validators_dir.join(DEFINITIONS_FILE);
        let list = Value::Sequence(self.0.iter().map(ValidatorDefinition::to_yaml).collect());
        let text = serde_yaml_ng::to_string(&list).map_err(|error| DefinitionsError::Format {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(write_atomically(&path, format!("---\n{text}").as_bytes())?)
    }

    /// Parses the file; `path` is for errors.
    pub fn from_yaml(path: &Path, bytes: &[u8]) -> Result<Self, DefinitionsError> {
        let format = |reason: String| DefinitionsError::Format {
            path: path.to_path_buf(),
            reason,
        };
        let document: Value = serde_yaml_ng::from_slice(bytes).map_err(|error| format(error.to_string()))?;
        let list = match document {
            Value::Null => Vec::new(),
            Value::Sequence(list) => list,
            other => return Err(format(format!("found {}", describe(&other)))),
        };
        let mut definitions = Vec::with_capacity(list.len());
        let mut seen = HashSet::new();
        for (index, value) in list.into_iter().enumerate() {
            let entry = index.saturating_add(1);
            let definition = Entry::new(path, entry, value)?.read()?;
            let pubkey = definition.voting_public_key;
            if !seen.insert(pubkey) {
                return Err(DefinitionsError::Duplicate {
                    path: path.to_path_buf(),
                    entry,
                    pubkey,
                });
            }
            definitions.push(definition);
        }
        Ok(Self(definitions))
    }

    /// All definitions, in the order of the file.
    pub fn as_slice(&self) -> &[ValidatorDefinition] {
        &self.0
    }

    /// All definitions, to change their settings.
    pub fn as_mut_slice(&mut self) -> &mut [ValidatorDefinition] {
        &mut self.0
    }

    /// The definition of a key.
    pub fn get(&self, pubkey: impl Into<SignerKey>) -> Option<&ValidatorDefinition> {
        let pubkey = pubkey.into();
        self.0.iter().find(|definition| definition.voting_public_key == pubkey)
    }

    /// Adds a definition, unless its key is listed already: then returns false and changes nothing.
    pub fn insert(&mut self, definition: ValidatorDefinition) -> bool {
        let new = self.get(definition.voting_public_key).is_none();
        if new {
            self.0.push(definition);
        }
        new
    }

    /// Removes the definition of a key.
    pub fn remove(&mut self, pubkey: impl Into<SignerKey>) -> Option<ValidatorDefinition> {
        let pubkey = pubkey.into();
        let place = self
            .0
            .iter()
            .position(|definition| definition.voting_public_key == pubkey)?;
        Some(self.0.remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIGHTHOUSE: &str = r#"---
- enabled: true
  voting_public_key: "0xa5566f9ec3c6e1fdf362634ebec9ef7aceb0e460e5079714808388e5d48f4ae1e12897fed1bea951c17fa389d511e477"
  graffiti: mrfwashere
  suggested_fee_recipient: "0xa2e334e71511686bcfe38bb3ee1ad8f6babcc03d"
  gas_limit: 36000000
  builder_proposals: true
  description: ""
  type: local_keystore
  voting_keystore_path: /home/paul/voting-keystore.json
  voting_keystore_password_path: /home/paul/secrets/0xa55
- enabled: false
  voting_public_key: "0x87a580d31d7bc69069b55f5a01995a610dd391a26dc9e36e81057a17211983a79266800ab8531f21f1083d7d84085007"
  description: "remote"
  type: web3signer
  url: "https://signer.example:1234"
  root_certificate_path: /home/paul/my.pem
  request_timeout_ms: 12000
"#;

    fn parse(text: &str) -> Result<ValidatorDefinitions, DefinitionsError> {
        ValidatorDefinitions::from_yaml(Path::new("/v/validator_definitions.yml"), text.as_bytes())
    }

    #[test]
    fn reads_what_lighthouse_writes_and_keeps_fields_it_does_not_know() {
        let definitions = parse(LIGHTHOUSE).unwrap();
        let [local, remote] = definitions.as_slice() else {
            panic!("two entries");
        };
        assert!(local.enabled && !remote.enabled);
        assert_eq!(local.graffiti.as_deref(), Some("mrfwashere"));
        assert_eq!(local.gas_limit, Some(36_000_000));
        assert!(
            matches!(&remote.signing_definition, SigningDefinition::Web3Signer { url }
            if url == "https://signer.example:1234")
        );

        let dir = tempfile::tempdir().unwrap();
        definitions.save(dir.path()).unwrap();
        assert_eq!(ValidatorDefinitions::open(dir.path()).unwrap(), definitions);
        let text = std::fs::read_to_string(dir.path().join(DEFINITIONS_FILE)).unwrap();
        for kept in [
            "request_timeout_ms: 12000",
            "root_certificate_path",
            "0xa2e334e71511686bcfe38bb3ee1ad8f6babcc03d",
        ] {
            assert!(text.contains(kept), "{kept} is missing in {text}");
        }
    }

    #[test]
    fn missing_or_empty_file_is_an_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ValidatorDefinitions::open(dir.path()).unwrap().as_slice().is_empty());
        assert!(parse("---\n[]\n").unwrap().as_slice().is_empty());
        assert!(parse("").unwrap().as_slice().is_empty());
    }

    #[test]
    fn errors_name_file_entry_field_and_expectation() {
        for (from, to, needles) in [
            (
                "gas_limit: 36000000",
                "gas_limit: banana",
                ["entry 1", "`gas_limit`", "integer", "banana"],
            ),
            (
                "enabled: false",
                "enabled: maybe",
                ["entry 2", "`enabled`", "true or false", "maybe"],
            ),
            (
                "type: web3signer",
                "type: hardware",
                ["entry 2", "`type`", "local_keystore", "hardware"],
            ),
            (
                "graffiti: mrfwashere",
                "graffiti: mrfwasheremrfwasheremrfwasheremrf",
                ["entry 1", "`graffiti`", "32", "mrf"],
            ),
            (
                "  voting_keystore_path: /home/paul/voting-keystore.json\n",
                "",
                ["entry 1", "`voting_keystore_path`", "a path", "nothing"],
            ),
            (
                "0x87a580d31d7b",
                "0x87",
                ["entry 2", "`voting_public_key`", "96", "0x87"],
            ),
        ] {
            let error = parse(&LIGHTHOUSE.replace(from, to)).unwrap_err().to_string();
            for needle in needles.into_iter().chain(["/v/validator_definitions.yml"]) {
                assert!(error.contains(needle), "{needle} is missing in: {error}");
            }
        }
        let error = parse("enabled: true").unwrap_err().to_string();
        assert!(error.contains("a mapping"), "{error}");
    }

    #[test]
    fn a_key_cannot_be_listed_twice() {
        let error = parse(&format!("{LIGHTHOUSE}{}", LIGHTHOUSE.trim_start_matches("---\n")))
            .unwrap_err()
            .to_string();
        assert!(error.contains("entry 3") && error.contains("twice"), "{error}");
    }

    #[test]
    fn passwords_do_not_appear_in_debug_output_or_errors() {
        let with = LIGHTHOUSE.replace(
            "voting_keystore_password_path: /home/paul/secrets/0xa55",
            "voting_keystore_password: hunter2",
        );
        assert!(!format!("{:?}", parse(&with).unwrap()).contains("hunter2"));
        let error = parse(&with.replace("hunter2", "[hunter2]")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
