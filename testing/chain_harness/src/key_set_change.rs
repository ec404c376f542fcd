//! Key-set changes, signed by those whose keys they replace.

use crate::Chain;
use ssz_types::VariableList;
use state_transition::dvt::accessors::{get_group, get_key_set};
use types::constants::{BLS_SCHEME, DOMAIN_KEY_POSSESSION, DOMAIN_KEY_SET_CHANGE};
use types::*;

/// A change of the group or solo validator `validator` to `new_keys`, signed by the members `signing` of the keys in
/// force (none: by the registry key).
pub fn key_set_change<P: Preset>(
    chain: &Chain<P>,
    validator: u64,
    threshold: u8,
    new_keys: &[VirtualKey],
    signing: &[u8],
) -> SignedKeySetChange {
    let index = ValidatorIndex::new(validator);
    let state = &chain.state;
    let epoch = state.current_epoch();
    let old: Vec<VirtualKey> = get_key_set(state, index, epoch)
        .unwrap()
        .map(|key_set| key_set.keys.to_vec())
        .unwrap_or_default();
    let message = KeySetChange {
        validator_index: index,
        sequence: get_group(state, index).map_or(0, |(_, group)| group.sequence),
        slot: state.slot(),
        threshold,
        keys: VariableList::new(new_keys.to_vec()).unwrap(),
    };
    let domain = |domain_type| {
        compute_domain(
            domain_type,
            chain.spec.genesis_fork_version,
            state.genesis_validators_root(),
        )
    };
    let key_proofs: Vec<KeyProof> = new_keys
        .iter()
        .filter(|key| !old.contains(key))
        .map(|key| {
            let slot = state.slot();
            let possession = KeyPossession {
                validator_index: index,
                key: key.clone(),
                slot,
            };
            let root = compute_signing_root(&possession, domain(DOMAIN_KEY_POSSESSION));
            let signature = chain.keys.get(&key.as_bls().unwrap()).sign(&root).to_bytes();
            let data = VariableList::new(signature.to_vec()).unwrap();
            KeyProof {
                slot,
                proof: SchemeProof {
                    scheme: BLS_SCHEME,
                    data,
                },
            }
        })
        .collect();
    let root = compute_signing_root(&message, domain(DOMAIN_KEY_SET_CHANGE));
    let mut signers = Signers::default();
    let signatures: Vec<_> = if signing.is_empty() {
        let pubkey = state.validators().get(validator as usize).unwrap().pubkey;
        vec![chain.keys.get(&pubkey).sign(&root)]
    } else {
        signing
            .iter()
            .map(|key| {
                signers.set(usize::from(*key), true).unwrap();
                chain.keys.get(&old[usize::from(*key)].as_bls().unwrap()).sign(&root)
            })
            .collect()
    };
    SignedKeySetChange {
        message,
        key_proofs: VariableList::new(key_proofs).unwrap(),
        signers,
        signature: bls::aggregate_signatures(&signatures).unwrap().to_bytes(),
        proofs: SchemeProofs::empty(),
    }
}
