//! `networking`: formats/networking; and with groups the functions of dvt/p2p-interface.md and custody.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::questions::{check, check_state};
use crate::runners::{chain_spec, wrong};
use data_columns::{compute_columns_for_custody_group, get_custody_groups};
use serde::Deserialize;
use signature_scheme::verify;
use state_transition::block::header::block_header_signature_set;
use state_transition::dvt::duties::get_validators_custody_requirement;
use state_transition::dvt::signers::{Quorum, SignersError};
use types::{BeaconState, ChainSpec, Epoch, ForkName, Preset, SignedBeaconBlockHeader, SignerIndex, Uint256, Version};

/// Node ids are integers of 256 bits, longer than YAML's.
struct NodeId(Uint256);

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
struct GetCustodyGroups {
    node_id: NodeId,
    custody_group_count: u64,
    result: Vec<u64>,
}

#[derive(Deserialize)]
struct ComputeColumns {
    custody_group: u64,
    result: Vec<u64>,
}

#[derive(Deserialize)]
struct AttachedSigners {
    epoch: Epoch,
    signer_indices: Vec<SignerIndex>,
}

/// Name of a file, without ending.
#[derive(Deserialize)]
struct File {
    file: String,
}

#[derive(Deserialize)]
struct InEpoch {
    epoch: Epoch,
}

#[derive(Deserialize)]
struct OfRank {
    rank: u8,
}

pub(crate) fn run<P: Preset>(handler: &str, fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    match handler {
        "get_validators_custody_requirement" => {
            let spec = chain_spec::<P>(fork);
            check_state(fork, directory, |state: &BeaconState<P>, asked: &AttachedSigners| {
                let signers = asked.signer_indices.iter().copied();
                Ok(Some(get_validators_custody_requirement(
                    state,
                    asked.epoch,
                    signers,
                    &spec,
                )))
            })
        }
        "verify_single_signer" => check_state(fork, directory, |state: &BeaconState<P>, asked: &File| {
            let header: SignedBeaconBlockHeader = directory.ssz_of_fork(&asked.file, fork)?;
            match block_header_signature_set(state, header.to_ref(), Quorum::Single) {
                Ok(set) => Ok(Some(verify(&set).is_ok())),
                Err(SignersError::State(_)) => Ok(None),
                Err(_) => Ok(Some(false)),
            }
        }),
        "compute_fork_version" => {
            let spec = configuration::<P>(directory)?;
            check(directory, |asked: &InEpoch| -> Result<Option<Version>, CaseError> {
                Ok(Some(spec.compute_fork_version(asked.epoch)))
            })
        }
        "get_leader_due_ms" => {
            let spec = configuration::<P>(directory)?;
            check(directory, |asked: &OfRank| Ok(Some(spec.get_leader_due_ms(asked.rank))))
        }
        handler => run_official::<P>(handler, directory),
    }
}

/// The configuration of the preset, or what the case has in its place.
fn configuration<P: Preset>(directory: &CaseDir) -> Result<ChainSpec, CaseError> {
    if directory.has("config.yaml") {
        ChainSpec::from_yaml(&directory.text("config.yaml")?).map_err(wrong)
    } else {
        Ok(ChainSpec::of_preset(P::NAME))
    }
}

fn run_official<P: Preset>(handler: &str, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(ForkName::Fulu);
    let (found, expected) = match handler {
        "get_custody_groups" => {
            let case: GetCustodyGroups = directory.yaml("meta.yaml")?;
            (
                get_custody_groups(case.node_id.0, case.custody_group_count, &spec).map_err(wrong)?,
                case.result,
            )
        }
        "compute_columns_for_custody_group" => {
            let case: ComputeColumns = directory.yaml("meta.yaml")?;
            (
                compute_columns_for_custody_group::<P>(case.custody_group, &spec).map_err(wrong)?,
                case.result,
            )
        }
        other => return Err(CaseError::Unknown(format!("networking/{other}"))),
    };
    if found == expected {
        Ok(())
    } else {
        Err(CaseError::wrong(format!("{found:?}, expected {expected:?}")))
    }
}
