//! The folder beside the target in which a restore is made.

use std::fs::{File, Permissions};
use std::io;
use std::mem;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, chmod, removexattr, renameat};
use rustix::io::Errno;

use crate::disk::rename_to_free_name;
use crate::domain::LeftOut;
use crate::engine::{EngineError, Result};

/// A private folder named `.coffer-…` on the target's filesystem. Dropping it removes it with everything in it.
#[derive(Debug)]
pub(in crate::engine) struct Staging {
    path: PathBuf,
    /// What of the archive could not be restored into it.
    pub(super) lost: Vec<LeftOut>,
}

impl Staging {
    /// Creates one beside `target`, whose parent folder must exist.
    pub(in crate::engine) fn beside(target: &Path) -> Result<Self> {
        let folder = parent_of(target);
        let created = tempfile::Builder::new()
            .prefix(".coffer-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&folder)
            .map_err(|error| {
                EngineError::target("creating a folder to restore into, in", &folder, error)
            })?;
        let staging = Self { path: created.keep(), lost: Vec::new() };
        staging.clear_inherited()?;
        Ok(staging)
    }

    /// Removes what the parent folder passes on, and everything restored would inherit: access control lists, and the
    /// set-group bit.
    fn clear_inherited(&self) -> Result<()> {
        for list in ["system.posix_acl_default", "system.posix_acl_access"] {
            match removexattr(&self.path, list) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => {}
                Err(error) => return Err(EngineError::target("preparing", &self.path, error)),
            }
        }
        chmod(&self.path, Mode::RWXU)
            .map_err(|error| EngineError::target("preparing", &self.path, error))
    }

    pub(in crate::engine) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the file `name` in it to `target`, which must not exist, durably. Returns what could not be restored.
    pub(in crate::engine) fn place_file(
        mut self,
        name: &str,
        target: &Path,
    ) -> Result<Vec<LeftOut>> {
        rename_to_free_name((CWD, self.path.join(name)), (CWD, target))
            .map_err(|error| EngineError::target("placing", target, error))?;
        let lost = mem::take(&mut self.lost);
        drop(self);
        sync(target)?;
        Ok(lost)
    }

    /// Moves the folder `name` in it, or itself if the name is empty, to `target`, durably. The rest is removed.
    /// rename(2) of a folder can only replace an empty folder. Returns what could not be restored.
    pub(in crate::engine) fn place_folder(
        mut self,
        name: &str,
        target: &Path,
    ) -> Result<Vec<LeftOut>> {
        renameat(CWD, self.path.join(name), CWD, target)
            .map_err(|error| EngineError::target("placing", target, error))?;
        let lost = mem::take(&mut self.lost);
        drop(self);
        sync(target)?;
        Ok(lost)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        match remove_tree(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{} could not be removed: {error}", self.path.display());
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Removes a tree, even if its restored folders are not writable.
fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path)?;
            std::fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Gives the owner all permissions on the folders of a tree.
fn make_writable(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

fn sync(target: &Path) -> Result<()> {
    let folder = parent_of(target);
    File::open(&folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| EngineError::target("syncing", &folder, error))
}

fn parent_of(target: &Path) -> PathBuf {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_writable_before_they_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let deep = parent.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        for folder in [&deep, &parent.path().join("a")] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o500)).unwrap();
        }
        make_writable(&parent.path().join("a")).unwrap();
        for folder in ["a", "a/b"] {
            let mode = std::fs::metadata(parent.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
    }
}
