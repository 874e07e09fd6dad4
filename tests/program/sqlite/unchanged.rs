//! An unchanged database is not read again, and no change goes unnoticed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{SqliteShell, TestServer, id_of, manifest_of, stderr_of, wait_until};

/// Every row, as text.
fn rows(path: &Path) -> String {
    let sql = "SELECT id, hex(data) FROM t ORDER BY id";
    let output = Command::new("sqlite3").arg(path).arg(sql).output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn server_with_database(mode: &str) -> (tempfile::TempDir, std::path::PathBuf, TestServer) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut shell = SqliteShell::open(&path);
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

/// Backs up until the last change is older than the clock's tick.
fn settled(server: &TestServer) -> Value {
    wait_until("a backup that reads nothing", || {
        let backup = server.admin().incremental("db");
        let unchanged = manifest_of(&backup)["source"]["unchanged"] == true;
        unchanged.then_some(backup)
    })
}

#[test]
fn an_unchanged_database_is_not_read_again_and_stays_checked() {
    for mode in ["wal", "delete"] {
        let (_folder, path, server) = server_with_database(mode);
        server.admin().full("db");
        let backup = settled(&server);
        let made = manifest_of(&backup);
        assert_eq!(
            made["source"]["check"], "quick_check",
            "the check of what is the same still holds"
        );
        assert_eq!(made["totals"]["unread_files"], 1);
        assert!(rows(&server.restored(&backup)) == rows(&path), "{mode}");

        let mut shell = SqliteShell::open(&path);
        shell.run("UPDATE t SET data = zeroblob(3000) WHERE id = 7;");
        shell.close();
        let backup = server.admin().incremental("db");
        assert_eq!(manifest_of(&backup)["source"]["unchanged"], false, "{mode}");
        assert!(rows(&server.restored(&backup)) == rows(&path), "{mode}");
    }
}

/// Changes that keep the size of the file.
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
fn changes_that_keep_size_and_time_are_still_found() {
    let (_folder, path, server) = server_with_database("wal");
    server.admin().full("db");
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (number, trick) in TRICKS.iter().cycle().take(3 * TRICKS.len()).enumerate() {
        if number % 3 == 0 {
            // Unchanged, so that the next backup would read nothing.
            settled(&server);
        }
        let mut shell = SqliteShell::open(&path);
        shell.run(&format!("{trick};"));
        if number % 2 == 0 {
            shell.close();
            // A program can set the time of the last change; this one does.
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        } else {
            // The log stays, and the database itself was not touched.
            shell.kill();
        }
        let backup = server.admin().incremental("db");
        let same = rows(&server.restored(&backup)) == rows(&path);
        assert!(same, "{number}: {trick}; {}", id_of(&backup));
    }
}
