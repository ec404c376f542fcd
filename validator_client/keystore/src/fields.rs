//! Fields of a JSON document by path, so that an error can say which one is wrong.

use serde_json::Value;
use zeroize::Zeroizing;

/// A field is missing or has the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: expected {expected}, found {found}")]
pub struct FieldError {
    /// Path of the field from the document's root, such as `crypto.kdf.params.n`.
    pub field: String,
    /// What a valid document has there.
    pub expected: String,
    /// What this one has.
    pub found: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// Access to the fields of a JSON document.
pub(crate) struct Fields<'a>(pub(crate) &'a Value);

impl Fields<'_> {
    fn get(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self.0, |value, name| value.get(name))
    }

    pub(crate) fn error(&self, path: &str, expected: impl Into<String>) -> FieldError {
        FieldError::new(path, expected, describe(self.get(path)))
    }

    pub(crate) fn string(&self, path: &str) -> Result<&str, FieldError> {
        self.get(path)
            .and_then(Value::as_str)
            .ok_or_else(|| self.error(path, "a string"))
    }

    /// A string that may be absent or null.
    pub(crate) fn optional_string(&self, path: &str) -> Result<Option<&str>, FieldError> {
        match self.get(path) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.string(path).map(Some),
        }
    }

    pub(crate) fn one_of(&self, path: &str, allowed: &str) -> Result<(), FieldError> {
        if self.string(path)? == allowed {
            Ok(())
        } else {
            Err(self.error(path, format!("\"{allowed}\"")))
        }
    }

    pub(crate) fn integer(&self, path: &str) -> Result<u64, FieldError> {
        self.get(path)
            .and_then(Value::as_u64)
            .ok_or_else(|| self.error(path, "a non-negative integer"))
    }

    /// Bytes as hexadecimal digits without (or with) `0x`.
    pub(crate) fn bytes(&self, path: &str, limit: usize) -> Result<Zeroizing<Vec<u8>>, FieldError> {
        let text = self.string(path)?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() > limit.saturating_mul(2) {
            return Err(FieldError::new(
                path,
                format!("at most {limit} bytes as hexadecimal digits"),
                format!("{} digits", digits.len()),
            ));
        }
        hex::decode(digits)
            .map(Zeroizing::new)
            .map_err(|error| FieldError::new(path, "hexadecimal digits", error.to_string()))
    }

    pub(crate) fn fixed_bytes<const N: usize>(&self, path: &str) -> Result<[u8; N], FieldError> {
        let bytes = self.bytes(path, N)?;
        <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| {
            FieldError::new(
                path,
                format!("{N} bytes as hexadecimal digits"),
                format!("{} bytes", bytes.len()),
            )
        })
    }
}

fn describe(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::Array(_)) => "a list".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(Value::String(text)) if text.len() > 80 => format!("{} characters", text.len()),
        Some(value) => value.to_string(),
    }
}
