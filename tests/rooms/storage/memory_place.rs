//! A place in memory: one that is added from outside, with what the room makes public.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer::domain::{BackupId, Location, ReadAt, SentPart, Timestamp};
use coffer::storage::{
    Observation, Place, StorageError, StoredArchive, Upload, UploadPlan, Vouched,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::places::place_conformance;

/// A place that lasts as long as the process. Clones are the same place.
#[derive(Debug, Clone, Default)]
struct MemoryPlace(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    archives: BTreeMap<Location, Arc<Vec<u8>>>,
    /// The parts of uploads, by their names.
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    begun: u32,
    owner: Option<Uuid>,
}

fn gone(what: &impl ToString) -> StorageError {
    StorageError::NotFound { what: what.to_string() }
}

impl Place for MemoryPlace {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, StorageError> {
        let found = self.0.lock().archives.get(location).cloned();
        let bytes = found.ok_or_else(|| gone(location))?;
        Ok(bytes)
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>, StorageError> {
        Ok(self.list()?.into_iter().find(|it| it.location == *location))
    }

    fn list(&self) -> Result<Vec<StoredArchive>, StorageError> {
        let content = self.0.lock();
        let stored = |(location, bytes): (&Location, &Arc<Vec<u8>>)| StoredArchive {
            location: location.clone(),
            bytes: ReadAt::len(bytes.as_ref()),
            proven_hint: None,
        };
        Ok(content.archives.iter().map(stored).collect())
    }

    fn remove(&self, location: &Location) -> Result<(), StorageError> {
        self.0.lock().archives.remove(location);
        Ok(())
    }

    fn begin(&self, _plan: &UploadPlan) -> Result<String, StorageError> {
        let mut content = self.0.lock();
        content.begun += 1;
        let name = content.begun.to_string();
        content.uploads.insert(name.clone(), BTreeMap::new());
        Ok(name)
    }

    fn resume(
        &self,
        plan: &UploadPlan,
        upload: &str,
        _sent: Vec<SentPart>,
    ) -> Result<Box<dyn Upload>, StorageError> {
        if !self.0.lock().uploads.contains_key(upload) {
            return Err(gone(&upload));
        }
        let (place, plan, name) = (self.clone(), plan.clone(), upload.to_owned());
        Ok(Box::new(MemoryUpload { place, plan, name }))
    }

    fn abort(&self, _plan: &UploadPlan, upload: &str) -> Result<(), StorageError> {
        self.0.lock().uploads.remove(upload);
        Ok(())
    }

    fn sweep(&self, known: &[(BackupId, String)], _: Timestamp) -> Result<usize, StorageError> {
        let mut content = self.0.lock();
        let before = content.uploads.len();
        content.uploads.retain(|name, _| known.iter().any(|(_, it)| it == name));
        Ok(before - content.uploads.len())
    }

    fn checksum(
        &self,
        _plan: &UploadPlan,
        _parts: &[SentPart],
    ) -> Result<Option<Vouched>, StorageError> {
        Ok(None)
    }

    fn try_out(&self) -> Result<Vec<Observation>, StorageError> {
        Ok(vec![Observation::Good("it is there".to_owned())])
    }

    fn reach(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn owner(&self) -> Result<Option<Uuid>, StorageError> {
        Ok(self.0.lock().owner)
    }

    fn claim(&self, owner: Uuid) -> Result<(), StorageError> {
        match *self.0.lock().owner.get_or_insert(owner) {
            known if known == owner => Ok(()),
            other => Err(StorageError::OfAnother {
                what: "memory".to_owned(),
                key: "path",
                name: "memory".to_owned(),
                own: owner,
                other,
            }),
        }
    }

    fn take_over(&self, owner: Uuid) -> Result<(), StorageError> {
        self.0.lock().owner = Some(owner);
        Ok(())
    }

    fn identity(&self) -> Result<Option<String>, StorageError> {
        Ok(None)
    }

    fn establish(&self) -> Result<Option<String>, StorageError> {
        Ok(None)
    }
}

#[derive(Debug)]
struct MemoryUpload {
    place: MemoryPlace,
    plan: UploadPlan,
    name: String,
}

impl Upload for MemoryUpload {
    fn send(
        &mut self,
        number: u32,
        _sha256: &[u8; 32],
        source: &Arc<dyn ReadAt>,
    ) -> Result<String, StorageError> {
        let (start, length) = self.plan.range(number);
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        source.read_exact_at(&mut bytes, start).unwrap();
        let mut content = self.place.0.lock();
        let parts = content.uploads.get_mut(&self.name).ok_or_else(|| gone(&self.name))?;
        parts.insert(number, bytes);
        Ok(number.to_string())
    }

    fn commit(self: Box<Self>) -> Result<(), StorageError> {
        let mut content = self.place.0.lock();
        if content.archives.contains_key(&self.plan.location) {
            return Err(StorageError::Exists { what: self.plan.location.to_string() });
        }
        let parts = content.uploads.remove(&self.name).ok_or_else(|| gone(&self.name))?;
        let bytes = parts.into_values().flatten().collect();
        content.archives.insert(self.plan.location.clone(), Arc::new(bytes));
        Ok(())
    }
}

place_conformance!(((), MemoryPlace::default()));
