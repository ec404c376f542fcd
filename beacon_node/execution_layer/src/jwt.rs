//! The secret that this node shares with its execution client, and the tokens made with it.

use crate::error::EngineError;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest secret file that is read; a right one has 64 to 68 bytes.
const MAX_FILE: u64 = 1024;

/// 32 secret bytes. Not shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JwtSecret([u8; 32]);

#[derive(Serialize)]
struct Claims<'a> {
    /// Unix seconds; the execution client takes a token for a minute.
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clv: Option<&'a str>,
}

impl JwtSecret {
    /// Takes bytes that are known to be secret.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new random secret.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Parses 64 hex digits, with or without `0x`; white space around them is ignored.
    pub fn from_hex(text: &str) -> Result<Self, EngineError> {
        let wrong = |why: String| EngineError::JwtSecret { path: None, why };
        let text = text.trim();
        if text.is_empty() {
            return Err(wrong("it is empty".into()));
        }
        let digits = text.strip_prefix("0x").unwrap_or(text);
        // Neither count nor position of a wrong character tells the secret; the characters would.
        if let Some(at) = digits.chars().position(|c| !c.is_ascii_hexdigit()) {
            return Err(wrong(format!("character {} is not a hex digit", at.saturating_add(1))));
        }
        let bytes = hex::decode(digits)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or_else(|| wrong(format!("it has {} digits", digits.len())))?;
        Ok(Self(bytes))
    }

    /// Reads the secret from a file.
    pub fn from_file(path: &Path) -> Result<Self, EngineError> {
        let io = |source| EngineError::JwtFile {
            path: path.to_path_buf(),
            source,
        };
        let wrong = |why| EngineError::JwtSecret {
            path: Some(path.to_path_buf()),
            why,
        };
        let length = fs::metadata(path).map_err(io)?.len();
        if length > MAX_FILE {
            return Err(wrong(format!("the file has {length} bytes")));
        }
        let bytes = fs::read(path).map_err(io)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("the file is not text".into()))?;
        Self::from_hex(&text).map_err(|error| match error {
            EngineError::JwtSecret { why, .. } => wrong(why),
            other => other,
        })
    }

    /// Reads the secret, or makes one and writes it (readable by this user only) if there is no file.
    pub fn from_file_or_new(path: &Path) -> Result<Self, EngineError> {
        if path.exists() {
            return Self::from_file(path);
        }
        let secret = Self::random();
        let io = |source| EngineError::JwtFile {
            path: path.to_path_buf(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        file.write_all(secret.to_hex().as_bytes()).map_err(io)?;
        Ok(secret)
    }

    /// `0x` and 64 digits.
    pub fn to_hex(&self) -> String {
        format!("0x{}", hex::encode(self.0))
    }

    /// The bytes, for a mock execution node in this process.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A token for one request, issued now.
    pub fn token(&self, id: Option<&str>, version: Option<&str>) -> Result<String, EngineError> {
        let iat = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| EngineError::JwtSign("this machine's clock is before 1970".into()))?
            .as_secs();
        let key = EncodingKey::from_secret(&self.0);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &Claims { iat, id, clv: version }, &key)
            .map_err(|error| EngineError::JwtSign(error.to_string()))
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_read_with_and_without_prefix_and_with_a_newline() {
        let digits = "1f".repeat(32);
        let expected = JwtSecret::new([0x1f; 32]);
        for text in [
            digits.clone(),
            format!("0x{digits}"),
            format!("0x{digits}\n"),
            format!(" {digits}\r\n"),
        ] {
            assert_eq!(JwtSecret::from_hex(&text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn wrong_secrets_say_what_is_wrong_and_not_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwt.hex");
        for (text, why) in [
            ("", "it is empty"),
            ("0x1f1f", "it has 4 digits"),
            (&"1f".repeat(33), "it has 66 digits"),
            (&format!("{}zz", "1f".repeat(31)), "character 63 is not a hex digit"),
            (&"1".repeat(2000), "the file has 2000 bytes"),
        ] {
            fs::write(&path, text).unwrap();
            let error = JwtSecret::from_file(&path).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("jwt.hex"), "{error}");
            assert!(!error.contains("1f1f"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        let missing = JwtSecret::from_file(&path).unwrap_err();
        assert!(matches!(missing, EngineError::JwtFile { .. }), "{missing}");
    }

    #[test]
    fn a_new_secret_file_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub").join("jwt.hex");
        let secret = JwtSecret::from_file_or_new(&path).unwrap();
        assert_eq!(JwtSecret::from_file_or_new(&path).unwrap(), secret);
        assert_eq!(format!("{secret:?}"), "JwtSecret(..)");
    }
}
