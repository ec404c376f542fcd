//! Spec: altair/beacon-chain.md#rewards-and-penalties

use super::summary::{EpochSummary, Status};
use crate::error::{EpochError, StateError};
use crate::helpers::accessors::{base_reward_per_increment, is_genesis_epoch, is_in_inactivity_leak};
use rayon::prelude::*;
use types::constants::{
    PARTICIPATION_FLAG_WEIGHTS, TIMELY_HEAD_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX, WEIGHT_DENOMINATOR,
};
use types::{BeaconState, ChainSpec, Gwei, Preset, SafeArith};

/// What a validator gains and loses by one component, in Gwei.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// Added first.
    pub reward: Gwei,
    /// Subtracted then, down to zero.
    pub penalty: Gwei,
}

/// Rewards and penalties of all validators for their votes in the previous epoch, by component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestationDeltas {
    /// For a timely source.
    pub source: Vec<Delta>,
    /// For a timely target.
    pub target: Vec<Delta>,
    /// For a timely head.
    pub head: Vec<Delta>,
    /// For votes missed while finality is late.
    pub inactivity: Vec<Delta>,
}

/// What the rewards of an epoch depend on, beside the validator.
struct RewardContext {
    base_reward_per_increment: Gwei,
    increment: Gwei,
    /// `active_increments * WEIGHT_DENOMINATOR`
    denominator: u64,
    participating_increments: [u64; 3],
    is_leaking: bool,
    inactivity_denominator: u64,
    /// Rewards and penalties by flag, by increments of the effective balance: there are only some thousand cases.
    by_increments: Vec<[FlagDelta; 3]>,
}

/// The gain of a validator that earned a flag, and the loss of one that did not.
#[derive(Debug, Clone, Copy, Default)]
struct FlagDelta {
    reward: Gwei,
    penalty: Gwei,
}

impl RewardContext {
    fn new<P: Preset>(state: &BeaconState<P>, summary: &EpochSummary, spec: &ChainSpec) -> Result<Self, StateError> {
        let increment = P::EFFECTIVE_BALANCE_INCREMENT;
        let mut participating_increments = [0; 3];
        for (flag_index, increments) in participating_increments.iter_mut().enumerate() {
            *increments = summary.previous_flag_balance::<P>(flag_index).safe_div(increment)?;
        }
        let mut context = Self {
            base_reward_per_increment: base_reward_per_increment::<P>(summary.total_active_balance)?,
            increment,
            denominator: summary
                .total_active_balance
                .safe_div(increment)?
                .safe_mul(WEIGHT_DENOMINATOR)?,
            participating_increments,
            is_leaking: is_in_inactivity_leak(state)?,
            inactivity_denominator: spec
                .inactivity_score_bias
                .safe_mul(P::INACTIVITY_PENALTY_QUOTIENT_BELLATRIX)?,
            by_increments: Vec::new(),
        };
        // Balances beyond the cap are possible in a hand-made state; those are just computed each time.
        let largest = summary
            .max_effective_balance
            .safe_div(increment)?
            .min(MAX_REMEMBERED_INCREMENTS);
        context.by_increments = (0..=largest)
            .map(|increments| context.compute_flag_deltas(increments))
            .collect::<Result<_, _>>()?;
        Ok(context)
    }

    #[inline]
    fn flag_deltas(&self, effective_balance: Gwei) -> Result<[FlagDelta; 3], StateError> {
        let increments = effective_balance.safe_div(self.increment)?;
        match self.by_increments.get(increments as usize) {
            Some(known) => Ok(*known),
            None => self.compute_flag_deltas(increments),
        }
    }

    /// Spec: altair/beacon-chain.md#get_flag_index_deltas
    fn compute_flag_deltas(&self, increments: u64) -> Result<[FlagDelta; 3], StateError> {
        let base_reward = increments.safe_mul(self.base_reward_per_increment)?;
        let mut deltas = [FlagDelta::default(); 3];
        let components = deltas
            .iter_mut()
            .zip(PARTICIPATION_FLAG_WEIGHTS)
            .zip(self.participating_increments)
            .enumerate();
        for (flag_index, ((delta, weight), participating)) in components {
            let weighted = base_reward.safe_mul(weight)?;
            if !self.is_leaking {
                delta.reward = weighted.safe_mul(participating)?.safe_div(self.denominator)?;
            }
            if flag_index != TIMELY_HEAD_FLAG_INDEX {
                delta.penalty = weighted.safe_div(WEIGHT_DENOMINATOR)?;
            }
        }
        Ok(deltas)
    }

    /// The four components of one eligible validator, in the order in which they are applied.
    #[inline]
    fn deltas(&self, status: Status, effective_balance: Gwei, inactivity_score: u64) -> Result<[Delta; 4], StateError> {
        let mut deltas = [Delta::default(); 4];
        let [.., inactivity] = &mut deltas;
        // Spec: bellatrix/beacon-chain.md#modified-get_inactivity_penalty_deltas
        if inactivity_score > 0 && !status.participated(TIMELY_TARGET_FLAG_INDEX) {
            inactivity.penalty = effective_balance
                .safe_mul(inactivity_score)?
                .safe_div(self.inactivity_denominator)?;
        }
        let by_flag = self.flag_deltas(effective_balance)?;
        for (flag_index, (delta, by_flag)) in deltas.iter_mut().zip(by_flag).enumerate() {
            if status.participated(flag_index) {
                delta.reward = by_flag.reward;
            } else {
                delta.penalty = by_flag.penalty;
            }
        }
        Ok(deltas)
    }
}

/// A thread takes at least this many validators at a time.
pub(super) const MIN_VALIDATORS: usize = 1 << 13;

/// More than the largest effective balance in increments, 2048.
const MAX_REMEMBERED_INCREMENTS: u64 = 4096;

/// Spec: altair/beacon-chain.md#modified-process_rewards_and_penalties
pub fn process_rewards_and_penalties<P: Preset>(
    state: &mut BeaconState<P>,
    spec: &ChainSpec,
) -> Result<(), EpochError> {
    let mut summary = EpochSummary::new(state)?;
    process_with(state, &mut summary, spec)?;
    Ok(summary.write_balances(state)?)
}

pub(super) fn process_with<P: Preset>(
    state: &BeaconState<P>,
    summary: &mut EpochSummary,
    spec: &ChainSpec,
) -> Result<(), EpochError> {
    // Rewards are for work done in the previous epoch.
    if is_genesis_epoch(summary.current_epoch) {
        return Ok(());
    }
    summary.read_balances(state)?;
    summary.read_inactivity_scores(state)?;
    let context = RewardContext::new(state, summary, spec)?;
    let changed = summary
        .balances
        .par_iter_mut()
        .zip(&summary.statuses)
        .zip(summary.effective_balances.par_iter().zip(&summary.inactivity_scores))
        .with_min_len(MIN_VALIDATORS)
        .map(|((balance, status), (effective_balance, score))| {
            let before = *balance;
            if status.is_eligible() {
                // One component after the other: a penalty takes what is there, before the next reward comes.
                for delta in context.deltas(*status, *effective_balance, *score)? {
                    *balance = balance.safe_add(delta.reward)?.saturating_sub(delta.penalty);
                }
            }
            Ok::<_, StateError>(usize::from(*balance != before))
        })
        .try_reduce(|| 0, |left, right| Ok(left.saturating_add(right)))?;
    summary.count_changed_balances(changed);
    Ok(())
}

/// The rewards and penalties that [`process_rewards_and_penalties`] would apply, without applying them.
///
/// Also in the genesis epoch, where the transition applies none.
pub fn get_attestation_deltas<P: Preset>(
    state: &BeaconState<P>,
    spec: &ChainSpec,
) -> Result<AttestationDeltas, EpochError> {
    let mut summary = EpochSummary::new(state)?;
    summary.read_inactivity_scores(state)?;
    let context = RewardContext::new(state, &summary, spec)?;
    let mut deltas = AttestationDeltas::default();
    let validators = summary
        .statuses
        .iter()
        .zip(&summary.effective_balances)
        .zip(&summary.inactivity_scores);
    for ((status, effective_balance), score) in validators {
        let [source, target, head, inactivity] = if status.is_eligible() {
            context.deltas(*status, *effective_balance, *score)?
        } else {
            Default::default()
        };
        deltas.source.push(source);
        deltas.target.push(target);
        deltas.head.push(head);
        deltas.inactivity.push(inactivity);
    }
    Ok(deltas)
}

/// What a validator of that effective balance gains if it earns all flags, in Gwei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdealRewards {
    /// In Gwei.
    pub effective_balance: Gwei,
    /// For a timely source.
    pub source: Gwei,
    /// For a timely target.
    pub target: Gwei,
    /// For a timely head.
    pub head: Gwei,
}

/// The ideal rewards of the previous epoch, for each effective balance from one increment to the largest in the registry.
pub fn get_ideal_rewards<P: Preset>(state: &BeaconState<P>, spec: &ChainSpec) -> Result<Vec<IdealRewards>, EpochError> {
    let summary = EpochSummary::new(state)?;
    let context = RewardContext::new(state, &summary, spec)?;
    let largest = summary.max_effective_balance.safe_div(context.increment)?;
    (1..=largest.min(MAX_REMEMBERED_INCREMENTS))
        .map(|increments| {
            let [source, target, head] = context.compute_flag_deltas(increments)?.map(|delta| delta.reward);
            let effective_balance = increments.safe_mul(context.increment)?;
            Ok(IdealRewards {
                effective_balance,
                source,
                target,
                head,
            })
        })
        .collect()
}
