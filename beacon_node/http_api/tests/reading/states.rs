//! States by all their names, and parts of them.

use crate::support::*;
use beacon_api::StateId;
use ssz::Encode as _;
use types::*;

#[tokio::test]
async fn a_state_is_found_by_each_of_its_names() {
    let mut node = Node::with_group().await;
    let genesis_root = node.producer.state.clone().canonical_root().unwrap();
    node.run_to(20).await;
    let root_at_20 = node.producer.state.clone().canonical_root().unwrap();
    node.run_to(34).await;
    let root = |id| {
        let client = node.client.clone();
        async move { client.state_root(id).await.unwrap() }
    };
    let head = root(StateId::Head).await;
    assert_eq!(head.data, node.chain.head().state_root);
    assert!(head.execution_optimistic && !head.finalized);
    assert_eq!(root(StateId::Slot(Slot::new(34))).await, head);
    assert_eq!(root(StateId::Root(head.data)).await, head);
    let past = root(StateId::Slot(Slot::new(20))).await;
    assert_eq!(past.data, root_at_20);
    assert_eq!(root(StateId::Root(root_at_20)).await, past);
    assert_eq!(root(StateId::Genesis).await.data, genesis_root);
    let finalized = root(StateId::Finalized).await;
    assert!(finalized.finalized);
    let checkpoints = node.client.finality_checkpoints(StateId::Head).await.unwrap().data;
    assert_eq!(checkpoints.finalized.epoch, Epoch::new(2));
    let at_finality = StateId::Slot(checkpoints.finalized.epoch.start_slot::<Minimal>());
    assert_eq!(root(at_finality).await, finalized);
    let justified = StateId::Slot(checkpoints.current_justified.epoch.start_slot::<Minimal>());
    assert_eq!(root(justified).await.data, root(StateId::Justified).await.data);
    // The head's branch at the slot of the clock, though there is no block.
    node.set_slot(36);
    assert_ne!(root(StateId::Slot(Slot::new(36))).await.data, head.data);

    for unknown in ["37", &format!("{:?}", Root::repeat_byte(1))] {
        let (status, body) = node.get(&format!("/eth/v1/beacon/states/{unknown}/root")).await;
        assert_eq!((status, &body["code"]), (404, &serde_json::json!(404)));
        assert!(body["message"].as_str().unwrap().contains(unknown));
    }
    for malformed in ["current", "0x12", "-1"] {
        for what in ["root", "fork", "validators", "committees", "groups", "pending_deposits"] {
            let path = format!("/eth/v1/beacon/states/{malformed}/{what}");
            assert_eq!(node.get(&path).await.0, 400, "{path}");
        }
    }
}

#[tokio::test]
async fn a_whole_state_is_the_same_in_ssz_and_json() {
    for fork in ForkName::ALL {
        let mut node = Node::start(fork, Default::default()).await;
        node.run_to(10).await;
        let answer = node.client.state::<Minimal>(StateId::Head).await.unwrap().unwrap();
        assert_eq!(answer.version, fork);
        assert_eq!(answer.data, node.producer.state);
        let response = reqwest::Client::new()
            .get(format!("{}/eth/v2/debug/beacon/states/head", node.url))
            .header("eth-consensus-version", "dvt")
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["eth-consensus-version"], fork.as_str());
        assert_eq!(response.headers()["content-type"], "application/json");
        let json = response.bytes().await.unwrap();
        let by_json = beacon_api::Versioned::<BeaconState<Minimal>>::from_json(&json).unwrap();
        assert_eq!(by_json.data.as_ssz_bytes(), answer.data.as_ssz_bytes());
        assert_eq!(by_json.finalized, Some(false));
        assert_eq!(
            node.client.state_fork(StateId::Head).await.unwrap().data,
            node.producer.state.fork()
        );
    }
}

#[tokio::test]
async fn parts_of_a_state_are_read() {
    let mut node = Node::with_group().await;
    node.run_to(17).await;
    let state = node.producer.state.clone();
    let randao = |epoch| {
        let client = node.client.clone();
        async move { client.randao(StateId::Head, epoch).await }
    };
    assert_eq!(
        Some(&randao(None).await.unwrap().data.randao),
        state.randao_mixes().get(2)
    );
    assert_eq!(
        Some(&randao(Some(Epoch::new(1))).await.unwrap().data.randao),
        state.randao_mixes().get(1)
    );
    assert_eq!(randao(Some(Epoch::new(3))).await.unwrap_err().status(), Some(400));

    let (status, body) = node.get("/eth/v1/beacon/states/head/proposer_lookahead").await;
    assert_eq!(status, 200);
    assert_eq!(body["version"], "fulu", "that is what tools know");
    assert_eq!(body["data"], serde_json::to_value(state.proposer_lookahead()).unwrap());
    let http = reqwest::Client::new();
    let ssz = http
        .get(format!("{}/eth/v1/beacon/states/head/proposer_lookahead", node.url))
        .header("accept", "application/octet-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(ssz.headers()["eth-consensus-version"], "dvt");
    assert_eq!(ssz.bytes().await.unwrap(), state.proposer_lookahead().as_ssz_bytes());
    for queue in [
        "pending_deposits",
        "pending_partial_withdrawals",
        "pending_consolidations",
    ] {
        let (status, body) = node.get(&format!("/eth/v1/beacon/states/head/{queue}")).await;
        assert_eq!((status, &body["data"]), (200, &serde_json::json!([])), "{queue}");
    }
}

#[tokio::test]
async fn committees_list_seats_and_groups_show_who_voted() {
    let mut node = Node::with_group().await;
    node.run_to(17).await;
    let committees = node
        .client
        .committees(StateId::Head, None, None, None)
        .await
        .unwrap()
        .data;
    let mut seats: Vec<SignerIndex> = committees
        .iter()
        .flat_map(|committee| committee.validators.clone())
        .collect();
    seats.sort();
    let mut all: Vec<SignerIndex> = (1..VALIDATORS).map(SignerIndex::new).collect();
    all.extend((0..7).map(key_of_group));
    assert_eq!(seats, all, "every seat of the epoch once");
    let slot = committees[0].slot;
    let one = node
        .client
        .committees(StateId::Head, None, Some(0), Some(slot))
        .await
        .unwrap()
        .data;
    assert_eq!(one, committees[..1]);
    for wrong in ["epoch=9", "slot=3&epoch=2", "slot=900", "index=64", "epoch=x"] {
        let path = format!("/eth/v1/beacon/states/head/committees?{wrong}");
        assert_eq!(node.get(&path).await.0, 400, "{wrong}");
    }

    let members = node.client.sync_committees(StateId::Head, None).await.unwrap().data;
    assert_eq!(members.validators.len() as u64, Minimal::SYNC_COMMITTEE_SIZE);
    assert_eq!(members.validator_aggregates.concat(), members.validators);
    assert_eq!(members.validator_aggregates.len(), 4);
    let next = node
        .client
        .sync_committees(StateId::Head, Some(Epoch::new(8)))
        .await
        .unwrap();
    assert_eq!(next.data.validators.len() as u64, Minimal::SYNC_COMMITTEE_SIZE);
    let error = node
        .client
        .sync_committees(StateId::Head, Some(Epoch::new(16)))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(400));

    let (_, body) = node.get("/eth/v1/beacon/states/head/groups").await;
    assert_eq!(
        body["version"], "fulu",
        "like other states for a reader who names no fork"
    );
    assert_eq!(
        (&body["execution_optimistic"], &body["finalized"]),
        (&true.into(), &false.into())
    );
    let groups = node.client.groups(StateId::Head).await.unwrap().data;
    assert_eq!(groups.len(), 1);
    let key_set = groups[0].key_set_at(Epoch::new(2)).unwrap();
    assert_eq!((key_set.threshold, key_set.keys.len()), (5, 7));
    assert_eq!(key_set.keys[3].signer_index, key_of_group(3));
    assert_eq!(groups[0].previous_epoch_participation.target.num_set_bits(), 7);
    let fulu = Node::start(ForkName::Fulu, Default::default()).await;
    assert!(fulu.client.groups(StateId::Head).await.unwrap().data.is_empty());
    let members = fulu.client.sync_committees(StateId::Head, None).await.unwrap().data;
    assert!(members.validators.iter().all(|member| !member.is_virtual()));
}
