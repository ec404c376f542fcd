//! `signatures`: keys, signatures and openings of the schemes other than BLS. A case is one file, as those of `bls`.

use crate::case_dir::{CaseDir, CaseError};
use bls::INFINITY_SIGNATURE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use signature_scheme::{SignatureSet, SignedPart, aggregate, verify};
use std::fmt::Debug;
use types::constants::{SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};
use types::{Leaf, Root, SchemeProof, SchemeProofs, SignerIndex, SignerKey, VirtualKey};
use xmss::{Devnet, Opening, Parameters, Production, PublicKey, Signature};

#[derive(Deserialize)]
struct Data<I, O> {
    input: I,
    output: O,
}

/// Hexadecimal with a prefix.
#[derive(Debug, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_utils::hex_vec::deserialize(deserializer).map(Self)
    }
}

#[derive(Deserialize)]
struct XmssVerify {
    scheme: u8,
    pubkey: Bytes,
    leaf: u64,
    message: Root,
    signature: Bytes,
}

#[derive(Deserialize)]
struct XmssOpening {
    scheme: u8,
    pubkey: Bytes,
    leaf: u64,
    opening: Bytes,
}

#[derive(Deserialize)]
struct VerifyProof {
    scheme: u8,
    pubkeys: Vec<Bytes>,
    leaf: u64,
    message: Root,
    data: Bytes,
}

#[derive(Deserialize)]
struct Part {
    signers: Vec<u64>,
    data: Bytes,
}

#[derive(Deserialize)]
struct Merge {
    scheme: u8,
    parts: Vec<Part>,
}

pub(crate) fn run(handler: &str, directory: &CaseDir) -> Result<(), CaseError> {
    match handler {
        "xmss_verify" => check(directory, |input: XmssVerify| {
            let alone = match input.scheme {
                XMSS_SCHEME => verify_signature::<Production>(&input),
                SHORT_LIVED_XMSS_SCHEME => verify_signature::<Devnet>(&input),
                _ => false,
            };
            let XmssVerify {
                scheme,
                pubkey,
                leaf,
                message,
                signature,
            } = input;
            let keys = signer_keys(scheme, &[pubkey]);
            let in_set = is_valid(keys, message, Leaf::Signs(leaf), scheme, signature);
            agreed(alone, in_set)
        }),
        "xmss_opening" => check(directory, |input: XmssOpening| {
            let digest = match input.scheme {
                XMSS_SCHEME => open::<Production>(&input),
                SHORT_LIVED_XMSS_SCHEME => open::<Devnet>(&input),
                _ => None,
            };
            let XmssOpening {
                scheme,
                pubkey,
                leaf,
                opening,
            } = input;
            let keys = signer_keys(scheme, &[pubkey]);
            let in_set = is_valid(keys, Root::ZERO, Leaf::Opens(leaf), scheme, opening);
            agreed(digest.is_some(), in_set)?;
            Ok(digest.map(Bytes))
        }),
        "verify_proof" => check(directory, |input: VerifyProof| {
            let keys = signer_keys(input.scheme, &input.pubkeys);
            Ok(is_valid(
                keys,
                input.message,
                Leaf::Signs(input.leaf),
                input.scheme,
                input.data,
            ))
        }),
        "merge" => check(directory, |input: Merge| Ok(merge(&input).map(Bytes))),
        other => Err(CaseError::Unknown(format!("signatures/{other}"))),
    }
}

fn check<I: DeserializeOwned, O: DeserializeOwned + PartialEq + Debug>(
    directory: &CaseDir,
    call: impl FnOnce(I) -> Result<O, CaseError>,
) -> Result<(), CaseError> {
    let Data { input, output }: Data<I, O> = directory.yaml("data.yaml")?;
    let found = call(input)?;
    if found == output {
        Ok(())
    } else {
        Err(CaseError::wrong(format!("{found:?}, expected {output:?}")))
    }
}

/// What the scheme by itself says has to be what it says within a set of signatures.
fn agreed(alone: bool, in_set: bool) -> Result<bool, CaseError> {
    if alone == in_set {
        Ok(alone)
    } else {
        Err(CaseError::wrong(format!(
            "{alone} by itself, {in_set} in a set of signatures"
        )))
    }
}

fn verify_signature<P: Parameters>(input: &XmssVerify) -> bool {
    let key = PublicKey::<P>::from_bytes(&input.pubkey.0);
    let signature = Signature::<P>::from_bytes(&input.signature.0);
    match (key, signature, u32::try_from(input.leaf)) {
        (Ok(key), Ok(signature), Ok(leaf)) => key.verify(leaf, &input.message.0, &signature).is_ok(),
        _ => false,
    }
}

/// The digest of the leaf, if the opening is right.
fn open<P: Parameters>(input: &XmssOpening) -> Option<Vec<u8>> {
    let key = PublicKey::<P>::from_bytes(&input.pubkey.0).ok()?;
    let opening = Opening::<P>::from_bytes(&input.opening.0).ok()?;
    key.verify_opening(u32::try_from(input.leaf).ok()?, &opening).ok()?;
    Some(opening.digest().to_bytes().to_vec())
}

/// `None` if one of them is longer than any key.
fn signer_keys(scheme: u8, pubkeys: &[Bytes]) -> Option<Vec<SignerKey>> {
    pubkeys
        .iter()
        .map(|Bytes(pubkey)| {
            let pubkey = pubkey.clone().try_into().ok()?;
            Some(SignerKey::from(&VirtualKey { scheme, pubkey }))
        })
        .collect()
}

fn proofs(scheme: u8, Bytes(data): Bytes) -> Option<SchemeProofs> {
    let data = data.try_into().ok()?;
    SchemeProofs::new(vec![SchemeProof { scheme, data }]).ok()
}

fn is_valid(signers: Option<Vec<SignerKey>>, message: Root, leaf: Leaf, scheme: u8, data: Bytes) -> bool {
    let (Some(signers), Some(proofs)) = (signers, proofs(scheme, data)) else {
        return false;
    };
    let set = SignatureSet {
        signing_root: message,
        leaf,
        signers,
        signature: INFINITY_SIGNATURE,
        proofs,
    };
    verify(&set).is_ok()
}

fn merge(Merge { scheme, parts }: &Merge) -> Option<Vec<u8>> {
    let parts: Vec<(Vec<(SignerIndex, u8)>, SchemeProofs)> = parts
        .iter()
        .map(|Part { signers, data }| {
            let signers = signers
                .iter()
                .map(|signer| (SignerIndex::new(*signer), *scheme))
                .collect();
            Some((signers, proofs(*scheme, Bytes(data.0.clone()))?))
        })
        .collect::<Option<_>>()?;
    let parts: Vec<SignedPart<'_>> = parts
        .iter()
        .map(|(signers, proofs)| SignedPart {
            signers,
            signature: &INFINITY_SIGNATURE,
            proofs,
        })
        .collect();
    let (_, merged) = aggregate(&parts).ok()?;
    merged.first().map(|proof| proof.data.to_vec())
}
