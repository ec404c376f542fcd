//! Gauges that follow the clock and the head, under Lighthouse's names where the meaning is the same.
//!
//! What takes a sweep over the registry is counted once an epoch, in its last slot: the votes of the epoch before are
//! complete then, but for those that the last block brings.

use beacon_chain::BeaconChain;
use group::{count_votes, get_key_set};
use intake::Intake;
use prometheus::{Gauge, GaugeVec, IntGauge, Opts};
use runtime::Priority;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::constants::{TIMELY_HEAD_FLAG_INDEX, TIMELY_SOURCE_FLAG_INDEX, TIMELY_TARGET_FLAG_INDEX};
use types::{BeaconState, Gwei, Preset, Slot};

/// Of a slot, in basis points: when the votes are counted, well before the next slot.
const COUNT_BPS: u64 = 6_000;
/// Parts of a vote, in the order of their flags.
const PARTS: [(&str, usize); 3] = [
    ("source", TIMELY_SOURCE_FLAG_INDEX),
    ("target", TIMELY_TARGET_FLAG_INDEX),
    ("head", TIMELY_HEAD_FLAG_INDEX),
];

/// What a state says of its validators, and of the votes of the epoch before its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    total_validators: u64,
    active_validators: u64,
    /// Effective balance in the epoch before.
    active_gwei: Gwei,
    /// Of those whose vote counted, by part.
    attesting_gwei: [Gwei; 3],
    /// Validators with a group in force in the epoch before.
    groups: u64,
    /// Those whose vote counted, by part.
    groups_counted: [u64; 3],
    /// Keys of these groups.
    seats: u64,
    /// Those that voted, by part.
    seats_voted: [u64; 3],
}

impl Tally {
    fn of<P: Preset>(state: &BeaconState<P>) -> Self {
        let epoch = state.slot().epoch::<P>();
        let before = epoch.saturating_sub(1u64);
        let mut tally = Self::default();
        let flags = state.previous_epoch_participation();
        for (validator, flags) in state.validators().iter().zip(flags.iter()) {
            tally.total_validators = tally.total_validators.saturating_add(1);
            tally.active_validators = tally
                .active_validators
                .saturating_add(validator.is_active_at(epoch).into());
            if !validator.is_active_at(before) {
                continue;
            }
            let balance = validator.effective_balance;
            tally.active_gwei = tally.active_gwei.saturating_add(balance);
            for ((_, flag), attesting) in PARTS.iter().zip(&mut tally.attesting_gwei) {
                if !validator.slashed && is_set(*flags, *flag) {
                    *attesting = attesting.saturating_add(balance);
                }
            }
        }
        if let BeaconState::Dvt(state) = state {
            for (group, votes) in state.groups.iter().zip(state.previous_group_participation.iter()) {
                let key_set = get_key_set(&group.key_sets, before).filter(|key_set| !key_set.keys.is_empty());
                let Some(key_set) = key_set else {
                    continue;
                };
                tally.groups = tally.groups.saturating_add(1);
                tally.seats = tally.seats.saturating_add(key_set.keys.len() as u64);
                let flags = flags.get(group.validator_index.as_usize()).copied().unwrap_or_default();
                let counts = tally.groups_counted.iter_mut().zip(&mut tally.seats_voted);
                for ((_, flag), (counted, voted)) in PARTS.iter().zip(counts) {
                    *counted = counted.saturating_add(is_set(flags, *flag).into());
                    *voted = voted.saturating_add(count_votes(*votes, *flag).into());
                }
            }
        }
        tally
    }

    /// Share of the balance whose votes counted.
    fn participation(&self, attesting: Gwei) -> f64 {
        match self.active_gwei {
            0 => 0.0,
            active => attesting as f64 / active as f64,
        }
    }
}

fn is_set(flags: u8, flag: usize) -> bool {
    flags.checked_shr(flag as u32).unwrap_or_default() & 1 == 1
}

#[derive(Debug)]
struct Gauges {
    present_slot: IntGauge,
    present_epoch: IntGauge,
    slots_per_second: IntGauge,
    custody_groups: IntGauge,
    database_bytes: IntGauge,
    total_validators: IntGauge,
    active_validators: IntGauge,
    /// By part: ratio, and Gwei.
    participation: [(Gauge, IntGauge); 3],
    groups: IntGauge,
    seats: IntGauge,
    groups_counted: GaugeVec,
    seats_voted: GaugeVec,
}

fn registered<M: prometheus::core::Collector + Clone + 'static>(
    metric: prometheus::Result<M>,
) -> prometheus::Result<M> {
    let metric = metric?;
    prometheus::register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn integer(name: &str, help: &str) -> prometheus::Result<IntGauge> {
    registered(IntGauge::new(name, help))
}

fn by_part(name: &str, help: &str) -> prometheus::Result<GaugeVec> {
    registered(GaugeVec::new(Opts::new(name, help), &["part"]))
}

fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

impl Gauges {
    fn register(version: &str) -> prometheus::Result<Self> {
        let info = Opts::new("lighthouse_info", "What is running").const_label("version", version);
        registered(IntGauge::with_opts(info))?.set(1);
        let participation = |ratio: &str, gwei: &str| -> prometheus::Result<(Gauge, IntGauge)> {
            Ok((
                registered(Gauge::new(
                    ratio,
                    "Share of the active balance whose vote of the epoch before counted",
                ))?,
                integer(gwei, "Effective balance whose vote of the epoch before counted")?,
            ))
        };
        Ok(Self {
            present_slot: integer("slotclock_present_slot", "Slot of the clock")?,
            present_epoch: integer("slotclock_present_epoch", "Epoch of the clock")?,
            slots_per_second: integer("sync_slots_per_second", "Slots by which the head moved, per second")?,
            custody_groups: integer("beacon_custody_groups", "Custody groups of this node")?,
            database_bytes: integer("store_disk_db_size", "Size of the database on disk")?,
            total_validators: integer("beacon_head_state_total_validators_total", "Entries of the registry")?,
            active_validators: integer("beacon_head_state_active_validators_total", "Active validators")?,
            participation: [
                participation(
                    "beacon_participation_prev_epoch_attester",
                    "beacon_participation_prev_epoch_source_attesting_gwei_total",
                )?,
                participation(
                    "beacon_participation_prev_epoch_target_attester",
                    "beacon_participation_prev_epoch_target_attesting_gwei_total",
                )?,
                participation(
                    "beacon_participation_prev_epoch_head_attester",
                    "beacon_participation_prev_epoch_head_attesting_gwei_total",
                )?,
            ],
            groups: integer("dvt_groups", "Validators with a group in force")?,
            seats: integer("dvt_seats", "Keys of the groups in force")?,
            groups_counted: by_part(
                "dvt_prev_epoch_groups_counted",
                "Groups whose vote of the epoch before counted",
            )?,
            seats_voted: by_part(
                "dvt_prev_epoch_seats_voted",
                "Keys of groups that voted in the epoch before",
            )?,
        })
    }

    fn show(&self, tally: &Tally) {
        set(&self.total_validators, tally.total_validators);
        set(&self.active_validators, tally.active_validators);
        for ((ratio, gwei), attesting) in self.participation.iter().zip(tally.attesting_gwei) {
            ratio.set(tally.participation(attesting));
            set(gwei, attesting);
        }
        set(&self.groups, tally.groups);
        set(&self.seats, tally.seats);
        let counts = tally.groups_counted.iter().zip(&tally.seats_voted);
        for ((part, _), (counted, voted)) in PARTS.iter().zip(counts) {
            self.groups_counted.with_label_values(&[*part]).set(*counted as f64);
            self.seats_voted.with_label_values(&[*part]).set(*voted as f64);
        }
    }
}

/// Keeps the gauges up to date.
#[derive(Debug)]
pub(crate) struct ChainMetrics<P: Preset> {
    intake: Arc<Intake<P>>,
    database: PathBuf,
    gauges: Gauges,
}

impl<P: Preset> ChainMetrics<P> {
    /// To be called once in a process.
    pub(crate) fn register(intake: Arc<Intake<P>>, database: PathBuf, version: &str) -> prometheus::Result<Self> {
        Ok(Self {
            intake,
            database,
            gauges: Gauges::register(version)?,
        })
    }

    fn chain(&self) -> &Arc<BeaconChain<P>> {
        self.intake.chain()
    }

    /// In every slot, for ever.
    pub(crate) async fn run(self) {
        let clock = self.chain().clock().clone();
        let slot_seconds = (self.chain().spec().slot_duration_ms / 1000).max(1);
        let mut last_head = self.chain().head().slot();
        self.count().await;
        loop {
            let slot = clock.next_slot().await;
            set(&self.gauges.present_slot, slot.as_u64());
            set(&self.gauges.present_epoch, slot.epoch::<P>().as_u64());
            let head = self.chain().head().slot();
            let moved = head.saturating_sub(last_head.as_u64()).as_u64();
            set(&self.gauges.slots_per_second, moved / slot_seconds);
            last_head = head;
            set(&self.gauges.custody_groups, self.custody_groups());
            if is_last_of_epoch::<P>(slot) {
                clock.sleep_until_ms(clock.due_ms(slot, COUNT_BPS)).await;
                self.count().await;
            }
        }
    }

    fn custody_groups(&self) -> u64 {
        let columns = self.intake.custody().columns.len() as u64;
        let groups = columns.saturating_mul(self.chain().spec().number_of_custody_groups);
        groups.checked_div(P::NUMBER_OF_COLUMNS).unwrap_or_default()
    }

    async fn count(&self) {
        let head = self.chain().head();
        let database = self.database.clone();
        let work = move || (Tally::of(&head.state), size_of(&database));
        match self.chain().workers().run(Priority::Background, work).await {
            Ok((tally, bytes)) => {
                self.gauges.show(&tally);
                set(&self.gauges.database_bytes, bytes);
            }
            Err(error) => tracing::debug!(%error, "Votes are not counted for metrics"),
        }
    }
}

fn is_last_of_epoch<P: Preset>(slot: Slot) -> bool {
    slot.epoch::<P>() != slot.saturating_add(1u64).epoch::<P>()
}

/// Bytes of the files in a directory and below. Files come and go meanwhile.
fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain_harness::{Chain, Keys, group_of, solo};
    use types::{ChainSpec, Epoch, Minimal, SignerIndex, ValidatorIndex};

    const VALIDATORS: u64 = 64;

    fn chain() -> Chain<Minimal> {
        let mut spec = ChainSpec::minimal();
        spec.electra_fork_epoch = Epoch::new(0);
        spec.fulu_fork_epoch = Epoch::new(0);
        spec.dvt_fork_epoch = Epoch::new(0);
        let mut validators = vec![group_of(0, 5, 7, 2048), group_of(1, 3, 4, 128)];
        validators.extend((2..VALIDATORS).map(|validator| solo(validator, 32)));
        Chain::new(&validators, Keys::new(VALIDATORS, &[0, 1], 7), spec)
    }

    /// Two keys of each group are away: five of seven count, two of four do not.
    #[test]
    fn votes_are_counted_by_balance_by_group_and_by_key() {
        let mut chain = chain();
        let away = |signer: SignerIndex| matches!(signer.split(), (group, Some(key)) if group < ValidatorIndex::new(2) && key < 2);
        let end = Epoch::new(3).start_slot::<Minimal>().saturating_sub(1u64);
        chain.run_to(end, &|signer, _| !away(signer));
        let tally = Tally::of(&chain.state);
        let gwei = 1_000_000_000;
        let active = (2048 + 128 + 62 * 32) * gwei;
        assert_eq!(
            (tally.total_validators, tally.active_validators, tally.active_gwei),
            (VALIDATORS, VALIDATORS, active)
        );
        assert_eq!((tally.groups, tally.seats), (2, 11));
        assert_eq!(tally.groups_counted[..2], [1, 1], "{tally:?}");
        assert_eq!(tally.seats_voted[..2], [7, 7], "{tally:?}");
        assert_eq!(tally.attesting_gwei[..2], [active - 128 * gwei; 2], "{tally:?}");
        let ratio = tally.participation(tally.attesting_gwei[1]);
        assert!((ratio - (2048.0 + 62.0 * 32.0) / (2048.0 + 128.0 + 62.0 * 32.0)).abs() < 1e-9);
    }

    #[test]
    fn all_names_register_once_and_show_what_was_counted() {
        let gauges = Gauges::register("Fresnel/test").unwrap();
        assert!(Gauges::register("Fresnel/test").is_err());
        gauges.show(&Tally {
            active_validators: 3,
            seats_voted: [5, 6, 7],
            ..Tally::default()
        });
        let text = runtime::gather().unwrap();
        for line in [
            "beacon_head_state_active_validators_total 3",
            "dvt_prev_epoch_seats_voted{part=\"head\"} 7",
            "lighthouse_info{version=\"Fresnel/test\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_databases_size_is_that_of_all_its_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("inner")).unwrap();
        std::fs::write(dir.path().join("a"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("inner/b"), [0; 5]).unwrap();
        assert_eq!(size_of(dir.path()), 15);
        assert_eq!(size_of(&dir.path().join("missing")), 0);
    }
}
