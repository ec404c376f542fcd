//! Secret keys and their derivation.

use crate::{BlsError, DST, PublicKey, Signature};
use blst::min_pk;
use std::fmt;
use std::str::FromStr;
use types::Root;
use zeroize::Zeroizing;

/// A secret key. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct SecretKey(min_pk::SecretKey);

impl SecretKey {
    /// From 32 big-endian bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        min_pk::SecretKey::from_bytes(bytes)
            .map(Self)
            .map_err(|_| BlsError::SecretKey)
    }

    /// A key from the operating system's randomness.
    pub fn random() -> Result<Self, BlsError> {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        min_pk::SecretKey::key_gen(seed.as_slice(), &[])
            .map(Self)
            .map_err(|_| BlsError::SecretKey)
    }

    /// The master key of a seed of at least 32 bytes.
    ///
    /// Spec: EIP-2333, `derive_master_SK`
    pub fn derive_master(seed: &[u8]) -> Result<Self, BlsError> {
        min_pk::SecretKey::derive_master_eip2333(seed)
            .map(Self)
            .map_err(|_| BlsError::SeedLength(seed.len()))
    }

    /// A child key.
    ///
    /// Spec: EIP-2333, `derive_child_SK`
    pub fn derive_child(&self, index: u32) -> Self {
        Self(self.0.derive_child_eip2333(index))
    }

    /// The key at `path` below the master key of `seed`.
    pub fn derive_path(seed: &[u8], path: &KeyPath) -> Result<Self, BlsError> {
        Ok(path
            .0
            .iter()
            .fold(Self::derive_master(seed)?, |key, index| key.derive_child(*index)))
    }

    /// 32 big-endian bytes, wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.sk_to_pk())
    }

    /// Signs a signing root.
    pub fn sign(&self, message: &Root) -> Signature {
        Signature(self.0.sign(message.as_slice(), DST, &[]))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {:?}", self.public_key())
    }
}

/// A path of EIP-2334, such as `m/12381/3600/0/0/0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPath(Vec<u32>);

impl KeyPath {
    /// `m/12381/3600/i/0/0`: where validator `i` has its signing key.
    ///
    /// Spec: EIP-2334
    pub fn signing_key(index: u32) -> Self {
        Self(vec![12381, 3600, index, 0, 0])
    }
}

impl FromStr for KeyPath {
    type Err = BlsError;
    fn from_str(path: &str) -> Result<Self, BlsError> {
        let mut parts = path.split('/');
        if parts.next() != Some("m") {
            return Err(BlsError::KeyPath);
        }
        parts
            .map(|part| part.parse().map_err(|_| BlsError::KeyPath))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|index| write!(f, "/{index}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 0 of EIP-2333.
    #[test]
    fn derives_the_keys_of_eip_2333() {
        let seed = hex::decode(
            "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04",
        )
        .unwrap();
        let master = SecretKey::derive_master(&seed).unwrap();
        // 6083874454709270928345386274498605044986640685124978867557563392430687146096
        assert_eq!(
            hex::encode(master.to_bytes().as_slice()),
            "0d7359d57963ab8fbbde1852dcf553fedbc31f464d80ee7d40ae683122b45070"
        );
        // 20397789859736650942317412262472558107875392172444076792671091975210932703118
        assert_eq!(
            hex::encode(master.derive_child(0).to_bytes().as_slice()),
            "2d18bd6c14e6d15bf8b5085c9b74f3daae3b03cc2014770a599d8c1539e50f8e"
        );
    }

    #[test]
    fn rejects_keys_out_of_range() {
        assert_eq!(SecretKey::from_bytes(&[0; 32]).unwrap_err(), BlsError::SecretKey);
        assert_eq!(SecretKey::from_bytes(&[0xff; 32]).unwrap_err(), BlsError::SecretKey);
        assert_eq!(SecretKey::from_bytes(&[1; 31]).unwrap_err(), BlsError::SecretKey);
        assert_eq!(
            SecretKey::derive_master(&[1; 31]).unwrap_err(),
            BlsError::SeedLength(31)
        );
    }

    #[test]
    fn paths_print_as_they_are_read() {
        let path: KeyPath = "m/12381/3600/7/0/0".parse().unwrap();
        assert_eq!(path, KeyPath::signing_key(7));
        assert_eq!(path.to_string(), "m/12381/3600/7/0/0");
        assert!("12381/3600".parse::<KeyPath>().is_err());
        assert!("m/x".parse::<KeyPath>().is_err());
    }
}
