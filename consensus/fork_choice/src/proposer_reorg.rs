//! Whether a proposer should build on the parent of a late and weak head.

use crate::{ForkChoiceError, Store};
use types::constants::BASIS_POINTS;
use types::{ChainSpec, Preset, Root, SafeArith, Slot};

/// Why a late head is not re-orged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReorgRefusal {
    /// The head was on time.
    #[error("head arrived in time")]
    HeadTimely,
    /// The shuffling may change at an epoch's start.
    #[error("proposal is at an epoch's start")]
    ShufflingUnstable,
    /// The parent justifies less than the head.
    #[error("parent would lose justification")]
    NotFfgCompetitive,
    /// Finality is late.
    #[error("chain does not finalise")]
    FinalizationLate,
    /// The proposal itself is late.
    #[error("proposal is late")]
    ProposingLate,
    /// More than the head's slot would be lost.
    #[error("more than one slot would be lost")]
    MoreThanOneSlot,
    /// The head has too many votes.
    #[error("head has too many votes")]
    HeadStrong,
    /// The parent has too few votes.
    #[error("parent has too few votes")]
    ParentWeak,
    /// Nobody here proposes next.
    #[error("next proposer is not connected")]
    NotProposing,
}

impl Store {
    /// Spec: phase0/fork-choice.md#is_proposing_on_time
    fn is_proposing_on_time(&self, spec: &ChainSpec) -> Result<bool, ForkChoiceError> {
        let cutoff = spec
            .slot_duration_ms
            .safe_mul(spec.proposer_reorg_cutoff_bps)?
            .safe_div(BASIS_POINTS)?;
        Ok(self.time_into_slot_ms(spec) <= cutoff)
    }

    /// Conditions that `get_proposer_head` and `should_override_forkchoice_update` share.
    fn reorg_preconditions<P: Preset>(
        &self,
        head_root: &Root,
        proposal_slot: Slot,
        spec: &ChainSpec,
    ) -> Result<Result<Root, ReorgRefusal>, ForkChoiceError> {
        let head = self.tree.node(head_root)?;
        let parent = self.tree.node(&head.parent_root)?;
        // > is_head_late
        if head.is_timely {
            return Ok(Err(ReorgRefusal::HeadTimely));
        }
        // > is_shuffling_stable
        if proposal_slot.is_epoch_start::<P>() {
            return Ok(Err(ReorgRefusal::ShufflingUnstable));
        }
        // > is_ffg_competitive
        if head.unrealized_justified_checkpoint != parent.unrealized_justified_checkpoint {
            return Ok(Err(ReorgRefusal::NotFfgCompetitive));
        }
        // > is_finalization_ok
        let since_finalization = proposal_slot
            .epoch::<P>()
            .saturating_sub(self.finalized_checkpoint.epoch);
        if since_finalization.as_u64() > spec.reorg_max_epochs_since_finalization {
            return Ok(Err(ReorgRefusal::FinalizationLate));
        }
        if parent.slot.safe_add(1u64)? != head.slot {
            return Ok(Err(ReorgRefusal::MoreThanOneSlot));
        }
        Ok(Ok(parent.root))
    }

    /// Conditions on the votes for head and parent.
    fn reorg_votes<P: Preset>(
        &self,
        head_root: &Root,
        parent_root: &Root,
        spec: &ChainSpec,
    ) -> Result<Result<(), ReorgRefusal>, ForkChoiceError> {
        let justified = self.justified_state()?;
        // > is_head_weak
        let reorg_threshold = justified.calculate_committee_fraction::<P>(spec.reorg_head_weight_threshold)?;
        if self.get_weight::<P>(head_root, spec)? >= reorg_threshold {
            return Ok(Err(ReorgRefusal::HeadStrong));
        }
        // > is_parent_strong
        let parent_threshold = justified.calculate_committee_fraction::<P>(spec.reorg_parent_weight_threshold)?;
        if self.get_weight::<P>(parent_root, spec)? <= parent_threshold {
            return Ok(Err(ReorgRefusal::ParentWeak));
        }
        Ok(Ok(()))
    }

    /// The block to build on in `slot`: `head_root`, or its parent if the head should be re-orged; with the reason
    /// why not.
    ///
    /// Spec: phase0/fork-choice.md#get_proposer_head
    pub fn get_proposer_head<P: Preset>(
        &self,
        head_root: Root,
        slot: Slot,
        spec: &ChainSpec,
    ) -> Result<(Root, Option<ReorgRefusal>), ForkChoiceError> {
        let parent_root = match self.reorg_preconditions::<P>(&head_root, slot, spec)? {
            Ok(parent_root) => parent_root,
            Err(refusal) => return Ok((head_root, Some(refusal))),
        };
        if !self.is_proposing_on_time(spec)? {
            return Ok((head_root, Some(ReorgRefusal::ProposingLate)));
        }
        if self.tree.node(&head_root)?.slot.safe_add(1u64)? != slot {
            return Ok((head_root, Some(ReorgRefusal::MoreThanOneSlot)));
        }
        if self.proposer_boost_root == head_root {
            return Err(ForkChoiceError::BoostNotWornOff(head_root));
        }
        match self.reorg_votes::<P>(&head_root, &parent_root, spec)? {
            Ok(()) => Ok((parent_root, None)),
            Err(refusal) => Ok((head_root, Some(refusal))),
        }
    }

    /// Whether the engine should not be told of a head that the next proposer, who is connected here if
    /// `proposing_reorg_slot`, will probably re-org.
    ///
    /// Spec: bellatrix/fork-choice.md#should_override_forkchoice_update
    pub fn should_override_forkchoice_update<P: Preset>(
        &self,
        head_root: &Root,
        proposing_reorg_slot: bool,
        spec: &ChainSpec,
    ) -> Result<Result<(), ReorgRefusal>, ForkChoiceError> {
        let head_slot = self.tree.node(head_root)?.slot;
        let proposal_slot = head_slot.safe_add(1u64)?;
        let current_slot = self.get_current_slot(spec);
        let parent_root = match self.reorg_preconditions::<P>(head_root, proposal_slot, spec)? {
            Ok(parent_root) => parent_root,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if !proposing_reorg_slot {
            return Ok(Err(ReorgRefusal::NotProposing));
        }
        if head_slot != current_slot && proposal_slot != current_slot {
            return Ok(Err(ReorgRefusal::MoreThanOneSlot));
        }
        if proposal_slot == current_slot && !self.is_proposing_on_time(spec)? {
            return Ok(Err(ReorgRefusal::ProposingLate));
        }
        if current_slot > head_slot {
            return self.reorg_votes::<P>(head_root, &parent_root, spec);
        }
        Ok(Ok(()))
    }
}
