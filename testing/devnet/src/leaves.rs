//! What leaves of hash-based keys have signed, read from the messages that nodes accepted.
//!
//! Messages come from event streams, pools and blocks of all nodes, so most are read several times. A leaf that signs
//! two messages gives its key away, whatever the messages are: each signature is taken apart by key and leaf. Openings
//! are left out: they have no message, and no message has their leaves.

use crate::record::{LeafUse, Record};
use crate::votes::Seats;
use beacon_api::{Event, GroupKeySet};
use ethereum_hashing::hash_fixed;
use std::collections::BTreeMap;
use tree_hash::TreeHash as _;
use types::constants::{BLS_SCHEME, SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};
use types::{
    Attestation, AttestationData, Epoch, KeyPossession, Leaf, Minimal, Root, SchemeProof, SignedAggregateAndProof,
    SignedBeaconBlock, SignedBeaconBlockHeader, SignedKeySetChange, SignedVoluntaryExit, SignerIndex, SignerKey,
    Signers, SingleAttestation, ValidatorIndex,
};
use xmss::Parameters as _;

/// A message with its signatures of all schemes but BLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    kind: &'static str,
    root: Root,
    leaf: Leaf,
    /// Whose keys are in force.
    epoch: Epoch,
    by: By,
    proofs: Vec<SchemeProof>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    Signers(Vec<u64>),
    /// One that is not in force yet.
    Key(SignerKey),
    /// Votes of a slot whose committees are not known, or not any more.
    Unknown,
}

/// Keys of groups, as states have them.
#[derive(Debug, Default)]
pub(crate) struct GroupKeys(BTreeMap<(u64, Epoch), Vec<SignerKey>>);

impl GroupKeys {
    /// States forget key sets that are out of force for long; this does not.
    pub(crate) fn add(&mut self, validator: u64, key_sets: &[GroupKeySet]) {
        for key_set in key_sets {
            let keys = key_set.keys.iter();
            let keys = keys.filter_map(|key| SignerKey::new(key.scheme, &key.pubkey)).collect();
            self.0.insert((validator, key_set.activation_epoch), keys);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// None of a solo validator: its key is BLS.
    fn in_force(&self, validator: ValidatorIndex, epoch: Epoch) -> &[SignerKey] {
        let validator = validator.as_u64();
        let mut sets = self.0.range((validator, Epoch::new(0))..=(validator, epoch));
        sets.next_back().map_or(&[][..], |(_, keys)| keys.as_slice())
    }

    fn key_of(&self, signer: u64, epoch: Epoch) -> Option<SignerKey> {
        let (validator, key) = SignerIndex::new(signer).split();
        self.in_force(validator, epoch).get(usize::from(key?)).copied()
    }
}

impl Message {
    fn new(kind: &'static str, root: Root, leaf: Leaf, epoch: Epoch, by: By, proofs: &[SchemeProof]) -> Vec<Self> {
        if proofs.is_empty() {
            return Vec::new();
        }
        vec![Self {
            kind,
            root,
            leaf,
            epoch,
            by,
            proofs: proofs.to_vec(),
        }]
    }

    /// Those of an event. Aggregates need the committees of their slot.
    pub(crate) fn of_event(event: &Event<Minimal>, seats: &Seats, keys: &GroupKeys) -> Vec<Self> {
        match event {
            Event::SingleAttestation(vote) => Self::of_vote(vote),
            Event::AggregateAndProof(signed) => Self::of_aggregate(signed, seats),
            Event::GroupSignature(header) => Self::of_header(header),
            Event::VoluntaryExit(exit) => Self::of_exit(exit),
            Event::KeySetChange(change) => Self::of_change(change, keys),
            _ => Vec::new(),
        }
    }

    fn of_vote(vote: &SingleAttestation) -> Vec<Self> {
        let by = By::Signers(vec![vote.attester_index().as_u64()]);
        Self::of_data(vote.data(), by, vote.proofs())
    }

    /// Votes of whatever number, merged.
    pub(crate) fn of_votes(votes: &Attestation<Minimal>, seats: &Seats) -> Vec<Self> {
        let by = match seats.knows(&votes.data().target) {
            true => By::Signers(seats.signers(votes)),
            false => By::Unknown,
        };
        Self::of_data(votes.data(), by, votes.proofs())
    }

    fn of_data(data: &AttestationData, by: By, proofs: &[SchemeProof]) -> Vec<Self> {
        let (epoch, root) = (data.target.epoch, data.tree_hash_root());
        Self::new("vote", root, Leaf::attestation(epoch), epoch, by, proofs)
    }

    fn of_aggregate(signed: &SignedAggregateAndProof<Minimal>, seats: &Seats) -> Vec<Self> {
        let SignedAggregateAndProof::Dvt(signed) = signed else {
            return Vec::new();
        };
        let message = &signed.message;
        let epoch = message.aggregate.data.slot.epoch::<Minimal>();
        let by = By::Signers(vec![message.aggregator_index.as_u64()]);
        let (root, leaf) = (message.tree_hash_root(), Leaf::aggregate(epoch));
        let mut messages = Self::new("aggregate", root, leaf, epoch, by, &signed.proofs);
        messages.extend(Self::of_votes(&Attestation::Dvt(message.aggregate.clone()), seats));
        messages
    }

    fn of_header(header: &SignedBeaconBlockHeader) -> Vec<Self> {
        let message = header.message();
        let (slot, root) = (message.slot, message.tree_hash_root());
        let by = members(message.proposer_index, &header.signers());
        let leaf = Leaf::block::<Minimal>(slot);
        Self::new("block", root, leaf, slot.epoch::<Minimal>(), by, header.proofs())
    }

    /// The block's own signature and all that are in it.
    pub(crate) fn of_block(block: &SignedBeaconBlock<Minimal>, seats: &Seats, keys: &GroupKeys) -> Vec<Self> {
        let mut messages = Self::of_header(&block.signed_block_header());
        let SignedBeaconBlock::Dvt(inner) = block else {
            return messages;
        };
        let body = &inner.message.body;
        for votes in &body.attestations {
            messages.extend(Self::of_votes(&Attestation::Dvt(votes.clone()), seats));
        }
        for exit in &body.voluntary_exits {
            messages.extend(Self::of_exit(&SignedVoluntaryExit::Dvt(exit.clone())));
        }
        for change in &body.key_set_changes {
            messages.extend(Self::of_change(change, keys));
        }
        messages
    }

    fn of_exit(exit: &SignedVoluntaryExit) -> Vec<Self> {
        let message = exit.message();
        let by = members(message.validator_index, &exit.to_ref().signers());
        let (root, leaf) = (message.tree_hash_root(), Leaf::operation(message.epoch));
        Self::new("exit", root, leaf, message.epoch, by, exit.to_ref().proofs())
    }

    fn of_change(signed: &SignedKeySetChange, keys: &GroupKeys) -> Vec<Self> {
        let change = &signed.message;
        let epoch = change.slot.epoch::<Minimal>();
        let by = members(change.validator_index, &signed.signers);
        let (root, leaf) = (change.tree_hash_root(), Leaf::operation(epoch));
        let mut messages = Self::new("key-set change", root, leaf, epoch, by, &signed.proofs);
        let old = keys.in_force(change.validator_index, epoch);
        let new = change.keys.iter().filter(|key| !old.contains(&SignerKey::from(*key)));
        for (key, proof) in new.zip(&signed.key_proofs) {
            if key.scheme == BLS_SCHEME {
                continue;
            }
            let possession = KeyPossession {
                validator_index: change.validator_index,
                key: key.clone(),
                slot: proof.slot,
            };
            let epoch = proof.slot.epoch::<Minimal>();
            let (root, leaf) = (possession.tree_hash_root(), Leaf::operation(epoch));
            let by = By::Key(SignerKey::from(key));
            let proof = std::slice::from_ref(&proof.proof);
            messages.extend(Self::new("proof of possession", root, leaf, epoch, by, proof));
        }
        messages
    }

    /// Takes the signatures apart, into the record. What does not come apart is a fault: nodes have accepted it.
    pub(crate) fn note(&self, keys: &GroupKeys, record: &mut Record) {
        let Leaf::Signs(leaf) = self.leaf else { return };
        let signers: Vec<(String, SignerKey)> = match &self.by {
            By::Unknown => {
                record.messages_unread += 1;
                return;
            }
            By::Key(key) => vec![("a new key".to_owned(), *key)],
            By::Signers(signers) => {
                let mut signers = signers.clone();
                signers.sort_unstable();
                let keys = signers.iter().filter_map(|signer| {
                    let key = keys.key_of(*signer, self.epoch)?;
                    Some((record.name_of_signer(*signer), key))
                });
                keys.collect()
            }
        };
        for proof in &self.proofs {
            let of_scheme: Vec<_> = signers.iter().filter(|(_, key)| key.scheme() == proof.scheme).collect();
            let length = signature_length(proof.scheme);
            if of_scheme.is_empty() || length * of_scheme.len() != proof.data.len() {
                record.offences.insert(format!(
                    "{} bytes of scheme {} under a {} of epoch {} are no signatures of {} keys",
                    proof.data.len(),
                    proof.scheme,
                    self.kind,
                    self.epoch,
                    of_scheme.len()
                ));
                continue;
            }
            for ((name, key), signature) in of_scheme.into_iter().zip(proof.data.chunks_exact(length)) {
                let found = LeafUse {
                    kind: self.kind,
                    root: self.root,
                    signature: hash_fixed(signature),
                };
                record.add_leaf(*key, name, leaf, found);
            }
        }
    }
}

/// Bytes of a signature; none of an unknown scheme.
fn signature_length(scheme: u8) -> usize {
    match scheme {
        XMSS_SCHEME => xmss::Production::SIGNATURE_LEN,
        SHORT_LIVED_XMSS_SCHEME => xmss::Devnet::SIGNATURE_LEN,
        _ => 0,
    }
}

/// The signers of a group's message.
fn members(validator: ValidatorIndex, signers: &Signers) -> By {
    let keys = (0u8..).zip(signers.iter()).filter(|(_, bit)| *bit);
    let indices = keys.filter_map(|(key, _)| SignerIndex::virtual_index(validator, key).ok());
    By::Signers(indices.map(|index| index.as_u64()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use beacon_api::GroupKey;
    use types::{
        AttestationData, BeaconBlockHeader, Checkpoint, KeyProof, KeySetChange, SchemeProofs,
        SignedBeaconBlockHeaderDvt, SingleAttestationDvt, Slot, VirtualKey,
    };

    const XMSS: u8 = SHORT_LIVED_XMSS_SCHEME;
    const GROUP: u64 = 4;

    fn key(scheme: u8, number: u8) -> GroupKey {
        let length = if scheme == BLS_SCHEME { 48 } else { 52 };
        GroupKey {
            scheme,
            pubkey: vec![number; length],
            signer_index: SignerIndex::virtual_index(ValidatorIndex::new(GROUP), number).unwrap(),
        }
    }

    /// Key 0 is BLS; from epoch 3 on, key 2 is another one.
    fn keys() -> GroupKeys {
        let set = |activation_epoch, last| GroupKeySet {
            activation_epoch: Epoch::new(activation_epoch),
            threshold: 2,
            keys: vec![key(BLS_SCHEME, 0), key(XMSS, 1), key(XMSS, last)],
        };
        let mut keys = GroupKeys::default();
        keys.add(GROUP, &[set(0, 2), set(3, 9)]);
        keys
    }

    fn proofs(signatures: &[u8]) -> SchemeProofs {
        let data: Vec<u8> = signatures
            .iter()
            .flat_map(|byte| vec![*byte; signature_length(XMSS)])
            .collect();
        let proof = SchemeProof {
            scheme: XMSS,
            data: data.try_into().unwrap(),
        };
        vec![proof].try_into().unwrap()
    }

    fn signer(key: u8) -> SignerIndex {
        SignerIndex::virtual_index(ValidatorIndex::new(GROUP), key).unwrap()
    }

    fn vote(epoch: u64, head: u8, by: u8, signature: u8) -> Event<Minimal> {
        let checkpoint = |epoch| Checkpoint {
            epoch: Epoch::new(epoch),
            root: Root::ZERO,
        };
        Event::SingleAttestation(Box::new(SingleAttestation::Dvt(SingleAttestationDvt {
            committee_index: 0,
            attester_index: signer(by),
            data: AttestationData {
                slot: Slot::new(epoch * 8),
                index: 0,
                beacon_block_root: Root::repeat_byte(head),
                source: checkpoint(0),
                target: checkpoint(epoch),
            },
            signature: bls::INFINITY_SIGNATURE,
            proofs: proofs(&[signature]),
        })))
    }

    fn header(slot: u64, body: u8, by: &[u8], signatures: &[u8]) -> Event<Minimal> {
        let mut signers = Signers::default();
        for key in by {
            signers.set(usize::from(*key), true).unwrap();
        }
        Event::GroupSignature(Box::new(SignedBeaconBlockHeader::Dvt(SignedBeaconBlockHeaderDvt {
            message: BeaconBlockHeader {
                slot: Slot::new(slot),
                proposer_index: ValidatorIndex::new(GROUP),
                parent_root: Root::ZERO,
                state_root: Root::ZERO,
                body_root: Root::repeat_byte(body),
            },
            signature: bls::INFINITY_SIGNATURE,
            signers,
            proofs: proofs(signatures),
        })))
    }

    fn change(slot: u64, new: u8, sequence: u64) -> Event<Minimal> {
        let virtual_key = |key: GroupKey| VirtualKey {
            scheme: key.scheme,
            pubkey: key.pubkey.try_into().unwrap(),
        };
        let keys = [key(BLS_SCHEME, 0), key(XMSS, 1), key(XMSS, new)].map(virtual_key);
        Event::KeySetChange(Box::new(SignedKeySetChange {
            message: KeySetChange {
                validator_index: ValidatorIndex::new(GROUP),
                sequence,
                slot: Slot::new(slot),
                threshold: 2,
                keys: keys.to_vec().try_into().unwrap(),
            },
            key_proofs: vec![KeyProof {
                slot: Slot::new(slot),
                proof: proofs(&[7])[0].clone(),
            }]
            .try_into()
            .unwrap(),
            signers: Signers::default(),
            signature: bls::INFINITY_SIGNATURE,
            proofs: SchemeProofs::empty(),
        }))
    }

    fn note(record: &mut Record, events: &[Event<Minimal>]) -> usize {
        let keys = keys();
        for event in events {
            for message in Message::of_event(event, &Seats::default(), &keys) {
                message.note(&keys, record);
            }
        }
        record.offences.len()
    }

    #[test]
    fn the_same_signature_from_many_nodes_is_one_use_of_a_leaf() {
        let mut record = Record::default();
        let seen = [
            vote(1, 1, 1, 5),
            vote(1, 1, 1, 5),
            vote(1, 1, 2, 6),
            vote(2, 1, 1, 7),
            header(9, 1, &[1], &[8]),
            header(9, 1, &[0, 1, 2], &[8, 9]),
        ];
        assert_eq!(note(&mut record, &seen), 0);
        assert_eq!(record.leaves.len(), 2);
        let first = &record.leaves["4.1"];
        assert_eq!((first.leaves, first.signatures), (3, 5));
        assert_eq!(record.leaves["4.2"].leaves, 2);
    }

    #[test]
    fn another_message_or_other_bytes_under_a_leaf_are_an_offence() {
        for second in [vote(1, 2, 1, 5), vote(1, 1, 1, 6)] {
            let mut record = Record::default();
            assert_eq!(note(&mut record, &[vote(1, 1, 1, 5), second]), 1);
        }
        let mut record = Record::default();
        let merged = header(9, 2, &[1, 2], &[3, 4]);
        assert_eq!(note(&mut record, &[header(9, 1, &[2], &[9]), merged]), 1);
        let offence = record.offences.first().unwrap();
        assert!(offence.contains("4.2") && offence.contains("leaf 65"), "{offence}");
    }

    #[test]
    fn a_key_that_takes_a_place_has_leaves_of_its_own() {
        let mut record = Record::default();
        assert_eq!(note(&mut record, &[vote(2, 1, 2, 5), vote(3, 1, 2, 5)]), 0);
        // The place's new key signs for the same leaf as the old one proved itself with.
        assert_eq!(note(&mut record, &[change(16, 9, 0)]), 0);
        assert_eq!(
            note(&mut record, &[change(16, 9, 1)]),
            0,
            "the proof is of the key, not of the change"
        );
        assert_eq!(note(&mut record, &[change(17, 9, 0)]), 1);
    }

    #[test]
    fn a_proof_that_does_not_come_apart_is_a_fault() {
        let mut record = Record::default();
        assert_eq!(note(&mut record, &[header(9, 1, &[0], &[8])]), 1);
        assert_eq!(note(&mut Record::default(), &[header(9, 1, &[0, 1, 2], &[8])]), 1);
        assert_eq!(note(&mut Record::default(), &[vote(1, 1, 0, 5)]), 1);
    }
}
