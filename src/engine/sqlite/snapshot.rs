//! One read transaction over a live database: every page as it was at one commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

use super::fault::{beside, explain, missing, unreachable};
use super::options::Options;
use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::source_path::invalid;

/// How much of the database SQLite may keep in memory, in KiB. Pages are read once, in order.
const CACHE_KIB: i32 = 512;

/// A database that is held still for this connection.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) connection: Connection,
    options: Options,
}

/// What the database says of itself.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) page_size: u32,
    pub(super) page_count: u32,
    /// Whether writers go on while it is read.
    pub(super) wal: bool,
    /// For people, in the manifest.
    pub(super) facts: BTreeMap<String, Value>,
}

impl Shape {
    /// The length of the file these pages make.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.page_size) * u64::from(self.page_count)
    }
}

impl Snapshot {
    /// Opens the database and holds it still, waiting for a writer that locks it out.
    ///
    /// While an application has a write-ahead log open, the connection is read-only and leaves that log
    /// alone, at the end too. Where there is no log, a read-only connection to a database in WAL mode
    /// would leave an empty one behind, owned by us, and lock its application out: only one that may
    /// write removes it again. Neither changes the data (`query_only`). What SQLite does for every reader
    /// it does here too: after a crash it plays back a rollback journal, and if an application came, wrote
    /// and left while this one read, the last to close moves that log into the database.
    pub(super) fn open(options: &Options) -> Result<Self, EngineError> {
        let path = look(&options.path)?;
        let begun = if beside(&path, "-wal").exists() {
            match begin(&path, options.lock_wait, OpenFlags::SQLITE_OPEN_READ_ONLY) {
                Err(error) if needs_rollback(&error) => {
                    begin(&path, options.lock_wait, OpenFlags::SQLITE_OPEN_READ_WRITE)
                }
                other => other,
            }
        } else {
            begin(&path, options.lock_wait, OpenFlags::SQLITE_OPEN_READ_WRITE)
        };
        match begun {
            Ok(connection) => Ok(Self { connection, options: options.clone() }),
            Err(error) => Err(explain(&options.path, options.lock_wait, &error)),
        }
    }

    /// What the database says of itself, in this snapshot.
    pub(super) fn shape(&self) -> Result<Shape, EngineError> {
        shape(&self.connection).map_err(|error| self.explain(&error))
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
fn look(path: &Path) -> Result<PathBuf, EngineError> {
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

/// A journal lies beside the file that only a writer can play back.
fn needs_rollback(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|it| it.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

fn begin(path: &Path, wait: Duration, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = connect(path, access, wait)?;
    let leave_log = access == OpenFlags::SQLITE_OPEN_READ_ONLY;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave_log)?;
    connection.execute_batch("BEGIN")?;
    // A transaction begins with its first read.
    connection.query_row(
        "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)",
        (),
        |_| Ok(()),
    )?;
    Ok(connection)
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

fn shape(connection: &Connection) -> rusqlite::Result<Shape> {
    let mut facts = BTreeMap::new();
    for name in [
        "page_size",
        "page_count",
        "freelist_count",
        "auto_vacuum",
        "application_id",
        "user_version",
        "schema_version",
    ] {
        let value: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
        facts.insert(name.to_owned(), Value::from(value));
    }
    let encoding: String = connection.pragma_query_value(None, "encoding", |row| row.get(0))?;
    facts.insert("encoding".to_owned(), Value::from(encoding));
    // Which of the rollback modes it is, each writer decides for itself; only WAL is in the file.
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let wal = mode.eq_ignore_ascii_case("wal");
    facts.insert("journal_mode".to_owned(), Value::from(if wal { "wal" } else { "rollback" }));
    let page_size = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let page_count = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    Ok(Shape { page_size, page_count, wal, facts })
}
