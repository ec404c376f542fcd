//! The public key of a signer as a value that is copied and compared.

use crate::constants::BLS_SCHEME;
use crate::{PublicKeyBytes, VirtualKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use ssz_types::VariableList;
use std::fmt;
use std::str::FromStr;

/// Most bytes of a key: the limit of [`VirtualKey::pubkey`].
const MAX_KEY_BYTES: usize = 64;

/// A public key of any scheme. Its text is that of the key's bytes for BLS, and has the scheme's number in front for
/// others: `1-0x...`. It is a file name and a part of a URL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignerKey {
    scheme: u8,
    len: u8,
    /// Zero after `len`.
    bytes: [u8; MAX_KEY_BYTES],
}

/// Text that names no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a public key: 0x and 96 hexadecimal digits, or another scheme's number before it, as in 1-0x...")]
pub struct SignerKeyError;

impl SignerKey {
    /// `None` for more than 64 bytes.
    pub fn new(scheme: u8, key: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_KEY_BYTES];
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        Some(Self {
            scheme,
            len: u8::try_from(key.len()).ok()?,
            bytes,
        })
    }

    /// Number of the scheme.
    pub fn scheme(&self) -> u8 {
        self.scheme
    }

    /// The key in its scheme's encoding.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The key as BLS key bytes, if its scheme and length say so.
    pub fn as_bls(&self) -> Option<PublicKeyBytes> {
        (self.scheme == BLS_SCHEME)
            .then(|| PublicKeyBytes::try_from(self.as_bytes()).ok())
            .flatten()
    }

    /// As a key set has it.
    pub fn to_virtual_key(&self) -> VirtualKey {
        let mut pubkey = VariableList::empty();
        for byte in self.as_bytes() {
            // The limits are the same.
            let _ = pubkey.push(*byte);
        }
        VirtualKey {
            scheme: self.scheme,
            pubkey,
        }
    }
}

impl From<PublicKeyBytes> for SignerKey {
    fn from(key: PublicKeyBytes) -> Self {
        let mut bytes = [0; MAX_KEY_BYTES];
        for (to, byte) in bytes.iter_mut().zip(key) {
            *to = byte;
        }
        Self {
            scheme: BLS_SCHEME,
            len: PublicKeyBytes::len_bytes() as u8,
            bytes,
        }
    }
}

impl From<&PublicKeyBytes> for SignerKey {
    fn from(key: &PublicKeyBytes) -> Self {
        (*key).into()
    }
}

impl From<&Self> for SignerKey {
    fn from(key: &Self) -> Self {
        *key
    }
}

impl From<&VirtualKey> for SignerKey {
    fn from(key: &VirtualKey) -> Self {
        let mut bytes = [0; MAX_KEY_BYTES];
        for (to, byte) in bytes.iter_mut().zip(key.pubkey.iter()) {
            *to = *byte;
        }
        Self {
            scheme: key.scheme,
            len: key.pubkey.len().min(MAX_KEY_BYTES) as u8,
            bytes,
        }
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_bls().is_none() {
            write!(f, "{}-", self.scheme)?;
        }
        write!(f, "0x{}", hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SignerKey {
    type Err = SignerKeyError;

    fn from_str(text: &str) -> Result<Self, SignerKeyError> {
        let Some((scheme, key)) = text.split_once('-') else {
            let key: PublicKeyBytes = text.parse().map_err(|_| SignerKeyError)?;
            return Ok(key.into());
        };
        let digits = key.strip_prefix("0x").ok_or(SignerKeyError)?;
        let scheme = scheme.parse().map_err(|_| SignerKeyError)?;
        let bytes = hex::decode(digits).map_err(|_| SignerKeyError)?;
        let key = Self::new(scheme, &bytes).ok_or(SignerKeyError)?;
        // One text for each key.
        if key.as_bls().is_some() {
            return Err(SignerKeyError);
        }
        Ok(key)
    }
}

impl Serialize for SignerKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignerKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_one_key_and_a_key_has_one_text() {
        let bls = PublicKeyBytes::repeat_byte(7);
        let xmss = SignerKey::new(1, &[9; 52]).unwrap();
        assert_eq!(SignerKey::from(bls).to_string(), bls.to_string());
        assert_eq!(xmss.to_string(), format!("1-0x{}", "09".repeat(52)));
        for key in [bls.into(), xmss, SignerKey::new(2, &[9; 52]).unwrap()] {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(SignerKey::from(&key.to_virtual_key()), key);
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<SignerKey>(&json).unwrap(), key);
        }
        assert_eq!(xmss.as_bls(), None);
        for text in [
            String::new(),
            "0x".to_owned(),
            format!("0-{bls}"),
            format!("x-{bls}"),
            "1-09".to_owned(),
            format!("1-0x{}", "00".repeat(65)),
            format!("256-0x{}", "00".repeat(52)),
        ] {
            assert_eq!(text.parse::<SignerKey>(), Err(SignerKeyError), "{text}");
        }
    }
}
