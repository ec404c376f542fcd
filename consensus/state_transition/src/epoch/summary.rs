//! What an epoch transition needs of the registry, in flat arrays.

use crate::caches::registry::{CHUNK, clamp, is_active, read_integers, registry_rows};
use crate::error::{EpochError, StateError};
use crate::helpers::accessors::{get_current_epoch, get_previous_epoch};
use rayon::prelude::*;
use types::caches::RegistryRow;
use types::constants::TIMELY_TARGET_FLAG_INDEX;
use types::{ArithError, BeaconState, Epoch, Gwei, Preset, SafeArith, SparseList, ValidatorIndex};

/// A thread takes at least this many chunks of the registry at a time.
const MIN_CHUNKS: usize = 16;

/// The state of one validator in bits.
///
/// Bits 0 to 2 are the participation flags of the previous epoch, and are set only if the validator was active then and is
/// not slashed: exactly the members of `get_unslashed_participating_indices`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Status(u16);

impl Status {
    const FLAGS: u16 = 0b111;
    const ELIGIBLE: u16 = 1 << 3;
    const ACTIVE_NEXT: u16 = 1 << 4;
    const ACTIVE_LOOKAHEAD: u16 = 1 << 5;
    const COMPOUNDING: u16 = 1 << 6;

    const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    /// Whether the validator is in `get_unslashed_participating_indices(flag_index, previous_epoch)`.
    #[inline]
    pub(crate) const fn participated(self, flag_index: usize) -> bool {
        self.0 >> flag_index & 1 == 1
    }

    /// Whether the validator is in `get_eligible_validator_indices`.
    #[inline]
    pub(crate) const fn is_eligible(self) -> bool {
        self.has(Self::ELIGIBLE)
    }

    /// Whether the validator is active in the next epoch.
    #[inline]
    pub(crate) const fn is_active_next(self) -> bool {
        self.has(Self::ACTIVE_NEXT)
    }

    /// Whether the validator is active in the epoch whose proposers this transition chooses.
    #[inline]
    pub(crate) const fn is_active_in_lookahead(self) -> bool {
        self.has(Self::ACTIVE_LOOKAHEAD)
    }

    /// Whether its effective balance may grow beyond `MIN_ACTIVATION_BALANCE`.
    #[inline]
    pub(crate) const fn is_compounding(self) -> bool {
        self.has(Self::COMPOUNDING)
    }
}

/// The registry at the start of an epoch transition. The arrays run parallel to the registry.
///
/// Bits of a validator stay true during the whole transition: registry updates act at least `MAX_SEED_LOOKAHEAD`
/// epochs ahead, and nothing in the transition slashes.
#[derive(Debug)]
pub(crate) struct EpochSummary {
    pub(crate) current_epoch: Epoch,
    pub(crate) effective_balances: Vec<Gwei>,
    pub(crate) statuses: Vec<Status>,
    /// Read by the stage that needs them first, see [`Self::read_balances`].
    pub(crate) balances: Vec<Gwei>,
    /// Read by the stage that needs them first, see [`Self::read_inactivity_scores`].
    pub(crate) inactivity_scores: Vec<u64>,
    /// At least as many as there are entries of `balances` that differ from the state's.
    changed_balances: usize,
    /// Validators whose balance a stage changed in the state, behind the back of `balances`.
    pub(crate) touched: Vec<ValidatorIndex>,
    /// At least one increment, as in `get_total_balance`.
    pub(crate) total_active_balance: Gwei,
    /// By flag, unslashed participation of the previous epoch; not clamped.
    previous_flag_balances: [Gwei; 3],
    /// Unslashed target votes of the current epoch; not clamped.
    current_target_balance: Gwei,
    /// Who may enter or leave the activation queue: not activated yet.
    pub(crate) pending_activation: Vec<ValidatorIndex>,
    /// Active validators with their effective balance, who may be below an ejection balance: at most the activation balance.
    pub(crate) low_balance: Vec<(ValidatorIndex, Gwei)>,
    /// Slashed validators in the middle of their withdrawability delay.
    pub(crate) correlation_penalty: Vec<ValidatorIndex>,
    /// Upper bound of the effective balances.
    pub(crate) max_effective_balance: Gwei,
}

/// The epochs that a transition asks about, in the 32 bits of the rows.
struct Epochs {
    previous: u32,
    current: u32,
    next: u32,
    lookahead: u32,
    penalty: u32,
}

/// What the sweep adds up, over some of the validators. Names as in [`EpochSummary`].
#[derive(Default)]
struct Totals {
    active_balance: Gwei,
    previous_flag_balances: [Gwei; 3],
    current_target_balance: Gwei,
    pending_activation: Vec<ValidatorIndex>,
    low_balance: Vec<(ValidatorIndex, Gwei)>,
    correlation_penalty: Vec<ValidatorIndex>,
    max_effective_balance: Gwei,
}

impl Totals {
    /// Adds one validator and tells its status.
    #[inline]
    fn add<P: Preset>(
        &mut self,
        index: ValidatorIndex,
        row: &RegistryRow,
        previous_flags: u8,
        current_flags: u8,
        epochs: &Epochs,
    ) -> Result<Status, ArithError> {
        let effective_balance = row.effective_balance;
        let active_previous = is_active(row, epochs.previous);
        let mut status = 0;
        if !row.slashed && active_previous {
            let flags = u16::from(previous_flags) & Status::FLAGS;
            status |= flags;
            for (flag_index, balance) in self.previous_flag_balances.iter_mut().enumerate() {
                if flags >> flag_index & 1 == 1 {
                    balance.safe_add_assign(effective_balance)?;
                }
            }
        }
        // Spec: phase0/beacon-chain.md#get_eligible_validator_indices
        if active_previous || (row.slashed && epochs.previous.saturating_add(1) < row.withdrawable_epoch) {
            status |= Status::ELIGIBLE;
        }
        if is_active(row, epochs.current) {
            self.active_balance.safe_add_assign(effective_balance)?;
            if !row.slashed && current_flags >> TIMELY_TARGET_FLAG_INDEX & 1 == 1 {
                self.current_target_balance.safe_add_assign(effective_balance)?;
            }
            if effective_balance < P::MIN_ACTIVATION_BALANCE {
                self.low_balance.push((index, effective_balance));
            }
        }
        if is_active(row, epochs.next) {
            status |= Status::ACTIVE_NEXT;
        }
        if is_active(row, epochs.lookahead) {
            status |= Status::ACTIVE_LOOKAHEAD;
        }
        if row.compounding {
            status |= Status::COMPOUNDING;
        }
        if row.activation_epoch == u32::MAX || !row.eligible_for_activation {
            self.pending_activation.push(index);
        }
        if row.slashed && row.withdrawable_epoch == epochs.penalty {
            self.correlation_penalty.push(index);
        }
        self.max_effective_balance = self.max_effective_balance.max(effective_balance);
        Ok(Status(status))
    }

    /// The totals of these validators and of those after them.
    fn merge(mut self, mut after: Self) -> Result<Self, StateError> {
        self.active_balance.safe_add_assign(after.active_balance)?;
        for (balance, other) in self.previous_flag_balances.iter_mut().zip(after.previous_flag_balances) {
            balance.safe_add_assign(other)?;
        }
        self.current_target_balance
            .safe_add_assign(after.current_target_balance)?;
        self.pending_activation.append(&mut after.pending_activation);
        self.low_balance.append(&mut after.low_balance);
        self.correlation_penalty.append(&mut after.correlation_penalty);
        self.max_effective_balance = self.max_effective_balance.max(after.max_effective_balance);
        Ok(self)
    }
}

impl EpochSummary {
    /// Reads the registry and both participation lists, once.
    pub(crate) fn new<P: Preset>(state: &BeaconState<P>) -> Result<Self, EpochError> {
        let len = state.validators().len();
        check_len(
            "previous_epoch_participation",
            state.previous_epoch_participation().len(),
            len,
        )?;
        check_len(
            "current_epoch_participation",
            state.current_epoch_participation().len(),
            len,
        )?;
        check_len("balances", state.balances().len(), len)?;
        check_len("inactivity_scores", state.inactivity_scores().len(), len)?;

        let previous_epoch = get_previous_epoch(state);
        let current_epoch = get_current_epoch(state);
        let next_epoch = current_epoch.safe_add(1u64)?;
        let lookahead_epoch = next_epoch.safe_add(P::MIN_SEED_LOOKAHEAD)?;
        let penalty_epoch = current_epoch.safe_add(P::EPOCHS_PER_SLASHINGS_VECTOR >> 1)?;

        let epochs = Epochs {
            previous: clamp(previous_epoch),
            current: clamp(current_epoch),
            next: clamp(next_epoch),
            lookahead: clamp(lookahead_epoch),
            penalty: clamp(penalty_epoch),
        };
        let (previous_participation, current_participation) = rayon::join(
            || read_integers(state.previous_epoch_participation()),
            || read_integers(state.current_epoch_participation()),
        );
        let (previous_participation, current_participation) = (previous_participation?, current_participation?);
        let chunks = registry_rows(state)?;

        let mut effective_balances = vec![0; len];
        let mut statuses = vec![Status::default(); len];
        let mut totals = chunks
            .par_iter()
            .zip(effective_balances.par_chunks_mut(CHUNK))
            .zip(statuses.par_chunks_mut(CHUNK))
            .zip(
                previous_participation
                    .par_chunks(CHUNK)
                    .zip(current_participation.par_chunks(CHUNK)),
            )
            .enumerate()
            .with_min_len(MIN_CHUNKS)
            .map(
                |(place, (((chunk, effective_balances), statuses), (previous_flags, current_flags)))| {
                    let mut totals = Totals::default();
                    let first = (place as u64).safe_mul(CHUNK as u64)?;
                    let rows = chunk.rows.iter().zip(previous_flags.iter().zip(current_flags));
                    let columns = effective_balances.iter_mut().zip(statuses);
                    for (index, ((row, (previous_flags, current_flags)), (effective_balance, status))) in
                        (first..).zip(rows.zip(columns))
                    {
                        *effective_balance = row.effective_balance;
                        *status = totals.add::<P>(
                            ValidatorIndex::new(index),
                            row,
                            *previous_flags,
                            *current_flags,
                            &epochs,
                        )?;
                    }
                    Ok::<_, StateError>(totals)
                },
            )
            .try_reduce(Totals::default, Totals::merge)?;

        totals.active_balance = totals.active_balance.max(P::EFFECTIVE_BALANCE_INCREMENT);
        state
            .caches()
            .remember_total_active_balance(current_epoch, totals.active_balance);
        Ok(Self {
            current_epoch,
            effective_balances,
            statuses,
            balances: Vec::new(),
            inactivity_scores: Vec::new(),
            changed_balances: 0,
            touched: Vec::new(),
            total_active_balance: totals.active_balance,
            previous_flag_balances: totals.previous_flag_balances,
            current_target_balance: totals.current_target_balance,
            pending_activation: totals.pending_activation,
            low_balance: totals.low_balance,
            correlation_penalty: totals.correlation_penalty,
            max_effective_balance: totals.max_effective_balance,
        })
    }

    /// Effective balance of those who earned a flag in the previous epoch, at least one increment.
    pub(crate) fn previous_flag_balance<P: Preset>(&self, flag_index: usize) -> Gwei {
        self.previous_flag_balances
            .get(flag_index)
            .copied()
            .unwrap_or_default()
            .max(P::EFFECTIVE_BALANCE_INCREMENT)
    }

    /// Effective balance of those who voted for the target of the current epoch, at least one increment.
    pub(crate) fn current_target_balance<P: Preset>(&self) -> Gwei {
        self.current_target_balance.max(P::EFFECTIVE_BALANCE_INCREMENT)
    }

    /// Loads the balances, if no stage has done so.
    pub(crate) fn read_balances<P: Preset>(&mut self, state: &BeaconState<P>) -> Result<(), StateError> {
        if self.balances.len() < self.statuses.len() {
            self.balances = read_integers(state.balances())?;
        }
        Ok(())
    }

    /// Loads the inactivity scores, if no stage has done so.
    pub(crate) fn read_inactivity_scores<P: Preset>(&mut self, state: &BeaconState<P>) -> Result<(), StateError> {
        if self.inactivity_scores.len() < self.statuses.len() {
            self.inactivity_scores = read_integers(state.inactivity_scores())?;
        }
        Ok(())
    }

    /// A stage changed that many of `balances`; [`Self::write_balances`] must follow.
    pub(crate) fn count_changed_balances(&mut self, changed: usize) {
        self.changed_balances = self.changed_balances.saturating_add(changed);
    }

    /// Writes `balances` into the state, if a stage has changed them.
    pub(crate) fn write_balances<P: Preset>(&mut self, state: &mut BeaconState<P>) -> Result<(), StateError> {
        match std::mem::take(&mut self.changed_balances) {
            0 => Ok(()),
            changed => rewrite(state.balances_mut(), &self.balances, changed),
        }
    }

    /// Reads the balances in `touched`, and the validators that were appended meanwhile.
    pub(crate) fn reread_touched<P: Preset>(&mut self, state: &BeaconState<P>) -> Result<(), StateError> {
        self.read_balances(state)?;
        for index in std::mem::take(&mut self.touched) {
            if let (Some(held), Some(balance)) = (
                self.balances.get_mut(index.as_usize()),
                state.balances().get(index.as_usize()),
            ) {
                *held = *balance;
            }
        }
        let known = self.statuses.len();
        for validator in state.validators().iter_from(known)? {
            // Not active before its activation, which lies at least five epochs ahead.
            self.statuses
                .push(Status(match validator.has_compounding_withdrawal_credential() {
                    true => Status::COMPOUNDING,
                    false => 0,
                }));
            self.effective_balances.push(validator.effective_balance);
            self.max_effective_balance = self.max_effective_balance.max(validator.effective_balance);
        }
        let known = self.balances.len();
        self.balances.extend(state.balances().iter_from(known)?);
        Ok(())
    }

    /// Registry indices of those active in the epoch whose proposers are chosen now, ascending.
    pub(crate) fn active_in_lookahead(&self) -> Vec<u32> {
        (0u32..)
            .zip(&self.statuses)
            .filter(|(_, status)| status.is_active_in_lookahead())
            .map(|(index, _)| index)
            .collect()
    }

    /// Effective balance by registry index.
    pub(crate) fn effective_balance(&self, index: u32) -> Result<Gwei, StateError> {
        self.effective_balances
            .get(index as usize)
            .copied()
            .ok_or(StateError::UnknownValidator {
                index: ValidatorIndex::new(u64::from(index)),
                len: self.effective_balances.len(),
            })
    }
}

fn check_len(list: &'static str, found: usize, expected: usize) -> Result<(), StateError> {
    if found == expected {
        Ok(())
    } else {
        Err(StateError::RegistryLengthMismatch { list, expected, found })
    }
}

/// Makes `list` hold `new`, of the same length, keeping subtrees in which nothing changes. About `changed` entries differ.
///
/// Few changes are written one by one. Many are cheaper as a new tree, from bottom to top without a search for each; where
/// a good part stays the same, the new tree then takes over the old one's subtrees with their roots.
pub(crate) fn rewrite<N>(list: &mut SparseList<u64, N>, new: &[u64], changed: usize) -> Result<(), StateError>
where
    N: typenum::Unsigned,
{
    list.apply_updates()?;
    let len = new.len();
    if changed > len >> 5 {
        let mut rebuilt = SparseList::try_from_iter(new.iter().copied())?;
        if changed < len.saturating_sub(len >> 2) {
            rebuilt.rebase_on(list)?;
        }
        *list = rebuilt;
        return Ok(());
    }
    let updates = read_integers(list)?
        .iter()
        .zip(new)
        .enumerate()
        .filter(|(_, (old, new))| old != new)
        .map(|(index, (_, new))| (index, *new))
        .collect();
    list.bulk_update(updates)?;
    Ok(list.apply_updates()?)
}
