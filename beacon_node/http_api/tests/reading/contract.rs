//! A node for those who ask it everything: the program that `API_CONTRACT` names is given its address.

use crate::accepted::{aggregate, attester_slashing, own_duty, proposer_slashing, single_vote, voluntary_exit};
use crate::support::Node;
use std::process::Command;
use types::ForkName;

/// Slots until something is finalised, and a little more.
const SLOTS: u64 = 36;

/// Runs the program to its end while the node serves.
async fn ask(node: &Node) {
    let program = std::env::var("API_CONTRACT").expect("API_CONTRACT names the program and its arguments");
    let mut words = program.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    words.extend(["--url".to_owned(), node.url.clone()]);
    let status = tokio::task::spawn_blocking(move || Command::new(&words[0]).args(&words[1..]).status())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{program}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the description of the API: make api-contract"]
async fn a_chain_without_groups_is_served_as_the_description_says() {
    let mut node = Node::start(ForkName::Fulu, Default::default()).await;
    node.run_to(SLOTS).await;
    let duty = own_duty(&node).await;
    node.client
        .submit_attestations(&[single_vote(&node, &duty)])
        .await
        .unwrap();
    node.client.submit_aggregates(&[aggregate(&node, &duty)]).await.unwrap();
    node.client
        .submit_proposer_slashing(&proposer_slashing(&node))
        .await
        .unwrap();
    node.client
        .submit_attester_slashing(&attester_slashing(&node))
        .await
        .unwrap();
    node.client.submit_voluntary_exit(&voluntary_exit(&node)).await.unwrap();
    ask(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the description of the API: make api-contract"]
async fn a_chain_with_groups_is_served_as_the_description_says() {
    let mut node = Node::with_group().await;
    node.run_to(SLOTS).await;
    ask(&node).await;
}
