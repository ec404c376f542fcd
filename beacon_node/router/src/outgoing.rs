//! What this node publishes: on which topic, in which bytes.

use beacon_chain::BeaconChain;
use data_columns::compute_subnet_for_data_column_sidecar;
use intake::Outgoing;
use network::{GossipTopic, NetworkHandle, PublishError, TopicKind};
use runtime::Receiver;
use ssz::Encode as _;
use std::sync::Arc;
use types::{Epoch, Preset};

/// Topic, bytes, and the epoch that fixes the fork digest.
fn encode<P: Preset>(chain: &BeaconChain<P>, message: &Outgoing<P>) -> (TopicKind, Epoch, Vec<u8>) {
    let now = chain.current_epoch();
    match message {
        Outgoing::Block(block) => (TopicKind::BeaconBlock, block.slot().epoch::<P>(), block.as_ssz_bytes()),
        Outgoing::GroupProposal(block) => (
            TopicKind::GroupBlockProposal,
            block.slot().epoch::<P>(),
            block.as_ssz_bytes(),
        ),
        Outgoing::GroupSignature(header) => (
            TopicKind::GroupBlockSignature,
            header.message().slot.epoch::<P>(),
            header.as_ssz_bytes(),
        ),
        Outgoing::Attestation(attestation, subnet) => (
            TopicKind::BeaconAttestation(*subnet),
            attestation.data().slot.epoch::<P>(),
            attestation.as_ssz_bytes(),
        ),
        Outgoing::Aggregate(aggregate) => {
            let epoch = aggregate.message().aggregate().data().slot.epoch::<P>();
            (TopicKind::BeaconAggregateAndProof, epoch, aggregate.as_ssz_bytes())
        }
        Outgoing::SyncMessage(message, subnet) => (
            TopicKind::SyncCommittee(*subnet),
            message.slot.epoch::<P>(),
            message.as_ssz_bytes(),
        ),
        Outgoing::Contribution(contribution) => (
            TopicKind::SyncCommitteeContributionAndProof,
            contribution.message.contribution.slot.epoch::<P>(),
            contribution.as_ssz_bytes(),
        ),
        Outgoing::VoluntaryExit(exit) => (TopicKind::VoluntaryExit, now, exit.as_ssz_bytes()),
        Outgoing::ProposerSlashing(slashing) => (TopicKind::ProposerSlashing, now, slashing.as_ssz_bytes()),
        Outgoing::AttesterSlashing(slashing) => (TopicKind::AttesterSlashing, now, slashing.as_ssz_bytes()),
        Outgoing::BlsToExecutionChange(change) => (TopicKind::BlsToExecutionChange, now, change.as_ssz_bytes()),
        Outgoing::KeySetChange(change) => (TopicKind::KeySetChange, now, change.as_ssz_bytes()),
        Outgoing::DataColumn(sidecar) => {
            let subnet = compute_subnet_for_data_column_sidecar(sidecar.index(), chain.spec());
            let epoch = sidecar.signed_block_header().message().slot.epoch::<P>();
            (TopicKind::DataColumnSidecar(subnet), epoch, sidecar.as_ssz_bytes())
        }
    }
}

/// Publishes until nobody can send any more.
pub(crate) async fn publish_all<P: Preset>(
    chain: Arc<BeaconChain<P>>,
    network: NetworkHandle,
    mut outgoing: Receiver<Outgoing<P>>,
) {
    while let Some(message) = outgoing.recv().await {
        let (kind, epoch, data) = encode(&chain, &message);
        let topic = GossipTopic::new(chain.fork_digest(epoch), kind);
        match network.publish(topic, data).await {
            Ok(()) | Err(PublishError::Duplicate) => {}
            Err(PublishError::Stopped) => return,
            // Alone, or on a subnet that nobody follows at the moment.
            Err(error @ PublishError::NoPeers(_)) => tracing::debug!(%error, "Message is not published"),
            Err(error) => tracing::warn!(%error, "Message is not published"),
        }
    }
}
