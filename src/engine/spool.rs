//! A stream whose length nobody knows before its end, kept in the scratch folder until it has one.
//!
//! An archive names a file's length before its content (tar's header comes first), and a dump or a Redis
//! snapshot has none until it is whole. The copy has no name: whatever happens to this process, its room
//! comes back.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::flow::Wants;
use super::own_entry::own_entry;
use super::tool::Stream;
use super::{EngineError, Intake};
use crate::domain::{Entry, EntryKind, FailureCode, SEGMENT_BYTES};

/// The copy of a stream that ended well.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    folder: PathBuf,
    bytes: u64,
}

impl Spool {
    /// Copies everything a program writes. It must end well.
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

    /// How long the stream was.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes off what is behind the first `bytes`: a stream can have more to it than its content.
    pub(super) fn shorten(&mut self, bytes: u64) -> Result<(), EngineError> {
        if bytes < self.bytes {
            self.file.set_len(bytes).map_err(|error| scratch(&self.folder, error))?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// The copy from its begin, for a program that checks it. Shares its position with this value.
    pub(super) fn reopened(&self) -> Result<File, EngineError> {
        let again = self.file.try_clone().and_then(|mut file| {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        again.map_err(|error| scratch(&self.folder, error))
    }

    /// Pours the copy as the file `path`, for its owner only.
    pub(super) fn pour(&mut self, path: &str, intake: &mut dyn Intake) -> Result<(), EngineError> {
        let entry = own_entry(path, EntryKind::File { size: self.bytes, extents: None })?;
        let mut file = self.reopened()?;
        pour(&entry, &mut file, intake, |_| ())
            .map_err(|failed| failed.explain(|error| scratch(&self.folder, error)))
    }
}

/// Why a file could not be poured.
#[derive(Debug)]
pub(super) enum NotPoured {
    /// It could not be read to its end; `UnexpectedEof`: it is shorter than its entry said.
    Read(io::Error),
    /// The intake took no more.
    Refused(super::Refused),
}

impl NotPoured {
    /// As an engine's error, with the reader's in the words of whoever knows what was read.
    pub(super) fn explain(self, read: impl FnOnce(io::Error) -> EngineError) -> EngineError {
        match self {
            Self::Read(error) => read(error),
            Self::Refused(refused) => refused.into(),
        }
    }
}

/// Pours one regular file: the next bytes of `content`, as many as `entry` says. `see` is shown each piece.
pub(super) fn pour(
    entry: &Entry,
    content: &mut impl Read,
    intake: &mut dyn Intake,
    mut see: impl FnMut(&[u8]),
) -> Result<(), NotPoured> {
    let wants = intake.entry(entry, false).map_err(NotPoured::Refused)?;
    let EntryKind::File { size, .. } = entry.kind else { return Ok(()) };
    let mut left = if wants == Wants::Nothing { 0 } else { size };
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(SEGMENT_BYTES).min(SEGMENT_BYTES);
        let mut buffer = intake.buffer();
        buffer.resize(length, 0);
        content.read_exact(&mut buffer).map_err(NotPoured::Read)?;
        see(&buffer);
        intake.segment(buffer).map_err(NotPoured::Refused)?;
        left = left.saturating_sub(u64::try_from(length).unwrap_or(left));
    }
    Ok(())
}

/// How many bytes are free for us on the scratch folder's filesystem.
pub(super) fn free_bytes(folder: &Path) -> Result<u64, EngineError> {
    let room = rustix::fs::statvfs(folder).map_err(|error| scratch(folder, error.into()))?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
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
