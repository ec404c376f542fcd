//! Bodies of requests.

use crate::ApiFailure;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use beacon_api::{CONSENSUS_VERSION_HEADER, Failure, JSON, SSZ, from_json_of_either};
use serde::de::DeserializeOwned;
use serde_json::Value;
use types::{ForkName, ForkVersioned};

/// A body with what the headers say about it. Its size is limited by the server.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// What was sent.
    pub(crate) bytes: Bytes,
    /// Whether it is SSZ; otherwise JSON.
    pub(crate) is_ssz: bool,
    /// `Eth-Consensus-Version`.
    pub(crate) fork: Option<ForkName>,
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
        let fork = match text(CONSENSUS_VERSION_HEADER) {
            Some(name) => Some(
                name.parse()
                    .map_err(|error| ApiFailure::bad_request(format!("header {CONSENSUS_VERSION_HEADER}: {error}")))?,
            ),
            None => None,
        };
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
    pub(crate) fn required_fork(&self) -> Result<ForkName, ApiFailure> {
        self.fork
            .ok_or_else(|| ApiFailure::bad_request(format!("header {CONSENSUS_VERSION_HEADER} is missing")))
    }

    /// Reads a container in SSZ or JSON, in the layout of the fork that the header names. Without the header, JSON
    /// is read in the layout that fits, SSZ is refused.
    pub(crate) fn versioned<T: ForkVersioned>(&self) -> Result<T, ApiFailure> {
        if self.is_ssz {
            let fork = self.required_fork()?;
            return T::from_ssz_bytes_by_fork(&self.bytes, fork)
                .map_err(|error| unreadable(format!("SSZ of {fork}: {error:?}")));
        }
        let value = serde_json::from_slice(&self.bytes).map_err(unreadable)?;
        match self.fork {
            Some(fork) => T::from_json_by_fork(value, fork),
            None => from_json_of_either(value),
        }
        .map_err(unreadable)
    }

    /// Reads a list of messages in JSON whose layout is the same in all forks. The error names the items that cannot be
    /// read.
    pub(crate) fn json_list<T: DeserializeOwned>(&self) -> Result<Vec<T>, ApiFailure> {
        self.list(serde_json::from_value)
    }

    /// As [`Self::json_list`], in the layout of the fork that the header names, or else in the layout that fits.
    pub(crate) fn versioned_list<T: ForkVersioned>(&self) -> Result<Vec<T>, ApiFailure> {
        self.list(|value| match self.fork {
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
