//! Node, configuration and debug endpoints.

use super::{ApiError, BeaconClient};
use crate::{
    Data, DepositContract, ForkChoice, Genesis, HeadEntry, Health, Identity, NetworkConditions, Peer, PeerCount, Peers,
    Syncing, Version,
};
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use types::Fork;

impl BeaconClient {
    /// `/eth/v1/beacon/genesis`. An error with status 404: genesis is not known yet.
    pub async fn genesis(&self) -> Result<Genesis, ApiError> {
        self.data("eth/v1/beacon/genesis").await
    }

    /// `/eth/v1/config/spec`: values by their names in `config.yaml`, as text unless they are lists.
    pub async fn config_spec(&self) -> Result<BTreeMap<String, Value>, ApiError> {
        self.data("eth/v1/config/spec").await
    }

    /// `/eth/v1/config/fork_schedule`.
    pub async fn fork_schedule(&self) -> Result<Vec<Fork>, ApiError> {
        self.data("eth/v1/config/fork_schedule").await
    }

    /// `/eth/v1/config/deposit_contract`.
    pub async fn deposit_contract(&self) -> Result<DepositContract, ApiError> {
        self.data("eth/v1/config/deposit_contract").await
    }

    /// `/eth/v1/node/version`.
    pub async fn node_version(&self) -> Result<String, ApiError> {
        Ok(self.data::<Version>("eth/v1/node/version").await?.version)
    }

    /// `/eth/v1/node/syncing`.
    pub async fn syncing(&self) -> Result<Syncing, ApiError> {
        self.data("eth/v1/node/syncing").await
    }

    /// `/eth/v1/node/health`. A node that answers at all has a health; errors are of the way to it.
    pub async fn health(&self) -> Result<Health, ApiError> {
        const PATH: &str = "eth/v1/node/health";
        let request = self.request(Method::GET, PATH, &[])?;
        match self.send(&Method::GET, PATH, request).await {
            Ok(response) if response.status().as_u16() == 206 => Ok(Health::Syncing),
            Ok(_) => Ok(Health::Ready),
            Err(ApiError::Status { status: 503, .. }) => Ok(Health::Unavailable),
            Err(error) => Err(error),
        }
    }

    /// `/eth/v1/node/identity`.
    pub async fn identity(&self) -> Result<Identity, ApiError> {
        self.data("eth/v1/node/identity").await
    }

    /// `/eth/v1/node/peers`.
    pub async fn peers(&self) -> Result<Vec<Peer>, ApiError> {
        Ok(self.get_json::<Peers>("eth/v1/node/peers", &[]).await?.data)
    }

    /// `/eth/v1/node/peer_count`.
    pub async fn peer_count(&self) -> Result<PeerCount, ApiError> {
        self.data("eth/v1/node/peer_count").await
    }

    /// `/fresnel/v1/network/conditions`: faults on purpose. A node that was not started for it answers 404.
    pub async fn set_network_conditions(&self, conditions: &NetworkConditions) -> Result<(), ApiError> {
        self.post_json("fresnel/v1/network/conditions", conditions).await?;
        Ok(())
    }

    /// `/eth/v1/debug/fork_choice`.
    pub async fn fork_choice(&self) -> Result<ForkChoice, ApiError> {
        self.get_json("eth/v1/debug/fork_choice", &[]).await
    }

    /// `/eth/v2/debug/beacon/heads`.
    pub async fn heads(&self) -> Result<Vec<HeadEntry>, ApiError> {
        self.data("eth/v2/debug/beacon/heads").await
    }

    pub(super) async fn data<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        Ok(self.get_json::<Data<T>>(path, &[]).await?.data)
    }
}
