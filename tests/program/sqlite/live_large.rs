//! A `SQLite` database of more than 1 GiB, where its lock page lies: a full backup and incrementals, a
//! restore by the server, and what all of it costs in memory and in bytes stored.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;

use crate::support::TestServer;

/// Where the page lies that `SQLite` locks and never writes.
const LOCK_BYTE: u64 = 0x4000_0000;
const PAGE: u64 = 4096;
const ROWS: u64 = 17_000;

const MIB: u64 = 1 << 20;

/// Rows of 64 KiB, an eighth of it noise: no two pages in the archive are the same, and it is small
/// enough to be written in a moment.
fn plant(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {PAGE}; PRAGMA journal_mode = off; PRAGMA synchronous = off;
             CREATE TABLE row(id INTEGER PRIMARY KEY, data BLOB);
             BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
             INSERT INTO row SELECT i, randomblob(8000) || zeroblob(57000) FROM n;
             COMMIT;"
        ))
        .unwrap();
}

fn digest(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return hasher.finalize(),
            length => hasher.update(&buffer[..length]),
        };
    }
}

/// Restores into a new instance and gives the file it has then.
fn restored(server: &TestServer, backup: &str) -> PathBuf {
    let client = server.admin();
    let body = json!({"instance": {"name": "again", "restorePoint": {"backupRef": backup}}});
    let instance = client.post("instances", &body).with_status(200).json()["instance"].take();
    let id = instance["id"].as_str().unwrap();
    client.wait_for_instance(id, &["ACTIVE", "ERROR"]);
    let shown = client.get(&format!("instances/{id}")).json();
    assert_eq!(shown["instance"]["status"], "ACTIVE", "{shown:#}");
    let folder = server.data_dir().join("restored");
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn a_database_larger_than_the_lock_page_restores_exactly_and_unchanged_it_costs_almost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.db");
    plant(&path);
    let length = std::fs::metadata(&path).unwrap().len();
    assert!(length > LOCK_BYTE + 32 * MIB, "{length} bytes do not reach across the lock page");
    let server = TestServer::builder().instance_sqlite("large", &path).start();
    let idle = server.peak_rss_bytes();
    let client = server.admin();

    // With a rollback journal: by way of the spool.
    let full = client.full("large");
    assert_eq!(number(&full["source_bytes"]), length);

    // From here on in WAL mode, changed on both sides of the lock page and grown.
    let application = Connection::open(&path).unwrap();
    application
        .execute_batch(&format!(
            "PRAGMA journal_mode = wal; UPDATE row SET data = zeroblob(65000) WHERE id = 7;
             UPDATE row SET data = randomblob(65000) WHERE id = {ROWS} - 5;
             INSERT INTO row VALUES ({ROWS} + 1, randomblob(300000));"
        ))
        .unwrap();
    let changed = client.incremental("large");
    assert_eq!(changed["kind"], "incremental");
    assert!(number(&changed["size_bytes"]) < 2 * MIB, "{changed:#}");
    application.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_row| Ok(())).unwrap();

    let unchanged = client.incremental("large");
    assert_eq!(unchanged["parent_id"], changed["id"]);
    let per_gib =
        number(&unchanged["size_bytes"]) * 1024 * MIB / number(&unchanged["source_bytes"]);
    assert!(per_gib < 64 * 1024, "{per_gib} bytes per GiB for nothing new");

    let file = restored(&server, unchanged["id"].as_str().unwrap());
    assert!(digest(&file) == digest(&path), "the restored file is not what the source is");
    let mut lock_page = [1; 4096];
    File::open(&file).unwrap().read_exact_at(&mut lock_page, LOCK_BYTE).unwrap();
    assert!(lock_page == [0; 4096], "the lock page holds something");
    server.assert_little_memory_since(idle);
}
