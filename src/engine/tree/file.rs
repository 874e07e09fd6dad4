//! A restored file whose content is being written.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::Advice;

use super::metadata::{Metadata, MetadataProblems};
use crate::domain::{SEGMENT_BYTES, WriteAt};
use crate::early_sync::EarlySync;

/// What all files of a tree have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) problems: MetadataProblems,
    /// Background fsyncs of files of a segment or more.
    pub(super) large_files: Mutex<EarlySync>,
    /// Background syncs of the filesystem, for all smaller files together: an fsync each would take far longer.
    pub(super) small_files: Mutex<EarlySync>,
}

/// An open file. It gets its metadata when the last reference is dropped.
#[derive(Debug)]
pub(super) struct RestoredFile {
    file: File,
    path: PathBuf,
    size: u64,
    metadata: Mutex<Option<Metadata>>,
    shared: Arc<Shared>,
}

impl RestoredFile {
    /// Extends the empty `file` to `size` bytes. What is not written stays a hole.
    pub(super) fn new(
        file: OwnedFd,
        path: PathBuf,
        size: u64,
        metadata: Metadata,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let file = File::from(file);
        if size > 0 {
            file.set_len(size)?;
        }
        Ok(Self { file, path, size, metadata: Mutex::new(Some(metadata)), shared })
    }

    /// Makes the kernel write the range to disk while the next segments are decoded, so that less is left for the
    /// sync at the end. Linux starts writing when told that the cache is not needed, and keeps dirty pages.
    fn start_write_back(&self, length: u64, offset: u64) {
        if let Err(error) =
            rustix::fs::fadvise(&self.file, offset, NonZeroU64::new(length), Advice::DontNeed)
        {
            log::debug!("{}: cannot start writing back: {error}", self.path.display());
        }
    }

    /// Sets the metadata, unless that was done before. The content must be complete.
    pub(super) fn complete(&self) {
        let metadata = self.metadata.lock().take();
        if let Some(metadata) = metadata
            && let Err(error) = metadata.apply(self.file.as_fd(), &self.shared.problems)
        {
            self.shared.problems.record(self.path.clone(), error);
        }
    }
}

impl WriteAt for RestoredFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} would grow beyond its {} bytes", self.path.display(), self.size),
            ));
        }
        self.file.write_all_at(bytes, offset)?;
        if bytes.len() >= SEGMENT_BYTES {
            self.start_write_back(length, offset);
            self.shared.large_files.lock().wrote(&self.file, length)
        } else {
            self.shared.small_files.lock().wrote_among_others(&self.file, length)
        }
    }
}

impl Drop for RestoredFile {
    fn drop(&mut self) {
        self.complete();
    }
}
