//! Reading the files of a snapshot gives the same bytes as SQLite does, whatever writers do meanwhile.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;

use super::options::Options;
use super::snapshot::Snapshot;
use crate::domain::{Cancel, SEGMENT_BYTES};
use crate::engine::{Pulse, Result};

fn options(path: &Path) -> Options {
    let wait = Duration::from_secs(10);
    Options { path: path.to_owned(), lock_wait: wait, answer_wait: wait }
}

fn open(path: &Path) -> Result<Snapshot> {
    Snapshot::open(&options(path), None, &Cancel::default(), &Pulse::default())
}

/// A closed database with this journal mode and page size.
fn database(folder: &Path, mode: &str, page_size: u32) -> std::path::PathBuf {
    let path = folder.join("a.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA journal_mode = {mode};
             CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
             INSERT INTO t SELECT i, randomblob(3000) FROM n;"
        ))
        .unwrap();
    path
}

/// The snapshot read by [`Snapshot::segments`] and by SQLite alone, and what the first was read from.
fn both_ways(snapshot: &mut Snapshot) -> (Vec<u8>, Vec<u8>, &'static str) {
    let info = snapshot.info().unwrap();
    let (mut files, mut pages) = (Vec::new(), Vec::new());
    let buffer = || Vec::with_capacity(SEGMENT_BYTES);
    let read_from = snapshot
        .segments(&info, buffer, |segment| {
            assert!(segment.len() == SEGMENT_BYTES || !segment.is_empty());
            files.extend(segment);
            Ok(())
        })
        .unwrap();
    snapshot
        .pages(&info, |page| {
            pages.extend_from_slice(page);
            Ok(())
        })
        .unwrap();
    (files, pages, read_from)
}

/// Another process that changes, grows and shrinks the database in as many small transactions as it can. It often
/// checkpoints and restarts the log, and sometimes removes it.
struct Writer(Child);

impl Writer {
    fn start(path: &Path, seed: u32) -> Self {
        let mut child = Command::new("sqlite3")
            .args(["-batch", "-init", "/dev/null"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sqlite3 is installed: tests/run.sh sees to it");
        let mut input = child.stdin.take().unwrap();
        std::thread::spawn(move || {
            let mut number = seed;
            let begin = "PRAGMA busy_timeout = 20; PRAGMA synchronous = OFF;";
            let mut alive =
                writeln!(input, "{begin} PRAGMA wal_autocheckpoint = {};", 5 + seed * 40);
            while alive.is_ok() {
                number = number.wrapping_mul(1_103_515_245).wrapping_add(12345);
                let id = number / 65_536 % 1000;
                alive = writeln!(
                    input,
                    "INSERT OR REPLACE INTO t VALUES ({id}, randomblob({}));
                     DELETE FROM t WHERE id = {};{}",
                    number / 7 % 9000,
                    id + 3,
                    match id % 50 {
                        0 => "PRAGMA wal_checkpoint(RESTART);",
                        1 => "PRAGMA wal_checkpoint(TRUNCATE);",
                        2 => "PRAGMA incremental_vacuum; VACUUM;",
                        _ => "",
                    }
                );
            }
        });
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

#[test]
fn beside_constant_writers_every_snapshot_equals_what_sqlite_reads() {
    for page_size in [1024, 4096, 65536] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), "wal", page_size);
        let _writers = [Writer::start(&path, 0), Writer::start(&path, 3)];
        let log = folder.path().join("a.db-wal");
        while std::fs::metadata(&log).map_or(0, |it| it.len()) < 100_000 {
            std::thread::yield_now();
        }
        let wanted = if std::env::var_os("COFFER_LONG").is_some() { 2000 } else { 30 };
        // `new` counts snapshots that differ from the last; `from_files` those of them read from files.
        let (mut new, mut from_files, mut last) = (0, 0, Vec::new());
        while new < wanted {
            let mut snapshot = open(&path).unwrap();
            let (files, pages, read_from) = both_ways(&mut snapshot);
            assert!(
                files == pages,
                "snapshot {new}, pages of {page_size}: differ, read from {read_from}"
            );
            if files != last {
                (new, from_files) = (new + 1, from_files + u32::from(read_from == "file"));
            }
            last = files;
        }
        assert!(from_files > wanted / 2, "only {from_files} of {wanted} were read from files");
    }
}

#[test]
fn in_rollback_mode_the_file_itself_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "delete", 4096);
    let mut snapshot = open(&path).unwrap();
    let (files, pages, read_from) = both_ways(&mut snapshot);
    assert!(read_from == "file" && files == pages);
}
