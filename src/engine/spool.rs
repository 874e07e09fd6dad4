//! A stream of unknown length, kept in the scratch folder until it ends.
//!
//! An archive states a file's length before its content (in tar's header), but the length of a dump or of a Redis
//! snapshot is known only at its end. The copy has no name, so its space is freed however this process ends.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::pour::{own_entry, pour};
use super::tool::Tool;
use super::{EngineError, Intake, Result};
use crate::domain::{Cancel, EntryKind, FailureCode, SEGMENT_BYTES, num};

/// The copy of a stream that ended without an error.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    folder: PathBuf,
    bytes: u64,
}

impl Spool {
    /// Runs a program, copies everything that it writes, and checks that it succeeded.
    pub(super) fn of(tool: Tool, folder: &Path, cancel: &Cancel) -> Result<Self> {
        let mut stream = tool.stream(cancel)?;
        let mut spool = Self::new(folder)?;
        let mut buffer = vec![0_u8; SEGMENT_BYTES];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => spool.write(buffer.get(..length).unwrap_or_default())?,
                Err(error) => return Err(stream.explain(error)),
            }
        }
        stream.finish()?;
        Ok(spool)
    }

    /// An empty copy.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|error| scratch(folder, error))?;
        Ok(Self { file, folder: folder.to_owned(), bytes: 0 })
    }

    /// Adds to its end.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.bytes = self.bytes.saturating_add(num::to_u64(piece.len()));
        self.file.write_all(piece).map_err(|error| scratch(&self.folder, error))
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Drops everything after the first `bytes`, for a stream that has more than its content.
    pub(super) fn shorten(&mut self, bytes: u64) -> Result<()> {
        if bytes < self.bytes {
            self.file.set_len(bytes).map_err(|error| scratch(&self.folder, error))?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// A handle at the start of the copy, for a program that checks it. It shares its position with this value.
    pub(super) fn reopened(&self) -> Result<File> {
        let again = self.file.try_clone().and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        again.map_err(|error| scratch(&self.folder, error))
    }

    /// Gives the copy to `intake` as the file `path`, readable by its owner only.
    pub(super) fn pour(&mut self, path: &str, intake: &mut dyn Intake) -> Result<()> {
        self.pour_after(&[], path, intake)
    }

    /// The same with these bytes before it.
    pub(super) fn pour_after(
        &self,
        before: &[u8],
        path: &str,
        intake: &mut dyn Intake,
    ) -> Result<()> {
        let size = self.bytes.saturating_add(num::to_u64(before.len()));
        let entry = own_entry(path, EntryKind::File { size, extents: None })?;
        pour(&entry, &mut before.chain(self.reopened()?), intake, |_| ())
            .map_err(|failed| failed.explain(|error| scratch(&self.folder, error)))
    }

    /// All of the copy.
    pub(super) fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; num::saturating_usize(self.bytes)];
        let read = self.file.read_exact_at(&mut bytes, 0);
        read.map(|()| bytes).map_err(|error| scratch(&self.folder, error))
    }
}

/// Fails if `what`, a copy of this many bytes, would not fit into the scratch folder.
pub(super) fn require_free(folder: &Path, bytes: u64, what: &str) -> Result<()> {
    let found = rustix::fs::statvfs(folder).map_err(|error| scratch(folder, error.into()))?;
    let free = crate::disk::free_bytes(&found);
    if free >= bytes {
        return Ok(());
    }
    Err(EngineError::known(
        FailureCode::DiskFull,
        format!(
            "{what} in {} needs about {} MiB and {} MiB are free there: make room, or set method = \"logical\", \
             which needs room only for dumps that are not archived yet",
            folder.display(),
            bytes.div_ceil(1 << 20),
            free >> 20
        ),
    ))
}

/// A file operation that failed in the scratch folder.
#[expect(clippy::needless_pass_by_value, reason = "as it comes out of map_err")]
pub(super) fn scratch(folder: &Path, error: io::Error) -> EngineError {
    let (code, advice) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (FailureCode::DiskFull, "make room there and try again")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (FailureCode::Internal, "give Coffer the right to write there")
        }
        _ => (FailureCode::Internal, "look for disk errors in the system log"),
    };
    EngineError::known(code, format!("the copy in {}: {error}; {advice}", folder.display()))
}
