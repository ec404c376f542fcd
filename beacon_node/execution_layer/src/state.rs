//! Whether the execution client can be relied on. Each answer, and each missing one, is evidence.

use crate::engine_types::PayloadStatus;
use crate::error::EngineError;
use crate::metrics;
use parking_lot::Mutex;
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
    /// Does not answer, or not even who it is.
    Offline,
    /// Refuses the token.
    AuthFailed,
    /// Answers, but for another chain.
    WrongChain,
    /// Answers, but on a port that has no Engine API.
    NotEngineApi,
}

impl EngineState {
    /// Whether payloads can be judged and built.
    pub const fn is_online(self) -> bool {
        matches!(self, Self::Online)
    }

    /// Whether it answers for this chain at all.
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
            Self::WrongChain => "of another chain",
            Self::NotEngineApi => "not the Engine API",
        })
    }
}

/// The state, its log lines and its watchers.
#[derive(Debug)]
pub(crate) struct StateCell {
    sender: watch::Sender<EngineState>,
    endpoint: String,
    /// What was wrong with the chain of the client last time.
    other_chain: Mutex<String>,
}

impl StateCell {
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            sender: watch::Sender::new(EngineState::Unknown),
            endpoint,
            other_chain: Mutex::default(),
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
        match Self::without_answer(error) {
            Some(state) => self.set(state, error),
            None => self.is_there(error),
        }
    }

    /// Takes note of why it is not known who the client is: no answer of it counts until that is known.
    pub(crate) fn not_identified(&self, error: &EngineError) {
        let state = match error {
            other_chain if other_chain.is_other_chain() => EngineState::WrongChain,
            EngineError::NotEngineApi => EngineState::NotEngineApi,
            other => Self::without_answer(other).unwrap_or(EngineState::Offline),
        };
        self.set(state, error);
    }

    fn without_answer(error: &EngineError) -> Option<EngineState> {
        if error.is_offline() {
            Some(EngineState::Offline)
        } else if matches!(error, EngineError::Unauthorized { .. }) {
            Some(EngineState::AuthFailed)
        } else {
            None
        }
    }

    /// Takes note of the status of a head.
    pub(crate) fn head_status(&self, status: &PayloadStatus) {
        match status {
            PayloadStatus::Syncing => self.set(EngineState::Syncing, &"it has not yet the head that it was given"),
            _ => self.set(EngineState::Online, &"it answered"),
        }
    }

    /// Takes note of any other answer: it ends being offline, but says nothing about the chain's blocks.
    pub(crate) fn answered(&self) {
        self.is_there(&"it answered");
    }

    fn is_there(&self, why: &dyn fmt::Display) {
        if !self.get().answers() {
            self.set(EngineState::Online, why);
        }
    }

    pub(crate) fn set(&self, next: EngineState, why: &dyn fmt::Display) {
        let mut previous = next;
        let changed = self.sender.send_if_modified(|state| {
            previous = std::mem::replace(state, next);
            previous != next
        });
        if next == EngineState::WrongChain {
            // It may be a third one now.
            let why = why.to_string();
            if std::mem::replace(&mut *self.other_chain.lock(), why.clone()) == why && !changed {
                return;
            }
        } else if !changed {
            return;
        }
        if let Some(metric) = &*metrics::ENGINE_STATE {
            metric.set(match next {
                EngineState::Unknown => 0,
                EngineState::Online => 1,
                EngineState::Syncing => 2,
                EngineState::Offline => 3,
                EngineState::AuthFailed => 4,
                EngineState::WrongChain => 5,
                EngineState::NotEngineApi => 6,
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
            EngineState::WrongChain => {
                tracing::error!(endpoint, %previous, %why, "Execution client is of another chain and is not used")
            }
            EngineState::NotEngineApi => {
                tracing::error!(endpoint, %previous, %why, "Execution client does not serve the Engine API here")
            }
        }
    }
}
