//! Blocks: reading, producing, publishing.

use super::state::push;
use super::{ANSWER_LIMIT, ApiError, BeaconClient, Body, EITHER, found};
use crate::headers::{BLOCK_VALUE_HEADER, PAYLOAD_VALUE_HEADER};
use crate::{
    AttestationRewards, BlockHeaderEntry, BlockId, BlockRewards, BroadcastValidation, Data, Located, ProducedBlock,
    ProducedBlockAnswer, Published, RandaoProof, RootEntry, SignedBlockContents, SignedProducedBlock,
    SyncCommitteeReward, ValidatorId, Versioned,
};
use serde::Deserialize;
use ssz::Encode as _;
use types::{
    Attestation, ColumnIndex, Epoch, ForkVersioned as _, Hash32, Preset, Root, SignatureBytes, SignedBeaconBlock,
    SignedBlindedBeaconBlock, Slot, Uint256,
};

impl BeaconClient {
    /// `/eth/v1/beacon/headers`: of a slot, of a parent's children, or of the head.
    pub async fn headers(
        &self,
        slot: Option<Slot>,
        parent_root: Option<Root>,
    ) -> Result<Located<Vec<BlockHeaderEntry>>, ApiError> {
        let mut query = Vec::new();
        push(&mut query, "slot", slot);
        push(&mut query, "parent_root", parent_root.map(|root| format!("{root:?}")));
        self.get_json("eth/v1/beacon/headers", &query).await
    }

    /// `/eth/v1/beacon/headers/{id}`.
    pub async fn header(&self, block: BlockId) -> Result<Option<Located<BlockHeaderEntry>>, ApiError> {
        found(self.get_json(&format!("eth/v1/beacon/headers/{block}"), &[]).await)
    }

    /// `/eth/v1/beacon/blocks/{id}/root`.
    pub async fn block_root(&self, block: BlockId) -> Result<Option<Located<Root>>, ApiError> {
        let answer: Option<Located<RootEntry>> =
            found(self.get_json(&format!("eth/v1/beacon/blocks/{block}/root"), &[]).await)?;
        Ok(answer.map(|answer| Located {
            execution_optimistic: answer.execution_optimistic,
            finalized: answer.finalized,
            data: answer.data.root,
        }))
    }

    /// `/eth/v2/beacon/blocks/{id}`.
    pub async fn block<P: Preset>(&self, block: BlockId) -> Result<Option<Versioned<SignedBeaconBlock<P>>>, ApiError> {
        let path = format!("eth/v2/beacon/blocks/{block}");
        found(self.get_versioned(&path, &[], ANSWER_LIMIT).await)
    }

    /// `/eth/v1/debug/beacon/data_column_sidecars/{id}`: which columns of a block the node has.
    pub async fn data_column_indices(&self, block: BlockId) -> Result<Option<Vec<ColumnIndex>>, ApiError> {
        #[derive(Deserialize)]
        struct Column {
            #[serde(with = "serde_utils::quoted_u64")]
            index: ColumnIndex,
        }
        let path = format!("eth/v1/debug/beacon/data_column_sidecars/{block}");
        let answer: Option<Data<Vec<Column>>> = found(self.get_json(&path, &[]).await)?;
        Ok(answer.map(|answer| answer.data.into_iter().map(|column| column.index).collect()))
    }

    /// `/eth/v2/beacon/blocks/{id}/attestations`.
    pub async fn block_attestations<P: Preset>(
        &self,
        block: BlockId,
    ) -> Result<Option<Versioned<Vec<Attestation<P>>>>, ApiError> {
        let path = format!("eth/v2/beacon/blocks/{block}/attestations");
        found(self.get(&path, &[], crate::JSON, ANSWER_LIMIT).await)?
            .map(|answer| Versioned::list_from_json(&answer.body).map_err(|error| answer.unreadable(error)))
            .transpose()
    }

    /// `/eth/v3/validator/blocks/{slot}`: a block to be signed. A key that has leaves reveals by `randao_proof`, with the
    /// point at infinity as `randao_reveal`.
    pub async fn produce_block<P: Preset>(
        &self,
        slot: Slot,
        randao_reveal: &SignatureBytes,
        randao_proof: Option<&RandaoProof>,
        graffiti: Option<Hash32>,
        builder_boost_factor: Option<u64>,
    ) -> Result<ProducedBlockAnswer<P>, ApiError> {
        let mut query = vec![("randao_reveal", format!("{randao_reveal:?}"))];
        push(&mut query, "randao_proof", randao_proof);
        push(&mut query, "graffiti", graffiti.map(|graffiti| format!("{graffiti:?}")));
        push(&mut query, "builder_boost_factor", builder_boost_factor);
        let path = format!("eth/v3/validator/blocks/{slot}");
        let answer = self.get(&path, &query, EITHER, ANSWER_LIMIT).await?;
        if !answer.is_ssz() {
            return ProducedBlockAnswer::from_json(&answer.body).map_err(|error| answer.unreadable(error));
        }
        let fork = answer.fork()?;
        let block = ProducedBlock::from_ssz_bytes(&answer.body, fork, answer.is_blinded()?)
            .map_err(|error| answer.unreadable(format!("SSZ of {fork}: {error:?}")))?;
        let value = |name| match answer.header(name) {
            None => Ok(Uint256::ZERO),
            Some(text) => {
                Uint256::from_str_radix(text, 10).map_err(|error| answer.unreadable(format!("header {name}: {error}")))
            }
        };
        Ok(ProducedBlockAnswer::new(
            block,
            value(PAYLOAD_VALUE_HEADER)?,
            value(BLOCK_VALUE_HEADER)?,
        ))
    }

    /// Publishes a block in the form in which it was produced.
    pub async fn publish_produced<P: Preset>(
        &self,
        block: &SignedProducedBlock<P>,
        validation: BroadcastValidation,
    ) -> Result<Published, ApiError> {
        match block {
            SignedProducedBlock::Full(contents) => self.publish_block(contents, validation).await,
            SignedProducedBlock::Blinded(block) => self.publish_blinded_block(block, validation).await,
        }
    }

    /// POST to `/eth/v2/beacon/blocks`.
    pub async fn publish_block<P: Preset>(
        &self,
        contents: &SignedBlockContents<P>,
        validation: BroadcastValidation,
    ) -> Result<Published, ApiError> {
        let body = Body::ssz(contents.as_ssz_bytes()).of(contents.fork_name());
        self.publish("eth/v2/beacon/blocks", body, validation).await
    }

    /// POST to `/eth/v2/beacon/blinded_blocks`.
    pub async fn publish_blinded_block<P: Preset>(
        &self,
        block: &SignedBlindedBeaconBlock<P>,
        validation: BroadcastValidation,
    ) -> Result<Published, ApiError> {
        let body = Body::ssz(block.as_ssz_bytes()).of(block.fork_name());
        self.publish("eth/v2/beacon/blinded_blocks", body, validation).await
    }

    async fn publish(&self, path: &str, body: Body, validation: BroadcastValidation) -> Result<Published, ApiError> {
        let query = [("broadcast_validation", validation.to_string())];
        let response = self.post(path, &query, body).await?;
        Ok(if response.status().as_u16() == 202 {
            Published::BroadcastOnly
        } else {
            Published::Imported
        })
    }

    /// `/eth/v1/beacon/rewards/attestations/{epoch}`; of all validators if `ids` is empty.
    pub async fn attestation_rewards(
        &self,
        epoch: Epoch,
        ids: &[ValidatorId],
    ) -> Result<Located<AttestationRewards>, ApiError> {
        let path = format!("eth/v1/beacon/rewards/attestations/{epoch}");
        self.post_for_json(&path, ids, super::REGISTRY_LIMIT).await
    }

    /// `/eth/v1/beacon/rewards/blocks/{id}`.
    pub async fn block_rewards(&self, block: BlockId) -> Result<Located<BlockRewards>, ApiError> {
        self.get_json(&format!("eth/v1/beacon/rewards/blocks/{block}"), &[])
            .await
    }

    /// `/eth/v1/beacon/rewards/sync_committee/{id}`; of all members if `ids` is empty.
    pub async fn sync_committee_rewards(
        &self,
        block: BlockId,
        ids: &[ValidatorId],
    ) -> Result<Located<Vec<SyncCommitteeReward>>, ApiError> {
        let path = format!("eth/v1/beacon/rewards/sync_committee/{block}");
        self.post_for_json(&path, ids, ANSWER_LIMIT).await
    }
}
