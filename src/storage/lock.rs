//! One process a store.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::StorageError;
use super::folder::failed;

/// The right to write in a store. Held as long as this lives; the kernel takes it back when the process
/// ends, however it ends, so no stale lock is ever left.
#[derive(Debug)]
#[must_use = "the store is unlocked as soon as this is dropped"]
pub struct StoreLock {
    _file: File,
}

/// Takes the lock `path`, or says who cannot have it both.
pub(super) fn take(path: &Path) -> Result<StoreLock, StorageError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .map_err(failed("opening", path))?;
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(StoreLock { _file: File::from(fd) }),
        Err(Errno::WOULDBLOCK) => Err(StorageError::Locked { what: path.display().to_string() }),
        Err(error) => Err(failed("locking", path)(error)),
    }
}
