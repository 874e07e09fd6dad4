//! A copy of a database in the scratch folder, so that a lock on the source is given back soon.
//!
//! Writers of a rollback-journal database wait for as long as it is read. They should wait for the
//! disk and not for the compressor, so such a database is copied first and poured from the copy.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FallocateFlags, fallocate};

use super::fault::explain;
use super::shape::Shape;
use super::snapshot::{Snapshot, connect};
use crate::domain::{FailureCode, SEGMENT_BYTES};
use crate::engine::{EngineError, Intake};

/// A copy that has no name: whatever happens to this process, its room comes back.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    folder: PathBuf,
    bytes: u64,
    /// Sees the copy as a database, for the check.
    pub(super) connection: Connection,
}

impl Spool {
    /// Copies what `snapshot` holds still.
    pub(super) fn copy(
        snapshot: &mut Snapshot,
        shape: &Shape,
        folder: &Path,
    ) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| scratch(folder, error);
        // SQLite opens by name only. The name lives as long as that takes; should the power fail just
        // then, the sweep of the scratch folder at start-up finds an empty file.
        let named = tempfile::Builder::new()
            .prefix(".coffer-spool-")
            .tempfile_in(folder)
            .map_err(failed)?;
        let connection = connect(named.path(), OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::ZERO)
            .map_err(|error| explain(named.path(), Duration::ZERO, &error))?;
        let (file, name) = named.into_parts();
        name.close().map_err(failed)?;
        reserve(&file, shape.bytes()).map_err(failed)?;

        let spare = RefCell::new(Vec::with_capacity(SEGMENT_BYTES));
        snapshot.segments(
            shape,
            || spare.take(),
            |mut segment| {
                (&file).write_all(&segment).map_err(failed)?;
                segment.clear();
                spare.replace(segment);
                Ok(())
            },
        )?;
        Ok(Self { file, folder: folder.to_owned(), bytes: shape.bytes(), connection })
    }

    /// Pours the copy, a segment at a time.
    pub(super) fn pour(&mut self, intake: &mut dyn Intake) -> Result<(), EngineError> {
        let segment = u64::try_from(SEGMENT_BYTES).unwrap_or(u64::MAX);
        let failed = |error| EngineError::io("reading the copy in", &self.folder, error);
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut left = self.bytes;
        while left > 0 {
            let wanted = left.min(segment);
            let mut buffer = intake.buffer();
            let got = (&self.file).take(wanted).read_to_end(&mut buffer).map_err(failed)?;
            if u64::try_from(got).ok() != Some(wanted) {
                return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
            }
            intake.segment(buffer)?;
            left -= wanted;
        }
        Ok(())
    }
}

/// Takes the room at once: better to hear of a full disk before the lock was held for long.
/// A filesystem that cannot reserve says so, and then the writes will tell.
fn reserve(file: &File, bytes: u64) -> std::io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn scratch(folder: &Path, error: std::io::Error) -> EngineError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => EngineError::known(
            FailureCode::DiskFull,
            format!(
                "no room in {} for the copy that lets the writers of this database go on: {error}; \
                 make room there, or turn the database to WAL mode, which needs no copy",
                folder.display()
            ),
        ),
        _ => EngineError::io("writing the copy in", folder, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scratch_folder_is_called_a_full_disk_and_says_where() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failure = scratch(Path::new("/var/lib/coffer/tmp"), full).failure().unwrap();
        assert_eq!(failure.code, FailureCode::DiskFull);
        assert!(failure.message.contains("/var/lib/coffer/tmp"), "{failure}");
    }
}
