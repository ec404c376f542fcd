//! Reading a state, and headers of blocks.

use crate::ValidatorId;
use crate::body::from_json_of_either;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;
use types::constants::FAR_FUTURE_EPOCH;
use types::{
    Checkpoint, CommitteeIndex, Epoch, Gwei, Hash32, Root, SignedBeaconBlockHeader, SignerIndex, SignerKey, Slot,
    Validator,
};

/// `/eth/v1/beacon/states/{id}/root` and `/eth/v1/beacon/blocks/{id}/root`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootEntry {
    /// The root.
    pub root: Root,
}

/// `/eth/v1/beacon/states/{id}/finality_checkpoints`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalityCheckpoints {
    /// Justified as of the previous epoch.
    pub previous_justified: Checkpoint,
    /// Justified.
    pub current_justified: Checkpoint,
    /// Finalised.
    pub finalized: Checkpoint,
}

/// `/eth/v1/beacon/states/{id}/randao`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Randao {
    /// Mix of the epoch.
    pub randao: Root,
}

/// Where a validator is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidatorStatus {
    /// Has not enough balance yet.
    PendingInitialized,
    /// Waits for its activation.
    PendingQueued,
    /// Has duties.
    ActiveOngoing,
    /// Has duties and will leave.
    ActiveExiting,
    /// Is slashed and will leave.
    ActiveSlashed,
    /// Has left.
    ExitedUnslashed,
    /// Is slashed and has left.
    ExitedSlashed,
    /// Its balance can be withdrawn.
    WithdrawalPossible,
    /// Its balance is withdrawn.
    WithdrawalDone,
}

impl ValidatorStatus {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::PendingInitialized,
        Self::PendingQueued,
        Self::ActiveOngoing,
        Self::ActiveExiting,
        Self::ActiveSlashed,
        Self::ExitedUnslashed,
        Self::ExitedSlashed,
        Self::WithdrawalPossible,
        Self::WithdrawalDone,
    ];

    /// Status of a validator with a balance in Gwei.
    pub fn of(validator: &Validator, balance: Gwei, epoch: Epoch) -> Self {
        if epoch < validator.activation_epoch {
            return if validator.activation_eligibility_epoch == FAR_FUTURE_EPOCH {
                Self::PendingInitialized
            } else {
                Self::PendingQueued
            };
        }
        if epoch < validator.exit_epoch {
            return match (validator.exit_epoch == FAR_FUTURE_EPOCH, validator.slashed) {
                (true, _) => Self::ActiveOngoing,
                (false, false) => Self::ActiveExiting,
                (false, true) => Self::ActiveSlashed,
            };
        }
        if epoch < validator.withdrawable_epoch {
            return if validator.slashed {
                Self::ExitedSlashed
            } else {
                Self::ExitedUnslashed
            };
        }
        if balance == 0 {
            Self::WithdrawalDone
        } else {
            Self::WithdrawalPossible
        }
    }

    /// As in bodies and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingInitialized => "pending_initialized",
            Self::PendingQueued => "pending_queued",
            Self::ActiveOngoing => "active_ongoing",
            Self::ActiveExiting => "active_exiting",
            Self::ActiveSlashed => "active_slashed",
            Self::ExitedUnslashed => "exited_unslashed",
            Self::ExitedSlashed => "exited_slashed",
            Self::WithdrawalPossible => "withdrawal_possible",
            Self::WithdrawalDone => "withdrawal_done",
        }
    }

    /// Whether there are duties.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::ActiveOngoing | Self::ActiveExiting | Self::ActiveSlashed)
    }

    /// Whether a filter such as `active` or `active_ongoing` is met.
    pub fn matches(self, filter: &str) -> bool {
        match self.as_str().strip_prefix(filter) {
            Some("") => true,
            Some(rest) => rest.starts_with('_') && !filter.contains('_'),
            None => false,
        }
    }

    /// All that meet a filter; none if it is no filter.
    pub fn all_that_match(filter: &str) -> Vec<Self> {
        Self::ALL.into_iter().filter(|status| status.matches(filter)).collect()
    }
}

impl fmt::Display for ValidatorStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ValidatorStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| "expected a validator status such as active_ongoing".to_owned())
    }
}

/// An entry of `/eth/v1/beacon/states/{id}/validators`. For a key of a group: its virtual index and its key, with the
/// balance, the status and all else of the group's validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorEntry {
    /// Index.
    pub index: SignerIndex,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub balance: Gwei,
    /// Where it is on its way.
    pub status: ValidatorStatus,
    /// Registry entry.
    pub validator: ValidatorData,
}

/// A registry entry as the API shows it: under the key that was asked for, which may be one of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorData {
    /// The key.
    pub pubkey: SignerKey,
    /// Commitment to the owner of the stake.
    pub withdrawal_credentials: Hash32,
    /// Balance at stake, in Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub effective_balance: Gwei,
    /// Whether it was slashed.
    pub slashed: bool,
    /// When it became eligible for activation.
    pub activation_eligibility_epoch: Epoch,
    /// First active epoch.
    pub activation_epoch: Epoch,
    /// First epoch after its duties.
    pub exit_epoch: Epoch,
    /// When its stake can be withdrawn.
    pub withdrawable_epoch: Epoch,
}

impl ValidatorData {
    /// An entry under one of its keys.
    pub fn new(pubkey: SignerKey, validator: &Validator) -> Self {
        Self {
            pubkey,
            withdrawal_credentials: validator.withdrawal_credentials,
            effective_balance: validator.effective_balance,
            slashed: validator.slashed,
            activation_eligibility_epoch: validator.activation_eligibility_epoch,
            activation_epoch: validator.activation_epoch,
            exit_epoch: validator.exit_epoch,
            withdrawable_epoch: validator.withdrawable_epoch,
        }
    }
}

/// An entry of `/eth/v1/beacon/states/{id}/validator_balances`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorBalance {
    /// Index.
    pub index: SignerIndex,
    /// Gwei.
    #[serde(with = "serde_utils::quoted_u64")]
    pub balance: Gwei,
}

/// An entry of `/eth/v1/beacon/states/{id}/validator_identities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorIdentity {
    /// Index.
    pub index: SignerIndex,
    /// The key.
    pub pubkey: SignerKey,
    /// First active epoch.
    pub activation_epoch: Epoch,
}

/// Body of a POST to `/eth/v1/beacon/states/{id}/validators`. A list that is missing or empty filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorsRequest {
    /// Which validators.
    #[serde(default)]
    pub ids: Option<Vec<ValidatorId>>,
    /// With which status: [`ValidatorStatus`], or `active`, `pending`, `exited`, `withdrawal`.
    #[serde(default)]
    pub statuses: Option<Vec<String>>,
}

/// An entry of `/eth/v1/beacon/states/{id}/committees`: members in the order of their seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committee {
    /// Which committee of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: CommitteeIndex,
    /// Which slot.
    pub slot: Slot,
    /// Who sits on which seat.
    pub validators: Vec<SignerIndex>,
}

/// `/eth/v1/beacon/states/{id}/sync_committees`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCommitteeMembers {
    /// Members by position.
    pub validators: Vec<SignerIndex>,
    /// The same, by subcommittee.
    pub validator_aggregates: Vec<Vec<SignerIndex>>,
}

/// An entry of `/eth/v1/beacon/headers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeaderEntry {
    /// Root of the block.
    pub root: Root,
    /// Whether it is in the chain of the head.
    pub canonical: bool,
    /// The header.
    #[serde(deserialize_with = "header_of_either_fork")]
    pub header: SignedBeaconBlockHeader,
}

fn header_of_either_fork<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedBeaconBlockHeader, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    from_json_of_either(json.get()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validator() -> Validator {
        Validator {
            pubkey: Default::default(),
            withdrawal_credentials: Default::default(),
            effective_balance: 0,
            slashed: false,
            activation_eligibility_epoch: Epoch::new(1),
            activation_epoch: Epoch::new(2),
            exit_epoch: Epoch::new(4),
            withdrawable_epoch: Epoch::new(6),
        }
    }

    #[test]
    fn a_validator_goes_its_way() {
        let at = |epoch: u64, balance| ValidatorStatus::of(&validator(), balance, Epoch::new(epoch));
        assert_eq!(at(1, 1), ValidatorStatus::PendingQueued);
        assert_eq!(at(2, 1), ValidatorStatus::ActiveExiting);
        assert_eq!(at(4, 1), ValidatorStatus::ExitedUnslashed);
        assert_eq!(at(6, 1), ValidatorStatus::WithdrawalPossible);
        assert_eq!(at(6, 0), ValidatorStatus::WithdrawalDone);
        let staying = Validator {
            exit_epoch: FAR_FUTURE_EPOCH,
            withdrawable_epoch: FAR_FUTURE_EPOCH,
            ..validator()
        };
        assert_eq!(
            ValidatorStatus::of(&staying, 0, Epoch::new(9)),
            ValidatorStatus::ActiveOngoing
        );
    }

    #[test]
    fn a_filter_names_one_status_or_a_family() {
        assert_eq!(ValidatorStatus::all_that_match("active").len(), 3);
        assert_eq!(
            ValidatorStatus::all_that_match("exited_slashed"),
            [ValidatorStatus::ExitedSlashed]
        );
        for nothing in ["", "act", "active_", "sleeping"] {
            assert!(ValidatorStatus::all_that_match(nothing).is_empty(), "{nothing}");
        }
        for status in ValidatorStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}
