//! `networking`: formats/networking.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::{chain_spec, wrong};
use data_columns::{compute_columns_for_custody_group, get_custody_groups};
use serde::Deserialize;
use types::{ForkName, Preset, Uint256};

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

pub(crate) fn run<P: Preset>(handler: &str, directory: &CaseDir) -> Result<(), CaseError> {
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
