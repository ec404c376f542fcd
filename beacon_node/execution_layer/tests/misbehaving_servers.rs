//! The client against servers that answer nonsense.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use alloy_primitives::{Address, B256};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use execution_layer::*;
use serde_json::{Value, json};
use types::Minimal;

fn client(url: impl Into<String>) -> ExecutionLayer {
    ExecutionLayer::new(ExecutionConfig::new(url, JwtSecret::new([7; 32]))).unwrap()
}

/// A server that gives the same answer to all requests, with the request's id where it says `@`.
async fn parrot(status: StatusCode, answer: &'static str) -> String {
    async fn handle(State((status, answer)): State<(StatusCode, &'static str)>, body: String) -> impl IntoResponse {
        let id = serde_json::from_str::<Value>(&body).unwrap()["id"].to_string();
        (status, answer.replace("@", &id))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new()
        .route("/", post(handle))
        .with_state((status, answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn nonsense_answers_say_what_is_wrong() {
    let ok = StatusCode::OK;
    let cases = [
        (ok, "", "does not parse"),
        (ok, "<html>", "does not parse"),
        (ok, r#"{"jsonrpc":"2.0","id":12345,"result":"0x1"}"#, "has id 12345"),
        (ok, r#"{"jsonrpc":"2.0","result":"0x1"}"#, "has id null"),
        (ok, r#"{"jsonrpc":"2.0","id":@,"result":1}"#, "does not parse"),
        (ok, r#"{"jsonrpc":"2.0","id":@}"#, "does not parse"),
        (
            ok,
            r#"{"jsonrpc":"2.0","id":@,"error":{"code":-32000,"message":"m","data":{"err":"disk"}}}"#,
            "disk",
        ),
        (
            StatusCode::BAD_REQUEST,
            r#"{"id":@,"error":{"code":-32602,"message":"params"}}"#,
            "error -32602: params",
        ),
        (StatusCode::BAD_GATEWAY, "no upstream", "HTTP 502: no upstream"),
        (StatusCode::FORBIDDEN, "go away", "HTTP 403: go away"),
        (StatusCode::FOUND, "", "HTTP 302"),
    ];
    for (status, answer, expected) in cases {
        let error = client(parrot(status, answer).await)
            .check_chain_id(1)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{answer}: {error}");
    }
    let right = client(parrot(ok, r#"{"jsonrpc":"2.0","id":@,"result":"0x1"}"#).await);
    right.check_chain_id(1).await.unwrap();
}

#[tokio::test]
async fn a_payload_other_than_the_one_asked_for_is_refused() {
    // One answer that fits both calls: a forkchoice update and a payload.
    let head = B256::repeat_byte(1);
    let attributes = PayloadAttributes {
        timestamp: 6,
        prev_randao: B256::repeat_byte(3),
        suggested_fee_recipient: Address::repeat_byte(4),
        withdrawals: vec![],
        parent_beacon_block_root: B256::repeat_byte(9),
    };
    let answer = json!({
        "jsonrpc": "2.0", "id": "@", "result": {
            "payloadStatus": {"status": "VALID", "latestValidHash": null, "validationError": null},
            "payloadId": "0x0000000000000001",
            "executionPayload": {
                "parentHash": head, "feeRecipient": Address::ZERO, "stateRoot": B256::ZERO,
                "receiptsRoot": B256::ZERO, "logsBloom": format!("0x{}", "00".repeat(256)),
                "prevRandao": attributes.prev_randao, "blockNumber": "0x1", "gasLimit": "0x1", "gasUsed": "0x0",
                "timestamp": "0x5", "extraData": "0x", "baseFeePerGas": "0x7", "blockHash": B256::ZERO,
                "transactions": [], "withdrawals": [], "blobGasUsed": "0x0", "excessBlobGas": "0x0"
            },
            "blockValue": "0x0", "blobsBundle": {"commitments": [], "proofs": [], "blobs": []},
            "shouldOverrideBuilder": false, "executionRequests": []
        }
    });
    let answer = answer.to_string().replace("\"@\"", "@");
    let liar = client(parrot(StatusCode::OK, answer.leak()).await);
    let error = liar
        .get_payload::<Minimal>(
            ForkchoiceState {
                head_block_hash: head,
                ..ForkchoiceState::default()
            },
            &attributes,
        )
        .await
        .unwrap_err();
    assert!(
        matches!(error, EngineError::WrongPayload { field: "timestamp", .. }),
        "{error}"
    );
}
