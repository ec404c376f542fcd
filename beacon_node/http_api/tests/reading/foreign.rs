//! What software asks for that was not written for this fork: media types, names of forks, lists in SSZ.

use crate::accepted::{aggregate, own_duty, single_vote};
use crate::support::*;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::json;
use ssz::Encode as _;
use types::*;

const SSZ: &str = "application/octet-stream";
const EITHER: &str = "application/octet-stream;q=1,application/json;q=0.9";

async fn ask(node: &Node, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = reqwest::Client::new().get(format!("{}{path}", node.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn told(headers: &HeaderMap) -> (&str, &str) {
    let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap());
    (text("content-type"), text("eth-consensus-version"))
}

async fn hand_in(node: &Node, path: &str, fork: &str, body: Vec<u8>) -> (u16, serde_json::Value) {
    let request = reqwest::Client::new().post(format!("{}{path}", node.url));
    let request = request
        .header("content-type", SSZ)
        .header("eth-consensus-version", fork);
    let response = request.body(body).send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn whoever_does_not_know_the_fork_gets_json_under_the_name_of_the_public_one() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let aware = ("eth-consensus-version", "dvt");
    for path in [
        "/eth/v2/beacon/blocks/head",
        "/eth/v1/beacon/blinded_blocks/head",
        "/eth/v2/debug/beacon/states/head",
        "/eth/v1/beacon/states/head/pending_deposits",
    ] {
        let answer = ask(&node, path, &[("accept", EITHER)]).await;
        assert_eq!(told(answer.headers()), ("application/json", "fulu"), "{path}");
        let body: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(body["version"], "fulu", "{path}");
        for headers in [
            [("accept", EITHER), aware],
            [("accept", SSZ), ("eth-consensus-version", "fulu")],
        ] {
            let answer = ask(&node, path, &headers).await;
            assert_eq!(told(answer.headers()), (SSZ, "dvt"), "{path}");
        }
        let answer = ask(&node, path, &[aware]).await;
        assert_eq!(told(answer.headers()), ("application/json", "dvt"), "{path}");
    }
    let block: serde_json::Value = serde_json::from_slice(
        &ask(
            &node,
            "/eth/v2/beacon/blocks/head",
            &[("eth-consensus-version", "phase0")],
        )
        .await
        .bytes()
        .await
        .unwrap(),
    )
    .unwrap();
    assert_eq!(block["version"], "fulu");
    assert!(
        block["data"]["signers"].is_string(),
        "what the fork has appended is there"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_no_answer() {
    let node = Node::with_group().await;
    for (path, accept, expected) in [
        ("/eth/v1/beacon/genesis", SSZ, 406),
        ("/eth/v1/beacon/genesis", "text/html", 406),
        ("/eth/v1/beacon/genesis", "text/html, */*;q=0.1", 200),
        ("/eth/v1/beacon/genesis", "application/*", 200),
        ("/eth/v2/beacon/blocks/head", SSZ, 200),
        ("/eth/v2/beacon/blocks/head", "text/html", 406),
        // A refusal is always told.
        ("/eth/v2/beacon/blocks/99", "text/html", 404),
        ("/eth/v1/node/health", "text/html", 206),
    ] {
        let answer = ask(&node, path, &[("accept", accept)]).await;
        assert_eq!(answer.status().as_u16(), expected, "{path}: {accept}");
    }
}

#[tokio::test]
async fn votes_and_aggregates_are_taken_in_ssz() {
    let mut node = Node::start(ForkName::Fulu, Default::default()).await;
    node.run_to(11).await;
    let duty = own_duty(&node).await;
    let vote = single_vote(&node, &duty);
    let signed = aggregate(&node, &duty);
    let votes = "/eth/v2/beacon/pool/attestations";
    let bytes = vote.as_ssz_bytes();
    assert_eq!(hand_in(&node, votes, "fulu", bytes.clone()).await.0, 200);
    assert!(
        node.client
            .liveness(Epoch::new(1), &[duty.validator_index])
            .await
            .unwrap()[0]
            .is_live
    );
    for (path, fork, body) in [
        (votes, "fulu", bytes[1..].to_vec()),
        (votes, "dvt", bytes.clone()),
        (votes, "nothing", bytes.clone()),
        ("/eth/v2/validator/aggregate_and_proofs", "fulu", bytes),
    ] {
        let (status, answer) = hand_in(&node, path, fork, body).await;
        assert_eq!((status, answer["code"].as_u64()), (400, Some(400)), "{path}: {fork}");
        assert!(answer["failures"].is_array(), "{path}: {fork}: {answer}");
    }
    let path = "/eth/v2/validator/aggregate_and_proofs";
    assert_eq!(hand_in(&node, path, "fulu", vec![signed].as_ssz_bytes()).await.0, 200);
    let (_, pool) = node.get("/eth/v2/beacon/pool/attestations").await;
    assert!(!pool["data"].as_array().unwrap().is_empty(), "{pool}");
}

#[tokio::test]
async fn registrations_are_taken_in_ssz() {
    let node = Node::with_group().await;
    let path = "/eth/v1/validator/register_validator";
    let one = 20 + 8 + 8 + 48 + 96;
    assert_eq!(hand_in(&node, path, "fulu", vec![0; 2 * one]).await.0, 200);
    assert_eq!(hand_in(&node, path, "fulu", vec![0; one + 1]).await.0, 400);
}

#[tokio::test]
async fn identities_are_those_of_the_registry_and_of_keys_of_groups() {
    let node = Node::with_group().await;
    let path = "/eth/v1/beacon/states/head/validator_identities";
    let (_, all) = node.post(path, "").await;
    assert_eq!(all["data"].as_array().unwrap().len() as u64, VALIDATORS);
    let key = key_of_group(2).to_string();
    let (_, some) = node.post(path, json!([key, "5", "4000000"]).to_string()).await;
    let data = some["data"].as_array().unwrap();
    assert_eq!(
        (data.len(), &data[0]["index"], &data[1]["index"]),
        (2, &json!(key), &json!("5"))
    );
    assert_eq!(
        data[1]["pubkey"],
        json!(node.producer.state.validators().get(5).unwrap().pubkey)
    );
    assert_eq!(data[1]["activation_epoch"], "0");
    let response = reqwest::Client::new()
        .post(format!("{}{path}", node.url))
        .header("content-type", "application/json")
        .header("accept", SSZ)
        .body(json!(["5"]).to_string());
    let bytes = response.send().await.unwrap().bytes().await.unwrap();
    assert_eq!((bytes.len(), &bytes[..8]), (8 + 48 + 8, 5u64.to_le_bytes().as_slice()));
    assert_eq!(node.post(path, "[1").await.0, 400);
    assert_eq!(
        node.post("/eth/v1/beacon/states/99/validator_identities", "[]").await.0,
        404
    );
}

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_in_the_form_of_the_api() {
    let node = Node::with_group().await;
    for path in ["/eth/v2/beacon/blocks/%ff", "/eth/v1/beacon/states/%ff/root"] {
        let (status, body) = node.get(path).await;
        assert_eq!((status, body["code"].as_u64()), (400, Some(400)), "{path}");
    }
}

#[tokio::test]
async fn selections_are_for_middleware() {
    let node = Node::with_group().await;
    for what in ["beacon_committee", "sync_committee"] {
        let (status, body) = node.post(&format!("/eth/v1/validator/{what}_selections"), "[]").await;
        assert_eq!((status, body["code"].as_u64()), (501, Some(501)));
    }
}

#[tokio::test]
async fn the_event_that_a_payload_is_begun_says_what_it_builds_on() {
    let node = Node::with_group().await;
    let topics = [
        beacon_api::EventTopic::PayloadAttributes,
        beacon_api::EventTopic::BlobSidecar,
    ];
    let mut events = Box::pin(node.client.events::<Minimal>(&topics).await.unwrap());
    let begun = beacon_chain::PayloadBegun {
        proposal_slot: Slot::new(1),
        proposer_index: ValidatorIndex::new(3),
        parent_block_number: 7,
        parent_block_hash: Hash32::repeat_byte(1),
        attributes: execution_layer::PayloadAttributes {
            timestamp: 5,
            prev_randao: Hash32::repeat_byte(2),
            suggested_fee_recipient: ExecutionAddress::repeat_byte(3),
            withdrawals: Vec::new(),
            parent_beacon_block_root: Root::repeat_byte(4),
        },
    };
    node.chain.announce_payload(begun);
    let event = futures::StreamExt::next(&mut events).await.unwrap().unwrap();
    assert_eq!(
        serde_json::to_value(event).unwrap(),
        json!({
            "version": "fulu",
            "data": {
                "proposer_index": "3",
                "proposal_slot": "1",
                "parent_block_number": "7",
                "parent_block_root": Root::repeat_byte(4),
                "parent_block_hash": Hash32::repeat_byte(1),
                "payload_attributes": {
                    "timestamp": "5",
                    "prev_randao": Hash32::repeat_byte(2),
                    "suggested_fee_recipient": ExecutionAddress::repeat_byte(3),
                    "withdrawals": [],
                    "parent_beacon_block_root": Root::repeat_byte(4),
                },
            },
        })
    );
}
