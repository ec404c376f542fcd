//! Counts of outcomes.

use crate::CaseId;
use std::collections::BTreeMap;
use std::fmt;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As expected, and all its files were read.
    Passed,
    /// Otherwise.
    Failed(String),
    /// No code runs such cases.
    Unknown(String),
    /// Of a fork that this project does not have.
    NotApplicable,
}

#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    not_applicable: usize,
}

/// Outcomes of all cases.
#[derive(Debug)]
pub struct Report {
    counts: BTreeMap<(String, String, String, String), Counts>,
    failures: Vec<(CaseId, String)>,
}

impl Report {
    pub(crate) fn new(outcomes: Vec<(CaseId, Outcome)>) -> Self {
        let mut report = Self {
            counts: BTreeMap::new(),
            failures: Vec::new(),
        };
        for (case, outcome) in outcomes {
            let key = (
                case.preset.clone(),
                case.fork.clone(),
                case.runner.clone(),
                case.handler.clone(),
            );
            let counts = report.counts.entry(key).or_default();
            match outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::NotApplicable => counts.not_applicable += 1,
                Outcome::Failed(reason) => {
                    counts.failed += 1;
                    report.failures.push((case, reason));
                }
                Outcome::Unknown(what) => {
                    counts.failed += 1;
                    report.failures.push((case, format!("unknown: {what}")));
                }
            }
        }
        report
    }

    /// Whether no case failed.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    /// Cases that passed.
    pub fn passed(&self) -> usize {
        self.counts.values().map(|counts| counts.passed).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = None;
        for ((preset, fork, runner, handler), counts) in &self.counts {
            let this = (preset, fork, runner);
            if group != Some(this) {
                let total: usize = self
                    .counts
                    .iter()
                    .filter(|((p, f, r, _), _)| (p, f, r) == this)
                    .map(|(_, counts)| counts.passed)
                    .sum();
                writeln!(f, "{preset}/{fork}/{runner}: {total} passed")?;
                group = Some(this);
            }
            if counts.not_applicable > 0 {
                writeln!(
                    f,
                    "    {handler}: {} not applicable, this project has no such fork",
                    counts.not_applicable
                )?;
            } else if counts.failed > 0 {
                writeln!(f, "    {handler}: {} passed, {} FAILED", counts.passed, counts.failed)?;
            } else {
                writeln!(f, "    {handler}: {}", counts.passed)?;
            }
        }
        for (case, reason) in &self.failures {
            writeln!(f, "FAILED {}: {reason}", case.path.display())?;
        }
        let not_applicable: usize = self.counts.values().map(|counts| counts.not_applicable).sum();
        if not_applicable > 0 {
            writeln!(f, "{not_applicable} cases are of forks that this project does not have")?;
        }
        writeln!(f, "{} passed, {} failed", self.passed(), self.failures.len())
    }
}
