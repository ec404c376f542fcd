//! Keys in remote signers: listed, added, removed.

use crate::keymanager::{Failure, KeyFiles, Keymanager};
use crate::wire::{ListedRemoteKey, Outcome, RemoteKeyEntry, Status};
use keystore::{SigningDefinition, ValidatorDefinition};
use signing::SigningMethod;
use std::sync::Arc;
use tokio::runtime::Handle;
use types::PublicKeyBytes;

impl Keymanager {
    pub(crate) async fn list_remote_keys(self: &Arc<Self>) -> Result<Vec<ListedRemoteKey>, Failure> {
        self.with_files(|this, files, _| {
            let definitions = files.definitions.as_slice().iter();
            let listed = definitions.filter_map(|definition| {
                let pubkey = definition.voting_public_key.as_bls()?;
                let SigningDefinition::Web3Signer { url } = &definition.signing_definition else {
                    return None;
                };
                this.context.signer.has_key(pubkey).then(|| ListedRemoteKey {
                    pubkey,
                    url: url.clone(),
                    readonly: false,
                })
            });
            Ok(listed.collect())
        })
        .await
    }

    pub(crate) async fn import_remote_keys(
        self: &Arc<Self>,
        entries: Vec<RemoteKeyEntry>,
    ) -> Result<Vec<Outcome>, Failure> {
        self.with_files(move |this, files, runtime| {
            let outcomes: Vec<Outcome> = entries
                .into_iter()
                .map(|entry| {
                    this.import_remote_key(files, runtime, entry)
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

    fn import_remote_key(
        &self,
        files: &mut KeyFiles,
        runtime: &Handle,
        entry: RemoteKeyEntry,
    ) -> Result<Outcome, String> {
        let RemoteKeyEntry { pubkey, url } = entry;
        if files.runs(pubkey)? {
            return Ok(Status::Duplicate.into());
        }
        let url = url.ok_or("field `url` is missing: there is no remote signer by default")?;
        let definition = ValidatorDefinition::web3signer(pubkey, url);
        let unlocked = files.dir.unlock(&definition).map_err(|error| error.to_string())?;
        let method = SigningMethod::of(unlocked.key).map_err(|error| error.to_string())?;
        self.add(files, runtime, definition, method)?;
        tracing::info!(%pubkey, "Key of a remote signer added");
        Ok(Status::Imported.into())
    }

    pub(crate) async fn delete_remote_keys(
        self: &Arc<Self>,
        pubkeys: Vec<PublicKeyBytes>,
    ) -> Result<Vec<Outcome>, Failure> {
        self.with_files(move |this, files, _| {
            let outcomes: Vec<Outcome> = pubkeys
                .into_iter()
                .map(|pubkey| this.delete_remote_key(files, pubkey).unwrap_or_else(Outcome::error))
                .collect();
            if outcomes.iter().any(|outcome| outcome.status == Status::Deleted) {
                this.keys_changed(files);
            }
            Ok(outcomes)
        })
        .await
    }

    fn delete_remote_key(&self, files: &mut KeyFiles, pubkey: PublicKeyBytes) -> Result<Outcome, String> {
        match files
            .definitions
            .get(pubkey)
            .map(|definition| &definition.signing_definition)
        {
            None => return Ok(Status::NotFound.into()),
            Some(SigningDefinition::Web3Signer { .. }) => {}
            Some(_) => return Err("the key is in a keystore of this machine: /eth/v1/keystores deletes it".to_owned()),
        }
        self.context.signer.remove_key(pubkey);
        files.definitions.remove(pubkey);
        files.save().map_err(|failure| failure.to_string())?;
        self.forget_settings(pubkey);
        tracing::info!(%pubkey, "Key of a remote signer removed");
        Ok(Status::Deleted.into())
    }
}
