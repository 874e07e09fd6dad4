//! A reserve for a full disk. Even deleting a backup needs room, because it first writes to the catalog. A file
//! beside the catalog takes up some room in advance, and is truncated when something else has filled the disk. From then
//! on the catalog takes no new work, so that what is left serves deletes and the ends of jobs.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, StatVfsMountFlags, fallocate, ftruncate, statvfs};

use super::{Result, StoreError};
use crate::disk;

/// The size of the reserve: enough for some hundred writes.
const RESERVE_BYTES: u64 = 2 << 20;
/// With less than this free, the reserve is released.
const RELEASE_BELOW_BYTES: u64 = 256 << 10;
/// With more than this free, it is made again, and is not released at once.
const RESTORE_ABOVE_BYTES: u64 = RESERVE_BYTES + 2 * RELEASE_BELOW_BYTES;

/// What a write is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Something new is accepted: refused on a full disk, which it would fill further.
    NewWork,
    /// Something is removed, or what became of a job is recorded.
    Record,
}

/// What the disk lets the catalog write, as it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// So many bytes are free: only [`Purpose::Record`] is written.
    Little(u64),
    /// The filesystem is read-only.
    None,
}

/// Shared by the writer and whoever asks for it.
#[derive(Debug)]
pub(super) struct SharedRoom {
    catalog: PathBuf,
    folder: PathBuf,
    /// The free bytes if there is little room, [`ENOUGH`] or [`READ_ONLY`].
    seen: AtomicU64,
}

const ENOUGH: u64 = u64::MAX;
const READ_ONLY: u64 = u64::MAX - 1;

impl SharedRoom {
    pub(super) fn of(catalog: &Path) -> Arc<Self> {
        let folder = catalog.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        Arc::new(Self { catalog: catalog.to_owned(), folder, seen: AtomicU64::new(ENOUGH) })
    }

    pub(super) fn get(&self) -> Room {
        match self.seen.load(Ordering::Acquire) {
            ENOUGH => Room::Enough,
            READ_ONLY => Room::None,
            free => Room::Little(free),
        }
    }

    /// Whether the disk is, or may be, another than it was.
    pub(super) fn is_strained(&self) -> bool {
        self.get() != Room::Enough || is_read_only(&self.folder)
    }

    fn set(&self, room: Room) {
        let seen = match room {
            Room::Enough => ENOUGH,
            Room::None => READ_ONLY,
            Room::Little(free) => free.min(READ_ONLY - 1),
        };
        self.seen.store(seen, Ordering::Release);
    }

    /// Fails if a write for this purpose would be refused now.
    pub(super) fn require(&self, purpose: Purpose) -> Result<()> {
        match self.get() {
            Room::Little(free) if purpose == Purpose::NewWork => Err(StoreError::Full { free }),
            Room::None => Err(StoreError::ReadOnly { path: self.catalog.clone() }),
            Room::Enough | Room::Little(_) => Ok(()),
        }
    }
}

/// Whether nothing can be written to the filesystem of this folder.
pub(super) fn is_read_only(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|it| it.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The file that takes up the room. Failures are logged and otherwise ignored: on a filesystem that cannot
/// allocate, the catalog has no reserve.
#[derive(Debug)]
pub(super) struct DiskReserve {
    file: Option<File>,
    reserved: bool,
    room: Arc<SharedRoom>,
}

impl DiskReserve {
    /// The reserve of this catalog; released at once if the disk is full.
    pub(super) fn beside(catalog: &Path, room: Arc<SharedRoom>) -> Self {
        let path = catalog.with_extension("ballast");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = disk::open_regular(&path, &options)
            .and_then(|file| {
                disk::give_to_owner_of(File::open(&room.folder)?, &file)?;
                Ok(file)
            })
            .inspect_err(|error| log::debug!("no disk reserve at {}: {error}", path.display()))
            .ok();
        let reserved =
            file.as_ref().and_then(|file| file.metadata().ok()).is_some_and(|it| it.len() > 0);
        let mut reserve = Self { file, reserved, room };
        reserve.adjust();
        reserve
    }

    /// Releases the reserve, or makes it again, by what is free now; returns what may be written. Called before each
    /// write.
    pub(super) fn adjust(&mut self) -> Room {
        let room = self.look();
        self.room.set(room);
        room
    }

    fn look(&mut self) -> Room {
        // By the path: another mount may be over it by now.
        let Ok(space) = statvfs(&self.room.folder) else { return Room::Enough };
        if space.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Room::None;
        }
        let free = disk::free_bytes(&space);
        let Some(file) = &self.file else {
            return if free < RELEASE_BELOW_BYTES { Room::Little(free) } else { Room::Enough };
        };
        if self.reserved && free < RELEASE_BELOW_BYTES {
            match ftruncate(file, 0) {
                Ok(()) => {
                    self.reserved = false;
                    log::warn!(
                        "the disk is full ({free} bytes free, or no inode: see df -i): the catalog uses its reserve, and takes no new work"
                    );
                }
                Err(error) => log::warn!("the catalog's reserve cannot be released: {error}"),
            }
            return Room::Little(free);
        }
        if !self.reserved && free > RESTORE_ABOVE_BYTES {
            match fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
                Ok(()) => self.reserved = true,
                Err(error) => {
                    log::debug!("the catalog has no disk reserve: {error}");
                    self.file = None;
                }
            }
        }
        let is_enough = self.reserved || self.file.is_none();
        if is_enough { Room::Enough } else { Room::Little(free) }
    }
}
