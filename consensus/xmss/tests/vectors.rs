//! All vectors verify or are rejected as marked. The files are in `$XMSS_VECTORS`, else in `../shared/xmss-vectors`
//! beside the repository.

#![expect(clippy::unwrap_used, reason = "a failure in a test fails the test")]

use serde_json::Value;
use std::path::PathBuf;
use xmss::{Insecure, Parameters, Production, PublicKey, Signature};

fn lines(file: &str) -> Vec<Value> {
    let directory = std::env::var_os("XMSS_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/xmss-vectors"),
        PathBuf::from,
    );
    let path = directory.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn bytes(line: &Value, field: &str) -> Vec<u8> {
    hex::decode(line[field].as_str().unwrap()).unwrap()
}

fn verify<P: Parameters>(line: &Value) -> bool {
    let leaf = u32::try_from(line["epoch"].as_u64().unwrap()).unwrap();
    let message: [u8; 32] = bytes(line, "message").try_into().unwrap();
    let key = PublicKey::<P>::from_bytes(&bytes(line, "public_key"));
    let signature = Signature::<P>::from_bytes(&bytes(line, "signature"));
    match (key, signature) {
        (Ok(key), Ok(signature)) => key.verify(leaf, &message, &signature).is_ok(),
        _ => false,
    }
}

fn check<P: Parameters>(file: &str, counts: (usize, usize)) {
    let lines = lines(file);
    let mut found = (0, 0);
    for (number, line) in lines.iter().enumerate() {
        let valid = line["valid"].as_bool().unwrap();
        assert_eq!(verify::<P>(line), valid, "{file}: line {}", number + 1);
        if valid {
            found.0 += 1;
            // The encoding is the same byte for byte.
            let (key, signature) = (bytes(line, "public_key"), bytes(line, "signature"));
            assert_eq!(PublicKey::<P>::from_bytes(&key).unwrap().to_bytes().to_vec(), key);
            assert_eq!(Signature::<P>::from_bytes(&signature).unwrap().to_bytes(), signature);
        } else {
            found.1 += 1;
        }
    }
    assert_eq!(found, counts, "{file}: valid and invalid lines");
}

#[test]
fn lifetime_2_32() {
    check::<Production>("lifetime_2_32.jsonl", (4, 4));
}

#[test]
fn lifetime_2_8() {
    check::<Insecure>("lifetime_2_8.jsonl", (28, 8));
}
