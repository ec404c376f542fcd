//! XMSS vectors: files with one JSON object per line, a signature that verifies or must be rejected.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xmss::{Devnet, Insecure, Parameters, Production, PublicKey, Signature};

/// One line of a file.
#[derive(Deserialize)]
struct Vector {
    instantiation: String,
    /// The leaf that signs.
    epoch: u32,
    message: Bytes,
    public_key: Bytes,
    signature: Bytes,
    valid: bool,
    /// What was changed, in a line that must be rejected.
    tampered: Option<String>,
}

/// Hexadecimal, without a prefix.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Bytes(Vec<u8>);

impl TryFrom<String> for Bytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

/// Lines of a file that are as marked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    verified: usize,
    rejected: usize,
}

/// Runs files, prints a line for each, and fails at the first line of each that is not as marked, at a file without
/// lines, and without files.
pub fn run_xmss(files: impl Iterator<Item = PathBuf>) -> ExitCode {
    let mut exit = None;
    for file in files {
        let code = match run_file(&file) {
            Ok(Counts { verified, rejected }) => {
                println!("{}: {verified} verified, {rejected} rejected as marked", file.display());
                ExitCode::SUCCESS
            }
            Err(reason) => {
                eprintln!("{}: {reason}", file.display());
                ExitCode::FAILURE
            }
        };
        if exit != Some(ExitCode::FAILURE) {
            exit = Some(code);
        }
    }
    exit.unwrap_or_else(|| {
        eprintln!("usage: spec_vectors xmss FILE...");
        ExitCode::FAILURE
    })
}

fn run_file(file: &Path) -> Result<Counts, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut counts = Counts::default();
    for (number, line) in (1..).zip(text.lines()) {
        let outcome = serde_json::from_str(line)
            .map_err(|error| error.to_string())
            .and_then(|vector| run_vector(&vector));
        match outcome {
            Ok(true) => counts.verified += 1,
            Ok(false) => counts.rejected += 1,
            Err(reason) => return Err(format!("line {number}: {reason}")),
        }
    }
    if counts == Counts::default() {
        return Err("no vectors".to_owned());
    }
    Ok(counts)
}

/// Whether the line is that of a valid signature; an error if it is not what it says.
fn run_vector(vector: &Vector) -> Result<bool, String> {
    let verdict = match vector.instantiation.as_str() {
        "lifetime_2_32_dim46_base8_target200" => verify::<Production>(vector),
        "lifetime_2_18_dim46_base8_target200" => verify::<Devnet>(vector),
        "lifetime_2_8_dim4_base8_target6" => verify::<Insecure>(vector),
        other => return Err(format!("unknown instantiation {other}")),
    };
    match (verdict, vector.valid) {
        (Ok(()), true) => Ok(true),
        (Err(_), false) => Ok(false),
        (Err(reason), true) => Err(format!("is valid, but: {reason}")),
        (Ok(()), false) => Err(format!(
            "verifies, although this was changed: {}",
            vector.tampered.as_deref().unwrap_or("not said what")
        )),
    }
}

fn verify<P: Parameters>(vector: &Vector) -> Result<(), String> {
    let message = vector.message.0.as_slice().try_into();
    let message = message.map_err(|_| "message is not of 32 bytes".to_owned())?;
    let key = PublicKey::<P>::from_bytes(&vector.public_key.0).map_err(|error| format!("public key: {error}"))?;
    let signature = Signature::<P>::from_bytes(&vector.signature.0).map_err(|error| format!("signature: {error}"))?;
    key.verify(vector.epoch, message, &signature)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use xmss::{SecretKey, Seed};

    fn line(message: u8, valid: bool) -> String {
        let key = SecretKey::<Insecure>::generate(&Seed::from_bytes(&[1; 32]), 0..16, &|_| ()).unwrap();
        let signature = key.sign(3, &[7; 32]).unwrap();
        let (key, signature) = (
            hex::encode(key.public_key().to_bytes()),
            hex::encode(signature.to_bytes()),
        );
        let message = hex::encode([message; 32]);
        format!(
            r#"{{"instantiation": "lifetime_2_8_dim4_base8_target6", "epoch": 3, "message": "{message}", "public_key": "{key}", "signature": "{signature}", "valid": {valid}}}"#
        )
    }

    fn outcome(lines: &[String]) -> Result<Counts, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vectors.jsonl");
        let text = lines.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").unwrap();
            text
        });
        std::fs::write(&file, text).unwrap();
        run_file(&file)
    }

    #[test]
    fn lines_have_to_be_as_marked() {
        let counts = outcome(&[line(7, true), line(8, false)]).unwrap();
        assert_eq!((counts.verified, counts.rejected), (1, 1));
        assert!(
            outcome(&[line(8, true)])
                .unwrap_err()
                .starts_with("line 1: is valid, but")
        );
        assert!(
            outcome(&[line(7, true), line(7, false)])
                .unwrap_err()
                .starts_with("line 2: verifies")
        );
        assert!(outcome(&[line(7, true).replace("2_8", "2_9")]).is_err());
        assert!(outcome(&[]).is_err());
    }
}
