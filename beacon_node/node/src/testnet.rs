//! The files of `--testnet-dir`.

use crate::NodeError;
use network::BootNode;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use types::{BeaconState, ChainSpec, Epoch, ForkVersioned as _, Preset};

/// Largest `config.yaml` that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Largest list of boot nodes that is read.
const MAX_BOOT_NODES_BYTES: u64 = 1 << 20;
/// Largest genesis state that is read: two million validators.
const MAX_GENESIS_BYTES: u64 = 1 << 30;

/// A directory with the files of a network.
#[derive(Debug, Clone)]
pub(crate) struct TestnetDir {
    path: PathBuf,
}

/// Reads a file up to a limit. `None` if there is none.
fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, NodeError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NodeError::file(path, error)),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| NodeError::file(path, error))?;
    if bytes.len() as u64 > limit {
        return Err(NodeError::file(path, format!("larger than {limit} bytes")));
    }
    Ok(Some(bytes))
}

impl TestnetDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// `config.yaml`.
    pub(crate) fn spec(&self) -> Result<ChainSpec, NodeError> {
        let path = self.path.join("config.yaml");
        let bytes = read(&path, MAX_CONFIG_BYTES)?.ok_or_else(|| {
            NodeError::file(
                &path,
                "no such file; --testnet-dir must hold config.yaml and genesis.ssz",
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|_| NodeError::file(&path, "not UTF-8"))?;
        let spec = ChainSpec::from_yaml(&text).map_err(|error| NodeError::file(&path, error))?;
        spec.validate().map_err(|error| NodeError::file(&path, error))?;
        Ok(spec)
    }

    /// `genesis.ssz`, if there is one.
    pub(crate) fn genesis<P: Preset>(&self, spec: &ChainSpec) -> Result<Option<BeaconState<P>>, NodeError> {
        let path = self.path.join("genesis.ssz");
        let Some(bytes) = read(&path, MAX_GENESIS_BYTES)? else {
            return Ok(None);
        };
        let fork = spec.fork_name_at_epoch(Epoch::new(0));
        let state = BeaconState::<P>::from_ssz_bytes_by_fork(&bytes, fork).map_err(|error| {
            NodeError::file(
                &path,
                format!(
                    "not a beacon state of fork {fork} and preset {}: {error:?}",
                    P::NAME.as_str()
                ),
            )
        })?;
        let (expected, found) = (spec.fork_version(fork), state.fork().current_version);
        if found != expected {
            return Err(NodeError::file(
                &path,
                format!("fork.current_version is {found}, expected {expected} of config.yaml"),
            ));
        }
        Ok(Some(state))
    }

    /// `boot_enr.yaml`: a list of records. Other lists of boot nodes in such directories are templates.
    pub(crate) fn boot_nodes(&self) -> Result<Vec<BootNode>, NodeError> {
        let path = self.path.join("boot_enr.yaml");
        let Some(bytes) = read(&path, MAX_BOOT_NODES_BYTES)? else {
            return Ok(Vec::new());
        };
        let records: Option<Vec<String>> = serde_yaml_ng::from_slice(&bytes)
            .map_err(|error| NodeError::file(&path, format!("not a list of records: {error}")))?;
        records
            .unwrap_or_default()
            .iter()
            .map(|text| {
                text.parse()
                    .map_err(|error: network::BootNodeError| NodeError::file(&path, error))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Minimal;

    fn dir_with(files: &[(&str, &str)]) -> (tempfile::TempDir, TestnetDir) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let testnet = TestnetDir::new(dir.path().to_owned());
        (dir, testnet)
    }

    fn config() -> String {
        ChainSpec::fulu_genesis(types::PresetName::Minimal).to_yaml()
    }

    #[test]
    fn a_wrong_file_is_named_with_its_field_and_what_was_expected() {
        let (_dir, testnet) = dir_with(&[]);
        let error = testnet.spec().unwrap_err().to_string();
        assert!(error.contains("config.yaml: no such file"), "{error}");

        let wrong: String = config()
            .lines()
            .map(|line| {
                if line.starts_with("SLOT_DURATION_MS") {
                    "SLOT_DURATION_MS: six"
                } else {
                    line
                }
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let (_dir, testnet) = dir_with(&[("config.yaml", &wrong)]);
        let error = testnet.spec().unwrap_err().to_string();
        assert!(error.contains("SLOT_DURATION_MS") && error.contains("six"), "{error}");

        let (_dir, testnet) = dir_with(&[("config.yaml", &config()), ("genesis.ssz", "short")]);
        let spec = testnet.spec().unwrap();
        let error = testnet.genesis::<Minimal>(&spec).unwrap_err().to_string();
        assert!(
            error.contains("genesis.ssz: not a beacon state of fork fulu"),
            "{error}"
        );

        let (_dir, testnet) = dir_with(&[("boot_enr.yaml", "- enr:-nonsense")]);
        let error = testnet.boot_nodes().unwrap_err().to_string();
        assert!(error.contains("boot_enr.yaml"), "{error}");
    }

    #[test]
    fn missing_optional_files_are_no_error() {
        let (_dir, testnet) = dir_with(&[("config.yaml", &config())]);
        let spec = testnet.spec().unwrap();
        assert!(testnet.genesis::<Minimal>(&spec).unwrap().is_none());
        assert!(testnet.boot_nodes().unwrap().is_empty());
    }
}
