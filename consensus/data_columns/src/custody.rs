//! Which columns a node keeps.

use crate::DataColumnError;
use ethereum_hashing::hash;
use types::{ChainSpec, ColumnIndex, CustodyIndex, Preset, SafeArith, Uint256};

/// The custody groups of a node, ascending.
///
/// Spec: fulu/das-core.md#get_custody_groups
pub fn get_custody_groups(
    node_id: Uint256,
    custody_group_count: u64,
    spec: &ChainSpec,
) -> Result<Vec<CustodyIndex>, DataColumnError> {
    let limit = spec.number_of_custody_groups;
    if custody_group_count > limit {
        return Err(DataColumnError::CustodyGroupCount {
            limit,
            found: custody_group_count,
        });
    }
    if custody_group_count == limit {
        return Ok((0..limit).collect());
    }
    let mut current_id = node_id;
    let mut custody_groups: Vec<CustodyIndex> = Vec::new();
    while (custody_groups.len() as u64) < custody_group_count {
        let digest = hash(&current_id.to_le_bytes::<32>());
        let value = digest
            .get(..8)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        let custody_group = value.safe_rem(limit)?;
        if !custody_groups.contains(&custody_group) {
            custody_groups.push(custody_group);
        }
        current_id = current_id.wrapping_add(Uint256::from(1));
    }
    custody_groups.sort_unstable();
    Ok(custody_groups)
}

/// Spec: fulu/das-core.md#compute_columns_for_custody_group
pub fn compute_columns_for_custody_group<P: Preset>(
    custody_group: CustodyIndex,
    spec: &ChainSpec,
) -> Result<Vec<ColumnIndex>, DataColumnError> {
    let limit = spec.number_of_custody_groups;
    if custody_group >= limit {
        return Err(DataColumnError::CustodyGroup {
            limit,
            found: custody_group,
        });
    }
    let columns_per_group = P::NUMBER_OF_COLUMNS.safe_div(limit)?;
    (0..columns_per_group)
        .map(|i| Ok(limit.safe_mul(i)?.safe_add(custody_group)?))
        .collect()
}

/// Spec: fulu/p2p-interface.md#compute_subnet_for_data_column_sidecar
pub fn compute_subnet_for_data_column_sidecar(column_index: ColumnIndex, spec: &ChainSpec) -> u64 {
    column_index
        .checked_rem(spec.data_column_sidecar_subnet_count)
        .unwrap_or_default()
}
