//! A database that did not change is not read again, and nothing a writer does makes a change go unseen.

#![cfg(test)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use support::{Shell, TestServer, wait_until};

fn id(backup: &Value) -> &str {
    backup["id"].as_str().unwrap()
}

fn manifest(server: &TestServer, backup: &Value) -> Value {
    let path = backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap();
    let read = format!("zstd -dc '{path}' | tar -xOf - .coffer/manifest.json");
    let output = Command::new("sh").args(["-c", &read]).output().unwrap();
    assert!(output.status.success(), "{}", server.log().text());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every row, as text.
fn rows(path: &Path) -> String {
    let sql = "SELECT id, hex(data) FROM t ORDER BY id";
    let output = Command::new("sqlite3").arg(path).arg(sql).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn planted(mode: &str) -> (tempfile::TempDir, std::path::PathBuf, TestServer) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut shell = Shell::open(&path);
    shell.run(&format!(
        "PRAGMA journal_mode = {mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO t SELECT i, randomblob(3000) FROM n;"
    ));
    shell.close();
    let server = TestServer::builder()
        .instance_sqlite("db", &path)
        .setting("catalog.max_chain", "1000")
        .setting("catalog.reread_every", "0")
        .start();
    (folder, path, server)
}

/// Backs up until the files have been quiet for longer than their clock's tick.
fn settled(server: &TestServer) -> Value {
    wait_until("a backup that reads nothing", || {
        let backup = server.by_admin().incremental("db");
        let unchanged = manifest(server, &backup)["source"]["unchanged"] == true;
        unchanged.then_some(backup)
    })
}

#[test]
fn a_database_at_rest_is_not_read_and_keeps_its_proof() {
    for mode in ["wal", "delete"] {
        let (_folder, path, server) = planted(mode);
        server.by_admin().full("db");
        let backup = settled(&server);
        let made = manifest(&server, &backup);
        assert_eq!(
            made["source"]["check"], "quick_check",
            "the check of what is the same still holds"
        );
        assert_eq!(made["totals"]["unread_files"], 1);
        assert!(rows(&server.restored(&backup)) == rows(&path), "{mode}");

        let mut shell = Shell::open(&path);
        shell.run("UPDATE t SET data = zeroblob(3000) WHERE id = 7;");
        shell.close();
        let backup = server.by_admin().incremental("db");
        assert_eq!(manifest(&server, &backup)["source"]["unchanged"], false, "{mode}");
        assert!(rows(&server.restored(&backup)) == rows(&path), "{mode}");
    }
}

/// What a writer could do so that a change looks like none: nothing here changes the file's size.
const TRICKS: [&str; 5] = [
    // One commit in the log, which stays open.
    "UPDATE t SET data = randomblob(3000) WHERE id = 1",
    // Copied into the database, the log as long as before.
    "PRAGMA wal_checkpoint(RESTART); UPDATE t SET data = randomblob(3000) WHERE id = 1",
    // The log is empty again.
    "UPDATE t SET data = randomblob(3000) WHERE id = 1; PRAGMA wal_checkpoint(TRUNCATE)",
    // Rolled back, and then something else of the same length.
    "BEGIN; UPDATE t SET data = randomblob(3000); ROLLBACK;
     UPDATE t SET data = randomblob(3000) WHERE id = 1",
    // Out of the log's mode and back.
    "PRAGMA journal_mode = delete; UPDATE t SET data = randomblob(3000) WHERE id = 1;
     PRAGMA journal_mode = wal",
];

#[test]
fn a_writer_that_tries_to_hide_its_changes_is_always_seen() {
    let (_folder, path, server) = planted("wal");
    server.by_admin().full("db");
    let then = SystemTime::now() - Duration::from_secs(1000);
    for (number, trick) in TRICKS.iter().cycle().take(3 * TRICKS.len()).enumerate() {
        if number % 3 == 0 {
            // At rest, so that the next backup would like to read nothing.
            settled(&server);
        }
        let mut shell = Shell::open(&path);
        shell.run(&format!("{trick};"));
        if number % 2 == 0 {
            shell.close();
            // The time of the last change is what a program can set, and this one does.
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        } else {
            // The log stays, and the database itself was not touched.
            shell.kill();
        }
        let backup = server.by_admin().incremental("db");
        let same = rows(&server.restored(&backup)) == rows(&path);
        assert!(same, "{number}: {trick}; {}", id(&backup));
    }
}
