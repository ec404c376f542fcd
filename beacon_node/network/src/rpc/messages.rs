//! Requests, the small typed answers, and objects that stay bytes until the router decodes them.

use super::handshake::{MetaData, StatusMessage};
use super::protocol::{
    MAX_REQUEST_BLOCKS_DENEB, MAX_REQUEST_DATA_COLUMN_SIDECARS, NUMBER_OF_COLUMNS, Protocol, ProtocolKind,
};
use ssz::{Decode, DecodeError, Encode};
use ssz_derive::{Decode, Encode};
use types::{ColumnIndex, ForkDigest, Root, Slot};

pub(crate) type Columns = ssz_types::VariableList<ColumnIndex, typenum::U128>;

/// Why a peer leaves. Codes above 128 are those that clients have agreed on by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoodbyeReason {
    /// 1
    ClientShutdown,
    /// 2
    IrrelevantNetwork,
    /// 3
    Fault,
    /// 128
    UnableToVerifyNetwork,
    /// 129
    TooManyPeers,
    /// 250
    BadScore,
    /// 251
    Banned,
    /// Anything else.
    Other(u64),
}

impl GoodbyeReason {
    /// The number on the wire.
    pub fn as_u64(self) -> u64 {
        match self {
            Self::ClientShutdown => 1,
            Self::IrrelevantNetwork => 2,
            Self::Fault => 3,
            Self::UnableToVerifyNetwork => 128,
            Self::TooManyPeers => 129,
            Self::BadScore => 250,
            Self::Banned => 251,
            Self::Other(code) => code,
        }
    }
}

impl From<u64> for GoodbyeReason {
    fn from(code: u64) -> Self {
        match code {
            1 => Self::ClientShutdown,
            2 => Self::IrrelevantNetwork,
            3 => Self::Fault,
            128 => Self::UnableToVerifyNetwork,
            129 => Self::TooManyPeers,
            250 => Self::BadScore,
            251 => Self::Banned,
            other => Self::Other(other),
        }
    }
}

/// Spec: phase0/p2p-interface.md#beaconblocksbyrange-v1. The deprecated `step` is sent as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlocksByRangeRequest {
    /// First slot.
    pub start_slot: Slot,
    /// Slots.
    pub count: u64,
}

#[derive(Encode, Decode)]
struct BlocksByRangeWire {
    start_slot: Slot,
    count: u64,
    step: u64,
}

/// Spec: phase0/p2p-interface.md#beaconblocksbyroot-v1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlocksByRootRequest {
    /// At most `MAX_REQUEST_BLOCKS_DENEB`.
    pub roots: Vec<Root>,
}

/// Spec: fulu/p2p-interface.md#datacolumnsidecarsbyrange-v1
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DataColumnsByRangeRequest {
    /// First slot.
    pub start_slot: Slot,
    /// Slots.
    pub count: u64,
    /// Columns of each.
    pub columns: Columns,
}

/// Spec: fulu/p2p-interface.md#datacolumnsbyrootidentifier
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DataColumnsByRootIdentifier {
    /// Block of the columns.
    pub block_root: Root,
    /// Wanted columns.
    pub columns: Columns,
}

/// Spec: fulu/p2p-interface.md#datacolumnsidecarsbyroot-v1
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataColumnsByRootRequest {
    /// At most `MAX_REQUEST_BLOCKS_DENEB`.
    pub identifiers: Vec<DataColumnsByRootIdentifier>,
}

/// A request of any family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Handshake, with the sender's own status.
    Status(StatusMessage),
    /// Farewell.
    Goodbye(GoodbyeReason),
    /// Liveness, with the sender's metadata sequence number.
    Ping(u64),
    /// Asks for the metadata.
    MetaData,
    /// Blocks of a slot range.
    BlocksByRange(BlocksByRangeRequest),
    /// Blocks by root.
    BlocksByRoot(BlocksByRootRequest),
    /// Columns of a slot range.
    DataColumnsByRange(DataColumnsByRangeRequest),
    /// Columns by block root.
    DataColumnsByRoot(DataColumnsByRootRequest),
}

/// A request whose bytes decode but whose content is out of bounds.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestBoundsError {
    /// More than may be asked for.
    #[error("request asks for {asked} {what}, at most {limit} are allowed")]
    TooMany {
        /// Units.
        what: &'static str,
        /// How many were asked for.
        asked: u64,
        /// Limit of the spec.
        limit: u64,
    },
    /// A column that does not exist.
    #[error("request asks for column {0}, there are {NUMBER_OF_COLUMNS}")]
    UnknownColumn(ColumnIndex),
}

impl Request {
    /// The family.
    pub fn kind(&self) -> ProtocolKind {
        match self {
            Self::Status(_) => ProtocolKind::Status,
            Self::Goodbye(_) => ProtocolKind::Goodbye,
            Self::Ping(_) => ProtocolKind::Ping,
            Self::MetaData => ProtocolKind::MetaData,
            Self::BlocksByRange(_) => ProtocolKind::BlocksByRange,
            Self::BlocksByRoot(_) => ProtocolKind::BlocksByRoot,
            Self::DataColumnsByRange(_) => ProtocolKind::DataColumnsByRange,
            Self::DataColumnsByRoot(_) => ProtocolKind::DataColumnsByRoot,
        }
    }

    /// Chunks that an answer may have: the limit for the reader.
    pub fn max_chunks(&self) -> u64 {
        match self {
            Self::Status(_) | Self::Goodbye(_) | Self::Ping(_) | Self::MetaData => 1,
            Self::BlocksByRange(request) => request.count,
            Self::BlocksByRoot(request) => request.roots.len() as u64,
            Self::DataColumnsByRange(request) => request.count.saturating_mul(request.columns.len() as u64),
            Self::DataColumnsByRoot(request) => request
                .identifiers
                .iter()
                .map(|identifier| identifier.columns.len() as u64)
                .sum(),
        }
    }

    /// What the rate limiter takes for it: the chunks, and where no columns are asked for the slots and blocks that are
    /// looked up all the same.
    pub(crate) fn price(&self) -> u64 {
        let looked_up = match self {
            Self::DataColumnsByRange(request) => request.count,
            Self::DataColumnsByRoot(request) => request.identifiers.len() as u64,
            _ => 0,
        };
        self.max_chunks().max(looked_up)
    }

    /// Checks the limits of the spec on the content. That on blocks is none on the slots of a request for columns.
    pub fn check_bounds(&self) -> Result<(), RequestBoundsError> {
        let no_more_than = |what, asked, limit| match asked <= limit {
            true => Ok(()),
            false => Err(RequestBoundsError::TooMany { what, asked, limit }),
        };
        let blocks = |asked| no_more_than("blocks", asked, MAX_REQUEST_BLOCKS_DENEB);
        let columns = |columns: &Columns| {
            let unknown = columns.iter().find(|column| **column >= NUMBER_OF_COLUMNS);
            unknown.map_or(Ok(()), |column| Err(RequestBoundsError::UnknownColumn(*column)))
        };
        match self {
            Self::Status(_) | Self::Goodbye(_) | Self::Ping(_) | Self::MetaData => Ok(()),
            Self::BlocksByRange(request) => blocks(request.count),
            Self::BlocksByRoot(request) => blocks(request.roots.len() as u64),
            Self::DataColumnsByRange(request) => {
                no_more_than("columns", self.price(), MAX_REQUEST_DATA_COLUMN_SIDECARS)?;
                columns(&request.columns)
            }
            Self::DataColumnsByRoot(request) => {
                blocks(request.identifiers.len() as u64)?;
                request
                    .identifiers
                    .iter()
                    .try_for_each(|identifier| columns(&identifier.columns))
            }
        }
    }

    /// SSZ bytes for a protocol version.
    pub(crate) fn encode(&self, protocol: Protocol) -> Vec<u8> {
        match self {
            Self::Status(status) => status.encode(protocol.version),
            Self::Goodbye(reason) => reason.as_u64().as_ssz_bytes(),
            Self::Ping(seq_number) => seq_number.as_ssz_bytes(),
            Self::MetaData => Vec::new(),
            Self::BlocksByRange(BlocksByRangeRequest { start_slot, count }) => BlocksByRangeWire {
                start_slot: *start_slot,
                count: *count,
                step: 1,
            }
            .as_ssz_bytes(),
            Self::BlocksByRoot(request) => request.roots.as_ssz_bytes(),
            Self::DataColumnsByRange(request) => request.as_ssz_bytes(),
            Self::DataColumnsByRoot(request) => request.identifiers.as_ssz_bytes(),
        }
    }

    /// Reads what `encode` wrote.
    pub(crate) fn decode(protocol: Protocol, bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(match protocol.kind {
            ProtocolKind::Status => Self::Status(StatusMessage::decode(protocol.version, bytes)?),
            ProtocolKind::Goodbye => Self::Goodbye(u64::from_ssz_bytes(bytes)?.into()),
            ProtocolKind::Ping => Self::Ping(u64::from_ssz_bytes(bytes)?),
            ProtocolKind::MetaData => Self::MetaData,
            ProtocolKind::BlocksByRange => {
                let BlocksByRangeWire {
                    start_slot,
                    count,
                    step,
                } = BlocksByRangeWire::from_ssz_bytes(bytes)?;
                // Larger steps are deprecated: the spec allows to answer with one block.
                let count = if step > 1 { count.min(1) } else { count };
                Self::BlocksByRange(BlocksByRangeRequest { start_slot, count })
            }
            ProtocolKind::BlocksByRoot => Self::BlocksByRoot(BlocksByRootRequest {
                roots: Vec::from_ssz_bytes(bytes)?,
            }),
            ProtocolKind::DataColumnsByRange => {
                Self::DataColumnsByRange(DataColumnsByRangeRequest::from_ssz_bytes(bytes)?)
            }
            ProtocolKind::DataColumnsByRoot => Self::DataColumnsByRoot(DataColumnsByRootRequest {
                identifiers: Vec::from_ssz_bytes(bytes)?,
            }),
        })
    }
}

/// One successful chunk of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseChunk {
    /// Answer to `Status`.
    Status(StatusMessage),
    /// Answer to `Goodbye`.
    Goodbye(GoodbyeReason),
    /// Answer to `Ping`: the metadata sequence number.
    Pong(u64),
    /// Answer to `MetaData`.
    MetaData(Box<MetaData>),
    /// A block or column sidecar in SSZ, not decoded.
    Object {
        /// Fork that the bytes belong to.
        fork_digest: ForkDigest,
        /// SSZ bytes, at most `MAX_PAYLOAD_SIZE`.
        ssz: Vec<u8>,
    },
}

impl ResponseChunk {
    /// Whether this is an answer that `kind` knows.
    pub(crate) fn fits(&self, kind: ProtocolKind) -> bool {
        match self {
            Self::Status(_) => kind == ProtocolKind::Status,
            Self::Goodbye(_) => kind == ProtocolKind::Goodbye,
            Self::Pong(_) => kind == ProtocolKind::Ping,
            Self::MetaData(_) => kind == ProtocolKind::MetaData,
            Self::Object { .. } => matches!(
                kind,
                ProtocolKind::BlocksByRange
                    | ProtocolKind::BlocksByRoot
                    | ProtocolKind::DataColumnsByRange
                    | ProtocolKind::DataColumnsByRoot
            ),
        }
    }

    pub(crate) fn encode(self, protocol: Protocol) -> (Option<ForkDigest>, Vec<u8>) {
        match self {
            Self::Status(status) => (None, status.encode(protocol.version)),
            Self::Goodbye(reason) => (None, reason.as_u64().as_ssz_bytes()),
            Self::Pong(seq_number) => (None, seq_number.as_ssz_bytes()),
            Self::MetaData(metadata) => (None, metadata.encode(protocol.version)),
            Self::Object { fork_digest, ssz } => (Some(fork_digest), ssz),
        }
    }

    pub(crate) fn decode(protocol: Protocol, context: ForkDigest, bytes: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(match protocol.kind {
            ProtocolKind::Status => Self::Status(StatusMessage::decode(protocol.version, &bytes)?),
            ProtocolKind::Goodbye => Self::Goodbye(u64::from_ssz_bytes(&bytes)?.into()),
            ProtocolKind::Ping => Self::Pong(u64::from_ssz_bytes(&bytes)?),
            ProtocolKind::MetaData => Self::MetaData(Box::new(MetaData::decode(protocol.version, &bytes)?)),
            _ => Self::Object {
                fork_digest: context,
                ssz: bytes,
            },
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::enr::{AttnetBits, SyncnetBits};
    use types::Epoch;

    pub(crate) fn status() -> StatusMessage {
        StatusMessage {
            fork_digest: ForkDigest::new([1, 2, 3, 4]),
            finalized_root: Root::repeat_byte(5),
            finalized_epoch: Epoch::new(6),
            head_root: Root::repeat_byte(7),
            head_slot: Slot::new(8),
            earliest_available_slot: Some(Slot::new(9)),
        }
    }

    pub(crate) fn requests() -> Vec<Request> {
        let columns = |list: Vec<u64>| Columns::try_from(list).unwrap();
        let identifier = DataColumnsByRootIdentifier {
            block_root: Root::repeat_byte(4),
            columns: columns(vec![1, 127]),
        };
        vec![
            Request::Status(status()),
            Request::Goodbye(GoodbyeReason::TooManyPeers),
            Request::Ping(3),
            Request::MetaData,
            Request::BlocksByRange(BlocksByRangeRequest {
                start_slot: Slot::new(1),
                count: 64,
            }),
            Request::BlocksByRoot(BlocksByRootRequest {
                roots: vec![Root::repeat_byte(1); 128],
            }),
            Request::DataColumnsByRange(DataColumnsByRangeRequest {
                start_slot: Slot::new(1),
                count: 2,
                columns: columns((0..128).collect()),
            }),
            Request::DataColumnsByRoot(DataColumnsByRootRequest {
                identifiers: vec![identifier; 3],
            }),
        ]
    }

    #[test]
    fn every_request_round_trips_within_its_bounds() {
        for request in requests() {
            for protocol in request.kind().versions() {
                let bytes = request.encode(protocol);
                let bounds = protocol.request_bounds();
                assert!(
                    bounds.is_none_or(|bounds| bounds.contains(bytes.len())),
                    "{request:?} {}",
                    bytes.len()
                );
                let mut expected = request.clone();
                if let (Request::Status(status), 1) = (&mut expected, protocol.version) {
                    status.earliest_available_slot = None;
                }
                assert_eq!(Request::decode(protocol, &bytes), Ok(expected));
                assert_eq!(request.check_bounds(), Ok(()));
            }
        }
    }

    #[test]
    fn small_answers_round_trip_within_their_bounds() {
        let mut attnets = AttnetBits::default();
        attnets.set(63, true).unwrap();
        let metadata = MetaData {
            seq_number: 2,
            attnets,
            syncnets: SyncnetBits::default(),
            custody_group_count: Some(8),
        };
        for chunk in [
            ResponseChunk::Status(status()),
            ResponseChunk::Pong(7),
            ResponseChunk::MetaData(Box::new(metadata)),
            ResponseChunk::Goodbye(GoodbyeReason::Other(77)),
        ] {
            let kind = ProtocolKind::ALL.into_iter().find(|kind| chunk.fits(*kind)).unwrap();
            for protocol in kind.versions() {
                let (context, bytes) = chunk.clone().encode(protocol);
                assert_eq!(context, None);
                assert!(protocol.response_bounds().contains(bytes.len()));
                let read = ResponseChunk::decode(protocol, ForkDigest::ZERO, bytes).unwrap();
                if protocol == kind.versions()[0] {
                    assert_eq!(read, chunk);
                }
            }
        }
    }

    #[test]
    fn requests_beyond_the_limits_are_named() {
        let request = Request::BlocksByRange(BlocksByRangeRequest {
            start_slot: Slot::new(0),
            count: 129,
        });
        assert_eq!(
            request.check_bounds(),
            Err(RequestBoundsError::TooMany {
                what: "blocks",
                asked: 129,
                limit: 128
            })
        );
        let request = Request::DataColumnsByRange(DataColumnsByRangeRequest {
            start_slot: Slot::new(0),
            count: 1,
            columns: Columns::try_from(vec![128]).unwrap(),
        });
        assert_eq!(request.check_bounds(), Err(RequestBoundsError::UnknownColumn(128)));
    }

    fn columns_by_range(count: u64, columns: u64) -> Request {
        Request::DataColumnsByRange(DataColumnsByRangeRequest {
            start_slot: Slot::new(0),
            count,
            columns: Columns::try_from((0..columns).collect::<Vec<_>>()).unwrap(),
        })
    }

    #[test]
    fn columns_may_be_asked_for_over_more_slots_the_fewer_they_are() {
        for (count, columns) in [(128, 128), (129, 127), (2048, 8), (16_384, 1), (16_384, 0), (0, 128)] {
            let request = columns_by_range(count, columns);
            assert_eq!(request.check_bounds(), Ok(()), "{columns} columns of {count} slots");
        }
        for (count, columns, asked) in [
            (129, 128, 16_512),
            (2049, 8, 16_392),
            (16_385, 1, 16_385),
            (16_385, 0, 16_385),
            (u64::MAX, 0, u64::MAX),
            (u64::MAX, 2, u64::MAX),
        ] {
            let error = RequestBoundsError::TooMany {
                what: "columns",
                asked,
                limit: 16_384,
            };
            let request = columns_by_range(count, columns);
            assert_eq!(request.check_bounds(), Err(error), "{columns} columns of {count} slots");
        }
    }

    #[test]
    fn what_is_looked_up_has_its_price_if_nothing_of_it_is_wanted() {
        assert_eq!(columns_by_range(300, 8).price(), 2400);
        assert_eq!(columns_by_range(300, 0).price(), 300);
        assert_eq!(columns_by_range(300, 0).max_chunks(), 0);
        let identifier = DataColumnsByRootIdentifier {
            block_root: Root::ZERO,
            columns: Columns::default(),
        };
        let by_root = Request::DataColumnsByRoot(DataColumnsByRootRequest {
            identifiers: vec![identifier; 128],
        });
        assert_eq!(by_root.price(), 128);
        let blocks = Request::BlocksByRange(BlocksByRangeRequest {
            start_slot: Slot::new(0),
            count: 7,
        });
        assert_eq!((blocks.price(), Request::Ping(1).price()), (7, 1));
    }

    #[test]
    fn goodbye_reasons_round_trip() {
        for code in [0, 1, 2, 3, 4, 127, 128, 129, 250, 251, u64::MAX] {
            assert_eq!(GoodbyeReason::from(code).as_u64(), code);
        }
    }
}
