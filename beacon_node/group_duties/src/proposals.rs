//! The rounds of all groups: what comes in, and what follows from it.

use crate::abandoned::IfAbandoned;
use crate::metrics;
use crate::round::{Completed, Round};
use crate::{Judgement, Part};
use beacon_api::GroupBlockEvent;
use beacon_chain::BeaconChain;
use block_production::BlockProducer;
use gossip_validation::{
    GroupBlockGossipError, ProposingGroup, VerifiedBlock, VerifiedMemberSignature, VerifiedProposal,
};
use intake::{Accepted, Intake, Outgoing};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use types::{Preset, Root, SchemeProofs, SignedBeaconBlock, SignedBeaconBlockHeader, Slot, ValidatorIndex};

/// Completed blocks that a slow listener may be behind.
const EVENT_BACKLOG: usize = 64;
/// Slots for which rounds are kept.
const KEPT_SLOTS: u64 = 3;

pub(crate) type RoundKey = (Slot, ValidatorIndex);

/// Blocks of validators attached to this node, solo or group, and the rounds of all groups. Shared as `Arc`.
#[derive(Debug)]
pub struct Proposals<P: Preset> {
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) producer: BlockProducer<P>,
    pub(crate) rounds: Mutex<BTreeMap<RoundKey, Round<P>>>,
    /// Counts changes of any round: whoever waits for one looks again.
    pub(crate) changes: watch::Sender<u64>,
    events: broadcast::Sender<GroupBlockEvent>,
}

impl<P: Preset> Proposals<P> {
    /// Rounds over a chain.
    pub fn new(intake: Arc<Intake<P>>, producer: BlockProducer<P>) -> Arc<Self> {
        Arc::new(Self {
            intake,
            producer,
            rounds: Mutex::default(),
            changes: watch::channel(0).0,
            events: broadcast::channel(EVENT_BACKLOG).0,
        })
    }

    /// Blocks of groups as they reach their thresholds, from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<GroupBlockEvent> {
        self.events.subscribe()
    }

    pub(crate) fn chain(&self) -> &Arc<BeaconChain<P>> {
        self.intake.chain()
    }

    /// Milliseconds since the start of a slot; 0 before it.
    pub(crate) fn ms_into(&self, slot: Slot) -> u64 {
        let clock = self.chain().clock();
        clock.now_ms().saturating_sub(clock.slot_start_ms(slot))
    }

    /// Drops rounds that are over.
    pub fn prune(&self) {
        let oldest = self.chain().current_slot().saturating_sub(KEPT_SLOTS);
        self.rounds.lock().retain(|(slot, _), _| *slot >= oldest);
    }

    /// Changes a round: whoever waits looks again afterwards.
    fn change_round<T>(self: &Arc<Self>, group: &ProposingGroup, work: impl FnOnce(&mut Round<P>) -> T) -> Option<T> {
        let result = self.with_round(group, work);
        self.note_change();
        result
    }

    pub(crate) fn note_change(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Works on a round, which is begun if there is none, and does what can be done now. Those who wait are not told:
    /// they come here themselves, and would wake each other for ever.
    pub(crate) fn with_round<T>(
        self: &Arc<Self>,
        group: &ProposingGroup,
        work: impl FnOnce(&mut Round<P>) -> T,
    ) -> Option<T> {
        let key = (group.slot, group.proposer);
        let ms_into_slot = self.ms_into(group.slot);
        let (result, unjudged, completed) = {
            let mut rounds = self.rounds.lock();
            let round = match rounds.entry(key) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Round::new(group.clone())?),
            };
            let result = work(round);
            (
                result,
                round.take_unjudged(),
                round.take_completed(ms_into_slot, self.chain().spec()),
            )
        };
        for (root, rank, block) in unjudged {
            tokio::spawn(Arc::clone(self).judge(key, root, rank, block));
        }
        match completed {
            Some(Ok(completed)) => {
                tokio::spawn(Arc::clone(self).finish(key, completed));
            }
            Some(Err(error)) => {
                tracing::error!(slot = %key.0, group = %key.1, %error, "Signatures of a group do not add up");
            }
            None => {}
        }
        Some(result)
    }

    /// A leader's proposal from the network.
    pub async fn receive_proposal(
        self: &Arc<Self>,
        block: Arc<SignedBeaconBlock<P>>,
    ) -> Result<(), GroupBlockGossipError> {
        let verified = self.intake.gossip().verify_group_proposal(block).await?;
        self.take_proposal(&verified);
        Ok(())
    }

    pub(crate) fn take_proposal(self: &Arc<Self>, verified: &VerifiedProposal<P>) {
        let VerifiedProposal {
            block,
            root,
            signer,
            rank,
            group,
        } = verified;
        let now = self.ms_into(group.slot);
        tracing::debug!(slot = %group.slot, group = %group.proposer, rank, %root, ms_into_slot = now, "Proposal to a group");
        let (_, Some(key)) = signer.split() else { return };
        self.intake
            .tell(|| Accepted::GroupSignature(Arc::new(block.signed_block_header())));
        self.change_round(group, |round| {
            round.note_seen(*rank, now);
            round.insert_proposal(*rank, key, *root, Arc::clone(block));
        });
    }

    /// A member's signature from the network.
    pub async fn receive_signature(
        self: &Arc<Self>,
        header: SignedBeaconBlockHeader,
    ) -> Result<(), GroupBlockGossipError> {
        let verified = self.intake.gossip().verify_group_signature(header).await?;
        self.take_signature(&verified);
        Ok(())
    }

    pub(crate) fn take_signature(self: &Arc<Self>, verified: &VerifiedMemberSignature) {
        let group = &verified.group;
        let now = self.ms_into(group.slot);
        let (_, Some(key)) = verified.signer.split() else {
            return;
        };
        self.intake
            .tell(|| Accepted::GroupSignature(Arc::new(verified.header.clone())));
        let part = Part {
            signature: *verified.header.signature(),
            proofs: SchemeProofs::new(verified.header.proofs().to_vec()).unwrap_or_default(),
        };
        self.change_round(group, |round| {
            if let Some(rank) = verified.rank {
                round.note_seen(rank, now);
            }
            round.slot.on_header(key, verified.root, part);
        });
    }

    /// Finds out whether this node's members may sign a proposal.
    async fn judge(self: Arc<Self>, key: RoundKey, root: Root, rank: u8, block: Arc<SignedBeaconBlock<P>>) {
        let (slot, proposer) = key;
        // Without a judgement, whoever waits for it would wait until the round is over.
        let unfinished = IfAbandoned::new(|| self.note_judgement(key, &root, Judgement::Unverified));
        let judgement = match self.judgement(proposer, &block).await {
            Ok(()) => {
                self.intake.gossip().note_right_proposal(slot, proposer, rank);
                Judgement::Valid
            }
            Err(refusal) => {
                tracing::warn!(%slot, group = %proposer, rank, %root, %refusal, "Proposal is not signed");
                if refusal.is_invalid() {
                    Judgement::Invalid
                } else {
                    Judgement::Unverified
                }
            }
        };
        unfinished.finished();
        self.note_judgement(key, &root, judgement);
    }

    fn note_judgement(&self, key: RoundKey, root: &Root, judgement: Judgement) {
        if let Some(round) = self.rounds.lock().get_mut(&key) {
            round.slot.on_judged(root, judgement);
        }
        self.note_change();
    }

    /// Imports a block that has reached its threshold, and publishes it if others have not.
    async fn finish(self: Arc<Self>, key: RoundKey, completed: Completed<P>) {
        let Completed {
            root,
            block,
            event,
            publication_delay_ms,
        } = completed;
        let (slot, proposer) = key;
        tracing::info!(
            %slot,
            group = %proposer,
            %root,
            rank = event.rank,
            signatures = format_args!("{}/{}", event.signers.len(), event.size),
            threshold = event.threshold,
            milliseconds = event.threshold_ms,
            "Group block complete"
        );
        metrics::observe_completed(&event);
        // Nobody listening is no error.
        let _ = self.events.send(event);
        let import = async {
            self.wait_while_judged(key, &root).await;
            let verified = VerifiedBlock {
                block: Arc::clone(&block),
                root,
            };
            match self.intake.import(verified).await {
                Ok(_) | Err(beacon_chain::ImportError::AlreadyKnown(_)) => {}
                Err(error @ beacon_chain::ImportError::DataUnavailable(_)) => {
                    tracing::debug!(%slot, group = %proposer, %root, %error, "Group block waits for its columns");
                }
                Err(error) => tracing::warn!(%slot, group = %proposer, %root, %error, "Group block is not imported"),
            }
        };
        let publish = async {
            let Some(delay) = publication_delay_ms else { return };
            let clock = self.chain().clock();
            clock.sleep_until_ms(clock.now_ms().saturating_add(delay)).await;
            if !self.intake.gossip().has_seen_block(slot, proposer) {
                self.intake.publish(Outgoing::Block(Arc::clone(&block))).await;
            }
        };
        tokio::join!(import, publish);
    }

    /// A proposal that is being executed is not executed a second time.
    async fn wait_while_judged(&self, key: RoundKey, root: &Root) {
        let mut changes = self.changes.subscribe();
        loop {
            let is_judged = self
                .rounds
                .lock()
                .get(&key)
                .is_none_or(|round| !round.is_being_judged(root));
            if is_judged || changes.changed().await.is_err() {
                return;
            }
        }
    }
}
