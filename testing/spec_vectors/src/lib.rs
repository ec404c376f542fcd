//! Runs official-format test vectors: `tests/<preset>/<fork>/<runner>/<handler>/<suite>/<case>`.
//!
//! Nothing is skipped in silence: a case of a runner or handler that is not known here fails, and so does one of whose
//! files any was not read.

mod case_dir;
mod discover;
mod report;
mod runners;
mod xmss_vectors;

pub use case_dir::{CaseDir, CaseError};
pub use discover::{CaseId, Found, discover};
pub use report::{Outcome, Report};
pub use xmss_vectors::run_xmss;

use rayon::prelude::*;
use std::io;
use std::path::Path;

/// Runs all cases at or below a directory whose path contains `filter`. An error if there are none.
pub fn run(directory: &Path, filter: Option<&str>) -> io::Result<Report> {
    let Found { mut cases, mut strays } = discover(directory)?;
    if let Some(filter) = filter {
        cases.retain(|case| case.path.to_string_lossy().contains(filter));
        strays.retain(|path| path.to_string_lossy().contains(filter));
        if cases.is_empty() && strays.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("no case whose path contains {filter:?}"),
            ));
        }
    }
    let outcomes: Vec<(CaseId, Outcome)> = cases
        .into_par_iter()
        .map(|case| {
            let outcome = run_case(&case);
            (case, outcome)
        })
        .collect();
    Ok(Report::new(outcomes, &strays))
}

/// Runs one case; a panic is a failure of that case.
fn run_case(case: &CaseId) -> Outcome {
    if let Some(reason) = runners::not_applicable(case) {
        return Outcome::NotApplicable(reason);
    }
    let result = std::panic::catch_unwind(|| {
        let directory = CaseDir::open(&case.path)?;
        runners::run(case, &directory)?;
        directory.check_all_read()
    });
    match result {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(CaseError::Unknown(what))) => Outcome::Unknown(what),
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_default();
            Outcome::Failed(format!("panicked: {text}"))
        }
    }
}
