//! Writes through shared mappings, which do not always show in a file's times.
//!
//! The first write to a page that is clean sets the file's times. Later ones do not, until the kernel has written the
//! page to disk. So a file's dirty pages are written to disk before its stamp is taken: then the next write shows.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;

use rustix::fs::{fdatasync, fstatfs, syncfs};

use crate::engine::file_stat::{FileStat, now_ns};

/// Filesystems in memory (`statfs(2)`): they never write a page to disk.
const IN_MEMORY: [u32; 3] = [
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x9584_58f6, // hugetlbfs
];

/// Others without times that can be trusted. FAT and
/// NTFS have no time of change that programs cannot set; behind FUSE, SMB and 9P another system decides.
const WITHOUT_GOOD_TIMES: [u32; 8] = [
    0x0000_4d44, // FAT
    0x2011_bab0, // exFAT
    0x5346_544e, // NTFS
    0x7366_746e, // NTFS3
    0x6573_5546, // FUSE
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x0102_1997, // 9P
];

/// More files than these are synced with all others of their filesystem.
const MAX_FILES: u32 = 64;

/// The kernel writes dirty pages to disk after half a minute, unless it is set otherwise; an hour is plenty.
const LEAST_DIRTY_S: i128 = 3600;

/// Makes changes of files show in their times.
#[derive(Debug)]
pub(super) struct WriteBack {
    /// Files that were last changed before this have no dirty pages; `None` if pages may stay dirty for ever.
    clean_before_ns: Option<i128>,
    synced_files: u32,
    /// Devices that were synced completely since the dump began, and when that was begun.
    synced: HashMap<u64, i128>,
    /// Devices that were seen, and what their times tell.
    times: Vec<(u64, Times)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    /// Every change, once the file's pages were written to disk.
    Good,
    /// Nothing for certain.
    Unknown,
    /// Not the writes through mappings.
    InMemory,
}

impl WriteBack {
    /// For a dump that began at `began_ns`.
    pub(super) fn new(began_ns: i128) -> Self {
        let setting = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/vm/{name}")).ok()?;
            text.trim().parse::<i128>().ok()
        };
        // In 1/100 second. If the kernel's flusher is off, pages wait until there are too many of them.
        let is_off = setting("dirty_writeback_centisecs") == Some(0);
        let longest_s = setting("dirty_expire_centisecs").unwrap_or(0) / 50;
        let stays_dirty = LEAST_DIRTY_S.max(longest_s) * 1_000_000_000;
        Self {
            clean_before_ns: (!is_off).then_some(began_ns - stays_dirty),
            synced_files: 0,
            synced: HashMap::new(),
            times: Vec::new(),
        }
    }

    /// Writes dirty pages of `file` to disk. Returns whether from now on every change shows in its times.
    pub(super) fn changes_show(&mut self, file: BorrowedFd<'_>, found: &FileStat) -> bool {
        if self.times(file, found.device) != Times::Good {
            return false;
        }
        let changed_before = |time: i128| found.ctime_ns + found.tick_ns() < time;
        let synced = self.synced.get(&found.device).copied();
        if found.size == 0 || self.clean_before_ns.max(synced).is_some_and(changed_before) {
            return true;
        }
        self.synced_files += 1;
        if self.synced_files <= MAX_FILES || synced.is_some() {
            return fdatasync(file).is_ok();
        }
        let begun = now_ns();
        let done = syncfs(file).is_ok();
        if done {
            self.synced.insert(found.device, begun);
        }
        done
    }

    /// Whether files of this device are in memory. The device was seen before.
    pub(super) fn is_in_memory(&self, device: u64) -> bool {
        self.times.contains(&(device, Times::InMemory))
    }

    fn times(&mut self, file: BorrowedFd<'_>, device: u64) -> Times {
        if let Some((_, times)) = self.times.iter().find(|(known, _)| *known == device) {
            return *times;
        }
        let kind = fstatfs(file).ok().and_then(|it| u32::try_from(it.f_type & 0xffff_ffff).ok());
        let times = match kind {
            Some(kind) if IN_MEMORY.contains(&kind) => Times::InMemory,
            Some(kind) if !WITHOUT_GOOD_TIMES.contains(&kind) => Times::Good,
            _ => Times::Unknown,
        };
        self.times.push((device, times));
        times
    }
}
