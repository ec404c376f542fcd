//! The directory of one case, which knows which of its files were read.

use serde::de::DeserializeOwned;
use ssz::Decode;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use types::{ForkName, ForkVersioned};

/// Why a case did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// No code runs cases of this kind.
    #[error("unknown: {0}")]
    Unknown(String),
    /// A file could not be read or decoded.
    #[error("{file}: {reason}")]
    File {
        /// Name of the file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// Files that nobody read.
    #[error("files were not read: {0:?}")]
    Unread(Vec<String>),
    /// The outcome is not the expected one.
    #[error("{0}")]
    Wrong(String),
}

impl CaseError {
    /// An outcome that is not the expected one.
    pub fn wrong(reason: impl Into<String>) -> Self {
        Self::Wrong(reason.into())
    }
}

/// The directory of one case.
#[derive(Debug)]
pub struct CaseDir {
    path: PathBuf,
    unread: Mutex<BTreeSet<String>>,
}

/// Content of `meta.yaml` that many runners share. A key that is not here might change what a case expects.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Meta {
    /// 1: signatures must be checked, 2: must be ignored, 0: as one likes.
    pub bls_setting: u8,
    /// Number of blocks.
    pub blocks_count: usize,
    /// Free text.
    pub description: String,
    /// Which block of a fork test is the last of the old fork.
    pub fork_block: Option<usize>,
    /// First epoch of the new fork.
    pub fork_epoch: Option<u64>,
    /// Name of the new fork.
    pub post_fork: Option<String>,
    /// The same, in cases of the upgrade alone.
    pub fork: Option<String>,
}

impl Meta {
    /// Whether signatures must be ignored, because the case has none.
    pub fn ignores_signatures(&self) -> bool {
        self.bls_setting == 2
    }
}

impl CaseDir {
    /// Lists the files of a case.
    pub fn open(path: &Path) -> Result<Self, CaseError> {
        let unread = std::fs::read_dir(path)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                    .collect::<std::io::Result<_>>()
            })
            .map_err(|error| CaseError::File {
                file: path.display().to_string(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            path: path.to_owned(),
            unread: Mutex::new(unread),
        })
    }

    /// Whether a file is there. Does not count as reading it.
    pub fn has(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    fn bytes(&self, file: &str) -> Result<Vec<u8>, CaseError> {
        if let Ok(mut unread) = self.unread.lock() {
            unread.remove(file);
        }
        std::fs::read(self.path.join(file)).map_err(|error| self.error(file, error))
    }

    fn error(&self, file: &str, reason: impl std::fmt::Display) -> CaseError {
        CaseError::File {
            file: file.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Decompressed bytes of `<name>.ssz_snappy`.
    pub fn ssz_bytes(&self, name: &str) -> Result<Vec<u8>, CaseError> {
        let file = format!("{name}.ssz_snappy");
        let bytes = self.bytes(&file)?;
        snap::raw::Decoder::new()
            .decompress_vec(&bytes)
            .map_err(|error| self.error(&file, error))
    }

    /// A value of one layout.
    pub fn ssz<T: Decode>(&self, name: &str) -> Result<T, CaseError> {
        let bytes = self.ssz_bytes(name)?;
        T::from_ssz_bytes(&bytes).map_err(|error| self.error(&format!("{name}.ssz_snappy"), format!("{error:?}")))
    }

    /// A value with a layout for each fork.
    pub fn ssz_of_fork<T: ForkVersioned>(&self, name: &str, fork: ForkName) -> Result<T, CaseError> {
        let bytes = self.ssz_bytes(name)?;
        T::from_ssz_bytes_by_fork(&bytes, fork)
            .map_err(|error| self.error(&format!("{name}.ssz_snappy"), format!("{error:?}")))
    }

    /// A value with a layout for each fork, if its file is there.
    pub fn optional_ssz_of_fork<T: ForkVersioned>(&self, name: &str, fork: ForkName) -> Result<Option<T>, CaseError> {
        self.has(&format!("{name}.ssz_snappy"))
            .then(|| self.ssz_of_fork(name, fork))
            .transpose()
    }

    /// A YAML file.
    pub fn yaml<T: DeserializeOwned>(&self, file: &str) -> Result<T, CaseError> {
        let bytes = self.bytes(file)?;
        serde_yaml_ng::from_slice(&bytes).map_err(|error| self.error(file, error))
    }

    /// A file as text.
    pub fn text(&self, file: &str) -> Result<String, CaseError> {
        String::from_utf8(self.bytes(file)?).map_err(|error| self.error(file, error))
    }

    /// `meta.yaml`, or its defaults where there is none.
    pub fn meta(&self) -> Result<Meta, CaseError> {
        if self.has("meta.yaml") {
            let meta: Meta = self.yaml("meta.yaml")?;
            if meta.bls_setting > 2 {
                return Err(self.error(
                    "meta.yaml",
                    format!("bls_setting is {}, expected 0, 1 or 2", meta.bls_setting),
                ));
            }
            Ok(meta)
        } else {
            Ok(Meta::default())
        }
    }

    /// An error if any file was not read.
    pub fn check_all_read(&self) -> Result<(), CaseError> {
        let unread: Vec<String> = self
            .unread
            .lock()
            .map(|unread| unread.iter().cloned().collect())
            .unwrap_or_default();
        if unread.is_empty() {
            Ok(())
        } else {
            Err(CaseError::Unread(unread))
        }
    }
}
