//! What answers are wrapped in.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ssz::{BYTES_PER_LENGTH_OFFSET, DecodeError};
use types::{ForkName, ForkVersioned, Root};

/// An answer without more to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data<T> {
    /// The answer.
    pub data: T,
}

/// An answer that was read from a place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located<T> {
    /// Whether the execution client has still to verify the place.
    #[serde(default)]
    pub execution_optimistic: bool,
    /// Whether the place is finalised.
    #[serde(default)]
    pub finalized: bool,
    /// The answer.
    pub data: T,
}

/// Duties, which hold as long as a block is in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependent<T> {
    /// Root of the last block that has an influence on the duties.
    pub dependent_root: Root,
    /// Whether the execution client has still to verify that block.
    #[serde(default)]
    pub execution_optimistic: bool,
    /// The duties.
    pub data: T,
}

/// An answer whose layout depends on the fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Versioned<T> {
    /// The fork whose layout the answer has.
    pub version: ForkName,
    /// Whether the execution client has still to verify the place that the answer was read from, if it was read from
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_optimistic: Option<bool>,
    /// Whether that place is finalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalized: Option<bool>,
    /// The answer.
    pub data: T,
}

/// A versioned answer before the layout is known.
#[derive(Deserialize)]
struct Unread<'a> {
    version: ForkName,
    #[serde(default)]
    execution_optimistic: Option<bool>,
    #[serde(default)]
    finalized: Option<bool>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl<'a> Unread<'a> {
    fn read<T>(
        self,
        read: impl FnOnce(&'a str, ForkName) -> Result<T, serde_json::Error>,
    ) -> Result<Versioned<T>, serde_json::Error> {
        Ok(Versioned {
            version: self.version,
            execution_optimistic: self.execution_optimistic,
            finalized: self.finalized,
            data: read(self.data.get(), self.version)?,
        })
    }
}

impl<T> Versioned<T> {
    /// An answer that was read from no place in the chain.
    pub fn new(version: ForkName, data: T) -> Self {
        Self {
            version,
            execution_optimistic: None,
            finalized: None,
            data,
        }
    }

    /// An answer that was read from a place in the chain.
    pub fn located(version: ForkName, execution_optimistic: bool, finalized: bool, data: T) -> Self {
        Self {
            version,
            execution_optimistic: Some(execution_optimistic),
            finalized: Some(finalized),
            data,
        }
    }

    /// Reads an answer whose data has the same layout in all forks.
    pub fn from_json_of_any(json: &[u8]) -> Result<Self, serde_json::Error>
    where
        T: DeserializeOwned,
    {
        serde_json::from_slice::<Unread<'_>>(json)?.read(|data, _| serde_json::from_str(data))
    }
}

impl<T: ForkVersioned> Versioned<T> {
    /// Reads an answer.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Unread<'_>>(json)?.read(|data, fork| T::from_json_by_fork(data, fork))
    }
}

impl<T: ForkVersioned> Versioned<Vec<T>> {
    /// Reads an answer that is a list.
    pub fn list_from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Unread<'_>>(json)?.read(|data, fork| list_from_json_by_fork(data.as_bytes(), fork))
    }
}

/// Reads a list of containers in the layout of `fork`.
pub fn list_from_json_by_fork<T: ForkVersioned>(json: &[u8], fork: ForkName) -> Result<Vec<T>, serde_json::Error> {
    serde_json::from_slice::<Vec<&RawValue>>(json)?
        .into_iter()
        .enumerate()
        .map(|(position, item)| T::from_json_by_fork(item.get(), fork).map_err(|error| at(position, error)))
        .collect()
}

/// Reads a container from an endpoint that does not say the fork. What a `dvt` container has more than its Fulu form
/// is not optional, so that one layout fits only.
pub fn from_json_of_either<T: ForkVersioned>(json: &str) -> Result<T, serde_json::Error> {
    T::from_json_by_fork(json, ForkName::Dvt).or_else(|_| T::from_json_by_fork(json, ForkName::Fulu))
}

/// Reads a list from an endpoint that does not say the fork; see [`from_json_of_either`].
pub fn list_from_json_of_either<T: ForkVersioned>(json: &[u8]) -> Result<Vec<T>, serde_json::Error> {
    serde_json::from_slice::<Vec<&RawValue>>(json)?
        .into_iter()
        .enumerate()
        .map(|(position, item)| from_json_of_either(item.get()).map_err(|error| at(position, error)))
        .collect()
}

/// Takes a list in SSZ apart. Items have a length of their own, or `item_bytes` each.
fn ssz_items(bytes: &[u8], item_bytes: Option<usize>) -> Result<Vec<&[u8]>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(length) = item_bytes {
        if length == 0 || !bytes.len().is_multiple_of(length) {
            return Err(DecodeError::InvalidByteLength {
                len: bytes.len(),
                expected: length,
            });
        }
        return Ok(bytes.chunks_exact(length).collect());
    }
    let offset = |place: usize| -> Result<usize, DecodeError> {
        let start = place * BYTES_PER_LENGTH_OFFSET;
        let bytes = bytes.get(start..start + BYTES_PER_LENGTH_OFFSET);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        let offset = bytes
            .map(u32::from_le_bytes)
            .and_then(|offset| usize::try_from(offset).ok());
        offset.ok_or(DecodeError::OutOfBoundsByte { i: start })
    };
    let first = offset(0)?;
    if first == 0 || first % BYTES_PER_LENGTH_OFFSET != 0 {
        return Err(DecodeError::InvalidListFixedBytesLen(first));
    }
    let count = first / BYTES_PER_LENGTH_OFFSET;
    if first > bytes.len() {
        return Err(DecodeError::OffsetOutOfBounds(first));
    }
    (0..count)
        .map(|place| {
            let start = offset(place)?;
            let end = if place + 1 == count {
                bytes.len()
            } else {
                offset(place + 1)?
            };
            bytes.get(start..end).ok_or(DecodeError::OffsetsAreDecreasing(start))
        })
        .collect()
}

/// Reads a list of containers in SSZ in the layout of `fork`. `item_bytes` is their length if they all have the same.
pub fn list_from_ssz_by_fork<T: ForkVersioned>(
    bytes: &[u8],
    fork: ForkName,
    item_bytes: Option<usize>,
) -> Result<Vec<T>, DecodeError> {
    ssz_items(bytes, item_bytes)?
        .into_iter()
        .map(|item| T::from_ssz_bytes_by_fork(item, fork))
        .collect()
}

fn at(position: usize, error: serde_json::Error) -> serde_json::Error {
    serde_json::Error::custom(format!("item {position}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{SignatureBytes, SignedVoluntaryExit, SignedVoluntaryExitDvt, SignedVoluntaryExitFulu, VoluntaryExit};

    fn exit(fork: ForkName) -> SignedVoluntaryExit {
        let message = VoluntaryExit {
            epoch: 3u64.into(),
            validator_index: 4u64.into(),
        };
        let signature = SignatureBytes::repeat_byte(5);
        match fork {
            ForkName::Fulu => SignedVoluntaryExit::Fulu(SignedVoluntaryExitFulu { message, signature }),
            ForkName::Dvt => SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
                message,
                signature,
                signers: Default::default(),
                proofs: Default::default(),
            }),
        }
    }

    #[test]
    fn a_versioned_answer_is_read_in_the_layout_that_it_names() {
        for fork in ForkName::ALL {
            let answer = Versioned::located(fork, true, false, exit(fork));
            let json = serde_json::to_vec(&answer).unwrap();
            assert_eq!(Versioned::from_json(&json).unwrap(), answer);
            let list = Versioned::new(fork, vec![exit(fork), exit(fork)]);
            let json = serde_json::to_vec(&list).unwrap();
            assert!(!String::from_utf8_lossy(&json).contains("finalized"));
            assert_eq!(Versioned::list_from_json(&json).unwrap(), list);
        }
    }

    #[test]
    fn a_layout_that_is_not_named_is_recognised() {
        for fork in ForkName::ALL {
            let json = serde_json::to_string(&exit(fork)).unwrap();
            assert_eq!(from_json_of_either::<SignedVoluntaryExit>(&json).unwrap(), exit(fork));
        }
        let json = serde_json::to_vec(&[exit(ForkName::Dvt), exit(ForkName::Fulu)]).unwrap();
        let list: Vec<SignedVoluntaryExit> = list_from_json_of_either(&json).unwrap();
        assert_eq!(list, [exit(ForkName::Dvt), exit(ForkName::Fulu)]);
    }

    #[test]
    fn a_list_in_ssz_is_read_with_offsets_or_by_length() {
        for (fork, item_bytes) in [(ForkName::Fulu, Some(112)), (ForkName::Dvt, None)] {
            for count in 0..3 {
                let list = vec![exit(fork); count];
                let items: Vec<Vec<u8>> = list.iter().map(ssz::Encode::as_ssz_bytes).collect();
                let mut bytes = Vec::new();
                if item_bytes.is_none() {
                    let mut offset = 4 * items.len();
                    for item in &items {
                        bytes.extend(u32::try_from(offset).unwrap().to_le_bytes());
                        offset += item.len();
                    }
                }
                bytes.extend(items.concat());
                let read: Vec<SignedVoluntaryExit> = list_from_ssz_by_fork(&bytes, fork, item_bytes).unwrap();
                assert_eq!(read, list);
                for cut in 1..bytes.len() {
                    let read = list_from_ssz_by_fork::<SignedVoluntaryExit>(&bytes[..cut], fork, item_bytes);
                    assert!(read.is_err() || cut % 112 == 0, "{fork}: {cut} of {}", bytes.len());
                }
            }
        }
        for wrong in [[0u8, 0, 0, 0], [3, 0, 0, 0], [8, 0, 0, 0], [255; 4]] {
            assert!(list_from_ssz_by_fork::<SignedVoluntaryExit>(&wrong, ForkName::Dvt, None).is_err());
        }
    }

    #[test]
    fn an_error_in_a_list_names_the_item() {
        let json = serde_json::json!([exit(ForkName::Fulu), {"message": 1}]).to_string();
        let error = list_from_json_by_fork::<SignedVoluntaryExit>(json.as_bytes(), ForkName::Fulu).unwrap_err();
        assert!(error.to_string().starts_with("item 1: "), "{error}");
    }
}
