//! One read transaction over a live database: every page as it was at one commit.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use rustix::fs::CWD;

use super::direct::{Direct, Mark};
use super::fault::{explain, missing, unreachable};
use super::log_files;
use super::options::Options;
use super::shape::{Shape, shape};
use super::sole::Hold;
use crate::domain::{FailureCode, SEGMENT_BYTES, Stamp};
use crate::engine::EngineError;
use crate::engine::look::look;
use crate::engine::source_path::invalid;

/// How much of the database SQLite may keep in memory, in KiB. Pages are read once, in order.
const CACHE_KIB: i32 = 512;

/// How often a transaction is begun anew because somebody committed just then.
const TRIES: usize = 20;

/// A database that is held still for this connection. The order matters: the hold ends last.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) connection: Connection,
    /// Looks from outside at what this transaction sees.
    _watcher: Connection,
    /// What it sees; `None`: too much was going on to be sure.
    mark: Option<Mark>,
    /// Without links: beside this one SQLite keeps its log.
    path: PathBuf,
    options: Options,
    hold: Hold,
}

impl Snapshot {
    /// Opens the database and holds it still, waiting for a writer that locks it out.
    ///
    /// A write-ahead log that holds something is its application's and is left alone, at the end too. An
    /// empty one may be our own, and would lock the application out if it stayed: only a connection that
    /// may write removes it again, so this is one. It does not change the data (`query_only`). What SQLite
    /// does for every reader it does here too: after a crash it plays back a rollback journal, and if an
    /// application came, wrote and left while this one read, the last to close moves that log into the
    /// database.
    pub(super) fn open(options: &Options) -> Result<Self, EngineError> {
        let path = regular_file(&options.path)?;
        log_files::refuse_if_left_behind(&path)?;
        let hold = Hold::of(&path).map_err(|error| EngineError::io("looking at", &path, error))?;
        let (connection, watcher, mark) = begin(&path, options.lock_wait)
            .map_err(|error| explain(&options.path, options.lock_wait, &error))?;
        log_files::refuse_if_locked_out(&path)?;
        Ok(Self { connection, _watcher: watcher, mark, path, options: options.clone(), hold })
    }

    /// What tells, without reading, whether the database is still as this transaction sees it; `None`: nothing
    /// does. `began_ns`: when the dump began.
    ///
    /// Whatever is committed either appends to the log, which the mark tells, or writes to the database: a
    /// rollback mode's commit does, and a checkpoint of the log before this one. No program can set a file's
    /// time of change back. A checkpoint of this log changes nothing that is read, and is seen as a change.
    pub(super) fn stamp(&self, began_ns: i128) -> Option<Stamp> {
        let found = look(CWD.as_fd(), self.path.as_os_str()).ok()?;
        Some(Stamp { beside: self.mark?.digest(&self.path)?, ..found.stamp(began_ns)? })
    }

    /// What the database says of itself, in this snapshot.
    pub(super) fn shape(&self) -> Result<Shape, EngineError> {
        shape(&self.connection).map_err(|error| self.explain(&error))
    }

    /// Gives every segment, in order, to `take`, in buffers that `buffer` makes. Says how it was read.
    pub(super) fn segments(
        &mut self,
        shape: &Shape,
        mut buffer: impl FnMut() -> Vec<u8>,
        mut take: impl FnMut(Vec<u8>) -> Result<(), EngineError>,
    ) -> Result<&'static str, EngineError> {
        // SQLite keeps a connection's handle while another one of this process has locks.
        let file = self.mark.and_then(|mark| Some((mark, self.hold.alone(&self.path, 2)?)));
        let direct = file.and_then(|(mark, file)| Direct::open(file, &self.path, mark, shape));
        if let Some(direct) = direct {
            let path = &self.options.path;
            let failed = |error| EngineError::io("reading", path, error);
            direct.segments(buffer, &mut take).map_err(|stop| stop.explain(failed))?;
            return Ok("file");
        }
        // A page size is a power of two up to 64 KiB, so a segment holds a whole number of pages.
        let mut segment = Vec::new();
        self.pages(shape, |page| {
            if segment.is_empty() {
                segment = buffer();
            }
            segment.extend_from_slice(page);
            if segment.len() >= SEGMENT_BYTES {
                take(std::mem::take(&mut segment))?;
            }
            Ok(())
        })?;
        if !segment.is_empty() {
            take(segment)?;
        }
        Ok("sqlite_dbpage")
    }

    /// Gives every page, in order, to `take`.
    ///
    /// `sqlite_dbpage` reads through the pager, so it sees the write-ahead log too; a plain read of
    /// the file would not. SQLite's lock page, which never holds data, comes as zeros.
    pub(super) fn pages(
        &self,
        shape: &Shape,
        mut take: impl FnMut(&[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let explain = |error| self.explain(&error);
        let mut statement = self
            .connection
            .prepare("SELECT pgno, data FROM sqlite_dbpage ORDER BY pgno")
            .map_err(explain)?;
        let mut rows = statement.query(()).map_err(explain)?;
        let mut expected = 1_u32;
        while let Some(row) = rows.next().map_err(explain)? {
            let data = page(row, expected, shape).ok_or_else(|| self.torn(expected))?;
            take(data)?;
            expected = expected.saturating_add(1);
        }
        if expected.saturating_sub(1) == shape.page_count {
            Ok(())
        } else {
            Err(self.torn(expected))
        }
    }

    /// Puts an error of this connection into words.
    pub(super) fn explain(&self, error: &rusqlite::Error) -> EngineError {
        explain(&self.options.path, self.options.lock_wait, error)
    }

    fn torn(&self, page: u32) -> EngineError {
        EngineError::known(
            FailureCode::SourceDamaged,
            format!("{}: SQLite does not give page {page}", self.options.path.display()),
        )
    }
}

fn page<'row>(row: &'row Row<'_>, expected: u32, shape: &Shape) -> Option<&'row [u8]> {
    let number: u32 = row.get(0).ok()?;
    let data = row.get_ref(1).ok()?.as_blob().ok()?;
    let whole = u32::try_from(data.len()).ok()? == shape.page_size;
    (number == expected && number <= shape.page_count && whole).then_some(data)
}

/// Looks at the path before SQLite does: a pipe would make it wait for ever, and for a missing file it
/// only says that it cannot open. Gives the path without links: beside that one SQLite keeps its log.
fn regular_file(path: &Path) -> Result<PathBuf, EngineError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(path),
        std::io::ErrorKind::PermissionDenied => unreachable(path),
        _ => EngineError::io("looking at", path, error),
    };
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => std::fs::canonicalize(path).map_err(failed),
        Ok(found) if found.is_dir() => Err(invalid(format!(
            "{} is a folder; the engine sqlite reads one database file, the engine directory a tree",
            path.display()
        ))),
        Ok(_) => Err(invalid(format!("{} is not a regular file", path.display()))),
        Err(error) => Err(failed(error)),
    }
}

fn begin(path: &Path, wait: Duration) -> rusqlite::Result<(Connection, Connection, Option<Mark>)> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, wait)?;
    let watcher = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, wait)?;
    let mut mark = None;
    for again in 0..TRIES {
        if again > 0 {
            connection.execute_batch("ROLLBACK")?;
        }
        let before = Mark::take(&watcher, path);
        connection.execute_batch("BEGIN")?;
        // A transaction begins with its first read.
        connection.query_row(
            "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)",
            (),
            |_| Ok(()),
        )?;
        let after = Mark::take(&watcher, path);
        mark = before.zip(after).and_then(|(before, after)| Mark::around(before, after));
        if mark.is_some() {
            break;
        }
    }
    // Asked now and not before: a log that is in use does not go away.
    let leave_log = log_files::holds_something(path);
    for connection in [&connection, &watcher] {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave_log)?;
    }
    Ok((connection, watcher, mark))
}

/// A connection that only reads, trusts nothing in the file and keeps little of it in memory.
pub(super) fn connect(
    path: &Path,
    access: OpenFlags,
    wait: Duration,
) -> rusqlite::Result<Connection> {
    // Never SQLITE_OPEN_URI; the path is absolute, so a build that always reads URIs sees none either.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(wait)?;
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
    ))?;
    Ok(connection)
}
