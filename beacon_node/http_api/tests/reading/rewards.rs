//! Rewards are what the balances say.

use crate::support::*;
use beacon_api::{BlockId, SyncCommitteeReward, ValidatorId};
use std::collections::BTreeMap;
use types::*;

/// Gwei gained by each registry entry between two states.
fn gains(before: &BeaconState<Minimal>, after: &BeaconState<Minimal>) -> Vec<i64> {
    before
        .balances()
        .iter()
        .zip(after.balances().iter())
        .map(|(before, after)| *after as i64 - *before as i64)
        .collect()
}

#[tokio::test]
async fn attestations_of_an_epoch_are_paid_at_the_end_of_the_next() {
    let mut node = Node::with_group().await;
    node.run_to(16).await;
    // One solo validator and three keys of seven sleep for an epoch: too few keys for the threshold.
    let is_there = |signer: SignerIndex, _: Slot| {
        let is_asleep = signer == SignerIndex::new(5) || signer >= key_of_group(4);
        !is_asleep
    };
    while node.producer.state.slot() < Slot::new(24) {
        node.step(&is_there).await;
    }
    node.run_to(31).await;
    let error = node.client.attestation_rewards(Epoch::new(2), &[]).await.unwrap_err();
    assert_eq!(error.status(), Some(404), "they are not paid yet");
    let before = node.producer.state.clone();
    let mut after = before.clone();
    state_transition::process_slots(&mut after, Slot::new(32), &node.producer.spec).unwrap();
    node.run_to(33).await;

    let rewards = node.client.attestation_rewards(Epoch::new(2), &[]).await.unwrap();
    assert!(!rewards.finalized);
    let totals: Vec<i64> = rewards
        .data
        .total_rewards
        .iter()
        .map(|total| total.head + total.target + total.source + total.inactivity)
        .collect();
    assert_eq!(totals, gains(&before, &after));
    assert!(totals[5] < 0 && totals[GROUP as usize] < 0 && totals[6] > 0);
    let ideal = |eth: u64| {
        let of = |ideal: &&beacon_api::IdealAttestationReward| ideal.effective_balance == eth * 1_000_000_000;
        *rewards.data.ideal_rewards.iter().find(of).unwrap()
    };
    assert_eq!(ideal(256).target, rewards.data.total_rewards[6].target);
    assert!(ideal(2048).target > ideal(256).target);

    let ids = [
        ValidatorId::Index(key_of_group(2)),
        ValidatorId::Index(key_of_group(3)),
        ValidatorId::Index(SignerIndex::new(6)),
    ];
    let some = node.client.attestation_rewards(Epoch::new(2), &ids).await.unwrap().data;
    let who: Vec<u64> = some
        .total_rewards
        .iter()
        .map(|total| total.validator_index.as_u64())
        .collect();
    assert_eq!(who, [GROUP, 6]);
    let (status, _) = node.get("/eth/v1/beacon/rewards/attestations/2").await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn rewards_of_a_block_and_of_the_sync_committee_add_up_to_the_balances() {
    for fork in ForkName::ALL {
        let mut node = Node::start(fork, Default::default()).await;
        node.run_to(10).await;
        let is_there = |signer: SignerIndex, _: Slot| !signer.as_u64().is_multiple_of(2) || signer.is_virtual();
        let (mut before, block) = loop {
            let before = node.producer.state.clone();
            if let Some(block) = node.step(&is_there).await {
                break (before, block);
            }
        };
        state_transition::process_slots(&mut before, block.slot(), &node.producer.spec).unwrap();
        let mut gains = gains(&before, &node.producer.state);
        let id = BlockId::Root(block.block_root());
        let rewards = node.client.block_rewards(id).await.unwrap().data;
        assert_eq!(rewards.proposer_index, block.message().proposer_index());
        assert!(rewards.attestations > 0 && rewards.sync_aggregate > 0);
        assert_eq!(rewards.total, rewards.attestations + rewards.sync_aggregate);
        let members = node.client.sync_committee_rewards(id, &[]).await.unwrap().data;
        let mut of_members: BTreeMap<u64, i64> = BTreeMap::new();
        for member in &members {
            *of_members
                .entry(member.validator_index.validator().as_u64())
                .or_default() += member.reward;
        }
        // Without the withdrawals nothing is left when all rewards are taken back.
        for withdrawal in &block.message().body().execution_payload().withdrawals {
            gains[withdrawal.validator_index.as_usize()] += withdrawal.amount as i64;
        }
        gains[rewards.proposer_index.as_u64() as usize] -= rewards.total as i64;
        for (index, reward) in &of_members {
            gains[*index as usize] -= reward;
        }
        assert_eq!(gains, vec![0; VALIDATORS as usize], "{fork}");
        let is_paid = |member: &SyncCommitteeReward| member.reward > 0;
        assert!(members.iter().any(is_paid));
        // In Fulu the harness has all members sign.
        assert_eq!(members.iter().all(is_paid), fork == ForkName::Fulu, "{members:?}");
        let one = [ValidatorId::Index(members[0].validator_index)];
        assert_eq!(
            node.client.sync_committee_rewards(id, &one).await.unwrap().data,
            members[..1]
        );
        let nothing = node.client.block_rewards(BlockId::Genesis).await.unwrap_err();
        assert_eq!(nothing.status(), Some(404));
        assert_eq!(
            node.client
                .block_rewards(BlockId::Slot(Slot::new(99)))
                .await
                .unwrap_err()
                .status(),
            Some(404)
        );
    }
}
