//! Votes of one committee for one thing, by seat.

use signature_scheme::SignatureError;
use state_transition::dvt::aggregates::{SignedVotes, Vote, union};
use std::collections::BTreeMap;
use types::SchemeProof;
use types::constants::MAX_SCHEME_PROOF_BYTES;

/// Aggregates of one committee for one thing that are kept beside the single votes.
const MAX_AGGREGATES: usize = 16;
/// Aggregates with overlapping voters that are offered for blocks.
const MAX_LAYERS: usize = 4;

/// Room in a sum for the proofs of its parts: a merged proof of a scheme is limited.
#[derive(Debug, Default)]
struct Room {
    used: BTreeMap<u8, usize>,
}

impl Room {
    fn of<'a>(parts: impl IntoIterator<Item = &'a SignedVotes>) -> Self {
        let mut room = Self::default();
        for part in parts {
            room.take(part);
        }
        room
    }

    /// Makes room for a part. `false` if there is none.
    fn take(&mut self, part: &SignedVotes) -> bool {
        let with = |proof: &SchemeProof| {
            let used = self.used.get(&proof.scheme).copied().unwrap_or_default();
            used.saturating_add(proof.data.len())
        };
        let sums: Vec<(u8, usize)> = part.proofs.iter().map(|proof| (proof.scheme, with(proof))).collect();
        let fits = sums.iter().all(|(_, bytes)| *bytes as u64 <= MAX_SCHEME_PROOF_BYTES);
        if fits {
            self.used.extend(sums);
        }
        fits
    }
}

/// Single votes and aggregates of one committee for one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommitteeVotes {
    /// Seats of the committee.
    pub(crate) seats: usize,
    /// By seat. Single votes never overlap, so that they always add up.
    singles: BTreeMap<usize, SignedVotes>,
    /// Seats of the single votes as they came.
    order: Vec<usize>,
    aggregates: Vec<SignedVotes>,
    /// Sum of single votes, as far as it was asked for.
    merged: Option<SignedVotes>,
}

impl CommitteeVotes {
    pub(crate) fn new(seats: usize) -> Self {
        Self {
            seats,
            ..Self::default()
        }
    }

    /// Takes a single vote. `false` if its seat has voted.
    pub(crate) fn insert_single(&mut self, part: SignedVotes) -> bool {
        let [vote] = *part.votes.as_slice() else { return false };
        let is_new = vote.seat < self.seats && !self.singles.contains_key(&vote.seat);
        if is_new {
            self.singles.insert(vote.seat, part);
            self.order.push(vote.seat);
        }
        is_new
    }

    /// Takes an aggregate. `false` if another has all of its votes.
    pub(crate) fn insert_aggregate(&mut self, part: SignedVotes) -> bool {
        let fits = part.votes.iter().all(|vote| vote.seat < self.seats);
        if !fits || self.aggregates.iter().any(|known| known.covers(&part)) {
            return false;
        }
        self.aggregates.retain(|known| !part.covers(known));
        self.aggregates.push(part);
        self.aggregates
            .sort_by_key(|known| std::cmp::Reverse(known.votes.len()));
        self.aggregates.truncate(MAX_AGGREGATES);
        true
    }

    /// Single votes in the order in which they came.
    fn singles_in_order(&self) -> impl Iterator<Item = &SignedVotes> {
        self.order.iter().filter_map(|seat| self.singles.get(seat))
    }

    /// Sum of all single votes whose proofs have room: those that came last are left out.
    fn merged(&mut self) -> Result<Option<SignedVotes>, SignatureError> {
        let mut room = Room::of(&self.merged);
        let new: Vec<&SignedVotes> = self
            .singles_in_order()
            .filter(|part| self.merged.as_ref().is_none_or(|merged| merged.is_disjoint(part)))
            .filter(|part| room.take(part))
            .collect();
        if !new.is_empty() {
            self.merged = Some(union(self.merged.iter().chain(new))?);
        }
        Ok(self.merged.clone())
    }

    /// The aggregate with most votes that can be made: one that came, with all that can be added to it and has room.
    pub(crate) fn best(&mut self) -> Result<Option<SignedVotes>, SignatureError> {
        let with_singles = |part: &SignedVotes| {
            let added = self.singles.keys().filter(|seat| !part.has(**seat)).count();
            part.votes.len().saturating_add(added)
        };
        let base = self
            .aggregates
            .iter()
            .max_by_key(|part| with_singles(part))
            .filter(|part| with_singles(part) > self.singles.len())
            .cloned();
        let Some(base) = base else { return self.merged() };
        let mut taken = base.clone();
        let mut room = Room::of([&base]);
        let mut parts = vec![base];
        for other in &self.aggregates {
            // What is there already is not repeated, where signatures can be taken apart.
            let is_new = |vote: &Vote| !taken.has(vote.seat);
            let new = other.retain(is_new).filter(|new| taken.is_disjoint(new));
            let new = new.or_else(|| other.hash_based(is_new));
            let new = match new {
                Some(new) if !room.take(&new) => new.retain(|_| false).filter(|rest| room.take(rest)),
                new => new,
            };
            if let Some(new) = new {
                taken.votes.extend(&new.votes);
                taken.votes.sort_unstable();
                parts.push(new);
            }
        }
        parts.extend(
            self.singles_in_order()
                .filter(|single| taken.is_disjoint(single) && room.take(single))
                .cloned(),
        );
        union(&parts).map(Some)
    }

    /// The best aggregate, and those that add votes to the ones before.
    pub(crate) fn layers(&mut self) -> Result<Vec<SignedVotes>, SignatureError> {
        let Some(best) = self.best()? else {
            return Ok(Vec::new());
        };
        let mut seen = vec![false; self.seats];
        let mark = |seen: &mut Vec<bool>, part: &SignedVotes| {
            let mut new = 0usize;
            for vote in &part.votes {
                if let Some(seen) = seen.get_mut(vote.seat) {
                    new = new.saturating_add(usize::from(!*seen));
                    *seen = true;
                }
            }
            new
        };
        mark(&mut seen, &best);
        let mut layers = vec![best];
        let merged = self.merged()?;
        for part in merged.iter().chain(&self.aggregates) {
            let is_new = |vote: &Vote| seen.get(vote.seat) == Some(&false);
            if let Some(part) = part.retain(is_new)
                && layers.len() < MAX_LAYERS
                && mark(&mut seen, &part) > 0
            {
                layers.push(part);
            }
        }
        Ok(layers)
    }

    /// All aggregates and single votes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &SignedVotes> {
        self.aggregates.iter().chain(self.singles.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bls::SecretKey;
    use types::constants::{BLS_SCHEME, SHORT_LIVED_XMSS_SCHEME};
    use types::{Root, SchemeProofs, SignerIndex};

    fn single(seat: usize) -> SignedVotes {
        let key = SecretKey::derive_master(&[seat as u8 + 1; 32]).unwrap();
        SignedVotes {
            votes: vec![Vote {
                seat,
                signer: SignerIndex::new(seat as u64),
                scheme: BLS_SCHEME,
            }],
            signature: key.sign(&Root::ZERO).to_bytes(),
            proofs: SchemeProofs::empty(),
        }
    }

    fn part(seats: &[usize]) -> SignedVotes {
        let singles: Vec<SignedVotes> = seats.iter().map(|seat| single(*seat)).collect();
        union(&singles).unwrap()
    }

    /// A hash-based vote as far as sums go: bytes that tell whose they are.
    fn hash_based_vote(seat: usize) -> SignedVotes {
        const SIGNATURE_BYTES: usize = 40 + 32 * (18 + 46);
        let data = vec![seat as u8; SIGNATURE_BYTES].try_into().unwrap();
        let scheme = SHORT_LIVED_XMSS_SCHEME;
        SignedVotes {
            votes: vec![Vote {
                seat,
                signer: SignerIndex::new(seat as u64),
                scheme,
            }],
            signature: bls::INFINITY_SIGNATURE,
            proofs: vec![SchemeProof { scheme, data }].try_into().unwrap(),
        }
    }

    fn sum(parts: &[SignedVotes]) -> SignedVotes {
        union(parts).unwrap()
    }

    #[test]
    fn hash_based_votes_are_taken_from_overlapping_aggregates_and_stand_once() {
        let mut votes = CommitteeVotes::new(8);
        assert!(votes.insert_aggregate(sum(&[single(0), hash_based_vote(1), hash_based_vote(5)])));
        assert!(votes.insert_aggregate(sum(&[hash_based_vote(1), hash_based_vote(4)])));
        assert!(votes.insert_single(hash_based_vote(6)) && votes.insert_single(hash_based_vote(5)));
        let expected = [1, 4, 5, 6].map(hash_based_vote);
        let best = votes.best().unwrap().unwrap();
        assert_eq!(best, sum(&[vec![single(0)], expected.to_vec()].concat()));
        assert_eq!(votes.layers().unwrap(), [best]);
    }

    #[test]
    fn a_further_layer_repeats_no_hash_based_vote() {
        let mut votes = CommitteeVotes::new(8);
        assert!(votes.insert_aggregate(sum(&[single(0), single(2), hash_based_vote(1), hash_based_vote(3)])));
        assert!(votes.insert_aggregate(sum(&[single(2), single(4), hash_based_vote(1), hash_based_vote(6)])));
        let layers = votes.layers().unwrap();
        let best = sum(&[
            single(2),
            single(4),
            hash_based_vote(1),
            hash_based_vote(3),
            hash_based_vote(6),
        ]);
        assert_eq!(layers, [best, sum(&[single(0), single(2)])]);
    }

    #[test]
    fn votes_of_bls_keys_remain_when_proofs_have_to_go() {
        let mixed = sum(&[single(0), hash_based_vote(1), single(2)]);
        assert_eq!(mixed.retain(|_| false), Some(part(&[0, 2])));
        assert_eq!(mixed.retain(|_| true), Some(mixed.clone()));
        assert_eq!(hash_based_vote(1).retain(|_| false), None);
        assert!(mixed.proof_bytes() > 2000);
    }

    #[test]
    fn hash_based_votes_that_came_last_are_left_out_of_a_proof_that_would_be_too_long() {
        let fitting = MAX_SCHEME_PROOF_BYTES as usize / hash_based_vote(0).proof_bytes();
        let count = fitting + 3;
        let mut votes = CommitteeVotes::new(count + 2);
        // The first seats come last.
        for seat in (0..count).rev() {
            assert!(votes.insert_single(hash_based_vote(seat)));
        }
        assert!(votes.insert_single(single(count)));
        let expected: Vec<usize> = (3..=count).collect();
        assert_eq!(seats(&votes.best().unwrap().unwrap()), expected);
        // One more vote without a proof has room in what was added up before.
        assert!(votes.insert_single(single(count + 1)));
        let expected: Vec<usize> = (3..=count + 1).collect();
        assert_eq!(seats(&votes.best().unwrap().unwrap()), expected);

        // An aggregate that is one vote short leaves room for one.
        let most: Vec<SignedVotes> = (0..fitting - 1).map(hash_based_vote).collect();
        let mut votes = CommitteeVotes::new(count + 2);
        assert!(votes.insert_aggregate(sum(&most)));
        let others = [single(count), hash_based_vote(fitting), hash_based_vote(fitting + 1)];
        assert!(votes.insert_aggregate(sum(&others)));
        assert!(votes.insert_single(hash_based_vote(fitting + 2)) && votes.insert_single(hash_based_vote(fitting - 1)));
        let expected: Vec<usize> = (0..fitting - 1).chain([fitting + 2, count]).collect();
        assert_eq!(seats(&votes.best().unwrap().unwrap()), expected);
    }

    fn seats(part: &SignedVotes) -> Vec<usize> {
        part.votes.iter().map(|vote| vote.seat).collect()
    }

    #[test]
    fn single_votes_add_up_whenever_they_come() {
        let mut votes = CommitteeVotes::new(5);
        assert!(votes.insert_single(single(3)) && votes.insert_single(single(1)));
        assert_eq!(votes.best().unwrap().unwrap(), part(&[1, 3]));
        assert!(votes.insert_single(single(0)));
        assert!(!votes.insert_single(single(0)));
        assert!(!votes.insert_single(single(5)), "there is no such seat");
        assert_eq!(votes.best().unwrap().unwrap(), part(&[0, 1, 3]));
    }

    #[test]
    fn best_aggregate_takes_all_that_does_not_overlap() {
        let mut votes = CommitteeVotes::new(8);
        assert!(votes.insert_aggregate(part(&[0, 1, 2])));
        assert!(votes.insert_aggregate(part(&[2, 3])));
        assert!(votes.insert_aggregate(part(&[5, 6])));
        assert!(!votes.insert_aggregate(part(&[0, 2])), "all of it is known");
        votes.insert_single(single(2));
        votes.insert_single(single(4));
        assert_eq!(votes.best().unwrap().unwrap(), part(&[0, 1, 2, 4, 5, 6]));
        let layers: Vec<_> = votes.layers().unwrap().iter().map(seats).collect();
        assert_eq!(layers, [vec![0, 1, 2, 4, 5, 6], vec![2, 3]]);
    }

    #[test]
    fn smaller_aggregate_gives_way_to_one_that_has_all_its_votes() {
        let mut votes = CommitteeVotes::new(4);
        votes.insert_aggregate(part(&[0, 1]));
        votes.insert_aggregate(part(&[0, 1, 2]));
        assert_eq!(votes.parts().count(), 1);
    }
}
