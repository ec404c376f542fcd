//! Which subnets this node follows, and when.

use beacon_api::{CommitteeSubscription, SyncCommitteeSubscription};
use data_columns::compute_subnet_for_data_column_sidecar;
use ethereum_hashing::hash;
use gossip_validation::{compute_subnet_for_attestation, subcommittee_size};
use network::{AttnetBits, SyncnetBits, TopicKind};
use std::collections::{BTreeMap, BTreeSet};
use types::{ChainSpec, ColumnIndex, Epoch, Preset, Slot, Uint256};

/// Slots ahead of an aggregator's duty at which its subnet is joined, so that a mesh can form.
const JOIN_AHEAD_SLOTS: u64 = 2;
/// A subnet is followed for so long after a duty: peers refuse a mesh with whoever has left it within 10 s, and the next
/// duty may come soon.
const LINGER_MS: u64 = 15_000;
const NODE_ID_BITS: u64 = 256;

/// Spec: phase0/p2p-interface.md#compute_subscribed_subnet
fn compute_subscribed_subnet<P: Preset>(node_id: Uint256, epoch: Epoch, index: u64, spec: &ChainSpec) -> Option<u64> {
    let prefix_bits = spec.attestation_subnet_prefix_bits;
    let shift = usize::try_from(NODE_ID_BITS.checked_sub(prefix_bits)?).ok()?;
    let node_id_prefix = u64::try_from(node_id >> shift).ok()?;
    let period = spec.epochs_per_subnet_subscription;
    let node_offset = u64::try_from(node_id.checked_rem(Uint256::from(period))?).ok()?;
    let seed_input = epoch.as_u64().checked_add(node_offset)?.checked_div(period)?;
    let permutation_seed: [u8; 32] = hash(&seed_input.to_le_bytes()).try_into().ok()?;
    let permutated_prefix = group::shuffling::compute_shuffled_index(
        node_id_prefix,
        1u64.checked_shl(u32::try_from(prefix_bits).ok()?)?,
        &permutation_seed,
        P::SHUFFLE_ROUND_COUNT as u8,
    )?;
    permutated_prefix
        .checked_add(index)?
        .checked_rem(spec.attestation_subnet_count)
}

/// The subnets that a node always follows, by its identity.
///
/// Spec: phase0/p2p-interface.md#compute_subscribed_subnets
pub(crate) fn compute_subscribed_subnets<P: Preset>(
    node_id: [u8; 32],
    epoch: Epoch,
    spec: &ChainSpec,
) -> BTreeSet<u64> {
    let node_id = Uint256::from_be_bytes(node_id);
    (0..spec.subnets_per_node)
        .filter_map(|index| compute_subscribed_subnet::<P>(node_id, epoch, index, spec))
        .collect()
}

/// The subnets of a node.
#[derive(Debug)]
pub(crate) struct Subnets {
    node_id: [u8; 32],
    follow_all: bool,
    columns: BTreeSet<ColumnIndex>,
    /// Attestation subnets of aggregators, by slot of duty.
    aggregations: BTreeMap<Slot, BTreeSet<u64>>,
    /// Sync committee subnets, with the first epoch in which they are not needed any more.
    sync: BTreeMap<u64, Epoch>,
    followed: BTreeSet<TopicKind>,
}

/// What changes in a slot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) join: Vec<TopicKind>,
    pub(crate) leave: Vec<TopicKind>,
}

impl Subnets {
    pub(crate) fn new(node_id: [u8; 32], follow_all: bool, columns: BTreeSet<ColumnIndex>) -> Self {
        Self {
            node_id,
            follow_all,
            columns,
            aggregations: BTreeMap::new(),
            sync: BTreeMap::new(),
            followed: BTreeSet::new(),
        }
    }

    /// This node keeps other columns.
    pub(crate) fn set_columns(&mut self, columns: BTreeSet<ColumnIndex>) {
        self.columns = columns;
    }

    /// Validators will attest. Gives the subnets on which their votes go out, for which peers are needed.
    pub(crate) fn add_committees<P: Preset>(
        &mut self,
        subscriptions: &[CommitteeSubscription],
        current: Slot,
        spec: &ChainSpec,
    ) -> BTreeSet<TopicKind> {
        let latest = current.saturating_add(P::slots_per_epoch().saturating_mul(2));
        let mut needed = BTreeSet::new();
        for subscription in subscriptions {
            if subscription.slot < current || subscription.slot > latest {
                continue;
            }
            let subnet = compute_subnet_for_attestation::<P>(
                subscription.committees_at_slot,
                subscription.slot,
                subscription.committee_index,
                spec,
            );
            needed.insert(TopicKind::BeaconAttestation(subnet));
            if subscription.is_aggregator {
                self.aggregations.entry(subscription.slot).or_default().insert(subnet);
            }
        }
        needed
    }

    /// Validators sit in sync committees.
    pub(crate) fn add_sync_committees<P: Preset>(&mut self, subscriptions: &[SyncCommitteeSubscription]) {
        let size = subcommittee_size::<P>().max(1) as u64;
        for subscription in subscriptions {
            for position in &subscription.sync_committee_indices {
                let subnet = position.checked_div(size).unwrap_or_default();
                let until = self.sync.entry(subnet).or_insert(subscription.until_epoch);
                *until = (*until).max(subscription.until_epoch);
            }
        }
    }

    fn attestation_subnets<P: Preset>(&self, epoch: Epoch, spec: &ChainSpec) -> BTreeSet<u64> {
        if self.follow_all {
            (0..spec.attestation_subnet_count).collect()
        } else {
            compute_subscribed_subnets::<P>(self.node_id, epoch, spec)
        }
    }

    /// A slot has begun: what to join and what to leave. Topics that every node follows are not among them.
    pub(crate) fn on_slot<P: Preset>(&mut self, slot: Slot, spec: &ChainSpec) -> Change {
        let epoch = slot.epoch::<P>();
        let linger_slots = LINGER_MS.checked_div(spec.slot_duration_ms).unwrap_or_default();
        self.aggregations
            .retain(|duty, _| duty.saturating_add(linger_slots) >= slot);
        self.sync.retain(|_, until| *until > epoch);
        let ahead = slot.saturating_add(JOIN_AHEAD_SLOTS);
        let mut wanted: BTreeSet<TopicKind> = self
            .attestation_subnets::<P>(epoch, spec)
            .into_iter()
            .chain(
                self.aggregations
                    .range(..=ahead)
                    .flat_map(|(_, subnets)| subnets.iter().copied()),
            )
            .map(TopicKind::BeaconAttestation)
            .collect();
        wanted.extend(self.sync_subnets().map(TopicKind::SyncCommittee));
        wanted.extend(
            self.columns
                .iter()
                .map(|column| TopicKind::DataColumnSidecar(compute_subnet_for_data_column_sidecar(*column, spec))),
        );
        let change = Change {
            join: wanted.difference(&self.followed).copied().collect(),
            leave: self.followed.difference(&wanted).copied().collect(),
        };
        self.followed = wanted;
        change
    }

    fn sync_subnets(&self) -> impl Iterator<Item = u64> {
        const SYNC_COMMITTEE_SUBNETS: u64 = 4;
        (0..SYNC_COMMITTEE_SUBNETS).filter(|subnet| self.follow_all || self.sync.contains_key(subnet))
    }

    /// What the node record says.
    pub(crate) fn record<P: Preset>(&self, epoch: Epoch, spec: &ChainSpec) -> (AttnetBits, SyncnetBits) {
        let (mut attnets, mut syncnets) = (AttnetBits::default(), SyncnetBits::default());
        for subnet in self.attestation_subnets::<P>(epoch, spec) {
            // The subnet is below the number of subnets.
            let _ = attnets.set(subnet as usize, true);
        }
        for subnet in self.sync_subnets() {
            let _ = syncnets.set(subnet as usize, true);
        }
        (attnets, syncnets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Minimal, PresetName, SignerIndex};

    fn subscription(slot: u64, committee_index: u64, is_aggregator: bool) -> CommitteeSubscription {
        CommitteeSubscription {
            validator_index: SignerIndex::new(1),
            committee_index,
            committees_at_slot: 2,
            slot: Slot::new(slot),
            is_aggregator,
        }
    }

    #[test]
    fn every_node_follows_two_subnets_that_rotate_with_the_epochs() {
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let at = |epoch: u64| compute_subscribed_subnets::<Minimal>([7; 32], Epoch::new(epoch), &spec);
        assert_eq!(at(0).len(), 2);
        assert!((1..2000).any(|epoch| at(epoch) != at(0)));
    }

    #[test]
    fn an_aggregators_subnet_is_joined_ahead_of_its_duty_and_left_after_it() {
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let mut subnets = Subnets::new([7; 32], false, BTreeSet::new());
        let first = subnets.on_slot::<Minimal>(Slot::new(1), &spec);
        assert_eq!((first.join.len(), first.leave.len()), (2, 0));
        let needed = subnets.add_committees::<Minimal>(
            &[subscription(6, 0, true), subscription(7, 1, false)],
            Slot::new(1),
            &spec,
        );
        assert_eq!(needed.len(), 2);
        assert_eq!(
            subnets.on_slot::<Minimal>(Slot::new(3), &spec),
            Change::default(),
            "three slots ahead"
        );
        let joined = subnets.on_slot::<Minimal>(Slot::new(4), &spec).join;
        assert_eq!(joined, [TopicKind::BeaconAttestation(12)]);
        let linger = LINGER_MS / spec.slot_duration_ms;
        let last = Slot::new(6 + linger);
        assert_eq!(
            subnets.on_slot::<Minimal>(last, &spec),
            Change::default(),
            "peers would refuse to take it back"
        );
        assert_eq!(
            subnets.on_slot::<Minimal>(last.saturating_add(1u64), &spec).leave,
            joined
        );
    }

    #[test]
    fn subnets_of_columns_are_joined_when_the_custody_grows() {
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let mut subnets = Subnets::new([7; 32], false, BTreeSet::from([3]));
        let first = subnets.on_slot::<Minimal>(Slot::new(1), &spec).join;
        assert!(first.contains(&TopicKind::DataColumnSidecar(3)));
        subnets.set_columns(BTreeSet::from([3, 5, 127]));
        let change = subnets.on_slot::<Minimal>(Slot::new(1), &spec);
        let joined = [5, 127].map(TopicKind::DataColumnSidecar);
        assert_eq!((&change.join[..], change.leave.len()), (&joined[..], 0));
    }

    #[test]
    fn sync_subnets_are_followed_until_their_period_ends() {
        let spec = ChainSpec::fulu_genesis(PresetName::Minimal);
        let mut subnets = Subnets::new([7; 32], false, BTreeSet::new());
        subnets.on_slot::<Minimal>(Slot::new(1), &spec);
        subnets.add_sync_committees::<Minimal>(&[SyncCommitteeSubscription {
            validator_index: SignerIndex::new(1),
            sync_committee_indices: vec![0, 31],
            until_epoch: Epoch::new(2),
        }]);
        let joined = subnets.on_slot::<Minimal>(Slot::new(2), &spec).join;
        assert_eq!(joined, [TopicKind::SyncCommittee(0), TopicKind::SyncCommittee(3)]);
        let (_, record) = subnets.record::<Minimal>(Epoch::new(0), &spec);
        assert_eq!(record.num_set_bits(), 2);
        assert_eq!(subnets.on_slot::<Minimal>(Slot::new(16), &spec).leave, joined);
    }
}
