//! Genesis states for devnets: Fulu or `dvt` from the first slot, validators and groups given, no deposits.
//!
//! The shape is that of the genesis states that the specification's tests start from: everybody with a full balance is
//! active from epoch 0.

use crate::dvt;
use crate::dvt::key_set_change::{KeySetChangeError, check_form};
use crate::epoch::lookahead::initialize_proposer_lookahead;
use crate::error::{GenesisError, StateError};
use crate::helpers::accessors::get_activation_exit_churn_limit;
use crate::helpers::accessors::{get_consolidation_churn_limit, get_validator, get_validator_index};
use crate::helpers::misc::compute_activation_exit_epoch;
use crate::helpers::mutators::get_validator_from_deposit;
use crate::sync_committee::get_next_sync_committee;
use crate::upgrade::upgrade_to_dvt;
use milhouse::{List, Vector};
use ssz_types::{FixedVector, VariableList};
use std::collections::HashMap;
use std::sync::Arc;
use tree_hash::TreeHash;
use types::caches::Caches;
use types::constants::{GENESIS_EPOCH, GENESIS_SLOT, MIN_BALANCE_PER_VIRTUAL_KEY, UNSET_DEPOSIT_REQUESTS_START_INDEX};
use types::{
    BeaconBlockBodyDvt, BeaconBlockBodyFulu, BeaconBlockDvt, BeaconBlockFulu, BeaconBlockHeader, BeaconState,
    BeaconStateFulu, ChainSpec, Checkpoint, Epoch, Eth1Data, ExecutionPayloadHeader, Fork, ForkName, Group, Gwei,
    Hash32, KeySet, Preset, PublicKeyBytes, Root, SafeArith as _, SignatureBytes, SignedBeaconBlock,
    SignedBeaconBlockDvt, SignedBeaconBlockFulu, Signers, SyncAggregate, SyncCommittee, Validator, ValidatorIndex,
    VirtualKey,
};

/// Root of the deposit contract's tree without deposits.
const EMPTY_DEPOSIT_ROOT: Root = Root::new([
    0xd7, 0x0a, 0x23, 0x47, 0x31, 0x28, 0x5c, 0x68, 0x04, 0xc2, 0xa4, 0xf5, 0x67, 0x11, 0xdd, 0xb8, 0xc8, 0x2c, 0x99,
    0x74, 0x0f, 0x20, 0x78, 0x54, 0x89, 0x10, 0x28, 0xaf, 0x34, 0xe2, 0x7e, 0x5e,
]);

/// A registry entry at genesis.
#[derive(Debug, Clone)]
pub struct GenesisValidator {
    /// Registry key.
    pub pubkey: PublicKeyBytes,
    /// Withdrawal credentials, prefix included.
    pub withdrawal_credentials: Hash32,
    /// Balance in Gwei; the effective balance follows from it and from the credentials.
    pub balance: Gwei,
    /// The key set that is in force from epoch 0, if this is a group.
    pub group: Option<GenesisGroup>,
}

/// A key set that is in force from epoch 0.
#[derive(Debug, Clone)]
pub struct GenesisGroup {
    /// How many keys must sign.
    pub threshold: u8,
    /// Keys in order.
    pub keys: Vec<VirtualKey>,
}

/// The genesis state of a chain whose first fork is the latest one that `spec` puts at epoch 0.
///
/// The state comes with its genesis validators root, committees and proposers; its root is the state root of
/// [`genesis_block`].
pub fn genesis_state<P: Preset>(
    genesis_time: u64,
    validators: &[GenesisValidator],
    execution_payload_header: ExecutionPayloadHeader<P>,
    spec: &ChainSpec,
) -> Result<BeaconState<P>, GenesisError> {
    let fork_name = if spec.dvt_fork_epoch == GENESIS_EPOCH {
        ForkName::Dvt
    } else if spec.fulu_fork_epoch == GENESIS_EPOCH {
        ForkName::Fulu
    } else {
        return Err(GenesisError::UnsupportedFork);
    };
    check_validators(validators, fork_name)?;

    let mut state = empty_state(genesis_time, execution_payload_header, spec)?;
    for genesis_validator in validators {
        let mut validator = get_validator_from_deposit::<P>(
            genesis_validator.pubkey,
            genesis_validator.withdrawal_credentials,
            genesis_validator.balance,
        )?;
        if validator.effective_balance >= P::MIN_ACTIVATION_BALANCE {
            validator.activation_eligibility_epoch = GENESIS_EPOCH;
            validator.activation_epoch = GENESIS_EPOCH;
        }
        state.validators.push(validator)?;
        state.balances.push(genesis_validator.balance)?;
        state.previous_epoch_participation.push(0)?;
        state.current_epoch_participation.push(0)?;
        state.inactivity_scores.push(0)?;
    }
    state.validators.apply_updates()?;
    if !state
        .validators
        .iter()
        .any(|validator| validator.is_active_at(GENESIS_EPOCH))
    {
        return Err(GenesisError::NoValidators);
    }
    state.genesis_validators_root = state.validators.tree_hash_root();
    let mut state = BeaconState::Fulu(state);
    state.apply_pending_mutations()?;

    state.latest_block_header_mut().body_root = empty_body_fulu::<P>().tree_hash_root();
    *state.earliest_exit_epoch_mut() = compute_activation_exit_epoch::<P>(GENESIS_EPOCH)?;
    *state.earliest_consolidation_epoch_mut() = compute_activation_exit_epoch::<P>(GENESIS_EPOCH)?;
    *state.exit_balance_to_consume_mut() = get_activation_exit_churn_limit(&state, spec)?;
    *state.consolidation_balance_to_consume_mut() = get_consolidation_churn_limit(&state, spec)?;

    let committee = Arc::new(get_next_sync_committee(&state)?);
    *state.current_sync_committee_mut() = Arc::clone(&committee);
    *state.next_sync_committee_mut() = committee;
    let lookahead = initialize_proposer_lookahead(&state)?;
    *state.proposer_lookahead_mut() = Vector::new(lookahead)?;
    state.apply_pending_mutations()?;
    if fork_name == ForkName::Fulu {
        return Ok(state);
    }
    let mut key_sets = Vec::new();
    for (index, validator) in (0u64..).zip(validators) {
        if let Some(group) = &validator.group {
            let index = ValidatorIndex::new(index);
            let keys = group.keys.len();
            let key_set = KeySet {
                activation_epoch: GENESIS_EPOCH,
                threshold: group.threshold,
                keys: VariableList::new(group.keys.clone()).map_err(|_| {
                    let threshold = group.threshold;
                    of_group(index, KeySetChangeError::Threshold { threshold, keys })
                })?,
            };
            key_sets.push((index, key_set));
        }
    }
    get_dvt_genesis_state(state, key_sets, spec)
}

/// The genesis state of a chain that starts in `dvt`, from that of one which starts in Fulu with the same validators, and
/// the key sets of those that are groups, in the order of their indices.
///
/// Spec: dvt/fork.md#get_dvt_genesis_state
pub fn get_dvt_genesis_state<P: Preset>(
    mut state: BeaconState<P>,
    key_sets: Vec<(ValidatorIndex, KeySet)>,
    spec: &ChainSpec,
) -> Result<BeaconState<P>, GenesisError> {
    upgrade_to_dvt(&mut state, spec)?;
    check_key_sets(&state, &key_sets)?;
    let BeaconState::Dvt(post) = &mut state else {
        return Err(GenesisError::UnsupportedFork);
    };
    post.fork = Fork {
        previous_version: spec.dvt_fork_version,
        current_version: spec.dvt_fork_version,
        epoch: GENESIS_EPOCH,
    };
    post.latest_block_header.body_root = empty_body_dvt::<P>().tree_hash_root();
    for (validator_index, key_set) in key_sets {
        post.groups.push(Group {
            validator_index,
            sequence: 0,
            key_sets: VariableList::new(vec![key_set])?,
        })?;
        post.previous_group_participation.push(0)?;
        post.current_group_participation.push(0)?;
    }
    state.apply_pending_mutations()?;
    // Groups fill positions with their keys from the first committee on.
    let (committee, indices) = dvt::sync_committee::get_next_sync_committee(&state, spec)?;
    if let BeaconState::Dvt(state) = &mut state {
        state.current_sync_committee_indices = Arc::new(indices);
        state.next_sync_committee_indices = Arc::clone(&state.current_sync_committee_indices);
    }
    let committee = Arc::new(committee);
    *state.current_sync_committee_mut() = Arc::clone(&committee);
    *state.next_sync_committee_mut() = committee;
    state.apply_pending_mutations()?;
    Ok(state)
}

fn of_group(index: ValidatorIndex, reason: KeySetChangeError) -> GenesisError {
    GenesisError::Group {
        index,
        reason: Box::new(reason),
    }
}

/// Key sets at genesis are such as a change could bring.
fn check_key_sets<P: Preset>(
    state: &BeaconState<P>,
    key_sets: &[(ValidatorIndex, KeySet)],
) -> Result<(), GenesisError> {
    let mut last = None;
    let mut members = HashMap::new();
    for (index, key_set) in key_sets {
        let index = *index;
        if key_set.activation_epoch != GENESIS_EPOCH {
            return Err(GenesisError::NotInForce {
                index,
                activation: key_set.activation_epoch,
            });
        }
        if last.replace(index).is_some_and(|last| last >= index) {
            return Err(GenesisError::GroupsNotAscending { index });
        }
        check_group(get_validator(state, index)?, key_set, index).map_err(|reason| of_group(index, reason))?;
        check_form::<P>(&key_set.keys).map_err(|reason| of_group(index, reason))?;
        for (place, key) in key_set.keys.iter().enumerate() {
            let of_validator = key.as_bls().and_then(|pubkey| get_validator_index(state, &pubkey));
            let of_group_before = members.insert(key, index);
            if let Some(owner) = of_validator.filter(|owner| *owner != index).or(of_group_before) {
                return Err(of_group(index, KeySetChangeError::KeyTaken { place, owner }));
            }
        }
    }
    Ok(())
}

/// What can be said of a group without its keys and without other groups.
fn check_group(validator: &Validator, key_set: &KeySet, index: ValidatorIndex) -> Result<(), KeySetChangeError> {
    let (keys, threshold) = (key_set.keys.len(), key_set.threshold);
    if threshold == 0 || usize::from(threshold) > keys {
        return Err(KeySetChangeError::Threshold { threshold, keys });
    }
    if keys >= 2 {
        if !validator.has_compounding_withdrawal_credential() {
            return Err(KeySetChangeError::NotCompounding(index));
        }
        let expected = MIN_BALANCE_PER_VIRTUAL_KEY.safe_mul(keys as u64)?;
        let found = validator.effective_balance;
        if found < expected {
            return Err(KeySetChangeError::Balance { keys, expected, found });
        }
    }
    Ok(())
}

/// The block that a genesis state stands for: empty, unsigned, of slot 0.
pub fn genesis_block<P: Preset>(state: &mut BeaconState<P>) -> Result<SignedBeaconBlock<P>, GenesisError> {
    let state_root = state.canonical_root()?;
    let slot = GENESIS_SLOT;
    let proposer_index = ValidatorIndex::new(0);
    let parent_root = Root::ZERO;
    let signature = SignatureBytes::ZERO;
    Ok(match state {
        BeaconState::Fulu(_) => SignedBeaconBlock::Fulu(SignedBeaconBlockFulu {
            message: BeaconBlockFulu {
                slot,
                proposer_index,
                parent_root,
                state_root,
                body: empty_body_fulu(),
            },
            signature,
        }),
        BeaconState::Dvt(_) => SignedBeaconBlock::Dvt(SignedBeaconBlockDvt {
            message: BeaconBlockDvt {
                slot,
                proposer_index,
                parent_root,
                state_root,
                body: empty_body_dvt(),
            },
            signature,
            signers: Signers::default(),
            proofs: VariableList::empty(),
        }),
    })
}

fn check_validators(validators: &[GenesisValidator], fork_name: ForkName) -> Result<(), GenesisError> {
    let mut registered = HashMap::with_capacity(validators.len());
    for (index, validator) in (0u64..).zip(validators) {
        let index = ValidatorIndex::new(index);
        if let Some(first) = registered.insert(validator.pubkey, index) {
            return Err(GenesisError::DuplicateKey { first, second: index });
        }
        if validator.group.is_some() && fork_name < ForkName::Dvt {
            return Err(GenesisError::GroupsBeforeDvt { index });
        }
    }
    Ok(())
}

/// Everything but the registry and what is derived from it.
fn empty_state<P: Preset>(
    genesis_time: u64,
    execution_payload_header: ExecutionPayloadHeader<P>,
    spec: &ChainSpec,
) -> Result<BeaconStateFulu<P>, StateError> {
    let eth1_block_hash = execution_payload_header.block_hash;
    let no_committee = Arc::new(SyncCommittee {
        pubkeys: FixedVector::default(),
        aggregate_pubkey: PublicKeyBytes::ZERO,
    });
    Ok(BeaconStateFulu {
        genesis_time,
        genesis_validators_root: Root::ZERO,
        slot: GENESIS_SLOT,
        fork: Fork {
            previous_version: spec.fulu_fork_version,
            current_version: spec.fulu_fork_version,
            epoch: GENESIS_EPOCH,
        },
        latest_block_header: BeaconBlockHeader::default(),
        block_roots: Vector::default(),
        state_roots: Vector::default(),
        historical_roots: List::empty(),
        eth1_data: Eth1Data {
            deposit_root: EMPTY_DEPOSIT_ROOT,
            deposit_count: 0,
            block_hash: eth1_block_hash,
        },
        eth1_data_votes: List::empty(),
        eth1_deposit_index: 0,
        validators: List::empty(),
        balances: List::empty(),
        randao_mixes: Vector::from_elem(eth1_block_hash)?,
        slashings: Vector::default(),
        previous_epoch_participation: List::empty(),
        current_epoch_participation: List::empty(),
        justification_bits: Default::default(),
        previous_justified_checkpoint: Checkpoint::default(),
        current_justified_checkpoint: Checkpoint::default(),
        finalized_checkpoint: Checkpoint::default(),
        inactivity_scores: List::empty(),
        current_sync_committee: Arc::clone(&no_committee),
        next_sync_committee: no_committee,
        latest_execution_payload_header: execution_payload_header,
        next_withdrawal_index: 0,
        next_withdrawal_validator_index: ValidatorIndex::new(0),
        historical_summaries: List::empty(),
        deposit_requests_start_index: UNSET_DEPOSIT_REQUESTS_START_INDEX,
        deposit_balance_to_consume: 0,
        exit_balance_to_consume: 0,
        earliest_exit_epoch: Epoch::new(0),
        consolidation_balance_to_consume: 0,
        earliest_consolidation_epoch: Epoch::new(0),
        pending_deposits: List::empty(),
        pending_partial_withdrawals: List::empty(),
        pending_consolidations: List::empty(),
        proposer_lookahead: Vector::default(),
        caches: Caches::default(),
    })
}

fn empty_sync_aggregate<P: Preset>() -> SyncAggregate<P> {
    SyncAggregate {
        sync_committee_bits: Default::default(),
        sync_committee_signature: SignatureBytes::ZERO,
    }
}

pub(crate) fn empty_body_fulu<P: Preset>() -> BeaconBlockBodyFulu<P> {
    BeaconBlockBodyFulu {
        randao_reveal: SignatureBytes::ZERO,
        eth1_data: Eth1Data::default(),
        graffiti: Hash32::ZERO,
        proposer_slashings: VariableList::empty(),
        attester_slashings: VariableList::empty(),
        attestations: VariableList::empty(),
        deposits: VariableList::empty(),
        voluntary_exits: VariableList::empty(),
        sync_aggregate: empty_sync_aggregate(),
        execution_payload: Default::default(),
        bls_to_execution_changes: VariableList::empty(),
        blob_kzg_commitments: VariableList::empty(),
        execution_requests: Default::default(),
    }
}

pub(crate) fn empty_body_dvt<P: Preset>() -> BeaconBlockBodyDvt<P> {
    BeaconBlockBodyDvt {
        randao_reveal: SignatureBytes::ZERO,
        eth1_data: Eth1Data::default(),
        graffiti: Hash32::ZERO,
        proposer_slashings: VariableList::empty(),
        attester_slashings: VariableList::empty(),
        attestations: VariableList::empty(),
        deposits: VariableList::empty(),
        voluntary_exits: VariableList::empty(),
        sync_aggregate: empty_sync_aggregate(),
        execution_payload: Default::default(),
        bls_to_execution_changes: VariableList::empty(),
        blob_kzg_commitments: VariableList::empty(),
        execution_requests: Default::default(),
        key_set_changes: VariableList::empty(),
        randao_proof: VariableList::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process_slots;
    use crate::testing::{genesis, group, minimal_spec, solo, solo_genesis};
    use types::{ForkVersioned, Minimal, SignerIndex, SignerKey, Slot};

    #[test]
    fn genesis_state_has_committees_proposers_and_its_own_block() {
        for fork in ForkName::ALL {
            let spec = minimal_spec(fork);
            let mut state = solo_genesis(64, &spec);
            assert_eq!(state.fork_name(), fork);
            assert_eq!(state.fork().current_version, spec.fork_version(fork));
            assert_eq!(state.genesis_validators_root(), state.validators().tree_hash_root());
            assert_eq!(state.proposer_lookahead().len(), 16);
            assert_ne!(state.current_sync_committee().aggregate_pubkey, PublicKeyBytes::ZERO);

            let block = genesis_block(&mut state).unwrap();
            let mut header = state.latest_block_header();
            header.state_root = state.canonical_root().unwrap();
            let block_root = match &block {
                SignedBeaconBlock::Fulu(block) => block.message.tree_hash_root(),
                SignedBeaconBlock::Dvt(block) => block.message.tree_hash_root(),
            };
            assert_eq!(header.tree_hash_root(), block_root);

            process_slots(&mut state, Slot::new(1), &spec).unwrap();
            assert_eq!(state.block_roots().get(0), Some(&block_root));
        }
    }

    #[test]
    fn genesis_runs_through_sync_committee_periods_without_blocks() {
        for fork in ForkName::ALL {
            let spec = minimal_spec(fork);
            let mut state = solo_genesis(32, &spec);
            process_slots(&mut state, Slot::new(8 * 17), &spec).unwrap();
            assert_eq!(state.slot(), Slot::new(136));
        }
    }

    #[test]
    fn genesis_group_is_in_force_from_the_first_epoch() {
        let spec = minimal_spec(ForkName::Dvt);
        let mut validators: Vec<_> = (0..30).map(solo).collect();
        validators.insert(3, group(30, 7, 5));
        let state = genesis(&validators, &spec);
        let groups = state.groups().unwrap();
        assert_eq!(groups.len(), 1);
        let key_set = &groups.get(0).unwrap().key_sets[0];
        assert_eq!(
            (key_set.activation_epoch, key_set.threshold, key_set.keys.len()),
            (GENESIS_EPOCH, 5, 7)
        );
        assert_eq!(state.validators().get(3).unwrap().effective_balance, 7 * 32_000_000_000);
        let BeaconState::Dvt(inner) = &state else {
            panic!("dvt from genesis")
        };
        for (index, pubkey) in inner
            .next_sync_committee_indices
            .iter()
            .zip(&inner.next_sync_committee.pubkeys)
        {
            let expected = match index.split() {
                (validator, None) => validators[validator.as_usize()].pubkey,
                (_, Some(key)) => key_set.keys[usize::from(key)].as_bls().unwrap(),
            };
            assert_eq!(*pubkey, expected, "position of {index}");
        }
        assert!(
            inner
                .next_sync_committee_indices
                .iter()
                .all(|index| *index != SignerIndex::new(3))
        );
    }

    #[test]
    fn impossible_genesis_is_refused() {
        let fulu = minimal_spec(ForkName::Fulu);
        let dvt = minimal_spec(ForkName::Dvt);
        let build = |validators: &[GenesisValidator], spec: &ChainSpec| {
            genesis_state::<Minimal>(0, validators, Default::default(), spec).unwrap_err()
        };
        assert_eq!(build(&[], &fulu), GenesisError::NoValidators);
        let index = ValidatorIndex::new(0);
        assert_eq!(build(&[group(0, 3, 2)], &fulu), GenesisError::GroupsBeforeDvt { index });
        let keys = 3;
        let of_group = |index, reason| GenesisError::Group {
            index: ValidatorIndex::new(index),
            reason: Box::new(reason),
        };
        assert_eq!(
            build(&[group(0, keys, 4)], &dvt),
            of_group(0, KeySetChangeError::Threshold { keys, threshold: 4 })
        );
        let second = ValidatorIndex::new(1);
        assert_eq!(
            build(&[solo(0), solo(0)], &fulu),
            GenesisError::DuplicateKey { first: index, second }
        );
        let edited = |edit: fn(&mut GenesisValidator)| {
            let mut validator = group(1, keys, 2);
            edit(&mut validator);
            build(&[group(0, keys, 2), validator], &dvt)
        };
        assert_eq!(
            edited(|it| it.withdrawal_credentials = Hash32::repeat_byte(1)),
            of_group(1, KeySetChangeError::NotCompounding(second))
        );
        assert_eq!(
            edited(|it| it.balance -= 1),
            of_group(
                1,
                KeySetChangeError::Balance {
                    keys,
                    expected: 96_000_000_000,
                    found: 95_000_000_000
                }
            )
        );
        assert_eq!(
            edited(|it| it.group.as_mut().unwrap().keys[2] = it.group.as_ref().unwrap().keys[0].clone()),
            of_group(1, KeySetChangeError::DuplicateKey { first: 0, second: 2 })
        );
        assert_eq!(
            edited(|it| it.group.as_mut().unwrap().keys[1] = group(0, 3, 2).group.unwrap().keys[2].clone()),
            of_group(1, KeySetChangeError::KeyTaken { place: 1, owner: index })
        );
        assert_eq!(
            edited(|it| it.group.as_mut().unwrap().keys[1] = SignerKey::from(group(0, 3, 2).pubkey).to_virtual_key()),
            of_group(1, KeySetChangeError::KeyTaken { place: 1, owner: index })
        );
        assert!(matches!(
            edited(|it| it.group.as_mut().unwrap().keys[1].scheme = 3),
            GenesisError::Group { reason, .. } if matches!(*reason, KeySetChangeError::Key { place: 1, .. })
        ));
        let mut late = minimal_spec(ForkName::Fulu);
        late.fulu_fork_epoch = Epoch::new(1);
        assert_eq!(build(&[solo(0)], &late), GenesisError::UnsupportedFork);
    }
}
