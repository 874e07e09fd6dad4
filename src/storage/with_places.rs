//! Archives of the data directory, and those that went from there, in the places that hold copies of them.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::domain::{BackupId, Location, ReadAt};

use super::{Pending, Place, Result, Storage, StorageError, StoredArchive};

/// The places of the configuration, which may change while the process runs. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PlaceList {
    places: Arc<RwLock<Vec<Arc<dyn Place>>>>,
    /// The names of those that hold copies and are not in the configuration any more.
    removed: Arc<RwLock<Vec<String>>>,
}

impl PlaceList {
    pub fn new(places: Vec<Arc<dyn Place>>) -> Self {
        Self { places: Arc::new(RwLock::new(places)), removed: Arc::default() }
    }

    pub fn replace(&self, places: Vec<Arc<dyn Place>>) {
        *self.places.write() = places;
    }

    /// These hold copies, and nobody knows where they are: what is found nowhere else may lie there.
    pub fn set_removed(&self, names: Vec<String>) {
        *self.removed.write() = names;
    }

    fn all(&self) -> Vec<Arc<dyn Place>> {
        self.places.read().clone()
    }
}

/// A storage whose archives may be read from places as well.
#[derive(Debug)]
pub struct WithPlaces {
    inner: Arc<dyn Storage>,
    places: PlaceList,
}

impl WithPlaces {
    pub fn new(inner: Arc<dyn Storage>, places: PlaceList) -> Self {
        Self { inner, places }
    }
}

impl Storage for WithPlaces {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn create(&self, backup: BackupId, attempt: u32) -> Result<Box<dyn Pending>> {
        self.inner.create(backup, attempt)
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        self.inner.open(location)
    }

    /// Of the places in the order of the configuration, the first one that has it. Only if none has it and all answer, it
    /// is missing.
    fn open_copy(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        match self.inner.open(location) {
            Err(error) if error.is_not_found() => {}
            opened => return opened,
        }
        let (mut why, mut asked): (Option<StorageError>, _) =
            (None, vec!["the data directory".to_owned()]);
        for place in self.places.all() {
            match place.open(location) {
                Ok(copy) => return Ok(copy),
                Err(error) if error.is_not_found() => asked.push(place.name().to_owned()),
                Err(error) => drop(why.get_or_insert(error)),
            }
        }
        let removed = self.places.removed.read().join(", ");
        let what = || format!("{location} in {}", asked.join(", "));
        Err(match why {
            Some(why) => why,
            None if removed.is_empty() => StorageError::NotFound { what: what() },
            None => StorageError::Unreachable {
                action: "reading",
                what: what(),
                why: format!(
                    "it is not there; it may lie in {removed}, which the configuration does not name any more"
                ),
            },
        })
    }

    fn recipients(&self) -> &[String] {
        self.inner.recipients()
    }

    fn decrypt(&self, location: &Location, file: Arc<dyn ReadAt>) -> Result<Arc<dyn ReadAt>> {
        self.inner.decrypt(location, file)
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
