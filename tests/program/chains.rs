//! Chains of incrementals: every point restores exactly, deletions and damage affect descendants only, and the
//! catalog can be rebuilt from the archives alone.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Client, PROJECT, TestServer, archive_of, damage, id_of, stderr_of, wait_until, write_file,
};
use coffer::domain::{Clock as _, SystemClock};

struct Fixture {
    server: TestServer,
    database: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        fresh_database(&database, 3000);
        let server = TestServer::builder()
            .instance_sqlite("shop", &database)
            .token("root", PROJECT, &["admin"])
            .start();
        Self { server, database, _folder: folder }
    }

    fn client(&self) -> Client {
        self.server.admin()
    }

    /// Runs a command that asks the server.
    fn client_command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = self.server.command(arguments);
        command.env("COFFER_URL", self.server.base()).env("COFFER_PROJECT", PROJECT);
        command.env("COFFER_TOKEN", self.server.secret("root")).output().unwrap()
    }

    fn restored_bytes(&self, id: &str) -> Result<Vec<u8>, String> {
        let target = self.server.folder().join(format!("{id}.restored"));
        let to = target.to_str().unwrap();
        let output = self.server.run(&["restore", id, "--to", to]);
        if !output.status.success() {
            let code = if stderr_of(&output).contains("missing") { 3 } else { 4 };
            assert_eq!(output.status.code(), Some(code), "damage has its own exit code");
            return Err(stderr_of(&output));
        }
        let bytes = std::fs::read(&target).unwrap();
        std::fs::remove_file(&target).unwrap();
        Ok(bytes)
    }
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

/// Empties the WAL, so that the database file holds everything.
fn settle(connection: &Connection) {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).unwrap();
}

/// Ten kinds of changes to a database.
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
    let fixture = Fixture::new();
    let mut points =
        vec![(fixture.client().full("shop"), std::fs::read(&fixture.database).unwrap())];
    for step in 0..10 {
        change(&fixture.database, step);
        let made = fixture.client().incremental("shop");
        assert_eq!(made["kind"], "incremental");
        assert_eq!(made["parent_id"], points.last().unwrap().0["id"]);
        points.push((made, std::fs::read(&fixture.database).unwrap()));
    }
    for (backup, bytes) in &points {
        let restored = fixture.restored_bytes(id_of(backup)).unwrap();
        assert!(restored == *bytes, "{} is not what the source was", backup["name"]);
        fixture.server.run_ok(&["verify", id_of(backup), "--json"]);
    }
}

#[test]
fn a_deleted_backup_is_gone_at_once_and_comes_back_from_the_trash_with_its_chain() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let full = client.full("shop");
    let first = client.incremental("shop");
    let bytes = fixture.restored_bytes(id_of(&first)).unwrap();
    let path = |row: &Value| format!("backups/{}", id_of(row));
    let undelete = |row: &Value| client.send("POST", &format!("{}/undelete", path(row)), None);
    undelete(&full).fault(404);
    client.delete(&path(&full)).with_status(202);
    for gone in [&full, &first] {
        client.get(&path(gone)).fault(404);
        client.get(&format!("{}/archive", path(gone))).fault(404);
        client.delete(&path(gone)).fault(404);
    }
    assert_eq!(client.all("backups", "backups"), Vec::<Value>::new());
    assert!(fixture.server.log().text().contains("is deleted, and 1 that are built on it"));

    undelete(&first).with_status(202);
    let without_time = |mut row: Value| {
        row["updated"].take();
        row
    };
    for back in [&full, &first] {
        let now = client.backup(id_of(back));
        assert_eq!(without_time(now), without_time(back.clone()));
    }
    assert!(fixture.restored_bytes(id_of(&first)).unwrap() == bytes);
    client.delete(&path(&full)).with_status(202);
    client.wait_until_gone(id_of(&first));
    client.wait_until_gone(id_of(&full));
    let said = wait_until("the command to bring it back", || {
        let output = fixture.server.run(&["undelete", id_of(&full)]);
        output.status.success().then_some(output)
    });
    assert!(String::from_utf8_lossy(&said.stdout).contains(id_of(&first)), "{said:?}");
    assert!(fixture.restored_bytes(id_of(&first)).unwrap() == bytes);
    assert_eq!(client.incremental("shop")["kind"], "incremental");
    let output = fixture.server.run(&["undelete", id_of(&full)]);
    assert_eq!(output.status.code(), Some(3), "it is not deleted");
}

#[test]
fn deleting_a_backup_deletes_its_descendants_and_nothing_else() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let full = client.full("shop");
    let first = client.incremental("shop");
    let second = client.incremental("shop");
    let third = client.incremental("shop");
    let accepted =
        client.create_backup("shop", &json!({"name": "branch", "parent_id": id_of(&first)}));
    let branch = client.completed(&accepted.with_status(202));

    client.delete(&format!("backups/{}", id_of(&second))).with_status(202);
    client.wait_until_gone(id_of(&third));
    client.wait_until_gone(id_of(&second));
    for kept in [&full, &first, &branch] {
        fixture.restored_bytes(id_of(kept)).unwrap();
    }
    for gone in [&second, &third] {
        assert!(!archive_of(gone).exists());
    }
}

/// A chain of a full and three incrementals, with changes between.
fn chain_of_four(fixture: &Fixture) -> Vec<Value> {
    let mut chain = vec![fixture.client().full("shop")];
    for step in [0, 2, 3] {
        change(&fixture.database, step);
        chain.push(fixture.client().incremental("shop"));
    }
    chain
}

fn assert_broken_from(fixture: &Fixture, chain: &[Value], bad: usize) {
    for backup in &chain[..bad] {
        fixture.restored_bytes(id_of(backup)).unwrap();
    }
    for backup in &chain[bad..] {
        let stderr = fixture.restored_bytes(id_of(backup)).unwrap_err();
        assert!(stderr.contains(id_of(&chain[bad])), "does not name the bad one: {stderr}");
    }
    let next = fixture.client().incremental("shop");
    assert_eq!((&next["kind"], &next["parent_id"]), (&json!("full"), &Value::Null));
    fixture.restored_bytes(id_of(&next)).unwrap();
}

#[test]
fn a_missing_archive_makes_only_its_descendants_unrestorable_and_the_next_backup_full() {
    let mut fixture = Fixture::new();
    fixture.server.allow_warning("is not usable");
    let chain = chain_of_four(&fixture);
    std::fs::remove_file(archive_of(&chain[1])).unwrap();
    assert_broken_from(&fixture, &chain, 1);
}

#[test]
fn a_damaged_archive_makes_only_its_descendants_unrestorable_and_the_next_backup_full() {
    let fixture = Fixture::new();
    let chain = chain_of_four(&fixture);
    damage(&archive_of(&chain[1]));
    // An operator or a timer verifies the chain.
    let verified = fixture.server.run(&["verify", id_of(&chain[3])]);
    assert_eq!(verified.status.code(), Some(4));
    let shown = fixture.client().backup(id_of(&chain[1]));
    assert_eq!(shown["failure"]["code"], "archive_damaged", "{shown}");
    assert_broken_from(&fixture, &chain, 1);
}

#[test]
fn verifying_a_repaired_archive_clears_the_damage() {
    let fixture = Fixture::new();
    let full = fixture.client().full("shop");
    let archive = archive_of(&full);
    let sound = std::fs::read(&archive).unwrap();
    damage(&archive);
    for (code, failure) in [(4, json!("archive_damaged")), (0, Value::Null)] {
        let verified = fixture.server.run(&["verify", id_of(&full)]);
        assert_eq!(verified.status.code(), Some(code));
        assert_eq!(fixture.client().backup(id_of(&full))["failure"]["code"], failure);
        std::fs::remove_file(&archive).unwrap();
        write_file(&archive, &sound);
    }
    let next = fixture.client().incremental("shop");
    assert_eq!(next["parent_id"], full["id"]);
}

#[test]
fn a_rebuilt_catalog_gives_the_same_answers_field_by_field() {
    let mut fixture = Fixture::new();
    let client = fixture.client();
    client.full("shop");
    change(&fixture.database, 0);
    let more = json!({
        "name": "Überprüft 1", "description": "with words", "incremental": 1,
        "swift_container": "yearly",
    });
    let second = client.completed(&client.create_backup("shop", &more).with_status(202));
    change(&fixture.database, 2);
    let third = client.incremental("shop");
    // Later proofs are remembered too. Answers show seconds, so this waits for another one.
    wait_until("the next second", || {
        (SystemClock.now().to_wire() != second["verified_at"].as_str().unwrap()).then_some(())
    });
    fixture.server.run_ok(&["verify", id_of(&second)]);
    fixture.server.run_ok(&["drill", id_of(&third)]);
    let before = client.all("backups", "backups");
    let levels: Vec<_> = before.iter().map(|it| &it["verify_level"]).collect();
    assert_eq!(levels, ["restored", "checked", "checked"]);
    assert_ne!(before[1]["verified_at"], second["verified_at"]);
    assert_eq!(before[0]["drill"]["status"], "passed");

    fixture.server.terminate();
    fixture.server.remove_catalog();
    let output = fixture.server.run_ok(&["catalog", "rebuild", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["archives"], &report["imported"]), (&json!(3), &json!(3)));
    fixture.server.restart();

    assert_eq!(fixture.client().all("backups", "backups"), before);
    for backup in &before {
        let mut now = fixture.client().backup(id_of(backup));
        if let Some(drill) = now["drill"].as_object_mut() {
            assert!(drill.remove("rows_by_table").is_some(), "a list does not show these");
        }
        assert_eq!(now, *backup);
        fixture.restored_bytes(id_of(backup)).unwrap();
    }
    change(&fixture.database, 3);
    let next = fixture.client().incremental("shop");
    assert_eq!(next["parent_id"], before[0]["id"], "the chain goes on");
}

#[test]
fn any_point_of_a_chain_can_be_exported_as_a_full_archive() {
    let fixture = Fixture::new();
    let chain = chain_of_four(&fixture);
    let archive = fixture.server.folder().join("point.tar.zst");
    let to = archive.to_str().unwrap();
    fixture.server.run_ok(&["export", id_of(&chain[2]), "--to", to]);
    let target = fixture.server.folder().join("exported.db");
    let to_db = target.to_str().unwrap();
    let arguments = ["restore", "--archive", to, "--to", to_db];
    fixture.server.run_ok(&arguments);
    assert!(std::fs::read(&target).unwrap() == fixture.restored_bytes(id_of(&chain[2])).unwrap());
    let again = fixture.server.run(&["export", id_of(&chain[2]), "--to", to]);
    assert_eq!(again.status.code(), Some(1), "an existing file is not replaced");
}

#[test]
fn a_consolidated_backup_restores_as_the_incremental_one_did_also_without_the_old_chain_and_the_catalog()
 {
    let mut fixture = Fixture::new();
    fixture.client().full("shop");
    change(&fixture.database, 0);
    fixture.client().incremental("shop");
    change(&fixture.database, 3);
    let of = fixture.client().incremental("shop");
    let wanted = std::fs::read(&fixture.database).unwrap();
    let asked = fixture.client_command(&["consolidate", "latest:shop", "--wait", "--json"]);
    let report: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(
        (&report["status"], &report["backup_id"]),
        (&json!("done"), &of["id"]),
        "{report:#}"
    );
    let full = report["full_id"].as_str().unwrap().to_owned();
    let row = fixture.client().backup(&full);
    for same in ["name", "created", "instance_id", "source_bytes", "verify_level", "left_out"] {
        assert_eq!(row[same], of[same], "{same}");
    }
    assert_eq!((&row["kind"], &row["parent_id"]), (&json!("full"), &Value::Null));
    assert!(fixture.restored_bytes(&full).unwrap() == wanted);
    let refused = fixture.client_command(&["consolidate", id_of(&of)]);
    assert!(stderr_of(&refused).contains(&full), "{}", stderr_of(&refused));

    change(&fixture.database, 1);
    let next = fixture.client().incremental("shop");
    assert_eq!(next["parent_id"], full.as_str(), "what follows is built on the full one");
    let later = std::fs::read(&fixture.database).unwrap();
    let root = fixture.client().all("backups", "backups").pop().unwrap();
    fixture.client().delete(&format!("backups/{}", id_of(&root))).with_status(202);
    assert!(fixture.restored_bytes(&full).unwrap() == wanted);
    assert!(fixture.restored_bytes(id_of(&next)).unwrap() == later);
    let archive = archive_of(&row);
    let plain = std::process::Command::new("tar")
        .args(["--zstd", "-xOf"])
        .arg(&archive)
        .arg(".coffer/manifest.json")
        .output()
        .unwrap();
    let manifest: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(manifest["consolidated"]["from"], of["id"]);
    assert_eq!(manifest["consolidated"]["chain"].as_array().unwrap().len(), 3);

    let before = fixture.client().backup(&full);
    fixture.server.allow_warning("rebuilt");
    fixture.server.terminate();
    fixture.server.remove_catalog();
    fixture.server.restart();
    assert_eq!(fixture.client().backup(&full), before);
    assert!(fixture.restored_bytes(id_of(&next)).unwrap() == later);
}
