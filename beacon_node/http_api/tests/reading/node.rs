//! The node, its configuration, limits and headers of the server, the end.

use crate::support::*;
use beacon_api::{Event, EventTopic, Health, NetworkConditions};
use futures::StreamExt as _;
use http_api::ApiSettings;
use router::SyncPolicy;
use runtime::AllowOrigin;
use std::time::Duration;
use types::*;

#[tokio::test]
async fn a_node_tells_who_and_how_it_is() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    assert!(node.client.node_version().await.unwrap().starts_with("Fresnel/"));
    let identity = node.client.identity().await.unwrap();
    assert!(identity.enr.starts_with("enr:"));
    assert!(
        identity
            .p2p_addresses
            .iter()
            .all(|address| address.contains(&identity.peer_id))
    );
    assert_eq!(identity.metadata.attnets.len(), 2 + 16);
    let status = node.client.syncing().await.unwrap();
    assert_eq!((status.head_slot, status.sync_distance), (Slot::new(3), Slot::new(0)));
    // There is no execution client.
    assert!(!status.is_syncing && status.is_optimistic && status.el_offline);
    assert_eq!(node.client.health().await.unwrap(), Health::Syncing);
    assert_eq!(node.get("/eth/v1/node/health?syncing_status=299").await.0, 299);
    for wrong in ["99", "1000", "x"] {
        let path = format!("/eth/v1/node/health?syncing_status={wrong}");
        assert_eq!(node.get(&path).await.0, 400, "{wrong}");
    }
    // A chain that stands still makes nobody syncing who is the whole network.
    node.set_slot(100);
    let status = node.client.syncing().await.unwrap();
    assert_eq!((status.sync_distance, status.is_syncing), (Slot::new(97), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_far_behind_the_clock_is_not_ready_until_a_peer_has_no_better_head_either() {
    let start = async |peer| Node::start_with(ForkName::Dvt, ApiSettings::default(), SyncPolicy::default(), peer).await;
    let node = start(None).await;
    let slot = Slot::new(100);
    node.set_slot(8);
    assert!(!node.client.syncing().await.unwrap().is_syncing);
    node.set_slot(slot.as_u64());
    let status = node.client.syncing().await.unwrap();
    assert_eq!((status.sync_distance, status.is_syncing), (slot, true));
    let error = node.client.attestation_data(slot, 0).await.unwrap_err();
    assert_eq!(error.status(), Some(503), "{error}");
    let error = node.client.proposer_duties(slot.epoch::<Minimal>()).await.unwrap_err();
    assert_eq!(error.status(), Some(503), "{error}");

    // Everybody was stopped at genesis: the chain goes on as soon as two have found each other.
    let peer = start(Some(&node)).await;
    peer.set_slot(slot.as_u64());
    for node in [&node, &peer] {
        let ready = async {
            while node.client.syncing().await.unwrap().is_syncing {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();
        assert_eq!(node.client.attestation_data(slot, 0).await.unwrap().slot, slot);
    }
}

#[tokio::test]
async fn peers_are_listed_and_filtered() {
    let node = Node::with_group().await;
    assert!(node.client.peers().await.unwrap().is_empty());
    assert_eq!(node.client.peer_count().await.unwrap().connected, 0);
    let path = "/eth/v1/node/peers?state=connected&direction=inbound,outbound";
    assert_eq!(node.get(path).await.1["meta"]["count"], 0);
    assert_eq!(node.get("/eth/v1/node/peers?state=asleep").await.0, 400);
    let stranger = "16Uiu2HAmKLhW7HiWkVNSbsZjThQTiMAqDptiqyE8FRWsRz5e8WPF";
    let identity = node.client.identity().await.unwrap();
    for peer in [stranger, identity.peer_id.as_str()] {
        assert_eq!(node.get(&format!("/eth/v1/node/peers/{peer}")).await.0, 404);
    }
    assert_eq!(node.get("/eth/v1/node/peers/nobody").await.0, 400);
}

#[tokio::test]
async fn configuration_is_what_the_chain_runs_with() {
    let node = Node::with_group().await;
    let spec = node.client.config_spec().await.unwrap();
    assert_eq!(spec["SLOTS_PER_EPOCH"], "8");
    assert_eq!(spec["MAX_GROUP_SIZE"], "16");
    assert_eq!(spec["DVT_FORK_EPOCH"], "0");
    let genesis = node.client.genesis().await.unwrap();
    assert_eq!(genesis.genesis_time, node.chain.genesis_time());
    assert_eq!(genesis.genesis_validators_root, node.chain.genesis_validators_root());
    let forks = node.client.fork_schedule().await.unwrap();
    assert_eq!(
        forks.last().unwrap().current_version,
        node.chain.spec().dvt_fork_version
    );
    let contract = node.client.deposit_contract().await.unwrap();
    assert_eq!(contract.address, node.chain.spec().deposit_contract_address);
}

#[tokio::test]
async fn what_is_not_served_is_refused_in_the_form_of_the_api() {
    let node = Node::with_group().await;
    let (status, body) = node.get("/eth/v1/nothing").await;
    assert_eq!((status, &body["code"]), (404, &serde_json::json!(404)));
    let http = reqwest::Client::new();
    let url = format!("{}/eth/v1/beacon/states/head/validators", node.url);
    let put = http.put(&url).send().await.unwrap();
    assert_eq!(put.status().as_u16(), 405);
    let text = http
        .post(&url)
        .header("content-type", "text/plain")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(text.status().as_u16(), 415);
    let large = vec![b' '; (64 << 20) + 1];
    match http
        .post(&url)
        .header("content-type", "application/json")
        .body(large)
        .send()
        .await
    {
        Ok(response) => assert_eq!(response.status().as_u16(), 413),
        // The server may hang up before all is sent.
        Err(error) => assert!(!error.is_connect(), "{error}"),
    }
    let conditions = NetworkConditions::default();
    let error = node.client.set_network_conditions(&conditions).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_and_faults_are_injected_when_enabled() {
    let settings = ApiSettings {
        allow_origin: Some(AllowOrigin::List(vec!["http://page".to_owned()])),
        enable_fault_injection: true,
        ..ApiSettings::default()
    };
    let node = Node::start(ForkName::Dvt, settings).await;
    let url = format!("{}/eth/v1/node/version", node.url);
    let http = reqwest::Client::new();
    for (origin, allowed) in [("http://page", Some("http://page")), ("http://other", None)] {
        for method in [reqwest::Method::GET, reqwest::Method::OPTIONS] {
            let response = http
                .request(method, &url)
                .header("origin", origin)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status().as_u16(), 200);
            let header = response.headers().get("access-control-allow-origin");
            assert_eq!(header.map(|value| value.to_str().unwrap()), allowed);
        }
    }
    let mut conditions = NetworkConditions {
        blocked_peers: vec!["16Uiu2HAmKLhW7HiWkVNSbsZjThQTiMAqDptiqyE8FRWsRz5e8WPF".to_owned()],
        outbound_delay_ms: 5,
        blocked_columns: vec![0, 127],
        withheld_columns: Vec::new(),
    };
    node.client.set_network_conditions(&conditions).await.unwrap();
    conditions.withheld_columns.push(128);
    let error = node.client.set_network_conditions(&conditions).await.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(
        error.to_string().contains("there is no column 128, there are 128"),
        "{error}"
    );
    conditions.withheld_columns.clear();
    conditions.blocked_peers.push("nobody".to_owned());
    let error = node.client.set_network_conditions(&conditions).await.unwrap_err();
    assert_eq!(error.status(), Some(400));
}

#[tokio::test]
async fn events_arrive_as_they_happen_and_end_with_the_server() {
    let mut node = Node::with_group().await;
    assert_eq!(node.get("/eth/v1/events").await.0, 400);
    assert_eq!(node.get("/eth/v1/events?topics=weather").await.0, 400);
    let topics = [
        EventTopic::Head,
        EventTopic::FinalizedCheckpoint,
        EventTopic::GroupBlock,
    ];
    let mut events = Box::pin(node.client.events::<Minimal>(&topics).await.unwrap());
    let mut slots = Vec::new();
    let mut finalized = Vec::new();
    node.run_to(32).await;
    while finalized.is_empty() || slots.len() < 32 {
        match events.next().await.unwrap().unwrap() {
            Event::Head(head) => slots.push(head.slot.as_u64()),
            Event::FinalizedCheckpoint(checkpoint) => finalized.push(checkpoint.epoch.as_u64()),
            other => panic!("not asked for: {other:?}"),
        }
    }
    assert_eq!(slots, (1..=32).collect::<Vec<_>>());
    assert_eq!(finalized, [2]);
    node.shutdown.trigger("test");
    assert!(events.next().await.is_none_or(|event| event.is_err()));
    node.server.await.unwrap();
}
