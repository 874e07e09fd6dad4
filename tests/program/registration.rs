//! Archives of another server, copied into the store by hand and registered with `restore_from`: they are
//! verified and then like any other backup; anything else is refused.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, PROJECT, TestServer, archive_of, damage, stderr_of, write_file,
};

/// A server, and archives of another one: a full backup and an incremental.
struct Fixture {
    server: TestServer,
    database: PathBuf,
    full: PathBuf,
    incremental: PathBuf,
    folder: tempfile::TempDir,
}

fn change(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    write_file(to, std::fs::read(from).unwrap());
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        change(
            &database,
            "CREATE TABLE row(data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
             INSERT INTO row SELECT randomblob(5000) FROM n;",
        );
        let other = TestServer::builder().instance_sqlite("shop", &database).start();
        let full = folder.path().join("full.tar.zst");
        copy(&archive_of(&other.admin().full("shop")), &full);
        let wanted = folder.path().join("wanted.db");
        copy(&database, &wanted);
        change(&database, "UPDATE row SET data = randomblob(5000) WHERE rowid % 9 = 0");
        let incremental = folder.path().join("one.incr.zst");
        copy(&archive_of(&other.admin().incremental("shop")), &incremental);
        let server = TestServer::builder()
            .instance_sqlite("elsewhere", &database)
            .token("alice", PROJECT, &["member"])
            .token("bob", "project-b", &["member"])
            .start();
        Self { server, database: wanted, full, incremental, folder }
    }

    fn client(&self) -> Client {
        self.server.admin()
    }

    /// A path in the store, and its URL.
    fn place(&self, location: &str) -> (PathBuf, String) {
        let path = self.server.data_dir().join("archives").join(location);
        let url = format!("file://{}", path.display());
        (path, url)
    }

    fn ask(client: &Client, url: &str) -> Answer {
        Self::ask_as(client, url, "sqlite")
    }

    fn ask_as(client: &Client, url: &str, engine: &str) -> Answer {
        let datastore = client.get(&format!("datastores/{engine}")).with_status(200).json();
        client.post(
            "backups",
            &json!({"backup": {"name": "found", "restore_from": {
                "remote_location": url,
                "local_datastore_version_id": datastore["datastore"]["default_version"],
                "size": 0.1,
            }}}),
        )
    }

    /// Registers the archive at this URL; its row once that has ended.
    fn register(&self, url: &str) -> Value {
        self.register_as(url, "sqlite")
    }

    fn register_as(&self, url: &str, engine: &str) -> Value {
        let accepted = Self::ask_as(&self.client(), url, engine).with_status(202).json();
        let id = accepted["backup"]["id"].as_str().unwrap();
        self.client().wait_for(id, &["RESTORED", "COMPLETED", "FAILED"])
    }

    fn assert_restores(&self, id: &str) {
        let target = self.server.folder().join("restored.db");
        let arguments = ["restore", id, "--to", target.to_str().unwrap()];
        self.server.run_ok(&arguments);
        assert!(std::fs::read(&target).unwrap() == std::fs::read(&self.database).unwrap());
        std::fs::remove_file(&target).unwrap();
    }
}

#[rstest]
fn a_registered_archive_is_verified_listed_restored_and_deleted(
    #[values("project-a/found.tar.zst", "project-a/from-before/x/y.tar.zst")] location: &str,
) {
    let mut fixture = Fixture::new();
    let (path, url) = fixture.place(location);
    copy(&fixture.full, &path);
    let row = fixture.register(&url);
    let id = row["id"].as_str().unwrap();
    let outcome = (&row["status"], &row["locationRef"], &row["kind"]);
    assert_eq!(outcome, (&json!("RESTORED"), &json!(url), &json!("full")), "{row:#}");
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!(row["size_bytes"], length);
    assert!(row["verified_at"].is_string() && row["checksum"].is_string(), "{row:#}");

    fixture.assert_restores(id);
    fixture.server.restart();
    assert_eq!(fixture.client().all("backups", "backups"), [fixture.client().backup(id)]);
    fixture.assert_restores(id);
    fixture.server.run_ok(&["verify", id]);
    let restored = fixture.client().restored_instance(&row);
    assert!(std::fs::read(restored).unwrap() == std::fs::read(&fixture.database).unwrap());

    Fixture::ask(&fixture.client(), &url).fault(400);
    fixture.client().delete(&format!("backups/{id}")).with_status(202);
    fixture.client().wait_until_gone(id);
    crate::support::wait_until("the archive to be gone", || (!path.exists()).then_some(()));
}

#[test]
fn a_location_that_is_not_below_the_store_is_refused() {
    let fixture = Fixture::new();
    let outside = fixture.full.display().to_string();
    let store = fixture.server.data_dir().join("archives").display().to_string();
    for url in [
        format!("file://{outside}"),
        format!("file://{store}/../../full.tar.zst"),
        format!("file://{store}/project-a/../project-a/full.tar.zst"),
        format!("file://{store}/project-a/%2E%2E/full.tar.zst"),
        format!("file://{store}/project-a/./full.tar.zst"),
        format!("file://{store}-other/full.tar.zst"),
        format!("file://{store}/project-a/full.tar"),
        format!("file://{store}"),
        format!("file://elsewhere{store}/project-a/full.tar.zst"),
        format!("http://{store}/project-a/full.tar.zst"),
        "http://example.org/full.tar.zst".to_owned(),
        store,
        String::new(),
    ] {
        let (_, message) = Fixture::ask(&fixture.client(), &url).fault(400);
        assert!(message.contains("remote_location"), "{url}: {message}");
    }
    assert_eq!(fixture.client().all("backups", "backups"), Vec::<Value>::new());
}

#[test]
fn members_cannot_register_archives_of_another_project() {
    let fixture = Fixture::new();
    let (path, url) = fixture.place("project-a/found.tar.zst");
    copy(&fixture.full, &path);
    Fixture::ask(&fixture.server.client_of("bob"), &url).fault(400);
    let accepted = Fixture::ask(&fixture.server.client_of("alice"), &url).with_status(202).json();
    let id = accepted["backup"]["id"].as_str().unwrap();
    fixture.server.client_of("alice").wait_for(id, &["RESTORED"]);
}

#[rstest]
fn symbolic_links_in_the_store_are_not_followed(#[values(true, false)] is_folder: bool) {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning("registering backup");
    let (folder, _) = fixture.place("project-a");
    std::fs::create_dir_all(&folder).unwrap();
    let location = if is_folder {
        symlink(fixture.folder.path(), folder.join("link")).unwrap();
        "project-a/link/full.tar.zst"
    } else {
        symlink(&fixture.full, folder.join("link.tar.zst")).unwrap();
        "project-a/link.tar.zst"
    };
    let (_, url) = fixture.place(location);
    let row = fixture.register(&url);
    assert_eq!(row["status"], "FAILED", "{row:#}");
    assert!(row["locationRef"].is_null() && row["failure"]["message"].is_string(), "{row:#}");
    assert_delete_keeps(&fixture, &row, &fixture.full);
}

/// Deleting the failed row keeps the file, which was never the server's.
fn assert_delete_keeps(fixture: &Fixture, row: &Value, file: &Path) {
    let id = row["id"].as_str().unwrap();
    fixture.client().delete(&format!("backups/{id}")).with_status(202);
    fixture.client().wait_until_gone(id);
    assert!(file.exists(), "the file is gone");
}

#[rstest]
#[case::a_flipped_bit_in_the_data(|bytes: &mut Vec<u8>| { let at = bytes.len() / 2; bytes[at] ^= 1; })]
#[case::a_flipped_bit_in_the_instructions(|bytes: &mut Vec<u8>| bytes[200] ^= 1)]
#[case::cut_short(|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1000))]
#[case::no_archive(|bytes: &mut Vec<u8>| *bytes = b"nothing of ours".to_vec())]
#[case::empty(|bytes: &mut Vec<u8>| bytes.clear())]
fn a_damaged_archive_is_refused(#[case] damage: fn(&mut Vec<u8>)) {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning("registering backup");
    let (path, url) = fixture.place("project-a/found.tar.zst");
    let mut bytes = std::fs::read(&fixture.full).unwrap();
    damage(&mut bytes);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_file(&path, &bytes);
    let row = fixture.register(&url);
    let outcome = (&row["status"], &row["failure"]["code"]);
    assert_eq!(outcome, (&json!("FAILED"), &json!("archive_damaged")), "{row:#}");
    assert_delete_keeps(&fixture, &row, &path);
}

#[test]
fn later_damage_is_reported_with_the_id_of_the_registration() {
    let fixture = Fixture::new();
    let (path, url) = fixture.place("project-a/found.tar.zst");
    copy(&fixture.full, &path);
    let row = fixture.register(&url);
    let id = row["id"].as_str().unwrap();
    damage(&path);
    let target = fixture.server.folder().join("restored.db");
    let restore = ["restore", id, "--to", target.to_str().unwrap()];
    for arguments in [&["verify", id][..], &restore] {
        let output = fixture.server.run(arguments);
        let stderr = stderr_of(&output);
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains(id), "not named: {stderr}");
    }
    assert!(!target.exists());
    assert_eq!(fixture.client().backup(id)["failure"]["code"], "archive_damaged");
}

#[test]
fn an_incremental_without_its_parent_is_refused() {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning("registering backup");
    let (path, url) = fixture.place("project-a/one.incr.zst");
    copy(&fixture.incremental, &path);
    let row = fixture.register(&url);
    let outcome = (&row["status"], &row["failure"]["code"]);
    assert_eq!(outcome, (&json!("FAILED"), &json!("chain_broken")), "{row:#}");
}

#[test]
fn an_archive_of_another_engine_is_reported_as_a_mismatch_and_not_registered() {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning("registering backup");
    let (path, url) = fixture.place("project-a/found.tar.zst");
    copy(&fixture.full, &path);
    let row = fixture.register_as(&url, "directory");
    assert_eq!(
        (&row["status"], &row["failure"]["code"]),
        (&json!("FAILED"), &json!("archive_mismatch"))
    );
    let message = row["failure"]["message"].as_str().unwrap();
    assert!(message.contains("is of datastore sqlite, not directory"), "{message}");
}

#[test]
fn a_missing_archive_is_refused_at_once() {
    let fixture = Fixture::new();
    let (_, url) = fixture.place("project-a/nowhere.tar.zst");
    let (name, message) = Fixture::ask(&fixture.client(), &url).fault(400);
    assert_eq!(name, "badRequest");
    assert!(message.contains("nowhere.tar.zst") && message.contains("does not exist"), "{message}");
    assert_eq!(fixture.client().all("backups", "backups"), [Value::Null; 0]);
}

#[test]
fn an_archive_that_is_proven_quickly_is_restored_in_the_answer_as_with_trove() {
    let fixture = Fixture::new();
    let (path, url) = fixture.place("project-a/found.tar.zst");
    copy(&fixture.full, &path);
    let backup = Fixture::ask(&fixture.client(), &url).with_status(202).json()["backup"].take();
    assert_eq!((&backup["status"], &backup["locationRef"]), (&json!("RESTORED"), &json!(url)));
    assert!(backup["size"].as_f64().unwrap() > 0.0, "{backup:#}");
}
