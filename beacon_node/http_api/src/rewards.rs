//! `/eth/v1/beacon/rewards`: what duties paid, computed again from the states.

use crate::ApiFailure;
use crate::committees::sync_committee_signers;
use crate::locate::{FoundState, Reader};
use crate::request::{Path, RequestBody};
use crate::respond::{Answer, json_located};
use crate::validators::signers;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use beacon_api::{
    AttestationRewards, BlockRewards, IdealAttestationReward, SyncCommitteeReward, TotalAttestationReward, ValidatorId,
};
use beacon_chain::BeaconChain;
use state_transition::NullVerifier;
use state_transition::block::operations::attestation::process_attestation;
use state_transition::block::operations::attester_slashing::process_attester_slashing;
use state_transition::block::operations::proposer_slashing::process_proposer_slashing;
use state_transition::block::sync_aggregate::compute_sync_aggregate_rewards;
use state_transition::dvt::sync_committee::get_sync_committee_runs;
use state_transition::epoch::{
    Delta, get_attestation_deltas, get_ideal_rewards, process_inactivity_updates,
    process_justification_and_finalization,
};
use state_transition::helpers::accessors::get_balance;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use types::{BeaconState, Epoch, Gwei, Preset, SignedBeaconBlock, SignerIndex, ValidatorIndex};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/beacon/rewards/attestations/{epoch}", post(attestations::<P>))
        .route("/eth/v1/beacon/rewards/blocks/{block_id}", get(block::<P>))
        .route(
            "/eth/v1/beacon/rewards/sync_committee/{block_id}",
            post(sync_committee::<P>),
        )
}

/// Gwei with a sign. Amounts of single duties are far below the limit.
fn signed(gwei: Gwei) -> i64 {
    i64::try_from(gwei).unwrap_or(i64::MAX)
}

fn net(delta: Option<&Delta>) -> i64 {
    delta.map_or(0, |delta| signed(delta.reward).saturating_sub(signed(delta.penalty)))
}

async fn attestations<P: Preset>(State(reader): Context<P>, Path(epoch): Path<String>, body: RequestBody) -> Answer {
    let epoch: Epoch = epoch
        .parse()
        .map_err(|error| ApiFailure::bad_request(format!("epoch in the path: {error}")))?;
    let ids: Vec<ValidatorId> = body.optional_json().await?.unwrap_or_default();
    // Votes count until the end of the next epoch, and are paid then.
    let paid_at = epoch.saturating_add(1u64).end_slot::<P>();
    if paid_at >= reader.chain.current_slot() {
        return Err(ApiFailure::not_found(format!(
            "attestations of epoch {epoch} are paid at the end of slot {paid_at}, which is not over"
        )));
    }
    let found = reader.state(&paid_at.to_string()).await?;
    let place = (found.execution_optimistic, found.finalized);
    let wanted: Option<Vec<SignerIndex>> = if ids.is_empty() {
        None
    } else {
        // A key of a group may have come into force since: the head knows it, too.
        let head = reader.head_state();
        let of_then = reader
            .with_identities(&found, {
                let ids = ids.clone();
                move |_, identities| Ok(signers(identities, ids))
            })
            .await?;
        let of_now = reader
            .with_identities(&head, move |_, identities| Ok(signers(identities, ids)))
            .await?;
        Some(of_then.into_iter().chain(of_now).collect())
    };
    reader
        .replaying(move |chain| json_located(place.0, place.1, attestation_rewards(chain, &found, wanted)?))
        .await
}

fn attestation_rewards<P: Preset>(
    chain: &BeaconChain<P>,
    found: &FoundState<P>,
    wanted: Option<Vec<SignerIndex>>,
) -> Result<AttestationRewards, ApiFailure> {
    let spec = chain.spec();
    let mut state = BeaconState::clone(&found.state);
    // The stages of the epoch's end that come before the rewards, and that they depend on.
    process_justification_and_finalization(&mut state, spec).map_err(ApiFailure::internal)?;
    process_inactivity_updates(&mut state, spec).map_err(ApiFailure::internal)?;
    let deltas = get_attestation_deltas(&state, spec).map_err(ApiFailure::internal)?;
    let ideal_rewards = get_ideal_rewards(&state, spec)
        .map_err(ApiFailure::internal)?
        .into_iter()
        .map(|ideal| IdealAttestationReward {
            effective_balance: ideal.effective_balance,
            head: signed(ideal.head),
            target: signed(ideal.target),
            source: signed(ideal.source),
            inclusion_delay: 0,
            inactivity: 0,
        })
        .collect();
    let indices: Vec<usize> = match wanted {
        None => (0..deltas.source.len()).collect(),
        Some(wanted) => {
            let mut seen = HashSet::new();
            wanted
                .into_iter()
                .filter_map(|index| usize::try_from(index.validator().as_u64()).ok())
                .filter(|index| *index < deltas.source.len() && seen.insert(*index))
                .collect()
        }
    };
    let total_rewards = indices
        .into_iter()
        .map(|index| TotalAttestationReward {
            validator_index: ValidatorIndex::new(index as u64),
            head: net(deltas.head.get(index)),
            target: net(deltas.target.get(index)),
            source: net(deltas.source.get(index)),
            inclusion_delay: 0,
            inactivity: net(deltas.inactivity.get(index)),
        })
        .collect();
    Ok(AttestationRewards {
        ideal_rewards,
        total_rewards,
    })
}

/// The state that a block was applied to: its parent's, at the block's slot.
fn state_before<P: Preset>(
    chain: &BeaconChain<P>,
    block: &SignedBeaconBlock<P>,
) -> Result<Arc<BeaconState<P>>, ApiFailure> {
    let unknown = || ApiFailure::not_found(format!("the state before block {} is not known", block.block_root()));
    if block.slot().as_u64() == 0 {
        return Err(ApiFailure::not_found("the genesis block pays nothing"));
    }
    chain
        .state_at_slot(&block.parent_root(), block.slot())?
        .ok_or_else(unknown)
}

async fn block<P: Preset>(State(reader): Context<P>, Path(block_id): Path<String>) -> Answer {
    let found = reader.block(&block_id).await?;
    let block = Arc::clone(&found.block);
    let rewards = reader.replaying(move |chain| block_rewards(chain, &block)).await?;
    json_located(found.execution_optimistic, found.finalized, rewards)
}

fn block_rewards<P: Preset>(chain: &BeaconChain<P>, block: &SignedBeaconBlock<P>) -> Result<BlockRewards, ApiFailure> {
    let spec = chain.spec();
    let proposer_index = block.message().proposer_index();
    let mut state = BeaconState::clone(&*state_before(chain, block)?);
    let message = block.message();
    let body = message.body();
    let (_, per_signature) = compute_sync_aggregate_rewards(&state, spec).map_err(ApiFailure::internal)?;
    let signatures = body.sync_aggregate().sync_committee_bits.num_set_bits() as u64;
    let balance = |state: &BeaconState<P>| get_balance(state, proposer_index).map_err(ApiFailure::internal);

    let start = balance(&state)?;
    for slashing in body.proposer_slashings() {
        process_proposer_slashing(&mut state, slashing, &mut NullVerifier, spec).map_err(ApiFailure::internal)?;
    }
    let after_proposer_slashings = balance(&state)?;
    for slashing in body.attester_slashings() {
        process_attester_slashing(&mut state, slashing, &mut NullVerifier, spec).map_err(ApiFailure::internal)?;
    }
    let after_attester_slashings = balance(&state)?;
    for attestation in body.attestations() {
        process_attestation(&mut state, attestation, &mut NullVerifier, spec).map_err(ApiFailure::internal)?;
    }
    // A proposer that is slashed by its own block loses more than it gets: its reward is shown as nothing.
    let attestations = balance(&state)?.saturating_sub(after_attester_slashings);
    let attester_slashings = after_attester_slashings.saturating_sub(after_proposer_slashings);
    let proposer_slashings = after_proposer_slashings.saturating_sub(start);
    let sync_aggregate = per_signature.saturating_mul(signatures);
    let total = [attestations, sync_aggregate, proposer_slashings, attester_slashings]
        .into_iter()
        .fold(0, Gwei::saturating_add);
    Ok(BlockRewards {
        proposer_index,
        total,
        attestations,
        sync_aggregate,
        proposer_slashings,
        attester_slashings,
    })
}

async fn sync_committee<P: Preset>(
    State(reader): Context<P>,
    Path(block_id): Path<String>,
    body: RequestBody,
) -> Answer {
    let ids: Vec<ValidatorId> = body.optional_json().await?.unwrap_or_default();
    let found = reader.block(&block_id).await?;
    let block = Arc::clone(&found.block);
    let (state, mut rewards) = reader
        .replaying(move |chain| {
            let state = state_before(chain, &block)?;
            let rewards = sync_committee_rewards(chain, &state, &block)?;
            Ok((state, rewards))
        })
        .await?;
    if !ids.is_empty() {
        let before = FoundState {
            key_epoch: state.current_epoch(),
            state,
            execution_optimistic: found.execution_optimistic,
            finalized: found.finalized,
        };
        let wanted: HashSet<SignerIndex> = reader
            .with_identities(&before, move |_, identities| {
                // A committee outlives a change of keys: its members are known by the index that they had.
                let by_index = ids.iter().filter_map(|id| match id {
                    ValidatorId::Index(index) => Some(*index),
                    ValidatorId::PublicKey(_) => None,
                });
                let by_index: Vec<SignerIndex> = by_index.collect();
                Ok(signers(identities, ids).into_iter().chain(by_index).collect())
            })
            .await?;
        rewards.retain(|reward| wanted.contains(&reward.validator_index));
    }
    json_located(found.execution_optimistic, found.finalized, rewards)
}

/// What each member got for a block, over all of its positions, in Gwei. Positions of a group are paid or penalised
/// together, by its threshold.
fn sync_committee_rewards<P: Preset>(
    chain: &BeaconChain<P>,
    state: &BeaconState<P>,
    block: &SignedBeaconBlock<P>,
) -> Result<Vec<SyncCommitteeReward>, ApiFailure> {
    let (per_position, _) = compute_sync_aggregate_rewards(state, chain.spec()).map_err(ApiFailure::internal)?;
    let per_position = signed(per_position);
    let message = block.message();
    let bits = &message.body().sync_aggregate().sync_committee_bits;
    let has_signed = |position: usize| bits.get(position).unwrap_or(false);
    let members = sync_committee_signers(state, None)?;
    let mut rewards: BTreeMap<SignerIndex, i64> = BTreeMap::new();
    let mut pay = |position: usize, amount: i64| {
        if let Some(member) = members.get(position) {
            let reward = rewards.entry(*member).or_default();
            *reward = reward.saturating_add(amount);
        }
    };
    match state {
        BeaconState::Fulu(_) => {
            for position in 0..members.len() {
                pay(
                    position,
                    if has_signed(position) {
                        per_position
                    } else {
                        -per_position
                    },
                );
            }
        }
        BeaconState::Dvt(_) => {
            for terms in get_sync_committee_runs(state).map_err(ApiFailure::internal)? {
                let positions = terms.run.start..terms.run.start + terms.run.len;
                let count = positions.clone().filter(|position| has_signed(*position)).count();
                let is_paid = group::is_sync_run_paid(count, terms.run.len, terms.keys, terms.threshold);
                let amount = match (terms.is_accountable, is_paid) {
                    (false, _) => 0,
                    (true, true) => per_position,
                    (true, false) => -per_position,
                };
                positions.for_each(|position| pay(position, amount));
            }
        }
    }
    Ok(rewards
        .into_iter()
        .map(|(validator_index, reward)| SyncCommitteeReward {
            validator_index,
            reward,
        })
        .collect())
}
