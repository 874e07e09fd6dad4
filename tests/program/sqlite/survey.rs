//! Every feature of `SQLite`'s file format ("Database File Format"): the restored file is the same byte for byte, and
//! what nothing vouches for is named.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{TestServer, id_of, succeed};

const ROWS: &str =
    "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
    SELECT i, 'word ' || i FROM n;";
const TABLE: &str = "CREATE TABLE t(a, b);";

/// A name, the statements that make a database, and the tables that nothing vouches for.
type Feature = (&'static str, &'static str, &'static [&'static str]);

/// Before the first table.
const FORMATS: &[Feature] = &[
    ("smallest-pages", "PRAGMA page_size = 512", &[]),
    ("largest-pages", "PRAGMA page_size = 65536; PRAGMA journal_mode = wal", &[]),
    ("auto-vacuum", "PRAGMA auto_vacuum = full", &[]),
    ("incremental-vacuum", "PRAGMA auto_vacuum = incremental; PRAGMA journal_mode = wal", &[]),
    ("utf-16-le", "PRAGMA encoding = 'UTF-16le'", &[]),
    ("utf-16-be", "PRAGMA encoding = 'UTF-16be'; PRAGMA journal_mode = wal", &[]),
    ("numbers", "PRAGMA user_version = -7; PRAGMA application_id = 2147483647", &[]),
    ("truncated-journal", "PRAGMA journal_mode = truncate", &[]),
    ("kept-journal", "PRAGMA journal_mode = persist", &[]),
    ("journal-in-memory", "PRAGMA journal_mode = memory", &[]),
    ("no-journal", "PRAGMA journal_mode = off", &[]),
    ("legacy-format", "PRAGMA legacy_file_format = on", &[]),
];

/// After the first table.
const CONTENTS: &[Feature] = &[
    ("free-pages", "DELETE FROM t WHERE a % 3;", &[]),
    ("overflow-pages", "INSERT INTO t VALUES (randomblob(300000), zeroblob(70000));", &[]),
    ("indexes", "CREATE INDEX i ON t(b DESC); CREATE UNIQUE INDEX u ON t(a, b); ANALYZE;", &[]),
    (
        "partial-index",
        "CREATE INDEX i ON t(b) WHERE a > 7; CREATE INDEX e ON t(lower(b) || a);",
        &[],
    ),
    (
        "without-rowid",
        "CREATE TABLE k(a TEXT COLLATE nocase, b, PRIMARY KEY (b, a)) WITHOUT ROWID;
        INSERT INTO k SELECT b, a FROM t;",
        &[],
    ),
    (
        "strict",
        "CREATE TABLE s(a INTEGER PRIMARY KEY, b TEXT, c ANY) STRICT;
        INSERT INTO s SELECT a, b, x'00' FROM t;",
        &[],
    ),
    (
        "generated",
        "CREATE TABLE g(a, b AS (a * 2) STORED, c AS (a || 'x') VIRTUAL);
        INSERT INTO g SELECT a FROM t; CREATE INDEX i ON g(c);",
        &[],
    ),
    (
        "sequence",
        "CREATE TABLE s(a INTEGER PRIMARY KEY AUTOINCREMENT, b);
        INSERT INTO s(b) SELECT b FROM t; DELETE FROM s;",
        &[],
    ),
    (
        "views-and-triggers",
        "CREATE VIEW v AS SELECT app(a) FROM t; CREATE TABLE log(x);
        CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a); END;",
        &[],
    ),
    (
        "quoted-names",
        "CREATE TABLE \"a \"\"b\"\" 'c' [d] ; --\"(\"x\"\"y\" TEXT, \"\" CHECK (1), \"select\");
        INSERT INTO \"a \"\"b\"\" 'c' [d] ; --\" SELECT b, a, b FROM t; CREATE TABLE 'ключ 鍵'(x);",
        &[],
    ),
    (
        "broken-references",
        "PRAGMA foreign_keys = off; CREATE TABLE c(x REFERENCES nowhere(y)); INSERT INTO c VALUES (1);",
        &[],
    ),
    (
        "changed-columns",
        "ALTER TABLE t ADD COLUMN c DEFAULT 'x'; ALTER TABLE t RENAME b TO d;
        ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME TO t2; ALTER TABLE t2 RENAME TO t;
        ALTER TABLE t ADD COLUMN a; ALTER TABLE t ADD COLUMN b;",
        &[],
    ),
    (
        "fts3",
        "CREATE VIRTUAL TABLE ft USING fts3(x, tokenize=porter); INSERT INTO ft SELECT b FROM t;",
        &[],
    ),
    (
        "fts4",
        "CREATE VIRTUAL TABLE ft USING fts4(x, prefix='2,3'); INSERT INTO ft SELECT b FROM t;
        CREATE VIRTUAL TABLE terms USING fts4aux(ft);",
        &[],
    ),
    (
        "fts4-outside",
        "CREATE VIRTUAL TABLE ft USING fts4(content=\"t\", b);
        INSERT INTO ft(ft) VALUES ('rebuild'); CREATE VIRTUAL TABLE no USING fts4(x, content='');",
        &[],
    ),
    (
        "fts5",
        "CREATE VIRTUAL TABLE ft USING fts5(x, y UNINDEXED, detail=none, prefix='2');
        INSERT INTO ft SELECT b, a FROM t; CREATE VIRTUAL TABLE v USING fts5vocab(ft, row);",
        &[],
    ),
    (
        "fts5-outside",
        "CREATE VIRTUAL TABLE ft USING fts5(b, content='t', tokenize='trigram');
        CREATE VIRTUAL TABLE no USING fts5(x, content='', contentless_delete=1);
        INSERT INTO no(rowid, x) SELECT a, b FROM t;",
        &[],
    ),
    (
        "r-tree",
        "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, +note);
        INSERT INTO r SELECT a, a, a + 1, b FROM t;
        CREATE VIRTUAL TABLE ri USING rtree_i32(id, x0, x1); INSERT INTO ri SELECT a, a, a FROM t;",
        &[],
    ),
    ("own-function-in-index", "CREATE INDEX i ON t(app(a));", &["t"]),
    ("own-function-in-condition", "CREATE INDEX i ON t(b) WHERE app(a) > 3;", &["t"]),
    (
        "own-function-in-rule",
        "CREATE TABLE c(x CHECK (app(x)), y DEFAULT (app(1)));
        INSERT INTO c SELECT a, b FROM t;",
        &[],
    ),
    (
        "own-function-in-column",
        "CREATE TABLE g(a, b AS (app(a)) STORED); INSERT INTO g SELECT a FROM t;
        CREATE INDEX i ON g(b);",
        &[],
    ),
    (
        "own-order",
        "CREATE TABLE k(a COLLATE appcol, b, PRIMARY KEY (a)) WITHOUT ROWID;
        INSERT INTO k SELECT b, a FROM t; CREATE INDEX i ON t(b COLLATE appcol);",
        &["k", "t"],
    ),
    (
        "own-tokenizers",
        "CREATE VIRTUAL TABLE f4 USING fts4(x, tokenize=apptok); CREATE VIRTUAL TABLE
        f5 USING fts5(x, tokenize='apptok'); INSERT INTO f5 SELECT b FROM t;",
        &["f4", "f5"],
    ),
    (
        "own-module",
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema
        VALUES ('table', 'vt', 'vt', 0, 'CREATE VIRTUAL TABLE vt USING app_module(x)');",
        &["vt"],
    ),
];

/// Makes a database with what only its application has.
fn make(path: &Path, format: &str, content: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(&format!("{format}; {TABLE} {ROWS}")).unwrap();
    // SQLite's own stand in while it is made.
    let own =
        [("app(", "abs("), ("appcol", "binary"), ("=apptok", "=simple"), ("'apptok'", "'ascii'")];
    let made = own.iter().fold(content.to_owned(), |sql, (app, its)| sql.replace(app, its));
    connection.execute_batch(&made).unwrap();
    let renamed = own.iter().filter(|(app, _)| content.contains(app)).fold(
        "sql".to_owned(),
        |sql, (app, its)| {
            format!("replace({sql}, '{}', '{}')", its.replace('\'', "''"), app.replace('\'', "''"))
        },
    );
    let rename = format!("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = {renamed}");
    connection.execute_batch(&rename).unwrap();
}

fn change(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("CREATE TABLE more(x); INSERT INTO more VALUES (zeroblob(9000));")
        .unwrap();
}

#[track_caller]
fn assert_restores(server: &TestServer, backup: &Value, expected: &[u8], unchecked: &[&str]) {
    let name = &backup["name"];
    let left_out = backup["left_out"].as_array().unwrap();
    let named: Vec<_> = left_out.iter().map(|it| it["what"].as_str().unwrap()).collect();
    assert_eq!(named, unchecked, "{name}: {left_out:?}");
    let restored = server.restored(backup);
    assert!(std::fs::read(&restored).unwrap() == expected, "{name} is not what the source was");
    let shown = server.run_ok(&["show", id_of(backup)]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(unchecked.iter().all(|it| shown.contains(&format!("    {it}: unchecked"))), "{shown}");
    server.run_ok(&["drill", id_of(backup)]);
}

#[test]
fn every_feature_of_the_file_format_is_restored_and_what_cannot_be_checked_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = TestServer::builder();
    let formats = FORMATS.iter().map(|(name, format, _)| (*name, *format, "", &[][..]));
    let contents =
        CONTENTS.iter().map(|(name, content, unchecked)| (*name, "", *content, *unchecked));
    let features: Vec<_> = formats.chain(contents).collect();
    let path = |name: &str| folder.path().join(format!("{name}.db"));
    for (name, format, content, _) in &features {
        make(&path(name), format, content);
        builder =
            builder.instance_of(name, "sqlite", &format!("{{ path = {:?} }}", path(name)), "full");
    }
    let mut shell = Command::new("sqlite3");
    shell.arg(path("reserved-bytes")).arg(".filectrl reserve_bytes 32");
    succeed(shell.arg(format!("{TABLE} {ROWS} VACUUM;")));
    let server = builder.instance_sqlite("reserved-bytes", &path("reserved-bytes")).start();
    assert_eq!(std::fs::read(path("reserved-bytes")).unwrap()[20], 32, "no bytes are reserved");
    let client = server.admin();
    for (name, unchecked) in
        features.iter().map(|it| (it.0, it.3)).chain([("reserved-bytes", &[][..])])
    {
        let (full, first) = (client.full(name), std::fs::read(path(name)).unwrap());
        change(&path(name));
        let (incremental, second) = (client.incremental(name), std::fs::read(path(name)).unwrap());
        assert!(first != second && incremental["kind"] == "incremental");
        assert_restores(&server, &full, &first, unchecked);
        assert_restores(&server, &incremental, &second, unchecked);
        let unchanged = client.incremental(name);
        assert_eq!(unchanged["left_out"], incremental["left_out"], "{name}");
    }
}
