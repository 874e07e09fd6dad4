//! What commands say and do where something is not as it should be: each names the next step, or takes it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use crate::support::{TestServer, archive_of, id_of, stderr_of, write_file};

/// A server with a full backup and an incremental one.
struct Fixture {
    server: TestServer,
    full: Value,
    incremental: Value,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let sql = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        sql("CREATE TABLE row(data BLOB); INSERT INTO row VALUES (randomblob(90000))");
        let server = TestServer::builder().instance_sqlite("shop", &path).start();
        let full = server.admin().full("shop");
        sql("INSERT INTO row VALUES (1)");
        let incremental = server.admin().incremental("shop");
        Self { server, full, incremental, _folder: folder }
    }

    fn tmp(&self) -> PathBuf {
        self.server.data_dir().join("tmp")
    }
}

#[track_caller]
fn error(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", stderr_of(output));
    stderr_of(output)
}

#[test]
fn an_undelete_waits_for_the_delete_before_it() {
    let fixture = Fixture::new();
    let id = id_of(&fixture.full);
    fixture.server.admin().delete(&format!("backups/{id}")).with_status(202);
    fixture.server.run_ok(&["undelete", id]);
    assert_eq!(fixture.server.admin().backup(id)["status"], "COMPLETED");
}

#[test]
fn a_drill_that_is_inconclusive_is_recorded_in_the_backup() {
    let fixture = Fixture::new();
    let id = id_of(&fixture.full);
    let mut drill = fixture.server.command(&["drill", id]);
    drill.env("COFFER__STORAGE__HEADROOM_MIB", "1073741824");
    let said = error(&drill.output().unwrap(), 1);
    assert!(said.contains("inconclusive"), "{said}");
    let row = fixture.server.admin().backup(id);
    assert_eq!((&row["drill"]["status"], &row["failure"]), (&"inconclusive".into(), &Value::Null));
}

#[test]
fn a_drill_removes_the_copies_of_drills_that_were_killed_and_no_others() {
    let fixture = Fixture::new();
    let folder = |name: &str| {
        let folder = fixture.tmp().join(name);
        std::fs::create_dir_all(folder.join("data")).unwrap();
        write_file(&folder.join("data/shop.db"), "a copy");
        folder
    };
    let (killed, running, foreign) = (folder("drill-a"), folder("drill-b"), folder("drill-c"));
    write_file(&killed.join("coffer.lock"), "");
    write_file(&running.join("coffer.lock"), "");
    let lock = File::open(running.join("coffer.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    fixture.server.run_ok(&["drill", id_of(&fixture.full)]);
    assert!(!killed.exists());
    for kept in [running, foreign] {
        assert!(kept.exists());
        std::fs::remove_dir_all(kept).unwrap();
    }
}

#[test]
fn a_lost_catalog_is_told_from_one_that_never_was() {
    let mut fixture = Fixture::new();
    fixture.server.terminate();
    fixture.server.remove_catalog();
    let said = error(&fixture.server.run(&["list"]), 1);
    assert!(said.contains("2 archives") && said.contains("coffer catalog rebuild"), "{said}");
}

#[test]
fn records_of_proofs_are_passed_over_among_archives() {
    let fixture = Fixture::new();
    let (full, incremental) = (archive_of(&fixture.full), archive_of(&fixture.incremental));
    fixture.server.run_ok(&["verify", id_of(&fixture.full)]);
    let proof = PathBuf::from(format!("{}.proof", full.display()));
    assert!(proof.exists());
    let files = [&full, &proof, &incremental].map(|it| it.to_str().unwrap());
    fixture.server.run_ok(&[&["verify", "--archive"], &files[..]].concat());
}

#[test]
fn of_a_file_that_something_was_appended_to_the_archive_in_it_is_used_and_the_advice_cuts_it() {
    let fixture = Fixture::new();
    let archive = archive_of(&fixture.full);
    std::fs::set_permissions(&archive, std::fs::Permissions::from_mode(0o640)).unwrap();
    OpenOptions::new().append(true).open(&archive).unwrap().write_all(b"12345").unwrap();
    let target = fixture.server.folder().join("restored");
    let to = ["--to", target.to_str().unwrap()];
    let by_id = vec![id_of(&fixture.full)];
    let from_file = vec!["--archive", archive.to_str().unwrap()];
    for which in [by_id, from_file] {
        for command in
            [[&["restore"], &which[..], &to].concat(), [&["verify"], &which[..]].concat()]
        {
            let said = error(&fixture.server.run(&command), 0);
            assert!(said.contains("warning: 5 bytes were appended"), "{said}");
        }
        std::fs::remove_file(&target).unwrap();
    }
    let said = error(&fixture.server.run(&["verify", id_of(&fixture.full)]), 0);
    let (_, advice) = said.trim().split_once("remove them with ").unwrap();
    let advice = advice.replace("FILE", archive.to_str().unwrap());
    assert!(Command::new("sh").args(["-c", &advice]).status().unwrap().success());
    assert_eq!(error(&fixture.server.run(&["verify", id_of(&fixture.full)]), 0), "");
}

#[test]
fn an_export_says_that_it_never_replaces_a_file() {
    let fixture = Fixture::new();
    let to = fixture.server.folder().join("taken.tar.zst");
    write_file(Path::new(&to), "precious");
    let export = ["export", id_of(&fixture.full), "--to", to.to_str().unwrap()];
    let said = error(&fixture.server.run(&export), 1);
    assert!(said.contains("never replaces anything"), "{said}");
}

#[test]
fn a_refused_token_is_named_by_where_it_came_from() {
    let fixture = Fixture::new();
    let mut list = fixture.server.command(&["list"]);
    list.env("COFFER_URL", fixture.server.base()).env("COFFER_TOKEN", "wrong");
    let said = error(&list.output().unwrap(), 1);
    assert!(said.contains("that of COFFER_TOKEN"), "{said}");
}

#[test]
fn a_restore_of_nothing_names_both_ways_to_say_what() {
    let fixture = Fixture::new();
    let said = error(&fixture.server.run(&["restore", "--to", "/nowhere"]), 2);
    assert!(said.contains("BACKUP") && said.contains("--archive"), "{said}");
}
