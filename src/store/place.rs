//! Where the database file is, and how it is opened for reading.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::disk_reserve::is_read_only;
use super::{Result, StoreError};
use crate::disk::Mount;

pub(super) const READ_ONLY: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(EVERYWHERE).union(OpenFlags::SQLITE_OPEN_URI);
/// A link in the place of the file is refused: it could lead to a file of somebody else's.
pub(super) const EVERYWHERE: OpenFlags =
    OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

/// Where the database is. The folder's real path, because SQLite may follow no link, and would refuse also one on
/// the way to the folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: PathBuf,
    /// Whether the file is certainly not changed: on a read-only filesystem, and without a log. Then SQLite needs no
    /// files beside it, which it could not make there.
    immutable: bool,
}

impl Place {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let real = folder.unwrap_or(Path::new(".")).canonicalize();
        let real = real.map_err(|source| unreachable(path, source))?;
        let path = real.join(path.file_name().unwrap_or_default());
        let mut place = Self { path, immutable: false };
        place.immutable =
            is_read_only(&real) && std::fs::metadata(place.log()).is_ok_and(|it| it.len() == 0);
        Ok(place)
    }

    /// The write-ahead log, which has the newest writes.
    pub(super) fn log(&self) -> PathBuf {
        self.beside("-wal")
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(end);
        path.into()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails if SQLite would wait for one of its files, or write to one that is somebody else's, too: it empties a log.
    pub(super) fn require_own_files(&self) -> Result<()> {
        for (end, may_be_linked) in
            [("", true), ("-journal", false), ("-wal", false), ("-shm", false)]
        {
            let path = self.beside(end);
            let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
            let why = if !found.is_file() {
                "is not a regular file"
            } else if found.nlink() > 1 && !may_be_linked {
                "has another name, under which it would be changed, too"
            } else if is_mounted(&path) {
                "is mounted there, and what is mounted would be changed"
            } else {
                continue;
            };
            return Err(StoreError::Foreign { path, why });
        }
        Ok(())
    }

    /// What SQLite is to open for reading.
    pub(super) fn name(&self) -> PathBuf {
        if self.immutable { self.name_without_log() } else { self.path.clone() }
    }

    fn name_without_log(&self) -> PathBuf {
        let path = self.path.to_string_lossy();
        let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        format!("file:{escaped}?immutable=1").into()
    }

    /// What is in the file itself, whatever its log says. The file is not opened in another way beside SQLite, because
    /// closing it would end SQLite's locks (`https://sqlite.org/howtocorrupt.html`, section 2.2).
    pub(super) fn open_without_log(&self) -> rusqlite::Result<Connection> {
        Connection::open_with_flags(self.name_without_log(), READ_ONLY)
    }

    /// A connection that only reads.
    pub(super) fn read_once(&self) -> rusqlite::Result<Connection> {
        Connection::open_with_flags(self.name(), READ_ONLY)
    }
}

/// Whether the file is a mount of its own, for certain.
fn is_mounted(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| Mount::of(folder).ok());
    folder.zip(Mount::of(path).ok()).is_some_and(|(folder, own)| own.is_other(folder))
}

pub(super) fn unreachable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unreachable { path: path.to_owned(), source }
}
