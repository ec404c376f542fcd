//! The keys of a running client, one change at a time; and the settings of single keys.

use crate::wire::{ListedFeeRecipient, ListedGraffiti, SignedExit};
use beacon_api::{ErrorMessage, ValidatorId};
use duties::{Context, GRAFFITI_BYTES, padded_graffiti};
use keystore::{DEFINITIONS_FILE, ValidatorDefinition, ValidatorDefinitions, ValidatorsDir};
use signing::SignableMessage;
use std::fmt::Display;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use types::{
    Epoch, ExecutionAddress, Hash32, Mainnet, Minimal, Preset, PresetName, PublicKeyBytes, Signers, VoluntaryExit,
};

/// A request that is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Failure(pub(crate) ErrorMessage);

impl Failure {
    pub(crate) fn new(status: u16, reason: impl Display) -> Self {
        Self(ErrorMessage::new(status, reason.to_string()))
    }

    pub(crate) fn bad_request(reason: impl Display) -> Self {
        Self::new(400, reason)
    }

    pub(crate) fn internal(reason: impl Display) -> Self {
        Self::new(500, reason)
    }

    fn no_key(pubkey: PublicKeyBytes) -> Self {
        Self::new(404, format!("{pubkey} is not a key of this client"))
    }
}

/// What is on disk, locked for this process.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    pub(crate) dir: ValidatorsDir,
    pub(crate) definitions: ValidatorDefinitions,
}

impl KeyFiles {
    /// Whether a key runs already. One that is listed and disabled is an error: the operator has said that it must not run.
    pub(crate) fn runs(&self, pubkey: PublicKeyBytes) -> Result<bool, String> {
        match self.definitions.get(pubkey) {
            Some(definition) if !definition.enabled => Err(format!("{pubkey} is disabled in {DEFINITIONS_FILE}")),
            listed => Ok(listed.is_some()),
        }
    }

    pub(crate) fn save(&self) -> Result<(), Failure> {
        self.dir.save(&self.definitions).map_err(Failure::internal)
    }
}

/// The keys of a running client. It holds the lock of their directory.
#[derive(Debug)]
pub struct Keymanager {
    pub(crate) context: Arc<Context>,
    preset: PresetName,
    files: Arc<Mutex<KeyFiles>>,
    /// Held while keystores of a request are decrypted: each takes seconds and 256 MiB.
    pub(crate) decrypting: Arc<Mutex<()>>,
}

impl Keymanager {
    /// Of a client whose duties have this context.
    pub fn new(
        context: Arc<Context>,
        preset: PresetName,
        dir: ValidatorsDir,
        definitions: ValidatorDefinitions,
    ) -> Self {
        Self {
            context,
            preset,
            files: Arc::new(Mutex::new(KeyFiles { dir, definitions })),
            decrypting: Arc::default(),
        }
    }

    /// Works on the files, alone and on a blocking thread: to its end, even if the caller has gone.
    pub(crate) async fn with_files<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &mut KeyFiles, &Handle) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut files = Arc::clone(&self.files).lock_owned().await;
        let this = Arc::clone(self);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || work(&this, &mut files, &runtime))
            .await
            .map_err(Failure::internal)?
    }

    /// After keys have come or gone.
    pub(crate) fn keys_changed(&self, files: &KeyFiles) {
        duties::set_key_counts(self.context.signer.keys().len(), files.definitions.as_slice().len());
        self.context.keys_changed();
    }

    /// Changes the definition of a key, durably or not at all.
    async fn edit(
        self: &Arc<Self>,
        pubkey: PublicKeyBytes,
        change: impl FnOnce(&mut ValidatorDefinition) + Send + 'static,
    ) -> Result<(), Failure> {
        self.with_files(move |_, files, _| {
            let before = files.definitions.clone();
            let definition = files
                .definitions
                .as_mut_slice()
                .iter_mut()
                .find(|definition| definition.voting_public_key == pubkey.into())
                .ok_or_else(|| Failure::no_key(pubkey))?;
            change(definition);
            files.save().inspect_err(|_| files.definitions = before)
        })
        .await
    }

    async fn definition(self: &Arc<Self>, pubkey: PublicKeyBytes) -> Result<ValidatorDefinition, Failure> {
        let files = self.files.lock().await;
        files
            .definitions
            .get(pubkey)
            .cloned()
            .ok_or_else(|| Failure::no_key(pubkey))
    }

    pub(crate) async fn fee_recipient(self: &Arc<Self>, pubkey: PublicKeyBytes) -> Result<ListedFeeRecipient, Failure> {
        self.definition(pubkey).await?;
        let ethaddress = self
            .context
            .settings
            .read()
            .fee_recipient_of(&pubkey.into())
            .ok_or_else(|| {
                Failure::new(
                    404,
                    format!("neither {pubkey} nor this client has a fee recipient: the beacon node's is used"),
                )
            })?;
        Ok(ListedFeeRecipient { pubkey, ethaddress })
    }

    /// Sets who gets the fees, or goes back to the client's own.
    pub(crate) async fn set_fee_recipient(
        self: &Arc<Self>,
        pubkey: PublicKeyBytes,
        recipient: Option<ExecutionAddress>,
    ) -> Result<(), Failure> {
        if recipient.is_some_and(|recipient| recipient.is_zero()) {
            return Err(Failure::bad_request("the fee recipient must not be the zero address"));
        }
        self.edit(pubkey, move |definition| definition.suggested_fee_recipient = recipient)
            .await?;
        let mut settings = self.context.settings.write();
        match recipient {
            Some(recipient) => settings.fee_recipient_by_key.insert(pubkey.into(), recipient),
            None => settings.fee_recipient_by_key.remove(&pubkey.into()),
        };
        drop(settings);
        self.context.keys_changed();
        Ok(())
    }

    pub(crate) async fn graffiti(self: &Arc<Self>, pubkey: PublicKeyBytes) -> Result<ListedGraffiti, Failure> {
        self.definition(pubkey).await?;
        let graffiti = self.context.settings.read().graffiti_of(&pubkey.into());
        Ok(ListedGraffiti {
            pubkey,
            graffiti: graffiti.map(|graffiti| text_of(&graffiti)).unwrap_or_default(),
        })
    }

    /// Sets what a key writes into its blocks, or goes back to the client's own.
    pub(crate) async fn set_graffiti(
        self: &Arc<Self>,
        pubkey: PublicKeyBytes,
        graffiti: Option<String>,
    ) -> Result<(), Failure> {
        let padded = graffiti.as_deref().map(padded_or_refused).transpose()?;
        self.edit(pubkey, move |definition| definition.graffiti = graffiti)
            .await?;
        let mut settings = self.context.settings.write();
        match padded {
            Some(graffiti) => settings.graffiti_by_key.insert(pubkey.into(), graffiti),
            None => settings.graffiti_by_key.remove(&pubkey.into()),
        };
        Ok(())
    }

    /// An exit, signed by one key. Nothing is published.
    pub(crate) async fn sign_exit(
        self: &Arc<Self>,
        pubkey: PublicKeyBytes,
        epoch: Option<Epoch>,
    ) -> Result<SignedExit, Failure> {
        match self.preset {
            PresetName::Mainnet => self.sign_exit_with::<Mainnet>(pubkey, epoch).await,
            PresetName::Minimal => self.sign_exit_with::<Minimal>(pubkey, epoch).await,
        }
    }

    async fn sign_exit_with<P: Preset>(
        &self,
        pubkey: PublicKeyBytes,
        epoch: Option<Epoch>,
    ) -> Result<SignedExit, Failure> {
        if !self.context.signer.has_key(pubkey) {
            return Err(Failure::no_key(pubkey));
        }
        let found = self
            .context
            .look_up(vec![ValidatorId::PublicKey(pubkey.into())])
            .await
            .map_err(Failure::internal)?;
        let signer = found
            .first()
            .ok_or_else(|| Failure::new(404, format!("the chain knows no validator with the key {pubkey}")))?
            .index;
        let (validator_index, place) = signer.split();
        let present = || self.context.clock.now_slot().unwrap_or_default().epoch::<P>();
        let message = VoluntaryExit {
            epoch: epoch.unwrap_or_else(present),
            validator_index,
        };
        let signed = self
            .context
            .signer
            .sign(pubkey, SignableMessage::<P>::VoluntaryExit(&message))
            .await
            .map_err(Failure::internal)?;
        let signers = place
            .map(|place| {
                let mut signers = Signers::default();
                signers.set(usize::from(place), true).map(|()| signers)
            })
            .transpose()
            .map_err(|error| Failure::internal(format!("{error:?}")))?;
        Ok(SignedExit {
            message,
            signature: signed.signature,
            proofs: signers.is_some().then_some(signed.proofs),
            signers,
        })
    }
}

fn padded_or_refused(text: &str) -> Result<Hash32, Failure> {
    padded_graffiti(text).ok_or_else(|| {
        let found = text.len();
        Failure::bad_request(format!("graffiti of {found} bytes, expected at most {GRAFFITI_BYTES}"))
    })
}

fn text_of(graffiti: &Hash32) -> String {
    let end = graffiti
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last.saturating_add(1));
    let bytes = graffiti.get(..end).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
