//! JSON-RPC over HTTP: one request at a time, a fresh token each, answers limited in time and size.

use crate::error::EngineError;
use crate::jwt::JwtSecret;
use crate::metrics;
use alloy_primitives::bytes::Bytes;
use reqwest::{StatusCode, Url, header, redirect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tower::util::MapResponseLayer;

/// How often a call is tried whose connection breaks: an idle connection that the execution client has
/// closed (a restart) is noticed only by using it. All methods here may be repeated.
const ATTEMPTS: u32 = 2;
/// How long a client gets that did not answer last time.
const OFFLINE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of a refusal that get into an error.
const MESSAGE_LIMIT: usize = 256;

/// A method of the execution client, with what the specification says about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// Label of the metrics.
    pub(crate) label: &'static str,
    pub(crate) timeout: Duration,
    /// Largest answer in bytes.
    pub(crate) limit: usize,
}

impl Method {
    /// For a client that did not answer last time: blocks must not wait long for it again and again.
    pub(crate) fn impatient(self, is_offline: bool) -> Self {
        let timeout = if is_offline {
            self.timeout.min(OFFLINE_TIMEOUT)
        } else {
            self.timeout
        };
        Self { timeout, ..self }
    }
}

/// Connection settings.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    url: Url,
    secret: JwtSecret,
    jwt_id: Option<String>,
    jwt_version: Option<String>,
    timeout_multiplier: u32,
    next_id: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

#[derive(Serialize)]
struct Request<'a, T> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: &'a T,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ResponseError>,
}

#[derive(Deserialize)]
struct ResponseError {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<serde_json::Value>,
}

impl Transport {
    pub(crate) fn new(
        endpoint: &str,
        secret: JwtSecret,
        jwt_id: Option<String>,
        jwt_version: Option<String>,
        timeout_multiplier: u32,
    ) -> Result<Self, EngineError> {
        let wrong = |why: String| EngineError::Endpoint {
            endpoint: endpoint.to_owned(),
            why,
        };
        let url: Url = endpoint.parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!("scheme {:?} is not supported", url.scheme())));
        }
        let connections: Arc<AtomicU64> = Arc::default();
        let made = Arc::clone(&connections);
        let client = reqwest::Client::builder()
            .connector_layer(MapResponseLayer::new(move |connection| {
                made.fetch_add(1, Ordering::SeqCst);
                connection
            }))
            // The token must go to the execution client and nowhere else.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(1))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            client,
            url,
            secret,
            jwt_id,
            jwt_version,
            timeout_multiplier: timeout_multiplier.max(1),
            next_id: Arc::default(),
            connections,
        })
    }

    /// Host and port, without credentials.
    pub(crate) fn endpoint(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) async fn call<T: Serialize, R: DeserializeOwned>(
        &self,
        method: Method,
        params: &T,
    ) -> Result<R, EngineError> {
        let timer = metrics::REQUEST_TIMES
            .as_ref()
            .map(|metric| metric.with_label_values(&[method.label]).start_timer());
        let result = self.call_with_retries(method, params).await;
        if let Some(timer) = timer {
            timer.observe_duration();
        }
        if result.is_err() {
            metrics::count(&metrics::REQUEST_ERRORS, method.label);
        }
        result
    }

    async fn call_with_retries<T: Serialize, R: DeserializeOwned>(
        &self,
        method: Method,
        params: &T,
    ) -> Result<R, EngineError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let json = |source| EngineError::Json {
            method: method.name,
            source,
        };
        let request = Request {
            jsonrpc: "2.0",
            id,
            method: method.name,
            params,
        };
        // Shared between attempts: a payload may have megabytes.
        let body = Bytes::from(serde_json::to_vec(&request).map_err(json)?);
        let after = method.timeout.saturating_mul(self.timeout_multiplier);
        let mut attempt = 1;
        let answer = loop {
            let outcome = timeout(after, self.exchange(method, body.clone())).await;
            match outcome.unwrap_or(Err(EngineError::Timeout {
                method: method.name,
                after,
            })) {
                Err(EngineError::Unreachable { why, .. }) if attempt < ATTEMPTS => {
                    tracing::debug!(method = method.name, why, "Call to the execution client is repeated");
                    attempt = attempt.saturating_add(1);
                }
                other => break other?,
            }
        };
        decode(method, id, &answer)
    }

    /// One HTTP exchange. Gives the body of a JSON-RPC answer.
    async fn exchange(&self, method: Method, body: Bytes) -> Result<Vec<u8>, EngineError> {
        let token = self.secret.token(self.jwt_id.as_deref(), self.jwt_version.as_deref())?;
        let unreachable = |error| EngineError::Unreachable {
            method: method.name,
            why: causes(error),
        };
        let mut response = self
            .client
            .post(self.url.clone())
            .bearer_auth(token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status();
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let too_large = EngineError::ResponseTooLarge {
            method: method.name,
            limit: method.limit,
        };
        if response
            .content_length()
            .is_some_and(|length| length > method.limit as u64)
        {
            return Err(too_large);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len().saturating_add(chunk.len()) > method.limit {
                return Err(too_large);
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(bytes);
        }
        // Some clients send JSON-RPC errors with a status of their own.
        if !refused && serde_json::from_slice::<Response<'_>>(&bytes).is_ok_and(|r| r.error.is_some()) {
            return Ok(bytes);
        }
        let start = bytes.get(..bytes.len().min(MESSAGE_LIMIT)).unwrap_or_default();
        let message = String::from_utf8_lossy(start).trim().to_owned();
        let (method, status) = (method.name, status.as_u16());
        Err(if refused {
            EngineError::Unauthorized {
                method,
                status,
                message,
            }
        } else {
            EngineError::HttpStatus {
                method,
                status,
                message,
            }
        })
    }
}

fn decode<R: DeserializeOwned>(method: Method, id: u64, answer: &[u8]) -> Result<R, EngineError> {
    let json = |source| EngineError::Json {
        method: method.name,
        source,
    };
    let response: Response<'_> = serde_json::from_slice(answer).map_err(json)?;
    if let Some(ResponseError {
        code,
        mut message,
        data,
    }) = response.error
    {
        if let Some(data) = data.filter(|data| !data.is_null()) {
            message = format!("{message}: {data}");
        }
        message = message.chars().take(MESSAGE_LIMIT).collect();
        return Err(EngineError::Rpc {
            method: method.name,
            code,
            message,
        });
    }
    let found = response.id.map_or("null", RawValue::get);
    if found != id.to_string() {
        let found = found.chars().take(32).collect();
        return Err(EngineError::WrongId {
            method: method.name,
            expected: id,
            found,
        });
    }
    serde_json::from_str(response.result.map_or("null", RawValue::get)).map_err(json)
}

/// An error of reqwest names what it was doing; the reason is behind it. The URL stays out.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
