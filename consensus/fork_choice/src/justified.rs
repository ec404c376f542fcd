//! What fork choice needs of the justified checkpoint's state.

use crate::ForkChoiceError;
use std::collections::BTreeMap;
use types::{BeaconState, Checkpoint, Epoch, Gwei, KeySet, Preset, SafeArith, ValidatorIndex};

/// Balances and key sets of the state at the justified checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JustifiedState {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Effective balance of each active and unslashed registry entry, 0 for the others. In Gwei.
    pub(crate) effective_balances: Vec<Gwei>,
    /// Spec: phase0/beacon-chain.md#get_total_active_balance
    pub(crate) total_active_balance: Gwei,
    /// Key sets of all entries that are, were or become groups.
    pub(crate) key_sets: BTreeMap<ValidatorIndex, Vec<KeySet>>,
}

/// Who votes for a registry entry in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voters {
    /// Nobody: the key sets of that epoch are gone, or not yet there.
    Nobody,
    /// `n` keys, of which `m` must agree.
    Group { n: u8, m: u8 },
    /// The registry key.
    Solo,
}

impl JustifiedState {
    /// Takes what fork choice needs from `state`, the state of `checkpoint` at its epoch's first slot.
    pub fn new<P: Preset>(checkpoint: Checkpoint, state: &BeaconState<P>) -> Result<Self, ForkChoiceError> {
        let epoch = state.current_epoch();
        let mut total = 0u64;
        let mut effective_balances = Vec::with_capacity(state.validators().len());
        for validator in state.validators() {
            let active = validator.is_active_at(epoch);
            if active {
                total.safe_add_assign(validator.effective_balance)?;
            }
            let counts = active && !validator.slashed;
            effective_balances.push(if counts { validator.effective_balance } else { 0 });
        }
        let key_sets = state
            .groups()
            .into_iter()
            .flatten()
            .map(|group| (group.validator_index, group.key_sets.to_vec()))
            .collect();
        Ok(Self {
            checkpoint,
            effective_balances,
            total_active_balance: total.max(P::EFFECTIVE_BALANCE_INCREMENT),
            key_sets,
        })
    }

    /// Spec: phase0/fork-choice.md#calculate_committee_fraction
    pub(crate) fn calculate_committee_fraction<P: Preset>(
        &self,
        committee_percent: u64,
    ) -> Result<Gwei, ForkChoiceError> {
        let committee_weight = self.total_active_balance.safe_div(P::slots_per_epoch())?;
        Ok(committee_weight.safe_mul(committee_percent)?.safe_div(100)?)
    }

    pub(crate) fn voters(&self, index: ValidatorIndex, epoch: Epoch) -> Voters {
        let Some(key_sets) = self.key_sets.get(&index) else {
            return Voters::Solo;
        };
        match group::get_key_set(key_sets, epoch) {
            None => Voters::Nobody,
            Some(key_set) if key_set.is_solo() => Voters::Solo,
            Some(key_set) => Voters::Group {
                n: key_set.keys.len() as u8,
                m: key_set.threshold,
            },
        }
    }
}
