//! Passwords of keystores.

use crate::file::{FileError, read_limited};
use std::fmt;
use std::path::{Path, PathBuf};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// A password file holds one line.
const MAX_PASSWORD_FILE_BYTES: u64 = 4096;

/// A password file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Could not be read.
    #[error("password file {0}")]
    File(#[from] FileError),
    /// Not text.
    #[error("password file {path}: expected UTF-8 text, found other bytes at offset {offset}")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// First bad byte.
        offset: usize,
    },
}

/// A password in the form that enters key derivation: NFKD, without control codes, UTF-8. Zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Normalises a password as EIP-2335 prescribes: NFKD; C0 and C1 control codes and Delete are removed.
    pub fn new(text: &str) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(4)));
        let mut buffer = [0; 4];
        for character in text.nfkd() {
            // `char::is_control` is Unicode's category Cc: exactly C0, Delete and C1.
            if !character.is_control() {
                bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            }
        }
        Self(bytes)
    }

    /// Reads a password file; line ends are control codes, so they do not count.
    pub fn from_file(path: &Path) -> Result<Self, PasswordError> {
        let bytes = Zeroizing::new(read_limited(path, MAX_PASSWORD_FILE_BYTES)?);
        let text = std::str::from_utf8(&bytes).map_err(|error| PasswordError::NotUtf8 {
            path: path.to_path_buf(),
            offset: error.valid_up_to(),
        })?;
        Ok(Self::new(text))
    }

    /// A password of 32 random bytes, as hexadecimal digits.
    pub fn random() -> Self {
        let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
        Self(Zeroizing::new(hex::encode(*bytes).into_bytes()))
    }

    /// The normalised bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisation_follows_the_example_of_the_eip() {
        let password = Password::new("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑");
        assert_eq!(hex::encode(password.as_bytes()), "7465737470617373776f7264f09f9491");
    }

    #[test]
    fn control_codes_are_stripped() {
        assert_eq!(
            Password::new("a\u{0}b\u{1f}c\u{7f}d\u{80}e\u{9f}f\r\n").as_bytes(),
            b"abcdef"
        );
    }

    #[test]
    fn password_file_works_with_and_without_newline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        for content in ["secret", "secret\n", "secret\r\n"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(Password::from_file(&path).unwrap().as_bytes(), b"secret");
        }
        std::fs::write(&path, b"secr\xfft").unwrap();
        let error = Password::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("offset 4"), "{error}");
    }

    #[test]
    fn debug_output_hides_the_password() {
        assert!(!format!("{:?}", Password::new("hunter2")).contains("hunter2"));
    }
}
