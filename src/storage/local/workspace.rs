//! A temporary folder for one job.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::folder::{Folder, failed};
use super::removal;
use crate::storage::StorageError;

/// A private folder. Dropped, it is removed with everything in it, also folders that may not be written.
/// What a crash leaves of one in [`super::Local::scratch`], the next start removes.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
}

impl Workspace {
    /// Makes one in `within`, where `needed` bytes must fit and `headroom` more stay free. Its name is short,
    /// because the path of a server's socket in it may have a hundred bytes at most.
    pub fn make(within: &Path, needed: u64, headroom: u64) -> Result<Self, StorageError> {
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

    pub fn folder(&self, name: &str) -> Result<PathBuf, StorageError> {
        let folder = Folder::open(&self.path)?.make_folder(name.as_ref())?;
        Ok(folder.path().to_owned())
    }

    fn remove(&self) -> Result<u64, StorageError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn is_empty(folder: &Path) -> bool {
        std::fs::read_dir(folder).unwrap().next().is_none()
    }

    #[test]
    fn a_dropped_workspace_is_removed_with_folders_that_may_not_be_written() {
        let within = tempfile::tempdir().unwrap();
        let workspace = Workspace::make(within.path(), 1, 0).unwrap();
        let deep = workspace.folder("data").unwrap().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        for folder in [&deep, deep.parent().unwrap()] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o500)).unwrap();
        }
        let mode = std::fs::metadata(workspace.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(workspace);
        assert!(is_empty(within.path()));
    }

    #[test]
    fn too_little_room_is_refused_with_both_numbers_before_anything_is_made() {
        let within = tempfile::tempdir().unwrap();
        for (needed, headroom) in [(u64::MAX / 2, 0), (0, u64::MAX / 2), (u64::MAX, 7)] {
            let error = Workspace::make(within.path(), needed, headroom).unwrap_err();
            assert!(error.is_full() && error.to_string().contains("are free"), "{error}");
        }
        assert!(is_empty(within.path()));
    }

    #[test]
    fn a_missing_parent_folder_is_an_error_that_names_it() {
        let error = Workspace::make(Path::new("/nowhere/at/all"), 0, 0).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
