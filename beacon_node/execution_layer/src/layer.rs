//! [`ExecutionLayer`]: what the rest of the node calls.

use crate::engine::Engine;
use crate::engine_types::{
    BlobAndProofs, BlockTag, ClientVersion, ExecutionBlock, ForkchoiceState, ForkchoiceUpdated, GetPayloadResponse,
    NewPayloadRequest, PayloadAttributes, PayloadId, PayloadStatus, VersionedHash,
};
use crate::error::{EngineError, UNKNOWN_PAYLOAD};
use crate::identity::{ExpectedChain, Identity};
use crate::jwt::JwtSecret;
use crate::metrics;
use crate::proposers::FeeRecipients;
use crate::state::{EngineState, StateCell};
use crate::transport::Transport;
use crate::versioned_hashes::is_valid_versioned_hashes;
use alloy_primitives::{Address, B256};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use types::{Epoch, Preset, ValidatorIndex};

/// Builds that are remembered: two per slot at most, for some slots.
const MAX_PREPARED: usize = 32;

/// How to reach the execution client, and defaults for blocks.
#[derive(Debug, Clone)]
pub struct ExecutionConfig {
    /// `--execution-endpoint`.
    pub endpoint: String,
    /// Secret from `--execution-jwt`.
    pub jwt_secret: JwtSecret,
    /// `--execution-jwt-id`, sent in each token.
    pub jwt_id: Option<String>,
    /// Version of this node, sent in each token.
    pub jwt_version: Option<String>,
    /// `--suggested-fee-recipient`.
    pub suggested_fee_recipient: Option<Address>,
    /// `--execution-timeout-multiplier`: how much longer than the Engine API asks to wait.
    pub timeout_multiplier: u32,
    /// A client of another chain is not used. `None`: any chain will do.
    pub chain: Option<ExpectedChain>,
}

impl ExecutionConfig {
    /// The usual settings for an endpoint.
    pub fn new(endpoint: impl Into<String>, jwt_secret: JwtSecret) -> Self {
        Self {
            endpoint: endpoint.into(),
            jwt_secret,
            jwt_id: None,
            jwt_version: None,
            suggested_fee_recipient: None,
            timeout_multiplier: 1,
            chain: None,
        }
    }
}

/// The node's view of its execution client.
///
/// All calls take `&self` and may run at the same time; forkchoice updates are sent one after the other, in
/// the order of the calls, as the Engine API demands.
#[derive(Debug)]
pub struct ExecutionLayer {
    engine: Engine,
    state: StateCell,
    fee_recipients: FeeRecipients,
    /// Held over the call: that is what keeps the order. The value is the last state that was sent.
    forkchoice: tokio::sync::Mutex<Option<ForkchoiceState>>,
    prepared: Mutex<VecDeque<Prepared>>,
    identity: Identity,
}

#[derive(Debug)]
struct Prepared {
    head: B256,
    attributes: PayloadAttributes,
    id: PayloadId,
}

impl ExecutionLayer {
    /// Checks the settings; does not call yet.
    pub fn new(config: ExecutionConfig) -> Result<Self, EngineError> {
        let transport = Transport::new(
            &config.endpoint,
            config.jwt_secret,
            config.jwt_id,
            config.jwt_version,
            config.timeout_multiplier,
        )?;
        let engine = Engine::new(transport);
        let state = StateCell::new(engine.endpoint());
        Ok(Self {
            engine,
            state,
            fee_recipients: FeeRecipients::new(config.suggested_fee_recipient),
            forkchoice: tokio::sync::Mutex::new(None),
            prepared: Mutex::default(),
            identity: Identity::new(config.chain),
        })
    }

    /// What is known of the execution client, without asking it.
    pub fn state(&self) -> EngineState {
        self.state.get()
    }

    /// Whether payloads can be judged and built, without asking.
    pub fn is_online(&self) -> bool {
        self.state().is_online()
    }

    fn is_offline(&self) -> bool {
        self.state() == EngineState::Offline
    }

    /// Tells of each change of state.
    pub fn subscribe_state(&self) -> watch::Receiver<EngineState> {
        self.state.subscribe()
    }

    /// Who gets the fees.
    pub fn fee_recipients(&self) -> &FeeRecipients {
        &self.fee_recipients
    }

    /// Takes the preparations of a validator client (`prepare_beacon_proposer`).
    pub fn prepare_proposers(&self, epoch: Epoch, preparations: impl IntoIterator<Item = (ValidatorIndex, Address)>) {
        self.fee_recipients.prepare(epoch, preparations);
    }

    /// The fee recipient for a proposer's payload.
    pub fn fee_recipient(&self, proposer: ValidatorIndex) -> Result<Address, EngineError> {
        self.fee_recipients
            .get(proposer)
            .ok_or(EngineError::NoFeeRecipient(proposer))
    }

    /// Takes note of what an answer, or a missing one, says of the client.
    fn note<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        match &result {
            Ok(_) => self.state.answered(),
            Err(error) => {
                if error.is_without_client() {
                    self.identity.forget();
                }
                self.state.failed(error);
            }
        }
        result
    }

    /// Asks the client of this network: another one is given nothing. The answer counts only if no other can have taken
    /// its place meanwhile.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        self.check_identity().await?;
        match call.await {
            Ok(answer) => {
                self.check_identity().await?;
                self.note(Ok(answer))
            }
            Err(error) => self.note(Err(error)),
        }
    }

    async fn check_identity(&self) -> Result<(), EngineError> {
        let result = self.identity.check(&self.engine).await;
        if let Err(error) = &result {
            self.identity.forget();
            self.state.not_identified(error);
        }
        result
    }

    /// Has a payload judged. What can be seen without executing it (empty transactions, blobs other than
    /// the block's) is judged here, without a call; the block hash is left to the execution client.
    ///
    /// Spec: electra/beacon-chain.md#verify_and_notify_new_payload
    pub async fn notify_new_payload<P: Preset>(
        &self,
        request: &NewPayloadRequest<'_, P>,
    ) -> Result<PayloadStatus, EngineError> {
        let transactions = &request.execution_payload.transactions;
        let refused = match transactions.iter().position(|transaction| transaction.is_empty()) {
            Some(index) => Some(format!("transaction {index} is empty")),
            None => is_valid_versioned_hashes(transactions.iter().map(|bytes| &bytes[..]), &request.versioned_hashes)
                .err()
                .map(|error| error.to_string()),
        };
        let status = match refused {
            Some(why) => PayloadStatus::Invalid {
                latest_valid_hash: None,
                validation_error: Some(why),
            },
            None => {
                let status = self.ask(self.engine.new_payload(request, self.is_offline())).await?;
                tracing::debug!(block_hash = %request.execution_payload.block_hash, %status, "New payload");
                status
            }
        };
        metrics::count_status("new_payload", status.as_str());
        Ok(status)
    }

    /// Tells the execution client the head, without building.
    pub async fn notify_forkchoice_updated(&self, state: ForkchoiceState) -> Result<PayloadStatus, EngineError> {
        Ok(self.forkchoice_updated(state, None).await?.payload_status)
    }

    /// Tells the execution client the head and has it build on it. The build is remembered for
    /// [`Self::get_payload`]. No id is given if the head is not valid (yet).
    pub async fn prepare_payload(
        &self,
        state: ForkchoiceState,
        attributes: &PayloadAttributes,
    ) -> Result<ForkchoiceUpdated, EngineError> {
        let updated = self.forkchoice_updated(state, Some(attributes)).await?;
        if let Some(id) = updated.payload_id {
            self.remember(state.head_block_hash, attributes, id);
            if let (Some(metric), Ok(now)) = (
                &*metrics::PAYLOAD_ATTRIBUTES_LOOKAHEAD,
                SystemTime::now().duration_since(UNIX_EPOCH),
            ) {
                metric.observe(
                    Duration::from_secs(attributes.timestamp)
                        .saturating_sub(now)
                        .as_secs_f64(),
                );
            }
        }
        Ok(updated)
    }

    async fn forkchoice_updated(
        &self,
        state: ForkchoiceState,
        attributes: Option<&PayloadAttributes>,
    ) -> Result<ForkchoiceUpdated, EngineError> {
        let mut last = self.forkchoice.lock().await;
        *last = Some(state);
        let call = self.engine.forkchoice_updated(&state, attributes, self.is_offline());
        let updated = self.ask(call).await?;
        self.state.head_status(&updated.payload_status);
        metrics::count_status("forkchoice_updated", updated.payload_status.as_str());
        tracing::debug!(head = %state.head_block_hash, status = %updated.payload_status, "Forkchoice updated");
        Ok(updated)
    }

    /// Gives the payload for these attributes on this head: from the build that was prepared for them, else
    /// from one that is begun now.
    pub async fn get_payload<P: Preset>(
        &self,
        state: ForkchoiceState,
        attributes: &PayloadAttributes,
    ) -> Result<GetPayloadResponse<P>, EngineError> {
        let result = self.get_payload_unchecked(state, attributes).await;
        let result = result.and_then(|response| check_payload(state, attributes, response));
        metrics::count(
            &metrics::GET_PAYLOAD_OUTCOME,
            if result.is_ok() { "success" } else { "failure" },
        );
        if result.is_ok() {
            metrics::count(&metrics::GET_PAYLOAD_SOURCE, "local");
        }
        result
    }

    async fn get_payload_unchecked<P: Preset>(
        &self,
        state: ForkchoiceState,
        attributes: &PayloadAttributes,
    ) -> Result<GetPayloadResponse<P>, EngineError> {
        if let Some(id) = self.prepared_id(state.head_block_hash, attributes) {
            metrics::count(&metrics::PRE_PREPARED_PAYLOAD_ID, "hit");
            match self.ask(self.engine.get_payload(id)).await {
                // The execution client was restarted since, or has dropped the build.
                Err(error) if error.code() == Some(UNKNOWN_PAYLOAD) => self.forget(id),
                other => return other,
            }
        } else {
            metrics::count(&metrics::PRE_PREPARED_PAYLOAD_ID, "miss");
        }
        let updated = self.prepare_payload(state, attributes).await?;
        let Some(id) = updated.payload_id else {
            return Err(EngineError::NotBuilding {
                head: state.head_block_hash,
                status: updated.payload_status.to_string(),
            });
        };
        self.ask(self.engine.get_payload(id)).await
    }

    fn prepared_id(&self, head: B256, attributes: &PayloadAttributes) -> Option<PayloadId> {
        let prepared = self.prepared.lock();
        prepared
            .iter()
            .find(|known| known.head == head && known.attributes == *attributes)
            .map(|known| known.id)
    }

    fn remember(&self, head: B256, attributes: &PayloadAttributes, id: PayloadId) {
        let mut prepared = self.prepared.lock();
        prepared.retain(|known| known.head != head || known.attributes != *attributes);
        prepared.push_back(Prepared {
            head,
            attributes: attributes.clone(),
            id,
        });
        while prepared.len() > MAX_PREPARED {
            prepared.pop_front();
        }
    }

    fn forget(&self, id: PayloadId) {
        self.prepared.lock().retain(|known| known.id != id);
    }

    /// Blobs from the pool of the execution client; `None` if it lacks one of them.
    pub async fn get_blobs<P: Preset>(
        &self,
        hashes: &[VersionedHash],
    ) -> Result<Option<Vec<BlobAndProofs<P>>>, EngineError> {
        self.ask(self.engine.get_blobs(hashes)).await
    }

    /// Who the execution client is; empty if it does not tell.
    pub async fn get_client_versions(&self, own: &ClientVersion) -> Result<Vec<ClientVersion>, EngineError> {
        self.ask(self.engine.client_versions(own)).await
    }

    /// A block of the execution client, by hash.
    pub async fn get_block_by_hash(&self, hash: B256) -> Result<Option<ExecutionBlock>, EngineError> {
        self.ask(self.engine.block_by_hash(hash)).await
    }

    /// A block of the execution client's canonical chain.
    pub async fn get_block(&self, tag: BlockTag) -> Result<Option<ExecutionBlock>, EngineError> {
        self.ask(self.engine.block_by_number(tag)).await
    }

    /// Compares the chain id with `DEPOSIT_CHAIN_ID` of the configuration.
    pub async fn check_chain_id(&self, expected: u64) -> Result<(), EngineError> {
        let found = self.note(self.engine.chain_id().await)?;
        if found == expected {
            Ok(())
        } else {
            Err(EngineError::WrongChain { expected, found })
        }
    }

    /// Makes a block that the client has called valid its head, on the way to the real one. What it is to come back to
    /// after a restart stays what it was.
    pub async fn lead_to(&self, block_hash: B256) -> Result<PayloadStatus, EngineError> {
        let _order = self.forkchoice.lock().await;
        let state = ForkchoiceState {
            head_block_hash: block_hash,
            ..ForkchoiceState::default()
        };
        let updated = self
            .ask(self.engine.forkchoice_updated(&state, None, self.is_offline()))
            .await?;
        Ok(updated.payload_status)
    }

    /// Asks the execution client how it is. If it comes back, it gets the last forkchoice again: it may have
    /// missed it, or lost it in a restart.
    pub async fn upcheck(&self) -> EngineState {
        let before = self.state();
        // A client that was given no head yet (this node has just started) may say that it is syncing; the status of the
        // first head tells more. An error is noted where it is met.
        let _ = self.ask(self.engine.is_syncing()).await;
        if before != EngineState::Online && self.state().answers() {
            if before != EngineState::Syncing {
                self.engine.forget_capabilities();
            }
            let last = *self.forkchoice.lock().await;
            if let Some(state) = last
                && let Err(error) = self.resend(state).await
            {
                tracing::debug!(%error, "Forkchoice was not sent again");
            }
        }
        self.state()
    }

    /// Sends the forkchoice again unless a newer one went out meanwhile.
    async fn resend(&self, state: ForkchoiceState) -> Result<(), EngineError> {
        let last = self.forkchoice.lock().await;
        if *last != Some(state) {
            return Ok(());
        }
        let updated = self
            .ask(self.engine.forkchoice_updated(&state, None, self.is_offline()))
            .await?;
        self.state.head_status(&updated.payload_status);
        Ok(())
    }

    /// Runs [`Self::upcheck`] until `shutdown` ends: at once, then every `interval` while the client is away or
    /// syncing, and rarely (each eighth time) while it is well, for then each block is a check.
    pub async fn run_upchecks(&self, interval: Duration, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut tick = 0u64;
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                _ = ticks.tick() => {}
            }
            if !self.is_online() || tick.is_multiple_of(8) {
                tokio::select! {
                    () = &mut shutdown => return,
                    _ = self.upcheck() => {}
                }
            }
            tick = tick.wrapping_add(1);
        }
    }
}

/// What the beacon chain will check anyway, checked where the culprit is known.
fn check_payload<P: Preset>(
    state: ForkchoiceState,
    attributes: &PayloadAttributes,
    response: GetPayloadResponse<P>,
) -> Result<GetPayloadResponse<P>, EngineError> {
    let payload = &response.execution_payload;
    let wrong = |field, expected: String, found: String| Err(EngineError::WrongPayload { field, expected, found });
    if payload.parent_hash != state.head_block_hash {
        return wrong(
            "parent hash",
            state.head_block_hash.to_string(),
            payload.parent_hash.to_string(),
        );
    }
    if payload.timestamp != attributes.timestamp {
        return wrong(
            "timestamp",
            attributes.timestamp.to_string(),
            payload.timestamp.to_string(),
        );
    }
    if payload.prev_randao != attributes.prev_randao {
        return wrong(
            "prev randao",
            attributes.prev_randao.to_string(),
            payload.prev_randao.to_string(),
        );
    }
    if payload.withdrawals[..] != attributes.withdrawals[..] {
        let count = |withdrawals: &[types::Withdrawal]| format!("{} withdrawals", withdrawals.len());
        return wrong(
            "withdrawals",
            count(&attributes.withdrawals),
            count(&payload.withdrawals),
        );
    }
    if payload.fee_recipient != attributes.suggested_fee_recipient {
        tracing::warn!(
            expected = %attributes.suggested_fee_recipient,
            found = %payload.fee_recipient,
            "Execution client has put another fee recipient into the payload than it was asked to"
        );
    }
    Ok(response)
}
