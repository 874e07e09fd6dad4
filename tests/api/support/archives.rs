//! An archive store that is a folder and nothing more.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use coffer::access::{ArchiveAccess, NotFetched, NotRead};
use coffer::domain::{Backup, Location, ReadAt};
use coffer::wire::ArchiveUrls;

/// A folder.
#[derive(Debug, Clone)]
pub struct FolderArchives(PathBuf);

impl FolderArchives {
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    #[expect(clippy::disallowed_methods, reason = "a test's folder needs no publishing")]
    pub fn put(&self, location: &str, bytes: &[u8]) {
        let path = self.0.join(location);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn lose(&self, location: &str) {
        fs::remove_file(self.0.join(location)).unwrap();
    }
}

impl ArchiveUrls for FolderArchives {
    fn url(&self, location: &Location) -> String {
        format!("file:///archives/{location}")
    }

    fn driver(&self) -> &'static str {
        "local"
    }
}

impl ArchiveAccess for FolderArchives {
    fn locate(&self, url: &str) -> Option<Location> {
        url.strip_prefix("file:///archives/")?.parse().ok()
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>, NotRead> {
        let bytes =
            fs::read(self.0.join(location.as_str())).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => NotRead::Gone,
                _ => NotRead::Failed(error.to_string()),
            })?;
        Ok(Arc::new(bytes))
    }

    fn bring_back(&self, _locations: &[Location]) -> Result<(), NotFetched> {
        Ok(())
    }

    /// No catalog is rebuilt from this folder.
    fn record_pin(&self, _backup: &Backup) {}
}
