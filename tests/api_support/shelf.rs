//! An archive store that is a folder and nothing more.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use coffer::catalog::Shelf;

/// A folder.
#[derive(Debug, Clone)]
pub struct FolderShelf(PathBuf);

impl FolderShelf {
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

impl Shelf for FolderShelf {
    fn url<'a>(&'a self, location: &'a str) -> [Cow<'a, str>; 2] {
        ["file:///archives/".into(), location.into()]
    }

    fn locate(&self, url: &str) -> Option<String> {
        let location = url.strip_prefix("file:///archives/")?;
        (!location.split('/').any(|part| part.is_empty() || part == ".."))
            .then(|| location.to_owned())
    }

    fn open(&self, location: &str) -> io::Result<File> {
        File::open(self.0.join(location))
    }

    fn driver(&self) -> &'static str {
        "local"
    }
}
