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

impl ArchiveUrls for Local {
    fn url(&self, location: &Location) -> String {
        Self::url(self, location)
    }

    fn driver(&self) -> &'static str {
        self.name()
    }
}

impl ArchiveAccess for Local {
    fn locate(&self, url: &str) -> Option<Location> {
        Self::locate(self, url).ok()
    }

    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>> {
        Storage::open(self, location).map_err(to_io)
    }

    fn bring_back(&self, locations: &[Location]) -> Result<(), NotFetched> {
        self.bring_back(locations).map_err(|error| match error {
            StorageError::NotFound { .. } => NotFetched::Gone,
            StorageError::NotInPlace { .. } => NotFetched::NoPlace,
            other => NotFetched::Failed(other.to_string()),
        })
    }

    fn record_pin(&self, backup: &Backup) {
        executor::record_pin(self, backup);
    }
}
