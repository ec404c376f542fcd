//! Spec: capella/beacon-chain.md#new-process_bls_to_execution_change

use crate::error::StateError;
use crate::helpers::accessors::{get_validator, get_validator_mut};
use crate::signatures::Verifier;
use ethereum_hashing::hash_fixed;
use signature_scheme::{SignatureError, SignatureSet};
use types::constants::{BLS_WITHDRAWAL_PREFIX, DOMAIN_BLS_TO_EXECUTION_CHANGE, ETH1_ADDRESS_WITHDRAWAL_PREFIX};
use types::{
    BLSToExecutionChange, BeaconState, ChainSpec, Hash32, Preset, SignedBLSToExecutionChange, ValidatorIndex,
    compute_domain, compute_signing_root,
};

/// A change of withdrawal credentials is invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AddressChangeError {
    /// The credentials are no BLS credentials (any more).
    #[error("withdrawal credentials {0} are not BLS credentials")]
    NotBlsCredentials(Hash32),
    /// Another key than the one that the credentials commit to.
    #[error("key does not match the withdrawal credentials of validator {0}")]
    WrongKey(ValidatorIndex),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The state could not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The signature that must hold for a change of withdrawal credentials.
pub fn check_bls_to_execution_change<P: Preset>(
    state: &BeaconState<P>,
    signed_address_change: &SignedBLSToExecutionChange,
    spec: &ChainSpec,
) -> Result<SignatureSet, AddressChangeError> {
    let address_change = &signed_address_change.message;
    let validator = get_validator(state, address_change.validator_index)?;
    if validator.withdrawal_prefix() != BLS_WITHDRAWAL_PREFIX {
        return Err(AddressChangeError::NotBlsCredentials(validator.withdrawal_credentials));
    }
    let mut expected = hash_fixed(address_change.from_bls_pubkey.as_slice());
    let [prefix, ..] = &mut expected;
    *prefix = BLS_WITHDRAWAL_PREFIX;
    if validator.withdrawal_credentials != Hash32::new(expected) {
        return Err(AddressChangeError::WrongKey(address_change.validator_index));
    }
    let domain = compute_domain(
        DOMAIN_BLS_TO_EXECUTION_CHANGE,
        spec.genesis_fork_version,
        state.genesis_validators_root(),
    );
    Ok(SignatureSet::bls(
        compute_signing_root(address_change, domain),
        address_change.from_bls_pubkey,
        signed_address_change.signature,
    ))
}

/// Spec: capella/beacon-chain.md#new-process_bls_to_execution_change
pub fn process_bls_to_execution_change<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    signed_address_change: &SignedBLSToExecutionChange,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), AddressChangeError> {
    verifier.push(check_bls_to_execution_change(state, signed_address_change, spec)?)?;
    Ok(apply_bls_to_execution_change(state, &signed_address_change.message)?)
}

/// Writes the new withdrawal credentials of a checked change.
pub fn apply_bls_to_execution_change<P: Preset>(
    state: &mut BeaconState<P>,
    address_change: &BLSToExecutionChange,
) -> Result<(), StateError> {
    let mut credentials = Hash32::left_padding_from(address_change.to_execution_address.as_slice());
    if let Some(prefix) = credentials.first_mut() {
        *prefix = ETH1_ADDRESS_WITHDRAWAL_PREFIX;
    }
    get_validator_mut(state, address_change.validator_index)?.withdrawal_credentials = credentials;
    Ok(())
}
