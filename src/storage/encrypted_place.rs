//! A place whose archives may be encrypted. Whoever reads it sees archives as they were before that.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{BackupId, Location, ReadAt, SentPart, Timestamp};
use crate::encryption::{self, EncryptionError, Identities};

use super::{Observation, Place, Result, StorageError, StoredArchive, Upload, UploadPlan, Vouched};

/// Another place, read with these keys. The location of an archive is the same whether it is encrypted there or not;
/// that of the encryption itself, which [`Location::encrypted`] names, is that of its bytes as they lie there.
#[derive(Debug)]
pub struct EncryptedPlace {
    inner: Arc<dyn Place>,
    identities: Arc<Identities>,
}

impl EncryptedPlace {
    pub fn new(inner: Arc<dyn Place>, identities: Arc<Identities>) -> Self {
        Self { inner, identities }
    }

    fn decrypted(&self, location: &Location, file: Arc<dyn ReadAt>) -> Result<Arc<dyn ReadAt>> {
        let what = || format!("{} in {}", location.encrypted(), self.inner.name());
        encryption::open(file, &self.identities).map_err(|error| match error {
            EncryptionError::Io(source) => {
                StorageError::Io { action: "reading", what: what(), source }
            }
            source => StorageError::Encryption { what: what(), source },
        })
    }
}

impl Place for EncryptedPlace {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        if location.is_encrypted() {
            return self.inner.open(location);
        }
        match self.inner.open(location) {
            Err(error) if error.is_not_found() => match self.inner.open(&location.encrypted()) {
                Err(other) if other.is_not_found() => Err(error),
                opened => self.decrypted(location, opened?),
            },
            opened => opened,
        }
    }

    fn file_of(&self, location: &Location) -> Location {
        match self.inner.stat(location) {
            Ok(None) => location.encrypted(),
            Ok(Some(_)) | Err(_) => location.clone(),
        }
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>> {
        if let Some(found) = self.inner.stat(location)? {
            return Ok(Some(found));
        }
        let found =
            if location.is_encrypted() { None } else { self.inner.stat(&location.encrypted())? };
        Ok(found.map(|it| StoredArchive { location: location.clone(), ..it }))
    }

    fn list(&self) -> Result<Vec<StoredArchive>> {
        let stored = self.inner.list()?.into_iter();
        let mut found: Vec<_> =
            stored.map(|it| StoredArchive { location: it.location.decrypted(), ..it }).collect();
        found.sort_by(|a, b| a.location.cmp(&b.location));
        found.dedup_by(|a, b| a.location == b.location);
        Ok(found)
    }

    fn remove(&self, location: &Location) -> Result<()> {
        if !location.is_encrypted() {
            self.inner.remove(&location.encrypted())?;
        }
        self.inner.remove(location)
    }

    fn most_parts(&self) -> u64 {
        self.inner.most_parts()
    }

    fn begin(&self, plan: &UploadPlan) -> Result<String> {
        self.inner.begin(plan)
    }

    fn resume(
        &self,
        plan: &UploadPlan,
        upload: &str,
        sent: Vec<SentPart>,
    ) -> Result<Box<dyn Upload>> {
        self.inner.resume(plan, upload, sent)
    }

    fn abort(&self, plan: &UploadPlan, upload: &str) -> Result<()> {
        self.inner.abort(plan, upload)
    }

    fn lock(&self, location: &Location, until: Timestamp) -> Result<()> {
        match self.inner.lock(location, until) {
            Err(error) if error.is_not_found() && !location.is_encrypted() => {
                self.inner.lock(&location.encrypted(), until)
            }
            locked => locked,
        }
    }

    fn sweep(&self, known: &[(BackupId, String)], before: Timestamp) -> Result<usize> {
        self.inner.sweep(known, before)
    }

    fn reach(&self) -> Result<()> {
        self.inner.reach()
    }

    fn checksum(&self, plan: &UploadPlan, parts: &[SentPart]) -> Result<Option<Vouched>> {
        self.inner.checksum(plan, parts)
    }

    fn try_out(&self) -> Result<Vec<Observation>> {
        self.inner.try_out()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    fn expect(&self, identity: &str) {
        self.inner.expect(identity);
    }

    fn owner(&self) -> Result<Option<Uuid>> {
        self.inner.owner()
    }

    fn claim(&self, owner: Uuid) -> Result<()> {
        self.inner.claim(owner)
    }

    fn take_over(&self, owner: Uuid) -> Result<()> {
        self.inner.take_over(owner)
    }

    fn identity(&self) -> Result<Option<String>> {
        self.inner.identity()
    }

    fn establish(&self) -> Result<Option<String>> {
        self.inner.establish()
    }
}
