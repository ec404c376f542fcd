//! What a signature scheme is, and the list of those that are registered.

use crate::SignatureError;
use crate::xmss_scheme::Xmss;
use parking_lot::RwLock;
use types::constants::BLS_SCHEME;
use types::{Leaf, Root, SignerIndex};
use xmss::{Devnet, Production};

/// Why a scheme refuses a key or proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// The bytes are not a key.
    #[error("malformed key: {0}")]
    Key(String),
    /// The bytes are not a proof.
    #[error("malformed proof: {0}")]
    Proof(String),
    /// The proof does not verify.
    #[error("proof does not verify")]
    Invalid,
    /// Signatures that cannot be taken out of a proof.
    #[error("signatures of this scheme cannot be taken out of a proof")]
    Inseparable,
    /// A message of a kind that keys of the scheme do not sign.
    #[error("keys of this scheme do not sign messages of this kind")]
    NoLeaf,
    /// More leaves than a key has.
    #[error("leaf {0} is beyond the lifetime of a key")]
    Leaf(u64),
}

/// A signature scheme other than BLS: a number, a key length and three functions.
pub trait Scheme: Send + Sync {
    /// Number by which keys and proofs name the scheme. Not 0, which is BLS.
    fn number(&self) -> u8;

    /// Bytes of a public key, at most 64.
    fn key_len(&self) -> usize;

    /// Whether `key`, of the right length, is a key.
    fn validate_key(&self, key: &[u8]) -> Result<(), SchemeError>;

    /// Verifies a proof: signatures over `signing_root` by exactly `keys`, in their order. `leaf` says what a key that
    /// has leaves does with which of them; other schemes ignore it.
    fn verify(&self, leaf: Leaf, signing_root: &Root, keys: &[&[u8]], proof: &[u8]) -> Result<(), SchemeError>;

    /// Merges proofs over one signing root by disjoint signers. Each part names its signers, ascending; the result
    /// is for all of them, ascending.
    fn merge(&self, parts: &[(&[SignerIndex], &[u8])]) -> Result<Vec<u8>, SchemeError>;

    /// A proof without the signatures of those keys, in their order, for which `keep` is false. Schemes whose signatures
    /// cannot be taken apart refuse.
    fn retain(&self, _keep: &[bool], _proof: &[u8]) -> Result<Vec<u8>, SchemeError> {
        Err(SchemeError::Inseparable)
    }

    /// A value that only the holder of `key` could know before, and of which there is only one for a signing root or
    /// opened leaf: for RANDAO and the selection of aggregators. `proof` has the form of one that verifies.
    fn unique_value(&self, key: &[u8], proof: &[u8]) -> Result<Root, SchemeError>;
}

static BUILT_IN: [&dyn Scheme; 2] = [&Xmss::<Production>::SCHEME, &Xmss::<Devnet>::SCHEME];
static REGISTERED: RwLock<Vec<&'static dyn Scheme>> = RwLock::new(Vec::new());

/// Makes a scheme known for the life of the process. A number can be taken once: `false` if it is taken.
pub fn register(scheme: &'static dyn Scheme) -> bool {
    let mut schemes = REGISTERED.write();
    let mut known = BUILT_IN.iter().chain(schemes.iter());
    let is_new = scheme.number() != BLS_SCHEME && known.all(|known| known.number() != scheme.number());
    if is_new {
        schemes.push(scheme);
    }
    is_new
}

/// The scheme with a number.
pub(crate) fn find(number: u8) -> Result<&'static dyn Scheme, SignatureError> {
    let has_number = |scheme: &&&'static dyn Scheme| scheme.number() == number;
    let built_in = BUILT_IN.iter().find(has_number).copied();
    built_in
        .or_else(|| REGISTERED.read().iter().find(has_number).copied())
        .ok_or(SignatureError::UnknownScheme(number))
}
