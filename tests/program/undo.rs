//! Restores in place, their undo, and what the doctor says of both.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::{TestServer, id_of, names_in, stderr_of, write_file};

fn make_database(path: &Path) {
    let sql =
        "PRAGMA journal_mode = wal; CREATE TABLE row(word TEXT); INSERT INTO row VALUES ('first')";
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn word(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT word FROM row", [], |row| row.get(0)).unwrap()
}

fn report(server: &TestServer, arguments: &[&str]) -> Value {
    serde_json::from_slice(&server.run_ok(arguments).stdout).unwrap()
}

#[test]
fn a_database_is_restored_in_place_unless_it_is_open_and_that_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    make_database(&path);
    let server = TestServer::builder().instance_sqlite("shop", &path).start();
    let made = server.admin().full("shop");
    Connection::open(&path).unwrap().execute("UPDATE row SET word = 'second'", []).unwrap();

    let restore = ["restore", id_of(&made), "--in-place", "--json"];
    let held = File::open(&path).unwrap();
    let mut other =
        Command::new("sleep").arg("600").stdin(held).stdout(Stdio::null()).spawn().unwrap();
    let refused = server.run(&restore);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let why = stderr_of(&refused);
    assert!(why.contains(&format!("process {}", other.id())), "{why}");
    assert_eq!((word(&path), names_in(folder.path())), ("second".into(), vec!["shop.db".into()]));

    let done = report(&server, &restore);
    assert_eq!(done["target"], path.to_str().unwrap());
    assert_eq!(word(&path), "first");
    let id = done["undo_point"]["id"].as_str().unwrap().to_owned();
    let listed = report(&server, &["restore", "list", "--json"]);
    assert_eq!(listed["undo_points"][0]["id"], id.as_str());
    assert!(listed["undo_points"][0]["bytes"].as_u64().unwrap() > 0);
    let doctor = server.run_ok(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("undo points") && told.contains(&id), "{told}");
    let next = server.admin().incremental("shop");
    assert_eq!(next["parent_id"], made["id"]);

    let undone = report(&server, &["restore", "undo", &id, "--json"]);
    assert_eq!((word(&path).as_str(), &undone["holds"]), ("second", &"restored".into()));
    server.run_ok(&["restore", "forget", path.to_str().unwrap()]);
    assert_eq!(names_in(folder.path()), ["shop.db"]);
    let gone = server.run(&["restore", "undo", path.to_str().unwrap()]);
    assert_eq!(gone.status.code(), Some(3), "{}", stderr_of(&gone));
}

#[test]
fn a_folder_is_restored_in_place_of_the_one_that_is_named_and_of_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    write_file(&tree.join("kept"), b"first");
    let server = TestServer::builder().instance_directory("files", &tree).start();
    let made = server.admin().full("files");
    let restore = |to: &Path| {
        let to = to.to_str().unwrap();
        server.run(&["restore", id_of(&made), "--in-place", "--to", to])
    };
    let other = folder.path().join("other");
    assert_eq!(restore(&other).status.code(), Some(3), "there is nothing to replace");
    write_file(&other, b"a file");
    let refused = restore(&other);
    assert!(stderr_of(&refused).contains("no folder"), "{}", stderr_of(&refused));
    std::fs::remove_file(&other).unwrap();
    std::fs::create_dir(&other).unwrap();
    write_file(&other.join("mine"), b"of mine");
    assert!(restore(&other).status.success());
    assert_eq!(names_in(&other), ["kept"]);
    server.run_ok(&["restore", "undo", other.to_str().unwrap()]);
    assert_eq!(names_in(&other), ["mine"]);
}
