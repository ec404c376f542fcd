//! `fresnel validator_manager`: a validator's keys change, by those who hold them.
//!
//! ```text
//! holder of a new key            prove-key   --> proof  ---.
//! one of the group               change-keys <-- proofs ---'  --> change, not signed
//! holders of keys in force       sign-change <-- change; each hands its part to the same beacon node
//! ```

use crate::start::Common;
use crate::{ClientError, chain_info, keys};
use beacon_api::{BeaconClient, ClientConfig, GroupKeySet, Network, StateId, ValidatorId, ValidatorsRequest};
use clap::{Args, Subcommand};
use futures::future::LocalBoxFuture;
use keystore::{KEYSTORE_FILE, Keystore, Password, SigningDefinition, ValidatorDefinitions, ValidatorsDir};
use runtime::SlotClock;
use serde::{Deserialize, Serialize};
use signing::{MessageSignature, SignableMessage, Signer, SigningMethod};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::constants::{BLS_SCHEME, LEAVES_PER_EPOCH};
use types::{
    ChainSpec, Epoch, KeyPossession, KeyProof, KeySetChange, Mainnet, Minimal, Preset, PresetName, Root, SchemeProof,
    SchemeProofs, SignatureBytes, SignedKeySetChange, SignerIndex, SignerKey, Signers, Slot, ValidatorIndex,
};

/// Largest file of a proof or a change.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Changes the keys of a validator.
#[derive(Debug, Clone, Args)]
pub struct ManagerArgs {
    #[command(subcommand)]
    command: ManagerCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ManagerCommand {
    /// Prints a proof that this machine has a key that is to sign for a validator, as JSON. The client of an XMSS key
    /// must not run meanwhile.
    ProveKey(ProveKeyArgs),
    /// Prints a change of a validator's keys, as JSON, for those who hold the keys in force to sign.
    ChangeKeys(ChangeKeysArgs),
    /// Signs a change with each key of this machine that is in force, and hands the signatures to a beacon node, which
    /// adds up those that it is given. The client of an XMSS key must not run meanwhile.
    SignChange(SignChangeArgs),
}

#[derive(Debug, Clone, Args)]
struct Node {
    /// URL of a beacon node.
    #[arg(long, value_name = "URL", default_value = "http://localhost:5052")]
    beacon_node: String,
}

#[derive(Debug, Clone, Args)]
struct KeyDirs {
    /// Directory of keystores [default: <datadir>/validators].
    #[arg(long, value_name = "DIR")]
    validators_dir: Option<PathBuf>,
    /// Directory of the keystores' passwords [default: <datadir>/secrets].
    #[arg(long, value_name = "DIR")]
    secrets_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
struct ProveKeyArgs {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    dirs: KeyDirs,
    /// Index of the validator that the key is to sign for.
    #[arg(long, value_name = "INDEX")]
    validator_index: u64,
    /// The key.
    #[arg(long, value_name = "KEY")]
    key: SignerKey,
    /// Slot of the proof, whose epoch has the leaf that an XMSS key uses for it [default: that of the head, or the first
    /// of the key if that is later].
    #[arg(long, value_name = "SLOT")]
    slot: Option<u64>,
}

#[derive(Debug, Clone, Args)]
struct ChangeKeysArgs {
    #[command(flatten)]
    node: Node,
    /// Index of the validator.
    #[arg(long, value_name = "INDEX")]
    validator_index: u64,
    /// How many keys have to agree [default: as many as now].
    #[arg(long, value_name = "COUNT")]
    threshold: Option<u8>,
    /// All keys after the change, in the order of their places, separated by commas.
    #[arg(
        long,
        value_name = "KEY",
        value_delimiter = ',',
        required_unless_present = "replace",
        conflicts_with = "replace"
    )]
    keys: Vec<SignerKey>,
    /// Only this: a key in force and the one that takes its place.
    #[arg(long, value_name = "OLD=NEW", value_parser = replacement)]
    replace: Vec<(SignerKey, SignerKey)>,
    /// A file that `prove-key` has printed, for each new key.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    proofs: Vec<PathBuf>,
}

#[derive(Debug, Clone, Args)]
struct SignChangeArgs {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    dirs: KeyDirs,
    /// The file that `change-keys` has printed.
    #[arg(long, value_name = "FILE")]
    change: PathBuf,
}

fn replacement(text: &str) -> Result<(SignerKey, SignerKey), String> {
    let (old, new) = text.split_once('=').ok_or("expected OLD=NEW")?;
    let key = |text: &str| text.parse::<SignerKey>().map_err(|error| error.to_string());
    Ok((key(old)?, key(new)?))
}

/// What `prove-key` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ProvenKey {
    validator_index: ValidatorIndex,
    key: SignerKey,
    #[serde(flatten)]
    proof: KeyProof,
}

fn refused(reason: impl Into<String>) -> ClientError {
    ClientError::Manager(reason.into())
}

/// What a beacon node says about a validator.
#[derive(Debug, Clone)]
struct Standing {
    index: ValidatorIndex,
    sequence: u64,
    threshold: u8,
    /// Keys in force; none of a solo validator.
    keys: Vec<SignerKey>,
    /// Key of a solo validator.
    registry_key: SignerKey,
}

impl Standing {
    fn of(
        index: ValidatorIndex,
        registry_key: SignerKey,
        group: Option<(u64, &[GroupKeySet])>,
        now: Epoch,
    ) -> Result<Self, ClientError> {
        let (sequence, key_sets) = group.unwrap_or((0, &[]));
        if let Some(pending) = key_sets.last().filter(|key_set| key_set.activation_epoch > now) {
            return Err(refused(format!(
                "a change of validator {index} is waiting for epoch {}: one at a time",
                pending.activation_epoch
            )));
        }
        let in_force = key_sets.last();
        let keys = in_force.map_or(&[][..], |key_set| key_set.keys.as_slice());
        let keys = keys.iter().map(|key| {
            SignerKey::new(key.scheme, &key.pubkey).ok_or_else(|| refused("the beacon node has a key that is too long"))
        });
        Ok(Self {
            index,
            sequence,
            threshold: in_force.map_or(1, |key_set| key_set.threshold.max(1)),
            keys: keys.collect::<Result<_, _>>()?,
            registry_key,
        })
    }

    /// Who has to sign, with the places that say so: none of a solo validator.
    fn authorities(&self) -> Vec<(SignerKey, Option<usize>)> {
        if self.keys.is_empty() {
            return vec![(self.registry_key, None)];
        }
        let places = self.keys.iter().enumerate();
        places.map(|(place, key)| (*key, Some(place))).collect()
    }

    fn replaced(&self, replacements: &[(SignerKey, SignerKey)]) -> Result<Vec<SignerKey>, ClientError> {
        let mut keys = self.keys.clone();
        for (old, new) in replacements {
            let place = keys.iter_mut().find(|key| **key == *old).ok_or_else(|| {
                refused(format!(
                    "{old} is not one of the keys in force of validator {}",
                    self.index
                ))
            })?;
            *place = *new;
        }
        Ok(keys)
    }

    /// The change to `keys`, without a signature.
    fn change(
        &self,
        keys: &[SignerKey],
        threshold: u8,
        slot: Slot,
        proven: &[ProvenKey],
    ) -> Result<SignedKeySetChange, ClientError> {
        if threshold == 0 || usize::from(threshold) > keys.len() {
            return Err(refused(format!(
                "the threshold is {threshold}, expected 1 to {}, the number of keys",
                keys.len()
            )));
        }
        let mut key_proofs = Vec::new();
        for key in keys.iter().filter(|key| !self.keys.contains(key)) {
            let proof = proven
                .iter()
                .find(|proven| proven.key == *key && proven.validator_index == self.index)
                .ok_or_else(|| {
                    refused(format!(
                        "there is no proof for {key} and validator {}: its holder makes one with `prove-key`, give it with --proofs",
                        self.index
                    ))
                })?;
            key_proofs.push(proof.proof.clone());
        }
        let too_many = |_| refused(format!("{} keys are more than a group may have", keys.len()));
        let virtual_keys: Vec<_> = keys.iter().map(SignerKey::to_virtual_key).collect();
        Ok(SignedKeySetChange {
            message: KeySetChange {
                validator_index: self.index,
                sequence: self.sequence,
                slot,
                threshold,
                keys: virtual_keys.try_into().map_err(too_many)?,
            },
            key_proofs: key_proofs.try_into().map_err(too_many)?,
            signers: Signers::default(),
            signature: SignatureBytes::ZERO,
            proofs: SchemeProofs::empty(),
        })
    }

    /// One key's part of a change.
    fn part(
        change: &SignedKeySetChange,
        place: Option<usize>,
        signature: MessageSignature,
    ) -> Result<SignedKeySetChange, ClientError> {
        let mut signers = Signers::default();
        if let Some(place) = place {
            let no_place = |_| refused(format!("no group has a key {place}"));
            signers.set(place, true).map_err(no_place)?;
        }
        Ok(SignedKeySetChange {
            signers,
            signature: signature.signature,
            proofs: signature.proofs,
            ..change.clone()
        })
    }

    /// For people, before they sign.
    fn describe(&self, change: &KeySetChange) -> String {
        let new: Vec<SignerKey> = change.keys.iter().map(SignerKey::from).collect();
        let missing = |from: &[SignerKey], others: &[SignerKey]| -> Vec<String> {
            let gone = from.iter().filter(|key| !others.contains(key));
            gone.map(|key| format!("\n  {key}")).collect()
        };
        format!(
            "validator {}: {} of {} keys have to agree afterwards, now {} of {}\nkeys that go:{}\nkeys that come:{}",
            self.index,
            change.threshold,
            new.len(),
            self.threshold,
            self.keys.len().max(1),
            missing(&self.keys, &new).concat(),
            missing(&new, &self.keys).concat()
        )
    }
}

/// A beacon node's chain.
struct Chain {
    api: BeaconClient,
    spec: Arc<ChainSpec>,
    genesis_validators_root: Root,
    clock: SlotClock,
    head_slot: Slot,
}

impl Chain {
    async fn of(url: &str, testnet_dir: Option<&Path>) -> Result<Self, ClientError> {
        let api = BeaconClient::new(url, ClientConfig::default()).map_err(|error| ClientError::Flag {
            flag: "beacon-node",
            reason: error.to_string(),
        })?;
        let text = |error: beacon_api::ApiError| refused(error.to_string());
        let found = Network::of_node(&api).await.map_err(text)?;
        let own = testnet_dir.map(chain_info::Own::of_dir).transpose()?;
        let chain_info::Chain { spec, network } =
            chain_info::of_node(&found, own.as_ref()).map_err(|reason| refused(format!("{url}: {reason}")))?;
        let genesis = network.genesis;
        let syncing = api.syncing().await.map_err(text)?;
        if syncing.is_syncing {
            return Err(refused(format!("{url} is syncing: it does not know the present keys")));
        }
        Ok(Self {
            api,
            clock: SlotClock::system(genesis.genesis_time, &spec),
            spec: Arc::new(spec),
            genesis_validators_root: genesis.genesis_validators_root,
            head_slot: syncing.head_slot,
        })
    }

    async fn standing<P: Preset>(&self, index: u64) -> Result<Standing, ClientError> {
        let text = |error: beacon_api::ApiError| refused(error.to_string());
        let index = ValidatorIndex::new(index);
        let request = ValidatorsRequest {
            ids: Some(vec![ValidatorId::Index(SignerIndex::from(index))]),
            statuses: None,
        };
        let found = self.api.validators(StateId::Head, &request).await.map_err(text)?.data;
        let entry = found
            .first()
            .ok_or_else(|| refused(format!("there is no validator {index}")))?;
        let groups = self.api.groups(StateId::Head).await.map_err(text)?.data;
        let group = groups.iter().find(|group| group.validator_index == index);
        Standing::of(
            index,
            entry.validator.pubkey,
            group.map(|group| (group.sequence, group.key_sets.as_slice())),
            self.head_slot.epoch::<P>(),
        )
    }
}

/// Where the keys of this machine are.
#[derive(Debug, Clone)]
struct Holder {
    validators: PathBuf,
    secrets: PathBuf,
    spec: Arc<ChainSpec>,
    genesis_validators_root: Root,
    clock: SlotClock,
}

impl Holder {
    fn new(dirs: &KeyDirs, common: &Common, chain: &Chain) -> Self {
        let or_default = |dir: &Option<PathBuf>, name| dir.clone().unwrap_or_else(|| common.datadir.join(name));
        Self {
            validators: or_default(&dirs.validators_dir, "validators"),
            secrets: or_default(&dirs.secrets_dir, "secrets"),
            spec: Arc::clone(&chain.spec),
            genesis_validators_root: chain.genesis_validators_root,
            clock: chain.clock.clone(),
        }
    }

    fn has(&self, key: SignerKey) -> Result<bool, ClientError> {
        let defined = ValidatorDefinitions::open(&self.validators)?.get(key).is_some();
        Ok(defined || self.validators.join(key.to_string()).is_dir())
    }

    /// Signs. A BLS key may sign any number of such messages, so its file is read beside a client that runs; a key that
    /// has leaves signs behind its record, of which there is one.
    async fn sign<P: Preset>(
        &self,
        key: SignerKey,
        message: impl Fn(Option<Epoch>) -> Signable,
    ) -> Result<(MessageSignature, Signable), ClientError> {
        if key.scheme() == BLS_SCHEME {
            let (this, message) = (self.clone(), message(None));
            let root = message
                .as_message::<P>()
                .signing_root(self.genesis_validators_root, &self.spec);
            let signature = tokio::task::spawn_blocking(move || this.sign_bls(key, root)).await??;
            return Ok((signature, message));
        }
        let this = self.clone();
        let (_dir, signer, first_epoch) = tokio::task::spawn_blocking(move || this.signer(key)).await??;
        let message = message(first_epoch);
        let signature = signer.sign(key, message.as_message::<P>()).await?;
        Ok((signature, message))
    }

    fn sign_bls(&self, key: SignerKey, root: Root) -> Result<MessageSignature, ClientError> {
        let definitions = ValidatorDefinitions::open(&self.validators)?;
        let by_default = (
            self.validators.join(key.to_string()).join(KEYSTORE_FILE),
            self.secrets.join(key.to_string()),
        );
        let (path, password) = match definitions.get(key).map(|definition| &definition.signing_definition) {
            None => (by_default.0, Password::from_file(&by_default.1)),
            Some(SigningDefinition::LocalKeystore(local)) => {
                let password = match &local.password {
                    Some(text) => Ok(Password::new(text)),
                    None => Password::from_file(local.password_path.as_ref().unwrap_or(&by_default.1)),
                };
                (local.path.clone(), password)
            }
            Some(_) => {
                return Err(refused(format!(
                    "{key} is in a remote signer, whose API has no message for key-set changes"
                )));
            }
        };
        let wrong = |error: &dyn std::fmt::Display| refused(format!("{key}: {error}"));
        let password = password.map_err(|error| wrong(&error))?;
        let secret = Keystore::from_file(&path)
            .and_then(|keystore| keystore.decrypt(&password))
            .map_err(|error| wrong(&error))?;
        if SignerKey::from(secret.public_key().to_bytes()) != key {
            return Err(wrong(&format!("{} has another key", path.display())));
        }
        Ok(MessageSignature::bls(secret.sign(&root).to_bytes()))
    }

    /// The signer of one key, with the epoch of its first leaf, if it has leaves.
    fn signer(&self, key: SignerKey) -> Result<(ValidatorsDir, Signer, Option<Epoch>), ClientError> {
        let dir = ValidatorsDir::open(&self.validators, &self.secrets)?;
        let mut definitions = dir.definitions()?;
        dir.discover(&mut definitions)?;
        let definition = definitions
            .get(key)
            .ok_or_else(|| refused(format!("{key} is not in {}", self.validators.display())))?;
        let unlocked = dir.unlock(definition).map_err(|error| refused(error.to_string()))?;
        let method = SigningMethod::of(unlocked.key)?;
        let leaves = method.key().one_time_leaves();
        let first_epoch = leaves
            .and_then(|leaves| leaves.start.checked_div(LEAVES_PER_EPOCH))
            .map(Epoch::new);
        let database = keys::open_protection(dir.path(), false)?;
        let (root, spec) = (self.genesis_validators_root, Arc::clone(&self.spec));
        let signer = Signer::start(database, vec![method], root, spec, self.clock.clone())?;
        Ok((dir, signer, first_epoch))
    }
}

/// What is signed here.
#[derive(Debug, Clone)]
enum Signable {
    Possession(KeyPossession),
    Change(KeySetChange),
}

impl Signable {
    fn as_message<P: Preset>(&self) -> SignableMessage<'_, P> {
        match self {
            Self::Possession(possession) => SignableMessage::KeyPossession(possession),
            Self::Change(change) => SignableMessage::KeySetChange(change),
        }
    }
}

/// Carries out a command. Gives what it prints.
///
/// Boxed here, so that it is compiled once, in this crate: the body of an `async fn` is compiled again by each user.
pub fn manage(args: ManagerArgs, common: Common) -> LocalBoxFuture<'static, Result<String, ClientError>> {
    Box::pin(carry_out(args, common))
}

async fn carry_out(args: ManagerArgs, common: Common) -> Result<String, ClientError> {
    let node = match &args.command {
        ManagerCommand::ProveKey(args) => &args.node,
        ManagerCommand::ChangeKeys(args) => &args.node,
        ManagerCommand::SignChange(args) => &args.node,
    };
    let chain = Chain::of(&node.beacon_node, common.testnet_dir.as_deref()).await?;
    match chain.spec.preset_base {
        PresetName::Mainnet => manage_with::<Mainnet>(args.command, &common, &chain).await,
        PresetName::Minimal => manage_with::<Minimal>(args.command, &common, &chain).await,
    }
}

async fn manage_with<P: Preset>(
    command: ManagerCommand,
    common: &Common,
    chain: &Chain,
) -> Result<String, ClientError> {
    match command {
        ManagerCommand::ProveKey(args) => {
            let holder = Holder::new(&args.dirs, common, chain);
            let asked = args.slot.map(Slot::new);
            let proven = prove::<P>(&holder, args.key, args.validator_index, asked, chain.head_slot).await?;
            to_json(&proven)
        }
        ManagerCommand::ChangeKeys(args) => {
            let standing = chain.standing::<P>(args.validator_index).await?;
            let proven = args
                .proofs
                .iter()
                .map(|path| read_json(path))
                .collect::<Result<Vec<ProvenKey>, _>>()?;
            let keys = match args.keys.is_empty() {
                true => standing.replaced(&args.replace)?,
                false => args.keys,
            };
            let threshold = args.threshold.unwrap_or(standing.threshold);
            to_json(&standing.change(&keys, threshold, chain.head_slot, &proven)?)
        }
        ManagerCommand::SignChange(args) => {
            let holder = Holder::new(&args.dirs, common, chain);
            let change: SignedKeySetChange = read_json(&args.change)?;
            let standing = chain.standing::<P>(change.message.validator_index.as_u64()).await?;
            if change.message.sequence != standing.sequence {
                return Err(refused(format!(
                    "{} is change {} of validator {}, expected {}: others came before it, make it anew",
                    args.change.display(),
                    change.message.sequence,
                    standing.index,
                    standing.sequence
                )));
            }
            let mut text = standing.describe(&change.message);
            let parts = sign::<P>(&holder, &standing, &change).await?;
            for (key, part) in parts {
                let submitted = chain.api.submit_key_set_change(&part).await;
                submitted.map_err(|error| refused(error.to_string()))?;
                text.push_str(&format!("\nsigned by {key} and handed in"));
            }
            Ok(text)
        }
    }
}

async fn prove<P: Preset>(
    holder: &Holder,
    key: SignerKey,
    validator_index: u64,
    slot: Option<Slot>,
    head: Slot,
) -> Result<ProvenKey, ClientError> {
    let validator_index = ValidatorIndex::new(validator_index);
    let possession = |first_epoch: Option<Epoch>| {
        let first = first_epoch.map_or(head, |epoch| epoch.start_slot::<P>().max(head));
        Signable::Possession(KeyPossession {
            validator_index,
            key: key.to_virtual_key(),
            slot: slot.unwrap_or(first),
        })
    };
    let (signed, message) = holder.sign::<P>(key, possession).await?;
    let Signable::Possession(KeyPossession { slot, .. }) = message else {
        return Err(refused("another message was signed"));
    };
    let proof = match signed.proofs.first() {
        Some(proof) => proof.clone(),
        None => SchemeProof {
            scheme: BLS_SCHEME,
            data: signed
                .signature
                .to_vec()
                .try_into()
                .map_err(|_| refused("a signature is too long"))?,
        },
    };
    Ok(ProvenKey {
        validator_index,
        key,
        proof: KeyProof { slot, proof },
    })
}

/// The parts of all keys in force that are here.
async fn sign<P: Preset>(
    holder: &Holder,
    standing: &Standing,
    change: &SignedKeySetChange,
) -> Result<Vec<(SignerKey, SignedKeySetChange)>, ClientError> {
    let mut parts = Vec::new();
    for (key, place) in standing.authorities() {
        if holder.has(key)? {
            let message = |_| Signable::Change(change.message.clone());
            let (signature, _) = holder.sign::<P>(key, message).await?;
            parts.push((key, Standing::part(change, place, signature)?));
        }
    }
    if parts.is_empty() {
        return Err(refused(format!(
            "{} has none of the keys in force of validator {}",
            holder.validators.display(),
            standing.index
        )));
    }
    Ok(parts)
}

fn to_json(value: &impl Serialize) -> Result<String, ClientError> {
    serde_json::to_string_pretty(value).map_err(|error| refused(error.to_string()))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ClientError> {
    let bytes = keystore::read_limited(path, MAX_FILE_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|error| ClientError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
