//! Backups that fail: each says why, and leaves neither a process nor a file.

use std::process::Command;

use serde_json::json;

use super::fixture::{NAME, coffer_for, tools_key, tools_replacing};
use super::postgres::{Postgres, Setup};
use crate::support::{Disk, TestServer, children_of, stderr_of, wait_until, write_file};

/// A backup fails with this code and these words, and leaves neither a process nor a file.
#[track_caller]
fn assert_fails(coffer: &TestServer, code: &str, words: &[&str]) {
    let failure = coffer.admin().failed(NAME);
    assert_clean(coffer);
    assert_eq!(failure.0, code, "{}", failure.1);
    for word in words {
        assert!(failure.1.contains(word), "no {word:?} in: {}", failure.1);
    }
}

#[track_caller]
fn assert_clean(coffer: &TestServer) {
    // The check at the start may still run.
    let id = coffer.pid().unwrap();
    wait_until("no process to be left", || children_of(id).is_empty().then_some(()));
    coffer.assert_tmp_is_empty();
    assert!(!coffer.data_dir().join("archives/project-a").exists() || archives(coffer).is_empty());
}

fn archives(coffer: &TestServer) -> String {
    let folder = coffer.data_dir().join("archives");
    let found = Command::new("find").arg(folder).args(["-type", "f"]).output().unwrap();
    String::from_utf8(found.stdout).unwrap()
}

/// Coffer whose warnings and errors are caused by the test.
fn failing_coffer(server: &Postgres, more: &str) -> TestServer {
    coffer_for(server, more).allow_warning("").start()
}

#[test]
fn missing_rights_and_a_stopped_server_fail_with_the_command_that_helps() {
    let hba = "local all all trust\nlocal replication postgres trust\n";
    let mut server = Postgres::with(&Setup { hba: hba.to_owned(), ..Setup::default() });
    server.sql("postgres", "CREATE ROLE weak LOGIN; CREATE ROLE shut LOGIN REPLICATION");
    let coffer = failing_coffer(&server, "user = \"weak\"");
    assert_fails(&coffer, "source_denied", &["ALTER ROLE \"weak\" REPLICATION"]);
    let shut = failing_coffer(&server, "user = \"shut\"");
    assert_fails(
        &shut,
        "source_denied",
        &["`local  replication  shut  scram-sha-256`", "pg_hba.conf"],
    );
    let unread = failing_coffer(&server, "user = \"weak\", method = \"logical\"");
    server.sql("postgres", "CREATE TABLE hidden(x int)");
    assert_fails(
        &unread,
        "source_denied",
        &["permission denied for table hidden", "pg_read_all_data"],
    );
    let unknown = failing_coffer(&server, "user = \"nobody-at-all\"");
    assert_fails(&unknown, "source_denied", &["nobody-at-all", "does not exist"]);

    for (coffer, word) in [(&coffer, "REPLICATION"), (&shut, "pg_hba.conf")] {
        let doctor = coffer.run(&["doctor"]);
        let text = String::from_utf8_lossy(&doctor.stdout).into_owned() + &stderr_of(&doctor);
        assert!(!doctor.status.success() && text.contains(word), "{text}");
    }
    server.stop();
    assert_fails(&coffer, "source_missing", &["start the server"]);
}

#[test]
fn a_tool_older_than_its_server_fails_with_the_package_to_install() {
    let server = Postgres::new();
    let old = tools_replacing("pg_basebackup", "echo must not run >&2; exit 9");
    let path = old.path().join("pg_basebackup");
    write_file(&path, "#!/bin/sh\necho 'pg_basebackup (PostgreSQL) 9.6.24'\n");
    let coffer = failing_coffer(&server, &tools_key(old.path()));
    assert_fails(&coffer, "tool", &["pg_basebackup", "apt install postgresql-client-"]);
    let warned = coffer.log().text();
    assert!(
        warned.contains("apt install postgresql-client-"),
        "not logged at the start:\n{warned}"
    );
    std::fs::remove_file(&path).unwrap();
    assert_fails(&coffer, "tool", &["pg_basebackup was not found", "apt install"]);
}

#[test]
fn a_base_backup_that_fails_or_ends_early_makes_no_backup() {
    let server = Postgres::new();
    for (script, words) in [
        (
            "real \"$@\" | head -c 3000000; echo my last words >&2; kill -9 $$",
            &["signal: 9", "my last words"][..],
        ),
        (
            "real \"$@\" 2>/dev/null | head -c 3000000; echo last words >&2; exit 3",
            &["exit status: 3", "last words"],
        ),
        ("real \"$@\" 2>/dev/null | head -c 3000000; exit 0", &["ends within"]),
        // Cut at the end of a member, which no reader of a tar stream could notice.
        ("real \"$@\" 2>/dev/null | head -c 512; exit 0", &["pg_basebackup"]),
        ("exit 0", &["before its manifest"]),
    ] {
        let tools = tools_replacing("pg_basebackup", script);
        assert_fails(&failing_coffer(&server, &tools_key(tools.path())), "tool", words);
    }
    // A byte changes on the way: the server's manifest shows it.
    let tools = tools_replacing(
        "pg_basebackup",
        "set -o pipefail\nreal \"$@\" | { head -c 3000000; head -c 1 >/dev/null; printf X; cat; }",
    );
    assert_fails(
        &failing_coffer(&server, &tools_key(tools.path())),
        "source_damaged",
        &["manifest"],
    );
}

#[test]
fn a_dump_that_fails_or_ends_early_makes_no_backup() {
    let server = Postgres::new();
    for (script, word) in [
        ("real \"$@\" | head -c 100; kill -9 $$", "signal: 9"),
        ("real \"$@\" | head -c 100; exit 0", "pg_restore"),
        ("echo last words >&2; exit 1", "last words"),
    ] {
        let tools = tools_replacing("pg_dump", script);
        let more = format!("method = \"logical\", {}", tools_key(tools.path()));
        assert_fails(&failing_coffer(&server, &more), "tool", &[word]);
    }
}

#[test]
fn a_tablespace_created_during_the_backup_fails_it() {
    let server = Postgres::new();
    let folder = tempfile::tempdir().unwrap();
    let (begun, go) = (folder.path().join("begun"), folder.path().join("go"));
    let tools = tools_replacing(
        "pg_basebackup",
        &format!(
            "set -o pipefail\nreal \"$@\" | {{ head -c 1000000; touch {begun:?}; \
             while [ ! -e {go:?} ]; do sleep 0.05; done; cat; }}"
        ),
    );
    let coffer = failing_coffer(&server, &tools_key(tools.path()));
    let client = coffer.admin();
    let made = client.create_backup(NAME, &json!({})).with_status(202).json();
    wait_until("the backup to be in the middle", || begun.exists().then_some(()));
    let space = server.tablespace_folder("late");
    server.sql("postgres", &format!("CREATE TABLESPACE late LOCATION '{}'", space.display()));
    write_file(&go, "");
    let row = client.wait_for(made["backup"]["id"].as_str().unwrap(), &["COMPLETED", "FAILED"]);
    assert_eq!(row["failure"]["code"], "source_changed", "{row:#}");
    assert_clean(&coffer);
}

#[test]
fn a_temporary_folder_without_enough_space_fails_the_backup() {
    let server = Postgres::new();
    server.sql(
        "postgres",
        "CREATE TABLE big AS SELECT repeat(md5(n::text), 30) AS t FROM generate_series(1, 40000) n",
    );
    let disk = Disk::mounted(24);
    let on_disk = |more: &str| {
        let builder =
            coffer_for(&server, more).allow_warning("").setting("storage.headroom_mib", "1");
        builder.data_dir(&disk.path().join("data")).start()
    };
    // A dump that does not fit into the spool.
    assert_fails(&on_disk("method = \"logical\""), "disk_full", &["make room"]);
    // A server with tablespaces is copied first. Without enough space for that, the copy is not begun.
    let folder = server.tablespace_folder("space");
    server.sql("postgres", &format!("CREATE TABLESPACE space LOCATION '{}'", folder.display()));
    assert_fails(&on_disk(""), "disk_full", &["tablespaces", "make room"]);
}

#[test]
fn a_temporary_folder_that_fills_up_fails_the_backup() {
    let server = Postgres::new();
    let folder = server.tablespace_folder("space");
    server.sql("postgres", &format!("CREATE TABLESPACE space LOCATION '{}'", folder.display()));
    // Another program uses up the space after the start.
    let disk = Disk::mounted(100);
    let filling = disk.path().join("filling");
    let tools = tools_replacing(
        "pg_basebackup",
        &format!("head -c 90000000 /dev/zero > {filling:?}; real \"$@\""),
    );
    let builder = coffer_for(&server, &tools_key(tools.path())).allow_warning("");
    let coffer =
        builder.setting("storage.headroom_mib", "1").data_dir(&disk.path().join("data")).start();
    assert_fails(&coffer, "disk_full", &["No space left on device"]);
}
