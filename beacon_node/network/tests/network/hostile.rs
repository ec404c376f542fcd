//! Peers that break the encodings: what they send is refused, and they pay for it.

use crate::support::{DIGEST, NEXT_DIGEST, Node, eventually, eventually_async};
use futures::future::BoxFuture;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, OneShotHandler, Swarm, SwarmEvent,
    THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, gossipsub, noise, tcp, yamux};
use network::{GossipTopic, TopicKind, compress};
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use types::ForkDigest;

/// What a peer does after it has written its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Ends its half of the stream and reads what comes back.
    Read,
    /// Keeps the stream open for ever, and says nothing more.
    KeepSilent,
}

/// Writes bytes on a protocol.
#[derive(Clone, Debug)]
struct Raw {
    protocol: &'static str,
    bytes: Vec<u8>,
    then: Then,
}

impl UpgradeInfo for Raw {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(StreamProtocol::new(self.protocol))
    }
}

impl OutboundUpgrade<Stream> for Raw {
    type Output = Vec<u8>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Vec<u8>>>;
    fn upgrade_outbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        async move {
            stream.write_all(&self.bytes).await?;
            if self.then == Then::KeepSilent {
                stream.flush().await?;
                tokio::spawn(async move {
                    let _stream = stream;
                    std::future::pending::<()>().await;
                });
                return Ok(Vec::new());
            }
            stream.close().await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok(answer)
        }
        .boxed()
    }
}

#[derive(Clone, Debug, Default)]
struct NoInbound;

impl UpgradeInfo for NoInbound {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Empty<StreamProtocol>;
    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::empty()
    }
}

impl InboundUpgrade<Stream> for NoInbound {
    type Output = Vec<u8>;
    type Error = io::Error;
    type Future = futures::future::Ready<io::Result<Vec<u8>>>;
    fn upgrade_inbound(self, _: Stream, _: StreamProtocol) -> Self::Future {
        futures::future::ready(Ok(Vec::new()))
    }
}

type RawHandler = OneShotHandler<NoInbound, Raw, Vec<u8>>;

#[derive(Default)]
struct RawRequests {
    queue: VecDeque<(PeerId, Raw)>,
    answers: VecDeque<Vec<u8>>,
}

impl NetworkBehaviour for RawRequests {
    type ConnectionHandler = RawHandler;
    type ToSwarm = Vec<u8>;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(RawHandler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(RawHandler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        self.answers.extend(event.ok());
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Vec<u8>, THandlerInEvent<Self>>> {
        if let Some((peer_id, event)) = self.queue.pop_front() {
            return Poll::Ready(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::Any,
                event,
            });
        }
        self.answers
            .pop_front()
            .map_or(Poll::Pending, |answer| Poll::Ready(ToSwarm::GenerateEvent(answer)))
    }
}

#[derive(NetworkBehaviour)]
struct HostileBehaviour {
    raw: RawRequests,
    gossipsub: gossipsub::Behaviour,
}

/// A peer without scruples, connected to `victim`.
struct Hostile {
    swarm: Swarm<HostileBehaviour>,
    victim: PeerId,
}

impl Hostile {
    async fn connect(victim: &Node) -> Self {
        let config = gossipsub::ConfigBuilder::default()
            .validation_mode(gossipsub::ValidationMode::Anonymous)
            .max_transmit_size(1 << 24)
            .message_id_fn(|message| gossipsub::MessageId::from(message.data.clone()))
            .build()
            .unwrap();
        let behaviour = HostileBehaviour {
            raw: RawRequests::default(),
            gossipsub: gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config).unwrap(),
        };
        let mut swarm = SwarmBuilder::with_existing_identity(network::NodeKey::generate().libp2p().unwrap())
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let addresses = victim.handle.identity().p2p_addresses;
        let tcp = addresses
            .into_iter()
            .find(|address| address.to_string().contains("/tcp/"))
            .unwrap();
        swarm.dial(tcp).unwrap();
        loop {
            if let SwarmEvent::ConnectionEstablished { .. } = swarm.select_next_some().await {
                break;
            }
        }
        Self {
            swarm,
            victim: victim.id(),
        }
    }

    fn id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    fn send(&mut self, protocol: &'static str, bytes: Vec<u8>) {
        self.push(protocol, bytes, Then::Read);
    }

    fn push(&mut self, protocol: &'static str, bytes: Vec<u8>, then: Then) {
        let raw = Raw { protocol, bytes, then };
        self.swarm.behaviour_mut().raw.queue.push_back((self.victim, raw));
    }

    /// Asks for a block as an honest peer would, and gets it.
    async fn is_served(&mut self) {
        self.send(RANGE, blocks(1));
        assert_eq!(self.answer().await.first(), Some(&SUCCESS));
    }

    /// Says what an honest peer would, without which nobody stays connected for long.
    async fn shakes_hands(&mut self) {
        let status = [
            DIGEST.as_slice(),
            &[0; 32 + 8],
            &[1; 32],
            &1u64.to_le_bytes(),
            &0u64.to_le_bytes(),
        ];
        self.send(STATUS, frame(&status.concat()));
        assert_eq!(self.answer().await.first(), Some(&SUCCESS));
    }

    async fn answer(&mut self) -> Vec<u8> {
        let answer = async {
            loop {
                if let SwarmEvent::Behaviour(HostileBehaviourEvent::Raw(answer)) = self.swarm.select_next_some().await {
                    return answer;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), answer)
            .await
            .expect("the victim answers")
    }

    /// Publishes raw bytes once the victim is known to follow the topic, and goes on living.
    async fn publish(&mut self, topic: GossipTopic, bytes: Vec<u8>) {
        let topic = gossipsub::IdentTopic::new(topic.to_string());
        let publish = async {
            while self
                .swarm
                .behaviour_mut()
                .gossipsub
                .publish(topic.clone(), bytes.clone())
                .is_err()
            {
                self.swarm.select_next_some().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), publish)
            .await
            .expect("the victim follows the topic");
    }

    /// Lives in the background.
    fn release(mut self) {
        tokio::spawn(async move {
            loop {
                self.swarm.select_next_some().await;
            }
        });
    }
}

/// The frame of a request for so many columns of so many slots.
fn columns(slots: u64, columns: u64) -> Vec<u8> {
    let mut request = [0u64, slots].map(u64::to_le_bytes).concat();
    request.extend(20u32.to_le_bytes());
    request.extend((0..columns).flat_map(u64::to_le_bytes));
    frame(&request)
}

/// The frame of a request for so many blocks.
fn blocks(count: u64) -> Vec<u8> {
    frame(&[0, count, 1].map(u64::to_le_bytes).concat())
}

const STATUS: &str = "/eth2/beacon_chain/req/status/2/ssz_snappy";
const RANGE: &str = "/eth2/beacon_chain/req/beacon_blocks_by_range/2/ssz_snappy";
const COLUMNS: &str = "/eth2/beacon_chain/req/data_column_sidecars_by_range/1/ssz_snappy";
const MESHSUB: &str = "/meshsub/1.1.0";
const SUCCESS: u8 = 0;
const INVALID_REQUEST: u8 = 1;
const RATE_LIMITED: u8 = 139;

/// A length as protocol buffers have it.
fn varint(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}

/// The length and the payload as snappy frames.
fn frame(payload: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut bytes = varint(payload.len());
    let mut encoder = snap::write::FrameEncoder::new(&mut bytes);
    encoder.write_all(payload).unwrap();
    encoder.flush().unwrap();
    drop(encoder);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_requests_are_answered_with_an_error_and_penalised() {
    let victim = Node::start(1, &[]).await;
    let broken: [(&str, Vec<u8>); 5] = [
        ("endless varint", vec![0xff; 12]),
        ("length above the type", vec![0xff, 0xff, 0x7f]),
        ("garbage for frames", [vec![92], vec![0x42; 60]].concat()),
        ("bytes behind the request", [frame(&[0; 92]), vec![1]].concat()),
        ("too short for its type", frame(&[0; 91])),
    ];
    for (number, (what, bytes)) in broken.into_iter().enumerate() {
        let mut hostile = Hostile::connect(&victim).await;
        let id = hostile.id();
        hostile.send(STATUS, bytes);
        let answer = hostile.answer().await;
        assert_eq!(answer.first(), Some(&INVALID_REQUEST), "{what}");
        assert!(answer.len() > 2, "{what}: an error has a text");
        eventually_async("it loses score", async || victim.score_of(id).await <= -9.0).await;
        let penalties = victim.counter("libp2p_report_peer_msgs_total", "invalid_request");
        assert_eq!(penalties, number as u64 + 1, "{what}");
    }
    assert!(victim.seen.lock().unwrap().statuses.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_too_much_is_refused_and_penalised() {
    let victim = Node::start(1, &[]).await;
    let mut hostile = Hostile::connect(&victim).await;
    let id = hostile.id();
    // Four fit the quota, the next has to wait.
    for _ in 0..5 {
        hostile.send(RANGE, blocks(128));
        assert_eq!(hostile.answer().await.first(), Some(&SUCCESS));
    }
    assert_eq!(victim.score_of(id).await, 0.0);
    // All columns of 128 slots fit once, and not again soon.
    for expected in [SUCCESS, RATE_LIMITED] {
        hostile.send(COLUMNS, columns(128, 128));
        assert_eq!(hostile.answer().await.first(), Some(&expected));
    }
    eventually_async("it loses score", async || victim.score_of(id).await < 0.0).await;
    assert!(victim.counter("network_rpc_rate_limited_total", "refused") > 0);
    assert!(victim.counter("network_rpc_rate_limited_total", "withheld") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_request_of_a_kind_waits_for_its_turn_and_those_behind_it_are_refused() {
    const TOO_MANY: usize = 4;
    let victim = Node::start(1, &[]).await;
    victim.seen.lock().unwrap().held = Some(Vec::new());
    let mut hostile = Hostile::connect(&victim).await;
    let id = hostile.id();
    hostile.shakes_hands().await;
    for _ in 0..3 + TOO_MANY {
        hostile.send(RANGE, blocks(1));
    }
    for number in 0..TOO_MANY {
        assert_eq!(hostile.answer().await.first(), Some(&RATE_LIMITED), "refusal {number}");
    }
    let refused = || victim.counter("network_rpc_rate_limited_total", "refused");
    eventually("the refusals are counted", || refused() == TOO_MANY as u64).await;
    assert_eq!(victim.seen.lock().unwrap().requests, 2, "no others are passed on");
    // Other kinds are served meanwhile.
    hostile.shakes_hands().await;
    // One answer ends, and the third has its turn.
    let first = victim.seen.lock().unwrap().held.as_mut().unwrap().remove(0);
    drop(first);
    assert!(
        hostile.answer().await.is_empty(),
        "the end of an answer without a chunk"
    );
    let score = victim.score_of(id).await;
    assert!(score < -3.0 && score > -5.0, "a little for each refusal: {score}");
    hostile.release();
    eventually("the third is passed on", || victim.seen.lock().unwrap().requests == 3).await;
    assert_eq!(refused(), TOO_MANY as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_oversized_gossip_is_not_delivered_and_costs_score() {
    let victim = Node::start(1, &[]).await;
    victim.handle.subscribe(vec![TopicKind::VoluntaryExit]).await.unwrap();
    let topic = GossipTopic::new(DIGEST, TopicKind::VoluntaryExit);
    let oversized = compress(&vec![0; (1 << 20) + 1], 1 << 24).unwrap();
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    for bytes in [b"no snappy at all".to_vec(), oversized, bomb] {
        let mut hostile = Hostile::connect(&victim).await;
        let id = hostile.id();
        hostile.publish(topic, bytes).await;
        hostile.release();
        eventually_async("it loses score", async || victim.score_of(id).await < 0.0).await;
    }
    assert!(victim.seen.lock().unwrap().gossip.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocols_that_do_not_exist_and_requests_that_end_early_are_not_served() {
    let victim = Node::start(1, &[]).await;
    let mut hostile = Hostile::connect(&victim).await;
    let id = hostile.id();
    for protocol in [
        "/eth2/beacon_chain/req/blocks_by_magic/1/ssz_snappy",
        "/eth2/beacon_chain/req/status/999/ssz_snappy",
        "/eth2/beacon_chain/req/status/2/ssz",
        "/nothing",
    ] {
        hostile.send(protocol, frame(&[0; 8]));
    }
    let whole = frame(&[0; 92]);
    for cut in [1, 2, 20, whole.len() - 1] {
        hostile.send(STATUS, whole[..cut].to_vec());
        // Where the request should go on, there is an end: nothing can be said about it.
        assert!(hostile.answer().await.is_empty(), "{cut} bytes");
    }
    // A little for each of the four, so that it cannot go on for ever.
    eventually_async("it loses score", async || victim.score_of(id).await < -3.5).await;
    assert_eq!(victim.counter("libp2p_report_peer_msgs_total", "request_cut_short"), 4);
    hostile.is_served().await;
    assert!(victim.score_of(id).await > -5.0);
    let seen = victim.seen.lock().unwrap();
    assert_eq!((seen.requests, seen.statuses.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_opens_streams_and_says_nothing_pays_when_they_are_given_up() {
    const SILENT: u64 = 3;
    let victim = Node::start(1, &[]).await;
    let mut hostile = Hostile::connect(&victim).await;
    let id = hostile.id();
    hostile.shakes_hands().await;
    for _ in 0..SILENT {
        // The length of a status, and never the status.
        hostile.push(STATUS, vec![92], Then::KeepSilent);
        hostile.answer().await;
    }
    // Others are served meanwhile, and so is itself.
    let mut honest = Hostile::connect(&victim).await;
    honest.shakes_hands().await;
    honest.is_served().await;
    hostile.is_served().await;
    let honest_id = honest.id();
    honest.release();
    hostile.release();
    let overdue = || victim.counter("libp2p_report_peer_msgs_total", "request_overdue");
    assert_eq!(overdue(), 0, "it has some time");
    eventually("all are given up", || overdue() == SILENT).await;
    assert!(victim.score_of(id).await < -2.5);
    assert_eq!(victim.score_of(honest_id).await, 0.0);
}

/// A field of a protocol buffer that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[(number << 3) | 2], varint(bytes.len()).as_slice(), bytes].concat()
}

/// A gossipsub stream with one message, which an ordinary client would not send: nobody follows its topic.
fn gossip_of(topic: &str, data: &[u8]) -> Vec<u8> {
    let message = [field(2, data), field(4, topic.as_bytes())].concat();
    let rpc = field(2, &message);
    // The frame has a length, and no number.
    field(0, &rpc).split_off(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_of_topics_that_are_not_followed_is_not_delivered() {
    let victim = Node::start(1, &[]).await;
    victim.handle.subscribe(vec![TopicKind::VoluntaryExit]).await.unwrap();
    let followed = GossipTopic::new(DIGEST, TopicKind::VoluntaryExit);
    let unknown_digest = GossipTopic::new(ForkDigest::new([1, 2, 3, 4]), TopicKind::VoluntaryExit);
    let next_digest = GossipTopic::new(NEXT_DIGEST, TopicKind::VoluntaryExit);
    let not_followed = GossipTopic::new(DIGEST, TopicKind::ProposerSlashing);
    let payload = |text: &str| compress(text.as_bytes(), 1 << 10).unwrap();
    let topics = [
        unknown_digest.to_string(),
        next_digest.to_string(),
        not_followed.to_string(),
        "/eth2/zz/voluntary_exit/ssz_snappy".to_owned(),
        "\u{0}".to_owned(),
    ];
    // The last message shows that those before it were read.
    let mut bytes: Vec<u8> = topics
        .iter()
        .flat_map(|topic| gossip_of(topic, &payload(topic)))
        .collect();
    bytes.extend(gossip_of(&followed.to_string(), &payload("an exit")));
    let mut hostile = Hostile::connect(&victim).await;
    hostile.push(MESHSUB, bytes, Then::KeepSilent);
    hostile.answer().await;
    hostile.release();
    eventually("the exit is delivered", || victim.got(b"an exit")).await;
    assert_eq!(victim.seen.lock().unwrap().gossip.len(), 1);

    // Bytes that are no protocol buffer at all: the node goes on.
    let mut hostile = Hostile::connect(&victim).await;
    hostile.push(MESHSUB, vec![0x05, 0xff, 0xff, 0xff, 0xff, 0xff], Then::KeepSilent);
    hostile.answer().await;
    hostile.release();
    let mut honest = Hostile::connect(&victim).await;
    honest.publish(followed, payload("another exit")).await;
    honest.release();
    eventually("the other exit is delivered", || victim.got(b"another exit")).await;
    assert_eq!(victim.seen.lock().unwrap().gossip.len(), 2);
}
