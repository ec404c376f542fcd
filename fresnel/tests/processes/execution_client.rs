//! A node whose execution client loses its chain, refuses it, or is another network's.

use crate::ONE_AT_A_TIME;
use crate::network::{Beacon, BeaconFlags, Network, Plan, now_ms, start_client};
use beacon_api::Health;
use mock_execution::{MockConfig, MockExecution};
use std::net::SocketAddr;
use std::time::Duration;

const SLOT_MS: u64 = 2_000;

fn plan() -> Plan {
    Plan {
        genesis_ms: now_ms() + 5_000,
        slot_ms: SLOT_MS,
        solo: vec![16],
        with_group: false,
    }
}

async fn is_ready(node: &Beacon) -> bool {
    matches!(node.api.health().await, Ok(Health::Ready))
}

async fn head_at_least(node: &Beacon, slot: u64) -> bool {
    node.head().await.0 >= slot
}

/// Nothing but its genesis, at the same address, and nobody to get blocks from.
async fn empty_at(network: &Network, listen: SocketAddr) -> MockExecution {
    let config = |config| MockConfig {
        listen,
        sync_after: None,
        ..config
    };
    network.execution_client(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_execution_client_lost_its_database_recovers_without_help() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&plan());
    let execution = network.execution_client(|config| config).await;
    let address = execution.address();
    let flags = BeaconFlags::new(&network, "node").execution(&network, address);
    let mut node = flags.start(&network);
    node.answering().await;
    let mut client = start_client(&network, 0, node.http);
    let patience = Duration::from_secs(40);
    node.wait_until("slot 5", patience, async |node| head_at_least(node, 5).await)
        .await;

    // While the node runs.
    drop(execution);
    node.wait_until("the loss is noticed", patience, async |node| !is_ready(node).await)
        .await;
    let execution = empty_at(&network, address).await;
    node.wait_until("readiness", patience, async |node| is_ready(node).await)
        .await;
    let slot = network.slot_now() + 2;
    node.wait_until("new blocks", patience, async |node| head_at_least(node, slot).await)
        .await;
    assert!(execution.block_count() > 5, "{}", execution.block_count());

    // And while it is down.
    node.process.stop();
    drop(execution);
    let execution = empty_at(&network, address).await;
    let mut node = flags.start(&network);
    node.answering().await;
    node.wait_until("readiness after a restart", patience, async |node| is_ready(node).await)
        .await;
    assert!(
        node.process.log().contains("it gets them from this node"),
        "{}",
        node.process.log()
    );
    let slot = network.slot_now() + 2;
    node.wait_until("new blocks after a restart", patience, async |node| {
        head_at_least(node, slot).await
    })
    .await;
    assert!(execution.block_count() > 8, "{}", execution.block_count());
    client.assert_running();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_another_chain_are_told_and_end_when_mended() {
    let _alone = ONE_AT_A_TIME.lock().await;
    // Before genesis a node needs nothing but its execution client.
    let network = Network::new(&Plan {
        genesis_ms: now_ms() + 3_600_000,
        ..plan()
    });
    let patience = Duration::from_secs(30);
    let with = |listen, secret: [u8; 32], chain_id: Option<u64>| {
        network.execution_client(move |config| MockConfig {
            listen,
            jwt_secret: secret,
            chain_id: chain_id.unwrap_or(config.chain_id),
            ..config
        })
    };
    let right = crate::network::SECRET;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let execution = with(any, [1; 32], None).await;
    let address = execution.address();
    let mut node = BeaconFlags::new(&network, "node")
        .execution(&network, address)
        .start(&network);
    node.answering().await;
    let says = async |node: &Beacon, words: &str| node.process.log().contains(words);
    node.wait_until("a line about the secret", patience, async |node| {
        says(node, "both sides need the same secret").await
    })
    .await;
    assert_eq!(node.api.health().await.unwrap(), Health::Syncing);
    drop(execution);

    let execution = with(address, right, Some(11_155_111)).await;
    node.wait_until("a line about the chain id", patience, async |node| {
        says(node, "execution client is on chain 11155111, this network's is 3151908").await
    })
    .await;
    assert_eq!(node.api.health().await.unwrap(), Health::Syncing);
    drop(execution);

    let other = Network::new(&Plan {
        genesis_ms: network.genesis_ms + 60_000,
        ..plan()
    });
    let execution = other
        .execution_client(|config| MockConfig {
            listen: address,
            ..config
        })
        .await;
    let both = format!(
        "execution client's chain begins with block {}, this network's with {}",
        other.execution_genesis.hash, network.execution_genesis.hash
    );
    node.wait_until("a line about the first block", patience, async |node| {
        says(node, &both).await
    })
    .await;
    assert_eq!(node.api.health().await.unwrap(), Health::Syncing);
    drop(execution);

    let _execution = with(address, right, None).await;
    node.wait_until("readiness", patience, async |node| is_ready(node).await)
        .await;
}

/// Each answer takes longer than the validator client's votes can wait, but they come: the chain goes on.
#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_do_not_stop_the_chain() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&plan());
    let execution = network.execution_client(|config| config).await;
    let mut node = BeaconFlags::new(&network, "node")
        .execution(&network, execution.address())
        .start(&network);
    node.answering().await;
    let _client = start_client(&network, 0, node.http);
    let patience = Duration::from_secs(60);
    node.wait_until("slot 2", patience, async |node| head_at_least(node, 2).await)
        .await;
    execution.set_faults(|faults| faults.delay = Duration::from_millis(SLOT_MS / 4));
    let slot = network.slot_now() + 8;
    node.wait_until("new blocks with slow answers", patience, async |node| {
        head_at_least(node, slot).await
    })
    .await;
    execution.set_faults(|faults| faults.delay = Duration::ZERO);
    node.wait_until("readiness", patience, async |node| is_ready(node).await)
        .await;
}

/// Files of another network below a data directory that has a chain already.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_network_is_refused_with_both_values() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let network = Network::new(&plan());
    let mut node = BeaconFlags::new(&network, "node").start(&network);
    node.answering().await;
    node.process.stop();
    let other = Network::new(&Plan {
        solo: vec![20],
        ..plan()
    });
    let output = std::process::Command::new(crate::network::FRESNEL)
        .args([
            "bn",
            "--disable-discovery",
            "--listen-address=127.0.0.1",
            "--port=0",
            "--quic-port=0",
        ])
        .arg(format!("--datadir={}", network.path("node").display()))
        .arg(format!("--testnet-dir={}", other.testnet.display()))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for root in [network.genesis_validators_root, other.genesis_validators_root] {
        assert!(errors.contains(&root.to_string()), "{errors}");
    }
}
