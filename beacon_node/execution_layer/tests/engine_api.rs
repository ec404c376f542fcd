//! The client against the mock execution node over loopback.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use alloy_primitives::{Address, B256, Bytes};
use execution_layer::*;
use mock_execution::{Block, GenesisParameters, MockConfig, MockExecution, genesis_block};
use std::sync::Arc;
use std::time::Duration;
use types::{Epoch, ExecutionPayload, ExecutionRequests, Minimal, ValidatorIndex, Withdrawal};

const SECRET: JwtSecret = JwtSecret::new([7; 32]);
const GENESIS_TIME: u64 = 1_700_000_000;
const BEACON_ROOT: B256 = B256::repeat_byte(9);

fn genesis() -> Block {
    genesis_block(&GenesisParameters::at(GENESIS_TIME))
}

async fn mock() -> MockExecution {
    MockExecution::start(MockConfig::new(*SECRET.as_bytes(), genesis()))
        .await
        .unwrap()
}

fn client(url: impl Into<String>) -> ExecutionLayer {
    ExecutionLayer::new(ExecutionConfig::new(url, SECRET)).unwrap()
}

fn head(hash: B256) -> ForkchoiceState {
    ForkchoiceState {
        head_block_hash: hash,
        ..ForkchoiceState::default()
    }
}

fn attributes(number: u64) -> PayloadAttributes {
    PayloadAttributes {
        timestamp: GENESIS_TIME + 12 * number,
        prev_randao: B256::repeat_byte(3),
        suggested_fee_recipient: Address::repeat_byte(4),
        withdrawals: vec![Withdrawal {
            index: number,
            validator_index: ValidatorIndex::new(5),
            address: Address::repeat_byte(6),
            amount: 32_000_000_000,
        }],
        parent_beacon_block_root: BEACON_ROOT,
    }
}

async fn judge(
    client: &ExecutionLayer,
    payload: &ExecutionPayload<Minimal>,
    requests: &ExecutionRequests<Minimal>,
) -> Result<PayloadStatus, EngineError> {
    client
        .notify_new_payload(&NewPayloadRequest::new(payload, &[], BEACON_ROOT, requests))
        .await
}

/// Builds, judges and adopts `count` blocks by `builder`; gives them.
async fn grow(builder: &ExecutionLayer, from: B256, count: u64) -> Vec<GetPayloadResponse<Minimal>> {
    let mut parent = from;
    let mut built = Vec::new();
    for number in 1..=count {
        let response = builder
            .get_payload::<Minimal>(head(parent), &attributes(number))
            .await
            .unwrap();
        let status = judge(builder, &response.execution_payload, &response.execution_requests)
            .await
            .unwrap();
        assert_eq!(status, PayloadStatus::Valid);
        parent = response.execution_payload.block_hash;
        assert_eq!(
            builder.notify_forkchoice_updated(head(parent)).await.unwrap(),
            PayloadStatus::Valid
        );
        built.push(response);
    }
    built
}

#[tokio::test]
async fn a_chain_grows_and_a_second_node_follows() {
    let (first, second) = (mock().await, mock().await);
    let (builder, follower) = (client(first.url()), client(second.url()));
    assert_eq!(builder.state(), EngineState::Unknown);
    let built = grow(&builder, genesis().hash, 3).await;
    assert!(builder.is_online());
    let payload = &built[2].execution_payload;
    assert_eq!(payload.block_number, 3);
    assert_eq!(payload.fee_recipient, Address::repeat_byte(4));
    assert_eq!(payload.withdrawals[..], attributes(3).withdrawals[..]);
    assert_eq!(first.forkchoice().head_block_hash, payload.block_hash);

    for response in &built {
        let status = judge(&follower, &response.execution_payload, &response.execution_requests).await;
        assert_eq!(status.unwrap(), PayloadStatus::Valid);
    }
    let state = ForkchoiceState {
        head_block_hash: payload.block_hash,
        safe_block_hash: built[1].execution_payload.block_hash,
        finalized_block_hash: built[0].execution_payload.block_hash,
    };
    assert_eq!(
        follower.notify_forkchoice_updated(state).await.unwrap(),
        PayloadStatus::Valid
    );
    for (tag, number) in [
        (BlockTag::Latest, 3),
        (BlockTag::Safe, 2),
        (BlockTag::Finalized, 1),
        (BlockTag::Number(2), 2),
    ] {
        assert_eq!(follower.get_block(tag).await.unwrap().unwrap().number, number, "{tag}");
    }
    let block = follower.get_block_by_hash(payload.block_hash).await.unwrap().unwrap();
    assert_eq!(
        (block.parent_hash, block.timestamp),
        (payload.parent_hash, payload.timestamp)
    );
    assert_eq!(follower.get_block_by_hash(B256::ZERO).await.unwrap(), None);
    assert_eq!(follower.get_block(BlockTag::Number(4)).await.unwrap(), None);
}

#[tokio::test]
async fn client_version_chain_id_and_blobs_are_asked() {
    let mock = mock().await;
    let client = client(mock.url());
    let own = ClientVersion {
        code: "FR".into(),
        name: "Fresnel".into(),
        version: "1".into(),
        commit: "0".repeat(8),
    };
    assert_eq!(
        client.get_client_versions(&own).await.unwrap()[0].name,
        "fresnel-mock-execution"
    );
    client.check_chain_id(1337).await.unwrap();
    let wrong = client.check_chain_id(1).await.unwrap_err();
    assert!(
        matches!(
            wrong,
            EngineError::WrongChain {
                expected: 1,
                found: 1337
            }
        ),
        "{wrong}"
    );
    assert_eq!(
        client.get_blobs::<Minimal>(&[B256::repeat_byte(1)]).await.unwrap(),
        None
    );
    assert_eq!(client.get_blobs::<Minimal>(&[]).await.unwrap(), Some(vec![]));
}

#[tokio::test]
async fn execution_requests_travel_both_ways() {
    let (first, second) = (mock().await, mock().await);
    let (builder, follower) = (client(first.url()), client(second.url()));
    first
        .queue_request(Bytes::from([vec![1], vec![2; 76]].concat()))
        .unwrap();
    first
        .queue_request(Bytes::from([vec![2], vec![3; 116]].concat()))
        .unwrap();
    let built = grow(&builder, genesis().hash, 2).await;
    let requests = &built[0].execution_requests;
    assert_eq!(
        (
            requests.deposits.len(),
            requests.withdrawals.len(),
            requests.consolidations.len()
        ),
        (0, 1, 1)
    );
    assert_eq!(
        built[1].execution_requests,
        ExecutionRequests::default(),
        "each request goes in once"
    );
    assert_eq!(
        judge(&follower, &built[0].execution_payload, requests).await.unwrap(),
        PayloadStatus::Valid
    );

    let other = ExecutionRequests {
        consolidations: Default::default(),
        ..requests.clone()
    };
    let status = judge(&follower, &built[0].execution_payload, &other).await.unwrap();
    assert!(
        matches!(
            status,
            PayloadStatus::Invalid {
                latest_valid_hash: None,
                ..
            }
        ),
        "{status}"
    );
}

#[tokio::test]
async fn a_build_is_prepared_once_and_begun_again_after_a_restart() {
    let first = mock().await;
    let address = first.address();
    let client = client(first.url());
    let state = head(genesis().hash);
    let prepared = client.prepare_payload(state, &attributes(1)).await.unwrap();
    assert_eq!(prepared.payload_status, PayloadStatus::Valid);
    assert!(prepared.payload_id.is_some());
    let payload = client
        .get_payload::<Minimal>(state, &attributes(1))
        .await
        .unwrap()
        .execution_payload;

    first.stop();
    let config = MockConfig {
        listen: address,
        ..MockConfig::new(*SECRET.as_bytes(), genesis())
    };
    let second = restart(config).await;
    // The build is unknown to the new process, and the idle connection is dead.
    let again = client
        .get_payload::<Minimal>(state, &attributes(1))
        .await
        .unwrap()
        .execution_payload;
    assert_eq!(again, payload);
    drop(second);
}

/// The port is free as soon as the old listener is dropped, which its task does on its own time.
async fn restart(config: MockConfig) -> MockExecution {
    loop {
        match MockExecution::start(config.clone()).await {
            Ok(mock) => return mock,
            Err(mock_execution::MockError::Listen { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_killed_node_finds_its_chain_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = MockConfig {
        data_dir: Some(folder.path().to_path_buf()),
        ..MockConfig::new(*SECRET.as_bytes(), genesis())
    };
    let first = MockExecution::start(config.clone()).await.unwrap();
    let built = grow(&client(first.url()), genesis().hash, 3).await;
    drop(first);
    let second = MockExecution::start(config).await.unwrap();
    let client = client(second.url());
    let last = built[2].execution_payload.block_hash;
    assert_eq!(
        client.notify_forkchoice_updated(head(last)).await.unwrap(),
        PayloadStatus::Valid
    );
    let next = client.get_payload::<Minimal>(head(last), &attributes(4)).await.unwrap();
    assert_eq!(next.execution_payload.block_number, 4);
}

#[tokio::test]
async fn a_node_that_lost_its_chain_syncs_when_asked_again() {
    let (first, second) = (mock().await, mock().await);
    let built = grow(&client(first.url()), genesis().hash, 3).await;
    let client = client(second.url());
    let last = &built[2];
    let status = judge(&client, &last.execution_payload, &last.execution_requests)
        .await
        .unwrap();
    assert_eq!(status, PayloadStatus::Syncing);
    let state = head(last.execution_payload.block_hash);
    assert_eq!(
        client.notify_forkchoice_updated(state).await.unwrap(),
        PayloadStatus::Syncing
    );
    assert_eq!(client.state(), EngineState::Syncing);
    let not_yet = client
        .get_payload::<Minimal>(head(B256::repeat_byte(1)), &attributes(4))
        .await
        .unwrap_err();
    assert!(matches!(not_yet, EngineError::NotBuilding { .. }), "{not_yet}");
    // The check repeats the last forkchoice.
    assert_eq!(
        client.notify_forkchoice_updated(state).await.unwrap(),
        PayloadStatus::Valid
    );
    assert_eq!(client.state(), EngineState::Online);
}

#[tokio::test]
async fn a_wrong_secret_is_told_apart_from_being_offline() {
    let mock = mock().await;
    let wrong = ExecutionLayer::new(ExecutionConfig::new(mock.url(), JwtSecret::new([8; 32]))).unwrap();
    let error = wrong.notify_forkchoice_updated(head(genesis().hash)).await.unwrap_err();
    assert!(
        matches!(error, EngineError::Unauthorized { status: 401, .. }),
        "{error}"
    );
    assert_eq!(wrong.state(), EngineState::AuthFailed);
    assert_eq!(wrong.upcheck().await, EngineState::AuthFailed);
    let right = client(mock.url());
    assert_eq!(right.upcheck().await, EngineState::Online);
}

#[tokio::test]
async fn going_offline_and_coming_back_is_noticed_and_the_head_is_repeated() {
    let mock = mock().await;
    let client = client(mock.url());
    let built = grow(&client, genesis().hash, 1).await;
    let mut states = client.subscribe_state();
    assert_eq!(*states.borrow_and_update(), EngineState::Online);

    mock.set_faults(|faults| faults.offline = true);
    let error = client
        .notify_forkchoice_updated(head(genesis().hash))
        .await
        .unwrap_err();
    assert!(error.is_offline(), "{error}");
    assert!(states.has_changed().unwrap());
    assert_eq!(*states.borrow_and_update(), EngineState::Offline);
    assert_eq!(client.upcheck().await, EngineState::Offline);
    assert_eq!(mock.forkchoice().head_block_hash, built[0].execution_payload.block_hash);

    mock.set_faults(|faults| faults.offline = false);
    assert_eq!(client.upcheck().await, EngineState::Online);
    assert_eq!(
        mock.forkchoice().head_block_hash,
        genesis().hash,
        "the forkchoice it missed"
    );
}

#[tokio::test]
async fn upchecks_run_until_they_are_told_to_stop() {
    let mock = mock().await;
    mock.set_faults(|faults| faults.offline = true);
    let client = Arc::new(client(mock.url()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut states = client.subscribe_state();
    let task = {
        let client = client.clone();
        tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            client.run_upchecks(Duration::from_millis(5), stopped).await;
        })
    };
    states.wait_for(|state| *state == EngineState::Offline).await.unwrap();
    mock.set_faults(|faults| faults.offline = false);
    states.wait_for(|state| *state == EngineState::Online).await.unwrap();
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn syncing_and_invalid_are_verdicts_not_errors() {
    let mock = mock().await;
    let client = client(mock.url());
    let built = grow(&client, genesis().hash, 2).await;
    let [first, second] = [0, 1].map(|at: usize| &built[at].execution_payload);

    mock.set_faults(|faults| faults.syncing = true);
    let status = judge(&client, second, &ExecutionRequests::default()).await.unwrap();
    assert_eq!(status, PayloadStatus::Syncing);
    assert!(status.is_optimistic());
    client.notify_forkchoice_updated(head(second.block_hash)).await.unwrap();
    assert_eq!(client.state(), EngineState::Syncing);
    let error = client
        .get_payload::<Minimal>(head(second.block_hash), &attributes(3))
        .await
        .unwrap_err();
    assert!(matches!(error, EngineError::NotBuilding { .. }), "{error}");

    mock.set_faults(|faults| {
        faults.syncing = false;
        faults.invalid.insert(second.block_hash);
    });
    let status = judge(&client, second, &ExecutionRequests::default()).await.unwrap();
    let PayloadStatus::Invalid { latest_valid_hash, .. } = status else {
        panic!("{status}")
    };
    assert_eq!(latest_valid_hash, Some(first.block_hash));
    assert!(
        client
            .notify_forkchoice_updated(head(second.block_hash))
            .await
            .unwrap()
            .is_invalid()
    );
    assert!(
        client.is_online(),
        "an invalid head is the chain's trouble, not the client's"
    );
}

#[tokio::test]
async fn what_needs_no_execution_is_refused_without_a_call() {
    // Nobody listens there.
    let client = client("http://127.0.0.1:1");
    let requests = ExecutionRequests::default();
    let mut payload = ExecutionPayload::<Minimal>::default();
    let commitments = [types::KzgCommitment::ZERO];
    let request = NewPayloadRequest::new(&payload, &commitments, BEACON_ROOT, &requests);
    let status = client.notify_new_payload(&request).await.unwrap();
    assert!(status.to_string().contains("commits to 1 blobs"), "{status}");
    payload.transactions = vec![Default::default()].try_into().unwrap();
    let status = judge(&client, &payload, &requests).await.unwrap();
    assert!(status.to_string().contains("transaction 0 is empty"), "{status}");
    assert_eq!(client.state(), EngineState::Unknown);
}

#[tokio::test]
async fn missing_methods_are_gone_around() {
    let cases: [&[&str]; 4] = [
        &["engine_getPayloadV5"],
        &["engine_exchangeCapabilities"],
        &["engine_exchangeCapabilities", "engine_getPayloadV5"],
        &["engine_getClientVersionV1", "engine_getBlobsV2"],
    ];
    for missing in cases {
        let mock = mock().await;
        mock.set_faults(|faults| faults.missing_methods = missing.iter().map(ToString::to_string).collect());
        let client = client(mock.url());
        grow(&client, genesis().hash, 1).await;
        if missing.contains(&"engine_getBlobsV2") {
            assert_eq!(client.get_blobs::<Minimal>(&[B256::ZERO]).await.unwrap(), None);
            let own = ClientVersion {
                code: "FR".into(),
                name: "F".into(),
                version: "1".into(),
                commit: "".into(),
            };
            assert_eq!(client.get_client_versions(&own).await.unwrap(), []);
        }
    }
    let mock = mock().await;
    mock.set_faults(|faults| faults.missing_methods.extend(["engine_forkchoiceUpdatedV3".to_owned()]));
    let error = client(mock.url())
        .notify_forkchoice_updated(head(genesis().hash))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(METHOD_NOT_FOUND), "{error}");
}

#[tokio::test]
async fn errors_of_the_engine_api_keep_their_code() {
    let mock = mock().await;
    let client = client(mock.url());
    let built = grow(&client, genesis().hash, 1).await;
    let first = built[0].execution_payload.block_hash;
    let backwards = ForkchoiceState {
        finalized_block_hash: first,
        ..head(genesis().hash)
    };
    let error = client.notify_forkchoice_updated(backwards).await.unwrap_err();
    assert_eq!(error.code(), Some(INVALID_FORKCHOICE_STATE), "{error}");
    let error = client.prepare_payload(head(first), &attributes(1)).await.unwrap_err();
    assert_eq!(error.code(), Some(INVALID_PAYLOAD_ATTRIBUTES), "{error}");
    assert!(client.is_online(), "an error is an answer");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let mock = mock().await;
    mock.set_faults(|faults| faults.delay = Duration::from_secs(60));
    let client = client(mock.url());
    // eth_syncing is given one second.
    let error = client.check_chain_id(1337).await.unwrap_err();
    let EngineError::Timeout { method, after } = &error else {
        panic!("{error}")
    };
    assert_eq!((*method, *after), ("eth_chainId", Duration::from_secs(1)));
    assert_eq!(client.state(), EngineState::Offline);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read() {
    let mock = mock().await;
    mock.set_faults(|faults| faults.padding = 1 << 20);
    let error = client(mock.url()).check_chain_id(1337).await.unwrap_err();
    let EngineError::ResponseTooLarge { method, limit } = &error else {
        panic!("{error}")
    };
    assert_eq!((*method, *limit), ("eth_chainId", 1 << 20));
}

#[test]
fn endpoints_that_are_none_are_refused_at_start() {
    for endpoint in ["", "localhost:8551", "ws://localhost:8551", "http://"] {
        let error = ExecutionLayer::new(ExecutionConfig::new(endpoint, SECRET)).unwrap_err();
        assert!(matches!(error, EngineError::Endpoint { .. }), "{endpoint}: {error}");
    }
}

#[test]
fn a_proposer_without_a_fee_recipient_is_an_error_that_says_what_to_do() {
    let layer = client("http://127.0.0.1:1");
    let proposer = ValidatorIndex::new(3);
    let error = layer.fee_recipient(proposer).unwrap_err().to_string();
    assert!(error.contains("--suggested-fee-recipient"), "{error}");
    layer.prepare_proposers(Epoch::new(1), [(proposer, Address::repeat_byte(1))]);
    assert_eq!(layer.fee_recipient(proposer).unwrap(), Address::repeat_byte(1));
}

#[tokio::test]
async fn calls_and_verdicts_are_counted() {
    let mock = mock().await;
    grow(&client(mock.url()), genesis().hash, 1).await;
    let families = prometheus::gather();
    for name in [
        "execution_layer_request_times",
        "execution_layer_payload_status",
        "execution_layer_get_payload_outcome",
        "execution_layer_pre_prepared_payload_id",
        "execution_layer_engine_state",
    ] {
        assert!(families.iter().any(|family| family.name() == name), "{name}");
    }
}

/// A node of the network with this chain id and first block.
fn node_of(url: String, chain_id: u64, genesis_hash: Option<B256>) -> ExecutionLayer {
    let config = ExecutionConfig::new(url, SECRET);
    ExecutionLayer::new(ExecutionConfig {
        chain: Some(ExpectedChain { chain_id, genesis_hash }),
        ..config
    })
    .unwrap()
}

/// Another execution client behind the same address.
async fn in_place_of(mock: MockExecution, chain_id: u64) -> MockExecution {
    let listen = mock.address();
    drop(mock);
    restart(MockConfig {
        listen,
        chain_id,
        ..MockConfig::new(*SECRET.as_bytes(), genesis())
    })
    .await
}

async fn first_block() -> GetPayloadResponse<Minimal> {
    let maker = mock().await;
    grow(&client(maker.url()), genesis().hash, 1).await.remove(0)
}

/// An execution client of another network is told apart when it answers first, and again when it comes back.
#[tokio::test]
async fn an_execution_client_of_another_chain_is_not_used_until_it_is_of_this_one() {
    let mock = mock().await;
    for (chain_id, hash) in [(1, None), (1337, Some(B256::repeat_byte(1)))] {
        let client = node_of(mock.url(), chain_id, hash);
        assert_eq!(client.upcheck().await, EngineState::WrongChain);
        let error = client
            .notify_forkchoice_updated(head(genesis().hash))
            .await
            .unwrap_err();
        assert!(error.is_other_chain(), "{error}");
        assert_eq!(client.state(), EngineState::WrongChain);
        assert!(!client.is_online() && !client.state().answers());
    }
    let client = node_of(mock.url(), 1337, Some(genesis().hash));
    assert_eq!(client.upcheck().await, EngineState::Online);
    mock.set_faults(|faults| faults.offline = true);
    assert_eq!(client.upcheck().await, EngineState::Offline);
    let other = in_place_of(mock, 7).await;
    assert_eq!(client.upcheck().await, EngineState::WrongChain);
    let _right = in_place_of(other, 1337).await;
    assert_eq!(client.upcheck().await, EngineState::Online);
}

/// The first call may come before the first check: it is the check.
#[tokio::test]
async fn nothing_is_given_to_a_client_before_its_chain_is_known() {
    let first = first_block().await;
    let mock = mock().await;
    for (chain_id, hash) in [(1, None), (1337, Some(B256::repeat_byte(1)))] {
        let client = || node_of(mock.url(), chain_id, hash);
        let state = head(genesis().hash);
        let errors = [
            judge(&client(), &first.execution_payload, &first.execution_requests)
                .await
                .unwrap_err(),
            client().notify_forkchoice_updated(state).await.unwrap_err(),
            client().prepare_payload(state, &attributes(1)).await.unwrap_err(),
            client().lead_to(genesis().hash).await.unwrap_err(),
            client()
                .get_payload::<Minimal>(state, &attributes(1))
                .await
                .unwrap_err(),
            client().get_blobs::<Minimal>(&[]).await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_other_chain(), "{error}");
        }
    }
    assert_eq!(mock.block_count(), 1, "it was given no payload");
    let right = node_of(mock.url(), 1337, Some(genesis().hash));
    let status = judge(&right, &first.execution_payload, &first.execution_requests).await;
    assert_eq!(status.unwrap(), PayloadStatus::Valid);
    assert!(right.is_online());
}

/// No call met the gap between the two: only the connection is another one.
#[tokio::test]
async fn a_client_that_took_the_place_of_another_between_two_calls_is_not_believed() {
    let first = first_block().await;
    let mock = mock().await;
    let client = node_of(mock.url(), 1337, Some(genesis().hash));
    client.notify_forkchoice_updated(head(genesis().hash)).await.unwrap();
    let other = in_place_of(mock, 7).await;
    let error = judge(&client, &first.execution_payload, &first.execution_requests)
        .await
        .unwrap_err();
    assert!(error.is_other_chain(), "{error}");
    assert_eq!(client.state(), EngineState::WrongChain);
    let _right = in_place_of(other, 1337).await;
    let status = judge(&client, &first.execution_payload, &first.execution_requests).await;
    assert_eq!(status.unwrap(), PayloadStatus::Valid);
    assert!(client.is_online());
}

#[tokio::test]
async fn a_client_that_comes_back_as_another_is_not_believed() {
    let first = first_block().await;
    let mock = mock().await;
    let client = node_of(mock.url(), 1337, Some(genesis().hash));
    client.notify_forkchoice_updated(head(genesis().hash)).await.unwrap();
    mock.set_faults(|faults| faults.offline = true);
    let judged = judge(&client, &first.execution_payload, &first.execution_requests).await;
    assert!(judged.unwrap_err().is_offline());
    let _other = in_place_of(mock, 7).await;
    let judged = judge(&client, &first.execution_payload, &first.execution_requests).await;
    assert!(judged.unwrap_err().is_other_chain());
    assert_eq!(client.upcheck().await, EngineState::WrongChain);
}

/// Of two ports of an execution client, the one for wallets is taken by mistake.
#[tokio::test]
async fn a_port_without_the_engine_api_is_called_that() {
    let mock = mock().await;
    let engine = [
        "engine_exchangeCapabilities",
        "engine_newPayloadV4",
        "engine_forkchoiceUpdatedV3",
        "engine_getPayloadV4",
        "engine_getPayloadV5",
        "engine_getBlobsV2",
        "engine_getClientVersionV1",
    ];
    mock.set_faults(|faults| faults.missing_methods = engine.map(str::to_owned).into());
    let client = node_of(mock.url(), 1337, Some(genesis().hash));
    assert_eq!(client.upcheck().await, EngineState::NotEngineApi);
    let error = client
        .notify_forkchoice_updated(head(genesis().hash))
        .await
        .unwrap_err()
        .to_string();
    for part in ["--execution-endpoint", "not the Engine API", "--authrpc.port 8551"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!client.is_online());
    // A client that only does not list its methods has them.
    mock.set_faults(|faults| faults.missing_methods = [engine[0].to_owned()].into());
    assert_eq!(client.upcheck().await, EngineState::Online);
}

#[tokio::test]
async fn a_client_that_is_led_to_a_block_comes_back_to_the_real_head() {
    let mock = mock().await;
    let client = client(mock.url());
    let built = grow(&client, genesis().hash, 3).await;
    let hash = |place: usize| built[place].execution_payload.block_hash;
    assert_eq!(client.lead_to(hash(0)).await.unwrap(), PayloadStatus::Valid);
    assert_eq!(mock.forkchoice().head_block_hash, hash(0));
    mock.set_faults(|faults| faults.offline = true);
    assert_eq!(client.upcheck().await, EngineState::Offline);
    mock.set_faults(|faults| faults.offline = false);
    assert_eq!(client.upcheck().await, EngineState::Online);
    assert_eq!(mock.forkchoice().head_block_hash, hash(2));
}
