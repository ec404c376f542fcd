//! The secret that callers show.

use keystore::{FileError, create_private_dir, read_limited, write_atomically};
use std::fmt;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Name of the file in a validators directory, as in Lighthouse.
pub const TOKEN_FILE: &str = "api-token.txt";
const MAX_TOKEN_BYTES: u64 = 1024;
/// 256 bits as hexadecimal digits would be 64; other clients' tokens are accepted as they are.
const MIN_TOKEN_BYTES: usize = 32;

/// There is no usable token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file.
    #[error("token of the keymanager API: {0}")]
    File(#[from] FileError),
    /// Something else is in it.
    #[error(
        "token of the keymanager API: {path}: expected one line of {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} printable \
         characters; delete the file and a new one is made"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The secret that callers show as `Authorization: Bearer TOKEN`.
#[derive(Clone)]
pub struct ApiToken(Zeroizing<String>);

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken")
    }
}

impl ApiToken {
    /// Reads the token, or makes one of 256 random bits if there is no such file. It stays the same over restarts.
    pub fn open_or_create(path: &Path) -> Result<Self, TokenError> {
        match read_limited(path, MAX_TOKEN_BYTES) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                let malformed = || TokenError::Malformed {
                    path: path.to_path_buf(),
                };
                let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?.trim();
                let is_token = text.len() >= MIN_TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
                is_token
                    .then(|| Self(Zeroizing::new(text.to_owned())))
                    .ok_or_else(malformed)
            }
            Err(error) if error.is_not_found() => {
                if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                    create_private_dir(dir)?;
                }
                let secret = Zeroizing::new(rand::random::<[u8; 32]>());
                let text = Zeroizing::new(format!("0x{}", hex::encode(*secret)));
                write_atomically(path, text.as_bytes())?;
                Ok(Self(text))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a caller's token is this one, in a time that does not tell how much of it is.
    pub(crate) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_token_is_made_once_private_and_survives_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("validators").join(TOKEN_FILE);
        let made = ApiToken::open_or_create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 66);
        assert!(made.is(&text) && ApiToken::open_or_create(&path).unwrap().is(&text));
        assert!(!made.is("") && !made.is(&text[..65]) && !made.is(&text.replace('0', "1")));
        assert!(!format!("{made:?}").contains(&text[2..]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_holds_no_token_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOKEN_FILE);
        for wrong in ["", "short", &"x y".repeat(20)] {
            fs::write(&path, wrong).unwrap();
            let error = ApiToken::open_or_create(&path).unwrap_err().to_string();
            assert!(error.contains(TOKEN_FILE), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), wrong);
        }
        // Made by another client, with a line's end.
        let other = format!("api-token-0x{}\n", "ab".repeat(33));
        fs::write(&path, &other).unwrap();
        assert!(ApiToken::open_or_create(&path).unwrap().is(other.trim()));
    }
}
