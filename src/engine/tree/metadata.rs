//! The owner, extended attributes, mode and time of restored files.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::domain::Entry;

const SETID_BITS: u32 = 0o6000;

/// An entry's metadata.
#[derive(Debug)]
pub(super) struct Metadata {
    mode: u32,
    uid: u32,
    gid: u32,
    times: Timestamps,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What went wrong with the metadata of a tree's files.
#[derive(Debug, Default)]
pub(super) struct MetadataProblems {
    failure: Mutex<Option<(PathBuf, Errno)>>,
    lost_owners: AtomicU64,
    lost_xattrs: AtomicU64,
}

impl MetadataProblems {
    /// Keeps the first failure, since a file that is dropped cannot return it.
    pub(super) fn record(&self, path: PathBuf, error: Errno) {
        self.failure.lock().get_or_insert((path, error));
    }

    pub(super) fn take_failure(&self) -> Option<(PathBuf, Errno)> {
        self.failure.lock().take()
    }

    /// Logs what could not be restored for lack of permission.
    pub(super) fn log(&self) {
        let owners = self.lost_owners.load(Ordering::Relaxed);
        let xattrs = self.lost_xattrs.load(Ordering::Relaxed);
        if owners > 0 || xattrs > 0 {
            log::info!(
                "{owners} owners and {xattrs} extended attributes were not restored: run the restore \
                 as root for those"
            );
        }
    }
}

impl Metadata {
    /// The metadata of `entry`; `None` if its time is out of the system's range.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let modified = Timespec {
            tv_sec: entry.mtime_ns.div_euclid(1_000_000_000).try_into().ok()?,
            tv_nsec: entry.mtime_ns.rem_euclid(1_000_000_000).try_into().ok()?,
        };
        let untouched = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Some(Self {
            mode: entry.mode & 0o7777,
            uid: entry.uid,
            gid: entry.gid,
            times: Timestamps { last_access: untouched, last_modification: modified },
            xattrs: entry.xattrs.clone(),
        })
    }

    /// Sets it on an open file or folder. The order matters: changing the owner clears set-uid bits and capabilities,
    /// and every step but the last changes times.
    pub(super) fn apply(
        &self,
        file: BorrowedFd<'_>,
        problems: &MetadataProblems,
    ) -> Result<(), Errno> {
        let owned =
            self.set_owner(problems, |user, group| rustix::fs::fchown(file, user, group))?;
        for (name, value) in &self.xattrs {
            let name = OsStr::from_bytes(name);
            match rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => return Err(error),
                Err(_not_permitted) => {
                    problems.lost_xattrs.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        // A set-uid program of somebody else must not become one of the user who restores it.
        let mode = if owned { self.mode } else { self.mode & !SETID_BITS };
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
        rustix::fs::futimens(file, &self.times)
    }

    /// Sets the owner and time of a symbolic link, which has no mode.
    pub(super) fn apply_to_link(
        &self,
        folder: BorrowedFd<'_>,
        name: &OsStr,
        problems: &MetadataProblems,
    ) -> Result<(), Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        self.set_owner(problems, |user, group| {
            rustix::fs::chownat(folder, name, user, group, flags)
        })?;
        rustix::fs::utimensat(folder, name, &self.times, flags)
    }

    /// Sets owner and group, or the group alone if the owner may not be set. Returns whether both were set.
    fn set_owner(
        &self,
        problems: &MetadataProblems,
        chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> Result<bool, Errno> {
        if self.uid == u32::MAX || self.gid == u32::MAX {
            // To chown(2) this means "leave unchanged", so it is not a valid owner.
            return Err(Errno::INVAL);
        }
        let group = Gid::from_raw(self.gid);
        match chown(Some(Uid::from_raw(self.uid)), Some(group)) {
            Ok(()) => return Ok(true),
            Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        problems.lost_owners.fetch_add(1, Ordering::Relaxed);
        match chown(None, Some(group)) {
            Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
