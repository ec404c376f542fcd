//! The stream of events.

use super::{ApiError, BeaconClient};
use crate::{Event, EventError, EventTopic, SseParser};
use futures::Stream;
use futures::stream::try_unfold;
use reqwest::header::ACCEPT;
use reqwest::{Method, Response};
use std::time::Duration;
use types::Preset;

/// Longest that a stream may last: a call has to have an end for the HTTP client.
const STREAM_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

struct Reading {
    response: Response,
    parser: SseParser,
    idle: Duration,
    endpoint: String,
}

impl BeaconClient {
    /// `/eth/v1/events`. The stream ends when the node ends it, and after its first error; to go on, call again.
    pub async fn events<P: Preset>(
        &self,
        topics: &[EventTopic],
    ) -> Result<impl Stream<Item = Result<Event<P>, ApiError>> + Send + use<P>, ApiError> {
        const PATH: &str = "eth/v1/events";
        let topics: Vec<&str> = topics.iter().map(|topic| topic.as_str()).collect();
        let request = self
            .request(Method::GET, PATH, &[("topics", topics.join(","))])?
            .header(ACCEPT, "text/event-stream")
            .timeout(STREAM_TIMEOUT);
        let endpoint = format!("GET {}/{PATH}", self.name());
        let response = tokio::time::timeout(self.config.timeout, self.send(&Method::GET, PATH, request))
            .await
            .map_err(|_| ApiError::TimedOut {
                endpoint: endpoint.clone(),
            })??;
        let reading = Reading {
            response,
            parser: SseParser::default(),
            idle: self.config.event_idle,
            endpoint,
        };
        Ok(try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|event| (event, reading)))
        }))
    }
}

impl Reading {
    async fn next<P: Preset>(&mut self) -> Result<Option<Event<P>>, ApiError> {
        loop {
            if let Some((topic, data)) = self.parser.next_message() {
                let Ok(known) = topic.parse::<EventTopic>() else {
                    continue;
                };
                return Event::from_json(known, &data).map(Some).map_err(|error| {
                    self.unreadable(EventError::Data {
                        topic,
                        reason: error.to_string(),
                    })
                });
            }
            let chunk = tokio::time::timeout(self.idle, self.response.chunk())
                .await
                .map_err(|_| ApiError::TimedOut {
                    endpoint: self.endpoint.clone(),
                })?
                .map_err(|error| ApiError::transport(self.endpoint.clone(), error))?;
            let Some(chunk) = chunk else {
                return Ok(None);
            };
            self.parser.push(&chunk).map_err(|error| self.unreadable(error))?;
        }
    }

    fn unreadable(&self, error: EventError) -> ApiError {
        ApiError::Body {
            endpoint: self.endpoint.clone(),
            reason: error.to_string(),
        }
    }
}
