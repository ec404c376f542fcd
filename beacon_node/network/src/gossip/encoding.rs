//! Payloads of gossip messages: raw snappy with a size limit before anything is allocated, and message ids.

use super::{GossipTopic, PayloadLimits};
use libp2p::gossipsub::{DataTransform, Message, RawMessage, TopicHash};
use sha2::{Digest, Sha256};
use std::io;

/// Spec: phase0/p2p-interface.md#configuration
pub const MAX_PAYLOAD_SIZE: usize = 10 << 20;
/// Bytes of a message id.
pub(super) const MESSAGE_ID_LENGTH: usize = 20;

const MESSAGE_DOMAIN_INVALID_SNAPPY: [u8; 4] = [0, 0, 0, 0];
const MESSAGE_DOMAIN_VALID_SNAPPY: [u8; 4] = [1, 0, 0, 0];

/// Spec: phase0/p2p-interface.md#max_compressed_len
pub const fn max_compressed_len(n: usize) -> usize {
    n.saturating_add(n / 6).saturating_add(32)
}

/// Spec: phase0/p2p-interface.md#max_message_size
pub const fn max_message_size() -> usize {
    let size = max_compressed_len(MAX_PAYLOAD_SIZE) + 1024;
    if size > 1 << 20 { size } else { 1 << 20 }
}

/// A gossip payload that does not decompress within its limit.
#[derive(Debug, thiserror::Error)]
pub enum SnappyError {
    /// Its header declares more than the topic may carry.
    #[error("payload declares {declared} bytes, its topic allows {limit}")]
    TooLong {
        /// Length from the header.
        declared: usize,
        /// Bound of the topic.
        limit: usize,
    },
    /// Not snappy.
    #[error("payload is no snappy block: {0}")]
    Malformed(#[from] snap::Error),
}

/// Decompresses a snappy block of at most `limit` bytes.
pub fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, SnappyError> {
    let declared = snap::raw::decompress_len(data)?;
    if declared > limit {
        return Err(SnappyError::TooLong { declared, limit });
    }
    // The format cannot expand by more than 64 per three bytes; a header that claims more is a lie.
    if declared > data.len().saturating_mul(64) {
        return Err(SnappyError::Malformed(snap::Error::HeaderMismatch {
            expected_len: declared as u64,
            got_len: data.len() as u64,
        }));
    }
    Ok(snap::raw::Decoder::new().decompress_vec(data)?)
}

/// Compresses a payload as one snappy block.
pub fn compress(data: &[u8], limit: usize) -> Result<Vec<u8>, SnappyError> {
    if data.len() > limit {
        return Err(SnappyError::TooLong {
            declared: data.len(),
            limit,
        });
    }
    Ok(snap::raw::Encoder::new().compress_vec(data)?)
}

/// Id of a message whose payload decompresses to `data`.
///
/// Spec: altair/p2p-interface.md#topics-and-messages
pub fn message_id(topic: &str, data: &[u8]) -> [u8; MESSAGE_ID_LENGTH] {
    id(MESSAGE_DOMAIN_VALID_SNAPPY, topic, data)
}

/// Id of a message whose payload `raw` does not decompress.
pub fn message_id_of_invalid(topic: &str, raw: &[u8]) -> [u8; MESSAGE_ID_LENGTH] {
    id(MESSAGE_DOMAIN_INVALID_SNAPPY, topic, raw)
}

fn id(domain: [u8; 4], topic: &str, data: &[u8]) -> [u8; MESSAGE_ID_LENGTH] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(domain)
        .chain_update((topic.len() as u64).to_le_bytes())
        .chain_update(topic.as_bytes())
        .chain_update(data)
        .finalize()
        .into();
    let mut id = [0; MESSAGE_ID_LENGTH];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    id
}

/// The step between wire and message inside gossipsub. A message that fails it counts as invalid for its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnappyTransform(pub(crate) PayloadLimits);

impl SnappyTransform {
    fn limit_of(self, topic: &TopicHash) -> io::Result<usize> {
        let topic: GossipTopic = topic.as_str().parse().map_err(io::Error::other)?;
        Ok(self.0.max_payload_len(topic.kind))
    }
}

impl DataTransform for SnappyTransform {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        let limit = self.limit_of(&raw.topic)?;
        let data = decompress(&raw.data, limit).map_err(io::Error::other)?;
        Ok(Message {
            source: raw.source,
            data,
            sequence_number: raw.sequence_number,
            topic: raw.topic,
        })
    }

    fn outbound_transform(&self, topic: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        compress(&data, self.limit_of(topic)?).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use types::ChainSpec;

    const TOPIC: &str = "/eth2/446a7232/voluntary_exit/ssz_snappy";

    fn transform() -> SnappyTransform {
        SnappyTransform(PayloadLimits::of(&ChainSpec::mainnet()))
    }

    fn raw(data: Vec<u8>) -> RawMessage {
        RawMessage {
            source: None,
            data,
            sequence_number: None,
            topic: TopicHash::from_raw(TOPIC),
            signature: None,
            key: None,
            validated: false,
        }
    }

    #[test]
    fn limits_are_those_of_the_spec() {
        assert_eq!(max_compressed_len(MAX_PAYLOAD_SIZE), 32 + 10_485_760 + 1_747_626);
        assert_eq!(max_message_size(), 32 + 10_485_760 + 1_747_626 + 1024);
    }

    #[test]
    fn ids_depend_on_domain_topic_and_payload() {
        let mut seen = std::collections::HashSet::new();
        assert!(seen.insert(message_id(TOPIC, b"a")));
        assert!(seen.insert(message_id(TOPIC, b"b")));
        assert!(seen.insert(message_id("/eth2/446a7232/beacon_block/ssz_snappy", b"a")));
        assert!(seen.insert(message_id_of_invalid(TOPIC, b"a")));
        let mut preimage = vec![1, 0, 0, 0];
        preimage.extend(40u64.to_le_bytes());
        preimage.extend(TOPIC.as_bytes());
        preimage.extend(b"a");
        assert_eq!(TOPIC.len(), 40);
        assert_eq!(message_id(TOPIC, b"a")[..], Sha256::digest(&preimage)[..20]);
    }

    #[test]
    fn a_declared_length_above_the_limit_is_refused_before_allocation() {
        // Varint of 2^32 - 1 and nothing else.
        let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(decompress(&bomb, 1 << 20), Err(SnappyError::TooLong { .. })));
        // Within the limit, but no five bytes can hold a megabyte.
        let lie = vec![0x80, 0x80, 0x40, 0, 0];
        assert!(matches!(decompress(&lie, 1 << 20), Err(SnappyError::Malformed(_))));
        let long = compress(&vec![0; (1 << 20) + 1], 1 << 24).unwrap();
        assert!(transform().inbound_transform(raw(long)).is_err());
    }

    #[test]
    fn garbage_and_unknown_topics_fail_the_transform() {
        assert!(transform().inbound_transform(raw(vec![0xff; 40])).is_err());
        let mut message = raw(compress(b"exit", 100).unwrap());
        message.topic = TopicHash::from_raw("/eth2/446a7232/nothing/ssz_snappy");
        assert!(transform().inbound_transform(message).is_err());
    }

    proptest! {
        #[test]
        fn compression_round_trips(data in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let compressed = transform().outbound_transform(&TopicHash::from_raw(TOPIC), data.clone()).unwrap();
            prop_assert!(compressed.len() <= max_compressed_len(data.len()));
            prop_assert_eq!(transform().inbound_transform(raw(compressed)).unwrap().data, data);
        }

        #[test]
        fn zeros_round_trip(len in 0usize..100_000) {
            let compressed = compress(&vec![0; len], 1 << 20).unwrap();
            prop_assert_eq!(decompress(&compressed, 1 << 20).unwrap().len(), len);
        }

        #[test]
        fn decompression_never_panics(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decompress(&data, 1 << 16);
        }
    }
}
