//! Against the examples of the execution APIs, and round trips of random payloads.

use super::*;
use crate::engine_types::NewPayloadRequest;
use crate::versioned_hashes::is_valid_versioned_hashes;
use alloy_primitives::{b256, hex};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use types::{ExecutionRequests, Mainnet, Minimal};

const BLOB_TRANSACTION: &str = "0x03f88f0780843b9aca008506fc23ac00830186a09400000000000000000000000000000000000001008080c001e1a0010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c44401401a0840650aa8f74d2b07f40067dc33b715078d73422f01da17abdbd11e02bbdfda9a04b2260f6022bf53eadb337b3e59514936f7317d872defb891a708ee279bdca90";

/// `ExecutionPayloadV3` of the example for `engine_newPayloadV4`, with one of its transactions.
fn example_payload() -> Value {
    json!({
        "parentHash": "0x3b8fb240d288781d4aac94d3fd16809ee413bc99294a085798a589dae51ddd4a",
        "feeRecipient": "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
        "stateRoot": "0xca3149fa9e37db08d1cd49c9061db1002ef1cd58db2210f2115c8c989b2bdf45",
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "prevRandao": "0xc130d5e63c61c935f6089e61140ca9136172677cf6aa5800dcc1cf0a02152a14",
        "blockNumber": "0x112720f",
        "gasLimit": "0x1c9c380",
        "gasUsed": "0xbad2e8",
        "timestamp": "0x64e7785b",
        "extraData": "0x",
        "baseFeePerGas": "0x7",
        "blockHash": "0x3559e851470f6e7bbed1db474980683e8c315bfce99b2a6ef47c057c04de7858",
        "transactions": [BLOB_TRANSACTION],
        "withdrawals": [
            {
                "index": "0xf0",
                "validatorIndex": "0xf0",
                "address": "0x00000000000000000000000000000000000010f0",
                "amount": "0x1"
            },
            {
                "index": "0xf1",
                "validatorIndex": "0xf1",
                "address": "0x00000000000000000000000000000000000010f1",
                "amount": "0x1"
            }
        ],
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0"
    })
}

fn decode<P: Preset>(json: &Value) -> Result<ExecutionPayload<P>, String> {
    let json: JsonPayload = serde_json::from_value(json.clone()).map_err(|error| error.to_string())?;
    json.try_into().map_err(|error: ValueError| error.to_string())
}

#[test]
fn example_payload_decodes_and_encodes_to_the_same_json() {
    let payload = decode::<Minimal>(&example_payload()).unwrap();
    assert_eq!(payload.block_number, 17_986_063);
    assert_eq!(payload.gas_limit, 30_000_000);
    assert_eq!(payload.base_fee_per_gas, U256::from(7));
    assert_eq!(payload.withdrawals[1].validator_index.as_u64(), 241);
    assert_eq!(payload.transactions[0][0], 3);
    assert_eq!(
        serde_json::to_value(JsonPayload::from(&payload)).unwrap(),
        example_payload()
    );
}

#[test]
fn example_transaction_names_its_blob() {
    let transaction = hex::decode(BLOB_TRANSACTION).unwrap();
    let hash = b256!("010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014");
    assert_eq!(is_valid_versioned_hashes([transaction], &[hash]), Ok(()));
}

#[test]
fn payloads_that_break_a_rule_say_which() {
    let with = |field: &str, value: Value| {
        let mut json = example_payload();
        json[field] = value;
        decode::<Minimal>(&json).unwrap_err()
    };
    assert!(with("gasUsed", json!("0x0bad")).contains("leading zero"));
    assert!(with("gasUsed", json!(7)).contains("hex string"));
    assert!(with("gasUsed", json!("0x10000000000000000")).contains("8 bytes"));
    assert!(with("baseFeePerGas", json!("7")).contains("0x"));
    assert!(with("logsBloom", json!("0x00")).contains("logsBloom has 1 items, expected 256"));
    let extra = with("extraData", json!(format!("0x{}", "ab".repeat(33))));
    assert!(extra.contains("extraData has 33 items, at most 32"), "{extra}");
    let withdrawal = example_payload()["withdrawals"][0].clone();
    let many = with("withdrawals", json!(vec![withdrawal; 5]));
    assert!(many.contains("withdrawals has 5 items, at most 4"), "{many}");
    let mut missing = example_payload();
    missing.as_object_mut().unwrap().remove("excessBlobGas");
    assert!(decode::<Minimal>(&missing).unwrap_err().contains("excessBlobGas"));
}

#[test]
fn attributes_and_forkchoice_encode_as_in_the_example() {
    let payload = decode::<Minimal>(&example_payload()).unwrap();
    let attributes = PayloadAttributes {
        timestamp: payload.timestamp,
        prev_randao: payload.prev_randao,
        suggested_fee_recipient: payload.fee_recipient,
        withdrawals: payload.withdrawals.to_vec(),
        parent_beacon_block_root: b256!("11f780a954bcba8889998e4e61deaae6388dd2391e9c810bd9c94962cc1eadc1"),
    };
    let expected = json!({
        "timestamp": "0x64e7785b",
        "prevRandao": "0xc130d5e63c61c935f6089e61140ca9136172677cf6aa5800dcc1cf0a02152a14",
        "suggestedFeeRecipient": "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
        "withdrawals": example_payload()["withdrawals"],
        "parentBeaconBlockRoot": "0x11f780a954bcba8889998e4e61deaae6388dd2391e9c810bd9c94962cc1eadc1"
    });
    assert_eq!(
        serde_json::to_value(JsonAttributes::from(&attributes)).unwrap(),
        expected
    );
    let state = ForkchoiceState {
        head_block_hash: payload.block_hash,
        ..ForkchoiceState::default()
    };
    let zero = format!("0x{}", "00".repeat(32));
    let expected = json!({
        "headBlockHash": "0x3559e851470f6e7bbed1db474980683e8c315bfce99b2a6ef47c057c04de7858",
        "safeBlockHash": zero,
        "finalizedBlockHash": zero
    });
    assert_eq!(
        serde_json::to_value(JsonForkchoiceState::from(&state)).unwrap(),
        expected
    );
}

#[test]
fn each_payload_status_is_understood() {
    let hash = B256::repeat_byte(1);
    let status = |json: Value| PayloadStatus::from(serde_json::from_value::<JsonPayloadStatus>(json).unwrap());
    assert_eq!(
        status(json!({"status": "VALID", "latestValidHash": hash, "validationError": null})),
        PayloadStatus::Valid
    );
    assert_eq!(
        status(json!({"status": "INVALID", "latestValidHash": hash, "validationError": "bad"})),
        PayloadStatus::Invalid {
            latest_valid_hash: Some(hash),
            validation_error: Some("bad".into())
        }
    );
    assert_eq!(
        status(json!({"status": "INVALID", "latestValidHash": null})),
        PayloadStatus::Invalid {
            latest_valid_hash: None,
            validation_error: None
        }
    );
    assert_eq!(
        status(json!({"status": "SYNCING", "latestValidHash": null})),
        PayloadStatus::Syncing
    );
    assert_eq!(status(json!({"status": "ACCEPTED"})), PayloadStatus::Accepted);
    assert_eq!(
        status(json!({"status": "INVALID_BLOCK_HASH", "validationError": "x"})),
        PayloadStatus::InvalidBlockHash {
            validation_error: Some("x".into())
        }
    );
    assert!(serde_json::from_value::<JsonPayloadStatus>(json!({"status": "FINE"})).is_err());
}

#[test]
fn get_payload_needs_all_cell_proofs_of_each_blob() {
    let blob = format!("0x{}", "00".repeat(131_072));
    let item = format!("0x{}", "c0".repeat(48));
    let response = |blobs: usize, commitments: usize, proofs: usize| {
        let json = json!({
            "executionPayload": example_payload(),
            "blockValue": "0x10a741a46278014d",
            "blobsBundle": {
                "commitments": vec![&item; commitments],
                "proofs": vec![&item; proofs],
                "blobs": vec![&blob; blobs]
            },
            "shouldOverrideBuilder": true,
            "executionRequests": []
        });
        let json: JsonGetPayload = serde_json::from_value(json).unwrap();
        GetPayloadResponse::<Mainnet>::try_from(json)
    };
    let two = response(2, 2, 256).unwrap();
    assert_eq!(
        (two.blobs_bundle.blobs.len(), two.blobs_bundle.cell_proofs.len()),
        (2, 256)
    );
    assert_eq!(two.block_value, U256::from(0x10a7_41a4_6278_014d_u64));
    assert!(two.should_override_builder);
    let wrong = |field, expected, found| Err(ValueError::WrongLength { field, expected, found });
    assert_eq!(response(2, 2, 2), wrong("blobsBundle.proofs", 256, 2));
    assert_eq!(response(2, 1, 256), wrong("blobsBundle.commitments", 2, 1));
}

#[test]
fn new_payload_request_has_a_hash_per_commitment() {
    let payload = ExecutionPayload::<Minimal>::default();
    let requests = ExecutionRequests::default();
    let commitments = [KzgCommitment::ZERO, KzgCommitment::repeat_byte(1)];
    let request = NewPayloadRequest::new(&payload, &commitments, B256::ZERO, &requests);
    assert_eq!(request.versioned_hashes.len(), 2);
    assert!(request.versioned_hashes.iter().all(|hash| hash[0] == 1));
    assert!(request.execution_requests_list().is_empty());
}

fn any_hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn any_withdrawal() -> impl Strategy<Value = Withdrawal> {
    (any::<u64>(), any::<u64>(), any::<[u8; 20]>(), any::<u64>()).prop_map(|(index, validator, address, amount)| {
        Withdrawal {
            index,
            validator_index: validator.into(),
            address: address.into(),
            amount,
        }
    })
}

prop_compose! {
    fn any_payload()(
        hashes in vec(any_hash(), 5),
        fee_recipient in any::<[u8; 20]>(),
        logs_bloom in vec(any::<u8>(), 256),
        numbers in vec(any::<u64>(), 6),
        extra_data in vec(any::<u8>(), 0..=32),
        base_fee in any::<[u8; 32]>(),
        transactions in vec(vec(any::<u8>(), 1..300), 0..5),
        withdrawals in vec(any_withdrawal(), 0..=4),
    ) -> ExecutionPayload<Minimal> {
        ExecutionPayload {
            parent_hash: hashes[0],
            fee_recipient: fee_recipient.into(),
            state_root: hashes[1],
            receipts_root: hashes[2],
            logs_bloom: FixedVector::new(logs_bloom).unwrap(),
            prev_randao: hashes[3],
            block_number: numbers[0],
            gas_limit: numbers[1],
            gas_used: numbers[2],
            timestamp: numbers[3],
            extra_data: VariableList::new(extra_data).unwrap(),
            base_fee_per_gas: U256::from_be_bytes(base_fee),
            block_hash: hashes[4],
            transactions: VariableList::new(
                transactions.into_iter().map(|bytes| VariableList::new(bytes).unwrap()).collect(),
            ).unwrap(),
            withdrawals: VariableList::new(withdrawals).unwrap(),
            blob_gas_used: numbers[4],
            excess_blob_gas: numbers[5],
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn payloads_survive_json(payload in any_payload()) {
        let text = serde_json::to_string(&JsonPayload::from(&payload)).unwrap();
        let json: JsonPayload = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(ExecutionPayload::<Minimal>::try_from(json), Ok(payload));
    }
}
