//! A restored file while its content is written.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::Advice;

use super::metadata::{Metadata, Tally};
use crate::domain::{SEGMENT_BYTES, WriteAt};
use crate::early_sync::EarlySync;

/// An open file of the size it will have. When the last holder lets go of it, it gets its metadata.
#[derive(Debug)]
pub(super) struct FilePlace {
    file: File,
    path: PathBuf,
    size: u64,
    metadata: Mutex<Option<Metadata>>,
    tally: Arc<Tally>,
    /// Of all of the tree.
    early: Arc<Mutex<EarlySync>>,
}

impl FilePlace {
    /// Makes the empty `file` so long; what is not written stays a hole.
    pub(super) fn new(
        file: OwnedFd,
        path: PathBuf,
        size: u64,
        metadata: Metadata,
        (tally, early): (Arc<Tally>, Arc<Mutex<EarlySync>>),
    ) -> io::Result<Self> {
        let file = File::from(file);
        if size > 0 {
            file.set_len(size)?;
        }
        Ok(Self { file, path, size, metadata: Mutex::new(Some(metadata)), tally, early })
    }

    /// Linux begins to write a range back when told that its cache is not needed, and keeps what is not on
    /// the disk yet: the disk works while the next segments are decoded, and the sync at the end finds
    /// little left to do. Only a hint.
    fn begin_write_back(&self, length: usize, offset: u64) {
        let length = u64::try_from(length).ok().and_then(NonZeroU64::new);
        if let Err(error) = rustix::fs::fadvise(&self.file, offset, length, Advice::DontNeed) {
            log::debug!("{} is not written back early: {error}", self.path.display());
        }
    }

    /// Sets owner, mode and time, once: the content is complete.
    pub(super) fn seal(&self) {
        let metadata = self.metadata.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(metadata) = metadata
            && let Err(error) = metadata.adorn(self.file.as_fd(), &self.tally)
        {
            self.tally.fail(self.path.clone(), error);
        }
    }
}

impl WriteAt for FilePlace {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = u64::try_from(bytes.len()).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} would grow beyond its {} bytes", self.path.display(), self.size),
            ));
        }
        self.file.write_all_at(bytes, offset)?;
        if bytes.len() >= SEGMENT_BYTES {
            self.begin_write_back(bytes.len(), offset);
            let more = u64::try_from(bytes.len()).map_err(io::Error::other)?;
            let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
            early.wrote(&self.file, more)?;
        }
        Ok(())
    }
}

impl Drop for FilePlace {
    fn drop(&mut self) {
        self.seal();
    }
}
