//! The runtime configuration: what a network may choose. `config_yaml` reads and writes it.

use crate::config_yaml::{ConfigError, ConfigValue, found};
use crate::constants::FAR_FUTURE_EPOCH;
use crate::{
    Epoch, ExecutionAddress, ForkDigest, ForkName, Hash32, PresetName, Root, Uint256, Version, compute_fork_data_root,
};
use alloy_primitives::address;
use ethereum_hashing::hash;
use serde::{Deserialize, Serialize};

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

            /// Sets a known key. `Ok(false)` if the key is not known.
            pub(crate) fn set(&mut self, key: &str, value: &serde_json::Value) -> Result<bool, ConfigError> {
                match key {
                    $($key => {
                        self.$field = value.as_str().and_then(ConfigValue::parse).ok_or_else(|| ConfigError::Value {
                            key: $key,
                            found: found(value),
                            expected: <$type as ConfigValue>::EXPECTED,
                        })?;
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// All known scalar keys with their values as text.
            pub(crate) fn scalars(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, self.$field.text()),)*]
            }
        }
    };
}

chain_spec! {
    config_name: String = "CONFIG_NAME", "mainnet".to_owned(), "minimal".to_owned();
    terminal_total_difficulty: Uint256 = "TERMINAL_TOTAL_DIFFICULTY", Uint256::from(58_750_000_000_000_000_000_000u128), Uint256::from_limbs([0u64.wrapping_sub(1 << 10), u64::MAX, u64::MAX, u64::MAX]);
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
    leader_timeout_bps: u64 = "LEADER_TIMEOUT_BPS", 833, 833;
    leader_cutoff_bps: u64 = "LEADER_CUTOFF_BPS", 2_500, 2_500;
    group_block_stagger_ms: u64 = "GROUP_BLOCK_STAGGER_MS", 50, 50;
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

    /// The default configuration of a preset with Fulu and all forks before it at genesis, and without changes of blob
    /// parameters: the start of every network that this client can begin at its genesis.
    pub fn fulu_genesis(preset: PresetName) -> Self {
        let genesis = crate::constants::GENESIS_EPOCH;
        Self {
            altair_fork_epoch: genesis,
            bellatrix_fork_epoch: genesis,
            capella_fork_epoch: genesis,
            deneb_fork_epoch: genesis,
            electra_fork_epoch: genesis,
            fulu_fork_epoch: genesis,
            blob_schedule: Vec::new(),
            ..Self::of_preset(preset)
        }
    }

    /// First epochs of all forks, in the order of the forks.
    pub(crate) fn fork_epochs(&self) -> [(&'static str, Epoch); 7] {
        [
            ("ALTAIR_FORK_EPOCH", self.altair_fork_epoch),
            ("BELLATRIX_FORK_EPOCH", self.bellatrix_fork_epoch),
            ("CAPELLA_FORK_EPOCH", self.capella_fork_epoch),
            ("DENEB_FORK_EPOCH", self.deneb_fork_epoch),
            ("ELECTRA_FORK_EPOCH", self.electra_fork_epoch),
            ("FULU_FORK_EPOCH", self.fulu_fork_epoch),
            ("DVT_FORK_EPOCH", self.dvt_fork_epoch),
        ]
    }

    /// The forks before Fulu, the last one first.
    pub(crate) fn forks_before_fulu(&mut self) -> [(&'static str, &mut Epoch); 5] {
        [
            ("ELECTRA_FORK_EPOCH", &mut self.electra_fork_epoch),
            ("DENEB_FORK_EPOCH", &mut self.deneb_fork_epoch),
            ("CAPELLA_FORK_EPOCH", &mut self.capella_fork_epoch),
            ("BELLATRIX_FORK_EPOCH", &mut self.bellatrix_fork_epoch),
            ("ALTAIR_FORK_EPOCH", &mut self.altair_fork_epoch),
        ]
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

    /// Version of the fork of `epoch`, the forks before Fulu included.
    ///
    /// Spec: dvt/p2p-interface.md#compute_fork_version
    pub fn compute_fork_version(&self, epoch: Epoch) -> Version {
        let forks = [
            (self.dvt_fork_epoch, self.dvt_fork_version),
            (self.fulu_fork_epoch, self.fulu_fork_version),
            (self.electra_fork_epoch, self.electra_fork_version),
            (self.deneb_fork_epoch, self.deneb_fork_version),
            (self.capella_fork_epoch, self.capella_fork_version),
            (self.bellatrix_fork_epoch, self.bellatrix_fork_version),
            (self.altair_fork_epoch, self.altair_fork_version),
        ];
        forks
            .into_iter()
            .find(|(first, _)| epoch >= *first)
            .map_or(self.genesis_fork_version, |(_, version)| version)
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

    /// Milliseconds of `basis_points` of a slot.
    ///
    /// Spec: phase0/fork-choice.md#get_slot_component_duration_ms
    pub fn get_slot_component_duration_ms(&self, basis_points: u64) -> u64 {
        basis_points
            .saturating_mul(self.slot_duration_ms)
            .checked_div(crate::constants::BASIS_POINTS)
            .unwrap_or_default()
    }

    /// How long after the start of the slot the leader of `rank` may propose, in milliseconds.
    ///
    /// Spec: dvt/p2p-interface.md#get_leader_due_ms
    pub fn get_leader_due_ms(&self, rank: u8) -> u64 {
        self.get_slot_component_duration_ms(self.leader_timeout_bps.saturating_mul(u64::from(rank)))
    }

    /// How long after the start of the slot fallback leaders begin, and members are answered, in milliseconds.
    ///
    /// Spec: dvt/validator.md#leader-promotion
    pub fn leader_cutoff_ms(&self) -> u64 {
        self.get_slot_component_duration_ms(self.leader_cutoff_bps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn ranks_come_a_twelfth_of_a_slot_apart() {
        let mut spec = ChainSpec::mainnet();
        assert_eq!([0, 1, 2].map(|rank| spec.get_leader_due_ms(rank)), [0, 999, 1999]);
        spec.leader_timeout_bps = 500;
        assert_eq!([0, 1, 2].map(|rank| spec.get_leader_due_ms(rank)), [0, 600, 1200]);
        assert_eq!(spec.leader_cutoff_ms(), 3000);
    }

    #[test]
    fn each_fork_has_its_version_from_its_epoch_on() {
        let spec = ChainSpec::mainnet();
        for (epoch, version) in [
            (74_239, spec.genesis_fork_version),
            (74_240, spec.altair_fork_version),
            (411_391, spec.electra_fork_version),
            (411_392, spec.fulu_fork_version),
            (u64::MAX, spec.dvt_fork_version),
        ] {
            assert_eq!(spec.compute_fork_version(Epoch::new(epoch)), version, "{epoch}");
        }
    }

    #[test]
    fn digests_of_the_main_network() {
        let spec = ChainSpec::mainnet();
        let genesis_validators_root = Root::new(alloy_primitives::hex!(
            "4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"
        ));
        for (epoch, digest) in [
            (411_392, [0xcc, 0x2c, 0x5c, 0xdb]),
            (412_671, [0xcc, 0x2c, 0x5c, 0xdb]),
            (412_672, [0xcb, 0x0d, 0x1a, 0xcc]),
            (419_072, [0x8c, 0x9f, 0x62, 0xfe]),
        ] {
            assert_eq!(
                spec.compute_fork_digest(genesis_validators_root, Epoch::new(epoch)).0,
                digest
            );
        }
    }
}
