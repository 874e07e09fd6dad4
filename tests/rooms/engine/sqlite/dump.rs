//! Backups of live databases.

use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer::domain::{Cancel, CheckLevel, EntryKind, FailureCode};
use coffer::engine::{DrillRequest, DumpFacts, DumpRequest, EngineError};
use rusqlite::Connection;
use serde_json::json;

use super::{Rollback, Wal, companion, engine, fill, open};
use crate::engine::conformance::{EngineTest as _, NOT_CANCELLED, Recorder, code, dump, names};

pub(super) fn read(path: &Path) -> Result<(DumpFacts, Recorder), EngineError> {
    let mut recorder = Recorder::default();
    dump(engine(), &engine().source_of(path), &mut recorder).map(|facts| (facts, recorder))
}

/// Writes the dumped database to a file and opens it.
fn reopened(recorder: &Recorder) -> (tempfile::NamedTempFile, Connection) {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(recorder.content("the_shop.db")).unwrap();
    let connection = Connection::open(file.path()).unwrap();
    (file, connection)
}

#[test]
fn sqlite_is_built_with_sqlite_dbpage() {
    let connection = Connection::open_in_memory().unwrap();
    let read = connection.prepare("SELECT pgno, data FROM sqlite_dbpage");
    assert!(read.is_ok(), "build with LIBSQLITE3_FLAGS=-DSQLITE_ENABLE_DBPAGE_VTAB");
}

#[test]
fn databases_of_every_page_size_are_read_completely() {
    let folder = tempfile::tempdir().unwrap();
    for page_size in [512_i64, 1024, 4096, 65536] {
        for mode in ["wal", "delete"] {
            let path = folder.path().join(format!("{page_size}-{mode}.db"));
            let writer = Connection::open(&path).unwrap();
            writer.pragma_update(None, "page_size", page_size).unwrap();
            writer.pragma_update(None, "journal_mode", mode).unwrap();
            fill(&writer);
            let (facts, recorder) = read(&path).unwrap();
            assert_eq!(facts.facts["page_size"], json!(page_size));
            assert_eq!(facts.facts["journal_mode"], if mode == "wal" { "wal" } else { "rollback" });
            assert_eq!(facts.check.as_deref(), Some("quick_check"));
            writer.pragma_query(None, "wal_checkpoint", |_| Ok(())).unwrap();
            drop(writer);
            assert!(std::fs::read(&path).unwrap() == recorder.content("the_shop.db"), "{path:?}");
        }
    }
}

#[test]
fn an_empty_database_is_a_backup_of_no_bytes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (facts, recorder) = read(file.path()).unwrap();
    assert_eq!(facts.facts["page_count"], json!(0));
    let (entry, content) = recorder.member("the_shop.db");
    assert_eq!(entry.kind, EntryKind::File { size: 0, extents: None });
    assert!(content.is_empty());
}

#[test]
fn a_source_that_is_not_a_sound_database_is_refused_with_the_right_code() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::copy("/proc/self/status", &text).unwrap();
    assert_eq!(code(read(&text)), FailureCode::SourceInvalid);
    assert_eq!(code(read(folder.path())), FailureCode::SourceInvalid);
    assert_eq!(code(read(Path::new("/dev/null"))), FailureCode::SourceInvalid);

    let path = Wal::create(folder.path()).path;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0x5a; 4096 * 20], 4096 * 30).unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert_eq!(code::<()>(Err(error)), FailureCode::SourceDamaged);
    file.set_len(4096 * 30 + 7).unwrap();
    assert_eq!(code(read(&path)), FailureCode::SourceDamaged);
}

#[test]
fn a_name_that_is_not_utf8_can_be_read() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff\n?mode=memory'.db"));
    fill(&open(&path, "wal"));
    assert!(read(&path).is_ok());
}

#[test]
fn a_closed_wal_database_is_left_without_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = Wal::create(folder.path()).path;
    let before = std::fs::read(&path).unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let there = names(folder.path());
    assert_eq!(there.len(), 1, "the application closed it");
    read(&path).unwrap();
    assert_eq!(names(folder.path()), there);
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), modified);
}

#[test]
fn a_log_left_by_a_crash_is_read_and_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = Wal::create(folder.path()).path;
    let writer = Connection::open(&path).unwrap();
    writer.execute("DELETE FROM t WHERE id > 10", ()).unwrap();
    let crashed = tempfile::tempdir().unwrap();
    let copy = crashed.path().join("c.db");
    std::fs::copy(&path, &copy).unwrap();
    let log = crashed.path().join("c.db-wal");
    std::fs::copy(companion(&path, "-wal"), &log).unwrap();
    let (before, log_before) = (std::fs::read(&copy).unwrap(), std::fs::read(&log).unwrap());
    // Through a link, beside which there is no log.
    let link = crashed.path().join("link");
    symlink(&copy, &link).unwrap();
    let (_, recorder) = read(&link).unwrap();
    let (_file, restored) = reopened(&recorder);
    let rows: i64 = restored.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap();
    assert_eq!(rows, 10);
    assert!(std::fs::read(&copy).unwrap() == before, "the database was written to");
    assert!(std::fs::read(&log).unwrap() == log_before, "the log was written to");
}

#[test]
fn a_transaction_interrupted_by_a_crash_is_rolled_back_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = Rollback::create(folder.path()).path;
    let writer = Connection::open(&path).unwrap();
    // A small cache spills changed pages into the file before the commit.
    writer
        .execute_batch("PRAGMA cache_size = 10; BEGIN; UPDATE t SET data = zeroblob(3000);")
        .unwrap();
    let crashed = tempfile::tempdir().unwrap();
    let copy = crashed.path().join("c.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(companion(&path, "-journal"), crashed.path().join("c.db-journal")).unwrap();
    let (_, recorder) = read(&copy).unwrap();
    let (_file, restored) = reopened(&recorder);
    let wiped: i64 = restored
        .query_row("SELECT count(*) FROM t WHERE data = zeroblob(3000)", (), |row| row.get(0))
        .unwrap();
    assert_eq!(wiped, 0);
}

#[test]
fn a_lock_that_is_not_released_is_an_error_with_the_time_waited() {
    let folder = tempfile::tempdir().unwrap();
    let path = Rollback::create(folder.path()).path;
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut source = engine().source_of(&path);
    source.0.insert("lock_wait_s".to_owned(), json!(0));
    let locked = dump(engine(), &source, &mut Recorder::default());
    assert!(locked.as_ref().unwrap_err().to_string().contains("locked for 0 s"));
    assert_eq!(code(locked), FailureCode::SourceLocked);
}

#[test]
fn a_table_with_an_unknown_collation_is_not_checked_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = Wal::create(folder.path()).path;
    let writer = Connection::open(&path).unwrap();
    writer
        .execute_batch(
            "PRAGMA writable_schema = ON;
             CREATE TABLE names (name TEXT COLLATE NOCASE); CREATE INDEX by_name ON names (name);
             INSERT INTO names VALUES ('a'), ('b');
             UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'icu_root') WHERE name = 'names';
             CREATE TABLE ruled (a INTEGER CHECK (abs(a) >= 0));
             UPDATE sqlite_schema SET sql = replace(sql, 'abs', 'app') WHERE name = 'ruled';",
        )
        .unwrap();
    drop(writer);
    let (facts, _) = read(&path).unwrap();
    assert_eq!(facts.check.as_deref(), Some("quick_check"));
    assert_eq!(facts.facts["tables_not_checked"], json!(["names"]));
}

/// Moves money between accounts until `stop` is set. Returns how often, and the first error.
fn transfer(path: &Path, stop: &AtomicBool, begun: &AtomicBool) -> (u32, Option<rusqlite::Error>) {
    let writer = Connection::open(path).unwrap();
    writer.pragma_update(None, "synchronous", "OFF").unwrap();
    writer.busy_timeout(std::time::Duration::ZERO).unwrap();
    let (mut done, mut first) = (0_u32, None);
    while !stop.load(Ordering::Relaxed) {
        let (from, to) = (done % 997 + 1, done % 991 + 3);
        let moved = writer.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             UPDATE account SET coins = coins - 7 WHERE id = {from};
             UPDATE account SET coins = coins + 7 WHERE id = {to};
             COMMIT;"
        ));
        if let Err(error) = moved {
            first.get_or_insert(error);
            writer.execute_batch("ROLLBACK").ok();
        }
        done += 1;
        begun.store(true, Ordering::Relaxed);
    }
    (done, first)
}

fn a_writer_and_a_reader(mode: &str) -> (u32, Option<rusqlite::Error>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.db");
    let owner = open(&path, mode);
    owner
        .execute_batch(
            "CREATE TABLE account (id INTEGER PRIMARY KEY, coins INTEGER, note TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO account SELECT i, 100, hex(randomblob(700)) FROM n;",
        )
        .unwrap();
    let (stop, begun) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| transfer(&path, &stop, &begun));
        while !begun.load(Ordering::Relaxed) && !writer.is_finished() {
            std::thread::yield_now();
        }
        let dumps = std::panic::catch_unwind(|| {
            for _ in 0..8 {
                let (_, recorder) = read(&path).unwrap();
                let (_file, restored) = reopened(&recorder);
                let total: i64 = restored
                    .query_row("SELECT sum(coins) FROM account", (), |row| row.get(0))
                    .unwrap();
                assert_eq!(total, 100_000);
                let sound: String =
                    restored.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
                assert_eq!(sound, "ok");
            }
        });
        stop.store(true, Ordering::Relaxed);
        dumps.unwrap();
        writer.join().unwrap()
    })
}

#[test]
fn a_backup_beside_a_wal_writer_is_consistent_and_never_blocks_it() {
    let (done, error) = a_writer_and_a_reader("wal");
    assert!(done > 0);
    assert!(error.is_none(), "the writer was disturbed: {error:?}");
}

#[test]
fn a_backup_beside_a_rollback_mode_writer_is_consistent() {
    let (done, _busy_is_allowed) = a_writer_and_a_reader("delete");
    assert!(done > 0);
}

#[test]
fn the_check_can_be_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = Rollback::create(folder.path()).path;
    let source = engine().source_of(&path);
    let request = DumpRequest {
        source: &source,
        instance_name: "ä/b",
        check: CheckLevel::Off,
        scratch: folder.path(),
        trust_stamps: false,
        parent_check: None,
        cancel: &NOT_CANCELLED,
    };
    let mut recorder = Recorder::default();
    let facts = engine().dump(&request, &mut recorder).unwrap();
    assert_eq!((facts.check, facts.check_ms), (None, 0));
    assert_eq!(recorder.paths(), ["__b.db"]);
}

#[test]
fn cancelling_ends_a_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = Wal::create(folder.path()).path;
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
             INSERT INTO t SELECT i + 10000, x'00', hex(i) FROM n",
        )
        .unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let request =
        DrillRequest { restored: &path, source: None, scratch: folder.path(), cancel: &cancel };
    assert!(matches!(engine().drill(&request), Err(EngineError::Cancelled)));
}
