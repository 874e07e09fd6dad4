//! What lies in a place, from nothing but its archives: each is read by ranges, one at a time.

use std::sync::Arc;

use crate::archive::{Chain, Manifest, Reader};
use crate::domain::{BackupId, Cancel, Location};
use crate::encryption::Signers;
use crate::storage::{Place, StorageError, StoredArchive};

use super::chain::job_error;
use super::{BadLink, JobError, Result};

/// The archives of a place that are named after a backup, the newest first.
#[derive(Debug)]
pub struct Inventory {
    place: Arc<dyn Place>,
    signers: Signers,
    archives: Vec<(BackupId, StoredArchive)>,
}

impl Inventory {
    /// Only archives by these are read.
    pub fn read(place: Arc<dyn Place>, signers: Signers) -> Result<Self> {
        let stored = place.list()?.into_iter();
        let mut archives: Vec<_> =
            stored.filter_map(|it| Some((it.location.backup_id()?, it))).collect();
        // Ids begin with the time.
        archives.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        Ok(Self::of(place, signers, archives))
    }

    /// Of these archives, without listing the place.
    pub(super) fn of(
        place: Arc<dyn Place>,
        signers: Signers,
        archives: Vec<(BackupId, StoredArchive)>,
    ) -> Self {
        Self { place, signers, archives }
    }

    pub fn place(&self) -> &Arc<dyn Place> {
        &self.place
    }

    pub(super) fn signers(&self) -> &Signers {
        &self.signers
    }

    pub fn archives(&self) -> impl Iterator<Item = (BackupId, &StoredArchive)> {
        self.archives.iter().map(|(id, stored)| (*id, stored))
    }

    /// The file that holds an archive there, for errors: what is encrypted has another name.
    pub fn file_of(&self, stored: &StoredArchive) -> Location {
        self.place.file_of(&stored.location)
    }

    fn named(&self, stored: &StoredArchive) -> String {
        format!("{} in {}", self.file_of(stored), self.place.name())
    }

    /// What an archive says that it is.
    pub fn manifest(&self, stored: &StoredArchive, cancel: &Cancel) -> Result<Manifest> {
        Ok(self.open(stored, cancel)?.manifest().clone())
    }

    /// Opens a backup with everything that it is built on.
    pub fn chain(&self, id: BackupId, cancel: &Cancel) -> Result<Chain> {
        let last = self.open(self.find(id)?, cancel)?;
        let needed = last.manifest().chain.clone();
        let mut readers = Vec::new();
        for id in needed.iter().filter(|it| **it != last.id()) {
            let link = |error: JobError| {
                let link = match &error {
                    error if error.is_not_found() => BadLink::Missing,
                    error if error.is_damage() => BadLink::Damaged,
                    _ => BadLink::OutOfReach,
                };
                JobError::ChainBroken { bad_backup: *id, why: error.to_string(), link }
            };
            readers
                .push(self.find(*id).and_then(|stored| self.open(stored, cancel)).map_err(link)?);
        }
        readers.push(last);
        Chain::open(readers).map_err(job_error)
    }

    fn find(&self, id: BackupId) -> Result<&StoredArchive> {
        let found = self.archives.iter().find(|(known, _)| *known == id);
        found.map(|(_, stored)| stored).ok_or_else(|| {
            let what = format!("an archive of backup {id} in {}", self.place.name());
            StorageError::NotFound { what }.into()
        })
    }

    /// Fails unless this is the archive of the backup that it is named after, by somebody who is trusted.
    fn require_own(&self, stored: &StoredArchive, reader: &Reader) -> Result<()> {
        let id = reader.id();
        if stored.location.backup_id().is_some_and(|named| named != id) {
            let what = self.named(stored);
            let why = format!("{what} is the archive of backup {id}, under another backup's name");
            return Err(JobError::ArchiveMismatch(why));
        }
        let signer = self.signers.require(reader.signature());
        signer.map_err(|source| StorageError::Encryption { what: self.named(stored), source })?;
        Ok(())
    }

    fn open(&self, stored: &StoredArchive, cancel: &Cancel) -> Result<Arc<Reader>> {
        let bytes = self.place.open(&stored.location)?;
        match Reader::open(bytes, cancel) {
            Ok(reader) => self.require_own(stored, &reader).map(|()| Arc::new(reader)),
            Err(error) if error.is_damage() => {
                let path = self.named(stored);
                Err(JobError::BadFile { path, source: error })
            }
            Err(error) => Err(error.into()),
        }
    }
}
