//! Topics `data_column_sidecar_{subnet_id}`.
//!
//! Spec: dvt/p2p-interface.md#data_column_sidecar_subnet_id

use crate::error::impl_shared;
use crate::leaders::single_signer;
use crate::{GossipValidator, SharedError, Verdict, metrics};
use data_columns::{
    DataColumnError, compute_subnet_for_data_column_sidecar, verify_data_column_sidecar,
    verify_data_column_sidecar_inclusion_proof,
};
use runtime::Priority;
use state_transition::block::header::block_header_signature_set;
use state_transition::dvt::leaders::get_leader_rank;
use state_transition::dvt::signers::{Quorum, SignersError};
use state_transition::helpers::accessors::get_beacon_proposer_index_at_slot;
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::{
    BeaconState, ColumnIndex, DataColumnSidecar, Preset, Root, SignedBeaconBlockHeaderRef, Slot, ValidatorIndex,
};

/// A column is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum DataColumnGossipError {
    /// Malformed, or not the column that the block committed to.
    #[error(transparent)]
    Invalid(#[from] DataColumnError),
    /// On another subnet than the column's.
    #[error("column came on subnet {found}, expected {expected}")]
    Subnet {
        /// Subnet of the column.
        expected: u64,
        /// Where it came from.
        found: u64,
    },
    /// Not later than what is final.
    #[error("column of slot {slot} is not later than the finalised slot {finalized}")]
    AlreadyFinalized {
        /// Slot of the block.
        slot: Slot,
        /// First slot of the finalised epoch.
        finalized: Slot,
    },
    /// Not later than the parent.
    #[error("block of slot {slot} is not later than its parent of slot {parent}")]
    NotLaterThanParent {
        /// Slot of the block.
        slot: Slot,
        /// Slot of its parent.
        parent: Slot,
    },
    /// The branch of the block does not contain what is final.
    #[error("block does not descend from the finalised block {0}")]
    NotFinalizedDescendant(Root),
    /// Another proposer than the slot's.
    #[error("proposer is {found}, expected {expected}")]
    Proposer {
        /// The slot's proposer.
        expected: ValidatorIndex,
        /// The header's proposer.
        found: ValidatorIndex,
    },
    /// Not signed by enough keys, nor by one leader of the group alone.
    #[error("signers: {0}")]
    Signers(SignersError),
    /// The column was seen before.
    #[error("column {column} of slot {slot} by proposer {proposer} was seen before")]
    NotFirst {
        /// The column.
        column: ColumnIndex,
        /// Slot of the block.
        slot: Slot,
        /// The proposer.
        proposer: ValidatorIndex,
    },
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(DataColumnGossipError);

impl DataColumnGossipError {
    /// What to do with the column.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::AlreadyFinalized { .. } | Self::NotFirst { .. } | Self::Signers(SignersError::State(_)) => {
                Verdict::Ignore
            }
            Self::Invalid(_)
            | Self::Subnet { .. }
            | Self::NotLaterThanParent { .. }
            | Self::NotFinalizedDescendant(_)
            | Self::Proposer { .. }
            | Self::Signers(_) => Verdict::Reject,
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A column that belongs to a signed header.
#[derive(Debug, Clone)]
pub struct VerifiedDataColumn<P: Preset> {
    /// The column.
    pub sidecar: Arc<DataColumnSidecar<P>>,
    /// Root of its block.
    pub block_root: Root,
    /// The key of the leader who alone signed the header; none if the header is signed at threshold.
    pub leader_key: Option<u8>,
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a column. `subnet_id` is where it came from, if from a subnet.
    pub async fn verify_data_column(
        self: &Arc<Self>,
        sidecar: Arc<DataColumnSidecar<P>>,
        subnet_id: Option<u64>,
    ) -> Result<VerifiedDataColumn<P>, DataColumnGossipError> {
        let result = self.verify_header_and_cells(sidecar, subnet_id).await;
        let verdict = result
            .as_ref()
            .map_or_else(DataColumnGossipError::verdict, |_| Verdict::Accept);
        metrics::count("data_column_sidecar", verdict);
        result
    }

    async fn verify_header_and_cells(
        self: &Arc<Self>,
        sidecar: Arc<DataColumnSidecar<P>>,
        subnet_id: Option<u64>,
    ) -> Result<VerifiedDataColumn<P>, DataColumnGossipError> {
        let (validator, workers) = (Arc::clone(self), self.chain.workers());
        let work = move || validator.verify_all_but_proofs(sidecar, subnet_id);
        let verified = workers.run(Priority::Aggregates, work).await??;
        let sidecar = Arc::clone(&verified.sidecar);
        self.column_proofs.verify(workers, sidecar).await??;
        if self.note_data_column(&verified.sidecar, verified.leader_key) {
            return Ok(verified);
        }
        let header = verified.sidecar.block_header();
        Err(DataColumnGossipError::NotFirst {
            column: verified.sidecar.index(),
            slot: header.slot,
            proposer: header.proposer_index,
        })
    }

    /// Notes a verified column that did not come by gossip: the same one is then ignored when it does. `false` if it was
    /// seen before. `leader_key` as in [`VerifiedDataColumn`].
    ///
    /// Spec: fulu/p2p-interface.md#distributed-blob-publishing-using-blobs-retrieved-from-local-execution-layer-client
    pub fn note_data_column(&self, sidecar: &DataColumnSidecar<P>, leader_key: Option<u8>) -> bool {
        let header = sidecar.block_header();
        let seen = (header.proposer_index, sidecar.index(), leader_key);
        self.data_columns.note(header.slot, seen, header.tree_hash_root())
    }

    /// Whether a column of a block was seen, under whatever signature of the header.
    pub fn has_seen_data_column(&self, slot: Slot, block_root: &Root, index: ColumnIndex) -> bool {
        let is_it = |(_, column, _): &(ValidatorIndex, ColumnIndex, Option<u8>), of: &Root| {
            *column == index && of == block_root
        };
        self.data_columns.any(slot, is_it)
    }

    /// All conditions but the proofs of the cells. The column is not noted as seen.
    fn verify_all_but_proofs(
        &self,
        sidecar: Arc<DataColumnSidecar<P>>,
        subnet_id: Option<u64>,
    ) -> Result<VerifiedDataColumn<P>, DataColumnGossipError> {
        let header = *sidecar.block_header();
        let (slot, proposer, column) = (header.slot, header.proposer_index, sidecar.index());
        let spec = self.chain.spec();
        self.check_fork(slot, &*sidecar)?;
        verify_data_column_sidecar(&sidecar, spec)?;
        let expected = compute_subnet_for_data_column_sidecar(column, spec);
        if let Some(found) = subnet_id.filter(|found| *found != expected) {
            return Err(DataColumnGossipError::Subnet { expected, found });
        }
        self.check_not_future(slot)?;
        let finalized = self.finalized_checkpoint();
        let finalized_slot = finalized.epoch.start_slot::<P>();
        if slot <= finalized_slot {
            return Err(DataColumnGossipError::AlreadyFinalized {
                slot,
                finalized: finalized_slot,
            });
        }
        let parent = self.parent_slot(header.parent_root)?;
        if slot <= parent {
            return Err(DataColumnGossipError::NotLaterThanParent { slot, parent });
        }
        if self.check_finalized_descendant(header.parent_root).is_err() {
            return Err(DataColumnGossipError::NotFinalizedDescendant(finalized.root));
        }
        let state = self.state_for_epoch(header.parent_root, slot.epoch::<P>())?;
        let expected = get_beacon_proposer_index_at_slot(&state, slot)?;
        if proposer != expected {
            return Err(DataColumnGossipError::Proposer {
                expected,
                found: proposer,
            });
        }
        let leader_key = self.check_header_signature(&state, sidecar.signed_block_header())?;
        let seen = (proposer, column, leader_key);
        if self.data_columns.contains(slot, &seen) {
            return Err(DataColumnGossipError::NotFirst { column, slot, proposer });
        }
        verify_data_column_sidecar_inclusion_proof(&sidecar)?;
        Ok(VerifiedDataColumn {
            block_root: header.tree_hash_root(),
            sidecar,
            leader_key,
        })
    }

    /// The proposer's signature: at threshold, or by one leader of the group whose time has come, whose key is given
    /// then. All columns of a block have one header, which is verified once.
    fn check_header_signature(
        &self,
        state: &BeaconState<P>,
        header: SignedBeaconBlockHeaderRef<'_>,
    ) -> Result<Option<u8>, DataColumnGossipError> {
        let message = *header.message();
        let (set, leader) = match block_header_signature_set(state, header, Quorum::Threshold) {
            Ok(set) => (set, None),
            Err(below @ SignersError::BelowThreshold { .. }) => {
                let Some(key) = single_signer(&header.signers()) else {
                    return Err(DataColumnGossipError::Signers(below));
                };
                let Some(rank) = get_leader_rank(state, message.proposer_index, message.slot, key)? else {
                    return Err(DataColumnGossipError::Signers(below));
                };
                let set = block_header_signature_set(state, header, Quorum::Single)
                    .map_err(DataColumnGossipError::Signers)?;
                (set, Some((key, rank)))
            }
            Err(error) => return Err(DataColumnGossipError::Signers(error)),
        };
        let root = match header {
            SignedBeaconBlockHeaderRef::Fulu(inner) => inner.tree_hash_root(),
            SignedBeaconBlockHeaderRef::Dvt(inner) => inner.tree_hash_root(),
        };
        if !self.verified_headers.contains(&root) {
            signature_scheme::verify(&set)?;
            self.verified_headers.insert(root);
        }
        let Some((key, rank)) = leader else {
            return Ok(None);
        };
        // Not before the signature: whoever sends a wrong one is to blame at any time.
        self.check_current_slot(message.slot)?;
        self.check_leader_time(message.slot, rank)?;
        Ok(Some(key))
    }
}
