//! The keys of a client: found, unlocked, and what the operator says of each.

use crate::ClientError;
use duties::{GRAFFITI_BYTES, Settings, padded_graffiti};
use keystore::{ValidatorDefinition, ValidatorDefinitions, ValidatorsDir};
use signing::SigningMethod;
use slashing_protection::{DATABASE_FILE, DatabaseError, SlashingDatabase};
use std::path::Path;

/// Keys that are ready to sign.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Locked as long as this lives.
    pub(crate) dir: ValidatorsDir,
    pub(crate) methods: Vec<SigningMethod>,
    pub(crate) definitions: ValidatorDefinitions,
}

/// Finds and unlocks keys. A bad keystore is reported and does not hide the others. Takes long; for a blocking thread.
pub(crate) fn load(validators_dir: &Path, secrets_dir: &Path, discover: bool) -> Result<Keys, ClientError> {
    let dir = ValidatorsDir::open(validators_dir, secrets_dir)?;
    let mut definitions = dir.definitions()?;
    if discover {
        let discovered = dir.discover(&mut definitions)?;
        for problem in discovered.problems {
            tracing::error!(%problem, "Keystore is left out");
        }
        if !discovered.added.is_empty() {
            dir.save(&definitions)?;
        }
    }
    let mut methods = Vec::new();
    for unlocked in dir.unlock_enabled(&definitions) {
        match unlocked {
            Ok(key) => match SigningMethod::of(key.key) {
                Ok(method) => methods.push(method),
                Err(error) => tracing::error!(%error, "Key is left out"),
            },
            Err(error) => tracing::error!(%error, "Key is left out"),
        }
    }
    tracing::info!(
        enabled = methods.len(),
        total = definitions.as_slice().len(),
        dir = %validators_dir.display(),
        "Keys unlocked"
    );
    Ok(Keys {
        dir,
        methods,
        definitions,
    })
}

/// Opens the record of what was signed. Without one nothing is signed, unless the operator says that there is none.
pub(crate) fn open_protection(validators_dir: &Path, init: bool) -> Result<SlashingDatabase, ClientError> {
    let path = validators_dir.join(DATABASE_FILE);
    let opened = if init {
        SlashingDatabase::open_or_create(&path)
    } else {
        SlashingDatabase::open(&path)
    };
    opened.map_err(|error| match error {
        DatabaseError::Missing { path } => ClientError::NoProtection(path),
        other => other.into(),
    })
}

/// Adds to the settings what the definitions say of single keys.
pub(crate) fn add_definitions(settings: &mut Settings, definitions: &[ValidatorDefinition]) {
    for definition in definitions.iter().filter(|definition| definition.enabled) {
        let key = definition.voting_public_key;
        if let Some(recipient) = definition.suggested_fee_recipient {
            settings.fee_recipient_by_key.insert(key, recipient);
        }
        if let Some(text) = &definition.graffiti {
            match padded_graffiti(text) {
                Some(graffiti) => {
                    settings.graffiti_by_key.insert(key, graffiti);
                }
                None => tracing::warn!(%key, "Graffiti is longer than {GRAFFITI_BYTES} bytes and left out"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_signed_without_a_record_unless_the_operator_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = open_protection(dir.path(), false).unwrap_err().to_string();
        assert!(error.contains("--init-slashing-protection"), "{error}");
        open_protection(dir.path(), true).unwrap();
        open_protection(dir.path(), false).unwrap();
    }
}
