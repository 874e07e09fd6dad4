//! The local store as the API sees it.

use std::io;
use std::sync::Arc;

use crate::api::ArchiveStore;
use crate::domain::{Location, ReadAt};
use crate::storage::{Local, Storage};
use crate::wire::ArchiveUrls;

impl ArchiveUrls for Local {
    fn url(&self, location: &Location) -> String {
        self.url(location)
    }

    fn driver(&self) -> &'static str {
        self.name()
    }
}

impl ArchiveStore for Local {
    fn locate(&self, url: &str) -> Option<Location> {
        self.locate(url).ok()
    }

    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>> {
        Storage::open(self, location).map_err(|error| {
            let kind =
                if error.is_not_found() { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
            io::Error::new(kind, error)
        })
    }
}
