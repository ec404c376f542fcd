//! What two nodes tell each other about themselves: `Status` and `MetaData` in both versions.

use crate::enr::{AttnetBits, SyncnetBits};
use ssz::{Decode, DecodeError, Encode};
use ssz_derive::{Decode, Encode};
use types::{Epoch, ForkDigest, Root, Slot};

/// `Status`: version 2, and version 1 without the last field.
///
/// Spec: fulu/p2p-interface.md#status-v2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusMessage {
    /// Digest of the sender's wall-clock epoch.
    pub fork_digest: ForkDigest,
    /// Root of the finalized checkpoint, zero at genesis.
    pub finalized_root: Root,
    /// Epoch of the finalized checkpoint.
    pub finalized_epoch: Epoch,
    /// Root of the head block.
    pub head_root: Root,
    /// Its slot.
    pub head_slot: Slot,
    /// First slot that the sender can serve; `None` from a peer that speaks version 1.
    pub earliest_available_slot: Option<Slot>,
}

#[derive(Encode, Decode)]
struct StatusV1 {
    fork_digest: ForkDigest,
    finalized_root: Root,
    finalized_epoch: Epoch,
    head_root: Root,
    head_slot: Slot,
}

#[derive(Encode, Decode)]
struct StatusV2 {
    fork_digest: ForkDigest,
    finalized_root: Root,
    finalized_epoch: Epoch,
    head_root: Root,
    head_slot: Slot,
    earliest_available_slot: Slot,
}

impl StatusMessage {
    pub(super) fn encode(&self, version: u8) -> Vec<u8> {
        let Self {
            fork_digest,
            finalized_root,
            finalized_epoch,
            head_root,
            head_slot,
            ..
        } = *self;
        if version == 1 {
            return StatusV1 {
                fork_digest,
                finalized_root,
                finalized_epoch,
                head_root,
                head_slot,
            }
            .as_ssz_bytes();
        }
        let earliest_available_slot = self.earliest_available_slot.unwrap_or_default();
        StatusV2 {
            fork_digest,
            finalized_root,
            finalized_epoch,
            head_root,
            head_slot,
            earliest_available_slot,
        }
        .as_ssz_bytes()
    }

    pub(super) fn decode(version: u8, bytes: &[u8]) -> Result<Self, DecodeError> {
        if version == 1 {
            let StatusV1 {
                fork_digest,
                finalized_root,
                finalized_epoch,
                head_root,
                head_slot,
            } = StatusV1::from_ssz_bytes(bytes)?;
            let earliest_available_slot = None;
            return Ok(Self {
                fork_digest,
                finalized_root,
                finalized_epoch,
                head_root,
                head_slot,
                earliest_available_slot,
            });
        }
        let status = StatusV2::from_ssz_bytes(bytes)?;
        Ok(Self {
            fork_digest: status.fork_digest,
            finalized_root: status.finalized_root,
            finalized_epoch: status.finalized_epoch,
            head_root: status.head_root,
            head_slot: status.head_slot,
            earliest_available_slot: Some(status.earliest_available_slot),
        })
    }
}

/// `MetaData`: version 3, and version 2 without the custody group count.
///
/// Spec: fulu/p2p-interface.md#metadata
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MetaData {
    /// Grows with every change.
    pub seq_number: u64,
    /// Persistent attestation subnets.
    pub attnets: AttnetBits,
    /// Sync committee subnets.
    pub syncnets: SyncnetBits,
    /// Custody groups; `None` from a peer that speaks version 2.
    pub custody_group_count: Option<u64>,
}

#[derive(Encode, Decode)]
struct MetaDataV2 {
    seq_number: u64,
    attnets: AttnetBits,
    syncnets: SyncnetBits,
}

#[derive(Encode, Decode)]
struct MetaDataV3 {
    seq_number: u64,
    attnets: AttnetBits,
    syncnets: SyncnetBits,
    custody_group_count: u64,
}

impl MetaData {
    pub(super) fn encode(&self, version: u8) -> Vec<u8> {
        let Self {
            seq_number,
            attnets,
            syncnets,
            custody_group_count,
        } = self.clone();
        if version == 2 {
            return MetaDataV2 {
                seq_number,
                attnets,
                syncnets,
            }
            .as_ssz_bytes();
        }
        let custody_group_count = custody_group_count.unwrap_or_default();
        MetaDataV3 {
            seq_number,
            attnets,
            syncnets,
            custody_group_count,
        }
        .as_ssz_bytes()
    }

    pub(super) fn decode(version: u8, bytes: &[u8]) -> Result<Self, DecodeError> {
        if version == 2 {
            let MetaDataV2 {
                seq_number,
                attnets,
                syncnets,
            } = MetaDataV2::from_ssz_bytes(bytes)?;
            return Ok(Self {
                seq_number,
                attnets,
                syncnets,
                custody_group_count: None,
            });
        }
        let MetaDataV3 {
            seq_number,
            attnets,
            syncnets,
            custody_group_count,
        } = MetaDataV3::from_ssz_bytes(bytes)?;
        Ok(Self {
            seq_number,
            attnets,
            syncnets,
            custody_group_count: Some(custody_group_count),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_versions_lack_the_newest_field() {
        let status = super::super::messages::tests::status();
        assert_eq!((status.encode(1).len(), status.encode(2).len()), (84, 92));
        let old = StatusMessage::decode(1, &status.encode(1)).unwrap();
        assert_eq!(
            old,
            StatusMessage {
                earliest_available_slot: None,
                ..status
            }
        );
        let metadata = MetaData {
            custody_group_count: Some(4),
            ..MetaData::default()
        };
        assert_eq!((metadata.encode(2).len(), metadata.encode(3).len()), (17, 25));
        let old = MetaData::decode(2, &metadata.encode(2)).unwrap();
        assert_eq!(old.custody_group_count, None);
    }

    #[test]
    fn sync_subnets_that_do_not_exist_are_refused() {
        let mut bytes = MetaData::default().encode(3);
        bytes[16] = 0x10;
        assert!(MetaData::decode(3, &bytes).is_err());
    }
}
