//! An archive on its way: written under a temporary name, proven, then renamed into place.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{Advice, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::folder::{Folder, failed};
use super::moving::move_to_free_name;
use super::place::{Place, Way};
use super::{Pending, StorageError};
use crate::domain::{BackupId, Location, ReadAt, Timestamp};
use crate::early_sync::EarlySync;
use crate::failpoint;

/// How much is reserved with one call: a reservation of many GiB stays interruptible.
const RESERVE_STEP: u64 = 256 << 20;

/// How much is written before the system is asked to begin putting it on the disk: the sync at the end
/// then finds little left to do, and the archive does not push the database out of the cache.
const WRITE_BACK_STEP: u64 = 8 << 20;

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Bytes may follow.
    Writing,
    /// Everything written so far is on the disk.
    Synced,
    /// A write or a sync failed: what is on the disk is unknown, and stays unpublished.
    Failed,
    /// The temporary name is gone.
    Published,
}

/// A file in `tmp/`.
#[derive(Debug)]
pub(super) struct PendingFile {
    place: Arc<Place>,
    tmp: Folder,
    name: String,
    file: File,
    written: u64,
    reserved_to: u64,
    /// Up to here the system was asked to begin writing back.
    written_back: u64,
    early: EarlySync,
    stage: Stage,
}

impl PendingFile {
    /// Begins the file of this attempt.
    pub(super) fn create(
        place: &Arc<Place>,
        backup: BackupId,
        attempt: u32,
    ) -> Result<Self, StorageError> {
        let tmp = Folder::root(&place.tmp)?;
        let name = format!("{backup}.{attempt}");
        let what = tmp.path_of(name.as_ref());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(&tmp, &name, flags, Mode::from_raw_mode(0o600)) {
            Ok(fd) => Ok(Self {
                place: Arc::clone(place),
                tmp,
                name,
                file: File::from(fd),
                written: 0,
                reserved_to: 0,
                written_back: 0,
                early: EarlySync::default(),
                stage: Stage::Writing,
            }),
            Err(Errno::EXIST) => Err(StorageError::Exists { what: what.display().to_string() }),
            Err(error) => Err(failed("creating", &what)(error)),
        }
    }

    fn path(&self) -> PathBuf {
        self.tmp.path_of(OsStr::new(&self.name))
    }

    fn full(&self, needed: u64, free: u64) -> StorageError {
        StorageError::Full { what: self.path().display().to_string(), needed, free }
    }

    fn refused(&self, action: &'static str, why: &'static str) -> StorageError {
        failed(action, &self.path())(io::Error::other(why))
    }

    /// Allocates from `start` to `end` behind the end of the file. False: this filesystem cannot.
    fn allocate(&self, mut start: u64, end: u64) -> Result<bool, Errno> {
        while start < end {
            let step = (end - start).min(RESERVE_STEP);
            match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, start, step) {
                Ok(()) => start += step,
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Linux begins to write a range back when told that its cache is not needed, and lets it go when it is
    /// told so again once that is done; so each range is named twice. Only a hint: whether the bytes
    /// reached the disk is what the sync says.
    fn begin_write_back(&mut self) {
        if self.written.saturating_sub(self.written_back) >= WRITE_BACK_STEP {
            let start = self.written_back.saturating_sub(WRITE_BACK_STEP);
            let length = NonZeroU64::new(self.written - start);
            if rustix::fs::fadvise(&self.file, start, length, Advice::DontNeed).is_ok() {
                self.written_back = self.written;
            }
        }
    }

    /// Frees what was allocated behind the end.
    fn give_back(&mut self) -> Result<(), Errno> {
        if self.reserved_to > self.written {
            rustix::fs::ftruncate(&self.file, self.written)?;
            self.reserved_to = self.written;
        }
        Ok(())
    }

    fn sync_written(&mut self) -> Result<(), StorageError> {
        let what = self.path();
        self.early.finish().map_err(failed("syncing", &what))?;
        self.give_back().map_err(failed("truncating", &what))?;
        self.file.sync_all().map_err(failed("syncing", &what))?;
        self.expect_whole()
    }

    /// The name still stands for this file, and its length is what was written.
    fn expect_whole(&self) -> Result<(), StorageError> {
        let what = self.path();
        let mine = self.file.metadata().map_err(failed("looking at", &what))?;
        let there = self.tmp.look(OsStr::new(&self.name))?;
        let same = there.is_some_and(|it| it.dev() == mine.dev() && it.ino() == mine.ino());
        if same && mine.len() == self.written {
            return Ok(());
        }
        Err(self.refused("checking", "another program has changed or replaced this file"))
    }

    /// Time, mode and a last sync. The archive's owner may read it and nobody may write it.
    fn seal(&self, modified: Timestamp) -> Result<(), StorageError> {
        let what = self.path();
        set_modified(&self.file, modified).map_err(failed("dating", &what))?;
        self.file
            .set_permissions(std::fs::Permissions::from_mode(0o400))
            .map_err(failed("protecting", &what))?;
        self.file.sync_all().map_err(failed("syncing", &what))
    }

    fn move_into_place(&mut self, way: &Way<'_>) -> Result<(), StorageError> {
        failpoint::reached("publish-before-rename");
        match move_to_free_name((&self.tmp, self.name.as_ref()), (&way.folder, way.name)) {
            Ok(()) => self.stage = Stage::Published,
            Err(Errno::EXIST) => {
                return Err(StorageError::Exists { what: way.path().display().to_string() });
            }
            Err(error) => return Err(failed("publishing", &way.path())(error)),
        }
        failpoint::reached("publish-after-rename");
        // Which names a power cut would leave is unknown after an error here. The attempt has failed, so
        // its archive must not stay.
        way.folder.sync().and_then(|()| self.tmp.sync()).inspect_err(|_error| {
            if let Err(error) = way.folder.unlink(way.name) {
                log::warn!("removing {}: {error}", way.path().display());
            }
        })
    }
}

impl Write for PendingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.stage == Stage::Failed {
            return Err(io::Error::other("an earlier write or sync of this file failed"));
        }
        self.stage = Stage::Writing;
        let written = self.file.write(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.stage = Stage::Failed;
            }
        })?;
        let more = u64::try_from(written).map_err(io::Error::other)?;
        self.written = self.written.checked_add(more).ok_or(io::ErrorKind::FileTooLarge)?;
        self.begin_write_back();
        self.early.wrote(&self.file, more).inspect_err(|_error| {
            self.stage = Stage::Failed;
        })?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pending for PendingFile {
    fn reserve(&mut self, more: u64) -> Result<(), StorageError> {
        let end = self.written.saturating_add(more);
        let start = self.written.max(self.reserved_to);
        if end <= start {
            return Ok(());
        }
        let needed = (end - start).saturating_add(self.place.reserve_bytes);
        let free = free_bytes(&self.tmp)?;
        if needed > free {
            return Err(self.full(needed, free));
        }
        match self.allocate(start, end) {
            Ok(true) => {
                self.reserved_to = end;
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => {
                self.reserved_to = end;
                self.give_back().map_err(failed("truncating", &self.path()))?;
                if matches!(error, Errno::NOSPC | Errno::DQUOT) {
                    return Err(self.full(needed, free_bytes(&self.tmp)?));
                }
                Err(failed("reserving room for", &self.path())(error))
            }
        }
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        if self.stage == Stage::Failed {
            return Err(self.refused("syncing", "an earlier write or sync of this file failed"));
        }
        let result = self.sync_written();
        self.stage = if result.is_ok() { Stage::Synced } else { Stage::Failed };
        result
    }

    fn reopen(&self) -> Result<Arc<dyn ReadAt>, StorageError> {
        if self.stage != Stage::Synced {
            return Err(self.refused("reopening", "it is not synced"));
        }
        self.expect_whole()?;
        let (file, metadata) = self.tmp.open_file(OsStr::new(&self.name))?;
        // Only what is on the disk proves the disk. Where the cache cannot be left, it is read.
        if let Err(error) = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed) {
            log::debug!("the cache of {} is kept: {error}", self.path().display());
        }
        Ok(Arc::new(ReadFile { file, bytes: metadata.len() }))
    }

    fn publish(
        mut self: Box<Self>,
        location: &Location,
        modified: Timestamp,
    ) -> Result<(), StorageError> {
        if self.stage != Stage::Synced {
            return Err(self.refused("publishing", "it is not synced"));
        }
        self.expect_whole()?;
        self.seal(modified)?;
        let place = Arc::clone(&self.place);
        let tree = place.hold_tree();
        let way = Way::make(&place.archives, location.as_str())?;
        let moved = self.move_into_place(&way);
        if moved.is_err() {
            way.remove_empty_folders();
        }
        drop(tree);
        moved
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if self.stage == Stage::Published {
            return;
        }
        match self.tmp.unlink(OsStr::new(&self.name)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => {
                log::warn!(
                    "removing {}: {error}; the next start removes it",
                    self.path().display()
                );
            }
        }
    }
}

/// A regular file open for reading.
#[derive(Debug)]
pub(super) struct ReadFile {
    /// The file.
    pub(super) file: File,
    /// Its length when it was opened. Archives never change.
    pub(super) bytes: u64,
}

impl ReadAt for ReadFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        self.bytes
    }
}

/// Sets when a file was modified last. Its owner may, whatever its mode.
pub(super) fn set_modified(file: &File, modified: Timestamp) -> io::Result<()> {
    let distance = Duration::from_micros(modified.as_micros().unsigned_abs());
    let time = if modified.as_micros() < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    file.set_modified(time.ok_or(io::ErrorKind::InvalidInput)?)
}

/// Bytes that an ordinary user may still write on the filesystem of `folder`.
pub(super) fn free_bytes(folder: &Folder) -> Result<u64, StorageError> {
    let facts = rustix::fs::fstatvfs(folder).map_err(failed("measuring", folder.path()))?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

#[cfg(test)]
#[path = "tests_pending.rs"]
mod tests;
