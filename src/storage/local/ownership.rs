//! Whose the names in a data directory are. A symbolic link that somebody planted there would lead Coffer to files that
//! are not its own, to empty or to overwrite them; and who may write there can plant one at any time. So a data directory
//! is used only if each name in it is what it should be, belongs to the right user, and nobody else may write to it.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::geteuid;

use super::folder::{Folder, failed};
use crate::domain::shell_word;
use crate::storage::{Result, StorageError};

const FOLDERS: [&str; 6] = ["archives", "tmp", "trash", "restored", "instances", "uploads"];
const FILES: [&str; 13] = [
    "lock",
    "archives.id",
    "data.id",
    "owner.id",
    "admin.token",
    "signing.key",
    "tested-keys",
    "users.json",
    "catalog.db",
    "catalog.db-wal",
    "catalog.db-shm",
    "catalog.db-journal",
    "catalog.ballast",
];

/// How many levels of folders Coffer makes in these: `<project>/[<container>/]<instance>/`, and `<project>/<instance>/`.
const LEVELS: [(&str, u32); 2] = [("archives", 3), ("restored", 2)];

/// Modes that let others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Fails unless the data directory and every name in it can be trusted. A name that does not exist can be.
pub(super) fn check(root: &Folder) -> Result<()> {
    let metadata = root.own_metadata()?;
    let user = User::over(&metadata);
    user.require_trusted(&metadata, root.path())?;
    let folders = FOLDERS.map(|name| (name, true)).into_iter();
    for (name, is_folder) in folders.chain(FILES.map(|name| (name, false))) {
        let name = OsStr::new(name);
        let Some(metadata) = root.metadata(name)? else { continue };
        let path = root.path_of(name);
        require_kind(&metadata, is_folder, &path)?;
        user.require_trusted(&metadata, &path)?;
    }
    for (name, levels) in LEVELS {
        match root.open_folder(OsStr::new(name)) {
            Ok(folder) => user.check_below(&folder, levels)?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(failed("opening", &root.path_of(name))(error)),
        }
    }
    Ok(())
}

/// Fails unless the folder `inner` can be trusted as much as `above`, which it is in.
pub(super) fn check_inner(above: &Folder, inner: &Folder) -> Result<()> {
    User::over(&above.own_metadata()?).require_trusted(&inner.own_metadata()?, inner.path())
}

fn untrusted(path: &Path, why: String, mend: String) -> StorageError {
    StorageError::Untrusted { what: path.display().to_string(), why, mend }
}

/// A name that nothing else is moved to.
fn moved(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".moved");
    name.into()
}

fn require_kind(metadata: &Metadata, is_folder: bool, path: &Path) -> Result<()> {
    let shown = shell_word(path);
    if metadata.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_default();
        let why = format!(
            "is a symbolic link to {}, which Coffer does not follow, as it would change what is there",
            target.display()
        );
        let mend = format!(
            "rm {shown} (that removes the link alone; if what it leads to is Coffer's, move it to {shown}. To have all of it on another disk, set data_dir to a folder there)"
        );
        return Err(untrusted(path, why, mend));
    }
    let is_right = if is_folder { metadata.is_dir() } else { metadata.is_file() };
    if is_right {
        return Ok(());
    }
    let why = format!("is not a {}", if is_folder { "folder" } else { "regular file" });
    Err(untrusted(path, why, format!("mv {shown} {}", shell_word(moved(path)))))
}

/// Who runs this, and whose the data directory is.
struct User {
    id: u32,
    owner: u32,
}

impl User {
    /// This process, in a folder with this metadata.
    fn over(folder: &Metadata) -> Self {
        Self { id: geteuid().as_raw(), owner: folder.uid() }
    }

    /// Fails unless the folders in `folder`, so many levels deep, can be trusted. Links to files and other names are no
    /// folders of Coffer's and are left alone.
    fn check_below(&self, folder: &Folder, levels: u32) -> Result<()> {
        for name in folder.folder_names()? {
            let name = name?;
            let Some(metadata) = folder.metadata(&name)? else { continue };
            let path = folder.path_of(&name);
            let leads_to_folder = || std::fs::metadata(&path).is_ok_and(|it| it.is_dir());
            let is_folder = metadata.is_dir() || metadata.is_symlink() && leads_to_folder();
            if !is_folder {
                continue;
            }
            require_kind(&metadata, true, &path)?;
            self.require_trusted(&metadata, &path)?;
            if levels > 1 {
                match folder.open_folder(&name) {
                    Ok(inner) => self.check_below(&inner, levels - 1)?,
                    // It was removed meanwhile, or is closed to this user: then it is none of Coffer's.
                    Err(Errno::NOENT | Errno::ACCESS) => {}
                    Err(error) => return Err(failed("opening", &path)(io::Error::from(error))),
                }
            }
        }
        Ok(())
    }

    /// Fails if others could replace what is there. Root may use anybody's data directory, but all of it has to be that
    /// user's.
    fn require_trusted(&self, metadata: &Metadata, path: &Path) -> Result<()> {
        let (owner, shown) = (metadata.uid(), shell_word(path));
        let right = if self.id == 0 { self.owner } else { self.id };
        if owner != right && owner != 0 {
            let why = format!("belongs to user {owner} and not to user {right}");
            return Err(untrusted(path, why, format!("chown {right} {shown}")));
        }
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            let why =
                format!("can be written by other users (mode {:o})", metadata.mode() & 0o7777);
            let mend = format!("chmod go-w {shown}");
            return Err(untrusted(path, why, mend));
        }
        Ok(())
    }
}
