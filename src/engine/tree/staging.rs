//! The folder beside a target that a restore is made in.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Mode, RenameFlags, chmod, linkat, removexattr, renameat, renameat_with,
};
use rustix::io::Errno;

use crate::engine::EngineError;

/// A folder named `.coffer-…`, for its owner only, on the target's filesystem. Dropped, it is removed
/// with all that is in it.
#[derive(Debug)]
pub(in crate::engine) struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Makes one beside `target`, whose folder must exist.
    pub(in crate::engine) fn beside(target: &Path) -> Result<Self, EngineError> {
        let folder = folder_of(target);
        let made = tempfile::Builder::new()
            .prefix(".coffer-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&folder)
            .map_err(|error| {
                EngineError::target("making a folder to restore in, in", &folder, error)
            })?;
        let made = Self { path: made.keep() };
        made.disinherit()?;
        Ok(made)
    }

    /// Takes off what the folder around passes on to new ones: access lists that would end up on everything
    /// restored, and the set-group bit.
    fn disinherit(&self) -> Result<(), EngineError> {
        for list in ["system.posix_acl_default", "system.posix_acl_access"] {
            match removexattr(&self.path, list) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => {}
                Err(error) => {
                    return Err(EngineError::target("preparing", &self.path, error));
                }
            }
        }
        chmod(&self.path, Mode::RWXU)
            .map_err(|error| EngineError::target("preparing", &self.path, error))
    }

    /// Where it is.
    pub(in crate::engine) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the file `name` out of it to `target`, where nothing may be, durably.
    pub(in crate::engine) fn place_file(
        self,
        name: &str,
        target: &Path,
    ) -> Result<(), EngineError> {
        let from = self.path.join(name);
        let placed = match renameat_with(CWD, &from, CWD, target, RenameFlags::NOREPLACE) {
            // A filesystem that does not know the flag knows hard links, which never replace either.
            Err(Errno::INVAL | Errno::NOSYS) => linkat(CWD, &from, CWD, target, AtFlags::empty()),
            other => other,
        };
        placed.map_err(|error| EngineError::target("placing", target, error))?;
        drop(self);
        sync(target)
    }

    /// Becomes the folder `target`, durably. rename(2) of a folder replaces an empty folder and nothing
    /// else: not a file, not a link, not a folder in which something lies.
    pub(in crate::engine) fn place_folder(self, target: &Path) -> Result<(), EngineError> {
        renameat(CWD, &self.path, CWD, target)
            .map_err(|error| EngineError::target("placing", target, error))?;
        sync(target)
    }

    /// The folder `name` in it becomes the folder `target`, as in [`Staging::place_folder`]; the rest is removed.
    pub(in crate::engine) fn place_folder_in_it(
        self,
        name: &str,
        target: &Path,
    ) -> Result<(), EngineError> {
        renameat(CWD, self.path.join(name), CWD, target)
            .map_err(|error| EngineError::target("placing", target, error))?;
        drop(self);
        sync(target)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        match erase(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!(
                    "{} is left over and could not be removed: {error}",
                    self.path.display()
                );
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Removes a tree, also one whose restored folders may not be written.
fn erase(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            std::fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Gives the owner every right to the folders of a tree.
fn open_up(folder: &Path) -> io::Result<()> {
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes the name `target` durable.
fn sync(target: &Path) -> Result<(), EngineError> {
    let folder = folder_of(target);
    File::open(&folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| EngineError::target("syncing", &folder, error))
}

/// The folder a target lies in; `.` for a bare name.
fn folder_of(target: &Path) -> PathBuf {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_may_not_be_written_are_opened_up_before_they_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let deep = parent.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        for folder in [&deep, &parent.path().join("a")] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o500)).unwrap();
        }
        open_up(&parent.path().join("a")).unwrap();
        for folder in ["a", "a/b"] {
            let mode = std::fs::metadata(parent.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
    }
}
