//! Whose the names in a data directory are. A symbolic link that somebody planted there would lead Coffer to files that
//! are not its own, to empty or to overwrite them; and who may write there can plant one at any time. So a data directory
//! is used only if each name in it is what it should be, belongs to the right user, and nobody else may write to it.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

use super::folder::Folder;
use crate::storage::{Result, StorageError};

const FOLDERS: [&str; 5] = ["archives", "tmp", "trash", "restored", "instances"];
const FILES: [&str; 9] = [
    "lock",
    "archives.id",
    "data.id",
    "admin.token",
    "catalog.db",
    "catalog.db-wal",
    "catalog.db-shm",
    "catalog.db-journal",
    "catalog.ballast",
];

/// Modes that let others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Fails unless the data directory and every name in it can be trusted. A name that does not exist can be.
pub(super) fn check(root: &Folder) -> Result<()> {
    let metadata = root.own_metadata()?;
    let user = User { id: geteuid().as_raw(), owner: metadata.uid() };
    user.require_trusted(&metadata, root.path())?;
    let folders = FOLDERS.map(|name| (name, true)).into_iter();
    for (name, is_folder) in folders.chain(FILES.map(|name| (name, false))) {
        let name = OsStr::new(name);
        let Some(metadata) = root.metadata(name)? else { continue };
        let path = root.path_of(name);
        require_kind(&metadata, is_folder, &path)?;
        user.require_trusted(&metadata, &path)?;
    }
    Ok(())
}

fn untrusted(path: &Path, why: String, mend: String) -> StorageError {
    StorageError::Untrusted { what: path.display().to_string(), why, mend }
}

/// The path for a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

fn require_kind(metadata: &Metadata, is_folder: bool, path: &Path) -> Result<()> {
    let shown = quoted(path);
    if metadata.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_default();
        let why = format!(
            "is a symbolic link to {}, which Coffer does not follow, as it would change what is there",
            target.display()
        );
        let mend = format!(
            "rm {shown} (that removes the link alone; if what it leads to is Coffer's, mount it there instead)"
        );
        return Err(untrusted(path, why, mend));
    }
    let is_right = if is_folder { metadata.is_dir() } else { metadata.is_file() };
    if is_right {
        return Ok(());
    }
    let why = format!("is not a {}", if is_folder { "folder" } else { "regular file" });
    Err(untrusted(path, why, format!("mv {shown} {}", quoted(&path.with_extension("moved")))))
}

/// Who runs this, and whose the data directory is.
struct User {
    id: u32,
    owner: u32,
}

impl User {
    /// Fails if others could replace what is there. Root may use anybody's data directory, but all of it has to be that
    /// user's.
    fn require_trusted(&self, metadata: &Metadata, path: &Path) -> Result<()> {
        let (owner, shown) = (metadata.uid(), quoted(path));
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
