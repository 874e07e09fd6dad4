//! What a restored file has besides its content: owner, extended attributes, mode and time.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::domain::Entry;

/// Set-uid and set-gid.
const RUNS_AS_OWNER: u32 = 0o6000;

/// What an entry has besides its content.
#[derive(Debug)]
pub(super) struct Metadata {
    mode: u32,
    uid: u32,
    gid: u32,
    times: Timestamps,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What went wrong with the metadata of files, or could not be given back; shared by all of a tree.
#[derive(Debug, Default)]
pub(super) struct Tally {
    failure: Mutex<Option<(PathBuf, Errno)>>,
    other_owner: AtomicU64,
    lost_xattrs: AtomicU64,
}

impl Tally {
    /// Keeps the first failure: a file is closed where nobody could return it.
    pub(super) fn fail(&self, path: PathBuf, error: Errno) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert((path, error));
    }

    /// The first failure, if there was one.
    pub(super) fn take_failure(&self) -> Option<(PathBuf, Errno)> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Says in the log what an unprivileged restore could not give back.
    pub(super) fn report(&self) {
        let owners = self.other_owner.load(Ordering::Relaxed);
        let xattrs = self.lost_xattrs.load(Ordering::Relaxed);
        if owners > 0 || xattrs > 0 {
            log::info!(
                "restored without the right to give back {owners} owners and {xattrs} extended \
                 attributes: run the restore as root for those"
            );
        }
    }
}

impl Metadata {
    /// The metadata of `entry`; `None`: its time is none the system could have.
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

    /// Gives it to an open file or folder. The order matters: a change of owner clears set-uid bits and
    /// capabilities, and everything but the last step changes times.
    pub(super) fn adorn(&self, file: BorrowedFd<'_>, tally: &Tally) -> Result<(), Errno> {
        let owned = settle_owner(tally, |user, group| rustix::fs::fchown(file, user, group), self)?;
        for (name, value) in &self.xattrs {
            let name = OsStr::from_bytes(name);
            match rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => return Err(error),
                Err(_not_ours_to_set) => {
                    tally.lost_xattrs.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        // A program that ran as its owner must not run as whoever restored it.
        let mode = if owned { self.mode } else { self.mode & !RUNS_AS_OWNER };
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
        rustix::fs::futimens(file, &self.times)
    }
}

/// Gives a symbolic link its owner and time; it has no mode of its own.
pub(super) fn adorn_link(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    metadata: &Metadata,
    tally: &Tally,
) -> Result<(), Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let chown = |user, group| rustix::fs::chownat(folder, name, user, group, flags);
    settle_owner(tally, chown, metadata)?;
    rustix::fs::utimensat(folder, name, &metadata.times, flags)
}

/// Tries for owner and group, then for the group alone. Says whether both are as they were.
fn settle_owner(
    tally: &Tally,
    chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    metadata: &Metadata,
) -> Result<bool, Errno> {
    if metadata.uid == u32::MAX || metadata.gid == u32::MAX {
        // The system's word for "leave as it is", and so no owner at all.
        return Err(Errno::INVAL);
    }
    let group = Gid::from_raw(metadata.gid);
    match chown(Some(Uid::from_raw(metadata.uid)), Some(group)) {
        Ok(()) => return Ok(true),
        Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error),
    }
    tally.other_owner.fetch_add(1, Ordering::Relaxed);
    match chown(None, Some(group)) {
        Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}
