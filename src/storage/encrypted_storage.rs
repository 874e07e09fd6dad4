//! A storage whose archives are encrypted while they are written. Public keys are enough for that, and for the proof.

use std::io::{self, Write};
use std::sync::Arc;

use crate::domain::num::to_u64;
use crate::domain::{BackupId, Location, ReadAt, Timestamp};
use crate::encryption::{self, Decrypted, EncryptionError, Encryptor, FileHead};
use crate::encryption::{Identities, Recipients};

use super::{EncryptedFile, Pending, Result, Storage, StorageError, StoredArchive};

/// Another storage. What is written to it is encrypted to these public keys, if there are any, and encrypted archives are
/// read with these secret ones.
#[derive(Debug)]
pub struct EncryptedStorage {
    inner: Arc<dyn Storage>,
    recipients: Option<Recipients>,
    identities: Arc<Identities>,
}

impl EncryptedStorage {
    pub fn new(
        inner: Arc<dyn Storage>,
        recipients: Option<Recipients>,
        identities: Arc<Identities>,
    ) -> Self {
        Self { inner, recipients, identities }
    }
}

/// The archive in an encrypted file at this location.
pub(super) fn decrypt(
    location: &Location,
    file: Arc<dyn ReadAt>,
    identities: &Identities,
) -> Result<Arc<dyn ReadAt>> {
    encryption::open(file, identities).map_err(|error| storage_error(&location.to_string(), error))
}

fn storage_error(what: &str, error: EncryptionError) -> StorageError {
    let what = what.to_owned();
    match error {
        EncryptionError::Io(source) => StorageError::Io { action: "reading", what, source },
        source => StorageError::Encryption { what, source },
    }
}

impl Storage for EncryptedStorage {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>> {
        let inner = self.inner.create(backup, attempt)?;
        match &self.recipients {
            Some(recipients) => Ok(Box::new(EncryptedPending::begin(inner, backup, recipients)?)),
            None => Ok(inner),
        }
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        self.inner.open(location)
    }

    fn open_copy(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        self.inner.open_copy(location)
    }

    fn recipients(&self) -> &[String] {
        self.recipients.as_ref().map_or(&[], Recipients::texts)
    }

    fn decrypt(&self, location: &Location, file: Arc<dyn ReadAt>) -> Result<Arc<dyn ReadAt>> {
        decrypt(location, file, &self.identities)
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>> {
        self.inner.stat(location)
    }

    fn list(&self) -> Result<Vec<StoredArchive>> {
        self.inner.list()
    }

    fn remove(&self, location: &Location) -> Result<()> {
        self.inner.remove(location)
    }

    fn index(&self, location: &Location) -> Result<Option<Arc<dyn ReadAt>>> {
        self.inner.index(location)
    }

    fn put_index(
        &self,
        location: &Location,
        fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        self.inner.put_index(location, fill)
    }

    fn remove_index(&self, location: &Location) -> Result<()> {
        self.inner.remove_index(location)
    }

    fn proof(&self, location: &Location) -> Result<Option<Vec<u8>>> {
        self.inner.proof(location)
    }

    fn put_proof(&self, location: &Location, proof: &[u8]) -> Result<()> {
        self.inner.put_proof(location, proof)
    }
}

/// An archive that is encrypted while it is written. The key of this one file is in memory until it is published, and
/// nowhere else: what lies on the disk is read back with it, and proven, without a secret key of the recipients.
#[derive(Debug)]
struct EncryptedPending {
    inner: Box<dyn Pending>,
    /// For errors.
    what: String,
    head: Arc<FileHead>,
    /// `None`: the content has ended.
    encryptor: Option<Encryptor>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl EncryptedPending {
    fn begin(inner: Box<dyn Pending>, backup: BackupId, recipients: &Recipients) -> Result<Self> {
        let what = format!("the archive of backup {backup}");
        let head = FileHead::new(recipients).map_err(|error| storage_error(&what, error))?;
        let head = Arc::new(head);
        let encryptor = Some(Encryptor::new(Arc::clone(&head)));
        let hasher = blake3::Hasher::new();
        let bytes = to_u64(head.bytes().len());
        let mut pending = Self { inner, what, head, encryptor, hasher, bytes };
        let head = pending.head.bytes();
        pending.hasher.update(head);
        pending.inner.write_all(head).map_err(|source| StorageError::Io {
            action: "writing",
            what: pending.what.clone(),
            source,
        })?;
        Ok(pending)
    }

    /// Does this with the encryptor, and writes what it gives on.
    fn encrypt(
        &mut self,
        give: impl FnOnce(
            &mut Encryptor,
            &mut dyn FnMut(&[u8]) -> io::Result<()>,
        ) -> Result<(), EncryptionError>,
    ) -> io::Result<()> {
        let Self { inner, encryptor, hasher, bytes, .. } = self;
        let Some(encryptor) = encryptor else {
            return Err(io::Error::other("nothing may follow the end of an encrypted archive"));
        };
        let mut write = |piece: &[u8]| {
            inner.write_all(piece)?;
            hasher.update(piece);
            *bytes = bytes.saturating_add(to_u64(piece.len()));
            Ok(())
        };
        give(encryptor, &mut write).map_err(|error| match error {
            EncryptionError::Io(error) => error,
            other => io::Error::other(other),
        })
    }
}

impl Write for EncryptedPending {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.encrypt(|encryptor, give_on| encryptor.feed(buffer, give_on))?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Pending for EncryptedPending {
    fn allocate(&mut self, more: u64) -> Result<()> {
        let room = self.encryptor.as_ref().map_or(0, |it| it.room_for(more));
        self.inner.allocate(room)
    }

    /// Ends the content: nothing may be written after it.
    fn sync(&mut self) -> Result<()> {
        if self.encryptor.is_some() {
            let ended = self.encrypt(|encryptor, give_on| encryptor.finish(give_on));
            ended.map_err(|source| StorageError::Io {
                action: "writing",
                what: self.what.clone(),
                source,
            })?;
            self.encryptor = None;
        }
        self.inner.sync()
    }

    fn reopen(&self) -> Result<Arc<dyn ReadAt>> {
        let opened = Decrypted::new(self.inner.reopen()?, Arc::clone(&self.head));
        Ok(Arc::new(opened.map_err(|error| storage_error(&self.what, error))?))
    }

    fn encrypted(&self) -> Option<EncryptedFile> {
        let checksum = self.hasher.finalize().to_hex().as_str().to_owned();
        Some(EncryptedFile { bytes: self.bytes, checksum })
    }

    fn publish(self: Box<Self>, location: &Location, proven: Timestamp) -> Result<()> {
        if self.encryptor.is_some() || !location.is_encrypted() {
            let why = "it has not ended, or its name does not say that it is encrypted";
            let source = io::Error::other(why);
            return Err(StorageError::Io { action: "publishing", what: self.what, source });
        }
        self.inner.publish(location, proven)
    }
}
