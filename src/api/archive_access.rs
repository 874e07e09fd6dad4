//! What the API asks about archives, without knowing where or how they are stored.

use std::io;
use std::sync::Arc;

use crate::domain::{Backup, Location, ReadAt};
use crate::wire::ArchiveUrls;

/// Access to archives, as the API needs it; the server implements it.
pub trait ArchiveAccess: ArchiveUrls + Send + Sync + std::fmt::Debug {
    /// The location that a `locationRef` names; `None` if it is not in the storage.
    fn locate(&self, url: &str) -> Option<Location>;

    /// Opens an archive for a download.
    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>>;

    /// Fetches deleted archives out of the trash: all of them, or none.
    fn bring_back(&self, locations: &[Location]) -> Result<(), NotFetched>;

    /// Records beside the archive of a backup whether it is pinned, for a rebuild of the catalog.
    fn record_pin(&self, backup: &Backup);
}

/// Why deleted archives were not fetched out of the trash.
#[derive(Debug)]
pub enum NotFetched {
    /// One of them is not there any more.
    Gone,
    /// The place where they belong is not there.
    NoPlace,
    /// Something else, for the log.
    Failed(String),
}
