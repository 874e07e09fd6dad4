//! The folders of a data directory, and its lock.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::folder::{Folder, failed, require_regular_file};
use super::ownership;
use crate::disk::{self, Mount, rename_to_free_name};
use crate::domain::Clock;
use crate::file_url;
use crate::storage::{Result, StorageError};

/// The file that remembers which folder holds the archives.
pub(super) const ARCHIVES_ID: &str = "archives.id";

/// The folder of what a rebuilt catalog must know of restored instances.
pub(super) const INSTANCES: &str = "instances";

/// The folder of the keys of encrypted uploads.
pub(super) const UPLOADS: &str = "uploads";

/// How the temporary names of small files begin.
pub(super) const SMALL: &str = "small-";

/// The folders of a data directory, and what the operations on them share.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
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
    /// What a rebuilt catalog must know of them. Made when it is needed.
    pub(super) instances: PathBuf,
    /// Locked by the process that writes here.
    pub(super) lock: PathBuf,
    /// Remembers which folder holds the archives.
    pub(super) archives_id: PathBuf,
    /// Bytes that archives leave free.
    pub(super) headroom_bytes: u64,
    /// Dates what is put into the trash.
    pub(super) clock: Arc<dyn Clock>,
    /// Held while folders are made and used, or found empty and removed.
    pub(super) folders: Mutex<()>,
}

impl Layout {
    /// The layout of a data directory, which need not exist.
    pub(super) fn at(data_dir: &Path, headroom_bytes: u64, clock: Arc<dyn Clock>) -> Result<Self> {
        // Links are kept, so that people see the path they configured.
        let root = std::path::absolute(data_dir).map_err(failed("finding", data_dir))?;
        let archives = root.join("archives");
        Ok(Self {
            archives_url: file_url::of_path(&archives),
            archives,
            tmp: root.join("tmp"),
            trash: root.join("trash"),
            restored: root.join("restored"),
            instances: root.join(INSTANCES),
            lock: root.join("lock"),
            archives_id: root.join(ARCHIVES_ID),
            root,
            headroom_bytes,
            clock,
            folders: Mutex::new(()),
        })
    }

    /// Opens a data directory, and makes the folders that are missing; but not that of the archives once there are
    /// others: it was lost, and an empty one in its place would hide that.
    pub(super) fn open(
        data_dir: &Path,
        headroom_bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let layout = Self::at(data_dir, headroom_bytes, clock)?;
        make_root(&layout.root)?;
        let root = Folder::open_named(&layout.root)?;
        ownership::check(&root)?;
        let others = [&layout.tmp, &layout.trash, &layout.restored];
        if !others.iter().any(|folder| folder.exists()) {
            make_folder(&layout.archives)?;
        }
        let mut mount = None;
        for folder in others.into_iter().chain([&layout.archives]) {
            if *folder != layout.archives {
                make_folder(folder)?;
            }
            let inner = match Mount::of(folder) {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && *folder == layout.archives =>
                {
                    continue;
                }
                found => found.map_err(failed("inspecting", folder))?,
            };
            if *mount.get_or_insert(inner) != inner {
                let why = "archives, tmp, trash and restored must lie on one filesystem, and in one mount of it, \
                           because files are renamed between them; mount it on the folder above";
                return Err(failed("opening", folder)(io::Error::other(why)));
            }
        }
        root.sync()?;
        Ok(layout)
    }

    /// Makes the folders that hold copies, where they are missing. The root has to exist.
    pub(super) fn make_folders_of_place(&self) -> Result<()> {
        let root = Folder::open_named(&self.root)?;
        for folder in [&self.archives, &self.tmp, &self.trash] {
            make_folder(folder)?;
        }
        root.sync()
    }

    pub(super) fn now_seconds(&self) -> u64 {
        u64::try_from(self.clock.now().as_micros() / 1_000_000).unwrap_or(0)
    }

    /// Writes a small file under a temporary name and renames it, durably. It replaces an earlier one.
    pub(super) fn replace_file(&self, folder: &Folder, name: &OsStr, content: &[u8]) -> Result<()> {
        let written = self.write_small(content)?;
        rustix::fs::renameat(rustix::fs::CWD, written.path(), folder, name)
            .map_err(failed("placing", &folder.path_of(name)))?;
        folder.sync()
    }

    /// Puts a small file there in one step, durably, unless there is one. False: there is.
    pub(super) fn add_file(&self, folder: &Folder, name: &OsStr, content: &[u8]) -> Result<bool> {
        let (written, tmp) = (self.write_small(content)?, Folder::open(&self.tmp)?);
        let from = written.path().file_name().unwrap_or_default();
        match rename_to_free_name((&tmp, from), (folder, name)) {
            Ok(()) => folder.sync().map(|()| true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(failed("placing", &folder.path_of(name))(error)),
        }
    }

    fn write_small(&self, content: &[u8]) -> Result<NamedTempFile> {
        self.write_small_with(&mut |out| out.write_all(content))
    }

    /// A file under a temporary name, with what `fill` writes, durably.
    pub(super) fn write_small_with(
        &self,
        fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<NamedTempFile> {
        let mut unfinished = tempfile::Builder::new()
            .prefix(SMALL)
            .tempfile_in(&self.tmp)
            .map_err(failed("creating a file in", &self.tmp))?;
        let what = unfinished.path().to_owned();
        disk::open_folder(&self.tmp)
            .and_then(|folder| disk::give_to_owner_of(folder, unfinished.as_file()))
            .map_err(failed("setting the owner of", &what))?;
        fill(&mut unfinished).map_err(failed("writing", &what))?;
        unfinished.as_file().sync_all().map_err(failed("syncing", &what))?;
        Ok(unfinished)
    }

    /// Takes the lock, unless another process has it.
    pub(super) fn lock(&self) -> Result<DataDirLock> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&self.lock, flags, Mode::from_raw_mode(0o600))
            .map_err(failed("opening", &self.lock))?;
        let file = File::from(fd);
        Folder::open_named(&self.root).and_then(|it| {
            disk::give_to_owner_of(it, &file).map_err(failed("setting the owner of", &self.lock))
        })?;
        let metadata = file.metadata().map_err(failed("inspecting", &self.lock))?;
        require_regular_file(&metadata, &self.lock)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DataDirLock { _file: file }),
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

fn make_root(root: &Path) -> Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    DirBuilder::new().mode(0o700).recursive(true).create(root).map_err(failed("creating", root))?;
    for above in root.ancestors().skip(1) {
        // A folder that may not even be read existed before.
        if let Err(error) = Folder::open_named(above).and_then(|folder| folder.sync()) {
            log::debug!("{error}");
        }
    }
    Ok(())
}

pub(super) fn make_folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("creating", path)(error))
        }
        Err(_exists) => Ok(()),
        Ok(()) => {
            // Links on the way are the administrator's.
            let above = File::open(path.parent().unwrap_or(Path::new("/")));
            let given =
                above.and_then(|above| disk::give_to_owner_of(above, disk::open_folder(path)?));
            given.map_err(failed("setting the owner of", path))
        }
    }
}
