//! `merkle_proof` and `light_client/single_merkle_proof`: formats/light_client/single_merkle_proof.

use crate::case_dir::{CaseDir, CaseError};
use serde::Deserialize;
use state_transition::helpers::predicates::is_valid_merkle_branch;
use tree_hash::TreeHash as _;
use types::{BeaconBlockBody, BeaconState, ForkName, Preset, Root};

#[derive(Deserialize)]
struct Proof {
    leaf: Root,
    leaf_index: u64,
    branch: Vec<Root>,
}

/// Suites are named after the object's type.
pub(crate) fn run<P: Preset>(object: &str, fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let _ = directory.meta()?;
    let Proof {
        leaf,
        leaf_index,
        branch,
    } = directory.yaml("proof.yaml")?;
    let (root, leaf_of_object) = match object {
        "BeaconState" => {
            let state: BeaconState<P> = directory.ssz_of_fork("object", fork)?;
            (state.tree_hash_root(), state_leaf(&state, leaf_index))
        }
        "BeaconBlockBody" => {
            let body: BeaconBlockBody<P> = directory.ssz_of_fork("object", fork)?;
            (body.tree_hash_root(), body_leaf(&body, leaf_index))
        }
        other => return Err(CaseError::Unknown(format!("single_merkle_proof of {other}"))),
    };
    let Some(leaf_of_object) = leaf_of_object else {
        return Err(CaseError::Unknown(format!(
            "generalized index {leaf_index} of {object}"
        )));
    };
    if leaf_of_object != leaf {
        return Err(CaseError::wrong(format!("leaf is {leaf_of_object}, expected {leaf}")));
    }
    let depth = leaf_index.ilog2();
    let index = leaf_index - (1 << depth);
    if !is_valid_merkle_branch(leaf, &branch, depth as usize, index, root) {
        return Err(CaseError::wrong("branch does not lead to the object's root"));
    }
    Ok(())
}

/// What light clients prove of a state.
fn state_leaf<P: Preset>(state: &BeaconState<P>, leaf_index: u64) -> Option<Root> {
    Some(match leaf_index {
        // FINALIZED_ROOT_GINDEX_ELECTRA
        169 => state.finalized_checkpoint().root,
        // CURRENT_SYNC_COMMITTEE_GINDEX_ELECTRA
        86 => state.current_sync_committee().tree_hash_root(),
        // NEXT_SYNC_COMMITTEE_GINDEX_ELECTRA
        87 => state.next_sync_committee().tree_hash_root(),
        _ => return None,
    })
}

/// What light clients and sidecars prove of a body.
fn body_leaf<P: Preset>(body: &BeaconBlockBody<P>, leaf_index: u64) -> Option<Root> {
    Some(match leaf_index {
        // EXECUTION_PAYLOAD_GINDEX
        25 => body.execution_payload().tree_hash_root(),
        // blob_kzg_commitments
        27 => body.blob_kzg_commitments().tree_hash_root(),
        _ => return None,
    })
}
