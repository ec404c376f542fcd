//! Bodies of answers: JSON, or SSZ for those who prefer it.

use crate::ApiFailure;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use beacon_api::{CONSENSUS_VERSION_HEADER, Data, JSON, Located, SSZ, Versioned, accepts, accepts_ssz};
use serde::Serialize;
use ssz::Encode;
use types::ForkName;

/// The result of a handler.
pub(crate) type Answer = Result<Response, ApiFailure>;

fn body(media_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub(crate) fn json_body<T: Serialize + ?Sized>(value: &T) -> Result<Response, serde_json::Error> {
    Ok(body(JSON, serde_json::to_vec(value)?))
}

pub(crate) fn with_status(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
}

/// A JSON body exactly as given.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Answer {
    json_body(value).map_err(|error| ApiFailure::internal(format!("cannot write the answer: {error}")))
}

/// A JSON body `{"data": ...}`.
pub(crate) fn json_data<T: Serialize>(data: T) -> Answer {
    json(&Data { data })
}

/// A JSON body with where it was read from.
pub(crate) fn json_located<T: Serialize>(execution_optimistic: bool, finalized: bool, data: T) -> Answer {
    json(&Located {
        execution_optimistic,
        finalized,
        data,
    })
}

/// An empty answer: it worked.
pub(crate) fn done() -> Answer {
    Ok(Response::new(Body::empty()))
}

/// An SSZ body.
pub(crate) fn ssz(bytes: Vec<u8>) -> Response {
    body(SSZ, bytes)
}

/// What the reader of an answer understands, by the headers of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Understands {
    prefers_ssz: bool,
    takes_json: bool,
    /// The newest fork that the reader says it knows.
    fork: ForkName,
}

impl<S: Send + Sync> FromRequestParts<S> for Understands {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiFailure> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Self {
            prefers_ssz: all(&parts.headers, ACCEPT).any(accepts_ssz),
            takes_json: takes(&parts.headers, JSON),
            // Whoever names none, or one that this node does not know, knows the public ones.
            fork: text(CONSENSUS_VERSION_HEADER)
                .and_then(|name| name.parse().ok())
                .unwrap_or(ForkName::Fulu),
        })
    }
}

impl Understands {
    /// The fork under whose name JSON of `fork` is sent: containers of this fork have all fields of the public fork
    /// before, and who does not know the others does not see them.
    pub(crate) fn name(self, fork: ForkName) -> ForkName {
        match self.fork {
            ForkName::Fulu => ForkName::Fulu,
            ForkName::Dvt => fork,
        }
    }

    /// Whether a container of `fork` is sent in SSZ. Whoever does not know the layout gets JSON, if there is a choice.
    pub(crate) fn wants_ssz(self, fork: ForkName) -> bool {
        self.prefers_ssz && (self.name(fork) == fork || !self.takes_json)
    }

    /// An answer whose layout depends on the fork, in SSZ or JSON, with `Eth-Consensus-Version`. `T` is what SSZ sends.
    pub(crate) fn json_or_ssz<T: Serialize + Encode>(self, answer: Versioned<T>) -> Answer {
        if self.wants_ssz(answer.version) {
            return Ok(with_version(ssz(answer.data.as_ssz_bytes()), answer.version));
        }
        self.json(answer)
    }

    /// A JSON answer whose layout depends on the fork, with `Eth-Consensus-Version`.
    pub(crate) fn json<T: Serialize>(self, answer: Versioned<T>) -> Answer {
        json_versioned(&Versioned {
            version: self.name(answer.version),
            ..answer
        })
    }

    /// As [`Self::json_or_ssz`], under the name of its fork in any case.
    pub(crate) fn to_be_signed<T: Serialize + Encode>(self, answer: Versioned<T>) -> Answer {
        if self.prefers_ssz {
            return Ok(with_version(ssz(answer.data.as_ssz_bytes()), answer.version));
        }
        json_versioned(&answer)
    }

    /// An answer whose layout is the same in all forks, in SSZ or JSON.
    pub(crate) fn of_any_fork<J: Serialize, T: Encode>(self, answer: &J, data: &T) -> Answer {
        if self.prefers_ssz {
            return Ok(ssz(data.as_ssz_bytes()));
        }
        json(answer)
    }
}

fn all(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
}

/// Whether the reader takes a media type. Whoever says nothing takes what comes.
pub(crate) fn takes(headers: &HeaderMap, media_type: &str) -> bool {
    !headers.contains_key(ACCEPT) || all(headers, ACCEPT).any(|accept| accepts(accept, media_type))
}

/// Whether the reader of the answer would rather have SSZ.
pub(crate) fn prefers_ssz(headers: &HeaderMap) -> bool {
    all(headers, ACCEPT).any(accepts_ssz)
}

/// A JSON answer of exactly this fork, with `Eth-Consensus-Version`.
pub(crate) fn json_versioned<T: Serialize>(answer: &Versioned<T>) -> Answer {
    Ok(with_version(json(answer)?, answer.version))
}

/// Adds `Eth-Consensus-Version`.
pub(crate) fn with_version(response: Response, fork: ForkName) -> Response {
    with_header(response, CONSENSUS_VERSION_HEADER, fork.as_str())
}

/// Adds a header. Text that no header can carry is left out.
pub(crate) fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        response.headers_mut().insert(name, value);
    }
    response
}
