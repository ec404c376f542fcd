//! Answers that say no.

use crate::respond::{json_body, with_status};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use beacon_api::{ErrorMessage, Failure, IdError, QueryError};
use beacon_chain::ChainError;
use runtime::PoolError;
use std::fmt::Display;

/// Failures of single items that an answer lists.
const MAX_LISTED: usize = 32;
/// Characters of the message of one of them.
const MAX_MESSAGE_CHARS: usize = 512;

/// What became of items that are at fault. Whoever sends many of them learns of the first.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    listed: Vec<Failure>,
    unlisted: u64,
}

impl Failures {
    /// Adds the item at a position of the list.
    pub(crate) fn note(&mut self, index: u64, error: impl Display) {
        if self.listed.len() >= MAX_LISTED {
            self.unlisted = self.unlisted.saturating_add(1);
            return;
        }
        let mut message = error.to_string();
        // What cannot be read is quoted.
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
            message.truncate(end);
            message.push('…');
        }
        self.listed.push(Failure { index, message });
    }

    /// The first one.
    pub(crate) fn first(&self) -> Option<&Failure> {
        self.listed.first()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.unlisted.saturating_add(self.listed.len() as u64)
    }
}

/// A request that is answered with an error.
#[derive(Debug)]
pub(crate) struct ApiFailure(ErrorMessage);

impl ApiFailure {
    /// An error with any status.
    pub(crate) fn new(status: StatusCode, message: impl Display) -> Self {
        Self(ErrorMessage::new(status.as_u16(), message.to_string()))
    }

    /// 400: the request is wrong; the same request will never be right.
    pub(crate) fn bad_request(message: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: what was asked for is not here.
    pub(crate) fn not_found(message: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 503: not now; syncing, or too busy.
    pub(crate) fn unavailable(message: impl Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500: something inside failed.
    pub(crate) fn internal(message: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 400: single items of a list are at fault.
    pub(crate) fn of_items(message: impl Display, failures: Failures) -> Self {
        let message = match failures.unlisted {
            0 => message.to_string(),
            unlisted => format!("{message}; {unlisted} more failures are not listed"),
        };
        Self(ErrorMessage::of_list(message, failures.listed))
    }

    /// The same error where a list is handed in item by item: readers expect to find items named there.
    pub(crate) fn of_a_list(mut self) -> Self {
        self.0.failures.get_or_insert_default();
        self
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The words.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }
}

impl IntoResponse for ApiFailure {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::debug!(%status, message = self.message(), "Request failed");
        }
        match json_body(&self.0) {
            Ok(response) => with_status(status, response),
            Err(_) => status.into_response(),
        }
    }
}

impl From<QueryError> for ApiFailure {
    fn from(error: QueryError) -> Self {
        Self::bad_request(error)
    }
}

impl From<IdError> for ApiFailure {
    fn from(error: IdError) -> Self {
        Self::bad_request(error)
    }
}

impl From<PoolError> for ApiFailure {
    fn from(error: PoolError) -> Self {
        Self::unavailable(error)
    }
}

impl From<ChainError> for ApiFailure {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Workers(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_failures_the_first_are_listed_and_the_others_counted() {
        let mut failures = Failures::default();
        for index in 0..40 {
            failures.note(index, "é".repeat(1_000));
        }
        assert_eq!(failures.count(), 40);
        let ApiFailure(body) = ApiFailure::of_items("refused", failures);
        assert_eq!(body.message, "refused; 8 more failures are not listed");
        let listed = body.failures.unwrap();
        assert_eq!(listed.iter().map(|failure| failure.index).max(), Some(31));
        assert_eq!(listed.len(), 32);
        assert!(listed.iter().all(|failure| failure.message.chars().count() == 513));
        let mut one = Failures::default();
        one.note(5, "why");
        let ApiFailure(body) = ApiFailure::of_items("refused", one);
        assert_eq!((body.code, body.message.as_str()), (400, "refused"));
    }
}
