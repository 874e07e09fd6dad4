//! Archives of another server, copied into the store by hand: registered with `restore_from` they are
//! proven and then as good as any other; what is no archive of this store is refused.

#![cfg(test)]

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};

use support::{Answer, Client, PROJECT, TestServer, write_file};

/// A server, and archives that another one made: a full backup and an incremental on it.
struct House {
    server: TestServer,
    database: PathBuf,
    full: PathBuf,
    incremental: PathBuf,
    folder: tempfile::TempDir,
}

fn change(database: &Path, sql: &str) {
    Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

fn archive_of(backup: &Value) -> PathBuf {
    PathBuf::from(backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    write_file(to, std::fs::read(from).unwrap());
}

impl House {
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
        copy(&archive_of(&other.by_admin().full("shop")), &full);
        let wanted = folder.path().join("wanted.db");
        copy(&database, &wanted);
        change(&database, "UPDATE row SET data = randomblob(5000) WHERE rowid % 9 = 0");
        let incremental = folder.path().join("one.incr.zst");
        copy(&archive_of(&other.by_admin().incremental("shop")), &incremental);
        let server = TestServer::builder()
            .instance_sqlite("elsewhere", &database)
            .token("alice", PROJECT, &["member"])
            .token("bob", "project-b", &["member"])
            .start();
        Self { server, database: wanted, full, incremental, folder }
    }

    fn client(&self) -> Client {
        self.server.by_admin()
    }

    /// A place in the store, and its URL.
    fn place(&self, location: &str) -> (PathBuf, String) {
        let path = self.server.data_dir().join("archives").join(location);
        let url = format!("file://{}", path.display());
        (path, url)
    }

    fn ask(client: &Client, url: &str) -> Answer {
        let datastore = client.get("datastores/sqlite").expect(200).json();
        client.post(
            "backups",
            &json!({"backup": {"name": "found", "restore_from": {
                "remote_location": url,
                "local_datastore_version_id": datastore["datastore"]["default_version"],
                "size": 0.1,
            }}}),
        )
    }

    /// Registers what lies at this URL; the row once its fate is known.
    fn register(&self, url: &str) -> Value {
        let accepted = Self::ask(&self.client(), url).expect(202).json();
        let id = accepted["backup"]["id"].as_str().unwrap();
        self.client().wait_for(id, &["RESTORED", "COMPLETED", "FAILED"])
    }

    fn assert_restores(&self, id: &str) {
        let target = self.server.folder().join("restored.db");
        let arguments = ["restore", id, "--to", target.to_str().unwrap()];
        let output = self.server.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(std::fs::read(&target).unwrap() == std::fs::read(&self.database).unwrap());
        std::fs::remove_file(&target).unwrap();
    }
}

#[rstest]
fn a_copied_archive_is_proven_registered_listed_restored_and_deleted(
    #[values("project-a/found.tar.zst", "project-a/from-before/x/y.tar.zst")] location: &str,
) {
    let mut house = House::new();
    let (path, url) = house.place(location);
    copy(&house.full, &path);
    let row = house.register(&url);
    let id = row["id"].as_str().unwrap();
    let told = (&row["status"], &row["locationRef"], &row["kind"]);
    assert_eq!(told, (&json!("RESTORED"), &json!(url), &json!("full")), "{row:#}");
    let length = std::fs::metadata(&path).unwrap().len();
    assert_eq!(row["size_bytes"], length);
    assert!(row["verified_at"].is_string() && row["checksum"].is_string(), "{row:#}");

    house.assert_restores(id);
    house.server.restart();
    assert_eq!(house.client().all("backups", "backups"), [house.client().backup(id)]);
    house.assert_restores(id);
    let verified = house.server.command(&["verify", id]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    restores_into_an_instance(&house, id);

    House::ask(&house.client(), &url).fault(400);
    house.client().delete(&format!("backups/{id}")).expect(202);
    house.client().wait_until_gone(id);
    assert!(!path.exists());
}

fn restores_into_an_instance(house: &House, id: &str) {
    let body = json!({"instance": {
        "name": "again", "flavorRef": "1", "restorePoint": {"backupRef": id},
        "datastore": {"type": "sqlite"},
    }});
    let made = house.client().post("instances", &body).expect(200).json();
    let instance = made["instance"]["id"].as_str().unwrap();
    let row = house.client().wait_for_instance(instance, &["ACTIVE", "ERROR", "FAILED"]);
    assert_eq!(row["status"], "ACTIVE", "{row:#}");
    let restored = row["restored_to"].as_str().unwrap();
    assert!(std::fs::read(restored).unwrap() == std::fs::read(&house.database).unwrap());
}

#[test]
fn a_location_that_is_not_below_the_store_is_refused() {
    let house = House::new();
    let outside = house.full.display().to_string();
    let store = house.server.data_dir().join("archives").display().to_string();
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
        let (_, message) = House::ask(&house.client(), &url).fault(400);
        assert!(message.contains("remote_location"), "{url}: {message}");
    }
    assert_eq!(house.client().all("backups", "backups"), Vec::<Value>::new());
}

#[test]
fn another_projects_folder_is_closed_to_members() {
    let house = House::new();
    let (path, url) = house.place("project-a/found.tar.zst");
    copy(&house.full, &path);
    House::ask(&house.server.by("bob"), &url).fault(400);
    let accepted = House::ask(&house.server.by("alice"), &url).expect(202).json();
    let id = accepted["backup"]["id"].as_str().unwrap();
    house.server.by("alice").wait_for(id, &["RESTORED"]);
}

/// A link in the store is followed by nobody: what it points to may be anything on this machine.
#[rstest]
fn a_link_in_the_store_leads_nowhere(#[values(true, false)] is_folder: bool) {
    let mut house = House::new();
    house.server.allow_warning("registering backup");
    let (folder, _) = house.place("project-a");
    std::fs::create_dir_all(&folder).unwrap();
    let location = if is_folder {
        symlink(house.folder.path(), folder.join("link")).unwrap();
        "project-a/link/full.tar.zst"
    } else {
        symlink(&house.full, folder.join("link.tar.zst")).unwrap();
        "project-a/link.tar.zst"
    };
    let (_, url) = house.place(location);
    let row = house.register(&url);
    assert_eq!(row["status"], "FAILED", "{row:#}");
    assert!(row["locationRef"].is_null() && row["failure"]["message"].is_string(), "{row:#}");
    delete_leaves(&house, &row, &house.full);
}

/// The failed row goes; what it named was never the server's to remove.
fn delete_leaves(house: &House, row: &Value, file: &Path) {
    let id = row["id"].as_str().unwrap();
    house.client().delete(&format!("backups/{id}")).expect(202);
    house.client().wait_until_gone(id);
    assert!(file.exists(), "the file is gone");
}

#[rstest]
#[case::a_flipped_bit_in_the_data(|bytes: &mut Vec<u8>| { let at = bytes.len() / 2; bytes[at] ^= 1; })]
#[case::a_flipped_bit_in_the_instructions(|bytes: &mut Vec<u8>| bytes[200] ^= 1)]
#[case::cut_short(|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1000))]
#[case::no_archive(|bytes: &mut Vec<u8>| *bytes = b"nothing of ours".to_vec())]
#[case::empty(|bytes: &mut Vec<u8>| bytes.clear())]
fn a_damaged_archive_is_told_and_not_taken(#[case] damage: fn(&mut Vec<u8>)) {
    let mut house = House::new();
    house.server.allow_warning("registering backup");
    let (path, url) = house.place("project-a/found.tar.zst");
    let mut bytes = std::fs::read(&house.full).unwrap();
    damage(&mut bytes);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_file(&path, &bytes);
    let row = house.register(&url);
    let told = (&row["status"], &row["failure"]["code"]);
    assert_eq!(told, (&json!("FAILED"), &json!("archive_damaged")), "{row:#}");
    delete_leaves(&house, &row, &path);
}

#[test]
fn damage_that_comes_later_is_told_under_the_rows_own_id() {
    let house = House::new();
    let (path, url) = house.place("project-a/found.tar.zst");
    copy(&house.full, &path);
    let row = house.register(&url);
    let id = row["id"].as_str().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    write_file(&path, &bytes);
    let target = house.server.folder().join("restored.db");
    let restore = ["restore", id, "--to", target.to_str().unwrap()];
    for arguments in [&["verify", id][..], &restore] {
        let output = house.server.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(id), "not named: {said}");
    }
    assert!(!target.exists());
    assert_eq!(house.client().backup(id)["failure"]["code"], "archive_damaged");
}

#[test]
fn an_incremental_without_what_it_is_built_on_is_told_and_not_taken() {
    let mut house = House::new();
    house.server.allow_warning("registering backup");
    let (path, url) = house.place("project-a/one.incr.zst");
    copy(&house.incremental, &path);
    let row = house.register(&url);
    let told = (&row["status"], &row["failure"]["code"]);
    assert_eq!(told, (&json!("FAILED"), &json!("chain_broken")), "{row:#}");
}

#[test]
fn what_is_not_there_is_told() {
    let mut house = House::new();
    house.server.allow_warning("registering backup");
    let (_, url) = house.place("project-a/nowhere.tar.zst");
    let row = house.register(&url);
    assert_eq!(row["status"], "FAILED", "{row:#}");
    let message = row["failure"]["message"].as_str().unwrap();
    assert!(message.contains("nowhere.tar.zst is not there"), "{message}");
}
