//! Creates the tables in an empty database, and migrates those of an older catalog.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The whole current schema.
const SCHEMA: &str = include_str!("../../schema.sql");

/// The application id in the file's header: "Cofr".
const APPLICATION_ID: i64 = 0x436f_6672;

/// Each step brings a catalog to the schema after its own, the first one from 1 to 2: the current schema
/// is one more than there are steps. A step that was released is never edited.
const STEPS: &[&str] = &[
    include_str!("steps/2_drills.sql"),
    include_str!("steps/3_filtered_lists.sql"),
    include_str!("steps/4_runs.sql"),
    include_str!("steps/5_left_out.sql"),
    include_str!("steps/6_trash.sql"),
];

/// Creates or migrates, in one transaction.
pub(super) fn prepare(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrate(db, path, SCHEMA, STEPS)
}

fn migrate(
    db: &mut Connection,
    path: &Path,
    schema: &str,
    steps: &[&str],
) -> Result<(), StoreError> {
    let newest = i64::try_from(steps.len()).unwrap_or(i64::MAX).saturating_add(1);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let application: i64 = tx.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 && application == 0 && found == 0 {
        tx.execute_batch(schema)?;
    } else if application != APPLICATION_ID || found < 1 {
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
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
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
    fn an_old_catalog_takes_the_steps_it_lacks_and_ends_with_the_schema_of_a_new_one() {
        let steps = ["ALTER TABLE a ADD COLUMN b TEXT", "CREATE INDEX by_b ON a (b)"];
        let mut old = empty();
        migrate(&mut old, Path::new("c"), "CREATE TABLE a (id INTEGER) STRICT", &[]).unwrap();
        migrate(&mut old, Path::new("c"), "unused", &steps[..1]).unwrap();
        migrate(&mut old, Path::new("c"), "unused", &steps).unwrap();
        let mut new = empty();
        let current = "CREATE TABLE a (id INTEGER, b TEXT) STRICT; CREATE INDEX by_b ON a (b);";
        migrate(&mut new, Path::new("c"), current, &steps).unwrap();
        assert_eq!(shape(&old), shape(&new));
    }

    #[test]
    fn the_oldest_catalog_migrated_equals_the_schema_file() {
        let first = include_str!("../../tests/data/catalog/schema_1.sql");
        let mut old = empty();
        migrate(&mut old, Path::new("c"), first, &[]).unwrap();
        prepare(&mut old, Path::new("c")).unwrap();
        let mut new = empty();
        prepare(&mut new, Path::new("c")).unwrap();
        assert_eq!(shape(&old), shape(&new));
    }

    #[test]
    fn a_migrated_catalog_has_all_rows_of_the_old_one_and_the_rules_of_a_new_one() {
        let first = include_str!("../../tests/data/catalog/schema_1.sql");
        let mut db = empty();
        migrate(&mut db, Path::new("c"), first, &[]).unwrap();
        let (shop, one, two, deleted) = ["1", "2", "3", "4"].map(|it| it.repeat(36)).into();
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
             ('{deleted}', 'a', NULL, 'n', 'registration', 'full', NULL, 'DELETE_FAILED', 'sqlite', '3',
                 4, 4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'storage', 'no', 'failed');"
        ))
        .unwrap();
        prepare(&mut db, Path::new("c")).unwrap();
        let found: Vec<String> = db
            .prepare(
                "SELECT concat_ws(' ', status, size, verify_level, damage_message, damage_in, storage)
                 FROM backups ORDER BY created",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(found, ["COMPLETED 7 checked rot local", "NEW local", "DELETE_FAILED local"]);
        let verify: String =
            db.query_row("SELECT verify FROM instances", [], |row| row.get(0)).unwrap();
        assert_eq!(verify, "archive");
        let mut new = empty();
        prepare(&mut new, Path::new("c")).unwrap();
        new.execute_batch(&format!(
            "INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version,
                 created, updated)
             VALUES ('{two}', 'a', '{shop}', 'n', 'backup', 'full', 'NEW', 'sqlite', '3', 3, 3)"
        ))
        .unwrap();
        for db in [&db, &new] {
            assert_rules(db, &two);
        }
    }

    /// What no row may hold is refused.
    fn assert_rules(db: &Connection, backup: &str) {
        let refused = |sql: String| {
            let error = db.execute_batch(&sql).expect_err(&sql);
            assert!(error.to_string().contains("CHECK"), "{sql}: {error}");
        };
        for rule in ["damage_in = 'here'", "storage = ''"] {
            refused(format!("UPDATE backups SET {rule} WHERE id = '{backup}'"));
        }
        for (kind, ended, result, code, numbers) in [
            ("walk", "NULL", "NULL", "NULL", "{}"),
            ("drill", "9", "NULL", "NULL", "{}"),
            ("drill", "NULL", "'done'", "NULL", "{}"),
            ("drill", "9", "'lost'", "NULL", "{}"),
            ("drill", "9", "'failed'", "NULL", "{}"),
            ("drill", "9", "'done'", "'tool'", "{}"),
            ("drill", "NULL", "NULL", "NULL", "{"),
        ] {
            refused(format!(
                "INSERT INTO runs (id, kind, project, backup, asked, ended, result,
                     failure_code, failure_message, numbers)
                 VALUES ('{backup}', '{kind}', 'a', '{backup}', 1, {ended}, {result}, {code}, {code},
                     '{numbers}')"
            ));
        }
    }

    /// Drills that wait, run and ended, a backup that waits, a restore and a removal that run.
    fn insert_rows_of_schema_3(db: &Connection) {
        let [shop, copy, passed, damaged, full, waits, goes] =
            ["1", "2", "3", "4", "5", "6", "7"].map(|it| it.repeat(36));
        let completed = "'a', 'n', 'backup', 'full', 'COMPLETED', 'sqlite', '3', 1000000, 2000000";
        let facts = "7, 9, 'c', 5, 'checked'";
        db.execute_batch(&format!(
            "INSERT INTO instances (id, project, name, engine, version, source, check_level, status,
                 restored_from, restore, created, updated)
             VALUES ('{copy}', 'a', 'copy', 'sqlite', '3', '{{}}', 'quick', 'BUILD', '{passed}',
                 'claimed', 1, 3000000);
             INSERT INTO backups (id, project, name, task, kind, status, engine, version, created,
                 updated, instance, location, size, source_bytes, checksum, verified_at,
                 verify_level, drill, drill_at, drill_ms, drill_version, drill_check, drill_tables,
                 drill_rows, drill_rows_by_table, drill_failure_code, drill_failure_message, removal)
             VALUES
             ('{passed}', {completed}, '{shop}', '1', {facts}, 'asked', 9000000, 1500, '3.50',
                 'integrity_check', 2, 9007199254740993, '{{\"t\": 7}}', NULL, NULL, NULL),
             ('{damaged}', {completed}, '{shop}', '2', {facts}, 'claimed', 9000000, 10, NULL, NULL,
                 NULL, NULL, NULL, 'source_damaged', 'rot', NULL),
             ('{full}', {completed}, '{shop}', '3', {facts}, NULL, 9000000, NULL, NULL, NULL, NULL,
                 NULL, NULL, 'disk_full', 'no room', NULL),
             ('{goes}', {completed}, '{shop}', '4', {facts}, NULL, NULL, NULL, NULL, NULL, NULL,
                 NULL, NULL, NULL, NULL, 'claimed');
             INSERT INTO backups (id, project, name, task, kind, status, engine, version, created,
                 updated, instance)
             VALUES ('{waits}', 'a', 'n', 'backup', 'full', 'NEW', 'sqlite', '3', 4000000, 4000000,
                 '{shop}');"
        ))
        .unwrap();
    }

    #[test]
    fn drills_and_work_under_way_become_runs() {
        let mut db = empty();
        migrate(
            &mut db,
            Path::new("c"),
            include_str!("../../tests/data/catalog/schema_1.sql"),
            &[],
        )
        .unwrap();
        migrate(&mut db, Path::new("c"), "unused", &STEPS[..2]).unwrap();
        insert_rows_of_schema_3(&db);
        prepare(&mut db, Path::new("c")).unwrap();
        let runs: Vec<String> = db
            .prepare(
                "SELECT concat_ws(' ', substr(coalesce(backup, instance), 1, 1), kind, asked, begun,
                     ended, result, failure_code, numbers)
                 FROM runs ORDER BY coalesce(ended, 0), 1",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let expected = [
            "3 drill 2000000 {}",
            "3 restore 3000000 3000000 {}",
            "4 drill 2000000 2000000 {}",
            "6 backup 4000000 {}",
            "7 removal 2000000 2000000 {}",
            "3 drill 7500000 7500000 9000000 done {\"took_ms\":1500,\"drill\":{\"version\":\"3.50\",\
             \"check\":\"integrity_check\",\"tables\":2,\"rows\":9007199254740993},\
             \"rows_by_table\":{\"t\":7}}",
            "4 drill 8990000 8990000 9000000 damaged source_damaged {\"took_ms\":10}",
            "5 drill 9000000 9000000 9000000 failed disk_full {\"took_ms\":0}",
        ];
        assert_eq!(runs, expected);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_catalog_as_it_was() {
        let mut db = empty();
        migrate(&mut db, Path::new("c"), "CREATE TABLE a (id INTEGER) STRICT", &[]).unwrap();
        let before = shape(&db);
        let steps = ["CREATE TABLE b (id INTEGER) STRICT", "CREATE NONSENSE"];
        assert!(migrate(&mut db, Path::new("c"), "unused", &steps).is_err());
        assert_eq!(shape(&db), before);
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, 1);
    }

    #[test]
    fn a_catalog_of_a_newer_program_is_refused_and_not_changed() {
        let mut db = empty();
        prepare(&mut db, Path::new("c")).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        let before = shape(&db);
        let error = prepare(&mut db, Path::new("c")).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
        assert_eq!(shape(&db), before);
    }

    #[test]
    fn a_database_of_another_program_is_refused_and_not_changed() {
        let mut db = empty();
        db.execute_batch("CREATE TABLE orders (id INTEGER)").unwrap();
        let error = prepare(&mut db, Path::new("c")).unwrap_err();
        assert!(matches!(error, StoreError::NotACatalog { .. }), "{error}");
        assert_eq!(shape(&db).len(), 1);
    }
}
