//! Whether the execution client can be relied on. Each answer, and each missing one, is evidence.

use crate::engine_types::PayloadStatus;
use crate::error::EngineError;
use crate::metrics;
use std::fmt;
use tokio::sync::watch;

/// What is known of the execution client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineState {
    /// Not asked yet.
    #[default]
    Unknown,
    /// Answers and has the chain.
    Online,
    /// Answers, but has not yet the chain that it was given.
    Syncing,
    /// Does not answer.
    Offline,
    /// Refuses the token.
    AuthFailed,
}

impl EngineState {
    /// Whether payloads can be judged and built.
    pub const fn is_online(self) -> bool {
        matches!(self, Self::Online)
    }

    /// Whether it answers at all.
    pub const fn answers(self) -> bool {
        matches!(self, Self::Online | Self::Syncing)
    }
}

impl fmt::Display for EngineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Online => "online",
            Self::Syncing => "syncing",
            Self::Offline => "offline",
            Self::AuthFailed => "authentication failed",
        })
    }
}

/// The state, its log lines and its watchers.
#[derive(Debug)]
pub(crate) struct StateCell {
    sender: watch::Sender<EngineState>,
    endpoint: String,
}

impl StateCell {
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            sender: watch::Sender::new(EngineState::Unknown),
            endpoint,
        }
    }

    pub(crate) fn get(&self) -> EngineState {
        *self.sender.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<EngineState> {
        self.sender.subscribe()
    }

    /// Takes note of an error. One that is an answer (a JSON-RPC error, a wrong value) tells only that the
    /// client is there.
    pub(crate) fn failed(&self, error: &EngineError) {
        if error.is_offline() {
            self.set(EngineState::Offline, error);
        } else if matches!(error, EngineError::Unauthorized { .. }) {
            self.set(EngineState::AuthFailed, error);
        } else if !self.get().answers() {
            self.set(EngineState::Online, error);
        }
    }

    /// Takes note of the status of a head.
    pub(crate) fn head_status(&self, status: &PayloadStatus) {
        match status {
            PayloadStatus::Syncing => self.set(EngineState::Syncing, &"it has not yet the head that it was given"),
            _ => self.set(EngineState::Online, &"it answered"),
        }
    }

    /// Takes note of any other answer: it ends being offline, but says nothing about the chain.
    pub(crate) fn answered(&self) {
        if !self.get().answers() {
            self.set(EngineState::Online, &"it answered");
        }
    }

    pub(crate) fn set(&self, next: EngineState, why: &dyn fmt::Display) {
        let mut previous = next;
        let changed = self.sender.send_if_modified(|state| {
            previous = std::mem::replace(state, next);
            previous != next
        });
        if !changed {
            return;
        }
        if let Some(metric) = &*metrics::ENGINE_STATE {
            metric.set(match next {
                EngineState::Unknown => 0,
                EngineState::Online => 1,
                EngineState::Syncing => 2,
                EngineState::Offline => 3,
                EngineState::AuthFailed => 4,
            });
        }
        let endpoint = &self.endpoint;
        match next {
            EngineState::Unknown => {}
            EngineState::Online => tracing::info!(endpoint, %previous, "Execution client is online"),
            EngineState::Syncing => tracing::warn!(endpoint, %previous, %why, "Execution client is syncing"),
            EngineState::Offline => tracing::error!(endpoint, %previous, %why, "Execution client is offline"),
            EngineState::AuthFailed => {
                tracing::error!(endpoint, %previous, %why, "Execution client refuses this node")
            }
        }
    }
}
