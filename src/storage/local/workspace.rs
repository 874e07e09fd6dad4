//! A temporary folder for one job.

use std::fs::{File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;

use super::folder::{Folder, failed};
use crate::disk::open_regular;
use crate::storage::{Result, StorageError};

/// A private folder. Dropped, it is removed with everything in it, also folders that may not be written.
/// What a crash leaves of one, the next to be made beside it removes.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    /// Locked as long as the job lives.
    _lock: File,
}

pub(super) const PREFIX: &str = "drill-";
/// The file that is locked, in the folder.
const LOCK: &str = "coffer.lock";

impl Workspace {
    /// Makes one in `within`, where `needed` bytes must fit and `headroom` more stay free. Its name is short,
    /// because the path of a server's socket in it may have a hundred bytes at most.
    pub fn make(within: &Path, needed: u64, headroom: u64) -> Result<Self> {
        remove_abandoned(within);
        let free = Folder::open_named(within)?.free_bytes()?;
        let needed = needed.saturating_add(headroom);
        if needed > free {
            return Err(StorageError::Full { what: within.display().to_string(), needed, free });
        }
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(within)
            .map_err(failed("creating a folder in", within))?;
        let lock = File::create_new(made.path().join(LOCK))
            .and_then(|file| {
                Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).map(|()| file)?)
            })
            .map_err(failed("locking", made.path()))?;
        Ok(Self { path: made.keep(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = Folder::open(&self.path)?.make_folder(name.as_ref())?;
        Ok(folder.path().to_owned())
    }

    fn remove(&self) -> Result<u64> {
        let (Some(within), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Ok(0);
        };
        Folder::open_named(within)?.remove_tree(name)
    }
}

/// Removes the folders of jobs whose process was killed: nobody holds their lock. What cannot be removed stays.
fn remove_abandoned(within: &Path) {
    let Ok(entries) = std::fs::read_dir(within) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let own = |it: &std::fs::Metadata| it.is_dir() && it.uid() == geteuid().as_raw();
        if !name.as_bytes().starts_with(PREFIX.as_bytes())
            || !entry.metadata().is_ok_and(|it| own(&it))
        {
            continue;
        }
        let Ok(lock) = open_regular(&entry.path().join(LOCK), File::options().read(true)) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let removed = Folder::open_named(within).and_then(|within| within.remove_tree(&name));
        if let Err(error) = removed {
            log::warn!("removing {}: {error}; it is left over", entry.path().display());
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::warn!("removing {}: {error}; it is left over", self.path.display());
        }
    }
}
