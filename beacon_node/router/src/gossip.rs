//! Gossip: bytes to objects, objects to whoever knows, verdicts back.

use crate::catch_up::CatchUp;
use crate::forks::DigestEpochs;
use crate::waiting::{Letter, Waiting};
use beacon_chain::{BeaconChain, ImportError};
use gossip_validation::{BlockGossipError, SharedError, VerifiedBlock};
use group_duties::Proposals;
use intake::Intake;
use network::{GossipMessage, GossipTopic, MessageId, NetworkHandle, PeerId, TopicKind, Verdict};
use parking_lot::Mutex;
use runtime::Sender;
use ssz::{Decode as _, DecodeError};
use std::sync::Arc;
use tokio::sync::Notify;
use types::{
    AttesterSlashing, DataColumnSidecar, ForkName, ForkVersioned as _, Preset, ProposerSlashing, Root,
    SignedAggregateAndProof, SignedBLSToExecutionChange, SignedBeaconBlock, SignedBeaconBlockHeader,
    SignedContributionAndProof, SignedKeySetChange, SignedVoluntaryExit, SingleAttestation, Slot, SyncCommitteeMessage,
};

/// What messages are handed to.
#[derive(Debug)]
pub(crate) struct Gossip<P: Preset> {
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) proposals: Arc<Proposals<P>>,
    pub(crate) network: NetworkHandle,
    pub(crate) schedule: Vec<DigestEpochs>,
    pub(crate) catch_up: Sender<CatchUp<P>>,
    pub(crate) waiting: Mutex<Waiting<GossipMessage>>,
    /// Some of those that wait were called otherwise than by the event of their block.
    pub(crate) called: Notify,
}

impl Letter for GossipMessage {
    type Peer = PeerId;
    type Id = MessageId;

    fn peer(&self) -> PeerId {
        self.source
    }

    fn id(&self) -> MessageId {
        self.message_id.clone()
    }

    fn bytes(&self) -> usize {
        self.data.len()
    }

    fn is_vote(&self) -> bool {
        matches!(self.topic.kind, TopicKind::BeaconAttestation(_))
    }
}

/// What becomes of a message.
enum Outcome {
    Verdict(Verdict),
    /// It waits for a block.
    WaitFor(Root),
}

fn verdict(verdict: gossip_validation::Verdict) -> Outcome {
    Outcome::Verdict(match verdict {
        gossip_validation::Verdict::Accept => Verdict::Accept,
        gossip_validation::Verdict::Ignore => Verdict::Ignore,
        gossip_validation::Verdict::Reject => Verdict::Reject,
    })
}

macro_rules! outcome {
    ($topic:expr, $result:expr) => {
        match $result {
            Ok(_) => Outcome::Verdict(Verdict::Accept),
            Err(error) => match error.unknown_block() {
                Some(root) => Outcome::WaitFor(root),
                None => {
                    log_refusal($topic, error.verdict(), &error);
                    verdict(error.verdict())
                }
            },
        }
    };
}

fn log_refusal(topic: &GossipTopic, verdict: gossip_validation::Verdict, error: &dyn std::fmt::Display) {
    match verdict {
        gossip_validation::Verdict::Reject => tracing::info!(%topic, %error, "Message rejected"),
        _ => tracing::trace!(%topic, %error, "Message ignored"),
    }
}

impl<P: Preset> Gossip<P> {
    pub(crate) fn chain(&self) -> &Arc<BeaconChain<P>> {
        self.intake.chain()
    }

    fn fork_of(&self, topic: &GossipTopic) -> Option<ForkName> {
        self.schedule
            .iter()
            .find(|entry| entry.digest == topic.fork_digest)
            .map(|entry| entry.fork)
    }

    /// Whether messages of a slot belong on a topic: their type does not tell the digests of a fork apart, which change with
    /// blob parameters. What is noted as seen from the wrong topic would not be passed on by the right one.
    ///
    /// Spec: dvt/p2p-interface.md#transitioning-the-gossip
    fn is_topic_of(&self, topic: &GossipTopic, slot: Slot) -> bool {
        let is_of = self.chain().fork_digest(slot.epoch::<P>()) == topic.fork_digest;
        if !is_of {
            tracing::info!(%topic, %slot, "Message rejected: it is of another epoch than its topic");
        }
        is_of
    }

    /// A vote out of its bytes; the message back if it is something else or malformed.
    pub(crate) fn read_attestation(&self, message: &GossipMessage) -> Option<(SingleAttestation, u64)> {
        let TopicKind::BeaconAttestation(subnet) = message.topic.kind else {
            return None;
        };
        let fork = self.fork_of(&message.topic)?;
        let vote = SingleAttestation::from_ssz_bytes_by_fork(&message.data, fork).ok()?;
        Some((vote, subnet))
    }

    /// Votes whose signatures are verified together.
    pub(crate) async fn handle_attestations(&self, batch: Vec<(GossipMessage, SingleAttestation, u64)>) {
        let votes = batch
            .iter()
            .map(|(_, vote, subnet)| (vote.clone(), Some(*subnet)))
            .collect();
        let results = self.intake.receive_attestations(votes).await;
        for ((message, _, _), result) in batch.into_iter().zip(results) {
            let outcome = outcome!(&message.topic, result);
            self.conclude(message, outcome).await;
        }
    }

    /// Votes that waited for a block.
    pub(crate) async fn handle_called_votes(&self, messages: Vec<GossipMessage>) {
        let mut batch = Vec::new();
        for message in messages {
            match self.read_attestation(&message) {
                Some((vote, subnet)) => batch.push((message, vote, subnet)),
                None => self.ignore(message).await,
            }
        }
        self.handle_attestations(batch).await;
    }

    /// For want of a place.
    pub(crate) async fn ignore(&self, message: GossipMessage) {
        self.conclude(message, Outcome::Verdict(Verdict::Ignore)).await;
    }

    /// Any message.
    pub(crate) async fn handle(self: Arc<Self>, message: GossipMessage) {
        let Some(fork) = self.fork_of(&message.topic) else {
            self.conclude(message, Outcome::Verdict(Verdict::Ignore)).await;
            return;
        };
        match message.topic.kind {
            TopicKind::BeaconBlock => return self.handle_block(message, fork).await,
            TopicKind::DataColumnSidecar(subnet) => return self.handle_data_column(message, fork, subnet).await,
            _ => {}
        }
        let outcome = match self.dispatch(&message, fork).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::info!(topic = %message.topic, peer = %message.source, ?error, "Message is malformed");
                Outcome::Verdict(Verdict::Reject)
            }
        };
        self.conclude(message, outcome).await;
    }

    async fn dispatch(&self, message: &GossipMessage, fork: ForkName) -> Result<Outcome, DecodeError> {
        let (topic, data) = (&message.topic, message.data.as_slice());
        let intake = &self.intake;
        Ok(match topic.kind {
            // Blocks are imported after their verdict or that of their last column, elsewhere.
            TopicKind::BeaconBlock | TopicKind::DataColumnSidecar(_) => Outcome::Verdict(Verdict::Ignore),
            TopicKind::BeaconAttestation(subnet) => {
                let vote = SingleAttestation::from_ssz_bytes_by_fork(data, fork)?;
                match intake.receive_attestations(vec![(vote, Some(subnet))]).await.pop() {
                    Some(result) => outcome!(topic, result),
                    None => Outcome::Verdict(Verdict::Ignore),
                }
            }
            TopicKind::BeaconAggregateAndProof => {
                let aggregate = SignedAggregateAndProof::from_ssz_bytes_by_fork(data, fork)?;
                outcome!(topic, intake.receive_aggregate(Arc::new(aggregate)).await)
            }
            TopicKind::VoluntaryExit => {
                let exit = SignedVoluntaryExit::from_ssz_bytes_by_fork(data, fork)?;
                outcome!(topic, intake.receive_voluntary_exit(exit).await)
            }
            TopicKind::ProposerSlashing => {
                let slashing = ProposerSlashing::from_ssz_bytes_by_fork(data, fork)?;
                outcome!(topic, intake.receive_proposer_slashing(slashing).await)
            }
            TopicKind::AttesterSlashing => {
                let slashing = AttesterSlashing::from_ssz_bytes_by_fork(data, fork)?;
                outcome!(topic, intake.receive_attester_slashing(slashing).await)
            }
            TopicKind::SyncCommitteeContributionAndProof => {
                let contribution = SignedContributionAndProof::from_ssz_bytes(data)?;
                outcome!(topic, intake.receive_contribution(contribution).await)
            }
            TopicKind::SyncCommittee(subnet) => {
                let signed = SyncCommitteeMessage::from_ssz_bytes(data)?;
                outcome!(topic, intake.receive_sync_message(signed, Some(subnet)).await)
            }
            TopicKind::BlsToExecutionChange => {
                let change = SignedBLSToExecutionChange::from_ssz_bytes(data)?;
                outcome!(topic, intake.receive_bls_to_execution_change(change).await)
            }
            TopicKind::KeySetChange => {
                let change = SignedKeySetChange::from_ssz_bytes(data)?;
                outcome!(topic, intake.receive_key_set_change(change).await)
            }
            TopicKind::GroupBlockProposal => {
                let block = Arc::new(SignedBeaconBlock::from_ssz_bytes_by_fork(data, fork)?);
                if !self.is_topic_of(topic, block.slot()) {
                    return Ok(Outcome::Verdict(Verdict::Reject));
                }
                let result = self.proposals.receive_proposal(Arc::clone(&block)).await;
                if let Err(error) = &result
                    && error.unknown_block().is_some()
                {
                    self.look_up(message.source, block, false).await;
                }
                outcome!(topic, result)
            }
            TopicKind::GroupBlockSignature => {
                let header = SignedBeaconBlockHeader::from_ssz_bytes_by_fork(data, fork)?;
                if !self.is_topic_of(topic, header.message().slot) {
                    return Ok(Outcome::Verdict(Verdict::Reject));
                }
                outcome!(topic, self.proposals.receive_signature(header).await)
            }
            // This node serves no light clients, and is none.
            TopicKind::LightClientFinalityUpdate | TopicKind::LightClientOptimisticUpdate => {
                Outcome::Verdict(Verdict::Ignore)
            }
        })
    }

    async fn handle_data_column(&self, message: GossipMessage, fork: ForkName, subnet: u64) {
        let sidecar = match DataColumnSidecar::from_ssz_bytes_by_fork(&message.data, fork) {
            Ok(sidecar) => Arc::new(sidecar),
            Err(error) => {
                tracing::info!(peer = %message.source, ?error, "Data column is malformed");
                self.conclude(message, Outcome::Verdict(Verdict::Reject)).await;
                return;
            }
        };
        if !self.is_topic_of(&message.topic, sidecar.block_header().slot) {
            self.conclude(message, Outcome::Verdict(Verdict::Reject)).await;
            return;
        }
        let (source, topic) = (message.source, message.topic);
        let result = self.intake.receive_data_column(sidecar, Some(subnet)).await;
        // Passed on before its block is imported.
        let outcome = outcome!(&topic, &result);
        self.conclude(message, outcome).await;
        let Ok(verified) = result else {
            return;
        };
        self.intake.make_columns_ahead(&verified).await;
        if let Some(complete) = self.intake.complete(&verified.block_root).await {
            self.import(source, complete).await;
        }
    }

    async fn handle_block(&self, message: GossipMessage, fork: ForkName) {
        let block = match SignedBeaconBlock::from_ssz_bytes_by_fork(&message.data, fork) {
            Ok(block) => Arc::new(block),
            Err(error) => {
                tracing::info!(peer = %message.source, ?error, "Block is malformed");
                self.conclude(message, Outcome::Verdict(Verdict::Reject)).await;
                return;
            }
        };
        if !self.is_topic_of(&message.topic, block.slot()) {
            self.conclude(message, Outcome::Verdict(Verdict::Reject)).await;
            return;
        }
        let source = message.source;
        match self.intake.receive_block(Arc::clone(&block)).await {
            Ok(verified) => {
                // Passed on before it is imported: its proposer vouches for it.
                self.conclude(message, Outcome::Verdict(Verdict::Accept)).await;
                self.import(source, verified).await;
            }
            Err(error) => {
                if error.unknown_block().is_some() || self.is_refused_parent(&error) {
                    self.look_up(source, block, true).await;
                }
                log_refusal(&message.topic, error.verdict(), &error);
                self.conclude(message, verdict(error.verdict())).await;
            }
        }
    }

    /// Whether all that is wrong is what the execution client said of the parent when that came. Somebody builds on it
    /// all the same: it is fetched, and the client asked again.
    fn is_refused_parent(&self, error: &BlockGossipError) -> bool {
        match error {
            BlockGossipError::Shared(SharedError::InvalidPayload(parent)) => !self.chain().contains_block(parent),
            _ => false,
        }
    }

    async fn import(&self, source: PeerId, verified: VerifiedBlock<P>) {
        let (slot, root) = (verified.block.slot(), verified.root);
        let block = Arc::clone(&verified.block);
        match self.intake.import(verified).await {
            Ok(_) | Err(ImportError::AlreadyKnown(_)) => {}
            Err(ImportError::UnknownParent(_)) => self.look_up(source, block, true).await,
            Err(error @ ImportError::DataUnavailable(_)) => {
                tracing::debug!(%slot, %root, %error, "Block waits for its columns");
            }
            Err(error) => {
                // Blocks are passed on before they are executed, columns before their block: `source` could not know.
                tracing::warn!(%slot, %root, peer = %source, %error, "Block is not imported");
            }
        }
    }

    async fn look_up(&self, peer: PeerId, block: Arc<SignedBeaconBlock<P>>, is_complete: bool) {
        let message = CatchUp::UnknownParent {
            peer,
            slot: block.slot(),
            parent: block.parent_root(),
            block: is_complete.then_some(block),
        };
        if let Err(error) = self.catch_up.try_send(message) {
            tracing::debug!(%error, "Parent is not looked up");
        }
    }

    async fn conclude(&self, message: GossipMessage, outcome: Outcome) {
        match outcome {
            Outcome::Verdict(verdict) => self.report(message.message_id, message.source, verdict).await,
            Outcome::WaitFor(root) => {
                let slot = self.chain().current_slot();
                // It takes nothing any more from what comes in: that would be for a slot and more.
                let mut dropped = self.waiting.lock().insert(root, slot, message.uncounted());
                // It may have come between the check and now: then its event does not find the message any more.
                if self.chain().contains_block(&root) {
                    dropped.extend(self.waiting.lock().call_back(&root, slot));
                    self.called.notify_one();
                }
                for message in dropped {
                    tracing::debug!(%root, topic = %message.topic, peer = %message.source, "Message does not wait");
                    self.report(message.message_id, message.source, Verdict::Ignore).await;
                }
            }
        }
    }

    async fn report(&self, message_id: MessageId, source: PeerId, verdict: Verdict) {
        if self
            .network
            .report_validation(message_id, source, verdict)
            .await
            .is_err()
        {
            tracing::trace!("Network has stopped");
        }
    }
}
