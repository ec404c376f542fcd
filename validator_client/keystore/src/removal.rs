//! Keys that leave a client.

use crate::definitions::SigningDefinition;
use crate::file::{FileError, remove};
use crate::{ValidatorDefinition, ValidatorsDir};
use std::fs;

impl ValidatorsDir {
    /// Deletes the files of a BLS key: first the keystore, so that a crash leaves nothing that signs, then its password if
    /// that is in the secrets directory, and its directory if nothing else is in it. The definition is the caller's to remove and save. A
    /// key in a remote signer has no files here, and those of a key of one-time leaves are never deleted: they cannot
    /// be used elsewhere in safety.
    ///
    /// Errors if the keystore may still be there.
    pub fn delete(&self, definition: &ValidatorDefinition) -> Result<(), FileError> {
        let SigningDefinition::LocalKeystore(local) = &definition.signing_definition else {
            return Ok(());
        };
        remove(&local.path)?;
        let password = self.password_path(definition.voting_public_key);
        if let Err(error) = remove(&password) {
            tracing::warn!(%error, "Password of a deleted keystore is left");
        }
        let by_default = self.keystore_path(definition.voting_public_key);
        if by_default == local.path {
            // Other files of the directory are the operator's.
            let _ = by_default.parent().map(fs::remove_dir);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kdf, Keystore, Password};
    use bls::SecretKey;

    #[test]
    fn a_deleted_key_leaves_nothing_and_other_keys_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (validators, secrets) = (dir.path().join("validators"), dir.path().join("secrets"));
        let keys = ValidatorsDir::open(&validators, &secrets).unwrap();
        let store = |seed: u8| {
            let secret = SecretKey::derive_master(&[seed; 32]).unwrap();
            let password = Password::new("password");
            let keystore = Keystore::encrypt(&secret, &password, Kdf::insecure(), "", None).unwrap();
            keys.store(&keystore, &password).unwrap()
        };
        let (gone, stays) = (store(1), store(2));
        keys.delete(&gone).unwrap();
        // Once more: as after a crash in between.
        keys.delete(&gone).unwrap();
        assert!(!keys.password_path(gone.voting_public_key).exists());
        assert!(!validators.join(gone.voting_public_key.to_string()).exists());
        keys.unlock(&stays).unwrap();
        assert!(keys.unlock(&gone).is_err());
    }
}
