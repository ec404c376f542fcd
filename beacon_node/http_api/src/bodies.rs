//! What bodies of requests may take together: time, memory, threads.

use crate::ApiFailure;
use axum::body::{Body, Bytes, HttpBody as _};
use http_server::{BodyError, read_body};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How large a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeLimits {
    /// Bytes.
    pub(crate) bytes: usize,
    /// Values in one list of it, in JSON. In SSZ the bytes limit them: no item has fewer than a hundred.
    pub(crate) list_values: Option<usize>,
}

/// Lists and single operations: five thousand aggregates, or the indices of a quarter of a million validators.
pub(crate) const OPERATIONS: SizeLimits = SizeLimits {
    bytes: 8 << 20,
    list_values: Some(262_144),
};

/// A block with blobs and proofs, in hexadecimal digits twice as large as in SSZ. Its types limit its lists.
pub(crate) const BLOCKS: SizeLimits = SizeLimits {
    bytes: 32 << 20,
    list_values: None,
};

/// Up to this size bodies are not counted and are decoded where they arrive. There is one for each connection at most: 32
/// MiB for 512.
const SMALL_BYTES: usize = 64 << 10;
/// How deep JSON may be nested. The decoder stops there in any case.
const MAX_DEPTH: usize = 128;

/// What bodies of requests may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyLimits {
    /// How long a body may take until it is complete.
    pub time: Duration,
    /// Bytes of all larger bodies that are read or worked on at once; at least those of the largest body, 32 MiB.
    pub bytes_at_once: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(20),
            bytes_at_once: 256 << 20,
        }
    }
}

impl From<BodyError> for ApiFailure {
    fn from(error: BodyError) -> Self {
        Self::new(error.status(), error)
    }
}

/// Receives and decodes bodies.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    time: Duration,
    bytes: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
}

impl Bodies {
    /// `decoders` is how many large bodies are decoded at once.
    pub(crate) fn new(limits: &BodyLimits, decoders: usize) -> Self {
        Self {
            time: limits.time,
            bytes: Arc::new(Semaphore::new(limits.bytes_at_once)),
            decoders: Arc::new(Semaphore::new(decoders)),
        }
    }

    /// Reads a body. What it takes of the memory for all is free again when the second value is dropped.
    pub(crate) async fn receive(
        &self,
        body: Body,
        limit: usize,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiFailure> {
        let begun = Instant::now();
        // One that does not say how large it is may become as large as may be.
        let size = body.size_hint().exact().unwrap_or(limit as u64);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(BodyError::TooLarge { limit }.into());
        }
        let share = if size > SMALL_BYTES {
            Some(self.share(size).await?)
        } else {
            None
        };
        let bytes = read_body(body, limit, self.time.saturating_sub(begun.elapsed())).await?;
        Ok((bytes, share))
    }

    async fn share(&self, size: usize) -> Result<OwnedSemaphorePermit, ApiFailure> {
        let count = u32::try_from(size).map_err(ApiFailure::internal)?;
        let share = Arc::clone(&self.bytes).acquire_many_owned(count);
        match tokio::time::timeout(self.time, share).await {
            Ok(share) => share.map_err(ApiFailure::unavailable),
            Err(_) => Err(ApiFailure::unavailable(format!(
                "too many large bodies are being read: there was no room for {size} bytes more within {} ms",
                self.time.as_millis()
            ))),
        }
    }

    /// Decodes a body of a size: a large one on a thread of its own, few at a time.
    pub(crate) async fn decode<T, F>(&self, size: usize, read: F) -> Result<T, ApiFailure>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ApiFailure> + Send + 'static,
    {
        if size <= SMALL_BYTES {
            return read();
        }
        let turn = Arc::clone(&self.decoders).acquire_owned().await;
        let turn = turn.map_err(ApiFailure::unavailable)?;
        // It ends in any case, and the turn with it, though the caller may have hung up.
        let decoded = tokio::task::spawn_blocking(move || {
            let decoded = read();
            drop(turn);
            decoded
        });
        decoded.await.map_err(ApiFailure::internal)?
    }
}

/// Refuses JSON with too long a list before anything is made of it. Whether it is JSON at all the decoder finds out.
pub(crate) fn check_lists(json: &[u8], most: usize) -> Result<(), ApiFailure> {
    // Values of each list or object that is open.
    let mut open: Vec<usize> = Vec::new();
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' if open.len() == MAX_DEPTH => {
                return Err(ApiFailure::bad_request(format!(
                    "the body is nested deeper than {MAX_DEPTH} levels"
                )));
            }
            b'[' | b'{' => open.push(1),
            b']' | b'}' => {
                open.pop();
            }
            b',' => {
                if let Some(values) = open.last_mut() {
                    *values = values.saturating_add(1);
                    if *values > most {
                        return Err(ApiFailure::bad_request(format!(
                            "the body has a list of more than {most} values"
                        )));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// From behind the first quotation mark of a string to behind its last.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use futures::stream;
    use std::convert::Infallible;

    #[test]
    fn values_are_counted_list_by_list_and_not_in_strings() {
        for within in [
            "",
            "1",
            "[]",
            "[1,2,3]",
            "[[1,2,3],[1,2,3],[1,2,3]]",
            r#"[{"a":1,"b":[1,2],"c":"]"},2,3]"#,
            r#"["1,2,3,4","\",,,,","\\"]"#,
            "1,2,3,4",
            "]]]",
            "\"",
        ] {
            assert!(check_lists(within.as_bytes(), 3).is_ok(), "{within}");
        }
        for beyond in [
            "[1,2,3,4]",
            "[1,2,3,4",
            "[[],[],[1,2,3,4]]",
            r#"{"ids":["1","2","3","4"]}"#,
            r#"["\\",2,3,4]"#,
            r#"[[1],{"a":[]},"x",[2]]"#,
        ] {
            let error = check_lists(beyond.as_bytes(), 3).unwrap_err();
            assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{beyond}");
            assert!(error.message().contains("more than 3 values"), "{}", error.message());
        }
        assert!(check_lists("[".repeat(MAX_DEPTH).as_bytes(), 3).is_ok());
        assert!(check_lists("[".repeat(MAX_DEPTH + 1).as_bytes(), 3).is_err());
    }

    fn bodies(time_ms: u64, bytes_at_once: usize) -> Bodies {
        let limits = BodyLimits {
            time: Duration::from_millis(time_ms),
            bytes_at_once,
        };
        Bodies::new(&limits, 1)
    }

    #[tokio::test]
    async fn large_bodies_share_a_budget_and_wait_for_it_as_long_as_a_body_may_take() {
        let bodies = bodies(100, 2 * OPERATIONS.bytes);
        let large = || Body::from(vec![b' '; OPERATIONS.bytes]);
        let unknown = || Body::from_stream(stream::iter([Ok::<_, Infallible>("1")]));
        let first = bodies.receive(large(), OPERATIONS.bytes).await.unwrap();
        let second = bodies.receive(unknown(), OPERATIONS.bytes).await.unwrap();
        assert_eq!(second.0, "1", "its size was not known, so it counts as the largest");
        for body in [large(), unknown()] {
            let error = bodies.receive(body, OPERATIONS.bytes).await.unwrap_err();
            assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        let small = bodies.receive(Body::from("[]"), OPERATIONS.bytes).await.unwrap();
        assert!(small.1.is_none(), "a small one has room in any case");
        drop(second);
        bodies.receive(large(), OPERATIONS.bytes).await.unwrap();
        drop(first);
    }

    #[tokio::test]
    async fn a_body_that_waits_gets_the_room_of_one_that_is_done() {
        let bodies = bodies(60_000, OPERATIONS.bytes);
        let large = || Body::from(vec![b' '; OPERATIONS.bytes]);
        let first = bodies.receive(large(), OPERATIONS.bytes).await.unwrap();
        let (second, ()) = tokio::join!(bodies.receive(large(), OPERATIONS.bytes), async { drop(first) });
        second.unwrap();
    }

    #[tokio::test]
    async fn a_large_body_is_decoded_on_another_thread_and_one_at_a_time() {
        let bodies = bodies(1_000, OPERATIONS.bytes);
        let here = std::thread::current().id();
        let thread = || Ok(std::thread::current().id());
        assert_eq!(bodies.decode(SMALL_BYTES, thread).await.unwrap(), here);
        assert_ne!(bodies.decode(SMALL_BYTES + 1, thread).await.unwrap(), here);
        let running = Arc::new(Semaphore::new(1));
        let alone = || {
            let running = Arc::clone(&running);
            move || {
                let alone = running.try_acquire();
                // Work during which others would begin.
                std::thread::sleep(Duration::from_millis(5));
                Ok(alone.is_ok())
            }
        };
        let decode = || bodies.decode(SMALL_BYTES + 1, alone());
        let outcomes = tokio::join!(decode(), decode(), decode(), decode());
        let outcomes = [outcomes.0, outcomes.1, outcomes.2, outcomes.3];
        assert!(outcomes.into_iter().all(Result::unwrap));
    }
}
