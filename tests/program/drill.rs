//! Drills, by the server and by the command: restores made only to prove a backup, of sound and of damaged
//! ones.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use coffer::domain::{Cancel, Timestamp};
use coffer::encryption::Keys;
use coffer::executor::{self, DrillPlan, JobError};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Client, TestServer, archive_of, damage_index, id_of, names_in, stderr_of, wait_until,
    write_file,
};

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

/// A server over one database.
struct Fixture {
    server: TestServer,
    database: PathBuf,
    folder: tempfile::TempDir,
}

impl Fixture {
    /// With further keys of the instance, as lines of TOML.
    fn with(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        make_database(&database);
        let server = TestServer::builder()
            .token("reader", crate::support::PROJECT, &["reader"])
            .token("member", crate::support::PROJECT, &["member"])
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
        self.server.admin()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.server.run(arguments)
    }

    fn tmp(&self) -> PathBuf {
        self.server.data_dir().join("tmp")
    }
}

/// The proof that is recorded beside an archive.
fn record_of(archive: &Path) -> Value {
    let mut record = archive.as_os_str().to_owned();
    record.push(".proof");
    serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap()
}

#[track_caller]
fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr_of(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn backups_of_an_instance_with_verify_restore_are_drilled_and_their_rows_counted() {
    let fixture = Fixture::drilling();
    let client = fixture.client();
    let full = client.drilled(id_of(&client.full("shop")));
    run_sql(&fixture.database, "INSERT INTO customer VALUES ('Eve')");
    let incremental = client.drilled(id_of(&client.incremental("shop")));
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
    // A list has the counts, but not the rows by table.
    let listed = client.all("backups", "backups");
    let rows: Vec<_> = listed.iter().map(|row| &row["drill"]["rows"]).collect();
    assert_eq!(rows, [3003, 3002]);
    assert!(listed.iter().all(|row| row["drill"].get("rows_by_table").is_none()));
    fixture.server.assert_tmp_is_empty();
}

#[test]
fn only_members_of_the_project_may_ask_for_a_drill() {
    let fixture = Fixture::with("");
    let client = fixture.client();
    let made = client.full("shop");
    assert_eq!((&made["verify_level"], &made["drill"]), (&json!("checked"), &Value::Null));
    let path = format!("backups/{}/drill", id_of(&made));
    fixture.server.client_of("reader").send("POST", &path, None).fault(403);
    fixture
        .server
        .client_of("stranger")
        .in_project("project-b")
        .send("POST", &path, None)
        .fault(404);
    let unknown = "backups/01920000-0000-7000-8000-000000000000/drill";
    client.send("POST", unknown, None).fault(404);
    client.send("GET", &path, None).fault(405);

    let member = fixture.server.client_of("member");
    let accepted = member.send("POST", &path, None).with_status(202).json()["backup"].take();
    assert_eq!(accepted["id"], made["id"]);
    let row = client.drilled(id_of(&made));
    assert_eq!(
        (&row["verify_level"], &row["drill"]["status"]),
        (&json!("restored"), &json!("passed"))
    );
    // A rebuilt catalog takes the last proof from the record beside the archive.
    let record = record_of(&archive_of(&made));
    assert_eq!(record["verify_level"], "restored");
    let recorded: Timestamp = record["verified_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(row["verified_at"], recorded.to_wire());
    // A second time.
    client.send("POST", &path, None).with_status(202);
    wait_until("the second drill", || {
        (fixture.server.log().text().matches("passed in").count() == 2).then_some(())
    });
    client.delete(&format!("backups/{}", id_of(&made))).with_status(202);
    let after = client.send("POST", &path, None).status;
    assert!([404, 422].contains(&after), "{after}");
    client.wait_until_gone(id_of(&made));
}

#[test]
fn a_damaged_index_fails_the_drill_and_the_next_backup_is_full() {
    let mut fixture = Fixture::with("check = \"off\"\nverify = \"restore\"");
    fixture.server.allow_warning("nothing is built on it");
    damage_index(&fixture.database, "by_word");
    let client = fixture.client();
    let made = client.full("shop");
    assert_eq!(made["status"], "COMPLETED");
    let row = client.drilled(id_of(&made));
    let why = &row["drill"]["failure"];
    assert_eq!(
        (&row["drill"]["status"], &why["code"]),
        (&json!("damaged"), &json!("archive_damaged"))
    );
    assert_eq!((&row["failure"], &row["status"]), (why, &json!("COMPLETED")));
    assert_eq!((&row["verify_level"], &row["drill"]["rows"]), (&json!("bytes"), &Value::Null));
    let message = why["message"].as_str().unwrap();
    assert!(
        message.contains("by_word") || message.contains("btree") || message.contains("page"),
        "{message}"
    );

    // The bytes of the archive are sound; the data in it are not.
    assert!(fixture.run(&["verify", id_of(&made)]).status.success());
    assert_eq!(client.backup(id_of(&made))["failure"], *why);
    let next = client.incremental("shop");
    assert_eq!((&next["kind"], &next["parent_id"]), (&json!("full"), &Value::Null));
    client.drilled(id_of(&next));

    let output = fixture.run(&["drill", id_of(&made)]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains(message), "{}", stderr_of(&output));
    assert!(output.stdout.is_empty());
    let output = fixture.run(&["drill", id_of(&made), "--json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 0));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains(message), "{error}");
    let archive = archive_of(&made);
    let output = fixture.run(&["drill", "--archive", archive.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr_of(&output));
    fixture.server.assert_tmp_is_empty();
}

#[test]
fn bad_data_with_sound_bytes_is_restored_with_a_warning_and_an_exit_code_of_its_own() {
    let mut fixture = Fixture::with("check = \"off\"");
    fixture.server.allow_warning("nothing is built on it");
    fixture.server.allow_warning("its data is bad");
    damage_index(&fixture.database, "by_word");
    let client = fixture.client();
    let made = client.full("shop");
    let id = id_of(&made);
    let bytes = std::fs::read(&fixture.database).unwrap();
    // Found by the check of the restore, and then reported by a drill already.
    for (name, check) in [("found", "quick"), ("reported", "off")] {
        let to = fixture.folder.path().join(name);
        let output = fixture.run(&["restore", id, "--check", check, "--to", to.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(6), "{}", stderr_of(&output));
        assert!(stderr_of(&output).contains("warning"), "{}", stderr_of(&output));
        assert!(std::fs::read(&to).unwrap() == bytes);
        client.ask_for_drill(id);
        assert_eq!(client.drilled(id)["drill"]["status"], "damaged");
    }
    let restored = client.restored_instance(&made);
    assert!(std::fs::read(restored).unwrap() == bytes);
}

#[test]
fn a_drill_over_its_time_limit_is_stopped_and_says_nothing_of_the_backup() {
    let fixture = Fixture::with("");
    let archive = archive_of(&fixture.client().full("shop"));
    let (cancel, within) = (Cancel::default(), tempfile::tempdir().unwrap());
    let chain = executor::open_files(&[archive], &Keys::default(), &cancel).unwrap();
    let how = DrillPlan {
        within: within.path(),
        headroom: 0,
        source: None,
        workers: 1,
        limit: Some(Duration::ZERO),
        cancel: &cancel,
    };
    let error = executor::drill(&chain, &how, &|_done, _total| ()).unwrap_err();
    assert!(error.to_string().contains("executor.drill_limit_s"), "{error}");
    assert!(!error.is_damage() && !matches!(error, JobError::Cancelled));
    assert_eq!(names_in(within.path()), Vec::<String>::new());
}

#[test]
fn a_drill_names_the_ancestor_whose_archive_is_missing() {
    let mut fixture = Fixture::with("");
    fixture.server.allow_warning("is inconclusive");
    let client = fixture.client();
    let full = client.full("shop");
    run_sql(&fixture.database, "INSERT INTO customer VALUES ('Eve')");
    let child = client.incremental("shop");
    std::fs::remove_file(archive_of(&full)).unwrap();
    client.ask_for_drill(id_of(&child));
    let row = client.drilled(id_of(&child));
    let why = &row["drill"]["failure"];
    assert_eq!(why["code"], "chain_broken");
    assert!(why["message"].as_str().unwrap().contains(id_of(&full)), "{why}");
    assert_eq!(row["drill"]["status"], "inconclusive");
    assert_eq!(client.backup(id_of(&full))["failure"]["code"], "archive_missing");
    assert_eq!(row["failure"], Value::Null);
    assert_eq!(fixture.run(&["drill", id_of(&child)]).status.code(), Some(3));
}

#[test]
fn the_drill_command_records_its_result_in_the_catalog() {
    let fixture = Fixture::with("");
    let client = fixture.client();
    client.full("shop");
    run_sql(&fixture.database, "DELETE FROM \"order\" WHERE id > 10");
    let made = client.incremental("shop");
    let id = id_of(&made);
    let result = report(&fixture.run(&["drill", id, "--json"]));
    assert_eq!((&result["backup"], &result["engine"]), (&made["id"], &json!("sqlite")));
    assert_eq!((&result["tables"], &result["rows"]), (&json!(2), &json!(12)));
    assert_eq!(result["rows_by_table"], json!({"customer": 2, "order": 10}));
    assert_eq!(result["chain"].as_array().unwrap().len(), 2);
    let row = client.backup(id);
    assert_eq!(
        (&row["verify_level"], &row["drill"]["status"]),
        (&json!("restored"), &json!("passed"))
    );
    assert_eq!(row["drill"]["rows_by_table"], result["rows_by_table"]);

    let elsewhere = fixture.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let output = fixture.run(&["drill", id, "--in", elsewhere.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    for word in [id, "integrity_check", "12 rows", "10  order", "2  customer"] {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    assert_eq!(names_in(&elsewhere), Vec::<String>::new());

    // A missing folder is not a fault of the backup.
    let output = fixture.run(&["drill", id, "--in", "/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("/nowhere/at/all"), "{}", stderr_of(&output));
    assert_eq!(client.backup(id)["drill"]["status"], "passed");
}

#[test]
fn a_drill_of_archive_files_needs_no_catalog() {
    let fixture = Fixture::with("");
    let client = fixture.client();
    let full = archive_of(&client.full("shop"));
    run_sql(&fixture.database, "INSERT INTO customer VALUES ('Eve')");
    let made = client.incremental("shop");
    let files = [archive_of(&made), full];
    let temporary = fixture.folder.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    // No configuration, no catalog, no server.
    let output = Command::new(env!("CARGO_BIN_EXE_coffer"))
        .args(["drill", "--json", "--archive"])
        .args(&files)
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let result = report(&output);
    assert_eq!((&result["backup"], &result["rows"]), (&made["id"], &json!(3003)));
    assert_eq!(names_in(&temporary), Vec::<String>::new());
    // Nothing was recorded.
    assert_eq!(client.backup(id_of(&made))["drill"], Value::Null);
}

#[test]
fn a_drill_removes_a_restored_tree_with_read_only_folders() {
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
    let client = server.admin();
    let row = client.drilled(id_of(&client.full("tree")));
    assert_eq!(
        (&row["verify_level"], &row["drill"]["status"]),
        (&json!("restored"), &json!("passed"))
    );
    assert!(row["drill"]["rows_by_table"]["members"].as_u64().unwrap() >= 4, "{row:#}");
    server.assert_tmp_is_empty();
}

#[test]
fn deleting_a_backup_cancels_its_waiting_or_running_drill() {
    let fixture = Fixture::with("");
    make_large_table(&fixture.database);
    let client = fixture.client();
    let (runs, waits) = (client.full("shop"), client.full("shop"));
    for made in [&runs, &waits] {
        client.ask_for_drill(id_of(made));
    }
    let status = |made: &Value| client.backup(id_of(made))["next_drill"].take();
    wait_until("the first drill to run", || (status(&runs) == "running").then_some(()));
    assert_eq!(status(&waits), "waiting");
    for made in [&waits, &runs] {
        client.delete(&format!("backups/{}", id_of(made))).with_status(202);
    }
    for made in [&runs, &waits] {
        client.wait_until_gone(id_of(made));
    }
    let interrupted = format!("drill of backup {}: interrupted", id_of(&runs));
    wait_until("the drill to end", || {
        fixture.server.log().text().contains(&interrupted).then_some(())
    });
    let log = fixture.server.log().text();
    assert!(!log.contains(&format!("drill of backup {} begins", id_of(&waits))), "{log}");
    fixture.server.assert_tmp_is_empty();
}

/// A table that takes a drill some time.
fn make_large_table(database: &Path) {
    run_sql(
        database,
        "CREATE TABLE many(id INTEGER PRIMARY KEY, one INT, other INT);
         CREATE INDEX by_one ON many(one); CREATE INDEX by_other ON many(other);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
         INSERT INTO many SELECT i, i * 7919 % 1000003, i * 104729 % 1000003 FROM n;",
    );
}

#[test]
fn a_drill_interrupted_by_a_shutdown_runs_again_after_the_next_start() {
    let mut fixture = Fixture::with("");
    make_large_table(&fixture.database);
    let made = fixture.client().full("shop");
    fixture.server.set_env("COFFER__SERVER__SHUTDOWN_GRACE_S", Some("0"));
    fixture.server.restart();
    let client = fixture.client();
    client.ask_for_drill(id_of(&made));
    wait_until("the restore to begin", || (!names_in(&fixture.tmp()).is_empty()).then_some(()));
    assert!(fixture.server.terminate().success());
    assert!(fixture.server.log().text().contains("interrupted"), "{}", fixture.server.log().text());
    fixture.server.assert_tmp_is_empty();
    fixture.server.restart();
    let row = fixture.client().drilled(id_of(&made));
    assert_eq!((&row["drill"]["status"], &row["failure"]), (&json!("passed"), &Value::Null));
}

#[test]
fn an_interrupted_drill_command_removes_what_it_restored() {
    let fixture = Fixture::with("");
    make_large_table(&fixture.database);
    let made = fixture.client().full("shop");
    let mut command = fixture.server.command(&["drill", id_of(&made)]);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("the restore to begin", || (!names_in(&fixture.tmp()).is_empty()).then_some(()));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    assert!(
        stderr_of(&output).contains("interrupted") && output.stdout.is_empty(),
        "{}",
        stderr_of(&output)
    );
    fixture.server.assert_tmp_is_empty();
    assert_eq!(fixture.client().backup(id_of(&made))["drill"], Value::Null);
}

#[test]
fn a_drill_that_does_not_fit_is_refused_with_the_bytes_it_needs() {
    let mut fixture = Fixture::with("");
    let client = fixture.client();
    let made = client.full("shop");
    fixture.server.terminate();
    fixture.server.set_env("COFFER__STORAGE__HEADROOM_MIB", Some("1000000000"));
    fixture.server.allow_warning("is inconclusive");
    fixture.server.restart();
    let client = fixture.client();
    client.ask_for_drill(id_of(&made));
    let row = client.drilled(id_of(&made));
    let why = &row["drill"]["failure"];
    assert_eq!(why["code"], "disk_full");
    let message = why["message"].as_str().unwrap();
    assert!(message.contains("bytes are needed") && message.contains("are free"), "{message}");
    assert_eq!((&row["failure"], &row["verify_level"]), (&Value::Null, &json!("checked")));
    let output = fixture.run(&["drill", id_of(&made)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("bytes are needed"), "{}", stderr_of(&output));
}
