//! `operations`: formats/operations.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::{chain_spec, check_change};
use serde::Deserialize;
use state_transition::block::BlockError;
use state_transition::block::execution_payload::process_execution_payload;
use state_transition::block::header::process_block_header;
use state_transition::block::operations::OperationInvalid;
use state_transition::block::operations::address_change::process_bls_to_execution_change;
use state_transition::block::operations::attestation::process_attestation;
use state_transition::block::operations::attester_slashing::process_attester_slashing;
use state_transition::block::operations::deposit::process_deposit;
use state_transition::block::operations::proposer_slashing::process_proposer_slashing;
use state_transition::block::operations::requests::{
    process_consolidation_request, process_deposit_request, process_withdrawal_request,
};
use state_transition::block::operations::voluntary_exit::process_voluntary_exit;
use state_transition::block::sync_aggregate::process_sync_aggregate;
use state_transition::block::withdrawals::process_withdrawals;
use state_transition::dvt::key_set_change::process_key_set_change;
use state_transition::signatures::{ImmediateVerifier, NullVerifier, Verifier};
use types::*;

#[derive(Deserialize)]
struct Execution {
    execution_valid: bool,
}

/// An operation that could not be processed.
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn operation(error: impl Into<OperationInvalid>) -> Refused {
    Refused(error.into().to_string())
}

fn block_part(error: impl Into<BlockError>) -> Refused {
    Refused(error.into().to_string())
}

pub(crate) fn run<P: Preset>(handler: &str, fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    if directory.meta()?.ignores_signatures() {
        run_with::<P, _>(handler, fork, directory, NullVerifier)
    } else {
        run_with::<P, _>(handler, fork, directory, ImmediateVerifier)
    }
}

fn run_with<P: Preset, V: Verifier>(
    handler: &str,
    fork: ForkName,
    directory: &CaseDir,
    mut verifier: V,
) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", fork)?;
    let post: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post", fork)?;
    match handler {
        "attestation" => {
            let attestation: Attestation<P> = directory.ssz_of_fork("attestation", fork)?;
            check_change(&pre, post, |state| {
                process_attestation(state, attestation.to_ref(), &mut verifier, &spec).map_err(operation)
            })
        }
        "attester_slashing" => {
            let slashing: AttesterSlashing<P> = directory.ssz_of_fork("attester_slashing", fork)?;
            check_change(&pre, post, |state| {
                process_attester_slashing(state, slashing.to_ref(), &mut verifier, &spec).map_err(operation)
            })
        }
        "proposer_slashing" => {
            let slashing: ProposerSlashing = directory.ssz_of_fork("proposer_slashing", fork)?;
            check_change(&pre, post, |state| {
                process_proposer_slashing(state, slashing.to_ref(), &mut verifier, &spec).map_err(operation)
            })
        }
        "voluntary_exit" => {
            let exit: SignedVoluntaryExit = directory.ssz_of_fork("voluntary_exit", fork)?;
            check_change(&pre, post, |state| {
                process_voluntary_exit(state, exit.to_ref(), &mut verifier, &spec).map_err(operation)
            })
        }
        "key_set_change" => {
            let change: SignedKeySetChange = directory.ssz("key_set_change")?;
            check_change(&pre, post, |state| {
                process_key_set_change(state, &change, &mut verifier, &spec).map_err(operation)
            })
        }
        "bls_to_execution_change" => {
            let change: SignedBLSToExecutionChange = directory.ssz("address_change")?;
            check_change(&pre, post, |state| {
                process_bls_to_execution_change(state, &change, &mut verifier, &spec).map_err(operation)
            })
        }
        "deposit" => {
            let deposit: Deposit = directory.ssz("deposit")?;
            check_change(&pre, post, |state| {
                process_deposit(state, &deposit, &spec).map_err(operation)
            })
        }
        "deposit_request" => {
            let request: DepositRequest = directory.ssz("deposit_request")?;
            check_change(&pre, post, |state| {
                process_deposit_request(state, &request).map_err(operation)
            })
        }
        "withdrawal_request" => {
            let request: WithdrawalRequest = directory.ssz("withdrawal_request")?;
            check_change(&pre, post, |state| {
                process_withdrawal_request(state, &request, &spec).map_err(operation)
            })
        }
        "consolidation_request" => {
            let request: ConsolidationRequest = directory.ssz("consolidation_request")?;
            check_change(&pre, post, |state| {
                process_consolidation_request(state, &request, &spec).map_err(operation)
            })
        }
        "sync_aggregate" => {
            let sync_aggregate: SyncAggregate<P> = directory.ssz("sync_aggregate")?;
            check_change(&pre, post, |state| {
                process_sync_aggregate(state, &sync_aggregate, &mut verifier, &spec).map_err(block_part)
            })
        }
        "block_header" => {
            let block: BeaconBlock<P> = directory.ssz_of_fork("block", fork)?;
            check_change(&pre, post, |state| {
                process_block_header(state, block.to_ref()).map_err(block_part)
            })
        }
        "withdrawals" => {
            let payload: ExecutionPayload<P> = directory.ssz("execution_payload")?;
            check_change(&pre, post, |state| {
                process_withdrawals(state, &payload.withdrawals).map_err(block_part)
            })
        }
        "execution_payload" => {
            let body: BeaconBlockBody<P> = directory.ssz_of_fork("body", fork)?;
            let Execution { execution_valid } = directory.yaml("execution.yaml")?;
            let (payload, blobs) = match &body {
                BeaconBlockBody::Fulu(body) => (&body.execution_payload, body.blob_kzg_commitments.len()),
                BeaconBlockBody::Dvt(body) => (&body.execution_payload, body.blob_kzg_commitments.len()),
            };
            check_change(&pre, post, |state| {
                process_execution_payload(state, payload, blobs, &spec).map_err(block_part)?;
                // The engine's verdict is asked for outside the transition.
                if execution_valid {
                    Ok(())
                } else {
                    Err(Refused("execution engine refuses the payload".to_owned()))
                }
            })
        }
        other => Err(CaseError::Unknown(format!("operations/{other}"))),
    }
}
