//! What can go wrong with a call.

use crate::Failure;
use std::fmt::Write as _;

/// A call of a beacon node has failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The URL of the node, or one made from it, is none.
    #[error("URL of the beacon node: {reason}")]
    Url {
        /// What is wrong.
        reason: String,
    },
    /// The node cannot be reached.
    #[error("{endpoint}: cannot connect: {reason}")]
    Unreachable {
        /// What was called.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// The node did not answer in time.
    #[error("{endpoint}: no answer in time")]
    TimedOut {
        /// What was called.
        endpoint: String,
    },
    /// The connection broke.
    #[error("{endpoint}: {reason}")]
    Transport {
        /// What was called.
        endpoint: String,
        /// What happened.
        reason: String,
    },
    /// The node refused.
    #[error("{endpoint}: status {status}: {message}{}", list(failures))]
    Status {
        /// What was called.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// The node's words.
        message: String,
        /// Items of a list that were refused; the others were taken.
        failures: Vec<Failure>,
    },
    /// The answer is larger than it can be.
    #[error("{endpoint}: answer of more than {limit} bytes")]
    TooLarge {
        /// What was called.
        endpoint: String,
        /// Bytes.
        limit: usize,
    },
    /// The answer is not what it should be.
    #[error("{endpoint}: cannot read the answer: {reason}")]
    Body {
        /// What was called.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// The answer is well-formed and not to what was asked.
    #[error("{endpoint}: wrong answer: {reason}")]
    Answer {
        /// What was called.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// The request cannot be written.
    #[error("cannot write the request: {reason}")]
    Request {
        /// What is wrong.
        reason: String,
    },
    /// One list can be sent for one fork only.
    #[error("items of a list are of different forks: send a list for each")]
    MixedForks,
}

/// Refused items that an error shows.
const SHOWN: usize = 3;

fn list(failures: &[Failure]) -> String {
    let mut text = String::new();
    for failure in failures.iter().take(SHOWN) {
        // Writing to a string does not fail.
        let _ = write!(text, "; item {}: {}", failure.index, failure.message);
    }
    if failures.len() > SHOWN {
        let _ = write!(text, "; and {} more", failures.len() - SHOWN);
    }
    text
}

impl ApiError {
    pub(super) fn transport(endpoint: String, error: reqwest::Error) -> Self {
        // reqwest's own text has the URL, which may hold credentials, and leaves the cause out.
        let error = error.without_url();
        if error.is_timeout() {
            return Self::TimedOut { endpoint };
        }
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            let _ = write!(reason, ": {inner}");
            cause = inner.source();
        }
        if error.is_connect() {
            Self::Unreachable { endpoint, reason }
        } else {
            Self::Transport { endpoint, reason }
        }
    }

    /// HTTP status, if the node has answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether another node might do better: this one cannot be reached, is late, broken or syncing.
    pub fn is_of_the_node(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Transport { .. }
            | Self::TooLarge { .. }
            | Self::Body { .. }
            | Self::Answer { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 404,
            Self::Url { .. } | Self::Request { .. } | Self::MixedForks => false,
        }
    }
}
