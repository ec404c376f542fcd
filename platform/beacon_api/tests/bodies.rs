//! Bodies look as the Beacon API says: names, and integers in quotes.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use beacon_api::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use types::{Minimal, SignerIndex, ValidatorIndex};

/// Reads a body and writes it again: nothing is lost and nothing is added.
fn comes_back<T: Serialize + DeserializeOwned>(body: Value) {
    let read: T = serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!(serde_json::to_value(read).unwrap(), body);
}

fn root(byte: u8) -> String {
    format!("0x{}", format!("{byte:02x}").repeat(32))
}

fn pubkey(byte: u8) -> String {
    format!("0x{}", format!("{byte:02x}").repeat(48))
}

fn signature(byte: u8) -> String {
    format!("0x{}", format!("{byte:02x}").repeat(96))
}

fn virtual_index() -> String {
    SignerIndex::virtual_index(ValidatorIndex::new(9), 3)
        .unwrap()
        .to_string()
}

#[test]
fn of_the_node() {
    comes_back::<Data<Syncing>>(json!({"data": {
        "head_slot": "1", "sync_distance": "2", "is_syncing": true, "is_optimistic": true, "el_offline": false,
    }}));
    comes_back::<Data<Version>>(json!({"data": {"version": "Fresnel/v0.1.0"}}));
    comes_back::<Data<Identity>>(json!({"data": {
        "peer_id": "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        "enr": "enr:-abc",
        "p2p_addresses": ["/ip4/7.7.7.7/tcp/4242/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"],
        "discovery_addresses": [],
        "metadata": {
            "seq_number": "1", "attnets": "0x0000000000000000", "syncnets": "0x0f", "custody_group_count": "4",
        },
    }}));
    comes_back::<Peers>(json!({
        "data": [{
            "peer_id": "Qm", "enr": null, "last_seen_p2p_address": "/ip4/7.7.7.7/tcp/4242",
            "state": "connected", "direction": "inbound",
        }],
        "meta": {"count": 1},
    }));
    comes_back::<PeerCount>(json!({"disconnected": "12", "connecting": "34", "connected": "56", "disconnecting": "5"}));
}

#[test]
fn of_the_chain() {
    comes_back::<Genesis>(json!({
        "genesis_time": "1590832934", "genesis_validators_root": root(1), "genesis_fork_version": "0x00000000",
    }));
    comes_back::<DepositContract>(json!({"chain_id": "1", "address": format!("0x{}", "ab".repeat(20))}));
    comes_back::<Located<RootEntry>>(
        json!({"execution_optimistic": false, "finalized": true, "data": {"root": root(1)}}),
    );
    let checkpoint = json!({"epoch": "1", "root": root(2)});
    comes_back::<FinalityCheckpoints>(json!({
        "previous_justified": checkpoint, "current_justified": checkpoint, "finalized": checkpoint,
    }));
    comes_back::<Randao>(json!({"randao": root(1)}));
    comes_back::<Committee>(json!({"index": "1", "slot": "2", "validators": ["3", virtual_index()]}));
    comes_back::<SyncCommitteeMembers>(
        json!({"validators": ["1", virtual_index()], "validator_aggregates": [["1"], [virtual_index()]]}),
    );
    comes_back::<ValidatorBalance>(json!({"index": virtual_index(), "balance": "5"}));
    comes_back::<ForkChoice>(json!({
        "justified_checkpoint": checkpoint,
        "finalized_checkpoint": checkpoint,
        "fork_choice_nodes": [{
            "slot": "1", "block_root": root(1), "parent_root": root(2), "justified_epoch": "0",
            "finalized_epoch": "0", "weight": "1", "validity": "optimistic", "execution_block_hash": root(3),
            "extra_data": {},
        }],
        "extra_data": {},
    }));
    comes_back::<HeadEntry>(json!({"root": root(1), "slot": "1", "execution_optimistic": true}));
}

#[test]
fn a_header_keeps_the_form_of_its_fork() {
    let message = json!({
        "slot": "1", "proposer_index": "2", "parent_root": root(3), "state_root": root(4), "body_root": root(5),
    });
    comes_back::<BlockHeaderEntry>(json!({
        "root": root(1), "canonical": true, "header": {"message": message, "signature": signature(6)},
    }));
    comes_back::<BlockHeaderEntry>(json!({
        "root": root(1), "canonical": true,
        "header": {"message": message, "signature": signature(6), "signers": "0x1f00", "proofs": []},
    }));
}

#[test]
fn of_validators() {
    comes_back::<Dependent<Vec<ProposerDuty>>>(json!({
        "dependent_root": root(1), "execution_optimistic": false,
        "data": [{"pubkey": pubkey(1), "validator_index": virtual_index(), "slot": "3"}],
    }));
    comes_back::<SyncDuty>(json!({
        "pubkey": pubkey(1), "validator_index": virtual_index(), "validator_sync_committee_indices": ["1", "30"],
    }));
    comes_back::<Liveness>(json!({"index": virtual_index(), "is_live": true}));
    comes_back::<CommitteeSubscription>(json!({
        "validator_index": virtual_index(), "committee_index": "1", "committees_at_slot": "2", "slot": "3",
        "is_aggregator": false,
    }));
    comes_back::<SyncCommitteeSubscription>(
        json!({"validator_index": virtual_index(), "sync_committee_indices": ["0"], "until_epoch": "8"}),
    );
    let fee_recipient = format!("0x{}", "cd".repeat(20));
    comes_back::<ProposerPreparation>(json!({"validator_index": virtual_index(), "fee_recipient": fee_recipient}));
    comes_back::<SignedValidatorRegistration>(json!({
        "message": {"fee_recipient": fee_recipient, "gas_limit": "36000000", "timestamp": "1", "pubkey": pubkey(2)},
        "signature": signature(3),
    }));
    comes_back::<ValidatorsRequest>(json!({"ids": ["1", pubkey(2)], "statuses": ["active", "exited_slashed"]}));
    let everything: ValidatorsRequest = serde_json::from_value(json!({"statuses": null})).unwrap();
    assert_eq!(everything, ValidatorsRequest::default());
}

#[test]
fn of_rewards() {
    comes_back::<AttestationRewards>(json!({
        "ideal_rewards": [
            {"effective_balance": "1000000000", "head": "2500", "target": "5000", "source": "5000", "inclusion_delay": "0", "inactivity": "0"}
        ],
        "total_rewards": [
            {"validator_index": "0", "head": "0", "target": "-5000", "source": "-5000", "inclusion_delay": "0", "inactivity": "-7"}
        ],
    }));
    comes_back::<BlockRewards>(json!({
        "proposer_index": "123", "total": "10", "attestations": "1", "sync_aggregate": "2",
        "proposer_slashings": "3", "attester_slashings": "4",
    }));
    comes_back::<SyncCommitteeReward>(json!({"validator_index": virtual_index(), "reward": "-2000"}));
}

#[test]
fn of_errors() {
    comes_back::<ErrorMessage>(json!({"code": 400, "message": "bad"}));
    comes_back::<ErrorMessage>(
        json!({"code": 400, "message": "some", "failures": [{"index": 3, "message": "invalid signature"}]}),
    );
    let with_trace = json!({"code": 500, "message": "x", "stacktraces": ["y"]});
    assert_eq!(
        serde_json::from_value::<ErrorMessage>(with_trace).unwrap(),
        ErrorMessage::new(500, "x")
    );
}

#[test]
fn of_events() {
    let same = |topic: EventTopic, body: Value| {
        let event = Event::<Minimal>::from_json(topic, &body.to_string()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((event.topic(), serde_json::to_value(&event).unwrap()), (topic, body));
    };
    same(
        EventTopic::Head,
        json!({
            "slot": "10", "block": root(1), "state": root(2), "epoch_transition": false,
            "previous_duty_dependent_root": root(3), "current_duty_dependent_root": root(4),
            "execution_optimistic": false,
        }),
    );
    same(
        EventTopic::FinalizedCheckpoint,
        json!({"block": root(1), "state": root(2), "epoch": "2", "execution_optimistic": false}),
    );
    same(
        EventTopic::ChainReorg,
        json!({
            "slot": "200", "depth": "50", "old_head_block": root(1), "new_head_block": root(2),
            "old_head_state": root(3), "new_head_state": root(4), "epoch": "2", "execution_optimistic": false,
        }),
    );
    let checkpoint = json!({"epoch": "1", "root": root(2)});
    let mut vote = json!({
        "committee_index": "1", "attester_index": virtual_index(),
        "data": {"slot": "1", "index": "0", "beacon_block_root": root(1), "source": checkpoint, "target": checkpoint},
        "signature": signature(4),
    });
    same(EventTopic::SingleAttestation, vote.clone());
    vote["proofs"] = json!([]);
    same(EventTopic::SingleAttestation, vote);
    let commitment = format!("0x{}", "c0".repeat(48));
    same(
        EventTopic::DataColumnSidecar,
        json!({"block_root": root(1), "index": "1", "slot": "1", "kzg_commitments": [commitment]}),
    );
}
