//! An archive being written: under a temporary name until it is proven, then renamed into place.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{Advice, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::folder::{Folder, failed};
use super::layout::Layout;
use super::opened_path::OpenedPath;
use crate::disk::rename_to_free_name;
use crate::domain::{BackupId, Location, ReadAt, Timestamp};
use crate::early_sync::EarlySync;
use crate::failpoint;
use crate::storage::{Pending, Result, StorageError};

/// How much is allocated with one call, so that allocating many GiB can be interrupted.
const ALLOCATE_STEP: u64 = 256 << 20;

/// How much is written before the kernel is asked to start writing it back: the final sync then has little
/// left to do, and the archive does not push the database out of the page cache.
const WRITE_BACK_STEP: u64 = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Bytes may follow, also after a sync.
    Writing,
    /// Everything written so far is on the disk.
    Synced,
    /// A write or a sync failed. What is on the disk is unknown, and is never published.
    Failed,
    /// The temporary name is gone, so that nothing remains to be removed.
    Published,
    /// The file stays, to be resumed.
    Left,
}

/// A file in `tmp/`.
#[derive(Debug)]
pub(in crate::storage) struct PendingFile {
    layout: Arc<Layout>,
    tmp: Folder,
    name: String,
    file: File,
    written: u64,
    /// Room is allocated up to here.
    allocated_to: u64,
    /// The kernel was asked to start writing back up to here.
    written_back: u64,
    early: EarlySync,
    stage: Stage,
}

impl PendingFile {
    /// Creates `tmp/<backup>.<attempt>`; an error if it exists.
    pub(super) fn create(layout: &Arc<Layout>, backup: BackupId, attempt: u32) -> Result<Self> {
        let tmp = Folder::open(&layout.tmp)?;
        let name = format!("{backup}.{attempt}");
        let what = tmp.path_of(&name);
        match tmp.create_file(name.as_ref()) {
            Ok(file) => Ok(Self::new(layout, tmp, name, file, 0)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(StorageError::exists(&what))
            }
            Err(error) => Err(failed("creating", &what)(error)),
        }
    }

    /// Opens `tmp/<backup>.<attempt>` again, which an earlier process may have left. What follows its first `written`
    /// bytes is cut off.
    pub(super) fn resume(
        layout: &Arc<Layout>,
        backup: BackupId,
        attempt: u32,
        written: u64,
    ) -> Result<Self> {
        let tmp = Folder::open(&layout.tmp)?;
        let name = format!("{backup}.{attempt}");
        let what = tmp.path_of(&name);
        let length = tmp.metadata(OsStr::new(&name))?.map(|it| it.len());
        if length.is_none_or(|length| length < written) {
            return Err(StorageError::not_found(&what));
        }
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&tmp, &*name, flags, Mode::empty());
        let mut file = File::from(file.map_err(failed("opening", &what))?);
        file.set_len(written).map_err(failed("truncating", &what))?;
        file.seek(SeekFrom::Start(written)).map_err(failed("opening", &what))?;
        Ok(Self::new(layout, tmp, name, file, written))
    }

    fn new(layout: &Arc<Layout>, tmp: Folder, name: String, file: File, written: u64) -> Self {
        Self {
            layout: Arc::clone(layout),
            tmp,
            name,
            file,
            written,
            allocated_to: written,
            written_back: written,
            early: EarlySync::default(),
            stage: Stage::Writing,
        }
    }

    /// Leaves the file where it is, to be resumed.
    pub(in crate::storage) fn leave(mut self) {
        if self.stage != Stage::Failed {
            self.stage = Stage::Left;
        }
    }

    fn path(&self) -> PathBuf {
        self.tmp.path_of(&self.name)
    }

    fn full_error(&self, needed: u64, free: u64) -> StorageError {
        StorageError::Full { what: self.path().display().to_string(), needed, free }
    }

    fn other_error(&self, action: &'static str, why: &'static str) -> StorageError {
        failed(action, &self.path())(io::Error::other(why))
    }

    /// Allocates `start..end` beyond the end of the file. `false`: this filesystem does not support that.
    fn allocate_range(&self, mut start: u64, end: u64) -> Result<bool, Errno> {
        while start < end {
            let step = (end - start).min(ALLOCATE_STEP);
            match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, start, step) {
                Ok(()) => start += step,
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Starts write-back of what was written last. Linux starts it when told that a range's cache is not
    /// needed, and drops the cache when asked again after it is done, so each call covers the previous range
    /// again. This is only a hint: the sync makes the bytes durable.
    fn start_write_back(&mut self) {
        if self.written.saturating_sub(self.written_back) >= WRITE_BACK_STEP {
            let start = self.written_back.saturating_sub(WRITE_BACK_STEP);
            let length = NonZeroU64::new(self.written - start);
            if rustix::fs::fadvise(&self.file, start, length, Advice::DontNeed).is_ok() {
                self.written_back = self.written;
            }
        }
    }

    fn release_unused(&mut self) -> Result<()> {
        if self.allocated_to > self.written {
            rustix::fs::ftruncate(&self.file, self.written)
                .map_err(failed("truncating", &self.path()))?;
            self.allocated_to = self.written;
        }
        Ok(())
    }

    fn sync_written(&mut self) -> Result<()> {
        let what = self.path();
        self.early.finish().map_err(failed("syncing", &what))?;
        self.release_unused()?;
        self.file.sync_all().map_err(failed("syncing", &what))?;
        self.check_not_replaced()
    }

    /// Fails if the name no longer leads to this file, or if its length differs from what was written.
    fn check_not_replaced(&self) -> Result<()> {
        let mine = self.file.metadata().map_err(failed("inspecting", &self.path()))?;
        let found = self.tmp.metadata(OsStr::new(&self.name))?;
        let same = found.is_some_and(|it| it.dev() == mine.dev() && it.ino() == mine.ino());
        if same && mine.len() == self.written {
            return Ok(());
        }
        Err(self.other_error("checking", "another program has changed or replaced this file"))
    }

    /// Sets the file's time, makes it read-only for its owner and inaccessible to others, and syncs that.
    fn seal(&self, proven: Timestamp) -> Result<()> {
        let what = self.path();
        set_modified(&self.file, proven).map_err(failed("dating", &what))?;
        let read_only = Permissions::from_mode(0o400);
        self.file.set_permissions(read_only).map_err(failed("protecting", &what))?;
        self.file.sync_all().map_err(failed("syncing", &what))
    }

    fn move_into_place(&mut self, path: &OpenedPath<'_>) -> Result<()> {
        failpoint::at("publish-before-rename");
        match rename_to_free_name((&self.tmp, &self.name), (&path.folder, path.name)) {
            Ok(()) => self.stage = Stage::Published,
            Err(Errno::EXIST) => return Err(StorageError::exists(&path.path())),
            Err(error) => return Err(failed("publishing", &path.path())(error)),
        }
        failpoint::at("publish-after-rename");
        // If a folder cannot be synced, a power cut may undo the rename: the attempt has failed, and its archive
        // must not stay.
        path.folder.sync().and_then(|()| self.tmp.sync()).inspect_err(|_error| {
            if let Err(error) = path.folder.remove_file(path.name) {
                log::warn!("{error}");
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
        self.start_write_back();
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
    fn allocate(&mut self, more: u64) -> Result<()> {
        let end = self.written.saturating_add(more);
        let start = self.written.max(self.allocated_to);
        if end <= start {
            return Ok(());
        }
        let needed = (end - start).saturating_add(self.layout.headroom_bytes);
        let free = self.tmp.free_bytes()?;
        if needed > free {
            return Err(self.full_error(needed, free));
        }
        match self.allocate_range(start, end) {
            Ok(true) => {
                self.allocated_to = end;
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => {
                // A part may be allocated.
                self.allocated_to = end;
                self.release_unused()?;
                if matches!(error, Errno::NOSPC | Errno::DQUOT) {
                    return Err(self.full_error(needed, self.tmp.free_bytes()?));
                }
                Err(failed("allocating room for", &self.path())(error))
            }
        }
    }

    fn sync(&mut self) -> Result<()> {
        if self.stage == Stage::Failed {
            return Err(self.other_error("syncing", "an earlier write or sync of this file failed"));
        }
        let result = self.sync_written();
        self.stage = if result.is_ok() { Stage::Synced } else { Stage::Failed };
        result
    }

    fn reopen(&self) -> Result<Arc<dyn ReadAt>> {
        if self.stage != Stage::Synced {
            return Err(self.other_error("reopening", "it is not synced"));
        }
        self.check_not_replaced()?;
        let file = self.tmp.open_file(OsStr::new(&self.name))?;
        // Reading the cache would prove nothing about the disk. If it cannot be dropped, it is read all the same.
        if let Err(error) = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed) {
            log::debug!("the cache of {} is kept: {error}", self.path().display());
        }
        let file = OpenFile::new(file).map_err(failed("inspecting", &self.path()))?;
        Ok(Arc::new(file))
    }

    fn publish(mut self: Box<Self>, location: &Location, proven: Timestamp) -> Result<()> {
        if self.stage != Stage::Synced {
            return Err(self.other_error("publishing", "it is not synced"));
        }
        self.check_not_replaced()?;
        self.seal(proven)?;
        let layout = Arc::clone(&self.layout);
        let _folders = layout.folders.lock();
        let path = OpenedPath::make(&layout.archives, location.as_str())?;
        let moved = self.move_into_place(&path);
        if moved.is_err() {
            path.remove_empty_folders();
        }
        moved
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Published | Stage::Left)
            && let Err(error) = self.tmp.remove_file(OsStr::new(&self.name))
        {
            log::warn!("{error}; the next start removes it");
        }
    }
}

/// A file that is open for reading by ranges.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    /// Its length when it was opened. Archives never change.
    bytes: u64,
}

impl OpenFile {
    /// This file, with the length that it has now.
    pub fn new(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

impl ReadAt for OpenFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        self.bytes
    }

    fn forget(&self, offset: u64, length: u64) {
        if let Err(error) =
            rustix::fs::fadvise(&self.file, offset, NonZeroU64::new(length), Advice::DontNeed)
        {
            log::debug!("what is in the cache of an archive is kept: {error}");
        }
    }
}

fn set_modified(file: &File, to: Timestamp) -> io::Result<()> {
    let distance = Duration::from_micros(to.as_micros().unsigned_abs());
    let time = if to.as_micros() < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    file.set_modified(time.ok_or(io::ErrorKind::InvalidInput)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemClock;

    #[test]
    fn a_full_disk_is_reported_as_such_and_ends_the_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::open(dir.path(), 0, Arc::new(SystemClock)).unwrap());
        let mut pending = PendingFile::create(&layout, BackupId::generate(), 1).unwrap();
        pending.write_all(b"bytes").unwrap();
        pending.file = File::options().write(true).open("/dev/full").unwrap();
        let error = pending.write_all(b"more").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        pending.write_all(b"more").unwrap_err();
        pending.sync().unwrap_err();
        pending.reopen().unwrap_err();
        let location = "p/i/x.tar.zst".parse().unwrap();
        Box::new(pending).publish(&location, Timestamp::from_micros(0)).unwrap_err();
        for folder in ["tmp", "archives"] {
            assert_eq!(std::fs::read_dir(dir.path().join(folder)).unwrap().count(), 0);
        }
    }
}
