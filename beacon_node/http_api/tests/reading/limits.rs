//! What a caller may take of a node.

use crate::support::*;
use beacon_api::StateId;
use http_api::{ApiSettings, BodyLimits};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use types::*;

const OPERATIONS: usize = 8 << 20;
const BLOCKS: usize = 32 << 20;
const DUTIES: &str = "/eth/v1/validator/duties/attester/0";
const BLOCK: &str = "/eth/v2/beacon/blocks";

/// Sends the head of a request with a part of its body, and reads the answer, after which the server hangs up.
async fn answer_to_part(node: &Node, path: &str, header: &str, part: &[u8]) -> String {
    let address = node.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{header}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(part).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn list(values: usize) -> String {
    format!("[{}\"1\"]", "\"1\",".repeat(values - 1))
}

#[tokio::test]
async fn a_body_beyond_the_limit_of_its_endpoint_is_refused_with_the_limit() {
    let node = Node::with_group().await;
    for (path, limit) in [(DUTIES, OPERATIONS), (BLOCK, BLOCKS)] {
        let header = format!("content-length: {}", limit + 1);
        let answer = answer_to_part(&node, path, &header, b"").await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        assert!(answer.contains(&format!("at most {limit} bytes")), "{path}: {answer}");
    }
    // One that does not say how large it is.
    let mut chunk = format!("{:x}\r\n", OPERATIONS + 1);
    chunk.push_str(&" ".repeat(OPERATIONS + 1));
    let answer = answer_to_part(&node, DUTIES, "transfer-encoding: chunked", chunk.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // As large as may be, it is read.
    for (path, limit) in [(DUTIES, OPERATIONS), (BLOCK, BLOCKS)] {
        let (status, answer) = node.post(path, vec![b' '; limit]).await;
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(
            answer["message"].as_str().unwrap().starts_with("cannot read the body"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_list_is_refused_beyond_its_limit_and_who_is_named_often_is_told_once() {
    let mut node = Node::with_group().await;
    node.run_to(1).await;
    let (status, answer) = node.post(DUTIES, list(262_144)).await;
    assert_eq!(status, 200);
    assert_eq!(answer["data"].as_array().unwrap().len(), 1);
    let ids = format!("{{\"ids\": {}}}", list(262_145));
    for (path, body) in [
        (DUTIES, list(262_145)),
        ("/eth/v1/beacon/states/head/validators", ids),
        ("/eth/v1/beacon/pool/sync_committees", list(262_145)),
    ] {
        let (status, answer) = node.post(path, body).await;
        assert_eq!(status, 400, "{path}");
        assert!(
            answer["message"].as_str().unwrap().contains("262144"),
            "{path}: {answer}"
        );
        assert_eq!(
            answer.get("failures").is_some(),
            path.contains("/pool/"),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn of_many_wrong_items_the_first_are_named() {
    let node = Node::with_group().await;
    let (status, answer) = node.post("/eth/v1/beacon/pool/sync_committees", list(100)).await;
    assert_eq!((status, answer["failures"].as_array().unwrap().len()), (400, 32));
    assert!(answer["message"].as_str().unwrap().contains("68 more"), "{answer}");
    // They can be read, and their validator is not there.
    let mut messages = String::new();
    for index in 0..40 {
        let root = Root::repeat_byte(index);
        let signature = SignatureBytes::repeat_byte(index);
        let _ = write!(
            messages,
            r#",{{"slot":"0","beacon_block_root":"{root:?}","validator_index":"900","signature":"{signature}"}}"#
        );
    }
    let messages = messages.replacen(',', "[", 1) + "]";
    let (status, answer) = node.post("/eth/v1/beacon/pool/sync_committees", messages).await;
    assert_eq!(
        (status, answer["failures"].as_array().map(Vec::len)),
        (400, Some(32)),
        "{answer}"
    );
    assert!(answer["message"].as_str().unwrap().contains("8 more"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let settings = ApiSettings {
        body_limits: BodyLimits {
            time: Duration::from_millis(200),
            ..BodyLimits::default()
        },
        ..ApiSettings::default()
    };
    let node = Node::start(ForkName::Dvt, settings).await;
    for size in [100, OPERATIONS] {
        let header = format!("content-length: {size}");
        let answer = answer_to_part(&node, DUTIES, &header, b"[\"1\",").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn states_are_computed_up_to_four_epochs_after_the_head() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let root = |slot: u64| {
        let path = format!("/eth/v1/beacon/states/{slot}/root");
        let node = &node;
        async move { node.get(&path).await }
    };
    node.set_slot(80);
    assert_eq!(root(3 + 32).await.0, 200);
    for beyond in [3 + 33, 80] {
        let (status, answer) = root(beyond).await;
        assert_eq!(status, 404, "slot {beyond}");
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.contains("the head's slot 3") && message.contains("slot 35"),
            "{message}"
        );
    }
    assert!(root(81).await.1["message"].as_str().unwrap().contains("not known"));
    assert_eq!(root(2).await.0, 200);
    let (status, _) = node.get("/eth/v1/beacon/states/80/committees").await;
    assert_eq!(status, 404);
    assert!(node.client.state_root(StateId::Head).await.is_ok());

    // Duties of now are there however old the head is: a network that stood still goes on with them.
    let indices: Vec<SignerIndex> = (1..VALIDATORS).map(SignerIndex::new).collect();
    for (epoch, status) in [
        (0, None),
        (1, None),
        (5, None),
        (7, Some(400)),
        (9, Some(400)),
        (10, None),
        (11, None),
    ] {
        let epoch = Epoch::new(epoch);
        let attester = node.client.attester_duties(epoch, &indices).await;
        assert_eq!(attester.err().and_then(|error| error.status()), status, "epoch {epoch}");
        let proposer = node.client.proposer_duties(epoch).await;
        assert_eq!(proposer.err().and_then(|error| error.status()), status, "epoch {epoch}");
    }
}
