//! Chains of incrementals: every point restores exactly, deleting and damage reach as far as they must and
//! no further, and the catalog can be rebuilt from the archives alone.

#![cfg(test)]

mod support;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use support::{Client, TestServer, write_file};

struct House {
    server: TestServer,
    database: PathBuf,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        fresh_database(&database, 3000);
        let server = TestServer::builder().instance_sqlite("shop", &database).start();
        Self { server, database, _folder: folder }
    }

    fn client(&self) -> Client {
        self.server.by_admin()
    }

    fn restored_bytes(&self, id: &str) -> Result<Vec<u8>, String> {
        let target = self.server.folder().join(format!("{id}.restored"));
        let to = target.to_str().unwrap();
        let output = self.server.command(&["restore", id, "--to", to]).output().unwrap();
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(4), "damage has its own exit code");
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let bytes = std::fs::read(&target).unwrap();
        std::fs::remove_file(&target).unwrap();
        Ok(bytes)
    }
}

fn archive_of(backup: &Value) -> PathBuf {
    PathBuf::from(backup["locationRef"].as_str().unwrap().strip_prefix("file://").unwrap())
}

fn id(backup: &Value) -> &str {
    backup["id"].as_str().unwrap()
}

fn fresh_database(path: &Path, rows: u32) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = wal;
             CREATE TABLE row(id INTEGER PRIMARY KEY, word TEXT, data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO row SELECT i, 'row ' || i, randomblob(700) FROM n;"
        ))
        .unwrap();
    settle(&connection);
}

/// Empties the WAL, so that the database file alone is the whole content.
fn settle(connection: &Connection) {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).unwrap();
}

/// Ten ways in which a database comes to differ from what it was.
fn change(path: &Path, step: usize) {
    if step == 7 {
        for name in ["", "-wal", "-shm"] {
            std::fs::remove_file(format!("{}{name}", path.display())).unwrap_or_default();
        }
        return fresh_database(path, 2000);
    }
    let connection = Connection::open(path).unwrap();
    let sql = match step {
        0 => "UPDATE row SET word = 'changed all over' WHERE id % 40 = 0",
        1 => "SELECT 1",
        2 => "INSERT INTO row SELECT id + 100000, word, randomblob(900) FROM row",
        3 => "DELETE FROM row WHERE id BETWEEN 500 AND 1500",
        4 => "VACUUM",
        5 => "CREATE INDEX row_word ON row(word)",
        6 => "DELETE FROM row WHERE id > 800; VACUUM",
        8 => "UPDATE row SET data = zeroblob(700)",
        _ => "DROP TABLE row; VACUUM",
    };
    connection.execute_batch(sql).unwrap();
    settle(&connection);
}

#[test]
fn every_point_of_a_chain_of_ten_incrementals_restores_exactly() {
    let house = House::new();
    let mut points = vec![(house.client().full("shop"), std::fs::read(&house.database).unwrap())];
    for step in 0..10 {
        change(&house.database, step);
        let made = house.client().incremental("shop");
        assert_eq!(made["kind"], "incremental");
        assert_eq!(made["parent_id"], points.last().unwrap().0["id"]);
        points.push((made, std::fs::read(&house.database).unwrap()));
    }
    for (backup, bytes) in &points {
        let restored = house.restored_bytes(id(backup)).unwrap();
        assert!(restored == *bytes, "{} is not what the source was", backup["name"]);
        let verified = house.server.command(&["verify", id(backup), "--json"]).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
}

#[test]
fn deleting_the_middle_takes_what_is_built_on_it_and_nothing_else() {
    let house = House::new();
    let client = house.client();
    let full = client.full("shop");
    let first = client.incremental("shop");
    let second = client.incremental("shop");
    let third = client.incremental("shop");
    let accepted =
        client.create_backup("shop", &json!({"name": "branch", "parent_id": id(&first)}));
    let branch = client.completed(&accepted.expect(202));

    client.delete(&format!("backups/{}", id(&second))).expect(202);
    client.wait_until_gone(id(&third));
    client.wait_until_gone(id(&second));
    for kept in [&full, &first, &branch] {
        house.restored_bytes(id(kept)).unwrap();
    }
    for gone in [&second, &third] {
        assert!(!archive_of(gone).exists());
    }
}

/// A chain of a full and three incrementals, with changes between.
fn chain_of_four(house: &House) -> Vec<Value> {
    let mut chain = vec![house.client().full("shop")];
    for step in [0, 2, 3] {
        change(&house.database, step);
        chain.push(house.client().incremental("shop"));
    }
    chain
}

fn assert_broken_from(house: &House, chain: &[Value], bad: usize) {
    for backup in &chain[..bad] {
        house.restored_bytes(id(backup)).unwrap();
    }
    for backup in &chain[bad..] {
        let said = house.restored_bytes(id(backup)).unwrap_err();
        assert!(said.contains(id(&chain[bad])), "does not name the bad one: {said}");
    }
    let next = house.client().incremental("shop");
    assert_eq!((&next["kind"], &next["parent_id"]), (&json!("full"), &Value::Null));
    house.restored_bytes(id(&next)).unwrap();
}

#[test]
fn a_missing_archive_makes_exactly_its_descendants_unrestorable_and_the_next_one_a_full() {
    let mut house = House::new();
    house.server.allow_warning("is not usable");
    let chain = chain_of_four(&house);
    std::fs::remove_file(archive_of(&chain[1])).unwrap();
    assert_broken_from(&house, &chain, 1);
}

#[test]
fn a_damaged_archive_makes_exactly_its_descendants_unrestorable_and_the_next_one_a_full() {
    let house = House::new();
    let chain = chain_of_four(&house);
    let archive = archive_of(&chain[1]);
    let mut bytes = std::fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::remove_file(&archive).unwrap();
    write_file(&archive, &bytes);
    // The damage is found by looking, as a timer or an operator would.
    let verified = house.server.command(&["verify", id(&chain[3])]).output().unwrap();
    assert_eq!(verified.status.code(), Some(4));
    let shown = house.client().backup(id(&chain[1]));
    assert_eq!(shown["failure"]["code"], "archive_damaged", "{shown}");
    assert_broken_from(&house, &chain, 1);
}

#[test]
fn verifying_a_repaired_archive_takes_the_damage_back() {
    let house = House::new();
    let full = house.client().full("shop");
    let archive = archive_of(&full);
    let sound = std::fs::read(&archive).unwrap();
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for (bytes, code, failure) in
        [(&damaged, 4, json!("archive_damaged")), (&sound, 0, Value::Null)]
    {
        std::fs::remove_file(&archive).unwrap();
        write_file(&archive, bytes);
        let verified = house.server.command(&["verify", id(&full)]).output().unwrap();
        assert_eq!(verified.status.code(), Some(code));
        assert_eq!(house.client().backup(id(&full))["failure"]["code"], failure);
    }
    let next = house.client().incremental("shop");
    assert_eq!(next["parent_id"], full["id"]);
}

#[test]
fn a_rebuilt_catalog_gives_the_same_answers_field_by_field() {
    let mut house = House::new();
    let client = house.client();
    client.full("shop");
    change(&house.database, 0);
    let more = json!({
        "name": "Überprüft 1", "description": "with words", "incremental": 1,
        "swift_container": "yearly",
    });
    client.completed(&client.create_backup("shop", &more).expect(202));
    change(&house.database, 2);
    client.incremental("shop");
    let before = client.all("backups", "backups");

    house.server.terminate();
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        std::fs::remove_file(house.server.data_dir().join(name)).unwrap_or_default();
    }
    let output = house.server.command(&["catalog", "rebuild", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["archives"], &report["imported"]), (&json!(3), &json!(3)));
    house.server.restart();

    assert_eq!(house.client().all("backups", "backups"), before);
    for backup in &before {
        assert_eq!(house.client().backup(id(backup)), *backup);
        house.restored_bytes(id(backup)).unwrap();
    }
    change(&house.database, 3);
    let next = house.client().incremental("shop");
    assert_eq!(next["parent_id"], before[0]["id"], "the chain goes on");
}

#[test]
fn any_point_is_exported_as_a_plain_full_archive() {
    let house = House::new();
    let chain = chain_of_four(&house);
    let archive = house.server.folder().join("point.tar.zst");
    let to = archive.to_str().unwrap();
    let output = house.server.command(&["export", id(&chain[2]), "--to", to]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = house.server.folder().join("exported.db");
    let to_db = target.to_str().unwrap();
    let arguments = ["restore", "--archive", to, "--to", to_db];
    let output = house.server.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read(&target).unwrap() == house.restored_bytes(id(&chain[2])).unwrap());
    let again = house.server.command(&["export", id(&chain[2]), "--to", to]).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "an existing file is not replaced");
}
