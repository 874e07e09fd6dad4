//! `coffer doctor` on machines where something is not in place.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::support::{TestServer, id_of, names_in, write_file};

/// The findings for a data directory in `folder` and these instances.
fn findings(folder: &Path, instances: &str) -> Vec<Value> {
    let config = folder.join("coffer.toml");
    write_file(&config, format!("data_dir = {:?}\n{instances}", folder.join("data")));
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_coffer"));
    let output = doctor.args(["doctor", "--json", "--config"]).arg(config).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

fn find<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap()
}

#[track_caller]
fn assert_problem(findings: &[Value], check: &str, word: &str) {
    let finding = find(findings, check);
    assert_eq!(finding["level"], "problem", "{findings:#?}");
    assert!(finding.to_string().contains(word), "{finding}");
}

#[test]
fn a_fresh_machine_has_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    let found = findings(folder.path(), "");
    assert!(found.iter().all(|finding| finding["level"] != "problem"), "{found:#?}");
    assert!(!folder.path().join("data").exists());
}

#[test]
fn an_existing_data_directory_is_probed_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let found = findings(folder.path(), "");
    let found = find(&found, "data directory")["found"].as_str().unwrap();
    assert!(found.contains("flock"), "{found}");
    assert_eq!(names_in(&data), [""; 0]);
}

#[test]
fn a_data_directory_that_is_a_file_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/dev/null", folder.path().join("data")).unwrap();
    assert_problem(&findings(folder.path(), ""), "data directory", "");
}

#[test]
fn a_missing_source_and_an_unknown_engine_are_problems_that_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.db");
    let found = findings(
        folder.path(),
        &format!(
            "[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"sqlite\"\n\
             source = {{ path = {missing:?} }}\n\
             [[instances]]\nname = \"erp\"\nproject_id = \"a\"\nengine = \"oracle\"\n\
             source = {{ path = \"/x\" }}\n"
        ),
    );
    assert_problem(&found, "instance shop", "none.db");
    assert_problem(&found, "instance erp", "sqlite");
}

#[test]
fn a_file_that_is_not_a_catalog_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    symlink("/proc/version", data.join("catalog.db")).unwrap();
    assert_problem(&findings(folder.path(), ""), "catalog", "");
}

#[test]
fn a_wrong_configuration_has_the_exit_code_of_wrong_usage_and_a_missing_source_that_of_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("coffer.toml");
    for (instance, code) in [
        ("engine = \"oracle\"\nsource = { path = \"/x\" }", 2),
        ("engine = \"sqlite\"\nsource = { path = \"shop.db\" }", 2),
        ("engine = \"sqlite\"\nsource = { path = \"/none/shop.db\" }", 1),
    ] {
        let data = folder.path().join("data");
        let text = format!(
            "data_dir = {data:?}\n[[instances]]\nname = \"shop\"\nproject_id = \"a\"\n{instance}\n"
        );
        write_file(&config, text);
        let mut doctor = Command::new(env!("CARGO_BIN_EXE_coffer"));
        let output = doctor.args(["doctor", "--config"]).arg(&config).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{instance}");
    }
}

#[test]
fn the_settings_of_a_sqlite_database_are_shown_only_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("shop.db");
    let created = Connection::open(&database).unwrap();
    created.execute_batch("CREATE TABLE item(name)").unwrap();
    let config = folder.path().join("coffer.toml");
    let data = folder.path().join("data");
    write_file(
        &config,
        format!(
            "data_dir = {data:?}\n[[instances]]\nname = \"shop\"\nproject_id = \"a\"\n\
             engine = \"sqlite\"\nsource = {{ path = {database:?} }}\n"
        ),
    );
    for (arguments, shown) in [(&["doctor"][..], false), (&["doctor", "-v"], true)] {
        let mut doctor = Command::new(env!("CARGO_BIN_EXE_coffer"));
        let output = doctor.args(arguments).arg("--config").arg(&config).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.contains("page_size"), shown, "{text}");
    }
}

/// An instance named `shop`.
fn shop(engine: &str, path: &Path) -> String {
    format!(
        "[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"{engine}\"\n\
         source = {{ path = {path:?} }}\n"
    )
}

#[test]
fn what_backups_of_a_tree_will_not_hold_is_named_before_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    mknodat(CWD, tree.join("a pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let found = findings(folder.path(), &shop("directory", &tree));
    let named = find(&found, "instance shop")["found"].as_str().unwrap();
    assert!(named.contains("a pipe: fifo"), "{named}");
}

#[test]
fn tables_that_only_the_application_can_check_are_named_before_the_first_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "PRAGMA writable_schema = ON;
             CREATE TABLE names (name TEXT COLLATE NOCASE); CREATE INDEX by_name ON names (name);
             UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'icu_root') WHERE name = 'names';
             CREATE TABLE plain (a INTEGER)",
        )
        .unwrap();
    let found = findings(folder.path(), &shop("sqlite", &path));
    let named = find(&found, "instance shop")["found"].as_str().unwrap();
    assert!(named.contains("table names is unchecked") && !named.contains("plain"), "{named}");
}

#[test]
fn a_database_whose_copy_has_no_room_is_a_problem_with_both_sizes() {
    use std::os::unix::fs::FileExt as _;
    const PAGES: u32 = 1 << 30;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    // Holes, which the header counts as pages.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(4096 * u64::from(PAGES)).unwrap();
    file.write_all_at(&PAGES.to_be_bytes(), 28).unwrap();
    let found = findings(folder.path(), &shop("sqlite", &path));
    assert_problem(&found, "instance shop", "a copy of about 4194304 MiB");
}

#[test]
fn an_event_that_was_altered_or_removed_past_coffer_is_a_problem_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop.db");
    Connection::open(&shop).unwrap().execute_batch("CREATE TABLE row(word)").unwrap();
    let server = TestServer::builder().instance_sqlite("shop", &shop).start();
    let client = server.admin();
    for pinned in [false, true, true] {
        let id = id_of(&client.full("shop")).to_owned();
        if pinned {
            client.put(&format!("backups/{id}/pin"), &json!({})).with_status(200);
        }
    }
    let report = || {
        let output = server.run(&["doctor", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        find(report["findings"].as_array().unwrap(), "event log").clone()
    };
    assert_eq!(report()["level"], "ok");
    let db = Connection::open(server.data_dir().join("catalog.db")).unwrap();
    db.execute_batch(
        "DROP TRIGGER events_stay; DROP TRIGGER events_stay_as_they_are;
         UPDATE events SET detail = 'nothing' WHERE seq = 2; DELETE FROM events WHERE seq = 4",
    )
    .unwrap();
    let found = report();
    assert_eq!(found["level"], "problem", "{found}");
    for fault in ["event 2 was altered", "event 4 was removed"] {
        assert!(found.to_string().contains(fault), "{fault}: {found}");
    }
    assert_eq!(server.run(&["doctor"]).status.code(), Some(1));
}
