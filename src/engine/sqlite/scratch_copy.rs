//! A copy of a database in the scratch folder, so that the lock on the source is released early.
//!
//! Writers of a database in rollback mode are blocked while it is read. They should wait for the disk only, not for
//! compression, so such a database is copied first, and backed up from the copy.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FallocateFlags, fallocate};

use super::fault::explain;
use super::info::DatabaseInfo;
use super::snapshot::{Snapshot, connect};
use crate::domain::{FailureCode, SEGMENT_BYTES};
use crate::engine::pour::pour_content;
use crate::engine::{EngineError, Intake, Pulse, Result};

/// A copy without a name: its space is freed however this process ends.
#[derive(Debug)]
pub(super) struct ScratchCopy {
    file: File,
    folder: PathBuf,
    bytes: u64,
    /// Opens the copy as a database, for the check.
    pub(super) connection: Connection,
}

impl ScratchCopy {
    pub(super) fn of(
        snapshot: &mut Snapshot,
        info: &DatabaseInfo,
        folder: &Path,
        pulse: &Pulse,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| write_error(folder, error);
        // SQLite can open a file only by its name, so it has one until then. If the power fails in between, the
        // sweep of the scratch folder at start-up removes it.
        let named = tempfile::Builder::new()
            .prefix(".coffer-spool-")
            .tempfile_in(folder)
            .map_err(failed)?;
        let connection = connect(named.path(), OpenFlags::SQLITE_OPEN_READ_ONLY, Duration::ZERO)
            .map_err(|error| explain(named.path(), Duration::ZERO, &error))?;
        let (file, name) = named.into_parts();
        name.close().map_err(failed)?;
        reserve(&file, info.bytes()).map_err(failed)?;

        let spare = RefCell::new(Vec::with_capacity(SEGMENT_BYTES));
        snapshot.segments(
            info,
            || spare.take(),
            |mut segment| {
                pulse.rest();
                (&file).write_all(&segment).map_err(failed)?;
                pulse.beat();
                segment.clear();
                spare.replace(segment);
                Ok(())
            },
        )?;
        Ok(Self { file, folder: folder.to_owned(), bytes: info.bytes(), connection })
    }

    /// Gives the content to `intake`, which has begun the entry.
    pub(super) fn pour(&mut self, intake: &mut dyn Intake) -> Result<()> {
        let failed = |error| EngineError::io("reading the copy in", &self.folder, error);
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        pour_content(self.bytes, &mut &self.file, intake, |_| ())
            .map_err(|error| error.explain(failed))
    }
}

/// Allocates the space at once, so that a full disk shows before the lock was held for long. On a filesystem that
/// cannot allocate, the writes will show it.
fn reserve(file: &File, bytes: u64) -> std::io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write_error(folder: &Path, error: std::io::Error) -> EngineError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => EngineError::known(
            FailureCode::DiskFull,
            format!(
                "no room in {} for a copy of this database, without which its writers would be \
                 blocked during the backup: {error}; make room there, or change the database to WAL \
                 mode, which needs no copy",
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
    fn a_full_scratch_folder_is_reported_as_a_full_disk_with_its_path() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failure = write_error(Path::new("/var/lib/coffer/tmp"), full).failure().unwrap();
        assert_eq!(failure.code, FailureCode::DiskFull);
        assert!(failure.message.contains("/var/lib/coffer/tmp"), "{failure}");
    }
}
