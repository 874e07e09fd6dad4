//! The data directory and its disk: a filesystem that is read-only, removals that fail, restores
//! that were killed, a disk that reports errors.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Builder, Disk, PROJECT, TestServer, id_of, names_in, stderr_of, succeed, wait_until, write_file,
};

/// A database to back up.
fn database(folder: &Path) -> PathBuf {
    let path = folder.join("shop.db");
    let sql = "CREATE TABLE row(word); INSERT INTO row VALUES ('first')";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

pub(crate) fn server_over(folder: &Path, more: impl FnOnce(Builder) -> Builder) -> TestServer {
    let builder = TestServer::builder().instance_sqlite("shop", &database(folder));
    more(builder).start()
}

#[expect(clippy::disallowed_methods, reason = "a test takes something away")]
pub(crate) fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

/// The notices of the health check. While its catalog is not where it was, the server may answer 503 for a moment.
pub(crate) fn notices(server: &TestServer) -> String {
    let health = wait_until("a health check with notices", || {
        let answer = server.anonymous().get("/healthcheck");
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        (answer.status == 200).then(|| answer.json())
    });
    health["notices"].to_string()
}

#[test]
fn a_restored_instance_whose_removal_fails_is_shown_with_the_reason_and_can_be_deleted_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_over(folder.path(), |it| {
        it.allow_warning("deleting instance").allow_warning("the trash cannot be")
    });
    let client = server.admin();
    let row = client.restore_into_instance(&client.full("shop"));
    let path = format!("instances/{}", id_of(&row));
    let (trash, away) = (server.data_dir().join("trash"), folder.path().join("trash"));
    rename(&trash, &away);
    client.delete(&path).with_status(202);
    let shown = wait_until("the instance to be shown again", || {
        let answer = client.get(&path);
        (answer.status == 200).then(|| answer.json()["instance"].take())
    });
    assert_eq!(shown["status"], "ERROR", "{shown:#}");
    let reason = shown.to_string();
    assert!(reason.contains("could not be deleted") && reason.contains("tried again"), "{reason}");
    rename(&away, &trash);
    client.delete(&path).with_status(202);
    wait_until("the instance to go", || (client.get(&path).status == 404).then_some(()));
    let restored = server.data_dir().join("restored");
    wait_until("its folder to go", || names_in(&restored).is_empty().then_some(()));
}

/// Mounts the folder over itself, read-only. What is open stays writable; only root may do this.
struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    fn over(folder: &'a Path) -> Self {
        succeed(Command::new("mount").arg("--bind").args([folder, folder]));
        succeed(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(folder));
        Self(folder)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        succeed(Command::new("umount").arg("--lazy").arg(self.0));
    }
}

/// Makes all of a filesystem read-only, or writable again, and not one of its mounts alone.
fn remount(disk: &Disk, option: &str) {
    let option = format!("remount,{option}");
    succeed(Command::new("mount").args(["-o", &option]).arg(disk.path()));
}

/// What needs nothing of the data directory but to be read.
fn assert_can_be_read(server: &TestServer, backup: &Value, elsewhere: &Path) {
    let id = id_of(backup);
    server.run_ok(&["verify", id]);
    server.run_ok(&["drill", id, "--in", elsewhere.to_str().unwrap()]);
    for (command, target) in [("restore", "restored.db"), ("export", "export.tar.zst")] {
        let target = elsewhere.join(target);
        server.run_ok(&[command, id, "--to", target.to_str().unwrap()]);
        std::fs::remove_file(target).unwrap();
    }
}

#[test]
fn who_may_not_read_a_read_only_filesystem_is_told_who_may() {
    let (disk, folder) = (Disk::mounted(64), tempfile::tempdir().unwrap());
    let data = disk.path().join("data");
    let mut server = server_over(folder.path(), |it| it.data_dir(&data).unprivileged());
    server.admin().full("shop");
    server.terminate();
    let catalog = data.join("catalog.db");
    chown(&catalog, Some(0), Some(0)).unwrap();
    remount(&disk, "ro");
    for arguments in [&["verify", "latest:shop"][..], &["doctor"]] {
        let output = server.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr_of(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("permission denied") && said.contains("run this as root"), "{said}");
    }
    remount(&disk, "rw");
}

#[test]
fn on_a_read_only_filesystem_everything_can_be_read_and_every_change_is_refused_with_the_reason() {
    let (disk, folder) = (Disk::mounted(64), tempfile::tempdir().unwrap());
    let data = disk.path().join("data");
    let mut server = server_over(folder.path(), |it| {
        it.data_dir(&data).allow_warning("read-only").allow_warning("can be written again")
    });
    let client = server.admin();
    let made = client.full("shop");
    let instance = client.instance_id("shop");
    let read_only = ReadOnly::over(&data);
    wait_until("the notice", || notices(&server).contains("is read-only").then_some(()));
    let body = json!({"backup": {"name": "no", "instance": instance}});
    let refused = client.post("backups", &body).fault(503);
    assert!(refused.1.contains("read-only") && refused.1.contains("coffer doctor"), "{refused:?}");
    client.delete(&format!("backups/{}", id_of(&made))).fault(503);
    assert_eq!(client.backup(id_of(&made))["status"], "COMPLETED");
    client.get(&format!("backups/{}/archive", id_of(&made))).with_status(200);
    assert_can_be_read(&server, &made, folder.path());
    let drilled = server.run(&["drill", id_of(&made)]);
    let why = stderr_of(&drilled);
    assert_eq!(drilled.status.code(), Some(1), "{why}");
    assert!(why.contains("Read-only file system") && why.contains("--in FOLDER"), "{why}");
    let doctor = server.run(&["doctor"]);
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(found.contains("mount it for writing again"), "{found}");
    drop(read_only);
    wait_until("the end of the notice", || (notices(&server) == "[]").then_some(()));
    client.full("shop");

    server.terminate();
    let read_only = ReadOnly::over(&data);
    assert_can_be_read(&server, &made, folder.path());
    let refused = server.run(&["serve"]);
    let text = stderr_of(&refused).to_lowercase();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text.contains("read-only"), "{text}");
    drop(read_only);
    server.restart();
    assert_eq!(server.admin().all("backups", "backups").len(), 2);
    server.terminate();
}

#[test]
fn deletes_work_on_a_full_disk_however_many_and_new_work_is_refused_until_there_is_room() {
    const BACKUPS: usize = 16;
    let (disk, folder) = (Disk::mounted(24), tempfile::tempdir().unwrap());
    let server = server_over(folder.path(), |it| {
        it.data_dir(&disk.path().join("data"))
            .setting("storage.headroom_mib", "1")
            .allow_warning("the disk is full")
            .allow_warning("removed at once")
    });
    let client = server.admin();
    let made: Vec<Value> = (0..BACKUPS).map(|_| client.full("shop")).collect();
    let body = json!({"backup": {"name": "no", "instance": client.instance_id("shop")}});
    disk.fill(0);
    wait_until("new work to be refused", || {
        disk.fill(0);
        let answer = client.post("backups", &body);
        if answer.status == 202 {
            let id = answer.json()["backup"]["id"].as_str().unwrap().to_owned();
            client.wait_for(&id, &["FAILED", "COMPLETED"]);
        }
        (answer.status == 503).then(|| answer.fault(503))
    });
    wait_until("the notice", || {
        notices(&server).contains("disk of the catalog is full").then_some(())
    });
    for backup in &made[1..] {
        disk.fill(0);
        client.delete(&format!("backups/{}", id_of(backup))).with_status(202);
        client.wait_until_gone(id_of(backup));
    }
    disk.fill(0);
    let said = delete(&server, &made[0]);
    assert!(said.contains("nothing brings it back") && !said.contains("undelete"), "{said}");
    let trash = server.data_dir().join("trash");
    assert_eq!(names_in(&trash), [""; 0], "the window is given up");
    let undeleted = server.run(&["undelete", id_of(&made[0])]);
    assert_eq!(undeleted.status.code(), Some(3), "{}", stderr_of(&undeleted));
    disk.empty();
    wait_until("the end of the notice", || (notices(&server) == "[]").then_some(()));
    let said = delete(&server, &client.full("shop"));
    assert!(said.contains("coffer undelete"), "{said}");
    assert_reserve_is_made_again(&server);
}

/// Deletes it with the command, and waits until it is gone. Returns what the command said.
fn delete(server: &TestServer, backup: &Value) -> String {
    let mut command = server.command(&["delete", id_of(backup)]);
    let output = command.env("COFFER_TOKEN", server.admin_secret()).env("COFFER_PROJECT", PROJECT);
    let said = succeed(output);
    server.admin().wait_until_gone(id_of(backup));
    said
}

fn assert_reserve_is_made_again(server: &TestServer) {
    let ballast = server.data_dir().join("catalog.ballast");
    let length = std::fs::metadata(ballast).unwrap().len();
    assert!(length > 1 << 20, "{length}");
}

/// A restore that was stopped while it runs, and the name of the folder that it makes.
fn stopped_restore(server: &TestServer, arguments: &[&str], folder: &Path) -> (Child, String) {
    let is_staging = |name: &String| name.starts_with(".coffer-");
    for _ in 0..20 {
        let mut restore = server.command(arguments).spawn().unwrap();
        let name = wait_until("the restore to begin", || {
            names_in(folder)
                .into_iter()
                .find(is_staging)
                .or_else(|| restore.try_wait().unwrap().map(|_ended| String::new()))
        });
        kill_process(Pid::from_child(&restore), Signal::STOP).unwrap_or_default();
        if is_staging(&name) && folder.join(&name).exists() {
            return (restore, name);
        }
        // It was done already.
        kill_process(Pid::from_child(&restore), Signal::CONT).unwrap_or_default();
        restore.wait().unwrap();
        std::fs::remove_dir_all(folder.join("target")).unwrap_or_default();
    }
    panic!("no restore could be stopped in time");
}

#[test]
fn what_a_killed_restore_leaves_is_named_by_doctor_and_removed_by_the_next_one_to_that_target() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for number in 0..400 {
        write_file(&source.join(format!("{number}")), number.to_string());
    }
    let server = TestServer::builder().instance_directory("source", &source).start();
    let made = server.admin().full("source");
    let target = folder.path().join("target");
    let arguments = ["restore", id_of(&made), "--to", target.to_str().unwrap()];
    let (mut restore, left) = stopped_restore(&server, &arguments, folder.path());
    // Another restore takes nothing away from one that runs.
    server.run_ok(&[
        "restore",
        id_of(&made),
        "--to",
        folder.path().join("other").to_str().unwrap(),
    ]);
    assert!(folder.path().join(&left).exists());
    restore.kill().unwrap();
    restore.wait().unwrap();
    let doctor = server.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.contains(&left) && text.contains("restore that was killed"), "{text}");
    server.run_ok(&arguments);
    assert_eq!(names_in(folder.path()), ["other", "source", "target"]);
}

/// A library that makes the sync of an unfinished archive fail, as on a bad disk, while the file `bad` is there.
fn bad_disk(folder: &Path) -> PathBuf {
    let source = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    if (strstr(path, "/data/tmp/") && access(getenv("BAD_DISK"), F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}
"#;
    let (text, library) = (folder.join("bad_disk.c"), folder.join("bad_disk.so"));
    write_file(&text, source);
    succeed(Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &text]));
    library
}

#[test]
fn a_disk_that_reports_errors_is_in_the_notices_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (library, bad) = (bad_disk(folder.path()), folder.path().join("bad"));
    let mut server = server_over(folder.path(), |it| {
        it.env("LD_PRELOAD", library.to_str().unwrap())
            .env("BAD_DISK", bad.to_str().unwrap())
            .allow_warning("Input/output error")
    });
    let client = server.admin();
    client.full("shop");
    assert_eq!(notices(&server), "[]");
    write_file(&bad, "");
    let (code, message) = client.failed("shop");
    assert_eq!(code, "storage", "{message}");
    let told = notices(&server);
    assert!(told.contains("reported an error") && told.contains("dmesg"), "{told}");
    std::fs::remove_file(&bad).unwrap();
    client.full("shop");
    assert!(notices(&server).contains("reported an error"), "one success heals no disk");
    server.restart();
    assert_eq!(notices(&server), "[]");
}
