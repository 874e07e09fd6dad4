//! The archive store as the API sees it.

use std::io;
use std::sync::Arc;

use crate::catalog::Shelf;
use crate::domain::{Location, ReadAt};
use crate::storage::{Local, Storage as _};

/// A [`Shelf`] over the data directory.
#[derive(Debug)]
pub(super) struct LocalShelf(pub(super) Arc<Local>);

impl Shelf for LocalShelf {
    fn url(&self, location: &Location) -> String {
        self.0.url(location)
    }

    fn locate(&self, url: &str) -> Option<Location> {
        self.0.locate(url).ok()
    }

    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>> {
        self.0.open(location).map_err(|error| {
            let kind =
                if error.is_not_found() { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
            io::Error::new(kind, error)
        })
    }

    fn driver(&self) -> &'static str {
        self.0.name()
    }
}
