//! Nodes whose execution client's answers break, beside nodes whose do not.

use crate::ONE_AT_A_TIME;
use crate::checkpoint_sync;
use crate::network::{Beacon, BeaconFlags, Network, Plan, now_ms, start_client};
use crate::proxy::Proxy;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SLOT_MS: u64 = 2_000;
const SLOTS_PER_EPOCH: u64 = 8;
/// Faults of the short form; `ENGINE_FAULTS` says otherwise.
const FEW: u64 = 60;
/// Of a hundred calls.
const PERCENT: u64 = 40;
/// How soon after the last fault everybody has to agree again.
const SLOTS_TO_RECOVER: u64 = 12;

/// Nodes 1 and 2 have most of the stake; 3 and 4 have execution clients behind proxies, and all four a key of a group
/// that needs three of them.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_execution_clients_that_break_leave_a_consistent_head() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let faults: u64 = std::env::var("ENGINE_FAULTS").map_or(FEW, |text| text.parse().unwrap());
    let network = Network::new(&Plan {
        genesis_ms: now_ms() + 8_000,
        slot_ms: SLOT_MS,
        solo: vec![28, 28, 8, 8],
        with_group: true,
    });
    let mut executions = Vec::new();
    let mut proxies = Vec::new();
    let mut nodes: Vec<Beacon> = Vec::new();
    let mut clients = Vec::new();
    for node in 0..4 {
        let execution = network.execution_client(|config| config).await;
        let mut address = execution.address();
        if node >= 2 {
            let share = faults / 2 + if node == 2 { faults % 2 } else { 0 };
            let proxy = Proxy::start(address, 7 + node as u64, PERCENT, share).await;
            address = proxy.address;
            proxies.push(proxy);
        }
        executions.push(execution);
        let mut flags = BeaconFlags::new(&network, &format!("node-{node}")).execution(&network, address);
        if let Some(first) = nodes.first() {
            flags = flags.with(format!("--boot-nodes={}", first.enr().await));
        }
        let mut beacon = flags.start(&network);
        beacon.answering().await;
        clients.push(start_client(&network, node, beacon.http));
        nodes.push(beacon);
    }

    // A fault needs a call, and each node makes some in each slot.
    let deadline = Instant::now() + Duration::from_millis(SLOT_MS) * u32::try_from(faults + 40).unwrap();
    while proxies.iter().any(|proxy| proxy.left() > 0) {
        for process in nodes.iter_mut().map(|node| &mut node.process).chain(&mut clients) {
            process.assert_running();
        }
        assert!(
            Instant::now() < deadline,
            "{} faults left",
            proxies.iter().map(Proxy::left).sum::<u64>()
        );
        assert_one_finalized_chain(&nodes).await;
        sleep(Duration::from_millis(SLOT_MS)).await;
    }
    let over = network.slot_now();
    let mut by_kind: BTreeMap<String, u64> = BTreeMap::new();
    let mut calls = 0;
    for proxy in &proxies {
        let (some, counts) = proxy.counts();
        calls += some;
        for ((fault, _), count) in counts {
            *by_kind.entry(format!("{fault:?}")).or_default() += count;
        }
    }
    assert_eq!(by_kind.values().sum::<u64>(), faults);
    println!("{faults} of {calls} calls broken until slot {over}: {by_kind:?}");

    // Everybody has the head of the first node, and has it verified; and it goes on.
    let deadline = Instant::now() + Duration::from_millis(SLOT_MS * SLOTS_TO_RECOVER);
    loop {
        let heads = heads(&nodes).await;
        if heads
            .iter()
            .all(|(slot, root, is_optimistic)| *slot > over && *root == heads[0].1 && !is_optimistic)
        {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "slot {}: {heads:?}\n{}\n{}",
            network.slot_now(),
            nodes[2].process.log(),
            nodes[3].process.log()
        );
        sleep(Duration::from_millis(200)).await;
    }
    let recovered = network.slot_now();
    println!("all four nodes agree in slot {recovered}");

    // The execution clients have followed, each behind its proxy or not.
    let last = over / SLOTS_PER_EPOCH;
    for node in &mut nodes {
        let within = Duration::from_millis(SLOT_MS * SLOTS_PER_EPOCH * 5);
        node.wait_until("finality beyond the faults", within, async |node| {
            node.finalized().await.0 > last
        })
        .await;
    }
    assert_one_finalized_chain(&nodes).await;
    let finalized = nodes[0].finalized().await;
    println!("finalised epoch {} in slot {}", finalized.0, network.slot_now());
    checkpoint_sync::join(&network, &nodes[0]).await;
    drop(executions);
}

async fn heads(nodes: &[Beacon]) -> Vec<(u64, types::Root, bool)> {
    let mut heads = Vec::new();
    for node in nodes {
        let (slot, root) = node.head().await;
        heads.push((slot, root, node.api.syncing().await.unwrap().is_optimistic));
    }
    heads
}

/// What one node has finalised no other contradicts.
async fn assert_one_finalized_chain(nodes: &[Beacon]) {
    let mut by_epoch = BTreeMap::new();
    for node in nodes {
        let (epoch, root) = node.finalized().await;
        let other = by_epoch.insert(epoch, root);
        assert!(
            other.is_none_or(|other| other == root),
            "epoch {epoch}: {root} and {other:?}"
        );
    }
}
