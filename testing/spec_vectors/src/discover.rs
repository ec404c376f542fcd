//! Finding cases.

use std::io;
use std::path::{Path, PathBuf};

/// Where a case belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaseId {
    /// `minimal`, `mainnet` or `general`.
    pub preset: String,
    /// Fork.
    pub fork: String,
    /// Runner.
    pub runner: String,
    /// Handler.
    pub handler: String,
    /// Suite.
    pub suite: String,
    /// Directory of the case.
    pub path: PathBuf,
}

/// All cases at or below a directory, sorted. A directory that is not within a layout `<preset>/<fork>/...` has none,
/// which is an error: a wrong path must not look like success.
pub fn discover(directory: &Path) -> io::Result<Vec<CaseId>> {
    let directory = directory.canonicalize()?;
    let mut cases = Vec::new();
    collect(&directory, &mut cases)?;
    if cases.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no case below this directory"));
    }
    cases.sort();
    Ok(cases)
}

fn collect(directory: &Path, cases: &mut Vec<CaseId>) -> io::Result<()> {
    let mut has_files = false;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), cases)?;
        } else {
            has_files = true;
        }
    }
    if has_files && let Some(case) = identify(directory) {
        cases.push(case);
    }
    Ok(())
}

/// A case is six levels below the directory that holds the presets.
fn identify(path: &Path) -> Option<CaseId> {
    let names: Vec<String> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let [.., preset, fork, runner, handler, suite, _case] = names.as_slice() else {
        return None;
    };
    ["minimal", "mainnet", "general"]
        .contains(&preset.as_str())
        .then(|| CaseId {
            preset: preset.clone(),
            fork: fork.clone(),
            runner: runner.clone(),
            handler: handler.clone(),
            suite: suite.clone(),
            path: path.to_owned(),
        })
}
