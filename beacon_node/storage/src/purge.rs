//! Deleting a database.

use crate::StorageError;
use crate::storage::database_dir;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file that LevelDB locks while a database is open.
const LOCK: &str = "LOCK";

/// Where a database is while it is deleted: nobody opens half of one there.
fn aside(datadir: &Path) -> PathBuf {
    database_dir(datadir).with_extension("purged")
}

fn directory_error(path: &Path) -> impl FnOnce(std::io::Error) -> StorageError {
    let path = path.to_owned();
    move |source| StorageError::Directory { path, source }
}

/// Deletes the database below a data directory, and gives whether there was one. One that a node has open is left as it
/// is.
pub fn purge_database(datadir: &Path) -> Result<bool, StorageError> {
    remove_purged(datadir)?;
    let path = database_dir(datadir);
    let lock = match File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
    {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(directory_error(&path)(error)),
    };
    // As LevelDB does it; it ends with this process, if not before.
    match fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::AGAIN | Errno::ACCESS) => return Err(StorageError::Locked { path }),
        Err(error) => return Err(directory_error(&path)(error.into())),
    }
    fs::rename(&path, aside(datadir)).map_err(directory_error(&path))?;
    remove_purged(datadir)?;
    Ok(true)
}

/// Deletes what a purge has left that was stopped half way.
pub(crate) fn remove_purged(datadir: &Path) -> Result<(), StorageError> {
    let path = aside(datadir);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(directory_error(&path)(error)),
        _ => Ok(()),
    }
}
