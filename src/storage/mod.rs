//! Storage of archives, behind one small trait. Each backend is a folder or file of this room.
//!
//! What every backend promises: nothing is visible before [`Pending::publish`]; an archive is never replaced;
//! what was published survives a power cut; and an error other than "not there" is never taken for "not
//! there".
//!
//! To add a backend, implement [`Storage`] in a folder here, name it below, and run the suite in
//! `tests/rooms/storage/conformance.rs` on it. Somewhere that holds copies is a [`Place`]: a file or folder here too, with
//! the suite in `tests/rooms/storage/places.rs`.

mod disk;
mod disk_fleet;
mod encrypted_place;
mod encrypted_storage;
mod error;
mod fleet;
mod local;
mod owner;
mod place;
mod requests;
mod s3;
mod swift;
mod with_places;

use std::io::{self, Write};
use std::sync::Arc;

use crate::domain::{BackupId, Location, ReadAt, Timestamp};
use crate::encryption::Identities;

pub use disk::{Disk, DiskSettings};
pub use encrypted_place::EncryptedPlace;
pub use encrypted_storage::EncryptedStorage;
pub use error::{Result, StorageError};
pub use fleet::{Fleet, FleetPage};
pub use local::{
    DataDirLock, Discarded, FolderId, KnownArchives, Local, LocalSettings, OpenArchives, OpenFile,
    Workspace,
};
pub use place::{MOST_PARTS, Observation, Place, Upload, UploadPlan, Vouched};
pub use requests::Refusal;
pub use s3::{KeySource, S3, S3Settings};
pub use swift::{LoginSource, Swift, SwiftSettings};
pub use with_places::{PlaceList, WithPlaces};

pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Its name in the catalog and on the wire.
    fn name(&self) -> &'static str;

    /// Begins an archive. `attempt` tells this try from an earlier one of the same backup.
    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>>;

    /// Opens an archive for reading, by ranges.
    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>>;

    /// Opens an archive that went from here because copies of it are proven, wherever it can be read.
    fn open_copy(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        self.open(location)
    }

    /// The public keys that archives are encrypted to which are written from now on; none: they are not encrypted.
    fn recipients(&self) -> &[String] {
        &[]
    }

    /// The archive in an encrypted file of this storage, or of a copy of it. The default has no keys.
    fn decrypt(&self, location: &Location, file: Arc<dyn ReadAt>) -> Result<Arc<dyn ReadAt>> {
        encrypted_storage::decrypt(location, file, &Identities::default())
    }

    /// The archive at this location; `None`: there certainly is none.
    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>>;

    /// Every archive, in order of location. A backend that lists page by page reads all pages.
    fn list(&self) -> Result<Vec<StoredArchive>>;

    /// Removes an archive and its proof, durably. It is no error if there is none.
    fn remove(&self, location: &Location) -> Result<()>;

    /// What [`Storage::put_proof`] put beside an archive last.
    fn proof(&self, location: &Location) -> Result<Option<Vec<u8>>>;

    /// What [`Storage::put_index`] put beside an archive. A backend may keep none.
    fn index(&self, _location: &Location) -> Result<Option<Arc<dyn ReadAt>>> {
        Ok(None)
    }

    /// Puts what `fill` writes beside the archive at `location`, which need not be there yet, durably. It is not listed, and
    /// goes where the archive goes.
    fn put_index(
        &self,
        _location: &Location,
        _fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        Ok(())
    }

    /// Removes that. It is no error if there is none.
    fn remove_index(&self, _location: &Location) -> Result<()> {
        Ok(())
    }

    /// Puts a small file beside an archive that exists, durably: when it was verified last, and what its last
    /// drill found. It replaces an earlier one in one step, and is not listed.
    fn put_proof(&self, location: &Location, proof: &[u8]) -> Result<()>;
}

/// An archive being written. Dropped, it leaves nothing behind.
pub trait Pending: Write + Send + std::fmt::Debug {
    /// Makes sure that `more` bytes fit behind those written so far, and allocates room for them if it can.
    fn allocate(&mut self, more: u64) -> Result<()>;

    /// Makes everything written durable, and releases the room that was allocated but not used. An error is
    /// final: nothing of this attempt can be published.
    fn sync(&mut self) -> Result<()>;

    /// Opens what was written for reading: from the disk and not from a cache, as far as possible. Only after
    /// [`Pending::sync`].
    fn reopen(&self) -> Result<Arc<dyn ReadAt>>;

    /// The file that was made of what was written, if it is encrypted; `None`: it is what was written. Only after
    /// [`Pending::sync`]. What is encrypted is published at the location that [`Location::encrypted`] names.
    fn encrypted(&self) -> Option<EncryptedFile> {
        None
    }

    /// Makes it the archive at `location`, durably; never replaces one. `proven` is when its proof ended:
    /// backends whose files have a time keep this one.
    fn publish(self: Box<Self>, location: &Location, proven: Timestamp) -> Result<()>;
}

/// An encrypted file as it lies in a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedFile {
    pub bytes: u64,
    /// BLAKE3 of its bytes in hex, taken while they were written.
    pub checksum: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredArchive {
    pub location: Location,
    pub bytes: u64,
    /// When it was proven before it was published, or later by version 0.1.0, if the file's mtime still says so. Means
    /// nothing unless it is later than the end of the backup in the manifest.
    pub proven_hint: Option<Timestamp>,
}
