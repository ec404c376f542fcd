//! The runtime configuration: what a network may choose, read from `config.yaml`.

use crate::constants::FAR_FUTURE_EPOCH;
use crate::{
    Epoch, ExecutionAddress, ForkDigest, ForkName, Hash32, PresetName, Root, Uint256, Version, compute_fork_data_root,
};
use alloy_primitives::address;
use ethereum_hashing::hash;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A configuration is unreadable or contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML, or not a map.
    #[error("configuration is not a YAML map: {0}")]
    Yaml(String),
    /// A value of a known key does not parse.
    #[error("{key}: found {found:?}, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value in the file.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two keys contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// Blob parameters from an epoch on.
///
/// Spec: fulu/beacon-chain.md#blobparameters
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobParameters {
    /// First epoch.
    #[serde(rename = "EPOCH")]
    pub epoch: Epoch,
    /// Most blobs in a block.
    #[serde(rename = "MAX_BLOBS_PER_BLOCK", with = "serde_utils::quoted_u64")]
    pub max_blobs_per_block: u64,
}

/// How a configuration value is read from and written as text.
trait ConfigValue: Sized {
    /// What a value looks like, for error messages.
    const EXPECTED: &'static str;
    fn parse(text: &str) -> Option<Self>;
    fn text(&self) -> String;
}

macro_rules! config_value {
    ($type:ty, $expected:literal, $value:ident => $text:expr) => {
        impl ConfigValue for $type {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Option<Self> {
                Self::from_str(text).ok()
            }
            fn text(&self) -> String {
                let $value = self;
                $text
            }
        }
    };
}
config_value!(u64, "an integer below 2**64", value => value.to_string());
config_value!(Epoch, "an epoch number", value => value.to_string());
config_value!(String, "a string", value => value.clone());
config_value!(Version, "0x and 8 hex digits", value => format!("{value:?}"));
config_value!(Hash32, "0x and 64 hex digits", value => format!("{value:?}"));
config_value!(ExecutionAddress, "0x and 40 hex digits", value => value.to_checksum(None));

impl ConfigValue for Uint256 {
    const EXPECTED: &'static str = "an integer below 2**256";
    fn parse(text: &str) -> Option<Self> {
        // Minimal's value is 2**256 itself, "never".
        if text == "115792089237316195423570985008687907853269984665640564039457584007913129638912" {
            return Some(Self::MAX);
        }
        Self::from_str(text).ok()
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

macro_rules! chain_spec {
    ($($field:ident: $type:ty = $key:literal, $mainnet:expr, $minimal:expr;)*) => {
        /// The configuration of a network. Fields are named after the keys of `config.yaml` and have their units.
        #[expect(missing_docs, reason = "a field has the name, unit and meaning of its configuration key")]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct ChainSpec {
            /// `PRESET_BASE`.
            pub preset_base: PresetName,
            $(pub $field: $type,)*
            /// `BLOB_SCHEDULE`, ascending by epoch.
            pub blob_schedule: Vec<BlobParameters>,
            /// Keys that this program does not know, in the order of the file.
            pub unknown: Vec<(String, serde_json::Value)>,
        }

        impl ChainSpec {
            /// The configuration of Ethereum's main network.
            pub fn mainnet() -> Self {
                Self {
                    preset_base: PresetName::Mainnet,
                    $($field: $mainnet,)*
                    blob_schedule: vec![
                        BlobParameters { epoch: Epoch::new(412_672), max_blobs_per_block: 15 },
                        BlobParameters { epoch: Epoch::new(419_072), max_blobs_per_block: 21 },
                    ],
                    unknown: Vec::new(),
                }
            }

            /// The minimal configuration of the specs.
            pub fn minimal() -> Self {
                Self {
                    preset_base: PresetName::Minimal,
                    $($field: $minimal,)*
                    blob_schedule: Vec::new(),
                    unknown: Vec::new(),
                }
            }

            /// Sets a known scalar key. `Ok(false)` if the key is not known.
            fn set(&mut self, key: &str, text: &str) -> Result<bool, ConfigError> {
                match key {
                    $($key => {
                        self.$field = ConfigValue::parse(text).ok_or_else(|| ConfigError::Value {
                            key: $key,
                            found: text.to_owned(),
                            expected: <$type as ConfigValue>::EXPECTED,
                        })?;
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// All known scalar keys with their values as text.
            fn scalars(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, self.$field.text()),)*]
            }
        }
    };
}

chain_spec! {
    config_name: String = "CONFIG_NAME", "mainnet".to_owned(), "minimal".to_owned();
    terminal_total_difficulty: Uint256 = "TERMINAL_TOTAL_DIFFICULTY", Uint256::from(58_750_000_000_000_000_000_000u128), Uint256::MAX;
    terminal_block_hash: Hash32 = "TERMINAL_BLOCK_HASH", Hash32::ZERO, Hash32::ZERO;
    terminal_block_hash_activation_epoch: Epoch = "TERMINAL_BLOCK_HASH_ACTIVATION_EPOCH", FAR_FUTURE_EPOCH, FAR_FUTURE_EPOCH;
    min_genesis_active_validator_count: u64 = "MIN_GENESIS_ACTIVE_VALIDATOR_COUNT", 16_384, 64;
    min_genesis_time: u64 = "MIN_GENESIS_TIME", 1_606_824_000, 1_578_009_600;
    genesis_fork_version: Version = "GENESIS_FORK_VERSION", Version::new([0x00, 0x00, 0x00, 0x00]), Version::new([0x00, 0x00, 0x00, 0x01]);
    genesis_delay: u64 = "GENESIS_DELAY", 604_800, 300;
    altair_fork_version: Version = "ALTAIR_FORK_VERSION", Version::new([0x01, 0x00, 0x00, 0x00]), Version::new([0x01, 0x00, 0x00, 0x01]);
    altair_fork_epoch: Epoch = "ALTAIR_FORK_EPOCH", Epoch::new(74_240), FAR_FUTURE_EPOCH;
    bellatrix_fork_version: Version = "BELLATRIX_FORK_VERSION", Version::new([0x02, 0x00, 0x00, 0x00]), Version::new([0x02, 0x00, 0x00, 0x01]);
    bellatrix_fork_epoch: Epoch = "BELLATRIX_FORK_EPOCH", Epoch::new(144_896), FAR_FUTURE_EPOCH;
    capella_fork_version: Version = "CAPELLA_FORK_VERSION", Version::new([0x03, 0x00, 0x00, 0x00]), Version::new([0x03, 0x00, 0x00, 0x01]);
    capella_fork_epoch: Epoch = "CAPELLA_FORK_EPOCH", Epoch::new(194_048), FAR_FUTURE_EPOCH;
    deneb_fork_version: Version = "DENEB_FORK_VERSION", Version::new([0x04, 0x00, 0x00, 0x00]), Version::new([0x04, 0x00, 0x00, 0x01]);
    deneb_fork_epoch: Epoch = "DENEB_FORK_EPOCH", Epoch::new(269_568), FAR_FUTURE_EPOCH;
    electra_fork_version: Version = "ELECTRA_FORK_VERSION", Version::new([0x05, 0x00, 0x00, 0x00]), Version::new([0x05, 0x00, 0x00, 0x01]);
    electra_fork_epoch: Epoch = "ELECTRA_FORK_EPOCH", Epoch::new(364_032), FAR_FUTURE_EPOCH;
    fulu_fork_version: Version = "FULU_FORK_VERSION", Version::new([0x06, 0x00, 0x00, 0x00]), Version::new([0x06, 0x00, 0x00, 0x01]);
    fulu_fork_epoch: Epoch = "FULU_FORK_EPOCH", Epoch::new(411_392), FAR_FUTURE_EPOCH;
    dvt_fork_version: Version = "DVT_FORK_VERSION", Version::new([0x64, 0x76, 0x74, 0x00]), Version::new([0x64, 0x76, 0x74, 0x01]);
    dvt_fork_epoch: Epoch = "DVT_FORK_EPOCH", FAR_FUTURE_EPOCH, FAR_FUTURE_EPOCH;
    slot_duration_ms: u64 = "SLOT_DURATION_MS", 12_000, 6_000;
    seconds_per_eth1_block: u64 = "SECONDS_PER_ETH1_BLOCK", 14, 14;
    min_validator_withdrawability_delay: u64 = "MIN_VALIDATOR_WITHDRAWABILITY_DELAY", 256, 256;
    shard_committee_period: u64 = "SHARD_COMMITTEE_PERIOD", 256, 64;
    eth1_follow_distance: u64 = "ETH1_FOLLOW_DISTANCE", 2_048, 16;
    proposer_reorg_cutoff_bps: u64 = "PROPOSER_REORG_CUTOFF_BPS", 1_667, 1_667;
    attestation_due_bps: u64 = "ATTESTATION_DUE_BPS", 3_333, 3_333;
    aggregate_due_bps: u64 = "AGGREGATE_DUE_BPS", 6_667, 6_667;
    sync_message_due_bps: u64 = "SYNC_MESSAGE_DUE_BPS", 3_333, 3_333;
    contribution_due_bps: u64 = "CONTRIBUTION_DUE_BPS", 6_667, 6_667;
    inactivity_score_bias: u64 = "INACTIVITY_SCORE_BIAS", 4, 4;
    inactivity_score_recovery_rate: u64 = "INACTIVITY_SCORE_RECOVERY_RATE", 16, 16;
    ejection_balance: u64 = "EJECTION_BALANCE", 16_000_000_000, 16_000_000_000;
    min_per_epoch_churn_limit: u64 = "MIN_PER_EPOCH_CHURN_LIMIT", 4, 2;
    churn_limit_quotient: u64 = "CHURN_LIMIT_QUOTIENT", 65_536, 32;
    max_per_epoch_activation_churn_limit: u64 = "MAX_PER_EPOCH_ACTIVATION_CHURN_LIMIT", 8, 4;
    min_per_epoch_churn_limit_electra: u64 = "MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA", 128_000_000_000, 64_000_000_000;
    max_per_epoch_activation_exit_churn_limit: u64 = "MAX_PER_EPOCH_ACTIVATION_EXIT_CHURN_LIMIT", 256_000_000_000, 128_000_000_000;
    proposer_score_boost: u64 = "PROPOSER_SCORE_BOOST", 40, 40;
    reorg_head_weight_threshold: u64 = "REORG_HEAD_WEIGHT_THRESHOLD", 20, 20;
    reorg_parent_weight_threshold: u64 = "REORG_PARENT_WEIGHT_THRESHOLD", 160, 160;
    reorg_max_epochs_since_finalization: u64 = "REORG_MAX_EPOCHS_SINCE_FINALIZATION", 2, 2;
    deposit_chain_id: u64 = "DEPOSIT_CHAIN_ID", 1, 5;
    deposit_network_id: u64 = "DEPOSIT_NETWORK_ID", 1, 5;
    deposit_contract_address: ExecutionAddress = "DEPOSIT_CONTRACT_ADDRESS", address!("0x00000000219ab540356cBB839Cbe05303d7705Fa"), address!("0x1234567890123456789012345678901234567890");
    max_payload_size: u64 = "MAX_PAYLOAD_SIZE", 10_485_760, 10_485_760;
    max_request_blocks: u64 = "MAX_REQUEST_BLOCKS", 1_024, 1_024;
    epochs_per_subnet_subscription: u64 = "EPOCHS_PER_SUBNET_SUBSCRIPTION", 256, 256;
    min_epochs_for_block_requests: u64 = "MIN_EPOCHS_FOR_BLOCK_REQUESTS", 33_024, 272;
    attestation_propagation_slot_range: u64 = "ATTESTATION_PROPAGATION_SLOT_RANGE", 32, 32;
    maximum_gossip_clock_disparity: u64 = "MAXIMUM_GOSSIP_CLOCK_DISPARITY", 500, 500;
    message_domain_invalid_snappy: Version = "MESSAGE_DOMAIN_INVALID_SNAPPY", Version::new([0x00, 0x00, 0x00, 0x00]), Version::new([0x00, 0x00, 0x00, 0x00]);
    message_domain_valid_snappy: Version = "MESSAGE_DOMAIN_VALID_SNAPPY", Version::new([0x01, 0x00, 0x00, 0x00]), Version::new([0x01, 0x00, 0x00, 0x00]);
    subnets_per_node: u64 = "SUBNETS_PER_NODE", 2, 2;
    attestation_subnet_count: u64 = "ATTESTATION_SUBNET_COUNT", 64, 64;
    attestation_subnet_extra_bits: u64 = "ATTESTATION_SUBNET_EXTRA_BITS", 0, 0;
    attestation_subnet_prefix_bits: u64 = "ATTESTATION_SUBNET_PREFIX_BITS", 6, 6;
    max_request_blocks_deneb: u64 = "MAX_REQUEST_BLOCKS_DENEB", 128, 128;
    min_epochs_for_blob_sidecars_requests: u64 = "MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS", 4_096, 4_096;
    blob_sidecar_subnet_count: u64 = "BLOB_SIDECAR_SUBNET_COUNT", 6, 6;
    max_blobs_per_block: u64 = "MAX_BLOBS_PER_BLOCK", 6, 6;
    max_request_blob_sidecars: u64 = "MAX_REQUEST_BLOB_SIDECARS", 768, 768;
    blob_sidecar_subnet_count_electra: u64 = "BLOB_SIDECAR_SUBNET_COUNT_ELECTRA", 9, 9;
    max_blobs_per_block_electra: u64 = "MAX_BLOBS_PER_BLOCK_ELECTRA", 9, 9;
    max_request_blob_sidecars_electra: u64 = "MAX_REQUEST_BLOB_SIDECARS_ELECTRA", 1_152, 1_152;
    number_of_custody_groups: u64 = "NUMBER_OF_CUSTODY_GROUPS", 128, 128;
    data_column_sidecar_subnet_count: u64 = "DATA_COLUMN_SIDECAR_SUBNET_COUNT", 128, 128;
    max_request_data_column_sidecars: u64 = "MAX_REQUEST_DATA_COLUMN_SIDECARS", 16_384, 16_384;
    samples_per_slot: u64 = "SAMPLES_PER_SLOT", 8, 8;
    custody_requirement: u64 = "CUSTODY_REQUIREMENT", 4, 4;
    validator_custody_requirement: u64 = "VALIDATOR_CUSTODY_REQUIREMENT", 8, 8;
    balance_per_additional_custody_group: u64 = "BALANCE_PER_ADDITIONAL_CUSTODY_GROUP", 32_000_000_000, 32_000_000_000;
    min_epochs_for_data_column_sidecars_requests: u64 = "MIN_EPOCHS_FOR_DATA_COLUMN_SIDECARS_REQUESTS", 4_096, 4_096;
}

impl ChainSpec {
    /// The default configuration of a preset.
    pub fn of_preset(preset: PresetName) -> Self {
        match preset {
            PresetName::Mainnet => Self::mainnet(),
            PresetName::Minimal => Self::minimal(),
        }
    }

    /// Reads a `config.yaml`. Keys that are missing have the values of the preset's own configuration; keys that are
    /// not known are kept.
    ///
    /// Errors name the key, what was found and what was expected.
    pub fn from_yaml(yaml: &str) -> Result<Self, ConfigError> {
        let entries = read_entries(yaml)?;
        let text = |key: &str| {
            entries
                .iter()
                .find(|(name, _)| name == key)
                .and_then(|(_, entry)| match entry {
                    Entry::Scalar(text) => Some(text.as_str()),
                    Entry::Other(_) => None,
                })
        };
        let mut spec = match text("PRESET_BASE").unwrap_or("mainnet") {
            "mainnet" => Self::mainnet(),
            "minimal" => Self::minimal(),
            other => {
                return Err(ConfigError::Value {
                    key: "PRESET_BASE",
                    found: other.to_owned(),
                    expected: "mainnet or minimal",
                });
            }
        };
        let seconds = text("SECONDS_PER_SLOT")
            .map(|found| {
                found
                    .parse::<u64>()
                    .ok()
                    .and_then(|seconds| seconds.checked_mul(1000))
                    .ok_or_else(|| ConfigError::Value {
                        key: "SECONDS_PER_SLOT",
                        found: found.to_owned(),
                        expected: "a number of seconds",
                    })
            })
            .transpose()?;
        let has_duration = text("SLOT_DURATION_MS").is_some();
        for (key, entry) in entries {
            match entry {
                Entry::Scalar(text) => {
                    let known = matches!(key.as_str(), "PRESET_BASE" | "SECONDS_PER_SLOT") || spec.set(&key, &text)?;
                    if !known {
                        spec.unknown.push((key, serde_json::Value::String(text)));
                    }
                }
                Entry::Other(value) if key == "BLOB_SCHEDULE" => {
                    spec.blob_schedule = serde_json::from_value(value.clone()).map_err(|_| ConfigError::Value {
                        key: "BLOB_SCHEDULE",
                        found: value.to_string(),
                        expected: "a list of entries with EPOCH and MAX_BLOBS_PER_BLOCK",
                    })?;
                }
                Entry::Other(value) => spec.unknown.push((key, value)),
            }
        }
        if let Some(milliseconds) = seconds {
            if has_duration && milliseconds != spec.slot_duration_ms {
                return Err(ConfigError::Contradiction(format!(
                    "SECONDS_PER_SLOT says {milliseconds} ms and SLOT_DURATION_MS says {} ms",
                    spec.slot_duration_ms
                )));
            }
            spec.slot_duration_ms = milliseconds;
        }
        spec.validate()?;
        Ok(spec)
    }

    fn validate(&mut self) -> Result<(), ConfigError> {
        if self.slot_duration_ms == 0 {
            return Err(ConfigError::Contradiction(
                "SLOT_DURATION_MS is 0, expected at least 1".to_owned(),
            ));
        }
        if self.dvt_fork_epoch < self.fulu_fork_epoch {
            return Err(ConfigError::Contradiction(format!(
                "DVT_FORK_EPOCH {} is before FULU_FORK_EPOCH {}: the dvt fork comes after Fulu",
                self.dvt_fork_epoch, self.fulu_fork_epoch
            )));
        }
        self.blob_schedule.sort_by_key(|entry| entry.epoch);
        if let Some((entry, _)) = self
            .blob_schedule
            .iter()
            .zip(self.blob_schedule.iter().skip(1))
            .find(|(a, b)| a.epoch == b.epoch)
        {
            return Err(ConfigError::Contradiction(format!(
                "BLOB_SCHEDULE has two entries for epoch {}",
                entry.epoch
            )));
        }
        Ok(())
    }

    /// All keys and values, unknown ones included, in the form of `/eth/v1/config/spec`: scalars as strings.
    pub fn to_json(&self) -> BTreeMap<String, serde_json::Value> {
        let scalar = |text: String| serde_json::Value::String(text);
        let mut values: BTreeMap<_, _> = self.unknown.iter().cloned().collect();
        values.insert("PRESET_BASE".to_owned(), scalar(self.preset_base.to_string()));
        for (key, text) in self.scalars() {
            values.insert(key.to_owned(), scalar(text));
        }
        values.insert(
            "SECONDS_PER_SLOT".to_owned(),
            scalar(self.slot_duration_ms.checked_div(1000).unwrap_or_default().to_string()),
        );
        let schedule = self
            .blob_schedule
            .iter()
            .map(|entry| {
                serde_json::json!({
                    "EPOCH": entry.epoch.to_string(),
                    "MAX_BLOBS_PER_BLOCK": entry.max_blobs_per_block.to_string(),
                })
            })
            .collect();
        values.insert("BLOB_SCHEDULE".to_owned(), serde_json::Value::Array(schedule));
        values
    }

    /// The configuration as `config.yaml`. Reading it gives the same configuration.
    pub fn to_yaml(&self) -> String {
        let mut yaml = format!("PRESET_BASE: '{}'\n", self.preset_base);
        for (key, text) in self.scalars() {
            yaml.push_str(&format!("{key}: '{text}'\n"));
        }
        let whole_seconds = self.slot_duration_ms.checked_rem(1000) == Some(0);
        if whole_seconds {
            let seconds = self.slot_duration_ms.checked_div(1000).unwrap_or_default();
            yaml.push_str(&format!("SECONDS_PER_SLOT: '{seconds}'\n"));
        }
        // JSON is YAML.
        for (key, value) in &self.unknown {
            yaml.push_str(&format!("{key}: {value}\n"));
        }
        if let Some(schedule) = self.to_json().get("BLOB_SCHEDULE") {
            yaml.push_str(&format!("BLOB_SCHEDULE: {schedule}\n"));
        }
        yaml
    }

    /// The fork whose rules hold in `epoch`. Epochs before Fulu have none of their own here.
    pub fn fork_name_at_epoch(&self, epoch: Epoch) -> ForkName {
        if epoch >= self.dvt_fork_epoch {
            ForkName::Dvt
        } else {
            ForkName::Fulu
        }
    }

    /// First epoch of a fork.
    pub fn fork_epoch(&self, fork: ForkName) -> Epoch {
        match fork {
            ForkName::Fulu => self.fulu_fork_epoch,
            ForkName::Dvt => self.dvt_fork_epoch,
        }
    }

    /// Version of a fork.
    pub fn fork_version(&self, fork: ForkName) -> Version {
        match fork {
            ForkName::Fulu => self.fulu_fork_version,
            ForkName::Dvt => self.dvt_fork_version,
        }
    }

    /// Spec: dvt/p2p-interface.md#compute_fork_version
    pub fn compute_fork_version(&self, epoch: Epoch) -> Version {
        self.fork_version(self.fork_name_at_epoch(epoch))
    }

    /// Spec: fulu/beacon-chain.md#get_blob_parameters
    pub fn get_blob_parameters(&self, epoch: Epoch) -> BlobParameters {
        self.blob_schedule
            .iter()
            .rev()
            .find(|entry| entry.epoch <= epoch)
            .copied()
            .unwrap_or(BlobParameters {
                epoch: self.electra_fork_epoch,
                max_blobs_per_block: self.max_blobs_per_block_electra,
            })
    }

    /// Spec: fulu/beacon-chain.md#compute_fork_digest
    pub fn compute_fork_digest(&self, genesis_validators_root: Root, epoch: Epoch) -> ForkDigest {
        let base_digest = compute_fork_data_root(self.compute_fork_version(epoch), genesis_validators_root);
        let parameters = self.get_blob_parameters(epoch);
        let mut encoded = parameters.epoch.as_u64().to_le_bytes().to_vec();
        encoded.extend_from_slice(&parameters.max_blobs_per_block.to_le_bytes());
        let mut digest = ForkDigest::ZERO;
        for ((byte, base), mask) in digest.iter_mut().zip(base_digest).zip(hash(&encoded)) {
            *byte = base ^ mask;
        }
        digest
    }

    /// First epoch after `epoch` in which the fork digest changes: a fork or new blob parameters.
    pub fn next_digest_epoch(&self, epoch: Epoch) -> Option<Epoch> {
        self.blob_schedule
            .iter()
            .map(|entry| entry.epoch)
            .chain([self.dvt_fork_epoch])
            .filter(|change| *change > epoch && *change != FAR_FUTURE_EPOCH)
            .min()
    }

    /// The fork after the one of `epoch`, with its epoch.
    pub fn next_fork(&self, epoch: Epoch) -> Option<(ForkName, Epoch)> {
        (epoch < self.dvt_fork_epoch && self.dvt_fork_epoch != FAR_FUTURE_EPOCH)
            .then_some((ForkName::Dvt, self.dvt_fork_epoch))
    }

    /// Milliseconds of `basis_points` of a slot.
    ///
    /// Spec: phase0/fork-choice.md#get_slot_component_duration_ms
    pub fn get_slot_component_duration_ms(&self, basis_points: u64) -> u64 {
        basis_points
            .saturating_mul(self.slot_duration_ms)
            .checked_div(crate::constants::BASIS_POINTS)
            .unwrap_or_default()
    }
}

/// A value of the file: a scalar as it is written there, or anything else.
enum Entry {
    Scalar(String),
    Other(serde_json::Value),
}

/// Reads the map twice: the first time to see which values are scalars, the second time to get these as they are
/// written. YAML takes 0x00000000 for the integer 0, which would lose the length of a fork version.
fn read_entries(yaml: &str) -> Result<Vec<(String, Entry)>, ConfigError> {
    let yaml_error = |error: serde_yaml_ng::Error| ConfigError::Yaml(error.to_string());
    let values: BTreeMap<String, serde_yaml_ng::Value> = serde_yaml_ng::from_str(yaml).map_err(yaml_error)?;
    RawMap { values: &values }
        .deserialize(serde_yaml_ng::Deserializer::from_str(yaml))
        .map_err(yaml_error)
}

struct RawMap<'a> {
    values: &'a BTreeMap<String, serde_yaml_ng::Value>,
}

impl<'de> DeserializeSeed<'de> for RawMap<'_> {
    type Value = Vec<(String, Entry)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RawMap<'_> {
    type Value = Vec<(String, Entry)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of configuration keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let entry = match self.values.get(&key) {
                Some(value @ (serde_yaml_ng::Value::Sequence(_) | serde_yaml_ng::Value::Mapping(_))) => {
                    map.next_value::<IgnoredAny>()?;
                    Entry::Other(serde_json::to_value(value).map_err(A::Error::custom)?)
                }
                Some(serde_yaml_ng::Value::Null) => {
                    map.next_value::<IgnoredAny>()?;
                    Entry::Other(serde_json::Value::Null)
                }
                _ => Entry::Scalar(map.next_value::<String>()?),
            };
            entries.push((key, entry));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_configuration_reads_back_the_same() {
        for spec in [ChainSpec::mainnet(), ChainSpec::minimal()] {
            assert_eq!(ChainSpec::from_yaml(&spec.to_yaml()), Ok(spec));
        }
    }

    #[test]
    fn unknown_keys_are_kept_as_written() {
        let spec = ChainSpec::from_yaml("PRESET_BASE: minimal\nHEZE_FORK_VERSION: 0x90000038\nLIST: [1, 2]\n").unwrap();
        let served = spec.to_json();
        assert_eq!(served["HEZE_FORK_VERSION"], "0x90000038");
        assert_eq!(served["LIST"], serde_json::json!([1, 2]));
    }

    #[test]
    fn missing_keys_have_the_presets_values() {
        let spec = ChainSpec::from_yaml("PRESET_BASE: 'minimal'\nFULU_FORK_EPOCH: 0\n").unwrap();
        assert_eq!(spec.fulu_fork_epoch, Epoch::new(0));
        assert_eq!(spec.churn_limit_quotient, 32);
    }

    #[test]
    fn errors_name_key_found_and_expected() {
        let error = ChainSpec::from_yaml("DVT_FORK_EPOCH: soon").unwrap_err();
        assert_eq!(
            error.to_string(),
            "DVT_FORK_EPOCH: found \"soon\", expected an epoch number"
        );
        let error = ChainSpec::from_yaml("FULU_FORK_EPOCH: 4\nDVT_FORK_EPOCH: 3").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("DVT_FORK_EPOCH 3 is before FULU_FORK_EPOCH 4")
        );
        let error = ChainSpec::from_yaml("SECONDS_PER_SLOT: 6\nSLOT_DURATION_MS: 12000").unwrap_err();
        assert!(error.to_string().contains("6000 ms"));
    }

    #[test]
    fn digest_changes_with_fork_and_with_blob_parameters() {
        let mut spec = ChainSpec::minimal();
        spec.fulu_fork_epoch = Epoch::new(0);
        spec.dvt_fork_epoch = Epoch::new(4);
        spec.blob_schedule = vec![BlobParameters {
            epoch: Epoch::new(2),
            max_blobs_per_block: 12,
        }];
        let digest = |epoch| spec.compute_fork_digest(Root::ZERO, Epoch::new(epoch));
        assert_eq!(digest(0), digest(1));
        assert_ne!(digest(1), digest(2));
        assert_ne!(digest(3), digest(4));
        assert_eq!(spec.next_digest_epoch(Epoch::new(0)), Some(Epoch::new(2)));
        assert_eq!(spec.next_digest_epoch(Epoch::new(2)), Some(Epoch::new(4)));
        assert_eq!(spec.next_digest_epoch(Epoch::new(4)), None);
    }
}
