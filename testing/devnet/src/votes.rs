//! Who voted for what, from the attestations that a node holds.

use crate::record::Vote;
use beacon_api::Committee;
use std::collections::BTreeMap;
use types::{Attestation, Checkpoint, Preset};

/// Signers by seat, by slot and committee.
type SeatsOfEpoch = BTreeMap<(u64, u64), Vec<u64>>;

/// Signers by seat, by the target that they vote for: branches of the chain may have other committees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seats(BTreeMap<Checkpoint, SeatsOfEpoch>);

impl Seats {
    pub(crate) fn add(&mut self, target: Checkpoint, committees: Vec<Committee>) {
        let of_epoch = self.0.entry(target).or_default();
        for committee in committees {
            let signers = committee.validators.iter().map(|signer| signer.as_u64()).collect();
            of_epoch.insert((committee.slot.as_u64(), committee.index), signers);
        }
    }

    /// Nothing before an epoch is asked for any more.
    pub(crate) fn forget_before(&mut self, epoch: u64) {
        self.0.retain(|target, _| target.epoch.as_u64() >= epoch);
    }

    pub(crate) fn knows(&self, target: &Checkpoint) -> bool {
        self.0.contains_key(target)
    }

    /// Signers of an attestation. Bits beyond the seats are nobody's.
    pub(crate) fn signers<P: Preset>(&self, attestation: &Attestation<P>) -> Vec<u64> {
        let data = attestation.data();
        let Some(of_epoch) = self.0.get(&data.target) else {
            return Vec::new();
        };
        let slot = data.slot.as_u64();
        let committees = (0u64..)
            .zip(attestation.committee_bits().iter())
            .filter(|(_, set)| *set)
            .filter_map(|(index, _)| of_epoch.get(&(slot, index)));
        committees
            .flatten()
            .zip(attestation.aggregation_bits().iter())
            .filter(|(_, set)| *set)
            .map(|(signer, _)| *signer)
            .collect()
    }
}

/// What an attestation says.
pub(crate) fn vote_of<P: Preset>(attestation: &Attestation<P>) -> Vote {
    let data = attestation.data();
    Vote {
        slot: data.slot.as_u64(),
        source: data.source.epoch.as_u64(),
        source_root: data.source.root,
        target: data.target.epoch.as_u64(),
        target_root: data.target.root,
        head: data.beacon_block_root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{
        AttestationData, AttestationDvt, Checkpoint, Epoch, Minimal, Root, SchemeProofs, SignatureBytes, SignerIndex,
        Slot,
    };

    fn committee(slot: u64, index: u64, signers: &[u64]) -> Committee {
        Committee {
            index,
            slot: Slot::new(slot),
            validators: signers.iter().map(|signer| SignerIndex::new(*signer)).collect(),
        }
    }

    #[test]
    fn seats_of_several_committees_follow_each_other_and_are_others_on_each_branch() {
        let target = |root: u8| Checkpoint {
            epoch: Epoch::new(1),
            root: Root::repeat_byte(root),
        };
        let mut seats = Seats::default();
        let committees = vec![
            committee(8, 0, &[1, 2]),
            committee(8, 1, &[100, 101, 102]),
            committee(8, 2, &[3]),
            committee(9, 0, &[9]),
        ];
        seats.add(target(1), committees);
        seats.add(target(2), vec![committee(8, 0, &[4, 5]), committee(8, 2, &[6])]);
        let mut attestation = AttestationDvt::<Minimal> {
            aggregation_bits: ssz_types::BitList::with_capacity(3).unwrap(),
            data: AttestationData {
                slot: Slot::new(8),
                index: 0,
                beacon_block_root: Root::ZERO,
                source: Checkpoint::default(),
                target: target(1),
            },
            signature: SignatureBytes::ZERO,
            committee_bits: Default::default(),
            proofs: SchemeProofs::empty(),
        };
        attestation.committee_bits.set(0, true).unwrap();
        attestation.committee_bits.set(2, true).unwrap();
        attestation.aggregation_bits.set(1, true).unwrap();
        attestation.aggregation_bits.set(2, true).unwrap();
        assert_eq!(seats.signers(&Attestation::Dvt(attestation.clone())), [2, 3]);
        // On another branch others sit there, and of a third one nobody knows.
        attestation.data.target = target(2);
        assert_eq!(seats.signers(&Attestation::Dvt(attestation.clone())), [5, 6]);
        attestation.data.target = target(3);
        assert!(seats.signers(&Attestation::Dvt(attestation)).is_empty());
        assert!(seats.knows(&target(1)) && !seats.knows(&target(3)));
        seats.forget_before(2);
        assert!(!seats.knows(&target(1)));
    }
}
