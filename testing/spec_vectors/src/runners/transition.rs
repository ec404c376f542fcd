//! `fork` and `transition`: formats/forks, formats/transition; and `genesis`, of which this project has only the groups.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::sanity::apply_block;
use crate::runners::{chain_spec, check_change};
use state_transition::genesis::get_dvt_genesis_state;
use state_transition::upgrade::upgrade_to_dvt;
use types::constants::FAR_FUTURE_EPOCH;
use types::{BeaconState, Epoch, ForkName, KeySet, Preset, SignedBeaconBlock, ValidatorIndex};

/// The fork before; cases of a first fork have none.
fn previous(fork: ForkName) -> Result<ForkName, CaseError> {
    match fork {
        ForkName::Fulu => Err(CaseError::Unknown(
            "upgrade to fulu: earlier forks are not implemented".to_owned(),
        )),
        ForkName::Dvt => Ok(ForkName::Fulu),
    }
}

/// The fork that `meta.yaml` names is the one that the case is filed under.
fn expect_fork(named: Option<String>, fork: ForkName) -> Result<(), CaseError> {
    match named {
        Some(named) if named == fork.to_string() => Ok(()),
        named => Err(CaseError::wrong(format!(
            "meta.yaml names the fork {named:?}, expected {fork}"
        ))),
    }
}

pub(crate) fn run_fork<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    expect_fork(directory.meta()?.fork, fork)?;
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", previous(fork)?)?;
    let post: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post", fork)?;
    check_change(&pre, post, |state| upgrade_to_dvt(state, &spec))
}

/// Who is a group at genesis: validators in the order of the files `key_set_0`, `key_set_1` and so on.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    validators: Vec<ValidatorIndex>,
}

/// A genesis state of Fulu and key sets give one with groups.
pub(crate) fn run_genesis<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", previous(fork)?)?;
    let post: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post", fork)?;
    let groups: Groups = directory.yaml("groups.yaml")?;
    let key_sets = groups
        .validators
        .into_iter()
        .enumerate()
        .map(|(place, validator)| Ok((validator, directory.ssz(&format!("key_set_{place}"))?)))
        .collect::<Result<Vec<(ValidatorIndex, KeySet)>, CaseError>>()?;
    check_change(&pre, post, |state| {
        get_dvt_genesis_state(state.clone(), key_sets.clone(), &spec).map(|after| *state = after)
    })
}

pub(crate) fn run_transition<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let before = previous(fork)?;
    let mut meta = directory.meta()?;
    expect_fork(meta.post_fork.take(), fork)?;
    let mut spec = chain_spec::<P>(fork);
    spec.dvt_fork_epoch = meta.fork_epoch.map_or(FAR_FUTURE_EPOCH, Epoch::new);
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", before)?;
    let post: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post", fork)?;
    let blocks = (0..meta.blocks_count)
        .map(|index| {
            let is_old = meta.fork_block.is_some_and(|last_old| index <= last_old);
            directory.ssz_of_fork(&format!("blocks_{index}"), if is_old { before } else { fork })
        })
        .collect::<Result<Vec<SignedBeaconBlock<P>>, _>>()?;
    check_change(&pre, post, |state| {
        blocks
            .iter()
            .try_for_each(|block| apply_block(state, block, meta.ignores_signatures(), &spec))
    })
}
