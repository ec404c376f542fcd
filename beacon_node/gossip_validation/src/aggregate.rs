//! Topic `beacon_aggregate_and_proof`: votes of a committee in one signature.
//!
//! Spec: dvt/p2p-interface.md#beacon_aggregate_and_proof

use crate::attestation::AttestationGossipError;
use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use signature_scheme::is_aggregator;
use state_transition::block::operations::attestation::{
    AttestationError, IndexedAttestationError, check_indexed_attestation, get_indexed_attestation,
};
use state_transition::dvt::accessors::{get_committee_seats, get_signer_key};
use state_transition::dvt::aggregators::{
    aggregate_and_proof_signature_set, committee_schemes, selection_signature_set,
};
use state_transition::helpers::accessors::get_seed;
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::constants::DOMAIN_SELECTION_PROOF;
use types::{Attestation, CommitteeIndex, Epoch, Preset, SignedAggregateAndProof, SignerIndex};

/// An aggregate is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum AggregateGossipError {
    /// Not of exactly one committee.
    #[error("aggregate is of {0} committees, expected 1")]
    CommitteeCount(usize),
    /// Nobody voted.
    #[error("aggregate has no votes")]
    Empty,
    /// What was voted for is not acceptable.
    #[error(transparent)]
    Data(AttestationGossipError),
    /// Committee or number of bits are wrong.
    #[error(transparent)]
    Attestation(AttestationError),
    /// The signers are wrong.
    #[error(transparent)]
    Indexed(IndexedAttestationError),
    /// An aggregate of the same vote with all of these voters, and perhaps more, was passed on.
    #[error("all votes of the aggregate were seen in one aggregate before")]
    NothingNew,
    /// The aggregator aggregated in this epoch before.
    #[error("signer {signer} sent an aggregate of epoch {epoch} before")]
    NotFirst {
        /// The aggregator.
        signer: SignerIndex,
        /// Target epoch.
        epoch: Epoch,
    },
    /// The aggregator has no seat in the committee.
    #[error("aggregator {signer} has no seat in committee {index}")]
    NotInCommittee {
        /// The aggregator.
        signer: SignerIndex,
        /// The committee.
        index: CommitteeIndex,
    },
    /// The selection proof does not select.
    #[error("signer {0} is not selected to aggregate")]
    NotSelected(SignerIndex),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(AggregateGossipError);

impl From<AttestationGossipError> for AggregateGossipError {
    fn from(error: AttestationGossipError) -> Self {
        match error {
            AttestationGossipError::Shared(error) => Self::Shared(error),
            other => Self::Data(other),
        }
    }
}

impl AggregateGossipError {
    /// What to do with the aggregate.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NothingNew
            | Self::NotFirst { .. }
            | Self::Attestation(AttestationError::State(_))
            | Self::Indexed(IndexedAttestationError::State(_)) => Verdict::Ignore,
            Self::CommitteeCount(_)
            | Self::Empty
            | Self::Attestation(_)
            | Self::Indexed(_)
            | Self::NotInCommittee { .. }
            | Self::NotSelected(_) => Verdict::Reject,
            Self::Data(error) => error.verdict(),
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// An aggregate whose three signatures hold.
#[derive(Debug, Clone)]
pub struct VerifiedAggregate<P: Preset> {
    /// The message as it came.
    pub signed: Arc<SignedAggregateAndProof<P>>,
    /// The votes.
    pub aggregate: Attestation<P>,
    /// Who voted, ascending, for the fork choice.
    pub attesting_indices: Vec<SignerIndex>,
    /// Who sits in the committee: bit `i` belongs to the `i`-th of these, with the scheme of its key.
    pub seats: Arc<[(SignerIndex, u8)]>,
    /// The committee.
    pub committee_index: CommitteeIndex,
}

impl<P: Preset> GossipValidator<P> {
    /// Checks an aggregate.
    pub async fn verify_aggregate(
        self: &Arc<Self>,
        signed: Arc<SignedAggregateAndProof<P>>,
    ) -> Result<VerifiedAggregate<P>, AggregateGossipError> {
        self.on_worker("beacon_aggregate_and_proof", Priority::Aggregates, move |validator| {
            validator.verify_aggregate_blocking(signed)
        })
        .await
    }

    fn verify_aggregate_blocking(
        &self,
        signed: Arc<SignedAggregateAndProof<P>>,
    ) -> Result<VerifiedAggregate<P>, AggregateGossipError> {
        let message = signed.message();
        let aggregate = message.aggregate();
        let data = *aggregate.data();
        let aggregator = message.aggregator_index();
        self.check_fork(data.slot, &*signed)?;
        let [committee_index] = *aggregate.committee_indices().as_slice() else {
            return Err(AggregateGossipError::CommitteeCount(
                aggregate.committee_indices().len(),
            ));
        };
        let bits: Vec<bool> = aggregate.aggregation_bits().iter().collect();
        if !bits.contains(&true) {
            return Err(AggregateGossipError::Empty);
        }
        let epoch = data.target.epoch;
        let epoch_start = epoch.start_slot::<P>();
        let not_first = AggregateGossipError::NotFirst {
            signer: aggregator,
            epoch,
        };
        if self.aggregators.contains(epoch_start, &aggregator) {
            return Err(not_first);
        }
        let subject = (data.tree_hash_root(), committee_index);
        if self.aggregates.covers(data.slot, &subject, &bits) {
            return Err(AggregateGossipError::NothingNew);
        }
        self.check_attestation_data(&data)?;

        let state = self.state_for_epoch(data.target.root, epoch)?;
        let indexed = get_indexed_attestation(&state, aggregate).map_err(AggregateGossipError::Attestation)?;
        let seats = get_committee_seats(&state, data.slot, committee_index)?;
        if !seats.contains(&aggregator) {
            return Err(AggregateGossipError::NotInCommittee {
                signer: aggregator,
                index: committee_index,
            });
        }
        let key = get_signer_key(&state, aggregator, epoch).map_err(SharedError::Signer)?;
        let selection = selection_signature_set(&state, message, key);
        let seed = get_seed(&*state, epoch, DOMAIN_SELECTION_PROOF)?;
        let (signature, proofs) = (&selection.signature, &selection.proofs);
        if !is_aggregator(seats.len() as u64, &key, signature, proofs, Some(&seed))? {
            return Err(AggregateGossipError::NotSelected(aggregator));
        }
        let sets = [
            selection,
            aggregate_and_proof_signature_set(&state, &signed, key),
            check_indexed_attestation(&state, indexed.to_ref(), 0).map_err(AggregateGossipError::Indexed)?,
        ];
        signature_scheme::verify_batch(&sets)?;
        if !self.aggregators.insert(epoch_start, aggregator) {
            return Err(not_first);
        }
        self.aggregates.insert(data.slot, subject, bits);
        Ok(VerifiedAggregate {
            aggregate: aggregate.cloned(),
            attesting_indices: indexed.attesting_indices().to_vec(),
            seats: committee_schemes(&state, &seats, epoch)?,
            committee_index,
            signed: Arc::clone(&signed),
        })
    }
}
