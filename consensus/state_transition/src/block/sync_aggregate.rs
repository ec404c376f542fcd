//! Spec: dvt/beacon-chain.md#sync-aggregate-processing

use crate::dvt::sync_committee::{RunTerms, get_sync_committee_runs};
use crate::error::StateError;
use crate::helpers::accessors::{
    get_base_reward_per_increment, get_beacon_proposer_index, get_block_root_at_slot, get_domain,
    get_total_active_balance, get_validator_index,
};
use crate::helpers::mutators::{decrease_balance, increase_balance};
use crate::signatures::Verifier;
use group::SyncRun;
use signature_scheme::{SignatureError, SignatureSet};
use types::constants::{DOMAIN_SYNC_COMMITTEE, PROPOSER_WEIGHT, SYNC_REWARD_WEIGHT, WEIGHT_DENOMINATOR};
use types::{
    ArithError, BeaconState, ChainSpec, Gwei, Leaf, Preset, SafeArith, SchemeProofs, SignerKey, SyncAggregate,
    compute_signing_root,
};

/// A sync aggregate is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SyncAggregateError {
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<ArithError> for SyncAggregateError {
    fn from(error: ArithError) -> Self {
        Self::State(error.into())
    }
}

/// The signature of an aggregate for the block before the state's slot. Nobody's signature is the point at infinity.
pub fn sync_aggregate_signature_set<P: Preset>(
    state: &BeaconState<P>,
    sync_aggregate: &SyncAggregate<P>,
) -> Result<SignatureSet, StateError> {
    let previous_slot = state.slot().saturating_sub(1u64);
    let domain = get_domain(state, DOMAIN_SYNC_COMMITTEE, Some(previous_slot.epoch::<P>()));
    let signers = state
        .current_sync_committee()
        .pubkeys
        .iter()
        .zip(sync_aggregate.sync_committee_bits.iter())
        .filter(|(_, bit)| *bit)
        .map(|(pubkey, _)| SignerKey::from(*pubkey))
        .collect();
    Ok(SignatureSet {
        signing_root: compute_signing_root(&get_block_root_at_slot(state, previous_slot)?, domain),
        leaf: Leaf::None,
        signers,
        signature: sync_aggregate.sync_committee_signature,
        proofs: SchemeProofs::empty(),
    })
}

/// What one position earns its holder, and what it earns the proposer, in Gwei.
///
/// Spec: altair/beacon-chain.md#process_sync_aggregate
pub fn compute_sync_aggregate_rewards<P: Preset>(
    state: &BeaconState<P>,
    spec: &ChainSpec,
) -> Result<(Gwei, Gwei), StateError> {
    let total_active_increments = get_total_active_balance(state, spec)?.safe_div(P::EFFECTIVE_BALANCE_INCREMENT)?;
    let total_base_rewards = get_base_reward_per_increment(state, spec)?.safe_mul(total_active_increments)?;
    let max_participant_rewards = total_base_rewards
        .safe_mul(SYNC_REWARD_WEIGHT)?
        .safe_div(WEIGHT_DENOMINATOR)?
        .safe_div(P::slots_per_epoch())?;
    let participant_reward = max_participant_rewards.safe_div(P::SYNC_COMMITTEE_SIZE)?;
    let proposer_reward = participant_reward
        .safe_mul(PROPOSER_WEIGHT)?
        .safe_div(WEIGHT_DENOMINATOR.safe_sub(PROPOSER_WEIGHT)?)?;
    Ok((participant_reward, proposer_reward))
}

/// Runs of the current committee. Before the fork each position is a run of its own, found by public key.
fn runs<P: Preset>(state: &BeaconState<P>) -> Result<Vec<RunTerms>, StateError> {
    if matches!(state, BeaconState::Dvt(_)) {
        return get_sync_committee_runs(state);
    }
    state
        .current_sync_committee()
        .pubkeys
        .iter()
        .enumerate()
        .map(|(start, pubkey)| {
            let validator =
                get_validator_index(state, pubkey).ok_or(StateError::UnknownPublicKey { pubkey: *pubkey })?;
            let run = SyncRun {
                validator,
                start,
                len: 1,
                is_group: false,
            };
            Ok(RunTerms {
                run,
                keys: 1,
                threshold: 1,
                is_accountable: true,
            })
        })
        .collect()
}

/// Spec: dvt/beacon-chain.md#process_sync_aggregate
pub fn process_sync_aggregate<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    sync_aggregate: &SyncAggregate<P>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), SyncAggregateError> {
    if !V::IS_NULL {
        verifier.push(sync_aggregate_signature_set(state, sync_aggregate)?)?;
    }
    let (participant_reward, proposer_reward) = compute_sync_aggregate_rewards(state, spec)?;
    let proposer_index = get_beacon_proposer_index(state)?;

    // In the order of positions: a balance that reaches zero in between makes a difference.
    for RunTerms {
        run,
        keys,
        threshold,
        is_accountable,
    } in runs(state)?
    {
        let positions = run.start..run.start.safe_add(run.len)?;
        let signed = positions
            .filter(|position| sync_aggregate.sync_committee_bits.get(*position).unwrap_or(false))
            .count();
        if is_accountable {
            let amount = participant_reward.safe_mul(run.len as u64)?;
            if group::is_sync_run_paid(signed, run.len, keys, threshold) {
                increase_balance(state, run.validator, amount)?;
            } else {
                decrease_balance(state, run.validator, amount)?;
            }
        }
        increase_balance(state, proposer_index, proposer_reward.safe_mul(signed as u64)?)?;
    }
    Ok(())
}
