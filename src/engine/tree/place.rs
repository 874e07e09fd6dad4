//! A restored file while its content is written.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::metadata::{Metadata, Tally};
use crate::engine::Place;

/// An open file of the size it will have. When the last holder lets go of it, it gets its metadata.
#[derive(Debug)]
pub(super) struct FilePlace {
    file: File,
    path: PathBuf,
    size: u64,
    metadata: Mutex<Option<Metadata>>,
    tally: Arc<Tally>,
}

impl FilePlace {
    /// Makes the empty `file` so long; what is not written stays a hole.
    pub(super) fn new(
        file: OwnedFd,
        path: PathBuf,
        size: u64,
        metadata: Metadata,
        tally: Arc<Tally>,
    ) -> io::Result<Self> {
        let file = File::from(file);
        if size > 0 {
            file.set_len(size)?;
        }
        Ok(Self { file, path, size, metadata: Mutex::new(Some(metadata)), tally })
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

impl Place for FilePlace {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = u64::try_from(bytes.len()).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} would grow beyond its {} bytes", self.path.display(), self.size),
            ));
        }
        self.file.write_all_at(bytes, offset)
    }
}

impl Drop for FilePlace {
    fn drop(&mut self) {
        self.seal();
    }
}
