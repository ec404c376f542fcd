//! How a path names states, blocks and validators.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use types::{Root, SignerIndex, SignerKey, Slot};

/// A name in a path is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {text:?}, expected {expected}")]
pub struct IdError {
    what: &'static str,
    text: String,
    expected: &'static str,
}

/// Longest part of the text that an error repeats.
const SHOWN: usize = 128;

impl IdError {
    fn new(what: &'static str, text: &str, expected: &'static str) -> Self {
        Self {
            what,
            text: text.chars().take(SHOWN).collect(),
            expected,
        }
    }
}

macro_rules! location_id {
    ($(#[$meta:meta])* $name:ident, $what:literal, $expected:literal, $($(#[$word_meta:meta])* $word:ident = $text:literal,)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_meta])* $word,)*
            /// By slot.
            Slot(Slot),
            /// By root.
            Root(Root),
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$word => f.write_str($text),)*
                    Self::Slot(slot) => slot.fmt(f),
                    Self::Root(root) => write!(f, "{root:?}"),
                }
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match text {
                    $($text => return Ok(Self::$word),)*
                    _ => {}
                }
                if text.starts_with("0x") {
                    text.parse().ok().map(Self::Root)
                } else {
                    text.parse().ok().map(Self::Slot)
                }
                .ok_or_else(|| IdError::new($what, text, $expected))
            }
        }
    };
}

location_id!(
    /// Names a state.
    StateId,
    "state id",
    "head, genesis, finalized, justified, a slot, or a state root in hex with 0x",
    /// Of the head block.
    Head = "head",
    /// The first.
    Genesis = "genesis",
    /// The latest finalised.
    Finalized = "finalized",
    /// The latest justified.
    Justified = "justified",
);

location_id!(
    /// Names a block.
    BlockId,
    "block id",
    "head, genesis, finalized, a slot, or a block root in hex with 0x",
    /// The head.
    Head = "head",
    /// The first.
    Genesis = "genesis",
    /// The latest finalised.
    Finalized = "finalized",
);

/// Names a validator, or a virtual validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValidatorId {
    /// By index.
    Index(SignerIndex),
    /// By public key.
    PublicKey(SignerKey),
}

impl fmt::Display for ValidatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::PublicKey(pubkey) => pubkey.fmt(f),
        }
    }
}

impl FromStr for ValidatorId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.contains("0x") {
            text.parse().ok().map(Self::PublicKey)
        } else {
            text.parse().ok().map(Self::Index)
        }
        .ok_or_else(|| {
            IdError::new(
                "validator id",
                text,
                "an index, a public key of 48 bytes in hex with 0x, or one of another scheme with its number in front, as in 1-0x...",
            )
        })
    }
}

impl Serialize for ValidatorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ValidatorId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::PublicKeyBytes;

    #[test]
    fn names_are_read_as_they_are_written() {
        for id in [
            StateId::Head,
            StateId::Justified,
            StateId::Slot(Slot::new(7)),
            StateId::Root(Root::repeat_byte(0xab)),
        ] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for id in [
            ValidatorId::Index(SignerIndex::new(1 << 48)),
            ValidatorId::PublicKey(PublicKeyBytes::repeat_byte(0xcd).into()),
            ValidatorId::PublicKey(SignerKey::new(1, &[7; 52]).unwrap()),
        ] {
            assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<ValidatorId>(&json).unwrap(), id);
        }
        assert!(BlockId::Root(Root::ZERO).to_string().starts_with("0x0000"));
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_was_expected() {
        for text in ["", "current", "-1", "0x", "0x12", "18446744073709551616", " 1"] {
            assert!(text.parse::<StateId>().is_err(), "{text}");
            assert!(text.parse::<ValidatorId>().is_err(), "{text}");
        }
        assert!("justified".parse::<BlockId>().is_err());
        let error = "x".repeat(10_000).parse::<StateId>().unwrap_err().to_string();
        assert!(error.len() < 300 && error.contains("expected head"), "{error}");
    }
}
