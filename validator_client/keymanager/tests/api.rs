//! The keymanager API over a socket, in front of a signer with its record and files.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use beacon_api::{BeaconClient, ClientConfig};
use bls::SecretKey;
use duties::{Context, Nodes, Settings};
use http_server::Listener;
use keymanager::{ApiToken, Keymanager, Server, TOKEN_FILE};
use keystore::{Kdf, Keystore, Password, ValidatorDefinitions, ValidatorsDir};
use reqwest::{Client, Method};
use runtime::{AllowOrigin, ShutdownHandle, SlotClock};
use serde_json::{Value, json};
use signing::{SignableMessage, Signer, SigningError};
use slashing_protection::{DATABASE_FILE, SlashingDatabase};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use types::*;

const CHAIN: Root = Root::repeat_byte(7);
const GENESIS_TIME: u64 = 1_700_000_000;
const ANY: &str = "0x1111111111111111111111111111111111111111";

struct Api {
    url: String,
    token: String,
    context: Arc<Context>,
    dir: PathBuf,
    http: Client,
    publisher: watch::Sender<Option<Arc<Keymanager>>>,
    shutdown: ShutdownHandle,
}

fn secret(number: u8) -> SecretKey {
    SecretKey::derive_master(&[number; 32]).unwrap()
}

fn pubkey(number: u8) -> String {
    secret(number).public_key().to_bytes().to_string()
}

fn keystore(number: u8, password: &str) -> String {
    let path = format!("m/12381/3600/{number}/0/0");
    let keystore = Keystore::encrypt(&secret(number), &Password::new(password), Kdf::insecure(), &path, None);
    keystore.unwrap().to_json().to_string()
}

/// A chain that knows key 1 as a solo validator, and key 2 as the third of the group that is validator 5.
async fn beacon_node() -> BeaconClient {
    let entry = |key: u8, index: SignerIndex| {
        json!({
            "index": index, "balance": "32000000000", "status": "active_ongoing",
            "validator": {
                "pubkey": pubkey(key), "withdrawal_credentials": format!("{CHAIN:?}"),
                "effective_balance": "32000000000", "slashed": false,
                "activation_eligibility_epoch": "0", "activation_epoch": "0",
                "exit_epoch": u64::MAX.to_string(), "withdrawable_epoch": u64::MAX.to_string(),
            }
        })
    };
    let member = SignerIndex::virtual_index(ValidatorIndex::new(5), 2).unwrap();
    let known = vec![
        (pubkey(1), entry(1, ValidatorIndex::new(42).into())),
        (pubkey(2), entry(2, member)),
    ];
    let validators = async |State(known): State<Vec<(String, Value)>>, uri: axum::http::Uri| {
        let query = uri.query().unwrap_or_default().to_owned();
        let found = known.iter().filter(|(key, _)| query.contains(key.as_str()));
        let data: Vec<Value> = found.map(|(_, entry)| entry.clone()).collect();
        Json(json!({"execution_optimistic": false, "finalized": false, "data": data}))
    };
    let routes = Router::new()
        .route("/eth/v1/beacon/states/head/validators", get(validators))
        .with_state(known);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    BeaconClient::new(&url, ClientConfig::default()).unwrap()
}

impl Api {
    async fn start(dir: &Path) -> Self {
        let api = Self::start_without_keys(dir).await;
        let keys = ValidatorsDir::open(&api.dir, &dir.join("secrets")).unwrap();
        let definitions = keys.definitions().unwrap();
        let keymanager = Keymanager::new(Arc::clone(&api.context), PresetName::Minimal, keys, definitions);
        api.publisher.send_replace(Some(Arc::new(keymanager)));
        api
    }

    async fn start_without_keys(dir: &Path) -> Self {
        let spec = Arc::new(ChainSpec::fulu_genesis(PresetName::Minimal));
        let clock = SlotClock::manual(GENESIS_TIME, &spec);
        clock.set_slot(Slot::new(17));
        let database = SlashingDatabase::open_or_create(&dir.join(DATABASE_FILE)).unwrap();
        let signer = Signer::start(database, Vec::new(), CHAIN, Arc::clone(&spec), clock.clone()).unwrap();
        let nodes = Nodes::new(vec![beacon_node().await]);
        let context = Context::new(nodes, Arc::new(signer), spec, clock, Settings::default());
        let context = Arc::new(context);
        let validators = dir.join("validators");
        let token = ApiToken::open_or_create(&validators.join(TOKEN_FILE)).unwrap();
        let listener = Listener::bind("Keymanager API", "127.0.0.1:0".parse().unwrap()).await;
        let listener = listener.unwrap();
        let url = format!("http://{}", listener.address());
        let (publisher, keymanager) = watch::channel(None);
        let (shutdown, end) = ShutdownHandle::new();
        let server = Server {
            listener,
            token,
            allow_origin: Some("http://page".parse::<AllowOrigin>().unwrap()),
            keymanager,
        };
        tokio::spawn(keymanager::serve(server, end));
        Self {
            url,
            token: std::fs::read_to_string(validators.join(TOKEN_FILE)).unwrap(),
            context,
            dir: validators,
            http: Client::new(),
            publisher,
            shutdown,
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.bearer_auth(&self.token).body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let answer = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        (status, answer)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Value::Null).await
    }

    /// Statuses of a request that is taken.
    async fn statuses(&self, method: Method, path: &str, body: Value) -> Vec<String> {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{answer}");
        let outcomes = answer["data"].as_array().unwrap().iter();
        outcomes
            .map(|outcome| outcome["status"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn import(&self, keys: &[u8]) -> Vec<String> {
        let keystores: Vec<String> = keys.iter().map(|key| keystore(*key, "pass")).collect();
        let passwords = vec!["pass"; keys.len()];
        let body = json!({"keystores": keystores, "passwords": passwords});
        self.statuses(Method::POST, "/eth/v1/keystores", body).await
    }

    /// Statuses and record of a deletion.
    async fn delete(&self, keys: &[String]) -> (Vec<String>, Value) {
        let (status, answer) = self
            .ask(Method::DELETE, "/eth/v1/keystores", json!({"pubkeys": keys}))
            .await;
        assert_eq!(status, 200, "{answer}");
        let outcomes = answer["data"].as_array().unwrap().iter();
        let statuses = outcomes.map(|outcome| outcome["status"].as_str().unwrap().to_owned());
        let record = answer["slashing_protection"].as_str().unwrap();
        (statuses.collect(), serde_json::from_str(record).unwrap())
    }

    async fn listed(&self) -> Vec<String> {
        let (status, answer) = self.get("/eth/v1/keystores").await;
        assert_eq!(status, 200, "{answer}");
        let listed = answer["data"].as_array().unwrap().iter();
        listed
            .map(|entry| entry["validating_pubkey"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn vote(&self, key: u8, target: u64) -> Result<(), SigningError> {
        vote(&self.context, key, target).await
    }

    fn definitions(&self) -> ValidatorDefinitions {
        ValidatorDefinitions::open(&self.dir).unwrap()
    }

    /// Ends as a process does: the lock and the record are free.
    async fn stop(self) {
        self.shutdown.trigger("end of a test");
        self.publisher.send_replace(None);
        self.publisher.closed().await;
    }
}

async fn vote(context: &Context, key: u8, target: u64) -> Result<(), SigningError> {
    let data = AttestationData {
        slot: Slot::new(target * 8),
        index: 0,
        beacon_block_root: Root::ZERO,
        source: Checkpoint::default(),
        target: Checkpoint {
            epoch: Epoch::new(target),
            root: Root::ZERO,
        },
    };
    let message = SignableMessage::<Minimal>::Attestation(&data);
    let pubkey = secret(key).public_key().to_bytes();
    context.signer.sign(pubkey, message).await.map(|_| ())
}

#[tokio::test]
async fn nobody_gets_in_without_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    let keystores = format!("{}/eth/v1/keystores", api.url);
    for (header, status) in [
        (None, 401),
        (Some("Basic abc".to_owned()), 401),
        (Some("Bearer wrong".to_owned()), 403),
        (Some(format!("Bearer {}0", api.token)), 403),
        (Some(format!("bearer {}", api.token)), 200),
    ] {
        let mut request = api.http.get(&keystores);
        if let Some(header) = &header {
            request = request.header("authorization", header);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{header:?}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body.get("message").is_some(), status != 200, "{body}");
    }
    // A web page asks without it first, and may read if it is one of the allowed.
    for (origin, allowed) in [("http://page", true), ("http://other", false)] {
        let preflight = api.http.request(Method::OPTIONS, &keystores).header("origin", origin);
        let response = preflight.send().await.unwrap();
        assert_eq!(
            response.headers().contains_key("access-control-allow-origin"),
            allowed,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn until_the_chain_is_known_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start_without_keys(dir.path()).await;
    let (status, answer) = api.get("/eth/v1/keystores").await;
    assert_eq!(status, 503);
    assert!(answer["message"].as_str().unwrap().contains("genesis"), "{answer}");
}

#[tokio::test]
async fn an_imported_key_signs_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    assert!(matches!(api.vote(1, 1).await, Err(SigningError::UnknownKey(_))));
    assert_eq!(api.import(&[1, 2, 1]).await, ["imported", "imported", "duplicate"]);
    assert_eq!(api.listed().await, [pubkey(1), pubkey(2)]);
    let (_, answer) = api.get("/eth/v1/keystores").await;
    assert_eq!(answer["data"][0]["derivation_path"], "m/12381/3600/1/0/0");
    api.vote(1, 1).await.unwrap();
    let files = ValidatorsDir::open(&api.dir, &dir.path().join("secrets"));
    assert!(files.is_err(), "the directory is locked while the client runs");
    api.stop().await;

    let files = ValidatorsDir::open(&dir.path().join("validators"), &dir.path().join("secrets")).unwrap();
    let definitions = files.definitions().unwrap();
    assert_eq!(files.unlock_enabled(&definitions).filter_map(Result::ok).count(), 2);
}

/// Strong keystores take long to open; the keys that run, and whoever asks for them, do not wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_keystore_that_is_slow_to_decrypt_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let api = Arc::new(Api::start(dir.path()).await);
    let strong = |number: u8| {
        let (secret, password) = (secret(number), Password::new("pass"));
        let keystore = Keystore::encrypt(&secret, &password, Kdf::strong(), "", None).unwrap();
        keystore.to_json().to_string()
    };
    let body = json!({"keystores": [strong(1), strong(2)], "passwords": ["pass", "pass"]});
    let import = tokio::spawn({
        let api = Arc::clone(&api);
        async move { api.statuses(Method::POST, "/eth/v1/keystores", body).await }
    });
    let mut answers = 0;
    while !import.is_finished() {
        api.listed().await;
        answers += 1;
    }
    // With the files held, there are as many as get in before the import does.
    assert!(answers > 20, "{answers} answers while two keystores were imported");
    assert_eq!(import.await.unwrap(), ["imported", "imported"]);
    assert_eq!(api.listed().await, [pubkey(1), pubkey(2)]);
}

#[tokio::test]
async fn what_cannot_be_imported_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    let body = json!({
        "keystores": [keystore(1, "pass"), "{", keystore(2, "pass")],
        "passwords": ["other", "pass", "pass"],
    });
    let (_, answer) = api.ask(Method::POST, "/eth/v1/keystores", body).await;
    for (place, status) in [(0, "error"), (1, "error"), (2, "imported")] {
        let outcome = &answer["data"][place];
        assert_eq!(outcome["status"], status, "{answer}");
        assert_eq!(outcome.get("message").is_some(), status == "error", "{answer}");
    }
    assert_eq!(api.listed().await, [pubkey(2)]);
    assert!(!api.dir.join(pubkey(1)).exists());

    // A record that cannot be taken refuses the request: a key without its record is not safe to use.
    let record = |root: Root| {
        json!({"metadata": {"interchange_format_version": "5", "genesis_validators_root": root}, "data": []})
            .to_string()
    };
    for (record, passwords) in [
        ("{}".to_owned(), 1),
        (record(Root::repeat_byte(9)), 1),
        (record(CHAIN), 2),
    ] {
        let body = json!({
            "keystores": [keystore(1, "pass")], "passwords": vec!["pass"; passwords], "slashing_protection": record,
        });
        let (status, answer) = api.ask(Method::POST, "/eth/v1/keystores", body).await;
        assert_eq!(status, 400, "{answer}");
    }
    assert_eq!(api.listed().await, [pubkey(2)]);
}

#[tokio::test]
async fn a_deleted_key_hands_out_its_record_and_another_client_goes_on_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    api.import(&[1, 2]).await;
    api.vote(1, 5).await.unwrap();
    let (statuses, record) = api.delete(&[pubkey(1), pubkey(3), pubkey(1)]).await;
    assert_eq!(statuses, ["deleted", "not_found", "not_active"]);
    assert_eq!(record["data"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!(record["data"][0]["signed_attestations"][0]["target_epoch"], "5");
    assert!(matches!(api.vote(1, 6).await, Err(SigningError::UnknownKey(_))));
    assert_eq!(api.listed().await, [pubkey(2)]);
    assert!(!api.dir.join(pubkey(1)).exists() && api.definitions().as_slice().len() == 1);
    // Whoever lost the answer asks again.
    let (statuses, again) = api.delete(&[pubkey(1)]).await;
    assert_eq!((statuses[0].as_str(), &again["data"]), ("not_active", &record["data"]));

    let other_dir = tempfile::tempdir().unwrap();
    let other = Api::start(other_dir.path()).await;
    let body = json!({
        "keystores": [keystore(1, "pass")], "passwords": ["pass"], "slashing_protection": record.to_string(),
    });
    assert_eq!(
        other.statuses(Method::POST, "/eth/v1/keystores", body).await,
        ["imported"]
    );
    assert!(matches!(other.vote(1, 5).await, Err(SigningError::Refused(_))));
    other.vote(1, 6).await.unwrap();
}

/// A deletion in the middle of signatures: whatever was signed is in the record that is handed out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_signature_is_missing_in_the_record_of_a_deleted_key() {
    for round in 0..10u64 {
        let dir = tempfile::tempdir().unwrap();
        let api = Api::start(dir.path()).await;
        api.import(&[1]).await;
        let context = Arc::clone(&api.context);
        let signing = tokio::spawn(async move {
            let mut signed = Vec::new();
            let mut tasks = tokio::task::JoinSet::new();
            for target in 1..400u64 {
                let context = Arc::clone(&context);
                tasks.spawn(async move { vote(&context, 1, target).await.ok().map(|()| target) });
                if target % 20 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            while let Some(done) = tasks.join_next().await {
                signed.extend(done.unwrap());
            }
            signed
        });
        tokio::time::sleep(std::time::Duration::from_millis(round)).await;
        let (_, record) = api.delete(&[pubkey(1)]).await;
        let recorded: Vec<u64> = record["data"][0]["signed_attestations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|vote| vote["target_epoch"].as_str().unwrap().parse().unwrap())
            .collect();
        for target in signing.await.unwrap() {
            assert!(
                recorded.contains(&target),
                "target {target} was signed and is not on record"
            );
        }
    }
}

#[tokio::test]
async fn keys_of_remote_signers_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    api.import(&[2]).await;
    let url = "http://127.0.0.1:9/signer";
    let body = json!({"remote_keys": [
        {"pubkey": pubkey(1), "url": url}, {"pubkey": pubkey(2), "url": url}, {"pubkey": pubkey(3)},
        {"pubkey": pubkey(4), "url": "no url"}, {"pubkey": pubkey(1), "url": url},
    ]});
    let remote = "/eth/v1/remotekeys";
    assert_eq!(
        api.statuses(Method::POST, remote, body).await,
        ["imported", "duplicate", "error", "error", "duplicate"]
    );
    let (_, answer) = api.get(remote).await;
    assert_eq!(
        answer["data"],
        json!([{"pubkey": pubkey(1), "url": url, "readonly": false}])
    );
    assert!(api.context.signer.has_key(secret(1).public_key().to_bytes()));
    assert_eq!(api.listed().await, [pubkey(2)]);
    // Each kind is removed by its own endpoint.
    let (statuses, record) = api.delete(&[pubkey(1)]).await;
    assert_eq!(statuses, ["error"]);
    assert_eq!(record["data"], json!([]));
    let body = json!({"pubkeys": [pubkey(1), pubkey(2), pubkey(9)]});
    assert_eq!(
        api.statuses(Method::DELETE, remote, body).await,
        ["deleted", "error", "not_found"]
    );
    assert!(!api.context.signer.has_key(secret(1).public_key().to_bytes()));
    assert_eq!(api.definitions().as_slice().len(), 1);
}

#[tokio::test]
async fn settings_of_a_key_are_kept_on_disk_and_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    api.import(&[1]).await;
    let key: SignerKey = secret(1).public_key().to_bytes().into();
    let fees = format!("/eth/v1/validator/{key}/feerecipient");
    let graffiti = format!("/eth/v1/validator/{key}/graffiti");
    assert_eq!(api.get(&fees).await.0, 404);
    assert_eq!(
        api.ask(Method::POST, &fees, json!({"ethaddress": ANY})).await,
        (202, Value::Null)
    );
    assert_eq!(
        api.get(&fees).await.1["data"],
        json!({"pubkey": pubkey(1), "ethaddress": ANY})
    );
    assert!(api.context.settings.read().fee_recipient_of(&key).is_some());
    assert_eq!(
        api.ask(Method::POST, &graffiti, json!({"graffiti": "prism"})).await,
        (202, Value::Null)
    );
    assert_eq!(api.get(&graffiti).await.1["data"]["graffiti"], "prism");
    let definitions = api.definitions();
    let definition = definitions.get(key).unwrap();
    assert_eq!(definition.graffiti.as_deref(), Some("prism"));
    assert!(definition.suggested_fee_recipient.is_some());

    let zero = format!("0x{}", "00".repeat(20));
    assert_eq!(api.ask(Method::POST, &fees, json!({"ethaddress": zero})).await.0, 400);
    let long = json!({"graffiti": "x".repeat(33)});
    assert_eq!(api.ask(Method::POST, &graffiti, long).await.0, 400);
    for path in [&fees, &graffiti] {
        assert_eq!(api.ask(Method::DELETE, path, Value::Null).await, (204, Value::Null));
        // Once more: there is nothing to remove.
        assert_eq!(api.ask(Method::DELETE, path, Value::Null).await.0, 204);
    }
    assert_eq!(api.context.settings.read().fee_recipient_of(&key), None);
    let unknown = format!("/eth/v1/validator/{}/graffiti", pubkey(9));
    assert_eq!(api.get(&unknown).await.0, 404);
    // No builder is asked, so a gas limit would be a promise without effect.
    let gas = format!("/eth/v1/validator/{key}/gas_limit");
    assert_eq!(api.get(&gas).await.0, 400);
}

#[tokio::test]
async fn an_exit_is_signed_for_a_solo_validator_and_in_part_for_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    api.import(&[1, 2, 3]).await;
    let exit = |key: u8| format!("/eth/v1/validator/{}/voluntary_exit", pubkey(key));
    let (status, answer) = api.ask(Method::POST, &exit(1), Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    // Slot 17 is in epoch 2 of the minimal preset.
    assert_eq!(
        answer["data"]["message"],
        json!({"epoch": "2", "validator_index": "42"})
    );
    assert_eq!(answer["data"].get("signers"), None);
    let message: VoluntaryExit = serde_json::from_value(answer["data"]["message"].clone()).unwrap();
    let signed: SignatureBytes = serde_json::from_value(answer["data"]["signature"].clone()).unwrap();
    let root = SignableMessage::<Minimal>::VoluntaryExit(&message).signing_root(CHAIN, &api.context.spec);
    assert_eq!(signed, secret(1).sign(&root).to_bytes());

    let (_, answer) = api
        .ask(Method::POST, &format!("{}?epoch=9", exit(2)), Value::Null)
        .await;
    assert_eq!(answer["data"]["message"], json!({"epoch": "9", "validator_index": "5"}));
    let part: SignedVoluntaryExitDvt = serde_json::from_value(answer["data"].clone()).unwrap();
    assert_eq!(part.signers.num_set_bits(), 1);
    assert!(part.signers.get(2).unwrap());

    assert_eq!(
        api.ask(Method::POST, &exit(3), Value::Null).await.0,
        404,
        "not on the chain"
    );
    assert_eq!(api.ask(Method::POST, &exit(4), Value::Null).await.0, 404, "not here");
    let wrong = format!("{}?epoch=soon", exit(1));
    assert_eq!(api.ask(Method::POST, &wrong, Value::Null).await.0, 400);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    let address = api.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /eth/v1/keystores HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        api.token,
        (16 << 20) + 1,
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("at most 16777216 bytes"), "{answer}");
}

#[tokio::test]
async fn malformed_requests_are_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let api = Api::start(dir.path()).await;
    for (method, path, body, status) in [
        (Method::POST, "/eth/v1/keystores", json!({}), 400),
        (Method::DELETE, "/eth/v1/keystores", json!({"pubkeys": ["0x12"]}), 400),
        (Method::GET, "/eth/v1/validator/0x12/graffiti", Value::Null, 400),
        (Method::GET, "/eth/v2/keystores", Value::Null, 404),
        (Method::PUT, "/eth/v1/keystores", Value::Null, 405),
    ] {
        let (found, answer) = api.ask(method.clone(), path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert!(!answer["message"].as_str().unwrap().is_empty(), "{answer}");
    }
    let huge = format!("\"{}\"", "x".repeat((16 << 20) + 1));
    let request = api.http.post(format!("{}/eth/v1/keystores", api.url));
    let response = request.bearer_auth(&api.token).body(huge).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 413);
}
