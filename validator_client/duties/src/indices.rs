//! Who the keys are: public key to index, looked up again every epoch.

use crate::Context;
use beacon_api::{ApiError, StateId, ValidatorEntry, ValidatorId, ValidatorsRequest};
use parking_lot::RwLock;
use std::collections::HashMap;
use types::{Epoch, Preset, PublicKeyBytes, SignerIndex};

/// Indices of the keys that the chain knows.
#[derive(Debug, Default)]
pub struct Indices(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<PublicKeyBytes, SignerIndex>,
    by_index: HashMap<SignerIndex, PublicKeyBytes>,
    /// Whether a first answer has come.
    is_started: bool,
}

/// What an answer changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Keys with a new index, that had another or none before.
    pub(crate) appeared: Vec<(PublicKeyBytes, SignerIndex)>,
    /// Keys without an index, that had one before.
    pub(crate) vanished: Vec<PublicKeyBytes>,
    /// Whether it is the first answer.
    pub(crate) is_first: bool,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.appeared.is_empty() && self.vanished.is_empty()
    }
}

impl Indices {
    /// All indices, ascending.
    pub fn all(&self) -> Vec<SignerIndex> {
        let mut indices: Vec<SignerIndex> = self.0.read().by_key.values().copied().collect();
        indices.sort_unstable();
        indices
    }

    /// The key behind an index.
    pub fn key_of(&self, index: SignerIndex) -> Option<PublicKeyBytes> {
        self.0.read().by_index.get(&index).copied()
    }

    /// All keys with their indices.
    pub fn entries(&self) -> Vec<(PublicKeyBytes, SignerIndex)> {
        self.0.read().by_key.iter().map(|(key, index)| (*key, *index)).collect()
    }

    fn update(&self, entries: &[ValidatorEntry]) -> Changes {
        let mut known = self.0.write();
        let now: HashMap<PublicKeyBytes, SignerIndex> = entries
            .iter()
            .filter(|entry| !entry.status.as_str().starts_with("withdrawal"))
            .map(|entry| (entry.validator.pubkey, entry.index))
            .collect();
        let mut changes = Changes {
            appeared: now
                .iter()
                .filter(|(key, index)| known.by_key.get(*key) != Some(*index))
                .map(|(key, index)| (*key, *index))
                .collect(),
            vanished: known
                .by_key
                .keys()
                .filter(|key| !now.contains_key(*key))
                .copied()
                .collect(),
            is_first: !known.is_started,
        };
        changes.appeared.sort_unstable_by_key(|(_, index)| *index);
        known.by_index = now.iter().map(|(key, index)| (*index, *key)).collect();
        known.by_key = now;
        known.is_started = true;
        changes
    }
}

impl Context {
    /// Looks all keys up. Gives whether any index has changed.
    ///
    /// A key that comes to have an index while the client runs joins a validator with a past that this client does not
    /// know: it signs only votes that go beyond what is justified now.
    pub(crate) async fn update_indices<P: Preset>(&self) -> Result<bool, ApiError> {
        let ids: Vec<ValidatorId> = self.signer.pubkeys().into_iter().map(ValidatorId::PublicKey).collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let request = ValidatorsRequest {
            ids: Some(ids),
            statuses: None,
        };
        let entries = self
            .nodes
            .first(|node| {
                let request = request.clone();
                async move { node.validators(StateId::Head, &request).await }
            })
            .await?
            .data;
        let changes = self.indices.update(&entries);
        for (key, index) in &changes.appeared {
            tracing::info!(%key, %index, "Validator is on the chain");
        }
        for key in &changes.vanished {
            tracing::warn!(%key, "Validator is not on the chain any more");
        }
        if !changes.is_first && !changes.appeared.is_empty() {
            self.raise_bounds::<P>(&changes.appeared).await?;
        }
        Ok(!changes.is_empty() || changes.is_first)
    }

    async fn raise_bounds<P: Preset>(&self, keys: &[(PublicKeyBytes, SignerIndex)]) -> Result<(), ApiError> {
        let justified = self
            .nodes
            .first(|node| async move { node.finality_checkpoints(StateId::Head).await })
            .await?
            .data
            .current_justified
            .epoch;
        let before = self.epoch::<P>().saturating_sub(1u64);
        for (key, _) in keys {
            let key = *key;
            let raised = self
                .signer
                .with_database(move |database| database.raise_bounds(&key, None, Some(justified), Some(before)))
                .await;
            match raised {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(refusal))) => tracing::error!(%key, %refusal, "Slashing protection is not raised"),
                Ok(Err(error)) => tracing::error!(%key, %error, "Slashing protection is not raised"),
                Err(error) => tracing::error!(%key, %error, "Slashing protection is not raised"),
            }
        }
        Ok(())
    }

    /// Forgets what slashing protection needs no more: all before the epoch before `epoch`.
    pub(crate) async fn prune_protection<P: Preset>(&self, epoch: Epoch) {
        let keep_from = epoch.saturating_sub(1u64);
        let slot = keep_from.start_slot::<P>();
        match self
            .signer
            .with_database(move |database| database.prune(slot, keep_from))
            .await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "Slashing protection is not pruned"),
            Err(error) => tracing::debug!(%error, "Slashing protection is not pruned"),
        }
    }
}
