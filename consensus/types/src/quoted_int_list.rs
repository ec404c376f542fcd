//! JSON of integer lists as the Beacon API writes them: every integer in quotes. Reads them with or without.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use serde_utils::quoted_u64::MaybeQuoted;
use std::fmt::Display;

/// Writes each integer as a string.
pub(crate) fn serialize<'a, S, C, T>(list: &'a C, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    &'a C: IntoIterator<Item = &'a T>,
    T: Display + 'a,
{
    serializer.collect_seq(list.into_iter().map(ToString::to_string))
}

/// Reads integers that fit both the element type and the list.
pub(crate) fn deserialize<'de, D, C, T>(deserializer: D) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    C: IntList<Element = T>,
    T: TryFrom<u64>,
{
    let values = Vec::<MaybeQuoted<u64>>::deserialize(deserializer)?
        .into_iter()
        .map(|quoted| T::try_from(quoted.value).map_err(|_| D::Error::custom(format!("{} is too large", quoted.value))))
        .collect::<Result<Vec<T>, _>>()?;
    C::from_vec(values).map_err(D::Error::custom)
}

/// Lists that can be made from a vector of their elements.
pub(crate) trait IntList: Sized {
    /// Element type.
    type Element;
    /// Fails where the length does not fit.
    fn from_vec(values: Vec<Self::Element>) -> Result<Self, String>;
}

impl<T, N, U> IntList for milhouse::List<T, N, U>
where
    T: milhouse::Value,
    N: typenum::Unsigned,
    U: milhouse::UpdateMap<T>,
{
    type Element = T;
    fn from_vec(values: Vec<T>) -> Result<Self, String> {
        Self::new(values).map_err(|error| format!("{error:?}"))
    }
}

impl<T: milhouse::Value, N: typenum::Unsigned> IntList for milhouse::Vector<T, N> {
    type Element = T;
    fn from_vec(values: Vec<T>) -> Result<Self, String> {
        Self::new(values).map_err(|error| format!("{error:?}"))
    }
}
