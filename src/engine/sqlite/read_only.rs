//! Databases on a read-only filesystem: in a snapshot, or behind a mount that is read-only.
//!
//! To read a database in WAL mode, or one with a journal of a crash, SQLite has to write beside it. So it is copied
//! with these files, and the copy is read. Another mount of the same filesystem may be writable; if the files change
//! meanwhile, they are copied again.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::CWD;
use tempfile::TempDir;

use super::fault::companion;
use super::readers::ReaderGuard;
use super::wal_files::is_on_read_only_filesystem;
use crate::domain::FailureCode;
use crate::engine::file_stat::{FileStat, now_ns, stat_at};
use crate::engine::{EngineError, Result};
use crate::file_url;

/// The file's name in the folder of the copy.
pub(super) const COPY_NAME: &str = "database";

/// What belongs to a database. `-shm` can be made again from the log.
const PARTS: [&str; 3] = ["", "-wal", "-journal"];

const ATTEMPTS: usize = 20;
const TICK: Duration = Duration::from_millis(100);

/// Whether SQLite could not open the database at `path` because it may not write there.
pub(super) fn cannot_open(path: &Path, error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly | PermissionDenied))
        && is_on_read_only_filesystem(path)
}

/// Two connections that see the file alone, without its log. They are for a look at its size.
pub(super) fn look(path: &Path) -> rusqlite::Result<(Connection, Connection)> {
    let url = format!("{}?immutable=1", file_url::of_path(path));
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(&url, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    };
    Ok((open()?, open()?))
}

/// Copies the database with its log into a new folder in `scratch`.
pub(super) fn copy(reader: &mut ReaderGuard, path: &Path, scratch: &Path) -> Result<TempDir> {
    let failed = |error| EngineError::io("copying to", scratch, error);
    let database = reader.exclusive_handle(path, 0).ok_or_else(|| {
        EngineError::known(
            FailureCode::SourceLocked,
            format!("{} is being read by another backup; try again", path.display()),
        )
    })?;
    for _attempt in 0..ATTEMPTS {
        let folder = tempfile::Builder::new()
            .prefix(".coffer-spool-")
            .tempdir_in(scratch)
            .map_err(failed)?;
        let before = PARTS.map(|suffix| state(&companion(path, suffix)));
        // A change within the same tick of the filesystem's clock would not show.
        if before.iter().flatten().any(|it| it.ctime_ns + it.tick_ns() >= now_ns()) {
            std::thread::park_timeout(TICK);
            continue;
        }
        for (suffix, found) in PARTS.iter().zip(before) {
            let Some(found) = found else { continue };
            let target = companion(&folder.path().join(COPY_NAME), suffix);
            let copied = if suffix.is_empty() {
                copy_file(database, &target)
            } else {
                File::open(companion(path, suffix)).and_then(|file| copy_file(&file, &target))
            };
            let bytes = copied.map_err(failed)?;
            if bytes != found.size {
                break;
            }
        }
        if before == PARTS.map(|suffix| state(&companion(path, suffix))) {
            return Ok(folder);
        }
    }
    Err(EngineError::known(
        FailureCode::SourceChanged,
        format!(
            "{} is on a filesystem that is read-only here, so SQLite cannot lock it, and it changed while it \
             was copied: back it up where it is mounted writable, or from a snapshot",
            path.display()
        ),
    ))
}

fn copy_file(mut from: &File, to: &PathBuf) -> std::io::Result<u64> {
    let mut target = File::options().write(true).create_new(true).open(to)?;
    from.seek(SeekFrom::Start(0))?;
    std::io::copy(&mut from, &mut target)
}

fn state(path: &Path) -> Option<FileStat> {
    stat_at(CWD.as_fd(), path.as_os_str()).ok()
}
