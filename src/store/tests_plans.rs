//! No statement reads a whole table: SQLite's plans of all of them say so.

use std::time::Duration;

use rusqlite::{Connection, Statement, StatementStatus};

use super::backups::{
    self, LIST_STATEMENTS, POINT_STATEMENTS, PROOF_STATEMENTS, REMOVAL_STATEMENTS, STEP_STATEMENTS,
};
use super::{
    Records, alerts, copies, events, health, instances, projects, runs, schedules, schema, tokens,
};
use crate::domain::{InstanceId, Timestamp};

/// Every statement there is, by file, with the file's own text.
const FILES: [(&str, &[&str], &str); 15] = [
    ("alerts", alerts::STATEMENTS, include_str!("alerts.rs")),
    ("backups", backups::STATEMENTS, include_str!("backups/mod.rs")),
    ("backups/list", LIST_STATEMENTS, include_str!("backups/list.rs")),
    ("backups/points", POINT_STATEMENTS, include_str!("backups/points.rs")),
    ("backups/proofs", PROOF_STATEMENTS, include_str!("backups/proofs.rs")),
    ("backups/removal", REMOVAL_STATEMENTS, include_str!("backups/removal.rs")),
    ("backups/steps", STEP_STATEMENTS, include_str!("backups/steps.rs")),
    ("copies", copies::STATEMENTS, include_str!("copies.rs")),
    ("events", events::STATEMENTS, include_str!("events.rs")),
    ("health", health::STATEMENTS, include_str!("health.rs")),
    ("instances", instances::STATEMENTS, include_str!("instances.rs")),
    ("projects", projects::STATEMENTS, include_str!("projects.rs")),
    ("runs", runs::STATEMENTS, include_str!("runs.rs")),
    ("schedules", schedules::STATEMENTS, include_str!("schedules.rs")),
    ("tokens", tokens::STATEMENTS, include_str!("tokens.rs")),
];

/// These may be read from end to end: partial indexes that hold only the rows that are wanted, and what
/// a recursive query has found.
const SCANNED: [&str; 8] = [
    "SCAN alerts USING INDEX alerts_open",
    "SCAN instance_totals",
    "SCAN instances USING INDEX instances_counted",
    "SCAN instances USING INDEX instances_configured",
    "SCAN instances USING INDEX instances_restoring",
    "SCAN CONSTANT ROW",
    "SCAN subtree",
    "SCAN above",
];

fn plan(mut statement: Statement<'_>) -> Vec<String> {
    let unbound = vec![None::<i64>; statement.parameter_count()];
    statement
        .query_map(rusqlite::params_from_iter(unbound), |row| row.get("detail"))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn every_statement_finds_its_rows_and_their_order_by_an_index() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::prepare(&mut db, std::path::Path::new("c")).unwrap();
    for (file, statements, _) in FILES {
        for sql in statements {
            for step in plan(db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap()) {
                let scans = step.starts_with("SCAN") && !SCANNED.contains(&step.as_str());
                assert!(!scans && !step.contains("TEMP B-TREE"), "{file}: {step}\n{sql}");
            }
        }
    }
}

#[test]
fn no_statement_of_a_file_is_outside_of_its_list() {
    for (file, _, text) in FILES {
        let mut outside =
            text.lines().filter(|line| line.starts_with("const ") && line.contains(": &str ="));
        assert_eq!(outside.next(), None, "{file}");
    }
}

/// The steps of SQLite's machine for what health reads of an instance with so many backups.
fn steps_of_health(backups: usize) -> i32 {
    let mut db = Connection::open_in_memory().unwrap();
    db.set_prepared_statement_cache_capacity(64);
    schema::prepare(&mut db, std::path::Path::new("c")).unwrap();
    let shop = InstanceId::generate();
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {backups})
         INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version, created, updated,
             location, size, source_bytes, checksum, verified_at, verify_level, took_ms)
         SELECT printf('%08x-0000-7000-8000-000000000000', i), 'a', '{shop}', 'n', 'backup', 'full', 'COMPLETED',
             'sqlite', '3', i, i, i, 1000, 4000, 'c', i, 'checked', 7 FROM n"
    );
    db.execute(&rows, []).unwrap();
    let (records, project) = (Records(&db), "a".parse().unwrap());
    let until = Timestamp::from_micros(i64::MAX);
    let completed = records.completed_history(&project, shop, until).unwrap();
    assert_eq!((completed.len(), completed[0].took), (21, Some(Duration::from_millis(7))));
    assert!(records.newest_whole(&project, shop, until).unwrap().is_some());
    let newest = completed.first().map(|it| it.created);
    assert_eq!(records.newest_attempts(&project, shop, until, newest).unwrap().failed, None);
    let totals = records.completed_totals(&project, shop).unwrap();
    assert_eq!(totals.0, u64::try_from(backups).unwrap());
    assert_eq!(records.bad_backups(&project, shop).unwrap(), []);
    records.left_out_of(completed[0].id).unwrap();
    let all = [health::STATEMENTS, backups::STATEMENTS].concat();
    let step = |sql: &&str| db.prepare_cached(sql).unwrap().get_status(StatementStatus::VmStep);
    all.iter().map(step).sum()
}

#[test]
fn what_health_reads_of_an_instance_does_not_grow_with_its_backups() {
    let (few, many) = (steps_of_health(30), steps_of_health(3000));
    assert!(few > 100, "{few} steps: nothing was read");
    assert_eq!(few, many);
}

#[test]
fn every_page_of_backups_reads_the_one_index_that_has_its_rows_in_order() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::prepare(&mut db, std::path::Path::new("c")).unwrap();
    let pages: Vec<_> = LIST_STATEMENTS.iter().filter(|sql| sql.ends_with("LIMIT :rows")).collect();
    assert_eq!(pages.len(), 8);
    for sql in pages {
        let steps = plan(db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap());
        let (first, joins) = steps.split_first().unwrap();
        // Each filter that stands before the place is searched for and not tried row by row.
        for filter in ["project", "instance", "status", "engine"] {
            let wanted = sql.contains(&format!("{filter} = :{filter} AND"));
            assert_eq!(first.contains(&format!("{filter}=?")), wanted, "{first}\n{sql}");
        }
        assert!(first.contains("(created,id)<(?,?)"), "{first}\n{sql}");
        // A backup's drills are found by one search each.
        for step in joins {
            let search = step.contains("USING INDEX runs_drills (backup=?")
                || step.contains("USING INTEGER PRIMARY KEY")
                || step.starts_with("CORRELATED");
            assert!(search, "{step}\n{sql}");
        }
    }
}
