//! What peers get that ask for much, or read slowly.

use crate::world::{History, LENGTH, Node, columns_of};
use network::{
    BlocksByRangeRequest, DataColumnsByRangeRequest, DataColumnsByRootIdentifier, DataColumnsByRootRequest,
    NetworkConfig, NetworkEvent, NetworkHandle, NetworkService, PeerId, Request, ResponseChunk, ResponseStream,
};
use router::{fork_context, status_message};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::sync::mpsc;
use types::*;

const DEADLINE: Duration = Duration::from_secs(60);

/// A peer that asks for nothing by itself.
pub(crate) struct Asker {
    pub(crate) network: NetworkHandle,
    server: PeerId,
    _events: mpsc::Receiver<NetworkEvent>,
    _dir: tempfile::TempDir,
}

impl Asker {
    pub(crate) async fn of(node: &Node) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = NetworkConfig::new(dir.path().to_path_buf());
        config.listen_address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        config.port = 0;
        config.disable_discovery = true;
        let chain = &node.chain;
        let forks = fork_context(chain.spec(), chain.genesis_validators_root(), chain.current_epoch());
        let registry = prometheus::Registry::new();
        let (network, mut events) = NetworkService::start(config, forks, status_message(chain), &registry)
            .await
            .unwrap();
        let server = node.network.identity();
        let is_tcp = |address: &&_| format!("{address}").contains("/tcp/");
        let address = server.p2p_addresses.iter().find(is_tcp).unwrap();
        network.connect(address.clone()).await.unwrap();
        let shaken_hands = async { while !matches!(events.recv().await.unwrap(), NetworkEvent::PeerStatus { .. }) {} };
        tokio::time::timeout(DEADLINE, shaken_hands).await.unwrap();
        Self {
            network,
            server: server.peer_id,
            _events: events,
            _dir: dir,
        }
    }

    async fn ask(&self, request: Request) -> ResponseStream {
        self.network.request(self.server, request).await.unwrap()
    }
}

async fn first_chunk(answer: &mut ResponseStream) -> ResponseChunk {
    let chunk = tokio::time::timeout(DEADLINE, answer.next()).await;
    chunk.expect("the answer begins").unwrap().unwrap()
}

fn blocks() -> Request {
    Request::BlocksByRange(BlocksByRangeRequest {
        start_slot: Slot::new(0),
        count: LENGTH,
    })
}

/// Every column of all blocks: more than a stream takes while nobody reads it.
fn all_columns(history: &History) -> [Request; 2] {
    let columns: Vec<ColumnIndex> = (0..128).collect();
    let with_columns = history.blocks.iter().filter(|block| !columns_of(block).is_empty());
    let identifiers = with_columns.map(|block| DataColumnsByRootIdentifier {
        block_root: block.block_root(),
        columns: columns.clone().try_into().unwrap(),
    });
    let by_root = DataColumnsByRootRequest {
        identifiers: identifiers.collect(),
    };
    let by_range = DataColumnsByRangeRequest {
        start_slot: Slot::new(0),
        count: LENGTH + 1,
        columns: columns.clone().try_into().unwrap(),
    };
    [
        Request::DataColumnsByRoot(by_root),
        Request::DataColumnsByRange(by_range),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_its_answers_takes_no_more_than_its_share_of_the_places() {
    let history = History::new();
    let node = Node::old(&history, |block| block).await;
    let (slow, other) = (Asker::of(&node).await, Asker::of(&node).await);
    let mut unread = Vec::new();
    for request in all_columns(&history) {
        for _ in 0..2 {
            let mut answer = slow.ask(request.clone()).await;
            first_chunk(&mut answer).await;
            unread.push(answer);
        }
    }
    let mut fifth = slow.ask(blocks()).await;
    // Much less than a chunk may take, after which a place is free again.
    let wait = tokio::time::timeout(Duration::from_secs(1), fifth.next()).await;
    assert!(wait.is_err(), "it waits for a place: {wait:?}");
    first_chunk(&mut other.ask(blocks()).await).await;
    let mut read = unread.pop().unwrap();
    while let Some(chunk) = tokio::time::timeout(DEADLINE, read.next()).await.unwrap() {
        chunk.unwrap();
    }
    first_chunk(&mut fifth).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_places_are_taken_who_asks_gets_the_next_that_is_free() {
    let history = History::new();
    let node = Node::old(&history, |block| block).await;
    let other = Asker::of(&node).await;
    let (mut slow, mut unread) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        slow.push(Asker::of(&node).await);
    }
    for asker in &slow {
        for request in all_columns(&history) {
            for _ in 0..2 {
                let mut answer = asker.ask(request.clone()).await;
                first_chunk(&mut answer).await;
                unread.push(answer);
            }
        }
    }
    let mut next = other.ask(blocks()).await;
    // Much less than a chunk may take.
    let wait = tokio::time::timeout(Duration::from_secs(1), next.next()).await;
    assert!(wait.is_err(), "it waits for a place: {wait:?}");
    let mut read = unread.pop().unwrap();
    while let Some(chunk) = tokio::time::timeout(DEADLINE, read.next()).await.unwrap() {
        chunk.unwrap();
    }
    first_chunk(&mut next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn few_columns_of_many_slots_are_served_in_order_and_are_nobodys_fault() {
    const COLUMNS: [ColumnIndex; 2] = [3, 77];
    let history = History::new();
    let node = Node::old(&history, |block| block).await;
    let asker = Asker::of(&node).await;
    // More slots than blocks may be asked for.
    let request = Request::DataColumnsByRange(DataColumnsByRangeRequest {
        start_slot: Slot::new(0),
        count: 8192,
        columns: COLUMNS.to_vec().try_into().unwrap(),
    });
    let mut answer = asker.ask(request).await;
    let mut received = Vec::new();
    while let Some(chunk) = tokio::time::timeout(DEADLINE, answer.next()).await.unwrap() {
        let ResponseChunk::Object { ssz, .. } = chunk.unwrap() else {
            panic!("a column is no small answer");
        };
        let sidecar = DataColumnSidecar::<Minimal>::from_ssz_bytes_by_fork(&ssz, ForkName::Dvt).unwrap();
        received.push((sidecar.block_header().slot, sidecar.index()));
    }
    let with_columns = history.blocks.iter().filter(|block| !columns_of(block).is_empty());
    let expected: Vec<_> = with_columns
        .flat_map(|block| COLUMNS.map(|index| (block.slot(), index)))
        .collect();
    assert!(expected.len() > 10);
    assert_eq!(received, expected);
    let peers = node.network.peers().await.unwrap();
    assert!(peers.iter().all(|peer| peer.score == 0.0), "{peers:?}");
}
