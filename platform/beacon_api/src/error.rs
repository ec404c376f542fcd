//! Bodies of errors.

use serde::{Deserialize, Serialize};

/// Body of an error. With `failures` if single items of a list were refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// HTTP status.
    pub code: u16,
    /// What went wrong.
    pub message: String,
    /// Items that were refused; the others were taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

impl ErrorMessage {
    /// An error of the whole request.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            failures: Vec::new(),
        }
    }

    /// Some items of a list were refused.
    pub fn of_items(failures: Vec<Failure>) -> Self {
        Self {
            code: 400,
            message: "some items were refused, the others were taken".to_owned(),
            failures,
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
