//! Bodies of errors.

use serde::{Deserialize, Serialize};

/// Body of an error. Where a list is handed in item by item, it has `failures`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// HTTP status.
    pub code: u16,
    /// What went wrong.
    pub message: String,
    /// Items that are at fault; none if the list as a whole is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<Failure>>,
}

impl ErrorMessage {
    /// An error of the whole request.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            failures: None,
        }
    }

    /// A list that is handed in item by item is at fault.
    pub fn of_list(message: impl Into<String>, failures: Vec<Failure>) -> Self {
        Self {
            code: 400,
            message: message.into(),
            failures: Some(failures),
        }
    }
}

/// An item of a list was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Position in the request's list.
    pub index: u64,
    /// Why.
    pub message: String,
}
