//! Slashing protection between a message and the keys.

use crate::message::SignableMessage;
use crate::signer::SigningError;
use slashing_protection::{Accepted, SigningRequest, Slashable, SlashingDatabase};
use std::sync::Arc;
use types::{Preset, Root, SignerKey};

/// What the record has to say about a message.
pub(crate) fn request_of<P: Preset>(
    message: &SignableMessage<'_, P>,
    pubkey: SignerKey,
    signing_root: Root,
) -> SigningRequest {
    let slashable = match message {
        SignableMessage::Block(header) => Slashable::Block { slot: header.slot },
        SignableMessage::Attestation(data) => Slashable::Attestation {
            source_epoch: data.source.epoch,
            target_epoch: data.target.epoch,
        },
        // Listed, so that a new message is a decision.
        SignableMessage::AggregateAndProof(_)
        | SignableMessage::RandaoReveal(_)
        | SignableMessage::SelectionProof(_)
        | SignableMessage::SyncCommitteeMessage { .. }
        | SignableMessage::SyncSelectionProof(_)
        | SignableMessage::ContributionAndProof(_)
        | SignableMessage::VoluntaryExit(_)
        | SignableMessage::KeySetChange(_)
        | SignableMessage::KeyPossession(_) => Slashable::Nothing,
    };
    SigningRequest {
        pubkey,
        signing_root,
        slashable,
        leaf: message.leaf(),
    }
}

/// Checks and records requests, durably and in one transaction, and answers for each in their order whether it may be
/// signed. `None` is one that needs no record.
pub(crate) fn clear(
    database: &SlashingDatabase,
    requests: &[Option<SigningRequest>],
) -> Vec<Result<Accepted, SigningError>> {
    let recorded: Vec<SigningRequest> = requests.iter().copied().flatten().collect();
    let answers = if recorded.is_empty() {
        Ok(Vec::new())
    } else {
        database.check_and_insert(&recorded).map_err(Arc::new)
    };
    let mut answers = answers.map(Vec::into_iter);
    requests
        .iter()
        .map(|request| match (request, &mut answers) {
            (None, _) => Ok(Accepted::New),
            (Some(_), Err(error)) => Err(SigningError::Database(Arc::clone(error))),
            // One answer for each request; a missing one would mean that nothing is on record.
            (Some(_), Ok(answers)) => answers
                .next()
                .ok_or(SigningError::Stopped)?
                .map_err(|refusal| SigningError::Refused(Box::new(refusal))),
        })
        .collect()
}
