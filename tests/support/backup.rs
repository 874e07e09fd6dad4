//! A backup's row, and what belongs to it: its archive, its drill, an instance restored from it.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::process::{bash, succeed};
use super::{Client, wait_until, write_file};

/// The id of a row.
#[track_caller]
pub(crate) fn id_of(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

/// Where the archive of this backup lies.
#[track_caller]
pub(crate) fn archive_of(backup: &Value) -> PathBuf {
    PathBuf::from(backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap())
}

/// The size of the archive in bytes.
#[track_caller]
pub(crate) fn size_of(backup: &Value) -> u64 {
    backup["size_bytes"].as_u64().unwrap()
}

/// A file from the archive, read with nothing but `zstd` and `tar`.
#[track_caller]
fn member(archive: &Path, name: &str) -> String {
    let script = format!("zstd -dc \"$1\" | tar -xOf - {name}");
    succeed(bash(&script, Path::new("/")).arg("bash").arg(archive))
}

/// The manifest of this backup.
#[track_caller]
pub(crate) fn manifest_of(backup: &Value) -> Value {
    serde_json::from_str(&member(&archive_of(backup), ".coffer/manifest.json")).unwrap()
}

/// How to restore the archive without Coffer, as it says itself.
#[track_caller]
pub(crate) fn restore_text(archive: &Path) -> String {
    member(archive, ".coffer/RESTORE.txt")
}

/// Flips a bit in the middle of the archive. Published archives are read-only, so the file is replaced.
#[track_caller]
pub(crate) fn damage(archive: &Path) {
    let mut bytes = std::fs::read(archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(archive).unwrap();
    write_file(archive, bytes);
}

impl Client {
    /// Asks for a drill of the backup.
    #[track_caller]
    pub(crate) fn ask_for_drill(&self, id: &str) {
        self.send("POST", &format!("backups/{id}/drill"), None).with_status(202);
    }

    /// The backup's row once its drill has ended.
    #[track_caller]
    pub(crate) fn drilled(&self, id: &str) -> Value {
        wait_until(&format!("the drill of {id}"), || {
            let row = self.backup(id);
            (row["next_drill"].is_null() && !row["drill"].is_null()).then_some(row)
        })
    }

    /// The row of a new instance, restored from this backup, once the restore has ended.
    #[track_caller]
    pub(crate) fn restore_into_instance(&self, backup: &Value) -> Value {
        let body = json!({"instance": {
            "name": "again", "flavorRef": "1", "restorePoint": {"backupRef": backup["id"]},
            "datastore": {"type": backup["datastore"]["type"]},
        }});
        let made = self.post("instances", &body).with_status(200).json();
        self.wait_for_instance(id_of(&made["instance"]), &["ACTIVE", "ERROR", "FAILED"])
    }

    /// Where the instance of such a row lies; fails the test unless it is ACTIVE.
    #[track_caller]
    pub(crate) fn restored_instance(&self, backup: &Value) -> PathBuf {
        let row = self.restore_into_instance(backup);
        assert_eq!(row["status"], "ACTIVE", "{row:#}");
        PathBuf::from(row["restored_to"].as_str().unwrap())
    }
}

/// Overwrites the first page of an index of a SQLite database. Counting rows does not read it, nor does a backup
/// without a check.
pub(crate) fn damage_index(database: &Path, index: &str) {
    let sql = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name = ?1";
    let (root, size): (u32, u32) = Connection::open(database)
        .unwrap()
        .query_row(sql, [index], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(database).unwrap();
    let page = vec![0x5a; usize::try_from(size).unwrap()];
    file.write_all_at(&page, u64::from(root - 1) * u64::from(size)).unwrap();
}
