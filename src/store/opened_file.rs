//! Notices when the catalog's file is removed or replaced while it is open: what is written then would be lost.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Result, StoreError};

#[derive(Debug)]
pub(super) struct OpenedFile {
    path: PathBuf,
    id: (u64, u64),
    /// The write-ahead log, as it was first seen: it stays as long as the database is open.
    log: OnceLock<(u64, u64)>,
    /// The greatest length that it was seen with. SQLite never makes it shorter.
    length: AtomicU64,
    moved: AtomicBool,
}

fn id_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl OpenedFile {
    /// The file that this path leads to now.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path)
            .map_err(|source| StoreError::Unreachable { path: path.to_owned(), source })?;
        let (id, length) = (id_of(&metadata), AtomicU64::new(metadata.len()));
        let (path, log) = (path.to_owned(), OnceLock::new());
        Ok(Self { path, id, log, length, moved: AtomicBool::new(false) })
    }

    /// Looks whether the path still leads to it; if not, nothing is written until it does again.
    pub(super) fn check(&self) -> Option<String> {
        let why = match std::fs::metadata(&self.path) {
            Ok(metadata) if id_of(&metadata) == self.id => {
                let before = self.length.fetch_max(metadata.len(), Ordering::AcqRel);
                let is_cut = metadata.len() < before;
                is_cut.then_some("it was cut short").or_else(|| self.check_log())
            }
            Ok(_other) => Some("another file is in its place"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("it was removed"),
            // That it cannot be reached for a moment says nothing.
            Err(_unknown) => return None,
        };
        self.moved.store(why.is_some(), Ordering::Release);
        why.map(|why| format!("{}: {why}", StoreError::Moved { path: self.path.clone() }))
    }

    /// What became of the write-ahead log, which has the newest writes, if it is not the one that was there.
    fn check_log(&self) -> Option<&'static str> {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        match std::fs::metadata(&path) {
            Ok(metadata) if *self.log.get_or_init(|| id_of(&metadata)) == id_of(&metadata) => None,
            Ok(_other) => Some("its write-ahead log was replaced"),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.log.get().is_some() => {
                Some("its write-ahead log was removed")
            }
            Err(_unknown) => None,
        }
    }

    /// Whether the last check found it gone.
    pub(super) fn is_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }

    /// Fails if the last check found it gone.
    pub(super) fn require(&self) -> Result<()> {
        if self.is_moved() {
            return Err(StoreError::Moved { path: self.path.clone() });
        }
        Ok(())
    }
}
