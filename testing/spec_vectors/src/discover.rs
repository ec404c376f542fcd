//! Finding cases.

use std::io;
use std::path::{Path, PathBuf};

/// Presets that this project knows. `general` is where cases are filed that are the same for all.
pub(crate) const PRESETS: [&str; 3] = ["minimal", "mainnet", "general"];

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

/// What is at or below a directory.
#[derive(Debug, Default)]
pub struct Found {
    /// All cases, sorted.
    pub cases: Vec<CaseId>,
    /// Files and links in the layout that belong to no case, sorted.
    pub strays: Vec<PathBuf>,
}

/// All cases at or below a directory, which may itself be within the layout. To find none is an error: a wrong path must
/// not look like success.
pub fn discover(directory: &Path) -> io::Result<Found> {
    let directory = directory.canonicalize()?;
    let mut found = Found::default();
    collect(&directory, directory.iter().count(), &mut found)?;
    if found.cases.is_empty() && found.strays.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no case here or below, expected tests/<preset>/<fork>/<runner>/<handler>/<suite>/<case>",
        ));
    }
    found.cases.sort();
    found.strays.sort();
    Ok(found)
}

fn collect(directory: &Path, start: usize, found: &mut Found) -> io::Result<()> {
    let names: Vec<String> = directory
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let layout = layout_root(&names, start).and_then(|root| names.get(root..));
    if let Some([preset, fork, runner, handler, suite, _case]) = layout {
        found.cases.push(CaseId {
            preset: preset.clone(),
            fork: fork.clone(),
            runner: runner.clone(),
            handler: handler.clone(),
            suite: suite.clone(),
            path: directory.to_owned(),
        });
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), start, found)?;
        } else if layout.is_some() {
            found.strays.push(entry.path());
        }
    }
    Ok(())
}

/// Which component of a path is the first one below `tests`. That directory is either followed by a preset that is known
/// here, or lies at or below the directory that the search started from (`start` components long). Where there is none,
/// the first component with a preset's name will do.
fn layout_root(names: &[String], start: usize) -> Option<usize> {
    let is_preset = |place: usize| {
        names
            .get(place)
            .is_some_and(|name| PRESETS.iter().any(|preset| name == preset))
    };
    let roots = || (1..=names.len()).filter(|place| names.get(place - 1).is_some_and(|name| name == "tests"));
    roots()
        .rfind(|place| is_preset(*place))
        .or_else(|| roots().find(|place| *place >= start))
        .or_else(|| (0..names.len()).find(|place| is_preset(*place)))
}
