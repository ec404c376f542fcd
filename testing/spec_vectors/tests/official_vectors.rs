//! All official vectors pass. They are looked for in `$CONSENSUS_SPEC_TESTS`, then beside the workspace, then where
//! `make official-vectors` puts them. Without a test harness, so that the counts are always printed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn vectors() -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os("CONSENSUS_SPEC_TESTS") {
        return Some(directory.into());
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    ["../shared/consensus-spec-tests", "official-vectors"]
        .into_iter()
        .map(|place| workspace.join(place))
        .find(|place| place.exists())
}

fn main() -> ExitCode {
    // What `cargo test -- --list` and name filters ask for has no meaning here.
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let Some(directory) = vectors() else {
        eprintln!("!!! OFFICIAL TEST VECTORS NOT FOUND, NOT RUN: `make official-vectors` fetches them !!!");
        let is_ci = std::env::var("CI").as_deref() == Ok("true");
        return if is_ci { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    };
    match spec_vectors::run(&directory, None) {
        Ok(report) => {
            print!("{report}");
            if report.is_success() && report.passed() > 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
