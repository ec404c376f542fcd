//! The interchange format.

use super::{block, database, key, root, vote};
use crate::{Interchange, InterchangeError};

const FILE: &str = r#"{
  "metadata": {
    "interchange_format_version": "5",
    "genesis_validators_root": "0x0101010101010101010101010101010101010101010101010101010101010101"
  },
  "data": [{
    "pubkey": "0x070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707070707",
    "signed_blocks": [
      { "slot": "81952", "signing_root": "0x4ff6f743a43f3b4f95350831aeaf0a122a1a392922c45d804280284a69eb850b" },
      { "slot": "81951" }
    ],
    "signed_attestations": [
      { "source_epoch": "2290", "target_epoch": "3007", "signing_root": "0x587d6a4f59a58fe24f406e0502413e77fe1babddee641fda30034ed37ecc884d" },
      { "source_epoch": "2290", "target_epoch": "3008" }
    ]
  }]
}"#;

#[test]
fn file_as_in_the_eip_is_read_and_written() {
    let interchange = Interchange::from_json(FILE.as_bytes()).unwrap();
    let again = Interchange::from_json(&interchange.to_json().unwrap()).unwrap();
    assert_eq!(again, interchange);
    let (_dir, database) = database(&[]);
    let imported = database.import(&interchange, root(1)).unwrap();
    assert_eq!((imported.keys, imported.blocks, imported.attestations), (1, 2, 2));
    assert_eq!(database.registered_keys().unwrap(), [key(7)]);
    assert_eq!(
        super::verdict(&database.check_and_insert_block(&block(7, 81952, 1)).unwrap()),
        "BlockBelowBound"
    );
    assert!(
        database
            .check_and_insert_attestation(&vote(7, 2290, 3009, 1))
            .unwrap()
            .is_ok()
    );
}

#[test]
fn errors_say_which_field_and_what_was_expected() {
    for (from, to, needles) in [
        ("\"5\"", "\"4\"", ["interchange_format_version", "expected 5", "4"]),
        ("\"5\"", "\"five\"", ["expected an integer", "five", "line"]),
        ("\"pubkey\"", "\"pubkye\"", ["pubkey", "missing", "line"]),
        ("\"81951\"", "\"x\"", ["invalid digit", "line", "column"]),
    ] {
        let error = Interchange::from_json(FILE.replace(from, to).as_bytes())
            .unwrap_err()
            .to_string();
        for needle in needles {
            assert!(error.contains(needle), "{needle} is missing in: {error}");
        }
    }
    let (_dir, database) = database(&[]);
    let interchange = Interchange::from_json(FILE.as_bytes()).unwrap();
    let error = database.import(&interchange, root(2)).unwrap_err();
    assert!(matches!(error, InterchangeError::OtherChain { .. }), "{error}");
}

#[test]
fn export_holds_all_records_of_the_keys_asked_for() {
    let (_dir, database) = database(&[1, 2]);
    assert!(matches!(
        database.export(None).unwrap_err(),
        InterchangeError::UnknownChain
    ));
    database.bind_to_chain(root(1)).unwrap();
    for number in [1, 2] {
        database.check_and_insert_block(&block(number, 10, 5)).unwrap().unwrap();
        for target in 2..5 {
            database
                .check_and_insert_attestation(&vote(number, target - 1, target, 6))
                .unwrap()
                .unwrap();
        }
    }
    assert_eq!(database.export(None).unwrap().data.len(), 2);
    let exported = database.export(Some(&[key(2).into()])).unwrap();
    assert_eq!(exported.data.len(), 1);
    assert_eq!(exported.data[0].pubkey, key(2));
    assert_eq!(exported.data[0].signed_blocks.len(), 1);
    assert_eq!(exported.data[0].signed_blocks[0].signing_root, Some(root(5)));
    assert_eq!(exported.data[0].signed_attestations.len(), 3);
}
