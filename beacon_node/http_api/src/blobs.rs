//! Blobs of blocks, and the data columns that they are made of.

use crate::ApiFailure;
use crate::locate::{FoundBlock, Reader};
use crate::request::Path;
use crate::respond::{Answer, Understands};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use beacon_api::{BlobList, Blobs, Located, Query, Versioned};
use beacon_chain::BeaconChain;
use data_columns::{recover_cells_and_kzg_proofs, with_block_header};
use execution_layer::kzg_commitment_to_versioned_hash;
use std::collections::HashSet;
use std::sync::Arc;
use types::{Blob, Cell, ColumnIndex, DataColumnSidecar, ForkVersioned as _, Hash32, KzgCommitment, Preset, Root};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/beacon/blobs/{block_id}", get(blobs::<P>))
        .route("/eth/v1/beacon/blob_sidecars/{block_id}", get(blob_sidecars::<P>))
        .route(
            "/eth/v1/debug/beacon/data_column_sidecars/{block_id}",
            get(data_column_sidecars::<P>),
        )
}

fn commitments<P: Preset>(found: &FoundBlock<P>) -> Vec<KzgCommitment> {
    found.block.message().body().blob_kzg_commitments().to_vec()
}

async fn blobs<P: Preset>(
    State(reader): Context<P>,
    Path(block_id): Path<String>,
    RawQuery(query): RawQuery,
    understands: Understands,
) -> Answer {
    let query = query.unwrap_or_default();
    let wanted: HashSet<Hash32> = Query::parse(&query)
        .list::<Hash32>("versioned_hashes")?
        .into_iter()
        .collect();
    let found = reader.block(&block_id).await?;
    let rows: Vec<usize> = commitments(&found)
        .iter()
        .enumerate()
        .filter(|(_, commitment)| wanted.is_empty() || wanted.contains(&kzg_commitment_to_versioned_hash(commitment)))
        .map(|(row, _)| row)
        .collect();
    let root = found.root;
    reader
        .replaying(move |chain| {
            let blobs = if rows.is_empty() {
                Vec::new()
            } else {
                blobs_of(chain, &root, &rows)?
            };
            let blobs: Blobs<P> = Blobs::<P>::new(blobs).map_err(|error| ApiFailure::internal(format!("{error:?}")))?;
            let answer = Located {
                execution_optimistic: found.execution_optimistic,
                finalized: found.finalized,
                data: BlobList::<P>(blobs),
            };
            understands.of_any_fork(&answer, &answer.data.0)
        })
        .await
}

fn columns<P: Preset>(
    chain: &BeaconChain<P>,
    root: &Root,
    indices: &[ColumnIndex],
) -> Result<Vec<DataColumnSidecar<P>>, ApiFailure> {
    let mut columns = Vec::with_capacity(indices.len());
    for index in indices {
        let column = chain.storage().get_data_column(root, *index);
        columns.extend(column.map_err(ApiFailure::internal)?);
    }
    Ok(columns)
}

/// Blobs in rows of a block. The first half of the cells are the blob itself; any half of them gives it back.
fn blobs_of<P: Preset>(chain: &BeaconChain<P>, root: &Root, rows: &[usize]) -> Result<Vec<Blob<P>>, ApiFailure> {
    let half = P::NUMBER_OF_COLUMNS / 2;
    let stored = chain
        .storage()
        .data_column_indices(root)
        .map_err(ApiFailure::internal)?;
    let needed: Vec<ColumnIndex> = stored.iter().copied().take(half as usize).collect();
    if (needed.len() as u64) < half {
        return Err(ApiFailure::not_found(format!(
            "this node has {} of the {} columns of block {root:?}, and needs {half} for its blobs: --supernode keeps all",
            stored.len(),
            P::NUMBER_OF_COLUMNS
        )));
    }
    let columns = columns(chain, root, &needed)?;
    let is_blob = needed.iter().copied().eq(0..half);
    rows.iter()
        .map(|row| {
            let cells: Vec<Cell<P>> = columns
                .iter()
                .map(|column| column.column().get(*row).cloned())
                .collect::<Option<_>>()
                .ok_or_else(|| ApiFailure::internal("a column has no cell of a blob"))?;
            let cells = if is_blob {
                cells
            } else {
                let (cells, _) = recover_cells_and_kzg_proofs::<P>(&needed, &cells).map_err(ApiFailure::internal)?;
                cells
            };
            let bytes = cells.iter().take(half as usize).flat_map(|cell| cell.iter().copied());
            Blob::<P>::new(bytes.collect()).map_err(|error| ApiFailure::internal(format!("{error:?}")))
        })
        .collect()
}

/// There have been none since Fulu. A block without blobs has none either way.
async fn blob_sidecars<P: Preset>(
    State(reader): Context<P>,
    Path(block_id): Path<String>,
    RawQuery(query): RawQuery,
    understands: Understands,
) -> Answer {
    let query = query.unwrap_or_default();
    let _: Vec<u64> = Query::parse(&query).list("indices")?;
    let found = reader.block(&block_id).await?;
    if !commitments(&found).is_empty() {
        return Err(ApiFailure::not_found(
            "there are no blob sidecars since Fulu: /eth/v1/beacon/blobs has the blobs",
        ));
    }
    understands.json_or_ssz(Versioned::located(
        found.block.fork_name(),
        found.execution_optimistic,
        found.finalized,
        Vec::<Root>::new(),
    ))
}

async fn data_column_sidecars<P: Preset>(
    State(reader): Context<P>,
    Path(block_id): Path<String>,
    RawQuery(query): RawQuery,
    understands: Understands,
) -> Answer {
    let query = query.unwrap_or_default();
    let wanted: Vec<ColumnIndex> = Query::parse(&query).list("indices")?;
    if let Some(index) = wanted.iter().find(|index| **index >= P::NUMBER_OF_COLUMNS) {
        return Err(ApiFailure::bad_request(format!(
            "there is no column {index}, there are {}",
            P::NUMBER_OF_COLUMNS
        )));
    }
    let found = reader.block(&block_id).await?;
    reader
        .replaying(move |chain| {
            let stored = chain.storage().data_column_indices(&found.root);
            let mut stored = stored.map_err(ApiFailure::internal)?;
            stored.retain(|index| wanted.is_empty() || wanted.contains(index));
            understands.json_or_ssz(Versioned::located(
                found.block.fork_name(),
                found.execution_optimistic,
                found.finalized,
                // A column may have come with its leader's signature alone.
                columns(chain, &found.root, &stored)?
                    .into_iter()
                    .map(|column| with_block_header(column, found.block.signed_block_header()))
                    .collect::<Vec<_>>(),
            ))
        })
        .await
}
