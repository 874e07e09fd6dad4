//! A stream of unknown length, kept in the scratch folder until it ends.
//!
//! An archive states a file's length before its content (in tar's header), but the length of a dump or of a Redis
//! snapshot is known only at its end. The copy has no name, so its space is freed however this process ends.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::pour::{own_entry, pour};
use super::tool::Stream;
use super::{EngineError, Intake};
use crate::domain::{EntryKind, FailureCode, SEGMENT_BYTES};

/// The copy of a stream that ended without an error.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    folder: PathBuf,
    bytes: u64,
}

impl Spool {
    /// Copies everything that a program writes, and checks that it succeeded.
    pub(super) fn of(mut stream: Stream, folder: &Path) -> Result<Self, EngineError> {
        let mut file = tempfile::tempfile_in(folder).map_err(|error| scratch(folder, error))?;
        let mut buffer = vec![0_u8; SEGMENT_BYTES];
        let mut bytes = 0_u64;
        loop {
            let length = match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) => return Err(stream.explain(error)),
            };
            let piece = buffer.get(..length).unwrap_or_default();
            file.write_all(piece).map_err(|error| scratch(folder, error))?;
            bytes = bytes.saturating_add(u64::try_from(length).unwrap_or_default());
        }
        stream.finish()?;
        Ok(Self { file, folder: folder.to_owned(), bytes })
    }

    /// The length of the stream.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Drops everything after the first `bytes`, for a stream that has more than its content.
    pub(super) fn shorten(&mut self, bytes: u64) -> Result<(), EngineError> {
        if bytes < self.bytes {
            self.file.set_len(bytes).map_err(|error| scratch(&self.folder, error))?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// A handle at the start of the copy, for a program that checks it. It shares its position with this value.
    pub(super) fn reopened(&self) -> Result<File, EngineError> {
        let again = self.file.try_clone().and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        again.map_err(|error| scratch(&self.folder, error))
    }

    /// Gives the copy to `intake` as the file `path`, readable by its owner only.
    pub(super) fn pour(&mut self, path: &str, intake: &mut dyn Intake) -> Result<(), EngineError> {
        let entry = own_entry(path, EntryKind::File { size: self.bytes, extents: None })?;
        let mut file = self.reopened()?;
        pour(&entry, &mut file, intake, |_| ())
            .map_err(|failed| failed.explain(|error| scratch(&self.folder, error)))
    }
}

/// How many bytes this user may still write on the scratch folder's filesystem.
pub(super) fn free_bytes(folder: &Path) -> Result<u64, EngineError> {
    let found = rustix::fs::statvfs(folder).map_err(|error| scratch(folder, error.into()))?;
    Ok(crate::disk::free_bytes(&found))
}

/// A file operation that failed in the scratch folder.
#[expect(clippy::needless_pass_by_value, reason = "as it comes out of map_err")]
pub(super) fn scratch(folder: &Path, error: io::Error) -> EngineError {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureCode::DiskFull,
        _ => FailureCode::Internal,
    };
    EngineError::known(
        code,
        format!("the copy in {}: {error}; make room there and try again", folder.display()),
    )
}
