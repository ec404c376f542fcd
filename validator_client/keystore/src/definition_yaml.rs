//! One entry of `validator_definitions.yml`, read field by field, so that an error can say which entry and which field is
//! wrong.

use crate::definitions::{DefinitionsError, LocalKeystore, SigningDefinition, ValidatorDefinition};
use serde_yaml_ng::{Mapping, Value};
use std::path::{Path, PathBuf};
use types::SignerKey;
use zeroize::Zeroizing;

const LOCAL_KEYSTORE: &str = "local_keystore";
const LOCAL_XMSS_KEYSTORE: &str = "local_xmss_keystore";
const WEB3SIGNER: &str = "web3signer";
/// A graffiti has 32 bytes in a block.
const MAX_GRAFFITI_BYTES: usize = 32;
const PUBLIC_KEY: &str =
    "a public key: 0x and 96 hexadecimal digits for BLS, or another scheme's number before it, as in 1-0x...";

impl SigningDefinition {
    /// The field `type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::LocalKeystore(_) => LOCAL_KEYSTORE,
            Self::LocalXmssKeystore(_) => LOCAL_XMSS_KEYSTORE,
            Self::Web3Signer { .. } => WEB3SIGNER,
        }
    }
}

impl ValidatorDefinition {
    pub(crate) fn to_yaml(&self) -> Value {
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
            SigningDefinition::LocalKeystore(local) | SigningDefinition::LocalXmssKeystore(local) => {
                put(&mut entry, "voting_keystore_path", Some(path(&local.path)));
                put(
                    &mut entry,
                    "voting_keystore_password_path",
                    local.password_path.as_deref().map(path),
                );
                put(
                    &mut entry,
                    "voting_keystore_password",
                    local.password.as_ref().map(|password| password.as_str().into()),
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

/// One entry while it is read.
pub(crate) struct Entry<'a> {
    path: &'a Path,
    number: usize,
    mapping: Mapping,
    pubkey: Option<String>,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(path: &'a Path, number: usize, value: Value) -> Result<Self, DefinitionsError> {
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

    pub(crate) fn read(mut self) -> Result<ValidatorDefinition, DefinitionsError> {
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
            let local = LocalKeystore {
                path: self.required("voting_keystore_path", "a path", text)?.into(),
                password_path: self
                    .optional("voting_keystore_password_path", "a path", text)?
                    .map(PathBuf::from),
                password: self
                    .optional("voting_keystore_password", "text", text)?
                    .map(Zeroizing::new),
            };
            SigningDefinition::of_key(&voting_public_key, local)
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

pub(crate) fn describe(value: &Value) -> String {
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
