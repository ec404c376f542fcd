//! Payload building: what goes into the next payloads, and the builds that wait to be fetched.

use crate::chain::{Block, RpcError};
use crate::header::{Contents, requests_hash};
use crate::wire::{Attributes, Payload};
use alloy_primitives::{Bytes, FixedBytes, keccak256};
use std::collections::{BTreeMap, VecDeque};

/// Builds that can be asked for.
const MAX_BUILDS: usize = 32;
/// Requests that wait for a block.
const MAX_QUEUE: usize = 16_384;

/// An execution request that no block could carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Another type than deposit (0), withdrawal (1) or consolidation (2).
    #[error("unknown execution request type {0:?}, expected 0, 1 or 2")]
    UnknownType(Option<u8>),
    /// Not the SSZ of one request.
    #[error("an execution request of type {kind} has {expected} bytes after the type, found {found}")]
    WrongLength {
        /// Type byte.
        kind: u8,
        /// Bytes of one request.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// Too many are waiting.
    #[error("{MAX_QUEUE} execution requests are waiting already")]
    QueueFull,
}

/// SSZ length of one request, and how many a block holds (EIP-6110, EIP-7002, EIP-7251).
fn request_limits(kind: u8) -> Option<(usize, usize)> {
    match kind {
        0 => Some((192, 8192)),
        1 => Some((76, 16)),
        2 => Some((116, 2)),
        _ => None,
    }
}

/// A payload that waits to be fetched.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub(crate) payload: Payload,
    pub(crate) requests: Vec<Bytes>,
}

/// What the next payloads are made of.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    builds: VecDeque<(FixedBytes<8>, Build)>,
    queue: VecDeque<Bytes>,
    transactions: Vec<Bytes>,
}

impl Builder {
    /// Each payload built from now on carries these transactions.
    pub(crate) fn set_transactions(&mut self, transactions: Vec<Bytes>) {
        self.transactions = transactions;
    }

    /// Adds one request (`request_type ++ ssz` of a single item) to the payloads built from now on,
    /// until a block with it is imported.
    pub(crate) fn queue_request(&mut self, request: Bytes) -> Result<(), InvalidRequest> {
        let kind = request.first().copied();
        let known = kind.and_then(|kind| Some((kind, request_limits(kind)?)));
        let (kind, (expected, _)) = known.ok_or(InvalidRequest::UnknownType(kind))?;
        let found = request.len().saturating_sub(1);
        if found != expected {
            return Err(InvalidRequest::WrongLength { kind, expected, found });
        }
        if self.queue.len() >= MAX_QUEUE {
            return Err(InvalidRequest::QueueFull);
        }
        self.queue.push_back(request);
        Ok(())
    }

    pub(crate) fn queued_requests(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn build(&mut self, parent: &Block, attributes: &Attributes) -> Result<FixedBytes<8>, RpcError> {
        let requests = self.requests_for_build();
        // The id covers all that goes in: same attributes, same build, as the specification asks.
        let mut input = parent.hash.to_vec();
        input.extend(serde_json::to_vec(attributes).map_err(RpcError::internal)?);
        input.extend(requests_hash(&requests));
        for transaction in &self.transactions {
            input.extend(keccak256(transaction));
        }
        let id = FixedBytes::from_slice(keccak256(&input).get(..8).unwrap_or(&[0; 8]));
        if self.builds.iter().any(|(known, _)| *known == id) {
            return Ok(id);
        }
        let contents = Contents {
            fee_recipient: attributes.suggested_fee_recipient,
            timestamp: attributes.timestamp,
            extra_data: Bytes::from_static(b"mock execution"),
            prev_randao: attributes.prev_randao,
            parent_beacon_block_root: attributes.parent_beacon_block_root,
            transactions: self.transactions.clone(),
            withdrawals: attributes.withdrawals.clone(),
            requests,
        };
        let header = parent.header.child(parent.hash, &contents);
        let hash = header.hash();
        let payload = Payload::from_header(&header, hash, contents.transactions, contents.withdrawals);
        self.builds.push_back((
            id,
            Build {
                payload,
                requests: contents.requests,
            },
        ));
        while self.builds.len() > MAX_BUILDS {
            self.builds.pop_front();
        }
        Ok(id)
    }

    /// The queue as request lists: one per type, ascending, within the limits of a block.
    fn requests_for_build(&self) -> Vec<Bytes> {
        let mut lists: BTreeMap<u8, (usize, Vec<u8>)> = BTreeMap::new();
        for request in &self.queue {
            let Some((&kind, item)) = request.split_first() else {
                continue;
            };
            let (count, list) = lists.entry(kind).or_insert_with(|| (0, vec![kind]));
            let most = request_limits(kind).map_or(0, |(_, most)| most);
            if *count < most {
                *count = count.saturating_add(1);
                list.extend_from_slice(item);
            }
        }
        lists.into_values().map(|(_, list)| Bytes::from(list)).collect()
    }

    pub(crate) fn remove_from_queue(&mut self, included: &[Bytes]) {
        for list in included {
            let Some((kind, mut items)) = list.split_first() else {
                continue;
            };
            self.queue.retain(|queued| {
                let Some((queued_kind, item)) = queued.split_first() else {
                    return false;
                };
                match items.strip_prefix(item) {
                    Some(rest) if queued_kind == kind => {
                        items = rest;
                        false
                    }
                    _ => true,
                }
            });
        }
    }

    /// `engine_getPayloadV4` and `V5`.
    pub(crate) fn build_result(&self, id: FixedBytes<8>) -> Result<&Build, RpcError> {
        self.builds
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, build)| build)
            .ok_or_else(|| RpcError::unknown_payload(id))
    }
}
