//! One process per directory.

use crate::file::FileError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// A directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{path}: locked by another process{}; two clients must never run on the same keys, stop the other one first",
        .holder.as_ref().map(|id| format!(" (process id {id})")).unwrap_or_default()
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Process id that the holder wrote, if readable.
        holder: Option<String>,
    },
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An exclusive lock of the operating system on a file; held until dropped, and released by the system when the
/// process dies in whatever way. The file stays: removing it would let two processes lock two files of one name.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    path: PathBuf,
}

impl LockFile {
    /// Locks the file at `path`, creating it if needed.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options
            .open(path)
            .map_err(|source| FileError::io(path, "open the lock file", source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(20).read_to_string(&mut holder);
                let holder = holder.trim();
                return Err(LockError::Held {
                    path: path.to_path_buf(),
                    holder: (!holder.is_empty()).then(|| holder.to_owned()),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(FileError::io(path, "lock the file", source).into());
            }
        }
        // For the reader of the error above only; the lock does not depend on it.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Closing would do it too, unless a child process inherited the file.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_lock_is_refused_with_the_holder_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = LockFile::acquire(&path).unwrap();
        let error = LockFile::acquire(&path).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        LockFile::acquire(&path).unwrap();
    }

    #[test]
    fn file_left_by_a_killed_process_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "12345\n").unwrap();
        LockFile::acquire(&path).unwrap();
    }
}
