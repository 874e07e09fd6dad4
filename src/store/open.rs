//! Opens the database file: who may read it, how durable it is, how much memory it takes.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use r2d2::Pool;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{StoreError, schema};

/// How long to wait for another process, such as a command beside a running server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections for reading.
const READERS: u32 = 4;

/// Statements each connection keeps compiled.
const STATEMENTS: usize = 64;

/// The connection that writes: durable at every commit.
pub(super) fn for_writing(path: &Path) -> Result<Connection, StoreError> {
    create(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    settle_in(db).and_then(|db| checked(db, path)).map_err(|error| name_the_file(error, path))
}

fn settle_in(db: Connection) -> Result<Connection, StoreError> {
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.execute_batch(
        "PRAGMA cache_size = -2048; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;",
    )?;
    Ok(db)
}

/// The schema first: a file that is not ours must not even change its journal mode.
fn checked(mut db: Connection, path: &Path) -> Result<Connection, StoreError> {
    schema::prepare(&mut db, path)?;
    db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(db) } else { Err(StoreError::Damaged { why: verdict }) }
}

/// SQLite says "not a database" of a file that never was one: that is not damage.
fn name_the_file(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Damaged { .. } if !has_sqlite_header(path) => {
            StoreError::NotACatalog { path: path.to_owned() }
        }
        StoreError::Sqlite(rusqlite::Error::SqliteFailure(cause, _))
            if cause.code == ErrorCode::NotADatabase =>
        {
            StoreError::NotACatalog { path: path.to_owned() }
        }
        other => other,
    }
}

fn has_sqlite_header(path: &Path) -> bool {
    use std::io::Read as _;

    let mut start = [0; 16];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start == *b"SQLite format 3\0"
}

/// Makes the file, readable by its owner only, before SQLite does; the write-ahead log takes its mode
/// from it. An empty one is what a crash at this place leaves, and is as good as none.
fn create(path: &Path) -> Result<(), StoreError> {
    let unreachable = |source| StoreError::Unreachable { path: path.to_owned(), source };
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(file) => {
            file.sync_all().map_err(unreachable)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))
                .and_then(|folder| folder.sync_all())
                .map_err(unreachable)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unreachable(error)),
    }
}

/// Connections that SQLite itself keeps from writing.
pub(super) fn for_reading(path: &Path) -> Result<Pool<SqliteConnectionManager>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connect = SqliteConnectionManager::file(path).with_flags(flags).with_init(|db| {
        db.busy_timeout(PATIENCE)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        db.execute_batch("PRAGMA cache_size = -512; PRAGMA trusted_schema = OFF;")
    });
    let pool = Pool::builder()
        .max_size(READERS)
        .min_idle(Some(1))
        .connection_timeout(PATIENCE)
        .test_on_check_out(false)
        .build(connect)?;
    Ok(pool)
}
