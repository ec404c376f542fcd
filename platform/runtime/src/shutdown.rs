//! Stopping everything, once, with a reason.

use futures::future::select_all;
use tokio::sync::watch;

/// Waits for the end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// First its own end, then those of everything that it is a part of.
    reasons: Vec<watch::Receiver<Option<String>>>,
}

/// Brings the end about. Cheap to clone. Dropping the last handle does so too.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    reason: watch::Sender<Option<String>>,
    /// The ends of everything that this is a part of.
    wholes: Vec<watch::Receiver<Option<String>>>,
}

impl ShutdownHandle {
    /// A handle and what waits for it.
    pub fn new() -> (Self, Shutdown) {
        Self::within(Vec::new())
    }

    /// A handle for a part, which can end before the whole and ends with it.
    pub fn part(&self) -> (Self, Shutdown) {
        Self::within(self.subscribe().reasons)
    }

    fn within(wholes: Vec<watch::Receiver<Option<String>>>) -> (Self, Shutdown) {
        let handle = Self {
            reason: watch::channel(None).0,
            wholes,
        };
        let shutdown = handle.subscribe();
        (handle, shutdown)
    }

    /// Ends everything. The first reason stays.
    pub fn trigger(&self, reason: impl Into<String>) {
        self.reason.send_if_modified(|current| {
            let is_first = current.is_none();
            if is_first {
                *current = Some(reason.into());
            }
            is_first
        });
    }

    /// Something more to wait with.
    pub fn subscribe(&self) -> Shutdown {
        let own = std::iter::once(self.reason.subscribe());
        Shutdown {
            reasons: own.chain(self.wholes.iter().cloned()).collect(),
        }
    }
}

impl Shutdown {
    /// Waits for the end and gives its reason.
    pub async fn wait(&mut self) -> String {
        let ends = self.reasons.iter_mut().map(|reason| {
            Box::pin(async {
                match reason.wait_for(Option::is_some).await {
                    Ok(reason) => reason.clone().unwrap_or_default(),
                    Err(_) => "stopped".to_owned(),
                }
            })
        });
        select_all(ends).await.0
    }

    /// Whether the end has come.
    pub fn is_triggered(&self) -> bool {
        self.reasons
            .iter()
            .any(|reason| reason.borrow().is_some() || reason.has_changed().is_err())
    }
}

/// Ends everything on SIGINT or SIGTERM.
pub async fn listen_for_signals(handle: ShutdownHandle) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => handle.trigger("SIGTERM"),
        _ = interrupt.recv() => handle.trigger("SIGINT"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_the_first_reason() {
        let (handle, mut first) = ShutdownHandle::new();
        let mut second = handle.subscribe();
        assert!(!first.is_triggered());
        handle.trigger("one");
        handle.trigger("two");
        assert_eq!([first.wait().await, second.wait().await], ["one", "one"]);
        assert!(handle.subscribe().is_triggered());
    }

    #[tokio::test]
    async fn a_part_ends_with_the_whole_and_can_end_before_it() {
        let (handle, whole) = ShutdownHandle::new();
        let (part_handle, mut part) = handle.part();
        let (_inner_handle, mut inner) = part_handle.part();
        let (_other_handle, mut other) = handle.part();
        part_handle.trigger("part");
        assert_eq!([part.wait().await, inner.wait().await], ["part", "part"]);
        assert!(inner.is_triggered() && !other.is_triggered() && !whole.is_triggered());
        handle.trigger("whole");
        assert_eq!(other.wait().await, "whole");
    }

    #[tokio::test]
    async fn losing_all_handles_is_the_end() {
        let (handle, mut shutdown) = ShutdownHandle::new();
        drop(handle);
        assert_eq!(shutdown.wait().await, "stopped");
    }
}
