//! The archive store as the API sees it.

use std::io;
use std::sync::Arc;

use crate::catalog::Shelf;
use crate::domain::{Location, ReadAt};
use crate::storage::{Storage, StorageError};

/// A [`Shelf`] over the real store.
#[derive(Debug)]
pub(super) struct StorageShelf(pub(super) Arc<dyn Storage>);

fn as_io(error: StorageError) -> io::Error {
    let kind = if error.is_not_found() { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
    io::Error::new(kind, error)
}

impl Shelf for StorageShelf {
    fn url(&self, location: &str) -> String {
        self.0.url(location).concat()
    }

    fn locate(&self, url: &str) -> Option<Location> {
        self.0.locate(url).ok()
    }

    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>> {
        self.0.open(location).map_err(as_io)
    }

    fn driver(&self) -> &'static str {
        self.0.name()
    }
}
