//! Opens the database file: who may read it, how durable it is, how much memory it takes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use r2d2::Pool;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use scheduled_thread_pool::ScheduledThreadPool;

use super::opened_file::OpenedFile;
use super::place::{EVERYWHERE, Place, READ_ONLY, unreachable};
use super::reader_connection::ReaderConnections;
use super::{Result, StoreError, commits, schema};
use crate::disk;

/// How long to wait for another process, such as a command beside a running server, or for a connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(EVERYWHERE);

/// How every database file of SQLite starts.
const HEADER: &[u8] = b"SQLite format 3\0";

/// Connections for reading, opened as they are needed: more than there are threads that read at once, since
/// the event loops of the API must not wait. Each may keep 2 MiB of pages in memory: all of
/// them are far below what the server may take, however large the catalog is, and the system keeps the rest of it.
const READERS: u32 = 16;
/// How long one may be of no use before it and its pages go.
const IDLE: Duration = Duration::from_secs(10);
const READER_SETTINGS: &str = "PRAGMA cache_size = -2048; PRAGMA trusted_schema = OFF;";

const WRITER_SETTINGS: &str = "PRAGMA cache_size = -2048; PRAGMA synchronous = FULL;
    PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";

/// Compiled statements that each connection keeps.
const STATEMENTS: usize = 64;

/// The connection that writes: durable at every commit.
pub(super) fn for_writing(place: &Place) -> Result<Connection> {
    let path = place.path();
    create(path)?;
    check_header(path)?;
    // SQLite would mix the two as soon as it opens them.
    commits::require_own_log(place)?;
    let mut db = Connection::open_with_flags(path, READ_WRITE)?;
    db.busy_timeout(PATIENCE)?;
    keep_statements(&db)?;
    db.execute_batch(WRITER_SETTINGS)?;
    // The schema first: a file that is not ours must not even change its journal mode.
    schema::prepare(&mut db, path)?;
    db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    Ok(db)
}

/// Fails unless this is a catalog that can be read without being changed.
pub(super) fn require_current(place: &Place) -> Result<()> {
    check_header(place.path())?;
    let db = place.read_once()?;
    db.busy_timeout(PATIENCE)?;
    if schema::is_current(&db, place.path())? {
        return Ok(());
    }
    Err(StoreError::ReadOnly { path: place.path().to_owned() })
}

/// Statements are compiled once. Without the stability guarantee SQLite would plan them again whenever a
/// parameter changes that a partial index might depend on, which takes longer than most of them run.
fn keep_statements(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// SQLite takes a file too short for a header for an empty one, and would write over it.
fn check_header(path: &Path) -> Result<()> {
    let mut start = Vec::with_capacity(HEADER.len());
    let limit = u64::try_from(HEADER.len()).unwrap_or(u64::MAX);
    disk::open_regular(path, OpenOptions::new().read(true))
        .and_then(|file| file.take(limit).read_to_end(&mut start))
        .map_err(|source| unreachable(path, source))?;
    if start.is_empty() || start == HEADER {
        return Ok(());
    }
    Err(StoreError::NotACatalog { path: path.to_owned() })
}

/// Creates the file, readable by its owner only, before SQLite does; the write-ahead log takes its mode
/// from it. A crash here leaves an empty file, which is used as a new one.
fn create(path: &Path) -> Result<()> {
    let unreachable = |source| unreachable(path, source);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(unreachable)?;
            disk::give_to_owner_of(&folder, &file).map_err(unreachable)?;
            file.sync_all().and_then(|()| folder.sync_all()).map_err(unreachable)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unreachable(error)),
    }
}

/// A connection that reads the file once, for a check.
pub(super) fn for_checking(place: &Place) -> Result<Connection> {
    let db = place.read_once()?;
    db.busy_timeout(PATIENCE)?;
    Ok(db)
}

/// Connections that SQLite itself keeps from writing; a `few` of them stay open for a while.
pub(super) fn for_reading(
    place: &Place,
    file: Arc<OpenedFile>,
    few: usize,
) -> Result<Pool<ReaderConnections>> {
    let connect = SqliteConnectionManager::file(place.name());
    let connect = connect.with_flags(READ_ONLY).with_init(move |db| {
        // They are opened when they are needed, and another file may be in its place by then.
        if let Some(why) = file.check_place() {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
            return Err(rusqlite::Error::SqliteFailure(code, Some(why.to_owned())));
        }
        db.busy_timeout(PATIENCE)?;
        keep_statements(db)?;
        db.execute_batch(READER_SETTINGS)
    });
    // It opens and closes connections; the default is three of them.
    let thread = ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("readers");
    let pool = Pool::builder()
        .thread_pool(Arc::new(thread.build()))
        .max_size(READERS)
        // To keep one that is free means for this library to open another one whenever the last is taken: a hundred reads
        // one after the other open all, and so does every minute of a server at rest.
        .min_idle(Some(0))
        .idle_timeout(Some(IDLE))
        .connection_timeout(PATIENCE)
        .test_on_check_out(false)
        .build(ReaderConnections::new(connect, few))?;
    Ok(pool)
}
