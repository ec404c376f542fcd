//! Field elements, digests and their bytes.

use crate::DecodeError;
use p3_field::{Field, PackedValue, PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::KoalaBear;
use std::fmt;

/// An element of the KoalaBear field.
pub(crate) type Element = KoalaBear;
/// As many elements as one vector instruction of the target handles; one element where there are none.
pub(crate) type Packed = <KoalaBear as Field>::Packing;
/// Elements of a [`Packed`].
pub(crate) const LANES: usize = <Packed as PackedValue>::WIDTH;
/// Order of the field.
pub(crate) const ORDER: u32 = KoalaBear::ORDER_U32;

/// Elements of a hash.
pub(crate) const DIGEST_LEN: usize = 8;
/// Elements of a public parameter.
pub(crate) const PARAMETER_LEN: usize = 5;
/// Elements of the randomness of a signature.
pub(crate) const RANDOMNESS_LEN: usize = 7;

/// Public parameter of a key: what makes its hashes others than those of all other keys.
pub(crate) type Parameter = [Element; PARAMETER_LEN];
/// Randomness of a signature (rho).
pub(crate) type Randomness = [Element; RANDOMNESS_LEN];

/// A hash: node of a tree, or value in a chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) [Element; DIGEST_LEN]);

impl Digest {
    /// Bytes of a digest.
    pub const LEN: usize = 4 * DIGEST_LEN;

    pub(crate) const ZERO: Self = Self([Element::ZERO; DIGEST_LEN]);

    /// Each element little-endian.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (chunk, element) in bytes.chunks_exact_mut(4).zip(&self.0) {
            chunk.copy_from_slice(&element.as_canonical_u32().to_le_bytes());
        }
        bytes
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Appends elements, each little-endian.
pub(crate) fn write_elements(elements: &[Element], out: &mut Vec<u8>) {
    for element in elements {
        out.extend_from_slice(&element.as_canonical_u32().to_le_bytes());
    }
}

/// Reads from bytes whose number was checked before.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(DecodeError::Length {
            expected: N,
            found: self.0.len(),
        })?;
        self.0 = rest;
        Ok(*array)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn elements<const N: usize>(&mut self) -> Result<[Element; N], DecodeError> {
        let mut elements = [Element::ZERO; N];
        for element in &mut elements {
            let value = self.u32()?;
            if value >= ORDER {
                return Err(DecodeError::NotCanonical { value });
            }
            *element = Element::new(value);
        }
        Ok(elements)
    }

    pub(crate) fn digests(&mut self, count: usize) -> Result<Vec<Digest>, DecodeError> {
        (0..count).map(|_| self.elements().map(Digest)).collect()
    }
}

/// Whether there are as many bytes as expected.
pub(crate) fn check_len(bytes: &[u8], expected: usize) -> Result<(), DecodeError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(DecodeError::Length {
            expected,
            found: bytes.len(),
        })
    }
}

/// The same elements in another layout: element `i` of each digest becomes one vector.
pub(crate) fn pack<const N: usize>(lane: impl Fn(usize) -> [Element; N]) -> [Packed; N] {
    let lanes: [[Element; N]; LANES] = std::array::from_fn(lane);
    std::array::from_fn(|element| {
        Packed::from_fn(|lane| {
            lanes
                .get(lane)
                .and_then(|lane| lane.get(element))
                .copied()
                .unwrap_or_default()
        })
    })
}

/// The digest of one lane.
pub(crate) fn unpack(packed: &[Packed; DIGEST_LEN], lane: usize) -> Digest {
    Digest(packed.map(|element| element.as_slice().get(lane).copied().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_canonical_elements_are_read(values in any::<[u32; 8]>()) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let read = Reader(&bytes).elements().map(Digest);
            match values.iter().find(|value| **value >= ORDER) {
                Some(value) => prop_assert_eq!(read, Err(DecodeError::NotCanonical { value: *value })),
                None => prop_assert_eq!(read.unwrap().to_bytes().to_vec(), bytes),
            }
        }
    }

    #[test]
    fn packing_keeps_lanes_apart() {
        let digest = |lane: usize| std::array::from_fn(|index| Element::new((100 * lane + index) as u32));
        let packed = pack(digest);
        for lane in 0..LANES {
            assert_eq!(unpack(&packed, lane), Digest(digest(lane)));
        }
    }
}
