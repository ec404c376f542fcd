//! Constants that no preset and no configuration changes, with the spec's spelling.

use crate::primitives::{DomainType, Epoch, Slot};

/// First slot.
pub const GENESIS_SLOT: Slot = Slot::new(0);
/// First epoch.
pub const GENESIS_EPOCH: Epoch = Epoch::new(0);
/// "Never".
pub const FAR_FUTURE_EPOCH: Epoch = Epoch::new(u64::MAX);
/// How many past epochs justification keeps.
pub const JUSTIFICATION_BITS_LENGTH: usize = 4;
/// Depth of the deposit contract's tree.
pub const DEPOSIT_CONTRACT_TREE_DEPTH: usize = 32;
/// Base of the weights of the genesis churn.
pub const BASE_REWARDS_PER_EPOCH: u64 = 4;
/// Whether an endianness matters: little-endian everywhere.
pub const ENDIANNESS: &str = "little";
/// No signature, no deposit index.
pub const UNSET_DEPOSIT_REQUESTS_START_INDEX: u64 = u64::MAX;
/// A withdrawal request of this amount asks for a full exit.
pub const FULL_EXIT_REQUEST_AMOUNT: u64 = 0;

/// First byte of BLS withdrawal credentials.
pub const BLS_WITHDRAWAL_PREFIX: u8 = 0x00;
/// First byte of execution-address withdrawal credentials.
pub const ETH1_ADDRESS_WITHDRAWAL_PREFIX: u8 = 0x01;
/// First byte of compounding withdrawal credentials.
pub const COMPOUNDING_WITHDRAWAL_PREFIX: u8 = 0x02;
/// Type byte of deposits in the execution requests.
pub const DEPOSIT_REQUEST_TYPE: u8 = 0x00;
/// Type byte of withdrawals in the execution requests.
pub const WITHDRAWAL_REQUEST_TYPE: u8 = 0x01;
/// Type byte of consolidations in the execution requests.
pub const CONSOLIDATION_REQUEST_TYPE: u8 = 0x02;

/// Participation flag: timely source.
pub const TIMELY_SOURCE_FLAG_INDEX: usize = 0;
/// Participation flag: timely target.
pub const TIMELY_TARGET_FLAG_INDEX: usize = 1;
/// Participation flag: timely head.
pub const TIMELY_HEAD_FLAG_INDEX: usize = 2;
/// Weight of a timely source.
pub const TIMELY_SOURCE_WEIGHT: u64 = 14;
/// Weight of a timely target.
pub const TIMELY_TARGET_WEIGHT: u64 = 26;
/// Weight of a timely head.
pub const TIMELY_HEAD_WEIGHT: u64 = 14;
/// Weight of the sync committee.
pub const SYNC_REWARD_WEIGHT: u64 = 2;
/// Weight of the proposer.
pub const PROPOSER_WEIGHT: u64 = 8;
/// Sum of all weights.
pub const WEIGHT_DENOMINATOR: u64 = 64;
/// Weights by flag index.
pub const PARTICIPATION_FLAG_WEIGHTS: [u64; 3] = [TIMELY_SOURCE_WEIGHT, TIMELY_TARGET_WEIGHT, TIMELY_HEAD_WEIGHT];

/// Expected aggregators per committee.
pub const TARGET_AGGREGATORS_PER_COMMITTEE: u64 = 16;
/// Expected aggregators per sync subcommittee.
pub const TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE: u64 = 16;
/// Subnets of the sync committee.
pub const SYNC_COMMITTEE_SUBNET_COUNT: u64 = 4;
/// Basis points in the whole.
pub const BASIS_POINTS: u64 = 10_000;
/// Version byte of blob commitments.
pub const VERSIONED_HASH_VERSION_KZG: u8 = 0x01;

/// Domain of block proposals.
pub const DOMAIN_BEACON_PROPOSER: DomainType = [0, 0, 0, 0];
/// Domain of attestations.
pub const DOMAIN_BEACON_ATTESTER: DomainType = [1, 0, 0, 0];
/// Domain of RANDAO reveals.
pub const DOMAIN_RANDAO: DomainType = [2, 0, 0, 0];
/// Domain of deposits.
pub const DOMAIN_DEPOSIT: DomainType = [3, 0, 0, 0];
/// Domain of voluntary exits.
pub const DOMAIN_VOLUNTARY_EXIT: DomainType = [4, 0, 0, 0];
/// Domain of aggregator selection.
pub const DOMAIN_SELECTION_PROOF: DomainType = [5, 0, 0, 0];
/// Domain of aggregates.
pub const DOMAIN_AGGREGATE_AND_PROOF: DomainType = [6, 0, 0, 0];
/// Domain of sync committee messages.
pub const DOMAIN_SYNC_COMMITTEE: DomainType = [7, 0, 0, 0];
/// Domain of sync aggregator selection.
pub const DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF: DomainType = [8, 0, 0, 0];
/// Domain of sync contributions.
pub const DOMAIN_CONTRIBUTION_AND_PROOF: DomainType = [9, 0, 0, 0];
/// Domain of changes of withdrawal credentials.
pub const DOMAIN_BLS_TO_EXECUTION_CHANGE: DomainType = [10, 0, 0, 0];
/// Domain of key-set changes. Later drafts of the specs have taken the numbers up to 0x10.
pub const DOMAIN_KEY_SET_CHANGE: DomainType = [0x11, 0, 0, 0];
/// Domain of proofs of possession of virtual keys.
pub const DOMAIN_KEY_POSSESSION: DomainType = [0x12, 0, 0, 0];

/// Flag bit of virtual indices, above all registry indices.
pub const VIRTUAL_INDEX_OFFSET: u64 = 1 << 48;
/// Most virtual keys in a key set, and the stride of virtual indices.
pub const MAX_GROUP_SIZE: u64 = 16;
/// Most key sets that the state keeps of one group.
pub const MAX_KEY_SETS_PER_GROUP: u64 = 4;
/// Longest public key of any scheme, in bytes.
pub const MAX_VIRTUAL_PUBKEY_BYTES: u64 = 64;
/// Most schemes beside BLS that may sign one message.
pub const MAX_SCHEMES: u64 = 4;
/// Longest proof of one scheme, in bytes: a committee of 512 seats with hash-based keys needs 1.3 million.
pub const MAX_SCHEME_PROOF_BYTES: u64 = 1 << 22;
/// Most key-set changes in a block.
pub const MAX_KEY_SET_CHANGES: u64 = 2;
/// Slots within which a key-set change must be included: people in several time zones sign.
pub const KEY_SET_CHANGE_WINDOW: u64 = 8192;
/// What a group pays for a block without the leader's reveal, in ideal proposer rewards of a slot.
pub const RANDAO_OMISSION_FEE_FACTOR: u64 = 2;
/// How many leaders may propose in a slot, one after the other.
pub const MAX_LEADER_RANKS: u64 = 3;
/// Scheme number of BLS.
pub const BLS_SCHEME: u8 = 0;
/// Scheme number of generalised XMSS, with 2^32 leaves.
pub const XMSS_SCHEME: u8 = 1;
/// Scheme number of generalised XMSS with 2^18 leaves, for test networks.
pub const SHORT_LIVED_XMSS_SCHEME: u8 = 2;
/// Leaves of a hash-based key for each epoch.
pub const LEAVES_PER_EPOCH: u64 = 64;
/// Use of the leaf that votes. Uses 0 to 31 are blocks, one for each slot of the epoch.
pub const ATTESTATION_LEAF_USE: u64 = 32;
/// Use of the leaf that is opened for RANDAO. Its sibling, 35, has none.
pub const RANDAO_LEAF_USE: u64 = 34;
/// Use of the leaf that is opened for the selection of aggregators. Its sibling, 37, has none.
pub const SELECTION_LEAF_USE: u64 = 36;
/// Use of the leaf that signs an aggregate with its aggregator.
pub const AGGREGATE_LEAF_USE: u64 = 38;
/// Use of the leaf that signs exits, key-set changes and proofs of possession.
pub const OPERATION_LEAF_USE: u64 = 39;
/// A group of more than one key needs this much effective balance for each key, in Gwei.
pub const MIN_BALANCE_PER_VIRTUAL_KEY: u64 = 32_000_000_000;
