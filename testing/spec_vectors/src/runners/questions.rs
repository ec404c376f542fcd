//! Cases that ask a function several questions: `data.yaml` with `input`, a list, and `output`, the answers in the same
//! order. An answer is the word `refused` where the input is invalid.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::{Caches, with_caches, wrong};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use types::{BeaconState, ForkName, Preset};

#[derive(Deserialize)]
struct Data<I, O> {
    input: Vec<I>,
    output: Vec<Answer<O>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Answer<O> {
    Refused(Refused),
    Given(O),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refused {
    Refused,
}

/// Asks everything; `answer` gives `None` for input that it refuses.
pub(crate) fn check<I, O>(
    directory: &CaseDir,
    mut answer: impl FnMut(&I) -> Result<Option<O>, CaseError>,
) -> Result<(), CaseError>
where
    I: DeserializeOwned,
    O: DeserializeOwned + PartialEq + Debug,
{
    let Data { input, output }: Data<I, O> = directory.yaml("data.yaml")?;
    if input.is_empty() || input.len() != output.len() {
        return Err(CaseError::wrong(format!(
            "{} questions and {} answers, expected as many of both and at least one",
            input.len(),
            output.len()
        )));
    }
    for (place, (question, expected)) in input.iter().zip(output).enumerate() {
        let found = answer(question)?.map_or(Answer::Refused(Refused::Refused), Answer::Given);
        if found != expected {
            return Err(CaseError::wrong(format!(
                "question {place}: {found:?}, expected {expected:?}"
            )));
        }
    }
    Ok(())
}

/// Asks everything about the state `pre.ssz_snappy`, with filled and with empty caches.
pub(crate) fn check_state<P, I, O>(
    fork: ForkName,
    directory: &CaseDir,
    mut answer: impl FnMut(&BeaconState<P>, &I) -> Result<Option<O>, CaseError>,
) -> Result<(), CaseError>
where
    P: Preset,
    I: DeserializeOwned,
    O: DeserializeOwned + PartialEq + Debug,
{
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", fork)?;
    for caches in [Caches::Warm, Caches::Empty] {
        let state = with_caches(&pre, caches).map_err(wrong)?;
        check(directory, |question| answer(&state, question))?;
    }
    Ok(())
}
