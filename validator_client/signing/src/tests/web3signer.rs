//! Remote signers, played by a server of this process.

use super::{CHAIN, Message, clock, data, header, pubkey, secret, spec};
use crate::{RemoteError, Signer, SigningError, SigningMethod};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::post;
use keystore::{RemoteKey, UnlockedKey};
use serde_json::{Value, json};
use slashing_protection::{DATABASE_FILE, Refusal, SlashingDatabase};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use types::{Epoch, KeyPossession, Root, Slot, SyncAggregatorSelectionData, ValidatorIndex, VirtualKey, VoluntaryExit};

type Handler = Arc<dyn Fn(&Value) -> Response + Send + Sync>;
type Check = fn(&RemoteError) -> bool;

fn case(handler: impl Fn(&Value) -> Response + Send + Sync + 'static, check: Check) -> (Handler, Check) {
    (Arc::new(handler), check)
}

/// What the server was asked.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<(String, Value)>>>);

impl Requests {
    fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn serve(handler: Handler) -> (String, Requests) {
    let requests = Requests::default();
    let seen = requests.clone();
    let routes = Router::new().route(
        "/here/api/v1/eth2/sign/{identifier}",
        post(move |Path(identifier): Path<String>, body: Bytes| async move {
            let document: Value = serde_json::from_slice(&body).unwrap();
            let delay = document["randao_reveal"]["epoch"] == "99";
            seen.0.lock().unwrap().push((identifier, document.clone()));
            if delay {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            handler(&document)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://user:pass@{address}/here/"), requests)
}

fn signer_at(url: &str) -> (TempDir, Signer) {
    let dir = tempfile::tempdir().unwrap();
    let database = SlashingDatabase::open_or_create(&dir.path().join(DATABASE_FILE)).unwrap();
    let remote = RemoteKey {
        pubkey: pubkey(1),
        url: url.to_owned(),
        request_timeout: Some(Duration::from_millis(500)),
        root_certificate: None,
    };
    let method = SigningMethod::of(UnlockedKey::Remote(remote)).unwrap();
    let signer = Signer::start(database, vec![method], CHAIN, Arc::new(spec()), clock()).unwrap();
    (dir, signer)
}

/// What the key's signature over the request's root is.
fn honest(document: &Value) -> String {
    let root: Root = document["signingRoot"].as_str().unwrap().parse().unwrap();
    secret(1).sign(&root).to_bytes().to_string()
}

fn remote_error(error: SigningError) -> RemoteError {
    match error {
        SigningError::Remote { error, .. } => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn messages_are_sent_as_the_api_has_them_and_signed_by_the_key() {
    let (url, requests) = serve(Arc::new(|document| match document["type"].as_str() {
        // Both forms of an answer.
        Some("BLOCK_V2") => honest(document).into_response(),
        _ => axum::Json(json!({ "signature": honest(document) })).into_response(),
    }))
    .await;
    let (_dir, signer) = signer_at(&url);
    let (header, vote) = (header(42, 1), data(9, 10, 1));
    let exit = VoluntaryExit {
        epoch: Epoch::new(3),
        validator_index: ValidatorIndex::new(9),
    };
    let selection = SyncAggregatorSelectionData {
        slot: Slot::new(5),
        subcommittee_index: 2,
    };
    let fulu = json!({ "previous_version": "0x05000001", "current_version": "0x06000001", "epoch": "0" });
    let spec = spec();
    let dvt = json!({
        "previous_version": "0x06000001",
        "current_version": spec.dvt_fork_version.to_string(),
        "epoch": "10",
    });
    for (message, kind, field, object, fork) in [
        (
            Message::Block(&header),
            "BLOCK_V2",
            "beacon_block",
            json!({ "version": "FULU", "block_header": {
                "slot": "42", "proposer_index": "3", "parent_root": Root::repeat_byte(1),
                "state_root": Root::repeat_byte(2), "body_root": Root::repeat_byte(1),
            } }),
            &fulu,
        ),
        (
            Message::Attestation(&vote),
            "ATTESTATION",
            "attestation",
            json!({
                "slot": "80", "index": "0", "beacon_block_root": Root::repeat_byte(1),
                "source": { "epoch": "9", "root": Root::ZERO }, "target": { "epoch": "10", "root": Root::ZERO },
            }),
            &dvt,
        ),
        (
            Message::RandaoReveal(Epoch::new(4)),
            "RANDAO_REVEAL",
            "randao_reveal",
            json!({ "epoch": "4" }),
            &fulu,
        ),
        (
            Message::SelectionProof(Slot::new(7)),
            "AGGREGATION_SLOT",
            "aggregation_slot",
            json!({ "slot": "7" }),
            &fulu,
        ),
        (
            Message::SyncCommitteeMessage {
                slot: Slot::new(6),
                beacon_block_root: Root::repeat_byte(8),
            },
            "SYNC_COMMITTEE_MESSAGE",
            "sync_committee_message",
            json!({ "slot": "6", "beacon_block_root": Root::repeat_byte(8) }),
            &fulu,
        ),
        (
            Message::SyncSelectionProof(&selection),
            "SYNC_COMMITTEE_SELECTION_PROOF",
            "sync_aggregator_selection_data",
            json!({ "slot": "5", "subcommittee_index": "2" }),
            &fulu,
        ),
        (
            Message::VoluntaryExit(&exit),
            "VOLUNTARY_EXIT",
            "voluntary_exit",
            json!({ "epoch": "3", "validator_index": "9" }),
            &fulu,
        ),
    ] {
        let signed = signer.sign(&pubkey(1), message).await.unwrap();
        let root = message.signing_root(CHAIN, &spec);
        assert_eq!(signed.signature, super::expected(1, root), "{kind}");
        assert!(signed.proofs.is_empty());
        let [(identifier, document)] = requests.take().try_into().unwrap();
        assert_eq!(identifier, pubkey(1).to_string());
        let expected = json!({
            "type": kind,
            "signingRoot": root,
            "fork_info": { "fork": fork, "genesis_validators_root": CHAIN },
            field: object,
        });
        assert_eq!(document, expected);
    }
}

#[tokio::test]
async fn each_bad_answer_has_its_own_error() {
    let long = "x".repeat(5000);
    let other = secret(2).sign(&Root::ZERO).to_bytes().to_string();
    let cases = [
        case(
            |_| StatusCode::NOT_FOUND.into_response(),
            |error| *error == RemoteError::UnknownKey,
        ),
        case(
            |_| StatusCode::PRECONDITION_FAILED.into_response(),
            |error| *error == RemoteError::Slashable,
        ),
        case(
            |_| (StatusCode::INTERNAL_SERVER_ERROR, "out of\ncoffee").into_response(),
            |error| matches!(error, RemoteError::Status { status: 500, text } if text == "out ofcoffee"),
        ),
        case(
            |_| Redirect::temporary("http://127.0.0.1:1/").into_response(),
            |error| matches!(error, RemoteError::Status { status: 307, .. }),
        ),
        case(
            move |_| long.clone().into_response(),
            |error| *error == RemoteError::TooLong,
        ),
        case(
            |_| "0xabcd".into_response(),
            |error| matches!(error, RemoteError::NotASignature(text) if text == "0xabcd"),
        ),
        case(
            |_| axum::Json(json!({ "sig": "" })).into_response(),
            |error| matches!(error, RemoteError::NotASignature(_)),
        ),
        case(
            move |_| other.clone().into_response(),
            |error| *error == RemoteError::WrongSignature,
        ),
        case(
            |_| format!("0x{}", "ff".repeat(96)).into_response(),
            |error| *error == RemoteError::WrongSignature,
        ),
    ];
    for (number, (handler, is_expected)) in cases.into_iter().enumerate() {
        let (url, _) = serve(handler).await;
        let (_dir, signer) = signer_at(&url);
        let error = signer
            .sign(&pubkey(1), Message::RandaoReveal(Epoch::new(1)))
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("pass"), "credentials in: {error}");
        let error = remote_error(error);
        assert!(is_expected(&error), "case {number}: {error}");
    }
    // Nobody listens at a port that was just given back.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (_dir, signer) = signer_at(&format!("http://user:pass@{address}"));
    let error = signer
        .sign(&pubkey(1), Message::RandaoReveal(Epoch::new(1)))
        .await
        .unwrap_err();
    assert!(!error.to_string().contains("pass"), "credentials in: {error}");
    assert!(matches!(remote_error(error), RemoteError::Transport(_)));
}

#[tokio::test]
async fn slow_signer_times_out_and_holds_up_nobody() {
    let (url, _) = serve(Arc::new(|document| honest(document).into_response())).await;
    let (_dir, signer) = signer_at(&url);
    let slow = signer.sign(pubkey(1), Message::RandaoReveal(Epoch::new(99)));
    let fast = async {
        let signed = signer.sign(&pubkey(1), Message::RandaoReveal(Epoch::new(1))).await;
        (signed, std::time::Instant::now())
    };
    let (slow, (fast, when)) = tokio::join!(slow, fast);
    assert!(
        fast.is_ok() && when.elapsed() > Duration::from_millis(200),
        "waited for the slow one"
    );
    assert_eq!(
        remote_error(slow.unwrap_err()),
        RemoteError::Timeout(Duration::from_millis(500))
    );
}

#[tokio::test]
async fn slashable_messages_and_those_unknown_to_the_api_do_not_leave_this_process() {
    let (url, requests) = serve(Arc::new(|document| honest(document).into_response())).await;
    let (_dir, signer) = signer_at(&url);
    signer.sign(&pubkey(1), Message::Block(&header(5, 1))).await.unwrap();
    assert_eq!(requests.take().len(), 1);
    let error = signer
        .sign(&pubkey(1), Message::Block(&header(5, 2)))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SigningError::Refused(refusal) if matches!(**refusal, Refusal::DoubleBlockProposal { .. })),
        "{error}"
    );
    let possession = KeyPossession {
        validator_index: ValidatorIndex::new(1),
        key: VirtualKey::bls(pubkey(1)),
        slot: Slot::new(8),
    };
    let error = signer
        .sign(&pubkey(1), Message::KeyPossession(&possession))
        .await
        .unwrap_err();
    assert_eq!(
        remote_error(error),
        RemoteError::NoSuchMessage { kind: "key_possession" }
    );
    assert!(requests.take().is_empty());
}
