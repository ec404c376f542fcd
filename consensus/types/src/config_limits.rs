//! What values a network may choose.

use crate::config_yaml::{ConfigError, found};
use crate::constants::BASIS_POINTS;
use crate::spec_values::preset_values;
use crate::{ChainSpec, Mainnet, Minimal, PresetName};
use std::ops::RangeInclusive;

/// Longest slot: an hour.
const MAX_SLOT_DURATION_MS: u64 = 3_600_000;
/// Attestation subnets that a node's record has bits for: `ATTESTATION_SUBNET_COUNT` of all networks.
const MAX_ATTESTATION_SUBNETS: u64 = 64;
/// `NUMBER_OF_COLUMNS` of all presets.
const MAX_DATA_COLUMNS: u64 = 128;

impl ChainSpec {
    /// What is divided by, counted to, or a place in something of fixed length; and times that a network could live
    /// with.
    pub(crate) fn ranges(&self) -> Vec<(&'static str, u64, RangeInclusive<u64>)> {
        let custody_groups = self.number_of_custody_groups;
        vec![
            ("SLOT_DURATION_MS", self.slot_duration_ms, 100..=MAX_SLOT_DURATION_MS),
            (
                "PROPOSER_REORG_CUTOFF_BPS",
                self.proposer_reorg_cutoff_bps,
                0..=BASIS_POINTS,
            ),
            ("ATTESTATION_DUE_BPS", self.attestation_due_bps, 0..=BASIS_POINTS),
            ("AGGREGATE_DUE_BPS", self.aggregate_due_bps, 0..=BASIS_POINTS),
            ("SYNC_MESSAGE_DUE_BPS", self.sync_message_due_bps, 0..=BASIS_POINTS),
            ("CONTRIBUTION_DUE_BPS", self.contribution_due_bps, 0..=BASIS_POINTS),
            ("LEADER_TIMEOUT_BPS", self.leader_timeout_bps, 0..=BASIS_POINTS),
            ("LEADER_CUTOFF_BPS", self.leader_cutoff_bps, 0..=BASIS_POINTS),
            (
                "GROUP_BLOCK_STAGGER_MS",
                self.group_block_stagger_ms,
                0..=MAX_SLOT_DURATION_MS,
            ),
            (
                "MAXIMUM_GOSSIP_CLOCK_DISPARITY",
                self.maximum_gossip_clock_disparity,
                0..=MAX_SLOT_DURATION_MS,
            ),
            ("CHURN_LIMIT_QUOTIENT", self.churn_limit_quotient, 1..=u64::MAX),
            (
                "EPOCHS_PER_SUBNET_SUBSCRIPTION",
                self.epochs_per_subnet_subscription,
                1..=u64::MAX,
            ),
            (
                "ATTESTATION_SUBNET_COUNT",
                self.attestation_subnet_count,
                1..=MAX_ATTESTATION_SUBNETS,
            ),
            (
                "SUBNETS_PER_NODE",
                self.subnets_per_node,
                0..=self.attestation_subnet_count,
            ),
            (
                "ATTESTATION_SUBNET_PREFIX_BITS",
                self.attestation_subnet_prefix_bits,
                0..=u64::from(MAX_ATTESTATION_SUBNETS.ilog2()),
            ),
            (
                "NUMBER_OF_CUSTODY_GROUPS",
                self.number_of_custody_groups,
                1..=MAX_DATA_COLUMNS,
            ),
            ("CUSTODY_REQUIREMENT", self.custody_requirement, 0..=custody_groups),
            (
                "VALIDATOR_CUSTODY_REQUIREMENT",
                self.validator_custody_requirement,
                0..=custody_groups,
            ),
            ("SAMPLES_PER_SLOT", self.samples_per_slot, 0..=custody_groups),
            (
                "DATA_COLUMN_SIDECAR_SUBNET_COUNT",
                self.data_column_sidecar_subnet_count,
                1..=MAX_DATA_COLUMNS,
            ),
            (
                "BALANCE_PER_ADDITIONAL_CUSTODY_GROUP",
                self.balance_per_additional_custody_group,
                1..=u64::MAX,
            ),
        ]
    }

    /// Some networks repeat values of their preset, such as SLOTS_PER_EPOCH. They cannot choose others.
    pub(crate) fn validate_preset_values(&self) -> Result<(), ConfigError> {
        let preset = match self.preset_base {
            PresetName::Mainnet => preset_values::<Mainnet>(),
            PresetName::Minimal => preset_values::<Minimal>(),
        };
        for (key, value) in &self.unknown {
            if let Some(expected) = preset.get(key)
                && expected != value
            {
                return Err(ConfigError::Contradiction(format!(
                    "{key} is {}, expected {} of the preset {}",
                    found(value),
                    found(expected),
                    self.preset_base
                )));
            }
        }
        Ok(())
    }
}
