//! Spec: phase0/beacon-chain.md#predicates, with the changes up to Fulu.

use super::misc::get_max_effective_balance;
use ethereum_hashing::hash32_concat;
use types::constants::{ETH1_ADDRESS_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH};
use types::{AttestationData, BeaconState, Epoch, Gwei, Preset, Root, Validator};

/// Spec: phase0/beacon-chain.md#is_active_validator
#[must_use]
pub fn is_active_validator(validator: &Validator, epoch: Epoch) -> bool {
    validator.is_active_at(epoch)
}

/// Spec: electra/beacon-chain.md#modified-is_eligible_for_activation_queue
#[must_use]
pub fn is_eligible_for_activation_queue<P: Preset>(validator: &Validator) -> bool {
    validator.activation_eligibility_epoch == FAR_FUTURE_EPOCH
        && validator.effective_balance >= P::MIN_ACTIVATION_BALANCE
}

/// Spec: phase0/beacon-chain.md#is_eligible_for_activation
#[must_use]
pub fn is_eligible_for_activation<P: Preset>(state: &BeaconState<P>, validator: &Validator) -> bool {
    validator.activation_eligibility_epoch <= state.finalized_checkpoint().epoch
        && validator.activation_epoch == FAR_FUTURE_EPOCH
}

/// Spec: phase0/beacon-chain.md#is_slashable_validator
#[must_use]
pub fn is_slashable_validator(validator: &Validator, epoch: Epoch) -> bool {
    !validator.slashed && validator.activation_epoch <= epoch && epoch < validator.withdrawable_epoch
}

/// Whether one signer of both votes breaks the rules of Casper FFG: a double vote, or a surround vote.
///
/// Spec: phase0/beacon-chain.md#is_slashable_attestation_data
#[must_use]
pub fn is_slashable_attestation_data(data_1: &AttestationData, data_2: &AttestationData) -> bool {
    (data_1 != data_2 && data_1.target.epoch == data_2.target.epoch)
        || (data_1.source.epoch < data_2.source.epoch && data_2.target.epoch < data_1.target.epoch)
}

/// Whether `leaf` stands at `index` of the tree of `depth` with that `root`.
///
/// Spec: phase0/beacon-chain.md#is_valid_merkle_branch
#[must_use]
pub fn is_valid_merkle_branch(leaf: Root, branch: &[Root], depth: usize, index: u64, root: Root) -> bool {
    if branch.len() != depth {
        return false;
    }
    let mut value = leaf.0;
    let mut place = index;
    for sibling in branch {
        value = if place & 1 == 1 {
            hash32_concat(sibling.as_slice(), &value)
        } else {
            hash32_concat(&value, sibling.as_slice())
        };
        place >>= 1;
    }
    value == root.0
}

/// Spec: capella/beacon-chain.md#has_eth1_withdrawal_credential
#[must_use]
pub fn has_eth1_withdrawal_credential(validator: &Validator) -> bool {
    validator.withdrawal_prefix() == ETH1_ADDRESS_WITHDRAWAL_PREFIX
}

/// Spec: electra/beacon-chain.md#new-has_compounding_withdrawal_credential
#[must_use]
pub fn has_compounding_withdrawal_credential(validator: &Validator) -> bool {
    validator.has_compounding_withdrawal_credential()
}

/// Spec: electra/beacon-chain.md#new-has_execution_withdrawal_credential
#[must_use]
pub fn has_execution_withdrawal_credential(validator: &Validator) -> bool {
    validator.has_execution_withdrawal_credential()
}

/// Spec: electra/beacon-chain.md#modified-is_fully_withdrawable_validator
#[must_use]
pub fn is_fully_withdrawable_validator(validator: &Validator, balance: Gwei, epoch: Epoch) -> bool {
    has_execution_withdrawal_credential(validator) && validator.withdrawable_epoch <= epoch && balance > 0
}

/// Spec: electra/beacon-chain.md#modified-is_partially_withdrawable_validator
#[must_use]
pub fn is_partially_withdrawable_validator<P: Preset>(validator: &Validator, balance: Gwei) -> bool {
    let max_effective_balance = get_max_effective_balance::<P>(validator);
    has_execution_withdrawal_credential(validator)
        && validator.effective_balance == max_effective_balance
        && balance > max_effective_balance
}
