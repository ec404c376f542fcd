//! Topics `sync_committee_{subnet_id}` and `sync_committee_contribution_and_proof`.
//!
//! Spec: dvt/p2p-interface.md#sync_committee_subnet_id

use crate::error::impl_shared;
use crate::selection::is_sync_committee_aggregator;
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use signature_scheme::SignatureSet;
use state_transition::StateError;
use state_transition::helpers::accessors::{get_domain, get_validator};
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
            Self::NotFirst { .. } | Self::NothingNew => Verdict::Ignore,
            Self::UnknownSubcommittee { .. } | Self::NotInCommittee { .. } | Self::Empty | Self::NotSelected(_) => {
                Verdict::Reject
            }
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A position of the sync committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncPosition {
    /// The subcommittee, which is the subnet.
    pub subcommittee_index: u64,
    /// Place within the subcommittee, which is the place of the bit.
    pub position: usize,
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

/// Signer index and key of each position of the committee that signs in `slot`. The committee of a slot signs for
/// the slot before.
///
/// Spec: dvt/p2p-interface.md#get_sync_subcommittee_pubkeys
pub fn sync_committee_members<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
) -> Result<Vec<(Option<SignerIndex>, PublicKeyBytes)>, StateError> {
    let period = |slot: Slot| {
        let epoch = slot.epoch::<P>().as_u64();
        epoch
            .checked_div(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
            .unwrap_or_default()
    };
    let is_current = period(slot.saturating_add(1u64)) <= period(state.slot());
    let committee = if is_current {
        state.current_sync_committee()
    } else {
        state.next_sync_committee()
    };
    let pubkeys = committee.pubkeys.iter().copied();
    Ok(match state {
        // The key at a position names its registry entry.
        BeaconState::Fulu(_) => pubkeys
            .map(|pubkey| {
                let index = state_transition::helpers::accessors::get_validator_index(state, &pubkey);
                (index.map(SignerIndex::from), pubkey)
            })
            .collect(),
        BeaconState::Dvt(inner) => {
            let indices = if is_current {
                &inner.current_sync_committee_indices
            } else {
                &inner.next_sync_committee_indices
            };
            indices.iter().map(|index| Some(*index)).zip(pubkeys).collect()
        }
    })
}

/// Positions of a signer in the committee that signs in `slot`, with its key.
pub fn sync_committee_positions<P: Preset>(
    state: &BeaconState<P>,
    signer: SignerIndex,
    slot: Slot,
) -> Result<(Vec<SyncPosition>, Option<PublicKeyBytes>), StateError> {
    let size = subcommittee_size::<P>();
    // Before the fork a key is compared, which is cheaper than to look up all of them.
    let registry_key = match state {
        BeaconState::Fulu(_) if signer.is_virtual() => return Ok((Vec::new(), None)),
        BeaconState::Fulu(_) => Some(get_validator(state, signer.validator())?.pubkey),
        BeaconState::Dvt(_) => None,
    };
    let members = match registry_key {
        Some(_) => committee_keys(state, slot),
        None => sync_committee_members(state, slot)?,
    };
    let mut key = None;
    let mut positions = Vec::new();
    for (place, (index, pubkey)) in members.into_iter().enumerate() {
        if index == Some(signer) || registry_key == Some(pubkey) {
            key = Some(pubkey);
            positions.push(SyncPosition {
                subcommittee_index: place.checked_div(size).unwrap_or_default() as u64,
                position: place.checked_rem(size).unwrap_or_default(),
            });
        }
    }
    Ok((positions, key))
}

fn committee_keys<P: Preset>(state: &BeaconState<P>, slot: Slot) -> Vec<(Option<SignerIndex>, PublicKeyBytes)> {
    let period = |slot: Slot| {
        let epoch = slot.epoch::<P>().as_u64();
        epoch
            .checked_div(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD)
            .unwrap_or_default()
    };
    let committee = if period(slot.saturating_add(1u64)) <= period(state.slot()) {
        state.current_sync_committee()
    } else {
        state.next_sync_committee()
    };
    committee.pubkeys.iter().map(|pubkey| (None, *pubkey)).collect()
}

/// Positions of a subcommittee.
pub fn subcommittee_size<P: Preset>() -> usize {
    P::SYNC_COMMITTEE_SIZE
        .checked_div(SYNC_COMMITTEE_SUBNET_COUNT)
        .unwrap_or(1)
        .max(1) as usize
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
        let (mut positions, key) = sync_committee_positions(&state, signer, slot).map_err(SharedError::Signer)?;
        positions.retain(|position| subnet_id.is_none_or(|subnet| subnet == position.subcommittee_index));
        let Some(key) = key.filter(|_| !positions.is_empty()) else {
            return Err(SyncGossipError::NotInCommittee {
                signer,
                slot,
                subnet: subnet_id,
            });
        };
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
        let (positions, key) = sync_committee_positions(&state, signer, slot).map_err(SharedError::Signer)?;
        let is_member = positions
            .iter()
            .any(|position| position.subcommittee_index == subcommittee);
        let Some(key) = key.filter(|_| is_member) else {
            return Err(SyncGossipError::NotInCommittee {
                signer,
                slot,
                subnet: Some(subcommittee),
            });
        };
        let epoch = slot.epoch::<P>();
        let selection_data = SyncAggregatorSelectionData {
            slot,
            subcommittee_index: subcommittee,
        };
        let domain = |domain_type| get_domain(&state, domain_type, Some(epoch));
        let selection_root = compute_signing_root(&selection_data, domain(DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF));
        let message_root = compute_signing_root(message, domain(DOMAIN_CONTRIBUTION_AND_PROOF));
        let size = subcommittee_size::<P>();
        let signers = committee_keys(&state, slot)
            .into_iter()
            .skip((subcommittee as usize).saturating_mul(size))
            .zip(&bits)
            .filter(|(_, bit)| **bit)
            .map(|((_, pubkey), _)| SignerKey::from(pubkey))
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
