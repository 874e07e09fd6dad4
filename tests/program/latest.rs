//! `latest:INSTANCE`, and what is had of archives in another place.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{TestServer, files_below, id_of, stderr_of, wait_until};

/// A server with a place that these are copied to, and three full backups of a table that grows by a row each.
fn three(copies: &str) -> (TempDir, TempDir, TestServer, Vec<Value>) {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("shop.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE row(data TEXT)").unwrap();
    let shown = place.path().display();
    let server = TestServer::builder()
        .instance_sqlite("shop", &path)
        .toml(&format!("copies = [{copies}]"))
        .toml(&format!(
            "[[places]]\nname = \"nas\"\ntype = \"disk\"\npath = \"{shown}\"\nsame_disk = true"
        ))
        .start();
    let backups = (0..3).map(|_| {
        db.execute_batch("INSERT INTO row VALUES (hex(randomblob(2000)))").unwrap();
        server.admin().full("shop")
    });
    let backups: Vec<_> = backups.collect();
    (folder, place, server, backups)
}

fn archive(folder: &Path, backup: &Value) -> PathBuf {
    let all = files_below(&folder.join("archives"));
    let is_it = |it: &PathBuf| {
        let name = it.file_name().unwrap().to_str().unwrap();
        name.starts_with(id_of(backup)) && name.ends_with(".tar.zst")
    };
    all.into_iter().find(is_it).unwrap()
}

fn cut(file: &Path) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() - 100).unwrap();
}

fn rows(database: &Path) -> u32 {
    let count = "SELECT count(*) FROM row";
    Connection::open(database).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn the_latest_is_the_newest_that_can_be_restored_and_newer_ones_are_named() {
    let (folder, _place, server, backups) = three("");
    let [one, two, three] = backups.as_slice() else { panic!("{backups:?}") };
    let restore = |server: &TestServer, name: &str| {
        let to = folder.path().join(name);
        let ran = server.run(&["restore", "latest:shop", "--to", to.to_str().unwrap()]);
        assert!(ran.status.success(), "{}", stderr_of(&ran));
        (rows(&to), stderr_of(&ran))
    };
    // Nothing knows of the damage yet.
    cut(&archive(server.data_dir(), three));
    let (restored, said) = restore(&server, "second");
    assert_eq!(restored, 2);
    let passed = |it: &Value| format!("backup {} is newer and is passed over", id_of(it));
    assert!(said.contains(&passed(three)), "{said}");
    // A verification is of the newest itself, and records what it finds.
    assert_eq!(server.run(&["verify", "latest:shop"]).status.code(), Some(4));
    cut(&archive(server.data_dir(), two));
    assert_eq!(server.run(&["verify", id_of(two)]).status.code(), Some(4));
    let (restored, said) = restore(&server, "first");
    assert_eq!(restored, 1);
    assert!(said.contains(&passed(two)) && said.contains(&passed(three)), "{said}");
    assert!(!said.contains(&passed(one)), "{said}");
}

#[test]
fn what_is_left_of_a_full_backup_in_a_place_is_salvaged_from_there() {
    let (folder, place, server, backups) = three("\"nas\"");
    let newest = backups.last().unwrap();
    wait_until("the copy", || {
        let copy = server.admin().backup(id_of(newest))["copies"][0].take();
        (copy["state"] == "proven").then_some(())
    });
    let drill = server.admin().post(&format!("backups/{}/drill", id_of(newest)), &Value::Null);
    let drill = drill.with_status(202).json()["backup"].take();
    assert_eq!(drill["copies"][0]["place"], "nas", "{drill:#}");
    cut(&archive(place.path(), newest));
    let to = folder.path().join("salvaged");
    let restore = ["restore", "--from", "nas", id_of(newest), "--to", to.to_str().unwrap()];
    let refused = server.run(&restore);
    assert_eq!(refused.status.code(), Some(4), "{}", stderr_of(&refused));
    assert!(stderr_of(&refused).contains("--salvage"), "{}", stderr_of(&refused));
    let salvaged = server.run(&[restore.as_slice(), &["--salvage"]].concat());
    assert_eq!(salvaged.status.code(), Some(6), "{}", stderr_of(&salvaged));
    assert_eq!(rows(&to.join("shop.db")), 3);
}
