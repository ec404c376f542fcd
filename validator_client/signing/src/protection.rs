//! Slashing protection between a message and the keys.

use crate::message::SignableMessage;
use crate::signer::SigningError;
use slashing_protection::{Accepted, AttestationRequest, BlockRequest, Refusal, SlashingDatabase};
use std::sync::Arc;
use types::{Preset, PublicKeyBytes, Root};

/// What must be checked and recorded before a message is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protection {
    /// Nothing about this message can be slashed.
    NotNeeded,
    Block(BlockRequest),
    Attestation(AttestationRequest),
}

impl Protection {
    pub(crate) fn of<P: Preset>(message: &SignableMessage<'_, P>, pubkey: PublicKeyBytes, signing_root: Root) -> Self {
        match message {
            SignableMessage::Block(header) => Self::Block(BlockRequest {
                pubkey: pubkey.into(),
                slot: header.slot,
                signing_root,
            }),
            SignableMessage::Attestation(data) => Self::Attestation(AttestationRequest {
                pubkey: pubkey.into(),
                source_epoch: data.source.epoch,
                target_epoch: data.target.epoch,
                signing_root,
            }),
            // Listed, so that a new message is a decision.
            SignableMessage::AggregateAndProof(_)
            | SignableMessage::RandaoReveal(_)
            | SignableMessage::SelectionProof(_)
            | SignableMessage::SyncCommitteeMessage { .. }
            | SignableMessage::SyncSelectionProof(_)
            | SignableMessage::ContributionAndProof(_)
            | SignableMessage::VoluntaryExit(_)
            | SignableMessage::KeySetChange(_)
            | SignableMessage::KeyPossession(_) => Self::NotNeeded,
        }
    }
}

/// Permission to sign one signing root. Made only by [`clear`].
#[derive(Debug)]
pub(crate) struct Clearance {
    signing_root: Root,
    again: bool,
}

impl Clearance {
    pub(crate) fn signing_root(&self) -> Root {
        self.signing_root
    }

    /// Whether the same was cleared before.
    pub(crate) fn again(&self) -> bool {
        self.again
    }
}

fn refused(refusal: Refusal) -> SigningError {
    SigningError::Refused(Box::new(refusal))
}

/// Checks and records requests, durably, and gives a clearance for each that may be signed, in their order. All votes
/// share one transaction.
pub(crate) fn clear(
    database: &SlashingDatabase,
    requests: &[(Protection, Root)],
) -> Vec<Result<Clearance, SigningError>> {
    let votes: Vec<AttestationRequest> = requests
        .iter()
        .filter_map(|(protection, _)| match protection {
            Protection::Attestation(request) => Some(*request),
            Protection::NotNeeded | Protection::Block(_) => None,
        })
        .collect();
    let answers = if votes.is_empty() {
        Ok(Vec::new())
    } else {
        database.check_and_insert_attestations(&votes).map_err(Arc::new)
    };
    let mut answers = match answers {
        Ok(answers) => Ok(answers.into_iter()),
        Err(error) => Err(error),
    };
    requests
        .iter()
        .map(|(protection, signing_root)| {
            let accepted = match protection {
                Protection::NotNeeded => Accepted::New,
                Protection::Block(request) => database
                    .check_and_insert_block(request)
                    .map_err(|error| SigningError::Database(Arc::new(error)))?
                    .map_err(refused)?,
                Protection::Attestation(_) => match &mut answers {
                    // One answer for each request; a missing one would mean that nothing is on record.
                    Ok(answers) => answers.next().ok_or(SigningError::Stopped)?.map_err(refused)?,
                    Err(error) => return Err(SigningError::Database(Arc::clone(error))),
                },
            };
            Ok(Clearance {
                signing_root: *signing_root,
                again: accepted == Accepted::Again,
            })
        })
        .collect()
}
