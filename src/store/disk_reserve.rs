//! A reserve for a full disk. Even deleting a backup needs room, because it first writes to the catalog. A file
//! beside the catalog takes up some room in advance, and is truncated when something else has filled the disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs, ftruncate};

/// The size of the reserve: enough for some hundred writes.
const RESERVE_BYTES: u64 = 2 << 20;
/// With less than this free, the reserve is released.
const RELEASE_BELOW_BYTES: u64 = 256 << 10;
/// With more than this free, it is made again.
const RESTORE_ABOVE_BYTES: u64 = 8 << 20;

/// The file that takes up the room. Failures are logged and otherwise ignored: on a filesystem that cannot
/// allocate, the catalog has no reserve.
#[derive(Debug)]
pub(super) struct DiskReserve {
    file: Option<File>,
    reserved: bool,
}

impl DiskReserve {
    /// The reserve of this catalog; released at once if the disk is full.
    pub(super) fn beside(catalog: &Path) -> Self {
        let path = catalog.with_extension("ballast");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .inspect_err(|error| log::debug!("no disk reserve at {}: {error}", path.display()))
            .ok();
        let reserved =
            file.as_ref().and_then(|file| file.metadata().ok()).is_some_and(|it| it.len() > 0);
        let mut reserve = Self { file, reserved };
        reserve.adjust();
        reserve
    }

    /// Releases the reserve, or makes it again, by what is free now. Called before each write.
    pub(super) fn adjust(&mut self) {
        let Some(file) = &self.file else { return };
        let Ok(space) = fstatvfs(file) else { return };
        let free = crate::disk::free_bytes(&space);
        if self.reserved && free < RELEASE_BELOW_BYTES {
            match ftruncate(file, 0) {
                Ok(()) => {
                    self.reserved = false;
                    log::warn!(
                        "the disk is full ({free} bytes free): the catalog uses its reserve"
                    );
                }
                Err(error) => log::warn!("the catalog's reserve cannot be released: {error}"),
            }
        } else if !self.reserved && free > RESTORE_ABOVE_BYTES {
            match fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
                Ok(()) => self.reserved = true,
                Err(error) => {
                    log::debug!("the catalog has no disk reserve: {error}");
                    self.file = None;
                }
            }
        }
    }
}
