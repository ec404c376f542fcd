//! The loop that starts each duty when its time comes.

use crate::attestation::Attesters;
use crate::block::Proposers;
use crate::sync_committee::SyncCommittees;
use crate::{Context, heads};
use beacon_api::HeadEvent;
use std::sync::Arc;
use std::time::Duration;
use types::{Epoch, Preset, Root, Slot};

/// While the chain knows none of the keys, or no node answers, it is asked again after so long.
const RETRY: Duration = Duration::from_secs(2);
/// Of a slot, in basis points: when nodes are asked how they are.
const HEALTH_BPS: u64 = 8_000;

#[derive(Debug, Default)]
struct Duties {
    attesters: Arc<Attesters>,
    proposers: Arc<Proposers>,
    sync_committees: Arc<SyncCommittees>,
}

/// Does all duties of all keys for ever. Drop it to stop.
pub async fn run<P: Preset>(context: Arc<Context>) {
    let duties = Arc::new(Duties::default());
    tokio::join!(
        heads::follow::<P>(Arc::clone(&context)),
        watch_health(Arc::clone(&context)),
        poll::<P>(Arc::clone(&context), Arc::clone(&duties)),
        work::<P>(context, duties),
    );
}

/// Asks all nodes how they are, in the second half of each slot, when nothing else is due.
async fn watch_health(context: Arc<Context>) {
    loop {
        let slot = context.clock.next_slot().await;
        context
            .clock
            .sleep_until_ms(context.clock.due_ms(slot, HEALTH_BPS))
            .await;
        context.nodes.check_health().await;
    }
}

/// What makes duties be fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Basis {
    epoch: Epoch,
    /// What the duties of the current and of the next epoch depend on, if a node told of a head.
    roots: Option<(Root, Root)>,
}

fn basis<P: Preset>(context: &Context, head: Option<HeadEvent>) -> Basis {
    Basis {
        epoch: context.epoch::<P>(),
        roots: head.map(|head| (head.previous_duty_dependent_root, head.current_duty_dependent_root)),
    }
}

/// Fetches duties at the start, at each epoch's start, and when what they depend on changes.
async fn poll<P: Preset>(context: Arc<Context>, duties: Arc<Duties>) {
    let mut heads = context.head.subscribe();
    let mut changes = context.changes.subscribe();
    let mut last: Option<Basis> = None;
    let mut looked_up: Option<Epoch> = None;
    // Kept until the duties of the changed keys are known.
    let mut indices_changed = false;
    loop {
        let now = basis::<P>(&context, *heads.borrow_and_update());
        if looked_up != Some(now.epoch) {
            context.nodes.check_health().await;
            match context.update_indices::<P>().await {
                Ok(changed) => {
                    indices_changed |= changed;
                    looked_up = Some(now.epoch);
                }
                Err(error) => tracing::warn!(%error, "Keys cannot be looked up"),
            }
        }
        if indices_changed || last != Some(now) {
            // The proposer of the first slot must know before all else.
            let mut is_complete = duties.proposers.update::<P>(&context).await;
            is_complete &= duties.attesters.update::<P>(&context, indices_changed).await;
            if last.is_none_or(|last| last.epoch != now.epoch) || indices_changed {
                is_complete &= duties.sync_committees.update::<P>(&context).await;
                context.prepare_proposers().await;
                context.prune_protection::<P>(now.epoch).await;
            }
            if is_complete {
                last = Some(now);
                indices_changed = false;
            }
        }
        let is_known = looked_up == Some(now.epoch) && last == Some(now) && !indices_changed;
        let next_epoch = context
            .clock
            .slot_start_ms(now.epoch.saturating_add(1u64).start_slot::<P>());
        tokio::select! {
            changed = heads.changed() => if changed.is_err() { return },
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                looked_up = None;
                indices_changed = true;
            }
            () = context.clock.sleep_until_ms(next_epoch) => {}
            () = tokio::time::sleep(RETRY), if !is_known => {}
        }
    }
}

/// Starts the duties of each slot. None waits for another.
async fn work<P: Preset>(context: Arc<Context>, duties: Arc<Duties>) {
    // Those of the slot in which the client starts are left out: another run may have done them.
    loop {
        let slot: Slot = context.clock.next_slot().await;
        let context = &context;
        tokio::spawn(Arc::clone(&duties.proposers).propose::<P>(Arc::clone(context), slot));
        tokio::spawn(Arc::clone(&duties.attesters).attest::<P>(Arc::clone(context), slot));
        tokio::spawn(Arc::clone(&duties.sync_committees).sign::<P>(Arc::clone(context), slot));
    }
}
