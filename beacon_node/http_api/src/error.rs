//! Answers that say no.

use crate::respond::{json_body, with_status};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use beacon_api::{ErrorMessage, Failure, IdError, QueryError};
use beacon_chain::ChainError;
use runtime::PoolError;
use std::fmt::Display;

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

    /// 400: single items of a list were refused, the others were taken.
    pub(crate) fn of_items(failures: Vec<Failure>) -> Self {
        Self(ErrorMessage::of_items(failures))
    }

    /// 400: a list that is handed in item by item cannot be read, and nothing of it was taken.
    pub(crate) fn unreadable_list(message: impl Display, failures: Vec<Failure>) -> Self {
        Self(ErrorMessage::of_list(message.to_string(), failures))
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
