//! Requests and chunks on a stream.

use super::framing::{FrameError, LengthBounds, push_payload, read_payload};
use super::messages::{Request, RequestBoundsError, ResponseChunk};
use super::protocol::{MAX_ERROR_MESSAGE_LEN, Protocol, ResponseCode};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io;
use types::ForkDigest;

/// A request or chunk that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The encoding is broken.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The bytes are no object of the type.
    #[error("payload is no valid {protocol}: {error:?}")]
    Ssz {
        /// Protocol name.
        protocol: &'static str,
        /// What the decoder says.
        error: ssz::DecodeError,
    },
    /// The content exceeds the limits of the spec.
    #[error(transparent)]
    Bounds(#[from] RequestBoundsError),
    /// Bytes follow the request.
    #[error("{0} request goes on after its end")]
    TrailingBytes(&'static str),
}

impl DecodeError {
    /// Whether the peer broke a rule, as opposed to a connection that went away.
    pub fn is_violation(&self) -> bool {
        match self {
            Self::Frame(error) => error.is_violation(),
            Self::Ssz { .. } | Self::Bounds(_) | Self::TrailingBytes(_) => true,
        }
    }
}

/// What one read of a response stream gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Chunk(ResponseChunk),
    Error { code: ResponseCode, message: String },
    End,
}

/// Reads a request up to the end of the peer's half of the stream.
pub(crate) async fn read_request<R: AsyncRead + Unpin>(protocol: Protocol, io: &mut R) -> Result<Request, DecodeError> {
    let payload = match protocol.request_bounds() {
        None => Vec::new(),
        Some(bounds) => {
            let payload = read_payload(io, bounds).await?;
            if io.read(&mut [0]).await.map_err(FrameError::Io)? != 0 {
                return Err(DecodeError::TrailingBytes(protocol.kind.name()));
            }
            payload
        }
    };
    let request = Request::decode(protocol, &payload).map_err(|error| DecodeError::Ssz {
        protocol: protocol.kind.name(),
        error,
    })?;
    request.check_bounds()?;
    Ok(request)
}

/// Writes a request and closes our half of the stream.
pub(crate) async fn write_request<W: AsyncWrite + Unpin>(
    protocol: Protocol,
    request: &Request,
    io: &mut W,
) -> io::Result<()> {
    if protocol.request_bounds().is_some() {
        let mut bytes = Vec::new();
        push_payload(&request.encode(protocol), &mut bytes)?;
        io.write_all(&bytes).await?;
    }
    io.close().await
}

/// Reads the next chunk.
pub(crate) async fn read_chunk<R: AsyncRead + Unpin>(protocol: Protocol, io: &mut R) -> Result<Incoming, DecodeError> {
    let mut code = [0];
    if io.read(&mut code).await.map_err(FrameError::Io)? == 0 {
        return Ok(Incoming::End);
    }
    let [code] = code;
    let code = ResponseCode::from(code);
    if code != ResponseCode::Success {
        let bounds = LengthBounds {
            min: 0,
            max: MAX_ERROR_MESSAGE_LEN,
        };
        // The text is a courtesy: a peer that ends the stream after the code has said enough.
        let message = match read_payload(io, bounds).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(FrameError::UnexpectedEof) => String::new(),
            Err(error) => return Err(error.into()),
        };
        return Ok(Incoming::Error { code, message });
    }
    let mut context = [0; 4];
    if protocol.has_context_bytes() {
        io.read_exact(&mut context)
            .await
            .map_err(|_| FrameError::UnexpectedEof)?;
    }
    let payload = read_payload(io, protocol.response_bounds()).await?;
    ResponseChunk::decode(protocol, ForkDigest::new(context), payload)
        .map(Incoming::Chunk)
        .map_err(|error| DecodeError::Ssz {
            protocol: protocol.kind.name(),
            error,
        })
}

/// Bytes of a successful chunk.
pub(crate) fn encode_chunk(protocol: Protocol, chunk: ResponseChunk) -> io::Result<Vec<u8>> {
    let (context, payload) = chunk.encode(protocol);
    if !protocol.response_bounds().contains(payload.len()) {
        return Err(io::Error::other(format!(
            "{} chunk of {} bytes",
            protocol.kind.name(),
            payload.len()
        )));
    }
    let mut bytes = vec![ResponseCode::Success.as_u8()];
    if protocol.has_context_bytes() {
        bytes.extend_from_slice(context.unwrap_or_default().as_slice());
    }
    push_payload(&payload, &mut bytes)?;
    Ok(bytes)
}

/// Bytes of an error chunk. The text is cut to what the spec allows.
pub(crate) fn encode_error(code: ResponseCode, message: &str) -> io::Result<Vec<u8>> {
    let mut bytes = vec![code.as_u8()];
    let text = message.as_bytes();
    push_payload(text.get(..MAX_ERROR_MESSAGE_LEN).unwrap_or(text), &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::messages::tests::{requests, status};
    use super::super::protocol::ProtocolKind;
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use proptest::prelude::*;

    fn wire(protocol: Protocol, request: &Request) -> Vec<u8> {
        let mut cursor = Cursor::new(Vec::new());
        block_on(write_request(protocol, request, &mut cursor)).unwrap();
        cursor.into_inner()
    }

    fn blocks() -> Protocol {
        ProtocolKind::BlocksByRange.versions()[0]
    }

    #[test]
    fn requests_cross_the_wire() {
        for request in requests() {
            let protocol = request.kind().versions()[0];
            let bytes = wire(protocol, &request);
            assert_eq!(
                block_on(read_request(protocol, &mut Cursor::new(bytes))).unwrap(),
                request
            );
        }
    }

    #[test]
    fn a_request_with_bytes_behind_it_is_refused() {
        let protocol = ProtocolKind::Ping.versions()[0];
        let mut bytes = wire(protocol, &Request::Ping(1));
        bytes.push(0);
        let error = block_on(read_request(protocol, &mut Cursor::new(bytes))).unwrap_err();
        assert!(matches!(error, DecodeError::TrailingBytes("ping")) && error.is_violation());
    }

    #[test]
    fn chunks_follow_each_other_until_an_error_or_the_end() {
        let object = |byte: u8| ResponseChunk::Object {
            fork_digest: ForkDigest::new([byte; 4]),
            ssz: vec![byte; 70_000],
        };
        let mut bytes = encode_chunk(blocks(), object(1)).unwrap();
        bytes.extend(encode_chunk(blocks(), object(2)).unwrap());
        bytes.extend(encode_error(ResponseCode::ResourceUnavailable, &"x".repeat(300)).unwrap());
        let mut io = Cursor::new(bytes);
        let mut next = || block_on(read_chunk(blocks(), &mut io)).unwrap();
        assert_eq!(next(), Incoming::Chunk(object(1)));
        assert_eq!(next(), Incoming::Chunk(object(2)));
        let expected = Incoming::Error {
            code: ResponseCode::ResourceUnavailable,
            message: "x".repeat(256),
        };
        assert_eq!(next(), expected);
        assert_eq!(next(), Incoming::End);
    }

    #[test]
    fn small_answers_have_no_context() {
        let protocol = ProtocolKind::Status.versions()[0];
        let bytes = encode_chunk(protocol, ResponseChunk::Status(status())).unwrap();
        assert_eq!(&bytes[..2], &[0, 92]);
        let chunk = block_on(read_chunk(protocol, &mut Cursor::new(bytes))).unwrap();
        assert_eq!(chunk, Incoming::Chunk(ResponseChunk::Status(status())));
    }

    #[test]
    fn an_empty_block_is_refused_on_both_sides() {
        let empty = ResponseChunk::Object {
            fork_digest: ForkDigest::ZERO,
            ssz: Vec::new(),
        };
        assert!(encode_chunk(blocks(), empty).is_err());
        let error = block_on(read_chunk(blocks(), &mut Cursor::new([0, 1, 1, 1, 1, 0]))).unwrap_err();
        assert!(error.is_violation(), "{error}");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for protocol in Protocol::ALL {
                let _ = block_on(read_request(protocol, &mut Cursor::new(bytes.clone())));
                let _ = block_on(read_chunk(protocol, &mut Cursor::new(bytes.clone())));
            }
        }
    }
}
