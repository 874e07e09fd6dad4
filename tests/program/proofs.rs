//! What is proven by itself: drills on a schedule, restores into staging, archives that are read again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Client, MONTHLY, TestServer, archive_of, damage, damage_index, id_of, names_in, wait_until,
    write_file,
};

fn run_sql(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

fn make_database(path: &Path, word: &str) {
    run_sql(
        path,
        &format!(
            "PRAGMA journal_mode = wal;
             CREATE TABLE row(id INTEGER PRIMARY KEY, word TEXT);
             CREATE INDEX by_word ON row(word);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO row SELECT i, '{word} ' || i FROM n;"
        ),
    );
}

/// The first word and the number of rows, read by a new connection that also checks all of it.
fn content(database: &Path) -> (String, i64) {
    let db = Connection::open(database).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let sql = "SELECT min(word), count(*) FROM row";
    db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

struct Fixture {
    server: TestServer,
    database: PathBuf,
    folder: tempfile::TempDir,
}

impl Fixture {
    /// With further keys of the instance, as lines of TOML.
    fn with(keys: &dyn Fn(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        make_database(&database, "first");
        std::fs::create_dir(folder.path().join("staging")).unwrap();
        let keys = keys(folder.path());
        let server = TestServer::builder()
            .toml(&format!(
                "[[instances]]\nname = \"shop\"\nproject_id = \"project-a\"\nengine = \"sqlite\"\n\
                 source = {{ path = {database:?} }}\ntimezone = \"UTC\"\n{keys}\n"
            ))
            .setting("storage.scrub_days", "30")
            .start();
        Self { server, database, folder }
    }

    fn staging(&self) -> PathBuf {
        self.folder.path().join("staging")
    }

    fn client(&self) -> Client {
        self.server.admin()
    }
}

#[test]
fn the_newest_backup_is_restored_into_staging_again_and_again_also_while_it_is_open() {
    let staging = |folder: &Path| {
        let to = folder.join("staging/shop.db");
        format!("staging = {{ to = {to:?}, schedule = \"{MONTHLY}\" }}")
    };
    let mut fixture = Fixture::with(&staging);
    let to = fixture.staging().join("shop.db");
    fixture.client().full("shop");
    assert_eq!(names_in(&fixture.staging()), [""; 0], "nothing was due before the first backup");
    fixture.server.forty_days_later();
    fixture.server.wait_for_stagings(&["done"]);
    assert_eq!(content(&to), ("first 1".to_owned(), 500));

    // Somebody works with it, and has written what is in its -wal alone.
    let open = Connection::open(&to).unwrap();
    open.execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE row SET word = 'by staging'")
        .unwrap();
    run_sql(&fixture.database, "UPDATE row SET word = 'second ' || id");
    fixture.client().full("shop");
    fixture.server.forty_days_later();
    fixture.server.wait_for_stagings(&["done", "done"]);
    assert_eq!(content(&to), ("second 1".to_owned(), 500), "nothing of the old -wal is applied");
    let old: String = open.query_row("SELECT max(word) FROM row", [], |row| row.get(0)).unwrap();
    assert_eq!(old, "by staging", "who has it open still reads the old one");
    drop(open);
    assert_eq!(content(&to), ("second 1".to_owned(), 500));
    let generations = names_in(&fixture.staging().join(".shop.db.coffer"));
    assert_eq!(generations.len(), 2, "one, and the file that says whose it is: {generations:?}");

    // Something else in its place is not replaced.
    std::fs::remove_file(&to).unwrap();
    write_file(&to, "mine");
    fixture.server.allow_warning("did not put it there");
    fixture.server.forty_days_later();
    fixture.server.wait_for_stagings(&["done", "done", "failed"]);
    assert_eq!(std::fs::read(&to).unwrap(), b"mine");
    assert!(fixture.server.log().text().contains("mv -nT"), "the log says how to mend it");
}

#[test]
fn data_that_its_own_check_calls_bad_is_not_put_into_staging() {
    let keys = |folder: &Path| {
        let to = folder.join("staging/shop.db");
        format!("check = \"off\"\nstaging = {{ to = {to:?}, schedule = \"{MONTHLY}\" }}")
    };
    let mut fixture = Fixture::with(&keys);
    let to = fixture.staging().join("shop.db");
    fixture.client().full("shop");
    fixture.server.forty_days_later();
    fixture.server.wait_for_stagings(&["done"]);
    run_sql(
        &fixture.database,
        "UPDATE row SET word = 'second ' || id; PRAGMA wal_checkpoint(TRUNCATE)",
    );
    damage_index(&fixture.database, "by_word");
    fixture.client().full("shop");
    fixture.server.allow_warning("the data of the backup is bad, and is not put there");
    fixture.server.forty_days_later();
    fixture.server.wait_for_stagings(&["done", "damaged"]);
    assert_eq!(content(&to), ("first 1".to_owned(), 500), "what was there stays");
    let generations = names_in(&fixture.staging().join(".shop.db.coffer"));
    assert_eq!(generations.len(), 2, "and nothing beside it: {generations:?}");
}

#[test]
fn a_drill_by_the_schedule_finds_a_damaged_source_and_says_so_of_that_backup_alone() {
    let keys = |_: &Path| format!("check = \"off\"\ndrill = \"{MONTHLY}\"");
    let mut fixture = Fixture::with(&keys);
    let sound = fixture.client().full("shop");
    fixture.server.forty_days_later();
    let passed = fixture.client().drilled(id_of(&sound));
    assert_eq!(passed["drill"]["status"], "passed");
    run_sql(&fixture.database, "PRAGMA wal_checkpoint(TRUNCATE)");
    damage_index(&fixture.database, "by_word");
    let bad = fixture.client().full("shop");
    assert_eq!((&bad["status"], &bad["drill"]), (&json!("COMPLETED"), &Value::Null));
    fixture.server.allow_warning("found damage");
    fixture.server.forty_days_later();
    let row = fixture.client().drilled(id_of(&bad));
    assert_eq!(row["drill"]["status"], "damaged", "{row:#}");
    let sound = fixture.client().backup(id_of(&sound));
    assert_eq!(sound["drill"]["status"], "passed", "the other one is as it was");
}

#[test]
fn archives_are_read_again_when_their_proof_is_old_and_rot_is_found() {
    let mut fixture = Fixture::with(&|_: &Path| String::new());
    let (one, other) = (fixture.client().full("shop"), fixture.client().full("shop"));
    let (archive, made) = (archive_of(&other), std::fs::read(archive_of(&one)).unwrap());
    damage(&archive);
    std::fs::set_permissions(&archive, std::fs::Permissions::from_mode(0o400)).unwrap();
    fixture.server.allow_warning("reading the archive of backup");
    fixture.server.forty_days_later();
    let result_of = |row: &Value| -> Option<String> {
        let db = Connection::open(fixture.server.data_dir().join("catalog.db")).unwrap();
        let sql = "SELECT result FROM runs WHERE kind = 'verify' AND backup = ?1";
        db.query_row(sql, [id_of(row)], |row| row.get(0)).ok()
    };
    let results = wait_until("both to be read", || Some([result_of(&one)?, result_of(&other)?]));
    assert_eq!(results, ["done", "damaged"]);
    let again = fixture.client().backup(id_of(&one));
    assert!(again["verified_at"].as_str() >= one["verified_at"].as_str(), "{again:#}");
    assert_eq!(std::fs::read(archive_of(&one)).unwrap(), made);
}

#[test]
fn a_backup_is_read_again_on_request_with_what_it_needs_and_only_wrong_bytes_are_damage() {
    let mut fixture = Fixture::with(&|_: &Path| String::new());
    let client = fixture.client();
    let root = client.full("shop");
    run_sql(&fixture.database, "UPDATE row SET word = 'second ' || id");
    let made =
        client.create_backup("shop", &json!({"name": "n", "incremental": 1})).with_status(202);
    let child = client.completed(&made);
    let verify = |status: &str| {
        let path = format!("backups/{}/verify", id_of(&child));
        client.post(&path, &Value::Null).with_status(202);
        wait_until(&format!("the verification that is {status}"), || {
            let found = client.get(&path).with_status(200).json()["verification"].clone();
            let is_open = ["waiting", "running"].contains(&found["status"].as_str().unwrap());
            (!is_open).then(|| assert_eq!(found["status"], status, "{found:#}"))
        });
    };
    verify("passed");
    fixture.server.allow_warning("verification of backup");
    // It cannot be opened: nothing is known of its bytes.
    let archive = archive_of(&root);
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::remove_file(&archive).unwrap();
    std::fs::create_dir(&archive).unwrap();
    verify("inconclusive");
    assert_eq!(client.backup(id_of(&root))["failure"], Value::Null);
    std::fs::remove_dir(&archive).unwrap();
    write_file(&archive, &bytes);
    damage(&archive);
    verify("damaged");
    let found = client.get(&format!("backups/{}/verify", id_of(&child))).json();
    let why = found["verification"]["failure"]["message"].as_str().unwrap().to_owned();
    assert!(why.starts_with(&format!("backup {}, which it is built on: ", id_of(&root))), "{why}");
    assert_eq!(client.backup(id_of(&root))["failure"]["code"], "archive_damaged");
    std::fs::remove_file(&archive).unwrap();
    write_file(&archive, bytes);
    verify("passed");
    assert_eq!(client.backup(id_of(&root))["failure"], Value::Null);
}
