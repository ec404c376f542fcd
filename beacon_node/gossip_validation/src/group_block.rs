//! Topics `group_block_proposal` and `group_block_signature`: a group's block before it is complete.
//!
//! Spec: dvt/p2p-interface.md#group_block_proposal

use crate::beacon_block::BlockGossipError;
use crate::error::impl_shared;
use crate::leaders::{ProposingGroup, proposing_group, single_signer};
use crate::{GossipValidator, SharedError, Verdict};
use runtime::Priority;
use state_transition::block::header::{block_header_signature_set, block_signature_set};
use state_transition::dvt::leaders::get_leader_rank;
use state_transition::dvt::signers::{Quorum, SignersError};
use state_transition::helpers::accessors::get_beacon_proposer_index_at_slot;
use std::sync::Arc;
use tree_hash::TreeHash as _;
use types::{
    BeaconState, ForkName, Preset, Root, SignedBeaconBlock, SignedBeaconBlockHeader, SignerIndex, Slot, ValidatorIndex,
};

/// A proposal to a group, or a member's signature, is not passed on.
#[derive(Debug, thiserror::Error)]
pub enum GroupBlockGossipError {
    /// There are no groups before the fork.
    #[error("there are no groups before the fork dvt")]
    BeforeFork,
    /// Not signed by exactly one key.
    #[error("{0} keys signed, expected exactly 1")]
    SignerCount(usize),
    /// The proposer needs no help.
    #[error("validator {proposer} has threshold {threshold}, expected at least 2")]
    NotAGroup {
        /// The proposer.
        proposer: ValidatorIndex,
        /// Its threshold.
        threshold: u8,
    },
    /// The block is not later than what it builds on.
    #[error("block of slot {slot} is not later than its parent, of slot {parent}")]
    NotLaterThanParent {
        /// Slot of the block.
        slot: Slot,
        /// Slot of its parent.
        parent: Slot,
    },
    /// The key does not lead in this slot.
    #[error("key {key} of group {proposer} is no leader in slot {slot}")]
    NotALeader {
        /// The group.
        proposer: ValidatorIndex,
        /// Place of the key.
        key: u8,
        /// The slot.
        slot: Slot,
    },
    /// The signer spoke in this slot before.
    #[error("signer {signer} spoke in slot {slot} before")]
    NotFirst {
        /// The signer.
        signer: SignerIndex,
        /// The slot.
        slot: Slot,
    },
    /// A leader of a lower rank proposed in time.
    #[error("leader of rank {seen} proposed before rank {rank} was due")]
    LowerRankSeen {
        /// Rank of the proposal.
        rank: u8,
        /// Lower rank that proposed.
        seen: u8,
    },
    /// The group's complete block is here.
    #[error("group {proposer} has a complete block in slot {slot} already")]
    Complete {
        /// The group.
        proposer: ValidatorIndex,
        /// The slot.
        slot: Slot,
    },
    /// Another proposer than the slot's.
    #[error("proposer is {found}, expected {expected}")]
    Proposer {
        /// The slot's proposer.
        expected: ValidatorIndex,
        /// The header's proposer.
        found: ValidatorIndex,
    },
    /// The key does not exist.
    #[error("signers: {0}")]
    Signers(#[from] SignersError),
    /// The block would not be passed on, whoever signed it.
    #[error(transparent)]
    Block(BlockGossipError),
    /// As for any topic.
    #[error(transparent)]
    Shared(#[from] SharedError),
}
impl_shared!(GroupBlockGossipError);

impl From<BlockGossipError> for GroupBlockGossipError {
    fn from(error: BlockGossipError) -> Self {
        match error {
            BlockGossipError::Shared(error) => Self::Shared(error),
            other => Self::Block(other),
        }
    }
}

impl GroupBlockGossipError {
    /// What to do with the message.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::BeforeFork
            | Self::NotFirst { .. }
            | Self::LowerRankSeen { .. }
            | Self::Complete { .. }
            | Self::Signers(SignersError::State(_)) => Verdict::Ignore,
            Self::SignerCount(_)
            | Self::NotAGroup { .. }
            | Self::NotALeader { .. }
            | Self::NotLaterThanParent { .. }
            | Self::Proposer { .. }
            | Self::Signers(_) => Verdict::Reject,
            Self::Block(error) => error.verdict(),
            Self::Shared(error) => error.verdict(),
        }
    }
}

/// A leader's proposal to its group: everything that can be seen without executing it holds.
#[derive(Debug, Clone)]
pub struct VerifiedProposal<P: Preset> {
    /// The block, signed by the leader alone.
    pub block: Arc<SignedBeaconBlock<P>>,
    /// Its root.
    pub root: Root,
    /// The leader.
    pub signer: SignerIndex,
    /// The leader's rank.
    pub rank: u8,
    /// The group.
    pub group: ProposingGroup,
}

/// A member's signature of a block that need not be here yet.
#[derive(Debug, Clone)]
pub struct VerifiedMemberSignature {
    /// The header, signed by the member alone.
    pub header: SignedBeaconBlockHeader,
    /// Root of the block.
    pub root: Root,
    /// The member.
    pub signer: SignerIndex,
    /// Rank of the member as a leader, if it is one: then this says "I am here".
    pub rank: Option<u8>,
    /// The group.
    pub group: ProposingGroup,
}

fn check_threshold<P: Preset>(
    state: &BeaconState<P>,
    proposer: ValidatorIndex,
    slot: Slot,
) -> Result<ProposingGroup, GroupBlockGossipError> {
    match proposing_group(state, proposer, slot)? {
        Some(group) if group.threshold >= 2 => Ok(group),
        other => Err(GroupBlockGossipError::NotAGroup {
            proposer,
            threshold: other.map_or(1, |group| group.threshold),
        }),
    }
}

impl<P: Preset> GossipValidator<P> {
    /// Checks a leader's proposal.
    pub async fn verify_group_proposal(
        self: &Arc<Self>,
        block: Arc<SignedBeaconBlock<P>>,
    ) -> Result<VerifiedProposal<P>, GroupBlockGossipError> {
        self.on_worker("group_block_proposal", Priority::GroupProposal, move |validator| {
            validator.verify_group_proposal_blocking(block)
        })
        .await
    }

    fn verify_group_proposal_blocking(
        &self,
        block: Arc<SignedBeaconBlock<P>>,
    ) -> Result<VerifiedProposal<P>, GroupBlockGossipError> {
        let (slot, proposer) = (block.slot(), block.message().proposer_index());
        if self.chain.fork_name_at_slot(slot) != ForkName::Dvt {
            return Err(GroupBlockGossipError::BeforeFork);
        }
        self.check_current_slot(slot)?;
        let key = single_signer(&block.signers())
            .ok_or_else(|| GroupBlockGossipError::SignerCount(block.signers().num_set_bits()))?;
        let signer = SignerIndex::virtual_index(proposer, key).map_err(state_transition::StateError::from)?;
        if self.proposals.contains(slot, &signer) {
            return Err(GroupBlockGossipError::NotFirst { signer, slot });
        }
        if self.blocks.contains(slot, &proposer) {
            return Err(GroupBlockGossipError::Complete { proposer, slot });
        }
        let state = self.check_block_but_signature(&block)?;
        let group = check_threshold(&state, proposer, slot)?;
        let rank = get_leader_rank(&state, proposer, slot, key)?.ok_or(GroupBlockGossipError::NotALeader {
            proposer,
            key,
            slot,
        })?;
        self.check_leader_time(slot, rank)?;
        self.check_lower_ranks(slot, proposer, rank)?;
        let root = block.block_root();
        signature_scheme::verify(&block_signature_set(&state, &block, Some(root), Quorum::Single)?)?;
        if !self.proposals.insert(slot, signer) {
            return Err(GroupBlockGossipError::NotFirst { signer, slot });
        }
        let now = self.chain.clock().now_ms();
        let mut leaders = self.leaders.lock();
        leaders
            .entry((slot, proposer))
            .or_default()
            .ranks
            .entry(rank)
            .or_insert(now);
        drop(leaders);
        Ok(VerifiedProposal {
            block,
            root,
            signer,
            rank,
            group,
        })
    }

    /// A fallback leader is not heard if a leader before it proposed in time, and rightly as far as this node knows. One
    /// that has no member to judge proposals for passes all of them on.
    fn check_lower_ranks(&self, slot: Slot, proposer: ValidatorIndex, rank: u8) -> Result<(), GroupBlockGossipError> {
        let start = self.chain.clock().slot_start_ms(slot);
        let due = start.saturating_add(self.chain.spec().get_leader_due_ms(rank));
        let leaders = self.leaders.lock();
        let Some(seen) = leaders.get(&(slot, proposer)) else {
            return Ok(());
        };
        match seen
            .ranks
            .range(..rank)
            .find(|(rank, seen_ms)| **seen_ms < due && seen.right.contains(rank))
        {
            Some((seen, _)) => Err(GroupBlockGossipError::LowerRankSeen { rank, seen: *seen }),
            None => Ok(()),
        }
    }

    /// Checks a member's signature.
    pub async fn verify_group_signature(
        self: &Arc<Self>,
        header: SignedBeaconBlockHeader,
    ) -> Result<VerifiedMemberSignature, GroupBlockGossipError> {
        self.on_worker("group_block_signature", Priority::GroupProposal, move |validator| {
            validator.verify_group_signature_blocking(header)
        })
        .await
    }

    fn verify_group_signature_blocking(
        &self,
        header: SignedBeaconBlockHeader,
    ) -> Result<VerifiedMemberSignature, GroupBlockGossipError> {
        let message = *header.message();
        let (slot, proposer) = (message.slot, message.proposer_index);
        if self.chain.fork_name_at_slot(slot) != ForkName::Dvt {
            return Err(GroupBlockGossipError::BeforeFork);
        }
        self.check_fork(slot, &header)?;
        self.check_current_slot(slot)?;
        let key = single_signer(&header.signers())
            .ok_or_else(|| GroupBlockGossipError::SignerCount(header.signers().num_set_bits()))?;
        let signer = SignerIndex::virtual_index(proposer, key).map_err(state_transition::StateError::from)?;
        if self.member_signatures.contains(slot, &signer) {
            return Err(GroupBlockGossipError::NotFirst { signer, slot });
        }
        let parent = self.parent_slot(message.parent_root)?;
        if slot <= parent {
            return Err(GroupBlockGossipError::NotLaterThanParent { slot, parent });
        }
        if self.check_finalized_descendant(message.parent_root).is_err() {
            let finalized = self.finalized_checkpoint().root;
            return Err(GroupBlockGossipError::Block(BlockGossipError::NotFinalizedDescendant(
                finalized,
            )));
        }
        let state = self.state_for_epoch(message.parent_root, slot.epoch::<P>())?;
        let expected = get_beacon_proposer_index_at_slot(&state, slot)?;
        if proposer != expected {
            return Err(GroupBlockGossipError::Proposer {
                expected,
                found: proposer,
            });
        }
        let group = check_threshold(&state, proposer, slot)?;
        signature_scheme::verify(&block_header_signature_set(&state, header.to_ref(), Quorum::Single)?)?;
        if !self.member_signatures.insert(slot, signer) {
            return Err(GroupBlockGossipError::NotFirst { signer, slot });
        }
        Ok(VerifiedMemberSignature {
            root: message.tree_hash_root(),
            signer,
            rank: get_leader_rank(&state, proposer, slot, key)?,
            group,
            header,
        })
    }
}
