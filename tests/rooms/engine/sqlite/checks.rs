//! What is damage, what is not, and what cannot be checked without the application.

use std::path::{Path, PathBuf};

use coffer::domain::{CheckLevel, FailureCode};
use coffer::engine::{DrillReport, DrillRequest, DumpFacts, DumpRequest, EngineError};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::engine;
use crate::engine::conformance::{NOT_CANCELLED, Recorder, code};

/// A database that this makes.
fn database(folder: &Path, sql: &str) -> PathBuf {
    let path = folder.join("a.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

/// Turns `abs` into a function that only the application has.
const RENAME: &str = "PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'abs', 'app') WHERE sql LIKE '%abs(%';";

fn dump_at(path: &Path, check: CheckLevel) -> Result<DumpFacts, EngineError> {
    let source = engine().source_of(path);
    let request = DumpRequest {
        source: &source,
        instance_name: "the shop",
        check,
        scratch: path.parent().unwrap(),
        trust_stamps: false,
        parent_check: None,
        cancel: &NOT_CANCELLED,
    };
    engine().dump(&request, &mut Recorder::default())
}

fn drill(path: &Path) -> Result<DrillReport, EngineError> {
    let scratch = path.parent().unwrap();
    let request = DrillRequest { restored: path, source: None, scratch, cancel: &NOT_CANCELLED };
    engine().drill(&request)
}

const ROWS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
    INSERT INTO t(a, b) SELECT i, i FROM n;";

#[test]
fn what_only_the_application_has_is_not_checked_and_named() {
    let custom_tokenizer = "CREATE VIRTUAL TABLE ft USING fts4(x); INSERT INTO ft VALUES ('word');
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'fts4(x)', 'fts4(x, tokenize=app)')
        WHERE name = 'ft';";
    let custom_module = "PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema VALUES
        ('table', 'vt', 'vt', 0, 'CREATE VIRTUAL TABLE vt USING app_module(x)');";
    let custom_fts5 = "CREATE VIRTUAL TABLE ft USING fts5(x, tokenize = 'porter unicode61');
        INSERT INTO ft VALUES ('word'); PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'porter', 'app') WHERE name = 'ft';";
    let custom_order = "CREATE TABLE k(a TEXT COLLATE nocase PRIMARY KEY) WITHOUT ROWID;
        INSERT INTO k VALUES ('x'), ('y'); PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'nocase', 'app') WHERE name = 'k';";
    for (sql, unchecked) in [
        (custom_fts5, "ft"),
        (custom_order, "k"),
        ("CREATE INDEX i ON t(abs(a));", "t"),
        ("CREATE INDEX i ON t(b) WHERE abs(a) > 3;", "t"),
        ("ALTER TABLE t ADD COLUMN c TEXT AS (abs(a)) VIRTUAL; CREATE INDEX i ON t(c);", "t"),
        (custom_module, "vt"),
        (custom_tokenizer, "ft"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), &format!("CREATE TABLE t(a, b); {ROWS} {sql} {RENAME}"));
        let full = dump_at(&path, CheckLevel::Full).unwrap();
        assert_eq!(full.check.as_deref(), Some("integrity_check"));
        let named = full.facts.get("tables_not_checked").map(Value::to_string).unwrap_or_default();
        assert!(named.contains(unchecked), "{sql}: {named}");
        let names_of = |facts: &DumpFacts| -> Vec<String> {
            assert!(facts.left_out.iter().all(|it| it.why.starts_with("unchecked")), "{sql}");
            facts.left_out.iter().map(|it| it.what.clone()).collect()
        };
        assert_eq!(names_of(&full), [unchecked], "{sql}");
        // This one does not compare indexes with their tables.
        let quick = names_of(&dump_at(&path, CheckLevel::Quick).unwrap());
        assert!(quick.is_empty() || quick == [unchecked], "{sql}: {quick:?}");
        let report = drill(&path).unwrap();
        assert!(report.check.contains(unchecked), "{sql}: {}", report.check);
        assert_eq!(report.rows["t"], 300);
    }
}

#[test]
fn a_full_text_index_that_is_behind_its_content_table_is_named_and_no_damage() {
    for module in ["fts4(content=\"t\", b)", "fts4(b, content='')"] {
        let folder = tempfile::tempdir().unwrap();
        let sql = format!(
            "CREATE TABLE t(a, b); {ROWS} CREATE VIRTUAL TABLE ft USING {module};
             INSERT INTO ft(docid, b) VALUES (1, 'other words');"
        );
        let path = database(folder.path(), &sql);
        let facts = dump_at(&path, CheckLevel::Full).unwrap();
        let stale = facts.left_out.iter().find(|it| it.what == "ft");
        assert!(stale.is_none_or(|it| it.why.contains("VALUES ('rebuild')")), "{stale:?}");
        assert_eq!(stale.is_some(), module.contains("\"t\""), "{module}");
        assert_eq!(drill(&path).unwrap().rows["t"], 300);
    }
    let folder = tempfile::tempdir().unwrap();
    let sql = "CREATE VIRTUAL TABLE ft USING fts4(b); INSERT INTO ft VALUES ('word');
        UPDATE ft_content SET c0b = 'other';";
    let path = database(folder.path(), sql);
    assert_eq!(code(dump_at(&path, CheckLevel::Full)), FailureCode::SourceDamaged);
}

#[test]
fn values_that_are_older_than_a_rule_of_their_column_are_data() {
    for (values, rule) in [
        ("(1, NULL), (2, 'x')", "a INTEGER PRIMARY KEY, b TEXT NOT NULL"),
        ("(1, 7), (2, 8)", "a INTEGER PRIMARY KEY, b TEXT"),
        ("(1, '7'), (2, '8')", "a INTEGER PRIMARY KEY, b INTEGER"),
        ("(1, 'x'), (2, 'y')", "a INTEGER PRIMARY KEY, b BLOB CHECK (b > 9)"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(
            folder.path(),
            &format!(
                "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES {values};
                 PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = 'CREATE TABLE t({rule})' WHERE name = 't';"
            ),
        );
        let facts = dump_at(&path, CheckLevel::Full).unwrap();
        let broken = facts.facts.get("values_breaking_column_rules");
        assert_eq!(broken.is_none(), rule.contains("CHECK"), "{rule}: {broken:?}");
        assert_eq!(drill(&path).unwrap().rows["t"], 2);
    }
}

#[test]
fn damage_behind_many_values_that_break_a_rule_is_still_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(
        folder.path(),
        &format!(
            "CREATE TABLE t(a, b); {ROWS} CREATE TABLE z(a); CREATE INDEX i ON z(a);
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a, b TEXT)' WHERE name = 't';
             CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'i';
             DELETE FROM sqlite_schema WHERE name = 'i';"
        ),
    );
    Connection::open(&path).unwrap().execute_batch("INSERT INTO z VALUES (1), (2)").unwrap();
    let put_back = "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept";
    Connection::open(&path).unwrap().execute_batch(put_back).unwrap();
    let error = dump_at(&path, CheckLevel::Full).unwrap_err();
    assert!(error.to_string().contains("missing from index i"), "{error}");
    assert_eq!(code::<()>(Err(error)), FailureCode::SourceDamaged);
    assert_eq!(code(drill(&path)), FailureCode::ArchiveDamaged);
    Connection::open(&path).unwrap().execute_batch("REINDEX").unwrap();
    let facts = dump_at(&path, CheckLevel::Full).unwrap().facts;
    assert_eq!(facts["values_breaking_column_rules"], json!(300));
}
