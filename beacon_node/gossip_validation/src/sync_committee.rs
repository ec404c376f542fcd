//! Topics `sync_committee_{subnet_id}` and `sync_committee_contribution_and_proof`.
//!
//! Spec: dvt/p2p-interface.md#sync_committee_subnet_id

use crate::error::impl_shared;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use signature_scheme::{SignatureSet, is_sync_committee_aggregator};
use state_transition::StateError;
use state_transition::dvt::sync_duties::{
    SyncPosition, get_sync_committee_pubkey, positions_of, subcommittee_size, sync_committee_pubkeys,
};
use state_transition::helpers::accessors::get_domain;
use std::sync::Arc;
use types::constants::{
    DOMAIN_CONTRIBUTION_AND_PROOF, DOMAIN_SYNC_COMMITTEE, DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
    SYNC_COMMITTEE_SUBNET_COUNT,
};
use types::{
    BeaconState, Leaf, Preset, PublicKeyBytes, SchemeProofs, SignedContributionAndProof, SignerIndex, SignerKey, Slot,
    SyncAggregatorSelectionData, SyncCommitteeMessage, compute_signing_root,
};

/// A message or contribution of the sync committee is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum SyncGossipError {
    /// No such subcommittee.
    #[error("subcommittee {found} does not exist, there are {SYNC_COMMITTEE_SUBNET_COUNT}")]
    UnknownSubcommittee {
        /// The subcommittee.
        found: u64,
    },
    /// An index under which this head knows no key. The sender's head may be another one.
    #[error("signer: {0}")]
    UnknownSigner(StateError),
    /// Not a member of the subcommittee, or of any.
    #[error("signer {signer} has no position in the sync committee of slot {slot} on subnet {subnet:?}")]
    NotInCommittee {
        /// The signer.
        signer: SignerIndex,
        /// Slot of the message.
        slot: Slot,
        /// Where it came from; `None`: the API.
        subnet: Option<u64>,
    },
    /// The signer signed in this slot before.
    #[error("signer {signer} sent a message of slot {slot} before")]
    NotFirst {
        /// The signer.
        signer: SignerIndex,
        /// Slot of the message.
        slot: Slot,
    },
    /// Nobody signed.
    #[error("contribution has no signers")]
    Empty,
    /// A contribution with all of these signers was passed on.
    #[error("all signers of the contribution were seen in one contribution before")]
    NothingNew,
    /// The selection proof does not select.
    #[error("signer {0} is not selected to aggregate")]
    NotSelected(SignerIndex),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(SyncGossipError);

impl SyncGossipError {
    /// What to do with the message.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::UnknownSigner(_) | Self::NotFirst { .. } | Self::NothingNew => Verdict::Ignore,
            Self::UnknownSubcommittee { .. } | Self::NotInCommittee { .. } | Self::Empty | Self::NotSelected(_) => {
                Verdict::Reject
            }
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A message whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSyncMessage {
    /// The message.
    pub message: SyncCommitteeMessage,
    /// The signer's positions: on the subnet that it came from, or all.
    pub positions: Vec<SyncPosition>,
}

/// A contribution whose three signatures hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedContribution<P: Preset> {
    /// The message as it came.
    pub signed: SignedContributionAndProof<P>,
}

fn key_of<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
    signer: SignerIndex,
) -> Result<Option<PublicKeyBytes>, SyncGossipError> {
    get_sync_committee_pubkey(state, slot.epoch::<P>(), signer).map_err(SyncGossipError::UnknownSigner)
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a message. `subnet_id` is where it came from; messages that come through the API come from no subnet.
    pub async fn verify_sync_message(
        self: &Arc<Self>,
        message: SyncCommitteeMessage,
        subnet_id: Option<u64>,
    ) -> Result<VerifiedSyncMessage, SyncGossipError> {
        self.on_worker("sync_committee", Priority::Attestations, move |validator| {
            validator.verify_sync_message_blocking(message, subnet_id)
        })
        .await
    }

    fn verify_sync_message_blocking(
        &self,
        message: SyncCommitteeMessage,
        subnet_id: Option<u64>,
    ) -> Result<VerifiedSyncMessage, SyncGossipError> {
        let (slot, signer) = (message.slot, message.validator_index);
        self.check_current_slot(slot)?;
        let state = self.operations_state()?;
        let not_in_committee = || SyncGossipError::NotInCommittee {
            signer,
            slot,
            subnet: subnet_id,
        };
        let key = key_of(&state, slot, signer)?.ok_or_else(not_in_committee)?;
        let mut positions = positions_of(&state, slot, &key);
        positions.retain(|position| subnet_id.is_none_or(|subnet| subnet == position.subcommittee_index));
        if positions.is_empty() {
            return Err(not_in_committee());
        }
        positions.retain(|position| {
            !self
                .sync_messages
                .contains(slot, &(signer, position.subcommittee_index))
        });
        if positions.is_empty() {
            return Err(SyncGossipError::NotFirst { signer, slot });
        }
        let domain = get_domain(&state, DOMAIN_SYNC_COMMITTEE, Some(slot.epoch::<P>()));
        let signing_root = compute_signing_root(&message.beacon_block_root, domain);
        signature_scheme::verify(&SignatureSet::bls(signing_root, key, message.signature))?;
        let mut subcommittees: Vec<u64> = positions.iter().map(|position| position.subcommittee_index).collect();
        subcommittees.dedup();
        subcommittees.retain(|subcommittee| self.sync_messages.insert(slot, (signer, *subcommittee)));
        positions.retain(|position| subcommittees.contains(&position.subcommittee_index));
        if positions.is_empty() {
            return Err(SyncGossipError::NotFirst { signer, slot });
        }
        Ok(VerifiedSyncMessage { message, positions })
    }

    /// Checks a contribution.
    pub async fn verify_contribution(
        self: &Arc<Self>,
        signed: SignedContributionAndProof<P>,
    ) -> Result<VerifiedContribution<P>, SyncGossipError> {
        self.on_worker(
            "sync_committee_contribution_and_proof",
            Priority::Aggregates,
            move |validator| validator.verify_contribution_blocking(signed),
        )
        .await
    }

    fn verify_contribution_blocking(
        &self,
        signed: SignedContributionAndProof<P>,
    ) -> Result<VerifiedContribution<P>, SyncGossipError> {
        let message = &signed.message;
        let contribution = &message.contribution;
        let (slot, signer) = (contribution.slot, message.aggregator_index);
        let subcommittee = contribution.subcommittee_index;
        self.check_current_slot(slot)?;
        if subcommittee >= SYNC_COMMITTEE_SUBNET_COUNT {
            return Err(SyncGossipError::UnknownSubcommittee { found: subcommittee });
        }
        let bits: Vec<bool> = contribution.aggregation_bits.iter().collect();
        if !bits.contains(&true) {
            return Err(SyncGossipError::Empty);
        }
        if !is_sync_committee_aggregator::<P>(&message.selection_proof) {
            return Err(SyncGossipError::NotSelected(signer));
        }
        if self.sync_aggregators.contains(slot, &(signer, subcommittee)) {
            return Err(SyncGossipError::NotFirst { signer, slot });
        }
        let subject = (contribution.beacon_block_root, subcommittee);
        if self.contributions.covers(slot, &subject, &bits) {
            return Err(SyncGossipError::NothingNew);
        }

        let state = self.operations_state()?;
        let not_in_committee = || SyncGossipError::NotInCommittee {
            signer,
            slot,
            subnet: Some(subcommittee),
        };
        let key = key_of(&state, slot, signer)?.ok_or_else(not_in_committee)?;
        let size = subcommittee_size::<P>();
        let members = sync_committee_pubkeys(&state, slot)
            .iter()
            .skip((subcommittee as usize).saturating_mul(size))
            .take(size);
        if !members.clone().any(|pubkey| *pubkey == key) {
            return Err(not_in_committee());
        }
        let epoch = slot.epoch::<P>();
        let selection_data = SyncAggregatorSelectionData {
            slot,
            subcommittee_index: subcommittee,
        };
        let domain = |domain_type| get_domain(&state, domain_type, Some(epoch));
        let selection_root = compute_signing_root(&selection_data, domain(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF));
        let message_root = compute_signing_root(message, domain(DOMAIN_CONTRIBUTION_AND_PROOF));
        let signers = members
            .zip(&bits)
            .filter(|(_, bit)| **bit)
            .map(|(pubkey, _)| SignerKey::from(*pubkey))
            .collect();
        signature_scheme::verify_batch(&[
            SignatureSet::bls(selection_root, key, message.selection_proof),
            SignatureSet::bls(message_root, key, signed.signature),
            SignatureSet {
                signing_root: compute_signing_root(&contribution.beacon_block_root, domain(DOMAIN_SYNC_COMMITTEE)),
                leaf: Leaf::None,
                signers,
                signature: contribution.signature,
                proofs: SchemeProofs::empty(),
            },
        ])?;
        if !self.sync_aggregators.insert(slot, (signer, subcommittee)) {
            return Err(SyncGossipError::NotFirst { signer, slot });
        }
        self.contributions.insert(slot, subject, bits);
        Ok(VerifiedContribution { signed })
    }
}
