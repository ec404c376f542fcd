//! Votes by slot and by what they are for.

use crate::votes::CommitteeVotes;
use signature_scheme::SignatureError;
use state_transition::dvt::aggregates::{SignedVotes, Vote, compute_on_chain_aggregate};
use std::collections::{BTreeMap, HashMap};
use tree_hash::TreeHash as _;
use types::{
    Attestation, AttestationData, CommitteeIndex, ForkName, ForkVersioned as _, Preset, Root, SchemeProofs,
    SignerIndex, SingleAttestation, Slot,
};

/// Different things that may be voted for in one slot. Honest voters vote for very few.
const MAX_DATA_PER_SLOT: usize = 256;

/// Votes for one thing.
#[derive(Debug, Clone)]
pub(crate) struct DataVotes {
    pub(crate) data: AttestationData,
    /// Layout in which the votes came.
    pub(crate) fork: ForkName,
    pub(crate) committees: BTreeMap<CommitteeIndex, CommitteeVotes>,
}

/// All votes.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttestationPool {
    pub(crate) slots: BTreeMap<Slot, HashMap<Root, DataVotes>>,
}

impl AttestationPool {
    fn committee(
        &mut self,
        data: &AttestationData,
        fork: ForkName,
        index: CommitteeIndex,
        seats: usize,
    ) -> Option<&mut CommitteeVotes> {
        let slot = self.slots.entry(data.slot).or_default();
        let root = data.tree_hash_root();
        if slot.len() >= MAX_DATA_PER_SLOT && !slot.contains_key(&root) {
            return None;
        }
        let votes = slot.entry(root).or_insert_with(|| DataVotes {
            data: *data,
            fork,
            committees: BTreeMap::new(),
        });
        Some(
            votes
                .committees
                .entry(index)
                .or_insert_with(|| CommitteeVotes::new(seats)),
        )
    }

    pub(crate) fn insert_single(
        &mut self,
        attestation: &SingleAttestation,
        scheme: u8,
        seat: usize,
        seats: usize,
    ) -> bool {
        let part = SignedVotes {
            votes: vec![Vote {
                seat,
                signer: attestation.attester_index(),
                scheme,
            }],
            signature: *attestation.signature(),
            proofs: SchemeProofs::new(attestation.proofs().to_vec()).unwrap_or_default(),
        };
        let fork = attestation.fork_name();
        self.committee(attestation.data(), fork, attestation.committee_index(), seats)
            .is_some_and(|votes| votes.insert_single(part))
    }

    pub(crate) fn insert_aggregate<P: Preset>(
        &mut self,
        aggregate: &Attestation<P>,
        index: CommitteeIndex,
        seats: &[(SignerIndex, u8)],
    ) -> bool {
        let part = SignedVotes::of_aggregate(aggregate, seats);
        self.committee(aggregate.data(), aggregate.fork_name(), index, seats.len())
            .is_some_and(|votes| votes.insert_aggregate(part))
    }

    /// The aggregate with most votes of a committee for the thing with that root.
    pub(crate) fn get_aggregate<P: Preset>(
        &mut self,
        slot: Slot,
        data_root: Root,
        index: CommitteeIndex,
    ) -> Result<Option<Attestation<P>>, SignatureError> {
        let Some(votes) = self.slots.get_mut(&slot).and_then(|slot| slot.get_mut(&data_root)) else {
            return Ok(None);
        };
        let (data, fork) = (votes.data, votes.fork);
        let Some(committee) = votes.committees.get_mut(&index) else {
            return Ok(None);
        };
        let Some(best) = committee.best()? else { return Ok(None) };
        compute_on_chain_aggregate(&data, fork, &[(index, committee.seats, best)])
    }

    /// Everything that is held, one attestation per aggregate and single vote.
    pub(crate) fn all<P: Preset>(&self, slot: Option<Slot>, index: Option<CommitteeIndex>) -> Vec<Attestation<P>> {
        self.slots
            .iter()
            .filter(|(at, _)| slot.is_none_or(|slot| slot == **at))
            .flat_map(|(_, data)| data.values())
            .flat_map(|votes| {
                votes
                    .committees
                    .iter()
                    .map(move |(at, committee)| (votes, *at, committee))
            })
            .filter(|(_, at, _)| index.is_none_or(|index| index == *at))
            .flat_map(|(votes, at, committee)| committee.parts().map(move |part| (votes, at, committee.seats, part)))
            .filter_map(|(votes, at, seats, part)| {
                compute_on_chain_aggregate(&votes.data, votes.fork, &[(at, seats, part.clone())]).ok()?
            })
            .collect()
    }

    pub(crate) fn prune(&mut self, earliest: Slot) {
        self.slots = self.slots.split_off(&earliest);
    }
}
