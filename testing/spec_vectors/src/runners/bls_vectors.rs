//! `general/altair/bls`: formats/bls.

use crate::case_dir::{CaseDir, CaseError};
use bls::{BlsError, PublicKey};
use serde::Deserialize;
use types::{PublicKeyBytes, Root, SignatureBytes};

#[derive(Deserialize)]
struct Data<I, O> {
    input: I,
    output: O,
}

#[derive(Deserialize)]
struct FastAggregateVerify {
    pubkeys: Vec<PublicKeyBytes>,
    message: Root,
    signature: String,
}

fn keys(bytes: &[PublicKeyBytes]) -> Result<Vec<PublicKey>, BlsError> {
    bytes.iter().map(PublicKey::from_bytes).collect()
}

pub(crate) fn run(handler: &str, directory: &CaseDir) -> Result<(), CaseError> {
    match handler {
        "eth_aggregate_pubkeys" => {
            let Data { input, output }: Data<Vec<PublicKeyBytes>, Option<PublicKeyBytes>> =
                directory.yaml("data.yaml")?;
            let found = keys(&input).and_then(|keys| bls::eth_aggregate_pubkeys(&keys)).ok();
            if found == output {
                Ok(())
            } else {
                Err(CaseError::wrong(format!("{found:?}, expected {output:?}")))
            }
        }
        "eth_fast_aggregate_verify" => {
            let Data { input, output }: Data<FastAggregateVerify, bool> = directory.yaml("data.yaml")?;
            // Signatures of a wrong length occur on purpose.
            let found = input.signature.parse::<SignatureBytes>().is_ok_and(|signature| {
                keys(&input.pubkeys)
                    .and_then(|keys| bls::eth_fast_aggregate_verify(&keys, &input.message, &signature))
                    .is_ok()
            });
            if found == output {
                Ok(())
            } else {
                Err(CaseError::wrong(format!("{found}, expected {output}")))
            }
        }
        other => Err(CaseError::Unknown(format!("bls/{other}"))),
    }
}
