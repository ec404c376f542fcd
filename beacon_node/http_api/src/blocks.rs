//! `/eth/v1/beacon/headers` and blocks.

use crate::ApiFailure;
use crate::locate::{FoundBlock, Reader, canonical_root_at, is_canonical};
use crate::request::Path;
use crate::respond::{Answer, Understands, json, json_located, ssz, with_version};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use beacon_api::{BlockHeaderEntry, Located, Query, RootEntry, Versioned};
use ssz::Encode as _;
use std::sync::Arc;
use types::{
    Attestation, AttestationRef, ForkVersioned as _, Preset, Root, SchemeProofs, SignedBlindedBeaconBlock, Slot,
};

type Context<P> = State<Arc<Reader<P>>>;

pub(crate) fn routes<P: Preset>() -> Router<Arc<Reader<P>>> {
    Router::new()
        .route("/eth/v1/beacon/headers", get(headers_of::<P>))
        .route("/eth/v1/beacon/headers/{block_id}", get(header::<P>))
        .route("/eth/v2/beacon/blocks/{block_id}", get(block::<P>))
        .route("/eth/v1/beacon/blocks/{block_id}/root", get(root::<P>))
        .route("/eth/v2/beacon/blocks/{block_id}/attestations", get(attestations::<P>))
        .route("/eth/v1/beacon/blinded_blocks/{block_id}", get(blinded_block::<P>))
}

fn entry<P: Preset>(found: &FoundBlock<P>) -> BlockHeaderEntry {
    BlockHeaderEntry {
        root: found.root,
        canonical: found.canonical,
        header: found.block.signed_block_header(),
    }
}

/// Headers of a slot, of a parent's children, or of the head.
async fn headers_of<P: Preset>(State(reader): Context<P>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let query = Query::parse(&query);
    let slot: Option<Slot> = query.optional("slot")?;
    let parent_root: Option<Root> = query.optional("parent_root")?;
    if slot.is_none() && parent_root.is_none() {
        let found = reader.block("head").await?;
        return json_located(found.execution_optimistic, found.finalized, vec![entry(&found)]);
    }
    let blocks = reader
        .on_worker(move |chain| {
            let mut roots: Vec<Root> = chain
                .fork_choice()
                .blocks()
                .iter()
                .filter(|node| slot.is_none_or(|slot| node.slot == slot))
                .filter(|node| parent_root.is_none_or(|parent| node.parent_root == parent))
                .map(|node| node.root)
                .collect();
            // Finalised blocks are not in the fork choice; of those only the canonical ones are kept.
            let finalized = match (slot, parent_root) {
                (Some(slot), _) if slot <= chain.head().slot() => canonical_root_at(chain, slot)?,
                (None, Some(parent)) => child_of(chain, &parent)?,
                _ => None,
            };
            roots.extend(finalized.filter(|root| !roots.contains(root)));
            let mut blocks = Vec::new();
            for root in roots {
                let Some(block) = chain.get_block(&root)? else { continue };
                if parent_root.is_some_and(|parent| block.parent_root() != parent) {
                    continue;
                }
                let canonical = is_canonical(chain, &root, block.slot())?;
                blocks.push((root, block, canonical));
            }
            Ok(blocks)
        })
        .await?;
    let found: Vec<FoundBlock<P>> = blocks
        .into_iter()
        .map(|(root, block, canonical)| reader.found_block(root, block, canonical))
        .collect();
    json(&Located {
        execution_optimistic: found.iter().any(|block| block.execution_optimistic),
        finalized: !found.is_empty() && found.iter().all(|block| block.finalized),
        data: found.iter().map(entry).collect::<Vec<_>>(),
    })
}

/// The canonical child of a finalised block.
fn child_of<P: Preset>(chain: &beacon_chain::BeaconChain<P>, parent: &Root) -> Result<Option<Root>, ApiFailure> {
    if chain.contains_block(parent) {
        return Ok(None);
    }
    let Some(block) = chain.get_block(parent)? else {
        return Ok(None);
    };
    let next = chain
        .storage()
        .canonical_blocks(block.slot().saturating_add(1u64), 1)
        .map_err(ApiFailure::internal)?;
    Ok(next.first().map(|(_, root)| *root))
}

async fn header<P: Preset>(State(reader): Context<P>, Path(block_id): Path<String>) -> Answer {
    let found = reader.block(&block_id).await?;
    json_located(found.execution_optimistic, found.finalized, entry(&found))
}

async fn root<P: Preset>(State(reader): Context<P>, Path(block_id): Path<String>) -> Answer {
    let found = reader.block(&block_id).await?;
    let entry = RootEntry { root: found.root };
    json_located(found.execution_optimistic, found.finalized, entry)
}

async fn block<P: Preset>(State(reader): Context<P>, Path(block_id): Path<String>, understands: Understands) -> Answer {
    let found = reader.block(&block_id).await?;
    reader
        .on_worker(move |_| {
            let fork = found.block.fork_name();
            if understands.wants_ssz(fork) {
                return Ok(with_version(ssz(found.block.as_ssz_bytes()), fork));
            }
            understands.json(Versioned::located(
                fork,
                found.execution_optimistic,
                found.finalized,
                &*found.block,
            ))
        })
        .await
}

async fn attestations<P: Preset>(
    State(reader): Context<P>,
    Path(block_id): Path<String>,
    understands: Understands,
) -> Answer {
    let found = reader.block(&block_id).await?;
    reader
        .on_worker(move |_| {
            let attestations: Vec<Attestation<P>> = found
                .block
                .message()
                .body()
                .attestations()
                .map(|attestation| match attestation {
                    AttestationRef::Fulu(attestation) => Attestation::Fulu(attestation.clone()),
                    AttestationRef::Dvt(attestation) => Attestation::Dvt(attestation.clone()),
                })
                .collect();
            understands.json(Versioned::located(
                found.block.fork_name(),
                found.execution_optimistic,
                found.finalized,
                attestations,
            ))
        })
        .await
}

async fn blinded_block<P: Preset>(
    State(reader): Context<P>,
    Path(block_id): Path<String>,
    understands: Understands,
) -> Answer {
    let found = reader.block(&block_id).await?;
    reader
        .on_worker(move |_| {
            let proofs = SchemeProofs::new(found.block.proofs().to_vec());
            let blinded = SignedBlindedBeaconBlock::from_parts(
                found.block.message().to_blinded(),
                *found.block.signature(),
                found.block.signers(),
                proofs.map_err(|error| ApiFailure::internal(format!("{error:?}")))?,
            );
            understands.json_or_ssz(Versioned::located(
                found.block.fork_name(),
                found.execution_optimistic,
                found.finalized,
                blinded,
            ))
        })
        .await
}
