//! A temporary folder for one job.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::folder::{Folder, failed};
use super::removal;
use crate::storage::{Result, StorageError};

/// A private folder. Dropped, it is removed with everything in it, also folders that may not be written.
/// What a crash leaves of one in [`super::Local::scratch`], the next start removes.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
}

impl Workspace {
    /// Makes one in `within`, where `needed` bytes must fit and `headroom` more stay free. Its name is short,
    /// because the path of a server's socket in it may have a hundred bytes at most.
    pub fn make(within: &Path, needed: u64, headroom: u64) -> Result<Self> {
        let free = Folder::open(within)?.free_bytes()?;
        let needed = needed.saturating_add(headroom);
        if needed > free {
            return Err(StorageError::Full { what: within.display().to_string(), needed, free });
        }
        let made = tempfile::Builder::new()
            .prefix("drill-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(within)
            .map_err(failed("creating a folder in", within))?;
        Ok(Self { path: made.keep() })
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
        removal::remove(&Folder::open(within)?, name, &name.to_string_lossy())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::warn!("removing {}: {error}; it is left over", self.path.display());
        }
    }
}
