//! Subnets that peers are looked for and kept for, and sets of them.

use super::custody::CustodyRules;
use crate::enr::{AttnetBits, Enr, EnrExt, SyncnetBits};
use crate::gossip::TopicKind;

/// A subnet that peers are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subnet {
    Attestation(u64),
    SyncCommittee(u64),
    DataColumn(u64),
}

impl Subnet {
    /// `None`: the topic has no subnet.
    pub(crate) fn of_topic(kind: TopicKind) -> Option<Self> {
        match kind {
            TopicKind::BeaconAttestation(id) => Some(Self::Attestation(id)),
            TopicKind::SyncCommittee(id) => Some(Self::SyncCommittee(id)),
            TopicKind::DataColumnSidecar(id) => Some(Self::DataColumn(id)),
            _ => None,
        }
    }
}

/// A set of subnets, one bit each: whole tables of peers are looked through with it twice a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubnetSet {
    attestation: u128,
    sync: u128,
    columns: u128,
}

/// No network has a subnet past the last bit; such a number is in no set.
fn bit(id: u64) -> u128 {
    u32::try_from(id)
        .ok()
        .and_then(|id| 1u128.checked_shl(id))
        .unwrap_or_default()
}

impl SubnetSet {
    fn insert(&mut self, subnet: Subnet) {
        match subnet {
            Subnet::Attestation(id) => self.attestation |= bit(id),
            Subnet::SyncCommittee(id) => self.sync |= bit(id),
            Subnet::DataColumn(id) => self.columns |= bit(id),
        }
    }

    fn combine(self, other: Self, operation: impl Fn(u128, u128) -> u128) -> Self {
        Self {
            attestation: operation(self.attestation, other.attestation),
            sync: operation(self.sync, other.sync),
            columns: operation(self.columns, other.columns),
        }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    pub(crate) fn difference(self, other: Self) -> Self {
        self.combine(other, |a, b| a & !b)
    }

    pub(crate) fn len(self) -> u32 {
        self.attestation.count_ones() + self.sync.count_ones() + self.columns.count_ones()
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn has_other_than_columns(self) -> bool {
        self.attestation != 0 || self.sync != 0
    }

    /// Subnets that metadata or a record have bits for.
    pub(crate) fn of_bits(attnets: &AttnetBits, syncnets: &SyncnetBits) -> Self {
        let attnets = (0..).zip(attnets.iter()).filter(|(_, is_set)| *is_set);
        let syncnets = (0..).zip(syncnets.iter()).filter(|(_, is_set)| *is_set);
        attnets
            .map(|(id, _)| Subnet::Attestation(id))
            .chain(syncnets.map(|(id, _)| Subnet::SyncCommittee(id)))
            .collect()
    }

    /// Subnets that a node serves by its record's entries `attnets` and `syncnets`.
    pub(crate) fn of_bits_in_record(enr: &Enr) -> Self {
        Self::of_bits(&enr.attnets().unwrap_or_default(), &enr.syncnets().unwrap_or_default())
    }

    /// All subnets that a node serves by its record.
    pub(crate) fn of_record(enr: &Enr, custody: &CustodyRules) -> Self {
        let group_count = custody.group_count(enr.custody_group_count());
        let columns = custody.column_subnets(enr.node_id().raw(), group_count);
        Self::of_bits_in_record(enr).union(columns)
    }
}

impl FromIterator<Subnet> for SubnetSet {
    fn from_iter<T: IntoIterator<Item = Subnet>>(subnets: T) -> Self {
        let mut set = Self::default();
        subnets.into_iter().for_each(|subnet| set.insert(subnet));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enr::{ATTNETS_KEY, CGC_KEY};
    use crate::identity::NodeKey;
    use bytes::Bytes;
    use ssz::Encode;
    use std::sync::Arc;
    use types::ChainSpec;

    fn set(subnets: &[Subnet]) -> SubnetSet {
        subnets.iter().copied().collect()
    }

    #[test]
    fn subnets_of_different_families_with_one_number_are_different() {
        let all = set(&[Subnet::Attestation(3), Subnet::SyncCommittee(3), Subnet::DataColumn(3)]);
        assert_eq!(all.len(), 3);
        let others = all.difference(set(&[Subnet::DataColumn(3)]));
        assert!(others.has_other_than_columns() && !all.difference(others).has_other_than_columns());
        assert!(others.intersection(set(&[Subnet::DataColumn(3)])).is_empty());
    }

    #[test]
    fn numbers_past_the_last_subnet_are_in_no_set() {
        assert_eq!(set(&[Subnet::DataColumn(127)]).len(), 1);
        for id in [128, 1 << 32, u64::MAX] {
            assert!(set(&[Subnet::DataColumn(id), Subnet::Attestation(id)]).is_empty());
        }
    }

    #[test]
    fn a_record_serves_the_subnets_of_its_custody_group_count() {
        let custody = CustodyRules::new(Arc::new(ChainSpec::mainnet()));
        let key = NodeKey::generate().discv5().unwrap();
        let mut attnets = AttnetBits::default();
        attnets.set(63, true).unwrap();
        let enr = Enr::builder()
            .add_value(CGC_KEY, &8u64)
            .add_value(ATTNETS_KEY, &Bytes::from(attnets.as_ssz_bytes()))
            .build(&key)
            .unwrap();
        let served = SubnetSet::of_record(&enr, &custody);
        let columns = custody.column_subnets(enr.node_id().raw(), 8);
        assert_eq!(served, columns.union(set(&[Subnet::Attestation(63)])));
        let silent = Enr::builder().build(&key).unwrap();
        assert_eq!(SubnetSet::of_record(&silent, &custody).len(), 4, "CUSTODY_REQUIREMENT");
    }
}
