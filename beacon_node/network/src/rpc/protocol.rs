//! Protocol ids, their size limits, timeouts and rates.

use super::framing::LengthBounds;
use crate::gossip::MAX_PAYLOAD_SIZE;
use libp2p::StreamProtocol;
use std::time::Duration;

/// Spec: deneb/p2p-interface.md#configuration
pub const MAX_REQUEST_BLOCKS_DENEB: u64 = 128;
/// Spec: fulu/das-core.md#data-size
pub const NUMBER_OF_COLUMNS: u64 = 128;
/// Spec: fulu/p2p-interface.md#configuration
pub const MAX_REQUEST_DATA_COLUMN_SIDECARS: u64 = MAX_REQUEST_BLOCKS_DENEB * NUMBER_OF_COLUMNS;
/// Spec: phase0/p2p-interface.md#configuration
pub const MAX_CONCURRENT_REQUESTS: usize = 2;
/// What a whole answer may take beside its chunks: the node has to find them.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// What a chunk adds to it. A block may have a megabyte and more, a column has some fifty kilobytes.
const ANSWER_TIME_PER_BLOCK: Duration = Duration::from_secs(1);
const ANSWER_TIME_PER_COLUMN: Duration = Duration::from_millis(100);
/// However much was asked for: an answer may be shorter than that.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(600);
/// How far a reader may fall behind the rate below. As long as one chunk may take.
const READING_SLACK: Duration = Duration::from_secs(10);
/// How fast answers have to be read, in bytes per second: a column each second. Links of nodes are ten times as fast.
const MIN_READING_RATE: u64 = 50_000;
/// `List[byte, 256]` of an error response.
pub(crate) const MAX_ERROR_MESSAGE_LEN: usize = 256;

/// A request family, whatever its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolKind {
    /// Handshake.
    Status,
    /// Farewell.
    Goodbye,
    /// Liveness.
    Ping,
    /// Subnets and custody.
    MetaData,
    /// Blocks of a slot range.
    BlocksByRange,
    /// Blocks by root.
    BlocksByRoot,
    /// Columns of a slot range.
    DataColumnsByRange,
    /// Columns by block root.
    DataColumnsByRoot,
}

/// Requests per time: `burst` units at once, `burst` again after `per`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) burst: u64,
    pub(crate) per: Duration,
}

impl ProtocolKind {
    /// All families.
    pub const ALL: [Self; 8] = [
        Self::Status,
        Self::Goodbye,
        Self::Ping,
        Self::MetaData,
        Self::BlocksByRange,
        Self::BlocksByRoot,
        Self::DataColumnsByRange,
        Self::DataColumnsByRoot,
    ];

    /// Name in the protocol id: a label for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Goodbye => "goodbye",
            Self::Ping => "ping",
            Self::MetaData => "metadata",
            Self::BlocksByRange => "beacon_blocks_by_range",
            Self::BlocksByRoot => "beacon_blocks_by_root",
            Self::DataColumnsByRange => "data_column_sidecars_by_range",
            Self::DataColumnsByRoot => "data_column_sidecars_by_root",
        }
    }

    /// Versions that are offered, best first.
    pub(crate) fn versions(self) -> Vec<Protocol> {
        Protocol::ALL
            .into_iter()
            .filter(|protocol| protocol.kind == self)
            .collect()
    }

    /// What one peer may ask for. A unit is a response chunk, for single answers a request.
    pub(crate) fn inbound_quota(self) -> Quota {
        let (burst, seconds) = match self {
            Self::Status => (8, 15),
            Self::Goodbye => (1, 10),
            Self::Ping => (4, 10),
            Self::MetaData => (4, 5),
            Self::BlocksByRange | Self::BlocksByRoot => (4 * MAX_REQUEST_BLOCKS_DENEB, 10),
            Self::DataColumnsByRange | Self::DataColumnsByRoot => (MAX_REQUEST_DATA_COLUMN_SIDECARS, 10),
        };
        Quota {
            burst,
            per: Duration::from_secs(seconds),
        }
    }

    /// How long the first chunk of an answer may take.
    pub(crate) fn first_chunk_timeout(self) -> Duration {
        match self {
            Self::Goodbye => Duration::from_secs(2),
            Self::Status | Self::Ping | Self::MetaData => Duration::from_secs(10),
            _ => Duration::from_secs(15),
        }
    }

    /// How long every further chunk may take, and the writing of one.
    pub(crate) fn chunk_timeout(self) -> Duration {
        Duration::from_secs(10)
    }

    /// How long the writing of a whole answer may take. Who reads each chunk at the last moment would else keep its place
    /// for hours.
    pub(crate) fn answer_time(self, chunks: u64) -> Duration {
        let per_chunk = match self {
            Self::DataColumnsByRange | Self::DataColumnsByRoot => ANSWER_TIME_PER_COLUMN,
            _ => ANSWER_TIME_PER_BLOCK,
        };
        let chunks = u32::try_from(chunks).unwrap_or(u32::MAX);
        let time = ANSWER_TIME.saturating_add(per_chunk.saturating_mul(chunks));
        time.min(MAX_ANSWER_TIME)
    }
}

/// How long a peer may take in all to read so many bytes of an answer. What the node needs to find them does not count.
pub(crate) fn reading_time(bytes: u64) -> Duration {
    let ms = bytes
        .saturating_mul(1000)
        .checked_div(MIN_READING_RATE)
        .unwrap_or(u64::MAX);
    READING_SLACK.saturating_add(Duration::from_millis(ms))
}

/// A versioned protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Protocol {
    pub(crate) kind: ProtocolKind,
    pub(crate) version: u8,
    id: &'static str,
}

impl AsRef<str> for Protocol {
    fn as_ref(&self) -> &str {
        self.id
    }
}

impl From<Protocol> for StreamProtocol {
    fn from(protocol: Protocol) -> Self {
        StreamProtocol::new(protocol.id)
    }
}

macro_rules! protocol {
    ($kind:ident, $version:literal, $name:literal) => {
        Protocol {
            kind: ProtocolKind::$kind,
            version: $version,
            id: concat!(
                "/eth2/beacon_chain/req/",
                $name,
                "/",
                stringify!($version),
                "/ssz_snappy"
            ),
        }
    };
}

impl Protocol {
    pub(crate) const ALL: [Self; 10] = [
        protocol!(Status, 2, "status"),
        protocol!(Status, 1, "status"),
        protocol!(Goodbye, 1, "goodbye"),
        protocol!(Ping, 1, "ping"),
        protocol!(MetaData, 3, "metadata"),
        protocol!(MetaData, 2, "metadata"),
        protocol!(BlocksByRange, 2, "beacon_blocks_by_range"),
        protocol!(BlocksByRoot, 2, "beacon_blocks_by_root"),
        protocol!(DataColumnsByRange, 1, "data_column_sidecars_by_range"),
        protocol!(DataColumnsByRoot, 1, "data_column_sidecars_by_root"),
    ];

    /// Bounds of the SSZ request. `None`: the request has no content.
    pub(crate) fn request_bounds(self) -> Option<LengthBounds> {
        let columns = NUMBER_OF_COLUMNS as usize * 8;
        let blocks = MAX_REQUEST_BLOCKS_DENEB as usize;
        Some(match (self.kind, self.version) {
            (ProtocolKind::MetaData, _) => return None,
            (ProtocolKind::Status, 1) => LengthBounds::exactly(84),
            (ProtocolKind::Status, _) => LengthBounds::exactly(92),
            (ProtocolKind::Goodbye | ProtocolKind::Ping, _) => LengthBounds::exactly(8),
            (ProtocolKind::BlocksByRange, _) => LengthBounds::exactly(24),
            (ProtocolKind::BlocksByRoot, _) => LengthBounds {
                min: 0,
                max: blocks * 32,
            },
            (ProtocolKind::DataColumnsByRange, _) => LengthBounds {
                min: 20,
                max: 20 + columns,
            },
            (ProtocolKind::DataColumnsByRoot, _) => LengthBounds {
                min: 0,
                max: blocks * (4 + 36 + columns),
            },
        })
    }

    /// Bounds of the SSZ payload of a successful chunk.
    pub(crate) fn response_bounds(self) -> LengthBounds {
        match (self.kind, self.version) {
            (ProtocolKind::Status, 1) => LengthBounds::exactly(84),
            (ProtocolKind::Status, _) => LengthBounds::exactly(92),
            (ProtocolKind::Goodbye | ProtocolKind::Ping, _) => LengthBounds::exactly(8),
            (ProtocolKind::MetaData, 2) => LengthBounds::exactly(17),
            (ProtocolKind::MetaData, _) => LengthBounds::exactly(25),
            _ => LengthBounds {
                min: 1,
                max: MAX_PAYLOAD_SIZE,
            },
        }
    }

    /// Whether chunks carry the fork digest.
    pub(crate) fn has_context_bytes(self) -> bool {
        matches!(
            self.kind,
            ProtocolKind::BlocksByRange
                | ProtocolKind::BlocksByRoot
                | ProtocolKind::DataColumnsByRange
                | ProtocolKind::DataColumnsByRoot
        )
    }
}

/// First byte of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseCode {
    /// 0: the payload follows.
    Success,
    /// 1: the request was malformed or out of bounds.
    InvalidRequest,
    /// 2: the responder failed.
    ServerError,
    /// 3: the responder does not have what was asked for.
    ResourceUnavailable,
    /// 139: the requester asks too much.
    RateLimited,
    /// Anything else.
    Other(u8),
}

impl ResponseCode {
    /// The byte on the wire.
    pub fn as_u8(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::InvalidRequest => 1,
            Self::ServerError => 2,
            Self::ResourceUnavailable => 3,
            Self::RateLimited => 139,
            Self::Other(code) => code,
        }
    }
}

impl From<u8> for ResponseCode {
    fn from(code: u8) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::InvalidRequest,
            2 => Self::ServerError,
            3 => Self::ResourceUnavailable,
            139 => Self::RateLimited,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_ids_are_those_of_the_spec() {
        let ids: Vec<&str> = Protocol::ALL.iter().map(AsRef::as_ref).collect();
        assert_eq!(ids.first(), Some(&"/eth2/beacon_chain/req/status/2/ssz_snappy"));
        assert!(ids.contains(&"/eth2/beacon_chain/req/data_column_sidecars_by_root/1/ssz_snappy"));
        for kind in ProtocolKind::ALL {
            let versions = kind.versions();
            assert!(
                versions
                    .iter()
                    .all(|p| p.as_ref().contains(&format!("/{}/{}/", kind.name(), p.version)))
            );
            assert!(
                versions.windows(2).all(|w| w[0].version > w[1].version),
                "best version first"
            );
        }
    }

    #[test]
    fn an_answer_may_take_longer_the_more_was_asked_for_but_not_for_ever() {
        let seconds = |kind: ProtocolKind, chunks| kind.answer_time(chunks).as_secs();
        assert_eq!(seconds(ProtocolKind::BlocksByRoot, 1), 31);
        assert_eq!(seconds(ProtocolKind::BlocksByRange, MAX_REQUEST_BLOCKS_DENEB), 158);
        assert_eq!(seconds(ProtocolKind::DataColumnsByRoot, 128), 42);
        for chunks in [MAX_REQUEST_DATA_COLUMN_SIDECARS, u64::MAX] {
            assert_eq!(seconds(ProtocolKind::DataColumnsByRange, chunks), 600);
        }
    }

    #[test]
    fn an_answer_has_to_be_read_at_a_rate_whatever_its_chunks_may_take() {
        assert_eq!(reading_time(0), READING_SLACK);
        assert_eq!(reading_time(MIN_READING_RATE), READING_SLACK + Duration::from_secs(1));
        // Columns, each of which is read just in time: the second comes too late, and not the sixtieth.
        let each = ProtocolKind::DataColumnsByRange.chunk_timeout();
        assert!(reading_time(2 * 45_600) < 2 * each);
        assert!(reading_time(u64::MAX) > Duration::from_secs(1 << 32), "no overflow");
    }

    #[test]
    fn response_codes_round_trip() {
        for code in 0..=u8::MAX {
            assert_eq!(ResponseCode::from(code).as_u8(), code);
        }
    }
}
