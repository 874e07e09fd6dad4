//! Archives in memory: a place that is added from outside, with what the room makes public.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use coffer::domain::{BackupId, Location, ReadAt, Timestamp};
use coffer::storage::{Pending, Storage, StorageError, StoredArchive};
use parking_lot::Mutex;

use super::conformance::storage_conformance;

/// What one archive may take.
const CAPACITY: u64 = 1 << 30;

/// A place that lasts as long as the process. Clones are the same place.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    archives: BTreeMap<Location, Archive>,
    /// Names of the attempts that run.
    attempts: Vec<String>,
}

#[derive(Debug)]
struct Archive {
    bytes: Arc<Vec<u8>>,
    proof: Option<Vec<u8>>,
}

impl Memory {
    fn find<T>(
        &self,
        location: &Location,
        read: impl FnOnce(&mut Archive) -> T,
    ) -> Result<T, StorageError> {
        let mut content = self.0.lock();
        let found = content.archives.get_mut(location).map(read);
        found.ok_or_else(|| StorageError::NotFound { what: location.to_string() })
    }
}

fn stored_archive(location: &Location, archive: &Archive) -> StoredArchive {
    StoredArchive {
        location: location.clone(),
        bytes: ReadAt::len(archive.bytes.as_ref()),
        proven_hint: None,
    }
}

impl Storage for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>, StorageError> {
        let name = format!("{backup}.{attempt}");
        let mut content = self.0.lock();
        if content.attempts.contains(&name) {
            return Err(StorageError::Exists { what: name });
        }
        content.attempts.push(name.clone());
        let place = self.clone();
        Ok(Box::new(PendingBytes { place, name, bytes: Vec::new(), synced: None }))
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, StorageError> {
        let bytes = self.find(location, |archive| Arc::clone(&archive.bytes))?;
        Ok(bytes)
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>, StorageError> {
        Ok(self.0.lock().archives.get(location).map(|archive| stored_archive(location, archive)))
    }

    fn list(&self) -> Result<Vec<StoredArchive>, StorageError> {
        Ok(self
            .0
            .lock()
            .archives
            .iter()
            .map(|(location, it)| stored_archive(location, it))
            .collect())
    }

    fn remove(&self, location: &Location) -> Result<(), StorageError> {
        self.0.lock().archives.remove(location);
        Ok(())
    }

    fn proof(&self, location: &Location) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.lock().archives.get(location).and_then(|archive| archive.proof.clone()))
    }

    fn put_proof(&self, location: &Location, proof: &[u8]) -> Result<(), StorageError> {
        self.find(location, |archive| archive.proof = Some(proof.to_owned()))
    }
}

#[derive(Debug)]
struct PendingBytes {
    place: Memory,
    name: String,
    bytes: Vec<u8>,
    /// What was written before the last sync, if nothing was since.
    synced: Option<Arc<Vec<u8>>>,
}

impl PendingBytes {
    fn synced(&self) -> Result<Arc<Vec<u8>>, StorageError> {
        self.synced.clone().ok_or_else(|| StorageError::Io {
            action: "reading back",
            what: self.name.clone(),
            source: io::Error::other("it is not synced"),
        })
    }
}

impl Write for PendingBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.synced = None;
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pending for PendingBytes {
    fn allocate(&mut self, more: u64) -> Result<(), StorageError> {
        let written = self.bytes.len().try_into().unwrap_or(u64::MAX);
        let free = CAPACITY.saturating_sub(written);
        if more <= free {
            return Ok(());
        }
        Err(StorageError::Full { what: self.name.clone(), needed: more, free })
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.synced = Some(Arc::new(self.bytes.clone()));
        Ok(())
    }

    fn reopen(&self) -> Result<Arc<dyn ReadAt>, StorageError> {
        Ok(self.synced()?)
    }

    fn publish(
        self: Box<Self>,
        location: &Location,
        _finished: Timestamp,
    ) -> Result<(), StorageError> {
        let bytes = self.synced()?;
        let mut content = self.place.0.lock();
        if content.archives.contains_key(location) {
            return Err(StorageError::Exists { what: location.to_string() });
        }
        content.archives.insert(location.clone(), Archive { bytes, proof: None });
        Ok(())
    }
}

impl Drop for PendingBytes {
    fn drop(&mut self) {
        self.place.0.lock().attempts.retain(|name| *name != self.name);
    }
}

storage_conformance!(((), Memory::default()));
