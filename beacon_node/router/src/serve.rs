//! Answers to peers that ask for blocks and columns.

use beacon_chain::{BeaconChain, ChainError};
use data_columns::with_block_header;
use network::{Request, Responder, ResponderClosed, ResponseCode};
use ssz::Encode as _;
use std::sync::Arc;
use types::{ForkDigest, Preset, Root, Slot};

/// Why an answer ended early.
enum Stop {
    /// The requester is gone.
    Closed,
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
pub(crate) async fn answer<P: Preset>(chain: Arc<BeaconChain<P>>, request: Request, responder: Responder) {
    let result = match &request {
        Request::BlocksByRange(range) => blocks_by_range(&chain, range.start_slot, range.count, &responder).await,
        Request::BlocksByRoot(request) => blocks_by_root(&chain, &request.roots, &responder).await,
        Request::DataColumnsByRange(request) => {
            let columns = request.columns.iter().copied().collect::<Vec<_>>();
            let roots = roots_of(&chain, request.start_slot, request.count);
            match roots {
                Ok(roots) => columns_of(&chain, roots.iter().map(|root| (*root, columns.clone())), &responder).await,
                Err(error) => Err(error.into()),
            }
        }
        Request::DataColumnsByRoot(request) => {
            let wanted = request
                .identifiers
                .iter()
                .map(|wanted| (wanted.block_root, wanted.columns.iter().copied().collect()));
            columns_of(&chain, wanted.collect::<Vec<_>>().into_iter(), &responder).await
        }
        // The network answers these itself.
        Request::Status(_) | Request::Goodbye(_) | Request::Ping(_) | Request::MetaData => Ok(()),
    };
    match result {
        Ok(()) => responder.finish(),
        Err(Stop::Closed) => {}
        Err(Stop::Failed(error)) => {
            tracing::error!(%error, "Request of a peer is not answered");
            responder.error(ResponseCode::ServerError, "internal error").await;
        }
    }
}

fn digest<P: Preset>(chain: &BeaconChain<P>, slot: Slot) -> ForkDigest {
    chain.fork_digest(slot.epoch::<P>())
}

fn roots_of<P: Preset>(chain: &BeaconChain<P>, start_slot: Slot, count: u64) -> Result<Vec<Root>, ChainError> {
    let head = chain.head().slot();
    let mut roots = Vec::new();
    for offset in 0..count {
        let slot = start_slot.saturating_add(offset);
        if slot > head {
            break;
        }
        roots.extend(chain.canonical_root_at(slot)?);
    }
    Ok(roots)
}

async fn blocks_by_range<P: Preset>(
    chain: &Arc<BeaconChain<P>>,
    start_slot: Slot,
    count: u64,
    responder: &Responder,
) -> Result<(), Stop> {
    let roots = roots_of(chain, start_slot, count)?;
    blocks_by_root(chain, &roots, responder).await
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

async fn columns_of<P: Preset>(
    chain: &Arc<BeaconChain<P>>,
    wanted: impl Iterator<Item = (Root, Vec<types::ColumnIndex>)>,
    responder: &Responder,
) -> Result<(), Stop> {
    for (root, columns) in wanted {
        let Some(block) = chain.get_block(&root)? else {
            continue;
        };
        let (slot, header) = (block.slot(), block.signed_block_header());
        for index in columns {
            let sidecar = chain
                .storage()
                .get_data_column(&root, index)
                .map_err(ChainError::from)?;
            if let Some(sidecar) = sidecar {
                let sidecar = with_block_header(sidecar, header.clone());
                responder.object(digest(chain, slot), sidecar.as_ssz_bytes()).await?;
            }
        }
    }
    Ok(())
}
