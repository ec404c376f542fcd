//! How many requests of one protocol a peer may have open here, over all its connections.

use super::protocol::{MAX_CONCURRENT_REQUESTS, Protocol};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests of a protocol that wait until one of those before them is answered. A requester takes an answer for complete
/// at its last chunk, and the next request may be here before the end of that stream is written.
const MAX_WAITING: usize = 1;
/// Requests of a protocol that are open at once.
pub(crate) const MAX_OPEN: usize = MAX_CONCURRENT_REQUESTS + MAX_WAITING;

/// The places of one peer; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<HashMap<Protocol, OfProtocol>>);

#[derive(Debug)]
struct OfProtocol {
    open: Arc<Semaphore>,
    served: Arc<Semaphore>,
}

/// A request that may be served when its turn comes.
#[derive(Debug)]
pub(crate) struct Admitted {
    open: OwnedSemaphorePermit,
    served: Arc<Semaphore>,
}

/// A request that is being served. Dropping it makes place for the next.
#[derive(Debug)]
pub(crate) struct Place {
    _open: OwnedSemaphorePermit,
    _served: Option<OwnedSemaphorePermit>,
}

impl Default for Places {
    fn default() -> Self {
        let of_protocol = |protocol| {
            let places = OfProtocol {
                open: Arc::new(Semaphore::new(MAX_OPEN)),
                served: Arc::new(Semaphore::new(MAX_CONCURRENT_REQUESTS)),
            };
            (protocol, places)
        };
        Self(Arc::new(Protocol::ALL.into_iter().map(of_protocol).collect()))
    }
}

impl Places {
    /// `None`: too many requests are open already.
    pub(crate) fn admit(&self, protocol: Protocol) -> Option<Admitted> {
        let places = self.0.get(&protocol)?;
        Some(Admitted {
            open: Arc::clone(&places.open).try_acquire_owned().ok()?,
            served: Arc::clone(&places.served),
        })
    }
}

impl Admitted {
    /// Waits while as many as the spec allows are served.
    pub(crate) async fn turn(self) -> Place {
        Place {
            _open: self.open,
            // The semaphore is never closed.
            _served: self.served.acquire_owned().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn two_are_served_one_waits_and_the_next_is_turned_away_on_whatever_connection() {
        let (places, others) = (Places::default(), Places::default());
        let [first, second, ..] = Protocol::ALL;
        let mut served: Vec<Place> = Vec::new();
        for _ in 0..MAX_CONCURRENT_REQUESTS {
            let admitted = places.clone().admit(first).unwrap();
            served.push(admitted.turn().now_or_never().expect("its turn is at once"));
        }
        let mut waiting = Box::pin(places.admit(first).unwrap().turn());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(places.clone().admit(first).is_none());
        assert!(places.admit(second).is_some(), "protocols share no places");
        assert!(others.admit(first).is_some(), "peers share no places");
        served.pop();
        let place = waiting.now_or_never().expect("its turn has come");
        assert!(places.admit(first).is_some());
        drop(place);
    }
}
