//! scrypt (RFC 7914), for the sake of its memory.
//!
//! The allocator of most Linux systems keeps freed blocks of up to 32 MiB, in one arena per thread: after unlocking keys
//! with the `scrypt` crate a client stayed some 50 MB larger (`tests/memory.rs`). Larger blocks are mapped and
//! unmapped. So this one always asks for more than 32 MiB; what it does not touch costs nothing. Tests hold it against
//! the RFC and that crate.

use hmac::Hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Words of a Salsa20 block.
const BLOCK: usize = 16;
/// More than the 32 MiB up to which the allocator may keep a block.
const MIN_CAPACITY_WORDS: usize = (33 << 20) / 4;

/// Derives a key. `n` is a power of two, `r` and `p` are at least 1, and `128 * n * r` bytes fit the memory: the caller
/// has checked. Returns false if the lengths do not suit PBKDF2.
pub(crate) fn scrypt(password: &[u8], salt: &[u8], n: usize, r: usize, p: usize, key: &mut [u8]) -> bool {
    let words = 2 * BLOCK * r;
    let mut blocks = Zeroizing::new(vec![0u8; p * words * 4]);
    let mut memory = Vec::with_capacity((n * words).max(MIN_CAPACITY_WORDS));
    if pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, 1, &mut blocks).is_err() {
        return false;
    }
    for chunk in blocks.chunks_exact_mut(words * 4) {
        let mut block: Zeroizing<Vec<u32>> = Zeroizing::new(
            chunk
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes))
                .collect(),
        );
        ro_mix(&mut block, n, r, &mut memory);
        for (bytes, word) in chunk.as_chunks_mut::<4>().0.iter_mut().zip(block.iter()) {
            *bytes = word.to_le_bytes();
        }
    }
    pbkdf2::pbkdf2::<Hmac<Sha256>>(password, &blocks, 1, key).is_ok()
}

/// RFC 7914, section 5.
fn ro_mix(block: &mut [u32], n: usize, r: usize, memory: &mut Vec<u32>) {
    let words = block.len();
    let mut mixed = Zeroizing::new(vec![0u32; words]);
    memory.clear();
    for _ in 0..n {
        memory.extend_from_slice(block);
        block_mix(block, r, &mut mixed);
        block.copy_from_slice(&mixed);
    }
    for _ in 0..n {
        // Integerify modulo a power of two: the low word is enough, n is below 2^32.
        let place = (block[words - BLOCK] as usize & (n - 1)) * words;
        for (word, other) in block.iter_mut().zip(&memory[place..place + words]) {
            *word ^= other;
        }
        block_mix(block, r, &mut mixed);
        block.copy_from_slice(&mixed);
    }
}

/// RFC 7914, section 4: even blocks first, then the odd ones.
fn block_mix(input: &[u32], r: usize, output: &mut [u32]) {
    let (input, _) = input.as_chunks::<BLOCK>();
    let (output, _) = output.as_chunks_mut::<BLOCK>();
    let mut state = input[2 * r - 1];
    for (number, block) in input.iter().enumerate() {
        for (word, other) in state.iter_mut().zip(block) {
            *word ^= other;
        }
        salsa20_8(&mut state);
        output[number / 2 + (number % 2) * r] = state;
    }
}

/// RFC 7914, section 3.
fn salsa20_8(block: &mut [u32; BLOCK]) {
    let mut x = *block;
    let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
        x[b] ^= x[a].wrapping_add(x[d]).rotate_left(7);
        x[c] ^= x[b].wrapping_add(x[a]).rotate_left(9);
        x[d] ^= x[c].wrapping_add(x[b]).rotate_left(13);
        x[a] ^= x[d].wrapping_add(x[c]).rotate_left(18);
    };
    for _ in 0..4 {
        quarter(0, 4, 8, 12);
        quarter(5, 9, 13, 1);
        quarter(10, 14, 2, 6);
        quarter(15, 3, 7, 11);
        quarter(0, 1, 2, 3);
        quarter(5, 6, 7, 4);
        quarter(10, 11, 8, 9);
        quarter(15, 12, 13, 14);
    }
    for (word, x) in block.iter_mut().zip(x) {
        *word = word.wrapping_add(x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_rfc() {
        for (password, salt, n, r, p, expected) in [
            (
                "",
                "",
                16,
                1,
                1,
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442\
                 fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
            ),
            (
                "password",
                "NaCl",
                1024,
                8,
                16,
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162\
                 2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
            ),
            (
                "pleaseletmein",
                "SodiumChloride",
                16384,
                8,
                1,
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2\
                 d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
            ),
        ] {
            let mut key = [0; 64];
            assert!(scrypt(password.as_bytes(), salt.as_bytes(), n, r, p, &mut key));
            assert_eq!(hex::encode(key), expected);
        }
    }

    #[test]
    fn same_keys_as_the_scrypt_crate() {
        for log_n in 1..12u8 {
            for r in 1..10 {
                for p in 1..4 {
                    let salt = [log_n, 7, 9];
                    let (mut ours, mut theirs) = ([0; 32], [0; 32]);
                    assert!(scrypt(b"pw", &salt, 1 << log_n, r, p, &mut ours));
                    let params = ::scrypt::Params::new(log_n, r as u32, p as u32, 32).unwrap();
                    ::scrypt::scrypt(b"pw", &salt, &params, &mut theirs).unwrap();
                    assert_eq!(ours, theirs, "n = 2^{log_n}, r = {r}, p = {p}");
                }
            }
        }
    }
}
