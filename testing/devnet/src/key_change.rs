//! Keys of a validator change while the network runs.
//!
//! A solo validator becomes a group: each new key proves itself, the key in force signs, from the files of their nodes.
//! A seat of a group gets another key: by the commands that operators use, each with the files of its own node.

use crate::error::DevnetError;
use crate::genesis::{NodeDirs, member_public_keys, read_key, registry_public_key};
use crate::layout::{Duty, Layout};
use crate::processes::Processes;
use bls::SecretKey;
use std::ops::Range;
use std::path::{Path, PathBuf};
use types::constants::{DOMAIN_KEY_POSSESSION, DOMAIN_KEY_SET_CHANGE, SHORT_LIVED_XMSS_SCHEME};
use types::{
    ChainSpec, DomainType, KeyPossession, KeyProof, KeySetChange, PublicKeyBytes, Root, SchemeProof, SchemeProofs,
    SignedKeySetChange, Signers, Slot, ValidatorIndex, VirtualKey, compute_domain, compute_signing_root,
};

/// Number of BLS.
const BLS_SCHEME: u8 = 0;

/// The change that hands a solo validator to the nodes that hold keys for it.
pub(crate) fn hand_over(
    network: &Path,
    layout: &Layout,
    (spec, genesis_validators_root): (&ChainSpec, Root),
    validator: usize,
    threshold: u8,
    slot: Slot,
) -> Result<SignedKeySetChange, DevnetError> {
    let sign = |key: &SecretKey, object: &dyn Fn(types::Domain) -> Root, domain_type: DomainType| {
        let domain = compute_domain(domain_type, spec.genesis_fork_version, genesis_validators_root);
        key.sign(&object(domain)).to_bytes()
    };
    let validator_index = ValidatorIndex::new(validator as u64);
    let mut keys = Vec::new();
    let mut key_proofs = Vec::new();
    for (node, pubkey) in member_public_keys(layout, validator)? {
        let key = VirtualKey::bls(pubkey);
        let possession = KeyPossession {
            validator_index,
            key: key.clone(),
            slot,
        };
        let secret = read_key(&NodeDirs::of(network, node), node, &pubkey)?;
        let signature = sign(
            &secret,
            &|domain| compute_signing_root(&possession, domain),
            DOMAIN_KEY_POSSESSION,
        );
        key_proofs.push(KeyProof {
            slot,
            proof: SchemeProof {
                scheme: BLS_SCHEME,
                data: signature.to_vec().try_into().map_err(|_| too_long("proofs"))?,
            },
        });
        keys.push(key);
    }
    let message = KeySetChange {
        validator_index,
        sequence: 0,
        slot,
        threshold,
        keys: keys.try_into().map_err(|_| too_long("keys"))?,
    };
    let node = match layout.validators.get(validator).map(|planned| &planned.duty) {
        Some(Duty::Solo { node }) => *node,
        _ => {
            return Err(DevnetError::Genesis {
                reason: format!("validator {validator} is not solo at genesis"),
            });
        }
    };
    let pubkey = registry_public_key(layout, validator)?;
    let secret = read_key(&NodeDirs::of(network, node), node, &pubkey)?;
    let signature = sign(
        &secret,
        &|domain| compute_signing_root(&message, domain),
        DOMAIN_KEY_SET_CHANGE,
    );
    Ok(SignedKeySetChange {
        message,
        key_proofs: key_proofs.try_into().map_err(|_| too_long("proofs"))?,
        signers: Signers::default(),
        signature,
        proofs: SchemeProofs::empty(),
    })
}

/// A new key of a seat, which has proved itself.
pub(crate) struct NewKey {
    validator: usize,
    old: PublicKeyBytes,
    new: String,
    proof: PathBuf,
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

/// Makes a hash-based key for a node and lets it prove itself. The node's client must not run.
pub(crate) async fn make_key(
    processes: &Processes,
    network: &Path,
    layout: &Layout,
    (validator, seat): (usize, u8),
    epochs: Range<u64>,
) -> Result<NewKey, DevnetError> {
    let members = member_public_keys(layout, validator)?;
    let (node, old) = *members.get(usize::from(seat)).ok_or_else(|| too_long("seats"))?;
    let [validators, secrets] = processes.key_flags(node);
    let make = [
        "make-xmss-key".to_owned(),
        "--insecure-kdf".to_owned(),
        flag("scheme", SHORT_LIVED_XMSS_SCHEME),
        flag("first-epoch", epochs.start),
        flag("epochs", epochs.end.saturating_sub(epochs.start)),
        validators.clone(),
        secrets.clone(),
    ];
    let new = processes.run(&make).await?;
    let prove = [
        "validator_manager".to_owned(),
        "prove-key".to_owned(),
        flag("beacon-node", processes.url(node)),
        flag("validator-index", validator),
        flag("key", &new),
        validators,
        secrets,
    ];
    let proof = NodeDirs::of(network, node).root.join("proof.json");
    write(&proof, &processes.run(&prove).await?)?;
    Ok(NewKey {
        validator,
        old,
        new,
        proof,
    })
}

/// Makes the change to a new key; as many members as have to sign do so, beside their clients.
pub(crate) async fn change_key(
    processes: &Processes,
    network: &Path,
    layout: &Layout,
    key: &NewKey,
) -> Result<(), DevnetError> {
    let members = member_public_keys(layout, key.validator)?;
    let threshold = match layout.validators.get(key.validator).map(|planned| &planned.duty) {
        Some(Duty::Group { threshold, .. }) => usize::from(*threshold),
        _ => 0,
    };
    let asked = members.first().map_or(1, |(node, _)| *node);
    let node = flag("beacon-node", processes.url(asked));
    let change = [
        "validator_manager".to_owned(),
        "change-keys".to_owned(),
        node.clone(),
        flag("validator-index", key.validator),
        flag("replace", format!("{}={}", key.old, key.new)),
        flag("proofs", key.proof.display()),
    ];
    let file = network.join("change.json");
    write(&file, &processes.run(&change).await?)?;
    for (member, _) in members.iter().take(threshold) {
        let mut sign = vec![
            "validator_manager".to_owned(),
            "sign-change".to_owned(),
            node.clone(),
            flag("change", file.display()),
        ];
        sign.extend(processes.key_flags(*member));
        processes.run(&sign).await?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), DevnetError> {
    std::fs::write(path, text).map_err(DevnetError::file("write", path))
}

fn too_long(what: &str) -> DevnetError {
    DevnetError::Genesis {
        reason: format!("{what} of a key-set change do not fit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::Execution;
    use crate::genesis::{ExecutionChain, devnet_spec, write_network};
    use crate::keys::Keys;
    use crate::layout::Start;
    use state_transition::dvt::key_set_change::check_key_set_change;
    use state_transition::dvt::signers::Quorum;
    use types::{Epoch, Minimal};

    #[test]
    fn the_chain_takes_the_change() {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("net");
        let layout = Layout::new(Start::Fulu);
        let spec = devnet_spec(1_800_000_000, 3000, Epoch::new(0), layout.validators.len() as u64);
        let execution = ExecutionChain::of(&Execution::Mock, &layout, &spec).unwrap();
        write_network(&network, &layout, spec.clone(), Keys::default(), execution).unwrap();
        let bytes = std::fs::read(network.join("testnet/genesis.ssz")).unwrap();
        let state =
            <types::BeaconState<Minimal> as types::ForkVersioned>::from_ssz_bytes_by_fork(&bytes, types::ForkName::Dvt)
                .unwrap();
        let root = state.genesis_validators_root();
        let change = hand_over(&network, &layout, (&spec, root), 0, 5, Slot::new(0)).unwrap();
        let signatures = check_key_set_change(&state, &change, Quorum::Threshold, &spec).unwrap();
        assert_eq!(signatures.len(), 8, "seven new keys and the key in force");
    }
}
