//! The folder beside the target in which a restore is made.

use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, fchmod, flock, removexattr, renameat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::disk::{open_folder, remove_tree, rename_to_free_name};
use crate::domain::LeftOut;
use crate::engine::{EngineError, Result};

/// How the names of these folders begin.
const PREFIX: &str = ".coffer-";

/// A private folder on the target's filesystem. Dropping it removes it with everything in it; if the process is killed,
/// the next restore to the same target does.
#[derive(Debug)]
pub(in crate::engine) struct Staging {
    path: PathBuf,
    /// The folder, locked as long as the restore lives.
    folder: File,
    /// What of the archive could not be restored into it.
    pub(super) lost: Vec<LeftOut>,
}

impl Staging {
    /// Creates one beside `target`, whose parent folder must exist.
    pub(in crate::engine) fn beside(target: &Path) -> Result<Self> {
        let (parent, prefix) = (parent_of(target), prefix_of(target));
        for path in abandoned(&parent, &prefix) {
            log::info!("{} is left of a restore that was killed: it is removed", path.display());
            if let Err(error) = remove_tree(&path) {
                log::warn!("{} could not be removed: {error}", path.display());
            }
        }
        let failed =
            |error| EngineError::target("creating a folder to restore into, in", &parent, error);
        loop {
            let created = tempfile::Builder::new()
                .prefix(&prefix)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(&parent)
                .map_err(failed)?;
            let folder = open_folder(created.path()).map_err(failed)?;
            // Another restore may have taken it for one that was left.
            if flock(&folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
                continue;
            }
            let staging = Self { path: created.keep(), folder, lost: Vec::new() };
            staging.clear_inherited()?;
            return Ok(staging);
        }
    }

    /// Removes what the parent folder passes on, and everything restored would inherit: access control lists, and the
    /// set-group bit. By the open folder: where others may write, its name could lead elsewhere by now.
    fn clear_inherited(&self) -> Result<()> {
        let failed = |error: Errno| EngineError::target("preparing", &self.path, error);
        let by_handle = format!("/proc/self/fd/{}", self.folder.as_raw_fd());
        for list in ["system.posix_acl_default", "system.posix_acl_access"] {
            match removexattr(by_handle.as_str(), list) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        fchmod(&self.folder, Mode::RWXU).map_err(failed)
    }

    /// The folder, for what is created in it.
    pub(super) fn opened(&self) -> Result<OwnedFd> {
        let again = self.folder.as_fd().try_clone_to_owned();
        again.map_err(|error| EngineError::target("opening", &self.path, error))
    }

    /// Fails if its name leads to something else by now.
    fn require_in_place(&self) -> Result<()> {
        let in_place = self.is_in_place().and_then(|it| {
            let why = "another program put something else there during the restore; restore into a folder that \
                       nobody else may write to";
            if it { Ok(()) } else { Err(io::Error::other(why)) }
        });
        in_place
            .map_err(|error| EngineError::target("placing what was restored in", &self.path, error))
    }

    fn is_in_place(&self) -> io::Result<bool> {
        let (mine, found) = (self.folder.metadata()?, std::fs::symlink_metadata(&self.path)?);
        Ok((mine.dev(), mine.ino()) == (found.dev(), found.ino()))
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
        self.require_in_place()?;
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
        self.require_in_place()?;
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
        let removed = self.is_in_place().and_then(|is_own| {
            // What another program put there is none of ours.
            if is_own { remove_tree(&self.path) } else { Ok(()) }
        });
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{} could not be removed: {error}", self.path.display());
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// How the names of the folders begin in which restores to this target are made. Short, because a server's socket may be
/// in one, and different for each target.
fn prefix_of(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default();
    format!("{PREFIX}{:08x}-", crc32fast::hash(name.as_bytes()))
}

/// Whether a folder has a name that restores make.
fn is_staging_name(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    let hash = rest.and_then(|rest| rest.split_once('-')).map(|(hash, _random)| hash);
    hash.is_some_and(|hash| hash.len() == 8 && hash.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// Folders in `parent` that restores left which were killed: nobody holds their lock.
pub(crate) fn left_in(parent: &Path) -> Vec<PathBuf> {
    let found = abandoned(parent, PREFIX);
    found.into_iter().filter(|it| it.file_name().is_some_and(is_staging_name)).collect()
}

/// The folders in `parent` whose name begins so, that are this user's, and whose lock nobody holds.
fn abandoned(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let named = entries
        .flatten()
        .filter(|it| it.file_name().as_bytes().starts_with(prefix.as_bytes()))
        .map(|it| it.path());
    named.filter(|path| open_folder(path).is_ok_and(|it| is_abandoned(&it))).collect()
}

fn is_abandoned(folder: &File) -> bool {
    let own = |it: Metadata| it.uid() == geteuid().as_raw();
    folder.metadata().is_ok_and(own)
        && flock(folder, FlockOperation::NonBlockingLockExclusive).is_ok()
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
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_restore_removes_what_a_killed_one_to_the_same_target_left_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("shop.db");
        let (running, other) = (Staging::beside(&target).unwrap(), parent.path().join("other.db"));
        // Folders without a lock, as a killed process leaves them.
        let killed = [&target, &other].map(|target| {
            let path = parent.path().join(format!("{}x", prefix_of(target)));
            std::fs::create_dir(&path).unwrap();
            path
        });
        let foreign = parent.path().join(".coffer-notes");
        std::fs::create_dir(&foreign).unwrap();
        let mut found = left_in(parent.path());
        found.sort();
        let mut expected = killed.to_vec();
        expected.sort();
        assert_eq!(found, expected);
        let next = Staging::beside(&target).unwrap();
        assert!([next.path(), running.path(), &foreign].iter().all(|it| it.exists()));
        assert_eq!(killed.each_ref().map(|it| it.exists()), [false, true]);
    }

    #[test]
    fn a_staging_folder_that_was_replaced_is_not_placed() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("target");
        let staging = Staging::beside(&target).unwrap();
        let away = parent.path().join("away");
        renameat(CWD, staging.path(), CWD, &away).unwrap();
        symlink(&away, staging.path()).unwrap();
        staging.place_folder("", &target).unwrap_err();
        assert!(!target.exists() && away.exists());
    }
}
