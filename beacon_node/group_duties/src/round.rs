//! What a node holds of one slot of one group: the state machine, the proposals themselves, and when what came.

use crate::{GroupSlot, Judgement, Part};
use beacon_api::GroupBlockEvent;
use gossip_validation::ProposingGroup;
use signature_scheme::{SignatureError, SignedPart, aggregate};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use types::{
    BeaconBlock, ChainSpec, ForkVersioned as _, Preset, Root, SchemeProofs, SignatureBytes, SignedBeaconBlock,
    SignerIndex, Signers,
};

/// A leader's reveal, for fallback leaders to include.
#[derive(Debug, Clone)]
pub(crate) struct Reveal {
    pub(crate) signature: SignatureBytes,
    pub(crate) proof: Vec<types::SchemeProof>,
}

/// One slot of one group.
#[derive(Debug)]
pub(crate) struct Round<P: Preset> {
    pub(crate) group: ProposingGroup,
    pub(crate) slot: GroupSlot,
    /// Proposals by root, with the ranks of their leaders.
    blocks: HashMap<Root, (u8, Arc<SignedBeaconBlock<P>>)>,
    /// Proposals that are being judged, or were.
    judged: BTreeSet<Root>,
    /// Keys whose clients have asked this node for the block.
    pub(crate) members: BTreeSet<u8>,
    /// A leader's block is being built here.
    pub(crate) is_building: bool,
    /// When each rank was first heard of, in milliseconds since the start of the slot.
    seen_ms: BTreeMap<u8, u64>,
    /// The block that reached the threshold.
    pub(crate) completed: Option<Root>,
}

/// A block that has just reached its threshold.
#[derive(Debug)]
pub(crate) struct Completed<P: Preset> {
    pub(crate) root: Root,
    pub(crate) block: Arc<SignedBeaconBlock<P>>,
    pub(crate) event: GroupBlockEvent,
    /// How long this node waits before it publishes the block; `None` if it has no member.
    pub(crate) publication_delay_ms: Option<u64>,
}

impl<P: Preset> Round<P> {
    /// `None` for a group whose keys and threshold make no sense.
    pub(crate) fn new(group: ProposingGroup) -> Option<Self> {
        Some(Self {
            slot: GroupSlot::new(group.leader_order.clone(), group.threshold)?,
            group,
            blocks: HashMap::new(),
            judged: BTreeSet::new(),
            members: BTreeSet::new(),
            is_building: false,
            seen_ms: BTreeMap::new(),
            completed: None,
        })
    }

    /// Something of a leader has arrived.
    pub(crate) fn note_seen(&mut self, rank: u8, ms_into_slot: u64) {
        self.seen_ms.entry(rank).or_insert(ms_into_slot);
    }

    /// A leader's proposal: its block and its signature. Only the first of each rank is kept.
    pub(crate) fn insert_proposal(&mut self, rank: u8, key: u8, root: Root, block: Arc<SignedBeaconBlock<P>>) {
        if !self.slot.on_proposal(rank, root) {
            return;
        }
        let part = Part {
            signature: *block.signature(),
            proofs: SchemeProofs::new(block.proofs().to_vec()).unwrap_or_default(),
        };
        self.slot.on_header(key, root, part);
        self.blocks.insert(root, (rank, block));
    }

    /// A proposal's block.
    pub(crate) fn block(&self, root: &Root) -> Option<Arc<SignedBeaconBlock<P>>> {
        self.blocks.get(root).map(|(_, block)| Arc::clone(block))
    }

    /// Proposals that this node has to judge now, because it has members: each is given once.
    pub(crate) fn take_unjudged(&mut self) -> Vec<(Root, u8, Arc<SignedBeaconBlock<P>>)> {
        if self.members.is_empty() || self.completed.is_some() {
            return Vec::new();
        }
        let judged = &mut self.judged;
        self.blocks
            .iter()
            .filter(|(root, _)| judged.insert(**root))
            .map(|(root, (rank, block))| (*root, *rank, Arc::clone(block)))
            .collect()
    }

    /// Whether a proposal is being judged at the moment.
    pub(crate) fn is_being_judged(&self, root: &Root) -> bool {
        self.judged.contains(root) && self.slot.judgement(root) == Some(Judgement::Pending)
    }

    /// The first leader's reveal, if a proposal of that leader was seen.
    pub(crate) fn leader_reveal(&self) -> Option<Reveal> {
        let (_, block) = self.blocks.values().find(|(rank, _)| *rank == 0)?;
        let message = block.message();
        let body = message.body();
        let signature = *body.randao_reveal();
        let proof = body.randao_proof().to_vec();
        (signature != bls::INFINITY_SIGNATURE || !proof.is_empty()).then_some(Reveal { signature, proof })
    }

    /// The complete block, when its threshold is reached for the first time.
    pub(crate) fn take_completed(
        &mut self,
        ms_into_slot: u64,
        spec: &ChainSpec,
    ) -> Option<Result<Completed<P>, SignatureError>> {
        if self.completed.is_some() {
            return None;
        }
        let (root, parts) = self.slot.complete()?;
        let (rank, block) = self.blocks.get(&root)?;
        let proposer = self.group.proposer;
        let signers: Vec<u8> = parts.iter().map(|(key, _)| *key).collect();
        let assembled = assemble(&self.group, block, &parts);
        let event = GroupBlockEvent {
            slot: self.group.slot,
            proposer_index: proposer,
            block: root,
            rank: u64::from(*rank),
            signers: signers.iter().copied().map(u64::from).collect(),
            threshold: u64::from(self.group.threshold),
            size: self.group.schemes.len() as u64,
            seen_ms: self.seen_ms.get(rank).copied().unwrap_or(ms_into_slot),
            threshold_ms: ms_into_slot,
        };
        let publication_delay_ms = self
            .members
            .iter()
            .filter_map(|key| self.slot.publication_delay_ms(*key, spec.group_block_stagger_ms))
            .min();
        self.completed = Some(root);
        Some(assembled.map(|block| Completed {
            root,
            block: Arc::new(block),
            event,
            publication_delay_ms,
        }))
    }
}

/// The block under the signatures of several members.
fn assemble<P: Preset>(
    group: &ProposingGroup,
    proposal: &SignedBeaconBlock<P>,
    parts: &[(u8, &Part)],
) -> Result<SignedBeaconBlock<P>, SignatureError> {
    let mut signers = Signers::default();
    let mut named = Vec::with_capacity(parts.len());
    for (key, _) in parts {
        let scheme = group.schemes.get(usize::from(*key)).copied().unwrap_or_default();
        // Keys are smaller than the bit field is long, and registry indices than virtual ones begin.
        if signers.set(usize::from(*key), true).is_ok()
            && let Ok(signer) = SignerIndex::virtual_index(group.proposer, *key)
        {
            named.push([(signer, scheme)]);
        }
    }
    let signed: Vec<SignedPart<'_>> = named
        .iter()
        .zip(parts)
        .map(|(signer, (_, part))| SignedPart {
            signers: signer,
            signature: &part.signature,
            proofs: &part.proofs,
        })
        .collect();
    let (signature, proofs) = aggregate(&signed)?;
    Ok(SignedBeaconBlock::from_parts(
        unsigned(proposal),
        signature,
        signers,
        proofs,
    ))
}

/// A block without its signature.
pub(crate) fn unsigned<P: Preset>(block: &SignedBeaconBlock<P>) -> BeaconBlock<P> {
    debug_assert_eq!(block.fork_name(), types::ForkName::Dvt);
    match block {
        SignedBeaconBlock::Fulu(block) => BeaconBlock::Fulu(block.message.clone()),
        SignedBeaconBlock::Dvt(block) => BeaconBlock::Dvt(block.message.clone()),
    }
}
