//! BLS keys in this process.

use crate::method::{Answer, ClearedMessage, MessageSignature, SigningKey};
use bls::SecretKey;
use std::fmt;
use std::sync::Arc;
use types::{PublicKeyBytes, SignerKey};

/// A BLS key in this process. It does not give the secret back: what it signs goes through slashing protection.
pub(crate) struct LocalBlsKey {
    pubkey: PublicKeyBytes,
    secret_key: SecretKey,
}

impl LocalBlsKey {
    pub(crate) fn new(secret_key: SecretKey) -> Self {
        Self {
            pubkey: secret_key.public_key().to_bytes(),
            secret_key,
        }
    }
}

impl SigningKey for LocalBlsKey {
    fn public_key(&self) -> SignerKey {
        self.pubkey.into()
    }

    fn sign(self: Arc<Self>, message: ClearedMessage, answer: Answer) {
        // Less than a millisecond: here and now.
        let signature = self.secret_key.sign(&message.signing_root()).to_bytes();
        answer.send(Ok(MessageSignature::bls(signature)));
    }
}

impl fmt::Debug for LocalBlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBlsKey")
            .field("pubkey", &self.pubkey)
            .finish_non_exhaustive()
    }
}
