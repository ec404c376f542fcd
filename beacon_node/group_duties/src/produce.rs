//! A client asks for a block: its own to sign, or its leader's.

use crate::abandoned::IfAbandoned;
use crate::round::Reveal;
use crate::{ProduceError, Proposals};
use beacon_api::{BlockContents, ProducedBlock, ProducedBlockAnswer};
use block_production::{BlockRequest, Parent, ProductionError};
use gossip_validation::{ProposingGroup, proposing_group};
use runtime::Priority;
use signature_scheme::SignatureSet;
use ssz_types::VariableList;
use state_transition::dvt::accessors::get_key_set;
use state_transition::helpers::accessors::{get_beacon_proposer_index, get_domain};
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::constants::DOMAIN_RANDAO;
use types::{
    BeaconState, Leaf, Preset, Root, SchemeProofs, SignatureBytes, SignedBeaconBlock, SignerKey, Slot, Uint256,
    compute_signing_root,
};

const WEI_PER_GWEI: u64 = 1_000_000_000;

/// What a member's client is given now.
enum Step<P: Preset> {
    /// A proposal to sign.
    Sign(Arc<SignedBeaconBlock<P>>),
    /// Its key leads: a block is built.
    Build(u8, Option<Reveal>),
    /// Nothing yet; look again at that time at the latest, in milliseconds since the Unix epoch.
    Wait(u64),
}

impl<P: Preset> Proposals<P> {
    /// A block for a validator attached to this node. A solo proposer's is built at once. A member of a group is given
    /// its leader's block, blinded, unless it leads; the request is held until there is one, up to `LEADER_CUTOFF_BPS` of
    /// the slot. Which key asks is known from the reveal.
    ///
    /// Spec: dvt/validator.md#block-proposal
    pub async fn produce(self: &Arc<Self>, request: BlockRequest) -> Result<ProducedBlockAnswer<P>, ProduceError> {
        let state = self.state_of_slot(request.slot).await?;
        let proposer = get_beacon_proposer_index(&state)?;
        match proposing_group(&state, proposer, request.slot)? {
            None => self.build(request).await,
            Some(group) => {
                let key = self.key_of_reveal(&state, &group, &request).await?;
                self.produce_for_member(&group, key, request).await
            }
        }
    }

    async fn state_of_slot(&self, slot: Slot) -> Result<Arc<BeaconState<P>>, ProduceError> {
        let chain = Arc::clone(self.chain());
        let head = chain.head();
        if slot <= head.slot() || slot > chain.current_slot().saturating_add(1u64) {
            return Err(ProduceError::Production(ProductionError::Slot {
                slot,
                head: head.slot(),
                current: chain.current_slot(),
            }));
        }
        let root = head.root;
        let work = {
            let chain = Arc::clone(&chain);
            move || chain.state_at_slot(&root, slot)
        };
        Ok(chain
            .workers()
            .run(Priority::ApiRequest, work)
            .await??
            .ok_or(ProductionError::UnknownParent(root))?)
    }

    /// Which key of the group made the reveal.
    async fn key_of_reveal(
        &self,
        state: &Arc<BeaconState<P>>,
        group: &ProposingGroup,
        request: &BlockRequest,
    ) -> Result<u8, ProduceError> {
        let epoch = request.slot.epoch::<P>();
        let signing_root = compute_signing_root(
            &epoch.as_u64().tree_hash_root(),
            get_domain(state, DOMAIN_RANDAO, Some(epoch)),
        );
        let keys: Vec<SignerKey> = get_key_set(state, group.proposer, epoch)?
            .map(|key_set| key_set.keys.iter().map(SignerKey::from).collect())
            .unwrap_or_default();
        let (signature, proofs) = (request.randao_reveal, request.randao_proof.clone());
        let leaf = Leaf::randao(epoch);
        let work = move || find_signer(&keys, signing_root, leaf, &signature, &proofs);
        self.chain()
            .workers()
            .run(Priority::ApiRequest, work)
            .await?
            .ok_or(ProduceError::NotAMember {
                proposer: group.proposer,
                slot: group.slot,
            })
    }

    async fn produce_for_member(
        self: &Arc<Self>,
        group: &ProposingGroup,
        key: u8,
        request: BlockRequest,
    ) -> Result<ProducedBlockAnswer<P>, ProduceError> {
        let no_proposal = ProduceError::NoProposal {
            proposer: group.proposer,
            slot: group.slot,
        };
        let clock = self.chain().clock();
        let spec = self.chain().spec();
        let start = clock.slot_start_ms(group.slot);
        let deadline = start.saturating_add(spec.leader_cutoff_ms());
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let now = clock.now_ms();
            let step = self
                .with_round(group, |round| {
                    round.members.insert(key);
                    let into_slot = now.saturating_sub(start);
                    if let Some(block) = round.slot.block_to_sign().and_then(|root| round.block(&root)) {
                        return Step::Sign(block);
                    }
                    let rank = round.slot.rank_of(key);
                    match rank {
                        Some(rank) if now >= start && !round.is_building => {
                            let due_ms = spec.get_leader_due_ms(rank);
                            // After the deadline nobody would be given a fallback's block to sign.
                            let is_in_time = rank == 0 || now < deadline;
                            if is_in_time && round.slot.should_propose(rank, into_slot, due_ms) {
                                round.is_building = true;
                                return Step::Build(rank, round.leader_reveal());
                            }
                            let due = start.saturating_add(due_ms);
                            Step::Wait(if due > now { due.min(deadline) } else { deadline })
                        }
                        Some(_) if now < start => Step::Wait(start),
                        _ => Step::Wait(deadline),
                    }
                })
                .ok_or(ProduceError::NotAMember {
                    proposer: group.proposer,
                    slot: group.slot,
                })?;
            match step {
                Step::Sign(block) => return Ok(blinded_answer(&block)),
                Step::Build(rank, reveal) => {
                    // A client that hangs up may ask again.
                    let unfinished = IfAbandoned::new(|| self.stop_building(group));
                    let built = self.build_as_leader(rank, reveal, request.clone()).await;
                    if built.is_ok() {
                        unfinished.finished();
                    }
                    return built;
                }
                Step::Wait(_) if now >= deadline => return Err(no_proposal),
                Step::Wait(until) => {
                    tokio::select! {
                        _ = changes.changed() => {}
                        () = clock.sleep_until_ms(until) => {}
                    }
                }
            }
        }
    }

    /// The leader's block was not made: whoever asks for it next begins anew.
    fn stop_building(&self, group: &ProposingGroup) {
        if let Some(round) = self.rounds.lock().get_mut(&(group.slot, group.proposer)) {
            round.is_building = false;
        }
        self.note_change();
    }

    /// The first leader builds like a solo proposer. A fallback leader never re-orgs, and includes the first leader's
    /// reveal if it has seen one.
    async fn build_as_leader(
        &self,
        rank: u8,
        reveal: Option<Reveal>,
        request: BlockRequest,
    ) -> Result<ProducedBlockAnswer<P>, ProduceError> {
        if rank == 0 {
            return self.build(request).await;
        }
        let without = BlockRequest {
            randao_reveal: bls::INFINITY_SIGNATURE,
            randao_proof: Vec::new(),
            parent: Parent::Head,
            ..request
        };
        let Some(Reveal { signature, proof }) = reveal else {
            return self.build(without).await;
        };
        let with = BlockRequest {
            randao_reveal: signature,
            randao_proof: proof,
            ..without.clone()
        };
        match self.build(with).await {
            // The first leader's reveal was one of the things wrong with its proposal.
            Err(ProduceError::Production(ProductionError::Randao(_))) => self.build(without).await,
            built => built,
        }
    }

    async fn build(&self, request: BlockRequest) -> Result<ProducedBlockAnswer<P>, ProduceError> {
        let produced = self.producer.produce_block(request).await?;
        let contents = BlockContents {
            block: produced.block,
            kzg_proofs: VariableList::new(produced.blobs.cell_proofs).unwrap_or_default(),
            blobs: VariableList::new(produced.blobs.blobs).unwrap_or_default(),
        };
        let consensus_value = Uint256::from(produced.consensus_block_value).saturating_mul(Uint256::from(WEI_PER_GWEI));
        Ok(ProducedBlockAnswer::new(
            ProducedBlock::Full(Box::new(contents)),
            produced.execution_payload_value,
            consensus_value,
        ))
    }
}

fn blinded_answer<P: Preset>(block: &SignedBeaconBlock<P>) -> ProducedBlockAnswer<P> {
    let blinded = crate::round::unsigned(block).to_blinded();
    ProducedBlockAnswer::new(ProducedBlock::Blinded(Box::new(blinded)), Uint256::ZERO, Uint256::ZERO)
}

/// The place of the key under which a signature verifies alone.
pub(crate) fn find_signer(
    keys: &[SignerKey],
    signing_root: Root,
    leaf: Leaf,
    signature: &SignatureBytes,
    proofs: &[types::SchemeProof],
) -> Option<u8> {
    let proofs = SchemeProofs::new(proofs.to_vec()).ok()?;
    (0u8..).zip(keys).find_map(|(place, key)| {
        let set = SignatureSet {
            signing_root,
            leaf,
            signers: vec![*key],
            signature: *signature,
            proofs: proofs.clone(),
        };
        signature_scheme::verify(&set).is_ok().then_some(place)
    })
}
