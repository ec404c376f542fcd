//! `fork_choice` and `sync`: formats/fork_choice, formats/sync.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::sanity::apply_block;
use crate::runners::{chain_spec, wrong};
use data_columns::{verify_data_column_sidecar, verify_data_column_sidecar_kzg_proofs};
use fork_choice::{BlockSummary, ExecutionStatus, JustifiedState, Store};
use serde::Deserialize;
use signature_scheme::SignatureSet;
use state_transition::block::operations::attestation::{
    check_indexed_attestation, get_attesting_indices, get_indexed_attestation,
};
use state_transition::block::operations::attester_slashing::{check_attester_slashing_evidence, get_slashable_indices};
use state_transition::{compute_unrealized_checkpoints, process_slots};
use std::collections::{HashMap, HashSet};
use types::*;

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Tick {
        tick: u64,
        #[serde(default = "yes")]
        valid: bool,
    },
    Block {
        block: String,
        columns: Option<Vec<String>>,
        #[serde(default = "yes")]
        valid: bool,
    },
    Attestation {
        attestation: String,
        #[serde(default = "yes")]
        valid: bool,
    },
    AttesterSlashing {
        attester_slashing: String,
        #[serde(default = "yes")]
        valid: bool,
    },
    PayloadInfo {
        block_hash: Hash32,
        payload_status: PayloadInfo,
    },
    Checks {
        checks: Box<Checks>,
    },
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize, Clone)]
struct PayloadInfo {
    status: String,
    latest_valid_hash: Option<Hash32>,
    #[serde(rename = "validation_error")]
    _validation_error: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    slot: Slot,
    root: Root,
}

#[derive(Deserialize)]
struct ShouldOverride {
    validator_is_connected: bool,
    result: bool,
}

#[derive(Deserialize)]
struct Weight {
    root: Root,
    weight: Gwei,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checks {
    head: Option<Head>,
    time: Option<u64>,
    genesis_time: Option<u64>,
    justified_checkpoint: Option<Checkpoint>,
    finalized_checkpoint: Option<Checkpoint>,
    proposer_boost_root: Option<Root>,
    get_proposer_head: Option<Root>,
    should_override_forkchoice_update: Option<ShouldOverride>,
    viable_for_head_roots_and_weights: Option<Vec<Weight>>,
}

struct Chain<'a, P: Preset> {
    directory: &'a CaseDir,
    fork: ForkName,
    spec: ChainSpec,
    ignore_signatures: bool,
    store: Store,
    states: HashMap<Root, BeaconState<P>>,
    payload_infos: HashMap<Hash32, PayloadInfo>,
    used_payload_infos: HashSet<Hash32>,
}

pub(crate) fn run<P: Preset>(fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    let spec = chain_spec::<P>(fork);
    let ignore_signatures = directory.meta()?.ignores_signatures();
    let mut anchor_state: BeaconState<P> = directory.ssz_of_fork("anchor_state", fork)?;
    let anchor_block: BeaconBlock<P> = directory.ssz_of_fork("anchor_block", fork)?;
    if anchor_state.canonical_root().map_err(wrong)? != anchor_block.state_root() {
        return Err(CaseError::wrong("anchor state is not that of the anchor block"));
    }
    let root = anchor_block.block_root();
    let unrealized = (
        anchor_state.current_justified_checkpoint(),
        anchor_state.finalized_checkpoint(),
    );
    let summary = BlockSummary::new(root, anchor_block.to_ref(), &anchor_state, unrealized);
    let store = Store::get_forkchoice_store(&anchor_state, summary, &spec).map_err(wrong)?;
    let states = HashMap::from([(root, anchor_state)]);
    let mut chain = Chain {
        directory,
        fork,
        spec,
        ignore_signatures,
        store,
        states,
        payload_infos: HashMap::new(),
        used_payload_infos: HashSet::new(),
    };
    let steps: Vec<Step> = directory.yaml("steps.yaml")?;
    for (number, step) in steps.into_iter().enumerate() {
        chain
            .step(step)
            .map_err(|error| CaseError::wrong(format!("step {number}: {error}")))?;
    }
    match chain
        .payload_infos
        .keys()
        .find(|hash| !chain.used_payload_infos.contains(*hash))
    {
        Some(hash) => Err(CaseError::wrong(format!(
            "no block has the payload {hash} that has a status"
        ))),
        None => Ok(()),
    }
}

fn expect(name: &str, valid: bool, result: Result<(), CaseError>) -> Result<(), CaseError> {
    match (result, valid) {
        (Ok(()), true) | (Err(_), false) => Ok(()),
        (Ok(()), false) => Err(CaseError::wrong(format!("{name} was accepted, expected rejection"))),
        (Err(error), true) => Err(CaseError::wrong(format!("{name}: {error}"))),
    }
}

impl<P: Preset> Chain<'_, P> {
    fn step(&mut self, step: Step) -> Result<(), CaseError> {
        match step {
            Step::Tick { tick, valid } => {
                let result = self.store.on_tick::<P>(tick * 1000, &self.spec).map_err(wrong);
                expect("tick", valid, result)
            }
            Step::Block { block, columns, valid } => {
                let signed: SignedBeaconBlock<P> = self.directory.ssz_of_fork(&block, self.fork)?;
                let columns = columns
                    .map(|names| {
                        names
                            .iter()
                            .map(|name| self.directory.ssz_of_fork(name, self.fork))
                            .collect::<Result<Vec<_>, _>>()
                    })
                    .transpose()?;
                let before = self.store.clone();
                let result = self.on_block(&signed, columns.as_deref());
                if result.is_err() {
                    // Invalid calls must not modify the store.
                    let same = before.blocks() == self.store.blocks()
                        && before.justified_checkpoint() == self.store.justified_checkpoint()
                        && before.proposer_boost_root() == self.store.proposer_boost_root();
                    if !same && !self.is_invalidated(&signed) {
                        return Err(CaseError::wrong("a rejected block changed the store"));
                    }
                }
                expect(&block, valid, result)
            }
            Step::Attestation { attestation, valid } => {
                let vote: Attestation<P> = self.directory.ssz_of_fork(&attestation, self.fork)?;
                let result = self.on_attestation(&vote);
                expect(&attestation, valid, result)
            }
            Step::AttesterSlashing {
                attester_slashing,
                valid,
            } => {
                let slashing: AttesterSlashing<P> = self.directory.ssz_of_fork(&attester_slashing, self.fork)?;
                let result = self.on_attester_slashing(&slashing);
                expect(&attester_slashing, valid, result)
            }
            Step::PayloadInfo {
                block_hash,
                payload_status,
            } => {
                self.payload_infos.insert(block_hash, payload_status);
                Ok(())
            }
            Step::Checks { checks } => self.check(&checks),
        }
    }

    fn is_invalidated(&self, signed: &SignedBeaconBlock<P>) -> bool {
        self.payload_info(signed)
            .is_some_and(|info| info.status.starts_with("INVALID"))
    }

    fn payload_info(&self, signed: &SignedBeaconBlock<P>) -> Option<&PayloadInfo> {
        self.payload_infos.get(&block_hash(signed))
    }

    fn on_block(
        &mut self,
        signed: &SignedBeaconBlock<P>,
        columns: Option<&[DataColumnSidecar<P>]>,
    ) -> Result<(), CaseError> {
        let root = signed.block_root();
        self.store
            .validate_on_block::<P>(signed.slot(), &signed.parent_root(), &self.spec)
            .map_err(wrong)?;
        if let Some(columns) = columns {
            if columns.is_empty() {
                return Err(CaseError::wrong("columns are not available"));
            }
            for column in columns {
                verify_data_column_sidecar(column, &self.spec).map_err(wrong)?;
                verify_data_column_sidecar_kzg_proofs(column).map_err(wrong)?;
            }
        }
        let mut state = self
            .states
            .get(&signed.parent_root())
            .ok_or_else(|| wrong("no parent state"))?
            .clone();
        apply_block(&mut state, signed, self.ignore_signatures, &self.spec).map_err(wrong)?;
        let unrealized = compute_unrealized_checkpoints(&state).map_err(wrong)?;
        let summary = BlockSummary::new(root, signed.message(), &state, unrealized);
        let info = self.payload_info(signed).cloned();
        self.used_payload_infos.insert(block_hash(signed));
        let status = match info.as_ref().map(|info| info.status.as_str()) {
            None | Some("VALID") => ExecutionStatus::Valid,
            Some("SYNCING" | "ACCEPTED") => ExecutionStatus::Optimistic,
            Some(_) => {
                // The engine's verdict reaches back to what was imported before.
                let parent_hash = self
                    .store
                    .block(&signed.parent_root())
                    .map(|node| node.execution_block_hash);
                if let Some(hash) = info.and_then(|info| info.latest_valid_hash)
                    && Some(hash) != parent_hash
                {
                    self.store
                        .on_invalid_execution_payload(&signed.parent_root(), Some(hash))
                        .map_err(wrong)?;
                }
                return Err(CaseError::wrong("payload is invalid"));
            }
        };
        self.store.on_block::<P>(summary, status, &self.spec).map_err(wrong)?;
        for attestation in signed.message().body().attestations() {
            let indices = get_attesting_indices(&state, attestation).map_err(wrong)?;
            // A vote for a block that this store does not have is skipped, as in a node.
            let _ = self
                .store
                .on_attestation::<P>(&indices, attestation.data(), true, &self.spec);
        }
        for slashing in signed.message().body().attester_slashings() {
            // As in a node: what a change of the same block made unknown counts for nothing.
            let slashable = get_slashable_indices(&state, slashing);
            self.store.on_attester_slashing(slashable.unwrap_or_default());
        }
        self.states.insert(root, state);
        self.update_justified()
    }

    fn checkpoint_state(&self, checkpoint: Checkpoint) -> Result<BeaconState<P>, CaseError> {
        let mut state = self
            .states
            .get(&checkpoint.root)
            .ok_or_else(|| wrong("no state of the checkpoint"))?
            .clone();
        let start = checkpoint.epoch.start_slot::<P>();
        if state.slot() < start {
            process_slots(&mut state, start, &self.spec).map_err(wrong)?;
        }
        Ok(state)
    }

    fn update_justified(&mut self) -> Result<(), CaseError> {
        let checkpoint = self.store.justified_checkpoint();
        if self.store.justified_state().is_err() {
            let state = self.checkpoint_state(checkpoint)?;
            let justified = JustifiedState::new(checkpoint, &state).map_err(wrong)?;
            self.store.set_justified_state(justified).map_err(wrong)?;
        }
        Ok(())
    }

    fn on_attestation(&mut self, attestation: &Attestation<P>) -> Result<(), CaseError> {
        self.store
            .validate_on_attestation::<P>(attestation.data(), false, &self.spec)
            .map_err(wrong)?;
        let state = self.checkpoint_state(attestation.data().target)?;
        let indexed = get_indexed_attestation(&state, attestation.to_ref()).map_err(wrong)?;
        let set = check_indexed_attestation(&state, indexed.to_ref(), 0).map_err(wrong)?;
        self.verify(&set)?;
        self.store
            .on_attestation::<P>(indexed.attesting_indices(), attestation.data(), false, &self.spec)
            .map_err(wrong)
    }

    fn on_attester_slashing(&mut self, slashing: &AttesterSlashing<P>) -> Result<(), CaseError> {
        let state = &self.states[&self.store.justified_checkpoint().root];
        let (slashable, sets) = check_attester_slashing_evidence(state, slashing.to_ref()).map_err(wrong)?;
        sets.iter().try_for_each(|set| self.verify(set))?;
        self.store.on_attester_slashing(slashable);
        Ok(())
    }

    fn verify(&self, set: &SignatureSet) -> Result<(), CaseError> {
        if self.ignore_signatures {
            return Ok(());
        }
        signature_scheme::verify(set).map_err(wrong)
    }

    fn check(&mut self, checks: &Checks) -> Result<(), CaseError> {
        self.update_justified()?;
        let head = self.store.get_head::<P>(&self.spec).map_err(wrong)?;
        if let Some(expected) = &checks.head {
            equal("head", &head, &expected.root)?;
            equal(
                "head slot",
                &self.store.block(&head).map(|node| node.slot),
                &Some(expected.slot),
            )?;
        }
        if let Some(expected) = checks.time {
            equal("time", &(self.store.time_ms() / 1000), &expected)?;
        }
        if let Some(expected) = checks.genesis_time {
            equal("genesis_time", &self.store.genesis_time(), &expected)?;
        }
        if let Some(expected) = checks.justified_checkpoint {
            equal("justified_checkpoint", &self.store.justified_checkpoint(), &expected)?;
        }
        if let Some(expected) = checks.finalized_checkpoint {
            equal("finalized_checkpoint", &self.store.finalized_checkpoint(), &expected)?;
        }
        if let Some(expected) = checks.proposer_boost_root {
            equal("proposer_boost_root", &self.store.proposer_boost_root(), &expected)?;
        }
        if let Some(expected) = checks.get_proposer_head {
            let slot = self.store.get_current_slot(&self.spec);
            let found = self
                .store
                .get_proposer_head::<P>(head, slot, &self.spec)
                .map_err(wrong)?;
            equal("get_proposer_head", &found.0, &expected)?;
        }
        if let Some(expected) = &checks.should_override_forkchoice_update {
            let found = self
                .store
                .should_override_forkchoice_update::<P>(&head, expected.validator_is_connected, &self.spec)
                .map_err(wrong)?;
            equal("should_override_forkchoice_update", &found.is_ok(), &expected.result)?;
        }
        if let Some(expected) = &checks.viable_for_head_roots_and_weights {
            let mut found = self.store.viable_heads::<P>(&self.spec).map_err(wrong)?;
            let mut expected: Vec<(Root, Gwei)> = expected.iter().map(|entry| (entry.root, entry.weight)).collect();
            found.sort();
            expected.sort();
            equal("viable_for_head_roots_and_weights", &found, &expected)?;
        }
        Ok(())
    }
}

fn block_hash<P: Preset>(signed: &SignedBeaconBlock<P>) -> Hash32 {
    match signed {
        SignedBeaconBlock::Fulu(signed) => signed.message.body.execution_payload.block_hash,
        SignedBeaconBlock::Dvt(signed) => signed.message.body.execution_payload.block_hash,
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(name: &str, found: &T, expected: &T) -> Result<(), CaseError> {
    if found == expected {
        Ok(())
    } else {
        Err(CaseError::wrong(format!("{name} is {found:?}, expected {expected:?}")))
    }
}
