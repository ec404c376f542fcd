//! Votes in aggregates: who voted from which seat, sums of votes, and the attestation that goes on chain.

use signature_scheme::{SignatureError, SignedPart, aggregate, retain};
use ssz_types::{BitList, BitVector};
use types::constants::BLS_SCHEME;
use types::{
    Attestation, AttestationData, AttestationDvt, AttestationFulu, CommitteeIndex, ForkName, Preset, SchemeProofs,
    SignatureBytes, SignerIndex,
};

/// Who voted from which seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// Its place in the committee: the place of its bit.
    pub seat: usize,
    /// The signer.
    pub signer: SignerIndex,
    /// Scheme of its key.
    pub scheme: u8,
}

/// Votes of one committee, or of several, in one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedVotes {
    /// By seat, ascending.
    pub votes: Vec<Vote>,
    /// Aggregate of the signatures of BLS keys.
    pub signature: SignatureBytes,
    /// Proofs of the other schemes.
    pub proofs: SchemeProofs,
}

impl SignedVotes {
    /// The votes in an aggregate of one committee, whose seats belong to `seats`, with the schemes of their keys.
    pub fn of_aggregate<P: Preset>(aggregate: &Attestation<P>, seats: &[(SignerIndex, u8)]) -> Self {
        let bits = aggregate.aggregation_bits();
        let votes = seats
            .iter()
            .enumerate()
            .filter(|(seat, _)| bits.get(*seat).unwrap_or(false))
            .map(|(seat, (signer, scheme))| Vote {
                seat,
                signer: *signer,
                scheme: *scheme,
            })
            .collect();
        Self {
            votes,
            signature: *aggregate.signature(),
            proofs: SchemeProofs::new(aggregate.proofs().to_vec()).unwrap_or_default(),
        }
    }

    /// Whether a seat has voted.
    pub fn has(&self, seat: usize) -> bool {
        self.votes.binary_search_by_key(&seat, |vote| vote.seat).is_ok()
    }

    /// Whether all votes of another are among these.
    pub fn covers(&self, other: &Self) -> bool {
        other.votes.iter().all(|vote| self.has(vote.seat))
    }

    /// Whether no vote of another is among these.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        !other.votes.iter().any(|vote| self.has(vote.seat))
    }

    /// Who signed, ascending.
    pub fn signers(&self) -> Vec<(SignerIndex, u8)> {
        let mut signers: Vec<_> = self.votes.iter().map(|vote| (vote.signer, vote.scheme)).collect();
        signers.sort_unstable();
        signers
    }

    /// Bytes of the proofs.
    pub fn proof_bytes(&self) -> usize {
        self.proofs
            .iter()
            .map(|proof| proof.data.len())
            .fold(0, usize::saturating_add)
    }

    /// The votes with proofs for which `keep` is true, alone. `None` if there are none, or if they cannot be taken out.
    pub fn hash_based(&self, keep: impl Fn(&Vote) -> bool) -> Option<Self> {
        let votes = self.votes.iter().filter(|vote| vote.scheme != BLS_SCHEME && keep(vote));
        let votes: Vec<Vote> = votes.copied().collect();
        let part = self.retain(keep)?;
        let is_taken = part.votes.iter().filter(|vote| vote.scheme != BLS_SCHEME).eq(&votes);
        (is_taken && !votes.is_empty()).then_some(Self {
            votes,
            signature: bls::INFINITY_SIGNATURE,
            proofs: part.proofs,
        })
    }

    /// Takes out votes that `keep` refuses, as far as that can be done: not those of BLS keys, whose signatures are one
    /// sum. `None` if nothing is left.
    pub fn retain(&self, keep: impl Fn(&Vote) -> bool) -> Option<Self> {
        let stays = |vote: &Vote| vote.scheme == BLS_SCHEME || keep(vote);
        let gone: Vec<SignerIndex> = self
            .votes
            .iter()
            .filter(|vote| !stays(vote))
            .map(|vote| vote.signer)
            .collect();
        if gone.is_empty() {
            return Some(self.clone());
        }
        let signers = self.signers();
        let part = SignedPart {
            signers: &signers,
            signature: &self.signature,
            proofs: &self.proofs,
        };
        // What cannot be taken apart stays as it is.
        let Ok(proofs) = retain(&part, |signer| !gone.contains(&signer)) else {
            return Some(self.clone());
        };
        let votes: Vec<Vote> = self.votes.iter().filter(|vote| stays(vote)).copied().collect();
        (!votes.is_empty()).then_some(Self {
            votes,
            signature: self.signature,
            proofs,
        })
    }
}

/// One signature for the votes of all parts, which must not share voters. Seats of different committees may be the
/// same; the sum keeps the seats of its parts as they are.
///
/// Spec: dvt/validator.md#new-get_merged_proofs
pub fn union<'a>(parts: impl IntoIterator<Item = &'a SignedVotes>) -> Result<SignedVotes, SignatureError> {
    let parts: Vec<&SignedVotes> = parts.into_iter().collect();
    if let [part] = parts.as_slice() {
        return Ok(SignedVotes::clone(part));
    }
    let signers: Vec<Vec<(SignerIndex, u8)>> = parts.iter().map(|part| part.signers()).collect();
    let signed: Vec<SignedPart<'_>> = parts
        .iter()
        .zip(&signers)
        .map(|(part, signers)| SignedPart {
            signers,
            signature: &part.signature,
            proofs: &part.proofs,
        })
        .collect();
    let (signature, proofs) = aggregate(&signed)?;
    let mut votes: Vec<Vote> = parts.iter().flat_map(|part| part.votes.iter().copied()).collect();
    votes.sort_unstable();
    Ok(SignedVotes {
        votes,
        signature,
        proofs,
    })
}

/// One attestation of all votes for one thing, by committees in ascending order. `None` if the bits do not fit, or no
/// seat voted.
///
/// Spec: dvt/validator.md#compute_on_chain_aggregate
pub fn compute_on_chain_aggregate<P: Preset>(
    data: &AttestationData,
    fork: ForkName,
    committees: &[(CommitteeIndex, usize, SignedVotes)],
) -> Result<Option<Attestation<P>>, SignatureError> {
    if committees.is_empty() {
        return Ok(None);
    }
    let sum = union(committees.iter().map(|(_, _, part)| part))?;
    let layout = layout::<P>(committees);
    Ok(layout.map(|(bits, committee_bits)| attestation(data, fork, bits, committee_bits, sum)))
}

/// Bits of seats and committees.
pub type Layout<P> = (
    BitList<<P as Preset>::MaxValidatorsPerSlot>,
    BitVector<<P as Preset>::MaxCommitteesPerSlot>,
);

/// Bits of the votes of several committees.
pub fn layout<P: Preset>(committees: &[(CommitteeIndex, usize, SignedVotes)]) -> Option<Layout<P>> {
    let seats = committees.iter().map(|(_, seats, _)| *seats).sum();
    let mut bits = BitList::with_capacity(seats).ok()?;
    let mut committee_bits = BitVector::default();
    let mut offset = 0usize;
    for (index, seats, part) in committees {
        committee_bits.set(usize::try_from(*index).ok()?, true).ok()?;
        for vote in &part.votes {
            bits.set(offset.checked_add(vote.seat)?, true).ok()?;
        }
        offset = offset.checked_add(*seats)?;
    }
    Some((bits, committee_bits))
}

/// An attestation in the layout of a fork; that of Fulu has no proofs.
pub fn attestation<P: Preset>(
    data: &AttestationData,
    fork: ForkName,
    aggregation_bits: BitList<P::MaxValidatorsPerSlot>,
    committee_bits: BitVector<P::MaxCommitteesPerSlot>,
    sum: SignedVotes,
) -> Attestation<P> {
    match fork {
        ForkName::Fulu => Attestation::Fulu(AttestationFulu {
            aggregation_bits,
            data: *data,
            signature: sum.signature,
            committee_bits,
        }),
        ForkName::Dvt => Attestation::Dvt(AttestationDvt {
            aggregation_bits,
            data: *data,
            signature: sum.signature,
            committee_bits,
            proofs: sum.proofs,
        }),
    }
}
