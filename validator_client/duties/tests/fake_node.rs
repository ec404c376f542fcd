//! A client against nodes that answer what the test says: what it signs, when, and for whom.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use beacon_api::{BeaconClient, ClientConfig, Genesis, Network};
use bls::SecretKey;
use duties::{Context, Nodes, Settings};
use parking_lot::Mutex;
use runtime::SlotClock;
use serde_json::{Value, json};
use signing::{Signer, SigningMethod};
use slashing_protection::{DATABASE_FILE, SlashingDatabase};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use types::*;

const GENESIS_TIME: u64 = 1_700_000_000;
const INDEX: u64 = 42;

/// What a node says, and what it was given.
#[derive(Debug, Default)]
struct Script {
    /// Whether the chain knows the key.
    is_known: bool,
    /// Slot of the key's duty in each epoch.
    duty_offset: u64,
    dependent_root: u8,
    /// What is wrong with the node's attestation data: a field by its path, and its value.
    wrong_data: Option<(&'static str, &'static str)>,
    asked_data: usize,
    /// How often it still answers with 503 when asked for data, and when given votes.
    refusals: [usize; 2],
    refused: [usize; 2],
    /// The network that it follows: its genesis validators root.
    network: u8,
    asked_validators: usize,
    votes: Vec<Value>,
    asked_epochs: BTreeSet<u64>,
}

struct Node {
    script: Arc<Mutex<Script>>,
    client: BeaconClient,
}

fn secret() -> SecretKey {
    SecretKey::derive_master(&[9; 32]).unwrap()
}

fn root(byte: u8) -> String {
    format!("{:?}", Root::repeat_byte(byte))
}

fn entry() -> Value {
    json!({
        "index": INDEX.to_string(), "balance": "32000000000", "status": "active_ongoing",
        "validator": {
            "pubkey": format!("{:?}", secret().public_key().to_bytes()),
            "withdrawal_credentials": root(1), "effective_balance": "32000000000", "slashed": false,
            "activation_eligibility_epoch": "0", "activation_epoch": "0",
            "exit_epoch": u64::MAX.to_string(), "withdrawable_epoch": u64::MAX.to_string(),
        }
    })
}

type Shared = State<Arc<Mutex<Script>>>;

fn located(data: Value) -> Json<Value> {
    Json(json!({"execution_optimistic": false, "finalized": false, "data": data}))
}

async fn attester_duties(State(script): Shared, Path(epoch): Path<u64>) -> Json<Value> {
    let mut script = script.lock();
    script.asked_epochs.insert(epoch);
    let duty = json!({
        "pubkey": format!("{:?}", secret().public_key().to_bytes()), "validator_index": INDEX.to_string(),
        "committee_index": "0", "committee_length": "1", "committees_at_slot": "1",
        "validator_committee_index": "0", "slot": (epoch * 8 + script.duty_offset).to_string(),
    });
    Json(json!({"dependent_root": root(script.dependent_root), "execution_optimistic": false, "data": [duty]}))
}

/// Whether the node is not ready for what it is asked now.
fn refuses(script: &mut Script, place: usize) -> Result<(), StatusCode> {
    if script.refusals[place] == 0 {
        return Ok(());
    }
    script.refusals[place] -= 1;
    script.refused[place] += 1;
    Err(StatusCode::SERVICE_UNAVAILABLE)
}

fn genesis(network: u8) -> Genesis {
    Genesis {
        genesis_time: GENESIS_TIME,
        genesis_validators_root: Root::repeat_byte(network),
        genesis_fork_version: Version::ZERO,
    }
}

async fn attestation_data(
    State(script): Shared,
    axum::extract::RawQuery(query): axum::extract::RawQuery,
) -> Result<Json<Value>, StatusCode> {
    refuses(&mut script.lock(), 0)?;
    let query = query.unwrap();
    let slot: u64 = beacon_api::Query::parse(&query).required("slot").unwrap();
    let checkpoint = |epoch: u64| json!({"epoch": epoch.to_string(), "root": root(5)});
    let mut data = json!({
        "slot": slot.to_string(), "index": "0", "beacon_block_root": root(4),
        "source": checkpoint(0), "target": checkpoint(slot / 8),
    });
    let mut script = script.lock();
    script.asked_data += 1;
    if let Some((path, value)) = script.wrong_data {
        *data.pointer_mut(path).unwrap() = json!(value);
    }
    Ok(Json(json!({"data": data})))
}

async fn take_votes(State(script): Shared, Json(votes): Json<Vec<Value>>) -> Result<StatusCode, StatusCode> {
    let mut script = script.lock();
    refuses(&mut script, 1)?;
    script.votes.extend(votes);
    Ok(StatusCode::OK)
}

impl Node {
    async fn start(duty_offset: u64) -> Self {
        let script = Arc::new(Mutex::new(Script {
            is_known: true,
            duty_offset,
            dependent_root: 1,
            ..Script::default()
        }));
        let checkpoint = json!({"epoch": "0", "root": root(0)});
        let finality =
            json!({"previous_justified": checkpoint, "current_justified": checkpoint, "finalized": checkpoint});
        let validators = |State(script): Shared| async move {
            let mut script = script.lock();
            script.asked_validators += 1;
            located(if script.is_known { json!([entry()]) } else { json!([]) })
        };
        let taken = || async { StatusCode::OK };
        let empty = || async { Json(json!({"dependent_root": root(1), "execution_optimistic": false, "data": []})) };
        let routes = Router::new()
            .route("/eth/v1/node/health", get(taken))
            .route(
                "/eth/v1/beacon/genesis",
                get(|State(script): Shared| async move { Json(json!({"data": genesis(script.lock().network)})) }),
            )
            .route("/eth/v1/config/spec", get(|| async { Json(json!({"data": {}})) }))
            .route("/eth/v1/beacon/states/head/validators", get(validators))
            .route(
                "/eth/v1/beacon/states/head/finality_checkpoints",
                get(move || async move { located(finality) }),
            )
            .route("/eth/v1/validator/duties/attester/{epoch}", post(attester_duties))
            .route("/eth/v1/validator/duties/proposer/{epoch}", get(empty))
            .route(
                "/eth/v1/validator/duties/sync/{epoch}",
                post(|| async { located(json!([])) }),
            )
            .route("/eth/v1/validator/attestation_data", get(attestation_data))
            .route("/eth/v2/beacon/pool/attestations", post(take_votes))
            .route("/eth/v1/validator/beacon_committee_subscriptions", post(taken))
            .route("/eth/v1/validator/prepare_beacon_proposer", post(taken))
            .with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            script,
            client: BeaconClient::new(&url, ClientConfig::default()).unwrap(),
        }
    }

    fn targets(&self) -> Vec<String> {
        let script = self.script.lock();
        script
            .votes
            .iter()
            .map(|vote| vote["data"]["target"]["epoch"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn until(&self, condition: impl Fn(&Script) -> bool) {
        let wait = async {
            while !condition(&self.script.lock()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
    }
}

struct Client {
    context: Arc<Context>,
    clock: SlotClock,
    spec: Arc<ChainSpec>,
    /// Threads of its own, so that they can be ended like those of a process.
    threads: tokio::runtime::Runtime,
}

impl Client {
    /// A client whose record is in `dir`, at the start of slot 1.
    async fn start(dir: &std::path::Path, clients: Vec<BeaconClient>) -> Self {
        Self::with_keys(dir, clients, vec![SigningMethod::local(secret())]).await
    }

    async fn with_keys(dir: &std::path::Path, clients: Vec<BeaconClient>, keys: Vec<SigningMethod>) -> Self {
        Self::with_nodes(dir, Nodes::new(clients), keys).await
    }

    async fn with_nodes(dir: &std::path::Path, nodes: Nodes, keys: Vec<SigningMethod>) -> Self {
        let spec = Arc::new(ChainSpec::fulu_genesis(PresetName::Minimal));
        let clock = SlotClock::manual(GENESIS_TIME, &spec);
        clock.set_slot(Slot::new(1));
        let database = SlashingDatabase::open_or_create(&dir.join(DATABASE_FILE)).unwrap();
        let signer = Signer::start(database, keys, Root::repeat_byte(7), Arc::clone(&spec), clock.clone()).unwrap();
        let context = Context::new(
            nodes,
            Arc::new(signer),
            Arc::clone(&spec),
            clock.clone(),
            Settings::default(),
        );
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let context = Arc::new(context);
        threads.spawn(duties::run::<Minimal>(Arc::clone(&context)));
        Self {
            context,
            clock,
            spec,
            threads,
        }
    }

    /// Lets the slots up to one begin, and then the votes of that one be due.
    async fn votes_are_due(&self, slot: u64) {
        let slot = Slot::new(slot);
        let mut next = self.clock.now_slot().unwrap();
        while next < slot {
            next = next.saturating_add(1u64);
            self.clock.set_slot(next);
            // The duties of the slot are started by now.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.clock
            .set_ms(self.clock.due_ms(slot, self.spec.attestation_due_bps));
    }

    /// Ends as a killed process does: nothing is tidied up.
    fn kill(self) {
        self.threads.shutdown_background();
    }
}

impl Node {
    /// Waits until the record of a client that was killed is free.
    async fn until_free(dir: &std::path::Path) {
        let wait = async {
            while SlashingDatabase::open(&dir.join(DATABASE_FILE)).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_votes_once_per_epoch_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(3).await;
    let client = Client::start(dir.path(), vec![node.client.clone()]).await;
    node.until(|script| script.asked_epochs.contains(&1)).await;
    client.votes_are_due(2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(node.targets().is_empty(), "no duty in slot 2");
    client.votes_are_due(3).await;
    node.until(|script| script.votes.len() == 1).await;
    client.kill();
    Node::until_free(dir.path()).await;

    // The same duty under another head: signing it would be slashable.
    node.script.lock().duty_offset = 5;
    let client = Client::start(dir.path(), vec![node.client.clone()]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.votes_are_due(5).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(node.targets(), ["0"]);
    client.votes_are_due(13).await;
    node.until(|script| script.votes.len() == 2).await;
    assert_eq!(node.targets(), ["0", "1"]);
    client.kill();
}

#[tokio::test]
async fn wrong_attestation_data_is_not_signed_and_the_next_node_is_asked() {
    for wrong in [
        ("/slot", "4"),
        ("/target/epoch", "1"),
        ("/source/epoch", "1"),
        ("/index", "1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (liar, honest) = (Node::start(3).await, Node::start(3).await);
        liar.script.lock().wrong_data = Some(wrong);
        let clients = vec![liar.client.clone(), honest.client.clone()];
        let client = Client::start(dir.path(), clients).await;
        liar.until(|script| script.asked_epochs.contains(&1)).await;
        client.votes_are_due(3).await;
        // A vote goes to the first node that takes it.
        liar.until(|script| !script.votes.is_empty()).await;
        assert_eq!(liar.targets(), ["0"], "{wrong:?}");
        assert!(
            liar.script.lock().asked_data > 0 && honest.script.lock().asked_data > 0,
            "{wrong:?}"
        );
        client.kill();

        let dir = tempfile::tempdir().unwrap();
        let liar = Node::start(3).await;
        liar.script.lock().wrong_data = Some(wrong);
        let client = Client::start(dir.path(), vec![liar.client.clone()]).await;
        liar.until(|script| script.asked_epochs.contains(&1)).await;
        client.votes_are_due(3).await;
        liar.until(|script| script.asked_data > 0).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(liar.targets().is_empty(), "{wrong:?}");
        client.kill();
    }
}

#[tokio::test]
async fn the_second_node_is_asked_when_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let gone = BeaconClient::new(&url, ClientConfig::default()).unwrap();
    let node = Node::start(3).await;
    let client = Client::start(dir.path(), vec![gone, node.client.clone()]).await;
    node.until(|script| script.asked_epochs.contains(&1)).await;
    client.votes_are_due(3).await;
    node.until(|script| script.votes.len() == 1).await;
    client.kill();
}

#[tokio::test]
async fn a_key_that_comes_to_be_on_the_chain_starts_its_duties_and_votes_for_nothing_that_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(3).await;
    node.script.lock().is_known = false;
    let client = Client::start(dir.path(), vec![node.client.clone()]).await;
    client.votes_are_due(3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(node.targets().is_empty());
    node.script.lock().is_known = true;
    client.votes_are_due(8).await;
    node.until(|script| script.asked_epochs.contains(&2)).await;
    client.votes_are_due(11).await;
    node.until(|script| script.votes.len() == 1).await;
    assert_eq!(node.targets(), ["1"]);
    client.kill();
}

/// In the middle of an epoch, too: nobody waits for the next one.
#[tokio::test]
async fn a_key_that_joins_a_running_client_has_duties_at_once_and_one_that_leaves_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(3).await;
    let client = Client::with_keys(dir.path(), vec![node.client.clone()], Vec::new()).await;
    client.votes_are_due(2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(node.script.lock().asked_epochs.is_empty(), "there is no key to ask for");

    client
        .context
        .signer
        .add_key(SigningMethod::local(secret()))
        .await
        .unwrap();
    client.context.keys_changed();
    node.until(|script| script.asked_epochs.contains(&1)).await;
    client.votes_are_due(3).await;
    node.until(|script| script.votes.len() == 1).await;

    client.context.signer.remove_key(secret().public_key().to_bytes());
    client.context.keys_changed();
    let is_gone = async {
        while !client.context.indices.all().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_gone).await.unwrap();
    client.votes_are_due(11).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.targets(), ["0"]);
    client.kill();
}

/// A node that restarts, or is not ready for a moment, costs no vote.
#[tokio::test]
async fn a_vote_is_asked_for_and_published_again_within_its_slot() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Node::start(3).await, Node::start(3).await);
    for node in [&first, &second] {
        node.script.lock().refusals = [2, 2];
    }
    let clients = vec![first.client.clone(), second.client.clone()];
    let client = Client::start(dir.path(), clients).await;
    first.until(|script| script.asked_epochs.contains(&1)).await;
    client.votes_are_due(3).await;
    first.until(|script| script.votes.len() == 1).await;
    assert_eq!(first.targets(), ["0"]);
    for node in [&first, &second] {
        assert_eq!(node.script.lock().refused, [2, 2], "each node is asked in each round");
    }
    client.kill();
}

#[tokio::test]
async fn a_vote_is_given_up_when_its_slot_ends() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(3).await;
    node.script.lock().refusals = [usize::MAX, 0];
    let client = Client::start(dir.path(), vec![node.client.clone()]).await;
    node.until(|script| script.asked_epochs.contains(&1)).await;
    client.votes_are_due(3).await;
    node.until(|script| script.refused[0] >= 2).await;
    client.clock.set_slot(Slot::new(4));
    // Whoever still asks does so every quarter of a second.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let refused = node.script.lock().refused[0];
    node.script.lock().refusals = [0, 0];
    tokio::time::sleep(Duration::from_millis(600)).await;
    let script = node.script.lock();
    assert_eq!(
        (script.asked_data, script.votes.len()),
        (0, 0),
        "after {refused} refusals"
    );
    drop(script);
    client.kill();
}

/// It would be told of duties, and given votes, that are of no use there.
#[tokio::test]
async fn a_node_of_another_network_is_not_asked_even_if_it_becomes_one_later() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Node::start(3).await, Node::start(3).await);
    first.script.lock().network = 9;
    let network = Network {
        genesis: genesis(0),
        configuration: Default::default(),
    };
    let clients = vec![first.client.clone(), second.client.clone()];
    let nodes = Nodes::of_network(clients, network);
    let client = Client::with_nodes(dir.path(), nodes, vec![SigningMethod::local(secret())]).await;
    second.until(|script| script.asked_epochs.contains(&1)).await;
    client.votes_are_due(3).await;
    second.until(|script| script.votes.len() == 1).await;
    assert_eq!(first.script.lock().asked_validators, 0);

    // They change places; nodes are asked how they are late in each slot.
    first.script.lock().network = 0;
    second.script.lock().network = 9;
    client.votes_are_due(5).await;
    let are_known = async {
        let nodes = &client.context.nodes;
        let best = || nodes.by_health().first().map(BeaconClient::name);
        while nodes.count() != (1, 0, 1) || best() != Some(first.client.name()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), are_known).await.unwrap();
    client.votes_are_due(11).await;
    first.until(|script| script.votes.len() == 1).await;
    assert_eq!(
        (first.targets(), second.targets()),
        (vec!["1".to_owned()], vec!["0".to_owned()])
    );
    client.kill();
}
