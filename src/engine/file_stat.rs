//! File metadata from statx(2), which is the same on every machine.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, makedev, statx};

use crate::domain::{Clock as _, Entry, EntryKind, EntryPath, Stamp, SystemClock};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStat {
    pub(super) kind: FileType,
    pub(super) size: u64,
    /// Bytes allocated on disk: less than `size` if the file has holes.
    pub(super) allocated: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) mtime_ns: i128,
    pub(super) ctime_ns: i128,
    /// When the file was created; `None` if the filesystem does not record it.
    pub(super) born_ns: Option<i128>,
    pub(super) inode: u64,
    pub(super) device: u64,
}

/// The resolution of a filesystem's clock, at worst: two ticks of 1/100 second.
const TICK_NS: i128 = 20_000_000;

/// The same for filesystems that keep whole seconds. FAT keeps even ones only.
const COARSE_TICK_NS: i128 = 2_000_000_000;

impl FileStat {
    /// How long after its last change another change of this file could get the same time.
    pub(super) fn tick_ns(&self) -> i128 {
        if self.ctime_ns.rem_euclid(1_000_000_000) == 0 { COARSE_TICK_NS } else { TICK_NS }
    }

    /// The stamp of a file in a dump that began at `began_ns`.
    ///
    /// A file that changed just before or during the dump has none: it could change again after it was read, within the
    /// same tick of the filesystem's clock, and its stamp would not show it (git calls this a racy index). Such a file
    /// is read again next time, and then gets a stamp.
    pub(super) fn stamp(&self, began_ns: i128) -> Option<Stamp> {
        (self.ctime_ns + self.tick_ns() < began_ns).then_some(Stamp {
            ctime_ns: self.ctime_ns,
            inode: self.inode,
            device: self.device,
            beside: 0,
        })
    }

    /// Whether size and times are the same.
    pub(super) fn same_content(&self, later: &Self) -> bool {
        (self.size, self.mtime_ns, self.ctime_ns) == (later.size, later.mtime_ns, later.ctime_ns)
    }

    /// An entry with this metadata, without extended attributes or stamp.
    pub(super) fn entry(&self, path: EntryPath, kind: EntryKind) -> Entry {
        Entry {
            path,
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime_ns: self.mtime_ns,
            xattrs: Vec::new(),
            stamp: None,
        }
    }

    pub(super) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// The machine's time, in nanoseconds since the epoch.
pub(super) fn now_ns() -> i128 {
    i128::from(SystemClock.now().as_micros()) * 1000
}

const ASKED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// The metadata of `name` in `folder`. A symbolic link is not followed.
pub(super) fn stat_at(folder: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<FileStat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(folder, name, flags, ASKED).map(from_statx)
}

pub(super) fn stat_open(file: BorrowedFd<'_>) -> rustix::io::Result<FileStat> {
    // A remote filesystem asks its server, which may know of other clients' changes.
    statx(file, "", AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC, ASKED).map(from_statx)
}

fn from_statx(found: Statx) -> FileStat {
    let mode = u32::from(found.stx_mode);
    let has_birth = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    FileStat {
        kind: FileType::from_raw_mode(mode),
        size: found.stx_size,
        allocated: found.stx_blocks.saturating_mul(512),
        mode: mode & 0o7777,
        uid: found.stx_uid,
        gid: found.stx_gid,
        links: found.stx_nlink,
        mtime_ns: nanoseconds(found.stx_mtime),
        ctime_ns: nanoseconds(found.stx_ctime),
        born_ns: has_birth.then(|| nanoseconds(found.stx_btime)),
        inode: found.stx_ino,
        device: makedev(found.stx_dev_major, found.stx_dev_minor),
    }
}

fn nanoseconds(time: StatxTimestamp) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn only_a_file_whose_next_change_would_show_gets_a_stamp() {
        let file = tempfile::tempfile().unwrap();
        let mut found = stat_open(file.as_fd()).unwrap();
        let second = 1_000_000_000;
        found.ctime_ns = 5 * second + 1;
        assert!(found.stamp(5 * second + 1 + TICK_NS).is_none());
        assert!(found.stamp(5 * second + 2 + TICK_NS).is_some());
        found.ctime_ns = 5 * second;
        assert!(found.stamp(7 * second).is_none(), "whole seconds are a coarse clock");
        assert!(found.stamp(7 * second + 1).is_some());
    }
}
