//! Where archives lie: one file per kind of place.
//!
//! A place gives promises, not just bytes: nothing is visible before [`Pending::publish`], a name is never
//! given twice, what was published survives a power cut, and an error other than "not there" is never
//! taken for "not there".

mod error;
mod folder;
mod listing;
mod local;
mod lock;
mod moving;
mod pending;
mod place;
mod removal;
mod trash;
mod url;
mod workspace;

#[cfg(test)]
mod conformance;

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::{BackupId, Location, ReadAt, Timestamp};

pub use error::StorageError;
pub use local::{Local, LocalSettings};
pub use lock::StoreLock;
pub use workspace::Workspace;

/// An archive being written. Dropped, it leaves nothing behind.
pub trait Pending: Write + Send + std::fmt::Debug {
    /// Makes sure that `more` further bytes fit, and keeps room for them where the filesystem can.
    fn reserve(&mut self, more: u64) -> Result<(), StorageError>;

    /// Everything is written: gives back what was reserved but not used, and syncs it to the disk.
    /// An error is final: nothing of this attempt is published.
    fn sync(&mut self) -> Result<(), StorageError>;

    /// What was written, read back from the disk and not from the cache, as far as the system can.
    /// Only after [`Pending::sync`].
    fn reopen(&self) -> Result<Arc<dyn ReadAt>, StorageError>;

    /// Makes it the archive at `location`, durably; never replaces one. `modified` becomes the file's
    /// modification time: a rebuilt catalog takes the backup's `updated` and `verified_at` from it.
    fn publish(
        self: Box<Self>,
        location: &Location,
        modified: Timestamp,
    ) -> Result<(), StorageError>;
}

/// An archive that lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where.
    pub location: Location,
    /// How long, in bytes.
    pub bytes: u64,
    /// Its modification time: when it was proven last.
    pub modified: Timestamp,
}

/// A place for archives.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// The word for it on the wire (`storage_driver`).
    fn name(&self) -> &'static str;

    /// Begins an archive. `attempt` tells this try from an earlier one of the same backup.
    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>, StorageError>;

    /// Opens an archive for reading.
    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, StorageError>;

    /// Opens an archive for a download.
    fn open_file(&self, location: &Location) -> Result<File, StorageError>;

    /// Whether it is there, and how long it is; `None`: certainly not there.
    fn stat(&self, location: &Location) -> Result<Option<Stored>, StorageError>;

    /// Sets an archive's modification time: it was proven again.
    fn touch(&self, location: &Location, modified: Timestamp) -> Result<(), StorageError>;

    /// Takes an archive out of the store into the trash, durably. One that is not there is fine.
    fn discard(&self, location: &Location) -> Result<(), StorageError>;

    /// Removes what has been in the trash for at least `window`, and gives back how many bytes that was.
    /// Needs no free space.
    fn empty_trash(&self, window: std::time::Duration) -> Result<u64, StorageError>;

    /// Every archive in the store, in order of location.
    fn list(&self) -> Result<Vec<Stored>, StorageError>;

    /// Removes what unfinished attempts left behind. Called before the first attempt, by the process that
    /// holds the lock.
    fn sweep(&self) -> Result<usize, StorageError>;

    /// Bytes that may still be written.
    fn free_bytes(&self) -> Result<u64, StorageError>;

    /// A folder on the same filesystem for unnamed temporary files.
    fn scratch(&self) -> &Path;

    /// The `file://` URL of an archive, as the API shows it: one text in two parts, the store's and that of
    /// the location, which is not looked at further. Whoever opens it parses it.
    fn url<'a>(&'a self, location: &'a str) -> [Cow<'a, str>; 2];

    /// The location of an archive given as such a URL; anything that is not below the store is an error.
    fn locate(&self, url: &str) -> Result<Location, StorageError>;

    /// The archive's path, for people who restore without Coffer.
    fn path(&self, location: &Location) -> PathBuf;
}
