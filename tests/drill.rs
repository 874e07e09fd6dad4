//! Drills: real restores made only to prove a backup, through the server and by the command, of what is
//! sound and of what is not.

#![cfg(test)]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use coffer::domain::Timestamp;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use support::{Client, TestServer, names_in, wait_until, write_file};

fn run_sql(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

/// Two tables, with an index over one.
fn make_database(path: &Path) {
    run_sql(
        path,
        "CREATE TABLE customer(name TEXT);
         CREATE TABLE \"order\"(id INTEGER PRIMARY KEY, word TEXT, data BLOB);
         CREATE INDEX by_word ON \"order\"(word);
         INSERT INTO customer VALUES ('Ada'), ('Zoë');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO \"order\" SELECT i, 'word ' || i, zeroblob(700) FROM n;",
    );
}

/// Overwrites the first page of an index with that of no b-tree at all. Counting rows does not meet it, and
/// nor does a backup that makes no check.
fn tear_index(path: &Path) {
    let (root, size): (u32, u32) = Connection::open(path)
        .unwrap()
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size)
             FROM sqlite_schema WHERE name = 'by_word'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let page = vec![0x5a; usize::try_from(size).unwrap()];
    file.write_all_at(&page, u64::from(root - 1) * u64::from(size)).unwrap();
}

/// A server over one database.
struct House {
    server: TestServer,
    database: PathBuf,
    folder: tempfile::TempDir,
}

impl House {
    /// Whose instance has these further keys, as lines of TOML.
    fn with(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        make_database(&database);
        let server = TestServer::builder()
            .token("reader", support::PROJECT, &["reader"])
            .token("member", support::PROJECT, &["member"])
            .token("stranger", "project-b", &["member"])
            .toml(&format!(
                "[[instances]]\nname = \"shop\"\nproject_id = \"project-a\"\nengine = \"sqlite\"\n\
                 source = {{ path = {database:?} }}\n{keys}\n"
            ))
            .setting("storage.trash_window_s", "0")
            .start();
        Self { server, database, folder }
    }

    fn drilling() -> Self {
        Self::with("verify = \"restore\"")
    }

    fn client(&self) -> Client {
        self.server.by_admin()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.server.command(arguments).output().unwrap()
    }

    fn tmp(&self) -> PathBuf {
        self.server.data_dir().join("tmp")
    }
}

/// The row of a backup whose drill has ended.
#[track_caller]
fn drilled(client: &Client, id: &str) -> Value {
    wait_until(&format!("the drill of {id}"), || {
        let row = client.backup(id);
        ["passed", "failed"].iter().any(|it| row["drill"]["status"] == *it).then_some(row)
    })
}

fn id_of(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

fn archive_of(row: &Value) -> PathBuf {
    row["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap().into()
}

/// When the file was modified, as the API writes times.
fn date_of(file: &Path) -> String {
    let modified = std::fs::metadata(file).unwrap().modified().unwrap();
    let micros = modified.duration_since(UNIX_EPOCH).unwrap().as_micros();
    Timestamp::from_micros(i64::try_from(micros).unwrap()).to_wire()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_backup_of_an_instance_that_says_so_is_restored_and_its_rows_are_counted() {
    let house = House::drilling();
    let client = house.client();
    let full = drilled(&client, id_of(&client.full("shop")));
    run_sql(&house.database, "INSERT INTO customer VALUES ('Eve')");
    let incremental = drilled(&client, id_of(&client.incremental("shop")));
    for (row, customers) in [(&full, 2), (&incremental, 3)] {
        let drill = &row["drill"];
        assert_eq!(
            (&row["verify_level"], &drill["status"]),
            (&json!("restored"), &json!("passed"))
        );
        assert_eq!(drill["rows_by_table"], json!({"customer": customers, "order": 3000}));
        assert_eq!((&drill["tables"], &drill["rows"]), (&json!(2), &json!(3000 + customers)));
        assert_eq!(drill["check"], "integrity_check");
        assert_eq!((&drill["at"], &drill["failure"]), (&row["verified_at"], &Value::Null));
        assert!(drill["seconds"].as_f64().unwrap() > 0.0 && drill["version"].is_string());
    }
    assert_eq!(incremental["kind"], "incremental");
    // In a list the counts are there, the tables are not.
    let listed = client.all("backups", "backups");
    let rows: Vec<_> = listed.iter().map(|row| &row["drill"]["rows"]).collect();
    assert_eq!(rows, [3003, 3002]);
    assert!(listed.iter().all(|row| row["drill"].get("rows_by_table").is_none()));
    assert_eq!(names_in(&house.tmp()), Vec::<String>::new());
}

#[test]
fn members_ask_for_a_drill_and_nobody_else_does() {
    let house = House::with("");
    let client = house.client();
    let made = client.full("shop");
    assert_eq!((&made["verify_level"], &made["drill"]), (&json!("checked"), &Value::Null));
    let path = format!("backups/{}/drill", id_of(&made));
    house.server.by("reader").send("POST", &path, None).fault(403);
    house.server.by("stranger").in_project("project-b").send("POST", &path, None).fault(404);
    let unknown = "backups/01920000-0000-7000-8000-000000000000/drill";
    client.send("POST", unknown, None).fault(404);
    client.send("GET", &path, None).fault(405);

    let dated = std::fs::File::open(archive_of(&made)).unwrap();
    dated.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    let member = house.server.by("member");
    let accepted = member.send("POST", &path, None).expect(202).json()["backup"].take();
    assert_eq!(accepted["id"], made["id"]);
    let row = drilled(&client, id_of(&made));
    assert_eq!(
        (&row["verify_level"], &row["drill"]["status"]),
        (&json!("restored"), &json!("passed"))
    );
    // A rebuilt catalog takes from the archive when it was proven last.
    assert_eq!(row["verified_at"], date_of(&archive_of(&made)));
    // Again, when it is worth it.
    client.send("POST", &path, None).expect(202);
    wait_until("the second drill", || {
        (house.server.log().text().matches("passed in").count() == 2).then_some(())
    });
    client.delete(&format!("backups/{}", id_of(&made))).expect(202);
    let after = client.send("POST", &path, None).status;
    assert!([404, 422].contains(&after), "{after}");
    client.wait_until_gone(id_of(&made));
}

#[test]
fn a_torn_index_that_no_backup_looked_at_fails_the_drill_and_nothing_is_built_on_it() {
    let mut house = House::with("check = \"off\"\nverify = \"restore\"");
    house.server.allow_warning("nothing is built on it");
    tear_index(&house.database);
    let client = house.client();
    let made = client.full("shop");
    assert_eq!(made["status"], "COMPLETED");
    let row = drilled(&client, id_of(&made));
    let why = &row["drill"]["failure"];
    assert_eq!(
        (&row["drill"]["status"], &why["code"]),
        (&json!("failed"), &json!("archive_damaged"))
    );
    assert_eq!((&row["failure"], &row["status"]), (why, &json!("COMPLETED")));
    assert_eq!((&row["verify_level"], &row["drill"]["rows"]), (&json!("bytes"), &Value::Null));
    let told = why["message"].as_str().unwrap();
    assert!(told.contains("by_word") || told.contains("btree") || told.contains("page"), "{told}");

    // Its bytes are sound, which says nothing of the data.
    assert!(house.run(&["verify", id_of(&made)]).status.success());
    assert_eq!(client.backup(id_of(&made))["failure"], *why);
    let next = client.incremental("shop");
    assert_eq!((&next["kind"], &next["parent_id"]), (&json!("full"), &Value::Null));
    drilled(&client, id_of(&next));

    for form in [&["drill", id_of(&made)][..], &["drill", id_of(&made), "--json"]] {
        let output = house.run(form);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains(told) && output.stdout.is_empty(), "{}", said(&output));
    }
    let archive = archive_of(&made);
    let output = house.run(&["drill", "--archive", archive.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert_eq!(names_in(&house.tmp()), Vec::<String>::new());
}

#[test]
fn an_archive_that_was_damaged_meanwhile_is_named_by_the_drill_of_what_is_built_on_it() {
    let mut house = House::with("");
    house.server.allow_warning("nothing is built on it");
    let client = house.client();
    let full = client.full("shop");
    run_sql(&house.database, "INSERT INTO customer VALUES ('Eve')");
    let child = client.incremental("shop");
    std::fs::remove_file(archive_of(&full)).unwrap();
    client.send("POST", &format!("backups/{}/drill", id_of(&child)), None).expect(202);
    let row = drilled(&client, id_of(&child));
    let why = &row["drill"]["failure"];
    assert_eq!(why["code"], "chain_broken");
    assert!(why["message"].as_str().unwrap().contains(id_of(&full)), "{why}");
    assert_eq!(client.backup(id_of(&full))["failure"]["code"], "archive_damaged");
    assert_eq!(row["failure"], Value::Null);
    assert_eq!(house.run(&["drill", id_of(&child)]).status.code(), Some(4));
}

#[test]
fn the_command_drills_a_backup_and_writes_down_what_it_proved() {
    let house = House::with("");
    let client = house.client();
    client.full("shop");
    run_sql(&house.database, "DELETE FROM \"order\" WHERE id > 10");
    let made = client.incremental("shop");
    let id = id_of(&made);
    let told = report(&house.run(&["drill", id, "--json"]));
    assert_eq!((&told["backup"], &told["engine"]), (&made["id"], &json!("sqlite")));
    assert_eq!((&told["tables"], &told["rows"]), (&json!(2), &json!(12)));
    assert_eq!(told["rows_by_table"], json!({"customer": 2, "order": 10}));
    assert_eq!(told["chain"].as_array().unwrap().len(), 2);
    let row = client.backup(id);
    assert_eq!(
        (&row["verify_level"], &row["drill"]["status"]),
        (&json!("restored"), &json!("passed"))
    );
    assert_eq!(row["drill"]["rows_by_table"], told["rows_by_table"]);

    let elsewhere = house.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let output = house.run(&["drill", id, "--in", elsewhere.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for word in [id, "integrity_check", "12 rows", "10  order", "2  customer"] {
        assert!(text.contains(word), "{word} is not told:\n{text}");
    }
    assert_eq!(names_in(&elsewhere), Vec::<String>::new());

    // A place that is not there is no fault of the backup.
    let output = house.run(&["drill", id, "--in", "/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("/nowhere/at/all"), "{}", said(&output));
    assert_eq!(client.backup(id)["drill"]["status"], "passed");
}

#[test]
fn archive_files_alone_are_enough_for_a_drill() {
    let house = House::with("");
    let client = house.client();
    let full = archive_of(&client.full("shop"));
    run_sql(&house.database, "INSERT INTO customer VALUES ('Eve')");
    let made = client.incremental("shop");
    let files = [archive_of(&made), full];
    let temporary = house.folder.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    // No configuration, no catalog, no server.
    let output = Command::new(env!("CARGO_BIN_EXE_coffer"))
        .args(["drill", "--json", "--archive"])
        .args(&files)
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let told = report(&output);
    assert_eq!((&told["backup"], &told["rows"]), (&made["id"], &json!(3003)));
    assert_eq!(names_in(&temporary), Vec::<String>::new());
    // Nothing of it was written down anywhere.
    assert_eq!(client.backup(id_of(&made))["drill"], Value::Null);
}

#[test]
fn a_tree_with_folders_that_may_not_be_written_is_drilled_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("locked/deep")).unwrap();
    write_file(&tree.join("locked/deep/file"), "content");
    write_file(&tree.join("other"), vec![7; 3 << 20]);
    let locked = Permissions::from_mode(0o555);
    std::fs::set_permissions(tree.join("locked/deep"), locked).unwrap();
    let server = TestServer::builder()
        .toml(&format!(
            "[[instances]]\nname = \"tree\"\nproject_id = \"project-a\"\nengine = \"directory\"\n\
             source = {{ path = {tree:?} }}\nverify = \"restore\"\n"
        ))
        .unprivileged()
        .start();
    let client = server.by_admin();
    let row = drilled(&client, id_of(&client.full("tree")));
    assert_eq!(
        (&row["verify_level"], &row["drill"]["status"]),
        (&json!("restored"), &json!("passed"))
    );
    assert!(row["drill"]["rows_by_table"]["members"].as_u64().unwrap() >= 4, "{row:#}");
    assert_eq!(names_in(&server.data_dir().join("tmp")), Vec::<String>::new());
}

/// A delete does not wait for a drill to come to its end.
#[test]
fn a_backup_that_is_deleted_while_its_drill_waits_or_runs_is_gone() {
    let house = House::with("");
    make_many(&house.database);
    let client = house.client();
    let (runs, waits) = (client.full("shop"), client.full("shop"));
    for made in [&runs, &waits] {
        client.send("POST", &format!("backups/{}/drill", id_of(made)), None).expect(202);
    }
    let status = |made: &Value| client.backup(id_of(made))["drill"]["status"].take();
    wait_until("the first drill to run", || (status(&runs) == "running").then_some(()));
    assert_eq!(status(&waits), "waiting");
    for made in [&waits, &runs] {
        client.delete(&format!("backups/{}", id_of(made))).expect(202);
    }
    for made in [&runs, &waits] {
        client.wait_until_gone(id_of(made));
    }
    let log = house.server.log().text();
    assert!(log.contains(&format!("drill of backup {}: interrupted", id_of(&runs))), "{log}");
    assert!(!log.contains(&format!("drill of backup {} begins", id_of(&waits))), "{log}");
    assert_eq!(names_in(&house.tmp()), Vec::<String>::new());
}

/// A database that a drill takes a while over.
fn make_many(database: &Path) {
    run_sql(
        database,
        "CREATE TABLE many(id INTEGER PRIMARY KEY, one INT, other INT);
         CREATE INDEX by_one ON many(one); CREATE INDEX by_other ON many(other);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
         INSERT INTO many SELECT i, i * 7919 % 1000003, i * 104729 % 1000003 FROM n;",
    );
}

#[test]
fn a_drill_that_the_shutdown_interrupts_is_made_again_at_the_next_start() {
    let mut house = House::with("");
    make_many(&house.database);
    let made = house.client().full("shop");
    house.server.set_env("COFFER__SERVER__SHUTDOWN_GRACE_S", Some("0"));
    house.server.restart();
    let client = house.client();
    client.send("POST", &format!("backups/{}/drill", id_of(&made)), None).expect(202);
    wait_until("the restore to begin", || (!names_in(&house.tmp()).is_empty()).then_some(()));
    assert!(house.server.terminate().success());
    assert!(house.server.log().text().contains("interrupted"), "{}", house.server.log().text());
    assert_eq!(names_in(&house.tmp()), Vec::<String>::new());
    house.server.restart();
    let row = drilled(&house.client(), id_of(&made));
    assert_eq!((&row["drill"]["status"], &row["failure"]), (&json!("passed"), &Value::Null));
}

#[test]
fn a_command_that_is_interrupted_takes_away_what_it_restored() {
    let house = House::with("");
    make_many(&house.database);
    let made = house.client().full("shop");
    let mut command = house.server.command(&["drill", id_of(&made)]);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("the restore to begin", || (!names_in(&house.tmp()).is_empty()).then_some(()));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("interrupted") && output.stdout.is_empty(), "{}", said(&output));
    assert_eq!(names_in(&house.tmp()), Vec::<String>::new());
    assert_eq!(house.client().backup(id_of(&made))["drill"], Value::Null);
}

/// As much as any disk has: the drill is refused before a byte is written.
#[test]
fn a_drill_that_does_not_fit_could_not_be_made_and_says_how_much_it_needs() {
    let mut house = House::with("");
    let client = house.client();
    let made = client.full("shop");
    house.server.terminate();
    house.server.set_env("COFFER__STORAGE__HEADROOM_MIB", Some("1000000000"));
    house.server.allow_warning("could not be made");
    house.server.restart();
    let client = house.client();
    client.send("POST", &format!("backups/{}/drill", id_of(&made)), None).expect(202);
    let row = drilled(&client, id_of(&made));
    let why = &row["drill"]["failure"];
    assert_eq!(why["code"], "disk_full");
    let told = why["message"].as_str().unwrap();
    assert!(told.contains("bytes are needed") && told.contains("are free"), "{told}");
    assert_eq!((&row["failure"], &row["verify_level"]), (&Value::Null, &json!("checked")));
    let output = house.run(&["drill", id_of(&made)]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("bytes are needed"), "{}", said(&output));
}
