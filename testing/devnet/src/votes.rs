//! Who voted for what, from the attestations that a node holds.

use crate::record::Vote;
use beacon_api::Committee;
use std::collections::BTreeMap;
use types::{Attestation, Preset};

/// Signers by seat, by slot and committee.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seats(BTreeMap<(u64, u64), Vec<u64>>);

impl Seats {
    pub(crate) fn add(&mut self, committees: Vec<Committee>) {
        for committee in committees {
            let signers = committee.validators.iter().map(|signer| signer.as_u64()).collect();
            self.0.insert((committee.slot.as_u64(), committee.index), signers);
        }
    }

    /// Nothing before a slot is asked for any more.
    pub(crate) fn forget_before(&mut self, slot: u64) {
        self.0.retain(|(of, _), _| *of >= slot);
    }

    pub(crate) fn knows(&self, slot: u64) -> bool {
        self.0.range((slot, 0)..=(slot, u64::MAX)).next().is_some()
    }

    /// Signers of an attestation. Bits beyond the seats are nobody's.
    pub(crate) fn signers<P: Preset>(&self, attestation: &Attestation<P>) -> Vec<u64> {
        let slot = attestation.data().slot.as_u64();
        let committees = (0u64..)
            .zip(attestation.committee_bits().iter())
            .filter(|(_, set)| *set)
            .filter_map(|(index, _)| self.0.get(&(slot, index)));
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
        AttestationData, AttestationDvt, Checkpoint, Minimal, Root, SchemeProofs, SignatureBytes, SignerIndex, Slot,
    };

    fn committee(slot: u64, index: u64, signers: &[u64]) -> Committee {
        Committee {
            index,
            slot: Slot::new(slot),
            validators: signers.iter().map(|signer| SignerIndex::new(*signer)).collect(),
        }
    }

    #[test]
    fn seats_of_several_committees_follow_each_other() {
        let mut seats = Seats::default();
        seats.add(vec![
            committee(8, 0, &[1, 2]),
            committee(8, 1, &[100, 101, 102]),
            committee(8, 2, &[3]),
            committee(9, 0, &[9]),
        ]);
        let mut attestation = AttestationDvt::<Minimal> {
            aggregation_bits: ssz_types::BitList::with_capacity(3).unwrap(),
            data: AttestationData {
                slot: Slot::new(8),
                index: 0,
                beacon_block_root: Root::ZERO,
                source: Checkpoint::default(),
                target: Checkpoint::default(),
            },
            signature: SignatureBytes::ZERO,
            committee_bits: Default::default(),
            proofs: SchemeProofs::empty(),
        };
        attestation.committee_bits.set(0, true).unwrap();
        attestation.committee_bits.set(2, true).unwrap();
        attestation.aggregation_bits.set(1, true).unwrap();
        attestation.aggregation_bits.set(2, true).unwrap();
        assert_eq!(seats.signers(&Attestation::Dvt(attestation)), [2, 3]);
        seats.forget_before(9);
        assert!(!seats.knows(8) && seats.knows(9));
    }
}
