//! The Beacon API: bodies of requests and answers, and the client that the validator client and tools use.
//!
//! Bodies are in a module for each family of endpoints; the server uses the same types. A body that differs between
//! forks travels as [`Versioned`], or with the header [`CONSENSUS_VERSION_HEADER`].
//!
//! Wherever the API of a validator client says "validator index", this says [`types::SignerIndex`]: a solo validator's
//! index in the registry, or the virtual index of one key of a group. A client needs to know no more about groups.

mod body;
mod client;
mod config;
mod contents;
mod debug;
mod duties;
mod error;
mod events;
mod group;
mod headers;
mod id;
mod network;
mod node;
mod query;
mod rewards;
mod state;
mod validator;

pub use body::{
    Data, Dependent, Located, Versioned, from_json_of_either, list_from_json_by_fork, list_from_json_of_either,
    list_from_ssz_by_fork,
};
pub use client::{ApiError, BeaconClient, ClientConfig};
pub use config::{DepositContract, Genesis};
pub use contents::{
    BlobList, Blobs, BlockContents, CellProofs, ProducedBlock, ProducedBlockAnswer, Published, SignedBlockContents,
    SignedProducedBlock,
};
pub use debug::{ForkChoice, ForkChoiceNode, HeadEntry, PayloadValidity};
pub use duties::{AttesterDuty, Liveness, ProposerDuty, SyncDuty};
pub use error::{ErrorMessage, Failure};
pub use events::{
    BlobSidecarEvent, BlockEvent, BlockGossipEvent, ChainReorgEvent, DataColumnSidecarEvent, Event, EventError,
    EventTopic, FinalizedCheckpointEvent, GroupBlockEvent, HeadEvent, PayloadAttributes, PayloadAttributesData,
    PayloadAttributesEvent, SseParser,
};
pub use group::{GroupEntry, GroupKey, GroupKeySet, SeatVotes};
pub use headers::{
    BLINDED_HEADER, BLOCK_VALUE_HEADER, CONSENSUS_VERSION_HEADER, JSON, PAYLOAD_VALUE_HEADER, SSZ, accepts, accepts_ssz,
};
pub use id::{BlockId, IdError, StateId, ValidatorId};
pub use network::{Network, OtherNetwork, same_configuration, same_network};
pub use node::{
    Direction, Health, Identity, Metadata, NetworkConditions, Peer, PeerCount, PeerCountMeta, PeerState, Peers,
    Syncing, Version,
};
pub use query::{Query, QueryError};
pub use rewards::{
    AttestationRewards, BlockRewards, IdealAttestationReward, SyncCommitteeReward, TotalAttestationReward,
};
pub use state::{
    BlockHeaderEntry, Committee, FinalityCheckpoints, Randao, RootEntry, SyncCommitteeMembers, ValidatorBalance,
    ValidatorData, ValidatorEntry, ValidatorIdentity, ValidatorStatus, ValidatorsRequest,
};
pub use validator::{
    BroadcastValidation, CommitteeSubscription, ProposerPreparation, RandaoProof, SignedValidatorRegistration,
    SyncCommitteeSubscription, ValidatorRegistration,
};
