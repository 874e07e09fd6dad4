//! Copies in further places: made after a backup, shown, restored from with nothing else, and gone with their backup.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;

use crate::servers::proxy::Proxy;
use crate::servers::s3::{KEYS, S3Server};
use crate::support::{
    Builder, PROJECT, TestServer, archive_of, files_below, id_of, stderr_of, wait_until, write_file,
};

fn database(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("shop.db");
    let rows = "CREATE TABLE row(data BLOB); INSERT INTO row VALUES (randomblob(3000));";
    Connection::open(&path).unwrap().execute_batch(rows).unwrap();
    path
}

fn change(database: &Path) {
    let row = "INSERT INTO row VALUES (randomblob(3000))";
    Connection::open(database).unwrap().execute_batch(row).unwrap();
}

fn rows(database: &Path) -> u32 {
    let count = "SELECT count(*) FROM row";
    Connection::open(database).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
}

/// The configuration of a place on a disk.
fn disk(name: &str, path: &Path, more: &str) -> String {
    let path = path.display();
    format!(
        "[[places]]\nname = \"{name}\"\ntype = \"disk\"\npath = \"{path}\"\nsame_disk = true\n{more}"
    )
}

/// The same with a place in a bucket, and the keys to it.
fn with_bucket(builder: Builder, endpoint: &str) -> Builder {
    let place = format!(
        "[[places]]\nname = \"offsite\"\ntype = \"s3\"\nendpoint = \"{endpoint}\"\nbucket = \"backups\"\n\
         prefix = \"shop-1\"\n"
    );
    KEYS.iter().fold(builder.toml(&place), |builder, (name, value)| builder.env(name, value))
}

/// The first copy of a backup, once it has this state.
fn copy_in(server: &TestServer, backup: &Value, state: &str) -> Value {
    let id = id_of(backup);
    wait_until(&format!("the copy of {id} to be {state}"), || {
        let copy = server.admin().backup(id)["copies"][0].take();
        (copy["state"] == state).then_some(copy)
    })
}

/// Restores with nothing but a place: without a configuration, a catalog or a server.
fn restored_from(from: &str, selector: &str, to: &Path, environment: &[(&str, &str)]) -> u32 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
    let empty = to.with_extension("toml");
    write_file(&empty, format!("data_dir = \"{}\"\n", to.with_extension("data").display()));
    command.args(["restore", "--from", from, selector, "--to"]).arg(to).arg("--config").arg(empty);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    rows(to)
}

#[test]
fn backups_are_copied_to_another_disk_shown_and_restored_from_it_alone() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = database(folder.path());
    let server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml("copies = [\"nas\"]")
        .setting("storage.trash_window_s", "0")
        .toml(&disk("nas", place.path(), ""))
        .start();
    let full = server.admin().full("shop");
    change(&path);
    let incremental = server.admin().incremental("shop");
    for backup in [&full, &incremental] {
        let copy = copy_in(&server, backup, "proven");
        assert_eq!((&copy["place"], &copy["proven_by"]), (&"nas".into(), &"read_back".into()));
        assert_eq!(copy["progress"], 1.0);
        let archive = archive_of(backup);
        let below = archive.strip_prefix(server.data_dir()).unwrap();
        assert_eq!(
            std::fs::read(place.path().join(below)).unwrap(),
            std::fs::read(&archive).unwrap()
        );
    }
    let shown = server.run_ok(&["show", id_of(&full)]).stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("nas: proven") && shown.contains("by reading it back"), "{shown}");
    let listed = String::from_utf8(server.run_ok(&["list"]).stdout).unwrap();
    assert!(listed.contains("; 1 copy"), "{listed}");
    let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("place nas") && doctor.contains("writing and fsync work"), "{doctor}");

    let from = place.path().to_str().unwrap();
    let to = |name: &str| folder.path().join(name);
    assert_eq!(restored_from(from, "latest:shop", &to("latest"), &[]), 2);
    assert_eq!(restored_from(from, id_of(&full), &to("full"), &[]), 1);
    let listed = server.run_ok(&["list", "--from", "nas", "--json"]).stdout;
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed["backups"][0]["id"], incremental["id"], "{listed:#}");
    assert_eq!(listed["backups"][1]["instance_name"], "shop");

    // A new machine has everything back from the place.
    let config = folder.path().join("new.toml");
    let data = folder.path().join("new");
    write_file(&config, format!("data_dir = \"{}\"\n", data.display()));
    let mut rebuild = Command::new(env!("CARGO_BIN_EXE_coffer"));
    rebuild.args(["catalog", "rebuild", "--json", "--from", from, "--config"]).arg(&config);
    let ran = rebuild.output().unwrap();
    assert!(ran.status.success(), "{}", stderr_of(&ran));
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&report["fetched"], &report["imported"]), (&2.into(), &2.into()), "{report:#}");

    // Without a time in the trash, the copies go with their backups.
    server.admin().delete(&format!("backups/{}", id_of(&full))).with_status(202);
    wait_until("the copies to be removed", || {
        files_below(&place.path().join("archives")).is_empty().then_some(())
    });
}

#[expect(clippy::disallowed_methods, reason = "a test's own folders")]
fn move_folder(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[test]
fn nothing_is_copied_onto_an_empty_mount_point_and_the_copy_follows_when_the_disk_is_back() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (path, mount) = (database(folder.path()), place.path().join("mount"));
    std::fs::create_dir(&mount).unwrap();
    let mut server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml("copies = [\"nas\"]")
        .toml(&disk("nas", &mount, ""))
        .allow_warning("to nas failed")
        .start();
    let first = server.admin().full("shop");
    copy_in(&server, &first, "proven");
    // The disk is taken away, and its empty mount point is what is left.
    move_folder(&mount, &place.path().join("away"));
    std::fs::create_dir(&mount).unwrap();
    let second = server.admin().full("shop");
    let copy = copy_in(&server, &second, "failed");
    let why = copy["failure"]["message"].as_str().unwrap();
    assert!(why.contains("not the disk that the first copy went to"), "{why}");
    assert_eq!(std::fs::read_dir(&mount).unwrap().count(), 0, "nothing was written there");
    std::fs::remove_dir(&mount).unwrap();
    move_folder(&place.path().join("away"), &mount);
    server.terminate();
    server.restart();
    copy_in(&server, &second, "proven");
}

#[test]
fn a_copy_goes_on_where_it_stopped_after_a_kill() {
    let store = S3Server::start();
    store.make_bucket("backups");
    let proxy = Proxy::before(store.address());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("files");
    std::fs::create_dir(&path).unwrap();
    let mut content = vec![0; 20 << 20];
    getrandom::fill(&mut content).unwrap();
    write_file(&path.join("random"), &content);
    // The second of three parts does not get through.
    proxy.hold(Some("partNumber=2"));
    let builder = TestServer::builder().instance_directory("files", &path);
    let mut server = with_bucket(builder.toml("copies = [\"offsite\"]"), proxy.base()).start();
    let backup = server.admin().full("files");
    let id = id_of(&backup);
    wait_until("the first part to arrive", || {
        let copy = server.admin().backup(id)["copies"][0].take();
        (copy["progress"].as_f64().unwrap() > 0.0).then_some(())
    });
    server.kill();
    proxy.hold(None);
    server.restart();
    copy_in(&server, &backup, "proven");
    assert_eq!(proxy.seen("partNumber=1"), 1, "the first part was sent once");
    assert_eq!(store.unfinished_uploads("backups"), 0);
    let db = Connection::open(server.data_dir().join("catalog.db")).unwrap();
    let runs = "SELECT result FROM runs WHERE kind = 'copy' ORDER BY ended";
    let mut runs = db.prepare(runs).unwrap();
    let runs = runs.query_map([], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(runs.map(Result::unwrap).collect::<Vec<_>>(), ["interrupted", "done"]);
}

#[test]
fn backups_are_copied_to_a_bucket_and_restored_from_nothing_but_it() {
    let store = S3Server::start();
    store.make_bucket("backups");
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let builder = TestServer::builder().instance_sqlite("shop", &path);
    let server = with_bucket(builder.toml("copies = [\"offsite\"]"), store.base()).start();
    let full = server.admin().full("shop");
    change(&path);
    let incremental = server.admin().incremental("shop");
    for backup in [&full, &incremental] {
        copy_in(&server, backup, "proven");
    }
    let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("holds 2 archives; listing, writing, reading"), "{doctor}");
    assert!(!server.log().text().contains("X-Amz-Signature"), "a signed URL is a secret");
    let environment = [KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", store.base())];
    let to = folder.path().join("restored");
    assert_eq!(restored_from("s3://backups/shop-1", "latest:shop", &to, &environment), 2);
    assert_eq!(PROJECT, full["project_id"]);
}
