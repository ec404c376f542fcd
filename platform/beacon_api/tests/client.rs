//! The client against a node over HTTP.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod server;

use beacon_api::*;
use futures::StreamExt as _;
use serde_json::json;
use server::{Server, answer};
use ssz::Encode as _;
use state_transition::genesis::{GenesisValidator, genesis_block, genesis_state};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use types::*;

fn genesis(fork: ForkName) -> (BeaconState<Minimal>, SignedBeaconBlock<Minimal>) {
    let mut spec = ChainSpec::minimal();
    spec.fulu_fork_epoch = Epoch::new(0);
    if fork == ForkName::Dvt {
        spec.dvt_fork_epoch = Epoch::new(0);
    }
    let validators: Vec<GenesisValidator> = (0..8u8)
        .map(|index| GenesisValidator {
            pubkey: bls::SecretKey::derive_master(&[index; 32])
                .unwrap()
                .public_key()
                .to_bytes(),
            withdrawal_credentials: Hash32::repeat_byte(1),
            balance: 32_000_000_000,
            group: None,
        })
        .collect();
    let mut state = genesis_state(1000, &validators, ExecutionPayloadHeader::default(), &spec).unwrap();
    let block = genesis_block(&mut state).unwrap();
    (state, block)
}

fn unsigned(block: SignedBeaconBlock<Minimal>) -> BeaconBlock<Minimal> {
    match block {
        SignedBeaconBlock::Fulu(block) => BeaconBlock::Fulu(block.message),
        SignedBeaconBlock::Dvt(block) => BeaconBlock::Dvt(block.message),
    }
}

fn vote(fork: ForkName) -> SingleAttestation {
    let data = AttestationData {
        slot: Slot::new(1),
        index: 0,
        beacon_block_root: Root::repeat_byte(1),
        source: Checkpoint::default(),
        target: Checkpoint::default(),
    };
    let (attester_index, signature) = (SignerIndex::new(1 << 48), SignatureBytes::repeat_byte(2));
    match fork {
        ForkName::Fulu => SingleAttestation::Fulu(SingleAttestationFulu {
            committee_index: 3,
            attester_index,
            data,
            signature,
        }),
        ForkName::Dvt => SingleAttestation::Dvt(SingleAttestationDvt {
            committee_index: 3,
            attester_index,
            data,
            signature,
            proofs: SchemeProofs::empty(),
        }),
    }
}

#[tokio::test]
async fn the_base_path_of_the_url_stays() {
    let server = Server::with_json(json!({"data": {
        "genesis_time": "1590832934",
        "genesis_validators_root": Root::repeat_byte(7),
        "genesis_fork_version": "0x10000038",
    }}))
    .await;
    let genesis = server.client.genesis().await.unwrap();
    assert_eq!(genesis.genesis_time, 1_590_832_934);
    assert_eq!(server.only_request().path, "/some/base/eth/v1/beacon/genesis");
}

#[tokio::test]
async fn few_validators_are_asked_for_in_the_query_and_many_in_the_body() {
    let entry = json!({"execution_optimistic": false, "finalized": false, "data": [{
        "index": (1u64 << 48).to_string(),
        "balance": "32000000000",
        "status": "active_ongoing",
        "validator": genesis(ForkName::Dvt).0.validators().get(0).unwrap(),
    }]});
    let ids = |count: u64| ValidatorsRequest {
        ids: Some(
            (0..count)
                .map(|index| ValidatorId::Index(SignerIndex::new(index)))
                .collect(),
        ),
        statuses: Some(vec!["active".to_owned()]),
    };
    let few = Server::with_json(entry.clone()).await;
    let answer = few.client.validators(StateId::Head, &ids(2)).await.unwrap();
    assert!(answer.data[0].index.is_virtual() && answer.data[0].status.is_active());
    let request = few.only_request();
    assert_eq!(
        (request.method.as_str(), request.query.as_str()),
        ("GET", "id=0%2C1&status=active")
    );

    let many = Server::with_json(entry).await;
    many.client.validators(StateId::Head, &ids(500)).await.unwrap();
    let request = many.only_request();
    assert_eq!((request.method.as_str(), request.query.as_str()), ("POST", ""));
    assert_eq!(request.json()["ids"][499], "499");
    assert_eq!(request.json()["statuses"], json!(["active"]));
}

#[tokio::test]
async fn blocks_and_states_are_read_from_ssz_and_from_json() {
    for fork in ForkName::ALL {
        let (state, block) = genesis(fork);
        let served = (state.clone(), block.clone());
        let ssz = Server::start(move |seen| {
            assert!(accepts_ssz(seen.header("accept").unwrap()));
            let headers = [("content-type", SSZ), (CONSENSUS_VERSION_HEADER, fork.as_str())];
            let bytes = if seen.path.contains("states") {
                served.0.as_ssz_bytes()
            } else {
                served.1.as_ssz_bytes()
            };
            answer(200, &headers, bytes)
        })
        .await;
        let read = ssz.client.block::<Minimal>(BlockId::Head).await.unwrap().unwrap();
        assert_eq!((read.version, &read.data), (fork, &block));
        let read = ssz.client.state::<Minimal>(StateId::Head).await.unwrap().unwrap();
        assert_eq!(read.data, state);

        let json =
            Server::with_json(serde_json::to_value(Versioned::located(fork, false, true, &block)).unwrap()).await;
        let read = json
            .client
            .block::<Minimal>(BlockId::Slot(Slot::new(0)))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((read.finalized, read.data), (Some(true), block));
    }
}

#[tokio::test]
async fn a_produced_block_is_full_or_blinded_as_the_header_says() {
    for fork in ForkName::ALL {
        let block = unsigned(genesis(fork).1);
        let full = ProducedBlock::Full(Box::new(BlockContents::from(block.clone())));
        let blinded = ProducedBlock::Blinded(Box::new(block.to_blinded()));
        for produced in [full, blinded] {
            let expected = ProducedBlockAnswer::new(produced, Uint256::from(5), Uint256::from(6));
            let served = expected.clone();
            let ssz = Server::start(move |_| {
                let headers = [
                    ("content-type", SSZ),
                    (CONSENSUS_VERSION_HEADER, fork.as_str()),
                    (BLINDED_HEADER, if served.data.is_blinded() { "true" } else { "false" }),
                    (PAYLOAD_VALUE_HEADER, "5"),
                    (BLOCK_VALUE_HEADER, "6"),
                ];
                answer(200, &headers, served.data.as_ssz_bytes())
            })
            .await;
            let json = Server::with_json(serde_json::to_value(&expected).unwrap()).await;
            for server in [ssz, json] {
                let reveal = SignatureBytes::repeat_byte(9);
                let read = server
                    .client
                    .produce_block::<Minimal>(Slot::new(3), &reveal, None, Some(Hash32::ZERO), None)
                    .await
                    .unwrap();
                assert_eq!(read, expected);
                assert_eq!(read.data.block_root(), block.block_root());
                let request = server.only_request();
                assert!(request.path.ends_with("/eth/v3/validator/blocks/3"));
                assert_eq!(
                    request.query,
                    format!("randao_reveal=0x{}&graffiti=0x{}", "09".repeat(96), "00".repeat(32))
                );
            }
        }
    }
}

#[tokio::test]
async fn a_published_block_says_its_fork_and_its_answer_is_told_apart() {
    for (fork, status, expected) in [
        (ForkName::Fulu, 200, Published::Imported),
        (ForkName::Dvt, 202, Published::BroadcastOnly),
    ] {
        let server = Server::start(move |_| answer(status, &[], "")).await;
        let contents = BlockContents::from(unsigned(genesis(fork).1));
        let signed = contents.sign(SignatureBytes::repeat_byte(4), SchemeProofs::empty());
        let published = server
            .client
            .publish_block(&signed, BroadcastValidation::ConsensusAndEquivocation)
            .await;
        assert_eq!(published.unwrap(), expected);
        let request = server.only_request();
        assert_eq!(request.header(CONSENSUS_VERSION_HEADER), Some(fork.as_str()));
        assert_eq!(request.query, "broadcast_validation=consensus_and_equivocation");
        let read = SignedBlockContents::<Minimal>::from_ssz_bytes_by_fork(&request.body, fork).unwrap();
        assert_eq!(read, signed);
        let json = serde_json::to_string(&signed).unwrap();
        assert_eq!(SignedBlockContents::from_json_by_fork(&json, fork).unwrap(), signed);
    }
}

#[tokio::test]
async fn a_block_is_published_in_the_form_in_which_it_was_produced() {
    for fork in ForkName::ALL {
        let block = unsigned(genesis(fork).1);
        let signature = SignatureBytes::repeat_byte(4);
        let blinded = ProducedBlock::Blinded(Box::new(block.to_blinded()));
        let full = ProducedBlock::Full(Box::new(BlockContents::from(block)));
        for (produced, path) in [(full, "/beacon/blocks"), (blinded, "/beacon/blinded_blocks")] {
            let server = Server::start(|_| answer(200, &[], "")).await;
            let signed = produced.sign(signature, SchemeProofs::empty());
            let published = server
                .client
                .publish_produced(&signed, BroadcastValidation::Gossip)
                .await;
            assert_eq!(published.unwrap(), Published::Imported);
            let request = server.only_request();
            assert!(request.path.ends_with(path), "{}", request.path);
            let sent = match &signed {
                SignedProducedBlock::Full(contents) => contents.as_ssz_bytes(),
                SignedProducedBlock::Blinded(block) => block.as_ssz_bytes(),
            };
            assert_eq!(request.header(CONSENSUS_VERSION_HEADER), Some(fork.as_str()));
            assert_eq!(request.body, sent);
        }
    }
}

#[tokio::test]
async fn refused_votes_are_named_and_an_empty_list_is_not_sent() {
    let server = Server::start(|_| {
        let body = json!({"code": 400, "message": "some failures", "failures": [{"index": 1, "message": "wrong key"}]});
        answer(400, &[], body.to_string())
    })
    .await;
    server.client.submit_attestations(&[]).await.unwrap();
    assert_eq!(server.requests(), 0);
    let mixed = [vote(ForkName::Fulu), vote(ForkName::Dvt)];
    let error = server.client.submit_attestations(&mixed).await.unwrap_err();
    assert!(matches!(error, ApiError::MixedForks));
    assert_eq!(server.requests(), 0);

    let votes = [vote(ForkName::Dvt), vote(ForkName::Dvt)];
    let error = server.client.submit_attestations(&votes).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("status 400: some failures; item 1: wrong key"),
        "{error}"
    );
    let request = server.only_request();
    assert_eq!(request.header(CONSENSUS_VERSION_HEADER), Some("dvt"));
    let read: Vec<SingleAttestation> = list_from_json_by_fork(&request.body, ForkName::Dvt).unwrap();
    assert_eq!(read, votes);
}

#[tokio::test]
async fn duties_go_by_signer_index_in_quotes() {
    let index = SignerIndex::virtual_index(ValidatorIndex::new(5), 2).unwrap();
    let server = Server::with_json(json!({
        "dependent_root": Root::repeat_byte(1),
        "execution_optimistic": false,
        "data": [{
            "pubkey": PublicKeyBytes::repeat_byte(1),
            "validator_index": index.to_string(),
            "committee_index": "1",
            "committee_length": "9",
            "committees_at_slot": "2",
            "validator_committee_index": "8",
            "slot": "17",
        }],
    }))
    .await;
    let duties = server.client.attester_duties(Epoch::new(2), &[index]).await.unwrap();
    assert_eq!(duties.data[0].validator_index, index);
    assert_eq!(server.only_request().json(), json!([index.to_string()]));
}

#[tokio::test]
async fn what_a_node_does_not_have_is_none() {
    let server =
        Server::start(|_| answer(404, &[], json!({"code": 404, "message": "no such block"}).to_string())).await;
    assert!(server.client.block::<Minimal>(BlockId::Head).await.unwrap().is_none());
    assert!(server.client.header(BlockId::Head).await.unwrap().is_none());
    let aggregate = server
        .client
        .aggregate_attestation::<Minimal>(Root::ZERO, Slot::new(1), 0);
    assert!(aggregate.await.unwrap().is_none());
    let error = server.client.genesis().await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn pools_without_a_version_hold_both_forks() {
    let message = VoluntaryExit {
        epoch: Epoch::new(1),
        validator_index: ValidatorIndex::new(2),
    };
    let signature = SignatureBytes::repeat_byte(3);
    let exits = vec![
        SignedVoluntaryExit::Fulu(SignedVoluntaryExitFulu { message, signature }),
        SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
            message,
            signature,
            signers: Signers::default(),
            proofs: SchemeProofs::empty(),
        }),
    ];
    let server = Server::with_json(json!({"data": exits})).await;
    assert_eq!(server.client.pool_voluntary_exits().await.unwrap(), exits);
}

#[tokio::test]
async fn health_is_told_by_the_status() {
    for (status, health) in [(200, Health::Ready), (206, Health::Syncing), (503, Health::Unavailable)] {
        let server = Server::start(move |_| answer(status, &[], "")).await;
        assert_eq!(server.client.health().await.unwrap(), health);
    }
}

#[tokio::test]
async fn events_are_read_and_unknown_ones_left_out() {
    let block = |slot: u64| {
        Event::<Minimal>::Block(Box::new(BlockEvent {
            slot: Slot::new(slot),
            block: Root::repeat_byte(1),
            execution_optimistic: false,
        }))
    };
    let text = format!(
        "{}: comment\n\nevent: weather\ndata: {{}}\n\n{}event: head\ndata: {{}}\n\n",
        block(1).to_sse().unwrap(),
        block(2).to_sse().unwrap()
    );
    let server = Server::start(move |_| answer(200, &[("content-type", "text/event-stream")], text.clone())).await;
    let topics = [EventTopic::Block, EventTopic::Head];
    let stream = server.client.events::<Minimal>(&topics).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    assert_eq!(stream.next().await.unwrap().unwrap(), block(1));
    assert_eq!(stream.next().await.unwrap().unwrap(), block(2));
    let error = stream.next().await.unwrap().unwrap_err().to_string();
    assert!(error.contains("event head: missing field"), "{error}");
    assert!(stream.next().await.is_none());
    assert_eq!(server.only_request().query, "topics=block%2Chead");
}

/// A client of a node that answers with `bytes` whatever it is asked, and then says nothing more.
async fn client_of_raw(bytes: &'static [u8], config: ClientConfig) -> BeaconClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:secret@{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(bytes).await.unwrap();
        std::future::pending::<()>().await;
    });
    BeaconClient::new(&url, config).unwrap()
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{";
    let client = client_of_raw(bytes, ClientConfig::default()).await;
    let error = client.genesis().await.unwrap_err();
    assert!(matches!(error, ApiError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_node_is_given_up_and_its_credentials_are_not_shown() {
    let config = ClientConfig {
        timeout: Duration::from_millis(50),
        event_idle: Duration::from_millis(50),
        ..ClientConfig::default()
    };
    let client = client_of_raw(b"", config).await;
    let error = client.genesis().await.unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
    assert!(error.is_of_the_node());
    let shown = format!("{error} {error:?} {client:?}");
    assert!(!shown.contains("secret") && !shown.contains("user"), "{shown}");

    let bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n";
    let client = client_of_raw(bytes, config).await;
    let stream = client.events::<Minimal>(&[EventTopic::Head]).await.unwrap();
    let error = std::pin::pin!(stream).next().await.unwrap().unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn an_absent_node_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = BeaconClient::new(&url, ClientConfig::default()).unwrap();
    let error = client.genesis().await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error}");
}

#[test]
fn what_is_no_url_of_a_node_is_refused() {
    for url in ["", "localhost:5052", "ftp://localhost", "http://"] {
        assert!(BeaconClient::new(url, ClientConfig::default()).is_err(), "{url}");
    }
}
