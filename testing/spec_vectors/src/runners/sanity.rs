//! `sanity`, `random` and `finality`: formats/sanity.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::{chain_spec, check_change};
use state_transition::block::{BlockError, BlockSignatures, process_block, state_transition};
use state_transition::process_slots;
use state_transition::signatures::NullVerifier;
use types::{BeaconState, ChainSpec, ForkName, Preset, SignedBeaconBlock};

pub(crate) fn run_slots<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    let _ = directory.meta()?;
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", fork)?;
    let post: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post", fork)?;
    let slots: u64 = directory.yaml("slots.yaml")?;
    check_change(&pre, post, |state| {
        process_slots(state, state.slot().saturating_add(slots), &spec)
    })
}

/// Applies a block with all its signatures, or with none, but in either case with its state root.
pub(crate) fn apply_block<P: Preset>(
    state: &mut BeaconState<P>,
    block: &SignedBeaconBlock<P>,
    ignore_signatures: bool,
    spec: &ChainSpec,
) -> Result<(), BlockError> {
    if !ignore_signatures {
        return state_transition(state, block, BlockSignatures::All, spec);
    }
    let message = block.message();
    if state.slot() < message.slot() {
        process_slots(state, message.slot(), spec)?;
    }
    process_block(state, message, &mut NullVerifier, spec)?;
    let (expected, found) = (message.state_root(), state.canonical_root()?);
    if found == expected {
        Ok(())
    } else {
        Err(BlockError::StateRoot { expected, found })
    }
}

pub(crate) fn run_blocks<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    let meta = directory.meta()?;
    let pre: BeaconState<P> = directory.ssz_of_fork("pre", fork)?;
    let post: Option<BeaconState<P>> = directory.optional_ssz_of_fork("post", fork)?;
    let blocks = (0..meta.blocks_count)
        .map(|index| directory.ssz_of_fork(&format!("blocks_{index}"), fork))
        .collect::<Result<Vec<SignedBeaconBlock<P>>, _>>()?;
    check_change(&pre, post, |state| {
        blocks
            .iter()
            .try_for_each(|block| apply_block(state, block, meta.ignores_signatures(), &spec))
    })
}
