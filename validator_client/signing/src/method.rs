//! What every key does, wherever it is and of whatever scheme.

use crate::bls_key::LocalBlsKey;
use crate::metrics;
use crate::signer::SigningError;
use crate::web3signer::RemoteBlsKey;
use crate::xmss_key::LocalXmssKey;
use bls::{INFINITY_SIGNATURE, SecretKey};
use keystore::{UnlockedKey, XmssKey};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use types::{Leaf, Root, SchemeProof, SchemeProofs, SignatureBytes, SignerKey};

/// A signature by one key of any scheme, as containers carry it.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageSignature {
    /// By a BLS key; the point at infinity for a key of another scheme.
    pub signature: SignatureBytes,
    /// By a key of another scheme, or its opening of a leaf; empty for a BLS key.
    pub proofs: SchemeProofs,
}

impl MessageSignature {
    /// By a BLS key.
    pub fn bls(signature: SignatureBytes) -> Self {
        Self {
            signature,
            proofs: SchemeProofs::default(),
        }
    }

    /// By a key of another scheme.
    pub fn of_scheme(scheme: u8, data: Vec<u8>) -> Result<Self, SigningError> {
        let proof = |data| SchemeProofs::new(vec![SchemeProof { scheme, data }]);
        let length = data.len();
        let proofs = ssz_types::VariableList::new(data).and_then(proof);
        Ok(Self {
            signature: INFINITY_SIGNATURE,
            proofs: proofs.map_err(|_| SigningError::TooLong { length })?,
        })
    }
}

/// A key. One implementation for each kind of place: this process with BLS, this process with XMSS, a remote signer.
pub trait SigningKey: fmt::Debug + Send + Sync {
    /// The key's name everywhere.
    fn public_key(&self) -> SignerKey;

    /// The leaves of a key that uses each once; `None` for one that signs any number of messages.
    fn one_time_leaves(&self) -> Option<Range<u64>> {
        None
    }

    /// Whether [`ClearedMessage::document`] is needed.
    fn needs_document(&self) -> bool {
        false
    }

    /// Told once at the start with the first leaf that may be asked for. Returns at once.
    fn get_ready(self: Arc<Self>, _leaf: u64) {}

    /// Signs what was cleared, or opens its leaf. Called on the signer's thread, which other keys wait for: what takes
    /// longer than a BLS signature goes to [`Answer::runtime`], and answers from there.
    fn sign(self: Arc<Self>, message: ClearedMessage, answer: Answer);
}

/// A message whose record is on disk. Only the protection step makes one: there is no other way to a signature.
#[derive(Debug)]
pub struct ClearedMessage {
    pub(crate) signing_root: Root,
    pub(crate) leaf: Leaf,
    pub(crate) kind: &'static str,
    pub(crate) document: Option<String>,
}

impl ClearedMessage {
    /// What is signed.
    pub fn signing_root(&self) -> Root {
        self.signing_root
    }

    /// Which leaf a hash-based key uses, and how.
    pub fn leaf(&self) -> Leaf {
        self.leaf
    }

    /// Name for logs.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The message as a request of the Web3Signer API, if the key asked for it.
    pub fn document(&self) -> Option<&str> {
        self.document.as_deref()
    }
}

/// The way back to whoever wants the signature.
#[derive(Debug)]
pub struct Answer {
    pub(crate) reply: oneshot::Sender<Result<MessageSignature, SigningError>>,
    pub(crate) runtime: Handle,
    pub(crate) pubkey: SignerKey,
    pub(crate) kind: &'static str,
    pub(crate) again: bool,
}

impl Answer {
    /// Where work that takes longer runs.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Answers.
    pub fn send(self, result: Result<MessageSignature, SigningError>) {
        metrics::count(self.kind, result.as_ref().map(|_| ()), self.again);
        if let Err(error) = &result {
            tracing::error!(kind = self.kind, pubkey = %self.pubkey, %error, "not signed");
        }
        // The caller may have gone.
        let _ = self.reply.send(result);
    }
}

/// One key of a client.
#[derive(Debug, Clone)]
pub struct SigningMethod(Arc<dyn SigningKey>);

impl SigningMethod {
    /// A BLS key in this process.
    pub fn local(secret_key: SecretKey) -> Self {
        Self::new(Arc::new(LocalBlsKey::new(secret_key)))
    }

    /// An XMSS key in this process.
    pub fn local_xmss(key: XmssKey) -> Self {
        Self::new(Arc::new(LocalXmssKey::new(key)))
    }

    /// A key of a validators directory, of whatever kind.
    pub fn of(unlocked: UnlockedKey) -> Result<Self, SigningError> {
        Ok(match unlocked {
            UnlockedKey::Bls(secret_key) => Self::local(secret_key),
            UnlockedKey::Xmss(key) => Self::local_xmss(key),
            UnlockedKey::Remote(remote) => Self::new(Arc::new(RemoteBlsKey::new(&remote)?)),
        })
    }

    /// A key of any other kind.
    pub fn new(key: Arc<dyn SigningKey>) -> Self {
        Self(key)
    }

    /// The key's name everywhere.
    pub fn pubkey(&self) -> SignerKey {
        self.0.public_key()
    }

    /// What it is.
    pub fn key(&self) -> &Arc<dyn SigningKey> {
        &self.0
    }
}
