//! Who a public key or an index is: a registry entry, or one key of a group.

use crate::ApiFailure;
use crate::locate::{FoundState, Reader};
use crate::respond::Answer;
use beacon_api::{ValidatorData, ValidatorEntry, ValidatorId, ValidatorStatus};
use beacon_chain::BeaconChain;
use state_transition::dvt::accessors::{get_key_set, get_signer_key};
use state_transition::helpers::accessors::get_validator_index;
use std::collections::HashMap;
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::{BeaconState, Epoch, Gwei, Preset, Root, SignerIndex, SignerKey, Validator};

/// Tables that are kept: of the head's epoch, the one before, and a few that are asked about.
const KEPT_TABLES: usize = 4;

/// The keys of all groups, by public key, as they are in force in an epoch.
#[derive(Debug)]
pub(crate) struct SignerTable {
    /// Root of the list of groups, and the epoch.
    key: (Root, Epoch),
    by_public_key: HashMap<SignerKey, SignerIndex>,
}

impl SignerTable {
    fn new<P: Preset>(state: &BeaconState<P>, key: (Root, Epoch)) -> Self {
        let mut by_public_key = HashMap::new();
        let (_, epoch) = key;
        for group in state.groups().into_iter().flatten() {
            // A group without a key set in force signs nothing.
            let Ok(Some(key_set)) = get_key_set(state, group.validator_index, epoch) else {
                continue;
            };
            for (number, virtual_key) in (0u8..).zip(key_set.keys.iter()) {
                if let Ok(index) = SignerIndex::virtual_index(group.validator_index, number) {
                    by_public_key.insert(SignerKey::from(virtual_key), index);
                }
            }
        }
        Self { key, by_public_key }
    }
}

/// Answers who is who in a state. Virtual keys are those in force in `epoch`.
#[derive(Debug)]
pub(crate) struct Identities<P: Preset> {
    state: Arc<BeaconState<P>>,
    epoch: Epoch,
    table: Option<Arc<SignerTable>>,
}

impl<P: Preset> Reader<P> {
    /// Who is who in a state. Work for a worker where groups are many.
    pub(crate) fn identities(&self, found: &FoundState<P>) -> Result<Identities<P>, ApiFailure> {
        let epoch = found.key_epoch;
        let state = Arc::clone(&found.state);
        let table = match state.groups() {
            Some(groups) if !groups.is_empty() => {
                // Hashing is free: the state was hashed, and lists remember their roots.
                let mut groups = groups.clone();
                groups
                    .apply_updates()
                    .map_err(|error| ApiFailure::internal(format!("{error:?}")))?;
                let key = (groups.tree_hash_root(), epoch);
                let known = self.tables.lock().iter().find(|table| table.key == key).cloned();
                Some(known.unwrap_or_else(|| {
                    let table = Arc::new(SignerTable::new(&*state, key));
                    let mut tables = self.tables.lock();
                    if tables.len() >= KEPT_TABLES {
                        tables.remove(0);
                    }
                    tables.push(Arc::clone(&table));
                    table
                }))
            }
            _ => None,
        };
        Ok(Identities { state, epoch, table })
    }

    /// The same as [`Self::identities`], for work on a worker.
    pub(crate) async fn with_identities<T, F>(self: &Arc<Self>, found: &FoundState<P>, work: F) -> Result<T, ApiFailure>
    where
        T: Send + 'static,
        F: FnOnce(&BeaconChain<P>, &Identities<P>) -> Result<T, ApiFailure> + Send + 'static,
    {
        let reader = Arc::clone(self);
        let found = found.clone();
        self.on_worker(move |chain| work(chain, &reader.identities(&found)?))
            .await
    }
}

impl<P: Preset> Reader<P> {
    /// An answer about those who are asked for, made on a worker. None means the whole registry: such answers are made few
    /// at a time.
    pub(crate) async fn with_identities_of<F>(
        self: &Arc<Self>,
        found: &FoundState<P>,
        ids: Vec<ValidatorId>,
        work: F,
    ) -> Answer
    where
        F: FnOnce(&Identities<P>, Vec<ValidatorId>) -> Answer + Send + 'static,
    {
        if !ids.is_empty() {
            return self
                .with_identities(found, move |_, identities| work(identities, ids))
                .await;
        }
        let reader = Arc::clone(self);
        let found = found.clone();
        self.in_turn(move |_| work(&reader.identities(&found)?, ids)).await
    }
}

impl<P: Preset> Identities<P> {
    /// The state.
    pub(crate) fn state(&self) -> &BeaconState<P> {
        &self.state
    }

    /// The index of whoever is named; none if nobody is. A key in force of a group comes before a registry key: a
    /// validator that became a group may have kept its own key as one of them.
    pub(crate) fn signer(&self, id: ValidatorId) -> Option<SignerIndex> {
        match id {
            ValidatorId::PublicKey(public_key) => self
                .table
                .as_ref()
                .and_then(|table| table.by_public_key.get(&public_key).copied())
                .or_else(|| get_validator_index(&*self.state, &public_key.as_bls()?).map(SignerIndex::from)),
            ValidatorId::Index(index) => self.exists(index).then_some(index),
        }
    }

    fn exists(&self, index: SignerIndex) -> bool {
        if index.is_virtual() {
            get_signer_key(&*self.state, index, self.epoch).is_ok()
        } else {
            self.validator(index).is_some()
        }
    }

    /// The registry entry behind an index.
    fn validator(&self, index: SignerIndex) -> Option<&Validator> {
        let position = usize::try_from(index.validator().as_u64()).ok()?;
        self.state.validators().get(position)
    }

    /// The balance of the registry entry behind an index, in Gwei.
    pub(crate) fn balance(&self, index: SignerIndex) -> Option<Gwei> {
        let position = usize::try_from(index.validator().as_u64()).ok()?;
        self.state.balances().get(position).copied()
    }

    /// What the API shows of an index that exists.
    pub(crate) fn entry(&self, index: SignerIndex) -> Option<ValidatorEntry> {
        self.entry_of(index, self.validator(index)?, self.balance(index)?)
    }

    fn entry_of(&self, index: SignerIndex, validator: &Validator, balance: Gwei) -> Option<ValidatorEntry> {
        let key = if index.is_virtual() {
            get_signer_key(&*self.state, index, self.epoch).ok()?
        } else {
            SignerKey::from(validator.pubkey)
        };
        Some(ValidatorEntry {
            index,
            balance,
            status: ValidatorStatus::of(validator, balance, self.state.current_epoch()),
            validator: ValidatorData::new(key, validator),
        })
    }

    /// All entries of the registry, without those of single keys.
    pub(crate) fn registry(&self) -> impl Iterator<Item = ValidatorEntry> + '_ {
        (0u64..)
            .zip(self.state.validators().iter().zip(self.state.balances().iter()))
            .filter_map(|(index, (validator, balance))| self.entry_of(SignerIndex::new(index), validator, *balance))
    }
}
