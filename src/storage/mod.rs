//! Places for archives, behind one small trait. Each is a folder or file of this room.
//!
//! What every place promises: nothing is visible before [`Pending::publish`]; an archive is never replaced;
//! what was published survives a power cut; and an error other than "not there" is never taken for "not
//! there".
//!
//! To add a place, implement [`Storage`] in a folder here, name it below, and run the suite in
//! `tests/rooms/storage/conformance.rs` on it.

mod error;
mod local;

use std::io::Write;
use std::sync::Arc;

use crate::domain::{BackupId, Location, ReadAt, Timestamp};

pub use error::StorageError;
pub use local::{Local, LocalSettings, OpenFile, StoreLock, Workspace};

/// A place for archives.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Its name in the catalog and on the wire.
    fn name(&self) -> &'static str;

    /// Begins an archive. `attempt` tells this try from an earlier one of the same backup.
    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>, StorageError>;

    /// Opens an archive for reading, by ranges.
    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, StorageError>;

    /// The archive at this location; `None`: there certainly is none.
    fn stat(&self, location: &Location) -> Result<Option<Stored>, StorageError>;

    /// Every archive, in order of location. A place that lists page by page reads all pages.
    fn list(&self) -> Result<Vec<Stored>, StorageError>;

    /// Removes an archive and its record, durably. It is no error if there is none.
    fn remove(&self, location: &Location) -> Result<(), StorageError>;

    /// What [`Storage::put_record`] put beside an archive last.
    fn record(&self, location: &Location) -> Result<Option<Vec<u8>>, StorageError>;

    /// Puts a small record beside an archive that exists, durably. It replaces an earlier one in one step,
    /// and is not listed.
    fn put_record(&self, location: &Location, record: &[u8]) -> Result<(), StorageError>;
}

/// An archive being written. Dropped, it leaves nothing behind.
pub trait Pending: Write + Send + std::fmt::Debug {
    /// Makes sure that `more` further bytes fit, and reserves room for them where the place can.
    fn reserve(&mut self, more: u64) -> Result<(), StorageError>;

    /// Everything is written: makes it durable, without the room that was reserved but not used. An error is
    /// final; nothing of this attempt can be published.
    fn sync(&mut self) -> Result<(), StorageError>;

    /// Opens what was written for reading: from the disk and not from a cache, as far as possible. Only after
    /// [`Pending::sync`].
    fn reopen(&self) -> Result<Arc<dyn ReadAt>, StorageError>;

    /// Makes it the archive at `location`, durably; never replaces one. `finished` is when the backup was
    /// finished: places that show people a time show this one.
    fn publish(
        self: Box<Self>,
        location: &Location,
        finished: Timestamp,
    ) -> Result<(), StorageError>;
}

/// An archive in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where.
    pub location: Location,
    /// How long, in bytes.
    pub bytes: u64,
    /// When it was proven last, if it is of version 0.1.0, which kept that as the file's time. Means
    /// nothing unless it is later than the archive's own end.
    pub proven_hint: Option<Timestamp>,
}
