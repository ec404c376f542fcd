//! Containers of distributed validators.
//!
//! Spec: dvt/beacon-chain.md#containers

use crate::constants::BLS_SCHEME;
use crate::{Epoch, PublicKeyBytes, SignatureBytes, Slot, ValidatorIndex};
use serde::{Deserialize, Serialize};
use ssz_derive::{Decode, Encode};
use ssz_types::{BitVector, VariableList};
use tree_hash_derive::TreeHash;
use typenum::{U4, U16, U64, U4194304};

/// `VALIDATOR_REGISTRY_LIMIT`, the limit of the state's list of groups.
pub type GroupsLimit = typenum::U1099511627776;
/// `MAX_GROUP_SIZE`.
pub type MaxGroupSize = U16;
/// Which keys of a key set signed. All zero where a solo validator signed.
pub type Signers = BitVector<MaxGroupSize>;
/// What the keys of schemes other than BLS signed, ascending by scheme.
pub type SchemeProofs = VariableList<SchemeProof, U4>;

/// A public key with its scheme.
///
/// Spec: dvt/beacon-chain.md#virtualkey
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct VirtualKey {
    /// Scheme number.
    #[serde(with = "serde_utils::quoted_u8")]
    pub scheme: u8,
    /// Key in the scheme's encoding: 48 bytes for BLS, 52 for XMSS.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub pubkey: VariableList<u8, U64>,
}

impl VirtualKey {
    /// A BLS key.
    pub fn bls(pubkey: PublicKeyBytes) -> Self {
        let mut bytes = VariableList::empty();
        for byte in pubkey {
            // 48 bytes fit the limit of 64.
            let _ = bytes.push(byte);
        }
        Self {
            scheme: BLS_SCHEME,
            pubkey: bytes,
        }
    }

    /// The key as BLS key bytes, if its scheme and length say so.
    pub fn as_bls(&self) -> Option<PublicKeyBytes> {
        (self.scheme == BLS_SCHEME)
            .then(|| PublicKeyBytes::try_from(self.pubkey.as_ref()).ok())
            .flatten()
    }
}

/// The keys of a group and its threshold from an epoch on. No keys and threshold 0: solo, the registry key signs.
///
/// Spec: dvt/beacon-chain.md#keyset
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct KeySet {
    /// First epoch in which the set is in force.
    pub activation_epoch: Epoch,
    /// How many keys must sign.
    #[serde(with = "serde_utils::quoted_u8")]
    pub threshold: u8,
    /// Keys in order; a key's place is its index.
    pub keys: VariableList<VirtualKey, MaxGroupSize>,
}

impl KeySet {
    /// Whether the registry key signs.
    pub fn is_solo(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The key sets of one registry entry.
///
/// Spec: dvt/beacon-chain.md#group
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct Group {
    /// The registry entry.
    pub validator_index: ValidatorIndex,
    /// Number of accepted changes: replay protection.
    #[serde(with = "serde_utils::quoted_u64")]
    pub sequence: u64,
    /// Ascending by activation epoch.
    pub key_sets: VariableList<KeySet, U4>,
}

/// Signatures of the keys of one scheme, in ascending order of their signer indices.
///
/// Spec: dvt/beacon-chain.md#schemeproof
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SchemeProof {
    /// Scheme number.
    #[serde(with = "serde_utils::quoted_u8")]
    pub scheme: u8,
    /// In the scheme's encoding.
    #[serde(with = "ssz_types::serde_utils::hex_var_list")]
    pub data: VariableList<u8, U4194304>,
}

/// What a new key signs to show that somebody holds it.
///
/// Spec: dvt/beacon-chain.md#keypossession
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct KeyPossession {
    /// The registry entry that the key is made for.
    pub validator_index: ValidatorIndex,
    /// The key.
    pub key: VirtualKey,
    /// Fixes the leaf of a one-time scheme.
    pub slot: Slot,
}

/// Proof of possession of one new key.
///
/// Spec: dvt/beacon-chain.md#keyproof
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct KeyProof {
    /// Slot of the signed [`KeyPossession`].
    pub slot: Slot,
    /// The signature over it; 96 bytes for BLS.
    pub proof: SchemeProof,
}

/// A new key set for a registry entry: makes a group, rotates, resizes or dissolves it.
///
/// Spec: dvt/beacon-chain.md#keysetchange
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct KeySetChange {
    /// The registry entry.
    pub validator_index: ValidatorIndex,
    /// Number of changes accepted before this one.
    #[serde(with = "serde_utils::quoted_u64")]
    pub sequence: u64,
    /// When it was made.
    pub slot: Slot,
    /// New threshold; 0 to dissolve.
    #[serde(with = "serde_utils::quoted_u8")]
    pub threshold: u8,
    /// New keys; none to dissolve.
    pub keys: VariableList<VirtualKey, MaxGroupSize>,
}

/// A key-set change, signed by the keys in force.
///
/// Spec: dvt/beacon-chain.md#signedkeysetchange
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, TreeHash, Serialize, Deserialize)]
pub struct SignedKeySetChange {
    /// The change.
    pub message: KeySetChange,
    /// One proof for each key that was not in the old set, in key order.
    pub key_proofs: VariableList<KeyProof, MaxGroupSize>,
    /// Which keys in force signed; all zero for a solo validator.
    pub signers: Signers,
    /// Aggregate of the BLS signatures.
    pub signature: SignatureBytes,
    /// Signatures of the other schemes.
    pub proofs: SchemeProofs,
}
