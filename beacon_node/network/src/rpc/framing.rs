//! The `ssz_snappy` payload: a length as varint, then snappy frames, read frame by frame.

use crate::gossip::max_compressed_len;
use futures::{AsyncRead, AsyncReadExt};
use std::io::{self, Read, Write};

const MAX_VARINT_LEN: usize = 10;
/// Body of the largest frame that the format allows: checksum and a block of 64 KiB at its worst.
const MAX_FRAME_BODY: usize = 4 + 76_490;

/// Bounds on the uncompressed length, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LengthBounds {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl LengthBounds {
    pub(crate) const fn exactly(length: usize) -> Self {
        Self {
            min: length,
            max: length,
        }
    }

    pub(crate) const fn contains(self, length: usize) -> bool {
        self.min <= length && length <= self.max
    }
}

/// A payload that breaks the encoding.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length prefix is no minimal varint of at most ten bytes.
    #[error("length prefix is no minimal varint of at most {MAX_VARINT_LEN} bytes")]
    BadVarint,
    /// The length prefix is outside the bounds of the type.
    #[error("payload of {declared} bytes, its type has {min} to {max}")]
    LengthOutOfBounds {
        /// Announced length.
        declared: u64,
        /// Smallest encoding of the type.
        min: usize,
        /// Largest.
        max: usize,
    },
    /// A frame longer than the format allows, or more compressed bytes than the length can need.
    #[error("{read} compressed bytes for a payload that needs at most {limit}")]
    TooManyBytes {
        /// Bytes that the frames would add up to.
        read: usize,
        /// Limit that follows from the length prefix.
        limit: usize,
    },
    /// Frames hold more than announced.
    #[error("frames hold more than the announced {announced} bytes")]
    TooLong {
        /// Length prefix.
        announced: usize,
    },
    /// The stream ended early.
    #[error("stream ended inside a payload")]
    UnexpectedEof,
    /// A frame is corrupt.
    #[error("corrupt snappy frame: {0}")]
    Snappy(io::Error),
    /// The connection failed.
    #[error("stream: {0}")]
    Io(io::Error),
}

impl FrameError {
    /// Whether the sender broke the encoding, as opposed to a connection that went away.
    pub fn is_violation(&self) -> bool {
        !matches!(self, Self::Io(_) | Self::UnexpectedEof)
    }
}

fn read_error(error: io::Error) -> FrameError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::UnexpectedEof,
        _ => FrameError::Io(error),
    }
}

async fn read_varint<R: AsyncRead + Unpin>(io: &mut R) -> Result<u64, FrameError> {
    let mut value: u64 = 0;
    for index in 0..MAX_VARINT_LEN {
        let mut byte = [0];
        io.read_exact(&mut byte).await.map_err(read_error)?;
        let [byte] = byte;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if bits.leading_zeros() < shift {
            return Err(FrameError::BadVarint);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            let minimal = index == 0 || byte != 0;
            return if minimal { Ok(value) } else { Err(FrameError::BadVarint) };
        }
    }
    Err(FrameError::BadVarint)
}

fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One frame that is complete in memory; the snappy reader sees an end of file behind it.
#[derive(Default)]
struct FrameBuffer {
    bytes: Vec<u8>,
    position: usize,
}

impl FrameBuffer {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }
}

impl Read for FrameBuffer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = Read::read(&mut self.rest(), out)?;
        self.position += read;
        Ok(read)
    }
}

/// Reads a length and exactly that much payload. Memory grows with what arrives, not with what is announced.
pub(crate) async fn read_payload<R: AsyncRead + Unpin>(
    io: &mut R,
    bounds: LengthBounds,
) -> Result<Vec<u8>, FrameError> {
    let declared = read_varint(io).await?;
    let length = usize::try_from(declared).unwrap_or(usize::MAX);
    if !bounds.contains(length) {
        return Err(FrameError::LengthOutOfBounds {
            declared,
            min: bounds.min,
            max: bounds.max,
        });
    }
    let mut payload = Vec::new();
    if length == 0 {
        return Ok(payload);
    }
    let limit = max_compressed_len(length);
    let mut read = 0;
    let mut decoder = snap::read::FrameDecoder::new(FrameBuffer::default());
    while payload.len() < length {
        let mut header = [0; 4];
        io.read_exact(&mut header).await.map_err(read_error)?;
        let [_, a, b, c] = header;
        let body = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        read += header.len() + body;
        if read > limit || body > MAX_FRAME_BODY {
            return Err(FrameError::TooManyBytes { read, limit });
        }
        let frame = decoder.get_mut();
        frame.position = 0;
        frame.bytes.clear();
        frame.bytes.extend_from_slice(&header);
        frame.bytes.resize(header.len() + body, 0);
        let target = frame.bytes.get_mut(header.len()..).unwrap_or_default();
        io.read_exact(target).await.map_err(read_error)?;
        // One byte more than missing, so that too much data shows.
        let room = length - payload.len() + 1;
        (&mut decoder)
            .take(room as u64)
            .read_to_end(&mut payload)
            .map_err(FrameError::Snappy)?;
        if payload.len() > length {
            return Err(FrameError::TooLong { announced: length });
        }
    }
    Ok(payload)
}

/// Appends length and frames of `payload`.
pub(crate) fn push_payload(payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    push_varint(payload.len() as u64, out);
    let mut encoder = snap::write::FrameEncoder::new(out);
    encoder.write_all(payload)?;
    encoder.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use proptest::prelude::*;

    const ANY: LengthBounds = LengthBounds { min: 0, max: 1 << 20 };

    fn encode(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_payload(payload, &mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8], bounds: LengthBounds) -> Result<(Vec<u8>, usize), FrameError> {
        let mut cursor = Cursor::new(bytes);
        let payload = block_on(read_payload(&mut cursor, bounds))?;
        Ok((payload, cursor.position() as usize))
    }

    #[test]
    fn varints_must_be_minimal_and_fit() {
        let varint = |bytes: &[u8]| block_on(read_varint(&mut Cursor::new(bytes)));
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            push_varint(value, &mut bytes);
            assert_eq!(varint(&bytes).unwrap(), value);
        }
        assert!(matches!(varint(&[0x80, 0x00]), Err(FrameError::BadVarint)));
        assert!(matches!(varint(&[0xff; 10]), Err(FrameError::BadVarint)));
        assert!(matches!(
            varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]),
            Err(FrameError::BadVarint)
        ));
        assert!(matches!(varint(&[0x80]), Err(FrameError::UnexpectedEof)));
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_before_the_payload() {
        let mut bytes = Vec::new();
        push_varint(u64::MAX, &mut bytes);
        assert!(matches!(
            read(&bytes, ANY),
            Err(FrameError::LengthOutOfBounds { declared: u64::MAX, .. })
        ));
        assert!(matches!(
            read(&encode(b"12345"), LengthBounds::exactly(4)),
            Err(FrameError::LengthOutOfBounds {
                declared: 5,
                min: 4,
                max: 4
            })
        ));
    }

    #[test]
    fn frames_with_more_than_announced_are_refused() {
        let mut bytes = vec![3];
        bytes.extend(encode(b"12345").into_iter().skip(1));
        assert!(matches!(read(&bytes, ANY), Err(FrameError::TooLong { announced: 3 })));
    }

    #[test]
    fn padding_counts_against_the_limit() {
        let mut bytes = vec![8, 0xff, 6, 0, 0];
        bytes.extend(b"sNaPpY");
        for _ in 0..10 {
            bytes.extend([0xfe, 40, 0, 0]);
            bytes.extend([0; 40]);
        }
        assert!(matches!(read(&bytes, ANY), Err(FrameError::TooManyBytes { .. })));
    }

    #[test]
    fn a_corrupt_checksum_is_refused() {
        let mut bytes = encode(&[7; 500]);
        // Varint of two bytes, stream identifier of ten, frame header of four: the checksum follows.
        bytes[16] ^= 1;
        assert!(matches!(read(&bytes, ANY), Err(FrameError::Snappy(_))));
    }

    #[test]
    fn two_payloads_in_a_row_are_read_one_by_one() {
        let first = encode(&vec![1; 200_000]);
        let mut bytes = first.clone();
        bytes.extend(encode(b"second"));
        let (payload, position) = read(&bytes, ANY).unwrap();
        assert_eq!((payload.len(), position), (200_000, first.len()));
        assert_eq!(read(&bytes[position..], ANY).unwrap().0, b"second");
    }

    proptest! {
        #[test]
        fn payloads_round_trip(payload in proptest::collection::vec(any::<u8>(), 0..3000), repeat in 1usize..60) {
            let payload = payload.repeat(repeat);
            let bytes = encode(&payload);
            let (read, position) = read(&bytes, ANY).unwrap();
            prop_assert_eq!(read, payload);
            prop_assert_eq!(position, bytes.len());
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, ANY);
        }
    }
}
