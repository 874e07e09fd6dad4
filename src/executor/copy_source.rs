//! What is sent to a place: the archive as it is, or encrypted on the way.

use std::sync::Arc;

use crate::catalog::CopyJob;
use crate::domain::{ArchiveFacts, BackupId, Location, ReadAt};
use crate::encryption::{Decrypted, Decryptor, Encrypted, EncryptionError, FileHead};
use crate::storage::{Place, StorageError, UploadPlan};

use super::{Context, CopyTarget, JobError, Result};

/// How a copy is encrypted.
pub(super) struct Sealing {
    head: Arc<FileHead>,
    /// Whether it was made for an earlier attempt, which may have sent something.
    is_known: bool,
}

impl Sealing {
    /// That of an earlier attempt, if it can go on, or a new one; `None`: the copy is not encrypted. An upload that was
    /// begun in another way is given up.
    pub(super) fn of(
        context: &Context,
        target: &CopyTarget,
        job: &mut CopyJob,
        facts: &ArchiveFacts,
    ) -> Result<Option<Self>> {
        let (id, place) = (job.backup.id, &*target.place);
        // An archive that is encrypted already is copied as it is.
        let recipients = target.recipients.as_ref().filter(|_| !facts.location.is_encrypted());
        let kept = context.local.upload_key(id, place.name())?;
        if let Some((upload, _)) = &job.upload
            && kept.is_some() != recipients.is_some()
        {
            let location = location_of(kept.is_some(), &facts.location);
            place.abort(&UploadPlan::new(id, location, 0, job.backup.created), upload)?;
            context.catalog.begin_upload(id, place.name(), None).wait()?;
            job.upload = None;
            job.parts.clear();
        }
        let Some(recipients) = recipients else {
            forget(context, id, place.name())?;
            return Ok(None);
        };
        let failed = |error| cannot(&facts.location.encrypted(), place, error);
        if let Some(secret) = kept {
            let head = Arc::new(FileHead::from_secret(&secret).map_err(failed)?);
            return Ok(Some(Self { head, is_known: true }));
        }
        let head = FileHead::new(recipients).map_err(failed)?;
        Ok(Some(Self { head: Arc::new(head), is_known: false }))
    }

    /// Keeps what the next attempt has to go on with. Before anything is sent.
    pub(super) fn keep(&self, context: &Context, id: BackupId, place: &str) -> Result<()> {
        Ok(context.local.put_upload_key(id, place, &self.head.to_secret())?)
    }

    pub(super) fn encrypt(&self, archive: Arc<dyn ReadAt>) -> Arc<dyn ReadAt> {
        Arc::new(Encrypted::new(archive, Arc::clone(&self.head)))
    }

    /// The archive that lies in a place and was sent with this key.
    pub(super) fn open(
        &self,
        place: &dyn Place,
        location: &Location,
    ) -> Result<Arc<dyn ReadAt>, StorageError> {
        let opened = Decrypted::new(place.open(location)?, Arc::clone(&self.head));
        Ok(Arc::new(opened.map_err(|error| cannot(location, place, error))?))
    }

    /// How long the copy is of an archive of this length.
    pub(super) fn length(&self, archive: u64) -> u64 {
        self.head.encrypted_length(archive)
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }
}

/// The key of an encrypted upload is not needed any more.
pub(super) fn forget(context: &Context, id: BackupId, place: &str) -> Result<()> {
    Ok(context.local.remove_upload_key(id, place)?)
}

/// Where a copy lies.
pub(super) fn location_of(is_encrypted: bool, archive: &Location) -> Location {
    if is_encrypted { archive.encrypted() } else { archive.clone() }
}

fn cannot(location: &Location, place: &dyn Place, source: EncryptionError) -> StorageError {
    StorageError::Encryption { what: format!("{location} in {}", place.name()), source }
}

/// Hashes an archive while its file is read from front to back. Of an encrypted one what is hashed is what its bytes
/// decrypt to: so it is known, before it is sent, that it is the archive.
pub(super) struct Content {
    hasher: blake3::Hasher,
    decryptor: Option<Decryptor>,
}

impl Content {
    pub(super) fn new(sealing: Option<&Sealing>) -> Self {
        let decryptor = sealing.map(|it| Decryptor::new(Arc::clone(&it.head)));
        Self { hasher: blake3::Hasher::new(), decryptor }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), EncryptionError> {
        let Self { hasher, decryptor } = self;
        let mut hash = |content: &[u8]| {
            hasher.update(content);
        };
        if let Some(decryptor) = decryptor {
            return decryptor.feed(bytes, hash);
        }
        hash(bytes);
        Ok(())
    }

    /// Whether it was this archive.
    pub(super) fn is(mut self, facts: &ArchiveFacts) -> Result<bool, EncryptionError> {
        if let Some(decryptor) = self.decryptor.take() {
            decryptor.finish(|content| {
                self.hasher.update(content);
            })?;
        }
        Ok(self.hasher.finalize().to_hex().as_str() == facts.checksum)
    }
}

/// The error of a copy that nothing here can read.
pub(super) fn unreadable(id: BackupId, location: &Location, place: &str) -> JobError {
    JobError::BadCopy(format!(
        "what lies at {location} in {place} was encrypted before this catalog knew of it, and nothing here can tell \
         whether it is the archive of backup {id}: name the file of a key in encryption.identity_files until it is \
         proven, or remove it there"
    ))
}
