//! Spec: electra/beacon-chain.md#deposits, the mechanism that deposit requests replace.

use crate::epoch::deposits::is_valid_deposit_signature;
use crate::error::StateError;
use crate::helpers::accessors::get_validator_index;
use crate::helpers::mutators::add_validator_to_registry;
use crate::helpers::predicates::is_valid_merkle_branch;
use tree_hash::TreeHash as _;
use types::constants::{DEPOSIT_CONTRACT_TREE_DEPTH, GENESIS_SLOT};
use types::{BeaconState, ChainSpec, Deposit, PendingDeposit, Preset, Root, SafeArith};

/// A deposit is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DepositError {
    /// The deposit is not in the deposit tree where it must be.
    #[error("Merkle proof of deposit {index} does not lead to the deposit root {deposit_root}")]
    Proof {
        /// Number of the deposit.
        index: u64,
        /// Root of the deposit tree.
        deposit_root: Root,
    },
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Spec: electra/beacon-chain.md#process_deposit
pub fn process_deposit<P: Preset>(
    state: &mut BeaconState<P>,
    deposit: &Deposit,
    spec: &ChainSpec,
) -> Result<(), DepositError> {
    let index = state.eth1_deposit_index();
    let deposit_root = state.eth1_data().deposit_root;
    // One level for the length of the list.
    let depth = DEPOSIT_CONTRACT_TREE_DEPTH.safe_add(1).map_err(StateError::from)?;
    if !is_valid_merkle_branch(
        deposit.data.tree_hash_root(),
        &deposit.proof,
        depth,
        index,
        deposit_root,
    ) {
        return Err(DepositError::Proof { index, deposit_root });
    }
    *state.eth1_deposit_index_mut() = index.safe_add(1).map_err(StateError::from)?;
    apply_deposit(state, deposit, spec)?;
    Ok(())
}

/// Spec: electra/beacon-chain.md#modified-apply_deposit
fn apply_deposit<P: Preset>(state: &mut BeaconState<P>, deposit: &Deposit, spec: &ChainSpec) -> Result<(), StateError> {
    let data = &deposit.data;
    if get_validator_index(state, &data.pubkey).is_none() {
        // The deposit contract does not check the signature; a wrong one makes no validator.
        if !is_valid_deposit_signature(
            data.pubkey,
            data.withdrawal_credentials,
            data.amount,
            data.signature,
            spec,
        ) {
            return Ok(());
        }
        add_validator_to_registry(state, data.pubkey, data.withdrawal_credentials, 0)?;
    }
    Ok(state.pending_deposits_mut().push(PendingDeposit {
        pubkey: data.pubkey,
        withdrawal_credentials: data.withdrawal_credentials,
        amount: data.amount,
        signature: data.signature,
        slot: GENESIS_SLOT,
    })?)
}
