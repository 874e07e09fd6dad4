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
            bytes = bytes.saturating_add(num::to_u64(length));
        }
        stream.finish()?;
        Ok(Self { file, folder: folder.to_owned(), bytes })
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
        self.pour_with(&[], 0, path, intake)
    }

    /// The same with `inserted` at this offset.
    pub(super) fn pour_with(
        &self,
        inserted: &[u8],
        at: u64,
        path: &str,
        intake: &mut dyn Intake,
    ) -> Result<()> {
        let size = self.bytes.saturating_add(num::to_u64(inserted.len()));
        let entry = own_entry(path, EntryKind::File { size, extents: None })?;
        let file = self.reopened()?;
        let mut content = (&file).take(at).chain(inserted).chain(&file);
        pour(&entry, &mut content, intake, |_| ())
            .map_err(|failed| failed.explain(|error| scratch(&self.folder, error)))
    }

    /// At most this many bytes of the copy, from an offset.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let length = length.min(num::saturating_usize(self.bytes.saturating_sub(offset)));
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, offset);
        read.map(|()| bytes).map_err(|error| scratch(&self.folder, error))
    }

    /// The offset of the last `wanted` in the copy, which is searched from its end.
    pub(super) fn find_last(&self, wanted: &[u8]) -> Result<Option<u64>> {
        let (step, mut end) = (num::to_u64(SEGMENT_BYTES), self.bytes);
        while end > 0 {
            let start = end.saturating_sub(step);
            let length = num::saturating_usize(end - start).saturating_add(wanted.len());
            let piece = self.read(start, length)?;
            if let Some(at) = piece.windows(wanted.len()).rposition(|it| it == wanted) {
                return Ok(Some(start.saturating_add(num::to_u64(at))));
            }
            end = start;
        }
        Ok(None)
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
             which needs room for one database's dump at a time",
            folder.display(),
            bytes.div_ceil(1 << 20),
            free >> 20
        ),
    ))
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
