//! Proofs of the cells of columns that come at the same time, verified together.

use data_columns::{DataColumnError, verify_data_column_sidecars_kzg_proofs};
use parking_lot::Mutex;
use runtime::{PoolError, Priority, WorkerPool};
use std::sync::Arc;
use tokio::sync::oneshot;
use types::{DataColumnSidecar, Preset};

/// Columns that are verified together.
const MAX_BATCH: usize = 128;

#[derive(Debug)]
struct Pending<P: Preset> {
    sidecar: Arc<DataColumnSidecar<P>>,
    reply: oneshot::Sender<Result<(), DataColumnError>>,
}

/// Verifies the proofs of columns: those that have come while the workers were busy make one batch, which costs a small part
/// of what its columns cost one by one.
#[derive(Debug)]
pub(crate) struct ColumnProofs<P: Preset>(Arc<Mutex<Vec<Pending<P>>>>);

impl<P: Preset> Default for ColumnProofs<P> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<P: Preset> ColumnProofs<P> {
    /// Whether all proofs of a column hold.
    pub(crate) async fn verify(
        &self,
        workers: &WorkerPool,
        sidecar: Arc<DataColumnSidecar<P>>,
    ) -> Result<Result<(), DataColumnError>, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.0.lock().push(Pending { sidecar, reply });
        let pending = Arc::clone(&self.0);
        let work = move || {
            let mut pending = pending.lock();
            // Whose job was dropped for want of room asks no more: what is left has a job of its own each.
            pending.retain(|pending| !pending.reply.is_closed());
            let taken = pending.len().min(MAX_BATCH);
            let batch: Vec<_> = pending.drain(..taken).collect();
            drop(pending);
            verify_batch(batch);
        };
        // As many jobs as columns: most find nothing left to do.
        workers.run(Priority::Aggregates, work).await?;
        answer.await.map_err(|_| PoolError::Stopped)
    }
}

/// Halves a batch with wrong proofs until it is known which they are: anybody can put a wrong cell under a right header.
fn verify_batch<P: Preset>(mut batch: Vec<Pending<P>>) {
    if batch.is_empty() {
        return;
    }
    let sidecars = batch.iter().map(|pending| pending.sidecar.as_ref());
    let result = verify_data_column_sidecars_kzg_proofs(sidecars);
    if result.is_err() && batch.len() > 1 {
        let second = batch.split_off(batch.len().div_ceil(2));
        verify_batch(batch);
        verify_batch(second);
        return;
    }
    for pending in batch {
        // Whoever asked may have stopped waiting.
        let _ = pending.reply.send(result.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{BeaconBlockHeader, DataColumnSidecarFulu, Minimal, SignatureBytes, SignedBeaconBlockHeaderFulu};

    /// A column without cells, whose proofs hold.
    fn column() -> Arc<DataColumnSidecar<Minimal>> {
        Arc::new(DataColumnSidecar::Fulu(DataColumnSidecarFulu {
            index: 0,
            column: Default::default(),
            kzg_commitments: Default::default(),
            kzg_proofs: Default::default(),
            signed_block_header: SignedBeaconBlockHeaderFulu {
                message: BeaconBlockHeader::default(),
                signature: SignatureBytes::default(),
            },
            kzg_commitments_inclusion_proof: Default::default(),
        }))
    }

    #[tokio::test]
    async fn columns_whose_asker_is_gone_do_not_take_the_places_of_others() {
        let workers = WorkerPool::start(1).unwrap();
        let proofs = ColumnProofs::<Minimal>::default();
        for _ in 0..=MAX_BATCH {
            let (reply, _) = oneshot::channel();
            let sidecar = column();
            proofs.0.lock().push(Pending { sidecar, reply });
        }
        let verified = proofs.verify(&workers, column());
        let answer = tokio::time::timeout(std::time::Duration::from_secs(30), verified).await;
        assert_eq!(answer.unwrap(), Ok(Ok(())));
        assert!(proofs.0.lock().is_empty());
    }
}
