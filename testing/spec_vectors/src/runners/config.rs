//! `config`: constants, presets and configuration. A case is one file of names with their values in the text.

use crate::case_dir::{CaseDir, CaseError};
use serde::Deserialize;
use std::collections::BTreeMap;
use types::{ChainSpec, Preset};

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(u64),
    Bytes(String),
}

/// Compares with what this program uses, which is what it tells clients of the Beacon API.
pub(crate) fn run_constants<P: Preset>(directory: &CaseDir) -> Result<(), CaseError> {
    let values: BTreeMap<String, Value> = directory.yaml("data.yaml")?;
    let used = ChainSpec::of_preset(P::NAME).config_and_preset::<P>();
    for (name, value) in values {
        let expected = match value {
            Value::Number(number) => number.to_string(),
            Value::Bytes(bytes) => bytes,
        };
        let found = used.get(&name).and_then(serde_json::Value::as_str);
        if found != Some(&expected) {
            return Err(CaseError::wrong(format!("{name} is {found:?}, expected {expected}")));
        }
    }
    Ok(())
}
