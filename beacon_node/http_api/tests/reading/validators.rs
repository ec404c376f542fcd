//! Validators by index and key, with the keys of groups among them.

use crate::support::*;
use beacon_api::{StateId, ValidatorId, ValidatorStatus, ValidatorsRequest};
use types::*;

fn request(ids: Vec<ValidatorId>, statuses: &[&str]) -> ValidatorsRequest {
    ValidatorsRequest {
        ids: Some(ids),
        statuses: Some(statuses.iter().map(ToString::to_string).collect()),
    }
}

#[tokio::test]
async fn a_key_of_a_group_is_found_like_a_validators() {
    let mut node = Node::with_group().await;
    node.run_to(2).await;
    let groups = node.client.groups(StateId::Head).await.unwrap().data;
    let key = PublicKeyBytes::from_slice(&groups[0].key_sets.last().unwrap().keys[4].pubkey);
    let registry_key = node.producer.state.validators().get(GROUP as usize).unwrap().pubkey;

    let by_key = node
        .client
        .validator(StateId::Head, ValidatorId::PublicKey(key.into()))
        .await
        .unwrap()
        .unwrap()
        .data;
    assert_eq!(by_key.index, key_of_group(4));
    assert_eq!(by_key.validator.pubkey, SignerKey::from(key));
    assert_eq!(by_key.validator.effective_balance, 2048 * 1_000_000_000);
    assert_eq!(by_key.status, ValidatorStatus::ActiveOngoing);
    let by_index = node
        .client
        .validator(StateId::Head, ValidatorId::Index(key_of_group(4)))
        .await
        .unwrap();
    assert_eq!(by_index.unwrap().data, by_key);
    // A key that a group has kept signs for the group: its index is the virtual one.
    let kept = ValidatorId::PublicKey(registry_key.into());
    let kept = node.client.validator(StateId::Head, kept).await.unwrap().unwrap().data;
    assert_eq!(kept.index, key_of_group(KEPT_KEY));
    let registered = ValidatorId::Index(SignerIndex::new(GROUP));
    let registered = node
        .client
        .validator(StateId::Head, registered)
        .await
        .unwrap()
        .unwrap()
        .data;
    assert_eq!(registered.validator, kept.validator);
    assert_eq!(registered.balance, by_key.balance);
    let solo = node.producer.state.validators().get(4).unwrap().pubkey;
    let solo = node
        .client
        .validator(StateId::Head, ValidatorId::PublicKey(solo.into()))
        .await
        .unwrap();
    assert_eq!(solo.unwrap().data.index, SignerIndex::new(4));

    for nobody in [
        ValidatorId::PublicKey(PublicKeyBytes::repeat_byte(9).into()),
        ValidatorId::Index(SignerIndex::new(VALIDATORS)),
        ValidatorId::Index(key_of_group(7)),
        ValidatorId::Index(SignerIndex::virtual_index(ValidatorIndex::new(1), 0).unwrap()),
        ValidatorId::Index(SignerIndex::new(u64::MAX)),
    ] {
        assert!(
            node.client.validator(StateId::Head, nobody).await.unwrap().is_none(),
            "{nobody}"
        );
    }
    assert_eq!(node.get("/eth/v1/beacon/states/head/validators/0x12").await.0, 400);
}

#[tokio::test]
async fn lists_are_filtered_in_queries_and_bodies() {
    let mut node = Node::with_group().await;
    node.run_to(2).await;
    let all = node
        .client
        .validators(StateId::Head, &ValidatorsRequest::default())
        .await
        .unwrap();
    assert_eq!(all.data.len() as u64, VALIDATORS);
    assert!(all.data.iter().all(|entry| !entry.index.is_virtual()));
    let some = |index| ValidatorId::Index(SignerIndex::new(index));
    let ids = vec![some(3), ValidatorId::Index(key_of_group(0)), some(3), some(999)];
    let found = node
        .client
        .validators(StateId::Head, &request(ids.clone(), &["active"]))
        .await
        .unwrap()
        .data;
    let indices: Vec<SignerIndex> = found.iter().map(|entry| entry.index).collect();
    assert_eq!(indices, [SignerIndex::new(3), key_of_group(0)]);
    let gone = node
        .client
        .validators(StateId::Head, &request(ids.clone(), &["exited"]))
        .await
        .unwrap();
    assert!(gone.data.is_empty());
    // More than fits a query goes into a body.
    let many: Vec<ValidatorId> = (0..VALIDATORS).map(some).chain(ids.clone()).collect();
    let found = node
        .client
        .validators(StateId::Head, &request(many, &["active_ongoing"]))
        .await
        .unwrap()
        .data;
    assert_eq!(found.len() as u64, VALIDATORS + 1);

    let balances = node.client.validator_balances(StateId::Head, &[]).await.unwrap().data;
    let of_state: Vec<u64> = node.producer.state.balances().iter().copied().collect();
    assert_eq!(balances.iter().map(|entry| entry.balance).collect::<Vec<_>>(), of_state);
    let balances = node.client.validator_balances(StateId::Head, &ids).await.unwrap().data;
    assert_eq!(
        balances
            .iter()
            .map(|entry| (entry.index, entry.balance))
            .collect::<Vec<_>>(),
        [(SignerIndex::new(3), of_state[3]), (key_of_group(0), of_state[0])]
    );
    let (_, body) = node
        .get("/eth/v1/beacon/states/head/validator_balances?id=3&id=4,5")
        .await;
    assert_eq!(body["data"].as_array().unwrap().len(), 3);
    for wrong in [
        "validators?status=awake",
        "validators?id=me",
        "validator_balances?id=0x",
    ] {
        assert_eq!(
            node.get(&format!("/eth/v1/beacon/states/head/{wrong}")).await.0,
            400,
            "{wrong}"
        );
    }
}
