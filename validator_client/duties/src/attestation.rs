//! Votes: duties by epoch, and one vote of each key per epoch.

use crate::selection::is_aggregator;
use crate::{Context, aggregation, metrics};
use beacon_api::{ApiError, AttesterDuty, CommitteeSubscription};
use parking_lot::RwLock;
use signing::SignableMessage;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use types::{
    AttestationData, Epoch, ForkName, Preset, Root, SchemeProofs, SignatureBytes, SignerKey, SingleAttestation,
    SingleAttestationDvt, SingleAttestationFulu, Slot,
};

/// Slots ahead of which nodes are told of duties.
const SUBSCRIBE_AHEAD_EPOCHS: u64 = 1;

/// A duty, with the proof that decides who aggregates.
#[derive(Debug, Clone)]
pub(crate) struct Duty {
    pub(crate) duty: AttesterDuty,
    pub(crate) selection_proof: SignatureBytes,
    pub(crate) selection_proofs: SchemeProofs,
    pub(crate) is_aggregator: bool,
}

#[derive(Debug)]
struct EpochDuties {
    dependent_root: Root,
    duties: Vec<Duty>,
}

/// Duties of the current and the next epoch.
#[derive(Debug, Default)]
pub(crate) struct Attesters {
    epochs: RwLock<BTreeMap<Epoch, EpochDuties>>,
}

impl Attesters {
    /// The duties of a slot.
    pub(crate) fn of_slot<P: Preset>(&self, slot: Slot) -> Vec<Duty> {
        self.epochs
            .read()
            .get(&slot.epoch::<P>())
            .map(|epoch| {
                epoch
                    .duties
                    .iter()
                    .filter(|duty| duty.duty.slot == slot)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Fetches the duties of the current and the next epoch. Those of an epoch are replaced if what they depend on, or
    /// who the keys are, has changed. Gives whether all are known.
    pub(crate) async fn update<P: Preset>(&self, context: &Context, indices_changed: bool) -> bool {
        let current = context.epoch::<P>();
        let indices = context.indices.all();
        if indices.is_empty() {
            self.epochs.write().clear();
            return true;
        }
        let mut is_complete = true;
        for epoch in [current, current.saturating_add(SUBSCRIBE_AHEAD_EPOCHS)] {
            let indices = &indices;
            let answer = context
                .nodes
                .first(|node| async move { node.attester_duties(epoch, indices).await })
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!(%epoch, %error, "Attester duties are not known");
                    is_complete = false;
                    continue;
                }
            };
            let known = self.epochs.read().get(&epoch).map(|duties| duties.dependent_root);
            if known == Some(answer.dependent_root) && !indices_changed {
                continue;
            }
            if known.is_some_and(|known| known != answer.dependent_root) {
                tracing::info!(%epoch, "Attester duties have changed: the chain was re-organised");
            }
            let duties = select::<P>(context, answer.data).await;
            tracing::debug!(%epoch, count = duties.len(), "Attester duties");
            if epoch == current {
                metrics::set_attesters(duties.len());
            }
            // Known before nodes are told, which may take as long as a node is silent.
            self.epochs.write().insert(
                epoch,
                EpochDuties {
                    dependent_root: answer.dependent_root,
                    duties: duties.clone(),
                },
            );
            subscribe(context, &duties).await;
        }
        self.epochs
            .write()
            .retain(|epoch, _| epoch.saturating_add(1u64) >= current);
        is_complete
    }

    /// Votes in a slot, and aggregates the votes of it.
    pub(crate) async fn attest<P: Preset>(self: Arc<Self>, context: Arc<Context>, slot: Slot) {
        context.wait_for_head(slot, context.spec.attestation_due_bps).await;
        let duties = self.of_slot::<P>(slot);
        if duties.is_empty() {
            return;
        }
        let data = match context
            .ask(slot, |node| async move {
                let data = node.attestation_data(slot, 0).await?;
                match check_data::<P>(&data, slot) {
                    Ok(()) => Ok(data),
                    Err(reason) => Err(ApiError::Answer {
                        endpoint: format!("{}: attestation data of slot {slot}", node.name()),
                        reason,
                    }),
                }
            })
            .await
        {
            Ok(data) => data,
            Err(error) => {
                metrics::count(metrics::Duty::Attestation, false, duties.len());
                tracing::error!(%slot, count = duties.len(), %error, "Votes are missed");
                return;
            }
        };
        vote::<P>(&context, slot, data, &duties).await;
        aggregation::aggregate::<P>(&context, slot, data, duties).await;
    }
}

/// What a node gives to sign must be a vote of the slot that was asked for: a wrong one would be refused by everybody,
/// and a target or source of another epoch would bar the right ones by slashing protection.
///
/// Spec: electra/beacon-chain.md#modified-process_attestation
fn check_data<P: Preset>(data: &AttestationData, slot: Slot) -> Result<(), String> {
    let epoch = slot.epoch::<P>();
    if data.slot != slot {
        return Err(format!("slot is {}, expected {slot}", data.slot));
    }
    if data.target.epoch != epoch {
        return Err(format!("target.epoch is {}, expected {epoch}", data.target.epoch));
    }
    if data.source.epoch > data.target.epoch {
        return Err(format!(
            "source.epoch is {}, expected at most target.epoch {}",
            data.source.epoch, data.target.epoch
        ));
    }
    if data.index != 0 {
        return Err(format!("index is {}, expected 0", data.index));
    }
    Ok(())
}

/// Signs the selection proof of each duty.
async fn select<P: Preset>(context: &Context, duties: Vec<AttesterDuty>) -> Vec<Duty> {
    let signing = duties.into_iter().map(|duty| async move {
        let message = SignableMessage::<P>::SelectionProof(duty.slot);
        match context.signer.sign(&duty.pubkey, message).await {
            Ok(proof) => Some(Duty {
                is_aggregator: is_aggregator(&duty, &proof),
                duty,
                selection_proof: proof.signature,
                selection_proofs: proof.proofs,
            }),
            Err(error) => {
                tracing::error!(key = %duty.pubkey, %error, "Selection proof is not signed");
                None
            }
        }
    });
    futures::future::join_all(signing).await.into_iter().flatten().collect()
}

/// Tells all nodes on which subnets to listen and where peers are needed.
async fn subscribe(context: &Context, duties: &[Duty]) {
    let subscriptions: Vec<CommitteeSubscription> = duties
        .iter()
        .map(
            |Duty {
                 duty, is_aggregator, ..
             }| CommitteeSubscription {
                validator_index: duty.validator_index,
                committee_index: duty.committee_index,
                committees_at_slot: duty.committees_at_slot,
                slot: duty.slot,
                is_aggregator: *is_aggregator,
            },
        )
        .collect();
    let subscriptions = &subscriptions;
    let telling = context.nodes.by_health().into_iter().map(|node| async move {
        if let Err(error) = node.subscribe_committees(subscriptions).await {
            tracing::debug!(%error, "Beacon node does not know of committees");
        }
    });
    futures::future::join_all(telling).await;
}

async fn vote<P: Preset>(context: &Context, slot: Slot, data: AttestationData, duties: &[Duty]) {
    let fork = context.spec.fork_name_at_epoch(slot.epoch::<P>());
    // One duty of each key, whatever a node says.
    let by_key: HashMap<SignerKey, &AttesterDuty> = duties.iter().map(|duty| (duty.duty.pubkey, &duty.duty)).collect();
    let signing = by_key.into_values().map(|duty| async move {
        match context
            .signer
            .sign(&duty.pubkey, SignableMessage::<P>::Attestation(&data))
            .await
        {
            Ok(signed) => Some(match fork {
                ForkName::Fulu => SingleAttestation::Fulu(SingleAttestationFulu {
                    committee_index: duty.committee_index,
                    attester_index: duty.validator_index,
                    data,
                    signature: signed.signature,
                }),
                ForkName::Dvt => SingleAttestation::Dvt(SingleAttestationDvt {
                    committee_index: duty.committee_index,
                    attester_index: duty.validator_index,
                    data,
                    signature: signed.signature,
                    proofs: signed.proofs,
                }),
            }),
            Err(error) => {
                tracing::error!(%slot, key = %duty.pubkey, %error, "Vote is not signed");
                None
            }
        }
    });
    let votes: Vec<SingleAttestation> = futures::future::join_all(signing).await.into_iter().flatten().collect();
    if votes.is_empty() {
        return;
    }
    let votes = &votes;
    let outcome = context
        .hand_in(slot, |node| async move { node.submit_attestations(votes).await })
        .await;
    metrics::count(metrics::Duty::Attestation, outcome.is_ok(), votes.len());
    match outcome {
        Ok(()) => tracing::info!(
            %slot,
            count = votes.len(),
            head = %data.beacon_block_root,
            source = %data.source.epoch,
            target = %data.target.epoch,
            "Votes published"
        ),
        Err(error) => tracing::error!(%slot, count = votes.len(), %error, "Votes are not published"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Checkpoint, Minimal};

    #[test]
    fn a_wrong_field_of_attestation_data_is_named() {
        let slot = Slot::new(11);
        let checkpoint = |epoch: u64| Checkpoint {
            epoch: Epoch::new(epoch),
            root: Root::ZERO,
        };
        let right = AttestationData {
            slot,
            index: 0,
            beacon_block_root: Root::ZERO,
            source: checkpoint(1),
            target: checkpoint(1),
        };
        assert_eq!(check_data::<Minimal>(&right, slot), Ok(()));
        let of_slot = |slot: u64| AttestationData {
            slot: Slot::new(slot),
            ..right
        };
        let targeting = |target: u64, source: u64| AttestationData {
            target: checkpoint(target),
            source: checkpoint(source),
            ..right
        };
        for (wrong, expected) in [
            (of_slot(12), "slot is 12, expected 11"),
            (targeting(0, 0), "target.epoch is 0, expected 1"),
            (targeting(2, 0), "target.epoch is 2, expected 1"),
            (targeting(1, 2), "source.epoch is 2, expected at most target.epoch 1"),
            (AttestationData { index: 1, ..right }, "index is 1, expected 0"),
        ] {
            assert_eq!(check_data::<Minimal>(&wrong, slot), Err(expected.to_owned()));
        }
    }
}
