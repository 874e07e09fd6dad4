//! The store's own folders, and the way from one of them down to a file.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::folder::{Folder, failed};
use super::{StorageError, url};
use crate::domain::Clock;

/// Where everything of a store lies, and what its operations share.
#[derive(Debug)]
pub(super) struct Place {
    /// Published archives.
    pub(super) archives: PathBuf,
    /// Their folder's URL: what every answer about a backup begins a location with.
    pub(super) archives_url: String,
    /// Unfinished attempts.
    pub(super) tmp: PathBuf,
    /// What was discarded and waits for its end.
    pub(super) trash: PathBuf,
    /// Instances made by restores.
    pub(super) restored: PathBuf,
    /// What one process holds to write here.
    pub(super) lock: PathBuf,
    /// Free bytes that no reservation may take.
    pub(super) reserve_bytes: u64,
    /// What trash is dated by.
    pub(super) clock: Arc<dyn Clock>,
    tree: Mutex<()>,
}

impl Place {
    /// The store below `data_dir`, with its folders made where they are missing.
    pub(super) fn open(
        data_dir: &Path,
        reserve_bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StorageError> {
        // Not resolved further: what people see is the path they configured.
        let root = std::path::absolute(data_dir).map_err(failed("finding", data_dir))?;
        make_root(&root)?;
        let archives = root.join("archives");
        let place = Self {
            archives_url: url::of_folder(&archives),
            archives,
            tmp: root.join("tmp"),
            trash: root.join("trash"),
            restored: root.join("restored"),
            lock: root.join("lock"),
            reserve_bytes,
            clock,
            tree: Mutex::new(()),
        };
        let mut device = None;
        for folder in [&place.archives, &place.tmp, &place.trash, &place.restored] {
            make_folder(folder)?;
            let metadata = std::fs::metadata(folder).map_err(failed("looking at", folder))?;
            if *device.get_or_insert(metadata.dev()) != metadata.dev() {
                let why = "archives, tmp, trash and restored must lie on one filesystem, because \
                           files are renamed between them; mount it on the folder above";
                return Err(failed("opening", folder)(io::Error::other(why)));
            }
        }
        Folder::root(&root)?.sync()?;
        Ok(place)
    }

    /// Held while folders are made and used, or found empty and removed.
    pub(super) fn hold_tree(&self) -> MutexGuard<'_, ()> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since 1970 by the store's clock.
    pub(super) fn now_seconds(&self) -> u64 {
        u64::try_from(self.clock.now().as_micros() / 1_000_000).unwrap_or(0)
    }
}

fn make_root(root: &Path) -> Result<(), StorageError> {
    if root.is_dir() {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).recursive(true).create(root).map_err(failed("creating", root))?;
    for above in root.ancestors().skip(1) {
        // A folder above that may not even be read was there before.
        if let Err(error) = Folder::root(above).and_then(|folder| folder.sync()) {
            log::debug!("{error}");
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), StorageError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("creating", path)(error))
        }
        _made_or_there => Ok(()),
    }
}

/// The open folders from one of the store's own down to the one that holds a file, and the file's name.
#[derive(Debug)]
pub(super) struct Way<'a> {
    above: Vec<Folder>,
    /// The folder that holds the file.
    pub(super) folder: Folder,
    /// The file's name in it.
    pub(super) name: &'a OsStr,
}

impl<'a> Way<'a> {
    fn walk(
        root: &Path,
        text: &'a str,
        step: impl Fn(&Folder, &OsStr) -> Result<Option<Folder>, StorageError>,
    ) -> Result<Option<Self>, StorageError> {
        let (folders, name) = text.rsplit_once('/').unwrap_or(("", text));
        let mut way = Self { above: Vec::new(), folder: Folder::root(root)?, name: name.as_ref() };
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            let Some(next) = step(&way.folder, part.as_ref())? else { return Ok(None) };
            way.above.push(std::mem::replace(&mut way.folder, next));
        }
        Ok(Some(way))
    }

    /// The way to `text` below `root`; `None`: one of the folders is certainly not there.
    pub(super) fn find(root: &Path, text: &'a str) -> Result<Option<Self>, StorageError> {
        Self::walk(root, text, |folder, name| match folder.below(name) {
            Ok(next) => Ok(Some(next)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("opening", &folder.path_of(name))(error)),
        })
    }

    /// The way to `text` below `root`, with folders made, durably, where they are missing.
    pub(super) fn make(root: &Path, text: &'a str) -> Result<Self, StorageError> {
        let way = Self::walk(root, text, |folder, name| folder.make(name).map(Some))?;
        Ok(way.expect("a step that makes what is missing never finds it missing"))
    }

    /// The file's path, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path_of(self.name)
    }

    /// Removes the folders on the way that are empty now, the deepest first. Nothing depends on it: one
    /// that stays is found and used by the next archive.
    pub(super) fn remove_empty_folders(mut self) {
        while let Some(above) = self.above.pop() {
            let name = self.folder.path().file_name().map(ToOwned::to_owned);
            if name.is_none_or(|name| above.unlink_folder(&name).is_err()) {
                return;
            }
            self.folder = above;
        }
    }
}
