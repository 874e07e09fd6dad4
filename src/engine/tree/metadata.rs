//! The owner, extended attributes, mode and time of restored files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::beneath::path_in;
use crate::domain::{Entry, LeftOut};

const SETID_BITS: u32 = 0o6000;

/// The access control list, in Linux's format: a version of four bytes, then entries of eight: a tag (two bytes),
/// permissions (two bytes), and a user or group.
const ACCESS_LIST: &[u8] = b"system.posix_acl_access";
/// The tag of the owning group's entry.
const GROUP_TAG: [u8; 2] = 0x04_u16.to_le_bytes();

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
    lost_setid_bits: AtomicU64,
    /// How many members lost the extended attribute of this name.
    lost_xattrs: Mutex<BTreeMap<Vec<u8>, u64>>,
}

impl MetadataProblems {
    /// Keeps the first failure, since a file that is dropped cannot return it.
    pub(super) fn record(&self, path: PathBuf, error: Errno) {
        self.failure.lock().get_or_insert((path, error));
    }

    pub(super) fn take_failure(&self) -> Option<(PathBuf, Errno)> {
        self.failure.lock().take()
    }

    /// What could not be restored for lack of permission.
    pub(super) fn lost(&self) -> Vec<LeftOut> {
        const OWNERS: &str = "only root may give files to others: restore as root to have them";
        const SETID: &str =
            "a program of somebody else must not become one of yours: restore as root to have them";
        const XATTRS: &str = "not permitted, or unknown to this filesystem: restore as root, on a filesystem that has them";
        let counts = [
            ("the owner or group", &self.lost_owners, OWNERS),
            ("the set-user-ID and set-group-ID bits", &self.lost_setid_bits, SETID),
        ];
        let mut lost = Vec::new();
        for (what, count, why) in counts {
            match count.load(Ordering::Relaxed) {
                0 => {}
                count => lost.push(LeftOut::new(format!("{what} of {}", members(count)), why)),
            }
        }
        lost.extend(self.lost_xattrs.lock().iter().map(|(name, count)| {
            let name = String::from_utf8_lossy(name).escape_debug().to_string();
            LeftOut::new(format!("the attribute {name} of {}", members(*count)), XATTRS)
        }));
        lost
    }
}

fn members(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} member{plural}")
}

/// The mode of a file that loses its access control list. With a list, the group's bits are the most that the list
/// gives to anyone; the owning group itself may have less, and must not get more.
fn without_list(mode: u32, list: &[u8]) -> u32 {
    let mut entries = list.get(4..).unwrap_or_default().chunks_exact(8);
    let group = entries.find(|entry| entry.starts_with(&GROUP_TAG));
    let bits = group.and_then(|entry| entry.get(2)).map_or(0, |bits| u32::from(bits & 7));
    mode & !0o070 | (mode & (bits << 3))
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
        let list_lost = self.set_xattrs(problems, |name, value| {
            rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())
        })?;
        let mut mode = self.mode;
        if let Some(list) = list_lost {
            mode = without_list(mode, list);
        }
        // A set-uid program of somebody else must not become one of the user who restores it.
        if !owned && mode & SETID_BITS != 0 {
            problems.lost_setid_bits.fetch_add(1, Ordering::Relaxed);
            mode &= !SETID_BITS;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
        rustix::fs::futimens(file, &self.times)
    }

    /// Sets the extended attributes that may be set. Returns the access control list if it is not one of them.
    fn set_xattrs(
        &self,
        problems: &MetadataProblems,
        set: impl Fn(&OsStr, &[u8]) -> Result<(), Errno>,
    ) -> Result<Option<&[u8]>, Errno> {
        let mut list_lost = None;
        for (name, value) in &self.xattrs {
            match set(OsStr::from_bytes(name), value) {
                Ok(()) => {}
                Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => return Err(error),
                Err(_not_permitted) => {
                    *problems.lost_xattrs.lock().entry(name.clone()).or_default() += 1;
                    if name == ACCESS_LIST {
                        list_lost = Some(value.as_slice());
                    }
                }
            }
        }
        Ok(list_lost)
    }

    /// Sets the owner, extended attributes and time of a symbolic link, which has no mode.
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
        let path = path_in(folder, name);
        self.set_xattrs(problems, |name, value| {
            rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_loses_its_access_control_list_gives_nobody_more_rights() {
        let list = |group: u8| {
            let mut list = vec![2, 0, 0, 0];
            for (tag, bits) in [(1, 6), (2, 6), (4, group), (0x10, 6), (0x20, 0)] {
                list.extend([tag, 0, bits, 0, 0xff, 0xff, 0xff, 0xff]);
            }
            list
        };
        for (group, mode) in [(0, 0o4600), (4, 0o4640), (7, 0o4660)] {
            assert_eq!(without_list(0o4660, &list(group)), mode);
        }
        assert_eq!(without_list(0o660, b"cut"), 0o600);
    }
}
