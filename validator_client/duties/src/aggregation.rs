//! Aggregates by those who were selected.

use crate::attestation::Duty;
use crate::{Context, metrics};
use signing::SignableMessage;
use std::collections::BTreeMap;
use tree_hash::TreeHash as _;
use types::{
    AggregateAndProof, AggregateAndProofDvt, AggregateAndProofFulu, Attestation, AttestationData, CommitteeIndex,
    Preset, SignedAggregateAndProof, SignedAggregateAndProofDvt, SignedAggregateAndProofFulu, Slot,
};

/// Publishes the aggregates of a slot, at two thirds of it.
pub(crate) async fn aggregate<P: Preset>(context: &Context, slot: Slot, data: AttestationData, duties: Vec<Duty>) {
    let mut committees: BTreeMap<CommitteeIndex, Vec<Duty>> = BTreeMap::new();
    for duty in duties.into_iter().filter(|duty| duty.is_aggregator) {
        committees.entry(duty.duty.committee_index).or_default().push(duty);
    }
    if committees.is_empty() {
        return;
    }
    let due = context.clock.due_ms(slot, context.spec.aggregate_due_bps);
    context.clock.sleep_until_ms(due).await;
    let data_root = data.tree_hash_root();
    let work = committees.into_iter().map(|(committee, duties)| async move {
        let answer = context
            .ask(slot, |node| async move {
                node.aggregate_attestation::<P>(data_root, slot, committee).await
            })
            .await;
        match answer {
            Ok(Some(aggregate)) => sign::<P>(context, aggregate.data, duties).await,
            Ok(None) => {
                tracing::warn!(%slot, committee, "Nothing to aggregate");
                Vec::new()
            }
            Err(error) => {
                tracing::warn!(%slot, committee, %error, "No aggregate");
                Vec::new()
            }
        }
    });
    let aggregates: Vec<SignedAggregateAndProof<P>> =
        futures::future::join_all(work).await.into_iter().flatten().collect();
    if aggregates.is_empty() {
        return;
    }
    let aggregates = &aggregates;
    let outcome = context
        .hand_in(slot, |node| async move { node.submit_aggregates(aggregates).await })
        .await;
    metrics::count(metrics::Duty::Aggregate, outcome.is_ok(), aggregates.len());
    match outcome {
        Ok(()) => tracing::info!(%slot, count = aggregates.len(), "Aggregates published"),
        Err(error) => tracing::warn!(%slot, count = aggregates.len(), %error, "Aggregates are not published"),
    }
}

async fn sign<P: Preset>(
    context: &Context,
    aggregate: Attestation<P>,
    duties: Vec<Duty>,
) -> Vec<SignedAggregateAndProof<P>> {
    let aggregate = &aggregate;
    let signing = duties.into_iter().map(|duty| async move {
        let key = duty.duty.pubkey;
        let message = message(aggregate.clone(), duty);
        match context
            .signer
            .sign(&key, SignableMessage::AggregateAndProof(&message))
            .await
        {
            Ok(signed) => Some(match message {
                AggregateAndProof::Fulu(message) => SignedAggregateAndProof::Fulu(SignedAggregateAndProofFulu {
                    message,
                    signature: signed.signature,
                }),
                AggregateAndProof::Dvt(message) => SignedAggregateAndProof::Dvt(SignedAggregateAndProofDvt {
                    message,
                    signature: signed.signature,
                    proofs: signed.proofs,
                }),
            }),
            Err(error) => {
                tracing::error!(%key, %error, "Aggregate is not signed");
                None
            }
        }
    });
    futures::future::join_all(signing).await.into_iter().flatten().collect()
}

fn message<P: Preset>(aggregate: Attestation<P>, duty: Duty) -> AggregateAndProof<P> {
    let aggregator_index = duty.duty.validator_index;
    match aggregate {
        Attestation::Fulu(aggregate) => AggregateAndProof::Fulu(AggregateAndProofFulu {
            aggregator_index,
            aggregate,
            selection_proof: duty.selection_proof,
        }),
        Attestation::Dvt(aggregate) => AggregateAndProof::Dvt(AggregateAndProofDvt {
            aggregator_index,
            aggregate,
            selection_proof: duty.selection_proof,
            proofs: duty.selection_proofs,
        }),
    }
}
