//! Whether a dump reads the database's files or asks SQLite for the pages, and that it gets the same.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use super::dump::read;
use super::{Wal, fill, open};
use crate::engine::conformance::EngineTest as _;

/// Every page that a connection sees.
fn pages(connection: &Connection) -> Vec<u8> {
    let mut statement = connection.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno").unwrap();
    let pages = statement.query_map((), |row| row.get::<_, Vec<u8>>(0)).unwrap();
    pages.flat_map(Result::unwrap).collect()
}

#[test]
fn a_partly_checkpointed_log_is_read_correctly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fill(&open(&path, "wal"));
    // In another process, since the file must be open only once in this one. Killed, it leaves its log behind.
    let mut writer = Command::new("sqlite3")
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sqlite3 is installed: tests/run.sh sees to it");
    let mut input = writer.stdin.take().unwrap();
    let sql = "PRAGMA wal_autocheckpoint = 0;
         UPDATE t SET data = randomblob(2900) WHERE id % 3 = 0;
         PRAGMA wal_checkpoint;
         INSERT INTO t SELECT id + 5000, randomblob(3000), word FROM t;
         SELECT 'written';";
    writeln!(input, "{sql}").unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "written"));
    writer.kill().unwrap();
    writer.wait().unwrap();
    let (facts, recorder) = read(&path).unwrap();
    assert_eq!(facts.facts["read_from"], "file");
    let content = recorder.content("the_shop.db");
    assert!(content.len() > 5_000_000);
    assert!(content == pages(&Connection::open(&path).unwrap()));
}

#[test]
fn a_database_open_elsewhere_in_this_process_is_read_through_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = Wal::create(folder.path()).path;
    let application = Connection::open(&path).unwrap();
    let (facts, recorder) = read(&path).unwrap();
    assert_eq!(facts.facts["read_from"], "sqlite_dbpage");
    assert!(recorder.content("the_shop.db") == pages(&application));
}
