//! `/eth/v1/events`: what happens, as it happens. Whoever reads too slowly is cut off: a stream with holes in it would
//! be worse.

use crate::ApiFailure;
use crate::locate::Reader;
use crate::metrics::SseReader;
use crate::respond::{Answer, Understands, with_header};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use beacon_api::{
    BlockEvent, BlockGossipEvent, ChainReorgEvent, DataColumnSidecarEvent, Event, EventTopic, FinalizedCheckpointEvent,
    GroupBlockEvent, HeadEvent, PayloadAttributes, PayloadAttributesData, PayloadAttributesEvent, Query,
};
use beacon_chain::{ChainEvent, PayloadBegun};
use futures::stream::unfold;
use intake::Accepted;
use runtime::Shutdown;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use types::{ForkName, Preset};

/// How often a stream on which nothing happens shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new().route("/eth/v1/events", get(events::<P>))
}

async fn events<P: Preset>(
    State(reader): State<Arc<Reader<P>>>,
    RawQuery(query): RawQuery,
    understands: Understands,
) -> Answer {
    let query = query.unwrap_or_default();
    let topics: Vec<EventTopic> = Query::parse(&query).list("topics")?;
    if topics.is_empty() {
        return Err(ApiFailure::bad_request("query parameter topics is missing"));
    }
    let mut keep_alive = interval(KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Votes are many: whoever does not want them does not fall behind because of them.
    let wants_accepted = topics.iter().any(|topic| is_of_accepted(*topic));
    let stream = Stream {
        accepted: wants_accepted.then(|| reader.intake.subscribe()),
        chain: reader.chain.subscribe(),
        groups: reader.proposals.subscribe(),
        shutdown: reader.shutdown.clone(),
        keep_alive,
        topics,
        waiting: None,
        understands,
        reader,
        _counted: SseReader::new(),
    };
    let body = unfold(stream, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), stream))
    });
    let response = Response::new(Body::from_stream(body));
    let response = with_header(response, "content-type", "text/event-stream");
    let response = with_header(response, "cache-control", "no-cache");
    Ok(with_header(response, "x-accel-buffering", "no"))
}

/// Whether events of a topic are messages that were accepted.
fn is_of_accepted(topic: EventTopic) -> bool {
    match topic {
        EventTopic::Head
        | EventTopic::Block
        | EventTopic::FinalizedCheckpoint
        | EventTopic::ChainReorg
        | EventTopic::PayloadAttributes
        | EventTopic::BlobSidecar
        | EventTopic::GroupBlock => false,
        EventTopic::BlockGossip
        | EventTopic::Attestation
        | EventTopic::SingleAttestation
        | EventTopic::VoluntaryExit
        | EventTopic::BlsToExecutionChange
        | EventTopic::ProposerSlashing
        | EventTopic::AttesterSlashing
        | EventTopic::ContributionAndProof
        | EventTopic::DataColumnSidecar
        | EventTopic::KeySetChange
        | EventTopic::GroupSignature
        | EventTopic::AggregateAndProof => true,
    }
}

fn of_accepted<P: Preset>(accepted: Accepted<P>) -> Event<P> {
    match accepted {
        Accepted::Block { slot, root } => Event::BlockGossip(Box::new(BlockGossipEvent { slot, block: root })),
        Accepted::DataColumn {
            slot,
            block_root,
            index,
            kzg_commitments,
        } => Event::DataColumnSidecar(Box::new(DataColumnSidecarEvent {
            block_root,
            index,
            slot,
            kzg_commitments,
        })),
        Accepted::SingleAttestation(vote) => Event::SingleAttestation(Box::new(Arc::unwrap_or_clone(vote))),
        Accepted::Aggregate(signed) => Event::AggregateAndProof(Box::new(Arc::unwrap_or_clone(signed))),
        Accepted::Contribution(signed) => Event::ContributionAndProof(Box::new(Arc::unwrap_or_clone(signed))),
        Accepted::VoluntaryExit(exit) => Event::VoluntaryExit(Box::new(Arc::unwrap_or_clone(exit))),
        Accepted::ProposerSlashing(slashing) => Event::ProposerSlashing(Box::new(Arc::unwrap_or_clone(slashing))),
        Accepted::AttesterSlashing(slashing) => Event::AttesterSlashing(Box::new(Arc::unwrap_or_clone(slashing))),
        Accepted::BlsToExecutionChange(change) => Event::BlsToExecutionChange(Box::new(Arc::unwrap_or_clone(change))),
        Accepted::KeySetChange(change) => Event::KeySetChange(Box::new(Arc::unwrap_or_clone(change))),
        Accepted::GroupSignature(header) => Event::GroupSignature(Box::new(Arc::unwrap_or_clone(header))),
    }
}

fn payload_attributes(version: ForkName, begun: PayloadBegun) -> PayloadAttributesEvent {
    let attributes = begun.attributes;
    PayloadAttributesEvent {
        version,
        data: PayloadAttributesData {
            proposer_index: begun.proposer_index,
            proposal_slot: begun.proposal_slot,
            parent_block_number: begun.parent_block_number,
            parent_block_root: attributes.parent_beacon_block_root,
            parent_block_hash: begun.parent_block_hash,
            payload_attributes: PayloadAttributes {
                timestamp: attributes.timestamp,
                prev_randao: attributes.prev_randao,
                suggested_fee_recipient: attributes.suggested_fee_recipient,
                withdrawals: attributes.withdrawals,
                parent_beacon_block_root: attributes.parent_beacon_block_root,
            },
        },
    }
}

/// The next message of a channel; waits for ever without one.
async fn next_of<T: Clone>(receiver: &mut Option<Receiver<T>>) -> Result<T, RecvError> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

struct Stream<P: Preset> {
    accepted: Option<Receiver<Accepted<P>>>,
    chain: Receiver<ChainEvent>,
    groups: Receiver<GroupBlockEvent>,
    shutdown: Shutdown,
    /// Its first tick is at once: the reader sees that the stream stands.
    keep_alive: Interval,
    topics: Vec<EventTopic>,
    /// Follows the one that was sent last.
    waiting: Option<Event<P>>,
    understands: Understands,
    reader: Arc<Reader<P>>,
    _counted: SseReader,
}

/// What a stream does next.
enum Next<P: Preset> {
    Tell(Event<P>),
    KeepAlive,
}

impl<P: Preset> Stream<P> {
    /// The next message; none at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            let event = match self.waiting.take() {
                Some(event) => event,
                None => match self.wait().await? {
                    Next::Tell(event) => event,
                    Next::KeepAlive => return Some(":\n\n".to_owned()),
                },
            };
            // One message, two topics: with its aggregator, and the votes alone.
            if let Event::AggregateAndProof(signed) = &event
                && self.topics.contains(&EventTopic::Attestation)
            {
                let votes = signed.message().aggregate().cloned();
                self.waiting = Some(Event::Attestation(Box::new(votes)));
            }
            if self.topics.contains(&event.topic()) {
                match event.to_sse() {
                    Ok(text) => return Some(text),
                    Err(error) => tracing::error!(%error, topic = %event.topic(), "An event cannot be written"),
                }
            }
        }
    }

    async fn wait(&mut self) -> Option<Next<P>> {
        Some(Next::Tell(tokio::select! {
            event = self.chain.recv() => self.of_chain(self.received(event)?),
            event = next_of(&mut self.accepted) => of_accepted(self.received(event)?),
            event = self.groups.recv() => Event::GroupBlock(Box::new(self.received(event)?)),
            _ = self.keep_alive.tick() => return Some(Next::KeepAlive),
            _ = self.shutdown.wait() => return None,
        }))
    }

    fn received<T>(&self, event: Result<T, RecvError>) -> Option<T> {
        match event {
            Ok(event) => Some(event),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "A reader of events is too slow and is dropped");
                None
            }
        }
    }

    fn of_chain(&self, event: ChainEvent) -> Event<P> {
        let is_optimistic = |root| self.reader.chain.fork_choice().is_optimistic(&root).unwrap_or(false);
        match event {
            ChainEvent::Block {
                slot,
                root,
                execution_optimistic,
            } => Event::Block(Box::new(BlockEvent {
                slot,
                block: root,
                execution_optimistic,
            })),
            ChainEvent::Head {
                slot,
                root,
                state_root,
                epoch_transition,
                previous_duty_dependent_root,
                current_duty_dependent_root,
                execution_optimistic,
            } => Event::Head(Box::new(HeadEvent {
                slot,
                block: root,
                state: state_root,
                epoch_transition,
                previous_duty_dependent_root,
                current_duty_dependent_root,
                execution_optimistic,
            })),
            ChainEvent::Reorg {
                slot,
                depth,
                old_head,
                old_state,
                new_head,
                new_state,
                epoch,
            } => Event::ChainReorg(Box::new(ChainReorgEvent {
                slot,
                depth,
                old_head_block: old_head,
                new_head_block: new_head,
                old_head_state: old_state,
                new_head_state: new_state,
                epoch,
                execution_optimistic: is_optimistic(new_head),
            })),
            ChainEvent::PayloadBegun(begun) => {
                let fork = self.reader.chain.fork_name_at_slot(begun.proposal_slot);
                Event::PayloadAttributes(Box::new(payload_attributes(self.understands.name(fork), *begun)))
            }
            ChainEvent::Finalized { checkpoint, state_root } => {
                Event::FinalizedCheckpoint(Box::new(FinalizedCheckpointEvent {
                    block: checkpoint.root,
                    state: state_root,
                    epoch: checkpoint.epoch,
                    execution_optimistic: is_optimistic(checkpoint.root),
                }))
            }
        }
    }
}
