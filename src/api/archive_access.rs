//! What the API asks about archives, without knowing where or how they are stored.

use std::io;
use std::sync::Arc;

use crate::domain::{Location, ReadAt};
use crate::wire::ArchiveUrls;

/// Access to archives, as the API needs it; the server implements it.
pub trait ArchiveAccess: ArchiveUrls + Send + Sync + std::fmt::Debug {
    /// The location that a `locationRef` names; `None` if it is not in the storage.
    fn locate(&self, url: &str) -> Option<Location>;

    /// Opens an archive for a download.
    fn open(&self, location: &Location) -> io::Result<Arc<dyn ReadAt>>;

    /// Fetches a deleted archive out of the trash; `NotFound`: it is not there any more.
    fn bring_back(&self, location: &Location) -> io::Result<()>;
}
