//! Who may build a group's block, and what leaving out its reveal costs.

use super::accessors::get_key_set;
use crate::error::StateError;
use crate::helpers::accessors::{get_base_reward_per_increment, get_seed, get_total_active_balance};
use types::constants::{
    DOMAIN_BEACON_PROPOSER, MAX_LEADER_RANKS, PROPOSER_WEIGHT, RANDAO_OMISSION_FEE_FACTOR, WEIGHT_DENOMINATOR,
};
use types::{BeaconState, ChainSpec, Gwei, Preset, SafeArith, Slot, ValidatorIndex};

/// Place of the key that leads the group `proposer_index` in `slot` with `rank`. `None` for a solo validator, and
/// for a rank that the group does not have.
///
/// Spec: dvt/beacon-chain.md#get_leader_key_index
pub fn get_leader_key_index<P: Preset>(
    state: &BeaconState<P>,
    proposer_index: ValidatorIndex,
    slot: Slot,
    rank: u8,
) -> Result<Option<u8>, StateError> {
    let epoch = slot.epoch::<P>();
    let Some(key_set) = get_key_set(state, proposer_index, epoch)? else {
        return Ok(None);
    };
    let keys = key_set.keys.len() as u8;
    if rank >= group::leader_rank_count(keys, key_set.threshold) {
        return Ok(None);
    }
    let seed = get_seed(state, epoch, DOMAIN_BEACON_PROPOSER)?;
    let rounds = P::SHUFFLE_ROUND_COUNT as u8;
    Ok(group::get_leader_key_index(
        seed,
        slot,
        proposer_index,
        keys,
        rank,
        rounds,
    ))
}

/// The rank with which key `key` leads the group in `slot`; `None` if it does not.
///
/// Spec: dvt/p2p-interface.md#get_leader_rank
pub fn get_leader_rank<P: Preset>(
    state: &BeaconState<P>,
    proposer_index: ValidatorIndex,
    slot: Slot,
    key: u8,
) -> Result<Option<u8>, StateError> {
    for rank in 0..MAX_LEADER_RANKS as u8 {
        if get_leader_key_index(state, proposer_index, slot, rank)? == Some(key) {
            return Ok(Some(rank));
        }
    }
    Ok(None)
}

/// What a group pays for a block without its leader's reveal: twice the ideal proposer reward of a slot. In Gwei.
///
/// Spec: dvt/beacon-chain.md#get_randao_omission_fee
pub fn get_randao_omission_fee<P: Preset>(state: &BeaconState<P>, spec: &ChainSpec) -> Result<Gwei, StateError> {
    let total_active_increments = get_total_active_balance(state, spec)?.safe_div(P::EFFECTIVE_BALANCE_INCREMENT)?;
    let ideal_reward = get_base_reward_per_increment(state, spec)?
        .safe_mul(total_active_increments)?
        .safe_mul(PROPOSER_WEIGHT)?
        .safe_div(WEIGHT_DENOMINATOR)?
        .safe_div(P::slots_per_epoch())?;
    Ok(ideal_reward.safe_mul(RANDAO_OMISSION_FEE_FACTOR)?)
}
