//! Blobs for the blocks of each slot: in the pool of each mock execution client its own, or by a transaction to all clients.

use crate::accounts::Holder;
use crate::blobs::BlobMaker;
use crate::error::DevnetError;
use crate::genesis::Genesis;
use crate::processes::Processes;
use crate::rpc::Rpc;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use types::{ChainSpec, Minimal, Slot};

/// When in a slot the next block's blobs are handed over, in basis points: when the votes are out, and before payloads
/// are begun.
pub(crate) const SUPPLY_BPS: u64 = 4_000;

/// The most blobs that the block can have for which they are handed over in a slot: the next one.
fn allowed(slot: u64, spec: &ChainSpec) -> u64 {
    let epoch = Slot::new(slot.saturating_add(1)).epoch::<Minimal>();
    spec.get_blob_parameters(epoch).max_blobs_per_block
}

/// Hands blobs over.
pub(crate) struct Supply {
    maker: Arc<BlobMaker>,
    /// Transactions that are being made or sent, with what clients have against them.
    sending: JoinSet<Vec<String>>,
}

impl Supply {
    /// Of so many blobs for each block, or as many as it can have if that is fewer.
    pub(crate) fn new(most: u64) -> Result<Self, DevnetError> {
        Ok(Self {
            maker: Arc::new(BlobMaker::new(most)?),
            sending: JoinSet::new(),
        })
    }

    /// Gives each mock execution client blobs for the payloads that it builds from now on.
    pub(crate) fn give_to_mocks(&self, processes: &Processes, slot: u64, spec: &ChainSpec) -> Result<(), DevnetError> {
        processes.set_blobs(&self.maker, slot, allowed(slot, spec))
    }

    /// Has a transaction with blobs sent to each execution client, without waiting for it: clients verify the blobs.
    pub(crate) fn send(&mut self, slot: u64, nonce: u64, genesis: &Genesis, executions: Vec<Rpc>) {
        let chain_id = genesis.chain_id;
        let maker = Arc::clone(&self.maker);
        let count = allowed(slot, &genesis.spec);
        self.sending.spawn(async move {
            let begin = Instant::now();
            let made =
                tokio::task::spawn_blocking(move || maker.call(slot, count)?.sign(Holder::Payer, chain_id, nonce));
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

#[cfg(test)]
mod tests {
    use super::*;
    use types::{BlobParameters, Epoch, PresetName};

    #[test]
    fn before_blob_parameters_change_blobs_are_made_for_the_first_block_of_the_epoch() {
        let spec = ChainSpec {
            blob_schedule: [(0, 2), (1, 3)]
                .map(|(epoch, max_blobs_per_block)| BlobParameters {
                    epoch: Epoch::new(epoch),
                    max_blobs_per_block,
                })
                .to_vec(),
            ..ChainSpec::fulu_genesis(PresetName::Minimal)
        };
        assert_eq!([1, 6, 7, 8].map(|slot| allowed(slot, &spec)), [2, 2, 3, 3]);
    }
}
