//! Topics `beacon_attestation_{subnet_id}`: votes of single signers.
//!
//! Spec: dvt/p2p-interface.md#beacon_attestation_subnet_id

use crate::error::impl_shared;
use crate::validator::HasVerdict as _;
use crate::{GossipValidator, SharedError, Verdict, metrics};
use runtime::Priority;
use signature_scheme::SignatureSet;
use state_transition::dvt::accessors::{get_committee_seats, get_signer_key};
use state_transition::helpers::accessors::{get_committee_count_per_slot, get_domain};
use std::sync::Arc;
use types::constants::DOMAIN_BEACON_ATTESTER;
use types::{
    AttestationData, ChainSpec, Checkpoint, CommitteeIndex, Epoch, Leaf, Preset, Root, SchemeProofs, SignerIndex,
    SingleAttestation, Slot, compute_signing_root,
};

/// Votes that are verified together.
pub const MAX_ATTESTATION_BATCH: usize = 64;

/// A vote is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum AttestationGossipError {
    /// A committee index in the data.
    #[error("data.index is {0}, expected 0")]
    CommitteeIndexInData(CommitteeIndex),
    /// A committee that the slot does not have.
    #[error("committee {index} does not exist: the slot has {count}")]
    UnknownCommittee {
        /// The committee.
        index: CommitteeIndex,
        /// Committees of the slot.
        count: u64,
    },
    /// On another subnet than the committee's.
    #[error("vote came on subnet {found}, expected {expected}")]
    Subnet {
        /// Subnet of the committee.
        expected: u64,
        /// Where it came from.
        found: u64,
    },
    /// Target of another epoch than the vote's.
    #[error("target epoch is {found}, expected {expected}")]
    TargetEpoch {
        /// Epoch of the vote's slot.
        expected: Epoch,
        /// Epoch of the target.
        found: Epoch,
    },
    /// Not a member of the committee, or not under this index.
    #[error("signer {signer} has no seat in committee {index} of slot {slot}")]
    NotInCommittee {
        /// The signer.
        signer: SignerIndex,
        /// The committee.
        index: CommitteeIndex,
        /// Slot of the vote.
        slot: Slot,
    },
    /// The signer voted in this epoch before.
    #[error("signer {signer} voted in epoch {epoch} before")]
    NotFirst {
        /// The signer.
        signer: SignerIndex,
        /// Target epoch.
        epoch: Epoch,
    },
    /// A target that is not on the branch of the voted block.
    #[error("target is {found}, the voted block's checkpoint is {expected}")]
    TargetNotOnBranch {
        /// The checkpoint of the voted block.
        expected: Root,
        /// The target.
        found: Root,
    },
    /// A vote for a block that is later than the vote.
    #[error("vote of slot {vote} is for a block of slot {block}")]
    VoteForLaterBlock {
        /// Slot of the vote.
        vote: Slot,
        /// Slot of the block.
        block: Slot,
    },
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(AttestationGossipError);

impl AttestationGossipError {
    /// What to do with the vote.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotFirst { .. } => Verdict::Ignore,
            Self::CommitteeIndexInData(_)
            | Self::UnknownCommittee { .. }
            | Self::Subnet { .. }
            | Self::TargetEpoch { .. }
            | Self::NotInCommittee { .. }
            | Self::VoteForLaterBlock { .. }
            | Self::TargetNotOnBranch { .. } => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A vote of one signer whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAttestation {
    /// The vote as it came.
    pub attestation: SingleAttestation,
    /// Who voted.
    pub signer: SignerIndex,
    /// Scheme of the signer's key.
    pub scheme: u8,
    /// Place of the signer's seat, which is the place of its bit.
    pub seat: usize,
    /// Seats of the committee, which is the number of bits.
    pub seats: usize,
    /// Subnet of the committee.
    pub subnet_id: u64,
}

impl VerifiedAttestation {
    /// What was voted for.
    pub fn data(&self) -> &AttestationData {
        self.attestation.data()
    }

    /// The committee.
    pub fn committee_index(&self) -> CommitteeIndex {
        self.attestation.committee_index()
    }
}

/// Spec: phase0/validator.md#broadcast-attestation
pub fn compute_subnet_for_attestation<P: Preset>(
    committees_per_slot: u64,
    slot: Slot,
    committee_index: CommitteeIndex,
    spec: &ChainSpec,
) -> u64 {
    let slots_since_epoch_start = slot.as_u64().checked_rem(P::slots_per_epoch()).unwrap_or_default();
    committees_per_slot
        .saturating_mul(slots_since_epoch_start)
        .saturating_add(committee_index)
        .checked_rem(spec.attestation_subnet_count)
        .unwrap_or_default()
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a vote. `subnet_id` is where it came from; votes that come through the API come from no subnet.
    pub async fn verify_attestation(
        self: &Arc<Self>,
        attestation: SingleAttestation,
        subnet_id: Option<u64>,
    ) -> Result<VerifiedAttestation, AttestationGossipError> {
        self.on_worker("beacon_attestation", Priority::Attestations, move |validator| {
            let (verified, set) = validator.check_attestation(attestation, subnet_id)?;
            signature_scheme::verify(&set)?;
            validator.note_attestation(verified)
        })
        .await
    }

    /// Checks votes, with signatures in batches. One result per vote, in their order.
    pub async fn verify_attestations(
        self: &Arc<Self>,
        attestations: Vec<(SingleAttestation, Option<u64>)>,
    ) -> Vec<Result<VerifiedAttestation, AttestationGossipError>> {
        let mut results = Vec::with_capacity(attestations.len());
        let mut rest = attestations.into_iter().peekable();
        while rest.peek().is_some() {
            let batch: Vec<_> = rest.by_ref().take(MAX_ATTESTATION_BATCH).collect();
            let count = batch.len();
            let validator = Arc::clone(self);
            let work = move || validator.verify_batch_blocking(batch);
            match self.chain.workers().run(Priority::Attestations, work).await {
                Ok(batch) => results.extend(batch),
                Err(error) => results.extend((0..count).map(|_| Err(error.into()))),
            }
        }
        for result in &results {
            let verdict = result
                .as_ref()
                .map_or_else(|error| error.verdict_of(), |_| Verdict::Accept);
            metrics::count("beacon_attestation", verdict);
        }
        results
    }

    fn verify_batch_blocking(
        &self,
        attestations: Vec<(SingleAttestation, Option<u64>)>,
    ) -> Vec<Result<VerifiedAttestation, AttestationGossipError>> {
        let mut sets = Vec::with_capacity(attestations.len());
        let checked: Vec<Result<VerifiedAttestation, AttestationGossipError>> = attestations
            .into_iter()
            .map(|(attestation, subnet_id)| {
                let (verified, set) = self.check_attestation(attestation, subnet_id)?;
                sets.push(set);
                Ok(verified)
            })
            .collect();
        let mut verdicts = if signature_scheme::verify_batch(&sets).is_ok() {
            vec![Ok(()); sets.len()].into_iter()
        } else {
            signature_scheme::find_invalid(&sets).into_iter()
        };
        checked
            .into_iter()
            .map(|checked| {
                let verified = checked?;
                if let Some(verdict) = verdicts.next() {
                    verdict?;
                }
                self.note_attestation(verified)
            })
            .collect()
    }

    fn note_attestation(&self, verified: VerifiedAttestation) -> Result<VerifiedAttestation, AttestationGossipError> {
        let (signer, epoch) = (verified.signer, verified.data().target.epoch);
        if !self.attesters.insert(epoch.start_slot::<P>(), signer) {
            return Err(AttestationGossipError::NotFirst { signer, epoch });
        }
        Ok(verified)
    }

    /// Conditions on the data of a vote, single or aggregated.
    pub(crate) fn check_attestation_data(&self, data: &AttestationData) -> Result<(), AttestationGossipError> {
        if data.index != 0 {
            return Err(AttestationGossipError::CommitteeIndexInData(data.index));
        }
        let expected = data.slot.epoch::<P>();
        if data.target.epoch != expected {
            return Err(AttestationGossipError::TargetEpoch {
                expected,
                found: data.target.epoch,
            });
        }
        self.check_vote_slot(data.slot)?;
        let block = self.block_slot(data.beacon_block_root)?;
        if block > data.slot {
            return Err(AttestationGossipError::VoteForLaterBlock { vote: data.slot, block });
        }
        self.check_target(data.beacon_block_root, data.target)?;
        self.check_finalized_descendant(data.beacon_block_root)?;
        Ok(())
    }

    fn check_target(&self, block: Root, target: Checkpoint) -> Result<(), AttestationGossipError> {
        let expected = self
            .chain
            .fork_choice()
            .get_checkpoint_block::<P>(&block, target.epoch)
            .map_err(|_| SharedError::UnknownBlock(block))?;
        if expected != target.root {
            return Err(AttestationGossipError::TargetNotOnBranch {
                expected,
                found: target.root,
            });
        }
        Ok(())
    }

    /// All conditions but the signature, which is given with the vote.
    fn check_attestation(
        &self,
        attestation: SingleAttestation,
        subnet_id: Option<u64>,
    ) -> Result<(VerifiedAttestation, SignatureSet), AttestationGossipError> {
        let data = *attestation.data();
        let (signer, index) = (attestation.attester_index(), attestation.committee_index());
        self.check_fork(data.slot, &attestation)?;
        let epoch = data.target.epoch;
        if self.attesters.contains(epoch.start_slot::<P>(), &signer) {
            return Err(AttestationGossipError::NotFirst { signer, epoch });
        }
        self.check_attestation_data(&data)?;
        let state = self.state_for_epoch(data.target.root, epoch)?;
        let count = get_committee_count_per_slot(&state, epoch)?;
        if index >= count {
            return Err(AttestationGossipError::UnknownCommittee { index, count });
        }
        let expected = compute_subnet_for_attestation::<P>(count, data.slot, index, self.chain.spec());
        if let Some(found) = subnet_id.filter(|found| *found != expected) {
            return Err(AttestationGossipError::Subnet { expected, found });
        }
        let seats = get_committee_seats(&state, data.slot, index)?;
        let not_in_committee = AttestationGossipError::NotInCommittee {
            signer,
            index,
            slot: data.slot,
        };
        let seat = seats
            .iter()
            .position(|other| *other == signer)
            .ok_or(not_in_committee)?;
        let key = get_signer_key(&state, signer, epoch).map_err(SharedError::Signer)?;
        let domain = get_domain(&state, DOMAIN_BEACON_ATTESTER, Some(epoch));
        let set = SignatureSet {
            signing_root: compute_signing_root(&data, domain),
            leaf: Leaf::attestation(epoch),
            signers: vec![key],
            signature: *attestation.signature(),
            proofs: SchemeProofs::new(attestation.proofs().to_vec()).unwrap_or_default(),
        };
        let verified = VerifiedAttestation {
            signer,
            scheme: key.scheme(),
            seat,
            seats: seats.len(),
            subnet_id: expected,
            attestation,
        };
        Ok((verified, set))
    }
}
