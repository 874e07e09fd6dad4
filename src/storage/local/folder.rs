//! Open folders. Names are looked up one at a time and never through a symbolic link, so what somebody
//! plants below it cannot lead out of it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::{self, Handle, NotRemoved};
use crate::storage::{Result, StorageError};

/// Folders are private to their owner, because archives hold whole databases.
const PRIVATE: u32 = 0o700;

/// Turns an error of the system into a [`StorageError`] that says what was done to which file.
pub(super) fn failed<E: Into<io::Error>>(
    action: &'static str,
    what: &Path,
) -> impl FnOnce(E) -> StorageError {
    let what = what.display().to_string();
    move |source| StorageError::Io { action, what, source: source.into() }
}

/// An open folder, with its path for messages.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Folder {
    /// Opens one of the data directory's own folders; a link in its place is refused. Links on the way to it are the
    /// administrator's and are followed. If it is missing, that is an error like any other: it says nothing about
    /// its content.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlags::NOFOLLOW)
    }

    /// Opens a folder that the administrator named: the data directory itself, which may be a link.
    pub(super) fn open_named(path: &Path) -> Result<Self> {
        Self::open_with(path, OFlags::empty())
    }

    fn open_with(path: &Path, more: OFlags) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("opening", path))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The same folder, opened once more.
    pub(super) fn again(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(failed("opening", &self.path))?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// Opens the folder `name` in this one; a link is refused.
    pub(super) fn open_folder(&self, name: &OsStr) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self, name, flags, Mode::empty())?;
        Ok(Self { fd, path: self.path_of(name) })
    }

    /// Opens the folder `name` in this one, and makes it if it is missing. In both cases its name is durable
    /// afterwards, since another process may have made it and died before its sync.
    pub(super) fn make_folder(&self, name: &OsStr) -> Result<Self> {
        let is_new = match rustix::fs::mkdirat(self, name, Mode::from_raw_mode(PRIVATE)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(failed("creating", &self.path_of(name))(error)),
        };
        self.sync()?;
        let made = self.open_folder(name).map_err(failed("opening", &self.path_of(name)))?;
        if is_new {
            self.give(&made, name)?;
        }
        Ok(made)
    }

    /// What was made here belongs to the owner of this folder, also when root makes it for the server.
    fn give(&self, made: impl AsFd, name: &OsStr) -> Result<()> {
        let given = disk::give_to_owner_of(self, made);
        given.map_err(failed("setting the owner of", &self.path_of(name)))
    }

    /// Opens the folder `name` and makes it writable. Restored trees keep the modes of their source, and a
    /// folder that may not be written cannot be emptied or moved.
    pub(super) fn open_writable_folder(&self, name: &OsStr) -> Result<Self> {
        let open = || {
            let handle = Handle::open_folder(self, name)?;
            if handle.metadata()?.mode() & PRIVATE != PRIVATE {
                handle.set_mode(PRIVATE)?;
            }
            handle.list()
        };
        let path = self.path_of(name);
        let fd = open().map_err(failed("opening", &path))?;
        Ok(Self { fd, path })
    }

    /// The folder's own metadata.
    pub(super) fn own_metadata(&self) -> Result<Metadata> {
        let handle = self.fd.try_clone().map(File::from);
        handle.and_then(|it| it.metadata()).map_err(failed("inspecting", &self.path))
    }

    /// The metadata of `name`, without following it; `None`: it certainly does not exist.
    pub(super) fn metadata(&self, name: &OsStr) -> Result<Option<Metadata>> {
        let found = match Handle::open(self, name) {
            Ok(handle) => handle.metadata().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        found.map_err(failed("inspecting", &self.path_of(name)))
    }

    /// Opens the regular file `name` for reading. Anything else is refused, without waiting for it.
    pub(super) fn open_file(&self, name: &OsStr) -> Result<File> {
        let what = self.path_of(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Err(StorageError::not_found(&what)),
            Err(Errno::LOOP) => {
                let why = "this is a symbolic link, which Coffer does not follow here";
                return Err(StorageError::NotAFile { what: what.display().to_string(), why });
            }
            Err(error) => return Err(failed("opening", &what)(error)),
        };
        let metadata = file.metadata().map_err(failed("inspecting", &what))?;
        require_regular_file(&metadata, &what)?;
        Ok(file)
    }

    /// Creates the file `name` for writing, readable and writable by its owner; EEXIST if it exists.
    pub(super) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(self, name, flags, Mode::from_raw_mode(0o600)).map(File::from)?;
        disk::give_to_owner_of(self, &file)?;
        Ok(file)
    }

    /// Bytes that may still be written on its filesystem.
    pub(super) fn free_bytes(&self) -> Result<u64> {
        let filesystem = rustix::fs::fstatvfs(self).map_err(failed("measuring", &self.path))?;
        Ok(disk::free_bytes(&filesystem))
    }

    /// The same, and the size of its filesystem.
    pub(super) fn room(&self) -> Result<(u64, u64)> {
        let filesystem = rustix::fs::fstatvfs(self).map_err(failed("measuring", &self.path))?;
        let total = filesystem.f_blocks.saturating_mul(filesystem.f_frsize);
        Ok((disk::free_bytes(&filesystem), total))
    }

    /// Makes the names in this folder durable. A filesystem that cannot sync folders (EINVAL) is trusted.
    pub(super) fn sync(&self) -> Result<()> {
        match rustix::fs::fsync(self) {
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(failed("syncing", &self.path)(error)),
        }
    }

    /// Removes the file `name`, if it exists.
    pub(super) fn remove_file(&self, name: &OsStr) -> Result<()> {
        self.remove(name, AtFlags::empty())
    }

    /// Removes the empty folder `name`, if it exists.
    pub(super) fn remove_folder(&self, name: &OsStr) -> Result<()> {
        self.remove(name, AtFlags::REMOVEDIR)
    }

    /// Removes `name` with everything below it, if it exists, following no link; returns how many bytes the files had.
    pub(super) fn remove_tree(&self, name: &OsStr) -> Result<u64> {
        match disk::remove_tree_in(self, name, &self.path) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(NotRemoved { path, source }) => Err(failed("removing", &path)(source)),
            Ok(bytes) => Ok(bytes),
        }
    }

    fn remove(&self, name: &OsStr, kind: AtFlags) -> Result<()> {
        match rustix::fs::unlinkat(self, name, kind) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("removing", &self.path_of(name))(error)),
        }
    }

    /// Moves `name` to the folder `to`, under the first of these names that is free; returns that name.
    pub(super) fn move_to(
        &self,
        name: &OsStr,
        to: &Self,
        names: impl IntoIterator<Item = String>,
    ) -> Result<OsString> {
        for free in names {
            match disk::rename_to_free_name((self, name), (to, &free)) {
                Ok(()) => return Ok(free.into()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("moving", &self.path_of(name))(error)),
            }
        }
        Err(failed("moving", &self.path_of(name))(Errno::EXIST))
    }

    /// The names in it, unordered, one at a time: a folder may hold more than fits in memory.
    pub(super) fn names(&self) -> Result<Names> {
        let dir = Dir::read_from(self).map_err(failed("listing", &self.path))?;
        Ok(Names { dir, path: self.path.clone(), files: true })
    }

    /// The names in it that may be folders, or links to some: not those that are known to be files.
    pub(super) fn folder_names(&self) -> Result<Names> {
        Ok(Names { files: false, ..self.names()? })
    }
}

#[derive(Debug)]
pub(super) struct Names {
    dir: Dir,
    path: PathBuf,
    /// Whether regular files are among them.
    files: bool,
}

impl Iterator for Names {
    type Item = Result<OsString>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.dir.read()? {
                Ok(entry) => {
                    let name = entry.file_name().to_bytes();
                    let wanted = self.files || entry.file_type() != FileType::RegularFile;
                    if wanted && name != b"." && name != b".." {
                        return Some(Ok(OsString::from_vec(name.to_vec())));
                    }
                }
                Err(error) => return Some(Err(failed("listing", &self.path)(error))),
            }
        }
    }
}

pub(super) fn require_regular_file(metadata: &Metadata, what: &Path) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let why = "this is not a regular file; no file of Coffer's is a link, a folder or a device";
    Err(StorageError::NotAFile { what: what.display().to_string(), why })
}
