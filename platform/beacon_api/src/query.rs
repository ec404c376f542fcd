//! Query strings. Lists are written as `id=1,2` or as `id=1&id=2`: both are read.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

/// A parameter of a query is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It is not there.
    #[error("query parameter {0} is missing")]
    Missing(&'static str),
    /// It is there more than once, and there can be one only.
    #[error("query parameter {0} is given more than once")]
    Repeated(&'static str),
    /// It cannot be read.
    #[error("query parameter {name}={value}: {reason}")]
    Invalid {
        /// Which.
        name: &'static str,
        /// Its beginning.
        value: String,
        /// What is wrong.
        reason: String,
    },
}

/// The query of a request.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Takes a query string apart (what follows the question mark).
    pub fn parse(query: &'a str) -> Self {
        Self {
            pairs: form_urlencoded::parse(query.as_bytes()).collect(),
        }
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }

    /// Whether a parameter is there.
    pub fn contains(&self, name: &'static str) -> bool {
        self.values(name).next().is_some()
    }

    /// A parameter that may be missing.
    pub fn optional<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Option<T>, QueryError> {
        let mut values = self.values(name);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(QueryError::Repeated(name));
        }
        read(name, value).map(Some)
    }

    /// A parameter that has to be there.
    pub fn required<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, QueryError> {
        self.optional(name)?.ok_or(QueryError::Missing(name))
    }

    /// A list, empty if it is missing.
    pub fn list<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<Vec<T>, QueryError> {
        self.values(name)
            .flat_map(|value| value.split(','))
            .filter(|value| !value.is_empty())
            .map(|value| read(name, value))
            .collect()
    }
}

fn read<T: FromStr<Err: Display>>(name: &'static str, value: &str) -> Result<T, QueryError> {
    value.parse().map_err(|error: T::Err| QueryError::Invalid {
        name,
        value: value.chars().take(128).collect(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ValidatorId;
    use types::{SignerIndex, Slot};

    #[test]
    fn lists_are_read_in_both_forms() {
        for text in ["id=1,2&x=3", "id=1&x=3&id=2", "id=1%2C2"] {
            let ids: Vec<ValidatorId> = Query::parse(text).list("id").unwrap();
            assert_eq!(
                ids,
                [1u64, 2].map(|index| ValidatorId::Index(SignerIndex::new(index))),
                "{text}"
            );
        }
        assert!(Query::parse("").list::<Slot>("id").unwrap().is_empty());
    }

    #[test]
    fn a_parameter_is_missing_repeated_or_wrong() {
        let query = Query::parse("slot=5&twice=1&twice=2&word=now");
        assert_eq!(query.required::<Slot>("slot"), Ok(Slot::new(5)));
        assert_eq!(query.optional::<Slot>("other"), Ok(None));
        assert_eq!(query.required::<Slot>("other"), Err(QueryError::Missing("other")));
        assert_eq!(query.required::<Slot>("twice"), Err(QueryError::Repeated("twice")));
        let error = query.required::<Slot>("word").unwrap_err().to_string();
        assert!(error.starts_with("query parameter word=now: "), "{error}");
    }
}
