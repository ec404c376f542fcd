//! Who gets the fees, who is alive.

use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::{Path, RequestBody};
use crate::respond::{Answer, done, json_data};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use beacon_api::{Liveness, ProposerPreparation, SignedValidatorRegistration};
use state_transition::dvt::accessors::get_group;
use std::sync::Arc;
use types::{BeaconState, Epoch, Preset, SignerIndex};

type Context<P> = State<Arc<Reader<P>>>;

pub(super) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/validator/prepare_beacon_proposer", post(prepare::<P>))
        .route("/eth/v1/validator/register_validator", post(register))
        .route("/eth/v1/validator/liveness/{epoch}", post(liveness::<P>))
}

/// A member's preparation is for its group: whoever leads it builds the block.
async fn prepare<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let preparations: Vec<ProposerPreparation> = body.json().await?;
    let signers = preparations.iter().map(|preparation| preparation.validator_index);
    reader.intake.attached().note(reader.chain.current_epoch(), signers);
    if let Some(layer) = reader.chain.execution_layer() {
        let prepared = preparations
            .into_iter()
            .map(|preparation| (preparation.validator_index.validator(), preparation.fee_recipient));
        layer.prepare_proposers(reader.chain.current_epoch(), prepared);
    }
    done()
}

/// No builder is asked for blocks; registrations are taken so that clients need no special case.
async fn register(body: RequestBody) -> Answer {
    let registrations: Vec<SignedValidatorRegistration> = body.json_or_ssz_list().await?;
    tracing::trace!(count = registrations.len(), "Registrations for builders are not used");
    done()
}

async fn liveness<P: Preset>(State(reader): Context<P>, Path(epoch): Path<String>, body: RequestBody) -> Answer {
    let epoch: Epoch = epoch
        .parse()
        .map_err(|_| ApiFailure::bad_request(format!("epoch {epoch:?}, expected a number")))?;
    let indices: Vec<SignerIndex> = body.json().await?;
    let head = reader.chain.head();
    let current = reader.chain.current_epoch();
    if epoch > current || epoch.saturating_add(1u64) < current {
        return Err(ApiFailure::bad_request(format!(
            "epoch {epoch} is neither the current epoch {current} nor the one before"
        )));
    }
    let gossip = Arc::clone(reader.intake.gossip());
    reader
        .on_worker(move |_| {
            let data: Vec<Liveness> = indices
                .into_iter()
                .map(|index| Liveness {
                    index,
                    is_live: gossip.has_seen_vote(epoch, index) || has_voted(&head.state, index, epoch),
                })
                .collect();
            json_data(data)
        })
        .await
}

/// Whether a vote of the signer stands in the chain.
fn has_voted<P: Preset>(state: &BeaconState<P>, signer: SignerIndex, epoch: Epoch) -> bool {
    let is_current = epoch == state.current_epoch();
    if !is_current && epoch.saturating_add(1u64) != state.current_epoch() {
        return false;
    }
    let (validator, key) = signer.split();
    let Some(key) = key else {
        let participation = if is_current {
            state.current_epoch_participation()
        } else {
            state.previous_epoch_participation()
        };
        return participation.get(validator.as_usize()).is_some_and(|flags| *flags != 0);
    };
    let words = match state {
        BeaconState::Fulu(_) => return false,
        BeaconState::Dvt(state) if is_current => &state.current_group_participation,
        BeaconState::Dvt(state) => &state.previous_group_participation,
    };
    const COMPONENTS: [u32; 3] = [0, 16, 32];
    get_group(state, validator)
        .and_then(|(place, _)| words.get(place).copied())
        .is_some_and(|word| {
            COMPONENTS
                .iter()
                .any(|shift| (word >> shift.saturating_add(u32::from(key))) & 1 == 1)
        })
}
