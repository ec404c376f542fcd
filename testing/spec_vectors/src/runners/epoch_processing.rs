//! `epoch_processing`: formats/epoch_processing.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::{chain_spec, check_change, wrong};
use state_transition::EpochError;
use state_transition::epoch::*;
use types::{BeaconState, ChainSpec, ForkName, Preset};

/// A stage of the epoch.
type Stage<P> = fn(&mut BeaconState<P>, &ChainSpec) -> Result<(), EpochError>;

fn stage<P: Preset>(handler: &str) -> Option<Stage<P>> {
    Some(match handler {
        "effective_balance_updates" => process_effective_balance_updates,
        "eth1_data_reset" => process_eth1_data_reset,
        "historical_summaries_update" => process_historical_summaries_update,
        "inactivity_updates" => process_inactivity_updates,
        "justification_and_finalization" => process_justification_and_finalization,
        "participation_flag_updates" => process_participation_flag_updates,
        "pending_consolidations" => process_pending_consolidations,
        "pending_deposits" => process_pending_deposits,
        "proposer_lookahead" => process_proposer_lookahead,
        "randao_mixes_reset" => process_randao_mixes_reset,
        "registry_updates" => process_registry_updates,
        "rewards_and_penalties" => process_rewards_and_penalties,
        "slashings" => process_slashings,
        "slashings_reset" => process_slashings_reset,
        "sync_committee_updates" => process_sync_committee_updates,
        _ => return None,
    })
}

pub(crate) fn run<P: Preset>(handler: &str, fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    let stage = stage::<P>(handler).ok_or_else(|| CaseError::Unknown(format!("epoch_processing/{handler}")))?;
    let _ = directory.meta()?;
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", fork)?;
    let post: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post", fork)?;
    check_change(&pre, post.clone(), |state| stage(state, &spec))?;

    // The whole epoch around the stage.
    let Some(pre_epoch) = directory.optional_ssz_of_fork::<BeaconState<P>>("pre_epoch", fork)? else {
        return Ok(());
    };
    let post_epoch: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post_epoch", fork)?;
    if handler != "effective_balance_updates" {
        return check_change(&pre_epoch, post_epoch, |state| process_epoch(state, &spec));
    }
    // These cases edit validators and their balances before the stage, so that the whole epoch does not lead there. What
    // must hold: the stages before this one lead to all the rest, and those after it to the end of the epoch.
    check_change(&pre_epoch, Some(pre.clone()), |state| {
        process_justification_and_finalization(state, &spec)?;
        process_inactivity_updates(state, &spec)?;
        process_rewards_and_penalties(state, &spec)?;
        process_registry_updates(state, &spec)?;
        process_slashings(state, &spec)?;
        process_eth1_data_reset(state, &spec)?;
        process_pending_deposits(state, &spec)?;
        process_pending_consolidations(state, &spec)?;
        *state.validators_mut() = pre.validators().clone();
        *state.balances_mut() = pre.balances().clone();
        Ok::<(), EpochError>(())
    })?;
    let post = post.ok_or_else(|| wrong("there is a post_epoch without a post"))?;
    check_change(&post, post_epoch, |state| {
        process_slashings_reset(state, &spec)?;
        process_randao_mixes_reset(state, &spec)?;
        process_historical_summaries_update(state, &spec)?;
        process_participation_flag_updates(state, &spec)?;
        process_sync_committee_updates(state, &spec)?;
        process_proposer_lookahead(state, &spec)
    })
}
