//! Signatures of the sync committee.

use bls::{BlsError, INFINITY_SIGNATURE, Signature, aggregate_signatures};
use ssz_types::BitVector;
use std::collections::{BTreeMap, HashMap};
use types::constants::SYNC_COMMITTEE_SUBNET_COUNT;
use types::{Preset, Root, SignatureBytes, Slot, SyncAggregate, SyncCommitteeContribution};

/// Different blocks that may be signed in one slot.
const MAX_ROOTS_PER_SLOT: usize = 64;

#[derive(Debug, Clone)]
struct Subcommittee<P: Preset> {
    /// By position within the subcommittee.
    messages: BTreeMap<usize, SignatureBytes>,
    best: Option<SyncCommitteeContribution<P>>,
}

impl<P: Preset> Default for Subcommittee<P> {
    fn default() -> Self {
        Self {
            messages: BTreeMap::new(),
            best: None,
        }
    }
}

impl<P: Preset> Subcommittee<P> {
    /// Positions that signed, with the sum of their signatures: the best contribution with all that it lacks, or the
    /// single messages if they are more.
    fn sum(&self) -> Result<(BitVector<P::SyncSubcommitteeSize>, SignatureBytes), BlsError> {
        let mut bits = BitVector::default();
        let mut signatures = Vec::new();
        if let Some(best) = &self.best {
            bits = best.aggregation_bits.clone();
            signatures.push(Signature::from_bytes(&best.signature)?);
        }
        for (position, signature) in &self.messages {
            let is_new = bits.get(*position).is_ok_and(|bit| !bit);
            if is_new && bits.set(*position, true).is_ok() {
                signatures.push(Signature::from_bytes(signature)?);
            }
        }
        let signature = match signatures.as_slice() {
            [] => INFINITY_SIGNATURE,
            signatures => aggregate_signatures(signatures)?.to_bytes(),
        };
        Ok((bits, signature))
    }
}

type BySubcommittee<P> = BTreeMap<u64, Subcommittee<P>>;

/// Messages and contributions by slot, signed block and subcommittee.
#[derive(Debug, Clone)]
pub(crate) struct SyncPool<P: Preset> {
    slots: BTreeMap<Slot, HashMap<Root, BySubcommittee<P>>>,
}

impl<P: Preset> Default for SyncPool<P> {
    fn default() -> Self {
        Self { slots: BTreeMap::new() }
    }
}

impl<P: Preset> SyncPool<P> {
    fn subcommittee(&mut self, slot: Slot, root: Root, index: u64) -> Option<&mut Subcommittee<P>> {
        let roots = self.slots.entry(slot).or_default();
        if index >= SYNC_COMMITTEE_SUBNET_COUNT || (roots.len() >= MAX_ROOTS_PER_SLOT && !roots.contains_key(&root)) {
            return None;
        }
        Some(roots.entry(root).or_default().entry(index).or_default())
    }

    pub(crate) fn insert_message(
        &mut self,
        slot: Slot,
        root: Root,
        index: u64,
        position: usize,
        signature: SignatureBytes,
    ) {
        if let Some(subcommittee) = self.subcommittee(slot, root, index) {
            subcommittee.messages.entry(position).or_insert(signature);
        }
    }

    pub(crate) fn insert_contribution(&mut self, contribution: &SyncCommitteeContribution<P>) {
        let (slot, root) = (contribution.slot, contribution.beacon_block_root);
        let Some(subcommittee) = self.subcommittee(slot, root, contribution.subcommittee_index) else {
            return;
        };
        let count = contribution.aggregation_bits.num_set_bits();
        let is_better = subcommittee
            .best
            .as_ref()
            .is_none_or(|best| best.aggregation_bits.num_set_bits() < count);
        if is_better {
            subcommittee.best = Some(contribution.clone());
        }
    }

    pub(crate) fn get_contribution(
        &self,
        slot: Slot,
        root: Root,
        index: u64,
    ) -> Result<Option<SyncCommitteeContribution<P>>, BlsError> {
        let subcommittee = self
            .slots
            .get(&slot)
            .and_then(|roots| roots.get(&root))
            .and_then(|subcommittees| subcommittees.get(&index));
        let Some(subcommittee) = subcommittee else {
            return Ok(None);
        };
        let (aggregation_bits, signature) = subcommittee.sum()?;
        if aggregation_bits.is_zero() {
            return Ok(None);
        }
        Ok(Some(SyncCommitteeContribution {
            slot,
            beacon_block_root: root,
            subcommittee_index: index,
            aggregation_bits,
            signature,
        }))
    }

    /// Spec: altair/validator.md#process_sync_committee_contributions
    pub(crate) fn sync_aggregate(&self, slot: Slot, root: Root) -> Result<SyncAggregate<P>, BlsError> {
        let mut sync_committee_bits = BitVector::default();
        let mut signatures = Vec::new();
        let size = P::SYNC_COMMITTEE_SIZE
            .checked_div(SYNC_COMMITTEE_SUBNET_COUNT)
            .unwrap_or_default() as usize;
        for index in 0..SYNC_COMMITTEE_SUBNET_COUNT {
            let Some(contribution) = self.get_contribution(slot, root, index)? else {
                continue;
            };
            let offset = (index as usize).saturating_mul(size);
            for (position, bit) in contribution.aggregation_bits.iter().enumerate() {
                if bit {
                    // Subcommittees are parts of the committee, so that the place exists.
                    let _ = sync_committee_bits.set(offset.saturating_add(position), true);
                }
            }
            signatures.push(Signature::from_bytes(&contribution.signature)?);
        }
        let sync_committee_signature = match signatures.as_slice() {
            [] => INFINITY_SIGNATURE,
            signatures => aggregate_signatures(signatures)?.to_bytes(),
        };
        Ok(SyncAggregate {
            sync_committee_bits,
            sync_committee_signature,
        })
    }

    pub(crate) fn prune(&mut self, earliest: Slot) {
        self.slots = self.slots.split_off(&earliest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bls::SecretKey;
    use types::Minimal;

    fn signature(number: u8) -> SignatureBytes {
        SecretKey::derive_master(&[number; 32])
            .unwrap()
            .sign(&Root::ZERO)
            .to_bytes()
    }

    fn sum(numbers: &[u8]) -> SignatureBytes {
        let signatures: Vec<_> = numbers
            .iter()
            .map(|number| Signature::from_bytes(&signature(*number)).unwrap())
            .collect();
        aggregate_signatures(&signatures).unwrap().to_bytes()
    }

    #[test]
    fn messages_and_contributions_add_up_over_subcommittees() {
        let (slot, root) = (Slot::new(3), Root::ZERO);
        let mut pool = SyncPool::<Minimal>::default();
        pool.insert_message(slot, root, 0, 2, signature(1));
        // One signer at two positions signs twice.
        pool.insert_message(slot, root, 1, 0, signature(2));
        pool.insert_message(slot, root, 1, 7, signature(2));
        let mut contribution = pool.get_contribution(slot, root, 0).unwrap().unwrap();
        contribution.aggregation_bits.set(5, true).unwrap();
        contribution.signature = sum(&[1, 3]);
        pool.insert_contribution(&contribution);
        pool.insert_message(slot, root, 0, 6, signature(4));

        let aggregate = pool.sync_aggregate(slot, root).unwrap();
        let set: Vec<usize> = (0..32)
            .filter(|position| aggregate.sync_committee_bits.get(*position).unwrap())
            .collect();
        assert_eq!(set, [2, 5, 6, 8, 15]);
        assert_eq!(aggregate.sync_committee_signature, sum(&[1, 3, 4, 2, 2]));
    }

    #[test]
    fn without_messages_the_aggregate_is_empty_and_infinite() {
        let pool = SyncPool::<Minimal>::default();
        let aggregate = pool.sync_aggregate(Slot::new(1), Root::ZERO).unwrap();
        assert!(aggregate.sync_committee_bits.is_zero());
        assert_eq!(aggregate.sync_committee_signature, INFINITY_SIGNATURE);
        assert_eq!(pool.get_contribution(Slot::new(1), Root::ZERO, 0).unwrap(), None);
    }
}
