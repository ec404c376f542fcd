//! `/eth/v1/validator/duties`: who does what when. Indices are those of solo validators and of single keys of groups.

use crate::ApiFailure;
use crate::locate::{Reader, check_distance};
use crate::request::{Path, RequestBody};
use crate::respond::{Answer, json, json_located};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use beacon_api::{AttesterDuty, Dependent, ProposerDuty, SyncDuty};
use beacon_chain::{BeaconChain, HeadSnapshot};
use state_transition::StateError;
use state_transition::dvt::accessors::{get_group, get_signer_key};
use state_transition::dvt::duties::{
    check_if_validator_active, get_committee_assignments, get_proposing_signers, is_final_key,
};
use state_transition::dvt::sync_duties::{get_sync_committee_positions, get_sync_committee_pubkey};
use state_transition::helpers::accessors::{get_committee_count_per_slot, get_seed};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use types::constants::{BLS_SCHEME, DOMAIN_SELECTION_PROOF};
use types::{BeaconState, Epoch, Preset, Root, SignerIndex, SignerKey, Slot};

type Context<P> = State<Arc<Reader<P>>>;

pub(super) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/validator/duties/attester/{epoch}", post(attester::<P>))
        .route("/eth/v1/validator/duties/proposer/{epoch}", get(proposer::<P>))
        .route("/eth/v2/validator/duties/proposer/{epoch}", get(proposer::<P>))
        .route("/eth/v1/validator/duties/sync/{epoch}", post(sync::<P>))
}

fn parse_epoch(text: &str) -> Result<Epoch, ApiFailure> {
    text.parse()
        .map_err(|_| ApiFailure::bad_request(format!("epoch {text:?}, expected a number")))
}

/// Duties are known up to the next epoch.
fn check_epoch<P: Preset>(reader: &Reader<P>, epoch: Epoch) -> Result<(), ApiFailure> {
    let latest = reader.chain.current_epoch().saturating_add(1u64);
    if epoch > latest {
        return Err(ApiFailure::bad_request(format!(
            "epoch {epoch} is too far ahead, duties are known up to epoch {latest}"
        )));
    }
    Ok(())
}

/// The state of the head's branch at the start of an epoch that is over.
fn past_state<P: Preset>(chain: &BeaconChain<P>, epoch: Epoch) -> Result<Arc<BeaconState<P>>, ApiFailure> {
    let unknown = || ApiFailure::internal(format!("no state for epoch {epoch}"));
    let slot = epoch.start_slot::<P>();
    let root = chain.canonical_root_at_or_before(slot)?.ok_or_else(unknown)?;
    chain.state_at_slot(&root, slot)?.ok_or_else(unknown)
}

/// A state of the head's branch that knows the committees of `epoch`, and its proposers unless the epoch is over.
fn state_for<P: Preset>(
    chain: &BeaconChain<P>,
    head: &HeadSnapshot<P>,
    epoch: Epoch,
) -> Result<Arc<BeaconState<P>>, ApiFailure> {
    let known = head.state.current_epoch();
    if epoch > known.saturating_add(1u64) {
        let slot = epoch.saturating_sub(1u64).start_slot::<P>();
        // What clients need now is computed however old the head is, once for all: a network that had no blocks for long
        // goes on from there.
        if epoch < chain.current_epoch() {
            check_distance::<P>(head.slot(), slot).map_err(ApiFailure::bad_request)?;
        }
        return chain
            .state_at_slot(&head.root, slot)?
            .ok_or_else(|| ApiFailure::internal(format!("no state for epoch {epoch}")));
    }
    if epoch.saturating_add(1u64) >= known {
        return Ok(Arc::clone(&head.state));
    }
    past_state(chain, epoch)
}

/// An answer about an epoch. What needs another state than the head's takes its turn.
async fn about_epoch<P, F>(reader: &Reader<P>, epoch: Epoch, work: F) -> Answer
where
    P: Preset,
    F: FnOnce(&BeaconChain<P>) -> Answer + Send + 'static,
{
    let known = reader.chain.head().state.current_epoch();
    if (known..=known.saturating_add(1u64)).contains(&epoch) {
        reader.on_worker(work).await
    } else {
        reader.replaying(work).await
    }
}

/// Root of the last block before the epoch before `epoch`: it fixes the duties of `epoch`.
fn dependent_root<P: Preset>(chain: &BeaconChain<P>, epoch: Epoch) -> Result<Root, ApiFailure> {
    let slot = epoch.saturating_sub(1u64).start_slot::<P>().saturating_sub(1u64);
    Ok(chain
        .canonical_root_at_or_before(slot)?
        .unwrap_or_else(|| chain.head().root))
}

async fn attester<P: Preset>(State(reader): Context<P>, Path(epoch): Path<String>, body: RequestBody) -> Answer {
    let epoch = parse_epoch(&epoch)?;
    check_epoch(&reader, epoch)?;
    reader.check_synced()?;
    // Whoever is named twice is told once.
    let indices: BTreeSet<SignerIndex> = body.json::<Vec<_>>().await?.into_iter().collect();
    about_epoch(&reader, epoch, move |chain| {
        let head = chain.head();
        let state = state_for(chain, &head, epoch)?;
        let mut signers = signers_of(&state, epoch, &indices)?;
        // A solo validator that never was a group has had one key only.
        let was_group = |signer: &SignerIndex| get_group(&state, signer.validator()).is_some();
        if signers.keys().any(was_group) {
            let finalized = chain
                .checkpoint_state(head.finalized_checkpoint)?
                .ok_or_else(|| ApiFailure::internal("no state of the finalised checkpoint"))?;
            // What is final may not have the validator yet, nor its key set.
            let is_final = |signer| is_final_key(&state, &finalized, signer, epoch).unwrap_or(false);
            signers.retain(|signer, _| !was_group(signer) || is_final(*signer));
        }
        json(&Dependent {
            dependent_root: dependent_root(chain, epoch)?,
            execution_optimistic: head.execution_optimistic,
            data: attester_duties(&state, epoch, &signers)?,
        })
    })
    .await
}

/// Those of `indices` that somebody signs under in an epoch, with their keys. The others have no duties.
fn signers_of<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
    indices: &BTreeSet<SignerIndex>,
) -> Result<HashMap<SignerIndex, SignerKey>, ApiFailure> {
    let mut signers = HashMap::with_capacity(indices.len());
    for index in indices {
        match check_if_validator_active(state, *index, epoch) {
            Ok(true) => {
                let key = get_signer_key(state, *index, epoch).map_err(ApiFailure::internal)?;
                signers.insert(*index, key);
            }
            Ok(false) | Err(StateError::UnknownValidator { .. }) => {}
            Err(error) => return Err(ApiFailure::internal(error)),
        }
    }
    Ok(signers)
}

fn attester_duties<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
    signers: &HashMap<SignerIndex, SignerKey>,
) -> Result<Vec<AttesterDuty>, ApiFailure> {
    let committees_at_slot = get_committee_count_per_slot(state, epoch).map_err(ApiFailure::internal)?;
    let selection_seed = get_seed(state, epoch, DOMAIN_SELECTION_PROOF).map_err(ApiFailure::internal)?;
    let mut indices: Vec<SignerIndex> = signers.keys().copied().collect();
    indices.sort_unstable();
    let assignments = get_committee_assignments(state, epoch, &indices).map_err(ApiFailure::internal)?;
    Ok(assignments
        .into_iter()
        .filter_map(|assignment| {
            let pubkey = *signers.get(&assignment.signer)?;
            Some(AttesterDuty {
                pubkey,
                validator_index: assignment.signer,
                committee_index: assignment.committee_index,
                committee_length: assignment.seat_count as u64,
                committees_at_slot,
                validator_committee_index: assignment.seat as u64,
                slot: assignment.slot,
                selection_seed: (pubkey.scheme() != BLS_SCHEME).then_some(selection_seed),
            })
        })
        .collect())
}

async fn proposer<P: Preset>(State(reader): Context<P>, Path(epoch): Path<String>) -> Answer {
    let epoch = parse_epoch(&epoch)?;
    check_epoch(&reader, epoch)?;
    reader.check_synced()?;
    about_epoch(&reader, epoch, move |chain| {
        let head = chain.head();
        // The lookahead does not look back.
        let state = if epoch < head.state.current_epoch() {
            past_state(chain, epoch)?
        } else {
            state_for(chain, &head, epoch)?
        };
        let mut duties = Vec::new();
        for offset in 0..P::slots_per_epoch() {
            let slot = epoch.start_slot::<P>().saturating_add(offset);
            if slot == Slot::new(0) {
                continue;
            }
            let keys = get_proposing_signers(&state, slot).map_err(ApiFailure::internal)?;
            duties.extend(keys.into_iter().map(|(validator_index, pubkey)| ProposerDuty {
                pubkey,
                validator_index,
                slot,
            }));
        }
        json(&Dependent {
            dependent_root: dependent_root(chain, epoch)?,
            execution_optimistic: head.execution_optimistic,
            data: duties,
        })
    })
    .await
}

async fn sync<P: Preset>(State(reader): Context<P>, Path(epoch): Path<String>, body: RequestBody) -> Answer {
    let epoch = parse_epoch(&epoch)?;
    reader.check_synced()?;
    let period = |epoch: Epoch| epoch.as_u64() / P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD.max(1);
    let current = period(reader.chain.current_epoch());
    if !(current..=current.saturating_add(1)).contains(&period(epoch)) {
        return Err(ApiFailure::bad_request(format!(
            "epoch {epoch} is neither in the current nor in the next sync committee period"
        )));
    }
    let indices: Vec<SignerIndex> = body.json().await?;
    // The state must be of the period before that of the epoch, or of the same.
    let is_known = move |head: &HeadSnapshot<P>| period(epoch) <= period(head.state.current_epoch()).saturating_add(1);
    let first = Epoch::new(current.saturating_mul(P::EPOCHS_PER_SYNC_COMMITTEE_PERIOD));
    let answer = move |chain: &BeaconChain<P>| {
        let head = chain.head();
        let state = if is_known(&head) {
            Arc::clone(&head.state)
        } else {
            chain
                .state_at_slot(&head.root, first.start_slot::<P>())?
                .ok_or_else(|| ApiFailure::internal("no state of the period"))?
        };
        let positions = get_sync_committee_positions(&state, epoch).map_err(ApiFailure::internal)?;
        let now = chain.current_epoch();
        let indices: BTreeSet<SignerIndex> = indices.into_iter().collect();
        let duties: Vec<SyncDuty> = indices
            .into_iter()
            .filter_map(|validator_index| {
                // An index under which nobody signs has no duties.
                let pubkey = get_sync_committee_pubkey(&state, now, validator_index).ok()??;
                Some(SyncDuty {
                    pubkey: pubkey.into(),
                    validator_index,
                    validator_sync_committee_indices: positions.get(&pubkey)?.clone(),
                })
            })
            .collect();
        json_located(head.execution_optimistic, false, duties)
    };
    if is_known(&reader.chain.head()) {
        reader.on_worker(answer).await
    } else {
        reader.replaying(answer).await
    }
}
