//! Several services in one process on loopback, as a devnet runs them.

use crate::support::{
    DIGEST, NEXT_DIGEST, Node, all_chunks, block, config, eventually, eventually_async, forks, publish_when_followed,
    status,
};
use network::{
    BlocksByRangeRequest, GoodbyeReason, GossipTopic, NetworkConfig, NetworkService, ProtocolKind, PublishError,
    Request, RequestError, ResponseChunk, ResponseCode, ResponseEvent, TopicKind, Verdict,
};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use types::{ForkDigest, Slot};

fn blocks(count: u64) -> Request {
    Request::BlocksByRange(BlocksByRangeRequest {
        start_slot: Slot::new(0),
        count,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_meet_through_one_boot_node_and_share_blocks() {
    let boot = Node::start(10, &[]).await;
    let others = [
        Node::start(11, &[&boot]).await,
        Node::start(12, &[&boot]).await,
        Node::start(13, &[&boot]).await,
    ];
    let nodes: Vec<&Node> = others.iter().chain([&boot]).collect();
    eventually("everybody has the status of everybody", || {
        nodes
            .iter()
            .all(|a| nodes.iter().all(|b| a.id() == b.id() || a.knows(b)))
    })
    .await;
    let head = boot.seen.lock().unwrap().statuses[&others[2].id()].head_slot;
    assert_eq!(head, Slot::new(13));
    assert_eq!(boot.handle.connected_peers(), 3);

    // Gossip: accepted by all.
    for node in &nodes {
        node.handle.subscribe(TopicKind::core().collect()).await.unwrap();
    }
    assert_eq!(
        boot.handle.topics().await.unwrap().len(),
        7,
        "group topics do not exist in this fork"
    );
    let topic = GossipTopic::new(DIGEST, TopicKind::BeaconBlock);
    publish_when_followed(&others[0], topic, b"a good block").await;
    eventually("the block reaches all", || {
        nodes
            .iter()
            .filter(|n| n.id() != others[0].id())
            .all(|n| n.got(b"a good block"))
    })
    .await;
    assert_eq!(
        others[0].handle.publish(topic, b"a good block".to_vec()).await,
        Err(PublishError::Duplicate)
    );

    // Rejected: whoever handed it over loses score.
    boot.judge(Verdict::Reject);
    publish_when_followed(&others[0], topic, b"a bad block").await;
    eventually("the block reaches the boot node", || boot.got(b"a bad block")).await;
    let source = boot
        .seen
        .lock()
        .unwrap()
        .gossip
        .iter()
        .find(|(_, _, data)| data == b"a bad block")
        .unwrap()
        .1;
    eventually_async("its source loses score", async || boot.score_of(source).await < 0.0).await;
    assert_eq!(boot.counter("gossipsub_unaccepted_messages_per_client", "reject"), 1);

    // The HTTP API's view.
    let identity = boot.handle.identity();
    assert_eq!(identity.peer_id, boot.id());
    assert!(
        identity
            .p2p_addresses
            .iter()
            .any(|address| address.to_string().contains("/tcp/"))
    );
    assert_eq!(identity.discovery_addresses.len(), 1);
    eventually_async("agents and metadata are known", async || {
        let peers = boot.handle.peers().await.unwrap();
        peers
            .iter()
            .filter(|p| p.agent.is_some() && p.metadata.is_some() && p.enr.is_some())
            .count()
            == 3
    })
    .await;
    let text = boot.handle.libp2p_metrics();
    for name in [
        "libp2p_bandwidth_bytes_total",
        "gossipsub_mesh_peer_counts",
        "gossipsub_topic_msg_recv_counts",
    ] {
        assert!(text.contains(name), "{name} is missing");
    }

    // Farewell.
    boot.handle.shutdown().await;
    eventually("the others see it leave", || {
        others.iter().all(|node| !node.is_connected_to(&boot))
    })
    .await;
    assert!(boot.handle.peers().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_answer_is_streamed_no_faster_than_it_is_read() {
    let server = Node::start(1, &[]).await;
    let client = Node::start(1, &[&server]).await;
    eventually("they meet", || client.knows(&server) && server.knows(&client)).await;

    let mut stream = client.handle.request(server.id(), blocks(64)).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(
        first,
        ResponseChunk::Object {
            fork_digest: DIGEST,
            ssz: block(0)
        }
    );
    // Yamux and socket buffers hold some of it, but not six megabytes.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sent = server.seen.lock().unwrap().chunks_sent;
    assert!(sent < 60, "{sent} chunks were sent although one was read");
    let mut slot = 1;
    while let Some(chunk) = stream.next().await {
        assert_eq!(
            chunk.unwrap(),
            ResponseChunk::Object {
                fork_digest: DIGEST,
                ssz: block(slot)
            }
        );
        slot += 1;
    }
    assert_eq!(slot, 64);

    // The same through events.
    client.handle.send_request(server.id(), 7, blocks(3)).await.unwrap();
    eventually("the answer ends", || {
        client.seen.lock().unwrap().responses.contains(&(7, ResponseEvent::End))
    })
    .await;
    assert_eq!(client.seen.lock().unwrap().responses.len(), 4);

    // An error is an error.
    let request = Request::BlocksByRoot(network::BlocksByRootRequest {
        roots: vec![types::Root::ZERO],
    });
    let answer = client.handle.request(server.id(), request).await.unwrap();
    let expected = RequestError::Rejected {
        code: ResponseCode::ResourceUnavailable,
        message: "no such thing".to_owned(),
    };
    assert_eq!(all_chunks(answer).await, Err(expected));

    // More than the quota is withheld, not refused, for a client that keeps to two at a time.
    let start = Instant::now();
    for _ in 0..5 {
        let answer = client.handle.request(server.id(), blocks(128)).await.unwrap();
        assert_eq!(all_chunks(answer).await.unwrap().len(), 128);
    }
    assert!(start.elapsed() > Duration::from_secs(1));
    assert!(server.counter("network_rpc_rate_limited_total", "withheld") > 0);

    // Unknown peers fail at once.
    let nobody = network::PeerId::random();
    let answer = client.handle.request(nobody, blocks(1)).await.unwrap();
    assert_eq!(all_chunks(answer).await, Err(RequestError::NotConnected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_link_closes_and_heals() {
    let first = Node::start(1, &[]).await;
    let second = Node::start(1, &[&first]).await;
    eventually("they meet", || first.knows(&second) && second.knows(&first)).await;
    first
        .handle
        .set_blocked_peers(HashSet::from([second.id()]))
        .await
        .unwrap();
    eventually("the cut shows on both sides", || {
        !first.is_connected_to(&second) && !second.is_connected_to(&first)
    })
    .await;
    first.handle.set_blocked_peers(HashSet::new()).await.unwrap();
    eventually("they meet again", || {
        first.is_connected_to(&second) && second.is_connected_to(&first)
    })
    .await;

    // A delayed answer comes late, but comes.
    second
        .handle
        .set_outbound_delay(Duration::from_millis(700))
        .await
        .unwrap();
    // Commands are done in order: the answer to this one means that the delay is set.
    second.handle.topics().await.unwrap();
    let start = Instant::now();
    first
        .handle
        .request(second.id(), blocks(1))
        .await
        .unwrap()
        .single()
        .await
        .unwrap();
    assert!(start.elapsed() >= Duration::from_millis(650));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_of_another_network_are_sent_away() {
    let ours = Node::start(1, &[]).await;
    let stranger = Node::start_with(1, ForkDigest::new([9; 4]), &[], |_| {}).await;
    let address = ours.handle.identity().p2p_addresses[0].clone();
    stranger.handle.connect(address).await.unwrap();
    eventually("the stranger comes", || {
        ours.counter("libp2p_peer_connect_event_total", "") > 0
    })
    .await;
    eventually("and goes", || {
        ours.counter("libp2p_peer_disconnect_event_total", "") > 0
    })
    .await;
    assert!(ours.seen.lock().unwrap().statuses.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_two_forks_are_followed_around_the_change() {
    let first = Node::start(1, &[]).await;
    let second = Node::start(1, &[&first]).await;
    let seq_before = second.handle.enr().seq();
    for node in [&first, &second] {
        node.handle.subscribe(TopicKind::core().collect()).await.unwrap();
        node.handle.subscribe_fork(NEXT_DIGEST).await.unwrap();
        assert_eq!(node.handle.topics().await.unwrap().len(), 7 + 10);
    }
    let old = GossipTopic::new(DIGEST, TopicKind::VoluntaryExit);
    let new = GossipTopic::new(NEXT_DIGEST, TopicKind::KeySetChange);
    publish_when_followed(&first, old, b"exit").await;
    publish_when_followed(&first, new, b"change").await;
    eventually("messages of both forks arrive", || {
        second.got(b"exit") && second.got(b"change")
    })
    .await;
    let mut entered = forks(NEXT_DIGEST);
    entered.known_forks.retain(|fork| fork.has_groups);
    second.handle.update_fork(entered).await.unwrap();
    second.handle.unsubscribe_fork(DIGEST).await.unwrap();
    let topics = second.handle.topics().await.unwrap();
    assert!(topics.len() == 10 && topics.iter().all(|topic| topic.fork_digest == NEXT_DIGEST));
    assert!(second.handle.enr().seq() > seq_before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_changes_reach_the_record_and_the_peers() {
    let first = Node::start_with(1, DIGEST, &[], |config| {
        config.ping_interval = Duration::from_millis(300)
    })
    .await;
    let second = Node::start_with(1, DIGEST, &[&first], |config| {
        config.ping_interval = Duration::from_millis(600)
    })
    .await;
    eventually("they meet", || first.knows(&second)).await;
    second.handle.set_custody_group_count(128).await.unwrap();
    eventually_async("the peer learns of it by ping", async || {
        let peer = first.handle.peer(second.id()).await.unwrap();
        peer.and_then(|peer| peer.metadata)
            .is_some_and(|metadata| metadata.custody_group_count == Some(128))
    })
    .await;
    use network::EnrExt;
    assert_eq!(second.handle.enr().custody_group_count(), Some(128));
    // Goodbye on request.
    first
        .handle
        .disconnect(second.id(), GoodbyeReason::TooManyPeers)
        .await
        .unwrap();
    eventually("it leaves", || {
        second.counter("libp2p_peer_disconnect_event_total", "") > 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boot_node_that_starts_late_is_found_and_keeps_its_identity() {
    let boot = Node::start(1, &[]).await;
    let enr = boot.handle.enr();
    boot.handle.shutdown().await;
    let early = Node::start(1, &[&boot]).await;
    let dir = boot.dir;
    let again = Node::start_in(dir, 1, DIGEST, &[], |config| {
        config.port = enr.tcp4().unwrap();
        config.discovery_port = enr.udp4();
        config.quic_port = enr.get_decodable("quic").and_then(Result::ok);
    })
    .await;
    assert_eq!(
        again.handle.enr(),
        enr,
        "nothing changed, so the record is the same, sequence number included"
    );
    eventually("they meet", || early.knows(&again) && again.knows(&early)).await;
}

fn keeping(custody_group_count: u64, target_peers: usize) -> impl FnOnce(&mut NetworkConfig) {
    move |config| {
        config.custody_group_count = custody_group_count;
        config.target_peers = target_peers;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_found_for_a_column_subnet_although_there_are_enough_peers() {
    let boot = Node::start_with(1, DIGEST, &[], keeping(0, 10)).await;
    let other = Node::start_with(1, DIGEST, &[&boot], keeping(0, 10)).await;
    let keeper = Node::start_with(1, DIGEST, &[&boot], keeping(128, 2)).await;
    eventually("the keeper has its peers", || {
        keeper.knows(&boot) && keeper.knows(&other)
    })
    .await;
    let node = Node::start_with(1, DIGEST, &[&boot], keeping(4, 1)).await;
    eventually("the node has its peer", || node.knows(&boot)).await;
    assert!(!node.is_connected_to(&keeper));
    let column = vec![TopicKind::DataColumnSidecar(7)];
    node.handle.subscribe(column).await.unwrap();
    eventually("it finds who keeps the column", || node.knows(&keeper)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_node_makes_a_place_for_the_peer_of_a_column_subnet() {
    let boot = Node::start_with(1, DIGEST, &[], keeping(0, 10)).await;
    let others = [
        Node::start_with(1, DIGEST, &[&boot], keeping(0, 10)).await,
        Node::start_with(1, DIGEST, &[&boot], keeping(0, 10)).await,
    ];
    let useless = [&boot, &others[0], &others[1]];
    let keeper = Node::start_with(1, DIGEST, &[&boot], keeping(128, 3)).await;
    eventually("the keeper has its peers", || {
        useless.iter().all(|peer| keeper.knows(peer))
    })
    .await;
    // With a target of one peer, three are the limit.
    let node = Node::start_with(1, DIGEST, &[&boot], keeping(4, 1)).await;
    for other in &others {
        let address = other.handle.identity().p2p_addresses[0].clone();
        node.handle.connect(address).await.unwrap();
    }
    eventually("the node is full", || useless.iter().all(|peer| node.knows(peer))).await;
    let column = vec![TopicKind::DataColumnSidecar(7)];
    node.handle.subscribe(column).await.unwrap();
    eventually("it has who keeps the column", || node.knows(&keeper)).await;
    assert!(node.handle.connected_peers() <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_without_discovery_connect_by_address() {
    let first = Node::start_with(1, DIGEST, &[], |config| config.disable_discovery = true).await;
    assert_eq!(first.handle.enr().udp4(), None);
    let tcp = first.handle.identity().p2p_addresses[0].to_string();
    let second = Node::start_with(1, DIGEST, &[], |config| {
        config.disable_discovery = true;
        config.disable_quic = true;
        config.boot_nodes = vec![tcp.parse().unwrap()];
    })
    .await;
    eventually("they meet", || first.knows(&second) && second.knows(&first)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_peer_is_disconnected_and_refused() {
    let first = Node::start(1, &[]).await;
    let second = Node::start(1, &[&first]).await;
    eventually("they meet", || first.knows(&second) && second.knows(&first)).await;
    first
        .handle
        .report_peer(second.id(), network::Penalty::Fatal, "test")
        .await
        .unwrap();
    eventually("it is gone", || {
        !first.is_connected_to(&second) && !second.is_connected_to(&first)
    })
    .await;
    let connects = first.counter("libp2p_peer_connect_event_total", "");
    let address = first.handle.identity().p2p_addresses[0].clone();
    second.handle.connect(address).await.unwrap();
    eventually("its own dials are closed", || {
        second.counter("libp2p_peer_disconnect_event_total", "") > 1
    })
    .await;
    assert_eq!(first.counter("libp2p_peer_connect_event_total", ""), connects);
    assert!(first.handle.peer(second.id()).await.unwrap().unwrap().banned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_two_requests_of_a_kind_are_under_way() {
    let server = Node::start(1, &[]).await;
    let client = Node::start(1, &[&server]).await;
    eventually("they meet", || client.knows(&server) && server.knows(&client)).await;
    server.seen.lock().unwrap().held = Some(Vec::new());
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(client.handle.request(server.id(), blocks(1)).await.unwrap());
    }
    let by_root = Request::BlocksByRoot(network::BlocksByRootRequest {
        roots: vec![types::Root::ZERO],
    });
    let other = client.handle.request(server.id(), by_root).await.unwrap();
    eventually("another kind is not held up", || {
        let seen = server.seen.lock().unwrap();
        let held = seen.held.as_ref().unwrap();
        held.iter().any(|(kind, _)| *kind == ProtocolKind::BlocksByRoot) && held.len() >= 3
    })
    .await;
    assert_eq!(server.seen.lock().unwrap().requests, 3);
    // Dropped responders end their answers; the next requests follow and are answered.
    server.seen.lock().unwrap().held = None;
    assert_eq!(all_chunks(other).await, Ok(vec![]));
    let mut chunks = 0;
    for answer in answers {
        chunks += all_chunks(answer).await.unwrap().len();
    }
    assert_eq!((chunks, server.seen.lock().unwrap().requests), (3, 6));
}

#[tokio::test]
async fn a_busy_port_is_named_with_what_the_system_says() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp_port, tcp_port) = (udp.local_addr().unwrap().port(), tcp.local_addr().unwrap().port());
    type Change = fn(&mut NetworkConfig, u16);
    let changes: [(&str, u16, Change); 3] = [
        ("QUIC", udp_port, |config, port| config.quic_port = Some(port)),
        ("discovery", udp_port, |config, port| config.discovery_port = Some(port)),
        ("TCP", tcp_port, |config, port| config.port = port),
    ];
    for (what, port, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config, port);
        let registry = prometheus::Registry::new();
        let started = NetworkService::start(config, forks(DIGEST), status(DIGEST, 0), &registry).await;
        let error = started.unwrap_err().to_string();
        let says = error.contains(&port.to_string()) && error.contains("in use");
        assert!(says, "{what}, port {port}: {error}");
    }
}
