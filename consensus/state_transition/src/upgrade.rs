//! Spec: dvt/fork.md#upgrading-the-state

use crate::caches::pubkeys::get_validator_index;
use crate::error::StateError;
use crate::helpers::accessors::get_current_epoch;
use milhouse::List;
use ssz_types::FixedVector;
use std::sync::Arc;
use types::{BeaconState, BeaconStateDvt, BeaconStateFulu, ChainSpec, Fork, Preset, SignerIndex, SyncCommittee};

/// Turns a Fulu state into one of `dvt`: nobody is a group yet. A state of `dvt` stays as it is.
///
/// Spec: dvt/fork.md#upgrade_to_dvt
pub fn upgrade_to_dvt<P: Preset>(state: &mut BeaconState<P>, spec: &ChainSpec) -> Result<(), StateError> {
    let current_sync_committee_indices = get_sync_committee_indices(state, state.current_sync_committee())?;
    let next_sync_committee_indices = get_sync_committee_indices(state, state.next_sync_committee())?;
    let epoch = get_current_epoch(state);
    let BeaconState::Fulu(pre) = state else {
        return Ok(());
    };
    // Cheap: the big lists are persistent.
    let pre = pre.clone();
    let mut post = into_dvt(pre, current_sync_committee_indices, next_sync_committee_indices);
    post.fork = Fork {
        previous_version: post.fork.current_version,
        current_version: spec.dvt_fork_version,
        epoch,
    };
    *state = BeaconState::Dvt(post);
    Ok(())
}

/// The same state in the layout of `dvt`, without groups and with the fork versions that it had.
fn into_dvt<P: Preset>(
    pre: BeaconStateFulu<P>,
    current_sync_committee_indices: Arc<FixedVector<SignerIndex, P::SyncCommitteeSize>>,
    next_sync_committee_indices: Arc<FixedVector<SignerIndex, P::SyncCommitteeSize>>,
) -> BeaconStateDvt<P> {
    BeaconStateDvt {
        genesis_time: pre.genesis_time,
        genesis_validators_root: pre.genesis_validators_root,
        slot: pre.slot,
        fork: pre.fork,
        latest_block_header: pre.latest_block_header,
        block_roots: pre.block_roots,
        state_roots: pre.state_roots,
        historical_roots: pre.historical_roots,
        eth1_data: pre.eth1_data,
        eth1_data_votes: pre.eth1_data_votes,
        eth1_deposit_index: pre.eth1_deposit_index,
        validators: pre.validators,
        balances: pre.balances,
        randao_mixes: pre.randao_mixes,
        slashings: pre.slashings,
        previous_epoch_participation: pre.previous_epoch_participation,
        current_epoch_participation: pre.current_epoch_participation,
        justification_bits: pre.justification_bits,
        previous_justified_checkpoint: pre.previous_justified_checkpoint,
        current_justified_checkpoint: pre.current_justified_checkpoint,
        finalized_checkpoint: pre.finalized_checkpoint,
        inactivity_scores: pre.inactivity_scores,
        current_sync_committee: pre.current_sync_committee,
        next_sync_committee: pre.next_sync_committee,
        latest_execution_payload_header: pre.latest_execution_payload_header,
        next_withdrawal_index: pre.next_withdrawal_index,
        next_withdrawal_validator_index: pre.next_withdrawal_validator_index,
        historical_summaries: pre.historical_summaries,
        deposit_requests_start_index: pre.deposit_requests_start_index,
        deposit_balance_to_consume: pre.deposit_balance_to_consume,
        exit_balance_to_consume: pre.exit_balance_to_consume,
        earliest_exit_epoch: pre.earliest_exit_epoch,
        consolidation_balance_to_consume: pre.consolidation_balance_to_consume,
        earliest_consolidation_epoch: pre.earliest_consolidation_epoch,
        pending_deposits: pre.pending_deposits,
        pending_partial_withdrawals: pre.pending_partial_withdrawals,
        pending_consolidations: pre.pending_consolidations,
        proposer_lookahead: pre.proposer_lookahead,
        groups: List::empty(),
        previous_group_participation: List::empty(),
        current_group_participation: List::empty(),
        current_sync_committee_indices,
        next_sync_committee_indices,
        caches: pre.caches,
    }
}

/// Who holds each position of a committee that was drawn before there were groups.
fn get_sync_committee_indices<P: Preset>(
    state: &BeaconState<P>,
    committee: &SyncCommittee<P>,
) -> Result<Arc<FixedVector<SignerIndex, P::SyncCommitteeSize>>, StateError> {
    let indices = committee
        .pubkeys
        .iter()
        .map(|pubkey| {
            get_validator_index(state, pubkey)
                .map(SignerIndex::from)
                .ok_or(StateError::UnknownPublicKey { pubkey: *pubkey })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(FixedVector::new(indices)?))
}
