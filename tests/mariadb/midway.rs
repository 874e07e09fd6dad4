//! A backup that ends in the middle: of a tool, of the server, of Coffer itself, of the disk.

use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::house::{id_of, processes_with, source};
use super::server::MariaDb;
use super::support::{Client, TestServer, names_in, wait_until};

/// So slow that there is a middle.
const SLOWLY: &str = ", extra_args = [\"--throttle=1\"]";

/// A server with enough in it.
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
    let made = client.create_backup("shop", &json!({})).expect(202).json();
    let id = id_of(&made["backup"]).to_owned();
    let place = format!("--target-dir={}", server.data_dir().display());
    let tool = wait_until("the tool to copy", || {
        let found = processes_with(&["mariadb-backup", "--backup", &place]);
        let begun =
            names_in(&server.data_dir().join("tmp")).iter().any(|it| it.starts_with("mariadb-"));
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
    nothing_is_left(server);
    let word = |key: &str| row["failure"][key].as_str().unwrap().to_owned();
    (word("code"), word("message"))
}

#[track_caller]
fn nothing_is_left(server: &TestServer) {
    let place = format!("--target-dir={}", server.data_dir().display());
    assert_eq!(processes_with(&["mariadb-backup", &place]), [0; 0]);
    assert_eq!(names_in(&server.data_dir().join("tmp")), [""; 0]);
}

#[test]
fn a_tool_that_is_killed_is_a_failed_backup_and_the_next_one_works() {
    let database = database();
    let mut server = slow(&database);
    server.allow_warning(" failed: ");
    let client = server.by_admin();
    let (id, tool) = begun(&server, &client);
    kill(tool, Signal::KILL);
    let (code, why) = failure(&server, &client, &id);
    assert_eq!(code, "tool", "{why}");
    assert!(why.contains("signal: 9"), "{why}");
}

#[test]
fn a_server_that_stops_meanwhile_is_a_failed_backup() {
    let mut database = database();
    let mut server = slow(&database);
    server.allow_warning(" failed: ");
    let client = server.by_admin();
    let (id, _tool) = begun(&server, &client);
    database.kill();
    let (code, why) = failure(&server, &client, &id);
    assert_eq!(code, "source_missing", "{why}");
}

#[test]
fn a_power_cut_leaves_a_copy_that_the_next_start_removes() {
    let database = database();
    let mut server = slow(&database);
    server.allow_warning("interrupted");
    let client = server.by_admin();
    let (id, _tool) = begun(&server, &client);
    server.kill();
    let place = format!("--target-dir={}", server.data_dir().display());
    wait_until("the tool to end with Coffer", || {
        processes_with(&["mariadb-backup", &place]).is_empty().then_some(())
    });
    assert!(!names_in(&server.data_dir().join("tmp")).is_empty(), "there was nothing to sweep");
    server.restart();
    let client = server.by_admin();
    let (code, _why) = failure(&server, &client, &id);
    assert_eq!(code, "interrupted");
}

#[test]
fn a_shutdown_does_not_wait_for_the_copy() {
    let database = database();
    let mut server = slow(&database);
    let client = server.by_admin();
    let (id, _tool) = begun(&server, &client);
    server.allow_warning("interrupted");
    assert!(server.terminate().success());
    nothing_is_left(&server);
    server.restart();
    let row: Value = server.by_admin().backup(&id);
    assert_eq!(row["failure"]["code"], "interrupted", "{row:#}");
}

/// A filesystem in memory; unmounted with this value.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of_mib(size: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}m"), "coffer-test"])
            .arg(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&mounted.stderr);
        assert!(
            mounted.status.success(),
            "this test mounts a filesystem and must run as root: {said}"
        );
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let filling = self.path().join("filling");
        let full = Command::new("dd")
            .args(["if=/dev/zero", "bs=64K"])
            .arg(format!("of={}", filling.display()))
            .output()
            .unwrap();
        assert!(!full.status.success(), "the disk took everything");
    }

    fn make_room(&self) {
        std::fs::remove_file(self.path().join("filling")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .output()
            .map(drop)
            .unwrap_or_default();
    }
}

#[test]
fn a_copy_that_does_not_fit_is_refused_before_it_begins_and_says_how_much_it_needs() {
    let (database, disk) = (database(), Disk::of_mib(40));
    let mut server = TestServer::builder()
        .instance_of("shop", "mariadb", &source(&database, ""), "quick")
        .setting("storage.headroom_mib", "1")
        .data_dir(&disk.path().join("data"))
        .start();
    server.allow_warning(" failed: ");
    let (code, why) = server.by_admin().failed("shop");
    assert_eq!(code, "disk_full", "{why}");
    assert!(why.contains("MiB are free there") && why.contains("logical"), "{why}");
    nothing_is_left(&server);
}

#[test]
fn a_disk_that_fills_up_while_the_copy_is_made_is_a_failed_backup() {
    let (database, disk) = (database(), Disk::of_mib(300));
    let mut server = TestServer::builder()
        .instance_of("shop", "mariadb", &source(&database, SLOWLY), "quick")
        .setting("storage.headroom_mib", "1")
        .data_dir(&disk.path().join("data"))
        .start();
    server.allow_warning(" failed: ");
    server.allow_warning("the disk is full");
    let client = server.by_admin();
    let (id, _tool) = begun(&server, &client);
    disk.fill();
    wait_until("the tool to end", || {
        let place = format!("--target-dir={}", server.data_dir().display());
        processes_with(&["mariadb-backup", &place]).is_empty().then_some(())
    });
    disk.make_room();
    let (code, why) = failure(&server, &client, &id);
    assert_eq!(code, "disk_full", "{why}");
}
