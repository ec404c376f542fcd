//! Following the nodes through their Beacon API.

use crate::blobs_seen::{BlobObserver, BlobsSeen, note_told};
use crate::bookkeeping::keep_books;
use crate::layout::NodeNumber;
use crate::leaves::{GroupKeys, Message};
use crate::record::{
    Assembly, BlockRecord, EpochRecord, FinalitySample, GroupEpoch, HeadSample, Record, SlotRecord, Times,
    ValidatorEpoch, as_epoch, as_slot, first_slot, registry_index,
};
use crate::votes::{Seats, vote_of};
use beacon_api::{
    ApiError, BeaconClient, BlockId, Committee, Event, EventTopic, GroupBlockEvent, GroupEntry, GroupKeySet, StateId,
    ValidatorId, ValidatorsRequest,
};
use futures::future::join_all;
use futures::{StreamExt as _, pin_mut};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use types::{Attestation, Checkpoint, Minimal, Root, SignerIndex, Signers, ValidatorIndex};

/// What is followed at every node.
const TOPICS: &[EventTopic] = &[EventTopic::GroupBlock];
/// The same, and everything that hash-based keys sign.
const TOPICS_WITH_SIGNATURES: &[EventTopic] = &[
    EventTopic::GroupBlock,
    EventTopic::Block,
    EventTopic::SingleAttestation,
    EventTopic::AggregateAndProof,
    EventTopic::GroupSignature,
    EventTopic::VoluntaryExit,
    EventTopic::KeySetChange,
];
/// Events that wait to be looked at.
const EVENT_QUEUE: usize = 16_384;
/// Pause before a node whose stream has ended is asked again.
const RECONNECT: Duration = Duration::from_millis(500);
/// Slots whose blocks are asked for again: a re-org may have changed them.
const LOOK_BACK: u64 = 4;

/// A group as of the head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LiveGroup {
    pub(crate) previous: GroupEpoch,
    pub(crate) current: GroupEpoch,
}

/// What the table shows beside the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) followed: NodeNumber,
    pub(crate) justified: u64,
    pub(crate) finalized: u64,
    pub(crate) running: usize,
    /// By registry index.
    pub(crate) groups: BTreeMap<u64, LiveGroup>,
    /// Gwei by registry index.
    pub(crate) balances: BTreeMap<u64, u64>,
}

/// Which nodes can be asked.
pub(crate) struct Nodes {
    /// Those that run.
    pub(crate) running: Vec<NodeNumber>,
    /// Those that have run for an epoch.
    pub(crate) settled: BTreeSet<NodeNumber>,
}

pub(crate) struct Observer {
    pub(crate) record: Record,
    pub(crate) live: Live,
    apis: BTreeMap<NodeNumber, BeaconClient>,
    events: mpsc::Receiver<(NodeNumber, Event<Minimal>)>,
    assemblies: BTreeMap<(u64, Root), Assembly>,
    /// Next epoch to be recorded.
    next_epoch: u64,
    /// Epochs whose proposers are known.
    proposers_of: BTreeSet<u64>,
    seats: Seats,
    group_keys: GroupKeys,
    /// Events whose signatures are still to be read.
    unread: Vec<(NodeNumber, Event<Minimal>)>,
    blocks_read: BTreeSet<Root>,
    /// Whether rewards and requests of each block are read.
    keeps_books: bool,
    /// If blocks have blobs.
    blobs: Option<BlobObserver>,
    // Ends with this.
    _followers: JoinSet<()>,
}

impl Observer {
    /// With `signatures`, those of all schemes but BLS are read.
    pub(crate) fn new(record: Record, apis: BTreeMap<NodeNumber, BeaconClient>, signatures: bool) -> Self {
        let topics = if signatures { TOPICS_WITH_SIGNATURES } else { TOPICS };
        let (sender, events) = mpsc::channel(EVENT_QUEUE);
        let mut followers = JoinSet::new();
        for (node, api) in &apis {
            followers.spawn(follow(*node, api.clone(), topics, sender.clone()));
        }
        Self {
            record,
            live: Live::default(),
            apis,
            events,
            assemblies: BTreeMap::new(),
            next_epoch: 0,
            proposers_of: BTreeSet::new(),
            seats: Seats::default(),
            group_keys: GroupKeys::default(),
            unread: Vec::new(),
            blocks_read: BTreeSet::new(),
            keeps_books: false,
            blobs: None,
            _followers: followers,
        }
    }

    /// From now on, what each block does to balances is read, too.
    pub(crate) fn keep_books(&mut self) {
        self.keeps_books = true;
    }

    /// From now on, blobs and columns are looked at, too.
    pub(crate) fn look_at_blobs(&mut self, observer: BlobObserver) {
        self.record.blobs = Some(BlobsSeen::default());
        self.blobs = Some(observer);
    }

    /// A node has lost all that it had.
    pub(crate) fn forget_custody(&mut self, node: NodeNumber) {
        if let Some(seen) = &mut self.record.blobs {
            seen.custody.remove(&node);
        }
    }

    /// A client of the node whose view is shown.
    pub(crate) fn followed_api(&self) -> Option<&BeaconClient> {
        self.apis.get(&self.live.followed)
    }

    /// Looks at everything near the end of a slot. Returns whether an epoch was completed.
    pub(crate) async fn observe(&mut self, slot: u64, nodes: &Nodes) -> bool {
        self.take_events();
        self.sample_nodes(slot, nodes).await;
        let Some(api) = self.followed(nodes).await else {
            return false;
        };
        self.read_slots(&api, slot).await;
        if self.keeps_books
            && let Err(error) = keep_books(&mut self.record, &api).await
        {
            tracing::warn!(node = self.live.followed, %error, "Could not read the latest blocks, trying again");
        }
        self.attach_assemblies();
        if let Err(error) = self.read_live(&api).await {
            tracing::warn!(node = self.live.followed, %error, "Could not read the groups of the head");
        }
        self.look_for_offences(slot, nodes).await;
        if let Some(observer) = &self.blobs
            && let Some(mut seen) = self.record.blobs.take()
        {
            observer.look(&self.record, &mut seen, slot, &nodes.running).await;
            self.record.blobs = Some(seen);
        }
        self.read_signatures().await;
        let before = self.next_epoch;
        // The last state in which an epoch's votes can be is that of the end of the next.
        while first_slot(self.next_epoch + 2, self.record.slots_per_epoch) < slot {
            match self.read_epoch(&api, self.next_epoch).await {
                Ok(epoch) => {
                    self.record.epochs.insert(self.next_epoch, epoch);
                    self.next_epoch += 1;
                }
                Err(error) => {
                    tracing::warn!(epoch = self.next_epoch, %error, "Could not read an epoch, trying again");
                    break;
                }
            }
        }
        self.next_epoch > before
    }

    /// The node whose view is shown: of those that most agree with, the last one.
    async fn followed(&mut self, nodes: &Nodes) -> Option<BeaconClient> {
        let settled: Vec<NodeNumber> = nodes
            .running
            .iter()
            .copied()
            .filter(|node| nodes.settled.contains(node))
            .collect();
        let candidates = if settled.is_empty() { &nodes.running } else { &settled };
        let asked = candidates.iter().filter_map(|node| {
            let api = self.apis.get(node)?.with_timeout(Duration::from_secs(2));
            Some(async move { (*node, api.block_root(BlockId::Head).await) })
        });
        let heads = join_all(asked).await.into_iter();
        let heads = heads.filter_map(|(node, root)| Some((node, root.ok()??.data)));
        let node = most_agreed(heads).or_else(|| candidates.iter().max().copied())?;
        self.live.followed = node;
        self.live.running = nodes.running.len();
        self.apis.get(&node).cloned()
    }

    pub(crate) fn take_events(&mut self) {
        while let Ok((node, event)) = self.events.try_recv() {
            match event {
                Event::GroupBlock(event) => self.take_group_block(node, &event),
                event => self.unread.push((node, event)),
            }
        }
    }

    fn take_group_block(&mut self, node: NodeNumber, event: &GroupBlockEvent) {
        let assembly = self
            .assemblies
            .entry((event.slot.as_u64(), event.block))
            .or_insert_with(|| Assembly {
                rank: event.rank,
                threshold: event.threshold,
                size: event.size,
                seen: BTreeMap::new(),
            });
        let times = Times {
            proposal_ms: event.seen_ms,
            threshold_ms: event.threshold_ms,
        };
        assembly.seen.insert(node, times);
    }

    fn attach_assemblies(&mut self) {
        for ((slot, root), assembly) in &self.assemblies {
            let block = self.record.slots.get_mut(slot).and_then(|entry| entry.block.as_mut());
            if let Some(block) = block
                && block.root == *root
            {
                block.assembly = Some(assembly.clone());
            }
        }
    }

    async fn sample_nodes(&mut self, slot: u64, nodes: &Nodes) {
        let asked = nodes.running.iter().filter_map(|node| {
            let api = self.apis.get(node)?.with_timeout(Duration::from_secs(2));
            Some(async move {
                (
                    *node,
                    api.syncing().await,
                    api.finality_checkpoints(StateId::Head).await,
                )
            })
        });
        for (node, syncing, finality) in join_all(asked).await {
            let syncing = match syncing {
                Ok(syncing) => syncing,
                Err(error) => {
                    tracing::warn!(node, %error, "A node did not answer");
                    continue;
                }
            };
            let head_slot = syncing.head_slot.as_u64();
            self.record.heads.push(HeadSample {
                slot,
                node,
                head_slot,
                is_syncing: syncing.is_syncing,
            });
            let Ok(finality) = finality else {
                continue;
            };
            self.record.finality.push(FinalitySample {
                slot,
                head_slot,
                node,
                justified: finality.data.current_justified.epoch.as_u64(),
                finalized: finality.data.finalized.epoch.as_u64(),
                finalized_root: finality.data.finalized.root,
                settled: nodes.settled.contains(&node),
            });
        }
    }

    /// The first slot whose block may be another than what is recorded: some slots back, or as far as the chain is another.
    async fn first_to_read(&self, api: &BeaconClient) -> u64 {
        let mut first = self.record.last_slot().saturating_sub(LOOK_BACK).max(1);
        while first > 1 {
            let recorded = self.record.slots.get(&(first - 1));
            let recorded = recorded.and_then(|entry| Some(entry.block.as_ref()?.root));
            let Ok(root) = api.block_root(BlockId::Slot(as_slot(first - 1))).await else {
                break;
            };
            // An empty slot says nothing about those before it.
            if recorded.is_some() && root.map(|root| root.data) == recorded {
                break;
            }
            first -= 1;
        }
        first
    }

    async fn read_slots(&mut self, api: &BeaconClient, slot: u64) {
        let from = self.first_to_read(api).await;
        for read in from..=slot {
            let header = match api.header(BlockId::Slot(as_slot(read))).await {
                Ok(header) => header,
                Err(error) => {
                    tracing::warn!(slot = read, %error, "Could not read a header");
                    continue;
                }
            };
            let block = header.map(|entry| BlockRecord {
                root: entry.data.root,
                proposer: entry.data.header.message().proposer_index.as_u64(),
                signers: positions(&entry.data.header.signers()),
                assembly: None,
            });
            let entry = self.record.slots.entry(read).or_default();
            *entry = SlotRecord { due: entry.due, block };
            let epoch = self.record.epoch_of(read);
            if !self.proposers_of.contains(&epoch) {
                self.read_proposers(api, epoch).await;
            }
        }
        self.fill_due_of_new_slots(api).await;
    }

    /// Slots of an epoch that is known to have its proposers may have been recorded later.
    async fn fill_due_of_new_slots(&mut self, api: &BeaconClient) {
        let missing: BTreeSet<u64> = self
            .record
            .slots
            .iter()
            .rev()
            .take(2)
            .filter(|(_, entry)| entry.due.is_none())
            .map(|(slot, _)| self.record.epoch_of(*slot))
            .collect();
        for epoch in missing {
            self.read_proposers(api, epoch).await;
        }
    }

    /// Learns from a node whose votes name a target who sits in the committees of that branch.
    async fn learn_seats(&mut self, api: &BeaconClient, votes: &[Attestation<Minimal>]) {
        let targets: BTreeSet<Checkpoint> = votes.iter().map(|vote| vote.data().target).collect();
        for target in targets
            .into_iter()
            .filter(|target| !self.seats.knows(target))
            .collect::<Vec<_>>()
        {
            match committees_of(api, target).await {
                Ok(Some(committees)) => self.seats.add(target, committees),
                Ok(None) => {
                    tracing::warn!(root = %target.root, "A node holds votes for a target that it does not know")
                }
                // So when no block came for an epoch: the state of the target cannot tell. Such votes are not looked at.
                Err(error) => tracing::warn!(epoch = %target.epoch, %error, "Could not read committees"),
            }
        }
    }

    /// Looks at every node's votes, headers and slashings: nodes that saw different messages of one signer give it away.
    async fn look_for_offences(&mut self, slot: u64, nodes: &Nodes) {
        let slots = slot.saturating_sub(1)..=slot;
        let epoch = self.record.epoch_of(slot);
        self.seats.forget_before(epoch.saturating_sub(2));
        let asked = nodes.running.iter().filter_map(|node| {
            let api = self.apis.get(node)?;
            let slots = slots.clone();
            Some(async move {
                let mut votes = Vec::new();
                let mut headers = Vec::new();
                for slot in slots {
                    votes.push(api.pool_attestations::<Minimal>(Some(as_slot(slot)), None).await);
                    headers.push(api.headers(Some(as_slot(slot)), None).await);
                }
                let proposers = api.pool_proposer_slashings().await;
                let attesters = api.pool_attester_slashings::<Minimal>().await;
                (*node, votes, headers, proposers, attesters)
            })
        });
        for (node, votes, headers, proposers, attesters) in join_all(asked).await {
            let votes: Vec<_> = votes.into_iter().flatten().flat_map(|votes| votes.data).collect();
            if let Some(api) = self.apis.get(&node).cloned() {
                self.learn_seats(&api, &votes).await;
            }
            for attestation in votes {
                for signer in self.seats.signers(&attestation) {
                    self.record.add_vote(signer, vote_of(&attestation));
                }
                for message in Message::of_votes(&attestation, &self.seats) {
                    message.note(&self.group_keys, &mut self.record);
                }
            }
            for entry in headers.into_iter().flatten().flat_map(|headers| headers.data) {
                let header = entry.header.message();
                note_told(self.record.blobs.as_mut(), entry.root, node);
                self.record
                    .add_header(header.slot.as_u64(), header.proposer_index.as_u64(), entry.root);
            }
            let slashings = proposers.map_or(0, |slashings| slashings.len())
                + attesters.map_or(0, |slashings| slashings.data.len());
            if slashings > 0 {
                self.record
                    .offences
                    .insert(format!("node {node} holds {slashings} slashings"));
            }
        }
    }

    /// Reads what hash-based keys have signed: in events, and in each block that any node has.
    async fn read_signatures(&mut self) {
        // Until the first look at the groups, events wait.
        if self.group_keys.is_empty() {
            return;
        }
        for (node, event) in std::mem::take(&mut self.unread) {
            for message in Message::of_event(&event, &self.seats, &self.group_keys) {
                message.note(&self.group_keys, &mut self.record);
            }
            if let Event::Block(event) = event
                && self.blocks_read.insert(event.block)
                && let Some(api) = self.apis.get(&node)
            {
                match api.block::<Minimal>(BlockId::Root(event.block)).await {
                    Ok(Some(block)) => {
                        for message in Message::of_block(&block.data, &self.seats, &self.group_keys) {
                            message.note(&self.group_keys, &mut self.record);
                        }
                    }
                    // Another node tells of it, too.
                    Ok(None) | Err(_) => {
                        self.blocks_read.remove(&event.block);
                    }
                }
            }
        }
    }

    async fn read_proposers(&mut self, api: &BeaconClient, epoch: u64) {
        match api.proposer_duties(as_epoch(epoch)).await {
            Ok(duties) => {
                self.proposers_of.insert(epoch);
                for duty in duties.data {
                    if let Some(entry) = self.record.slots.get_mut(&duty.slot.as_u64()) {
                        entry.due = Some(duty.validator_index.split().0.as_u64());
                    }
                }
            }
            Err(error) => tracing::warn!(epoch, %error, "Could not read the proposers of an epoch"),
        }
    }

    async fn read_live(&mut self, api: &BeaconClient) -> Result<(), ApiError> {
        let finality = api.finality_checkpoints(StateId::Head).await?.data;
        self.live.justified = finality.current_justified.epoch.as_u64();
        self.live.finalized = finality.finalized.epoch.as_u64();
        let epoch = self.record.epoch_of(self.record.last_slot());
        // A state of Fulu has no groups.
        if let Ok(groups) = api.groups(StateId::Head).await {
            for group in groups.data {
                let live = LiveGroup {
                    previous: group_epoch(&group, epoch.saturating_sub(1), true),
                    current: group_epoch(&group, epoch, false),
                };
                self.group_keys.add(group.validator_index.as_u64(), &group.key_sets);
                self.live.groups.insert(group.validator_index.as_u64(), live);
            }
        }
        let shown: Vec<ValidatorId> = self
            .record
            .validators
            .iter()
            .filter(|validator| validator.group || validator.index == self.record.control)
            .map(|validator| ValidatorId::Index(SignerIndex::from(ValidatorIndex::new(validator.index))))
            .collect();
        for entry in api.validator_balances(StateId::Head, &shown).await?.data {
            self.live
                .balances
                .insert(registry_index(entry.index.as_u64()), entry.balance);
        }
        Ok(())
    }

    async fn read_epoch(&self, api: &BeaconClient, epoch: u64) -> Result<EpochRecord, ApiError> {
        let end = StateId::Slot(as_slot(
            first_slot(epoch + 2, self.record.slots_per_epoch).saturating_sub(1),
        ));
        let mut result = EpochRecord::default();
        for entry in api.validators(end, &ValidatorsRequest::default()).await?.data {
            // Keys of groups are listed with the balance of their validator.
            let (index, None) = entry.index.split() else {
                continue;
            };
            if entry.status.is_active() {
                result.total_active_balance += entry.validator.effective_balance;
            }
            let validator = result.validators.entry(index.as_u64()).or_default();
            validator.balance = entry.balance;
            validator.effective_balance = entry.validator.effective_balance;
            validator.slashed = entry.validator.slashed;
        }
        for reward in api.attestation_rewards(as_epoch(epoch), &[]).await?.data.total_rewards {
            if let Some(validator) = result.validators.get_mut(&reward.validator_index.as_u64()) {
                validator.source = reward.source;
                validator.target = reward.target;
                validator.head = reward.head;
                validator.inactivity = reward.inactivity;
            }
        }
        for committee in api.committees(end, Some(as_epoch(epoch)), None, None).await?.data {
            for signer in committee.validators {
                let index = registry_index(signer.as_u64());
                if let Some(validator) = result.validators.get_mut(&index) {
                    self.add_duty(validator, index, epoch, committee.slot.as_u64());
                }
            }
        }
        match api.groups(end).await {
            Ok(groups) => {
                for group in groups.data {
                    result
                        .groups
                        .insert(group.validator_index.as_u64(), group_epoch(&group, epoch, true));
                }
            }
            // A state of Fulu has none.
            Err(error) if error.status().is_some_and(|status| (400..500).contains(&status)) => {}
            Err(error) => return Err(error),
        }
        Ok(result)
    }

    fn add_duty(&self, validator: &mut ValidatorEpoch, index: u64, epoch: u64, slot: u64) {
        validator.duty_slot = Some(slot);
        validator.head_root = self.record.block_at(slot);
        validator.head_votes = BTreeMap::new();
        for ((signer, target), vote) in &self.record.votes {
            if *target == epoch && registry_index(*signer) == index {
                validator.head_votes.entry(vote.head).or_default().push(*signer);
            }
        }
    }

    /// Looks at columns once more, and compares the finalised part of the chain between all nodes, slot by slot.
    pub(crate) async fn look_back(&mut self, nodes: &Nodes) {
        self.take_events();
        self.attach_assemblies();
        if let (Some(observer), Some(seen)) = (&self.blobs, &mut self.record.blobs) {
            observer.finish(seen, &nodes.running).await;
        }
        let last_of = |node: &NodeNumber| {
            let samples = self.record.finality.iter().rev();
            samples
                .filter(|sample| sample.node == *node)
                .map(|sample| sample.finalized)
                .next()
        };
        let compared: Vec<NodeNumber> = nodes.settled.iter().copied().collect();
        let Some(finalized) = compared.iter().filter_map(last_of).min() else {
            return;
        };
        let last = first_slot(finalized, self.record.slots_per_epoch);
        for slot in 1..=last {
            let asked = compared.iter().filter_map(|node| {
                let api = self.apis.get(node)?;
                Some(async move { (*node, api.block_root(BlockId::Slot(as_slot(slot))).await) })
            });
            let mut roots: BTreeMap<Option<Root>, Vec<NodeNumber>> = BTreeMap::new();
            for (node, root) in join_all(asked).await {
                match root {
                    Ok(root) => roots.entry(root.map(|root| root.data)).or_default().push(node),
                    Err(error) => tracing::warn!(node, slot, %error, "Could not read a block root"),
                }
            }
            if roots.len() > 1 {
                self.record.forks.push(format!(
                    "slot {slot} is finalised, and nodes have different blocks: {roots:?}"
                ));
            }
        }
    }
}

async fn follow(
    node: NodeNumber,
    api: BeaconClient,
    topics: &'static [EventTopic],
    events: mpsc::Sender<(NodeNumber, Event<Minimal>)>,
) {
    loop {
        if let Ok(stream) = api.events::<Minimal>(topics).await {
            pin_mut!(stream);
            while let Some(item) = stream.next().await {
                match item {
                    Ok(event) => {
                        if events.send((node, event)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::debug!(node, %error, "Event stream broke");
                        break;
                    }
                }
            }
        }
        sleep(RECONNECT).await;
    }
}

/// The last of the nodes that have the head that most have; of several such heads that of the last node.
fn most_agreed(heads: impl IntoIterator<Item = (NodeNumber, Root)>) -> Option<NodeNumber> {
    let mut by_head: BTreeMap<Root, BTreeSet<NodeNumber>> = BTreeMap::new();
    for (node, root) in heads {
        by_head.entry(root).or_default().insert(node);
    }
    let most = by_head
        .into_values()
        .max_by_key(|nodes| (nodes.len(), nodes.last().copied()))?;
    most.last().copied()
}

/// The committees of a target's epoch on its branch, which the target's block decides. `None`: the node has no such block.
async fn committees_of(api: &BeaconClient, target: Checkpoint) -> Result<Option<Vec<Committee>>, ApiError> {
    let Some(block) = api.header(BlockId::Root(target.root)).await? else {
        return Ok(None);
    };
    let state = StateId::Root(block.data.header.message().state_root);
    let committees = api.committees(state, Some(target.epoch), None, None).await?;
    Ok(Some(committees.data))
}

fn positions(signers: &Signers) -> Vec<u8> {
    (0u8..)
        .zip(signers.iter())
        .filter(|(_, set)| *set)
        .map(|(position, _)| position)
        .collect()
}

fn group_epoch(group: &GroupEntry, epoch: u64, previous: bool) -> GroupEpoch {
    let votes = if previous {
        &group.previous_epoch_participation
    } else {
        &group.current_epoch_participation
    };
    let key_set: Option<&GroupKeySet> = group.key_set_at(as_epoch(epoch));
    GroupEpoch {
        threshold: key_set.map_or(0, |key_set| u64::from(key_set.threshold)),
        size: key_set.map_or(0, |key_set| key_set.keys.len() as u64),
        activation_epoch: key_set.map_or(0, |key_set| key_set.activation_epoch.as_u64()),
        schemes: key_set.map_or_else(Vec::new, |key_set| key_set.keys.iter().map(|key| key.scheme).collect()),
        source: positions(&votes.source),
        target: positions(&votes.target),
        head: positions(&votes.head),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_that_most_nodes_share_is_followed() {
        let heads = |heads: &[(NodeNumber, u8)]| {
            let heads = heads.iter().map(|(node, head)| (*node, Root::repeat_byte(*head)));
            most_agreed(heads)
        };
        assert_eq!(heads(&[]), None);
        assert_eq!(heads(&[(1, 9), (2, 9), (3, 9), (4, 9)]), Some(4));
        assert_eq!(
            heads(&[(1, 5), (2, 5), (3, 5), (4, 9)]),
            Some(3),
            "the last one is alone"
        );
        assert_eq!(heads(&[(1, 9), (2, 9), (3, 5), (4, 5)]), Some(4));
    }
}
