//! Everything secret comes out of here: SHAKE128 over a key.

use crate::Message;
use crate::field::{DIGEST_LEN, Element, ORDER, PARAMETER_LEN, Parameter, RANDOMNESS_LEN, Randomness};
use p3_field::PrimeCharacteristicRing;
use shake::Shake128;
use shake::digest::{ExtendableOutput, Update, XofReader};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes that make one element: so many more than the field needs that the bias is below 2^-96.
const BYTES_PER_ELEMENT: usize = 16;
/// Separates the PRF of this scheme from other uses of SHAKE128.
const DOMAIN: [u8; 16] = [
    0xae, 0xae, 0x22, 0xff, 0x00, 0x01, 0xfa, 0xff, 0x21, 0xaf, 0x12, 0x00, 0x01, 0x11, 0xff, 0x00,
];
const CHAIN_START: u8 = 0;
const RANDOMNESS: u8 = 1;

/// What a key is derived from: 32 uniform bytes. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Takes bytes that the caller drew or derived. Its own copy is the caller's to wipe.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// The seed of one of many keys that one seed stands for. Nothing of it tells of this seed or of its siblings.
    pub fn child(&self, index: u32) -> Self {
        let mut child = Self([0; 32]);
        self.expand(b"fresnel-xmss-child", &index.to_le_bytes(), &mut child.0);
        child
    }

    pub(crate) fn prf_key(&self) -> PrfKey {
        let mut key = PrfKey([0; 32]);
        self.expand(b"fresnel-xmss-prf-key", &[], &mut key.0);
        key
    }

    /// The parameter is public, and uniform.
    pub(crate) fn parameter(&self) -> Parameter {
        let mut bytes = [0; PARAMETER_LEN * BYTES_PER_ELEMENT];
        self.expand(b"fresnel-xmss-parameter", &[], &mut bytes);
        elements(&bytes)
    }

    fn expand(&self, label: &[u8], context: &[u8], out: &mut [u8]) {
        let mut hasher = Shake128::default();
        hasher.update(label);
        hasher.update(&self.0);
        hasher.update(context);
        hasher.finalize_xof().read(out);
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Key of the PRF: the secret of a secret key. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct PrfKey(pub(crate) [u8; 32]);

impl PrfKey {
    /// Where a chain of a leaf starts.
    pub(crate) fn chain_start(&self, leaf: u32, chain: usize) -> [Element; DIGEST_LEN] {
        let mut bytes = [0; DIGEST_LEN * BYTES_PER_ELEMENT];
        let mut hasher = self.hasher(CHAIN_START);
        hasher.update(&leaf.to_be_bytes());
        hasher.update(&(chain as u64).to_be_bytes());
        hasher.finalize_xof().read(&mut bytes);
        let start = elements(&bytes);
        bytes.zeroize();
        start
    }

    /// Randomness of an attempt to encode a message.
    pub(crate) fn randomness(&self, leaf: u32, message: &Message, attempt: u64) -> Randomness {
        let mut bytes = [0; RANDOMNESS_LEN * BYTES_PER_ELEMENT];
        let mut hasher = self.hasher(RANDOMNESS);
        hasher.update(&leaf.to_be_bytes());
        hasher.update(message);
        hasher.update(&attempt.to_be_bytes());
        hasher.finalize_xof().read(&mut bytes);
        elements(&bytes)
    }

    fn hasher(&self, purpose: u8) -> Shake128 {
        let mut hasher = Shake128::default();
        hasher.update(&DOMAIN);
        hasher.update(&[purpose]);
        hasher.update(&self.0);
        hasher
    }
}

impl fmt::Debug for PrfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrfKey(..)")
    }
}

/// Digest that fills the place of a node outside the window. Not a secret: it depends on the public parameter.
pub(crate) fn padding(parameter_bytes: &[u8], level: usize, index: u64) -> [Element; DIGEST_LEN] {
    let mut bytes = [0; DIGEST_LEN * BYTES_PER_ELEMENT];
    let mut hasher = Shake128::default();
    hasher.update(b"fresnel-xmss-padding");
    hasher.update(parameter_bytes);
    hasher.update(&(level as u64).to_le_bytes());
    hasher.update(&index.to_le_bytes());
    hasher.finalize_xof().read(&mut bytes);
    elements(&bytes)
}

/// Big-endian integers of 16 bytes, each modulo p. Divisions are by a constant, which compiles to multiplications:
/// the time does not depend on the bytes.
#[allow(clippy::arithmetic_side_effects, reason = "below 2^31 * 2^32 + 2^32")]
fn elements<const N: usize>(bytes: &[u8]) -> [Element; N] {
    let mut elements = [Element::ZERO; N];
    for (element, chunk) in elements.iter_mut().zip(bytes.chunks_exact(BYTES_PER_ELEMENT)) {
        let words = chunk.as_chunks::<4>().0;
        let value = words.iter().fold(0u64, |value, word| {
            (value << 32 | u64::from(u32::from_be_bytes(*word))) % u64::from(ORDER)
        });
        *element = Element::new(value as u32);
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;
    use p3_field::PrimeField32;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_element_is_its_bytes_modulo_p(bytes in any::<[u8; 16]>()) {
            let [element] = elements::<1>(&bytes);
            let expected = u128::from_be_bytes(bytes) % u128::from(ORDER);
            prop_assert_eq!(u128::from(element.as_canonical_u32()), expected);
        }
    }

    #[test]
    fn children_differ_from_each_other_and_from_their_parent() {
        let seed = Seed::from_bytes(&[7; 32]);
        let keys = [
            seed.prf_key(),
            seed.child(0).prf_key(),
            seed.child(1).prf_key(),
            seed.child(0).child(0).prf_key(),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(index + 1).all(|other| other.0 != key.0));
        }
        assert_eq!(seed.child(5).prf_key().0, seed.child(5).prf_key().0);
    }

    #[test]
    fn secrets_are_not_printed() {
        let seed = Seed::from_bytes(&[7; 32]);
        assert_eq!(format!("{seed:?} {:?}", seed.prf_key()), "Seed(..) PrfKey(..)");
    }
}
