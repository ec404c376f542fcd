//! `/eth/v1/events`: what happens, as it happens. Whoever reads too slowly is cut off: a stream with holes in it would
//! be worse.

use crate::ApiFailure;
use crate::locate::Reader;
use crate::metrics::SseReader;
use crate::respond::{Answer, with_header};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use beacon_api::{
    BlockEvent, ChainReorgEvent, Event, EventTopic, FinalizedCheckpointEvent, GroupBlockEvent, HeadEvent, Query,
};
use beacon_chain::ChainEvent;
use futures::stream::unfold;
use runtime::Shutdown;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use types::Preset;

/// How often a stream on which nothing happens shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new().route("/eth/v1/events", get(events::<P>))
}

async fn events<P: Preset>(State(reader): State<Arc<Reader<P>>>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let topics: Vec<EventTopic> = Query::parse(&query).list("topics")?;
    if topics.is_empty() {
        return Err(ApiFailure::bad_request("query parameter topics is missing"));
    }
    let mut keep_alive = interval(KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = Stream {
        chain: reader.chain.subscribe(),
        groups: reader.proposals.subscribe(),
        shutdown: reader.shutdown.clone(),
        keep_alive,
        topics,
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

struct Stream<P: Preset> {
    chain: Receiver<ChainEvent>,
    groups: Receiver<GroupBlockEvent>,
    shutdown: Shutdown,
    /// Its first tick is at once: the reader sees that the stream stands.
    keep_alive: Interval,
    topics: Vec<EventTopic>,
    reader: Arc<Reader<P>>,
    _counted: SseReader,
}

impl<P: Preset> Stream<P> {
    /// The next message; none at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            let event = tokio::select! {
                event = self.chain.recv() => self.of_chain(self.received(event)?),
                event = self.groups.recv() => Event::GroupBlock(Box::new(self.received(event)?)),
                _ = self.keep_alive.tick() => return Some(":\n\n".to_owned()),
                _ = self.shutdown.wait() => return None,
            };
            if self.topics.contains(&event.topic()) {
                match event.to_sse() {
                    Ok(text) => return Some(text),
                    Err(error) => tracing::error!(%error, topic = %event.topic(), "An event cannot be written"),
                }
            }
        }
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
