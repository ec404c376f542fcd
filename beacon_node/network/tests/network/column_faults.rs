//! Data columns that a fault on purpose stops.

use crate::support::{DIGEST, Node, all_chunks, eventually, publish_when_followed};
use network::{
    ColumnFaults, DataColumnsByRangeRequest, DataColumnsByRootIdentifier, DataColumnsByRootRequest, GossipTopic,
    Request, RequestError, ResponseChunk, TopicKind,
};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
use types::{Root, Slot};

fn by_range(columns: &[u64]) -> Request {
    Request::DataColumnsByRange(DataColumnsByRangeRequest {
        start_slot: Slot::new(0),
        count: 1,
        columns: columns.to_vec().try_into().unwrap(),
    })
}

fn by_root(columns: &[u64]) -> Request {
    Request::DataColumnsByRoot(DataColumnsByRootRequest {
        identifiers: vec![DataColumnsByRootIdentifier {
            block_root: Root::ZERO,
            columns: columns.to_vec().try_into().unwrap(),
        }],
    })
}

/// The columns that a node gets from another.
async fn fetched(from: &Node, by: &Node, columns: &[u64]) -> Vec<u64> {
    let stream = by.handle.request(from.id(), by_range(columns)).await.unwrap();
    let chunks = all_chunks(stream).await.unwrap();
    let column = |chunk| match chunk {
        ResponseChunk::Object { ssz, .. } => u64::from_le_bytes(ssz.try_into().unwrap()),
        other => panic!("{other:?}"),
    };
    chunks.into_iter().map(column).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_columns_neither_come_nor_go_by_gossip_or_request() {
    // In a row: the ends have no connection.
    let middle = Node::start(1, &[]).await;
    let first = Node::start(1, &[&middle]).await;
    let last = Node::start(1, &[&middle]).await;
    for (one, other) in [(&first, &last), (&last, &first)] {
        let blocked = HashSet::from([other.id()]);
        one.handle.set_blocked_peers(blocked).await.unwrap();
    }
    eventually("they meet", || {
        [&first, &last]
            .iter()
            .all(|node| node.knows(&middle) && middle.knows(node))
    })
    .await;
    let columns = |columns: &[u64]| columns.iter().copied().collect::<BTreeSet<u64>>();
    let withheld = |withheld: &[u64]| ColumnFaults {
        withheld: columns(withheld),
        ..ColumnFaults::default()
    };
    let blocked = ColumnFaults {
        blocked: columns(&[5]),
        ..ColumnFaults::default()
    };
    first.handle.set_column_faults(withheld(&[6])).await.unwrap();
    middle.handle.set_column_faults(withheld(&[4])).await.unwrap();
    last.handle.set_column_faults(blocked).await.unwrap();

    let topic = |column| GossipTopic::new(DIGEST, TopicKind::DataColumnSidecar(column));
    for node in [&first, &middle, &last] {
        let topics = (3..=6).map(TopicKind::DataColumnSidecar).collect();
        node.handle.subscribe(topics).await.unwrap();
    }
    // Until the mesh stands.
    let mut begun = Vec::new();
    let heard = |node: &Node, begun: &[Vec<u8>]| begun.iter().any(|begin| node.got(begin));
    while !heard(&first, &begun) || !heard(&last, &begun) {
        // The end that follows later has not heard of those before.
        begun.push(format!("begin {}", begun.len()).into_bytes());
        assert!(begun.len() < 300, "the ends do not follow");
        publish_when_followed(&middle, topic(3), begun.last().unwrap()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for column in 3..=6u8 {
        publish_when_followed(&first, topic(column.into()), &[column]).await;
    }
    eventually("what is not stopped goes through", || {
        middle.got(&[3]) && middle.got(&[4]) && middle.got(&[5]) && last.got(&[3])
    })
    .await;
    publish_when_followed(&first, topic(3), b"end").await;
    eventually("all that was before has come", || last.got(b"end")).await;
    assert!(!middle.got(&[6]), "withheld by its publisher");
    assert!(!last.got(&[4]), "not forwarded");
    assert!(!last.got(&[5]), "not taken");
    assert!(last.score_of(middle.id()).await >= 0.0, "nobody is at fault");

    assert_eq!(fetched(&middle, &last, &[3, 4, 5]).await, [3]);
    let before = middle.seen.lock().unwrap().requests;
    assert_eq!(fetched(&middle, &last, &[5]).await, [0; 0]);
    let nothing = last.handle.request(middle.id(), by_root(&[5])).await.unwrap();
    assert_eq!(all_chunks(nothing).await, Ok(Vec::new()));
    assert_eq!(middle.seen.lock().unwrap().requests, before, "it was not asked");
    let other = last.handle.request(middle.id(), by_root(&[3, 5])).await.unwrap();
    let answer = all_chunks(other).await;
    assert!(
        matches!(answer, Err(RequestError::Rejected { .. })),
        "it was asked: {answer:?}"
    );

    for node in [&first, &middle, &last] {
        node.handle.set_column_faults(ColumnFaults::default()).await.unwrap();
        // Commands are done in order: the answer to this one means that the faults are gone.
        node.handle.topics().await.unwrap();
    }
    assert_eq!(fetched(&middle, &last, &[3, 4, 5]).await, [3, 4, 5]);
    publish_when_followed(&first, topic(6), b"healed").await;
    eventually("columns go through again", || last.got(b"healed")).await;
}
