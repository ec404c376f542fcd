//! Who the keys are: public key to index, looked up again every epoch.

use crate::Context;
use beacon_api::{ApiError, StateId, ValidatorEntry, ValidatorId, ValidatorStatus, ValidatorsRequest};
use parking_lot::RwLock;
use std::collections::HashMap;
use types::{Epoch, Preset, SignerIndex, SignerKey};

/// Indices of the keys that the chain knows.
#[derive(Debug, Default)]
pub struct Indices(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<SignerKey, SignerIndex>,
    by_index: HashMap<SignerIndex, SignerKey>,
    /// Whether a first answer has come.
    is_started: bool,
    /// Keys without duties that the operator was told of, with why.
    idle: HashMap<SignerKey, String>,
}

fn has_left(entry: &ValidatorEntry) -> bool {
    matches!(
        entry.status,
        ValidatorStatus::ExitedUnslashed
            | ValidatorStatus::ExitedSlashed
            | ValidatorStatus::WithdrawalPossible
            | ValidatorStatus::WithdrawalDone
    )
}

/// Keys that have duties, or will have.
fn with_duties(entries: &[ValidatorEntry]) -> HashMap<SignerKey, SignerIndex> {
    entries
        .iter()
        .filter(|entry| !has_left(entry))
        .map(|entry| (entry.validator.pubkey, entry.index))
        .collect()
}

/// What an answer changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Keys with a new index, that had another or none before.
    pub(crate) appeared: Vec<(SignerKey, SignerIndex)>,
    /// Keys without an index, that had one before.
    pub(crate) vanished: Vec<SignerKey>,
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
    pub fn key_of(&self, index: SignerIndex) -> Option<SignerKey> {
        self.0.read().by_index.get(&index).copied()
    }

    /// All keys with their indices.
    pub fn entries(&self) -> Vec<(SignerKey, SignerIndex)> {
        self.0.read().by_key.iter().map(|(key, index)| (*key, *index)).collect()
    }

    /// What an answer would change.
    fn compare(&self, now: &HashMap<SignerKey, SignerIndex>) -> Changes {
        let known = self.0.read();
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
        changes
    }

    /// Keys that have no duties, with why; those that are news.
    fn idle_news(&self, keys: &[SignerKey], entries: &[ValidatorEntry]) -> Vec<(SignerKey, String)> {
        let busy = with_duties(entries);
        let idle: HashMap<SignerKey, String> = keys
            .iter()
            .filter(|key| !busy.contains_key(*key))
            .map(|key| {
                let reason = match entries.iter().find(|entry| entry.validator.pubkey == *key) {
                    Some(entry) => format!("validator {} is {}", entry.index, entry.status),
                    None => "it is neither a validator's nor in the key set in force of a group".to_owned(),
                };
                (*key, reason)
            })
            .collect();
        let mut known = self.0.write();
        let mut news: Vec<(SignerKey, String)> = idle
            .iter()
            .filter(|(key, reason)| known.idle.get(*key) != Some(*reason))
            .map(|(key, reason)| (*key, reason.clone()))
            .collect();
        news.sort_unstable_by_key(|(key, _)| key.to_string());
        known.idle = idle;
        news
    }

    fn set(&self, now: HashMap<SignerKey, SignerIndex>) {
        let mut known = self.0.write();
        known.by_index = now.iter().map(|(key, index)| (*index, *key)).collect();
        known.by_key = now;
        known.is_started = true;
    }
}

impl Context {
    /// Looks all keys up. Gives whether any index has changed.
    ///
    /// A key that this client has not yet seen on the chain may have a past that it does not know: such a key signs only
    /// votes that go beyond what is justified now. Until that is on disk the key has no duties.
    pub(crate) async fn update_indices<P: Preset>(&self) -> Result<bool, ApiError> {
        let keys = self.signer.keys();
        let ids: Vec<ValidatorId> = keys.iter().copied().map(ValidatorId::PublicKey).collect();
        if ids.is_empty() && self.indices.all().is_empty() {
            return Ok(false);
        }
        let entries = self.look_up(ids).await?;
        let mut now = with_duties(&entries);
        let changes = self.indices.compare(&now);
        if !changes.appeared.is_empty() {
            let justified = self
                .nodes
                .first(|node| async move { node.finality_checkpoints(StateId::Head).await })
                .await?
                .data
                .current_justified
                .epoch;
            for (key, index) in &changes.appeared {
                if self.raise_bounds::<P>(*key, justified).await {
                    tracing::info!(%key, %index, "Validator is on the chain");
                } else {
                    now.remove(key);
                }
            }
        }
        for (key, reason) in self.indices.idle_news(&keys, &entries) {
            tracing::warn!(%key, reason, "Key has no duties for now: it is looked up again each epoch");
        }
        for key in &changes.vanished {
            if self.signer.has_key(*key) {
                tracing::warn!(%key, "Validator has no duties on the chain any more");
            } else {
                tracing::info!(%key, "Key was removed");
            }
        }
        let is_changed = !changes.is_empty() || changes.is_first;
        self.indices.set(now);
        Ok(is_changed)
    }

    /// What the chain knows of keys; it is not asked for all validators if there are none.
    pub async fn look_up(&self, ids: Vec<ValidatorId>) -> Result<Vec<ValidatorEntry>, ApiError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let request = ValidatorsRequest {
            ids: Some(ids),
            statuses: None,
        };
        let found = self
            .nodes
            .first(|node| {
                let request = request.clone();
                async move { node.validators(StateId::Head, &request).await }
            })
            .await?;
        Ok(found.data)
    }

    /// Whether the bounds are on disk.
    async fn raise_bounds<P: Preset>(&self, key: SignerKey, justified: Epoch) -> bool {
        // Votes for the current epoch are allowed.
        let before = self.epoch::<P>().as_u64().checked_sub(1).map(Epoch::new);
        let raised = self
            .signer
            .with_database(move |database| database.raise_bounds(key, None, Some(justified), before))
            .await;
        let reason = match raised {
            Ok(Ok(Ok(()))) => return true,
            Ok(Ok(Err(refusal))) => refusal.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(%key, reason, "Slashing protection is not raised: the key signs nothing");
        false
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

#[cfg(test)]
mod tests {
    use super::*;
    use beacon_api::ValidatorData;
    use types::{Hash32, PublicKeyBytes};

    fn key(byte: u8) -> SignerKey {
        PublicKeyBytes::repeat_byte(byte).into()
    }

    fn entry(byte: u8, status: ValidatorStatus) -> ValidatorEntry {
        ValidatorEntry {
            index: SignerIndex::new(byte.into()),
            balance: 0,
            status,
            validator: ValidatorData {
                pubkey: key(byte),
                withdrawal_credentials: Hash32::ZERO,
                effective_balance: 0,
                slashed: false,
                activation_eligibility_epoch: Epoch::new(0),
                activation_epoch: Epoch::new(0),
                exit_epoch: Epoch::new(0),
                withdrawable_epoch: Epoch::new(0),
            },
        }
    }

    #[test]
    fn each_key_without_duties_is_told_once_with_why() {
        let indices = Indices::default();
        let keys = [key(1), key(2), key(3)];
        let entries = [
            entry(1, ValidatorStatus::ActiveOngoing),
            entry(2, ValidatorStatus::ExitedUnslashed),
        ];
        let news = indices.idle_news(&keys, &entries);
        let [(exited, left), (unknown, nowhere)] = &news[..] else {
            panic!("{news:?}")
        };
        assert_eq!((*exited, *unknown), (key(2), key(3)));
        assert_eq!(left, "validator 2 is exited_unslashed");
        assert!(nowhere.contains("neither a validator's nor"), "{nowhere}");
        assert!(indices.idle_news(&keys, &entries).is_empty());
        // It comes, and goes.
        let all = [&entries[..], &[entry(3, ValidatorStatus::PendingQueued)]].concat();
        assert!(indices.idle_news(&keys, &all).is_empty());
        let news = indices.idle_news(&keys, &entries);
        assert_eq!(news.len(), 1, "{news:?}");
        assert_eq!(news[0].0, key(3));
    }
}
