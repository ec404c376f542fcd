//! Every value that a client of the Beacon API may ask for.

use crate::constants::{self, PARTICIPATION_FLAG_WEIGHTS};
use crate::{ChainSpec, Preset};
use serde_json::Value;
use std::collections::BTreeMap;

/// `NAME` with its value as decimal text.
macro_rules! numbers {
    ($values:ident, $from:ident: $($name:ident,)*) => {
        $($values.insert(stringify!($name).to_owned(), Value::String($from::$name.to_string()));)*
    };
}

/// `NAME` with its bytes as hex.
macro_rules! bytes {
    ($values:ident: $($name:ident,)*) => {
        $($values.insert(
            stringify!($name).to_owned(),
            Value::String(format!("0x{}", hex::encode(Bytes::bytes(&constants::$name)))),
        );)*
    };
}

/// One byte or several.
trait Bytes {
    fn bytes(&self) -> &[u8];
}

impl Bytes for u8 {
    fn bytes(&self) -> &[u8] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> Bytes for [u8; N] {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl ChainSpec {
    /// The answer of `/eth/v1/config/spec`: the configuration as it is used with the keys that this program does not
    /// know, the constants of the preset, and those that are the same everywhere. Integers are decimal text.
    pub fn config_and_preset<P: Preset>(&self) -> BTreeMap<String, Value> {
        let mut values = preset_values::<P>();
        values.append(&mut constant_values());
        // The configuration comes last: what a network's file says is what this program uses.
        values.append(&mut self.to_json());
        values
    }
}

pub(crate) fn preset_values<P: Preset>() -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    values.insert(
        "SLOTS_PER_EPOCH".to_owned(),
        Value::String(P::slots_per_epoch().to_string()),
    );
    numbers! { values, P:
        MAX_COMMITTEES_PER_SLOT,
        TARGET_COMMITTEE_SIZE,
        MAX_VALIDATORS_PER_COMMITTEE,
        SHUFFLE_ROUND_COUNT,
        HYSTERESIS_QUOTIENT,
        HYSTERESIS_DOWNWARD_MULTIPLIER,
        HYSTERESIS_UPWARD_MULTIPLIER,
        MIN_DEPOSIT_AMOUNT,
        MAX_EFFECTIVE_BALANCE,
        EFFECTIVE_BALANCE_INCREMENT,
        MIN_ATTESTATION_INCLUSION_DELAY,
        MIN_SEED_LOOKAHEAD,
        MAX_SEED_LOOKAHEAD,
        EPOCHS_PER_ETH1_VOTING_PERIOD,
        SLOTS_PER_HISTORICAL_ROOT,
        MIN_EPOCHS_TO_INACTIVITY_PENALTY,
        EPOCHS_PER_HISTORICAL_VECTOR,
        EPOCHS_PER_SLASHINGS_VECTOR,
        HISTORICAL_ROOTS_LIMIT,
        VALIDATOR_REGISTRY_LIMIT,
        BASE_REWARD_FACTOR,
        WHISTLEBLOWER_REWARD_QUOTIENT,
        PROPOSER_REWARD_QUOTIENT,
        INACTIVITY_PENALTY_QUOTIENT,
        MIN_SLASHING_PENALTY_QUOTIENT,
        PROPORTIONAL_SLASHING_MULTIPLIER,
        MAX_PROPOSER_SLASHINGS,
        MAX_ATTESTER_SLASHINGS,
        MAX_ATTESTATIONS,
        MAX_DEPOSITS,
        MAX_VOLUNTARY_EXITS,
        INACTIVITY_PENALTY_QUOTIENT_ALTAIR,
        MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR,
        PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR,
        SYNC_COMMITTEE_SIZE,
        EPOCHS_PER_SYNC_COMMITTEE_PERIOD,
        MIN_SYNC_COMMITTEE_PARTICIPANTS,
        UPDATE_TIMEOUT,
        INACTIVITY_PENALTY_QUOTIENT_BELLATRIX,
        MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX,
        PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX,
        MAX_BYTES_PER_TRANSACTION,
        MAX_TRANSACTIONS_PER_PAYLOAD,
        BYTES_PER_LOGS_BLOOM,
        MAX_EXTRA_DATA_BYTES,
        MAX_BLS_TO_EXECUTION_CHANGES,
        MAX_WITHDRAWALS_PER_PAYLOAD,
        MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP,
        MAX_BLOB_COMMITMENTS_PER_BLOCK,
        KZG_COMMITMENT_INCLUSION_PROOF_DEPTH,
        FIELD_ELEMENTS_PER_BLOB,
        MIN_ACTIVATION_BALANCE,
        MAX_EFFECTIVE_BALANCE_ELECTRA,
        MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA,
        WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA,
        PENDING_DEPOSITS_LIMIT,
        PENDING_PARTIAL_WITHDRAWALS_LIMIT,
        PENDING_CONSOLIDATIONS_LIMIT,
        MAX_ATTESTER_SLASHINGS_ELECTRA,
        MAX_ATTESTATIONS_ELECTRA,
        MAX_DEPOSIT_REQUESTS_PER_PAYLOAD,
        MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD,
        MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD,
        MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP,
        MAX_PENDING_DEPOSITS_PER_EPOCH,
        KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH,
        FIELD_ELEMENTS_PER_CELL,
        FIELD_ELEMENTS_PER_EXT_BLOB,
        CELLS_PER_EXT_BLOB,
        NUMBER_OF_COLUMNS,
        KEY_SET_RETENTION_EPOCHS,
        HIGHEST_SCHEME,
    }
    values
}

fn constant_values() -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    numbers! { values, constants:
        GENESIS_SLOT,
        GENESIS_EPOCH,
        FAR_FUTURE_EPOCH,
        JUSTIFICATION_BITS_LENGTH,
        DEPOSIT_CONTRACT_TREE_DEPTH,
        BASE_REWARDS_PER_EPOCH,
        UNSET_DEPOSIT_REQUESTS_START_INDEX,
        FULL_EXIT_REQUEST_AMOUNT,
        TIMELY_SOURCE_FLAG_INDEX,
        TIMELY_TARGET_FLAG_INDEX,
        TIMELY_HEAD_FLAG_INDEX,
        TIMELY_SOURCE_WEIGHT,
        TIMELY_TARGET_WEIGHT,
        TIMELY_HEAD_WEIGHT,
        SYNC_REWARD_WEIGHT,
        PROPOSER_WEIGHT,
        WEIGHT_DENOMINATOR,
        TARGET_AGGREGATORS_PER_COMMITTEE,
        TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
        SYNC_COMMITTEE_SUBNET_COUNT,
        BASIS_POINTS,
        VIRTUAL_INDEX_OFFSET,
        MAX_GROUP_SIZE,
        MAX_KEY_SETS_PER_GROUP,
        MAX_VIRTUAL_PUBKEY_BYTES,
        MAX_SCHEMES,
        MAX_SCHEME_PROOF_BYTES,
        MAX_KEY_SET_CHANGES,
        KEY_SET_CHANGE_WINDOW,
        RANDAO_OMISSION_FEE_FACTOR,
        MAX_LEADER_RANKS,
        MIN_BALANCE_PER_VIRTUAL_KEY,
        BLS_SCHEME,
        XMSS_SCHEME,
        SHORT_LIVED_XMSS_SCHEME,
        LEAVES_PER_EPOCH,
        ATTESTATION_LEAF_USE,
        RANDAO_LEAF_USE,
        SELECTION_LEAF_USE,
        AGGREGATE_LEAF_USE,
        OPERATION_LEAF_USE,
        ENDIANNESS,
    }
    bytes! { values:
        BLS_WITHDRAWAL_PREFIX,
        ETH1_ADDRESS_WITHDRAWAL_PREFIX,
        COMPOUNDING_WITHDRAWAL_PREFIX,
        DEPOSIT_REQUEST_TYPE,
        WITHDRAWAL_REQUEST_TYPE,
        CONSOLIDATION_REQUEST_TYPE,
        VERSIONED_HASH_VERSION_KZG,
        DOMAIN_BEACON_PROPOSER,
        DOMAIN_BEACON_ATTESTER,
        DOMAIN_RANDAO,
        DOMAIN_DEPOSIT,
        DOMAIN_VOLUNTARY_EXIT,
        DOMAIN_SELECTION_PROOF,
        DOMAIN_AGGREGATE_AND_PROOF,
        DOMAIN_SYNC_COMMITTEE,
        DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
        DOMAIN_CONTRIBUTION_AND_PROOF,
        DOMAIN_BLS_TO_EXECUTION_CHANGE,
        DOMAIN_KEY_SET_CHANGE,
        DOMAIN_KEY_POSSESSION,
    }
    let weights = PARTICIPATION_FLAG_WEIGHTS
        .iter()
        .map(|weight| weight.to_string().into());
    values.insert("PARTICIPATION_FLAG_WEIGHTS".to_owned(), Value::Array(weights.collect()));
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mainnet, Minimal, PresetName};
    use typenum::Unsigned;

    /// Key, mainnet, minimal: the preset files of the consensus specs, v1.6.1, phase0 to fulu.
    #[rustfmt::skip]
    const PRESET_FILES: &[(&str, u64, u64)] = &[
        ("MAX_COMMITTEES_PER_SLOT", 64, 4),
        ("TARGET_COMMITTEE_SIZE", 128, 4),
        ("MAX_VALIDATORS_PER_COMMITTEE", 2_048, 2_048),
        ("SHUFFLE_ROUND_COUNT", 90, 10),
        ("HYSTERESIS_QUOTIENT", 4, 4),
        ("HYSTERESIS_DOWNWARD_MULTIPLIER", 1, 1),
        ("HYSTERESIS_UPWARD_MULTIPLIER", 5, 5),
        ("MIN_DEPOSIT_AMOUNT", 1_000_000_000, 1_000_000_000),
        ("MAX_EFFECTIVE_BALANCE", 32_000_000_000, 32_000_000_000),
        ("EFFECTIVE_BALANCE_INCREMENT", 1_000_000_000, 1_000_000_000),
        ("MIN_ATTESTATION_INCLUSION_DELAY", 1, 1),
        ("SLOTS_PER_EPOCH", 32, 8),
        ("MIN_SEED_LOOKAHEAD", 1, 1),
        ("MAX_SEED_LOOKAHEAD", 4, 4),
        ("EPOCHS_PER_ETH1_VOTING_PERIOD", 64, 4),
        ("SLOTS_PER_HISTORICAL_ROOT", 8_192, 64),
        ("MIN_EPOCHS_TO_INACTIVITY_PENALTY", 4, 4),
        ("EPOCHS_PER_HISTORICAL_VECTOR", 65_536, 64),
        ("EPOCHS_PER_SLASHINGS_VECTOR", 8_192, 64),
        ("HISTORICAL_ROOTS_LIMIT", 16_777_216, 16_777_216),
        ("VALIDATOR_REGISTRY_LIMIT", 1_099_511_627_776, 1_099_511_627_776),
        ("BASE_REWARD_FACTOR", 64, 64),
        ("WHISTLEBLOWER_REWARD_QUOTIENT", 512, 512),
        ("PROPOSER_REWARD_QUOTIENT", 8, 8),
        ("INACTIVITY_PENALTY_QUOTIENT", 67_108_864, 33_554_432),
        ("MIN_SLASHING_PENALTY_QUOTIENT", 128, 64),
        ("PROPORTIONAL_SLASHING_MULTIPLIER", 1, 2),
        ("MAX_PROPOSER_SLASHINGS", 16, 16),
        ("MAX_ATTESTER_SLASHINGS", 2, 2),
        ("MAX_ATTESTATIONS", 128, 128),
        ("MAX_DEPOSITS", 16, 16),
        ("MAX_VOLUNTARY_EXITS", 16, 16),
        ("INACTIVITY_PENALTY_QUOTIENT_ALTAIR", 50_331_648, 50_331_648),
        ("MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR", 64, 64),
        ("PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR", 2, 2),
        ("SYNC_COMMITTEE_SIZE", 512, 32),
        ("EPOCHS_PER_SYNC_COMMITTEE_PERIOD", 256, 8),
        ("MIN_SYNC_COMMITTEE_PARTICIPANTS", 1, 1),
        ("UPDATE_TIMEOUT", 8_192, 64),
        ("INACTIVITY_PENALTY_QUOTIENT_BELLATRIX", 16_777_216, 16_777_216),
        ("MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX", 32, 32),
        ("PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX", 3, 3),
        ("MAX_BYTES_PER_TRANSACTION", 1_073_741_824, 1_073_741_824),
        ("MAX_TRANSACTIONS_PER_PAYLOAD", 1_048_576, 1_048_576),
        ("BYTES_PER_LOGS_BLOOM", 256, 256),
        ("MAX_EXTRA_DATA_BYTES", 32, 32),
        ("MAX_BLS_TO_EXECUTION_CHANGES", 16, 16),
        ("MAX_WITHDRAWALS_PER_PAYLOAD", 16, 4),
        ("MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP", 16_384, 16),
        ("MAX_BLOB_COMMITMENTS_PER_BLOCK", 4_096, 4_096),
        ("KZG_COMMITMENT_INCLUSION_PROOF_DEPTH", 17, 17),
        ("FIELD_ELEMENTS_PER_BLOB", 4_096, 4_096),
        ("MIN_ACTIVATION_BALANCE", 32_000_000_000, 32_000_000_000),
        ("MAX_EFFECTIVE_BALANCE_ELECTRA", 2_048_000_000_000, 2_048_000_000_000),
        ("MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA", 4_096, 4_096),
        ("WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA", 4_096, 4_096),
        ("PENDING_DEPOSITS_LIMIT", 134_217_728, 134_217_728),
        ("PENDING_PARTIAL_WITHDRAWALS_LIMIT", 134_217_728, 64),
        ("PENDING_CONSOLIDATIONS_LIMIT", 262_144, 64),
        ("MAX_ATTESTER_SLASHINGS_ELECTRA", 1, 1),
        ("MAX_ATTESTATIONS_ELECTRA", 8, 8),
        ("MAX_DEPOSIT_REQUESTS_PER_PAYLOAD", 8_192, 8_192),
        ("MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD", 16, 16),
        ("MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD", 2, 2),
        ("MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP", 8, 2),
        ("MAX_PENDING_DEPOSITS_PER_EPOCH", 16, 16),
        ("KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH", 4, 4),
        ("FIELD_ELEMENTS_PER_CELL", 64, 64),
        ("FIELD_ELEMENTS_PER_EXT_BLOB", 8_192, 8_192),
        ("CELLS_PER_EXT_BLOB", 128, 128),
        ("NUMBER_OF_COLUMNS", 128, 128),
        // Ours.
        ("KEY_SET_RETENTION_EPOCHS", 8_192, 64),
        ("HIGHEST_SCHEME", 1, 2),
    ];

    #[test]
    fn presets_are_those_of_the_specs() {
        let check = |values: BTreeMap<String, Value>, column: fn(&(&'static str, u64, u64)) -> u64| {
            for row in PRESET_FILES {
                assert_eq!(values[row.0], column(row).to_string(), "{}", row.0);
            }
            assert_eq!(values.len(), PRESET_FILES.len(), "values that the table does not have");
        };
        check(preset_values::<Mainnet>(), |row| row.1);
        check(preset_values::<Minimal>(), |row| row.2);
    }

    macro_rules! limits {
        ($(($limit:ident, $constant:ident),)*) => {
            fn limits<P: Preset>() -> Vec<(&'static str, u64, u64)> {
                vec![$((stringify!($limit), P::$limit::to_u64(), P::$constant),)*]
            }
        };
    }
    limits! {

        (SlotsPerHistoricalRoot, SLOTS_PER_HISTORICAL_ROOT),
        (EpochsPerHistoricalVector, EPOCHS_PER_HISTORICAL_VECTOR),
        (EpochsPerSlashingsVector, EPOCHS_PER_SLASHINGS_VECTOR),
        (HistoricalRootsLimit, HISTORICAL_ROOTS_LIMIT),
        (ValidatorRegistryLimit, VALIDATOR_REGISTRY_LIMIT),
        (MaxCommitteesPerSlot, MAX_COMMITTEES_PER_SLOT),
        (MaxValidatorsPerCommittee, MAX_VALIDATORS_PER_COMMITTEE),
        (SyncCommitteeSize, SYNC_COMMITTEE_SIZE),
        (MaxProposerSlashings, MAX_PROPOSER_SLASHINGS),
        (MaxAttesterSlashingsElectra, MAX_ATTESTER_SLASHINGS_ELECTRA),
        (MaxAttestationsElectra, MAX_ATTESTATIONS_ELECTRA),
        (MaxDeposits, MAX_DEPOSITS),
        (MaxVoluntaryExits, MAX_VOLUNTARY_EXITS),
        (MaxBlsToExecutionChanges, MAX_BLS_TO_EXECUTION_CHANGES),
        (MaxBytesPerTransaction, MAX_BYTES_PER_TRANSACTION),
        (MaxTransactionsPerPayload, MAX_TRANSACTIONS_PER_PAYLOAD),
        (BytesPerLogsBloom, BYTES_PER_LOGS_BLOOM),
        (MaxExtraDataBytes, MAX_EXTRA_DATA_BYTES),
        (MaxWithdrawalsPerPayload, MAX_WITHDRAWALS_PER_PAYLOAD),
        (MaxDepositRequestsPerPayload, MAX_DEPOSIT_REQUESTS_PER_PAYLOAD),
        (MaxWithdrawalRequestsPerPayload, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD),
        (MaxConsolidationRequestsPerPayload, MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD),
        (PendingDepositsLimit, PENDING_DEPOSITS_LIMIT),
        (PendingPartialWithdrawalsLimit, PENDING_PARTIAL_WITHDRAWALS_LIMIT),
        (PendingConsolidationsLimit, PENDING_CONSOLIDATIONS_LIMIT),
        (MaxBlobCommitmentsPerBlock, MAX_BLOB_COMMITMENTS_PER_BLOCK),
        (NumberOfColumns, NUMBER_OF_COLUMNS),
        (KzgCommitmentInclusionProofDepth, KZG_COMMITMENT_INCLUSION_PROOF_DEPTH),
        (KzgCommitmentsInclusionProofDepth, KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH),
    }

    #[test]
    fn sizes_of_lists_are_those_of_the_constants() {
        fn check<P: Preset>() {
            for (name, limit, constant) in limits::<P>() {
                assert_eq!(limit, constant, "{name}");
            }
            let slots = P::slots_per_epoch();
            for (name, limit, derived) in [
                (
                    "SlotsPerEth1VotingPeriod",
                    P::SlotsPerEth1VotingPeriod::to_u64(),
                    P::EPOCHS_PER_ETH1_VOTING_PERIOD * slots,
                ),
                (
                    "ProposerLookaheadLength",
                    P::ProposerLookaheadLength::to_u64(),
                    (P::MIN_SEED_LOOKAHEAD + 1) * slots,
                ),
                (
                    "MaxValidatorsPerSlot",
                    P::MaxValidatorsPerSlot::to_u64(),
                    P::MAX_VALIDATORS_PER_COMMITTEE * P::MAX_COMMITTEES_PER_SLOT,
                ),
                (
                    "SyncSubcommitteeSize",
                    P::SyncSubcommitteeSize::to_u64(),
                    P::SYNC_COMMITTEE_SIZE / constants::SYNC_COMMITTEE_SUBNET_COUNT,
                ),
                (
                    "BytesPerBlob",
                    P::BytesPerBlob::to_u64(),
                    P::FIELD_ELEMENTS_PER_BLOB * 32,
                ),
                (
                    "BytesPerCell",
                    P::BytesPerCell::to_u64(),
                    P::FIELD_ELEMENTS_PER_CELL * 32,
                ),
            ] {
                assert_eq!(limit, derived, "{name}");
            }
        }
        check::<Mainnet>();
        check::<Minimal>();
    }

    #[test]
    fn answer_has_configuration_preset_and_constants_as_text() {
        let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        spec.slot_duration_ms = 3_000;
        spec.unknown = vec![
            ("HEZE_FORK_EPOCH".to_owned(), "18446744073709551615".into()),
            ("UPDATE_TIMEOUT".to_owned(), "65".into()),
        ];
        spec.blob_schedule = vec![crate::BlobParameters {
            epoch: crate::Epoch::new(2),
            max_blobs_per_block: 12,
        }];
        let values = spec.config_and_preset::<Minimal>();
        for (key, expected) in [
            ("PRESET_BASE", "minimal"),
            ("SLOT_DURATION_MS", "3000"),
            ("SECONDS_PER_SLOT", "3"),
            ("SLOTS_PER_EPOCH", "8"),
            ("FULU_FORK_VERSION", "0x06000001"),
            ("DVT_FORK_EPOCH", "18446744073709551615"),
            ("HEZE_FORK_EPOCH", "18446744073709551615"),
            ("UPDATE_TIMEOUT", "65"),
            ("DEPOSIT_CONTRACT_ADDRESS", "0x1234567890123456789012345678901234567890"),
            ("DOMAIN_BEACON_ATTESTER", "0x01000000"),
            ("DOMAIN_KEY_SET_CHANGE", "0x11000000"),
            ("BLS_WITHDRAWAL_PREFIX", "0x00"),
            ("TARGET_AGGREGATORS_PER_COMMITTEE", "16"),
            ("SYNC_COMMITTEE_SUBNET_COUNT", "4"),
            ("FAR_FUTURE_EPOCH", "18446744073709551615"),
        ] {
            assert_eq!(values[key], expected, "{key}");
        }
        assert_eq!(
            values["BLOB_SCHEDULE"],
            serde_json::json!([{"EPOCH": "2", "MAX_BLOBS_PER_BLOCK": "12"}])
        );
    }
}
