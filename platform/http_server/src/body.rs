//! Bodies of requests, within limits.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use futures::StreamExt as _;
use std::time::Duration;

/// A body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than what is taken.
    #[error("a body has at most {limit} bytes here")]
    TooLarge {
        /// Bytes.
        limit: usize,
    },
    /// It was not complete in time.
    #[error("the body was not complete within {} ms", limit.as_millis())]
    TooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// The connection has failed, or what came on it is not HTTP.
    #[error("the body broke off: {0}")]
    Broken(#[source] axum::Error),
}

impl BodyError {
    /// What the caller is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body of at most `limit` bytes that is complete within `time`. One that says of itself that it is larger is not
/// read at all.
pub async fn read_body(body: Body, limit: usize, time: Duration) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    // With a Content-Length this is the exact size.
    let least = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if least > limit {
        return Err(too_large);
    }
    let read = async {
        let mut bytes = Vec::with_capacity(least);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(BodyError::Broken)?;
            if chunk.len() > limit - bytes.len() {
                return Err(too_large);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    };
    tokio::time::timeout(time, read)
        .await
        .map_err(|_| BodyError::TooSlow { limit: time })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use std::convert::Infallible;

    const LONG: Duration = Duration::from_secs(60);

    fn in_chunks(chunks: &[&'static [u8]]) -> Body {
        let chunks: Vec<Result<&[u8], Infallible>> = chunks.iter().map(|chunk| Ok(*chunk)).collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let read = async |body: Body| read_body(body, 4, LONG).await;
        assert_eq!(read(Body::empty()).await.unwrap(), "");
        assert_eq!(read(Body::from("1234")).await.unwrap(), "1234");
        assert_eq!(read(in_chunks(&[b"12", b"34"])).await.unwrap(), "1234");
        for body in [Body::from("12345"), in_chunks(&[b"12", b"345"]), in_chunks(&[b"12345"])] {
            let error = read(body).await.unwrap_err();
            assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert!(error.to_string().contains("at most 4 bytes"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_not_waited_for() {
        let first = stream::iter([Ok::<_, Infallible>("12")]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let error = read_body(body, 4, Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
