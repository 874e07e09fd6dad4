//! What the API may ask about archives without knowing where or how they lie.

use std::io;
use std::sync::Arc;

use crate::domain::{Location, ReadAt};

/// The archive store, as seen by whoever answers clients. The server puts the real one behind it.
pub trait Shelf: Send + Sync + std::fmt::Debug {
    /// The `locationRef` of the archive at this location.
    fn url(&self, location: &str) -> String;

    /// The location that a `locationRef` names; `None` if it is not below the archive store.
    fn locate(&self, url: &str) -> Option<Location>;

    /// Opens an archive for a download.
    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>>;

    /// The word for the store on the wire (`storage_driver`).
    fn driver(&self) -> &'static str;
}
