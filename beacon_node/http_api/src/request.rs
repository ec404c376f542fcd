//! Bodies of requests.

use crate::ApiFailure;
use crate::bodies::{BLOCKS, Bodies, OPERATIONS, SizeLimits, check_lists};
use crate::error::Failures;
use crate::locate::Reader;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use beacon_api::{CONSENSUS_VERSION_HEADER, JSON, SSZ, from_json_of_either, list_from_ssz_by_fork};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use ssz::Decode;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use types::{ForkName, ForkVersioned, Preset};

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

/// The body of a request with lists or operations. It counts among those that are worked on until it is dropped.
#[derive(Debug)]
pub(crate) struct RequestBody {
    encoded: Encoded,
    bodies: Bodies,
    _share: Option<OwnedSemaphorePermit>,
}

/// The body of a request that hands in a block.
#[derive(Debug)]
pub(crate) struct BlockBody(RequestBody);

/// A body with what the headers say about it. Cheap to clone.
#[derive(Debug, Clone)]
struct Encoded {
    /// What was sent.
    bytes: Bytes,
    /// Whether it is SSZ; otherwise JSON.
    is_ssz: bool,
    /// `Eth-Consensus-Version`, or what is wrong with it.
    fork: Result<Option<ForkName>, String>,
    limits: SizeLimits,
}

impl<P: Preset> FromRequest<Arc<Reader<P>>> for RequestBody {
    type Rejection = ApiFailure;

    async fn from_request(request: Request, reader: &Arc<Reader<P>>) -> Result<Self, ApiFailure> {
        Self::receive(request, &reader.bodies, OPERATIONS).await
    }
}

impl<P: Preset> FromRequest<Arc<Reader<P>>> for BlockBody {
    type Rejection = ApiFailure;

    async fn from_request(request: Request, reader: &Arc<Reader<P>>) -> Result<Self, ApiFailure> {
        RequestBody::receive(request, &reader.bodies, BLOCKS).await.map(Self)
    }
}

impl BlockBody {
    /// As [`RequestBody::versioned`].
    pub(crate) async fn versioned<T: ForkVersioned + Send + 'static>(&self) -> Result<T, ApiFailure> {
        self.0.versioned().await
    }
}

fn unreadable(error: impl std::fmt::Display) -> ApiFailure {
    ApiFailure::bad_request(format!("cannot read the body: {error}"))
}

impl RequestBody {
    async fn receive(request: Request, bodies: &Bodies, limits: SizeLimits) -> Result<Self, ApiFailure> {
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
        let (bytes, share) = bodies.receive(request.into_body(), limits.bytes).await?;
        Ok(Self {
            encoded: Encoded {
                bytes,
                is_ssz,
                fork,
                limits,
            },
            bodies: bodies.clone(),
            _share: share,
        })
    }

    async fn decode<T, F>(&self, read: F) -> Result<T, ApiFailure>
    where
        T: Send + 'static,
        F: FnOnce(&Encoded) -> Result<T, ApiFailure> + Send + 'static,
    {
        let encoded = self.encoded.clone();
        self.bodies
            .decode(self.encoded.bytes.len(), move || read(&encoded))
            .await
    }

    /// Reads JSON whose layout is the same in all forks.
    pub(crate) async fn json<T: DeserializeOwned + Send + 'static>(&self) -> Result<T, ApiFailure> {
        self.decode(Encoded::json).await
    }

    /// Reads JSON that may be missing.
    pub(crate) async fn optional_json<T: DeserializeOwned + Send + 'static>(&self) -> Result<Option<T>, ApiFailure> {
        if self.encoded.bytes.is_empty() {
            return Ok(None);
        }
        self.json().await.map(Some)
    }

    /// Reads a container in SSZ or JSON, in the layout of the fork that the header names. Without the header, JSON
    /// is read in the layout that fits, SSZ is refused.
    pub(crate) async fn versioned<T: ForkVersioned + Send + 'static>(&self) -> Result<T, ApiFailure> {
        self.decode(Encoded::versioned).await
    }

    /// Reads a list of messages in JSON whose layout is the same in all forks. The error names the items that cannot be
    /// read.
    pub(crate) async fn json_list<T: DeserializeOwned + Send + 'static>(&self) -> Result<Vec<T>, ApiFailure> {
        let read = |encoded: &Encoded| encoded.list(|json| serde_json::from_str(json));
        self.decode(read).await.map_err(ApiFailure::of_a_list)
    }

    /// Reads a list in JSON, or in SSZ, where an empty body is an empty list.
    pub(crate) async fn json_or_ssz_list<T: DeserializeOwned + Decode + Send + 'static>(
        &self,
    ) -> Result<Vec<T>, ApiFailure> {
        self.decode(|encoded| {
            if encoded.is_ssz {
                return Vec::from_ssz_bytes(&encoded.bytes).map_err(|error| unreadable(format!("SSZ: {error:?}")));
            }
            encoded.json()
        })
        .await
    }

    /// As [`Self::json_list`] or in SSZ, in the layout of the fork that the header names. Without the header, JSON is
    /// read in the layout that fits, SSZ is refused.
    /// `item_bytes` is the length of an item in SSZ if all have the same.
    pub(crate) async fn versioned_list<T: ForkVersioned + Send + 'static>(
        &self,
        item_bytes: impl Fn(ForkName) -> Option<usize> + Send + 'static,
    ) -> Result<Vec<T>, ApiFailure> {
        self.decode(move |encoded| encoded.versioned_list(item_bytes))
            .await
            .map_err(ApiFailure::of_a_list)
    }
}

impl Encoded {
    /// The body as JSON, with lists that are not too long.
    fn text(&self) -> Result<&str, ApiFailure> {
        if self.is_ssz {
            return Err(ApiFailure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("this endpoint takes {JSON}"),
            ));
        }
        if let Some(most) = self.limits.list_values {
            check_lists(&self.bytes, most)?;
        }
        std::str::from_utf8(&self.bytes).map_err(unreadable)
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, ApiFailure> {
        serde_json::from_str(self.text()?).map_err(unreadable)
    }

    /// The fork that the header names; its absence is an error.
    fn required_fork(&self) -> Result<ForkName, ApiFailure> {
        self.named_fork()?
            .ok_or_else(|| ApiFailure::bad_request(format!("header {CONSENSUS_VERSION_HEADER} is missing")))
    }

    fn named_fork(&self) -> Result<Option<ForkName>, ApiFailure> {
        self.fork.clone().map_err(ApiFailure::bad_request)
    }

    fn versioned<T: ForkVersioned>(&self) -> Result<T, ApiFailure> {
        if self.is_ssz {
            let fork = self.required_fork()?;
            return T::from_ssz_bytes_by_fork(&self.bytes, fork)
                .map_err(|error| unreadable(format!("SSZ of {fork}: {error:?}")));
        }
        let text = self.text()?;
        match self.named_fork()? {
            Some(fork) => T::from_json_by_fork(text, fork),
            None => from_json_of_either(text),
        }
        .map_err(unreadable)
    }

    fn versioned_list<T: ForkVersioned>(
        &self,
        item_bytes: impl Fn(ForkName) -> Option<usize>,
    ) -> Result<Vec<T>, ApiFailure> {
        if self.is_ssz {
            let fork = self.required_fork()?;
            return list_from_ssz_by_fork(&self.bytes, fork, item_bytes(fork))
                .map_err(|error| unreadable(format!("SSZ of {fork}: {error:?}")));
        }
        let fork = self.named_fork()?;
        self.list(|json| match fork {
            Some(fork) => T::from_json_by_fork(json, fork),
            None => from_json_of_either(json),
        })
    }

    fn list<T>(&self, read: impl Fn(&str) -> Result<T, serde_json::Error>) -> Result<Vec<T>, ApiFailure> {
        let values: Vec<&RawValue> = serde_json::from_str(self.text()?).map_err(unreadable)?;
        let mut items = Vec::with_capacity(values.len());
        let mut failures = Failures::default();
        for (index, value) in (0u64..).zip(values) {
            match read(value.get()) {
                Ok(item) => items.push(item),
                Err(error) => failures.note(index, error),
            }
        }
        match failures.first() {
            None => Ok(items),
            Some(first) => {
                let message = format!("cannot read the body: item {}: {}", first.index, first.message);
                Err(ApiFailure::of_items(message, failures))
            }
        }
    }
}
