//! Codewords: how far each chain of a leaf is walked for a message.

use crate::field::{DIGEST_LEN, Digest, Element, LANES, ORDER, Parameter, Randomness};
use crate::hash::{MESSAGE_LEN, message_hash, message_tweak, packed_message_hash};
use crate::parameters::{MAX_CHAINS, Parameters, digit_bound};
use crate::prf::PrfKey;
use crate::{Message, SignError};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use rayon::prelude::*;

/// Attempts of the search. One in about 900 gives a codeword of [`crate::Production`]: that all fail has a
/// probability below 2^-150.
const MAX_ATTEMPTS: u32 = 100_000;
/// Attempts that are shared out to the cores at once.
const BLOCK: u32 = 512;

/// A digit for each chain; those after the last chain are zero.
pub(crate) type Codeword = [u8; MAX_CHAINS];

/// A message as digits in base p of a little-endian integer.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "a remainder below 2^31 before 32 more bits"
)]
pub(crate) fn message_elements(message: &Message) -> [Element; MESSAGE_LEN] {
    let mut words = [0u32; 8];
    for (word, bytes) in words.iter_mut().zip(message.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut elements = [Element::ZERO; MESSAGE_LEN];
    for element in &mut elements {
        let mut remainder = 0u64;
        for word in words.iter_mut().rev() {
            let value = remainder << 32 | u64::from(*word);
            *word = (value / u64::from(ORDER)) as u32;
            remainder = value % u64::from(ORDER);
        }
        *element = Element::new(remainder as u32);
    }
    elements
}

/// The codeword of a message, if it has one with this randomness.
pub(crate) fn encode<P: Parameters>(
    parameter: &Parameter,
    leaf: u32,
    message: &Message,
    randomness: &Randomness,
) -> Option<Codeword> {
    let hash = message_hash(&message_elements(message), parameter, &message_tweak(leaf), randomness);
    codeword::<P>(&hash)
}

/// Reads a codeword from a hash. `None` if an element is beyond the bound below which digits are uniform, or if the
/// digits have another sum.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "divisions by constants that are not zero, at most 64 digits"
)]
fn codeword<P: Parameters>(hash: &[Element; DIGEST_LEN]) -> Option<Codeword> {
    let mut codeword = [0; MAX_CHAINS];
    let mut sum = 0u32;
    let digits = codeword.get_mut(..P::CHAINS)?;
    for (digits, element) in digits.chunks_mut(P::DIGITS_PER_ELEMENT).zip(hash) {
        let value = element.as_canonical_u32();
        if value >= const { digit_bound::<P>() } {
            return None;
        }
        let mut value = value / P::QUOTIENT;
        for digit in digits {
            *digit = (value % P::BASE) as u8;
            sum += value % P::BASE;
            value /= P::BASE;
        }
    }
    (sum == P::TARGET_SUM).then_some(codeword)
}

/// The first attempt whose randomness gives a codeword, on all cores. How many it takes depends on the key, but the
/// randomness is published, so this tells nothing.
#[allow(clippy::arithmetic_side_effects, reason = "attempts are below MAX_ATTEMPTS + BLOCK")]
pub(crate) fn search<P: Parameters>(
    key: &PrfKey,
    parameter: &Parameter,
    leaf: u32,
    message: &Message,
) -> Result<(Randomness, Codeword), SignError> {
    let encoded = message_elements(message);
    let lanes = LANES as u32;
    (0..MAX_ATTEMPTS)
        .step_by(BLOCK as usize)
        .find_map(|first| {
            (first / lanes..(first + BLOCK) / lanes)
                .into_par_iter()
                .with_min_len(8)
                .find_map_first(|group| {
                    let randomness: [Randomness; LANES] = std::array::from_fn(|lane| {
                        key.randomness(leaf, message, u64::from(group * lanes + lane as u32))
                    });
                    let hashes = packed_message_hash(&encoded, parameter, leaf, &randomness);
                    randomness
                        .into_iter()
                        .zip(hashes)
                        .find_map(|(randomness, Digest(hash))| Some((randomness, codeword::<P>(&hash)?)))
                })
        })
        .ok_or(SignError::NoCodeword { attempts: MAX_ATTEMPTS })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Production;
    use crate::prf::Seed;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_message_is_the_sum_of_its_elements(message in any::<[u8; 32]>()) {
            // Horner's rule on bytes, carry by carry.
            let mut value = [0u8; 33];
            for element in message_elements(&message).iter().rev() {
                let mut carry = u64::from(element.as_canonical_u32());
                for byte in &mut value {
                    let next = u64::from(*byte) * u64::from(ORDER) + carry;
                    *byte = next as u8;
                    carry = next >> 8;
                }
                prop_assert_eq!(carry, 0);
            }
            prop_assert_eq!(&value[..32], &message[..]);
            prop_assert_eq!(value[32], 0);
        }

        #[test]
        fn the_search_finds_the_first_attempt(seed in any::<[u8; 32]>(), leaf in any::<u32>()) {
            let seed = Seed::from_bytes(&seed);
            let (key, parameter) = (seed.prf_key(), seed.parameter());
            let found = search::<Production>(&key, &parameter, leaf, &[3; 32]).unwrap();
            let first = (0..).find_map(|attempt| {
                let randomness = key.randomness(leaf, &[3; 32], attempt);
                Some((randomness, encode::<Production>(&parameter, leaf, &[3; 32], &randomness)?))
            });
            prop_assert_eq!(Some(found), first);
            prop_assert_eq!(found.1.iter().map(|digit| u32::from(*digit)).sum::<u32>(), Production::TARGET_SUM);
        }
    }

    #[test]
    fn the_largest_element_has_no_digits() {
        let mut hash = [Element::new(127); DIGEST_LEN];
        hash[2] = Element::new(ORDER - 1);
        assert_eq!(digit_bound::<Production>(), ORDER - 1);
        assert_eq!(codeword::<Production>(&hash), None);
    }
}
