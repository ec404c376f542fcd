//! The sync committee: messages in every slot, contributions by those who were selected.

use crate::{Context, metrics};
use beacon_api::{ApiError, BeaconClient, BlockId, SyncCommitteeSubscription, SyncDuty};
use parking_lot::RwLock;
use signature_scheme::is_sync_committee_aggregator;
use signing::SignableMessage;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use types::{
    ContributionAndProof, Epoch, Preset, Root, SignedContributionAndProof, Slot, SyncAggregatorSelectionData,
    SyncCommitteeMessage,
};

#[derive(Debug, Default)]
struct Known {
    /// The epoch that was asked for.
    epoch: Option<Epoch>,
    current: Vec<SyncDuty>,
    /// From the first epoch of the next period on.
    next: Option<(Epoch, Vec<SyncDuty>)>,
}

/// Duties of the current and the next sync committee.
#[derive(Debug, Default)]
pub(crate) struct SyncCommittees(RwLock<Known>);

fn next_period<P: Preset>(epoch: Epoch) -> Epoch {
    let length = P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD.max(1);
    let period = epoch.as_u64() / length;
    Epoch::new(period.saturating_add(1).saturating_mul(length))
}

impl SyncCommittees {
    /// Messages of a slot are for the committee of the next slot's epoch.
    fn of_slot<P: Preset>(&self, slot: Slot) -> Vec<SyncDuty> {
        let epoch = slot.saturating_add(1u64).epoch::<P>();
        let known = self.0.read();
        match &known.next {
            Some((from, duties)) if epoch >= *from => duties.clone(),
            _ => known.current.clone(),
        }
    }

    /// Fetches the duties of the current period and, in its last epochs, of the next. Gives whether all are known.
    pub(crate) async fn update<P: Preset>(&self, context: &Context) -> bool {
        let epoch = context.epoch::<P>();
        let indices = context.indices.all();
        if indices.is_empty() {
            *self.0.write() = Known::default();
            return true;
        }
        let next_period = next_period::<P>(epoch);
        let Some(current) = fetch(context, epoch, &indices).await else {
            return false;
        };
        subscribe(context, &current, next_period).await;
        let mut next = None;
        let mut is_complete = true;
        if epoch.saturating_add(2u64) >= next_period {
            match fetch(context, next_period, &indices).await {
                Some(duties) => {
                    let until = next_period.saturating_add(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD);
                    subscribe(context, &duties, until).await;
                    next = Some((next_period, duties));
                }
                None => is_complete = false,
            }
        }
        *self.0.write() = Known {
            epoch: Some(epoch),
            current,
            next,
        };
        is_complete
    }

    /// Signs the head of a slot, and the contributions.
    pub(crate) async fn sign<P: Preset>(self: Arc<Self>, context: Arc<Context>, slot: Slot) {
        let duties = self.of_slot::<P>(slot);
        if duties.is_empty() || self.0.read().epoch.is_none() {
            return;
        }
        context.wait_for_head(slot, context.spec.sync_message_due_bps).await;
        let root = match context.ask(slot, verified_head).await {
            Ok(root) => root,
            Err(error) => {
                metrics::count(metrics::Duty::SyncMessage, false, duties.len());
                tracing::error!(%slot, %error, "The sync committee's messages are missed");
                return;
            }
        };
        publish_messages::<P>(&context, slot, root, &duties).await;
        let due = context.clock.due_ms(slot, context.spec.contribution_due_bps);
        let contributions = select::<P>(&context, slot, &duties).await;
        context.clock.sleep_until_ms(due).await;
        publish_contributions::<P>(&context, slot, root, contributions).await;
    }
}

/// The head of a node, unless it is not verified: another node may have a better one, or this one in a moment.
async fn verified_head(node: BeaconClient) -> Result<Root, ApiError> {
    let wrong = |reason: &str| ApiError::Answer {
        endpoint: format!("{}: head", node.name()),
        reason: reason.to_owned(),
    };
    match node.block_root(BlockId::Head).await? {
        Some(head) if head.execution_optimistic => Err(wrong("it is not verified")),
        Some(head) => Ok(head.data),
        None => Err(wrong("there is none")),
    }
}

async fn fetch(context: &Context, epoch: Epoch, indices: &[types::SignerIndex]) -> Option<Vec<SyncDuty>> {
    match context
        .nodes
        .first(|node| async move { node.sync_duties(epoch, indices).await })
        .await
    {
        Ok(answer) => Some(answer.data),
        Err(error) => {
            tracing::warn!(%epoch, %error, "Sync committee duties are not known");
            None
        }
    }
}

async fn subscribe(context: &Context, duties: &[SyncDuty], until_epoch: Epoch) {
    let subscriptions: Vec<SyncCommitteeSubscription> = duties
        .iter()
        .map(|duty| SyncCommitteeSubscription {
            validator_index: duty.validator_index,
            sync_committee_indices: duty.validator_sync_committee_indices.clone(),
            until_epoch,
        })
        .collect();
    for node in context.nodes.by_health() {
        if let Err(error) = node.subscribe_sync_committees(&subscriptions).await {
            tracing::debug!(%error, "Beacon node does not know of sync committees");
        }
    }
}

async fn publish_messages<P: Preset>(context: &Context, slot: Slot, root: Root, duties: &[SyncDuty]) {
    let signing = duties.iter().map(|duty| async move {
        let message: SignableMessage<'_, P> = SignableMessage::SyncCommitteeMessage {
            slot,
            beacon_block_root: root,
        };
        match context.signer.sign(&duty.pubkey, message).await {
            Ok(signed) => Some(SyncCommitteeMessage {
                slot,
                beacon_block_root: root,
                validator_index: duty.validator_index,
                signature: signed.signature,
            }),
            Err(error) => {
                tracing::error!(%slot, key = %duty.pubkey, %error, "Sync committee message is not signed");
                None
            }
        }
    });
    let messages: Vec<SyncCommitteeMessage> = futures::future::join_all(signing).await.into_iter().flatten().collect();
    let messages = &messages;
    let outcome = context
        .hand_in(slot, |node| async move {
            node.submit_sync_committee_messages(messages).await
        })
        .await;
    metrics::count(metrics::Duty::SyncMessage, outcome.is_ok(), messages.len());
    match outcome {
        Ok(()) => tracing::info!(%slot, count = messages.len(), head = %root, "Sync committee messages published"),
        Err(error) => tracing::error!(%slot, %error, "Sync committee messages are not published"),
    }
}

/// A contribution to make.
struct Selected {
    duty: SyncDuty,
    subcommittee_index: u64,
    selection_proof: types::SignatureBytes,
}

async fn select<P: Preset>(context: &Context, slot: Slot, duties: &[SyncDuty]) -> Vec<Selected> {
    let size = (P::SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT).max(1);
    let mut selected = Vec::new();
    for duty in duties {
        let subcommittees: BTreeSet<u64> = duty
            .validator_sync_committee_indices
            .iter()
            .map(|position| position / size)
            .collect();
        for subcommittee_index in subcommittees {
            let data = SyncAggregatorSelectionData {
                slot,
                subcommittee_index,
            };
            let message = SignableMessage::<P>::SyncSelectionProof(&data);
            match context.signer.sign(&duty.pubkey, message).await {
                Ok(proof) if is_sync_committee_aggregator::<P>(&proof.signature) => selected.push(Selected {
                    duty: duty.clone(),
                    subcommittee_index,
                    selection_proof: proof.signature,
                }),
                Ok(_) => {}
                Err(error) => tracing::error!(%slot, key = %duty.pubkey, %error, "Selection proof is not signed"),
            }
        }
    }
    selected
}

async fn publish_contributions<P: Preset>(context: &Context, slot: Slot, root: Root, selected: Vec<Selected>) {
    let mut contributions: Vec<SignedContributionAndProof<P>> = Vec::new();
    let subcommittees: BTreeSet<u64> = selected.iter().map(|one| one.subcommittee_index).collect();
    for subcommittee in subcommittees {
        let answer = context
            .ask(slot, |node| async move {
                node.sync_committee_contribution::<P>(slot, subcommittee, root).await
            })
            .await;
        let contribution = match answer {
            Ok(Some(contribution)) => contribution,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(%slot, subcommittee, %error, "No contribution");
                continue;
            }
        };
        for one in selected.iter().filter(|one| one.subcommittee_index == subcommittee) {
            let message = ContributionAndProof {
                aggregator_index: one.duty.validator_index,
                contribution: contribution.clone(),
                selection_proof: one.selection_proof,
            };
            match context
                .signer
                .sign(&one.duty.pubkey, SignableMessage::ContributionAndProof(&message))
                .await
            {
                Ok(signed) => contributions.push(SignedContributionAndProof {
                    message,
                    signature: signed.signature,
                }),
                Err(error) => tracing::error!(%slot, key = %one.duty.pubkey, %error, "Contribution is not signed"),
            }
        }
    }
    if contributions.is_empty() {
        return;
    }
    let contributions = &contributions;
    let outcome = context
        .hand_in(
            slot,
            |node| async move { node.submit_contributions(contributions).await },
        )
        .await;
    metrics::count(metrics::Duty::Contribution, outcome.is_ok(), contributions.len());
    match outcome {
        Ok(()) => tracing::info!(%slot, count = contributions.len(), "Sync committee contributions published"),
        Err(error) => tracing::warn!(%slot, %error, "Sync committee contributions are not published"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Minimal;

    fn duty(index: u64) -> SyncDuty {
        SyncDuty {
            pubkey: types::PublicKeyBytes::ZERO.into(),
            validator_index: types::SignerIndex::new(index),
            validator_sync_committee_indices: vec![0],
        }
    }

    #[test]
    fn the_last_slot_of_a_period_signs_for_the_next_committee() {
        let length = Minimal::EPOCHS_PER_SYNC_COMMITTEE_PERIOD;
        let next = next_period::<Minimal>(Epoch::new(length - 1));
        assert_eq!(next, Epoch::new(length));
        let committees = SyncCommittees(RwLock::new(Known {
            epoch: Some(Epoch::new(length - 1)),
            current: vec![duty(1)],
            next: Some((next, vec![duty(2)])),
        }));
        let first = next.start_slot::<Minimal>();
        assert_eq!(committees.of_slot::<Minimal>(first.saturating_sub(2u64)), [duty(1)]);
        assert_eq!(committees.of_slot::<Minimal>(first.saturating_sub(1u64)), [duty(2)]);
    }
}
