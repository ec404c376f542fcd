//! Keys, values and encodings of the tables.

use crate::{Column, StorageError};
use ssz::{Decode, Encode};
use types::{ForkName, ForkVersioned, Root, Slot};

/// Longest value after decompression: a state of the largest chain.
const MAX_VALUE_BYTES: usize = 1 << 30;

/// Slots in keys are big-endian, so that keys sort as slots do.
pub(crate) fn slot_key(slot: Slot) -> [u8; 8] {
    slot.as_u64().to_be_bytes()
}

/// Key of a block that is not finalised, of its snapshot, and of a block with columns: slot, then root.
pub(crate) fn hot_block_key(slot: Slot, root: &Root) -> Vec<u8> {
    [slot_key(slot).as_slice(), root.as_slice()].concat()
}

/// Key of a data column: block root, then index.
pub(crate) fn data_column_key(root: &Root, index: u64) -> Vec<u8> {
    [root.as_slice(), &index.to_be_bytes()].concat()
}

fn damaged(table: &'static str, key: &[u8], reason: impl std::fmt::Display) -> StorageError {
    let key = key.iter().map(|byte| format!("{byte:02x}")).collect();
    StorageError::Damaged {
        table,
        key,
        reason: reason.to_string(),
    }
}

/// The index of a column from its key.
pub(crate) fn column_of_key(table: &'static str, key: &[u8]) -> Result<u64, StorageError> {
    let bytes: [u8; 8] = key
        .get(32..)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| damaged(table, key, format!("key has {} bytes, expected 40", key.len())))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A slot from a key.
pub(crate) fn slot_of_key(table: &'static str, key: &[u8]) -> Result<Slot, StorageError> {
    let bytes: [u8; 8] = key
        .get(..8)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| damaged(table, key, format!("key has {} bytes, expected at least 8", key.len())))?;
    Ok(Slot::new(u64::from_be_bytes(bytes)))
}

/// A root from a value.
pub(crate) fn root_of_value(table: &'static str, key: &[u8], value: &[u8]) -> Result<Root, StorageError> {
    Root::try_from(value).map_err(|_| damaged(table, key, format!("value has {} bytes, expected 32", value.len())))
}

/// Slot and root from a key that consists of both.
pub(crate) fn slot_and_root(column: Column, key: &[u8]) -> Result<(Slot, Root), StorageError> {
    let slot = slot_of_key(name(column), key)?;
    let root = root_of_value(name(column), key, key.get(8..).unwrap_or_default())?;
    Ok((slot, root))
}

/// Fork, then compressed SSZ.
pub(crate) fn encode<T: Encode + ForkVersioned>(value: &T) -> Vec<u8> {
    let fork = match value.fork_name() {
        ForkName::Fulu => 0u8,
        ForkName::Dvt => 1u8,
    };
    let mut bytes = vec![fork];
    let ssz = value.as_ssz_bytes();
    // Compression of bytes in memory cannot fail below 4 GiB; if it does, they are stored as they are.
    match snap::raw::Encoder::new().compress_vec(&ssz) {
        Ok(compressed) => bytes.extend_from_slice(&compressed),
        Err(_) => {
            bytes[0] |= 0x80;
            bytes.extend_from_slice(&ssz);
        }
    }
    bytes
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: ForkVersioned>(table: &'static str, key: &[u8], value: &[u8]) -> Result<T, StorageError> {
    let (tag, rest) = value
        .split_first()
        .ok_or_else(|| damaged(table, key, "value is empty"))?;
    let fork = match tag & 0x7f {
        0 => ForkName::Fulu,
        1 => ForkName::Dvt,
        other => return Err(damaged(table, key, format!("unknown fork {other}"))),
    };
    if tag & 0x80 != 0 {
        return T::from_ssz_bytes_by_fork(rest, fork).map_err(|error| damaged(table, key, format!("{error:?}")));
    }
    let length = snap::raw::decompress_len(rest).map_err(|error| damaged(table, key, error))?;
    if length > MAX_VALUE_BYTES {
        return Err(damaged(table, key, format!("value claims {length} bytes")));
    }
    let ssz = snap::raw::Decoder::new()
        .decompress_vec(rest)
        .map_err(|error| damaged(table, key, error))?;
    T::from_ssz_bytes_by_fork(&ssz, fork).map_err(|error| damaged(table, key, format!("{error:?}")))
}

/// What a database is, as stored.
#[derive(Debug, Clone, PartialEq, Eq, ssz_derive::Encode, ssz_derive::Decode)]
pub(crate) struct StoredIdentity {
    pub(crate) schema: u64,
    pub(crate) genesis_validators_root: Root,
    pub(crate) genesis_time: u64,
    pub(crate) preset: Vec<u8>,
}

/// The schema of a database of any version: it stands first in its identity.
pub(crate) fn stored_schema(key: &[u8], value: &[u8]) -> Result<u64, StorageError> {
    decode_metadata(key, value.get(..8).unwrap_or(value))
}

/// Where a node continues, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ssz_derive::Encode, ssz_derive::Decode)]
pub(crate) struct StoredAnchor {
    pub(crate) slot: Slot,
    pub(crate) root: Root,
}

/// Reads a plain SSZ value of the metadata table.
pub(crate) fn decode_metadata<T: Decode>(key: &[u8], value: &[u8]) -> Result<T, StorageError> {
    T::from_ssz_bytes(value).map_err(|error| damaged(metadata_table(), key, format!("{error:?}")))
}

const fn metadata_table() -> &'static str {
    "metadata"
}

/// Name of a table for messages.
pub(crate) const fn name(column: Column) -> &'static str {
    match column {
        Column::Metadata => metadata_table(),
        Column::Block => "block",
        Column::HotBlock => "hot block",
        Column::Canonical => "canonical block",
        Column::State => "state",
        Column::StateSlot => "state slot",
        Column::HotState => "hot state",
        Column::DataColumn => "data column",
        Column::ColumnBlock => "block with data columns",
        Column::OperationPool => "operation pool",
    }
}
