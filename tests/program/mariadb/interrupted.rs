//! Backups that are interrupted: by the tool's end, the server's, Coffer's own, or a full disk.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fixture::source;
use super::server::MariaDb;
use crate::support::{Client, Disk, TestServer, id_of, names_in, processes_with, wait_until};

/// Slows the copy down, so that it can be interrupted.
const SLOWLY: &str = ", extra_args = [\"--throttle=1\"]";

/// A server with enough data.
fn database() -> MariaDb {
    let database = MariaDb::start();
    database.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE shop.a(id INT PRIMARY KEY, data VARBINARY(1000));
         INSERT INTO shop.a SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_30000",
    );
    database
}

fn slow(database: &MariaDb) -> TestServer {
    TestServer::builder()
        .setting("server.shutdown_grace_s", "0")
        .instance_of("shop", "mariadb", &source(database, SLOWLY), "quick")
        .start()
}

/// Begins a backup and waits until its copy is being made; the tool's process.
fn begun(server: &TestServer, client: &Client) -> (String, u32) {
    let made = client.create_backup("shop", &json!({})).with_status(202).json();
    let id = id_of(&made["backup"]).to_owned();
    let place = format!("--target-dir={}", server.data_dir().display());
    let tool = wait_until("the tool to copy", || {
        let found = processes_with(&["mariadb-backup", "--backup", &place]);
        let begun =
            names_in(&server.data_dir().join("tmp")).iter().any(|it| it.contains("mariadb-"));
        found.first().copied().filter(|_| begun)
    });
    (id, tool)
}

fn kill(process: u32, signal: Signal) {
    let id = Pid::from_raw(process.try_into().unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

/// Why a backup failed. Nothing of it is left: no process, no file.
#[track_caller]
fn failure(server: &TestServer, client: &Client, id: &str) -> (String, String) {
    let row = client.wait_for(id, &["COMPLETED", "FAILED"]);
    assert_eq!(row["status"], "FAILED", "{row:#}");
    assert_nothing_is_left(server);
    let word = |key: &str| row["failure"][key].as_str().unwrap().to_owned();
    (word("code"), word("message"))
}

#[track_caller]
fn assert_nothing_is_left(server: &TestServer) {
    let place = format!("--target-dir={}", server.data_dir().display());
    assert_eq!(processes_with(&["mariadb-backup", &place]), [0; 0]);
    server.assert_tmp_is_empty();
}

#[test]
fn a_killed_tool_fails_the_backup() {
    let database = database();
    let mut server = slow(&database);
    server.allow_warning(" failed: ");
    let client = server.admin();
    let (id, tool) = begun(&server, &client);
    kill(tool, Signal::KILL);
    let (code, why) = failure(&server, &client, &id);
    assert_eq!(code, "tool", "{why}");
    assert!(why.contains("signal: 9"), "{why}");
}

#[test]
fn the_start_after_a_power_cut_removes_the_unfinished_copy() {
    let database = database();
    let mut server = slow(&database);
    server.allow_warning("interrupted");
    let client = server.admin();
    let (id, _tool) = begun(&server, &client);
    server.kill();
    let place = format!("--target-dir={}", server.data_dir().display());
    wait_until("the tool to end with Coffer", || {
        processes_with(&["mariadb-backup", &place]).is_empty().then_some(())
    });
    assert!(!names_in(&server.data_dir().join("tmp")).is_empty(), "there was nothing to sweep");
    server.restart();
    let client = server.admin();
    let (code, _why) = failure(&server, &client, &id);
    assert_eq!(code, "interrupted");
}

#[test]
fn a_shutdown_does_not_wait_for_the_copy() {
    let database = database();
    let mut server = slow(&database);
    let client = server.admin();
    let (id, _tool) = begun(&server, &client);
    server.allow_warning("interrupted");
    assert!(server.terminate().success());
    assert_nothing_is_left(&server);
    server.restart();
    let row: Value = server.admin().backup(&id);
    assert_eq!(row["failure"]["code"], "interrupted", "{row:#}");
}

#[test]
fn a_copy_that_does_not_fit_is_refused_with_the_space_it_needs() {
    let (database, disk) = (database(), Disk::mounted(40));
    let mut server = TestServer::builder()
        .instance_of("shop", "mariadb", &source(&database, ""), "quick")
        .setting("storage.headroom_mib", "1")
        .data_dir(&disk.path().join("data"))
        .start();
    server.allow_warning("would fail now");
    server.allow_warning(" failed: ");
    let (code, why) = server.admin().failed("shop");
    assert_eq!(code, "disk_full", "{why}");
    assert!(why.contains("MiB are free there") && why.contains("logical"), "{why}");
    assert_nothing_is_left(&server);
}

#[test]
fn a_disk_that_fills_up_during_the_copy_fails_the_backup() {
    let (database, disk) = (database(), Disk::mounted(300));
    let mut server = TestServer::builder()
        .instance_of("shop", "mariadb", &source(&database, SLOWLY), "quick")
        .setting("storage.headroom_mib", "1")
        .data_dir(&disk.path().join("data"))
        .start();
    server.allow_warning(" failed: ");
    server.allow_warning("the disk is full");
    let client = server.admin();
    let (id, _tool) = begun(&server, &client);
    disk.fill(0);
    wait_until("the tool to end", || {
        let place = format!("--target-dir={}", server.data_dir().display());
        processes_with(&["mariadb-backup", &place]).is_empty().then_some(())
    });
    disk.empty();
    let (code, why) = failure(&server, &client, &id);
    assert_eq!(code, "disk_full", "{why}");
}
