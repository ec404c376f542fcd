//! A scheme that nobody should use, to show that one more scheme needs no change anywhere: its "signature" is the
//! hash of key and message.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use bls::{INFINITY_SIGNATURE, SecretKey};
use ethereum_hashing::hash;
use signature_scheme::*;
use types::{Leaf, Root, SchemeProof, SchemeProofs, SignerIndex, SignerKey, VirtualKey};

const TOY: u8 = 200;

struct Toy;

fn toy_sign(key: &[u8], root: &Root) -> Vec<u8> {
    hash(&[key, root.as_slice()].concat())
}

impl Scheme for Toy {
    fn number(&self) -> u8 {
        TOY
    }
    fn key_len(&self) -> usize {
        8
    }
    fn validate_key(&self, key: &[u8]) -> Result<(), SchemeError> {
        if key[0] == 0 {
            Err(SchemeError::Key("starts with zero".to_owned()))
        } else {
            Ok(())
        }
    }
    fn verify(&self, _: Leaf, root: &Root, keys: &[&[u8]], proof: &[u8]) -> Result<(), SchemeError> {
        let expected: Vec<u8> = keys.iter().flat_map(|key| toy_sign(key, root)).collect();
        if proof == expected {
            Ok(())
        } else {
            Err(SchemeError::Invalid)
        }
    }
    fn merge(&self, parts: &[(&[SignerIndex], &[u8])]) -> Result<Vec<u8>, SchemeError> {
        let mut signatures: Vec<(SignerIndex, &[u8])> = parts
            .iter()
            .flat_map(|(signers, data)| signers.iter().copied().zip(data.chunks(32)))
            .collect();
        signatures.sort();
        Ok(signatures
            .into_iter()
            .flat_map(|(_, signature)| signature.to_vec())
            .collect())
    }
    fn unique_value(&self, _: &[u8], proof: &[u8]) -> Result<Root, SchemeError> {
        Root::try_from(proof).map_err(|_| SchemeError::Proof("not 32 bytes".to_owned()))
    }
}

fn toy_key(index: u8) -> VirtualKey {
    VirtualKey {
        scheme: TOY,
        pubkey: vec![index; 8].try_into().unwrap(),
    }
}

fn toy_proof(keys: &[u8], root: &Root) -> SchemeProofs {
    let data: Vec<u8> = keys.iter().flat_map(|key| toy_sign(&[*key; 8], root)).collect();
    vec![SchemeProof {
        scheme: TOY,
        data: data.try_into().unwrap(),
    }]
    .try_into()
    .unwrap()
}

#[test]
fn keys_of_two_schemes_sign_together() {
    register(&Toy);
    assert!(!register(&Toy), "a number is taken once");
    let root = Root::repeat_byte(3);
    let secret = SecretKey::derive_master(&[5; 32]).unwrap();
    let bls_key = SignerKey::from(secret.public_key().to_bytes());
    let signature = secret.sign(&root).to_bytes();

    let set = SignatureSet {
        signing_root: root,
        leaf: Leaf::None,
        signers: vec![SignerKey::from(&toy_key(1)), bls_key, SignerKey::from(&toy_key(2))],
        signature,
        proofs: toy_proof(&[1, 2], &root),
    };
    assert_eq!(verify(&set), Ok(()));
    assert_eq!(verify_batch(&[set.clone(), set.clone()]), Ok(()));

    // Every signer's part is needed, and nobody else's is taken.
    let without_proof = SignatureSet {
        proofs: SchemeProofs::empty(),
        ..set.clone()
    };
    assert_eq!(
        verify(&without_proof),
        Err(SignatureError::ProofSchemes {
            found: vec![],
            expected: vec![TOY]
        })
    );
    let only_toys = SignatureSet {
        signers: vec![set.signers[0], set.signers[2]],
        ..set.clone()
    };
    assert_eq!(verify(&only_toys), Err(SignatureError::SignatureWithoutSigner));
    assert_eq!(
        verify(&SignatureSet {
            signature: INFINITY_SIGNATURE,
            ..only_toys
        }),
        Ok(())
    );
    let only_bls = SignatureSet {
        signers: vec![bls_key],
        ..set.clone()
    };
    assert_eq!(
        verify(&only_bls),
        Err(SignatureError::ProofSchemes {
            found: vec![TOY],
            expected: vec![]
        })
    );
    let swapped = SignatureSet {
        proofs: toy_proof(&[2, 1], &root),
        ..set.clone()
    };
    assert_eq!(
        verify(&swapped),
        Err(SignatureError::Scheme {
            scheme: TOY,
            source: SchemeError::Invalid
        })
    );

    // One forged set among valid ones is found.
    assert_eq!(
        find_invalid(&[set.clone(), swapped.clone(), set.clone()])
            .iter()
            .map(Result::is_ok)
            .collect::<Vec<_>>(),
        [true, false, true]
    );

    // Parts by disjoint signers add up, in the order of the signers.
    let index = SignerIndex::new;
    let infinity = INFINITY_SIGNATURE;
    let (proof_1, proof_2) = (toy_proof(&[1], &root), toy_proof(&[2], &root));
    let parts = [
        SignedPart {
            signers: &[(index(9), TOY)],
            signature: &infinity,
            proofs: &proof_2,
        },
        SignedPart {
            signers: &[(index(8), 0)],
            signature: &set.signature,
            proofs: &[],
        },
        SignedPart {
            signers: &[(index(7), TOY)],
            signature: &infinity,
            proofs: &proof_1,
        },
    ];
    let (signature, proofs) = aggregate(&parts).unwrap();
    assert_eq!(
        verify(&SignatureSet {
            signature,
            proofs,
            ..set
        }),
        Ok(())
    );
    assert_eq!(
        aggregate(&[parts[0], parts[0]]).unwrap_err(),
        SignatureError::OverlappingSigners(index(9))
    );

    assert_eq!(validate_key(&SignerKey::from(&toy_key(1))), Ok(()));
    assert!(matches!(
        validate_key(&SignerKey::from(&toy_key(0))),
        Err(SignatureError::Scheme { .. })
    ));
    let short = VirtualKey {
        scheme: TOY,
        pubkey: vec![1; 7].try_into().unwrap(),
    };
    assert_eq!(
        validate_key(&SignerKey::from(&short)),
        Err(SignatureError::KeyLength {
            scheme: TOY,
            found: 7,
            expected: 8
        })
    );
    let unknown = VirtualKey {
        scheme: 77,
        pubkey: vec![1; 8].try_into().unwrap(),
    };
    assert_eq!(
        validate_key(&SignerKey::from(&unknown)),
        Err(SignatureError::UnknownScheme(77))
    );
}
