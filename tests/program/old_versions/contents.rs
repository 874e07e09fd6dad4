//! What a source or a restore of it holds, as plain text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::mariadb::MariaDb;
use super::postgres::Postgres;
use super::redis::RedisServer;

/// The rows of a `SQLite` database, and the checksum of its file.
pub(super) fn of_sqlite(file: &Path) -> String {
    let mut text = format!("file {}\n", checksum(file));
    let db = Connection::open(file).unwrap();
    let mut rows = db.prepare("SELECT concat_ws('|', id, name, price) FROM item").unwrap();
    for row in rows.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        writeln!(text, "{}", row.unwrap()).unwrap();
    }
    text
}

/// The rows of the table `item`.
pub(super) fn of_postgres(server: &Postgres) -> String {
    server.sql("postgres", "SELECT id, name, price FROM item ORDER BY id")
}

/// The rows of a table of each storage engine.
pub(super) fn of_mariadb(server: &MariaDb) -> String {
    let tables = ["item", "log", "note"];
    let ask = |table| server.sql(&format!("SELECT * FROM shop.{table} ORDER BY id"));
    tables.map(|table| format!("{table}\n{}\n", ask(table))).concat()
}

/// Every key with its type, expiry and value.
pub(super) fn of_redis(server: &RedisServer) -> String {
    server.connect().contents().join("\n")
}

/// Every file, folder and link with what a restore gives back, but not its owner.
pub(super) fn of_directory(root: &Path) -> String {
    let mut lines = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            lines.insert(name.escape_ascii().to_string(), line(&path));
            folders.extend((path.is_dir() && !path.is_symlink()).then_some(path));
        }
    }
    lines.into_iter().fold(String::new(), |text, (name, line)| text + &name + ": " + &line + "\n")
}

fn line(path: &Path) -> String {
    let found = path.symlink_metadata().unwrap();
    let time = format!("{}.{:09}", found.mtime(), found.mtime_nsec());
    if found.is_symlink() {
        return format!("link {time} to {}", target(path).display());
    }
    let what = if found.is_dir() {
        "folder".to_owned()
    } else {
        format!("file {} {} links {}", found.len(), checksum(path), found.nlink())
    };
    let mut note = [0; 100];
    let length = rustix::fs::lgetxattr(path, "user.note", &mut note).unwrap_or(0);
    format!("{:o} {time} {what} {}", found.mode(), note[..length].escape_ascii())
}

fn target(link: &Path) -> PathBuf {
    std::fs::read_link(link).unwrap()
}

fn checksum(file: &Path) -> String {
    blake3::hash(&std::fs::read(file).unwrap()).to_hex().to_string()
}
