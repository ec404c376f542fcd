//! Keystores of this machine: listed, imported, deleted.

use crate::keymanager::{Failure, KeyFiles, Keymanager};
use crate::wire::{DeletedKeystores, ImportKeystores, ListedKeystore, Outcome, Status};
use keystore::{Keystore, Password, SigningDefinition, ValidatorDefinition};
use signing::SigningMethod;
use slashing_protection::Interchange;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::runtime::Handle;
use types::{PublicKeyBytes, SignerKey};

/// A keystore of a request that can be opened.
struct Candidate {
    keystore: Keystore,
    password: Password,
    /// None of a key that was listed already.
    method: Option<SigningMethod>,
}

impl Keymanager {
    /// BLS keys that are unlocked from a keystore.
    pub(crate) async fn list_keystores(self: &Arc<Self>) -> Result<Vec<ListedKeystore>, Failure> {
        self.with_files(|this, files, _| {
            let definitions = files.definitions.as_slice().iter();
            let listed = definitions.filter_map(|definition| {
                let validating_pubkey = definition.voting_public_key.as_bls()?;
                let SigningDefinition::LocalKeystore(local) = &definition.signing_definition else {
                    return None;
                };
                // A file that cannot be read now was readable at the start; the key is in use all the same.
                let path = Keystore::from_file(&local.path).map(|keystore| keystore.path().to_owned());
                this.context.signer.has_key(validating_pubkey).then(|| ListedKeystore {
                    validating_pubkey,
                    derivation_path: path.ok().filter(|path| !path.is_empty()),
                    readonly: false,
                })
            });
            Ok(listed.collect())
        })
        .await
    }

    /// Adds keys, after what they have signed elsewhere is on record. That is taken whole or the request is refused.
    pub(crate) async fn import_keystores(self: &Arc<Self>, request: ImportKeystores) -> Result<Vec<Outcome>, Failure> {
        let (keystores, passwords) = (request.keystores, request.passwords);
        if keystores.len() != passwords.len() {
            return Err(Failure::bad_request(format!(
                "{} keystores and {} passwords, expected a password for each keystore",
                keystores.len(),
                passwords.len()
            )));
        }
        let record = request
            .slashing_protection
            .map(|text| Interchange::from_json(text.as_bytes()))
            .transpose()
            .map_err(Failure::bad_request)?;
        let sent = keystores
            .iter()
            .zip(&passwords)
            .map(|(text, password)| {
                let keystore = Keystore::from_json(text.as_bytes()).map_err(|error| error.to_string())?;
                Ok((keystore, Password::new(&password.0)))
            })
            .collect();
        let candidates = self.decrypt(sent).await?;
        self.with_files(move |this, files, runtime| {
            if let Some(record) = record {
                let root = this.context.signer.genesis_validators_root();
                let imported = this
                    .context
                    .signer
                    .with_database(move |database| database.import(&record, root));
                let imported = runtime.block_on(imported).map_err(Failure::internal)?;
                let imported = imported.map_err(Failure::bad_request)?;
                tracing::info!(
                    keys = imported.keys,
                    blocks = imported.blocks,
                    attestations = imported.attestations,
                    "Slashing protection imported"
                );
            }
            let outcomes: Vec<Outcome> = candidates
                .into_iter()
                .map(|candidate| {
                    candidate
                        .and_then(|candidate| this.import_one(files, runtime, candidate))
                        .unwrap_or_else(Outcome::error)
                })
                .collect();
            if outcomes.iter().any(|outcome| outcome.status == Status::Imported) {
                this.keys_changed(files);
            }
            Ok(outcomes)
        })
        .await
    }

    /// Decrypts keystores whose keys are not listed yet. Whoever wants the files meanwhile does not wait for it.
    async fn decrypt(
        self: &Arc<Self>,
        sent: Vec<Result<(Keystore, Password), String>>,
    ) -> Result<Vec<Result<Candidate, String>>, Failure> {
        let pubkeys: Vec<PublicKeyBytes> = sent.iter().flatten().map(|(keystore, _)| keystore.pubkey()).collect();
        let listed: HashSet<PublicKeyBytes> = self
            .with_files(move |_, files, _| {
                let listed = pubkeys.into_iter().filter(|key| files.definitions.get(*key).is_some());
                Ok(listed.collect())
            })
            .await?;
        let one_at_a_time = Arc::clone(&self.decrypting).lock_owned().await;
        let decrypt = move || {
            let _held = one_at_a_time;
            let candidates = sent.into_iter().map(|sent| {
                let (keystore, password) = sent?;
                let method = match listed.contains(&keystore.pubkey()) {
                    true => None,
                    false => {
                        let secret = keystore.decrypt(&password).map_err(|error| error.to_string())?;
                        Some(SigningMethod::local(secret))
                    }
                };
                Ok(Candidate {
                    keystore,
                    password,
                    method,
                })
            });
            candidates.collect()
        };
        tokio::task::spawn_blocking(decrypt).await.map_err(Failure::internal)
    }

    fn import_one(&self, files: &mut KeyFiles, runtime: &Handle, candidate: Candidate) -> Result<Outcome, String> {
        let Candidate {
            keystore,
            password,
            method,
        } = candidate;
        let pubkey = keystore.pubkey();
        if files.runs(pubkey)? {
            return Ok(Status::Duplicate.into());
        }
        let method = method.ok_or_else(|| format!("{pubkey} was deleted while it was imported: import it again"))?;
        let mut definition = files
            .dir
            .store(&keystore, &password)
            .map_err(|error| error.to_string())?;
        definition.description = keystore.description().unwrap_or_default().to_owned();
        let added = self.add(files, runtime, definition.clone(), method);
        if let Err(reason) = added {
            // Nothing may stay that the next start would find: the caller is told that it was not imported.
            if let Err(error) = files.dir.delete(&definition) {
                return Err(format!(
                    "{reason}; its keystore is left, delete it before the key is used elsewhere: {error}"
                ));
            }
            return Err(reason);
        }
        tracing::info!(%pubkey, "Keystore imported");
        Ok(Status::Imported.into())
    }

    /// Lists a key durably, and signs with it from now on.
    pub(crate) fn add(
        &self,
        files: &mut KeyFiles,
        runtime: &Handle,
        definition: ValidatorDefinition,
        method: SigningMethod,
    ) -> Result<(), String> {
        let pubkey = definition.voting_public_key;
        files.definitions.insert(definition);
        let added = files.save().map_err(|failure| failure.to_string()).and_then(|()| {
            runtime
                .block_on(self.context.signer.add_key(method))
                .map_err(|error| error.to_string())
        });
        added.map_err(|reason| {
            files.definitions.remove(pubkey);
            match files.save() {
                Ok(()) => reason,
                Err(error) => format!("{reason}; it is still listed: {error}"),
            }
        })
    }

    /// Stops keys for good, then hands out what they have signed: also of keys that were stopped before.
    pub(crate) async fn delete_keystores(
        self: &Arc<Self>,
        pubkeys: Vec<PublicKeyBytes>,
    ) -> Result<DeletedKeystores, Failure> {
        self.with_files(move |this, files, runtime| {
            let mut data: Vec<Outcome> = pubkeys
                .iter()
                .map(|pubkey| this.delete_one(files, *pubkey).unwrap_or_else(Outcome::error))
                .collect();
            if data.iter().any(|outcome| outcome.status == Status::Deleted) {
                this.keys_changed(files);
            }
            let asked: Vec<SignerKey> = pubkeys
                .iter()
                .zip(&data)
                .filter(|(_, outcome)| outcome.status != Status::Error)
                .map(|(pubkey, _)| pubkey.into())
                .collect();
            // It waits in the signer's queue behind whatever was asked of these keys.
            let export = this
                .context
                .signer
                .with_database(move |database| database.export(Some(&asked)));
            let record = runtime
                .block_on(export)
                .map_err(Failure::internal)?
                .map_err(Failure::internal)?;
            let on_record: HashSet<PublicKeyBytes> = record.data.iter().map(|entry| entry.pubkey).collect();
            for (pubkey, outcome) in pubkeys.iter().zip(&mut data) {
                if outcome.status == Status::NotFound && on_record.contains(pubkey) {
                    *outcome = Status::NotActive.into();
                }
            }
            let text = record.to_json().map_err(Failure::internal)?;
            Ok(DeletedKeystores {
                data,
                slashing_protection: String::from_utf8(text).map_err(Failure::internal)?,
            })
        })
        .await
    }

    fn delete_one(&self, files: &mut KeyFiles, pubkey: PublicKeyBytes) -> Result<Outcome, String> {
        let Some(definition) = files.definitions.get(pubkey).cloned() else {
            return Ok(Status::NotFound.into());
        };
        if definition.signing_definition.local().is_none() {
            return Err("the key is in a remote signer: /eth/v1/remotekeys removes it".to_owned());
        }
        let was_active = self.context.signer.remove_key(pubkey);
        files.dir.delete(&definition).map_err(|error| error.to_string())?;
        files.definitions.remove(pubkey);
        files.save().map_err(|failure| failure.to_string())?;
        self.forget_settings(pubkey);
        tracing::info!(%pubkey, was_active, "Keystore deleted");
        // A key that was listed and did not sign is told by its record below.
        Ok(if was_active { Status::Deleted } else { Status::NotFound }.into())
    }

    pub(crate) fn forget_settings(&self, pubkey: PublicKeyBytes) {
        let mut settings = self.context.settings.write();
        settings.fee_recipient_by_key.remove(&pubkey.into());
        settings.graffiti_by_key.remove(&pubkey.into());
    }
}
