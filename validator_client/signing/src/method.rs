//! Where keys are and how they sign.

use crate::protection::Clearance;
use bls::SecretKey;
use std::fmt;
use std::sync::Arc;
use types::{PublicKeyBytes, SchemeProofs, SignatureBytes};

/// A signature by one key of any scheme, as containers carry it.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageSignature {
    /// By a BLS key; the point at infinity for a key of another scheme.
    pub signature: SignatureBytes,
    /// By a key of another scheme; empty for a BLS key.
    pub proofs: SchemeProofs,
}

/// One key. A remote signer and one-time keys (XMSS) are further variants.
#[derive(Debug, Clone)]
pub enum SigningMethod {
    /// A BLS key in this process.
    LocalBls(LocalBlsKey),
}

/// A BLS key in this process. It does not give the secret back: what it signs goes through slashing protection.
#[derive(Clone)]
pub struct LocalBlsKey {
    pubkey: PublicKeyBytes,
    /// Shared, so that it is in memory once.
    secret_key: Arc<SecretKey>,
}

impl SigningMethod {
    /// A BLS key in this process.
    pub fn local(secret_key: SecretKey) -> Self {
        Self::LocalBls(LocalBlsKey {
            pubkey: secret_key.public_key().to_bytes(),
            secret_key: Arc::new(secret_key),
        })
    }

    /// The key's name everywhere.
    pub fn pubkey(&self) -> PublicKeyBytes {
        match self {
            Self::LocalBls(key) => key.pubkey,
        }
    }

    /// Signs what was cleared. Takes up to a millisecond of one core.
    pub(crate) fn sign(&self, clearance: &Clearance) -> MessageSignature {
        match self {
            Self::LocalBls(key) => MessageSignature {
                signature: key.secret_key.sign(&clearance.signing_root()).to_bytes(),
                proofs: SchemeProofs::default(),
            },
        }
    }
}

impl fmt::Debug for LocalBlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBlsKey")
            .field("pubkey", &self.pubkey)
            .finish_non_exhaustive()
    }
}
