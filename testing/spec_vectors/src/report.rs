//! Counts of outcomes.

use crate::CaseId;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As expected, and all its files were read.
    Passed,
    /// Otherwise.
    Failed(String),
    /// No code runs such cases.
    Unknown(String),
    /// Of a fork or preset that this project does not have; which.
    NotApplicable(&'static str),
}

#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    not_applicable: usize,
    reason: &'static str,
}

/// Outcomes of all cases.
#[derive(Debug)]
pub struct Report {
    counts: BTreeMap<(String, String, String, String), Counts>,
    failures: Vec<(PathBuf, String)>,
}

impl Report {
    pub(crate) fn new(outcomes: Vec<(CaseId, Outcome)>, strays: &[PathBuf]) -> Self {
        let mut report = Self {
            counts: BTreeMap::new(),
            failures: strays
                .iter()
                .map(|path| (path.clone(), "belongs to no case".to_owned()))
                .collect(),
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
                Outcome::NotApplicable(reason) => {
                    counts.not_applicable += 1;
                    counts.reason = reason;
                }
                Outcome::Failed(reason) => {
                    counts.failed += 1;
                    report.failures.push((case.path, reason));
                }
                Outcome::Unknown(what) => {
                    counts.failed += 1;
                    report.failures.push((case.path, format!("unknown: {what}")));
                }
            }
        }
        report
    }

    /// Whether no case failed.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    /// Paths of what failed, with the reason.
    pub fn failures(&self) -> &[(PathBuf, String)] {
        &self.failures
    }

    /// Cases of forks and presets that this project does not have.
    pub fn not_applicable(&self) -> usize {
        self.counts.values().map(|counts| counts.not_applicable).sum()
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
                let Counts {
                    not_applicable, reason, ..
                } = counts;
                writeln!(f, "    {handler}: {not_applicable} not applicable: {reason}")?;
            } else if counts.failed > 0 {
                writeln!(f, "    {handler}: {} passed, {} FAILED", counts.passed, counts.failed)?;
            } else {
                writeln!(f, "    {handler}: {}", counts.passed)?;
            }
        }
        for (path, reason) in &self.failures {
            writeln!(f, "FAILED {}: {reason}", path.display())?;
        }
        if self.not_applicable() > 0 {
            writeln!(f, "{} not applicable", self.not_applicable())?;
        }
        writeln!(f, "{} passed, {} failed", self.passed(), self.failures.len())
    }
}
