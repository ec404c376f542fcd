//! Blocks.

use crate::context::ROUND_PAUSE;
use crate::{Context, metrics};
use beacon_api::{
    ApiError, BeaconClient, BroadcastValidation, ProducedBlock, ProposerDuty, Published, RandaoProof,
    SignedProducedBlock,
};
use parking_lot::RwLock;
use signing::SignableMessage;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::sleep;
use types::{BeaconBlockHeader, Epoch, Preset, Root, Slot};

#[derive(Debug)]
struct EpochDuties {
    dependent_root: Root,
    duties: Vec<ProposerDuty>,
}

/// Proposals of the current and the next epoch.
#[derive(Debug, Default)]
pub(crate) struct Proposers {
    epochs: RwLock<BTreeMap<Epoch, EpochDuties>>,
}

impl Proposers {
    fn of_slot<P: Preset>(&self, slot: Slot) -> Vec<ProposerDuty> {
        self.epochs
            .read()
            .get(&slot.epoch::<P>())
            .map(|epoch| epoch.duties.iter().filter(|duty| duty.slot == slot).copied().collect())
            .unwrap_or_default()
    }

    /// Fetches the duties of the current epoch, and of the next: its first slot leaves no time to ask. Gives whether all
    /// are known.
    pub(crate) async fn update<P: Preset>(&self, context: &Context) -> bool {
        let current = context.epoch::<P>();
        let mut is_complete = true;
        for epoch in [current, current.saturating_add(1u64)] {
            let answer = match context
                .nodes
                .first(|node| async move { node.proposer_duties(epoch).await })
                .await
            {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!(%epoch, %error, "Proposer duties are not known");
                    is_complete = false;
                    continue;
                }
            };
            let duties: Vec<ProposerDuty> = answer
                .data
                .into_iter()
                .filter(|duty| context.signer.has_key(duty.pubkey))
                .collect();
            if epoch == current {
                metrics::set_proposers(duties.len());
            }
            let before = self.epochs.write().insert(
                epoch,
                EpochDuties {
                    dependent_root: answer.dependent_root,
                    duties,
                },
            );
            if before.is_some_and(|before| before.dependent_root != answer.dependent_root) {
                tracing::info!(%epoch, "Proposer duties have changed: the chain was re-organised");
            }
        }
        self.epochs.write().retain(|epoch, _| *epoch >= current);
        is_complete
    }

    /// Proposes for all keys whose turn it is.
    pub(crate) async fn propose<P: Preset>(self: Arc<Self>, context: Arc<Context>, slot: Slot) {
        let proposals = self.of_slot::<P>(slot).into_iter().map(|duty| {
            let context = Arc::clone(&context);
            async move {
                let outcome = propose_one::<P>(&context, duty).await;
                metrics::count(metrics::Duty::Block, outcome.is_ok(), 1);
                match outcome {
                    Ok((root, published)) => {
                        tracing::info!(
                            %slot,
                            index = %duty.validator_index,
                            %root,
                            imported = published == Published::Imported,
                            "Block published"
                        );
                    }
                    Err(error) => tracing::error!(%slot, index = %duty.validator_index, error, "Block is missed"),
                }
            }
        });
        futures::future::join_all(proposals).await;
    }
}

/// The header of a block in either form.
fn header_of<P: Preset>(block: &ProducedBlock<P>) -> BeaconBlockHeader {
    match block {
        ProducedBlock::Full(contents) => contents.block.to_ref().block_header(),
        ProducedBlock::Blinded(block) => block.block_header(),
    }
}

async fn propose_one<P: Preset>(context: &Context, duty: ProposerDuty) -> Result<(Root, Published), String> {
    let slot = duty.slot;
    let reveal = context
        .signer
        .sign(&duty.pubkey, SignableMessage::<P>::RandaoReveal(slot.epoch::<P>()))
        .await
        .map_err(|error| format!("reveal: {error}"))?;
    let proof = reveal.proofs.first().cloned().map(RandaoProof);
    let (reveal, proof) = (&reveal.signature, proof.as_ref());
    let graffiti = context.settings.read().graffiti_of(&duty.pubkey);
    let (produced, maker) = context
        .nodes
        .first_with_node(|node| async move { node.produce_block::<P>(slot, reveal, proof, graffiti, None).await })
        .await
        .map_err(|error| error.to_string())?;
    let header = header_of(&produced.data);
    if header.slot != slot {
        return Err(format!(
            "the node gave a block of slot {}, expected {slot}",
            header.slot
        ));
    }
    let root = produced.data.block_root();
    let signed = context
        .signer
        .sign(&duty.pubkey, SignableMessage::<P>::Block(&header))
        .await
        .map_err(|error| error.to_string())?;
    let block = produced.data.sign(signed.signature, signed.proofs);
    let block = &block;
    let end = context.clock.slot_start_ms(slot.saturating_add(1u64));
    let published = loop {
        match publish(context, slot, &maker, block).await {
            Ok(published) => break published,
            Err(error) if error.is_of_the_node() && context.clock.now_ms() < end => sleep(ROUND_PAUSE).await,
            Err(error) => return Err(error.to_string()),
        }
    };
    Ok((root, published))
}

/// A block is worth asking every node: the one that made it first, because only it may have the payload.
async fn publish<P: Preset>(
    context: &Context,
    slot: Slot,
    maker: &BeaconClient,
    block: &SignedProducedBlock<P>,
) -> Result<Published, ApiError> {
    let mut outcome = maker.publish_produced(block, BroadcastValidation::Gossip).await;
    for node in context.nodes.by_health() {
        match &outcome {
            Ok(_) => break,
            Err(error) => tracing::warn!(%slot, %error, "Beacon node did not take the block"),
        }
        if node.name() != maker.name() {
            outcome = node.publish_produced(block, BroadcastValidation::Gossip).await;
        }
    }
    outcome
}
