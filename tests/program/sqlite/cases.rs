//! `SQLite` databases of every format, size and name, and changes between two backups: the restored file is the
//! same byte for byte.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{TestServer, names_in, write_file};

/// Empties the WAL, so that the database file holds everything.
fn settle(connection: &Connection) {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_row| Ok(())).unwrap();
}

/// Runs this on the database and closes it.
fn run(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    settle(&connection);
}

/// A table with `rows` rows of half a kilobyte each.
fn rows(rows: u32) -> String {
    format!(
        "CREATE TABLE row(id INTEGER PRIMARY KEY, word TEXT, data BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO row SELECT i, 'row ' || i, randomblob(500) FROM n;"
    )
}

#[track_caller]
fn assert_restores(server: &TestServer, backup: &Value, expected: &[u8]) {
    let restored = server.restored(backup);
    assert!(std::fs::read(&restored).unwrap() == expected, "{backup:#} is not what the source was");
    assert_sound(&restored);
    std::fs::remove_file(restored).unwrap();
}

fn assert_sound(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let sound: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn every_page_size_and_auto_vacuum_mode_restores_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = TestServer::builder();
    let mut databases = Vec::new();
    let sizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
    for (number, page_size) in sizes.into_iter().enumerate() {
        let (vacuum, mode) = (number % 3, ["wal", "delete"][number % 2]);
        let name = format!("of-{page_size}");
        let path = folder.path().join(format!("{name}.db"));
        let shape = format!("PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {vacuum};");
        let table = "CREATE TABLE pair(a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
             INSERT INTO pair SELECT word, id FROM row; CREATE INDEX by_b ON pair(b);";
        run(&path, &format!("{shape} PRAGMA journal_mode = {mode}; {} {table}", rows(1500)));
        builder = builder.instance_sqlite(&name, &path);
        databases.push((name, path));
    }
    let server = builder.start();
    let client = server.admin();
    for (name, path) in &databases {
        let (full, first) = (client.full(name), std::fs::read(path).unwrap());
        run(path, "DELETE FROM row WHERE id % 7 = 0; UPDATE pair SET b = b + 1 WHERE b < 100;");
        let (incremental, second) = (client.incremental(name), std::fs::read(path).unwrap());
        assert!(first != second);
        assert_restores(&server, &full, &first);
        assert_restores(&server, &incremental, &second);
    }
}

#[test]
fn an_empty_database_is_backed_up_before_and_after_it_holds_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    write_file(&path, "");
    let server = TestServer::builder().instance_sqlite("new", &path).start();
    let client = server.admin();
    let mut points = vec![(client.full("new"), Vec::new())];
    for sql in ["PRAGMA user_version = 1", &rows(3000), "DROP TABLE row; VACUUM"] {
        run(&path, sql);
        points.push((client.incremental("new"), std::fs::read(&path).unwrap()));
    }
    write_file(&path, "");
    points.push((client.incremental("new"), Vec::new()));
    for (backup, bytes) in &points {
        assert_eq!(backup["source_bytes"], bytes.len());
        assert_restores(&server, backup, bytes);
    }
}

/// Replaces the database by another, as a restore or a deployment would.
fn replace(path: &Path, sql: &str) {
    let other = path.with_extension("other");
    run(&other, sql);
    #[expect(clippy::disallowed_methods, reason = "a test's own files need not survive a crash")]
    std::fs::rename(other, path).unwrap();
}

#[test]
fn every_point_restores_exactly_whatever_changed_between_incrementals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    run(&path, &format!("PRAGMA auto_vacuum = 2; PRAGMA journal_mode = wal; {}", rows(4000)));
    let server = TestServer::builder().instance_sqlite("shop", &path).start();
    let client = server.admin();
    let mut points = vec![(client.full("shop"), std::fs::read(&path).unwrap())];
    let changes: [&dyn Fn(&Path); 9] = [
        &|path| run(path, "INSERT INTO row SELECT id + 10000, word, randomblob(500) FROM row"),
        &|path| run(path, "DELETE FROM row WHERE id > 1000"),
        &|path| run(path, "PRAGMA incremental_vacuum"),
        &|path| run(path, "PRAGMA journal_mode = delete; PRAGMA page_size = 1024; VACUUM"),
        &|path| run(path, "PRAGMA journal_mode = wal; UPDATE row SET word = 'changed'"),
        &|path| replace(path, &format!("PRAGMA page_size = 8192; {}", rows(6000))),
        &|path| run(path, "DELETE FROM row WHERE id % 2; VACUUM"),
        &|path| replace(path, &rows(1)),
        &|path| run(path, "INSERT INTO row SELECT 2, 'x', zeroblob(3000000)"),
    ];
    for change in changes {
        change(&path);
        let made = client.incremental("shop");
        assert_eq!(made["kind"], "incremental");
        points.push((made, std::fs::read(&path).unwrap()));
    }
    for (backup, bytes) in &points {
        assert_restores(&server, backup, bytes);
    }
}

#[test]
fn a_replaced_database_is_backed_up_while_the_old_file_is_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    run(&path, &rows(100));
    let server = TestServer::builder().instance_sqlite("shop", &path).start();
    let old = Connection::open(&path).unwrap();
    old.query_row("SELECT count(*) FROM row", (), |_row| Ok(())).unwrap();
    server.admin().full("shop");
    replace(&path, &rows(200));
    let made = server.admin().incremental("shop");
    assert_restores(&server, &made, &std::fs::read(&path).unwrap());
    drop(old);
}

/// A `file` URL with every byte as `%XX`, so that no rule about unescaped characters matters.
fn url(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold("file://".to_owned(), |mut url, byte| {
        if *byte == b'/' {
            url.push('/');
        } else {
            write!(url, "%{byte:02x}").unwrap();
        }
        url
    })
}

#[test]
fn a_database_with_any_name_is_backed_up_and_no_files_are_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 8] = [
        b"with spaces .db",
        b"it's \"quoted\" `well`.db",
        b"two\nlines\r.db",
        b"not utf-8 \xff\xfe\xc3.db",
        b"file:x.db?mode=memory&cache=shared#part",
        b"100%41 \\ $HOME ;.db",
        b"-init",
        "ключ 鍵 \u{1f511}".as_bytes(),
    ];
    let mut builder = TestServer::builder();
    let mut databases: Vec<(String, PathBuf)> = Vec::new();
    for (number, bytes) in names.into_iter().enumerate() {
        // Each in a folder with the same strange name.
        let inside = folder.path().join(OsStr::from_bytes(bytes));
        std::fs::create_dir(&inside).unwrap();
        let path = inside.join(OsStr::from_bytes(bytes));
        // SQLite cannot open every such name by a string, so the file is made elsewhere and moved.
        let mode = ["wal", "delete"][number % 2];
        replace(&path, &format!("PRAGMA journal_mode = {mode}; {}", rows(100)));
        let name = format!("named-{number}");
        let source = format!("{{ url = \"{}\" }}", url(&path));
        builder = builder.instance_of(&name, "sqlite", &source, "quick");
        databases.push((name, path));
    }
    let server = builder.start();
    for (name, path) in &databases {
        let backup = server.admin().full(name);
        assert_restores(&server, &backup, &std::fs::read(path).unwrap());
        assert_eq!(names_in(path.parent().unwrap()).len(), 1, "something was left beside it");
    }
}

#[test]
fn a_check_says_which_tables_it_was_not_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("shop.db");
    run(
        &database,
        "PRAGMA writable_schema = ON;
         CREATE TABLE names (name TEXT COLLATE NOCASE); CREATE INDEX by_name ON names (name);
         INSERT INTO names VALUES ('a'), ('b'); CREATE TABLE plain (a INTEGER);
         UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'icu_root') WHERE name = 'names';",
    );
    let server = TestServer::builder().instance_sqlite("shop", &database).start();
    let full = server.admin().full("shop");
    let id = full["id"].as_str().unwrap();
    let target = server.folder().join("restored");
    let restore = ["restore", id, "--check", "full", "--to", target.to_str().unwrap()];
    for arguments in [&restore[..], &["drill", id]] {
        let output = server.run_ok(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("integrity_check of everything but names (it needs a"), "{said}");
    }
}
