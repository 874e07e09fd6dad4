//! Makes an empty database a catalog, and an older catalog a current one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The whole current schema.
const SCHEMA: &str = include_str!("../../schema.sql");

/// Says whose file it is, in its header: "Cofr".
const APPLICATION: i64 = 0x436f_6672;

/// What brings a catalog of schema n+1 to n+2, in order; so the current schema is one more than there
/// are steps. A step that was released is never edited: another one follows it.
const STEPS: &[&str] =
    &[include_str!("steps/2_drills.sql"), include_str!("steps/3_filtered_lists.sql")];

/// Creates or migrates, in one transaction: whatever happens, the file is wholly the old or the new.
pub(super) fn prepare(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    bring_to_date(db, path, SCHEMA, STEPS)
}

fn bring_to_date(
    db: &mut Connection,
    path: &Path,
    schema: &str,
    steps: &[&str],
) -> Result<(), StoreError> {
    let newest = i64::try_from(steps.len()).unwrap_or(i64::MAX).saturating_add(1);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let application: i64 = tx.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let things: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if things == 0 && application == 0 && found == 0 {
        tx.execute_batch(schema)?;
    } else if application != APPLICATION || found < 1 {
        return Err(StoreError::NotACatalog { path: path.to_owned() });
    } else if found > newest {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: newest });
    } else if found == newest {
        return Ok(());
    } else {
        let done = usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX);
        for step in steps.iter().skip(done) {
            tx.execute_batch(step)?;
        }
    }
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", newest)?;
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    /// Every table and index, as SQLite describes it.
    fn shape(db: &Connection) -> Vec<String> {
        let mut found = Vec::new();
        let mut names = db.prepare("SELECT type, name FROM sqlite_schema ORDER BY 1, 2").unwrap();
        let names = names
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .unwrap();
        for pair in names {
            let (kind, name) = pair.unwrap();
            let about = if kind == "table" { "table_xinfo" } else { "index_xinfo" };
            let mut columns =
                db.prepare(&format!("SELECT * FROM pragma_{about}('{name}')")).unwrap();
            let width = columns.column_count();
            let rows = columns
                .query_map([], |row| {
                    (0..width).map(|at| row.get_ref(at).map(|it| format!("{it:?}"))).collect()
                })
                .unwrap()
                .collect::<Result<Vec<Vec<String>>, _>>()
                .unwrap();
            found.push(format!("{kind} {name} {rows:?}"));
        }
        found
    }

    #[test]
    fn an_empty_file_becomes_a_catalog_and_stays_one() {
        let mut db = empty();
        prepare(&mut db, Path::new("c")).unwrap();
        let first = shape(&db);
        prepare(&mut db, Path::new("c")).unwrap();
        assert_eq!(shape(&db), first);
        assert!(first.iter().any(|it| it.starts_with("table backups")));
    }

    #[test]
    fn an_old_catalog_takes_every_step_it_lacks_and_ends_where_a_new_one_starts() {
        let steps = ["ALTER TABLE a ADD COLUMN b TEXT", "CREATE INDEX by_b ON a (b)"];
        let mut old = empty();
        bring_to_date(&mut old, Path::new("c"), "CREATE TABLE a (id INTEGER) STRICT", &[]).unwrap();
        bring_to_date(&mut old, Path::new("c"), "unused", &steps[..1]).unwrap();
        bring_to_date(&mut old, Path::new("c"), "unused", &steps).unwrap();
        let mut new = empty();
        let current = "CREATE TABLE a (id INTEGER, b TEXT) STRICT; CREATE INDEX by_b ON a (b);";
        bring_to_date(&mut new, Path::new("c"), current, &steps).unwrap();
        assert_eq!(shape(&old), shape(&new));
    }

    #[test]
    fn the_oldest_catalog_migrated_equals_the_schema_file() {
        let first = include_str!("../../tests/data/catalog/schema_1.sql");
        let mut old = empty();
        bring_to_date(&mut old, Path::new("c"), first, &[]).unwrap();
        prepare(&mut old, Path::new("c")).unwrap();
        let mut new = empty();
        prepare(&mut new, Path::new("c")).unwrap();
        assert_eq!(shape(&old), shape(&new));
    }

    #[test]
    fn the_rows_of_an_old_catalog_are_whole_in_a_current_one_and_keep_its_rules() {
        let first = include_str!("../../tests/data/catalog/schema_1.sql");
        let mut db = empty();
        bring_to_date(&mut db, Path::new("c"), first, &[]).unwrap();
        let (shop, one, two, doomed) = ["1", "2", "3", "4"].map(|it| it.repeat(36)).into();
        db.execute_batch(&format!(
            "INSERT INTO instances (id, project, name, engine, version, source, check_level, status,
                 created, updated)
             VALUES ('{shop}', 'a', 'shop', 'sqlite', '3', '{{}}', 'quick', 'ACTIVE', 1, 1);
             INSERT INTO backups (id, project, instance, name, task, kind, parent, status, engine,
                 version, created, updated, location, size, source_bytes, checksum, verified_at,
                 verify_level, damage_code, damage_message, failure_code, failure_message, removal)
             VALUES ('{one}', 'a', '{shop}', 'n', 'backup', 'full', NULL, 'COMPLETED', 'sqlite', '3',
                 2, 2, 'x', 7, 9, 'c', 5, 'checked', 'archive_damaged', 'rot', NULL, NULL, NULL),
             ('{two}', 'a', '{shop}', 'n', 'backup', 'incremental', '{one}', 'NEW', 'sqlite', '3',
                 3, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
             ('{doomed}', 'a', NULL, 'n', 'registration', 'full', NULL, 'DELETE_FAILED', 'sqlite', '3',
                 4, 4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'storage', 'no', 'failed');"
        ))
        .unwrap();
        prepare(&mut db, Path::new("c")).unwrap();
        let told: Vec<String> = db
            .prepare(
                "SELECT concat_ws(' ', status, size, verify_level, damage_message, drill, damage_in)
                 FROM backups ORDER BY created",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(told, ["COMPLETED 7 checked rot", "NEW", "DELETE_FAILED"]);
        let verify: String =
            db.query_row("SELECT verify FROM instances", [], |row| row.get(0)).unwrap();
        assert_eq!(verify, "archive");
        // The rules for new columns hold as in a catalog made today.
        let mut new = empty();
        prepare(&mut new, Path::new("c")).unwrap();
        new.execute_batch(&format!(
            "INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version,
                 created, updated)
             VALUES ('{two}', 'a', '{shop}', 'n', 'backup', 'full', 'NEW', 'sqlite', '3', 3, 3)"
        ))
        .unwrap();
        for db in [&db, &new] {
            for rule in [
                "drill = 'asked'",
                "drill = 'soon'",
                "drill_ms = -1",
                "drill_rows_by_table = '{'",
                "drill_failure_code = 'tool'",
                "damage_in = 'here'",
            ] {
                let sql = format!("UPDATE backups SET {rule} WHERE id = '{two}'");
                let error = db.execute_batch(&sql).expect_err(rule);
                assert!(error.to_string().contains("CHECK"), "{rule}: {error}");
            }
        }
        let asked = format!("UPDATE backups SET drill = 'asked' WHERE id = '{one}'");
        assert_eq!(db.execute(&asked, []).unwrap(), 1);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_catalog_whole() {
        let mut db = empty();
        bring_to_date(&mut db, Path::new("c"), "CREATE TABLE a (id INTEGER) STRICT", &[]).unwrap();
        let before = shape(&db);
        let steps = ["CREATE TABLE b (id INTEGER) STRICT", "CREATE NONSENSE"];
        assert!(bring_to_date(&mut db, Path::new("c"), "unused", &steps).is_err());
        assert_eq!(shape(&db), before);
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, 1);
    }

    #[test]
    fn a_catalog_of_a_later_program_is_refused_and_not_touched() {
        let mut db = empty();
        prepare(&mut db, Path::new("c")).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        let before = shape(&db);
        let error = prepare(&mut db, Path::new("c")).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
        assert_eq!(shape(&db), before);
    }

    #[test]
    fn a_database_of_something_else_is_refused_and_not_touched() {
        let mut db = empty();
        db.execute_batch("CREATE TABLE orders (id INTEGER)").unwrap();
        let error = prepare(&mut db, Path::new("c")).unwrap_err();
        assert!(matches!(error, StoreError::NotACatalog { .. }), "{error}");
        assert_eq!(shape(&db).len(), 1);
    }
}
