//! An open folder. Names are looked up in it one at a time and never through a symbolic link, so what
//! somebody plants below the store cannot lead out of it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::StorageError;

/// Folders are their owner's alone: archives hold whole databases.
const PRIVATE: u32 = 0o700;

/// An error of the system, on the way to a [`StorageError`].
pub(super) fn failed<E: Into<io::Error>>(
    action: &'static str,
    what: &Path,
) -> impl FnOnce(E) -> StorageError {
    let what = what.display().to_string();
    move |source| StorageError::Io { action, what, source: source.into() }
}

/// An open folder and the path it was opened by, for messages.
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
    /// One of the store's own folders. Links on the way to it are the administrator's and are followed.
    /// That it is missing is an error like any other: it says nothing about what it should hold.
    pub(super) fn root(path: &Path) -> Result<Self, StorageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("opening", path))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The path it was opened by.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it, for messages.
    pub(super) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// The folder `name` in this one; a link is not one.
    pub(super) fn below(&self, name: &OsStr) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self, name, flags, Mode::empty())?;
        Ok(Self { fd, path: self.path_of(name) })
    }

    /// The folder `name` in this one, made if it is missing. Either way its name is on the disk when this
    /// returns: whoever made it may not have come that far.
    pub(super) fn make(&self, name: &OsStr) -> Result<Self, StorageError> {
        match rustix::fs::mkdirat(self, name, Mode::from_raw_mode(PRIVATE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("creating", &self.path_of(name))(error)),
        }
        self.sync()?;
        self.below(name).map_err(failed("opening", &self.path_of(name)))
    }

    /// The folder `name`, opened and made writable whatever its mode: restored trees keep the modes of
    /// their source, and a folder that may not be written cannot be emptied or moved.
    pub(super) fn below_writable(&self, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = File::from(rustix::fs::openat(self, name, flags, Mode::empty())?);
        let mode = handle.metadata()?.permissions().mode();
        if mode & PRIVATE != PRIVATE {
            // By the open handle and not by name, which could be a link by now.
            let by_handle = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&handle));
            rustix::fs::chmod(by_handle.as_str(), Mode::from_raw_mode(PRIVATE))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&handle, ".", flags, Mode::empty())?;
        Ok(Self { fd, path: self.path_of(name) })
    }

    /// What `name` is, without following it; `None`: certainly not there.
    pub(super) fn look(&self, name: &OsStr) -> Result<Option<Metadata>, StorageError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match rustix::fs::openat(self, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd).metadata().map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        };
        found.map_err(failed("looking at", &self.path_of(name)))
    }

    /// Opens the regular file `name` for reading. Anything else is refused, and never waited for.
    pub(super) fn open_file(&self, name: &OsStr) -> Result<(File, Metadata), StorageError> {
        let what = self.path_of(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => {
                return Err(StorageError::NotFound { what: what.display().to_string() });
            }
            Err(error) => return Err(failed("opening", &what)(error)),
        };
        let metadata = file.metadata().map_err(failed("looking at", &what))?;
        expect_regular(&metadata, &what)?;
        Ok((file, metadata))
    }

    /// Makes the names in this folder durable. A filesystem that has no such thing (EINVAL) is taken at
    /// its word.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        match rustix::fs::fsync(self) {
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(failed("syncing", &self.path)(error)),
        }
    }

    /// Removes the name of a file.
    pub(super) fn unlink(&self, name: &OsStr) -> Result<(), Errno> {
        rustix::fs::unlinkat(self, name, AtFlags::empty())
    }

    /// Removes an empty folder.
    pub(super) fn unlink_folder(&self, name: &OsStr) -> Result<(), Errno> {
        rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)
    }

    /// The names in it, in no order, one at a time: a folder may hold more than memory should.
    pub(super) fn names(&self) -> Result<Names, StorageError> {
        let dir = Dir::read_from(self).map_err(failed("listing", &self.path))?;
        Ok(Names { dir, path: self.path.clone() })
    }
}

/// The names in a folder.
#[derive(Debug)]
pub(super) struct Names {
    dir: Dir,
    path: PathBuf,
}

impl Iterator for Names {
    type Item = Result<OsString, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.dir.read()? {
                Ok(entry) => {
                    let name = entry.file_name().to_bytes();
                    if name != b"." && name != b".." {
                        return Some(Ok(OsString::from_vec(name.to_vec())));
                    }
                }
                Err(error) => return Some(Err(failed("listing", &self.path)(error))),
            }
        }
    }
}

/// Refuses what is not a regular file.
pub(super) fn expect_regular(metadata: &Metadata, what: &Path) -> Result<(), StorageError> {
    if metadata.is_file() {
        return Ok(());
    }
    let why = "this is not a regular file; an archive is never a link, a folder or a device";
    Err(failed("opening", what)(io::Error::new(io::ErrorKind::InvalidInput, why)))
}
