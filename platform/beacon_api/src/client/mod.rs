//! Client of the Beacon API.

mod block;
mod duty;
mod error;
mod event;
mod node;
mod pool;
mod state;

pub use error::ApiError;

use crate::headers::{BLINDED_HEADER, CONSENSUS_VERSION_HEADER, JSON, SSZ};
use crate::{ErrorMessage, Versioned};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use types::{ForkName, ForkVersioned};

/// Bytes of an ordinary answer.
const ANSWER_LIMIT: usize = 64 << 20;
/// Bytes of an answer that lists the registry, or is a state.
const REGISTRY_LIMIT: usize = 2 << 30;
/// Bytes of an error that are read.
const ERROR_LIMIT: usize = 1 << 20;
/// SSZ, or JSON from a node that has no SSZ.
const EITHER: &str = "application/octet-stream;q=1.0,application/json;q=0.9";

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientConfig {
    /// For an ordinary answer, from the call to its last byte.
    pub timeout: Duration,
    /// For a state or the registry.
    pub download_timeout: Duration,
    /// For the next byte of an event stream; nodes send comments when nothing happens.
    pub event_idle: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            download_timeout: Duration::from_secs(300),
            event_idle: Duration::from_secs(90),
        }
    }
}

/// Client of one beacon node. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct BeaconClient {
    http: reqwest::Client,
    base: Arc<Url>,
    config: ClientConfig,
}

impl std::fmt::Debug for BeaconClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BeaconClient({})", self.name())
    }
}

/// A body with what its headers say.
struct Answer {
    endpoint: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What this client can read.
const NEWEST: ForkName = ForkName::Dvt;

impl BeaconClient {
    /// A client of the node at a URL such as `http://localhost:5052`; a path and credentials may be in it.
    pub fn new(url: &str, config: ClientConfig) -> Result<Self, ApiError> {
        let invalid = |reason: String| ApiError::Url { reason };
        let mut base = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        if !["http", "https"].contains(&base.scheme()) || base.host().is_none() {
            return Err(invalid("expected http://HOST:PORT or https://HOST:PORT".to_owned()));
        }
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let http = reqwest::Client::builder()
            .connect_timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("fresnel/", env!("CARGO_PKG_VERSION")))
            // A beacon node is a neighbour: a proxy of the environment is for the world outside.
            .no_proxy()
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            http,
            base: Arc::new(base),
            config,
        })
    }

    /// The same with another timeout of ordinary answers.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            config: ClientConfig { timeout, ..self.config },
            ..self.clone()
        }
    }

    /// The node's URL without credentials, for logs.
    pub fn name(&self) -> String {
        let mut shown = Url::clone(&self.base);
        // These fail only for URLs without a host, which `new` refuses.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.as_str().trim_end_matches('/').to_owned()
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> Result<RequestBuilder, ApiError> {
        let mut url = self.base.join(path).map_err(|error| ApiError::Url {
            reason: format!("{path}: {error}"),
        })?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, url).timeout(self.config.timeout))
    }

    /// Sends a request; an answer that is not a success is an error.
    async fn send(&self, method: &Method, path: &str, request: RequestBuilder) -> Result<Response, ApiError> {
        let endpoint = || format!("{method} {}/{path}", self.name());
        let response = request
            .send()
            .await
            .map_err(|error| ApiError::transport(endpoint(), error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        // An answer that is not of the Beacon API (a proxy's, say) is shown by its beginning.
        let body = read_body(response, &endpoint(), ERROR_LIMIT).await.unwrap_or_default();
        let message = serde_json::from_slice(&body).unwrap_or_else(|_| {
            let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
            ErrorMessage::new(status.as_u16(), text)
        });
        Err(ApiError::Status {
            endpoint: endpoint(),
            status: status.as_u16(),
            message: message.message,
            failures: message.failures.unwrap_or_default(),
        })
    }

    async fn get(&self, path: &str, query: &[(&str, String)], accept: &str, limit: usize) -> Result<Answer, ApiError> {
        let mut request = self
            .request(Method::GET, path, query)?
            .header(ACCEPT, accept)
            .header(CONSENSUS_VERSION_HEADER, NEWEST.as_str());
        if limit > ANSWER_LIMIT {
            request = request.timeout(self.config.download_timeout);
        }
        let response = self.send(&Method::GET, path, request).await?;
        let endpoint = format!("GET {}/{path}", self.name());
        Ok(Answer {
            headers: response.headers().clone(),
            body: read_body(response, &endpoint, limit).await?,
            endpoint,
        })
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, ApiError> {
        self.get(path, query, JSON, ANSWER_LIMIT).await?.json()
    }

    /// A container in SSZ, or in JSON from a node that has no SSZ.
    async fn get_versioned<T: ForkVersioned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Versioned<T>, ApiError> {
        let answer = self.get(path, query, EITHER, limit).await?;
        if !answer.is_ssz() {
            return Versioned::from_json(&answer.body).map_err(|error| answer.unreadable(error));
        }
        let fork = answer.fork()?;
        let data = T::from_ssz_bytes_by_fork(&answer.body, fork)
            .map_err(|error| answer.unreadable(format!("SSZ of {fork}: {error:?}")))?;
        Ok(Versioned::new(fork, data))
    }

    async fn post(&self, path: &str, query: &[(&str, String)], body: Body) -> Result<Response, ApiError> {
        let mut request = self
            .request(Method::POST, path, query)?
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, body.media_type)
            .body(body.bytes);
        if let Some(fork) = body.fork {
            request = request.header(CONSENSUS_VERSION_HEADER, fork.as_str());
        }
        if let Some(timeout) = body.timeout {
            request = request.timeout(timeout);
        }
        self.send(&Method::POST, path, request).await
    }

    async fn post_json<B: Serialize + ?Sized>(&self, path: &str, body: &B) -> Result<Response, ApiError> {
        self.post(path, &[], Body::json(body)?).await
    }

    /// Sends a list, unless it is empty.
    async fn post_list<B: Serialize>(&self, path: &str, list: &[B]) -> Result<(), ApiError> {
        if !list.is_empty() {
            self.post_json(path, list).await?;
        }
        Ok(())
    }

    /// Sends a list whose items differ between forks, unless it is empty.
    async fn post_versioned_list<B: Serialize + ForkVersioned>(&self, path: &str, list: &[B]) -> Result<(), ApiError> {
        let Some(fork) = list.first().map(ForkVersioned::fork_name) else {
            return Ok(());
        };
        if list.iter().any(|item| item.fork_name() != fork) {
            return Err(ApiError::MixedForks);
        }
        self.post(path, &[], Body::json(list)?.of(fork)).await?;
        Ok(())
    }

    /// Sends a body and reads an answer of at most `limit` bytes.
    async fn post_for_json<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        limit: usize,
    ) -> Result<T, ApiError> {
        let mut body = Body::json(body)?;
        if limit > ANSWER_LIMIT {
            body.timeout = Some(self.config.download_timeout);
        }
        let response = self.post(path, &[], body).await?;
        let endpoint = format!("POST {}/{path}", self.name());
        Answer {
            headers: response.headers().clone(),
            body: read_body(response, &endpoint, limit).await?,
            endpoint,
        }
        .json()
    }
}

/// What a request carries.
struct Body {
    media_type: &'static str,
    bytes: Vec<u8>,
    fork: Option<ForkName>,
    timeout: Option<Duration>,
}

impl Body {
    fn json<B: Serialize + ?Sized>(body: &B) -> Result<Self, ApiError> {
        Ok(Self {
            media_type: JSON,
            bytes: serde_json::to_vec(body).map_err(|error| ApiError::Request {
                reason: error.to_string(),
            })?,
            fork: None,
            timeout: None,
        })
    }

    fn ssz(bytes: Vec<u8>) -> Self {
        Self {
            media_type: SSZ,
            bytes,
            fork: None,
            timeout: None,
        }
    }

    fn of(self, fork: ForkName) -> Self {
        Self {
            fork: Some(fork),
            ..self
        }
    }
}

impl Answer {
    fn unreadable(&self, reason: impl std::fmt::Display) -> ApiError {
        ApiError::Body {
            endpoint: self.endpoint.clone(),
            reason: reason.to_string(),
        }
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(error))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn is_ssz(&self) -> bool {
        self.header(CONTENT_TYPE.as_str())
            .is_some_and(|media_type| media_type.starts_with(SSZ))
    }

    fn fork(&self) -> Result<ForkName, ApiError> {
        self.header(CONSENSUS_VERSION_HEADER)
            .ok_or_else(|| self.unreadable(format!("header {CONSENSUS_VERSION_HEADER} is missing")))?
            .parse()
            .map_err(|error| self.unreadable(format!("header {CONSENSUS_VERSION_HEADER}: {error}")))
    }

    fn is_blinded(&self) -> Result<bool, ApiError> {
        match self.header(BLINDED_HEADER) {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            found => Err(self.unreadable(format!("header {BLINDED_HEADER} is {found:?}, expected true or false"))),
        }
    }
}

async fn read_body(mut response: Response, endpoint: &str, limit: usize) -> Result<Vec<u8>, ApiError> {
    let too_large = || ApiError::TooLarge {
        endpoint: endpoint.to_owned(),
        limit,
    };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ApiError::transport(endpoint.to_owned(), error))?
    {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// None if the node does not have what was asked for.
fn found<T>(result: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(ApiError::Status { status, .. }) if status == StatusCode::NOT_FOUND.as_u16() => Ok(None),
        Err(error) => Err(error),
    }
}
