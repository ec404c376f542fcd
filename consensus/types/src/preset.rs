//! Presets: the constants that fix the layout of containers, and the amounts that come with them.
//!
//! Sizes are types, so that minimal and mainnet live in one process and every limit is checked by the compiler.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};
use std::hash::Hash;
use typenum::{self, Unsigned};

/// What a list limit must be able to do.
pub trait Limit:
    Unsigned + Clone + Copy + Default + Debug + PartialEq + Eq + PartialOrd + Ord + Hash + Send + Sync + 'static
{
}
impl<T> Limit for T where
    T: Unsigned + Clone + Copy + Default + Debug + PartialEq + Eq + PartialOrd + Ord + Hash + Send + Sync + 'static
{
}

/// Name of a preset, as `PRESET_BASE` of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresetName {
    /// Ethereum's main network, and everything that imitates it.
    Mainnet,
    /// Small sizes for tests and quick devnets.
    Minimal,
}

impl PresetName {
    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Minimal => "minimal",
        }
    }
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A preset. Type parameter of every container whose layout depends on it.
#[expect(
    missing_docs,
    reason = "constants carry the name and the meaning that the spec gives them"
)]
pub trait Preset:
    Debug + Clone + Copy + Default + PartialEq + Eq + PartialOrd + Ord + Hash + Send + Sync + 'static
{
    /// Which preset this is.
    const NAME: PresetName;

    /// Slots in an epoch.
    type SlotsPerEpoch: Limit;
    /// `EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH`.
    type SlotsPerEth1VotingPeriod: Limit;
    /// Length of the ring of recent roots.
    type SlotsPerHistoricalRoot: Limit;
    /// Length of the ring of RANDAO mixes.
    type EpochsPerHistoricalVector: Limit;
    /// Length of the ring of slashed balances.
    type EpochsPerSlashingsVector: Limit;
    /// `(MIN_SEED_LOOKAHEAD + 1) * SLOTS_PER_EPOCH`.
    type ProposerLookaheadLength: Limit;
    /// Most historical roots.
    type HistoricalRootsLimit: Limit;
    /// Most validators.
    type ValidatorRegistryLimit: Limit;
    /// Most committees in a slot.
    type MaxCommitteesPerSlot: Limit;
    /// Most seats in a committee.
    type MaxValidatorsPerCommittee: Limit;
    /// `MAX_VALIDATORS_PER_COMMITTEE * MAX_COMMITTEES_PER_SLOT`.
    type MaxValidatorsPerSlot: Limit;
    /// Positions of a sync committee.
    type SyncCommitteeSize: Limit;
    /// Positions of a sync subcommittee.
    type SyncSubcommitteeSize: Limit;
    /// Most proposer slashings in a block.
    type MaxProposerSlashings: Limit;
    /// Most attester slashings in a block.
    type MaxAttesterSlashingsElectra: Limit;
    /// Most attestations in a block.
    type MaxAttestationsElectra: Limit;
    /// Most deposits in a block.
    type MaxDeposits: Limit;
    /// Most exits in a block.
    type MaxVoluntaryExits: Limit;
    /// Most credential changes in a block.
    type MaxBlsToExecutionChanges: Limit;
    /// Longest transaction.
    type MaxBytesPerTransaction: Limit;
    /// Most transactions in a payload.
    type MaxTransactionsPerPayload: Limit;
    /// Length of a logs bloom.
    type BytesPerLogsBloom: Limit;
    /// Longest extra data.
    type MaxExtraDataBytes: Limit;
    /// Most withdrawals in a payload.
    type MaxWithdrawalsPerPayload: Limit;
    /// Most deposit requests in a payload.
    type MaxDepositRequestsPerPayload: Limit;
    /// Most withdrawal requests in a payload.
    type MaxWithdrawalRequestsPerPayload: Limit;
    /// Most consolidation requests in a payload.
    type MaxConsolidationRequestsPerPayload: Limit;
    /// Most pending deposits.
    type PendingDepositsLimit: Limit;
    /// Most pending partial withdrawals.
    type PendingPartialWithdrawalsLimit: Limit;
    /// Most pending consolidations.
    type PendingConsolidationsLimit: Limit;
    /// Most blob commitments in a block.
    type MaxBlobCommitmentsPerBlock: Limit;
    /// Length of a blob.
    type BytesPerBlob: Limit;
    /// Length of a cell.
    type BytesPerCell: Limit;
    /// Columns of the extended blob matrix.
    type NumberOfColumns: Limit;
    /// Depth of a blob commitment in the block body.
    type KzgCommitmentInclusionProofDepth: Limit;
    /// Depth of the commitment list in the block body.
    type KzgCommitmentsInclusionProofDepth: Limit;

    const MAX_COMMITTEES_PER_SLOT: u64;
    const TARGET_COMMITTEE_SIZE: u64;
    const MAX_VALIDATORS_PER_COMMITTEE: u64;
    const SHUFFLE_ROUND_COUNT: u64;
    const HYSTERESIS_QUOTIENT: u64;
    const HYSTERESIS_DOWNWARD_MULTIPLIER: u64;
    const HYSTERESIS_UPWARD_MULTIPLIER: u64;
    const MIN_DEPOSIT_AMOUNT: u64;
    const MAX_EFFECTIVE_BALANCE: u64;
    const EFFECTIVE_BALANCE_INCREMENT: u64;
    const MIN_ATTESTATION_INCLUSION_DELAY: u64;
    const MIN_SEED_LOOKAHEAD: u64;
    const MAX_SEED_LOOKAHEAD: u64;
    const EPOCHS_PER_ETH1_VOTING_PERIOD: u64;
    const SLOTS_PER_HISTORICAL_ROOT: u64;
    const MIN_EPOCHS_TO_INACTIVITY_PENALTY: u64;
    const EPOCHS_PER_HISTORICAL_VECTOR: u64;
    const EPOCHS_PER_SLASHINGS_VECTOR: u64;
    const HISTORICAL_ROOTS_LIMIT: u64;
    const VALIDATOR_REGISTRY_LIMIT: u64;
    const BASE_REWARD_FACTOR: u64;
    const WHISTLEBLOWER_REWARD_QUOTIENT: u64;
    const PROPOSER_REWARD_QUOTIENT: u64;
    const INACTIVITY_PENALTY_QUOTIENT: u64;
    const MIN_SLASHING_PENALTY_QUOTIENT: u64;
    const PROPORTIONAL_SLASHING_MULTIPLIER: u64;
    const MAX_PROPOSER_SLASHINGS: u64;
    const MAX_ATTESTER_SLASHINGS: u64;
    const MAX_ATTESTATIONS: u64;
    const MAX_DEPOSITS: u64;
    const MAX_VOLUNTARY_EXITS: u64;
    const INACTIVITY_PENALTY_QUOTIENT_ALTAIR: u64;
    const MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR: u64;
    const PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR: u64;
    const SYNC_COMMITTEE_SIZE: u64;
    const EPOCHS_PER_SYNC_COMMITTEE_PERIOD: u64;
    const MIN_SYNC_COMMITTEE_PARTICIPANTS: u64;
    const UPDATE_TIMEOUT: u64;
    const INACTIVITY_PENALTY_QUOTIENT_BELLATRIX: u64;
    const MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX: u64;
    const PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX: u64;
    const MAX_BYTES_PER_TRANSACTION: u64;
    const MAX_TRANSACTIONS_PER_PAYLOAD: u64;
    const BYTES_PER_LOGS_BLOOM: u64;
    const MAX_EXTRA_DATA_BYTES: u64;
    const MAX_BLS_TO_EXECUTION_CHANGES: u64;
    const MAX_WITHDRAWALS_PER_PAYLOAD: u64;
    const MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP: u64;
    const MAX_BLOB_COMMITMENTS_PER_BLOCK: u64;
    const KZG_COMMITMENT_INCLUSION_PROOF_DEPTH: u64;
    const FIELD_ELEMENTS_PER_BLOB: u64;
    const MIN_ACTIVATION_BALANCE: u64;
    const MAX_EFFECTIVE_BALANCE_ELECTRA: u64;
    const MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA: u64;
    const WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA: u64;
    const PENDING_DEPOSITS_LIMIT: u64;
    const PENDING_PARTIAL_WITHDRAWALS_LIMIT: u64;
    const PENDING_CONSOLIDATIONS_LIMIT: u64;
    const MAX_ATTESTER_SLASHINGS_ELECTRA: u64;
    const MAX_ATTESTATIONS_ELECTRA: u64;
    const MAX_DEPOSIT_REQUESTS_PER_PAYLOAD: u64;
    const MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD: u64;
    const MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD: u64;
    const MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP: u64;
    const MAX_PENDING_DEPOSITS_PER_EPOCH: u64;
    const KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH: u64;
    const FIELD_ELEMENTS_PER_CELL: u64;
    const FIELD_ELEMENTS_PER_EXT_BLOB: u64;
    const CELLS_PER_EXT_BLOB: u64;
    const NUMBER_OF_COLUMNS: u64;
    const KEY_SET_RETENTION_EPOCHS: u64;
    const HIGHEST_SCHEME: u64;

    /// Slots in an epoch.
    fn slots_per_epoch() -> u64 {
        Self::SlotsPerEpoch::to_u64()
    }
}

/// The mainnet preset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mainnet;

impl Preset for Mainnet {
    const NAME: PresetName = PresetName::Mainnet;

    type SlotsPerEpoch = typenum::U32;
    type SlotsPerEth1VotingPeriod = typenum::U2048;
    type SlotsPerHistoricalRoot = typenum::U8192;
    type EpochsPerHistoricalVector = typenum::U65536;
    type EpochsPerSlashingsVector = typenum::U8192;
    type ProposerLookaheadLength = typenum::U64;
    type HistoricalRootsLimit = typenum::U16777216;
    type ValidatorRegistryLimit = typenum::U1099511627776;
    type MaxCommitteesPerSlot = typenum::U64;
    type MaxValidatorsPerCommittee = typenum::U2048;
    type MaxValidatorsPerSlot = typenum::U131072;
    type SyncCommitteeSize = typenum::U512;
    type SyncSubcommitteeSize = typenum::U128;
    type MaxProposerSlashings = typenum::U16;
    type MaxAttesterSlashingsElectra = typenum::U1;
    type MaxAttestationsElectra = typenum::U8;
    type MaxDeposits = typenum::U16;
    type MaxVoluntaryExits = typenum::U16;
    type MaxBlsToExecutionChanges = typenum::U16;
    type MaxBytesPerTransaction = typenum::U1073741824;
    type MaxTransactionsPerPayload = typenum::U1048576;
    type BytesPerLogsBloom = typenum::U256;
    type MaxExtraDataBytes = typenum::U32;
    type MaxWithdrawalsPerPayload = typenum::U16;
    type MaxDepositRequestsPerPayload = typenum::U8192;
    type MaxWithdrawalRequestsPerPayload = typenum::U16;
    type MaxConsolidationRequestsPerPayload = typenum::U2;
    type PendingDepositsLimit = typenum::U134217728;
    type PendingPartialWithdrawalsLimit = typenum::U134217728;
    type PendingConsolidationsLimit = typenum::U262144;
    type MaxBlobCommitmentsPerBlock = typenum::U4096;
    type BytesPerBlob = typenum::U131072;
    type BytesPerCell = typenum::U2048;
    type NumberOfColumns = typenum::U128;
    type KzgCommitmentInclusionProofDepth = typenum::U17;
    type KzgCommitmentsInclusionProofDepth = typenum::U4;

    const MAX_COMMITTEES_PER_SLOT: u64 = 64;
    const TARGET_COMMITTEE_SIZE: u64 = 128;
    const MAX_VALIDATORS_PER_COMMITTEE: u64 = 2_048;
    const SHUFFLE_ROUND_COUNT: u64 = 90;
    const HYSTERESIS_QUOTIENT: u64 = 4;
    const HYSTERESIS_DOWNWARD_MULTIPLIER: u64 = 1;
    const HYSTERESIS_UPWARD_MULTIPLIER: u64 = 5;
    const MIN_DEPOSIT_AMOUNT: u64 = 1_000_000_000;
    const MAX_EFFECTIVE_BALANCE: u64 = 32_000_000_000;
    const EFFECTIVE_BALANCE_INCREMENT: u64 = 1_000_000_000;
    const MIN_ATTESTATION_INCLUSION_DELAY: u64 = 1;
    const MIN_SEED_LOOKAHEAD: u64 = 1;
    const MAX_SEED_LOOKAHEAD: u64 = 4;
    const EPOCHS_PER_ETH1_VOTING_PERIOD: u64 = 64;
    const SLOTS_PER_HISTORICAL_ROOT: u64 = 8_192;
    const MIN_EPOCHS_TO_INACTIVITY_PENALTY: u64 = 4;
    const EPOCHS_PER_HISTORICAL_VECTOR: u64 = 65_536;
    const EPOCHS_PER_SLASHINGS_VECTOR: u64 = 8_192;
    const HISTORICAL_ROOTS_LIMIT: u64 = 16_777_216;
    const VALIDATOR_REGISTRY_LIMIT: u64 = 1_099_511_627_776;
    const BASE_REWARD_FACTOR: u64 = 64;
    const WHISTLEBLOWER_REWARD_QUOTIENT: u64 = 512;
    const PROPOSER_REWARD_QUOTIENT: u64 = 8;
    const INACTIVITY_PENALTY_QUOTIENT: u64 = 67_108_864;
    const MIN_SLASHING_PENALTY_QUOTIENT: u64 = 128;
    const PROPORTIONAL_SLASHING_MULTIPLIER: u64 = 1;
    const MAX_PROPOSER_SLASHINGS: u64 = 16;
    const MAX_ATTESTER_SLASHINGS: u64 = 2;
    const MAX_ATTESTATIONS: u64 = 128;
    const MAX_DEPOSITS: u64 = 16;
    const MAX_VOLUNTARY_EXITS: u64 = 16;
    const INACTIVITY_PENALTY_QUOTIENT_ALTAIR: u64 = 50_331_648;
    const MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR: u64 = 64;
    const PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR: u64 = 2;
    const SYNC_COMMITTEE_SIZE: u64 = 512;
    const EPOCHS_PER_SYNC_COMMITTEE_PERIOD: u64 = 256;
    const MIN_SYNC_COMMITTEE_PARTICIPANTS: u64 = 1;
    const UPDATE_TIMEOUT: u64 = 8_192;
    const INACTIVITY_PENALTY_QUOTIENT_BELLATRIX: u64 = 16_777_216;
    const MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX: u64 = 32;
    const PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX: u64 = 3;
    const MAX_BYTES_PER_TRANSACTION: u64 = 1_073_741_824;
    const MAX_TRANSACTIONS_PER_PAYLOAD: u64 = 1_048_576;
    const BYTES_PER_LOGS_BLOOM: u64 = 256;
    const MAX_EXTRA_DATA_BYTES: u64 = 32;
    const MAX_BLS_TO_EXECUTION_CHANGES: u64 = 16;
    const MAX_WITHDRAWALS_PER_PAYLOAD: u64 = 16;
    const MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP: u64 = 16_384;
    const MAX_BLOB_COMMITMENTS_PER_BLOCK: u64 = 4_096;
    const KZG_COMMITMENT_INCLUSION_PROOF_DEPTH: u64 = 17;
    const FIELD_ELEMENTS_PER_BLOB: u64 = 4_096;
    const MIN_ACTIVATION_BALANCE: u64 = 32_000_000_000;
    const MAX_EFFECTIVE_BALANCE_ELECTRA: u64 = 2_048_000_000_000;
    const MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA: u64 = 4_096;
    const WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA: u64 = 4_096;
    const PENDING_DEPOSITS_LIMIT: u64 = 134_217_728;
    const PENDING_PARTIAL_WITHDRAWALS_LIMIT: u64 = 134_217_728;
    const PENDING_CONSOLIDATIONS_LIMIT: u64 = 262_144;
    const MAX_ATTESTER_SLASHINGS_ELECTRA: u64 = 1;
    const MAX_ATTESTATIONS_ELECTRA: u64 = 8;
    const MAX_DEPOSIT_REQUESTS_PER_PAYLOAD: u64 = 8_192;
    const MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD: u64 = 16;
    const MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD: u64 = 2;
    const MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP: u64 = 8;
    const MAX_PENDING_DEPOSITS_PER_EPOCH: u64 = 16;
    const KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH: u64 = 4;
    const FIELD_ELEMENTS_PER_CELL: u64 = 64;
    const FIELD_ELEMENTS_PER_EXT_BLOB: u64 = 8_192;
    const CELLS_PER_EXT_BLOB: u64 = 128;
    const NUMBER_OF_COLUMNS: u64 = 128;
    const KEY_SET_RETENTION_EPOCHS: u64 = 8_192;
    const HIGHEST_SCHEME: u64 = 1;
}

/// The minimal preset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Minimal;

impl Preset for Minimal {
    const NAME: PresetName = PresetName::Minimal;

    type SlotsPerEpoch = typenum::U8;
    type SlotsPerEth1VotingPeriod = typenum::U32;
    type SlotsPerHistoricalRoot = typenum::U64;
    type EpochsPerHistoricalVector = typenum::U64;
    type EpochsPerSlashingsVector = typenum::U64;
    type ProposerLookaheadLength = typenum::U16;
    type HistoricalRootsLimit = typenum::U16777216;
    type ValidatorRegistryLimit = typenum::U1099511627776;
    type MaxCommitteesPerSlot = typenum::U4;
    type MaxValidatorsPerCommittee = typenum::U2048;
    type MaxValidatorsPerSlot = typenum::U8192;
    type SyncCommitteeSize = typenum::U32;
    type SyncSubcommitteeSize = typenum::U8;
    type MaxProposerSlashings = typenum::U16;
    type MaxAttesterSlashingsElectra = typenum::U1;
    type MaxAttestationsElectra = typenum::U8;
    type MaxDeposits = typenum::U16;
    type MaxVoluntaryExits = typenum::U16;
    type MaxBlsToExecutionChanges = typenum::U16;
    type MaxBytesPerTransaction = typenum::U1073741824;
    type MaxTransactionsPerPayload = typenum::U1048576;
    type BytesPerLogsBloom = typenum::U256;
    type MaxExtraDataBytes = typenum::U32;
    type MaxWithdrawalsPerPayload = typenum::U4;
    type MaxDepositRequestsPerPayload = typenum::U8192;
    type MaxWithdrawalRequestsPerPayload = typenum::U16;
    type MaxConsolidationRequestsPerPayload = typenum::U2;
    type PendingDepositsLimit = typenum::U134217728;
    type PendingPartialWithdrawalsLimit = typenum::U64;
    type PendingConsolidationsLimit = typenum::U64;
    type MaxBlobCommitmentsPerBlock = typenum::U4096;
    type BytesPerBlob = typenum::U131072;
    type BytesPerCell = typenum::U2048;
    type NumberOfColumns = typenum::U128;
    type KzgCommitmentInclusionProofDepth = typenum::U17;
    type KzgCommitmentsInclusionProofDepth = typenum::U4;

    const MAX_COMMITTEES_PER_SLOT: u64 = 4;
    const TARGET_COMMITTEE_SIZE: u64 = 4;
    const MAX_VALIDATORS_PER_COMMITTEE: u64 = 2_048;
    const SHUFFLE_ROUND_COUNT: u64 = 10;
    const HYSTERESIS_QUOTIENT: u64 = 4;
    const HYSTERESIS_DOWNWARD_MULTIPLIER: u64 = 1;
    const HYSTERESIS_UPWARD_MULTIPLIER: u64 = 5;
    const MIN_DEPOSIT_AMOUNT: u64 = 1_000_000_000;
    const MAX_EFFECTIVE_BALANCE: u64 = 32_000_000_000;
    const EFFECTIVE_BALANCE_INCREMENT: u64 = 1_000_000_000;
    const MIN_ATTESTATION_INCLUSION_DELAY: u64 = 1;
    const MIN_SEED_LOOKAHEAD: u64 = 1;
    const MAX_SEED_LOOKAHEAD: u64 = 4;
    const EPOCHS_PER_ETH1_VOTING_PERIOD: u64 = 4;
    const SLOTS_PER_HISTORICAL_ROOT: u64 = 64;
    const MIN_EPOCHS_TO_INACTIVITY_PENALTY: u64 = 4;
    const EPOCHS_PER_HISTORICAL_VECTOR: u64 = 64;
    const EPOCHS_PER_SLASHINGS_VECTOR: u64 = 64;
    const HISTORICAL_ROOTS_LIMIT: u64 = 16_777_216;
    const VALIDATOR_REGISTRY_LIMIT: u64 = 1_099_511_627_776;
    const BASE_REWARD_FACTOR: u64 = 64;
    const WHISTLEBLOWER_REWARD_QUOTIENT: u64 = 512;
    const PROPOSER_REWARD_QUOTIENT: u64 = 8;
    const INACTIVITY_PENALTY_QUOTIENT: u64 = 33_554_432;
    const MIN_SLASHING_PENALTY_QUOTIENT: u64 = 64;
    const PROPORTIONAL_SLASHING_MULTIPLIER: u64 = 2;
    const MAX_PROPOSER_SLASHINGS: u64 = 16;
    const MAX_ATTESTER_SLASHINGS: u64 = 2;
    const MAX_ATTESTATIONS: u64 = 128;
    const MAX_DEPOSITS: u64 = 16;
    const MAX_VOLUNTARY_EXITS: u64 = 16;
    const INACTIVITY_PENALTY_QUOTIENT_ALTAIR: u64 = 50_331_648;
    const MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR: u64 = 64;
    const PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR: u64 = 2;
    const SYNC_COMMITTEE_SIZE: u64 = 32;
    const EPOCHS_PER_SYNC_COMMITTEE_PERIOD: u64 = 8;
    const MIN_SYNC_COMMITTEE_PARTICIPANTS: u64 = 1;
    const UPDATE_TIMEOUT: u64 = 64;
    const INACTIVITY_PENALTY_QUOTIENT_BELLATRIX: u64 = 16_777_216;
    const MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX: u64 = 32;
    const PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX: u64 = 3;
    const MAX_BYTES_PER_TRANSACTION: u64 = 1_073_741_824;
    const MAX_TRANSACTIONS_PER_PAYLOAD: u64 = 1_048_576;
    const BYTES_PER_LOGS_BLOOM: u64 = 256;
    const MAX_EXTRA_DATA_BYTES: u64 = 32;
    const MAX_BLS_TO_EXECUTION_CHANGES: u64 = 16;
    const MAX_WITHDRAWALS_PER_PAYLOAD: u64 = 4;
    const MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP: u64 = 16;
    const MAX_BLOB_COMMITMENTS_PER_BLOCK: u64 = 4_096;
    const KZG_COMMITMENT_INCLUSION_PROOF_DEPTH: u64 = 17;
    const FIELD_ELEMENTS_PER_BLOB: u64 = 4_096;
    const MIN_ACTIVATION_BALANCE: u64 = 32_000_000_000;
    const MAX_EFFECTIVE_BALANCE_ELECTRA: u64 = 2_048_000_000_000;
    const MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA: u64 = 4_096;
    const WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA: u64 = 4_096;
    const PENDING_DEPOSITS_LIMIT: u64 = 134_217_728;
    const PENDING_PARTIAL_WITHDRAWALS_LIMIT: u64 = 64;
    const PENDING_CONSOLIDATIONS_LIMIT: u64 = 64;
    const MAX_ATTESTER_SLASHINGS_ELECTRA: u64 = 1;
    const MAX_ATTESTATIONS_ELECTRA: u64 = 8;
    const MAX_DEPOSIT_REQUESTS_PER_PAYLOAD: u64 = 8_192;
    const MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD: u64 = 16;
    const MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD: u64 = 2;
    const MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP: u64 = 2;
    const MAX_PENDING_DEPOSITS_PER_EPOCH: u64 = 16;
    const KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH: u64 = 4;
    const FIELD_ELEMENTS_PER_CELL: u64 = 64;
    const FIELD_ELEMENTS_PER_EXT_BLOB: u64 = 8_192;
    const CELLS_PER_EXT_BLOB: u64 = 128;
    const NUMBER_OF_COLUMNS: u64 = 128;
    const KEY_SET_RETENTION_EPOCHS: u64 = 64;
    const HIGHEST_SCHEME: u64 = 2;
}
