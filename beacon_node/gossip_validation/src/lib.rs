//! The conditions under which a message is used and passed on: one file per topic.
//!
//! ```text
//! network, API --message--> GossipValidator::verify_x --> VerifiedX           (accept)
//!                                                    \--> XGossipError        (.verdict(): ignore or reject)
//! ```
//!
//! What is cheap is checked before what is expensive, and what was seen before is checked first. A message is noted as
//! seen when everything about it holds, so that nobody can keep it out by sending a wrong one first. A block that is
//! not imported yet is [`SharedError::UnknownBlock`]: the message may be tried again later.

mod address_change;
mod aggregate;
mod attestation;
mod beacon_block;
mod column_proofs;
mod data_column;
mod error;
mod group_block;
mod key_set_change;
mod leaders;
mod metrics;
mod seen;
mod slashing;
mod sync_committee;
mod validator;
mod verdict;
mod voluntary_exit;

pub use address_change::AddressChangeGossipError;
pub use aggregate::{AggregateGossipError, VerifiedAggregate};
pub use attestation::{
    AttestationGossipError, MAX_ATTESTATION_BATCH, VerifiedAttestation, compute_subnet_for_attestation,
};
pub use beacon_block::{BlockGossipError, VerifiedBlock};
pub use data_column::{DataColumnGossipError, VerifiedDataColumn};
pub use error::SharedError;
pub use group_block::{GroupBlockGossipError, VerifiedMemberSignature, VerifiedProposal};
pub use key_set_change::{KeySetChangeGossipError, VerifiedKeySetChange};
pub use leaders::{ProposingGroup, proposing_group};
pub use slashing::{AttesterSlashingGossipError, ProposerSlashingGossipError, VerifiedAttesterSlashing};
pub use state_transition::dvt::sync_duties::{SyncPosition, subcommittee_size};
pub use sync_committee::{SyncGossipError, VerifiedContribution, VerifiedSyncMessage};
pub use validator::GossipValidator;
pub use verdict::Verdict;
pub use voluntary_exit::{ExitGossipError, VerifiedExit};
