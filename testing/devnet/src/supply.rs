//! Blobs for the blocks of each slot: in the pool of each mock execution client its own, or by a transaction to all clients.

use crate::accounts::Holder;
use crate::blobs::BlobMaker;
use crate::error::DevnetError;
use crate::processes::Processes;
use crate::rpc::Rpc;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// When in a slot the next block's blobs are handed over, in basis points: when the votes are out, and before payloads
/// are begun.
pub(crate) const SUPPLY_BPS: u64 = 4_000;

/// Hands blobs over.
pub(crate) struct Supply {
    maker: Arc<BlobMaker>,
    /// Transactions that are being made or sent, with what clients have against them.
    sending: JoinSet<Vec<String>>,
}

impl Supply {
    /// Of so many blobs for each block.
    pub(crate) fn new(count: u64) -> Result<Self, DevnetError> {
        Ok(Self {
            maker: Arc::new(BlobMaker::new(count)?),
            sending: JoinSet::new(),
        })
    }

    /// Gives each mock execution client blobs for the payloads that it builds from now on.
    pub(crate) fn give_to_mocks(&self, processes: &Processes, slot: u64) -> Result<(), DevnetError> {
        processes.set_blobs(&self.maker, slot)
    }

    /// Has a transaction with blobs sent to each execution client, without waiting for it: clients verify the blobs.
    pub(crate) fn send(&mut self, slot: u64, (chain_id, nonce): (u64, u64), executions: Vec<Rpc>) {
        let maker = Arc::clone(&self.maker);
        self.sending.spawn(async move {
            let begin = Instant::now();
            let made = tokio::task::spawn_blocking(move || maker.call(slot)?.sign(Holder::Payer, chain_id, nonce));
            let signed = match made.await {
                Ok(Ok(signed)) => signed,
                Ok(Err(error)) => return vec![error.to_string()],
                Err(error) => return vec![error.to_string()],
            };
            let made_ms = begin.elapsed().as_millis();
            let answers = join_all(executions.iter().map(|rpc| rpc.send(&signed.raw))).await;
            let ms = begin.elapsed().as_millis();
            tracing::debug!(slot, nonce, hash = %signed.hash, made_ms, ms, "Blobs are sent");
            answers
                .into_iter()
                .filter_map(|answer| Some(answer.err()?.to_string()))
                .collect()
        });
    }

    /// What clients have said against transactions since the last call.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        while let Some(sent) = self.sending.try_join_next() {
            match sent {
                Ok(answers) => complaints.extend(answers),
                Err(error) => complaints.push(error.to_string()),
            }
        }
        complaints
    }
}
