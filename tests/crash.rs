//! Power cuts: the process is killed at every point where work is unfinished, and started again. Needs
//! `--features failpoints`.

#![cfg(test)]

#[path = "crash/copies.rs"]
mod copies;
#[path = "crash/encrypted.rs"]
mod encrypted;
#[path = "servers/s3.rs"]
mod s3;
#[path = "crash/staging.rs"]
mod staging;
#[path = "crash/stores.rs"]
mod stores;
mod support;
#[path = "servers/swift.rs"]
mod swift;

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};

use support::{Client, TestServer, files_below, names_in, wait_until};

const SIGKILL: i32 = 9;

/// A database whose content a test can compare.
fn make_database(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal;
             CREATE TABLE row(id INTEGER PRIMARY KEY, word TEXT, data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO row SELECT i, 'row ' || i, zeroblob(900) FROM n;",
        )
        .unwrap();
}

fn change(path: &Path, mark: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute("UPDATE row SET word = word || ?1 WHERE id % 50 = 0", [mark]).unwrap();
}

/// Every row, in order.
type Content = Vec<(i64, String, Vec<u8>)>;

fn content(path: &Path) -> Content {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT id, word, data FROM row ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A server over one database, and what each backup must restore to.
struct Fixture {
    server: TestServer,
    database: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        make_database(&database);
        let server = TestServer::builder()
            .instance_sqlite("shop", &database)
            .setting("storage.trash_window_s", "0")
            .start();
        Self { server, database, _folder: folder }
    }

    /// Restarts the server so that it is killed at `place`.
    fn set_failpoint(&mut self, place: &str) {
        self.server.terminate();
        self.server.set_env("COFFER_FAILPOINT", Some(place));
        self.server.restart();
    }

    /// Sends a request that kills the server, with or without an answer, and starts it without a failpoint.
    fn crash_by(&mut self, method: &str, path: &str, body: Option<&Value>) {
        let body = body.map(|body| body.to_string().into_bytes());
        if let Ok(answer) = self.client().try_send(method, path, body.as_deref()) {
            assert!([200, 202].contains(&answer.status), "{}", answer.text());
        }
        let status = self.server.wait_for_exit();
        assert_eq!(status.signal(), Some(SIGKILL), "{status}");
        self.server.set_env("COFFER_FAILPOINT", None);
        self.server.restart();
    }

    fn client(&self) -> Client {
        self.server.admin()
    }

    fn backups(&self) -> Vec<Value> {
        self.client().all("backups", "backups")
    }

    /// After any crash no backup is unfinished, no file is left in `tmp/`, and every COMPLETED backup restores to
    /// what its source was.
    fn assert_in_order(&self, contents: &[(String, Content)]) {
        self.server.assert_tmp_is_empty();
        for backup in self.backups() {
            let (id, status) = (backup["id"].as_str().unwrap(), backup["status"].as_str().unwrap());
            assert!(["COMPLETED", "FAILED"].contains(&status), "{backup}");
            if status == "FAILED" {
                assert_eq!(backup["failure"]["code"], "interrupted", "{backup}");
                continue;
            }
            let name = backup["name"].as_str().unwrap();
            let (_, wanted) = contents.iter().find(|(known, _)| known == name).expect(name);
            let target = self.server.folder().join(format!("{id}.db"));
            let to = target.to_str().unwrap();
            self.server.run_ok(&["restore", id, "--to", to]);
            assert_eq!(content(&target), *wanted, "backup {name}");
        }
    }

    fn make(&self, name: &str, incremental: u8) -> Value {
        let more = json!({"name": name, "incremental": incremental});
        let accepted = self.client().create_backup("shop", &more).with_status(202);
        self.client().completed(&accepted)
    }
}

#[rstest]
#[case::claimed("after-claim", false)]
#[case::before_the_source_is_read("before-dump", false)]
#[case::in_the_middle_of_the_source("mid-dump", false)]
#[case::source_read("after-dump", false)]
#[case::file_synced("after-sync", false)]
#[case::file_proven("after-prove", false)]
#[case::about_to_be_named("publish-before-rename", false)]
#[case::named("publish-after-rename", true)]
#[case::about_to_be_completed("before-complete", true)]
fn a_backup_that_is_cut_short_is_failed_or_adopted(
    #[case] place: &str,
    #[case] adopted: bool,
    #[values(0, 1)] incremental: u8,
) {
    let mut fixture = Fixture::new();
    fixture.make("first", 0);
    let first = content(&fixture.database);
    change(&fixture.database, " changed");
    let second = content(&fixture.database);
    fixture.set_failpoint(place);
    let instance = fixture.client().instance_id("shop");
    let body = json!({"backup": {
        "name": "cut", "instance": instance, "incremental": incremental,
    }});
    fixture.crash_by("POST", "backups", Some(&body));

    let cut = fixture.backups().into_iter().find(|row| row["name"] == "cut").unwrap();
    assert_eq!(cut["status"], if adopted { "COMPLETED" } else { "FAILED" }, "{cut}");
    fixture.make("next", 1);
    let contents =
        [("first".into(), first), ("cut".into(), second.clone()), ("next".into(), second)];
    fixture.assert_in_order(&contents);
}

#[rstest]
#[case::about_to_be_put_into_the_trash("discard-before-rename")]
#[case::in_the_trash("discard-after-rename")]
#[case::file_gone_but_not_its_row("mid-delete")]
fn a_delete_that_is_cut_short_is_finished_at_the_next_start(#[case] place: &str) {
    let mut fixture = Fixture::new();
    let first = fixture.make("first", 0);
    let kept = content(&fixture.database);
    let second = fixture.make("second", 1);
    fixture.make("kept", 0);
    fixture.set_failpoint(place);
    let id = first["id"].as_str().unwrap();
    fixture.crash_by("DELETE", &format!("backups/{id}"), None);

    fixture.client().wait_until_gone(id);
    fixture.client().wait_until_gone(second["id"].as_str().unwrap());
    let archives = fixture.server.data_dir().join("archives");
    let left = wait_until("the files to go", || {
        let files = files_below(&archives);
        (files.len() == 1).then_some(files)
    });
    assert_eq!(left.len(), 1);
    wait_until("the trash to be empty", || {
        names_in(&fixture.server.data_dir().join("trash")).is_empty().then_some(())
    });
    fixture.make("next", 1);
    fixture.assert_in_order(&[("kept".into(), kept.clone()), ("next".into(), kept)]);
}

#[test]
fn a_rebuild_at_start_that_is_cut_short_begins_again_at_the_next_start() {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning("rebuilt");
    fixture.make("first", 0);
    let first = content(&fixture.database);
    change(&fixture.database, " changed");
    fixture.make("second", 1);
    let second = content(&fixture.database);
    let before = fixture.backups();
    fixture.server.terminate();
    fixture.server.remove_catalog();
    fixture.server.set_env("COFFER_FAILPOINT", Some("mid-rebuild"));
    let status = fixture.server.run(&["serve"]).status;
    assert_eq!(status.signal(), Some(SIGKILL), "{status}");
    fixture.server.set_env("COFFER_FAILPOINT", None);
    fixture.server.restart();
    assert_eq!(fixture.backups(), before);
    fixture.assert_in_order(&[("first".into(), first), ("second".into(), second)]);
}

#[rstest]
#[case::begun("drill-begins")]
#[case::written("restore-before-finish")]
#[case::restored("drill-restored")]
#[case::used("drill-passed")]
#[case::about_to_be_written_down("drill-before-settle")]
fn a_drill_that_is_cut_short_leaves_nothing_and_is_made_again_at_the_next_start(
    #[case] place: &str,
) {
    let mut fixture = Fixture::new();
    let first = fixture.make("first", 0);
    let kept = content(&fixture.database);
    fixture.set_failpoint(place);
    let id = first["id"].as_str().unwrap();
    fixture.crash_by("POST", &format!("backups/{id}/drill"), None);

    let row = wait_until("the drill to be made again", || {
        let row = fixture.client().backup(id);
        (row["drill"]["status"] == "passed").then_some(row)
    });
    assert_eq!(row["verify_level"], "restored");
    assert_eq!(row["drill"]["rows_by_table"], json!({"row": 2000}));
    fixture.make("next", 1);
    fixture.assert_in_order(&[("first".into(), kept.clone()), ("next".into(), kept)]);
}

#[rstest]
#[case::begun("verify-begins")]
#[case::about_to_be_written_down("verify-before-settle")]
fn a_verification_that_is_cut_short_is_made_again_at_the_next_start(#[case] place: &str) {
    let mut fixture = Fixture::new();
    let first = fixture.make("first", 0);
    let path = format!("backups/{}/verify", first["id"].as_str().unwrap());
    fixture.set_failpoint(place);
    fixture.crash_by("POST", &path, None);
    wait_until("the verification to be made again", || {
        let found = fixture.client().get(&path).with_status(200).json();
        (found["verification"]["status"] == "passed").then_some(())
    });
}

#[rstest]
#[case::begun("restore-begins")]
#[case::written("restore-before-finish")]
#[case::about_to_be_placed("restore-before-place")]
#[case::placed("restore-after-place")]
fn a_restore_that_is_cut_short_begins_again_at_the_next_start(#[case] place: &str) {
    let mut fixture = Fixture::new();
    let first = fixture.make("first", 0);
    let kept = content(&fixture.database);
    fixture.set_failpoint(place);
    let body = json!({"instance": {
        "name": "again", "flavorRef": 1, "restorePoint": {"backupRef": first["id"]},
    }});
    fixture.crash_by("POST", "instances", Some(&body));

    let instances = fixture.client().all("instances", "instances");
    let made = instances.iter().find(|row| row["name"] == "again").unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    fixture.client().wait_for_instance(&id, &["ACTIVE"]);
    let folder = fixture.server.data_dir().join("restored").join("project-a").join(&id);
    let files = files_below(&folder);
    let databases: Vec<_> = files.iter().filter(|file| file.ends_with("again.db")).collect();
    assert_eq!((databases.len(), files.len()), (1, 1), "{files:?}");
    assert_eq!(content(databases[0]), kept);
    fixture.make("next", 1);
    fixture.assert_in_order(&[("first".into(), kept.clone()), ("next".into(), kept)]);
}

#[rstest]
#[case::begun("consolidation-begins")]
#[case::written("consolidation-written")]
#[case::about_to_be_named("publish-before-rename")]
#[case::named("publish-after-rename")]
#[case::about_to_be_written_down("consolidation-before-settle")]
fn a_consolidation_that_is_cut_short_leaves_the_chain_and_is_made_at_the_next_start(
    #[case] place: &str,
) {
    let mut fixture = Fixture::new();
    fixture.make("first", 0);
    let first = content(&fixture.database);
    change(&fixture.database, " changed");
    let second = fixture.make("second", 1);
    let kept = content(&fixture.database);
    fixture.set_failpoint(place);
    let path = format!("backups/{}/consolidate", second["id"].as_str().unwrap());
    fixture.crash_by("POST", &path, None);

    let full = wait_until("the full backup", || {
        let found = fixture.client().get(&path).with_status(200).json();
        found["consolidation"]["full_id"].as_str().map(str::to_owned)
    });
    wait_until("the end of the consolidation", || {
        let found = fixture.client().get(&path).with_status(200).json();
        (found["consolidation"]["status"] == "done").then_some(())
    });
    let row = fixture.client().backup(&full);
    assert_eq!(
        (&row["kind"], &row["name"], &row["created"]),
        (&json!("full"), &second["name"], &second["created"])
    );
    assert_eq!(fixture.backups().len(), 3, "it is made once");
    assert_eq!(files_below(&fixture.server.data_dir().join("archives")).len(), 3);
    fixture.assert_in_order(&[("first".into(), first), ("second".into(), kept)]);
}

/// A database as an application leaves it that was killed: some rows are only in the log.
fn database_with_log(path: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.db");
    make_database(&source);
    let connection = Connection::open(&source).unwrap();
    connection.execute("UPDATE row SET word = 'only in the log'", []).unwrap();
    for ending in ["", "-wal"] {
        let (from, to) = (with_ending(&source, ending), with_ending(path, ending));
        std::fs::copy(from, to).unwrap();
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[rstest]
#[case::made("undo-made", false)]
#[case::restored("restore-before-place", false)]
#[case::about_to_be_exchanged("undo-recorded", false)]
#[case::log_moved_away("undo-companions-moved", false)]
#[case::exchanged("undo-exchanged", true)]
#[case::joined("undo-joined", true)]
fn a_restore_in_place_that_is_cut_short_leaves_the_old_or_the_new_and_both_can_be_had(
    #[case] place: &str,
    #[case] exchanged: bool,
) {
    let mut fixture = Fixture::new();
    let made = fixture.make("first", 0);
    let new = content(&fixture.database);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("shop.db");
    database_with_log(&target);
    let (id, to) = (made["id"].as_str().unwrap(), target.to_str().unwrap());
    let restore = ["restore", id, "--in-place", "--to", to];
    fixture.server.set_env("COFFER_FAILPOINT", Some(place));
    let status = fixture.server.run(&restore).status;
    assert_eq!(status.signal(), Some(SIGKILL), "{status}");
    fixture.server.set_env("COFFER_FAILPOINT", None);
    assert!(target.exists(), "there is the old one or the new one at every moment");

    let undone = fixture.server.run(&["restore", "undo", to]);
    if exchanged {
        assert!(undone.status.success(), "the exchange is ended: {undone:?}");
        assert_eq!(content(&target), new);
    } else {
        assert_eq!(undone.status.code(), Some(3), "nothing was replaced: {undone:?}");
        assert_eq!(names_in(folder.path()), ["shop.db", "shop.db-wal"]);
        fixture.server.run_ok(&restore);
        assert_eq!(content(&target), new);
    }
    fixture.server.run_ok(&["restore", "undo", to]);
    let old = content(&target);
    assert_eq!((old.len(), old[0].1.as_str()), (2000, "only in the log"));
    fixture.server.run_ok(&["restore", "forget", to]);
    assert!(names_in(folder.path()).iter().all(|name| name.starts_with("shop.db")));
}
