//! `validator_definitions.yml`, the list of validators of a client, in Lighthouse's format.
//!
//! Read field by field, so that an error can say which entry and which field is wrong. Fields that this client does
//! not know are kept and written back.

use crate::file::{FileError, read_limited, write_atomically};
use serde_yaml_ng::{Mapping, Value};
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use types::{ExecutionAddress, SignerKey};
use zeroize::Zeroizing;

/// Name of the file in a validators directory.
pub const DEFINITIONS_FILE: &str = "validator_definitions.yml";
const MAX_DEFINITIONS_BYTES: u64 = 1 << 26;
const LOCAL_KEYSTORE: &str = "local_keystore";
const LOCAL_XMSS_KEYSTORE: &str = "local_xmss_keystore";
const WEB3SIGNER: &str = "web3signer";
/// A graffiti has 32 bytes in a block.
const MAX_GRAFFITI_BYTES: usize = 32;

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

/// Where the secret key of a validator is.
#[derive(Clone, PartialEq)]
pub enum SigningDefinition {
    /// In a keystore of this machine.
    LocalKeystore {
        /// The keystore.
        voting_keystore_path: PathBuf,
        /// A file with its password.
        voting_keystore_password_path: Option<PathBuf>,
        /// Its password, in plain text in the definitions.
        voting_keystore_password: Option<Zeroizing<String>>,
    },
    /// In a key file of this machine, for a key of one-time leaves.
    LocalXmssKeystore {
        /// The key file.
        voting_keystore_path: PathBuf,
        /// A file with its password.
        voting_keystore_password_path: Option<PathBuf>,
        /// Its password, in plain text in the definitions.
        voting_keystore_password: Option<Zeroizing<String>>,
    },
    /// In a remote signer. Its other fields stay in [`ValidatorDefinition::other`].
    Web3Signer {
        /// Base URL.
        url: String,
    },
}

impl fmt::Debug for SigningDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalKeystore {
                voting_keystore_path,
                voting_keystore_password_path,
                ..
            }
            | Self::LocalXmssKeystore {
                voting_keystore_path,
                voting_keystore_password_path,
                ..
            } => f
                .debug_struct(self.kind())
                .field("voting_keystore_path", voting_keystore_path)
                .field("voting_keystore_password_path", voting_keystore_password_path)
                .finish_non_exhaustive(),
            // A URL may hold credentials.
            Self::Web3Signer { .. } => f.debug_struct(self.kind()).finish_non_exhaustive(),
        }
    }
}

impl SigningDefinition {
    /// The field `type`.
    fn kind(&self) -> &'static str {
        match self {
            Self::LocalKeystore { .. } => LOCAL_KEYSTORE,
            Self::LocalXmssKeystore { .. } => LOCAL_XMSS_KEYSTORE,
            Self::Web3Signer { .. } => WEB3SIGNER,
        }
    }

    /// The key file, if the key is in one.
    pub fn keystore_path(&self) -> Option<&Path> {
        match self {
            Self::LocalKeystore {
                voting_keystore_path, ..
            }
            | Self::LocalXmssKeystore {
                voting_keystore_path, ..
            } => Some(voting_keystore_path),
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
        let voting_keystore_password = None;
        let signing_definition = if voting_public_key.as_bls().is_some() {
            SigningDefinition::LocalKeystore {
                voting_keystore_path,
                voting_keystore_password_path,
                voting_keystore_password,
            }
        } else {
            SigningDefinition::LocalXmssKeystore {
                voting_keystore_path,
                voting_keystore_password_path,
                voting_keystore_password,
            }
        };
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

    fn to_yaml(&self) -> Value {
        fn put(mapping: &mut Mapping, name: &str, value: Option<Value>) {
            if let Some(value) = value {
                mapping.insert(name.into(), value);
            }
        }
        fn path(path: &Path) -> Value {
            path.to_string_lossy().into_owned().into()
        }
        let mut entry = Mapping::new();
        put(&mut entry, "enabled", Some(self.enabled.into()));
        put(
            &mut entry,
            "voting_public_key",
            Some(self.voting_public_key.to_string().into()),
        );
        put(&mut entry, "graffiti", self.graffiti.clone().map(Value::from));
        put(
            &mut entry,
            "suggested_fee_recipient",
            self.suggested_fee_recipient
                .map(|address| format!("{address:#x}").into()),
        );
        put(&mut entry, "gas_limit", self.gas_limit.map(Value::from));
        put(&mut entry, "builder_proposals", self.builder_proposals.map(Value::from));
        put(
            &mut entry,
            "builder_boost_factor",
            self.builder_boost_factor.map(Value::from),
        );
        put(
            &mut entry,
            "prefer_builder_proposals",
            self.prefer_builder_proposals.map(Value::from),
        );
        put(&mut entry, "description", Some(self.description.as_str().into()));
        put(&mut entry, "type", Some(self.signing_definition.kind().into()));
        match &self.signing_definition {
            SigningDefinition::LocalKeystore {
                voting_keystore_path,
                voting_keystore_password_path,
                voting_keystore_password,
            }
            | SigningDefinition::LocalXmssKeystore {
                voting_keystore_path,
                voting_keystore_password_path,
                voting_keystore_password,
            } => {
                put(&mut entry, "voting_keystore_path", Some(path(voting_keystore_path)));
                put(
                    &mut entry,
                    "voting_keystore_password_path",
                    voting_keystore_password_path.as_deref().map(path),
                );
                put(
                    &mut entry,
                    "voting_keystore_password",
                    voting_keystore_password
                        .as_ref()
                        .map(|password| password.as_str().into()),
                );
            }
            SigningDefinition::Web3Signer { url } => {
                put(&mut entry, "url", Some(url.as_str().into()));
            }
        }
        for (name, value) in &self.other {
            entry.insert(name.clone(), value.clone());
        }
        Value::Mapping(entry)
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

const PUBLIC_KEY: &str =
    "a public key: 0x and 96 hexadecimal digits for BLS, or another scheme's number before it, as in 1-0x...";

/// One entry while it is read.
struct Entry<'a> {
    path: &'a Path,
    number: usize,
    mapping: Mapping,
    pubkey: Option<String>,
}

impl<'a> Entry<'a> {
    fn new(path: &'a Path, number: usize, value: Value) -> Result<Self, DefinitionsError> {
        match value {
            Value::Mapping(mapping) => Ok(Self {
                path,
                number,
                pubkey: mapping
                    .get("voting_public_key")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                mapping,
            }),
            other => Err(DefinitionsError::Format {
                path: path.to_path_buf(),
                reason: format!("entry {number} is {}", describe(&other)),
            }),
        }
    }

    fn read(mut self) -> Result<ValidatorDefinition, DefinitionsError> {
        let enabled = self.required("enabled", "true or false", |value| value.as_bool())?;
        let voting_public_key: SignerKey =
            self.required("voting_public_key", PUBLIC_KEY, |value| value.as_str()?.parse().ok())?;
        let graffiti = self.optional("graffiti", "text of at most 32 bytes", |value| {
            let text = value.as_str()?;
            (text.len() <= MAX_GRAFFITI_BYTES).then(|| text.to_owned())
        })?;
        let suggested_fee_recipient = self.optional(
            "suggested_fee_recipient",
            "an address: 0x and 40 hexadecimal digits",
            |value| value.as_str()?.parse().ok(),
        )?;
        let gas_limit = self.optional("gas_limit", "a non-negative integer", Value::as_u64)?;
        let builder_proposals = self.optional("builder_proposals", "true or false", Value::as_bool)?;
        let builder_boost_factor = self.optional("builder_boost_factor", "a non-negative integer", Value::as_u64)?;
        let prefer_builder_proposals = self.optional("prefer_builder_proposals", "true or false", Value::as_bool)?;
        let description = self.optional("description", "text", text)?.unwrap_or_default();
        let kind = self.required("type", "local_keystore, local_xmss_keystore or web3signer", |value| {
            text(value).filter(|kind| [LOCAL_KEYSTORE, LOCAL_XMSS_KEYSTORE, WEB3SIGNER].contains(&kind.as_str()))
        })?;
        let is_bls = voting_public_key.as_bls().is_some();
        if is_bls == (kind == LOCAL_XMSS_KEYSTORE) {
            let expected = if is_bls {
                "local_keystore or web3signer for a BLS key"
            } else {
                "local_xmss_keystore for a key of another scheme than BLS"
            };
            return Err(self.error("type", expected, format!("{kind:?}")));
        }
        let signing_definition = if kind == WEB3SIGNER {
            SigningDefinition::Web3Signer {
                url: self.required("url", "a URL", text)?,
            }
        } else {
            let voting_keystore_path = self.required("voting_keystore_path", "a path", text)?.into();
            let voting_keystore_password_path = self
                .optional("voting_keystore_password_path", "a path", text)?
                .map(PathBuf::from);
            let voting_keystore_password = self
                .optional("voting_keystore_password", "text", text)?
                .map(Zeroizing::new);
            if is_bls {
                SigningDefinition::LocalKeystore {
                    voting_keystore_path,
                    voting_keystore_password_path,
                    voting_keystore_password,
                }
            } else {
                SigningDefinition::LocalXmssKeystore {
                    voting_keystore_path,
                    voting_keystore_password_path,
                    voting_keystore_password,
                }
            }
        };
        Ok(ValidatorDefinition {
            enabled,
            voting_public_key,
            graffiti,
            suggested_fee_recipient,
            gas_limit,
            builder_proposals,
            builder_boost_factor,
            prefer_builder_proposals,
            description,
            signing_definition,
            other: self.mapping,
        })
    }

    fn optional<T>(
        &mut self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, DefinitionsError> {
        // `shift_remove` keeps the order of what is left.
        match self.mapping.shift_remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(&value) {
                Some(read) => Ok(Some(read)),
                None => Err(self.error(field, expected, describe(&value))),
            },
        }
    }

    fn required<T>(
        &mut self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, DefinitionsError> {
        self.optional(field, expected, read)?
            .ok_or_else(|| self.error(field, expected, "nothing".to_owned()))
    }

    fn error(&self, field: &'static str, expected: &'static str, found: String) -> DefinitionsError {
        DefinitionsError::Field {
            path: self.path.to_path_buf(),
            entry: self.number,
            pubkey: self.pubkey.clone(),
            field,
            expected,
            // Never show a password.
            found: if field.ends_with("password") {
                "another type".to_owned()
            } else {
                found
            },
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => format!("{value:?}"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(_) => "a tagged value".to_owned(),
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
