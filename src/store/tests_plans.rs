//! No statement reads a whole table: SQLite's plans of all of them say so.

use rusqlite::{Connection, Statement};

use super::backups::{
    self, DRILL_STATEMENTS, LIST_STATEMENTS, POINT_STATEMENTS, PROOF_STATEMENTS,
    REMOVAL_STATEMENTS, STEP_STATEMENTS,
};
use super::{
    alerts, copies, events, fleet, health, holdings, instances, projects, runs, schedules, schema,
    tokens,
};

/// Every statement there is, by file, with the file's own text.
const FILES: [(&str, &[&str], &str); 18] = [
    ("alerts", alerts::STATEMENTS, include_str!("alerts.rs")),
    ("backups", backups::STATEMENTS, include_str!("backups/mod.rs")),
    ("backups/drills", DRILL_STATEMENTS, include_str!("backups/drills.rs")),
    ("backups/list", LIST_STATEMENTS, include_str!("backups/list.rs")),
    ("backups/points", POINT_STATEMENTS, include_str!("backups/points.rs")),
    ("backups/proofs", PROOF_STATEMENTS, include_str!("backups/proofs.rs")),
    ("backups/removal", REMOVAL_STATEMENTS, include_str!("backups/removal.rs")),
    ("backups/steps", STEP_STATEMENTS, include_str!("backups/steps.rs")),
    ("copies", copies::STATEMENTS, include_str!("copies.rs")),
    ("events", events::STATEMENTS, include_str!("events.rs")),
    ("fleet", fleet::STATEMENTS, include_str!("fleet.rs")),
    ("health", health::STATEMENTS, include_str!("health.rs")),
    ("holdings", holdings::STATEMENTS, include_str!("holdings.rs")),
    ("instances", instances::STATEMENTS, include_str!("instances.rs")),
    ("projects", projects::STATEMENTS, include_str!("projects.rs")),
    ("runs", runs::STATEMENTS, include_str!("runs.rs")),
    ("schedules", schedules::STATEMENTS, include_str!("schedules.rs")),
    ("tokens", tokens::STATEMENTS, include_str!("tokens.rs")),
];

/// These may be read from end to end: partial indexes that hold only the rows that are wanted, what
/// a recursive query has found, the few places, and sums.
const SCANNED: [&str; 13] = [
    "SCAN alerts USING INDEX alerts_open",
    "SCAN instance_totals",
    "SCAN instance_changes",
    "SCAN holdings",
    "SCAN fleets",
    "SCAN places",
    "SCAN place_troubles",
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

#[test]
fn every_page_of_backups_reads_the_one_index_that_has_its_rows_in_order() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::prepare(&mut db, std::path::Path::new("c")).unwrap();
    let pages: Vec<_> = LIST_STATEMENTS.iter().filter(|sql| sql.ends_with("LIMIT :rows")).collect();
    assert_eq!(pages.len(), 8);
    for sql in pages {
        let steps = plan(db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap());
        let [first] = steps.as_slice() else { panic!("{steps:?}\n{sql}") };
        // Each filter that stands before the place is searched for and not tried row by row.
        for filter in ["project", "instance", "status", "engine"] {
            let wanted = sql.contains(&format!("{filter} = :{filter} AND"));
            assert_eq!(first.contains(&format!("{filter}=?")), wanted, "{first}\n{sql}");
        }
        assert!(first.contains("(created,id)<(?,?)"), "{first}\n{sql}");
    }
}

#[test]
fn what_is_built_on_a_backup_is_found_by_that_and_not_among_all_of_its_project() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::prepare(&mut db, std::path::Path::new("c")).unwrap();
    let mut found = 0;
    for sql in REMOVAL_STATEMENTS.iter().filter(|sql| sql.contains("AS child")) {
        let steps = plan(db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap());
        let by_parent = "SEARCH child USING INDEX backups_by_parent (parent=?)".to_owned();
        assert!(steps.contains(&by_parent), "{steps:?}\n{sql}");
        found += 1;
    }
    assert!(found > 3, "{found}");
}

#[test]
fn whether_a_drill_of_an_instance_waits_is_searched_for_by_all_that_is_known() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::prepare(&mut db, std::path::Path::new("c")).unwrap();
    let of_instance =
        runs::STATEMENTS.iter().find(|sql| sql.starts_with("SELECT 1 FROM runs INDEXED"));
    let steps = plan(db.prepare(&format!("EXPLAIN QUERY PLAN {}", of_instance.unwrap())).unwrap());
    let [step] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(step.ends_with("runs_recurring (instance=? AND kind=? AND ended=?)"), "{step}");
}
