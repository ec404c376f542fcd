//! Blocks.

use crate::{BlockProducer, Parent, ProductionError, metrics};
use alloy_primitives::U256;
use beacon_chain::BeaconChain;
use data_columns::compute_cells_and_kzg_proofs;
use execution_layer::{BlobsBundle, GetPayloadResponse};
use futures::future::try_join_all;
use operation_pool::{OperationPool, Operations, limited};
use runtime::Priority;
use ssz_types::{BitVector, VariableList};
use state_transition::block::randao::process_randao;
use state_transition::block::sync_aggregate::sync_aggregate_signature_set;
use state_transition::block::{BlockError, OperationKind, process_block};
use state_transition::helpers::accessors::{get_balance, get_beacon_proposer_index};
use state_transition::signatures::{ImmediateVerifier, NullVerifier};
use std::sync::Arc;
use std::time::Instant;
use types::{
    Attestation, AttesterSlashing, BeaconBlock, BeaconBlockBodyDvt, BeaconBlockBodyFulu, BeaconBlockDvt,
    BeaconBlockFulu, BeaconState, Gwei, Hash32, Preset, ProposerSlashing, Root, SchemeProof, SignatureBytes,
    SignedVoluntaryExit, Slot, SyncAggregate, ValidatorIndex,
};

/// Operations that may turn out to clash with the payload before the block is given up.
const MAX_DROPPED_OPERATIONS: usize = 16;

/// What block is wanted.
#[derive(Debug, Clone)]
pub struct BlockRequest {
    /// Slot of the block.
    pub slot: Slot,
    /// Registry index of the proposer, if whoever asks knows it: then it is checked.
    pub proposer: Option<ValidatorIndex>,
    /// The reveal; the point at infinity for one that is left out, or that is in `randao_proof`.
    pub randao_reveal: SignatureBytes,
    /// The reveal of a key that is not a BLS key: at most one.
    pub randao_proof: Vec<SchemeProof>,
    /// Whether the reveal is verified. Without, the block serves to estimate its value only.
    pub verify_randao: bool,
    /// Graffiti.
    pub graffiti: Hash32,
    /// What to build on.
    pub parent: Parent,
}

/// A block to sign, with what belongs to it.
#[derive(Debug, Clone)]
pub struct ProducedBlock<P: Preset> {
    /// The block, complete but for the signature.
    pub block: BeaconBlock<P>,
    /// Its blobs.
    pub blobs: BlobsBundle<P>,
    /// What the payload pays the fee recipient, in wei.
    pub execution_payload_value: U256,
    /// What the block adds to the proposer's balance, in Gwei.
    pub consensus_block_value: Gwei,
}

/// Everything that goes into a body.
struct Contents<P: Preset> {
    attestations: Vec<Attestation<P>>,
    operations: Operations<P>,
    sync_aggregate: SyncAggregate<P>,
}

impl<P: Preset> BlockProducer<P> {
    /// Makes a block. The payload is taken from the execution client while votes and operations are chosen.
    pub async fn produce_block(&self, request: BlockRequest) -> Result<ProducedBlock<P>, ProductionError> {
        let started = Instant::now();
        let slot = request.slot;
        let parent_root = self.parent_root(slot, request.parent)?;
        if self.chain.fork_choice().is_optimistic(&parent_root) != Some(false) {
            return Err(ProductionError::Optimistic(parent_root));
        }
        let state = self.state(parent_root, slot).await?;
        let proposer = get_beacon_proposer_index(&state)?;
        if let Some(found) = request.proposer.filter(|found| *found != proposer) {
            return Err(ProductionError::Proposer {
                slot,
                expected: proposer,
                found,
            });
        }
        let attributes = self.payload_attributes(&state, parent_root, proposer)?;
        let execution_layer = self.execution_layer()?;
        let payload = async {
            let state = self.chain.forkchoice_state(&parent_root);
            let mut payload = execution_layer.get_payload::<P>(state, &attributes).await?;
            self.add_cell_proofs(&mut payload.blobs_bundle).await?;
            Ok::<_, ProductionError>(payload)
        };
        let contents = {
            let (chain, pool, state) = (Arc::clone(&self.chain), Arc::clone(&self.pool), Arc::clone(&state));
            self.chain.workers().run(Priority::ApiRequest, move || {
                choose_contents(&chain, &pool, &state, parent_root)
            })
        };
        let (payload, contents) = tokio::join!(payload, contents);
        let (payload, contents) = (payload?, contents??);

        let chain = Arc::clone(&self.chain);
        let work = move || complete(&chain, &state, parent_root, &request, contents, payload);
        let produced = self.chain.workers().run(Priority::ApiRequest, work).await??;
        metrics::observe(started.elapsed());
        tracing::info!(
            %slot,
            %proposer,
            parent = %parent_root,
            milliseconds = started.elapsed().as_millis() as u64,
            "Block produced"
        );
        Ok(produced)
    }

    /// Proofs of the cells, if the execution client gave none: a good part of a second for each blob.
    async fn add_cell_proofs(&self, bundle: &mut BlobsBundle<P>) -> Result<(), ProductionError> {
        if bundle.blobs.is_empty() || !bundle.cell_proofs.is_empty() {
            return Ok(());
        }
        let jobs = bundle.blobs.iter().cloned().map(|blob| {
            let work = move || compute_cells_and_kzg_proofs::<P>(&blob);
            self.chain.workers().run(Priority::ApiRequest, work)
        });
        for computed in try_join_all(jobs).await? {
            let (_, proofs) = computed?;
            bundle.cell_proofs.extend(proofs);
        }
        Ok(())
    }
}

fn choose_contents<P: Preset>(
    chain: &BeaconChain<P>,
    pool: &OperationPool<P>,
    state: &BeaconState<P>,
    parent_root: Root,
) -> Result<Contents<P>, ProductionError> {
    let spec = chain.spec();
    let previous_slot = state.slot().saturating_sub(1u64);
    let mut sync_aggregate = pool.sync_aggregate(previous_slot, parent_root)?;
    let set = sync_aggregate_signature_set(state, &sync_aggregate)?;
    if let Err(error) = signature_scheme::verify(&set) {
        tracing::warn!(slot = %state.slot(), %error, "Sync committee signatures in the pool do not verify");
        sync_aggregate = SyncAggregate {
            sync_committee_bits: BitVector::default(),
            sync_committee_signature: bls::INFINITY_SIGNATURE,
        };
    }
    Ok(Contents {
        attestations: pool.pack_attestations(state, spec)?,
        operations: pool.pack_operations(state, spec),
        sync_aggregate,
    })
}

/// Puts the block together and gives it its state root. The payload's requests come before some operations and can make
/// them invalid; those are left out then.
fn complete<P: Preset>(
    chain: &BeaconChain<P>,
    state: &BeaconState<P>,
    parent_root: Root,
    request: &BlockRequest,
    mut contents: Contents<P>,
    payload: GetPayloadResponse<P>,
) -> Result<ProducedBlock<P>, ProductionError> {
    let spec = chain.spec();
    let proposer = get_beacon_proposer_index(state)?;
    let mut dropped = 0usize;
    let (mut block, mut post) = loop {
        let block = assemble(state, parent_root, request, &contents, &payload)?;
        let mut post = state.clone();
        match process_block(&mut post, block.to_ref(), &mut NullVerifier, spec) {
            Ok(()) => break (block, post),
            Err(BlockError::Operation(error)) if dropped < MAX_DROPPED_OPERATIONS => {
                tracing::debug!(slot = %request.slot, %error, "Operation does not fit the block");
                if !drop_operation(&mut contents, error.kind, error.index) {
                    return Err(invalid(request.slot, BlockError::Operation(error)));
                }
                dropped = dropped.saturating_add(1);
            }
            Err(reason) => return Err(invalid(request.slot, reason)),
        }
    };
    if request.verify_randao {
        process_randao(&mut state.clone(), block.body(), &mut ImmediateVerifier, spec)?;
    }
    let before = get_balance(state, proposer)?;
    let after = get_balance(&post, proposer)?;
    let state_root = post.canonical_root().map_err(state_transition::StateError::from)?;
    match &mut block {
        BeaconBlock::Fulu(block) => block.state_root = state_root,
        BeaconBlock::Dvt(block) => block.state_root = state_root,
    }
    Ok(ProducedBlock {
        block,
        blobs: payload.blobs_bundle,
        execution_payload_value: payload.block_value,
        consensus_block_value: after.saturating_sub(before),
    })
}

fn invalid(slot: Slot, reason: BlockError) -> ProductionError {
    ProductionError::Invalid { slot, reason }
}

/// Leaves one operation out. `false` if there is none.
fn drop_operation<P: Preset>(contents: &mut Contents<P>, kind: OperationKind, index: usize) -> bool {
    fn remove<T>(list: &mut Vec<T>, index: usize) -> bool {
        let exists = index < list.len();
        if exists {
            list.remove(index);
        }
        exists
    }
    let operations = &mut contents.operations;
    match kind {
        OperationKind::ProposerSlashing => remove(&mut operations.proposer_slashings, index),
        OperationKind::AttesterSlashing => remove(&mut operations.attester_slashings, index),
        OperationKind::Attestation => remove(&mut contents.attestations, index),
        OperationKind::VoluntaryExit => remove(&mut operations.voluntary_exits, index),
        OperationKind::BlsToExecutionChange => remove(&mut operations.bls_to_execution_changes, index),
        OperationKind::KeySetChange => remove(&mut operations.key_set_changes, index),
        _ => false,
    }
}

/// The containers of one fork out of enums.
macro_rules! of_fork {
    ($values:expr, $enum:ident :: $fork:ident) => {
        limited(
            $values
                .iter()
                .filter_map(|value| match value {
                    $enum::$fork(inner) => Some(inner.clone()),
                    _ => None,
                })
                .collect(),
        )
    };
}

fn assemble<P: Preset>(
    state: &BeaconState<P>,
    parent_root: Root,
    request: &BlockRequest,
    contents: &Contents<P>,
    payload: &GetPayloadResponse<P>,
) -> Result<BeaconBlock<P>, ProductionError> {
    let (slot, proposer_index) = (state.slot(), get_beacon_proposer_index(state)?);
    let state_root = Root::ZERO;
    let operations = &contents.operations;
    Ok(match state {
        BeaconState::Fulu(_) => BeaconBlock::Fulu(BeaconBlockFulu {
            slot,
            proposer_index,
            parent_root,
            state_root,
            body: BeaconBlockBodyFulu {
                randao_reveal: request.randao_reveal,
                eth1_data: state.eth1_data().clone(),
                graffiti: request.graffiti,
                proposer_slashings: of_fork!(operations.proposer_slashings, ProposerSlashing::Fulu),
                attester_slashings: of_fork!(operations.attester_slashings, AttesterSlashing::Fulu),
                attestations: of_fork!(contents.attestations, Attestation::Fulu),
                deposits: VariableList::empty(),
                voluntary_exits: of_fork!(operations.voluntary_exits, SignedVoluntaryExit::Fulu),
                sync_aggregate: contents.sync_aggregate.clone(),
                execution_payload: payload.execution_payload.clone(),
                bls_to_execution_changes: limited(operations.bls_to_execution_changes.clone()),
                blob_kzg_commitments: payload.blobs_bundle.commitments.clone(),
                execution_requests: payload.execution_requests.clone(),
            },
        }),
        BeaconState::Dvt(_) => BeaconBlock::Dvt(BeaconBlockDvt {
            slot,
            proposer_index,
            parent_root,
            state_root,
            body: BeaconBlockBodyDvt {
                randao_reveal: request.randao_reveal,
                eth1_data: state.eth1_data().clone(),
                graffiti: request.graffiti,
                proposer_slashings: of_fork!(operations.proposer_slashings, ProposerSlashing::Dvt),
                attester_slashings: of_fork!(operations.attester_slashings, AttesterSlashing::Dvt),
                attestations: of_fork!(contents.attestations, Attestation::Dvt),
                deposits: VariableList::empty(),
                voluntary_exits: of_fork!(operations.voluntary_exits, SignedVoluntaryExit::Dvt),
                sync_aggregate: contents.sync_aggregate.clone(),
                execution_payload: payload.execution_payload.clone(),
                bls_to_execution_changes: limited(operations.bls_to_execution_changes.clone()),
                blob_kzg_commitments: payload.blobs_bundle.commitments.clone(),
                execution_requests: payload.execution_requests.clone(),
                key_set_changes: limited(operations.key_set_changes.clone()),
                randao_proof: VariableList::new(request.randao_proof.clone())
                    .map_err(|_| ProductionError::RandaoProofs(request.randao_proof.len()))?,
            },
        }),
    })
}
