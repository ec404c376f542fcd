//! Votes, reveals and sync committee signatures of those who are there.

use crate::Keys;
use bls::{INFINITY_SIGNATURE, Signature, aggregate_signatures};
use ssz_types::{BitList, BitVector};
use state_transition::dvt::accessors::{get_committee_seats, get_signer_key};
use state_transition::helpers::accessors::{
    get_block_root_at_slot, get_committee_count_per_slot, get_current_epoch, get_domain,
};
use types::constants::{DOMAIN_BEACON_ATTESTER, DOMAIN_RANDAO, DOMAIN_SYNC_COMMITTEE};
use types::*;

/// Who is there: `true` for a signer that does its duty in a slot.
pub type Attendance<'a> = &'a dyn Fn(SignerIndex, Slot) -> bool;

pub(crate) fn sum(signatures: &[Signature]) -> SignatureBytes {
    match signatures {
        [] => INFINITY_SIGNATURE,
        signatures => aggregate_signatures(signatures).unwrap().to_bytes(),
    }
}

/// The vote data that everybody who saw `head` has in `slot`; `state` is of `slot` or a later one of its epoch.
pub(crate) fn attestation_data<P: Preset>(state: &BeaconState<P>, slot: Slot, head: Root) -> AttestationData {
    let epoch = slot.epoch::<P>();
    let start = epoch.start_slot::<P>();
    let target_root = if start >= state.slot() {
        head
    } else {
        get_block_root_at_slot(state, start).unwrap()
    };
    let source = if epoch == get_current_epoch(state) {
        state.current_justified_checkpoint()
    } else {
        state.previous_justified_checkpoint()
    };
    AttestationData {
        slot,
        index: 0,
        beacon_block_root: head,
        source,
        target: Checkpoint {
            epoch,
            root: target_root,
        },
    }
}

/// One aggregate of all committees of a slot over the seats of those who are there; none if nobody of some committee
/// is.
pub(crate) fn attestation<P: Preset>(
    state: &BeaconState<P>,
    data: AttestationData,
    keys: &Keys,
    votes: impl Fn(SignerIndex) -> bool,
) -> Option<Attestation<P>> {
    let epoch = data.slot.epoch::<P>();
    let domain = get_domain(state, DOMAIN_BEACON_ATTESTER, Some(epoch));
    let signing_root = compute_signing_root(&data, domain);
    let mut bits = Vec::new();
    let mut committee_bits = BitVector::<P::MaxCommitteesPerSlot>::default();
    let mut signatures = Vec::new();
    for index in 0..get_committee_count_per_slot(state, epoch).unwrap() {
        let seats = get_committee_seats(state, data.slot, index).unwrap();
        let voting: Vec<bool> = seats.iter().map(|signer| votes(*signer)).collect();
        if !voting.contains(&true) {
            continue;
        }
        committee_bits.set(index as usize, true).unwrap();
        for (signer, votes) in seats.iter().zip(&voting) {
            if *votes {
                let key = get_signer_key(state, *signer, epoch).unwrap().as_bls().unwrap();
                signatures.push(keys.get(&key).sign(&signing_root));
            }
        }
        bits.extend(voting);
    }
    if signatures.is_empty() {
        return None;
    }
    let mut aggregation_bits = BitList::<P::MaxValidatorsPerSlot>::with_capacity(bits.len()).unwrap();
    for (place, bit) in bits.into_iter().enumerate() {
        aggregation_bits.set(place, bit).unwrap();
    }
    let signature = sum(&signatures);
    Some(match state.fork_name() {
        ForkName::Fulu => Attestation::Fulu(AttestationFulu {
            aggregation_bits,
            data,
            signature,
            committee_bits,
        }),
        ForkName::Dvt => Attestation::Dvt(AttestationDvt {
            aggregation_bits,
            data,
            signature,
            committee_bits,
            proofs: SchemeProofs::empty(),
        }),
    })
}

/// The reveal of a key for the state's epoch.
pub(crate) fn randao_reveal<P: Preset>(state: &BeaconState<P>, key: &PublicKeyBytes, keys: &Keys) -> SignatureBytes {
    let domain = get_domain(state, DOMAIN_RANDAO, None);
    keys.get(key)
        .sign(&compute_signing_root(&get_current_epoch(state), domain))
        .to_bytes()
}

/// Signatures of those of the sync committee who are there, over the block before the state's slot.
pub(crate) fn sync_aggregate<P: Preset>(
    state: &BeaconState<P>,
    keys: &Keys,
    is_there: impl Fn(SignerIndex) -> bool,
) -> SyncAggregate<P> {
    let slot = state.slot().saturating_sub(1u64);
    let domain = get_domain(state, DOMAIN_SYNC_COMMITTEE, Some(slot.epoch::<P>()));
    let signing_root = compute_signing_root(&get_block_root_at_slot(state, slot).unwrap(), domain);
    let mut sync_committee_bits = BitVector::default();
    let mut signatures = Vec::new();
    for (position, pubkey) in state.current_sync_committee().pubkeys.iter().enumerate() {
        let signs = match state {
            BeaconState::Fulu(_) => true,
            BeaconState::Dvt(state) => is_there(state.current_sync_committee_indices[position]),
        };
        if signs {
            sync_committee_bits.set(position, true).unwrap();
            signatures.push(keys.get(pubkey).sign(&signing_root));
        }
    }
    SyncAggregate {
        sync_committee_bits,
        sync_committee_signature: sum(&signatures),
    }
}
