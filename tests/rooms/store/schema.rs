//! New catalogs, and those of older and newer programs.

use std::path::PathBuf;

use coffer::store::{Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

const SCHEMA_1: &str = include_str!("../../data/catalog/schema_1.sql");
const STEPS_TO_3: [&str; 2] = [
    include_str!("../../../src/store/steps/2_drills.sql"),
    include_str!("../../../src/store/steps/3_filtered_lists.sql"),
];

/// A file with a database, and a connection to it.
struct Database {
    _folder: TempDir,
    path: PathBuf,
    db: Connection,
}

impl Database {
    fn empty() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("catalog.db");
        let db = Connection::open(&path).unwrap();
        Self { _folder: folder, path, db }
    }

    /// A catalog as the first version made it, brought on by these steps.
    fn old(steps: &[&str]) -> Self {
        let old = Self::empty();
        old.db.execute_batch(SCHEMA_1).unwrap();
        old.db.pragma_update(None, "application_id", 0x436f_6672).unwrap();
        old.db.pragma_update(None, "user_version", 1).unwrap();
        for (step, version) in steps.iter().zip(2..) {
            old.db.execute_batch(step).unwrap();
            old.db.pragma_update(None, "user_version", version).unwrap();
        }
        old
    }

    fn new() -> Self {
        let new = Self::empty();
        new.open().unwrap();
        new
    }

    /// Opens it as a catalog.
    fn open(&self) -> Result<(), StoreError> {
        Store::open(&self.path).map(drop)
    }

    fn shape(&self) -> Vec<String> {
        shape(&self.db)
    }
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
        let mut columns = db.prepare(&format!("SELECT * FROM pragma_{about}('{name}')")).unwrap();
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
    let new = Database::new();
    let first = new.shape();
    new.open().unwrap();
    assert_eq!(new.shape(), first);
    assert!(first.iter().any(|it| it.starts_with("table backups")));
}

#[test]
fn an_old_catalog_takes_the_steps_it_lacks_and_ends_with_the_schema_of_a_new_one() {
    for steps in [&[][..], &STEPS_TO_3[..1], &STEPS_TO_3] {
        let old = Database::old(steps);
        old.open().unwrap();
        assert_eq!(old.shape(), Database::new().shape(), "{}", steps.len());
    }
}

#[test]
fn a_migrated_catalog_has_all_rows_of_the_old_one_and_the_rules_of_a_new_one() {
    let old = Database::old(&[]);
    let db = &old.db;
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
    old.open().unwrap();
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
    let totals: (String, i64, i64) = db
        .query_row("SELECT instance, backups, stored_bytes FROM instance_totals", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(totals, (shop.clone(), 1, 7), "what the old catalog had is counted");
    let verify: String =
        db.query_row("SELECT verify FROM instances", [], |row| row.get(0)).unwrap();
    assert_eq!(verify, "archive");
    let new = Database::new();
    new.db
        .execute_batch(&format!(
            "INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version,
             created, updated)
         VALUES ('{two}', 'a', '{shop}', 'n', 'backup', 'full', 'NEW', 'sqlite', '3', 3, 3)"
        ))
        .unwrap();
    for db in [db, &new.db] {
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
    let old = Database::old(&STEPS_TO_3);
    insert_rows_of_schema_3(&old.db);
    old.open().unwrap();
    let runs: Vec<String> = old
        .db
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
    let old = Database::old(&[]);
    // A later step makes a table of this name.
    old.db.execute_batch("CREATE TABLE runs (id INTEGER) STRICT").unwrap();
    let before = old.shape();
    old.open().unwrap_err();
    assert_eq!(old.shape(), before);
    let found: i64 = old.db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(found, 1);
}

#[test]
fn a_catalog_of_a_newer_program_is_refused_and_not_changed() {
    let newer = Database::new();
    newer.db.pragma_update(None, "user_version", 99).unwrap();
    let before = newer.shape();
    let error = newer.open().unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert_eq!(newer.shape(), before);
}

#[test]
fn a_database_of_another_program_is_refused_and_not_changed() {
    let other = Database::empty();
    other.db.execute_batch("CREATE TABLE orders (id INTEGER)").unwrap();
    let error = other.open().unwrap_err();
    assert!(matches!(error, StoreError::NotACatalog { .. }), "{error}");
    assert_eq!(other.shape().len(), 1);
}

/// What the health of an instance is read from: each change of a row is counted in `instance_changes`. Of an instance that
/// is new nothing was read before, and of one that is gone nothing is asked.
const COUNTED: [(&str, &[&str]); 5] = [
    ("backups", &["INSERT", "UPDATE", "DELETE"]),
    ("copies", &["INSERT", "UPDATE", "DELETE"]),
    ("instances", &["UPDATE"]),
    ("runs", &["INSERT", "UPDATE", "DELETE"]),
    ("schedules", &["INSERT", "UPDATE", "DELETE"]),
];

/// Every other table, and why no change of it can make what was read of an instance untrue.
const NOT_COUNTED: [(&str, &str); 20] = [
    ("alerts", "what was said of health follows from it"),
    ("clock", "whether it jumped is read each time"),
    ("copy_parts", "how far an upload is, not whether there is a copy"),
    ("deliveries", "messages that wait"),
    ("digests", "messages that were sent"),
    ("event_chain", "what was done, by whom"),
    ("events", "what was done, by whom"),
    ("fleet_backups", "they are of other devices"),
    ("fleet_instances", "read each time, as they are no instances of this server"),
    ("fleets", "read each time, as they are no instances of this server"),
    ("holdings", "triggers make it from backups, which are counted"),
    ("instance_changes", "it is the count"),
    ("instance_totals", "triggers make it from backups, which are counted"),
    ("place_troubles", "read each time, as it is the same for every instance"),
    ("places", "which disk a place is"),
    (
        "policies",
        "a policy that was set is another one in memory, with which what is known is compared",
    ),
    ("quotas", "what may be made, not what there is"),
    ("strategies", "where new backups go"),
    ("tokens", "who may ask"),
    ("written", "it counts commits"),
];

#[test]
fn each_table_is_counted_for_health_or_known_not_to_matter_to_it() {
    let new = Database::new();
    let names = |sql: &str| -> Vec<String> {
        let mut rows = new.db.prepare(sql).unwrap();
        let names = rows.query_map([], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    };
    let tables = names(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    let mut known: Vec<&str> = COUNTED.iter().map(|(table, _)| *table).collect();
    known.extend(NOT_COUNTED.iter().map(|(table, _)| *table));
    known.sort_unstable();
    assert_eq!(tables, known, "a new table: does health read it? Then its triggers have to count");
    for (table, changes) in COUNTED {
        for change in ["INSERT", "UPDATE", "DELETE"] {
            let counting = names(&format!(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}'
                     AND sql LIKE '%AFTER {change}%' AND sql LIKE '%INSERT INTO instance_changes%'"
            ));
            let wanted = usize::from(changes.contains(&change));
            assert_eq!(counting.len(), wanted, "{change} of {table}: {counting:?}");
        }
    }
    for (table, _why) in NOT_COUNTED {
        let counting = names(&format!(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}'
                 AND sql LIKE '%INSERT INTO instance_changes%'"
        ));
        assert!(counting.is_empty(), "{table} is counted: {counting:?}");
    }
}
