//! Public keys are decompressed and checked once for the life of the process, by key bytes. Virtual keys come and
//! go, so an index by validator would not do.

use crate::{BlsError, PublicKey};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::LazyLock;
use types::PublicKeyBytes;

/// Shards: readers of different keys hardly ever meet a writer.
const SHARDS: usize = 64;

static CACHE: LazyLock<Vec<RwLock<HashMap<PublicKeyBytes, PublicKey>>>> =
    LazyLock::new(|| (0..SHARDS).map(|_| RwLock::default()).collect());

/// The key with these bytes. Bytes that are no key are not remembered: they come from attackers.
pub fn cached_public_key(bytes: &PublicKeyBytes) -> Result<PublicKey, BlsError> {
    // The last byte of a compressed point is as good as random.
    let shard = bytes
        .last()
        .and_then(|byte| CACHE.get(usize::from(*byte) & (SHARDS.saturating_sub(1))));
    let Some(shard) = shard else {
        return PublicKey::from_bytes(bytes);
    };
    if let Some(key) = shard.read().get(bytes) {
        return Ok(*key);
    }
    let key = PublicKey::from_bytes(bytes)?;
    shard.write().insert(*bytes, key);
    Ok(key)
}

/// How many keys the process remembers.
pub fn cached_public_keys_len() -> usize {
    CACHE.iter().map(|shard| shard.read().len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    #[test]
    fn a_cached_key_is_the_decompressed_key() {
        let key = SecretKey::derive_master(&[9; 32]).unwrap().public_key();
        assert_eq!(cached_public_key(&key.to_bytes()), Ok(key));
        assert_eq!(cached_public_key(&key.to_bytes()), Ok(key));
    }

    #[test]
    fn bytes_that_are_no_key_are_refused_every_time() {
        let mut infinity = PublicKeyBytes::ZERO;
        infinity[0] = 0xc0;
        assert_eq!(cached_public_key(&infinity), Err(BlsError::PublicKeyInfinity));
        assert_eq!(
            cached_public_key(&PublicKeyBytes::ZERO),
            Err(BlsError::PublicKeyEncoding)
        );
        assert_eq!(
            cached_public_key(&PublicKeyBytes::ZERO),
            Err(BlsError::PublicKeyEncoding)
        );
    }
}
