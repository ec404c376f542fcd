//! What a node does in every slot by itself.

use beacon_chain::{BeaconChain, ChainEvent};
use block_production::BlockProducer;
use execution_layer::EngineState;
use group_duties::Proposals;
use intake::Intake;
use network::NetworkHandle;
use router::RouterHandle;
use runtime::{Priority, Shutdown};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;
use types::{Checkpoint, Preset, Slot};

/// Of a slot, in basis points: when the next slot's payload is begun, unless a flag says otherwise.
const PREPARE_PAYLOAD_BPS: u64 = 6667;
/// How often per slot an execution client is asked about a head that it has not verified.
const EXECUTION_CHECKS_PER_SLOT: u64 = 6;
/// Of a slot, in basis points: when the log line is written.
const NOTIFY_BPS: u64 = 5000;

/// What slot tasks work with.
#[derive(Debug)]
pub(crate) struct SlotTasks<P: Preset> {
    pub(crate) chain: Arc<BeaconChain<P>>,
    pub(crate) intake: Arc<Intake<P>>,
    pub(crate) proposals: Arc<Proposals<P>>,
    pub(crate) producer: BlockProducer<P>,
    pub(crate) network: NetworkHandle,
    pub(crate) router: RouterHandle,
    pub(crate) prepare_payload_lookahead_ms: Option<u64>,
    /// How many epochs longer than every node does this one keeps columns; none if it keeps them for good.
    pub(crate) blob_prune_margin_epochs: Option<u64>,
}

impl<P: Preset> SlotTasks<P> {
    /// Starts all; they end with `shutdown`.
    pub(crate) fn start(self, shutdown: &Shutdown) {
        let tasks = Arc::new(self);
        let run = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>, mut shutdown: Shutdown| {
            tokio::spawn(async move {
                tokio::select! { () = task => {}, _ = shutdown.wait() => {} }
            });
        };
        run(Box::pin(Arc::clone(&tasks).at_slot_start()), shutdown.clone());
        run(
            Box::pin(Arc::clone(&tasks).keep_up_execution_client()),
            shutdown.clone(),
        );
        run(Box::pin(Arc::clone(&tasks).ahead_of_slots()), shutdown.clone());
        run(Box::pin(Arc::clone(&tasks).notify()), shutdown.clone());
        run(Box::pin(tasks.after_finality()), shutdown.clone());
    }

    async fn at_slot_start(self: Arc<Self>) {
        loop {
            let slot = self.chain.clock().next_slot().await;
            if let Err(error) = self.chain.recompute_head().await {
                tracing::error!(%slot, %error, "Head cannot be chosen");
            }
            self.intake.gossip().prune();
            self.intake.prune_waiting();
            self.intake.pool().prune_slots(slot);
            self.proposals.prune();
        }
    }

    /// An execution client that did not answer, was restarted, or has lost its chain gets what it missed.
    async fn keep_up_execution_client(self: Arc<Self>) {
        let Some(layer) = self.chain.execution_layer().cloned() else {
            return;
        };
        let pause = Duration::from_millis(self.chain.spec().slot_duration_ms / EXECUTION_CHECKS_PER_SLOT);
        let mut last_slot = None;
        loop {
            sleep(pause).await;
            if !layer.state().answers() {
                continue;
            }
            let slot = self.chain.clock().now_slot();
            if let Err(error) = self.chain.reverify_head().await {
                tracing::warn!(?slot, %error, "Head cannot be verified");
            }
            if last_slot == slot {
                continue;
            }
            last_slot = slot;
            if let Err(error) = self.chain.reconsider_invalid_payloads().await {
                tracing::warn!(?slot, %error, "Invalid payloads are not asked about again");
            }
            if let Err(error) = self.chain.bring_up_execution_client().await {
                tracing::warn!(?slot, %error, "Execution client does not get what it lacks");
            }
        }
    }

    /// The payload of the next slot is begun, if its proposer is attached; in any case its state is computed.
    async fn ahead_of_slots(self: Arc<Self>) {
        let clock = self.chain.clock().clone();
        let slot_ms = self.chain.spec().slot_duration_ms;
        let lookahead_ms = self
            .prepare_payload_lookahead_ms
            .map(|lookahead| lookahead.min(slot_ms))
            .unwrap_or_else(|| slot_ms.saturating_sub(slot_ms.saturating_mul(PREPARE_PAYLOAD_BPS) / 10_000));
        let mut done: Option<Slot> = None;
        loop {
            let next = clock.now_slot().map_or(Slot::new(0), |slot| slot.saturating_add(1u64));
            let next = match done {
                Some(last) if last >= next => last.saturating_add(1u64),
                _ => next,
            };
            let at = clock.slot_start_ms(next).saturating_sub(lookahead_ms);
            clock.sleep_until_ms(at).await;
            done = Some(next);
            let behind = next.saturating_sub(self.chain.head().slot().as_u64());
            if next == 0u64.into() || self.chain.execution_layer().is_none() || self.router.must_wait(behind) {
                continue;
            }
            if let Err(error) = self.producer.prepare_next_slot(next.saturating_sub(1u64)).await {
                tracing::debug!(slot = %next, %error, "Payload is not begun ahead of its slot");
            }
        }
    }

    /// The line by which an operator sees that all is well.
    async fn notify(self: Arc<Self>) {
        let clock = self.chain.clock().clone();
        loop {
            let slot = clock.next_slot().await;
            clock.sleep_until_ms(clock.due_ms(slot, NOTIFY_BPS)).await;
            let head = self.chain.head();
            let sync = self.router.sync_status();
            let peers = self.network.connected_peers();
            let engine = self.chain.execution_layer().map(|layer| layer.state());
            let must_wait = self.router.must_wait(slot.saturating_sub(head.slot().as_u64()));
            let state = match (sync.is_syncing || must_wait, engine) {
                (true, _) if sync.is_syncing => "Syncing",
                (true, _) => "Behind the clock without a peer to ask; a node that is alone needs --target-peers 0",
                (false, None) => "Synced, without execution client",
                (false, Some(EngineState::Online)) if !head.execution_optimistic => "Synced",
                (false, Some(EngineState::Offline)) => "Execution client is offline",
                (false, Some(EngineState::AuthFailed)) => "Execution client refuses the JWT secret",
                (false, Some(EngineState::WrongChain)) => "Execution client is of another chain",
                (false, Some(EngineState::NotEngineApi)) => "Execution client does not serve the Engine API here",
                (false, Some(_)) => "Synced, head is not verified",
            };
            tracing::info!(
                %slot,
                head_slot = %head.slot(),
                head = %head.root,
                justified = %head.justified_checkpoint.epoch,
                finalized = %head.finalized_checkpoint.epoch,
                peers,
                distance = sync.distance,
                "{state}"
            );
        }
    }

    /// Operations that no block can contain any more are dropped, and columns that nobody may ask for.
    async fn after_finality(self: Arc<Self>) {
        let mut events = self.chain.subscribe();
        loop {
            match events.recv().await {
                Ok(ChainEvent::Finalized { checkpoint, .. }) => {
                    self.prune_pool(checkpoint).await;
                    self.prune_columns().await;
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn prune_pool(&self, checkpoint: Checkpoint) {
        let (chain, pool) = (Arc::clone(&self.chain), Arc::clone(self.intake.pool()));
        let work = move || match chain.checkpoint_state(checkpoint) {
            Ok(Some(state)) => pool.prune(&state, chain.current_slot()),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "Pool is not pruned"),
        };
        if let Err(error) = self.chain.workers().run(Priority::Background, work).await {
            tracing::debug!(%error, "Pool is not pruned");
        }
    }

    async fn prune_columns(&self) {
        let Some(margin) = self.blob_prune_margin_epochs else {
            return;
        };
        let margin = margin.saturating_mul(P::slots_per_epoch());
        let before = self.chain.columns_served_from().saturating_sub(margin);
        let storage = Arc::clone(self.chain.storage());
        let work = move || storage.prune_data_columns_before(before);
        match self.chain.workers().run(Priority::Background, work).await {
            Ok(Ok(0)) => {}
            Ok(Ok(blocks)) => tracing::debug!(%before, blocks, "Data columns pruned"),
            Ok(Err(error)) => tracing::warn!(%before, %error, "Data columns are not pruned"),
            Err(error) => tracing::debug!(%error, "Data columns are not pruned"),
        }
    }
}
