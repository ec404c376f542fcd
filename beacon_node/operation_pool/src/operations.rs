//! Slashings, exits, changes of withdrawal credentials, and key-set changes.

use crate::layout::{attester_slashing_for, exit_for, proposer_slashing_for};
use crate::partial::{self, MemberPart, PartError};
use ssz_types::VariableList;
use state_transition::block::operations::address_change::check_bls_to_execution_change;
use state_transition::block::operations::attester_slashing::{apply_attester_slashing, check_attester_slashing};
use state_transition::block::operations::proposer_slashing::{apply_proposer_slashing, check_proposer_slashing};
use state_transition::block::operations::voluntary_exit::{apply_voluntary_exit, check_voluntary_exit};
use state_transition::dvt::accessors::{get_group, get_key_set};
use state_transition::dvt::key_set_change::{apply_key_set_change, check_key_set_change, check_key_set_change_at};
use state_transition::dvt::signers::Quorum;
use state_transition::helpers::accessors::get_validator;
use state_transition::helpers::predicates::is_slashable_validator;
use std::collections::{BTreeMap, HashMap};
use tree_hash::TreeHash as _;
use types::constants::{BLS_WITHDRAWAL_PREFIX, FAR_FUTURE_EPOCH, KEY_SET_CHANGE_WINDOW, MAX_KEY_SET_CHANGES};
use types::{
    AttesterSlashing, BeaconState, ChainSpec, ForkName, ForkVersioned, KeySet, Preset, ProposerSlashing, Root,
    SchemeProofs, SignedBLSToExecutionChange, SignedKeySetChange, SignedVoluntaryExit, SignedVoluntaryExitDvt, Slot,
    ValidatorIndex, VoluntaryExit,
};

/// Operations of one kind that are kept.
const MAX_OPERATIONS: usize = 65_536;

/// What a block contains beside votes: valid one after the other, in the order of block processing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operations<P: Preset> {
    /// Evidence against proposers.
    pub proposer_slashings: Vec<ProposerSlashing>,
    /// Evidence against attesters.
    pub attester_slashings: Vec<AttesterSlashing<P>>,
    /// Exits.
    pub voluntary_exits: Vec<SignedVoluntaryExit>,
    /// Changes of withdrawal credentials.
    pub bls_to_execution_changes: Vec<SignedBLSToExecutionChange>,
    /// Key-set changes.
    pub key_set_changes: Vec<SignedKeySetChange>,
}

/// An exit that the members of a group still sign.
#[derive(Debug, Clone)]
pub(crate) struct PendingExit {
    /// Whose members signed. With another one in force all of it is void.
    key_set: KeySet,
    parts: Vec<MemberPart>,
}

/// A key-set change that its members still sign.
#[derive(Debug, Clone)]
pub(crate) struct PendingChange {
    pub(crate) change: SignedKeySetChange,
    pub(crate) parts: Vec<MemberPart>,
}

#[derive(Debug, Clone)]
pub(crate) struct OperationSet<P: Preset> {
    pub(crate) proposer_slashings: BTreeMap<ValidatorIndex, ProposerSlashing>,
    pub(crate) attester_slashings: HashMap<Root, AttesterSlashing<P>>,
    pub(crate) exits: BTreeMap<ValidatorIndex, SignedVoluntaryExit>,
    pub(crate) exit_parts: HashMap<VoluntaryExit, PendingExit>,
    pub(crate) address_changes: BTreeMap<ValidatorIndex, SignedBLSToExecutionChange>,
    pub(crate) key_set_changes: BTreeMap<ValidatorIndex, SignedKeySetChange>,
    pub(crate) key_set_change_parts: HashMap<Root, PendingChange>,
}

impl<P: Preset> Default for OperationSet<P> {
    fn default() -> Self {
        Self {
            proposer_slashings: BTreeMap::new(),
            attester_slashings: HashMap::new(),
            exits: BTreeMap::new(),
            exit_parts: HashMap::new(),
            address_changes: BTreeMap::new(),
            key_set_changes: BTreeMap::new(),
            key_set_change_parts: HashMap::new(),
        }
    }
}

fn has_room<K, V>(map: &BTreeMap<K, V>) -> bool {
    map.len() < MAX_OPERATIONS
}

impl<P: Preset> OperationSet<P> {
    pub(crate) fn insert_proposer_slashing(&mut self, slashing: ProposerSlashing) {
        if has_room(&self.proposer_slashings) {
            let proposer = slashing.signed_header_1().message().proposer_index;
            self.proposer_slashings.entry(proposer).or_insert(slashing);
        }
    }

    pub(crate) fn insert_attester_slashing(&mut self, slashing: AttesterSlashing<P>) {
        if self.attester_slashings.len() < MAX_OPERATIONS {
            self.attester_slashings.insert(slashing.tree_hash_root(), slashing);
        }
    }

    pub(crate) fn insert_address_change(&mut self, change: SignedBLSToExecutionChange) {
        if has_room(&self.address_changes) {
            self.address_changes
                .entry(change.message.validator_index)
                .or_insert(change);
        }
    }

    /// Takes the place of an exit that is there: since that one was checked, other keys may have come into force.
    pub(crate) fn insert_exit(&mut self, exit: SignedVoluntaryExit) {
        let message = *exit.message();
        self.exit_parts.remove(&message);
        if has_room(&self.exits) || self.exits.contains_key(&message.validator_index) {
            self.exits.insert(message.validator_index, exit);
        }
    }

    /// `slot` is that in which the change was checked.
    pub(crate) fn insert_key_set_change(&mut self, change: SignedKeySetChange, slot: Slot) {
        self.key_set_change_parts.remove(&change.message.tree_hash_root());
        let index = change.message.validator_index;
        let known = self.key_set_changes.get(&index).map(|known| &known.message);
        let is_newer = known.is_none_or(|known| {
            let is_over = slot > known.slot.saturating_add(KEY_SET_CHANGE_WINDOW);
            known.sequence < change.message.sequence || (known.sequence == change.message.sequence && is_over)
        });
        if is_newer && (known.is_some() || has_room(&self.key_set_changes)) {
            self.key_set_changes.insert(index, change);
        }
    }

    /// Takes a member's part, which holds in `state`. Gives the exit if it is complete now; it is in the pool then.
    /// Parts by members of another key set are dropped.
    pub(crate) fn insert_exit_part(
        &mut self,
        exit: &SignedVoluntaryExit,
        state: &BeaconState<P>,
        spec: &ChainSpec,
    ) -> Result<Option<SignedVoluntaryExit>, PartError> {
        let message = *exit.message();
        if self.exit_parts.len() >= MAX_OPERATIONS && !self.exit_parts.contains_key(&message) {
            return Ok(None);
        }
        let key_set = get_key_set(state, message.validator_index, state.current_epoch())?;
        let key_set = key_set.cloned().unwrap_or_default();
        let pending = self.exit_parts.entry(message).or_insert_with(|| PendingExit {
            key_set: key_set.clone(),
            parts: Vec::new(),
        });
        if pending.key_set != key_set {
            *pending = PendingExit {
                key_set,
                parts: Vec::new(),
            };
        }
        partial::insert(
            &mut pending.parts,
            MemberPart {
                signers: exit.to_ref().signers(),
                signature: *exit.signature(),
                proofs: SchemeProofs::new(exit.to_ref().proofs().to_vec()).unwrap_or_default(),
            },
        );
        let sum = partial::sum(state, message.validator_index, &pending.parts)?;
        let exit = SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
            message,
            signature: sum.signature,
            signers: sum.signers,
            proofs: sum.proofs,
        });
        let is_complete = check_voluntary_exit(state, exit.to_ref(), Quorum::Threshold, spec)
            .is_ok_and(|set| signature_scheme::verify(&set).is_ok());
        if !is_complete {
            return Ok(None);
        }
        self.insert_exit(exit.clone());
        Ok(Some(exit))
    }

    /// Takes a member's part, which holds in `state` and `slot`. Gives the change if it is complete now; it is in the
    /// pool then.
    pub(crate) fn insert_key_set_change_part(
        &mut self,
        change: &SignedKeySetChange,
        state: &BeaconState<P>,
        slot: Slot,
        spec: &ChainSpec,
    ) -> Result<Option<SignedKeySetChange>, PartError> {
        let root = change.message.tree_hash_root();
        if self.key_set_change_parts.len() >= MAX_OPERATIONS && !self.key_set_change_parts.contains_key(&root) {
            return Ok(None);
        }
        let pending = self.key_set_change_parts.entry(root).or_insert_with(|| PendingChange {
            change: change.clone(),
            parts: Vec::new(),
        });
        partial::insert(
            &mut pending.parts,
            MemberPart {
                signers: change.signers.clone(),
                signature: change.signature,
                proofs: change.proofs.clone(),
            },
        );
        let sum = partial::sum(state, change.message.validator_index, &pending.parts)?;
        pending.change.signers = sum.signers;
        pending.change.signature = sum.signature;
        pending.change.proofs = sum.proofs;
        let change = pending.change.clone();
        let is_complete = check_key_set_change_at(state, slot, &change, Quorum::Threshold, spec)
            .is_ok_and(|sets| signature_scheme::verify_batch(&sets).is_ok());
        if !is_complete {
            return Ok(None);
        }
        self.insert_key_set_change(change.clone(), slot);
        Ok(Some(change))
    }

    /// Operations for a block on `state`, which is of the block's slot. Each is checked as the block will be, with
    /// its signatures.
    pub(crate) fn pack(&self, state: &BeaconState<P>, spec: &ChainSpec) -> Operations<P> {
        let fork = ForkVersioned::fork_name(state);
        let mut state = state.clone();
        let mut packed = Operations {
            proposer_slashings: Vec::new(),
            attester_slashings: Vec::new(),
            voluntary_exits: Vec::new(),
            bls_to_execution_changes: Vec::new(),
            key_set_changes: Vec::new(),
        };
        let verified = |sets: &[signature_scheme::SignatureSet]| signature_scheme::verify_batch(sets).is_ok();

        for slashing in self.proposer_slashings.values() {
            if packed.proposer_slashings.len() as u64 >= P::MAX_PROPOSER_SLASHINGS {
                break;
            }
            let Some(slashing) = proposer_slashing_for(slashing.clone(), fork) else {
                continue;
            };
            let Ok((proposer, sets)) = check_proposer_slashing(&state, slashing.to_ref()) else {
                continue;
            };
            if verified(&sets) && apply_proposer_slashing(&mut state, proposer, spec).is_ok() {
                packed.proposer_slashings.push(slashing);
            }
        }
        self.pack_attester_slashings(&mut state, fork, &mut packed, spec);
        for exit in self.exits.values() {
            if packed.voluntary_exits.len() as u64 >= P::MAX_VOLUNTARY_EXITS {
                break;
            }
            let Some(exit) = exit_for(exit.clone(), fork) else {
                continue;
            };
            let Ok(set) = check_voluntary_exit(&state, exit.to_ref(), Quorum::Threshold, spec) else {
                continue;
            };
            let index = exit.message().validator_index;
            if verified(&[set]) && apply_voluntary_exit(&mut state, index, spec).is_ok() {
                packed.voluntary_exits.push(exit);
            }
        }
        for change in self.address_changes.values() {
            if packed.bls_to_execution_changes.len() as u64 >= P::MAX_BLS_TO_EXECUTION_CHANGES {
                break;
            }
            if check_bls_to_execution_change(&state, change, spec).is_ok_and(|set| verified(&[set])) {
                packed.bls_to_execution_changes.push(change.clone());
            }
        }
        if fork == ForkName::Dvt {
            for change in self.key_set_changes.values() {
                if packed.key_set_changes.len() as u64 >= MAX_KEY_SET_CHANGES {
                    break;
                }
                let Ok(sets) = check_key_set_change(&state, change, Quorum::Threshold, spec) else {
                    continue;
                };
                if verified(&sets) && apply_key_set_change(&mut state, &change.message).is_ok() {
                    packed.key_set_changes.push(change.clone());
                }
            }
        }
        packed
    }

    /// Evidence that slashes most stake goes first: there is room for little.
    fn pack_attester_slashings(
        &self,
        state: &mut BeaconState<P>,
        fork: ForkName,
        packed: &mut Operations<P>,
        spec: &ChainSpec,
    ) {
        while (packed.attester_slashings.len() as u64) < P::MAX_ATTESTER_SLASHINGS_ELECTRA {
            let best = self
                .attester_slashings
                .values()
                .filter_map(|slashing| {
                    let slashing = attester_slashing_for(slashing.clone(), fork)?;
                    let (slashable, sets) = check_attester_slashing(state, slashing.to_ref()).ok()?;
                    let stake: u64 = slashable
                        .iter()
                        .filter_map(|index| Some(get_validator(state, *index).ok()?.effective_balance))
                        .sum();
                    signature_scheme::verify_batch(&sets).ok()?;
                    Some((stake, slashing, slashable))
                })
                .max_by_key(|(stake, ..)| *stake);
            let Some((_, slashing, slashable)) = best else { return };
            if apply_attester_slashing(state, slashable, spec).is_err() {
                return;
            }
            packed.attester_slashings.push(slashing);
        }
    }

    /// Drops what the finalised state makes useless.
    pub(crate) fn prune(&mut self, finalized: &BeaconState<P>, current_slot: Slot) {
        let epoch = finalized.current_epoch();
        let is_slashable =
            |index: ValidatorIndex| get_validator(finalized, index).is_ok_and(|it| is_slashable_validator(it, epoch));
        let may_exit = |index: ValidatorIndex| {
            // A validator that is not in the finalised state yet may still exit.
            get_validator(finalized, index).map_or(true, |it| it.exit_epoch == FAR_FUTURE_EPOCH)
        };
        self.proposer_slashings.retain(|index, _| is_slashable(*index));
        self.attester_slashings.retain(|_, slashing| {
            let [side_1, _] = slashing.to_ref().sides();
            side_1
                .votes
                .iter()
                .flat_map(|vote| vote.attesting_indices().iter())
                .any(|signer| is_slashable(signer.validator()))
        });
        self.exits.retain(|index, _| may_exit(*index));
        let may_be_in_force = |index: ValidatorIndex, key_set: &KeySet| {
            get_group(finalized, index)
                .and_then(|(_, group)| group::get_key_set(&group.key_sets, current_slot.epoch::<P>()))
                .is_none_or(|in_force| in_force.activation_epoch <= key_set.activation_epoch)
        };
        self.exit_parts.retain(|exit, pending| {
            may_exit(exit.validator_index) && may_be_in_force(exit.validator_index, &pending.key_set)
        });
        self.address_changes.retain(|index, _| {
            get_validator(finalized, *index).map_or(true, |it| it.withdrawal_prefix() == BLS_WITHDRAWAL_PREFIX)
        });
        let is_open = |change: &SignedKeySetChange| {
            let message = &change.message;
            let accepted = get_group(finalized, message.validator_index).map_or(0, |(_, group)| group.sequence);
            message.sequence >= accepted && current_slot <= message.slot.saturating_add(KEY_SET_CHANGE_WINDOW)
        };
        self.key_set_changes.retain(|_, change| is_open(change));
        self.key_set_change_parts.retain(|_, pending| is_open(&pending.change));
    }
}

/// A list for a block body. What is too much is left out.
pub fn limited<T, N: types::Limit>(mut values: Vec<T>) -> VariableList<T, N> {
    values.truncate(N::to_usize());
    VariableList::new(values).unwrap_or_default()
}
