//! A client hands in a signed block.

use crate::produce::find_signer;
use crate::{Proposals, PublishBlockError};
use beacon_api::{BroadcastValidation, Published, SignedProducedBlock};
use beacon_chain::ImportError;
use data_columns::with_block_header;
use gossip_validation::{BlockGossipError, GroupBlockGossipError, ProposingGroup, proposing_group};
use intake::Outgoing;
use runtime::Priority;
use state_transition::block::header::block_signing_root;
use state_transition::dvt::accessors::get_key_set;
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::{
    BeaconBlockHeader, BeaconState, Blob, DataColumnSidecar, KzgProof, Leaf, Preset, Root, SchemeProofs,
    SignatureBytes, SignedBeaconBlock, SignedBeaconBlockHeader, SignedBeaconBlockHeaderDvt, SignerKey, Signers,
};

/// What a client signed.
struct Signed<P: Preset> {
    header: BeaconBlockHeader,
    root: Root,
    signature: SignatureBytes,
    proofs: SchemeProofs,
    /// With its payload, unless it is blinded.
    block: Option<SignedBeaconBlock<P>>,
    blobs: Blobs<P>,
}

/// What belongs to a block and is not in it.
struct Blobs<P: Preset> {
    blobs: Vec<Blob<P>>,
    cell_proofs: Vec<KzgProof>,
}

impl<P: Preset> Signed<P> {
    fn new(block: SignedProducedBlock<P>) -> Self {
        match block {
            SignedProducedBlock::Full(contents) => {
                let block = contents.signed_block;
                let blobs = Blobs {
                    blobs: contents.blobs.into(),
                    cell_proofs: contents.kzg_proofs.into(),
                };
                Self {
                    header: block.message().block_header(),
                    root: block.block_root(),
                    signature: *block.signature(),
                    proofs: SchemeProofs::new(block.proofs().to_vec()).unwrap_or_default(),
                    block: Some(block),
                    blobs,
                }
            }
            SignedProducedBlock::Blinded(block) => {
                let header = block.signed_block_header();
                Self {
                    header: *header.message(),
                    root: header.message().tree_hash_root(),
                    signature: *header.signature(),
                    proofs: SchemeProofs::new(header.proofs().to_vec()).unwrap_or_default(),
                    block: None,
                    blobs: Blobs {
                        blobs: Vec::new(),
                        cell_proofs: Vec::new(),
                    },
                }
            }
        }
    }
}

impl<P: Preset> Proposals<P> {
    /// Takes a signed block from a validator attached to this node. A solo proposer's is checked, published and
    /// imported. A member's signature of its group's block is published as a header; if the block is the member's own,
    /// the block goes out as a proposal at the same moment. A client does not say which key signed: this node finds
    /// out.
    ///
    /// Spec: dvt/validator.md#block-proposal
    pub async fn publish(
        self: &Arc<Self>,
        block: SignedProducedBlock<P>,
        validation: BroadcastValidation,
    ) -> Result<Published, PublishBlockError> {
        let signed = Signed::new(block);
        let (slot, parent) = (signed.header.slot, signed.header.parent_root);
        // A state is advanced to that slot before anything else is known of the block.
        self.intake
            .gossip()
            .check_not_future(slot)
            .map_err(BlockGossipError::from)?;
        let chain = Arc::clone(self.chain());
        let state = {
            let chain = Arc::clone(&chain);
            self.chain()
                .workers()
                .run(Priority::ApiRequest, move || chain.state_at_slot(&parent, slot))
                .await??
                .ok_or(PublishBlockError::UnknownParent(parent))?
        };
        match proposing_group(&state, signed.header.proposer_index, slot)? {
            None => {
                let block = signed.block.ok_or(PublishBlockError::UnknownPayload(signed.root))?;
                self.publish_complete(Arc::new(block), signed.blobs, validation).await
            }
            Some(group) => self.publish_part(&state, &group, signed, validation).await,
        }
    }

    async fn publish_complete(
        &self,
        block: Arc<SignedBeaconBlock<P>>,
        blobs: Blobs<P>,
        validation: BroadcastValidation,
    ) -> Result<Published, PublishBlockError> {
        // Before the block is noted as seen: with wrong blobs nothing of it goes out, and it may come again with its own.
        let columns = self
            .intake
            .make_columns(Arc::clone(&block), blobs.blobs, blobs.cell_proofs)
            .await?;
        let verified = match self.intake.receive_block(Arc::clone(&block)).await {
            Ok(verified) => verified,
            // Clients hand in a block to several nodes, or twice.
            Err(BlockGossipError::AlreadyKnown(root)) => return self.publish_columns_of_known(root, columns).await,
            Err(BlockGossipError::NotFirst { .. }) if self.intake.is_being_imported(&block.block_root()) => {
                return self.publish_columns_of_known(block.block_root(), columns).await;
            }
            Err(error) => return Err(error.into()),
        };
        let import_first = validation != BroadcastValidation::Gossip;
        let (slot, root) = (block.slot(), verified.root);
        let mut held_back = Some(columns);
        if import_first {
            for column in held_back.iter().flatten() {
                self.intake.store_column(root, column);
            }
        } else {
            self.intake.publish(Outgoing::Block(Arc::clone(&block))).await;
            self.intake
                .keep_and_share(root, held_back.take().unwrap_or_default(), None)
                .await;
        }
        match self.intake.import(verified).await {
            Ok(root) => {
                tracing::info!(%slot, proposer = %block.message().proposer_index(), %root, "Block published");
            }
            Err(ImportError::AlreadyKnown(_)) => {}
            Err(error) if import_first => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%slot, %error, "Published block is not imported");
                return Ok(Published::BroadcastOnly);
            }
        }
        if let Some(columns) = held_back {
            self.intake.publish(Outgoing::Block(block)).await;
            self.intake.keep_and_share(root, columns, None).await;
        }
        Ok(Published::Imported)
    }

    /// The node that the block came by may have gone before its columns were out. They get the header of the block that is
    /// here: nobody has looked at the signature of this one.
    async fn publish_columns_of_known(
        &self,
        root: Root,
        columns: Vec<DataColumnSidecar<P>>,
    ) -> Result<Published, PublishBlockError> {
        let known = self.intake.waiting_block(&root);
        let known = known.map_or_else(|| self.chain().get_block(&root), |block| Ok(Some(block)))?;
        if let Some(known) = known {
            let header = known.signed_block_header();
            let columns = columns
                .into_iter()
                .map(|column| with_block_header(column, header.clone()));
            self.intake.keep_and_share(root, columns, None).await;
        }
        if let Some(complete) = self.intake.complete(&root).await
            && let Err(error) = self.intake.import(complete).await
        {
            tracing::warn!(%root, %error, "Published block is not imported");
        }
        Ok(match self.chain().contains_block(&root) {
            true => Published::Imported,
            false => Published::BroadcastOnly,
        })
    }

    async fn publish_part(
        self: &Arc<Self>,
        state: &BeaconState<P>,
        group: &ProposingGroup,
        signed: Signed<P>,
        validation: BroadcastValidation,
    ) -> Result<Published, PublishBlockError> {
        let key = self.signing_key(state, group, &signed).await?;
        let mut signers = Signers::default();
        signers
            .set(usize::from(key), true)
            .map_err(|_| PublishBlockError::NotAMember(group.proposer))?;
        let whole = signed.block.map(|block| {
            let message = crate::round::unsigned(&block);
            SignedBeaconBlock::from_parts(message, signed.signature, signers.clone(), signed.proofs.clone())
        });
        if group.threshold < 2 {
            // One signature is enough; a client that was given another member's block has nothing to add.
            return match whole {
                Some(block) => self.publish_complete(Arc::new(block), signed.blobs, validation).await,
                None => Ok(Published::Imported),
            };
        }
        if whole
            .as_ref()
            .is_some_and(|block| matches!(block, SignedBeaconBlock::Fulu(_)))
        {
            return Err(PublishBlockError::BeforeFork);
        }
        let header = SignedBeaconBlockHeader::Dvt(SignedBeaconBlockHeaderDvt {
            message: signed.header,
            signature: signed.signature,
            signers,
            proofs: signed.proofs,
        });
        let Some(block) = whole.map(Arc::new) else {
            self.publish_signature(header).await?;
            return Ok(Published::Imported);
        };
        // Members sign without waiting for the columns, so neither do the proposal and its signature.
        let columns = self
            .intake
            .make_columns(Arc::clone(&block), signed.blobs.blobs, signed.blobs.cell_proofs);
        let proposal = async {
            self.publish_signature(header).await?;
            self.publish_proposal(block).await
        };
        let (columns, proposed) = tokio::join!(columns, proposal);
        proposed?;
        self.intake.keep_and_share(signed.root, columns?, Some(key)).await;
        Ok(Published::Imported)
    }

    /// A member's signature. Clients hand in a block to several nodes, or twice: then nothing is left to do.
    async fn publish_signature(self: &Arc<Self>, header: SignedBeaconBlockHeader) -> Result<(), PublishBlockError> {
        match self.intake.gossip().verify_group_signature(header).await {
            Ok(verified) => {
                self.intake
                    .publish(Outgoing::GroupSignature(Box::new(verified.header.clone())))
                    .await;
                self.take_signature(&verified);
                Ok(())
            }
            Err(GroupBlockGossipError::NotFirst { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A leader's proposal. As above.
    async fn publish_proposal(self: &Arc<Self>, block: Arc<SignedBeaconBlock<P>>) -> Result<(), PublishBlockError> {
        match self.intake.gossip().verify_group_proposal(block).await {
            Ok(verified) => {
                self.intake
                    .publish(Outgoing::GroupProposal(Arc::clone(&verified.block)))
                    .await;
                self.take_proposal(&verified);
                Ok(())
            }
            Err(GroupBlockGossipError::NotFirst { .. } | GroupBlockGossipError::Complete { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Which key of the group signed.
    async fn signing_key(
        &self,
        state: &BeaconState<P>,
        group: &ProposingGroup,
        signed: &Signed<P>,
    ) -> Result<u8, PublishBlockError> {
        let epoch = group.slot.epoch::<P>();
        let keys: Vec<SignerKey> = get_key_set(state, group.proposer, epoch)?
            .map(|key_set| key_set.keys.iter().map(SignerKey::from).collect())
            .unwrap_or_default();
        let signing_root = block_signing_root(state, group.slot, signed.root);
        let (signature, proofs) = (signed.signature, signed.proofs.clone());
        let leaf = Leaf::block::<P>(group.slot);
        let work = move || find_signer(&keys, signing_root, leaf, &signature, &proofs);
        self.chain()
            .workers()
            .run(Priority::ApiRequest, work)
            .await?
            .ok_or(PublishBlockError::NotAMember(group.proposer))
    }
}
