//! Room that is kept for a full disk. Somebody else fills the disk to the last byte, and what then makes
//! room, a delete, is first of all a write to the catalog: for that a file beside it holds room, and
//! gives it up when there is no other.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs, ftruncate};

/// How much is kept: some hundred writes.
const KEPT: u64 = 2 << 20;
/// With less than this free, the room kept is given up.
const LOW: u64 = 256 << 10;
/// With more than this free, room is kept again.
const PLENTY: u64 = 8 << 20;

/// The file that holds the room. Without one (a filesystem that cannot allocate) the catalog does what it
/// can: nothing here is an error.
#[derive(Debug)]
pub(super) struct Ballast {
    file: Option<File>,
    held: bool,
}

impl Ballast {
    /// The ballast of the catalog at `catalog`; gives up its room at once where there is no other.
    pub(super) fn beside(catalog: &Path) -> Self {
        let path = catalog.with_extension("ballast");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .inspect_err(|error| log::debug!("catalog: no ballast at {}: {error}", path.display()))
            .ok();
        let held =
            file.as_ref().and_then(|file| file.metadata().ok()).is_some_and(|it| it.len() > 0);
        let mut ballast = Self { file, held };
        ballast.look();
        ballast
    }

    /// Looks how much is free, before a write: gives up what is kept, or keeps some again.
    pub(super) fn look(&mut self) {
        let Some(file) = &self.file else { return };
        let Ok(facts) = fstatvfs(file) else { return };
        let free = facts.f_bavail.saturating_mul(facts.f_frsize);
        if self.held && free < LOW {
            self.held = ftruncate(file, 0).is_err();
            log::warn!(
                "the disk is full ({free} bytes free): the catalog uses the room kept for it"
            );
        } else if !self.held && free > PLENTY {
            match fallocate(file, FallocateFlags::empty(), 0, KEPT) {
                Ok(()) => self.held = true,
                Err(error) => {
                    log::debug!("catalog: no room can be kept for it: {error}");
                    self.file = None;
                }
            }
        }
    }
}
