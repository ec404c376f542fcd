//! `/eth/v1/beacon/pool`: what waits for a block.

use crate::ApiFailure;
use crate::locate::Reader;
use crate::request::RequestBody;
use crate::respond::{Answer, Understands, done, json_data};
use crate::validator::outcome_of_items;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use beacon_api::{Query, Versioned};
use gossip_validation::{
    AddressChangeGossipError, AttestationGossipError, AttesterSlashingGossipError, ExitGossipError,
    KeySetChangeGossipError, ProposerSlashingGossipError,
};
use std::sync::Arc;
use types::{
    AttesterSlashing, CommitteeIndex, ForkName, ForkVersioned, Preset, ProposerSlashing, SignedBLSToExecutionChange,
    SignedKeySetChange, SignedVoluntaryExit, SingleAttestation, SingleAttestationFulu, Slot,
};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route(
            "/eth/v2/beacon/pool/attestations",
            get(attestations::<P>).post(submit_attestations::<P>),
        )
        .route(
            "/eth/v2/beacon/pool/attester_slashings",
            get(attester_slashings::<P>).post(submit_attester_slashing::<P>),
        )
        .route(
            "/eth/v1/beacon/pool/proposer_slashings",
            get(proposer_slashings::<P>).post(submit_proposer_slashing::<P>),
        )
        .route(
            "/eth/v1/beacon/pool/voluntary_exits",
            get(voluntary_exits::<P>).post(submit_voluntary_exit::<P>),
        )
        .route(
            "/eth/v1/beacon/pool/bls_to_execution_changes",
            get(address_changes::<P>).post(submit_address_changes::<P>),
        )
        .route(
            "/eth/v1/beacon/pool/key_set_changes",
            get(key_set_changes::<P>).post(submit_key_set_change::<P>),
        )
}

/// Of operations in the layouts of two forks, those of the current one.
fn of_current_fork<P: Preset, T: ForkVersioned>(reader: &Reader<P>, items: Vec<T>) -> (ForkName, Vec<T>) {
    let fork = reader.chain.fork_name_at_slot(reader.chain.current_slot());
    let items = items.into_iter().filter(|item| item.fork_name() == fork).collect();
    (fork, items)
}

async fn attestations<P: Preset>(
    State(reader): Context<P>,
    RawQuery(query): RawQuery,
    understands: Understands,
) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let slot: Option<Slot> = query.optional("slot")?;
    let committee_index: Option<CommitteeIndex> = query.optional("committee_index")?;
    let asked = Arc::clone(&reader);
    reader
        .on_worker(move |_| {
            let found = asked.intake.pool().attestations(slot, committee_index);
            let (fork, data) = of_current_fork(&asked, found);
            understands.json(Versioned::new(fork, data))
        })
        .await
}

async fn submit_attestations<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let item_bytes = |fork| match fork {
        ForkName::Fulu => Some(<SingleAttestationFulu as ssz::Decode>::ssz_fixed_len()),
        ForkName::Dvt => None,
    };
    let attestations: Vec<SingleAttestation> = body.versioned_list(item_bytes).await?;
    let results = reader.intake.submit_attestations(attestations).await;
    outcome_of_items(results.into_iter().map(|result| match result {
        // Clients hand in a vote to several nodes, or twice.
        Err(AttestationGossipError::NotFirst { .. }) => Ok(()),
        other => other,
    }))?;
    done()
}

async fn attester_slashings<P: Preset>(State(reader): Context<P>, understands: Understands) -> Answer {
    let (fork, data) = of_current_fork(&reader, reader.intake.pool().attester_slashings());
    understands.json(Versioned::new(fork, data))
}

async fn submit_attester_slashing<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let slashing: AttesterSlashing<P> = body.versioned().await?;
    match reader.intake.submit_attester_slashing(slashing).await {
        Ok(()) | Err(AttesterSlashingGossipError::NothingNew) => done(),
        Err(error) => Err(ApiFailure::bad_request(error)),
    }
}

async fn proposer_slashings<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(of_current_fork(&reader, reader.intake.pool().proposer_slashings()).1)
}

async fn submit_proposer_slashing<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let slashing: ProposerSlashing = body.versioned().await?;
    match reader.intake.submit_proposer_slashing(slashing).await {
        Ok(()) | Err(ProposerSlashingGossipError::NotFirst(_)) => done(),
        Err(error) => Err(ApiFailure::bad_request(error)),
    }
}

async fn voluntary_exits<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(of_current_fork(&reader, reader.intake.pool().voluntary_exits()).1)
}

async fn submit_voluntary_exit<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let exit: SignedVoluntaryExit = body.versioned().await?;
    match reader.intake.submit_voluntary_exit(exit).await {
        Ok(()) | Err(ExitGossipError::NotFirst(_)) => done(),
        Err(error) => Err(ApiFailure::bad_request(error)),
    }
}

async fn address_changes<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(reader.intake.pool().bls_to_execution_changes())
}

async fn submit_address_changes<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let changes: Vec<SignedBLSToExecutionChange> = body.json_list().await?;
    let mut results = Vec::with_capacity(changes.len());
    for change in changes {
        results.push(match reader.intake.submit_bls_to_execution_change(change).await {
            Err(AddressChangeGossipError::NotFirst(_)) => Ok(()),
            other => other,
        });
    }
    outcome_of_items(results)?;
    done()
}

/// Complete changes, and those that still lack signatures.
async fn key_set_changes<P: Preset>(State(reader): Context<P>) -> Answer {
    let pool = reader.intake.pool();
    let mut changes = pool.key_set_changes();
    changes.extend(pool.key_set_change_parts());
    json_data(changes)
}

async fn submit_key_set_change<P: Preset>(State(reader): Context<P>, body: RequestBody) -> Answer {
    let change: SignedKeySetChange = body.json().await?;
    let message = change.message.clone();
    match reader.intake.submit_key_set_change(change).await {
        Ok(()) => done(),
        // A member's part of a change that is complete without it.
        Err(KeySetChangeGossipError::NotFirst { .. })
            if reader
                .intake
                .pool()
                .key_set_changes()
                .iter()
                .any(|known| known.message == message) =>
        {
            done()
        }
        Err(error) => Err(ApiFailure::bad_request(error)),
    }
}
