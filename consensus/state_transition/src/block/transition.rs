//! Spec: phase0/beacon-chain.md#beacon-chain-state-transition-function

use super::error::BlockError;
use super::eth1_data::process_eth1_data;
use super::execution_payload::process_execution_payload;
use super::header::{block_signature_set, process_block_header};
use super::operations::process_operations;
use super::randao::process_randao;
use super::sync_aggregate::process_sync_aggregate;
use super::withdrawals::process_withdrawals;
use crate::dvt::signers::Quorum;
use crate::signatures::{ConcurrentVerifier, NullVerifier, Verifier};
use crate::slot::process_slots;
use signature_scheme::Batch;
use types::{BeaconBlockBodyRef, BeaconBlockRef, BeaconState, ChainSpec, ExecutionPayload, Preset, SignedBeaconBlock};

/// Which signatures of a block are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSignatures {
    /// All, as one batch; the proposer's at threshold.
    All,
    /// All, as one batch; of the proposer's those that are there: a member's proposal to its group.
    Proposal,
    /// All but the proposer's, as one batch: that one was verified before.
    AllButProposer,
    /// None: they were verified before, or the block is one's own.
    None,
}

/// The payload of a body of any fork.
pub(crate) fn execution_payload<'a, P: Preset>(body: BeaconBlockBodyRef<'a, P>) -> &'a ExecutionPayload<P> {
    match body {
        BeaconBlockBodyRef::Fulu(body) => &body.execution_payload,
        BeaconBlockBodyRef::Dvt(body) => &body.execution_payload,
    }
}

/// Applies a signed block to the state of its parent (or any state of its branch before its slot).
///
/// The state is unusable after an error. A block whose proposer's signature is wrong is reported as that, whatever
/// else is wrong with it. The state root is compared unless `BlockSignatures::None` marks a block whose
/// root is not there yet or was checked before.
///
/// Spec: phase0/beacon-chain.md#beacon-chain-state-transition-function
pub fn state_transition<P: Preset>(
    state: &mut BeaconState<P>,
    signed_block: &SignedBeaconBlock<P>,
    signatures: BlockSignatures,
    spec: &ChainSpec,
) -> Result<(), BlockError> {
    let block = signed_block.message();
    if state.slot() < block.slot() {
        process_slots(state, block.slot(), spec)?;
    }
    let quorum = match signatures {
        BlockSignatures::None => {
            process_block(state, block, &mut NullVerifier, spec)?;
            state.apply_pending_mutations()?;
            return Ok(());
        }
        BlockSignatures::All => Some(Quorum::Threshold),
        BlockSignatures::Proposal => Some(Quorum::Member),
        BlockSignatures::AllButProposer => None,
    };
    let proposer_set = quorum
        .map(|quorum| block_signature_set(state, signed_block, None, quorum))
        .transpose()?;
    let batch = Batch::default();
    // Signatures are verified on idle cores while the block is still being processed and the state hashed.
    let result = rayon::scope(|scope| {
        let mut verifier = ConcurrentVerifier::new(scope, &batch);
        let result = proposer_set
            .iter()
            .try_for_each(|set| verifier.push(set.clone()))
            .map_err(BlockError::from)
            .and_then(|()| process_block(state, block, &mut verifier, spec))
            .and_then(|()| Ok(state.canonical_root()?));
        if result.is_err() {
            batch.abandon();
        }
        result
    });
    let found = match result {
        Ok(found) => found,
        Err(reason) => {
            // A forged block says nothing about the proposer whose name it bears: that verdict comes first.
            if let Some(set) = proposer_set {
                signature_scheme::verify(&set)?;
            }
            return Err(reason);
        }
    };
    batch.finish()?;
    let expected = block.state_root();
    if found != expected {
        return Err(BlockError::StateRoot { expected, found });
    }
    Ok(())
}

/// Applies a block to a state of its slot. Signatures but the proposer's go to `verifier`.
///
/// Spec: fulu/beacon-chain.md#block-processing
pub fn process_block<P: Preset, V: Verifier>(
    state: &mut BeaconState<P>,
    block: BeaconBlockRef<'_, P>,
    verifier: &mut V,
    spec: &ChainSpec,
) -> Result<(), BlockError> {
    let expected = types::ForkVersioned::fork_name(&*state);
    if block.fork_name() != expected {
        return Err(BlockError::WrongFork {
            expected,
            found: block.fork_name(),
        });
    }
    let body = block.body();
    let payload = execution_payload(body);
    process_block_header(state, block)?;
    process_withdrawals(state, &payload.withdrawals)?;
    process_execution_payload(state, payload, body.blob_kzg_commitments().len(), spec)?;
    process_randao(state, body, verifier, spec)?;
    process_eth1_data(state, body.eth1_data())?;
    process_operations(state, body, verifier, spec)?;
    process_sync_aggregate(state, body.sync_aggregate(), verifier, spec)?;
    Ok(())
}
