//! Latest messages, and the vote of a group.

use crate::ForkChoiceError;
use crate::block_tree::BlockTree;
use crate::justified::{JustifiedState, Voters};
use std::collections::{BTreeMap, HashMap, HashSet};
use types::{Epoch, Gwei, Root, SafeArith, SignerIndex, Slot, ValidatorIndex};

/// The latest vote of one signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatestMessage {
    /// Target epoch of the vote.
    pub epoch: Epoch,
    /// Place of the voted block; none once that block is pruned, or for a member that voted twice in the epoch.
    pub(crate) place: Option<u32>,
}

/// Votes by signer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Votes {
    /// Of registry indices; most signers, so a plain array.
    pub(crate) solo: Vec<Option<LatestMessage>>,
    /// Of virtual indices.
    pub(crate) members: HashMap<SignerIndex, LatestMessage>,
    /// Registry entries, each discounted whole.
    pub(crate) equivocating_indices: HashSet<ValidatorIndex>,
}

impl Votes {
    pub(crate) fn get(&self, signer: SignerIndex) -> Option<LatestMessage> {
        if signer.is_virtual() {
            self.members.get(&signer).copied()
        } else {
            self.solo.get(signer.as_u64() as usize).copied().flatten()
        }
    }

    /// Spec: dvt/fork-choice.md#update_latest_messages
    pub(crate) fn update(&mut self, signer: SignerIndex, epoch: Epoch, place: usize, registry_len: usize) {
        let place = u32::try_from(place).ok();
        if self.equivocating_indices.contains(&signer.validator()) && !signer.is_virtual() {
            return;
        }
        let latest = self.get(signer);
        if signer.is_virtual()
            && let Some(latest) = latest
            && latest.epoch == epoch
            && latest.place != place
        {
            // [Dvt] A member that votes twice for one target epoch supports nothing until a later one: evidence against
            // the group needs more members than one, so a lasting mark would differ between nodes for ever.
            self.members.insert(signer, LatestMessage { epoch, place: None });
            return;
        }
        if latest.is_some_and(|latest| epoch <= latest.epoch) {
            return;
        }
        let message = LatestMessage { epoch, place };
        if signer.is_virtual() {
            self.members.insert(signer, message);
            return;
        }
        let index = signer.as_u64() as usize;
        // An index beyond the registry cannot have passed signature checks.
        if index < registry_len {
            if index >= self.solo.len() {
                self.solo.resize(registry_len, None);
            }
            if let Some(entry) = self.solo.get_mut(index) {
                *entry = Some(message);
            }
        }
    }

    /// Weight that votes give to each block directly, by place.
    ///
    /// Spec: dvt/fork-choice.md#get_weight
    pub(crate) fn direct_weights(
        &self,
        tree: &BlockTree,
        justified: &JustifiedState,
        current_epoch: Epoch,
    ) -> Result<Vec<Gwei>, ForkChoiceError> {
        let mut weights = vec![0u64; tree.nodes().len()];
        let mut add = |place: Option<u32>, balance: Gwei| -> Result<(), ForkChoiceError> {
            if let Some(weight) = place.and_then(|place| weights.get_mut(place as usize)) {
                weight.safe_add_assign(balance)?;
            }
            Ok(())
        };
        for (message, balance) in self.solo.iter().zip(&justified.effective_balances) {
            if let Some(message) = message {
                add(message.place, *balance)?;
            }
        }
        // What the sweep above cannot see is corrected here: entries that are groups, and equivocating ones.
        let mut corrections: BTreeMap<ValidatorIndex, Option<u32>> = BTreeMap::new();
        for index in justified.key_sets.keys() {
            if justified.voters(*index, current_epoch) != Voters::Solo {
                corrections.insert(*index, self.get_effective_vote(tree, justified, *index, current_epoch));
            }
        }
        corrections.extend(self.equivocating_indices.iter().map(|index| (*index, None)));
        for (index, vote) in corrections {
            let Some(balance) = justified.effective_balances.get(index.as_usize()) else {
                continue;
            };
            if let Some(counted) = self.get(SignerIndex::from(index)).and_then(|message| message.place)
                && let Some(weight) = weights.get_mut(counted as usize)
            {
                weight.safe_sub_assign(*balance)?;
            }
            if let Some(weight) = vote.and_then(|place| weights.get_mut(place as usize)) {
                weight.safe_add_assign(*balance)?;
            }
        }
        Ok(weights)
    }

    /// The block with the greatest (slot, root) among those that at least the threshold of the group's latest
    /// messages are for or descend from.
    ///
    /// Spec: dvt/fork-choice.md#get_effective_vote
    pub(crate) fn get_effective_vote(
        &self,
        tree: &BlockTree,
        justified: &JustifiedState,
        index: ValidatorIndex,
        current_epoch: Epoch,
    ) -> Option<u32> {
        let (n, m) = match justified.voters(index, current_epoch) {
            Voters::Nobody => return None,
            Voters::Solo => return self.get(SignerIndex::from(index))?.place,
            Voters::Group { n, m } => (n, usize::from(m.max(1))),
        };
        // Blocks that still have to be looked at, with their support. The greatest (slot, root) is taken first, so
        // that all its descendants have handed their support on before.
        let mut frontier: BTreeMap<(Slot, Root), (usize, usize)> = BTreeMap::new();
        for key in 0..n {
            let Ok(signer) = SignerIndex::virtual_index(index, key) else {
                continue;
            };
            let Some(place) = self.get(signer).and_then(|message| message.place) else {
                continue;
            };
            let place = place as usize;
            let Some(node) = tree.at(place) else { continue };
            let entry = frontier.entry((node.slot, node.root)).or_insert((place, 0));
            entry.1 = entry.1.saturating_add(1);
        }
        while let Some((_, (place, support))) = frontier.pop_last() {
            if support >= m {
                return u32::try_from(place).ok();
            }
            let Some(parent) = tree.at(place).and_then(|node| node.parent) else {
                continue;
            };
            let Some(node) = tree.at(parent) else { continue };
            let entry = frontier.entry((node.slot, node.root)).or_insert((parent, 0));
            entry.1 = entry.1.saturating_add(support);
        }
        None
    }

    /// Follows blocks to their new places after pruning.
    pub(crate) fn move_places(&mut self, moved: &[Option<usize>]) {
        let follow = |message: &mut LatestMessage| {
            message.place = message
                .place
                .and_then(|place| moved.get(place as usize).copied().flatten())
                .and_then(|place| u32::try_from(place).ok());
        };
        self.solo.iter_mut().flatten().for_each(follow);
        self.members.values_mut().for_each(follow);
    }
}
