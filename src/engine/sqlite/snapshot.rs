//! One read transaction on a live database: every page as of one commit.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use rustix::fs::CWD;
use tempfile::TempDir;

use super::direct_reader::{DirectReader, WalMark};
use super::fault::{explain, missing, unreachable};
use super::info::DatabaseInfo;
use super::options::Options;
use super::read_only;
use super::readers::ReaderGuard;
use super::wal_files;
use crate::domain::{Cancel, FailureCode, SEGMENT_BYTES, Stamp};
use crate::engine::file_stat::{FileStat, stat_at};
use crate::engine::mounts::require_answer;
use crate::engine::source_path::invalid;
use crate::engine::xattrs::{Xattrs, xattrs_at};
use crate::engine::{EngineError, Pulse, Result};

/// SQLite's page cache. It can be small, since pages are read once, in order.
const CACHE_KIB: i32 = 512;

/// How often the transaction is begun again because something was committed meanwhile.
const ATTEMPTS: usize = 20;

/// A database that does not change for this connection. Fields drop in order: `reader` after the connections.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) connection: Connection,
    /// A second connection, without a transaction, that [`WalMark`]s are taken on.
    _watcher: Connection,
    /// What the transaction sees; `None` if commits came too fast to be sure.
    mark: Option<WalMark>,
    /// Without symbolic links: SQLite keeps its log beside this path.
    path: PathBuf,
    options: Options,
    reader: ReaderGuard,
    /// The copy that is read instead of a database on a read-only filesystem, and the path of that database.
    copy: Option<(TempDir, PathBuf)>,
}

impl Snapshot {
    /// Opens the database and begins a read transaction. Waits for a writer that locks it.
    ///
    /// A write-ahead log that is not empty belongs to the application and is left alone, also at the end. An empty
    /// one may have been created by this connection, and could lock the application out if it stayed. Only a
    /// connection that may write removes it, so this one may; `query_only` keeps it from changing data. Like every
    /// reader, SQLite rolls back a transaction that a crash interrupted; and if an application came, wrote and left
    /// while this one read, the last connection to close moves that log into the database.
    ///
    /// SQLite cannot create a log on a read-only filesystem. A database that needs one is copied to `scratch` with its
    /// log, or without a `scratch` opened as it is, which is enough to look at it.
    pub(super) fn open(
        options: &Options,
        scratch: Option<&Path>,
        cancel: &Cancel,
        pulse: &Pulse,
    ) -> Result<Self> {
        require_answer(&options.path, options.answer_wait)?;
        let path = regular_file(&options.path)?;
        wal_files::refuse_if_not_removable(&path)?;
        let mut reader = ReaderGuard::register(&path, cancel, pulse)?;
        if let Some(file) = reader.exclusive_handle(&path, 0) {
            wal_files::refuse_if_log_is_elsewhere(file, &path)?;
        }
        let explain = |error| explain(&options.path, options.lock_wait, &error);
        let begun = match begin(&path, options.lock_wait) {
            Err(error) if read_only::cannot_open(&path, &error) => match scratch {
                Some(scratch) => {
                    pulse.rest();
                    let folder = read_only::copy(&mut reader, &path, scratch)?;
                    let copy = folder.path().join(read_only::COPY_NAME);
                    reader = ReaderGuard::register(&copy, cancel, pulse)?;
                    let begun = begin(&copy, options.lock_wait).map_err(explain)?;
                    let copied = Some((folder, path));
                    return Ok(Self::new(begun, copy, options, reader, copied));
                }
                None => read_only::look(&path).map(|(one, other)| (one, other, None)),
            },
            other => other,
        };
        let begun = begun.map_err(explain)?;
        wal_files::refuse_if_owner_locked_out(&path)?;
        Ok(Self::new(begun, path, options, reader, None))
    }

    fn new(
        (connection, watcher, mark): (Connection, Connection, Option<WalMark>),
        path: PathBuf,
        options: &Options,
        reader: ReaderGuard,
        copy: Option<(TempDir, PathBuf)>,
    ) -> Self {
        let options = options.clone();
        Self { connection, _watcher: watcher, mark, path, options, reader, copy }
    }

    /// The path of the database itself.
    fn original(&self) -> &Path {
        self.copy.as_ref().map_or(&self.path, |(_, original)| original)
    }

    /// A stamp that shows, without reading, whether the database is still as this transaction sees it; `None` if
    /// nothing would show it. `began_ns`: when the dump began.
    ///
    /// A commit either appends to the log, which changes the mark, or writes to the database: a commit in rollback
    /// mode does, and so does a checkpoint of an earlier log. No program can set back a file's time of change.
    /// A checkpoint of this log changes no content, but counts as a change.
    pub(super) fn stamp(&self, began_ns: i128) -> Option<Stamp> {
        if self.copy.is_some() {
            return None;
        }
        let found = self.file_stat().ok()?;
        Some(Stamp { beside: self.mark?.digest(&self.path)?, ..found.stamp(began_ns)? })
    }

    /// The metadata of the database file. It is not opened for that: closing it would release every POSIX lock that
    /// SQLite connections of this process hold on it.
    pub(super) fn file_stat(&self) -> Result<FileStat> {
        stat_at(CWD.as_fd(), self.original().as_os_str())
            .map_err(|error| EngineError::io("inspecting", self.original(), error))
    }

    /// The extended attributes of the database file, with its access control list.
    pub(super) fn xattrs(&self) -> Result<Xattrs> {
        xattrs_at(self.original())
            .map_err(|error| EngineError::io("inspecting", self.original(), error))
    }

    pub(super) fn info(&self) -> Result<DatabaseInfo> {
        DatabaseInfo::read(&self.connection).map_err(|error| self.explain(&error))
    }

    /// Gives every segment to `take`, in order, in buffers from `buffer`. Returns what it was read from.
    pub(super) fn segments(
        &mut self,
        info: &DatabaseInfo,
        mut buffer: impl FnMut() -> Vec<u8>,
        mut take: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<&'static str> {
        let handle =
            self.mark.and_then(|mark| Some((mark, self.reader.exclusive_handle(&self.path, 2)?)));
        let direct =
            handle.and_then(|(mark, file)| DirectReader::open(file, &self.path, mark, info));
        if let Some(direct) = direct {
            direct.segments(buffer, take)?;
            return Ok("file");
        }
        // Page sizes are powers of two up to 64 KiB, so a segment is a number of complete pages.
        let mut segment = Vec::new();
        self.pages(info, |page| {
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

    /// Gives every page to `take`, in order.
    ///
    /// `sqlite_dbpage` reads through the pager, so it sees the write-ahead log as well. SQLite's lock page, which
    /// never holds data, comes as zeros.
    pub(super) fn pages(
        &self,
        info: &DatabaseInfo,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let explain = |error| self.explain(&error);
        let mut statement = self
            .connection
            .prepare("SELECT pgno, data FROM sqlite_dbpage ORDER BY pgno")
            .map_err(explain)?;
        let mut rows = statement.query(()).map_err(explain)?;
        let mut next = 1_u32;
        while let Some(row) = rows.next().map_err(explain)? {
            let data = page(row, next, info).ok_or_else(|| self.missing_page(next))?;
            take(data)?;
            next = next.saturating_add(1);
        }
        if next.saturating_sub(1) == info.page_count {
            Ok(())
        } else {
            Err(self.missing_page(next))
        }
    }

    pub(super) fn explain(&self, error: &rusqlite::Error) -> EngineError {
        explain(&self.options.path, self.options.lock_wait, error)
    }

    fn missing_page(&self, page: u32) -> EngineError {
        EngineError::known(
            FailureCode::SourceDamaged,
            format!("{}: SQLite does not return page {page}", self.options.path.display()),
        )
    }
}

/// The row's page, if it is page number `number` and has the right size.
fn page<'row>(row: &'row Row<'_>, number: u32, info: &DatabaseInfo) -> Option<&'row [u8]> {
    let found: u32 = row.get(0).ok()?;
    let data = row.get_ref(1).ok()?.as_blob().ok()?;
    let complete = u32::try_from(data.len()).ok()? == info.page_size;
    (found == number && number <= info.page_count && complete).then_some(data)
}

/// Checks the path before SQLite opens it: SQLite would wait for ever on a pipe, and does not say that a file is
/// missing. Returns the path without symbolic links.
pub(super) fn regular_file(path: &Path) -> Result<PathBuf> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(path),
        std::io::ErrorKind::PermissionDenied => unreachable(path),
        _ => EngineError::io("inspecting", path, error),
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

fn begin(
    path: &Path,
    wait: Duration,
) -> rusqlite::Result<(Connection, Connection, Option<WalMark>)> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, wait)?;
    let watcher = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, wait)?;
    let mut mark = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            connection.execute_batch("ROLLBACK")?;
        }
        let before = WalMark::take(&watcher, path);
        connection.execute_batch("BEGIN")?;
        // A transaction begins with its first read.
        connection.query_row(
            "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)",
            (),
            |_| Ok(()),
        )?;
        let after = WalMark::take(&watcher, path);
        mark = before.zip(after).and_then(|(before, after)| WalMark::between(before, after));
        if mark.is_some() {
            break;
        }
    }
    // Only now: a log that is in use does not go away.
    let leave_log = wal_files::is_log_in_use(path);
    for connection in [&connection, &watcher] {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave_log)?;
    }
    Ok((connection, watcher, mark))
}

/// A connection that only reads, trusts nothing in the file and uses little memory.
pub(super) fn connect(
    path: &Path,
    access: OpenFlags,
    wait: Duration,
) -> rusqlite::Result<Connection> {
    // Without SQLITE_OPEN_URI. The path is absolute, so that a build that always reads URIs sees none either.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(wait)?;
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
    ))?;
    Ok(connection)
}
