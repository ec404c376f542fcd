//! Which data columns a node keeps, and which of their subnets it serves: they follow from its id and the number of its
//! custody groups.

use super::subnets::{Subnet, SubnetSet};
use data_columns::{compute_columns_for_custody_group, compute_subnet_for_data_column_sidecar, get_custody_groups};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{ChainSpec, ColumnIndex, Mainnet, Uint256};

/// What the chain's configuration says of custody.
#[derive(Clone, Debug)]
pub(crate) struct CustodyRules {
    spec: Arc<ChainSpec>,
}

impl CustodyRules {
    pub(crate) fn new(spec: Arc<ChainSpec>) -> Self {
        Self { spec }
    }

    /// Custody groups of a node that tells of `told`, or of nothing. More than there are is taken for all.
    pub(crate) fn group_count(&self, told: Option<u64>) -> u64 {
        told.unwrap_or(self.spec.custody_requirement)
            .min(self.spec.number_of_custody_groups)
    }

    /// Spec: fulu/das-core.md#get_custody_groups, fulu/das-core.md#compute_columns_for_custody_group
    pub(crate) fn columns(&self, node_id: [u8; 32], group_count: u64) -> BTreeSet<ColumnIndex> {
        let spec = &self.spec;
        let groups = get_custody_groups(Uint256::from_be_bytes(node_id), group_count, spec).unwrap_or_default();
        groups
            .into_iter()
            // The number of columns is the same in all presets.
            .filter_map(|group| compute_columns_for_custody_group::<Mainnet>(group, spec).ok())
            .flatten()
            .collect()
    }

    /// Spec: fulu/p2p-interface.md#compute_subnet_for_data_column_sidecar
    pub(crate) fn subnets_of(&self, columns: &BTreeSet<ColumnIndex>) -> SubnetSet {
        let subnet = |column: &ColumnIndex| compute_subnet_for_data_column_sidecar(*column, &self.spec);
        columns
            .iter()
            .map(|column| Subnet::DataColumn(subnet(column)))
            .collect()
    }

    /// Subnets of the columns that a node keeps.
    pub(crate) fn column_subnets(&self, node_id: [u8; 32], group_count: u64) -> SubnetSet {
        self.subnets_of(&self.columns(node_id, group_count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(change: impl FnOnce(&mut ChainSpec)) -> CustodyRules {
        let mut spec = ChainSpec::mainnet();
        change(&mut spec);
        CustodyRules::new(Arc::new(spec))
    }

    #[test]
    fn a_node_with_more_custody_groups_serves_more_subnets_and_none_less() {
        let rules = rules(|_| {});
        let four = rules.column_subnets([7; 32], 4);
        let eight = rules.column_subnets([7; 32], 8);
        assert_eq!((four.len(), eight.len()), (4, 8));
        assert!(four.difference(eight).is_empty());
        assert_ne!(four, rules.column_subnets([8; 32], 4), "the id decides");
        assert_eq!(rules.column_subnets([7; 32], 128).len(), 128);
    }

    #[test]
    fn a_custody_group_is_a_column_with_a_subnet_of_its_own() {
        let spec = ChainSpec::mainnet();
        let groups = get_custody_groups(Uint256::from_be_bytes([7; 32]), 4, &spec).unwrap();
        // As many groups as columns, as many columns as subnets: all have the same number.
        let expected: SubnetSet = groups.into_iter().map(Subnet::DataColumn).collect();
        assert_eq!(rules(|_| {}).column_subnets([7; 32], 4), expected);
    }

    #[test]
    fn groups_of_several_columns_reach_as_many_subnets_as_there_are() {
        let rules = rules(|spec| {
            spec.number_of_custody_groups = 32;
            spec.data_column_sidecar_subnet_count = 64;
        });
        assert_eq!(rules.column_subnets([7; 32], 1).len(), 2);
        assert_eq!(rules.column_subnets([7; 32], 32).len(), 64);
    }

    #[test]
    fn what_a_node_says_of_its_custody_is_bounded_and_silence_is_the_least() {
        let rules = rules(|_| {});
        assert_eq!(rules.group_count(None), 4);
        assert_eq!(rules.group_count(Some(0)), 0);
        assert_eq!(rules.group_count(Some(u64::MAX)), 128);
    }
}
