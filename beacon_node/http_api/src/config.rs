//! `/eth/v1/config` and genesis: what does not change.

use crate::locate::Reader;
use crate::respond::{Answer, json_data};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use beacon_api::{DepositContract, Genesis};
use std::sync::Arc;
use types::constants::{FAR_FUTURE_EPOCH, GENESIS_EPOCH};
use types::{ChainSpec, Epoch, Fork, Preset, Version};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/config/spec", get(spec::<P>))
        .route("/eth/v1/config/fork_schedule", get(fork_schedule::<P>))
        .route("/eth/v1/config/deposit_contract", get(deposit_contract::<P>))
        .route("/eth/v1/beacon/genesis", get(genesis::<P>))
}

async fn spec<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(reader.chain.spec().config_and_preset::<P>())
}

async fn fork_schedule<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(schedule(reader.chain.spec()))
}

/// Forks in their order. Of several forks at genesis the last is in force, and all are listed, as other clients do.
fn schedule(spec: &ChainSpec) -> Vec<Fork> {
    let forks: [(Version, Epoch); 8] = [
        (spec.genesis_fork_version, GENESIS_EPOCH),
        (spec.altair_fork_version, spec.altair_fork_epoch),
        (spec.bellatrix_fork_version, spec.bellatrix_fork_epoch),
        (spec.capella_fork_version, spec.capella_fork_epoch),
        (spec.deneb_fork_version, spec.deneb_fork_epoch),
        (spec.electra_fork_version, spec.electra_fork_epoch),
        (spec.fulu_fork_version, spec.fulu_fork_epoch),
        (spec.dvt_fork_version, spec.dvt_fork_epoch),
    ];
    let mut previous_version = spec.genesis_fork_version;
    forks
        .into_iter()
        .filter(|(_, epoch)| *epoch != FAR_FUTURE_EPOCH)
        .map(|(current_version, epoch)| Fork {
            previous_version: std::mem::replace(&mut previous_version, current_version),
            current_version,
            epoch,
        })
        .collect()
}

async fn deposit_contract<P: Preset>(State(reader): Context<P>) -> Answer {
    let spec = reader.chain.spec();
    json_data(DepositContract {
        chain_id: spec.deposit_chain_id,
        address: spec.deposit_contract_address,
    })
}

async fn genesis<P: Preset>(State(reader): Context<P>) -> Answer {
    json_data(Genesis {
        genesis_time: reader.chain.genesis_time(),
        genesis_validators_root: reader.chain.genesis_validators_root(),
        genesis_fork_version: reader.chain.spec().genesis_fork_version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fork_follows_the_one_before() {
        let mut spec = ChainSpec::mainnet();
        spec.dvt_fork_epoch = FAR_FUTURE_EPOCH;
        let forks = schedule(&spec);
        assert_eq!(forks.len(), 7);
        assert!(
            forks
                .windows(2)
                .all(|pair| pair[0].current_version == pair[1].previous_version)
        );
        spec.dvt_fork_epoch = Epoch::new(1_000_000);
        assert_eq!(schedule(&spec).last().unwrap().current_version, spec.dvt_fork_version);
    }
}
