//! Spec: phase0/beacon-chain.md#misc, with the changes up to Fulu.

use crate::error::StateError;
use ethereum_hashing::hash_fixed;
use ssz_types::BitVector;
use types::{
    BeaconState, ChainSpec, CommitteeIndex, Epoch, Gwei, Preset, Root, SafeArith, Slot, Validator, ValidatorIndex,
};

/// Largest 16-bit random value that balances are weighed against.
const MAX_RANDOM_VALUE: u64 = u16::MAX as u64;

/// Where the validator at `index` stands after shuffling `index_count` validators.
///
/// Spec: phase0/beacon-chain.md#compute_shuffled_index
pub fn compute_shuffled_index<P: Preset>(index: u64, index_count: u64, seed: Root) -> Result<u64, StateError> {
    group::shuffling::compute_shuffled_index(index, index_count, &seed.0, round_count::<P>()).ok_or(
        StateError::MissingEntry {
            field: "shuffling",
            index: index as usize,
        },
    )
}

/// Shuffles a whole list: place `i` of the result holds `list[compute_shuffled_index(i)]`.
pub fn shuffle_list<P: Preset>(list: Vec<u32>, seed: Root) -> Vec<u32> {
    group::shuffling::shuffle_list(list, &seed.0, round_count::<P>())
}

fn round_count<P: Preset>() -> u8 {
    // 90 or 10.
    P::SHUFFLE_ROUND_COUNT as u8
}

/// `hash(seed + uint_to_bytes(number))`.
pub(crate) fn hash_with_number(seed: Root, number: u64) -> Root {
    let mut preimage = [0u8; 40];
    let (start, end) = preimage.split_at_mut(32);
    start.copy_from_slice(seed.as_slice());
    end.copy_from_slice(&number.to_le_bytes());
    Root::from(hash_fixed(&preimage))
}

/// Draws candidates with a probability that grows with their effective balance, the loop that the choice of
/// proposers and of the sync committee share.
///
/// `max_effective_balance` is an upper bound of what `effective_balance` returns: a draw that even such a validator
/// would lose needs no shuffling, which saves almost all of the work as long as nobody is large.
/// Stops when `accept` returns `true`. `effective_balance` gives a second number by which a candidate's chances are
/// divided: 1, or the number of positions that a group fills at once.
pub(crate) fn sample_by_effective_balance<P: Preset>(
    indices: &[u32],
    seed: Root,
    max_effective_balance: Gwei,
    mut effective_balance: impl FnMut(u32) -> Result<(Gwei, u64), StateError>,
    mut accept: impl FnMut(u32) -> bool,
) -> Result<(), StateError> {
    let total = indices.len() as u64;
    let best = max_effective_balance.safe_mul(MAX_RANDOM_VALUE)?;
    let mut random_bytes = Root::ZERO;
    let mut i = 0u64;
    loop {
        let (batch, place) = (i >> 4, i & 15);
        if place == 0 {
            random_bytes = hash_with_number(seed, batch);
        }
        let random_value = random_bytes
            .chunks_exact(2)
            .nth(place as usize)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, |bytes| u64::from(u16::from_le_bytes(bytes)));
        let needed = P::MAX_EFFECTIVE_BALANCE_ELECTRA.safe_mul(random_value)?;
        if best >= needed {
            let shuffled = compute_shuffled_index::<P>(i.safe_rem(total)?, total, seed)?;
            let candidate = *indices.get(shuffled as usize).ok_or(StateError::MissingEntry {
                field: "active validators",
                index: shuffled as usize,
            })?;
            let (balance, divisor) = effective_balance(candidate)?;
            if balance.safe_mul(MAX_RANDOM_VALUE)? >= needed.safe_mul(divisor)? && accept(candidate) {
                return Ok(());
            }
        }
        i.safe_add_assign(1)?;
    }
}

/// A random index of `indices`, weighed by effective balance.
///
/// Spec: electra/beacon-chain.md#modified-compute_proposer_index
pub fn compute_proposer_index<P: Preset>(
    state: &BeaconState<P>,
    indices: &[u32],
    seed: Root,
) -> Result<ValidatorIndex, StateError> {
    compute_proposer_index_bounded::<P>(indices, seed, P::MAX_EFFECTIVE_BALANCE_ELECTRA, |index| {
        super::accessors::get_validator(state, ValidatorIndex::new(u64::from(index)))
            .map(|validator| validator.effective_balance)
    })
}

pub(crate) fn compute_proposer_index_bounded<P: Preset>(
    indices: &[u32],
    seed: Root,
    max_effective_balance: Gwei,
    mut effective_balance: impl FnMut(u32) -> Result<Gwei, StateError>,
) -> Result<ValidatorIndex, StateError> {
    let mut proposer = 0;
    let weight = |index| Ok((effective_balance(index)?, 1));
    sample_by_effective_balance::<P>(indices, seed, max_effective_balance, weight, |index| {
        proposer = index;
        true
    })?;
    Ok(ValidatorIndex::new(u64::from(proposer)))
}

/// The proposers of all slots of `epoch`.
///
/// Spec: fulu/beacon-chain.md#new-compute_proposer_indices
pub fn compute_proposer_indices<P: Preset>(
    state: &BeaconState<P>,
    epoch: Epoch,
    seed: Root,
    indices: &[u32],
) -> Result<Vec<ValidatorIndex>, StateError> {
    compute_proposer_indices_bounded::<P>(epoch, seed, indices, P::MAX_EFFECTIVE_BALANCE_ELECTRA, |index| {
        super::accessors::get_validator(state, ValidatorIndex::new(u64::from(index)))
            .map(|validator| validator.effective_balance)
    })
}

pub(crate) fn compute_proposer_indices_bounded<P: Preset>(
    epoch: Epoch,
    seed: Root,
    indices: &[u32],
    max_effective_balance: Gwei,
    mut effective_balance: impl FnMut(u32) -> Result<Gwei, StateError>,
) -> Result<Vec<ValidatorIndex>, StateError> {
    if indices.is_empty() {
        return Err(StateError::NoActiveValidators { epoch });
    }
    let start_slot = epoch.start_slot::<P>();
    (0..P::slots_per_epoch())
        .map(|i| {
            let slot_seed = hash_with_number(seed, start_slot.safe_add(i)?.as_u64());
            compute_proposer_index_bounded::<P>(indices, slot_seed, max_effective_balance, &mut effective_balance)
        })
        .collect()
}

/// Spec: phase0/beacon-chain.md#compute_epoch_at_slot
#[must_use]
pub fn compute_epoch_at_slot<P: Preset>(slot: Slot) -> Epoch {
    slot.epoch::<P>()
}

/// Spec: phase0/beacon-chain.md#compute_start_slot_at_epoch
#[must_use]
pub fn compute_start_slot_at_epoch<P: Preset>(epoch: Epoch) -> Slot {
    epoch.start_slot::<P>()
}

/// The epoch in which activations and exits that are initiated in `epoch` take effect.
///
/// Spec: phase0/beacon-chain.md#compute_activation_exit_epoch
pub fn compute_activation_exit_epoch<P: Preset>(epoch: Epoch) -> Result<Epoch, StateError> {
    Ok(epoch.safe_add(1u64)?.safe_add(P::MAX_SEED_LOOKAHEAD)?)
}

/// Unix time in seconds at which `slot` begins.
///
/// Spec: bellatrix/beacon-chain.md#compute_timestamp_at_slot
pub fn compute_timestamp_at_slot<P: Preset>(
    state: &BeaconState<P>,
    slot: Slot,
    spec: &ChainSpec,
) -> Result<u64, StateError> {
    let since_genesis = slot.as_u64().safe_mul(spec.slot_duration_ms)?.safe_div(1000)?;
    Ok(state.genesis_time().safe_add(since_genesis)?)
}

/// The set bits of `committee_bits`.
///
/// Spec: electra/beacon-chain.md#new-get_committee_indices
#[must_use]
pub fn get_committee_indices<P: Preset>(committee_bits: &BitVector<P::MaxCommitteesPerSlot>) -> Vec<CommitteeIndex> {
    committee_bits
        .iter()
        .enumerate()
        .filter(|(_, bit)| *bit)
        .map(|(index, _)| index as u64)
        .collect()
}

/// The cap of a validator's effective balance, in Gwei.
///
/// Spec: electra/beacon-chain.md#new-get_max_effective_balance
#[must_use]
pub fn get_max_effective_balance<P: Preset>(validator: &Validator) -> Gwei {
    if validator.has_compounding_withdrawal_credential() {
        P::MAX_EFFECTIVE_BALANCE_ELECTRA
    } else {
        P::MIN_ACTIVATION_BALANCE
    }
}

/// Whether `participation_flags` holds the flag of that index.
///
/// Spec: altair/beacon-chain.md#has_flag
#[must_use]
pub const fn has_flag(participation_flags: u8, flag_index: usize) -> bool {
    (participation_flags >> flag_index) & 1 == 1
}

/// `participation_flags` with the flag of that index.
///
/// Spec: altair/beacon-chain.md#add_flag
#[must_use]
pub const fn add_flag(participation_flags: u8, flag_index: usize) -> u8 {
    participation_flags | (1 << flag_index)
}
