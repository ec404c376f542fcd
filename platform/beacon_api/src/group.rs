//! `/eth/v1/beacon/states/{id}/groups`: distributed validators of a state.

use serde::{Deserialize, Serialize};
use types::{Epoch, Group, GroupParticipation, SignerIndex, Signers, ValidatorIndex};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// The validator that the group is.
    pub validator_index: ValidatorIndex,
    /// Key-set changes so far.
    #[serde(with = "serde_utils::quoted_u64")]
    pub sequence: u64,
    /// Key sets by the epoch in which they come into force.
    pub key_sets: Vec<GroupKeySet>,
    /// Seats whose votes of the previous epoch are in the chain.
    pub previous_epoch_participation: SeatVotes,
    /// Seats whose votes of the current epoch are in the chain.
    pub current_epoch_participation: SeatVotes,
}

/// A key set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupKeySet {
    /// When it comes into force.
    pub activation_epoch: Epoch,
    /// Keys that have to agree.
    #[serde(with = "serde_utils::quoted_u8")]
    pub threshold: u8,
    /// The keys, in the order of their numbers. None: the validator is solo.
    pub keys: Vec<GroupKey>,
}

/// A key of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupKey {
    /// Signature scheme.
    #[serde(with = "serde_utils::quoted_u8")]
    pub scheme: u8,
    /// The key.
    #[serde(with = "serde_utils::hex_vec")]
    pub pubkey: Vec<u8>,
    /// Its virtual index.
    pub signer_index: SignerIndex,
}

/// Which keys of a group have voted in an epoch; each part of a vote counts on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatVotes {
    /// For the source.
    pub source: Signers,
    /// For the target.
    pub target: Signers,
    /// For the head.
    pub head: Signers,
}

impl SeatVotes {
    /// Takes the state's word of a group and an epoch apart.
    pub fn from_word(word: GroupParticipation) -> Self {
        let bits = |shift: u32| {
            let mut bits = Signers::default();
            for position in 0..bits.len() {
                // Position is less than the length.
                let _ = bits.set(position, (word >> shift >> position) & 1 == 1);
            }
            bits
        };
        Self {
            source: bits(0),
            target: bits(16),
            head: bits(32),
        }
    }
}

impl GroupEntry {
    /// A group of a state with its words of the previous and the current epoch.
    ///
    /// None if a virtual index is too large, which the index of no registry entry can cause.
    pub fn new(group: &Group, previous: GroupParticipation, current: GroupParticipation) -> Option<Self> {
        let key_sets = group
            .key_sets
            .iter()
            .map(|key_set| {
                let keys = key_set
                    .keys
                    .iter()
                    .enumerate()
                    .map(|(number, key)| {
                        let number = u8::try_from(number).ok()?;
                        Some(GroupKey {
                            scheme: key.scheme,
                            pubkey: key.pubkey.to_vec(),
                            signer_index: SignerIndex::virtual_index(group.validator_index, number).ok()?,
                        })
                    })
                    .collect::<Option<Vec<_>>>()?;
                Some(GroupKeySet {
                    activation_epoch: key_set.activation_epoch,
                    threshold: key_set.threshold,
                    keys,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            validator_index: group.validator_index,
            sequence: group.sequence,
            key_sets,
            previous_epoch_participation: SeatVotes::from_word(previous),
            current_epoch_participation: SeatVotes::from_word(current),
        })
    }

    /// The key set in force in an epoch.
    pub fn key_set_at(&self, epoch: Epoch) -> Option<&GroupKeySet> {
        self.key_sets.iter().rfind(|key_set| key_set.activation_epoch <= epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{KeySet, PublicKeyBytes, VirtualKey};

    #[test]
    fn a_group_is_shown_with_indices_and_votes() {
        let group = Group {
            validator_index: ValidatorIndex::new(3),
            sequence: 1,
            key_sets: vec![KeySet {
                activation_epoch: Epoch::new(5),
                threshold: 2,
                keys: vec![
                    VirtualKey::bls(PublicKeyBytes::repeat_byte(1)),
                    VirtualKey::bls(PublicKeyBytes::repeat_byte(2)),
                ]
                .try_into()
                .unwrap(),
            }]
            .try_into()
            .unwrap(),
        };
        let entry = GroupEntry::new(&group, 0b11 | 0b10 << 16 | 0b1 << 32, 0).unwrap();
        let json = serde_json::to_value(&entry).unwrap();
        let keys = &json["key_sets"][0]["keys"];
        assert_eq!(keys[1]["signer_index"], ((1u64 << 48) + 3 * 16 + 1).to_string());
        assert_eq!(keys[0]["pubkey"], format!("0x{}", "01".repeat(48)));
        assert_eq!(
            json["previous_epoch_participation"],
            serde_json::json!({"source": "0x0300", "target": "0x0200", "head": "0x0100"})
        );
        assert_eq!(serde_json::from_value::<GroupEntry>(json).unwrap(), entry);
        assert!(entry.key_set_at(Epoch::new(4)).is_none());
        assert_eq!(entry.key_set_at(Epoch::new(5)).unwrap().threshold, 2);
    }
}
