//! The archives of the data directory as the API sees them.

use std::sync::Arc;

use crate::access::{ArchiveAccess, NotFetched, NotRead};
use crate::domain::{Backup, Location, ReadAt};
use crate::executor;
use crate::storage::{Local, Storage, StorageError};
use crate::wire::ArchiveUrls;

fn not_read(error: &StorageError) -> NotRead {
    let text = error.to_string();
    match error {
        StorageError::NotFound { .. } => NotRead::Gone,
        StorageError::Encryption { source, .. } if source.is_about_key() => NotRead::NoKey(text),
        StorageError::NotAFile { .. } => NotRead::Other(text),
        _ if error.is_about_place() => NotRead::OutOfReach(text),
        _ => NotRead::Failed(text),
    }
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

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, NotRead> {
        self.storage.open_copy(location).map_err(|error| not_read(&error))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encryption::EncryptionError;

    #[test]
    fn only_what_lacks_a_key_is_said_to_lack_one() {
        let read = |source| not_read(&StorageError::Encryption { what: "a".to_owned(), source });
        assert!(matches!(read(EncryptionError::NoIdentity), NotRead::NoKey(_)));
        let (found, trusted) = ("b".to_owned(), "c".to_owned());
        let forged = read(EncryptionError::WrongSigner { found, trusted });
        assert!(matches!(forged, NotRead::Failed(_)));
        let damaged = read(EncryptionError::Damaged("d".to_owned()));
        assert!(matches!(damaged, NotRead::Failed(_)));
    }
}
