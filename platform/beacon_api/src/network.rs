//! Telling networks apart.

use crate::{ApiError, BeaconClient, Genesis};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;

/// Values of the configuration by which networks differ, beside those of each fork.
const NETWORK_KEYS: [&str; 5] = [
    "PRESET_BASE",
    "SLOT_DURATION_MS",
    "SECONDS_PER_SLOT",
    "DEPOSIT_CHAIN_ID",
    "DEPOSIT_CONTRACT_ADDRESS",
];

/// Somebody is of another network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("another network: {what} is {found}, expected {expected}")]
pub struct OtherNetwork {
    /// What tells it.
    pub what: String,
    /// Theirs.
    pub found: String,
    /// Ours.
    pub expected: String,
}

/// Compares one value.
pub fn same_network<T: PartialEq + Display>(what: &str, found: T, expected: T) -> Result<(), OtherNetwork> {
    if found == expected {
        Ok(())
    } else {
        Err(OtherNetwork {
            what: what.to_owned(),
            found: found.to_string(),
            expected: expected.to_string(),
        })
    }
}

/// What both sides know of their network has to be the same. What one of them does not know is no contradiction.
pub fn same_configuration(
    theirs: &BTreeMap<String, Value>,
    ours: &BTreeMap<String, Value>,
) -> Result<(), OtherNetwork> {
    for (key, own) in ours {
        let is_compared =
            NETWORK_KEYS.contains(&key.as_str()) || key.ends_with("_FORK_EPOCH") || key.ends_with("_FORK_VERSION");
        if let Some(their) = theirs.get(key).filter(|_| is_compared) {
            same_network(&format!("{key} of its configuration"), text(their), text(own))?;
        }
    }
    Ok(())
}

/// A value as text: some nodes give numbers, and addresses have capitals or not.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    }
}

/// What a network is known by.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its genesis.
    pub genesis: Genesis,
    /// Its configuration, as `/eth/v1/config/spec` has it.
    pub configuration: BTreeMap<String, Value>,
}

impl Network {
    /// The network of a node.
    pub async fn of_node(node: &BeaconClient) -> Result<Self, ApiError> {
        Ok(Self {
            genesis: node.genesis().await?,
            configuration: node.config_spec().await?,
        })
    }

    /// Whether it is the one that is expected.
    pub fn same_as(&self, expected: &Self) -> Result<(), OtherNetwork> {
        let (found, own) = (&self.genesis, &expected.genesis);
        same_network(
            "genesis validators root",
            found.genesis_validators_root,
            own.genesis_validators_root,
        )?;
        same_network(
            "genesis fork version",
            found.genesis_fork_version,
            own.genesis_fork_version,
        )?;
        same_network("genesis time", found.genesis_time, own.genesis_time)?;
        same_configuration(&self.configuration, &expected.configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::{ChainSpec, Minimal, PresetName, Root, Version};

    fn values(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect()
    }

    #[test]
    fn a_configuration_of_another_network_is_refused_with_both_values() {
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let ours = spec.config_and_preset::<Minimal>();
        same_configuration(&ours, &ours).unwrap();
        same_configuration(&BTreeMap::new(), &ours).unwrap();
        // Numbers instead of texts, other capitals, and what is of no account here.
        let slot_ms = spec.slot_duration_ms;
        let address = spec.deposit_contract_address.to_string().to_uppercase();
        let theirs = values(&[
            ("SLOT_DURATION_MS", json!(slot_ms)),
            ("DEPOSIT_CONTRACT_ADDRESS", json!(address.replace("0X", "0x"))),
            ("TARGET_AGGREGATORS_PER_COMMITTEE", json!("99")),
            ("GLOAS_FORK_EPOCH", json!("3")),
        ]);
        same_configuration(&theirs, &ours).unwrap();
        for (key, their) in [
            ("SLOT_DURATION_MS", "1234"),
            ("SECONDS_PER_SLOT", "99"),
            ("DEPOSIT_CHAIN_ID", "77"),
            ("DEPOSIT_CONTRACT_ADDRESS", "0x9999999999999999999999999999999999999999"),
            ("DVT_FORK_EPOCH", "77"),
            ("GENESIS_FORK_VERSION", "0x99999999"),
            ("PRESET_BASE", "mainnet"),
        ] {
            let error = same_configuration(&values(&[(key, json!(their))]), &ours).unwrap_err();
            for part in ["another network", key, their, &text(&ours[key])] {
                assert!(error.to_string().contains(part), "{error}: {part}");
            }
        }
    }

    #[test]
    fn another_genesis_is_another_network() {
        let genesis = Genesis {
            genesis_time: 1,
            genesis_validators_root: Root::repeat_byte(1),
            genesis_fork_version: Version::repeat_byte(1),
        };
        let network = |genesis| Network {
            genesis,
            configuration: BTreeMap::new(),
        };
        let others = [
            Genesis {
                genesis_time: 2,
                ..genesis
            },
            Genesis {
                genesis_validators_root: Root::repeat_byte(2),
                ..genesis
            },
            Genesis {
                genesis_fork_version: Version::repeat_byte(2),
                ..genesis
            },
        ];
        assert_eq!(network(genesis).same_as(&network(genesis)), Ok(()));
        for other in others {
            let error = network(other).same_as(&network(genesis)).unwrap_err();
            assert_ne!(error.found, error.expected);
        }
    }
}
