//! Answers to peers that ask for blocks and columns.

use beacon_chain::{BeaconChain, ChainError};
use data_columns::with_block_header;
use intake::Intake;
use network::{Request, Responder, ResponderClosed, ResponseCode};
use ssz::Encode as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{ColumnIndex, ForkDigest, Preset, Root, Slot};

/// Slots of a request for columns that are looked at before others have their turn.
const SLOTS_AT_ONCE: u64 = 32;

/// Why an answer ended early.
enum Stop {
    /// The requester is gone.
    Closed,
    /// What was asked for is from before this slot, and not here.
    Unavailable(Slot),
    Failed(ChainError),
}

impl From<ResponderClosed> for Stop {
    fn from(_: ResponderClosed) -> Self {
        Self::Closed
    }
}

impl From<ChainError> for Stop {
    fn from(error: ChainError) -> Self {
        Self::Failed(error)
    }
}

/// Answers a request for blocks or columns. The network has checked its bounds and the peer's quota.
pub(crate) async fn answer<P: Preset>(intake: Arc<Intake<P>>, request: Request, responder: Responder) {
    let chain = intake.chain();
    let result = match &request {
        Request::BlocksByRange(range) => {
            let slots = Slots::new(range.start_slot, range.count);
            blocks_by_range(chain, slots, &responder).await
        }
        Request::BlocksByRoot(request) => blocks_by_root(chain, &request.roots, &responder).await,
        Request::DataColumnsByRange(request) => {
            let columns = request.columns.iter().copied().collect();
            let slots = Slots::new(request.start_slot, request.count);
            columns_by_range(&intake, slots, &columns, &responder).await
        }
        Request::DataColumnsByRoot(request) => {
            let wanted = request
                .identifiers
                .iter()
                .map(|wanted| (wanted.block_root, wanted.columns.iter().copied().collect()));
            let sent = columns_of(&intake, wanted.collect::<Vec<_>>().into_iter(), &responder).await;
            sent.map(drop)
        }
        // The network answers these itself.
        Request::Status(_) | Request::Goodbye(_) | Request::Ping(_) | Request::MetaData => Ok(()),
    };
    match result {
        Ok(()) => responder.finish(),
        Err(Stop::Closed) => {}
        Err(Stop::Unavailable(from)) => {
            let reason = format!("nothing of it is here before slot {from}");
            responder.error(ResponseCode::ResourceUnavailable, reason).await;
        }
        Err(Stop::Failed(error)) => {
            tracing::error!(%error, "Request of a peer is not answered");
            responder.error(ResponseCode::ServerError, "internal error").await;
        }
    }
}

/// A stretch of slots that was asked for.
#[derive(Debug, Clone, Copy)]
struct Slots {
    first: Slot,
    count: u64,
}

impl Slots {
    fn new(first: Slot, count: u64) -> Self {
        Self { first, count }
    }

    fn end_before(self, slot: Slot) -> bool {
        self.first.saturating_add(self.count) <= slot
    }

    /// The first of them, so many that they are looked at at once.
    fn take_part(&mut self) -> Self {
        let part = Self::new(self.first, self.count.min(SLOTS_AT_ONCE));
        self.first = self.first.saturating_add(part.count);
        self.count = self.count.saturating_sub(part.count);
        part
    }
}

fn digest<P: Preset>(chain: &BeaconChain<P>, slot: Slot) -> ForkDigest {
    chain.fork_digest(slot.epoch::<P>())
}

fn roots_of<P: Preset>(chain: &BeaconChain<P>, slots: Slots) -> Result<Vec<(Slot, Root)>, ChainError> {
    let head = chain.head().slot();
    let mut roots = Vec::new();
    for offset in 0..slots.count {
        let slot = slots.first.saturating_add(offset);
        if slot > head {
            break;
        }
        roots.extend(chain.canonical_root_at(slot)?.map(|root| (slot, root)));
    }
    Ok(roots)
}

async fn blocks_by_range<P: Preset>(
    chain: &Arc<BeaconChain<P>>,
    slots: Slots,
    responder: &Responder,
) -> Result<(), Stop> {
    let roots: Vec<Root> = roots_of(chain, slots)?.into_iter().map(|(_, root)| root).collect();
    if roots.is_empty() {
        let oldest = chain.storage().oldest_block().map_err(ChainError::from)?;
        let from = oldest.map(|(slot, _)| slot).unwrap_or_default();
        if slots.end_before(from) {
            return Err(Stop::Unavailable(from));
        }
    }
    blocks_by_root(chain, &roots, responder).await
}

async fn columns_by_range<P: Preset>(
    intake: &Arc<Intake<P>>,
    slots: Slots,
    columns: &BTreeSet<ColumnIndex>,
    responder: &Responder,
) -> Result<(), Stop> {
    let chain = intake.chain();
    let (mut left, mut sent) = (slots, 0usize);
    let mut last = None;
    // They may be thousands, with no blobs in any of them.
    while left.count > 0 && left.first <= chain.head().slot() && !responder.is_closed() {
        let roots = roots_of(chain, left.take_part())?;
        // All that is sent is of one chain.
        if let Some((slot, root)) = last
            && chain.canonical_root_at(slot)? != Some(root)
        {
            return Ok(());
        }
        last = roots.last().copied().or(last);
        let wanted = roots.into_iter().map(|(_, root)| (root, columns.clone()));
        sent = sent.saturating_add(columns_of(intake, wanted, responder).await?);
        tokio::task::yield_now().await;
    }
    let from = chain.columns_available_from()?.max(chain.columns_served_from());
    if sent == 0 && slots.end_before(from) {
        return Err(Stop::Unavailable(from));
    }
    Ok(())
}

async fn blocks_by_root<P: Preset>(
    chain: &Arc<BeaconChain<P>>,
    roots: &[Root],
    responder: &Responder,
) -> Result<(), Stop> {
    for root in roots {
        if let Some(block) = chain.get_block(root)? {
            responder
                .object(digest(chain, block.slot()), block.as_ssz_bytes())
                .await?;
        }
    }
    Ok(())
}

/// Each once and ascending, also those whose block waits for others or is not here yet: nodes that lack different columns help
/// each other before either has imported the block. Gives how many there were.
async fn columns_of<P: Preset>(
    intake: &Arc<Intake<P>>,
    wanted: impl Iterator<Item = (Root, BTreeSet<ColumnIndex>)>,
    responder: &Responder,
) -> Result<usize, Stop> {
    let chain = intake.chain();
    let mut sent = 0usize;
    for (root, columns) in wanted {
        let storage = chain.storage();
        let here = storage.data_column_indices(&root).map_err(ChainError::from)?;
        let mut found = here.into_iter().filter(|index| columns.contains(index)).peekable();
        if found.peek().is_none() {
            continue;
        }
        let block = chain.get_block(&root)?.or_else(|| intake.waiting_block(&root));
        // Columns came with their leader's signature, perhaps, before the group's was complete.
        let header = block.map(|block| block.signed_block_header());
        for index in found {
            let Some(sidecar) = storage.get_data_column(&root, index).map_err(ChainError::from)? else {
                continue;
            };
            let sidecar = match &header {
                Some(header) => with_block_header(sidecar, header.clone()),
                None => sidecar,
            };
            let digest = digest(chain, sidecar.block_header().slot);
            responder.object(digest, sidecar.as_ssz_bytes()).await?;
            sent = sent.saturating_add(1);
        }
    }
    Ok(sent)
}
