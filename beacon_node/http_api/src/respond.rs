//! Bodies of answers: JSON, or SSZ for those who prefer it.

use crate::ApiFailure;
use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use beacon_api::{CONSENSUS_VERSION_HEADER, Data, JSON, Located, SSZ, Versioned, accepts_ssz};
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

/// Whether the reader of the answer would rather have SSZ.
pub(crate) fn prefers_ssz(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(accepts_ssz)
}

/// An answer whose layout depends on the fork, in SSZ or JSON by the request's `Accept`, with `Eth-Consensus-Version`.
/// `T` of the answer is what SSZ sends.
pub(crate) fn json_or_ssz<T: Serialize + Encode>(headers: &HeaderMap, answer: &Versioned<T>) -> Answer {
    let response = if prefers_ssz(headers) {
        ssz(answer.data.as_ssz_bytes())
    } else {
        json(answer)?
    };
    Ok(with_version(response, answer.version))
}

/// A JSON answer whose layout depends on the fork, with `Eth-Consensus-Version`.
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
