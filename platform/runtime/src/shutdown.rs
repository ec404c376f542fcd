//! Stopping everything, once, with a reason.

use tokio::sync::watch;

/// Waits for the end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    reason: watch::Receiver<Option<String>>,
}

/// Brings the end about. Cheap to clone. Dropping the last handle does so too.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    reason: watch::Sender<Option<String>>,
}

impl ShutdownHandle {
    /// A handle and what waits for it.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(None);
        (Self { reason: sender }, Shutdown { reason: receiver })
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
        Shutdown {
            reason: self.reason.subscribe(),
        }
    }
}

impl Shutdown {
    /// Waits for the end and gives its reason.
    pub async fn wait(&mut self) -> String {
        match self.reason.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "stopped".to_owned(),
        }
    }

    /// Whether the end has come.
    pub fn is_triggered(&self) -> bool {
        self.reason.borrow().is_some() || self.reason.has_changed().is_err()
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
    async fn losing_all_handles_is_the_end() {
        let (handle, mut shutdown) = ShutdownHandle::new();
        drop(handle);
        assert_eq!(shutdown.wait().await, "stopped");
    }
}
