//! Notices when the catalog's file is removed or replaced while it is open: what is written then would be lost.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Result, StoreError};

#[derive(Debug)]
pub(super) struct OpenedFile {
    path: PathBuf,
    id: (u64, u64),
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
        Ok(Self { path: path.to_owned(), id: id_of(&metadata), moved: AtomicBool::new(false) })
    }

    /// Looks whether the path still leads to it; if not, nothing is written until it does again.
    pub(super) fn check(&self) -> Option<String> {
        let why = match std::fs::metadata(&self.path) {
            Ok(metadata) if id_of(&metadata) == self.id => None,
            Ok(_other) => Some("another file is in its place"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("it was removed"),
            // That it cannot be reached for a moment says nothing.
            Err(_unknown) => return None,
        };
        self.moved.store(why.is_some(), Ordering::Release);
        why.map(|why| format!("{}: {why}", StoreError::Moved { path: self.path.clone() }))
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
