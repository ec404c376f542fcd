//! What a committee costs in a slot, by the share of its seats that have hash-based keys: bytes on the network and in
//! the block, and CPU time of verification, as a table.
//!
//! Signers repeat one key of each scheme: verifying takes no less time for that, and 512 keys with 2^32 leaves take
//! hours to make.

#![expect(clippy::unwrap_used, reason = "a failure ends the benchmark")]

use bls::INFINITY_SIGNATURE;
use signature_scheme::{SignatureSet, verify};
use ssz::Encode as _;
use std::time::{Duration, Instant};
use types::constants::{ATTESTATION_LEAF_USE, TARGET_AGGREGATORS_PER_COMMITTEE, XMSS_SCHEME};
use types::{
    AttestationData, AttestationDvt, Checkpoint, Epoch, Leaf, Mainnet, Root, SchemeProof, SchemeProofs, SignerIndex,
    SignerKey, SingleAttestationDvt, Slot,
};
use xmss::{Parameters, Production, SecretKey, Seed};

/// Keys of a group.
const GROUP: usize = 7;
const REPETITIONS: u32 = 5;

struct Keys {
    bls: bls::SecretKey,
    xmss: SignerKey,
    xmss_signature: Vec<u8>,
    root: Root,
    leaf: Leaf,
}

impl Keys {
    fn new() -> Self {
        let root = Root::repeat_byte(7);
        eprintln!("Making one bottom tree of a key with 2^32 leaves: about a quarter of a minute ...");
        let leaves = 0..Production::TREE_LEAVES;
        let key = SecretKey::<Production>::generate(&Seed::from_bytes(&[1; 32]), leaves, &|_| {}).unwrap();
        Self {
            bls: bls::SecretKey::derive_master(&[5; 32]).unwrap(),
            xmss: SignerKey::new(XMSS_SCHEME, &key.public_key().to_bytes()).unwrap(),
            xmss_signature: key.sign(ATTESTATION_LEAF_USE as u32, &root.0).unwrap().to_bytes(),
            root,
            leaf: Leaf::Signs(ATTESTATION_LEAF_USE),
        }
    }

    fn proofs(&self, count: usize) -> SchemeProofs {
        if count == 0 {
            return SchemeProofs::empty();
        }
        let data = self.xmss_signature.repeat(count).try_into().unwrap();
        vec![SchemeProof {
            scheme: XMSS_SCHEME,
            data,
        }]
        .try_into()
        .unwrap()
    }

    /// The votes of a committee as one set.
    fn set(&self, seats: usize, hash_based: usize) -> SignatureSet {
        let bls_seats = seats - hash_based;
        let bls_key = SignerKey::from(self.bls.public_key().to_bytes());
        let signatures = vec![self.bls.sign(&self.root); bls_seats];
        let signature = match signatures.as_slice() {
            [] => INFINITY_SIGNATURE,
            signatures => bls::aggregate_signatures(signatures).unwrap().to_bytes(),
        };
        SignatureSet {
            signing_root: self.root,
            leaf: self.leaf,
            signers: [vec![bls_key; bls_seats], vec![self.xmss; hash_based]].concat(),
            signature,
            proofs: self.proofs(hash_based),
        }
    }
}

fn data() -> AttestationData {
    let checkpoint = Checkpoint {
        epoch: Epoch::new(0),
        root: Root::ZERO,
    };
    AttestationData {
        slot: Slot::new(0),
        index: 0,
        beacon_block_root: Root::ZERO,
        source: checkpoint,
        target: checkpoint,
    }
}

/// Bytes of one vote on its subnet.
fn vote_bytes(keys: &Keys, hash_based: bool) -> usize {
    SingleAttestationDvt {
        committee_index: 0,
        attester_index: SignerIndex::new(0),
        data: data(),
        signature: INFINITY_SIGNATURE,
        proofs: keys.proofs(usize::from(hash_based)),
    }
    .as_ssz_bytes()
    .len()
}

/// Bytes of an aggregate of the whole committee.
fn aggregate_bytes(set: &SignatureSet, seats: usize) -> usize {
    AttestationDvt::<Mainnet> {
        aggregation_bits: ssz_types::BitList::with_capacity(seats).unwrap(),
        data: data(),
        signature: set.signature,
        committee_bits: ssz_types::BitVector::default(),
        proofs: set.proofs.clone(),
    }
    .as_ssz_bytes()
    .len()
}

fn median_ms(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..REPETITIONS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn main() {
    let keys = Keys::new();
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    println!(
        "| seats | hash-based | votes on the subnet, kB | one aggregate, kB | all aggregates, kB | verify votes, ms of a core | verify aggregate, ms of a core | all cores, ms |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for seats in [128usize, 512] {
        for percent in [0usize, 10, 50, 100] {
            // Whole groups are hash-based, as a group that moves does so with its keys.
            let hash_based = if percent == 100 {
                seats
            } else {
                (seats * percent / 100).div_ceil(GROUP) * GROUP
            };
            let set = keys.set(seats, hash_based);
            let (bls_vote, xmss_vote) = (keys.set(1, 0), keys.set(1, 1));
            let aggregate = one_core.install(|| median_ms(|| verify(&set).unwrap()));
            let all_cores = median_ms(|| verify(&set).unwrap());
            let single_bls = one_core.install(|| median_ms(|| verify(&bls_vote).unwrap()));
            let single_xmss = one_core.install(|| median_ms(|| verify(&xmss_vote).unwrap()));
            let votes_ms = single_bls * (seats - hash_based) as f64 + single_xmss * hash_based as f64;
            let votes = vote_bytes(&keys, false) * (seats - hash_based) + vote_bytes(&keys, true) * hash_based;
            let bytes = aggregate_bytes(&set, seats);
            println!(
                "| {seats} | {hash_based} ({percent} %) | {:.1} | {:.1} | {:.0} | {votes_ms:.1} | {aggregate:.1} | {all_cores:.1} |",
                votes as f64 / 1000.0,
                bytes as f64 / 1000.0,
                (bytes * TARGET_AGGREGATORS_PER_COMMITTEE as usize) as f64 / 1000.0,
            );
        }
    }
}
