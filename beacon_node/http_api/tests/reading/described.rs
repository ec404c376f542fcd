//! The table of endpoints in docs, and what the description requires of answers, against a server.

use crate::support::*;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use types::*;

/// Made of the description by contract/shapes.py.
const SHAPES: &str = include_str!("../../contract/shapes.json");
const DOCUMENT: &str = include_str!("../../../../docs/beacon-api.md");

/// Method, path, and whether it stands as served.
fn rows() -> Vec<(reqwest::Method, String, bool)> {
    let rows = DOCUMENT.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let method = cells.next()?.parse().ok()?;
        let path = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        Some((method, path, cells.next()? != "not served"))
    });
    rows.collect()
}

#[tokio::test]
async fn what_stands_in_the_table_as_served_is_served_and_nothing_else_of_it() {
    let node = Node::with_group().await;
    let rows = rows();
    assert!(rows.len() > 100, "{} rows", rows.len());
    for (method, path, is_served) in rows {
        // A path with its names in it reaches its route and is refused there.
        let url = format!("{}{}", node.url, path.replace(['{', '}'], ""));
        let request = reqwest::Client::new().request(method.clone(), url);
        let response = request.body("x").send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let is_unknown = status == 405 || (status == 404 && text.contains("unknown endpoint"));
        assert_eq!(is_served, !is_unknown, "{method} {path}: {status} {text}");
    }
}

/// Places where a value is not of a shape.
fn differences(shape: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match (shape, value) {
        (Value::Object(shape), Value::Object(value)) => {
            for (name, shape) in shape {
                match value.get(name) {
                    Some(value) => differences(shape, value, &format!("{place}.{name}"), found),
                    None => found.push(format!("{place}.{name} is missing")),
                }
            }
        }
        (Value::Array(shape), Value::Array(values)) => {
            for value in values {
                differences(&shape[0], value, &format!("{place}[]"), found);
            }
        }
        (Value::String(expected), _) if expected == kind || (expected == "integer" && kind == "number") => {}
        (expected, _) => found.push(format!("{place} is {kind}, expected {expected}")),
    }
}

#[tokio::test]
async fn answers_have_what_the_description_requires() {
    let shapes: Map<String, Value> = serde_json::from_str(SHAPES).unwrap();
    for fork in ForkName::ALL {
        let mut node = Node::start(fork, Default::default()).await;
        node.run_to(20).await;
        let peer = node.client.identity().await.unwrap().peer_id;
        let mut unanswered = BTreeSet::new();
        for (path, shape) in &shapes {
            let asked = path
                .replace("{state_id}", "head")
                .replace("{block_id}", "head")
                .replace("{validator_id}", "3")
                .replace("{epoch}", "2")
                .replace("{slot}", "21")
                .replace("{peer_id}", &peer);
            let (status, body) = node.get(&asked).await;
            if status != 200 {
                assert!(body["message"].is_string() && body["code"] == status, "{path}: {body}");
                unanswered.insert(path.as_str());
                continue;
            }
            let mut found = Vec::new();
            differences(shape, &body, "", &mut found);
            assert!(found.is_empty(), "{fork}: {path}: {found:?}");
        }
        // What is to be signed needs an execution client, a peer another node.
        let expected = [
            "/eth/v1/node/peers/{peer_id}",
            "/eth/v1/validator/attestation_data",
            "/eth/v1/validator/sync_committee_contribution",
            "/eth/v2/validator/aggregate_attestation",
            "/eth/v3/validator/blocks/{slot}",
        ];
        assert_eq!(unanswered, BTreeSet::from(expected), "{fork}");
    }
}

#[test]
fn a_value_of_another_shape_is_noticed() {
    let shape = serde_json::json!({"data": [{"index": "string"}], "finalized": "boolean"});
    let all = |value: Value| {
        let mut found = Vec::new();
        differences(&shape, &value, "", &mut found);
        found
    };
    assert!(all(serde_json::json!({"data": [], "finalized": true, "more": 1})).is_empty());
    let wrong = all(serde_json::json!({"data": [{"index": "1"}, {"index": 1}, {}]}));
    assert_eq!(
        wrong,
        [
            ".data[].index is number, expected \"string\"",
            ".data[].index is missing",
            ".finalized is missing"
        ]
    );
}
