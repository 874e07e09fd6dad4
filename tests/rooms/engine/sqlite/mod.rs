//! The engine `sqlite`, with databases in both journal modes.

mod checks;
mod dump;
mod load;
mod read_from;

use std::path::{Path, PathBuf};

use coffer::engine::{Engine, find};
use rusqlite::Connection;

use super::conformance::{EngineTest, TestSource, engine_conformance};

fn engine() -> &'static dyn Engine {
    find("sqlite").unwrap()
}

/// The file beside a database that has `suffix` added to its name.
fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A database in WAL mode, of more than three segments.
struct Wal;
/// A database in rollback mode.
struct Rollback;

impl EngineTest for Wal {
    fn engine() -> &'static dyn Engine {
        engine()
    }
    fn create(folder: &Path) -> TestSource {
        let path = folder.join("an app's \"data\".db");
        fill(&open(&path, "wal"));
        TestSource::at(engine(), path)
    }
    fn assert_same(original: &TestSource, restored: &Path) {
        let (original, restored) = (content(&original.path), content(restored));
        assert!(original.len() > 1000 && original == restored);
    }
}

impl EngineTest for Rollback {
    fn engine() -> &'static dyn Engine {
        engine()
    }
    fn create(folder: &Path) -> TestSource {
        let path = folder.join("file:rollback.db");
        fill(&open(&path, "delete"));
        TestSource::at(engine(), path)
    }
    fn assert_same(original: &TestSource, restored: &Path) {
        Wal::assert_same(original, restored);
    }
}

mod wal {
    super::engine_conformance!(super::Wal);
}

mod rollback {
    super::engine_conformance!(super::Rollback);
}

fn open(path: &Path, mode: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", mode).unwrap();
    connection
}

fn fill(connection: &Connection) {
    connection
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB NOT NULL, word TEXT);
             CREATE INDEX by_word ON t (word);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
             INSERT INTO t SELECT i, randomblob(3000), hex(randomblob(8)) FROM n;",
        )
        .unwrap();
}

fn content(path: &Path) -> Vec<(i64, Vec<u8>, String)> {
    let connection = Connection::open(path).unwrap();
    let mut rows = connection.prepare("SELECT id, data, word FROM t ORDER BY id").unwrap();
    let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}
