//! Who keeps which columns.

use data_columns::*;
use proptest::prelude::*;
use types::*;

fn spec() -> ChainSpec {
    ChainSpec::fulu_genesis(PresetName::Mainnet)
}

#[test]
fn each_column_belongs_to_one_group_and_one_subnet() {
    let spec = spec();
    let mut columns: Vec<ColumnIndex> = (0..spec.number_of_custody_groups)
        .flat_map(|group| compute_columns_for_custody_group::<Mainnet>(group, &spec).unwrap())
        .collect();
    columns.sort_unstable();
    assert_eq!(columns, (0..128).collect::<Vec<_>>());
    for column in columns {
        let subnet = compute_subnet_for_data_column_sidecar(column, &spec);
        assert_eq!(subnet, column % spec.data_column_sidecar_subnet_count);
    }
}

#[test]
fn groups_that_do_not_exist_are_refused() {
    let spec = spec();
    let limit = spec.number_of_custody_groups;
    assert_eq!(
        compute_columns_for_custody_group::<Mainnet>(limit, &spec),
        Err(DataColumnError::CustodyGroup { limit, found: limit })
    );
    assert_eq!(
        get_custody_groups(Uint256::ZERO, limit + 1, &spec),
        Err(DataColumnError::CustodyGroupCount {
            limit,
            found: limit + 1
        })
    );
}

#[test]
fn the_last_node_id_wraps_around() {
    assert_eq!(get_custody_groups(Uint256::MAX, 60, &spec()).unwrap().len(), 60);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A node that raises its count drops nothing that it promised before.
    #[test]
    fn more_groups_include_the_fewer(id: [u8; 32], count in 0u64..128) {
        let id = Uint256::from_be_bytes(id);
        let fewer = get_custody_groups(id, count, &spec()).unwrap();
        let more = get_custody_groups(id, count + 1, &spec()).unwrap();
        prop_assert_eq!(fewer.len() as u64, count);
        prop_assert_eq!(more.len() as u64, count + 1);
        prop_assert!(more.is_sorted());
        prop_assert!(fewer.iter().all(|group| more.contains(group)));
    }
}
