//! Newtypes and aliases of the spec's custom types.

use crate::arith::{ArithError, SafeArith};
use crate::constants::{MAX_GROUP_SIZE, VIRTUAL_INDEX_OFFSET};
use crate::preset::Preset;
use alloy_primitives::{Address, B256, FixedBytes, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ssz::{Decode, DecodeError, Encode};
use std::fmt;
use tree_hash::{PackedEncoding, TreeHash, TreeHashType};

/// A 32-byte Merkle root.
pub type Root = B256;
/// A 32-byte hash.
pub type Hash32 = B256;
/// An amount in Gwei.
pub type Gwei = u64;
/// Index of a committee within a slot.
pub type CommitteeIndex = u64;
/// Index of a data column.
pub type ColumnIndex = u64;
/// Index of a custody group.
pub type CustodyIndex = u64;
/// Index of a withdrawal.
pub type WithdrawalIndex = u64;
/// Index of a blob within a block.
pub type BlobIndex = u64;
/// A fork version.
pub type Version = FixedBytes<4>;
/// First four bytes of a fork data root.
pub type ForkDigest = FixedBytes<4>;
/// Four bytes that tell what a signature is for.
pub type DomainType = [u8; 4];
/// A signature domain.
pub type Domain = B256;
/// An execution-layer address.
pub type ExecutionAddress = Address;
/// A compressed BLS public key, not validated.
pub type PublicKeyBytes = FixedBytes<48>;
/// A compressed BLS signature, not validated.
pub type SignatureBytes = FixedBytes<96>;
/// A KZG commitment, not validated.
pub type KzgCommitment = FixedBytes<48>;
/// A KZG proof, not validated.
pub type KzgProof = FixedBytes<48>;
/// A 256-bit unsigned integer.
pub type Uint256 = U256;
/// The three timeliness flags of a validator in an epoch.
pub type ParticipationFlags = u8;
/// Per group: one bit for each virtual key that voted; bits 0-15 source, 16-31 target, 32-47 head.
pub type GroupParticipation = u64;

macro_rules! u64_newtype {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Wraps a plain integer.
            #[inline]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }
            /// The plain integer.
            #[inline]
            pub const fn as_u64(self) -> u64 {
                self.0
            }
            /// The integer as a list index. Lossless on the 64-bit targets that are supported.
            #[inline]
            pub const fn as_usize(self) -> usize {
                self.0 as usize
            }
            /// `self + other`.
            pub fn safe_add(self, other: impl Into<u64>) -> Result<Self, ArithError> {
                self.0.safe_add(other.into()).map(Self)
            }
            /// `self - other`.
            pub fn safe_sub(self, other: impl Into<u64>) -> Result<Self, ArithError> {
                self.0.safe_sub(other.into()).map(Self)
            }
            /// `self * other`.
            pub fn safe_mul(self, other: impl Into<u64>) -> Result<Self, ArithError> {
                self.0.safe_mul(other.into()).map(Self)
            }
            /// `self / other`, rounded down.
            pub fn safe_div(self, other: impl Into<u64>) -> Result<Self, ArithError> {
                self.0.safe_div(other.into()).map(Self)
            }
            /// `self % other`.
            pub fn safe_rem(self, other: impl Into<u64>) -> Result<Self, ArithError> {
                self.0.safe_rem(other.into()).map(Self)
            }
            /// `self + other`, at most the largest value.
            pub fn saturating_add(self, other: impl Into<u64>) -> Self {
                Self(self.0.saturating_add(other.into()))
            }
            /// `self - other`, at least zero.
            pub fn saturating_sub(self, other: impl Into<u64>) -> Self {
                Self(self.0.saturating_sub(other.into()))
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }
        impl From<$name> for u64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde_utils::quoted_u64::serialize(&self.0, serializer)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde_utils::quoted_u64::deserialize(deserializer).map(Self)
            }
        }
        impl Encode for $name {
            fn is_ssz_fixed_len() -> bool {
                true
            }
            fn ssz_fixed_len() -> usize {
                8
            }
            fn ssz_bytes_len(&self) -> usize {
                8
            }
            fn ssz_append(&self, buf: &mut Vec<u8>) {
                self.0.ssz_append(buf)
            }
        }
        impl Decode for $name {
            fn is_ssz_fixed_len() -> bool {
                true
            }
            fn ssz_fixed_len() -> usize {
                8
            }
            fn from_ssz_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                u64::from_ssz_bytes(bytes).map(Self)
            }
        }
        impl TreeHash for $name {
            fn tree_hash_type() -> TreeHashType {
                u64::tree_hash_type()
            }
            fn tree_hash_packed_encoding(&self) -> PackedEncoding {
                self.0.tree_hash_packed_encoding()
            }
            fn tree_hash_packing_factor() -> usize {
                u64::tree_hash_packing_factor()
            }
            fn tree_hash_root(&self) -> tree_hash::Hash256 {
                self.0.tree_hash_root()
            }
        }
    };
}

u64_newtype!(
    /// A slot number.
    Slot
);
u64_newtype!(
    /// An epoch number.
    Epoch
);
u64_newtype!(
    /// Index of an entry of the validator registry: a solo validator or a group.
    ValidatorIndex
);
u64_newtype!(
    /// Names one signer: the registry index of a solo validator, or a virtual index
    /// `2**48 + validator * 16 + key` of one key of a group.
    SignerIndex
);

impl Slot {
    /// Spec: phase0/beacon-chain.md#compute_epoch_at_slot
    pub fn epoch<P: Preset>(self) -> Epoch {
        Epoch(self.0.checked_div(P::slots_per_epoch()).unwrap_or_default())
    }

    /// Whether this is the first slot of its epoch.
    pub fn is_epoch_start<P: Preset>(self) -> bool {
        self.0.is_multiple_of(P::slots_per_epoch())
    }
}

impl Epoch {
    /// First slot of the epoch. The far-future epoch, whose start does not fit, gives the largest slot.
    ///
    /// Spec: phase0/beacon-chain.md#compute_start_slot_at_epoch
    pub fn start_slot<P: Preset>(self) -> Slot {
        Slot(self.0.saturating_mul(P::slots_per_epoch()))
    }

    /// Last slot of the epoch.
    pub fn end_slot<P: Preset>(self) -> Slot {
        self.saturating_add(1u64).start_slot::<P>().saturating_sub(1u64)
    }
}

impl SignerIndex {
    /// Spec: dvt/beacon-chain.md#get_virtual_index
    pub fn virtual_index(validator: ValidatorIndex, key: u8) -> Result<Self, ArithError> {
        validator
            .0
            .safe_mul(MAX_GROUP_SIZE)?
            .safe_add(u64::from(key))?
            .safe_add(VIRTUAL_INDEX_OFFSET)
            .map(Self)
    }

    /// The registry index, and the key's place in the key set if this is a virtual index.
    ///
    /// Spec: dvt/beacon-chain.md#split_signer_index
    pub fn split(self) -> (ValidatorIndex, Option<u8>) {
        match self.0.checked_sub(VIRTUAL_INDEX_OFFSET) {
            None => (ValidatorIndex(self.0), None),
            // MAX_GROUP_SIZE is 16: a shift and a mask, which cannot fail.
            Some(rest) => (ValidatorIndex(rest >> 4), Some((rest & 15) as u8)),
        }
    }

    /// The registry index.
    pub fn validator(self) -> ValidatorIndex {
        self.split().0
    }

    /// Whether this names one key of a group.
    pub fn is_virtual(self) -> bool {
        self.0 >= VIRTUAL_INDEX_OFFSET
    }
}

impl From<ValidatorIndex> for SignerIndex {
    fn from(index: ValidatorIndex) -> Self {
        Self(index.0)
    }
}

/// The forks that this project knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForkName {
    /// The base.
    Fulu,
    /// Fulu with distributed validators.
    Dvt,
}

impl ForkName {
    /// All forks, in order.
    pub const ALL: [Self; 2] = [Self::Fulu, Self::Dvt];

    /// Lower-case name, as in the Beacon API and in vectors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fulu => "fulu",
            Self::Dvt => "dvt",
        }
    }
}

impl fmt::Display for ForkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ForkName {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|fork| fork.as_str().eq_ignore_ascii_case(s))
            .ok_or_else(|| format!("unknown fork {s:?}, expected fulu or dvt"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn virtual_index_round_trips_and_stays_below_2_53(validator in 0u64..1 << 40, key in 0u8..16) {
            let index = SignerIndex::virtual_index(ValidatorIndex::new(validator), key).unwrap();
            prop_assert_eq!(index.split(), (ValidatorIndex::new(validator), Some(key)));
            prop_assert!(index.as_u64() < 1 << 53);
        }

        #[test]
        fn registry_index_is_its_own_signer_index(validator in 0u64..1 << 40) {
            let index = SignerIndex::from(ValidatorIndex::new(validator));
            prop_assert_eq!(index.split(), (ValidatorIndex::new(validator), None));
        }
    }

    #[test]
    fn start_of_the_far_future_epoch_does_not_overflow() {
        let slot = Epoch::new(u64::MAX).start_slot::<crate::Mainnet>();
        assert_eq!(slot, Slot::new(u64::MAX));
    }
}
