//! `validator`: what a validator client and its node look up, one handler for each function.
//!
//! Spec: dvt/validator.md

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::questions::check_state;
use serde::Deserialize;
use signature_scheme::{get_selection_hash, is_aggregator, is_sync_committee_aggregator, verify};
use ssz::Encode as _;
use state_transition::StateError;
use state_transition::dvt::accessors::{get_committee_seats, get_signer_key};
use state_transition::dvt::aggregates::{SignedVotes, compute_on_chain_aggregate, union};
use state_transition::dvt::aggregators::{
    aggregate_and_proof_signature_set, committee_schemes, selection_signature_set,
};
use state_transition::dvt::duties::{
    check_if_validator_active, get_committee_assignments, get_proposing_signers, is_final_key,
};
use state_transition::dvt::sync_duties::{get_sync_committee_positions, get_sync_committee_pubkey, positions_of};
use state_transition::helpers::accessors::{get_current_epoch, get_seed};
use std::collections::{BTreeMap, BTreeSet};
use types::constants::DOMAIN_SELECTION_PROOF;
use types::{
    Attestation, BeaconState, CommitteeIndex, Epoch, ForkName, Preset, PublicKeyBytes, Root, SchemeProof, SchemeProofs,
    SignatureBytes, SignedAggregateAndProof, SignedBeaconBlock, SignerIndex, Slot,
};

/// A signer, in the epoch of the state.
#[derive(Deserialize)]
struct Signer {
    signer: SignerIndex,
}

#[derive(Deserialize)]
struct SignerInEpoch {
    signer: SignerIndex,
    epoch: Epoch,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Assignment {
    seats: Vec<SignerIndex>,
    index: CommitteeIndex,
    slot: Slot,
}

/// The selection proof of a signer.
#[derive(Deserialize)]
struct Selection {
    slot: Slot,
    signer: SignerIndex,
    signature: SignatureBytes,
    proofs: Vec<Proof>,
}

#[derive(Deserialize)]
struct Proof {
    scheme: u8,
    #[serde(with = "serde_utils::hex_vec")]
    data: Vec<u8>,
}

#[derive(Deserialize)]
struct SelectionInCommittee {
    index: CommitteeIndex,
    #[serde(flatten)]
    selection: Selection,
}

#[derive(Deserialize)]
struct Signature {
    signature: SignatureBytes,
}

/// Name of a file, without ending.
#[derive(Deserialize)]
struct File {
    file: String,
}

#[derive(Deserialize)]
struct Files {
    files: Vec<String>,
}

/// Bytes of a value, as hexadecimal with a prefix.
#[derive(Debug, PartialEq, Deserialize)]
struct Bytes(#[serde(with = "serde_utils::hex_vec")] Vec<u8>);

pub(crate) fn run<P: Preset>(handler: &str, fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    match handler {
        "check_if_validator_active" => check_state(fork, directory, |state: &BeaconState<P>, asked: &Signer| {
            Ok(check_if_validator_active(state, asked.signer, get_current_epoch(state)).ok())
        }),
        "get_committee_assignment" => check_state(fork, directory, |state: &BeaconState<P>, asked: &SignerInEpoch| {
            assignment(state, asked).map_or(Ok(None), |found| found.map(Some))
        }),
        "is_proposer" => check_state(fork, directory, |state: &BeaconState<P>, asked: &Signer| {
            let proposing = get_proposing_signers(state, state.slot()).ok();
            Ok(proposing.map(|signers| signers.iter().any(|(signer, _)| *signer == asked.signer)))
        }),
        "get_sync_committee_pubkey" => check_state(fork, directory, |state: &BeaconState<P>, asked: &SignerInEpoch| {
            Ok(get_sync_committee_pubkey(state, asked.epoch, asked.signer).ok())
        }),
        "is_assigned_to_sync_committee" => {
            check_state(fork, directory, |state: &BeaconState<P>, asked: &SignerInEpoch| {
                Ok(is_assigned(state, asked).ok())
            })
        }
        "compute_subnets_for_sync_committee" => {
            check_state(fork, directory, |state: &BeaconState<P>, asked: &Signer| {
                Ok(sync_subnets(state, asked.signer).ok())
            })
        }
        "is_final_key" => {
            let finalized: BeaconState<P> = directory.ssz_of_fork("finalized", fork)?;
            check_state(fork, directory, |state: &BeaconState<P>, asked: &SignerInEpoch| {
                Ok(is_final_key(state, &finalized, asked.signer, asked.epoch).ok())
            })
        }
        "get_selection_hash" => check_state(fork, directory, |state: &BeaconState<P>, asked: &Selection| {
            let Some((key, seed)) = key_and_seed(state, asked) else {
                return Ok(None);
            };
            let proofs = scheme_proofs(&asked.proofs)?;
            Ok(get_selection_hash(&key, &asked.signature, &proofs, Some(&seed)).ok())
        }),
        "is_aggregator" => check_state(
            fork,
            directory,
            |state: &BeaconState<P>, asked: &SelectionInCommittee| {
                let SelectionInCommittee { index, selection } = asked;
                let Some((key, seed)) = key_and_seed(state, selection) else {
                    return Ok(None);
                };
                let Ok(seats) = get_committee_seats(state, selection.slot, *index) else {
                    return Ok(None);
                };
                let (seats, proofs) = (seats.len() as u64, scheme_proofs(&selection.proofs)?);
                Ok(is_aggregator(seats, &key, &selection.signature, &proofs, Some(&seed)).ok())
            },
        ),
        "is_sync_committee_aggregator" => super::questions::check(directory, |asked: &Signature| {
            Ok(Some(is_sync_committee_aggregator::<P>(&asked.signature)))
        }),
        "is_valid_selection_proof" => check_state(fork, directory, |state: &BeaconState<P>, asked: &File| {
            let signed: SignedAggregateAndProof<P> = directory.ssz_of_fork(&asked.file, fork)?;
            let message = signed.message();
            let epoch = message.aggregate().data().slot.epoch::<P>();
            let key = get_signer_key(state, message.aggregator_index(), epoch).ok();
            Ok(key.map(|key| verify(&selection_signature_set(state, message, key)).is_ok()))
        }),
        "is_valid_aggregator_signature" => check_state(fork, directory, |state: &BeaconState<P>, asked: &File| {
            let signed: SignedAggregateAndProof<P> = directory.ssz_of_fork(&asked.file, fork)?;
            let message = signed.message();
            let epoch = message.aggregate().data().slot.epoch::<P>();
            let key = get_signer_key(state, message.aggregator_index(), epoch).ok();
            Ok(key.map(|key| verify(&aggregate_and_proof_signature_set(state, &signed, key)).is_ok()))
        }),
        "get_merged_proofs" => check_state(fork, directory, |state: &BeaconState<P>, asked: &Files| {
            let mut parts = Vec::new();
            for file in &asked.files {
                let attestation: Attestation<P> = directory.ssz_of_fork(file, fork)?;
                match votes_of(state, &attestation) {
                    Ok((_, _, votes)) => parts.push(votes),
                    Err(_) => return Ok(None),
                }
            }
            Ok(union(&parts).ok().map(|sum| Bytes(sum.proofs.as_ssz_bytes())))
        }),
        "compute_on_chain_aggregate" => check_state(fork, directory, |state: &BeaconState<P>, asked: &Files| {
            let mut data = None;
            let mut committees = BTreeMap::new();
            for file in &asked.files {
                let attestation: Attestation<P> = directory.ssz_of_fork(file, fork)?;
                let Ok((index, seats, votes)) = votes_of(state, &attestation) else {
                    return Ok(None);
                };
                data.get_or_insert(*attestation.data());
                committees.insert(index, (seats, votes));
            }
            let parts: Vec<_> = committees
                .into_iter()
                .map(|(index, (seats, votes))| (index, seats, votes))
                .collect();
            let whole = data.and_then(|data| compute_on_chain_aggregate::<P>(&data, fork, &parts).ok()?);
            Ok(whole.map(|attestation| Bytes(attestation.as_ssz_bytes())))
        }),
        "compute_signed_block_header" => super::questions::check(directory, |asked: &File| {
            let block: SignedBeaconBlock<P> = directory.ssz_of_fork(&asked.file, fork)?;
            Ok(Some(Bytes(block.signed_block_header().as_ssz_bytes())))
        }),
        other => Err(CaseError::Unknown(format!("validator/{other}"))),
    }
}

/// The committee of a signer; `None` if it is refused.
fn assignment<P: Preset>(
    state: &BeaconState<P>,
    asked: &SignerInEpoch,
) -> Option<Result<Option<Assignment>, CaseError>> {
    let assignments = get_committee_assignments(state, asked.epoch, &[asked.signer]).ok()?;
    let Some(found) = assignments.first() else {
        return Some(Ok(None));
    };
    let seats = get_committee_seats(state, found.slot, found.committee_index).ok()?;
    if assignments.len() != 1 || seats.len() != found.seat_count || seats.get(found.seat) != Some(&asked.signer) {
        return Some(Err(CaseError::wrong(format!(
            "{assignments:?} is no seat among {seats:?}"
        ))));
    }
    Some(Ok(Some(Assignment {
        seats,
        index: found.committee_index,
        slot: found.slot,
    })))
}

fn is_assigned<P: Preset>(state: &BeaconState<P>, asked: &SignerInEpoch) -> Result<bool, StateError> {
    let positions = get_sync_committee_positions(state, asked.epoch)?;
    let pubkey: Option<PublicKeyBytes> = get_sync_committee_pubkey(state, get_current_epoch(state), asked.signer)?;
    Ok(pubkey.is_some_and(|pubkey| positions.contains_key(&pubkey)))
}

fn sync_subnets<P: Preset>(state: &BeaconState<P>, signer: SignerIndex) -> Result<BTreeSet<u64>, StateError> {
    let pubkey = get_sync_committee_pubkey(state, get_current_epoch(state), signer)?;
    let positions = pubkey.map(|pubkey| positions_of(state, state.slot(), &pubkey));
    Ok(positions
        .iter()
        .flatten()
        .map(|position| position.subcommittee_index)
        .collect())
}

/// The key that proves its selection, and the seed of the epoch.
fn key_and_seed<P: Preset>(state: &BeaconState<P>, asked: &Selection) -> Option<(types::SignerKey, Root)> {
    let epoch = asked.slot.epoch::<P>();
    let key = get_signer_key(state, asked.signer, epoch).ok()?;
    Some((key, get_seed(state, epoch, DOMAIN_SELECTION_PROOF).ok()?))
}

fn scheme_proofs(proofs: &[Proof]) -> Result<SchemeProofs, CaseError> {
    let mut list = SchemeProofs::empty();
    for Proof { scheme, data } in proofs {
        let data = data.clone().try_into().map_err(super::wrong)?;
        let scheme = *scheme;
        list.push(SchemeProof { scheme, data }).map_err(super::wrong)?;
    }
    Ok(list)
}

/// The committee of an aggregate, with the number of its seats, and the votes.
fn votes_of<P: Preset>(
    state: &BeaconState<P>,
    attestation: &Attestation<P>,
) -> Result<(CommitteeIndex, usize, SignedVotes), StateError> {
    let data = attestation.data();
    let index = attestation.committee_indices().first().copied().unwrap_or_default();
    let seats = get_committee_seats(state, data.slot, index)?;
    let seats = committee_schemes(state, &seats, data.target.epoch)?;
    Ok((index, seats.len(), SignedVotes::of_aggregate(attestation, &seats)))
}
