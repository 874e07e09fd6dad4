//! The folders of a data directory, and its lock.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::folder::{Folder, failed};
use crate::domain::Clock;
use crate::file_url;
use crate::storage::StorageError;

/// The folders of a data directory, and what the operations on them share.
#[derive(Debug)]
pub(super) struct Layout {
    /// Published archives.
    pub(super) archives: PathBuf,
    /// Their folder's URL.
    pub(super) archives_url: String,
    /// Unfinished attempts.
    pub(super) tmp: PathBuf,
    /// What was removed, until the trash window is over.
    pub(super) trash: PathBuf,
    /// Instances made by restores.
    pub(super) restored: PathBuf,
    /// Locked by the process that writes here.
    pub(super) lock: PathBuf,
    /// Bytes that archives leave free.
    pub(super) headroom_bytes: u64,
    /// Dates what is put into the trash.
    pub(super) clock: Arc<dyn Clock>,
    /// Held while folders are made and used, or found empty and removed.
    pub(super) folders: Mutex<()>,
}

impl Layout {
    /// Opens a data directory, and makes the folders that are missing.
    pub(super) fn open(
        data_dir: &Path,
        headroom_bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StorageError> {
        // Links are kept, so that people see the path they configured.
        let root = std::path::absolute(data_dir).map_err(failed("finding", data_dir))?;
        make_root(&root)?;
        let archives = root.join("archives");
        let layout = Self {
            archives_url: file_url::of_path(&archives),
            archives,
            tmp: root.join("tmp"),
            trash: root.join("trash"),
            restored: root.join("restored"),
            lock: root.join("lock"),
            headroom_bytes,
            clock,
            folders: Mutex::new(()),
        };
        let mut device = None;
        for folder in [&layout.archives, &layout.tmp, &layout.trash, &layout.restored] {
            make_folder(folder)?;
            let metadata = std::fs::metadata(folder).map_err(failed("inspecting", folder))?;
            if *device.get_or_insert(metadata.dev()) != metadata.dev() {
                let why = "archives, tmp, trash and restored must lie on one filesystem, because \
                           files are renamed between them; mount it on the folder above";
                return Err(failed("opening", folder)(io::Error::other(why)));
            }
        }
        Folder::open(&root)?.sync()?;
        Ok(layout)
    }

    /// Seconds since 1970.
    pub(super) fn now_seconds(&self) -> u64 {
        u64::try_from(self.clock.now().as_micros() / 1_000_000).unwrap_or(0)
    }

    /// Takes the lock, unless another process has it.
    pub(super) fn lock(&self) -> Result<DataDirLock, StorageError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&self.lock, flags, Mode::from_raw_mode(0o600))
            .map_err(failed("opening", &self.lock))?;
        match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DataDirLock { _file: File::from(fd) }),
            Err(Errno::WOULDBLOCK) => {
                Err(StorageError::Locked { what: self.lock.display().to_string() })
            }
            Err(error) => Err(failed("locking", &self.lock)(error)),
        }
    }
}

/// The right to write in a data directory, until it is dropped. The kernel releases it when the process
/// ends, however it ends, so no stale lock is ever left.
#[derive(Debug)]
#[must_use = "the data directory is unlocked as soon as this is dropped"]
pub struct DataDirLock {
    _file: File,
}

fn make_root(root: &Path) -> Result<(), StorageError> {
    if root.is_dir() {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).recursive(true).create(root).map_err(failed("creating", root))?;
    for above in root.ancestors().skip(1) {
        // A folder that may not even be read existed before.
        if let Err(error) = Folder::open(above).and_then(|folder| folder.sync()) {
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
        _exists => Ok(()),
    }
}
