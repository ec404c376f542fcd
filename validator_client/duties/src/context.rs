//! What all duties share.

use crate::{Indices, Nodes};
use beacon_api::{ApiError, BeaconClient, HeadEvent};
use parking_lot::RwLock;
use runtime::SlotClock;
use signing::Signer;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::{ChainSpec, Epoch, ExecutionAddress, Hash32, Preset, SignerKey, Slot};

/// Longest graffiti.
pub const GRAFFITI_BYTES: usize = 32;

/// Between two rounds of the same question.
pub(crate) const ROUND_PAUSE: Duration = Duration::from_millis(250);
/// Of a slot: how long a node may take for an answer that can be asked for again. Not less than [`MIN_ANSWER`].
const ANSWERS_PER_SLOT: u64 = 4;
const MIN_ANSWER: Duration = Duration::from_secs(1);

/// Graffiti as it stands in a block: padded with zeros. `None` for a text of more than [`GRAFFITI_BYTES`].
pub fn padded_graffiti(text: &str) -> Option<Hash32> {
    let bytes = text.as_bytes();
    let mut padded = [0u8; GRAFFITI_BYTES];
    padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(Hash32::new(padded))
}

/// What an operator chose.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Graffiti of blocks whose key has none of its own.
    pub graffiti: Option<Hash32>,
    /// Graffiti by key.
    pub graffiti_by_key: HashMap<SignerKey, Hash32>,
    /// Who gets the fees of blocks whose key names nobody.
    pub fee_recipient: Option<ExecutionAddress>,
    /// Who gets the fees, by key.
    pub fee_recipient_by_key: HashMap<SignerKey, ExecutionAddress>,
}

impl Settings {
    /// Graffiti of a key's blocks.
    pub fn graffiti_of(&self, key: &SignerKey) -> Option<Hash32> {
        self.graffiti_by_key.get(key).copied().or(self.graffiti)
    }

    /// Who gets the fees of a key's blocks.
    pub fn fee_recipient_of(&self, key: &SignerKey) -> Option<ExecutionAddress> {
        self.fee_recipient_by_key.get(key).copied().or(self.fee_recipient)
    }
}

/// What all duties share.
#[derive(Debug)]
pub struct Context {
    /// The beacon nodes.
    pub nodes: Nodes,
    /// The keys.
    pub signer: Arc<Signer>,
    /// Configuration of the network.
    pub spec: Arc<ChainSpec>,
    /// The clock.
    pub clock: SlotClock,
    /// What the operator chose.
    pub settings: RwLock<Settings>,
    /// Who the keys are at the moment.
    pub indices: Indices,
    /// The latest head that a node told of.
    pub head: watch::Sender<Option<HeadEvent>>,
    /// How often keys or what belongs to them have changed.
    pub(crate) changes: watch::Sender<u64>,
}

impl Context {
    /// Nothing is known of the chain yet.
    pub fn new(nodes: Nodes, signer: Arc<Signer>, spec: Arc<ChainSpec>, clock: SlotClock, settings: Settings) -> Self {
        Self {
            nodes,
            signer,
            spec,
            clock,
            settings: RwLock::new(settings),
            indices: Indices::default(),
            head: watch::channel(None).0,
            changes: watch::channel(0).0,
        }
    }

    /// Tells the duties that the signer has other keys, or a key other settings: all is fetched and told anew.
    pub fn keys_changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// The current epoch; 0 before genesis.
    pub(crate) fn epoch<P: Preset>(&self) -> Epoch {
        self.clock.now_slot().unwrap_or_default().epoch::<P>()
    }

    /// Asks for what is of use until the end of a slot, as [`Self::hand_in`] does. Who takes long is not waited for: it can
    /// be asked again.
    pub(crate) async fn ask<T, F>(&self, slot: Slot, ask: impl Fn(BeaconClient) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let timeout = Duration::from_millis(self.spec.slot_duration_ms / ANSWERS_PER_SLOT).max(MIN_ANSWER);
        self.hand_in(slot, |node| ask(node.with_timeout(timeout))).await
    }

    /// Hands in what is of use until the end of a slot. If all nodes fail, they are tried again, in rounds: a node that
    /// restarts, or is not ready at the moment, must not cost a duty. A busy node gets its time, for it would have to work
    /// through everything once more.
    ///
    /// Errors with what the last node said in the last round.
    pub(crate) async fn hand_in<T, F>(&self, slot: Slot, hand: impl Fn(BeaconClient) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let end = self.clock.slot_start_ms(slot.saturating_add(1u64));
        let mut round = 0u32;
        loop {
            match self.nodes.first(&hand).await {
                Err(error) if error.is_of_the_node() && self.clock.now_ms() < end => {
                    if round == 0 {
                        tracing::warn!(%slot, %error, "No beacon node could answer, trying again until the slot ends");
                    }
                    round = round.saturating_add(1);
                    tokio::time::sleep(ROUND_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    /// Waits until a node tells of a head of `slot`, but no longer than until `basis_points` of the slot.
    pub(crate) async fn wait_for_head(&self, slot: Slot, basis_points: u64) {
        let mut head = self.head.subscribe();
        let arrives = head.wait_for(|head| head.is_some_and(|head| head.slot >= slot));
        let due = self.clock.sleep_until_ms(self.clock.due_ms(slot, basis_points));
        tokio::select! {
            _ = arrives => {}
            () = due => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graffiti_is_padded_and_never_cut() {
        assert_eq!(padded_graffiti("ab").unwrap()[..3], [b'a', b'b', 0]);
        assert!(padded_graffiti(&"x".repeat(32)).is_some());
        assert_eq!(padded_graffiti(&"x".repeat(33)), None);
    }
}
