//! No statement walks a table: SQLite says of every one of them how it would run it.

use rusqlite::{Connection, Statement};

use super::{backups, drills, instances, policies, queue, schema, settle, subtree, tokens};

/// Every statement there is, by file, with the file's own text.
const FILES: [(&str, &[&str], &str); 8] = [
    ("backups", backups::STATEMENTS, include_str!("backups.rs")),
    ("drills", drills::STATEMENTS, include_str!("drills.rs")),
    ("instances", instances::STATEMENTS, include_str!("instances.rs")),
    ("policies", policies::STATEMENTS, include_str!("policies.rs")),
    ("queue", queue::STATEMENTS, include_str!("queue.rs")),
    ("settle", settle::STATEMENTS, include_str!("settle.rs")),
    ("subtree", subtree::STATEMENTS, include_str!("subtree.rs")),
    ("tokens", tokens::STATEMENTS, include_str!("tokens.rs")),
];

/// Walking these whole is meant: a partial index holds only the rows that are wanted, and a recursive
/// query walks what it has found.
const WALKED: [&str; 5] = [
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
                let walks = step.starts_with("SCAN") && !WALKED.contains(&step.as_str());
                assert!(!walks && !step.contains("TEMP B-TREE"), "{file}: {step}\n{sql}");
            }
        }
    }
}

#[test]
fn every_statement_of_a_file_is_in_its_list() {
    for (file, statements, text) in FILES {
        let written = text.lines().filter(|line| line.starts_with("const ")).count();
        assert_eq!(written, statements.len(), "{file}");
    }
}

#[test]
fn every_page_of_backups_walks_the_one_index_that_has_its_rows_in_order() {
    let mut db = Connection::open_in_memory().unwrap();
    schema::prepare(&mut db, std::path::Path::new("c")).unwrap();
    let pages: Vec<_> =
        backups::STATEMENTS.iter().filter(|sql| sql.ends_with("LIMIT :rows")).collect();
    assert_eq!(pages.len(), 8);
    for sql in pages {
        let steps = plan(db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap());
        let [step] = steps.as_slice() else { panic!("{steps:?}\n{sql}") };
        // Each filter that stands before the place is looked up and not tried row by row.
        for filter in ["project", "instance", "status", "engine"] {
            let wanted = sql.contains(&format!("{filter} = :{filter} AND"));
            assert_eq!(step.contains(&format!("{filter}=?")), wanted, "{step}\n{sql}");
        }
        assert!(step.contains("(created,id)<(?,?)"), "{step}\n{sql}");
    }
}
