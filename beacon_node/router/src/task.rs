//! The tasks of the router and the handle to them.

use crate::backfill::Backfill;
use crate::catch_up::{CatchUp, CatchUpTask, SyncStatus};
use crate::columns::{ColumnSource, LateColumns};
use crate::forks::{fork_context, schedule, status_message};
use crate::gossip::Gossip;
use crate::outgoing::publish_all;
use crate::readiness::SyncPolicy;
use crate::serve;
use crate::subnets::Subnets;
use crate::waiting::Waiting;
use beacon_api::{CommitteeSubscription, SyncCommitteeSubscription};
use beacon_chain::{BeaconChain, ChainEvent};
use gossip_validation::MAX_ATTESTATION_BATCH;
use group_duties::Proposals;
use intake::{Intake, Outgoing};
use network::{GossipMessage, NetworkEvent, NetworkHandle, PeerId, Request, Responder, TopicKind};
use parking_lot::Mutex;
use runtime::{Receiver, Sender, Shutdown};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use sync::{ParentLookup, RangeSync};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};
use tokio::time::Instant;
use types::{Epoch, ForkDigest, Preset, SingleAttestation, Slot};

/// Gossip messages that are looked at at once, beside votes.
const MAX_GOSSIP_TASKS: usize = 256;
/// Batches of votes that are looked at at once.
const MAX_VOTE_TASKS: usize = 256;
/// Messages that have waited for a block and are looked at at once, and batches of such votes. The next of them go on
/// waiting until it is their turn.
const MAX_CALLED_TASKS: usize = 64;
const MAX_CALLED_VOTE_TASKS: usize = 8;
/// Answers to peers that are on their way at once.
const MAX_ANSWERS: usize = 16;
/// Those to one peer: it takes several that read slowly to take all places.
const MAX_ANSWERS_PER_PEER: usize = 4;
/// How long a request waits for one of the places: peers soon give up. Whoever waits has the next place that is free, so
/// that those who always ask again do not keep all of them.
const MAX_WAIT_FOR_ANSWER: Duration = Duration::from_secs(8);
const COMMAND_QUEUE: usize = 256;
const CATCH_UP_QUEUE: usize = 1024;
/// Epochs ahead of a fork at which its topics are joined, and after it at which those of the fork before are left.
const FORK_OVERLAP_EPOCHS: u64 = 2;

/// What the router connects.
#[derive(Debug)]
pub struct RouterConfig<P: Preset> {
    /// The network service.
    pub network: NetworkHandle,
    /// Its events.
    pub events: mpsc::Receiver<NetworkEvent>,
    /// Where messages go.
    pub intake: Arc<Intake<P>>,
    /// Where messages about groups' blocks go.
    pub proposals: Arc<Proposals<P>>,
    /// What is to be published.
    pub outgoing: Receiver<Outgoing<P>>,
    /// Follow all subnets of attestations and sync committees.
    pub subscribe_all_subnets: bool,
    /// When an old head is good enough for duties.
    pub sync_policy: SyncPolicy,
    /// Fetch blocks down to the genesis, beyond what every node keeps.
    pub backfill_to_genesis: bool,
}

enum Command {
    Committees(Vec<CommitteeSubscription>),
    SyncCommittees(Vec<SyncCommitteeSubscription>),
    Custody,
}

/// The way in for the API; cheap to clone.
#[derive(Debug, Clone)]
pub struct RouterHandle {
    commands: Sender<Command>,
    status: watch::Receiver<SyncStatus>,
    sync_policy: SyncPolicy,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

impl RouterHandle {
    /// Validators attached to this node will attest.
    pub async fn subscribe_committees(&self, subscriptions: Vec<CommitteeSubscription>) {
        self.send(Command::Committees(subscriptions)).await;
    }

    /// Validators attached to this node sit in sync committees.
    pub async fn subscribe_sync_committees(&self, subscriptions: Vec<SyncCommitteeSubscription>) {
        self.send(Command::SyncCommittees(subscriptions)).await;
    }

    /// The custody of this node has grown.
    pub async fn follow_custody(&self) {
        self.send(Command::Custody).await;
    }

    async fn send(&self, command: Command) {
        if let Err(error) = self.commands.send(command).await {
            tracing::debug!(%error, "Router has stopped");
        }
    }

    /// How far behind this node is.
    pub fn sync_status(&self) -> SyncStatus {
        *self.status.borrow()
    }

    /// Whether a node whose head is so many slots behind the clock must not do duties: it is behind its peers, or
    /// has none to ask.
    pub fn must_wait(&self, behind_clock: Slot) -> bool {
        self.sync_policy.must_wait(behind_clock, self.sync_status())
    }
}

/// Namespace of [`Router::start`].
#[derive(Debug)]
pub struct Router;

impl Router {
    /// Follows the topics of the current fork and starts all tasks. They end when `shutdown` is triggered.
    pub async fn start<P: Preset>(config: RouterConfig<P>, shutdown: Shutdown) -> RouterHandle {
        let RouterConfig {
            network,
            events,
            intake,
            proposals,
            outgoing,
            subscribe_all_subnets,
            sync_policy,
            backfill_to_genesis,
        } = config;
        let chain = Arc::clone(intake.chain());
        let schedule = schedule(chain.spec(), chain.genesis_validators_root());
        let (catch_up, catch_up_messages) = runtime::channel("catch_up", CATCH_UP_QUEUE);
        let (commands, command_queue) = runtime::channel("router_commands", COMMAND_QUEUE);
        let (status_sender, status) = watch::channel(SyncStatus::default());
        let columns = ColumnSource::new(network.clone(), Arc::new(schedule.clone()));
        let late_columns = LateColumns::new(Arc::clone(&intake), columns.clone());
        let backfill = Backfill {
            intake: Arc::clone(&intake),
            network: network.clone(),
            schedule: Arc::new(schedule.clone()),
            columns: columns.clone(),
            sync_status: status.clone(),
            to_genesis: backfill_to_genesis,
            columns_rest_until: Instant::now(),
        };
        let catch_up_task = CatchUpTask {
            intake: Arc::clone(&intake),
            network: network.clone(),
            schedule: Arc::new(schedule.clone()),
            columns: columns.clone(),
            sender: catch_up.clone(),
            status: status_sender,
            range: RangeSync::new(chain.head().slot()),
            lookups: ParentLookup::default(),
            peers: BTreeMap::new(),
            retries: Arc::default(),
        };
        let custody = intake.custody().columns;
        let router = RouterTask {
            subnets: Subnets::new(network.node_id(), subscribe_all_subnets, custody),
            gossip: Arc::new(Gossip {
                intake,
                proposals,
                network: network.clone(),
                schedule,
                catch_up: catch_up.clone(),
                waiting: Mutex::new(Waiting::default()),
                called: Notify::new(),
            }),
            network: network.clone(),
            chain: Arc::clone(&chain),
            catch_up,
            places: Places::default(),
            answers: Arc::new(Semaphore::new(MAX_ANSWERS)),
            shares: Shares::default(),
            votes: Vec::new(),
            digests: Vec::new(),
            context_epoch: None,
        };
        let until_shutdown = |mut shutdown: Shutdown| async move {
            shutdown.wait().await;
        };
        let publish = publish_all(Arc::clone(&chain), network, outgoing);
        let catch_up_work = catch_up_task.run(catch_up_messages, chain.subscribe());
        let chain_events = chain.subscribe();
        let (stop_publish, stop_catch_up, stop_columns) = (shutdown.clone(), shutdown.clone(), shutdown.clone());
        let stop_backfill = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! { () = backfill.run() => {}, () = until_shutdown(stop_backfill) => {} }
        });
        tokio::spawn(async move {
            tokio::select! { () = publish => {}, () = until_shutdown(stop_publish) => {} }
        });
        tokio::spawn(async move {
            tokio::select! { () = late_columns.run() => {}, () = until_shutdown(stop_columns) => {} }
        });
        tokio::spawn(async move {
            tokio::select! { () = catch_up_work => {}, () = until_shutdown(stop_catch_up) => {} }
        });
        tokio::spawn(async move {
            tokio::select! {
                () = router.run(events, command_queue, chain_events) => {}
                () = until_shutdown(shutdown) => {}
            }
        });
        RouterHandle {
            commands,
            status,
            sync_policy,
        }
    }
}

struct RouterTask<P: Preset> {
    gossip: Arc<Gossip<P>>,
    network: NetworkHandle,
    chain: Arc<BeaconChain<P>>,
    catch_up: Sender<CatchUp<P>>,
    subnets: Subnets,
    places: Places,
    answers: Arc<Semaphore>,
    shares: Shares,
    /// Votes that wait to be verified together.
    votes: Vec<(GossipMessage, SingleAttestation, u64)>,
    /// Digests whose topics are followed.
    digests: Vec<ForkDigest>,
    /// Epoch of the fork context that the network has.
    context_epoch: Option<Epoch>,
}

impl<P: Preset> RouterTask<P> {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<NetworkEvent>,
        mut commands: Receiver<Command>,
        mut chain_events: broadcast::Receiver<ChainEvent>,
    ) {
        let core: Vec<TopicKind> = TopicKind::core().collect();
        self.on_slot(self.chain.current_slot()).await;
        if self.network.subscribe(core).await.is_err() {
            return;
        }
        let clock = self.chain.clock().clone();
        let mut next_slot = std::pin::pin!(next_slot(clock.clone()));
        loop {
            let (has_called_votes, has_called) = {
                let waiting = self.gossip.waiting.lock();
                (waiting.has_called_votes(), waiting.has_called())
            };
            let vote_place = Arc::clone(&self.places.called_votes).acquire_owned();
            let place = Arc::clone(&self.places.called).acquire_owned();
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else { return };
                    self.on_event(event).await;
                    // What has come meanwhile is taken together, so that votes are verified in batches.
                    while self.votes.len() < MAX_ATTESTATION_BATCH {
                        let Ok(event) = events.try_recv() else { break };
                        self.on_event(event).await;
                    }
                    self.flush_votes().await;
                }
                Ok(place) = vote_place, if has_called_votes => self.handle_called_votes(place),
                Ok(place) = place, if has_called => self.handle_called(place),
                // They are found at the next turn.
                () = self.gossip.called.notified() => {}
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    self.on_command(command).await;
                }
                event = chain_events.recv() => match event {
                    Ok(ChainEvent::Block { root, .. }) => self.gossip.waiting.lock().call(&root),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                slot = &mut next_slot => {
                    self.on_slot(slot).await;
                    next_slot.set(self::next_slot(clock.clone()));
                }
            }
        }
    }

    async fn on_event(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Gossip(message) => self.on_gossip(message).await,
            NetworkEvent::PeerStatus { peer, status } => self.tell_catch_up(CatchUp::PeerStatus(peer, status)),
            NetworkEvent::PeerDisconnected { peer } => self.tell_catch_up(CatchUp::PeerGone(peer)),
            NetworkEvent::PeerConnected { peer, direction } => {
                tracing::debug!(%peer, ?direction, "Peer connected");
            }
            NetworkEvent::Request {
                peer,
                request,
                responder,
                ..
            } => self.on_request(peer, request, responder),
            // This node asks by streams of their own.
            NetworkEvent::Response(_) => {}
        }
    }

    /// Requests wait for places, first of their peer, as the spec asks for: the network lets a peer have two of a kind at
    /// most.
    fn on_request(&mut self, peer: PeerId, request: Request, responder: Responder) {
        let share = self.shares.of(peer);
        let answers = Arc::clone(&self.answers);
        let intake = Arc::clone(&self.gossip.intake);
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_share) = share.acquire_owned().await else {
                return;
            };
            let Ok(Ok(_place)) = tokio::time::timeout(MAX_WAIT_FOR_ANSWER, answers.acquire_owned()).await else {
                responder.refuse(network::ResponseCode::RateLimited, "too many requests at the moment");
                return;
            };
            serve::answer(intake, request, responder).await;
        });
    }

    fn tell_catch_up(&self, message: CatchUp<P>) {
        if let Err(error) = self.catch_up.try_send(message) {
            tracing::warn!(%error, "Sync is overloaded");
        }
    }

    async fn on_gossip(&mut self, message: GossipMessage) {
        if let Some((vote, subnet)) = self.gossip.read_attestation(&message) {
            self.votes.push((message, vote, subnet));
            return;
        }
        match Arc::clone(&self.places.messages).try_acquire_owned() {
            Ok(place) => self.handle(message, place),
            Err(_) => {
                tracing::debug!(topic = %message.topic, "Message is dropped: too many at once");
                self.gossip.ignore(message).await;
            }
        }
    }

    fn handle(&self, message: GossipMessage, place: OwnedSemaphorePermit) {
        let gossip = Arc::clone(&self.gossip);
        tokio::spawn(async move {
            gossip.handle(message).await;
            drop(place);
        });
    }

    async fn flush_votes(&mut self) {
        if self.votes.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.votes);
        let Ok(place) = Arc::clone(&self.places.votes).try_acquire_owned() else {
            tracing::debug!(count = batch.len(), "Votes are dropped: too many at once");
            for (message, ..) in batch {
                self.gossip.ignore(message).await;
            }
            return;
        };
        let gossip = Arc::clone(&self.gossip);
        tokio::spawn(async move {
            gossip.handle_attestations(batch).await;
            drop(place);
        });
    }

    fn handle_called_votes(&self, place: OwnedSemaphorePermit) {
        let votes = self.gossip.waiting.lock().take_called_votes(MAX_ATTESTATION_BATCH);
        let gossip = Arc::clone(&self.gossip);
        tokio::spawn(async move {
            gossip.handle_called_votes(votes).await;
            drop(place);
        });
    }

    fn handle_called(&self, place: OwnedSemaphorePermit) {
        // Whatever was called may have been given up since.
        let message = self.gossip.waiting.lock().take_called();
        if let Some(message) = message {
            self.handle(message, place);
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Committees(subscriptions) => {
                let current = self.chain.current_slot();
                let needed = self
                    .subnets
                    .add_committees::<P>(&subscriptions, current, self.chain.spec());
                let _ = self.network.discover_subnets(needed.into_iter().collect()).await;
            }
            Command::SyncCommittees(subscriptions) => self.subnets.add_sync_committees::<P>(&subscriptions),
            Command::Custody => self.subnets.set_columns(self.gossip.intake.custody().columns),
        }
        self.update_subnets(self.chain.current_slot()).await;
    }

    async fn on_slot(&mut self, slot: Slot) {
        self.gossip.waiting.lock().prune(slot.saturating_sub(1u64));
        self.update_forks(slot.epoch::<P>()).await;
        self.update_subnets(slot).await;
    }

    async fn update_subnets(&mut self, slot: Slot) {
        let change = self.subnets.on_slot::<P>(slot, self.chain.spec());
        if change.join.is_empty() && change.leave.is_empty() {
            return;
        }
        let (attnets, syncnets) = self.subnets.record::<P>(slot.epoch::<P>(), self.chain.spec());
        // If the network has stopped, so does this task.
        let _ = self.network.subscribe(change.join).await;
        let _ = self.network.unsubscribe(change.leave).await;
        let _ = self.network.set_subnets(attnets, syncnets).await;
    }

    /// Follows the topics of the digest in force, ahead of a fork also those of the next, and after a fork for a while
    /// those of the one before.
    async fn update_forks(&mut self, epoch: Epoch) {
        let wanted: Vec<ForkDigest> = {
            let from = epoch.saturating_sub(FORK_OVERLAP_EPOCHS).as_u64();
            let to = epoch.saturating_add(FORK_OVERLAP_EPOCHS).as_u64();
            let mut digests: Vec<_> = (from..=to)
                .map(|epoch| self.chain.fork_digest(Epoch::new(epoch)))
                .collect();
            digests.dedup();
            digests
        };
        for digest in wanted.iter().filter(|digest| !self.digests.contains(digest)) {
            let _ = self.network.subscribe_fork(*digest).await;
        }
        for digest in self.digests.iter().filter(|digest| !wanted.contains(digest)) {
            let _ = self.network.unsubscribe_fork(*digest).await;
        }
        self.digests = wanted;
        let is_changed = self
            .context_epoch
            .is_none_or(|known| self.chain.fork_digest(known) != self.chain.fork_digest(epoch));
        if is_changed {
            let context = fork_context(self.chain.spec(), self.chain.genesis_validators_root(), epoch);
            let _ = self.network.update_fork(context).await;
            // Peers compare digests, and the head may not move for long.
            let _ = self.network.set_status(status_message(&self.chain)).await;
            self.context_epoch = Some(epoch);
        }
    }
}

/// Places for what is looked at. What comes in and what has waited take none from each other, nor do votes and the rest.
#[derive(Debug)]
struct Places {
    messages: Arc<Semaphore>,
    votes: Arc<Semaphore>,
    called: Arc<Semaphore>,
    called_votes: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            messages: Arc::new(Semaphore::new(MAX_GOSSIP_TASKS)),
            votes: Arc::new(Semaphore::new(MAX_VOTE_TASKS)),
            called: Arc::new(Semaphore::new(MAX_CALLED_TASKS)),
            called_votes: Arc::new(Semaphore::new(MAX_CALLED_VOTE_TASKS)),
        }
    }
}

/// The places of each peer that is being answered.
#[derive(Debug, Default)]
struct Shares(HashMap<PeerId, Arc<Semaphore>>);

impl Shares {
    fn of(&mut self, peer: PeerId) -> Arc<Semaphore> {
        // Whoever waits or is answered has a share in hand.
        self.0.retain(|_, share| Arc::strong_count(share) > 1);
        let share = self.0.entry(peer);
        Arc::clone(share.or_insert_with(|| Arc::new(Semaphore::new(MAX_ANSWERS_PER_PEER))))
    }
}

async fn next_slot(clock: runtime::SlotClock) -> Slot {
    clock.next_slot().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_kept_as_long_as_its_peer_is_answered() {
        let mut shares = Shares::default();
        let [answered, gone] = [PeerId::random(), PeerId::random()];
        let place = shares.of(answered).try_acquire_owned().unwrap();
        drop(shares.of(gone));
        assert_eq!(shares.of(answered).available_permits(), MAX_ANSWERS_PER_PEER - 1);
        assert_eq!(shares.0.len(), 1);
        drop(place);
        assert_eq!(shares.of(gone).available_permits(), MAX_ANSWERS_PER_PEER);
        assert_eq!(shares.0.len(), 1);
    }
}
