//! Bodies of requests.

use crate::ApiFailure;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use beacon_api::{CONSENSUS_VERSION_HEADER, Failure, JSON, SSZ, from_json_of_either, list_from_ssz_by_fork};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ssz::Decode;
use types::{ForkName, ForkVersioned};

/// The named parts of a path. What is no text is refused in the form of the API.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiFailure> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(inner)| Self(inner))
            .map_err(|rejection| ApiFailure::new(rejection.status(), rejection.body_text()))
    }
}

/// A body with what the headers say about it. Its size is limited by the server.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// What was sent.
    pub(crate) bytes: Bytes,
    /// Whether it is SSZ; otherwise JSON.
    pub(crate) is_ssz: bool,
    /// `Eth-Consensus-Version`, or what is wrong with it.
    fork: Result<Option<ForkName>, String>,
}

impl<S: Send + Sync> FromRequest<S> for RequestBody {
    type Rejection = ApiFailure;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiFailure> {
        let headers = request.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_ssz = match text(CONTENT_TYPE.as_str())
            .map(|media_type| media_type.split(';').next().unwrap_or_default().trim())
        {
            Some(media_type) if media_type.eq_ignore_ascii_case(SSZ) => true,
            Some(media_type) if media_type.eq_ignore_ascii_case(JSON) => false,
            None => false,
            Some(_) => {
                return Err(ApiFailure::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    format!("content type, expected {JSON} or {SSZ}"),
                ));
            }
        };
        let fork = text(CONSENSUS_VERSION_HEADER)
            .map(|name| {
                name.parse()
                    .map_err(|error| format!("header {CONSENSUS_VERSION_HEADER}: {error}"))
            })
            .transpose();
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| ApiFailure::new(rejection.status(), rejection.body_text()))?;
        Ok(Self { bytes, is_ssz, fork })
    }
}

fn unreadable(error: impl std::fmt::Display) -> ApiFailure {
    ApiFailure::bad_request(format!("cannot read the body: {error}"))
}

impl RequestBody {
    fn expect_json(&self) -> Result<(), ApiFailure> {
        if self.is_ssz {
            return Err(ApiFailure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("this endpoint takes {JSON}"),
            ));
        }
        Ok(())
    }

    /// Reads JSON whose layout is the same in all forks.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiFailure> {
        self.expect_json()?;
        serde_json::from_slice(&self.bytes).map_err(unreadable)
    }

    /// Reads JSON that may be missing.
    pub(crate) fn optional_json<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiFailure> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        self.json().map(Some)
    }

    /// The fork that the header names; its absence is an error.
    fn required_fork(&self) -> Result<ForkName, String> {
        self.fork
            .clone()?
            .ok_or_else(|| format!("header {CONSENSUS_VERSION_HEADER} is missing"))
    }

    /// Reads a container in SSZ or JSON, in the layout of the fork that the header names. Without the header, JSON
    /// is read in the layout that fits, SSZ is refused.
    pub(crate) fn versioned<T: ForkVersioned>(&self) -> Result<T, ApiFailure> {
        if self.is_ssz {
            let fork = self.required_fork().map_err(ApiFailure::bad_request)?;
            return T::from_ssz_bytes_by_fork(&self.bytes, fork)
                .map_err(|error| unreadable(format!("SSZ of {fork}: {error:?}")));
        }
        let value = serde_json::from_slice(&self.bytes).map_err(unreadable)?;
        match self.fork.as_ref().map_err(ApiFailure::bad_request)? {
            Some(fork) => T::from_json_by_fork(value, *fork),
            None => from_json_of_either(value),
        }
        .map_err(unreadable)
    }

    /// Reads a list of messages in JSON whose layout is the same in all forks. The error names the items that cannot be
    /// read.
    pub(crate) fn json_list<T: DeserializeOwned>(&self) -> Result<Vec<T>, ApiFailure> {
        self.list(serde_json::from_value)
    }

    /// Reads a list in JSON, or in SSZ, where an empty body is an empty list.
    pub(crate) fn json_or_ssz_list<T: DeserializeOwned + Decode>(&self) -> Result<Vec<T>, ApiFailure> {
        if self.is_ssz {
            return Vec::from_ssz_bytes(&self.bytes).map_err(|error| unreadable(format!("SSZ: {error:?}")));
        }
        self.json()
    }

    /// As [`Self::json_list`] or in SSZ, in the layout of the fork that the header names. Without the header, JSON is
    /// read in the layout that fits, SSZ is refused.
    /// `item_bytes` is the length of an item in SSZ if all have the same.
    pub(crate) fn versioned_list<T: ForkVersioned>(
        &self,
        item_bytes: impl Fn(ForkName) -> Option<usize>,
    ) -> Result<Vec<T>, ApiFailure> {
        if self.is_ssz {
            let fork = self
                .required_fork()
                .map_err(|error| ApiFailure::unreadable_list(error, Vec::new()))?;
            return list_from_ssz_by_fork(&self.bytes, fork, item_bytes(fork)).map_err(|error| {
                ApiFailure::unreadable_list(format!("cannot read the body: SSZ of {fork}: {error:?}"), Vec::new())
            });
        }
        let fork = self
            .fork
            .as_ref()
            .map_err(|error| ApiFailure::unreadable_list(error, Vec::new()))?;
        self.list(|value| match *fork {
            Some(fork) => T::from_json_by_fork(value, fork),
            None => from_json_of_either(value),
        })
    }

    fn list<T>(&self, read: impl Fn(Value) -> Result<T, serde_json::Error>) -> Result<Vec<T>, ApiFailure> {
        self.expect_json()?;
        let values: Vec<Value> = serde_json::from_slice(&self.bytes)
            .map_err(|error| ApiFailure::unreadable_list(format!("cannot read the body: {error}"), Vec::new()))?;
        let mut items = Vec::with_capacity(values.len());
        let mut failures = Vec::new();
        for (index, value) in (0u64..).zip(values) {
            match read(value) {
                Ok(item) => items.push(item),
                Err(error) => failures.push(Failure {
                    index,
                    message: error.to_string(),
                }),
            }
        }
        match failures.first() {
            None => Ok(items),
            Some(Failure { index, message }) => {
                let message = format!("cannot read the body: item {index}: {message}");
                Err(ApiFailure::unreadable_list(message, failures))
            }
        }
    }
}
