//! The archives of the data directory as the API sees them.

use std::io;
use std::sync::Arc;

use crate::access::{ArchiveAccess, NotFetched};
use crate::domain::{Backup, Location, ReadAt};
use crate::executor;
use crate::storage::{Local, Storage, StorageError};
use crate::wire::ArchiveUrls;

fn to_io(error: StorageError) -> io::Error {
    let kind = if error.is_not_found() { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
    io::Error::new(kind, error)
}

/// Where archives are, and how they are read: also from places, if they went from the data directory.
#[derive(Debug)]
pub(super) struct Archives {
    local: Arc<Local>,
    storage: Arc<dyn Storage>,
}

impl Archives {
    pub(super) fn new(local: &Arc<Local>, storage: &Arc<dyn Storage>) -> Self {
        Self { local: Arc::clone(local), storage: Arc::clone(storage) }
    }
}

impl ArchiveUrls for Local {
    fn url(&self, location: &Location) -> String {
        Self::url(self, location)
    }

    fn driver(&self) -> &'static str {
        self.name()
    }
}

impl ArchiveUrls for Archives {
    fn url(&self, location: &Location) -> String {
        self.local.url(location)
    }

    fn driver(&self) -> &'static str {
        self.local.name()
    }
}

impl ArchiveAccess for Archives {
    fn locate(&self, url: &str) -> Option<Location> {
        self.local.locate(url).ok()
    }

    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>> {
        self.storage.open_copy(location).map_err(to_io)
    }

    fn bring_back(&self, locations: &[Location]) -> Result<(), NotFetched> {
        self.local.bring_back(locations).map_err(|error| match error {
            StorageError::NotFound { .. } => NotFetched::Gone,
            StorageError::NotInPlace { .. } => NotFetched::NoPlace,
            other => NotFetched::Failed(other.to_string()),
        })
    }

    fn record_pin(&self, backup: &Backup) {
        executor::record_pin(&*self.local, backup);
    }
}
